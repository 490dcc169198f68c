//! The connection between two ends in this daemon: messages from one to the other, in order, and moments at which
//! there is none. Knows nothing of what is said.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tidelock_catalog::MirrorSide;
use tidelock_mirror::link::Message;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

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
}

#[derive(Debug)]
struct State {
    /// The number of the connection, or of the last one. What is of another one isn't for anybody any more.
    number: u64,
    is_open: bool,
    /// Which ends are there.
    present: [bool; 2],
    /// To each end.
    ways: [UnboundedSender<OnItsWay>; 2],
    pause: Duration,
}

const fn at(side: MirrorSide) -> usize {
    match side {
        MirrorSide::First => 0,
        MirrorSide::Second => 1,
    }
}

/// Where an end gets from what comes to it.
#[derive(Debug)]
pub(super) struct Inbox {
    link: Arc<Link>,
    side: MirrorSide,
    way: UnboundedReceiver<OnItsWay>,
}

impl Link {
    /// A link, and what comes to its ends.
    pub(super) fn new() -> (Arc<Self>, [Inbox; 2]) {
        let (to_first, first) = unbounded_channel();
        let (to_second, second) = unbounded_channel();
        let link = Arc::new(Self {
            state: Mutex::new(State {
                number: 0,
                is_open: false,
                present: [false; 2],
                ways: [to_first, to_second],
                pause: PAUSE_MIN,
            }),
            bell: Notify::new(),
        });
        let inbox = |side, way| Inbox {
            link: Arc::clone(&link),
            side,
            way,
        };
        let inboxes = [
            inbox(MirrorSide::First, first),
            inbox(MirrorSide::Second, second),
        ];
        (link, inboxes)
    }

    /// Sends to the other end. What is sent while there is no connection is lost, as on any link; how much may be
    /// on its way is bounded by the windows of the protocol.
    pub(super) fn send(&self, from: MirrorSide, message: Message) {
        let state = self.state.lock();
        if state.is_open {
            state.tell(from.opposite(), Incoming::Received(message));
        }
    }

    /// An end ends the connection. The other one is told.
    pub(super) fn disconnect(&self, from: MirrorSide) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.is_open) {
            state.tell(from.opposite(), Incoming::Disconnected);
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
            state.tell(side, Incoming::Connected);
        }
    }
}

impl State {
    fn tell(&self, side: MirrorSide, what: Incoming) {
        if let Some(way) = self.ways.get(at(side)) {
            // Whoever doesn't listen any more isn't there any more.
            let _ = way.send((self.number, what));
        }
    }
}

impl Inbox {
    /// What comes next; `None`: nothing ever will.
    pub(super) async fn next(&mut self) -> Option<Incoming> {
        loop {
            let (number, what) = self.way.recv().await?;
            let is_of_now = {
                let state = self.link.state.lock();
                state.is_open && state.number == number
            };
            // That it is gone is told in any case. The end may have said so itself, and then it changes nothing.
            if is_of_now || what == Incoming::Disconnected {
                return Some(what);
            }
        }
    }

    pub(super) const fn side(&self) -> MirrorSide {
        self.side
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MirrorSide::{First, Second};

    async fn both(inboxes: &mut [Inbox; 2]) {
        for inbox in inboxes {
            assert_eq!(inbox.next().await, Some(Incoming::Connected));
        }
    }

    fn connecting(link: &Arc<Link>) -> tokio::task::JoinHandle<()> {
        let link = Arc::clone(link);
        tokio::spawn(async move { link.keep_connected().await })
    }

    #[tokio::test]
    async fn messages_come_in_order_and_none_of_a_connection_that_is_gone() {
        let (link, mut inboxes) = Link::new();
        let task = connecting(&link);
        link.send(First, Message::Deny);
        link.arrives(First);
        link.arrives(Second);
        both(&mut inboxes).await;
        link.send(First, Message::InStep);
        link.send(First, Message::TakeOver);
        let [_, second] = &mut inboxes;
        for message in [Message::InStep, Message::TakeOver] {
            assert_eq!(second.next().await, Some(Incoming::Received(message)));
        }
        link.send(First, Message::Deny);
        link.send(Second, Message::Deny);
        link.disconnect(First);
        link.send(Second, Message::InStep);
        let [first, second] = &mut inboxes;
        assert_eq!(second.next().await, Some(Incoming::Disconnected));
        for inbox in [first, second] {
            assert_eq!(inbox.next().await, Some(Incoming::Connected));
        }
        task.abort();
    }

    #[test]
    fn there_is_no_connection_without_both_ends() {
        let (link, _inboxes) = Link::new();
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
        let (link, _inboxes) = Link::new();
        let pauses: Vec<_> = (0..12).map(|_| link.pause()).collect();
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[11]), (PAUSE_MIN, PAUSE_MAX));
        link.is_fine();
        assert_eq!(link.pause(), PAUSE_MIN);
    }
}
