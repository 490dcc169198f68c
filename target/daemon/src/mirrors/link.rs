//! The connection between two ends in this daemon: messages from one to the other, in order, and moments at which
//! there is none. Knows nothing of what is said. On the thread of an I/O engine, which is about to write for a host, they
//! are brought to the other end at once; what comes from elsewhere is brought by a task.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tidelock_catalog::MirrorSide;
use tidelock_mirror::link::Message;
use tidelock_replication::mirror::Inbox;
use tokio::sync::Notify;

/// From the end of a connection to the next one, at first and at most. Ends that can't agree meet again and again.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What comes to an end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// There is a connection.
    Connected,
    /// It is gone.
    Disconnected,
    /// A message came.
    Received(Message),
}

/// What is on its way to an end, and in which connection.
type OnItsWay = (u64, Incoming);

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    state: Mutex<State>,
    /// Rung when there may be a connection.
    bell: Notify,
    /// What is on its way to each end. Put there with the state held, so that all of it is in order.
    inboxes: [Inbox<OnItsWay>; 2],
    /// Rung when there is something for an end that nobody brings.
    rung: [Notify; 2],
}

#[derive(Debug)]
struct State {
    /// The number of the connection, or of the last one. What is of another one isn't for anybody any more.
    number: u64,
    is_open: bool,
    /// Which ends are there.
    present: [bool; 2],
    pause: Duration,
}

const fn at(side: MirrorSide) -> usize {
    match side {
        MirrorSide::First => 0,
        MirrorSide::Second => 1,
    }
}

impl Link {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                number: 0,
                is_open: false,
                present: [false; 2],
                pause: PAUSE_MIN,
            }),
            bell: Notify::new(),
            inboxes: [Inbox::default(), Inbox::default()],
            rung: [Notify::new(), Notify::new()],
        })
    }

    /// Sends to the other end; somebody has to [`Self::bring`] it. What is sent while there is no connection is lost, as
    /// on any link; how much may be on its way is bounded by the windows of the protocol.
    pub(super) fn send(&self, from: MirrorSide, message: Message) {
        let state = self.state.lock();
        if state.is_open {
            self.put(&state, from.opposite(), Incoming::Received(message));
        }
    }

    /// Somebody is to bring an end what there is for it.
    pub(super) fn ring(&self, to: MirrorSide) {
        if let Some(rung) = self.rung.get(at(to)) {
            rung.notify_one();
        }
    }

    /// Waits until there may be something for an end.
    pub(super) async fn rung(&self, side: MirrorSide) {
        if let Some(rung) = self.rung.get(at(side)) {
            rung.notified().await;
        }
    }

    /// Brings an end what there is for it, unless a thread is at it.
    pub(super) fn bring(&self, side: MirrorSide, mut to: impl FnMut(Incoming)) {
        let Some(inbox) = self.inboxes.get(at(side)) else {
            return;
        };
        inbox.bring(|(number, what)| {
            // That it is gone is told in any case. The end may have said so itself, and then it changes nothing.
            if what == Incoming::Disconnected || self.is_connection(number) {
                to(what);
            }
        });
    }

    fn is_connection(&self, number: u64) -> bool {
        let state = self.state.lock();
        state.is_open && state.number == number
    }

    fn put(&self, state: &State, side: MirrorSide, what: Incoming) {
        if let Some(inbox) = self.inboxes.get(at(side)) {
            inbox.put((state.number, what));
        }
    }

    /// An end ends the connection. The other one is told.
    pub(super) fn disconnect(&self, from: MirrorSide) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.is_open) {
            self.put(&state, from.opposite(), Incoming::Disconnected);
            self.ring(from.opposite());
            self.bell.notify_one();
        }
    }

    /// An end is there from now on.
    pub(super) fn arrives(&self, side: MirrorSide) {
        self.set_present(side, true);
        self.bell.notify_one();
    }

    /// An end isn't there any more.
    pub(super) fn leaves(&self, side: MirrorSide) {
        self.set_present(side, false);
        self.disconnect(side);
    }

    fn set_present(&self, side: MirrorSide, present: bool) {
        let mut state = self.state.lock();
        if let Some(it) = state.present.get_mut(at(side)) {
            *it = present;
        }
    }

    /// The ends are as they should be: the next connection follows at once.
    pub(super) fn is_fine(&self) {
        self.state.lock().pause = PAUSE_MIN;
    }

    /// Connects the ends whenever there is no connection and both are there; for ever.
    pub(super) async fn keep_connected(&self) {
        loop {
            self.bell.notified().await;
            tokio::time::sleep(self.pause()).await;
            self.connect();
        }
    }

    /// How long to wait before the next connection. It gets longer each time.
    fn pause(&self) -> Duration {
        let mut state = self.state.lock();
        let pause = state.pause;
        state.pause = (pause * 2).min(PAUSE_MAX);
        pause
    }

    fn connect(&self) {
        let mut state = self.state.lock();
        if state.is_open || state.present != [true; 2] {
            return;
        }
        state.number += 1;
        state.is_open = true;
        for side in [MirrorSide::First, MirrorSide::Second] {
            self.put(&state, side, Incoming::Connected);
            self.ring(side);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use MirrorSide::{First, Second};

    /// What comes to an end next.
    async fn next(link: &Link, side: MirrorSide, seen: &mut VecDeque<Incoming>) -> Incoming {
        loop {
            link.bring(side, |it| seen.push_back(it));
            if let Some(next) = seen.pop_front() {
                return next;
            }
            link.rung(side).await;
        }
    }

    fn send(link: &Link, from: MirrorSide, message: Message) {
        link.send(from, message);
        link.ring(from.opposite());
    }

    fn connecting(link: &Arc<Link>) -> tokio::task::JoinHandle<()> {
        let link = Arc::clone(link);
        tokio::spawn(async move { link.keep_connected().await })
    }

    #[tokio::test]
    async fn messages_come_in_order_and_none_of_a_connection_that_is_gone() {
        let link = Link::new();
        let task = connecting(&link);
        let [mut to_first, mut to_second] = [VecDeque::new(), VecDeque::new()];
        send(&link, First, Message::Deny);
        link.arrives(First);
        link.arrives(Second);
        let connected = Incoming::Connected;
        assert_eq!(next(&link, First, &mut to_first).await, connected);
        assert_eq!(next(&link, Second, &mut to_second).await, connected);
        send(&link, First, Message::InStep);
        send(&link, First, Message::TakeOver);
        for message in [Message::InStep, Message::TakeOver] {
            let received = next(&link, Second, &mut to_second).await;
            assert_eq!(received, Incoming::Received(message));
        }
        send(&link, First, Message::Deny);
        send(&link, Second, Message::Deny);
        link.disconnect(First);
        send(&link, Second, Message::InStep);
        let gone = next(&link, Second, &mut to_second).await;
        assert_eq!(gone, Incoming::Disconnected);
        assert_eq!(next(&link, First, &mut to_first).await, connected);
        assert_eq!(next(&link, Second, &mut to_second).await, connected);
        task.abort();
    }

    #[test]
    fn there_is_no_connection_without_both_ends() {
        let link = Link::new();
        let connected = || {
            link.connect();
            link.state.lock().is_open
        };
        assert!(!connected());
        link.arrives(First);
        assert!(!connected());
        link.arrives(Second);
        assert!(connected());
        link.leaves(First);
        assert!(!connected());
    }

    #[test]
    fn ends_that_do_not_agree_meet_ever_more_seldom_until_they_do() {
        let link = Link::new();
        let pauses: Vec<_> = (0..12).map(|_| link.pause()).collect();
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[11]), (PAUSE_MIN, PAUSE_MAX));
        link.is_fine();
        assert_eq!(link.pause(), PAUSE_MIN);
    }
}
