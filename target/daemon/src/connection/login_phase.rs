//! The login phase of one connection: bytes between a socket and the login state machine, and the
//! two questions that the state machine asks (may this initiator, and which session is this).
//! Knows nothing of SCSI.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tidelock_catalog::{IscsiName, PortalGroupTag, SessionParameters};
use tidelock_iscsi::framing::{Decoder, FramingLimits};
use tidelock_iscsi::login::{
    Access, Authorization, LoggedIn, Login, LoginEntropy, LoginFailure, LoginIdentity, LoginReply,
    LoginStatus, LoginStep,
};
use tidelock_iscsi::transmit::TxQueue;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::connection::terms::{self, Terms};
use crate::connection::write_out;
use crate::directory::{
    Candidate, JoinRequest, Refusal, Registration, SessionCounters, SessionKey, SessionLimits,
    SessionMessage,
};
use crate::reactor::Local;
use crate::registry::Target;
use crate::registry::access::Arrival;

/// Data segments before negotiation are at most this long (RFC 7143 §13.12), and a login has no
/// additional header segments.
const LIMITS: FramingLimits = FramingLimits {
    max_data_segment: 8_192,
    max_ahs: 0,
};
/// Bytes read at a time: a login request rarely has more.
const READ_LEN: usize = 4_096;
/// How long a session that is to be replaced is given to end.
const REPLACE_PATIENCE: Duration = Duration::from_secs(5);

/// How a login ended well.
#[derive(Debug)]
pub enum Outcome {
    /// The connection has become a session.
    Session(Box<Admitted>),
    /// The connection is one more of a session that is there already.
    Joins {
        /// Where that session listens.
        session: mpsc::UnboundedSender<SessionMessage>,
        /// What the login settled on.
        login: LoggedIn,
        /// What the initiator sent right behind its last login request.
        rest: BytesMut,
    },
}

/// A connection that has become a session.
#[derive(Debug)]
pub struct Admitted {
    /// What the login settled on.
    pub login: LoggedIn,
    /// The session's place in the directory.
    pub registration: Registration,
    /// What is served; `None` in a discovery session.
    pub target: Option<Arc<Target>>,
    /// The terms that it didn't negotiate.
    pub terms: Terms,
    /// What the initiator sent right behind its last login request.
    pub rest: BytesMut,
}

/// Runs the login phase to its end. `None`: there is no session, and the connection is to be closed.
///
/// # Errors
/// The connection broke.
pub async fn run(
    stream: &TcpStream,
    peer: SocketAddr,
    group: PortalGroupTag,
    local: &Local,
) -> io::Result<Option<Outcome>> {
    let nothing_set = SessionParameters::default();
    let mut phase = Phase {
        stream,
        peer,
        group,
        local,
        login: Login::new(terms::local_parameters(local, &nothing_set), entropy()?),
        tx: TxQueue::new(),
        target: None,
        terms: Terms::new(&local.shared.config, &nothing_set),
        limits: SessionLimits::default(),
        registration: None,
        joins: None,
    };
    let mut decoder = Decoder::new(LIMITS);
    let mut rx = BytesMut::new();
    loop {
        match decoder.decode(&mut rx) {
            Ok(Some(pdu)) => {
                let step = phase.login.handle(pdu);
                match phase.follow(step).await? {
                    Next::Read => {}
                    Next::Close => return Ok(None),
                    Next::FullFeature(login) => {
                        return Ok(phase.outcome(login, rx));
                    }
                }
            }
            Ok(None) => {
                if !read_more(stream, &mut rx).await? {
                    return Ok(None);
                }
            }
            Err(error) => {
                tracing::debug!(%peer, %error, "dropped: this isn't a login");
                return Ok(None);
            }
        }
    }
}

/// False at the end of the stream.
async fn read_more(stream: &TcpStream, rx: &mut BytesMut) -> io::Result<bool> {
    loop {
        stream.readable().await?;
        rx.reserve(READ_LEN);
        match stream.try_read_buf(rx) {
            Ok(len) => return Ok(len > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Fresh random bytes for the challenge that we may have to send.
fn entropy() -> io::Result<LoginEntropy> {
    let mut bytes = [0_u8; 33];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let [identifier, challenge @ ..] = bytes;
    Ok(LoginEntropy {
        challenge,
        identifier,
    })
}

/// iSCSI names compare without regard to case (RFC 7143 §4.2.7.1), so one form is kept.
fn normalised(name: String) -> String {
    IscsiName::new(&name).map_or(name, |name| name.to_string())
}

struct Phase<'a> {
    stream: &'a TcpStream,
    peer: SocketAddr,
    /// The portal group through which the connection came.
    group: PortalGroupTag,
    local: &'a Local,
    login: Login,
    tx: TxQueue,
    target: Option<Arc<Target>>,
    terms: Terms,
    limits: SessionLimits,
    registration: Option<Registration>,
    /// The session that the connection joins.
    joins: Option<mpsc::UnboundedSender<SessionMessage>>,
}

enum Next {
    Read,
    Close,
    FullFeature(LoggedIn),
}

impl Phase<'_> {
    /// Does what the state machine asks for until it waits for the initiator or has ended.
    async fn follow(&mut self, mut step: LoginStep) -> io::Result<Next> {
        loop {
            step = match step {
                LoginStep::Respond(reply) => {
                    self.send(reply).await?;
                    return Ok(Next::Read);
                }
                LoginStep::Authorize(identity) => {
                    let decision = self.authorize(&identity);
                    self.login.authorize(decision)
                }
                LoginStep::Establish(identity) => match self.establish(identity).await {
                    Ok(step) => step,
                    Err(status) => self.login.refuse(status),
                },
                LoginStep::Complete { reply, session } => {
                    self.send(reply).await?;
                    return Ok(Next::FullFeature(session));
                }
                LoginStep::Fail(reply) => {
                    match self.login.failure() {
                        Some(LoginFailure::Redirected { to }) => {
                            tracing::info!(peer = %self.peer, to = to.address, "login sent on");
                        }
                        Some(failure) => {
                            tracing::info!(peer = %self.peer, %failure, "login failed");
                        }
                        None => {}
                    }
                    self.send(reply).await?;
                    return Ok(Next::Close);
                }
                LoginStep::Drop(reason) => {
                    tracing::debug!(peer = %self.peer, ?reason, "dropped during login");
                    return Ok(Next::Close);
                }
            }
        }
    }

    fn authorize(&mut self, identity: &LoginIdentity) -> Authorization {
        let registry = &self.local.shared.registry;
        let decision = registry.authorize(identity, self.arrival());
        match decision {
            Ok(granted) => {
                let parameters = &granted.parameters;
                self.target = granted.target;
                self.limits = granted.limits;
                self.terms = Terms::new(&self.local.shared.config, parameters);
                Authorization::Accept(Access {
                    local: Some(terms::local_parameters(self.local, parameters)),
                    ..granted.access
                })
            }
            Err(status) => {
                tracing::info!(
                    peer = %self.peer,
                    initiator = %identity.initiator_name,
                    target = identity.target_name.as_deref().unwrap_or("(discovery)"),
                    %status,
                    "login refused"
                );
                Authorization::Refuse(status)
            }
        }
    }

    fn arrival(&self) -> Arrival {
        Arrival {
            from: self.peer.ip(),
            at: self.stream.local_addr().ok(),
            group: self.group,
        }
    }

    fn outcome(self, login: LoggedIn, rest: BytesMut) -> Option<Outcome> {
        if let Some(session) = self.joins {
            return Some(Outcome::Joins {
                session,
                login,
                rest,
            });
        }
        Some(Outcome::Session(Box::new(Admitted {
            login,
            registration: self.registration?,
            target: self.target,
            terms: self.terms,
            rest,
        })))
    }

    /// The session that the TSIH names is asked: it knows how many connections it has, and up to
    /// where commands have come (RFC 7143 §6.3.1, §6.3.4).
    async fn join(&mut self, identity: &LoginIdentity) -> Result<LoginStep, LoginStatus> {
        let key = self.session_key(identity);
        let directory = &self.local.shared.directory;
        let session = directory
            .find(&key, identity.tsih)
            .map_err(|_| LoginStatus::SESSION_DOES_NOT_EXIST)?;
        let (answer, joining) = oneshot::channel();
        let request = JoinRequest {
            cid: identity.cid,
            exp_stat_sn: self.login.first_exp_stat_sn(),
            answer,
        };
        session
            .send(SessionMessage::Join(request))
            .map_err(|_| LoginStatus::SESSION_DOES_NOT_EXIST)?;
        let joining = tokio::time::timeout(REPLACE_PATIENCE, joining)
            .await
            .map_err(|_| LoginStatus::SERVICE_UNAVAILABLE)?
            .map_err(|_| LoginStatus::SESSION_DOES_NOT_EXIST)?
            .map_err(|_| LoginStatus::TOO_MANY_CONNECTIONS)?;
        self.joins = Some(session);
        let numbers = (joining.exp_cmd_sn, joining.max_cmd_sn);
        Ok(self.login.joined(identity.tsih, numbers.0, numbers.1))
    }

    fn session_key(&self, identity: &LoginIdentity) -> SessionKey {
        SessionKey {
            initiator: normalised(identity.initiator_name.clone()),
            isid: identity.isid,
            target: self.target.as_ref().map(|target| target.name().to_owned()),
            group: self.group,
        }
    }

    async fn establish(&mut self, identity: LoginIdentity) -> Result<LoginStep, LoginStatus> {
        if identity.tsih != 0 {
            return self.join(&identity).await;
        }
        let candidate = Candidate {
            key: self.session_key(&identity),
            peer: self.peer,
            reactor: self.local.index,
            limits: self.limits,
            counters: Arc::new(SessionCounters::default()),
        };
        let admitted = self
            .local
            .shared
            .directory
            .admit(candidate, REPLACE_PATIENCE)
            .await;
        match admitted {
            Ok(registration) => {
                // The operator may have changed access or deleted the target since this login began.
                // A change ends the sessions that are registered; whoever registers later looks again.
                let granted = self
                    .local
                    .shared
                    .registry
                    .authorize(&identity, self.arrival())?;
                let same = match (&self.target, &granted.target) {
                    (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                    (None, None) => true,
                    _ => false,
                };
                if !same {
                    return Err(LoginStatus::NOT_FOUND);
                }
                let tsih = registration.info.tsih;
                self.registration = Some(registration);
                Ok(self.login.established(tsih))
            }
            Err(refusal) => {
                tracing::info!(peer = %self.peer, ?refusal, "login refused");
                Err(match refusal {
                    Refusal::DoesNotExist => LoginStatus::SESSION_DOES_NOT_EXIST,
                    Refusal::Busy => LoginStatus::SERVICE_UNAVAILABLE,
                    Refusal::TooMany => LoginStatus::OUT_OF_RESOURCES,
                })
            }
        }
    }

    async fn send(&mut self, reply: LoginReply) -> io::Result<()> {
        for (bhs, data) in reply.pdus {
            self.tx.push(bhs, data);
        }
        write_out(self.stream, &mut self.tx).await
    }
}
