//! Connecting to another daemon: its address, TCP, TLS, each within its time. Knows nothing of what is said then.

use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tidelock_catalog::{Fingerprint, PeerAddress};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::conversation::ConversationError;
use super::socket::{Socket, socket};
use super::tls::{self, Tls};

/// How long it may take until there is a connection, name resolution, TCP and TLS each.
pub(super) const STEP_PATIENCE: Duration = Duration::from_secs(5);
/// In the handshake there has to be a name, and it is neither sent nor looked at.
const NOBODY: &str = "tidelock";

/// Why there is no connection, or no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DialError {
    /// The name.
    #[error("the name of {address} can't be resolved: {reason}")]
    Name {
        /// The address.
        address: PeerAddress,
        /// Why.
        reason: String,
    },
    /// TCP.
    #[error("{address} can't be reached: {reason}")]
    Unreachable {
        /// The address.
        address: PeerAddress,
        /// Why.
        reason: String,
    },
    /// Somebody else is there.
    #[error("at {address} the key {found} answers, and not {expected}")]
    OtherKey {
        /// The address.
        address: PeerAddress,
        /// The one that was to be there.
        expected: Fingerprint,
        /// The one that is.
        found: Fingerprint,
    },
    /// It doesn't know us.
    #[error("{address} hasn't accepted this daemon as a peer")]
    NotAccepted {
        /// The address.
        address: PeerAddress,
    },
    /// It says something else than is expected.
    #[error("{address} doesn't answer as a peer does: {reason}")]
    Broken {
        /// The address.
        address: PeerAddress,
        /// What went wrong.
        reason: String,
    },
}

/// A connection to another daemon.
pub(super) struct Dialled {
    pub(super) stream: TlsStream<Socket>,
    /// Whose key it is.
    pub(super) fingerprint: Fingerprint,
}

/// Connects; `expected` is the key that has to be there.
pub(super) async fn dial(
    tls: &Tls,
    address: &PeerAddress,
    expected: Option<Fingerprint>,
    alpn: &[u8],
) -> Result<Dialled, DialError> {
    let tcp = connect(address).await?;
    let (config, verifier) = tls
        .client(expected, alpn)
        .map_err(|error| broken(address, &error))?;
    let name = ServerName::try_from(NOBODY).map_err(|error| broken(address, &error))?;
    let shaking = TlsConnector::from(config).connect(name, tcp);
    let shaken = timeout(STEP_PATIENCE, shaking)
        .await
        .map_err(|_| broken(address, "the TLS handshake takes too long"))?;
    let found = verifier.found();
    let stream = match (shaken, expected, found) {
        (Err(_), Some(expected), Some(found)) if expected != found => {
            return Err(DialError::OtherKey {
                address: address.clone(),
                expected,
                found,
            });
        }
        (Err(error), ..) => return Err(went_wrong(address, error.into())),
        (Ok(stream), ..) => stream,
    };
    if stream.get_ref().1.alpn_protocol() != Some(alpn) {
        return Err(broken(address, "it speaks another protocol"));
    }
    let fingerprint = found.ok_or_else(|| broken(address, "it has shown no key"))?;
    Ok(Dialled {
        stream,
        fingerprint,
    })
}

/// What it means that a conversation broke off.
pub(super) fn went_wrong(address: &PeerAddress, error: ConversationError) -> DialError {
    match &error {
        ConversationError::Io(io) if tls::is_denial(io) => DialError::NotAccepted {
            address: address.clone(),
        },
        ConversationError::Io(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            broken(address, "it hung up")
        }
        error => broken(address, error),
    }
}

pub(super) fn broken(address: &PeerAddress, reason: impl ToString) -> DialError {
    DialError::Broken {
        address: address.clone(),
        reason: reason.to_string(),
    }
}

async fn connect(address: &PeerAddress) -> Result<Socket, DialError> {
    let unreachable = |reason: String| DialError::Unreachable {
        address: address.clone(),
        reason,
    };
    let mut last = "its name has no address".to_owned();
    for one in addresses(address).await? {
        match timeout(STEP_PATIENCE, TcpStream::connect(one)).await {
            Ok(Ok(stream)) => {
                return Ok(socket(stream));
            }
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = format!("no answer within {} s", STEP_PATIENCE.as_secs()),
        }
    }
    Err(unreachable(last))
}

/// The first few addresses.
async fn addresses(address: &PeerAddress) -> Result<Vec<SocketAddr>, DialError> {
    const MOST: usize = 4;
    if let Some(one) = address.socket_address() {
        return Ok(vec![one]);
    }
    let failed = |reason: String| DialError::Name {
        address: address.clone(),
        reason,
    };
    let name = address.domain_name().unwrap_or_default();
    let resolving = tokio::net::lookup_host((name, address.port()));
    match timeout(STEP_PATIENCE, resolving).await {
        Ok(Ok(found)) => Ok(found.take(MOST).collect()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("it takes too long".into())),
    }
}
