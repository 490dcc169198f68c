//! Strangers, liars, and those who send anything at all.

use std::net::SocketAddr;
use std::sync::Arc;

use tidelock_admin::v1::PeerState;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::nodes::{self, Node};
use super::pair;
use crate::peers::conversation::{PEER_MAX, receive, send};
use crate::peers::dial::{self, DialError};
use crate::peers::identity::Identity;
use crate::peers::presence::STRANGERS_MAX;
use crate::peers::request::{PeerAnswer, PeerRequest};
use crate::peers::tls::{MIRROR, PAIR, PEER, Tls, Trust};
use crate::state_dir::StateDir;

struct Nobody;

impl Trust for Nobody {
    fn trusts(&self, _: tidelock_catalog::Fingerprint) -> bool {
        false
    }
}

/// Somebody with a key of its own that nobody knows.
fn stranger() -> Tls {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::open(&StateDir::open(folder.path()).unwrap()).unwrap();
    Tls::new(&identity, Arc::new(Nobody)).unwrap()
}

fn socket_address(node: &Node) -> SocketAddr {
    node.address().socket_address().unwrap()
}

/// All that comes until the other end hangs up.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A connection that is reset has ended as well.
    let _ = stream.read_to_end(&mut all).await;
    all
}

#[tokio::test]
async fn a_stranger_gets_no_further_than_the_handshake() {
    let node = Node::new("a");
    let stranger = stranger();
    for alpn in [PEER, MIRROR] {
        let said = match dial::dial(&stranger, &node.address(), None, alpn).await {
            // In TLS 1.3 a client is done before it is refused.
            Ok(mut dialled) => {
                let request = PeerRequest::Mirrors { body: "x".into() };
                let _ = send(&mut dialled.stream, &request, PEER_MAX).await;
                let answer = receive::<PeerAnswer>(&mut dialled.stream, PEER_MAX).await;
                dial::went_wrong(&node.address(), answer.unwrap_err())
            }
            Err(error) => error,
        };
        assert!(matches!(said, DialError::NotAccepted { .. }), "{said}");
    }
    let list = node.peers.list();
    assert!(list.peers.is_empty() && list.requests.is_empty());
}

#[tokio::test]
async fn strangers_ask_only_so_often_and_only_what_is_a_request() {
    let node = Node::new("a");
    let stranger = stranger();
    let mut answered = 0;
    for _ in 0..40 {
        let Ok(mut dialled) = dial::dial(&stranger, &node.address(), None, PAIR).await else {
            continue;
        };
        dialled.stream.write_all(b"\xff\xff\xff\xff").await.unwrap();
        let mut byte = [0];
        assert!(!matches!(dialled.stream.read(&mut byte).await, Ok(1)));
        answered += 1;
    }
    // The first sixteen, and those for which time has passed.
    assert!((16..40).contains(&answered), "{answered}");
    assert!(node.peers.list().requests.is_empty());
}

#[tokio::test]
async fn other_protocols_are_refused_by_an_alert() {
    let node = Node::new("a");
    let stranger = stranger();
    let error = dial::dial(&stranger, &node.address(), None, b"h2").await;
    let error = error.err().unwrap().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    // TLS 1.2 alone is spoken by this one: no supported_versions among its extensions.
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    hello.extend([0, 16]);
    hello.extend([0, 10, 0, 4, 0, 2, 0, 29]);
    hello.extend([0, 13, 0, 4, 0, 2, 8, 7]);
    let mut record = vec![1, 0, 0, u8::try_from(hello.len()).unwrap()];
    record.extend(hello);
    let mut bytes = vec![22, 3, 1, 0, u8::try_from(record.len()).unwrap()];
    bytes.extend(record);
    let mut stream = TcpStream::connect(socket_address(&node)).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let alert = rest(&mut stream).await;
    // Fatal, protocol_version (RFC 8446 §6.2).
    assert!(alert.ends_with(&[2, 70]), "{alert:?}");
}

#[tokio::test]
async fn garbage_ends_a_connection_and_nothing_else() {
    let (a, b) = pair().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 4096],
        &[22, 3, 1, 255, 255],
        &[255; 9],
    ] {
        let mut stream = TcpStream::connect(socket_address(&b)).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        rest(&mut stream).await;
    }
    // Inside TLS, from a peer that has gone mad.
    let house = &a.peers.house;
    let expected = Some(b.peers.house.identity.fingerprint());
    for garbage in [&[255; 100][..], b"\x05\0\0\0{{{{{", b"\0\0\0\0", b"\x01\0"] {
        let dialled = dial::dial(&house.tls, &b.address(), expected, PEER).await;
        let mut stream = dialled.unwrap().stream;
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        let text = String::from_utf8_lossy(&all);
        assert!(
            all.is_empty() || text.contains("doesn't understand"),
            "{text}"
        );
    }
    let unknown = serde_json::json!({"request": "dance"});
    let dialled = dial::dial(&house.tls, &b.address(), expected, PEER).await;
    let mut stream = dialled.unwrap().stream;
    send(&mut stream, &unknown, PEER_MAX).await.unwrap();
    let answer = receive(&mut stream, PEER_MAX).await.unwrap();
    let PeerAnswer::Refused { reason } = answer else {
        panic!("{answer:?}");
    };
    assert!(reason.contains("update the older"), "{reason}");
    let greeted = b.peers.show(&nodes::name("a")).unwrap();
    assert_eq!(greeted.state, PeerState::Connected);
}

#[tokio::test]
async fn who_connects_and_says_little_is_hung_up_on() {
    let node = Node::new("a");
    let mut stream = TcpStream::connect(socket_address(&node)).await.unwrap();
    stream.write_all(&[22, 3]).await.unwrap();
    let begun = std::time::Instant::now();
    assert!(rest(&mut stream).await.is_empty());
    assert!(begun.elapsed() >= nodes::TIMEOUT / 2);
}

#[tokio::test]
async fn a_flood_of_silent_connections_keeps_no_peer_out() {
    let (a, b) = (Node::patient("a"), Node::patient("b"));
    for (one, other, called) in [(&a, &b, "b"), (&b, &a, "a")] {
        let adding = one.peers.add(nodes::name(called), other.address(), None);
        adding.await.unwrap();
    }
    let mut flood = Vec::new();
    for _ in 0..STRANGERS_MAX + 10 {
        flood.push(TcpStream::connect(socket_address(&b)).await.unwrap());
    }
    // The oldest are sent away long before their time is over.
    let sent_away = tokio::time::timeout(nodes::PATIENCE, rest(&mut flood[0])).await;
    assert!(sent_away.unwrap().is_empty());
    let expected = Some(b.peers.house.identity.fingerprint());
    let dialled = dial::dial(&a.peers.house.tls, &b.address(), expected, PEER).await;
    let mut stream = dialled.unwrap().stream;
    let greeting = PeerRequest::Greet(a.peers.house.greeting());
    send(&mut stream, &greeting, PEER_MAX).await.unwrap();
    let answer = receive(&mut stream, PEER_MAX).await.unwrap();
    assert!(matches!(answer, PeerAnswer::Greeting(_)));
}

#[tokio::test]
async fn a_daemon_with_the_key_and_another_identity_is_not_the_peer() {
    let (a, b) = pair().await;
    let imposter = b.reborn();
    a.peers
        .set_address(nodes::name("b"), imposter.address())
        .await
        .unwrap();
    a.until_is("b", PeerState::Unreachable).await;
    nodes::until("it says why", || {
        let detail = a.peers.show(&nodes::name("b")).unwrap().detail;
        detail.contains("was expected")
    })
    .await;
}
