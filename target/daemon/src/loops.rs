//! Whether a redirection would lead initiators back to this daemon without end. Asks the resolver;
//! changes nothing.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use tidelock_catalog::PortalAddress;

/// How long the resolver is waited for. A name that can't be resolved here may well be elsewhere.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether initiators that follow this redirection would be redirected again. An address can't do that:
/// who has come to it is served. A name can, as nobody says by which name he has come.
pub(crate) async fn leads_here(to: &PortalAddress, portals: &[SocketAddr]) -> bool {
    let Some(name) = to.domain_name() else {
        return false;
    };
    let looking = tokio::net::lookup_host((name, to.port()));
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(mut found)) => found.any(|address| is_ours(address, portals)),
        Ok(Err(_)) | Err(_) => false,
    }
}

fn is_ours(address: SocketAddr, portals: &[SocketAddr]) -> bool {
    let on_all = |portal: &SocketAddr| {
        portal.ip().is_unspecified()
            && portal.is_ipv4() == address.is_ipv4()
            && is_this_machine(address.ip())
    };
    let mut here = portals
        .iter()
        .filter(|portal| portal.port() == address.port());
    here.any(|portal| portal.ip() == address.ip() || on_all(portal))
}

/// Only an address of this machine's own can be bound to.
fn is_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn leads(to: &str, portals: &[&str]) -> bool {
        let portals: Vec<_> = portals
            .iter()
            .map(|portal| portal.parse().unwrap())
            .collect();
        leads_here(&to.parse().unwrap(), &portals).await
    }

    #[tokio::test]
    async fn only_a_name_of_one_of_our_portals_leads_here() {
        assert!(leads("localhost:3260", &["127.0.0.1:3260", "[::1]:3260"]).await);
        assert!(leads("localhost:3260", &["0.0.0.0:3260", "[::]:3260"]).await);
        assert!(!leads("localhost:3261", &["0.0.0.0:3260", "[::]:3260"]).await);
        assert!(!leads("localhost:3260", &["192.0.2.1:3260"]).await);
        assert!(!leads("127.0.0.1:3260", &["127.0.0.1:3260"]).await);
        assert!(!leads("no-such-host.invalid", &["0.0.0.0:3260"]).await);
    }

    #[test]
    fn addresses_of_others_are_not_this_machines() {
        assert!(is_this_machine("127.0.0.1".parse().unwrap()));
        assert!(!is_this_machine("192.0.2.1".parse().unwrap()));
    }
}
