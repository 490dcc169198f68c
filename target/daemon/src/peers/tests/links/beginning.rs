//! How links begin: when they are tried, and what is believed before both ends know each other.

use tokio::sync::Notify;

use super::*;
use crate::peers::house::Watched;
use crate::peers::link;

/// No end is open; how often one was asked for.
#[derive(Default)]
struct Closed(AtomicUsize);

impl Ends for Closed {
    fn end(&self, _: MirrorId) -> Option<Arc<dyn LinkEnd>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn lacks(&self, _: MirrorId) -> bool {
        false
    }

    fn asked<'a>(&'a self, _: &'a Peer, _: Value) -> BoxFuture<'a, Result<Value, String>> {
        ready(Err("nothing is asked here".into())).boxed()
    }

    fn users(&self, _: &PeerName) -> Vec<String> {
        Vec::new()
    }
}

/// As if the links of these mirrors with these peers were kept: what each of them is told by.
fn kept<const N: usize>(node: &Node, links: [(&str, MirrorId); N]) -> [Arc<Notify>; N] {
    links.map(|(peer, mirror)| {
        let nudge = Arc::new(Notify::new());
        let watched = Watched {
            nudge: Arc::clone(&nudge),
            task: tokio::spawn(async {}).abort_handle(),
        };
        let mut dialled = node.peers.house.dialled.lock();
        dialled.insert((name(peer), mirror), watched);
        nudge
    })
}

#[tokio::test]
async fn a_link_whose_end_has_opened_is_tried_at_once() {
    let (a, _b) = pair().await;
    let tries = Arc::new(Closed::default());
    a.peers.set_ends(Arc::clone(&tries) as _);
    let [nudge] = kept(&a, [("b", THE_MIRROR)]);
    // By hand, one turn after the other.
    let house = Arc::clone(&a.peers.house);
    let mut keeping = Box::pin(link::keep(house, name("b"), THE_MIRROR, nudge));
    for _ in 0..5 {
        let before = tries.0.load(Ordering::Relaxed);
        assert!((&mut keeping).now_or_never().is_none(), "it goes on");
        let now = tries.0.load(Ordering::Relaxed);
        assert!(now > before, "it waits for longer and longer");
        a.peers.nudge_link(&name("b"), THE_MIRROR);
    }
}

#[tokio::test]
async fn only_the_link_whose_end_has_opened_is_told() {
    let a = Node::new("a");
    let links = [("b", THE_MIRROR), ("b", MirrorId(5)), ("c", THE_MIRROR)];
    let nudges = kept(&a, links);
    a.peers.nudge_link(&name("b"), THE_MIRROR);
    // One that isn't kept is no harm.
    a.peers.nudge_link(&name("c"), MirrorId(5));
    let told = nudges.map(|it| it.notified().now_or_never().is_some());
    assert_eq!(told, [true, false, false]);
}

#[tokio::test]
async fn nothing_longer_than_an_introduction_is_waited_for_before_there_was_one() {
    let ((a, one), (b, other)) = mirrored().await;
    let expected = Some(b.peers.house.identity.fingerprint());
    for (body, data, says) in [
        (512 << 10, 0, "524288 bytes of fields, and at most 16384"),
        (0, 1 << 20, "1048576 bytes of data, and at most 0"),
    ] {
        let dialled = dial::dial(&a.peers.house.tls, &b.address(), expected, MIRROR).await;
        let mut stream = dialled.unwrap().stream;
        let (body, data) = (vec![0; body], vec![0; data]);
        let head = Encoder::default().encode(Kind(1), &body, &data).unwrap();
        stream.write_all(&head[..32]).await.unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        let text = String::from_utf8_lossy(&all);
        assert!(text.contains(says), "{text:?}");
    }
    // And it is no harm to who comes then.
    a.peers.dial(&name("b"), THE_MIRROR);
    until("both are connected", || {
        one.connections() + other.connections() == 2
    })
    .await;
}
