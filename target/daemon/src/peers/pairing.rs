//! Becoming peers: one daemon asks the other one to be trusted. All that a stranger can do is to be noted.

use std::net::SocketAddr;
use std::time::SystemTime;

use tidelock_catalog::{Fingerprint, PeerAddress, PeerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::conversation::{ConversationError, STRANGER_MAX, receive, send};
use super::dial::{self, DialError, STEP_PATIENCE};
use super::house::House;
use super::request::{PairAnswer, PairRequest, tame};
use super::requests::Asking;
use super::tls::PAIR;
use crate::events::unix_ms;

/// What came of asking.
pub(super) struct Asked {
    /// Whose key answered.
    pub(super) fingerprint: Fingerprint,
    pub(super) answer: PairAnswer,
}

/// Asks a daemon to trust this one.
pub(super) async fn ask(
    house: &House,
    address: &PeerAddress,
    expected: Option<Fingerprint>,
) -> Result<Asked, DialError> {
    let mut dialled = dial::dial(&house.tls, address, expected, PAIR).await?;
    let portal = house.portal.get().copied();
    let portal = portal.ok_or_else(|| dial::broken(address, "this daemon has no peer portal"))?;
    let request = PairRequest {
        node: house.node(),
        name: house.settings.name.to_string(),
        portal,
    };
    let asking = async {
        send(&mut dialled.stream, &request, STRANGER_MAX).await?;
        receive::<PairAnswer>(&mut dialled.stream, STRANGER_MAX).await
    };
    let answer = timeout(STEP_PATIENCE, asking)
        .await
        .map_err(|_| dial::broken(address, "no answer to the request to be a peer"))?;
    let mut answer = answer.map_err(|error| dial::went_wrong(address, error))?;
    answer.refused = answer.refused.map(|it| tame(&it, 500));
    let fingerprint = dialled.fingerprint;
    Ok(Asked {
        fingerprint,
        answer,
    })
}

/// Answers somebody who asks to be a peer, whose key is proved.
pub(super) async fn answer(
    house: &House,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    fingerprint: Fingerprint,
    from: SocketAddr,
) -> Result<(), ConversationError> {
    let request: PairRequest = receive(stream, STRANGER_MAX).await?;
    let mut answer = PairAnswer {
        node: house.node(),
        accepted: false,
        refused: None,
    };
    if let Some(peer) = house.peer_with(fingerprint) {
        answer.accepted = true;
        house.nudge(&peer.name);
    } else {
        answer.refused = note(house, request, fingerprint, from).err();
    }
    send(stream, &answer, STRANGER_MAX).await
}

fn note(
    house: &House,
    request: PairRequest,
    fingerprint: Fingerprint,
    from: SocketAddr,
) -> Result<(), String> {
    if request.node == house.node() {
        return Err("that is this daemon itself, or a copy of it".into());
    }
    let name = PeerName::new(&request.name).map_err(|error| error.to_string())?;
    let address = reachable(request.portal, from);
    let address: PeerAddress = address.to_string().parse().map_err(|_| {
        format!("a daemon can't be reached at {address}: give its portal an address")
    })?;
    let asking = Asking {
        fingerprint,
        name,
        node: request.node,
        address,
        from: from.to_string(),
        since_unix_ms: unix_ms(SystemTime::now()),
    };
    let (name, address) = (asking.name.clone(), asking.address.clone());
    if house.requests.lock().note(asking) {
        tracing::info!(%name, %fingerprint, %from, %address, "a daemon asks to be a peer");
        house.events.tell(tidelock_admin::v1::EventKind::PeerAsks {
            name: name.to_string(),
            fingerprint: fingerprint.to_string(),
        });
    }
    Ok(())
}

/// Where a daemon can be reached that listens at `portal` and has connected from `from`.
fn reachable(portal: SocketAddr, from: SocketAddr) -> SocketAddr {
    let elsewhere = portal.ip().is_loopback() && !from.ip().to_canonical().is_loopback();
    if portal.ip().is_unspecified() || elsewhere {
        SocketAddr::new(from.ip().to_canonical(), portal.port())
    } else {
        portal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_where_it_says_unless_it_does_not_know() {
        for (portal, from, expected) in [
            ("0.0.0.0:3261", "192.0.2.7:5", "192.0.2.7:3261"),
            ("[::]:3261", "[::ffff:192.0.2.7]:5", "192.0.2.7:3261"),
            ("192.0.2.8:3261", "192.0.2.7:5", "192.0.2.8:3261"),
            ("127.0.0.1:3261", "127.0.0.1:5", "127.0.0.1:3261"),
            ("127.0.0.1:3261", "192.0.2.7:5", "192.0.2.7:3261"),
        ] {
            let found = reachable(portal.parse().unwrap(), from.parse().unwrap());
            assert_eq!(found, expected.parse().unwrap(), "{portal} {from}");
        }
    }
}
