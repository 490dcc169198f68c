//! Links of mirrors between two daemons, and what is done to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;
use serde_json::Value;
use tidelock_catalog::{Peer, PeerAddress, PeerName};
use tidelock_mirror::Data;
use tidelock_mirror::id::{MirrorId, NodeId};
use tidelock_mirror::link::{Encoder, Introduction, Kind, Message, Ours, Step};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::nodes::{self, Node, name, until};
use super::pair;
use crate::peers::tls::MIRROR;
use crate::peers::{Ends, Hello, LinkEnd, LinkHandle, dial};

mod beginning;
mod compression;

const THE_MIRROR: MirrorId = MirrorId(0xabc);

#[derive(Clone, Debug, PartialEq)]
enum Heard {
    Connected(NodeId),
    Message(Message),
    Disconnected(String),
    Refused(String),
}

/// An end that remembers what it hears.
struct End {
    hello: Mutex<Hello>,
    peer: PeerName,
    /// The end there.
    expects: Mutex<Option<NodeId>>,
    heard: Mutex<Vec<Heard>>,
    link: Mutex<Option<LinkHandle>>,
}

impl LinkEnd for End {
    fn was_fine(&self) -> bool {
        false
    }

    fn hello(&self) -> Hello {
        self.hello.lock().clone()
    }

    fn expects(&self, peer: &PeerName) -> Option<NodeId> {
        (*self.expects.lock()).filter(|_| *peer == self.peer)
    }

    fn connected(&self, peer: NodeId, _: bool, link: LinkHandle) {
        *self.link.lock() = Some(link);
        self.heard.lock().push(Heard::Connected(peer));
    }

    fn received(&self, _: NodeId, message: Message) {
        self.heard.lock().push(Heard::Message(message));
    }

    fn disconnected(&self, _: NodeId, reason: &str) {
        self.heard.lock().push(Heard::Disconnected(reason.into()));
    }

    fn refused(&self, _: NodeId, reason: &str) {
        self.heard.lock().push(Heard::Refused(reason.into()));
    }
}

impl End {
    fn new(node: u128, peer: &str, expects: u128) -> Arc<Self> {
        Arc::new(Self {
            hello: Mutex::new(Hello {
                node: NodeId(node),
                mirror: THE_MIRROR,
                size: 1 << 30,
                block_bytes: 512,
                region_bytes: 1 << 20,
                is_source: node == 1,
                chain: Vec::new(),
            }),
            peer: name(peer),
            expects: Mutex::new(Some(NodeId(expects))),
            heard: Mutex::default(),
            link: Mutex::default(),
        })
    }

    fn send(&self, message: Message) {
        self.link.lock().clone().unwrap().send(message);
    }

    fn count(&self, is_it: impl Fn(&Heard) -> bool) -> usize {
        self.heard.lock().iter().filter(|it| is_it(it)).count()
    }

    fn connections(&self) -> usize {
        self.count(|it| matches!(it, Heard::Connected(_)))
    }

    fn messages(&self) -> Vec<Message> {
        let heard = self.heard.lock();
        let all = heard.iter().filter_map(|it| match it {
            Heard::Message(message) => Some(message.clone()),
            _ => None,
        });
        all.collect()
    }

    /// The reasons for which links have ended or not come about.
    fn reasons(&self) -> String {
        let heard = self.heard.lock();
        let all = heard.iter().filter_map(|it| match it {
            Heard::Disconnected(reason) | Heard::Refused(reason) => Some(reason.clone()),
            _ => None,
        });
        all.collect::<Vec<_>>().join("\n")
    }
}

/// A daemon's one mirror.
struct OneEnd(Mutex<Option<Arc<End>>>);

impl Ends for OneEnd {
    fn end(&self, mirror: MirrorId) -> Option<Arc<dyn LinkEnd>> {
        let end = self.0.lock().clone().filter(|_| mirror == THE_MIRROR);
        end.map(|end| end as Arc<dyn LinkEnd>)
    }

    fn lacks(&self, mirror: MirrorId) -> bool {
        mirror != THE_MIRROR
    }

    fn asked<'a>(&'a self, _: &'a Peer, _: Value) -> BoxFuture<'a, Result<Value, String>> {
        ready(Err("nothing is asked here".into())).boxed()
    }

    fn users(&self, _: &PeerName) -> Vec<String> {
        Vec::new()
    }
}

/// Two daemons with an end each; nobody dials yet.
async fn mirrored() -> ((Node, Arc<End>), (Node, Arc<End>)) {
    let (a, b) = pair().await;
    let (one, other) = (End::new(1, "b", 2), End::new(2, "a", 1));
    for (node, end) in [(&a, &one), (&b, &other)] {
        let ends = OneEnd(Mutex::new(Some(Arc::clone(end))));
        node.peers.set_ends(Arc::new(ends));
    }
    ((a, one), (b, other))
}

fn copy(sequence: u64, bytes: usize) -> Message {
    let byte = u8::try_from(sequence % 251).unwrap();
    Message::Copy {
        sequence,
        offset: 512 * sequence,
        data: Data::Bytes(Bytes::from(vec![byte; bytes])),
    }
}

#[tokio::test]
async fn what_one_end_sends_the_other_one_hears_in_order() {
    let ((a, one), (_b, other)) = mirrored().await;
    a.peers.dial(&name("b"), THE_MIRROR);
    until("both are connected", || {
        one.connections() + other.connections() == 2
    })
    .await;
    assert_eq!(other.heard.lock()[0], Heard::Connected(NodeId(1)));
    let sizes = [1, 100, 4096, 1 << 20, 65_536];
    let sent: Vec<_> = (0..200_u64)
        .map(|it| copy(it, sizes[usize::try_from(it).unwrap() % 5]))
        .collect();
    for message in &sent {
        one.send(message.clone());
        other.send(Message::Deny);
        // As the protocol's window does it: what waits on a link is bounded.
        if other.messages().len() + 40 < one_sent(message) {
            until("it is taken", || {
                other.messages().len() + 20 > one_sent(message)
            })
            .await;
        }
    }
    until("all is there", || other.messages().len() == sent.len()).await;
    assert_eq!(other.messages(), sent);
    until("and back", || one.messages().len() == 200).await;
    a.peers.hang_up(&name("b"), THE_MIRROR);
    until("both know of the end", || {
        [&one, &other]
            .iter()
            .all(|end| end.count(|it| matches!(it, Heard::Disconnected(_))) == 1)
    })
    .await;
}

fn one_sent(message: &Message) -> usize {
    match message {
        Message::Copy { sequence, .. } => usize::try_from(*sequence).unwrap(),
        _ => 0,
    }
}

#[tokio::test]
async fn a_disconnected_link_is_made_anew_and_what_was_sent_before_arrives() {
    let ((a, one), (_b, other)) = mirrored().await;
    a.peers.dial(&name("b"), THE_MIRROR);
    until("it is connected", || other.connections() == 1).await;
    other.send(Message::InStep);
    other.link.lock().clone().unwrap().disconnect();
    until("it is connected again", || {
        one.connections() == 2 && other.connections() == 2
    })
    .await;
    assert_eq!(one.messages(), [Message::InStep]);
    assert!(
        one.reasons().contains("the end hung up"),
        "{}",
        one.reasons()
    );
    // A handle of a link that is over does nothing any more.
    let heard: Vec<_> = other.heard.lock().clone();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert!(matches!(heard[1], Heard::Disconnected(_)), "{heard:?}");
}

#[tokio::test]
async fn ends_that_do_not_fit_are_refused_with_a_reason_at_both() {
    let ((a, one), (_b, other)) = mirrored().await;
    other.hello.lock().size = 1 << 31;
    a.peers.dial(&name("b"), THE_MIRROR);
    until("both refuse", || {
        !one.reasons().is_empty() && !other.reasons().is_empty()
    })
    .await;
    for (end, peer) in [(&one, "peer b: "), (&other, "peer a: ")] {
        let reasons = end.reasons();
        assert!(reasons.starts_with(peer), "{reasons}");
        assert!(
            reasons.contains("both ends need the same size"),
            "{reasons}"
        );
    }
    // When it fits, the next attempt is one.
    other.hello.lock().size = 1 << 30;
    until("it is connected", || {
        one.connections() == 1 && other.connections() == 1
    })
    .await;
}

#[tokio::test]
async fn a_peer_without_a_part_in_a_mirror_learns_and_changes_nothing_of_it() {
    let ((a, one), (_b, other)) = mirrored().await;
    *other.expects.lock() = None;
    a.peers.dial(&name("b"), THE_MIRROR);
    until("it is refused", || one.reasons().contains("b refuses")).await;
    assert!(
        one.reasons()
            .contains("isn't one with the daemon that is called a here")
    );
    assert!(other.heard.lock().is_empty());
    // Nor does one that introduces itself as another end.
    *other.expects.lock() = Some(NodeId(7));
    until("it is refused", || other.reasons().contains("was expected")).await;
    assert_eq!(one.connections() + other.connections(), 0);
}

#[tokio::test]
async fn a_mirror_that_is_not_there_is_said_to_be_none() {
    let ((a, one), (b, _other)) = mirrored().await;
    let ends = b.peers.house.ends.get().unwrap();
    assert!(ends.end(MirrorId(1)).is_none());
    one.hello.lock().mirror = MirrorId(1);
    a.peers.dial(&name("b"), THE_MIRROR);
    until("it is refused", || {
        one.reasons().contains("there is no mirror")
    })
    .await;
}

/// Passes bytes on, until it is told to keep them or to hang up.
struct Wire {
    address: PeerAddress,
    frozen: watch::Sender<bool>,
    passed: Arc<AtomicUsize>,
    broken: Arc<AtomicBool>,
}

impl Wire {
    async fn to(node: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let target = node.address().socket_address().unwrap();
        let (frozen, is_frozen) = watch::channel(false);
        let passed = Arc::new(AtomicUsize::new(0));
        let broken = Arc::new(AtomicBool::new(false));
        let (counter, cut) = (Arc::clone(&passed), Arc::clone(&broken));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *is_frozen.borrow() || cut.load(Ordering::Relaxed) {
                    continue;
                }
                let far = TcpStream::connect(target).await.unwrap();
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                for (mut from, mut to) in [(near_in, far_out), (far_in, near_out)] {
                    let (mut frozen, counter, cut) =
                        (is_frozen.clone(), Arc::clone(&counter), Arc::clone(&cut));
                    tokio::spawn(async move {
                        let mut buffer = vec![0; 1 << 16];
                        while let Ok(read) = from.read(&mut buffer).await {
                            // Whoever froze it is gone: so are we.
                            if frozen.wait_for(|it| !*it).await.is_err()
                                || read == 0
                                || cut.load(Ordering::Relaxed)
                                || to.write_all(&buffer[..read]).await.is_err()
                            {
                                return;
                            }
                            counter.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            }
        });
        Self {
            address,
            frozen,
            passed,
            broken,
        }
    }
}

/// Two daemons with a link through a wire.
async fn wired() -> ((Node, Arc<End>), (Node, Arc<End>), Wire) {
    let ((a, one), (b, other)) = mirrored().await;
    let wire = Wire::to(&b).await;
    a.peers
        .set_address(name("b"), wire.address.clone())
        .await
        .unwrap();
    a.peers.dial(&name("b"), THE_MIRROR);
    until("it is connected", || {
        one.connections() == 1 && other.connections() == 1
    })
    .await;
    ((a, one), (b, other), wire)
}

#[tokio::test]
async fn an_idle_link_lives_and_a_dead_one_is_noticed_at_both_ends_and_made_anew() {
    let ((_a, one), (_b, other), wire) = wired().await;
    // Signs of life go both ways, and are no messages.
    let before = wire.passed.load(Ordering::Relaxed);
    until("there are signs of life", || {
        wire.passed.load(Ordering::Relaxed) >= before + 12
    })
    .await;
    assert_eq!(one.heard.lock().len() + other.heard.lock().len(), 2);
    let begun = std::time::Instant::now();
    wire.frozen.send_replace(true);
    let is_silent = |end: &End| end.reasons().contains("nothing came for");
    until("both notice", || is_silent(&one) && is_silent(&other)).await;
    // Within the time; the rest is for a busy machine.
    assert!(begun.elapsed() < nodes::TIMEOUT * 10);
    wire.frozen.send_replace(false);
    until("it is connected again", || {
        one.connections() == 2 && other.connections() == 2
    })
    .await;
}

#[tokio::test]
async fn a_link_that_breaks_is_made_anew() {
    let ((_a, one), (_b, other), wire) = wired().await;
    wire.broken.store(true, Ordering::Relaxed);
    one.send(Message::InStep);
    until("both notice", || {
        [&one, &other]
            .iter()
            .all(|end| end.count(|it| matches!(it, Heard::Disconnected(_))) == 1)
    })
    .await;
    wire.broken.store(false, Ordering::Relaxed);
    until("it is connected again", || {
        one.connections() == 2 && other.connections() == 2
    })
    .await;
}

#[tokio::test]
async fn what_a_peer_does_not_take_ends_the_link_and_holds_no_memory() {
    let ((_a, one), _b, wire) = wired().await;
    wire.frozen.send_replace(true);
    for sequence in 0..100 {
        one.send(copy(sequence, 1 << 20));
    }
    until("it is given up", || {
        one.reasons().contains("doesn't take what is sent")
    })
    .await;
}

/// A link made by hand, introduced as it should be or not.
async fn by_hand(
    a: &Node,
    b: &Node,
    hello: Hello,
) -> impl tokio::io::AsyncWrite + tokio::io::AsyncRead + Unpin {
    by_hand_of((1, 1), a, b, hello).await.0
}

/// The same in some versions, and what has come of what follows.
async fn by_hand_of(
    versions: (u32, u32),
    a: &Node,
    b: &Node,
    hello: Hello,
) -> (
    impl tokio::io::AsyncWrite + tokio::io::AsyncRead + Unpin,
    tidelock_mirror::link::Decoder,
) {
    let expected = Some(b.peers.house.identity.fingerprint());
    let dialled = dial::dial(&a.peers.house.tls, &b.address(), expected, MIRROR).await;
    let mut stream = dialled.unwrap().stream;
    let ours = Ours {
        versions,
        node: hello.node,
        mirror: hello.mirror,
        size: hello.size,
        block_bytes: hello.block_bytes,
        region_bytes: hello.region_bytes,
        nonce: 99,
        is_source: hello.is_source,
        chain: hello.chain,
    };
    let (mut introduction, kind, body) = Introduction::new(ours, None);
    let mut encoder = Encoder::default();
    let mut decoder = tidelock_mirror::link::Decoder::default();
    let head = encoder.encode(kind, &body, &[]).unwrap();
    stream.write_all(&head).await.unwrap();
    let mut buffer = vec![0; 4096];
    loop {
        let Some(frame) = decoder.next_frame().unwrap() else {
            match stream.read(&mut buffer).await {
                Ok(read @ 1..) => decoder.feed(&buffer[..read]),
                _ => break,
            }
            continue;
        };
        match introduction.receive(&frame) {
            Ok(Step::Send(kind, body)) => {
                let head = encoder.encode(kind, &body, &[]).unwrap();
                stream.write_all(&head).await.unwrap();
            }
            Ok(Step::Done(_)) | Err(_) => break,
        }
    }
    (stream, decoder)
}

#[tokio::test]
async fn a_second_connection_takes_the_place_of_the_first_only_if_it_is_introduced_right() {
    let ((a, one), (b, other)) = mirrored().await;
    a.peers.dial(&name("b"), THE_MIRROR);
    until("it is connected", || other.connections() == 1).await;
    // A connection that says something else leaves the one that is there alone.
    let wrong = Hello {
        size: 512,
        ..one.hello()
    };
    let _wrong = by_hand(&a, &b, wrong).await;
    until("it is refused", || other.reasons().contains("same size")).await;
    assert_eq!(other.count(|it| matches!(it, Heard::Disconnected(_))), 0);
    // The right one replaces it, in order.
    a.peers.hang_up(&name("b"), THE_MIRROR);
    until("it is gone", || {
        other.count(|it| matches!(it, Heard::Disconnected(_))) == 1
    })
    .await;
    let _first = by_hand(&a, &b, one.hello()).await;
    until("by hand", || other.connections() == 2).await;
    let _second = by_hand(&a, &b, one.hello()).await;
    until("it is replaced", || other.connections() == 3).await;
    let heard = other.heard.lock().clone();
    let [.., before, replaced, after] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!(
        (before, after),
        (&Heard::Connected(NodeId(1)), &Heard::Connected(NodeId(1)))
    );
    assert_eq!(
        *replaced,
        Heard::Disconnected("another connection takes its place".into())
    );
}

#[tokio::test]
async fn frames_that_are_none_and_messages_that_are_unknown_end_the_link() {
    let ((a, one), (b, other)) = mirrored().await;
    let huge = {
        let mut head = Encoder::default().encode(Kind(0x11), &[], &[]).unwrap();
        head[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        head[16..24].copy_from_slice(&2_u64.to_le_bytes());
        let crc = crc32c::crc32c(&head[..28]);
        head[28..32].copy_from_slice(&crc.to_le_bytes());
        head
    };
    let mut unknown = Encoder::default();
    // The two before it were the introduction.
    unknown.encode(Kind(0), &[], &[]).unwrap();
    unknown.encode(Kind(0), &[], &[]).unwrap();
    let unknown = unknown.encode(Kind(0x7f), &[], &[]).unwrap();
    let cases = [
        (huge, "4294967295 bytes of data"),
        (b"HTTP/1.1 200 OK".to_vec(), "it sends other bytes"),
        (unknown, "kind 127 isn't known"),
    ];
    for (bytes, says) in cases {
        let mut stream = by_hand(&a, &b, one.hello()).await;
        stream.write_all(&bytes).await.unwrap();
        until("it is thrown out", || other.reasons().contains(says)).await;
        // And is told why.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        let text = String::from_utf8_lossy(&rest);
        assert!(text.contains(says), "{says}: {text:?}");
    }
    assert!(other.messages().is_empty());
}

#[tokio::test]
async fn a_removed_peer_loses_its_links() {
    let ((a, one), (b, other)) = mirrored().await;
    a.peers.dial(&name("b"), THE_MIRROR);
    until("it is connected", || {
        one.connections() == 1 && other.connections() == 1
    })
    .await;
    b.peers.remove(name("a")).await.unwrap();
    until("both know", || {
        !one.reasons().is_empty() && !other.reasons().is_empty()
    })
    .await;
    assert_eq!(other.connections(), 1);
}
