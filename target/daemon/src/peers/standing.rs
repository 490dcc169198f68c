//! How peers are: what was seen of each since the daemon was started. Knows no sockets.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tidelock_admin::v1::{self, PeerState};
use tidelock_catalog::{Peer, PeerName};

use super::request::Greeting;
use crate::events::unix_ms;

/// How one peer is.
#[derive(Clone, Debug)]
struct Standing {
    state: PeerState,
    since: SystemTime,
    detail: String,
    last_seen: Option<SystemTime>,
    round_trip: Option<Duration>,
    greeting: Option<Greeting>,
}

/// How all peers are.
#[derive(Debug, Default)]
pub(super) struct Standings(Mutex<HashMap<PeerName, Standing>>);

impl Standings {
    /// A peer has another state, or another reason for it. True if the state is a new one.
    pub(super) fn set(&self, peer: &PeerName, state: PeerState, detail: &str) -> bool {
        let now = SystemTime::now();
        let mut all = self.0.lock();
        let it = all.entry(peer.clone()).or_insert_with(|| fresh(now));
        let is_new = it.state != state;
        if is_new {
            it.state = state;
            it.since = now;
        }
        if state != PeerState::Connected {
            it.round_trip = None;
        }
        detail.clone_into(&mut it.detail);
        is_new
    }

    /// Something came from a peer.
    pub(super) fn seen(&self, peer: &PeerName, greeting: Option<Greeting>) {
        let now = SystemTime::now();
        let mut all = self.0.lock();
        let it = all.entry(peer.clone()).or_insert_with(|| fresh(now));
        it.last_seen = Some(now);
        if greeting.is_some() {
            it.greeting = greeting;
        }
    }

    /// An answer took so long.
    pub(super) fn timed(&self, peer: &PeerName, round_trip: Duration) {
        if let Some(it) = self.0.lock().get_mut(peer) {
            it.round_trip = Some(round_trip);
        }
    }

    /// It is none any more.
    pub(super) fn forget(&self, peer: &PeerName) {
        self.0.lock().remove(peer);
    }

    /// What it said of itself last.
    pub(super) fn greeting(&self, peer: &PeerName) -> Option<Greeting> {
        self.0.lock().get(peer)?.greeting.clone()
    }

    /// In the words of the API.
    pub(super) fn describe(&self, peer: &Peer) -> v1::Peer {
        let it = self.0.lock().get(&peer.name).cloned();
        let it = it.unwrap_or_else(|| fresh(SystemTime::now()));
        let round_trip = it.round_trip;
        let greeting = it.greeting;
        v1::Peer {
            name: peer.name.to_string(),
            address: peer.address.to_string(),
            fingerprint: peer.fingerprint.to_string(),
            node_id: peer.node.to_string(),
            state: it.state,
            since_unix_ms: unix_ms(it.since),
            detail: it.detail,
            last_seen_unix_ms: it.last_seen.map(unix_ms),
            round_trip_us: round_trip.map(|it| u64::try_from(it.as_micros()).unwrap_or(u64::MAX)),
            version: greeting.as_ref().map(|it| it.version.clone()),
            calls_itself: greeting.as_ref().map(|it| it.name.clone()),
            portal_groups: greeting.map(|it| it.portal_groups).unwrap_or_default(),
        }
    }
}

fn fresh(now: SystemTime) -> Standing {
    Standing {
        state: PeerState::Connecting,
        since: now,
        detail: String::new(),
        last_seen: None,
        round_trip: None,
        greeting: None,
    }
}
