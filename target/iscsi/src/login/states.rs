//! The states of a login: one struct per expected request or decision. Handling consumes the state and
//! gives the next one with what to do now, so that a stale state can't be used.
//!
//! ```text
//!  ExpectFirstRequest -> ExpectAuthorization -+-> ExpectSecurityRequest -+-> ExpectSession -> (done)
//!                                             |            |             |
//!                                             +-> ExpectOperationalRequest
//! ```

use super::exchange::{Exchange, Request};
use super::security::{Security, SecurityKeys};
use super::sorted::{Sorted, sort};
use super::{
    Access, LoggedIn, LoginEntropy, LoginFailure, LoginIdentity, LoginStep, Redirect, SessionType,
    identity,
};
use crate::negotiation::Negotiation;
use crate::parameters::{LocalParameters, Parameters};
use crate::pdu::login_request::LoginStage;
use crate::text::{Key, REJECT, TextPairs};

/// What a login waits for.
#[derive(Debug)]
pub(super) enum State {
    FirstRequest(ExpectFirstRequest),
    Authorization(Box<ExpectAuthorization>),
    Security(Box<ExpectSecurityRequest>),
    Operational(Box<ExpectOperationalRequest>),
    Session(Box<ExpectSession>),
    /// Over, well or not.
    Ended,
}

/// The next state, and what to do before anything else comes.
pub(super) type Next = Result<(State, LoginStep), LoginFailure>;

// --- Who is it?

/// Nothing has come yet, or not all text of the first request.
#[derive(Debug)]
pub(super) struct ExpectFirstRequest {
    pub(super) local: LocalParameters,
    pub(super) entropy: LoginEntropy,
}

impl ExpectFirstRequest {
    pub(super) fn handle(self, exchange: &Exchange, request: Request) -> Next {
        let identity = identity::identify(&request.pairs, exchange)?;
        let step = LoginStep::Authorize(identity.clone());
        let Self { local, entropy } = self;
        let next = ExpectAuthorization {
            local,
            entropy,
            identity,
            request,
        };
        Ok((State::Authorization(Box::new(next)), step))
    }
}

/// The shell looks up target and access list.
#[derive(Debug)]
pub(super) struct ExpectAuthorization {
    local: LocalParameters,
    entropy: LoginEntropy,
    identity: LoginIdentity,
    request: Request,
}

impl ExpectAuthorization {
    pub(super) fn accept(self, exchange: &mut Exchange, access: Access) -> Next {
        let local = access.local.as_ref().unwrap_or(&self.local).clamped();
        exchange.set_command_window(local.command_window);
        let mut answers = TextPairs::new();
        // RFC 7143 §13.9: in the first response of a normal session.
        if self.identity.session_type == SessionType::Normal {
            let tag = access.target_portal_group_tag.to_string();
            answers.push(Key::TargetPortalGroupTag.name(), tag);
        }
        if let Some(alias) = &access.target_alias {
            answers.push(Key::TargetAlias.name(), alias);
        }
        let leading = self.identity.tsih == 0;
        let terms = Terms {
            negotiation: Negotiation::new(&local, self.identity.session_type, leading),
            identity: self.identity,
            redirect: access.redirect,
        };
        let security = Security::new(access.chap, self.entropy);
        if security.may_leave() {
            terms.check_redirect()?;
        }
        if exchange.stage() == LoginStage::SECURITY_NEGOTIATION {
            let state = ExpectSecurityRequest { terms, security };
            return state.answer(exchange, &self.request, answers);
        }
        if !security.may_leave() {
            return Err(LoginFailure::AuthenticationRequired);
        }
        ExpectOperationalRequest { terms }.answer(exchange, &self.request, answers)
    }
}

/// What was settled so far.
#[derive(Debug)]
struct Terms {
    identity: LoginIdentity,
    negotiation: Negotiation,
    redirect: Option<Redirect>,
}

impl Terms {
    /// Sends the initiator elsewhere, if that is where the target is. Initiators have to follow a
    /// redirection once the security negotiation is over, and only should before (RFC 7143 §11.13.5);
    /// and whoever can't prove who it is isn't told where the target has gone.
    fn check_redirect(&self) -> Result<(), LoginFailure> {
        match &self.redirect {
            Some(to) => Err(LoginFailure::Redirected { to: to.clone() }),
            None => Ok(()),
        }
    }
}

// --- Security stage

/// The initiator is to authenticate itself, or to go on.
#[derive(Debug)]
pub(super) struct ExpectSecurityRequest {
    terms: Terms,
    security: Security,
}

impl ExpectSecurityRequest {
    pub(super) fn handle(self, exchange: &mut Exchange, request: &Request) -> Next {
        if exchange.is_sending() {
            return self.proceed(exchange, request.transit_to);
        }
        self.answer(exchange, request, TextPairs::new())
    }

    fn answer(self, exchange: &mut Exchange, request: &Request, mut answers: TextPairs) -> Next {
        let Self { terms, security } = self;
        let Sorted {
            security: keys,
            operational,
        } = sort(&request.pairs, &terms.identity, &mut answers)?;
        let keys = SecurityKeys::new(&keys)?;
        let skips = request.transit_to.is_some() && keys.auth_method.is_none();
        if skips && matches!(security, Security::ExpectAuthMethod(_)) && !security.may_leave() {
            return Err(LoginFailure::AuthenticationRequired);
        }
        let security = security.handle(&keys, &mut answers)?;
        // They may be offered again in their own stage.
        operational
            .iter()
            .for_each(|(key, _)| answers.push(key.name(), REJECT));
        // An answer of ours, the proof of mutual CHAP above all, comes first: then it is sent on at
        // its next request.
        if security.may_leave() && answers.is_empty() {
            terms.check_redirect()?;
        }
        exchange.queue(&answers);
        Self { terms, security }.proceed(exchange, request.transit_to)
    }

    fn proceed(self, exchange: &mut Exchange, transit_to: Option<LoginStage>) -> Next {
        let may_enter =
            |next| next != LoginStage::FULL_FEATURE_PHASE || self.terms.redirect.is_none();
        match transit_to {
            Some(next) if exchange.fits() && self.security.may_leave() && may_enter(next) => {
                self.terms.leave(exchange, next)
            }
            _ => {
                let reply = exchange.respond();
                Ok((State::Security(Box::new(self)), LoginStep::Respond(reply)))
            }
        }
    }
}

// --- Operational stage

/// The initiator is to offer operational keys, or to go on.
#[derive(Debug)]
pub(super) struct ExpectOperationalRequest {
    terms: Terms,
}

impl ExpectOperationalRequest {
    pub(super) fn handle(self, exchange: &mut Exchange, request: &Request) -> Next {
        if exchange.is_sending() {
            return self.proceed(exchange, request.transit_to);
        }
        self.answer(exchange, request, TextPairs::new())
    }

    fn answer(self, exchange: &mut Exchange, request: &Request, mut answers: TextPairs) -> Next {
        self.terms.check_redirect()?;
        let Terms {
            identity,
            mut negotiation,
            redirect,
        } = self.terms;
        let Sorted {
            security,
            operational,
        } = sort(&request.pairs, &identity, &mut answers)?;
        security
            .iter()
            .for_each(|(key, _)| answers.push(key.name(), REJECT));
        negotiation.answer(&operational, &mut answers)?;
        exchange.queue(&answers);
        Self {
            terms: Terms {
                identity,
                negotiation,
                redirect,
            },
        }
        .proceed(exchange, request.transit_to)
    }

    fn proceed(self, exchange: &mut Exchange, transit_to: Option<LoginStage>) -> Next {
        match transit_to {
            Some(next) if exchange.fits() => self.terms.leave(exchange, next),
            _ => {
                let reply = exchange.respond();
                Ok((
                    State::Operational(Box::new(self)),
                    LoginStep::Respond(reply),
                ))
            }
        }
    }
}

// --- Into full feature phase

impl Terms {
    /// Both ends agree to leave the stage.
    fn leave(self, exchange: &mut Exchange, next: LoginStage) -> Next {
        if next == LoginStage::FULL_FEATURE_PHASE {
            let parameters = self.negotiation.finish()?;
            let step = LoginStep::Establish(self.identity.clone());
            let state = ExpectSession {
                identity: self.identity,
                parameters,
            };
            return Ok((State::Session(Box::new(state)), step));
        }
        let reply = exchange.transit(next, self.identity.tsih);
        let state = ExpectOperationalRequest { terms: self };
        Ok((
            State::Operational(Box::new(state)),
            LoginStep::Respond(reply),
        ))
    }
}

/// The shell registers the session.
#[derive(Debug)]
pub(super) struct ExpectSession {
    identity: LoginIdentity,
    parameters: Parameters,
}

impl ExpectSession {
    pub(super) fn established(self, exchange: &mut Exchange, tsih: u16) -> (State, LoginStep) {
        let reply = exchange.transit(LoginStage::FULL_FEATURE_PHASE, tsih);
        let session = LoggedIn {
            identity: LoginIdentity {
                tsih,
                ..self.identity
            },
            parameters: self.parameters,
            cmd_sn: exchange.cmd_sn(),
            max_cmd_sn: exchange.max_cmd_sn(),
            stat_sn: exchange.stat_sn(),
            exp_stat_sn: exchange.exp_stat_sn(),
        };
        (State::Ended, LoginStep::Complete { reply, session })
    }
}
