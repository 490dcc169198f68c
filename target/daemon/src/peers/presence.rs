//! Which connections there are: those whose other end isn't known yet, of which there are so many at most, and those of
//! peers, which end when a peer is removed. Knows no sockets.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tidelock_catalog::Fingerprint;
use tokio::sync::Notify;

/// Connections whose other end isn't known yet; with one more the oldest goes.
pub(super) const STRANGERS_MAX: usize = 64;
/// Connections of one peer, links of mirrors among them; with one more it is refused.
pub(super) const OF_A_PEER_MAX: usize = 512;

#[derive(Debug, Default)]
struct All {
    strangers: BTreeMap<u64, Arc<Notify>>,
    peers: BTreeMap<u64, (Fingerprint, Arc<Notify>)>,
    next: u64,
}

/// The connections.
#[derive(Debug, Default)]
pub(super) struct Presence(Mutex<All>);

/// One of them, for as long as it lives.
#[derive(Debug)]
pub(super) struct Present {
    of: Arc<Presence>,
    number: u64,
    gone: Arc<Notify>,
}

impl Present {
    /// Ready when the connection is to end.
    pub(super) async fn gone(&self) {
        self.gone.notified().await;
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut all = self.of.0.lock();
        all.strangers.remove(&self.number);
        all.peers.remove(&self.number);
    }
}

impl Presence {
    /// Somebody has connected.
    pub(super) fn stranger(self: &Arc<Self>) -> Present {
        let mut all = self.0.lock();
        while all.strangers.len() >= STRANGERS_MAX {
            if let Some((_, oldest)) = all.strangers.pop_first() {
                oldest.notify_one();
            }
        }
        let number = all.next;
        all.next += 1;
        let gone = Arc::new(Notify::new());
        all.strangers.insert(number, Arc::clone(&gone));
        drop(all);
        self.present(number, gone)
    }

    /// A peer has connected, or was connected to; `None` if it has too many connections.
    pub(super) fn peer(self: &Arc<Self>, fingerprint: Fingerprint) -> Option<Present> {
        let mut all = self.0.lock();
        let of_it = all.peers.values().filter(|(it, _)| *it == fingerprint);
        if of_it.count() >= OF_A_PEER_MAX {
            return None;
        }
        let number = all.next;
        all.next += 1;
        let gone = Arc::new(Notify::new());
        all.peers.insert(number, (fingerprint, Arc::clone(&gone)));
        drop(all);
        Some(self.present(number, gone))
    }

    fn present(self: &Arc<Self>, number: u64, gone: Arc<Notify>) -> Present {
        Present {
            of: Arc::clone(self),
            number,
            gone,
        }
    }

    /// Ends all connections of a peer.
    pub(super) fn dismiss(&self, fingerprint: Fingerprint) {
        for (whose, gone) in self.0.lock().peers.values() {
            if *whose == fingerprint {
                gone.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_oldest_stranger_goes_when_there_are_too_many() {
        let presence = Arc::new(Presence::default());
        let mut all: Vec<_> = (0..STRANGERS_MAX).map(|_| presence.stranger()).collect();
        let known = all.remove(1);
        assert!(all[0].gone().now_or_never().is_none());
        let _one_more = presence.stranger();
        assert!(all[0].gone().now_or_never().is_some());
        drop(known);
        let _in_its_place = presence.stranger();
        assert!(all[1].gone().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_peer_that_is_removed_loses_its_connections_and_nobody_else() {
        let presence = Arc::new(Presence::default());
        let (one, other) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let of_one = presence.peer(one).unwrap();
        let of_other = presence.peer(other).unwrap();
        presence.dismiss(one);
        assert!(of_one.gone().now_or_never().is_some());
        assert!(of_other.gone().now_or_never().is_none());
        let many: Vec<_> = (1..OF_A_PEER_MAX).map(|_| presence.peer(one)).collect();
        assert!(many.iter().all(Option::is_some));
        assert!(presence.peer(one).is_none());
        drop(of_one);
        assert!(presence.peer(one).is_some());
    }
}
