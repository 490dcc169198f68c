//! What waits to be sent on a link. Never makes its sender wait; what a peer doesn't take in time ends the link, so that
//! it holds no more than so much memory, whatever window the peer has named.

use std::collections::VecDeque;
use std::mem;

use parking_lot::Mutex;
use tidelock_mirror::Data;
use tidelock_mirror::link::Message;
use tokio::sync::Notify;

use super::wire::Wire;

/// Bytes of data that may wait on one link. An end names windows of less than half of it.
pub(super) const QUEUE_BYTES_MAX: usize = 64 << 20;
/// What a message counts for beside its data. Lists of regions and lineages are of messages of which few are sent.
const MESSAGE_BYTES: usize = 256;

/// What becomes of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Open,
    /// Our end has had enough of it.
    Disconnected,
    /// The peer has named another time, from another connection.
    Replaced,
    /// Too much waits.
    Full,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Message>,
    bytes: usize,
    fate: Fate,
}

/// The queue of one link.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Notify,
    over: Notify,
    /// How its data are sent.
    pub(super) wire: Wire,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                bytes: 0,
                fate: Fate::Open,
            }),
            changed: Notify::new(),
            over: Notify::new(),
            wire: Wire::default(),
        }
    }
}

fn bytes_of(message: &Message) -> usize {
    let data = match message.data() {
        Some(Data::Bytes(bytes)) => bytes.len(),
        _ => 0,
    };
    MESSAGE_BYTES + data
}

impl Queue {
    /// Has a message sent after those before it. Nothing happens if the link has ended.
    pub(super) fn push(&self, message: Message) {
        let mut state = self.state.lock();
        if state.fate != Fate::Open {
            return;
        }
        state.bytes += bytes_of(&message);
        state.waiting.push_back(message);
        if state.bytes > QUEUE_BYTES_MAX {
            state.fate = Fate::Full;
            state.waiting = VecDeque::new();
            self.over.notify_one();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Ends the link.
    pub(super) fn end(&self, fate: Fate) {
        let mut state = self.state.lock();
        if state.fate == Fate::Open {
            state.fate = fate;
            // What was sent before an end is still sent; to one that is there no more there is nothing to say.
            if fate == Fate::Replaced {
                state.waiting = VecDeque::new();
            }
            self.over.notify_one();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// What waits, up to about so many bytes, and at least one message if any waits; otherwise what becomes of the link.
    pub(super) fn take(&self, bytes: usize) -> Result<Vec<Message>, Fate> {
        let mut state = self.state.lock();
        if state.waiting.is_empty() {
            return Err(state.fate);
        }
        let mut taken = 0;
        let mut count = 0;
        for message in &state.waiting {
            taken += bytes_of(message);
            count += 1;
            if taken >= bytes {
                break;
            }
        }
        state.bytes -= taken;
        if count == state.waiting.len() {
            return Ok(mem::take(&mut state.waiting).into());
        }
        Ok(state.waiting.drain(..count).collect())
    }

    /// Ready when the link is to end; only one may wait for it.
    pub(super) async fn ended(&self) -> Fate {
        loop {
            let fate = self.state.lock().fate;
            if fate != Fate::Open {
                return fate;
            }
            self.over.notified().await;
        }
    }

    /// Ready when something was pushed, or the link is to end.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn copy(sequence: u64, bytes: usize) -> Message {
        Message::Copy {
            sequence,
            offset: 0,
            data: Data::Bytes(Bytes::from(vec![0; bytes])),
        }
    }

    #[test]
    fn batches_are_bounded_and_in_order() {
        let queue = Queue::default();
        for sequence in 0..10 {
            queue.push(copy(sequence, 1000));
        }
        let first = queue.take(3000).unwrap();
        assert_eq!(first, (0..3).map(|it| copy(it, 1000)).collect::<Vec<_>>());
        assert_eq!(queue.take(1).unwrap(), [copy(3, 1000)]);
        assert_eq!(queue.take(usize::MAX).unwrap().len(), 6);
        assert_eq!(queue.take(1), Err(Fate::Open));
        assert_eq!(queue.state.lock().bytes, 0);
    }

    #[test]
    fn more_than_a_peer_may_leave_waiting_ends_the_link_and_is_forgotten() {
        let queue = Queue::default();
        for sequence in 0..100 {
            queue.push(copy(sequence, 1 << 20));
        }
        assert_eq!(queue.take(1), Err(Fate::Full));
        queue.push(copy(0, 1));
        assert_eq!(queue.take(1), Err(Fate::Full));
    }

    #[test]
    fn what_was_sent_before_the_end_is_sent() {
        let queue = Queue::default();
        queue.push(copy(0, 1));
        queue.end(Fate::Disconnected);
        queue.push(copy(1, 1));
        queue.end(Fate::Replaced);
        assert_eq!(queue.take(9000), Ok(vec![copy(0, 1)]));
        assert_eq!(queue.take(1), Err(Fate::Disconnected));
    }
}
