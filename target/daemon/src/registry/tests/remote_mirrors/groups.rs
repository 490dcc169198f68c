//! Mirrors of the volumes of a group, whose other ends are at a peer.

use crate::registry::{GroupMirrorRequest, GroupTarget};

use super::super::group_mirrors::{Host, assert_one_moment, change, reason};
use super::*;

const SOURCES: [&str; 3] = ["a", "c", "d"];
const TARGETS: [&str; 3] = ["copy-a", "copy-c", "copy-d"];

/// Each has a group of its ends.
async fn grouped(mode: MirrorMode) -> (Daemon, Daemon) {
    let (mut a, b) = pair().await;
    a.mode = mode;
    for (source, target) in SOURCES.into_iter().zip(TARGETS) {
        if source != "a" {
            a.house.add_volume(source).await;
        }
        a.create(source, target).await.unwrap();
    }
    a.house.add_group("here", &SOURCES).await;
    b.house.add_group("there", &TARGETS).await;
    all(&a, &b, "Synchronized").await;
    (a, b)
}

async fn all(a: &Daemon, b: &Daemon, state: &str) {
    for (source, target) in SOURCES.into_iter().zip(TARGETS) {
        a.house.until(source, state).await;
        b.house.until(target, state).await;
    }
}

impl Daemon {
    async fn with_group(&self, name: &str, operation: Operation) -> Result<(), ChangeError> {
        let registry = self.house.registry();
        let done = registry.modify_group_mirrors(change(name, operation));
        done.await.map(drop)
    }

    fn numbers(&self, names: [&str; 3], block: u64) -> [u64; 3] {
        names.map(|name| self.house.number(name, block))
    }
}

#[tokio::test]
async fn copies_at_a_peer_are_of_one_moment_whichever_daemon_is_asked() {
    for mode in [
        MirrorMode::Synchronous,
        MirrorMode::Asynchronous { rpo_ms: 200 },
    ] {
        let (a, b) = grouped(mode).await;
        for (round, (daemon, name)) in [(&a, "here"), (&b, "there")].into_iter().enumerate() {
            let block = 100 + round as u64;
            let host = Host::begin(&a.house, &SOURCES, block);
            host.until(10).await;
            let before = host.acknowledged();
            let steps = host.goes_on_between_steps(&a.house);
            daemon.with_group(name, Operation::Split).await.unwrap();
            drop(steps);
            all(&a, &b, "Split").await;
            assert_one_moment(&b.numbers(TARGETS, block), before);
            host.stop();
            let back = Operation::ResyncReplica;
            daemon.with_group(name, back).await.unwrap();
            all(&a, &b, "Synchronized").await;
        }
        assert_eq!(b.house.mirror("copy-c").groups, ["there"]);
        a.house
            .registry()
            .detach_group_mirrors(group("here"), false)
            .await
            .unwrap();
        assert!(a.has_no_mirror() && b.has_no_mirror());
    }
}

#[tokio::test]
async fn a_group_changes_over_to_a_peer_and_back_and_takes_over_from_one_that_is_gone() {
    let (mut a, b) = grouped(MirrorMode::Synchronous).await;
    let host = Host::begin(&a.house, &SOURCES, 1);
    host.until(10).await;
    a.with_group("here", Operation::Failover).await.unwrap();
    all(&a, &b, "Failedover").await;
    let acknowledged = host.stop();
    assert_one_moment(&b.numbers(TARGETS, 1), acknowledged);
    for target in TARGETS {
        b.until_used(target).await;
    }
    a.with_group("here", Operation::Failback).await.unwrap();
    all(&a, &b, "Synchronized").await;
    // One of them is over already.
    b.operate("copy-c", Operation::Failover).await.unwrap();
    b.house.until("copy-c", "Failedover").await;
    a.house.until("c", "Failedover").await;
    b.with_group("there", Operation::Failover).await.unwrap();
    all(&a, &b, "Failedover").await;
    b.with_group("there", Operation::Failback).await.unwrap();
    all(&a, &b, "Synchronized").await;
    // The other daemon is gone.
    let host = Host::begin(&a.house, &SOURCES, 2);
    host.until(10).await;
    let acknowledged = host.stop();
    a.stop().await;
    b.house.until("copy-d", "Broken").await;
    let told = reason(b.with_group("there", Operation::Failover).await);
    assert!(told.starts_with("volume copy-a: "), "{told}");
    let by_force = GroupMirrorChange {
        force: true,
        ..change("there", Operation::Failover)
    };
    let registry = b.house.registry();
    registry.modify_group_mirrors(by_force).await.unwrap();
    for target in TARGETS {
        b.until_used(target).await;
    }
    assert_one_moment(&b.numbers(TARGETS, 2), acknowledged);
    let told = reason(b.with_group("there", Operation::Split).await);
    assert!(told.starts_with("volume copy-a: "), "{told}");
}

impl Daemon {
    async fn mirror_group(&self, name: &str, there: &str) -> Result<(), ChangeError> {
        let request = GroupMirrorRequest {
            group: group(name),
            target: GroupTarget::AtPeer {
                peer: peer("b"),
                group: group(there),
            },
            on_failure: OnFailure::Continue,
            mode: self.mode,
            resync_limit: None,
        };
        let made = self.house.registry().create_group_mirrors(request);
        made.await.map(drop)
    }
}

#[tokio::test]
async fn a_peer_makes_all_copies_of_a_group_and_the_group_or_none_of_them() {
    let (mut a, b) = pair().await;
    for name in ["c", "d"] {
        a.house.add_volume(name).await;
    }
    a.house.add_group("here", &SOURCES).await;
    a.house.add_group("empty", &[]).await;
    let told = reason(a.mirror_group("empty", "there").await);
    assert!(told.contains("no members"), "{told}");
    // What is there isn't replaced, and neither is a group.
    b.house.add_volume("d").await;
    b.house.add_group("taken", &["d"]).await;
    let told = reason(a.mirror_group("here", "there").await);
    assert!(told.contains("there is a volume d already"), "{told}");
    assert!(a.has_no_mirror() && b.has_no_mirror());
    let registry = b.house.registry();
    let gone = Command::DeleteVolume {
        volume: volume("d"),
    };
    registry.apply(gone).await.unwrap();
    let told = reason(a.mirror_group("here", "taken").await);
    assert!(told.contains("taken"), "{told}");
    assert!(a.has_no_mirror() && b.has_no_mirror());
    assert_eq!(registry.catalog().volumes().len(), 0);
    for mode in [
        MirrorMode::Synchronous,
        MirrorMode::Asynchronous { rpo_ms: 200 },
    ] {
        a.mode = mode;
        a.mirror_group("here", "there").await.unwrap();
        for name in SOURCES {
            a.house.until(name, "Synchronized").await;
            b.house.until(name, "Synchronized").await;
            assert_eq!(b.house.mirror(name).groups, ["there"]);
        }
        let told = reason(a.mirror_group("here", "other").await);
        assert!(told.starts_with("volume a: "), "{told}");
        b.with_group("there", Operation::Split).await.unwrap();
        let detached = registry.detach_group_mirrors(group("there"), false);
        detached.await.unwrap();
        assert!(a.has_no_mirror() && b.has_no_mirror());
        let gone = Command::DeleteGroup {
            group: group("there"),
        };
        registry.apply(gone).await.unwrap();
        for name in SOURCES {
            let gone = Command::DeleteVolume {
                volume: volume(name),
            };
            registry.apply(gone).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_group_that_is_mirrored_twice_at_once_keeps_the_mirrors_of_whoever_was_first() {
    let (a, b) = pair().await;
    for name in ["c", "d"] {
        a.house.add_volume(name).await;
    }
    a.house.add_group("here", &SOURCES).await;
    let (one, other) = tokio::join!(
        a.mirror_group("here", "one"),
        a.mirror_group("here", "other")
    );
    let (winner, loser) = match (one, other) {
        (Ok(_), loser) => ("one", loser),
        (Err(loser), _) => ("other", Err(loser)),
    };
    let told = reason(loser);
    assert!(told.starts_with("volume a: "), "{told}");
    for name in SOURCES {
        a.house.until(name, "Synchronized").await;
        assert_eq!(b.house.mirror(name).groups, [winner]);
    }
}
