//! Listening sockets: binding them, and dealing accepted connections out to reactors. Knows nothing
//! of what is said on a connection.

use std::net::{SocketAddr, TcpListener};
use std::str::FromStr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tidelock_catalog::{PortalGroupTag, PortalGroupTagError};
use tokio::sync::watch;

use crate::reactor::ReactorHandle;

/// Connections that the kernel holds for us until they are accepted.
const BACKLOG: i32 = 1024;
/// How many ports after a taken one `--demo` tries.
const FALLBACK_PORTS: u16 = 100;
/// How long to wait when the process is out of descriptors before it tries to accept again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A portal (RFC 7143 §4.4.1): an address, and the group that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Portal {
    /// The group.
    pub group: PortalGroupTag,
    /// Address and TCP port.
    pub address: SocketAddr,
}

/// Why a text is no portal.
#[derive(Debug, Error)]
pub enum ParsePortalError {
    /// What comes before the `=`.
    #[error(transparent)]
    Group(#[from] PortalGroupTagError),
    /// The rest.
    #[error("{0:?} isn't an address with a port, such as 10.0.0.1:3260 or [fd00::1]:3260")]
    Address(String),
}

impl FromStr for Portal {
    type Err = ParsePortalError;

    /// `ADDRESS:PORT` is in group 1, `TAG=ADDRESS:PORT` in that one.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (group, address) = match text.split_once('=') {
            Some((tag, address)) => (tag.parse()?, address),
            None => (PortalGroupTag::DEFAULT, text),
        };
        let address = address
            .parse()
            .map_err(|_| ParsePortalError::Address(address.chars().take(100).collect()))?;
        Ok(Self { group, address })
    }
}

/// Why a portal can't be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}{}", hint(.source))]
pub struct PortalError {
    address: SocketAddr,
    source: std::io::Error,
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            " (another program listens there: stop it or choose another --portal)"
        }
        std::io::ErrorKind::AddrNotAvailable => " (this machine doesn't have that address)",
        std::io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one)"
        }
        _ => "",
    }
}

/// Binds `address`. With `fallback`, the next free port is taken when that one isn't, and a line
/// says so.
///
/// # Errors
/// The address isn't ours, or the port is taken (with `fallback`: a hundred in a row).
pub fn bind(address: SocketAddr, fallback: bool) -> Result<TcpListener, PortalError> {
    let first = address.port();
    let last = if fallback {
        first.saturating_add(FALLBACK_PORTS)
    } else {
        first
    };
    let mut port = first;
    loop {
        let mut tried = address;
        tried.set_port(port);
        match listen(tried) {
            Ok(listener) => {
                if port != first {
                    tracing::warn!("{address} is taken: listening on {tried} instead");
                }
                return Ok(listener);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && port < last => port += 1,
            Err(source) => return Err(PortalError { address, source }),
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // [::] serves IPv6 only, so that 0.0.0.0 can be given beside it.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections to a portal of `group` and deals them out, each to the reactor with the fewest, until `stop` turns
/// true.
pub async fn accept(
    listener: tokio::net::TcpListener,
    group: PortalGroupTag,
    reactors: Vec<ReactorHandle>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => deal(stream, peer, group, &reactors),
            Err(error) => {
                // Out of descriptors or memory, or the peer has gone already: neither ends us.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn deal(
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    group: PortalGroupTag,
    reactors: &[ReactorHandle],
) {
    let Some(reactor) = reactors.iter().min_by_key(|reactor| reactor.connections()) else {
        return;
    };
    match stream.into_std() {
        Ok(stream) => reactor.give(stream, peer, group),
        Err(error) => tracing::warn!(%error, %peer, "cannot hand over a connection"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portal_is_an_address_with_or_without_a_group() {
        let portal: Portal = "10.0.0.1:3260".parse().unwrap();
        assert_eq!(portal.group, PortalGroupTag::DEFAULT);
        let portal: Portal = "16=[fd00::1]:3260".parse().unwrap();
        assert_eq!(portal.group.get(), 16);
        assert_eq!(portal.address, "[fd00::1]:3260".parse().unwrap());
        for (text, says) in [
            ("17=10.0.0.1:3260", "from 1 to 16"),
            ("=10.0.0.1:3260", "from 1 to 16"),
            ("2=10.0.0.1", "with a port"),
            ("10.0.0.1", "with a port"),
            ("2=3=10.0.0.1:3260", "with a port"),
            ("", "with a port"),
        ] {
            let error = text.parse::<Portal>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_it_and_says_what_to_do() {
        let first = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address, false).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.contains("choose another --portal"), "{error}");
    }

    #[test]
    fn with_fallback_the_next_free_port_is_taken() {
        let first = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = first.local_addr().unwrap();
        let second = bind(address, true).unwrap();
        assert!(second.local_addr().unwrap().port() > address.port());
    }

    #[test]
    fn an_address_of_another_machine_is_an_error_that_says_so() {
        let error = bind("192.0.2.1:3260".parse().unwrap(), false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("doesn't have that address"), "{error}");
    }

    #[test]
    fn both_families_can_have_the_same_port() {
        let four = bind("0.0.0.0:0".parse().unwrap(), false).unwrap();
        let port = four.local_addr().unwrap().port();
        bind(
            SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)),
            false,
        )
        .unwrap();
    }
}
