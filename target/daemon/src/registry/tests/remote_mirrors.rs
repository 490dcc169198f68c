//! Mirrors between two daemons: what becomes of their content while one of them is away, and of what one knows of a
//! mirror that the other one doesn't.

use std::sync::Weak;
use std::time::Duration;

use serde_json::json;
use tidelock_capabilities::values::Operation;
use tidelock_catalog::{OnFailure, Peer, PeerAddress, PeerName};

use super::*;
use crate::events::Events;
use crate::peers::{Book, Ends, Peers, Settings};
use crate::registry::changes::ChangeError;
use crate::registry::{MirrorChange, MirrorEnds, RemoteMirrorRequest};

const BLOCKS: usize = 256;

fn peer(name: &str) -> PeerName {
    PeerName::new(name).unwrap()
}

/// A registry with peers, on a port of its own.
struct Daemon {
    called: &'static str,
    house: House,
    peers: Option<Arc<Peers>>,
}

impl Daemon {
    async fn new(called: &'static str) -> Self {
        let mut daemon = Self {
            called,
            house: House::new().await,
            peers: None,
        };
        daemon.listen();
        daemon
    }

    fn listen(&mut self) {
        let settings = Settings {
            name: peer(self.called),
            timeout: Duration::from_secs(10),
            portal_groups: vec![1],
        };
        let registry = self.house.registry();
        let book: Arc<dyn Book> = Arc::new(Arc::clone(registry));
        let state = self.house.state.as_ref().unwrap();
        let peers = Peers::start(state, book, settings, Events::default()).unwrap();
        registry.set_peers(&peers);
        peers
            .serve(std::net::TcpListener::bind("127.0.0.1:0").unwrap())
            .unwrap();
        self.peers = Some(peers);
    }

    fn peers(&self) -> &Peers {
        self.peers.as_ref().unwrap()
    }

    fn address(&self) -> PeerAddress {
        self.peers().identity().portal.unwrap().parse().unwrap()
    }

    /// It ends.
    async fn stop(&mut self) {
        // Its thread has the registry, until it is gone.
        let registry = Arc::downgrade(self.house.registry());
        self.peers.take().unwrap().stop();
        self.house.close().await;
        gone(&registry).await;
    }

    /// It is there again, elsewhere.
    async fn start(&mut self, other: &Self) {
        self.house.open().await;
        self.listen();
        let moved = other.peers().set_address(peer(self.called), self.address());
        moved.await.unwrap();
    }

    async fn create(&self, source: &str, target: &str) -> Result<(), ChangeError> {
        let request = RemoteMirrorRequest {
            source: volume(source),
            peer: peer("b"),
            target: volume(target),
            on_failure: OnFailure::Continue,
        };
        let made = self.house.registry().create_remote_mirror(request).await;
        made.map(drop)
    }

    async fn detach(&self, mirror: &str, force: bool) -> Result<(), ChangeError> {
        let registry = self.house.registry();
        let detached = registry.detach_mirror(mirror.to_owned(), force).await;
        detached.map(drop)
    }

    async fn operate(&self, mirror: &str, operation: Operation) -> Result<(), ChangeError> {
        self.change(mirror, operation, None).await
    }

    async fn change(
        &self,
        mirror: &str,
        operation: Operation,
        discard: Option<&str>,
    ) -> Result<(), ChangeError> {
        let change = MirrorChange {
            mirror: mirror.to_owned(),
            operation,
            force: false,
            discard: discard.map(volume),
        };
        self.house.registry().modify_mirror(change).await.map(drop)
    }

    fn has_no_mirror(&self) -> bool {
        let registry = self.house.registry();
        registry.mirrors().is_empty() && registry.catalog().mirrors().next().is_none()
    }
}

async fn gone(registry: &Weak<Registry>) {
    let waiting = async {
        while registry.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("somebody keeps the registry");
}

/// Two daemons that trust each other; the first has a volume a, of ones.
async fn pair() -> (Daemon, Daemon) {
    let (a, b) = (Daemon::new("a").await, Daemon::new("b").await);
    for (one, other) in [(&a, &b), (&b, &a)] {
        let adding = one.peers().add(peer(other.called), other.address(), None);
        adding.await.unwrap();
    }
    a.house.add_volume("a").await;
    a.house.write("a", 0, BLOCKS as u64, 1);
    (a, b)
}

/// The same, and b has a copy of a, that is complete.
async fn mirrored() -> (Daemon, Daemon) {
    let (a, b) = pair().await;
    a.create("a", "copy").await.unwrap();
    in_step(&a, &b).await;
    (a, b)
}

async fn in_step(a: &Daemon, b: &Daemon) {
    a.house.until("a", "Synchronized").await;
    b.house.until("copy", "Synchronized").await;
}

#[tokio::test]
async fn a_peer_makes_the_copy_gets_all_writes_and_what_it_has_missed() {
    let (mut a, mut b) = mirrored().await;
    assert_eq!(b.house.content("copy"), [1; BLOCKS]);
    let (here, there) = (a.house.mirror("a"), b.house.mirror("copy"));
    assert_eq!(here.id, there.id);
    assert_eq!(here.target.volume, "b:copy");
    assert_eq!(there.source.volume, "a:a");
    for shown in [&here, &there] {
        assert_eq!(
            (shown.percent_synced, shown.detail.as_str()),
            (Some(100), "")
        );
        assert!(shown.next.is_none());
    }
    assert!(!a.house.is_protected("a") && b.house.is_protected("copy"));
    a.house.write("a", 3, 2, 7);
    assert_eq!(b.house.content("copy"), a.house.content("a"));
    // Hosts go on while the copy is away, and it gets what it has missed.
    b.stop().await;
    let broken = a.house.until("a", "Broken").await;
    assert!(broken.detail.contains("b:copy"), "{}", broken.detail);
    a.house.write("a", 9, 1, 8);
    b.start(&a).await;
    in_step(&a, &b).await;
    assert!(b.house.is_protected("copy"));
    assert_eq!(b.house.content("copy"), a.house.content("a"));
    // The source comes back as what it was.
    a.stop().await;
    let broken = b.house.until("copy", "Broken").await;
    assert!(broken.detail.contains("a:a"), "{}", broken.detail);
    assert!(b.house.is_protected("copy"));
    a.start(&b).await;
    in_step(&a, &b).await;
    a.house.write("a", 11, 4, 9);
    assert_eq!(b.house.content("copy"), a.house.content("a"));
}

#[tokio::test]
async fn an_existing_volume_of_the_peer_is_used_and_what_stands_against_it_is_told_with_nothing_changed()
 {
    let (a, b) = pair().await;
    b.house.add_volume("existing").await;
    b.house.write("existing", 0, BLOCKS as u64, 5);
    b.house.add_volume("other").await;
    let resize = Command::ResizeVolume {
        volume: volume("other"),
        size_bytes: 2 * MIB,
    };
    b.house.registry().apply(resize).await.unwrap();
    let refused = async |source: &str, target: &str, part: &str| {
        let error = a.create(source, target).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(a.has_no_mirror() && b.has_no_mirror());
        assert_eq!((a.house.folders(), b.house.folders()), (0, 0));
        assert!(!a.house.is_protected("a"));
    };
    refused(
        "a",
        "other",
        "peer b refuses: volume other has 2097152 bytes",
    )
    .await;
    refused("nothing", "existing", "no volume nothing").await;
    let stranger = RemoteMirrorRequest {
        source: volume("a"),
        peer: peer("stranger"),
        target: volume("x"),
        on_failure: OnFailure::Halt,
    };
    let error = a.house.registry().create_remote_mirror(stranger).await;
    assert!(error.unwrap_err().to_string().contains("no peer stranger"));
    a.create("a", "existing").await.unwrap();
    a.house.until("a", "Synchronized").await;
    assert_eq!(b.house.content("existing"), [1; BLOCKS]);
    let again = a.create("a", "second").await.unwrap_err().to_string();
    assert!(again.contains("a is mirrored with b:existing"), "{again}");
    // A peer that is needed stays.
    for (daemon, other, user) in [(&a, "b", "mirror a"), (&b, "a", "mirror existing")] {
        let error = daemon.peers().remove(peer(other)).await.unwrap_err();
        assert!(error.to_string().contains(user), "{error}");
    }
}

#[tokio::test]
async fn a_detached_mirror_is_one_at_neither_side() {
    for at_source in [true, false] {
        let (a, b) = mirrored().await;
        match at_source {
            true => a.detach("a", false).await.unwrap(),
            false => b.detach("copy", false).await.unwrap(),
        }
        assert!(a.has_no_mirror() && b.has_no_mirror(), "{at_source}");
        assert!(!a.house.is_protected("a") && !b.house.is_protected("copy"));
        assert_eq!((a.house.folders(), b.house.folders()), (0, 0));
        a.house.write("a", 0, 1, 2);
        b.house.write("copy", 0, 1, 3);
        assert_ne!(a.house.content("a"), b.house.content("copy"));
    }
}

#[tokio::test]
async fn who_was_away_while_a_mirror_was_detached_says_so_and_can_detach_it() {
    let (mut a, mut b) = mirrored().await;
    b.stop().await;
    a.house.until("a", "Broken").await;
    a.detach("a", true).await.unwrap();
    assert!(a.has_no_mirror());
    b.start(&a).await;
    let left = b.house.until_detail("copy", "there is no mirror").await;
    assert!(left.detail.contains("peer a"), "{}", left.detail);
    assert!(b.house.is_protected("copy"));
    b.detach("copy", true).await.unwrap();
    assert!(b.has_no_mirror());
    assert_eq!(b.house.content("copy"), [1; BLOCKS]);
    a.stop().await;
}

#[tokio::test]
async fn a_mirror_whose_peer_never_answered_is_explained_and_ended_after_a_restart_too() {
    let (mut a, mut b) = pair().await;
    b.stop().await;
    let error = a.create("a", "copy").await.unwrap_err().to_string();
    assert!(
        error.contains("tidelock mirror detach a --force"),
        "{error}"
    );
    for _ in 0..2 {
        let shown = a.house.mirror("a");
        assert!(shown.detail.contains("b:copy"), "{}", shown.detail);
        a.peers.take().unwrap().stop();
        a.house.reopen().await;
        a.listen();
    }
    a.detach("a", true).await.unwrap();
    assert!(a.has_no_mirror() && a.house.folders() == 0);
    a.house.write("a", 0, 1, 2);
}

#[tokio::test]
async fn a_peer_can_not_ask_for_what_it_has_no_part_in() {
    let (a, b) = mirrored().await;
    b.house.add_volume("other").await;
    let id = b.house.mirror("copy").id;
    let catalog = b.house.registry().catalog();
    let known = catalog.peer(&peer("a")).unwrap().clone();
    let stranger = Peer {
        name: peer("stranger"),
        ..known.clone()
    };
    let ends = MirrorEnds::of(b.house.registry());
    let asked = async |who: &Peer, what| ends.asked(who, what).await;
    let detached = json!({"detached": {"mirror": id}});
    // What isn't there is detached already, for all that it may know.
    asked(&stranger, detached).await.unwrap();
    assert_eq!(b.house.mirror("copy").id, id);
    let create = |mirror: &str, volume: &str, block: u32| {
        json!({"create_target": {
            "mirror": mirror, "halts": false, "bytes": MIB, "block_bytes": block,
            "source": {"volume": "x", "node": "00000000-0000-0000-0000-000000000005"},
            "target": {"volume": volume, "node": "00000000-0000-0000-0000-000000000006"},
        }})
    };
    let new = "00000000000000000000000000000007";
    for (what, part) in [
        (json!("nonsense"), "isn't understood"),
        (json!({"detached": {}}), "isn't understood"),
        (create(new, "copy", 512), "copy is mirrored with a:a"),
        (create(new, "../x", 512), "name"),
        (create(new, "other", 7), "blocks of 7 bytes"),
        (create(&id, "other", 512), "identity"),
    ] {
        let error = asked(&known, what).await.unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(b.house.registry().mirrors().len(), 1);
    assert_eq!(b.house.folders(), 1);
    in_step(&a, &b).await;
}

/// Hosts can write the copy, and a gets what they write.
async fn failed_over(a: &Daemon, b: &Daemon) {
    for (daemon, name) in [(a, "a"), (b, "copy")] {
        let done = |it: &tidelock_admin::v1::Mirror| {
            it.copy_state == "Failedover" && it.percent_synced == Some(100)
        };
        daemon.house.wait(name, done).await;
    }
    assert!(a.house.is_protected("a") && !b.house.is_protected("copy"));
}

#[tokio::test]
async fn the_copy_takes_over_and_back_asked_at_either_side_and_that_survives_restarts() {
    let (mut a, mut b) = mirrored().await;
    for (round, at_first) in [true, false].into_iter().enumerate() {
        let (one, name) = if at_first { (&a, "a") } else { (&b, "copy") };
        one.operate(name, Operation::Failover).await.unwrap();
        failed_over(&a, &b).await;
        let at = 10 * round as u64;
        b.house.write("copy", at, 2, 6);
        assert_eq!(a.house.content("a"), b.house.content("copy"));
        a.stop().await;
        b.house.write("copy", at + 4, 2, 5);
        a.start(&b).await;
        failed_over(&a, &b).await;
        b.stop().await;
        b.start(&a).await;
        failed_over(&a, &b).await;
        assert_eq!(a.house.content("a"), b.house.content("copy"));
        let (one, name) = if at_first { (&b, "copy") } else { (&a, "a") };
        one.operate(name, Operation::Failback).await.unwrap();
        in_step(&a, &b).await;
        assert!(!a.house.is_protected("a") && b.house.is_protected("copy"));
        a.house.write("a", at + 6, 1, 4);
        assert_eq!(a.house.content("a"), b.house.content("copy"));
    }
}

#[tokio::test]
async fn the_copy_of_a_dead_source_takes_over_and_the_source_comes_back_as_a_copy() {
    let (mut a, b) = mirrored().await;
    a.stop().await;
    b.house.until("copy", "Broken").await;
    b.operate("copy", Operation::Failover).await.unwrap();
    assert!(!b.house.is_protected("copy"));
    b.house.write("copy", 7, 3, 8);
    a.start(&b).await;
    failed_over(&a, &b).await;
    assert_eq!(a.house.content("a"), b.house.content("copy"));
    b.operate("copy", Operation::Failback).await.unwrap();
    in_step(&a, &b).await;
    assert!(!a.house.is_protected("a"));
    assert_eq!(a.house.content("a")[7], 8);
}

#[tokio::test]
async fn after_both_were_written_nothing_flows_until_an_operator_drops_the_changes_of_one() {
    for (dropped, at_loser) in [("a", false), ("copy", true)] {
        let (mut a, mut b) = mirrored().await;
        b.stop().await;
        a.house.until("a", "Broken").await;
        a.house.write("a", 0, 2, 2);
        a.stop().await;
        b.house.open().await;
        b.listen();
        b.house.until_detail("copy", "a:a").await;
        b.house.until("copy", "Broken").await;
        b.operate("copy", Operation::Failover).await.unwrap();
        b.house.write("copy", 5, 2, 3);
        a.house.open().await;
        a.listen();
        for (one, other) in [(&a, &b), (&b, &a)] {
            let moved = one.peers().set_address(peer(other.called), other.address());
            moved.await.unwrap();
        }
        a.house.until_detail("a", "split brain").await;
        b.house.until_detail("copy", "split brain").await;
        assert_ne!(a.house.content("a"), b.house.content("copy"));
        let at_a = at_loser == (dropped == "a");
        let (one, name) = if at_a { (&a, "a") } else { (&b, "copy") };
        let resync = Operation::ResyncReplica;
        one.change(name, resync, Some(dropped)).await.unwrap();
        match dropped {
            "a" => failed_over(&a, &b).await,
            _ => in_step(&a, &b).await,
        }
        assert_eq!(a.house.content("a"), b.house.content("copy"));
        let (own, theirs) = (a.house.content("a")[0], a.house.content("a")[5]);
        let expected = if dropped == "a" { (1, 3) } else { (2, 1) };
        assert_eq!((own, theirs), expected, "{dropped} {at_loser}");
    }
}
