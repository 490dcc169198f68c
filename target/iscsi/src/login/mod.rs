//! The login phase of one connection (RFC 7143 §6.3), from its first PDU to full feature phase. Asks the
//! shell who may log in and to register the session; knows neither targets nor other sessions.

mod exchange;
mod failure;
mod identity;
mod security;
mod sorted;
mod states;
mod status;
mod types;

pub use exchange::MAX_REQUESTS;
pub use failure::LoginFailure;
pub use status::LoginStatus;
pub use types::{
    Access, Authorization, LoggedIn, LoginDrop, LoginEntropy, LoginIdentity, LoginReply, LoginStep,
    Redirect, SessionType,
};

pub(crate) use failure::excerpt;

use exchange::Exchange;
use states::{ExpectFirstRequest, Next, State};

use crate::parameters::LocalParameters;
use crate::pdu::RawPdu;
use crate::pdu::login_request::LoginRequest;
use crate::text::{Key, TextPairs};

/// The login phase of one connection.
///
/// Feed every PDU to [`Login::handle`] and do what the returned [`LoginStep`] says; a step that asks
/// something is answered by [`Login::authorize`], [`Login::established`] or [`Login::refuse`], which
/// return the next step. After `Complete`, `Fail` or `Drop` there is nothing more to feed.
///
/// Work and memory are bounded: [`MAX_REQUESTS`] requests, 64 KiB of text, 256 pairs a request. Time is
/// the shell's: it closes a connection whose login takes too long.
#[derive(Debug)]
pub struct Login {
    local: LocalParameters,
    exchange: Option<Exchange>,
    state: State,
    failure: Option<LoginFailure>,
}

impl Login {
    /// A login that has seen nothing yet. Values of `local` that are out of range are brought into it.
    #[must_use]
    pub fn new(local: LocalParameters, entropy: LoginEntropy) -> Self {
        let local = local.clamped();
        let state = State::FirstRequest(ExpectFirstRequest {
            local: local.clone(),
            entropy,
        });
        Self {
            local,
            exchange: None,
            state,
            failure: None,
        }
    }

    /// Takes the next PDU that came before full feature phase, whatever it is.
    pub fn handle(&mut self, pdu: RawPdu) -> LoginStep {
        let opcode = pdu.bhs.first().copied().unwrap_or(0) & 0x3f;
        let request = LoginRequest::parse(&pdu.bhs);
        let state = std::mem::replace(&mut self.state, State::Ended);
        if matches!(
            state,
            State::Authorization(_) | State::Session(_) | State::Ended
        ) {
            return LoginStep::Drop(LoginDrop::OutOfTurn);
        }
        let Some(request) = request else {
            if self.exchange.is_none() {
                return LoginStep::Drop(LoginDrop::NotALogin { opcode });
            }
            return self.fail(LoginFailure::InvalidDuringLogin { opcode });
        };
        let exchange = self
            .exchange
            .get_or_insert_with(|| Exchange::new(request.clone(), &self.local));
        let next = match exchange.receive(&request, &pdu.data) {
            Ok(Some(request)) => handle_request(state, exchange, request),
            Ok(None) => Ok((state, LoginStep::Respond(exchange.respond()))),
            Err(failure) => Err(failure),
        };
        self.go(next)
    }

    /// Answers [`LoginStep::Authorize`].
    pub fn authorize(&mut self, decision: Authorization) -> LoginStep {
        let access = match decision {
            Authorization::Accept(access) => access,
            Authorization::Refuse(status) => return self.refuse(status),
        };
        let state = std::mem::replace(&mut self.state, State::Ended);
        let next = match (state, &mut self.exchange) {
            (State::Authorization(state), Some(exchange)) => state.accept(exchange, access),
            _ => Err(LoginFailure::Misuse),
        };
        self.go(next)
    }

    /// Answers [`LoginStep::Establish`]: the session is registered under this TSIH, which is not 0.
    pub fn established(&mut self, tsih: u16) -> LoginStep {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let next = match (state, &mut self.exchange) {
            (State::Session(state), Some(exchange)) if tsih != 0 => {
                Ok(state.established(exchange, tsih))
            }
            _ => Err(LoginFailure::Misuse),
        };
        self.go(next)
    }

    /// Answers [`LoginStep::Establish`] for a connection that joins the session with that TSIH, whose
    /// ExpCmdSN and MaxCmdSN are these.
    pub fn joined(&mut self, tsih: u16, exp_cmd_sn: u32, max_cmd_sn: u32) -> LoginStep {
        if let Some(exchange) = &mut self.exchange {
            exchange.join(exp_cmd_sn, max_cmd_sn);
        }
        self.established(tsih)
    }

    /// ExpStatSN of the first Login Request: with a TSIH, what the initiator has of the connection
    /// that it reinstates (RFC 7143 §11.12.9). 0 before that.
    #[must_use]
    pub fn first_exp_stat_sn(&self) -> u32 {
        let exchange = self.exchange.as_ref();
        exchange.map_or(0, Exchange::first_exp_stat_sn)
    }

    /// Answers [`LoginStep::Authorize`] or [`LoginStep::Establish`] with a no.
    pub fn refuse(&mut self, status: LoginStatus) -> LoginStep {
        let state = std::mem::replace(&mut self.state, State::Ended);
        match state {
            State::Authorization(_) | State::Session(_) => self.fail(LoginFailure::Refused(status)),
            _ => self.fail(LoginFailure::Misuse),
        }
    }

    /// Why the login failed, after [`LoginStep::Fail`]: for the log.
    #[must_use]
    pub fn failure(&self) -> Option<&LoginFailure> {
        self.failure.as_ref()
    }

    fn go(&mut self, next: Next) -> LoginStep {
        match next {
            Ok((state, step)) => {
                self.state = state;
                step
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn fail(&mut self, failure: LoginFailure) -> LoginStep {
        self.state = State::Ended;
        let status = failure.status();
        let mut text = TextPairs::new();
        if let LoginFailure::Redirected { to } = &failure {
            text.push(Key::TargetAddress.name(), &to.address);
        }
        self.failure = Some(failure);
        match &mut self.exchange {
            Some(exchange) => LoginStep::Fail(exchange.fail(status, &text)),
            None => LoginStep::Drop(LoginDrop::OutOfTurn),
        }
    }
}

fn handle_request(state: State, exchange: &mut Exchange, request: exchange::Request) -> Next {
    match state {
        State::FirstRequest(state) => state.handle(exchange, request),
        State::Security(state) => state.handle(exchange, &request),
        State::Operational(state) => state.handle(exchange, &request),
        State::Authorization(_) | State::Session(_) | State::Ended => Err(LoginFailure::Misuse),
    }
}

#[cfg(test)]
mod tests;
