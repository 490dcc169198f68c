//! Mirrors of two volumes: what becomes of their content, of who may write, and of both at every crash.

use std::time::Duration;

use tidelock_admin::v1::{self, JobState};
use tidelock_capabilities::values::{Operation, ReturnCode};
use tidelock_catalog::OnFailure;

use super::every_step::Copies;
use super::*;
use crate::registry::changes::ChangeError;
use tidelock_catalog::MirrorMode;

use crate::registry::{CloneRequest, MirrorChange, MirrorRequest};

const BLOCKS: usize = 256;

fn request(source: &str, target: &str) -> MirrorRequest {
    MirrorRequest {
        source: volume(source),
        target: volume(target),
        on_failure: OnFailure::Continue,
        resync_limit: None,
        mode: MirrorMode::Synchronous,
    }
}

fn change(mirror: &str, operation: Operation) -> MirrorChange {
    MirrorChange {
        mirror: mirror.to_owned(),
        operation,
        force: false,
        discard: None,
    }
}

impl House {
    /// Volumes a and b, of which a has ones.
    pub(super) async fn with_two() -> Self {
        let house = Self::new().await;
        house.add_volume("a").await;
        house.add_volume("b").await;
        house.write("a", 0, BLOCKS as u64, 1);
        house
    }

    pub(super) async fn mirrored() -> Self {
        let house = Self::with_two().await;
        house
            .registry()
            .create_mirror(request("a", "b"))
            .await
            .unwrap();
        house.until("a", "Synchronized").await;
        house
    }

    pub(super) fn mirror(&self, name: &str) -> v1::Mirror {
        self.registry().mirror(name).unwrap()
    }

    /// Waits until a mirror's copy is complete.
    pub(super) async fn until_in_step(&self, name: &str) {
        self.until(name, "Synchronized").await;
    }

    /// Waits until a mirror shows this state.
    pub(super) async fn until(&self, name: &str, copy_state: &str) -> v1::Mirror {
        self.wait(name, |it| it.copy_state == copy_state).await
    }

    pub(super) async fn until_detail(&self, name: &str, part: &str) -> v1::Mirror {
        self.wait(name, |it| it.detail.contains(part)).await
    }

    /// Waits until both volumes have the same.
    async fn until_equal(&self, name: &str) {
        self.wait(name, |it| it.percent_synced == Some(100)).await;
    }

    pub(super) async fn wait(&self, name: &str, done: impl Fn(&v1::Mirror) -> bool) -> v1::Mirror {
        let registry = Arc::clone(self.registry());
        let mut changes = registry.watch_mirrors();
        let shown = async {
            loop {
                let mirror = registry.mirror(name).unwrap();
                if done(&mirror) {
                    break mirror;
                }
                // Others may be told of, or some left out.
                let _ = changes.recv().await;
            }
        };
        let shown = tokio::time::timeout(Duration::from_secs(60), shown).await;
        shown.unwrap_or_else(|_| panic!("still {:#?}", self.mirror(name)))
    }

    /// Waits until people have so many snapshots of a volume, and there are no others.
    async fn until_snapshots(&self, name: &str, count: usize) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let shown = self
                .registry()
                .snapshots(Some(&volume(name)))
                .unwrap()
                .len();
            if shown == count && self.datasets(name) == count + 1 {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{shown} snapshots");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn operate(&self, operation: Operation) -> Result<(), ChangeError> {
        let registry = self.registry();
        registry.modify_mirror(change("a", operation)).await?;
        Ok(())
    }

    pub(super) fn is_protected(&self, name: &str) -> bool {
        let served = self.registry().volume(&volume(name)).unwrap();
        served.unit().is_write_protected()
    }

    /// Which of a and b hosts may write.
    fn writable(&self) -> Vec<&'static str> {
        let all = ["a", "b"].into_iter();
        all.filter(|name| !self.is_protected(name)).collect()
    }

    pub(super) fn folders(&self) -> usize {
        std::fs::read_dir(self.path().join("mirrors"))
            .unwrap()
            .count()
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ChangeError>) -> (ReturnCode, String) {
    match result.unwrap_err() {
        ChangeError::Refused(refused) => (refused.return_code, refused.reason),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_new_mirror_copies_everything_and_hosts_write_the_source_alone() {
    let mut house = House::mirrored().await;
    assert_eq!(house.content("b"), [1; BLOCKS]);
    assert_eq!(house.writable(), ["a"]);
    house.write("a", 3, 2, 7);
    assert_eq!(house.content("b"), house.content("a"));
    let shown = house.mirror("b");
    assert_eq!(shown, house.mirror(&shown.id));
    assert_eq!(
        (
            shown.serving.as_deref(),
            shown.percent_synced,
            shown.next.is_none()
        ),
        (Some("a"), Some(100), true)
    );
    for _ in 0..2 {
        house.reopen().await;
        let shown = house.until("a", "Synchronized").await;
        assert_eq!(shown.serving.as_deref(), Some("a"));
        assert_eq!(house.writable(), ["a"]);
    }
    house.write("a", 9, 1, 8);
    assert_eq!(house.content("b"), house.content("a"));
}

#[tokio::test]
async fn what_changes_while_nothing_is_sent_is_copied_afterwards_and_that_survives_restarts() {
    for (hold, shown, release) in [
        (Operation::Suspend, "Suspended", Operation::Resume),
        (Operation::Fracture, "Fractured", Operation::ResyncReplica),
        (Operation::Split, "Split", Operation::ResyncReplica),
    ] {
        let mut house = House::mirrored().await;
        house.operate(hold).await.unwrap();
        assert_eq!(house.mirror("a").copy_state, shown);
        house.write("a", 0, 4, 2);
        assert_eq!(house.content("b"), [1; BLOCKS]);
        house.reopen().await;
        let kept = house.mirror("a");
        assert_eq!(kept.copy_state, shown);
        assert!(kept.next.unwrap().command.contains("mirror res"));
        house.write("a", 8, 4, 3);
        assert_eq!(house.content("b"), [1; BLOCKS], "{shown}");
        let (code, _) = refusal(house.operate(Operation::Failback).await);
        assert_eq!(code, ReturnCode::InUse);
        house.operate(release).await.unwrap();
        house.until("a", "Synchronized").await;
        assert_eq!(house.content("b"), house.content("a"), "{shown}");
        assert_eq!(
            house.content("b")[..12],
            [2, 2, 2, 2, 1, 1, 1, 1, 3, 3, 3, 3]
        );
    }
}

#[tokio::test]
async fn after_a_failover_hosts_use_the_target_and_come_back_by_a_failback() {
    let mut house = House::mirrored().await;
    house.operate(Operation::Failover).await.unwrap();
    let shown = house.mirror("a");
    assert_eq!(
        (shown.copy_state.as_str(), shown.serving.as_deref()),
        ("Failedover", Some("b"))
    );
    assert_eq!(shown.source.volume, "a", "the association is as it was");
    assert_eq!(house.writable(), ["b"]);
    house.write("b", 5, 1, 9);
    house.reopen().await;
    house.until("a", "Failedover").await;
    assert_eq!(house.writable(), ["b"]);
    house.write("b", 6, 1, 9);
    house.operate(Operation::Failback).await.unwrap();
    house.until("a", "Synchronized").await;
    assert_eq!(house.writable(), ["a"]);
    assert_eq!(house.content("a")[..8], [1, 1, 1, 1, 1, 9, 9, 1]);
    house.write("a", 7, 1, 4);
    assert_eq!(house.content("b"), house.content("a"));
}

#[tokio::test]
async fn roles_are_reversed_for_good_at_once_or_after_a_failover() {
    for over in [false, true] {
        let mut house = House::mirrored().await;
        if over {
            house.operate(Operation::Failover).await.unwrap();
        }
        house.operate(Operation::ReverseRoles).await.unwrap();
        let shown = house.until("a", "Synchronized").await;
        assert_eq!(
            (shown.source.volume.as_str(), shown.target.volume.as_str()),
            ("b", "a")
        );
        assert_eq!(shown.serving.as_deref(), Some("b"));
        house.write("b", 1, 1, 6);
        assert_eq!(house.content("a"), house.content("b"));
        house.reopen().await;
        let shown = house.until("a", "Synchronized").await;
        assert_eq!(shown.source.volume, "b");
        assert_eq!(house.writable(), ["b"]);
    }
}

#[tokio::test]
async fn a_detached_mirror_leaves_two_volumes_of_their_own() {
    let mut house = House::mirrored().await;
    assert_eq!(house.folders(), 1);
    let changes = house.registry().detach_mirror("b".into(), false).await;
    assert_eq!(changes.unwrap().len(), 1);
    assert_eq!((house.writable(), house.folders()), (vec!["a", "b"], 0));
    house.write("a", 0, 1, 2);
    house.write("b", 0, 1, 3);
    assert_eq!((house.content("a")[0], house.content("b")[0]), (2, 3));
    house.reopen().await;
    assert!(house.registry().mirrors().is_empty());
    assert_eq!(house.writable(), ["a", "b"]);
    let registry = house.registry();
    registry.create_mirror(request("b", "a")).await.unwrap();
    house.until("b", "Synchronized").await;
    assert_eq!(house.content("a")[0], 3);
}

#[tokio::test]
async fn what_the_other_end_would_not_know_of_is_refused_and_copies_are_possible() {
    let house = House::mirrored().await;
    house.take("a@one", 1).await;
    house.take("b@one", 1).await;
    let registry = house.registry();
    for name in ["a", "b"] {
        let to = snapshot(&format!("{name}@one"));
        let restored = registry.restore_snapshot(to, 2).await.unwrap_err();
        assert!(
            restored.to_string().contains("is mirrored with"),
            "{restored}"
        );
        let deleted = registry
            .delete_volume(volume(name), true)
            .await
            .unwrap_err();
        assert!(
            deleted.to_string().contains("is mirrored with"),
            "{deleted}"
        );
    }
    let clone = CloneRequest {
        source: "b@one".parse().unwrap(),
        name: volume("c"),
        linked: false,
        full: None,
    };
    registry.create_clone(clone, 3).await.unwrap();
    assert_eq!(house.content("c"), [1; BLOCKS]);
    // In a family now, it is mirrored as before.
    house.write("a", 2, 1, 5);
    assert_eq!(house.content("b"), house.content("a"));
    assert_eq!(house.content("c"), [1; BLOCKS]);
}

#[tokio::test]
async fn both_volumes_are_compared_and_what_differs_is_found() {
    let house = House::mirrored().await;
    let registry = house.registry();
    let path = house.raw_path("b");
    let compared = async || {
        let id = registry.verify_mirror("a").await.unwrap();
        let ended = async {
            loop {
                let job = registry.jobs().get(id).unwrap();
                if job.state.is_ended() {
                    break job;
                }
                tokio::task::yield_now().await;
            }
        };
        let job = tokio::time::timeout(Duration::from_secs(60), ended).await;
        let job = job.unwrap();
        assert_eq!(job.state, JobState::Completed, "{job:?}");
        job.report.unwrap()
    };
    let report = compared().await;
    assert_eq!((report.checked_bytes, report.damaged), (MIB, 0));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100_000] ^= 1;
    bytes[1_048_575] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let report = compared().await;
    assert_eq!(report.damaged, 2, "{report:?}");
    assert!(report.findings[0].contains("byte 98304"), "{report:?}");
    house.operate(Operation::Suspend).await.unwrap();
    let refused = refusal(registry.verify_mirror("a").await);
    assert!(refused.1.contains("Suspended"), "{refused:?}");
}

#[tokio::test]
async fn mirrors_that_can_not_be_are_refused_and_leave_nothing() {
    let house = House::with_two().await;
    let registry = house.registry();
    house.add_volume("c").await;
    house.take("c@s", 1).await;
    let larger = VolumeRequest {
        name: volume("larger"),
        source: VolumeSource::New {
            size_bytes: 2 * MIB,
        },
        block_size: BlockSize::B512,
        preallocate: false,
        direct: false,
        write_cache: true,
        integrity: tidelock_catalog::Integrity::Usual,
        limits: tidelock_catalog::SpaceLimits::default(),
    };
    registry.create_volume(larger).await.unwrap();
    for (source, target, code) in [
        ("a", "a", ReturnCode::InvalidParameter),
        ("a", "larger", ReturnCode::NotSupported),
        ("larger", "a", ReturnCode::NotSupported),
    ] {
        let (told, reason) = refusal(registry.create_mirror(request(source, target)).await);
        assert_eq!(told, code, "{source} {target}: {reason}");
    }
    let missing = registry.create_mirror(request("a", "nobody")).await;
    assert!(matches!(missing, Err(ChangeError::Rule(_))));
    registry.create_mirror(request("a", "b")).await.unwrap();
    for (source, target) in [
        ("a", "b"),
        ("b", "a"),
        ("a", "c"),
        ("c", "b"),
        ("b", "c"),
        ("c", "a"),
    ] {
        let (told, reason) = refusal(registry.create_mirror(request(source, target)).await);
        assert_eq!(told, ReturnCode::InUse, "{source} {target}: {reason}");
    }
    assert_eq!(house.folders(), 1);
}

#[tokio::test]
async fn a_crash_at_any_step_of_creation_leaves_a_whole_mirror_or_two_volumes() {
    let house = House::with_two().await;
    let copies = Copies::of(&house);
    house
        .registry()
        .create_mirror(request("a", "b"))
        .await
        .unwrap();
    let mut seen = [0, 0];
    copies
        .each(4, async |house, step| {
            if house.registry().mirrors().is_empty() {
                seen[0] += 1;
                assert_eq!(house.writable(), ["a", "b"], "step {step}");
                assert_eq!(house.folders(), 0, "step {step}");
            } else {
                seen[1] += 1;
                house.until("a", "Synchronized").await;
                assert_eq!(house.content("b"), [1; BLOCKS], "step {step}");
                assert_eq!(house.writable(), ["a"], "step {step}");
            }
        })
        .await;
    assert!(seen[0] > 1 && seen[1] > 0, "{seen:?}");
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_detach_leaves_a_whole_mirror_or_two_volumes() {
    let house = House::mirrored().await;
    let copies = Copies::of(&house);
    house
        .registry()
        .detach_mirror("a".into(), false)
        .await
        .unwrap();
    copies
        .each(2, async |house, step| {
            match house.registry().mirrors().is_empty() {
                true => assert_eq!(house.writable(), ["a", "b"], "step {step}"),
                false => drop(house.until("a", "Synchronized").await),
            }
            assert_eq!(house.folders(), house.registry().mirrors().len());
            assert_eq!(house.content("b"), [1; BLOCKS]);
        })
        .await;
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_failover_ends_as_it_was_or_as_it_was_to_be() {
    let house = House::mirrored().await;
    let copies = Copies::of(&house);
    house.operate(Operation::Failover).await.unwrap();
    house.operate(Operation::Failback).await.unwrap();
    house.until("a", "Synchronized").await;
    let mut seen = [0, 0];
    copies
        .each(4, async |house, step| {
            let wanted = house.registry().catalog().mirrors().next().unwrap().rest;
            let (shown, serves) = match wanted {
                tidelock_catalog::MirrorRest::FailedOver => ("Failedover", "b"),
                _ => ("Synchronized", "a"),
            };
            seen[usize::from(serves == "b")] += 1;
            house.until("a", shown).await;
            assert_eq!(house.writable(), [serves], "step {step}");
            house.until_equal("a").await;
            house.write(serves, 4, 1, 5);
            assert_eq!(house.content("a"), house.content("b"), "step {step}");
        })
        .await;
    assert!(seen[0] > 1 && seen[1] > 0, "{seen:?}");
}

impl House {
    pub(super) fn fence(&self, name: &str) {
        let served = self.registry().volume(&volume(name)).unwrap();
        served.store().unwrap().raise_fence("for a test".into());
    }

    async fn unfence(&self, name: &str) {
        self.registry().unfence(&volume(name)).await.unwrap();
        self.registry().reopen().await;
    }

    /// Whether a write is acknowledged.
    fn can_write(&self, name: &str, block: u64, number: u8) -> bool {
        let writing = std::panic::AssertUnwindSafe(|| self.write(name, block, 1, number));
        std::panic::catch_unwind(writing).is_ok()
    }
}

#[tokio::test]
async fn a_target_whose_disk_fails_stops_nobody_and_gets_what_it_lacks_afterwards() {
    let mut house = House::mirrored().await;
    house.fence("b");
    house.write("a", 0, 4, 2);
    let shown = house.until("a", "Broken").await;
    assert_eq!(shown.serving.as_deref(), Some("a"));
    assert!(shown.target.problem.contains("failed"), "{shown:?}");
    assert!(shown.next.unwrap().command.contains("mirror resync"));
    house.write("a", 8, 4, 3);
    let tried = house.operate(Operation::ResyncReplica).await.unwrap_err();
    assert!(tried.to_string().contains("fence"), "{tried}");
    house.unfence("b").await;
    house.until("a", "Synchronized").await;
    assert_eq!(house.content("b"), house.content("a"));
    assert_eq!(house.content("b")[..9], [2, 2, 2, 2, 1, 1, 1, 1, 3]);
    house.reopen().await;
    house.until("a", "Synchronized").await;
}

#[tokio::test]
async fn a_target_takes_over_from_a_source_that_has_failed() {
    let mut house = House::mirrored().await;
    house.fence("a");
    assert!(!house.can_write("a", 0, 2), "it is fenced");
    house.operate(Operation::Failover).await.unwrap();
    house.until("a", "Failedover").await;
    assert_eq!(house.writable(), ["b"]);
    house.write("b", 5, 1, 6);
    house.unfence("a").await;
    house.reopen().await;
    house.until("a", "Failedover").await;
    house.until_equal("a").await;
    assert_eq!(house.content("a"), house.content("b"));
    assert_eq!(house.writable(), ["b"]);
    house.operate(Operation::Failback).await.unwrap();
    house.until("a", "Synchronized").await;
    assert_eq!((house.writable(), house.content("a")[5]), (vec!["a"], 6));
}

#[tokio::test]
async fn what_both_volumes_have_changed_is_told_and_never_resolved_by_itself() {
    for dropped in ["a", "b"] {
        let mut house = House::mirrored().await;
        house.operate(Operation::Suspend).await.unwrap();
        house.write("a", 1, 1, 2);
        // The target takes over with what it has; the source has more.
        house.operate(Operation::Failover).await.unwrap();
        house.until("a", "Failedover").await;
        assert_eq!(house.writable(), ["b"]);
        house.write("b", 2, 1, 3);
        for restarted in [false, true] {
            if restarted {
                house.reopen().await;
            }
            let shown = house.until_detail("a", "split brain").await;
            assert_eq!(shown.serving.as_deref(), Some("b"));
            assert!(
                shown
                    .next
                    .unwrap()
                    .command
                    .ends_with("resync a --discard a")
            );
            for operation in [Operation::Failback, Operation::ReverseRoles] {
                refusal(house.operate(operation).await);
            }
        }
        assert_eq!((house.content("a")[1], house.content("b")[2]), (2, 3));
        let before = house.content(dropped);
        let discard = |name: &str| MirrorChange {
            discard: Some(volume(name).into()),
            ..change("a", Operation::ResyncReplica)
        };
        let registry = Arc::clone(house.registry());
        refusal(registry.modify_mirror(discard("c")).await);
        registry.modify_mirror(discard(dropped)).await.unwrap();
        house.until_equal("a").await;
        let (kept, shown, blocks) = match dropped {
            "a" => ("b", "Failedover", [1, 1, 3]),
            _ => ("a", "Synchronized", [1, 2, 1]),
        };
        house.until("a", shown).await;
        assert_eq!(house.writable(), [kept], "without {dropped}");
        assert_eq!(house.content("a")[..3], blocks);
        assert_eq!(house.content("a"), house.content("b"));
        refusal(registry.modify_mirror(discard(dropped)).await);
        drop(registry);
        // What was dropped is there, for people, and stays so.
        house.until_snapshots(dropped, 1).await;
        house.reopen().await;
        house.until("a", shown).await;
        assert_eq!(house.writable(), [kept]);
        let registry = house.registry();
        registry.detach_mirror("a".into(), true).await.unwrap();
        let all = registry.snapshots(None).unwrap();
        assert_eq!(all.len(), 1);
        let snapshot = all.first().unwrap();
        assert_eq!(snapshot.cause, v1::SnapshotCause::SplitBrain);
        assert!(
            snapshot.name.starts_with("split-brain-"),
            "{}",
            snapshot.name
        );
        let called: SnapshotRef = format!("{dropped}@{}", snapshot.name).parse().unwrap();
        registry.restore_snapshot(called, 0).await.unwrap();
        assert_eq!(house.content(dropped), before);
    }
}

#[tokio::test]
async fn what_was_dropped_stays_if_the_mirror_is_detached_while_it_is_overwritten() {
    let mut house = House::mirrored().await;
    house.operate(Operation::Suspend).await.unwrap();
    house.write("a", 0, BLOCKS as u64, 2);
    house.operate(Operation::Failover).await.unwrap();
    house.until("a", "Failedover").await;
    house.write("b", 2, 1, 3);
    house.until_detail("a", "split brain").await;
    let before = house.content("a");
    let registry = Arc::clone(house.registry());
    let discard = MirrorChange {
        discard: Some(volume("a").into()),
        ..change("a", Operation::ResyncReplica)
    };
    registry.modify_mirror(discard).await.unwrap();
    // From here on it may be overwritten.
    let is_taken = || {
        let served = house.registry().volume(&volume("a")).unwrap();
        let family = served.place().map(|(family, _)| family.open_family());
        family.is_some_and(|open| open.is_ok_and(|open| open.datasets().len() > 1))
    };
    let taken = async {
        while !is_taken() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), taken)
        .await
        .unwrap();
    registry.detach_mirror("a".into(), true).await.unwrap();
    let all = registry.snapshots(Some(&volume("a"))).unwrap();
    let name = &all.first().unwrap().name;
    assert!(name.starts_with("split-brain-"), "{name}");
    let called: SnapshotRef = format!("a@{name}").parse().unwrap();
    drop(registry);
    house.reopen().await;
    house.registry().restore_snapshot(called, 0).await.unwrap();
    assert_eq!(house.content("a"), before);
}

#[tokio::test]
async fn a_mirror_that_is_to_stop_hosts_does_so_while_its_target_is_away() {
    let house = House::with_two().await;
    let wanted = MirrorRequest {
        on_failure: OnFailure::Halt,
        ..request("a", "b")
    };
    house.registry().create_mirror(wanted).await.unwrap();
    house.until("a", "Synchronized").await;
    house.fence("b");
    assert!(!house.can_write("a", 0, 2), "only one end has it");
    house.until_detail("a", "hosts are stopped").await;
    house.unfence("b").await;
    house.until("a", "Synchronized").await;
    house.write("a", 0, 1, 3);
    assert_eq!(house.content("b"), house.content("a"));
}
