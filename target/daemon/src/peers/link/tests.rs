//! How much of what has come is handed on in one turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tidelock_catalog::PeerName;
use tidelock_mirror::Data;
use tokio::io::DuplexStream;

use super::*;
use crate::peers::Hello;

const PEER: NodeId = NodeId(2);
/// Signs of life, or messages without fields and data, in one turn.
const IN_A_TURN: usize = 16;

/// An end that counts what it hears.
#[derive(Default)]
struct Heard(AtomicUsize);

impl LinkEnd for Heard {
    fn hello(&self) -> Hello {
        panic!("it isn't introduced")
    }

    fn expects(&self, _: &PeerName) -> Option<NodeId> {
        None
    }

    fn connected(&self, _: NodeId, _: bool, _: LinkHandle) {}

    fn received(&self, _: NodeId, _: Message) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn disconnected(&self, _: NodeId, _: &str) {}

    fn was_fine(&self) -> bool {
        false
    }

    fn refused(&self, _: NodeId, _: &str) {}
}

/// A link on which so many signs of life have come, and then these messages. The other side of it goes on.
async fn link(signs: usize, messages: &[Message]) -> (ReadHalf<DuplexStream>, DuplexStream) {
    let (here, mut there) = tokio::io::duplex(4 << 20);
    let mut outgoing = Outgoing::default();
    for _ in 0..signs {
        outgoing.add(ALIVE, &[], Bytes::new()).unwrap();
    }
    for message in messages {
        let (kind, body, data) = encode(message);
        outgoing.add(kind, &body, data).unwrap();
    }
    outgoing.flush(&mut there).await.unwrap();
    (tokio::io::split(here).0, there)
}

/// How many messages an end has heard after each of so many turns.
async fn turns(count: usize, signs: usize, messages: &[Message]) -> Vec<usize> {
    let (mut from, _there) = link(signs, messages).await;
    let heard = Heard::default();
    let mut incoming = Incoming::new(Duration::from_secs(600));
    incoming.accept_messages();
    let mut receiving = Box::pin(receive(&mut incoming, &mut from, &heard, PEER));
    let turn = |_| {
        assert!(receiving.as_mut().now_or_never().is_none(), "it goes on");
        heard.0.load(Ordering::Relaxed)
    };
    (0..count).map(turn).collect()
}

#[tokio::test]
async fn a_turn_ends_after_so_many_messages() {
    let messages = vec![Message::Deny; 2 * IN_A_TURN + 1];
    let all = [IN_A_TURN, 2 * IN_A_TURN, 2 * IN_A_TURN + 1];
    assert_eq!(turns(3, 0, &messages).await, all);
}

#[tokio::test]
async fn a_turn_ends_after_so_many_bytes() {
    let copy = |sequence| Message::Copy {
        sequence,
        offset: 0,
        data: Data::Bytes(Bytes::from(vec![1; 200 << 10])),
    };
    let messages: Vec<_> = (0..5).map(copy).collect();
    assert_eq!(turns(3, 0, &messages).await, [2, 4, 5]);
}

#[tokio::test]
async fn signs_of_life_count_for_a_turn_as_messages_do() {
    let messages = [Message::Deny, Message::Deny];
    assert_eq!(turns(2, IN_A_TURN - 1, &messages).await, [1, 2]);
    assert_eq!(turns(2, IN_A_TURN, &messages).await, [0, 2]);
    assert_eq!(turns(3, 2 * IN_A_TURN, &messages).await, [0, 0, 2]);
}
