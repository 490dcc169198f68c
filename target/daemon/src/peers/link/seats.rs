//! One link at a time for each end of a mirror: who comes later takes the place of who was there.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tidelock_mirror::id::{MirrorId, NodeId};
use tokio::sync::OwnedMutexGuard;

use super::queue::{Fate, Queue};

type Key = (MirrorId, NodeId);

#[derive(Debug, Default)]
struct Seat {
    /// Whose turn it is.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Who came last.
    latest: Option<Arc<Queue>>,
}

/// The places of all links.
#[derive(Debug, Default)]
pub(in crate::peers) struct Seats(Mutex<HashMap<Key, Seat>>);

/// A link in its place.
#[derive(Debug)]
pub(super) struct Seated<'a> {
    seats: &'a Seats,
    key: Key,
    queue: Arc<Queue>,
    _turn: OwnedMutexGuard<()>,
}

impl Seats {
    /// Takes the place of whoever is there, who has left it when this returns; `None` if somebody else came meanwhile.
    pub(super) async fn take(&self, key: Key, queue: &Arc<Queue>) -> Option<Seated<'_>> {
        let turn = {
            let mut all = self.0.lock();
            let seat = all.entry(key).or_default();
            if let Some(before) = seat.latest.replace(Arc::clone(queue)) {
                before.end(Fate::Replaced);
            }
            Arc::clone(&seat.turn)
        };
        let turn = turn.lock_owned().await;
        let seated = Seated {
            seats: self,
            key,
            queue: Arc::clone(queue),
            _turn: turn,
        };
        seated.is_latest().then_some(seated)
    }
}

impl Seated<'_> {
    fn is_latest(&self) -> bool {
        let all = self.seats.0.lock();
        let latest = all.get(&self.key).and_then(|seat| seat.latest.as_ref());
        latest.is_some_and(|latest| Arc::ptr_eq(latest, &self.queue))
    }
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        let mut all = self.seats.0.lock();
        let latest = all.get(&self.key).and_then(|seat| seat.latest.as_ref());
        // Whoever came later has the same place.
        if latest.is_some_and(|latest| Arc::ptr_eq(latest, &self.queue)) {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const KEY: Key = (MirrorId(1), NodeId(2));

    #[tokio::test]
    async fn who_comes_later_waits_until_the_place_is_left_and_the_last_one_gets_it() {
        let seats = Seats::default();
        let [first, second, third] = [(); 3].map(|()| Arc::new(Queue::default()));
        let seated = seats.take(KEY, &first).await.unwrap();
        assert_eq!(first.take(1), Err(Fate::Open));
        let mut next = Box::pin(seats.take(KEY, &second));
        assert!((&mut next).now_or_never().is_none());
        assert_eq!(first.take(1), Err(Fate::Replaced));
        let mut last = Box::pin(seats.take(KEY, &third));
        assert!((&mut last).now_or_never().is_none());
        drop(seated);
        assert!(next.await.is_none());
        let seated = last.await.unwrap();
        assert_eq!(third.take(1), Err(Fate::Open));
        // Another end has a place of its own.
        let other = Arc::new(Queue::default());
        assert!(seats.take((MirrorId(1), NodeId(3)), &other).await.is_some());
        drop(seated);
        assert!(seats.0.lock().is_empty());
    }
}
