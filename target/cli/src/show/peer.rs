//! Peers as text.

use tidelock_admin::v1::{Peer, PeerIdentity, PeerList, PeerState};

use crate::render::{duration, properties, table};

pub(crate) fn peers(list: &PeerList, now_unix_ms: u64) -> String {
    let peer = |peer: &Peer| {
        [
            peer.name.clone(),
            state(peer, now_unix_ms),
            peer.address.clone(),
            round_trip(peer),
            peer.fingerprint.clone(),
            dash(&peer.detail),
        ]
    };
    let header = ["PEER", "STATE", "ADDRESS", "RTT", "FINGERPRINT", "DETAIL"];
    let mut text = if list.peers.is_empty() {
        "no peers\n".to_owned()
    } else {
        table(header, &[3], list.peers.iter().map(peer))
    };
    if !list.requests.is_empty() {
        let asks = |it: &tidelock_admin::v1::PeerRequest| {
            let since = now_unix_ms.saturating_sub(it.since_unix_ms) / 1000;
            [
                it.name.clone(),
                format!("for {}", duration(since)),
                it.from.clone(),
                it.address.clone(),
                it.fingerprint.clone(),
            ]
        };
        let header = ["ASKS TO BE A PEER", "", "FROM", "IS AT", "FINGERPRINT"];
        text.push('\n');
        text += &table(header, &[], list.requests.iter().map(asks));
        text += "Compare the fingerprint with what `tidelock status` shows there, then `tidelock peer accept`.\n";
    }
    text
}

pub(crate) fn peer(peer: &Peer, now_unix_ms: u64) -> String {
    let seen = peer.last_seen_unix_ms.map(|seen| {
        let ago = now_unix_ms.saturating_sub(seen) / 1000;
        format!("{} ago", duration(ago))
    });
    let groups: Vec<_> = peer.portal_groups.iter().map(ToString::to_string).collect();
    let mut rows = vec![
        ("peer", peer.name.clone()),
        ("state", state(peer, now_unix_ms)),
        ("address", peer.address.clone()),
        ("fingerprint", peer.fingerprint.clone()),
        ("identity", peer.node_id.clone()),
        (
            "calls itself",
            dash(peer.calls_itself.as_deref().unwrap_or_default()),
        ),
        ("version", dash(peer.version.as_deref().unwrap_or_default())),
        ("portal groups", dash(&groups.join(", "))),
        (
            "last seen",
            seen.unwrap_or_else(|| "not since the daemon was started".into()),
        ),
        ("round trip", round_trip(peer)),
    ];
    if !peer.detail.is_empty() {
        rows.push(("detail", peer.detail.clone()));
    }
    properties(rows)
}

pub(crate) fn peer_identity(identity: &PeerIdentity) -> String {
    properties([
        ("fingerprint", identity.fingerprint.clone()),
        ("identity", identity.node_id.clone()),
        ("calls itself", identity.name.clone()),
        (
            "peer portal",
            identity.portal.clone().unwrap_or_else(|| "none".into()),
        ),
    ])
}

pub(crate) fn peer_added(peer: &Peer, identity: &PeerIdentity) -> String {
    format!(
        "peer {} added; its fingerprint is\n  {}\nThis daemon's own is\n  {}\nThe other daemon has to accept it: \
         `tidelock peer accept {}` there, unless it has added this one.\n",
        peer.name, peer.fingerprint, identity.fingerprint, identity.name
    )
}

fn state(peer: &Peer, now_unix_ms: u64) -> String {
    let name = peer.state.name();
    match peer.state {
        PeerState::Connected => name.to_owned(),
        _ => {
            let since = now_unix_ms.saturating_sub(peer.since_unix_ms) / 1000;
            format!("{name}, for {}", duration(since))
        }
    }
}

fn round_trip(peer: &Peer) -> String {
    peer.round_trip_us.map_or_else(
        || "-".into(),
        |us| format!("{}.{} ms", us / 1000, us % 1000 / 100),
    )
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Peer {
        Peer {
            name: "b".into(),
            address: "10.0.0.2:3261".into(),
            fingerprint: "SHA256:00".into(),
            node_id: "n".into(),
            state: PeerState::Connected,
            since_unix_ms: 1_000,
            detail: String::new(),
            last_seen_unix_ms: Some(4_000),
            round_trip_us: Some(1_250),
            version: Some("0.1.0".into()),
            calls_itself: Some("host-b".into()),
            portal_groups: vec![1, 2],
        }
    }

    #[test]
    fn peers_and_those_who_ask_are_listed() {
        let identity = PeerIdentity {
            fingerprint: "SHA256:ff".into(),
            node_id: "m".into(),
            name: "a".into(),
            portal: None,
        };
        let gone = Peer {
            name: "c".into(),
            state: PeerState::Unreachable,
            detail: "no answer".into(),
            round_trip_us: None,
            ..sample()
        };
        let asks = tidelock_admin::v1::PeerRequest {
            name: "d\u{1b}[31m".into(),
            fingerprint: "SHA256:dd".into(),
            node_id: "d".into(),
            from: "10.0.0.4:5".into(),
            address: "10.0.0.4:3261".into(),
            since_unix_ms: 0,
        };
        let mut list = PeerList {
            identity: identity.clone(),
            peers: vec![sample(), gone],
            requests: vec![asks],
        };
        let text = peers(&list, 61_000);
        assert!(text.contains("b     connected "), "{text}");
        assert!(text.contains("1.2 ms"), "{text}");
        assert!(text.contains("unreachable, for 1 min"), "{text}");
        assert!(text.contains("no answer"), "{text}");
        assert!(text.contains("for 1 min 1 s"), "{text}");
        assert!(
            text.contains("SHA256:dd") && !text.contains('\u{1b}'),
            "{text}"
        );
        list.requests.clear();
        list.peers.clear();
        assert_eq!(peers(&list, 0), "no peers\n");
        let added = peer_added(&sample(), &identity);
        assert!(
            added.contains("SHA256:00") && added.contains("SHA256:ff"),
            "{added}"
        );
        assert!(added.contains("peer accept a"), "{added}");
    }

    #[test]
    fn one_peer_has_all_that_is_known_of_it() {
        let text = peer(&sample(), 10_000);
        for part in [
            "connected",
            "10.0.0.2:3261",
            "host-b",
            "0.1.0",
            "1, 2",
            "6 s ago",
            "1.2 ms",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let unseen = Peer {
            last_seen_unix_ms: None,
            version: None,
            ..sample()
        };
        assert!(peer(&unseen, 0).contains("not since the daemon was started"));
    }
}
