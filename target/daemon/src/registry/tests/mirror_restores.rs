//! Sources of mirrors that get what their targets have: what is copied, what is kept, who may use what meanwhile, and what a
//! crash at any step leads to.

use std::time::Duration;

use tidelock_admin::v1;
use tidelock_capabilities::values::Operation;
use tidelock_catalog::{Command, IscsiName, MirrorRest, MirrorSide, PortalGroupTag, PortalGroups};
use tidelock_scsi::{AccessState, TargetPort};

use super::every_step::Copies;
use super::*;
use crate::directory::{Candidate, Registration, SessionKey, SessionLimits};
use crate::registry::MirrorChange;
use crate::registry::changes::ChangeError;

const BLOCKS: usize = 256;
const TARGET: &str = "iqn.2026-11.test:t";

impl House {
    async fn done(&self, operation: Operation, force: bool) -> Result<(), ChangeError> {
        let change = MirrorChange {
            mirror: "a".to_owned(),
            operation,
            force,
            discard: None,
        };
        self.registry().modify_mirror(change).await.map(drop)
    }

    /// How hosts find a volume.
    fn found(&self, name: &str) -> AccessState {
        let served = self.registry().volume(&volume(name)).unwrap();
        let unit = served.unit();
        unit.set_target_ports(vec![TargetPort {
            target_name: TARGET.into(),
            relative_port_identifier: 1,
            target_port_group: 1,
        }]);
        unit.target_port_groups()[0].access.state
    }

    async fn until_usable(&self, name: &str) {
        let usable = async {
            while self.found(name) != AccessState::ActiveOptimized {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), usable).await;
        waited.unwrap_or_else(|_| panic!("{name} is {:?}", self.found(name)));
    }

    /// Opens it until its volume is open: a child of another test may have its lock, until it runs its own program.
    async fn open_with(&mut self, name: &str) {
        self.open().await;
        let open = async {
            while self
                .registry()
                .volume(&volume(name))
                .unwrap()
                .store()
                .is_none()
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
                self.registry().reopen().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), open).await;
        waited.expect("it can't be opened");
    }

    /// Waits until a mirror rests in this state, and isn't restored any more.
    async fn until_rests(&self, copy_state: &str) -> v1::Mirror {
        self.wait("a", |it| {
            it.copy_state == copy_state && it.progress_status == "Completed"
        })
        .await
    }

    /// What people have of a volume.
    fn kept(&self, name: &str) -> Vec<v1::Snapshot> {
        self.registry().snapshots(Some(&volume(name))).unwrap()
    }

    /// a isn't what b is any more.
    async fn apart(operation: Operation) -> Self {
        let house = Self::mirrored().await;
        house.done(operation, false).await.unwrap();
        house.write("a", 0, 4, 2);
        house
    }
}

#[tokio::test]
async fn a_source_gets_what_differs_from_its_target_and_what_it_had_is_kept() {
    for (hold, shown) in [
        (Operation::Fracture, "Fractured"),
        (Operation::Split, "Split"),
    ] {
        let mut house = House::apart(hold).await;
        let before = house.content("a");
        // Where nobody has written, nothing is copied: what was changed there behind the mirror's back stays where it is.
        let path = house.raw_path("b");
        let file = std::fs::File::options().write(true).open(path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[9; 4096], 200 * 4096).unwrap();
        house
            .done(Operation::RestoreFromReplica, false)
            .await
            .unwrap();
        let rests = house.until_rests(shown).await;
        assert_eq!(rests.serving.as_deref(), Some("a"));
        assert!(rests.source.consistent && rests.target.consistent);
        assert_eq!(house.content("a"), [1; BLOCKS], "{shown}");
        house.until_usable("a").await;
        assert!(house.is_protected("b") && !house.is_protected("a"));
        // Hosts go on, and nothing is sent.
        for restarted in [false, true] {
            if restarted {
                house.reopen().await;
                house.until_rests(shown).await;
                house.until_usable("a").await;
            }
            let at = 50 + u64::from(restarted);
            house.write("a", at, 1, 3);
            assert_eq!(house.content("b")[usize::try_from(at).unwrap()], 1);
        }
        let [snapshot] = &house.kept("a")[..] else {
            panic!("{:?}", house.kept("a"));
        };
        assert!(snapshot.name.starts_with("before-restore-"), "{snapshot:?}");
        assert_eq!(snapshot.cause, v1::SnapshotCause::Restore);
        let called: SnapshotRef = format!("a@{}", snapshot.name).parse().unwrap();
        house.done(Operation::ResyncReplica, false).await.unwrap();
        house.until_in_step("a").await;
        assert_eq!(house.content("b")[50..52], [3, 3]);
        let registry = house.registry();
        registry.detach_mirror("a".into(), false).await.unwrap();
        registry.restore_snapshot(called, 0).await.unwrap();
        assert_eq!(house.content("a"), before);
    }
}

#[tokio::test]
async fn a_source_that_was_not_written_is_restored_again_and_again() {
    let house = House::mirrored().await;
    house.done(Operation::Fracture, false).await.unwrap();
    for _ in 0..3 {
        house
            .done(Operation::RestoreFromReplica, false)
            .await
            .unwrap();
        house.until_rests("Fractured").await;
        house.until_usable("a").await;
        assert_eq!(house.content("a"), [1; BLOCKS]);
    }
    house.write("a", 0, BLOCKS as u64, 5);
    house
        .done(Operation::RestoreFromReplica, false)
        .await
        .unwrap();
    house.until_rests("Fractured").await;
    assert_eq!(house.content("a"), [1; BLOCKS]);
    house.write("a", 1, 1, 6);
    house.done(Operation::ResyncReplica, false).await.unwrap();
    house.until_in_step("a").await;
    assert_eq!(house.content("b")[..3], [1, 6, 1]);
}

#[tokio::test]
async fn a_restore_of_what_flows_or_has_no_image_is_refused_and_nothing_has_changed() {
    let house = House::mirrored().await;
    for operation in [None, Some(Operation::Suspend)] {
        if let Some(operation) = operation {
            house.done(operation, false).await.unwrap();
        }
        house.write("a", 0, 1, 4);
        for force in [false, true] {
            house
                .done(Operation::RestoreFromReplica, force)
                .await
                .unwrap_err();
            assert_eq!(house.content("a")[0], 4);
        }
    }
    assert_eq!(house.found("a"), AccessState::ActiveOptimized);
    house.done(Operation::Fracture, false).await.unwrap();
    let served = house.registry().volume(&volume("b")).unwrap();
    served.store().unwrap().raise_fence("for a test".into());
    let tried = house.done(Operation::RestoreFromReplica, true).await;
    assert!(tried.is_err());
    assert_eq!(house.content("a")[0], 4);
    assert!(house.kept("a").is_empty() && house.mirror("a").detail.is_empty());
}

/// A host that is logged in.
async fn log_in(house: &House) -> Registration {
    let candidate = Candidate {
        key: SessionKey {
            initiator: "iqn.2026-11.test:i".into(),
            isid: [1; 6],
            group: PortalGroupTag::DEFAULT,
            target: Some(TARGET.into()),
        },
        peer: "127.0.0.1:1".parse().unwrap(),
        reactor: 0,
        limits: SessionLimits::default(),
        counters: Arc::default(),
    };
    let directory = &house.registry().directory;
    let patience = Duration::from_secs(1);
    directory.admit(candidate, patience).await.unwrap()
}

async fn map(house: &House, name: &str) {
    let target = IscsiName::new(TARGET).unwrap();
    let create = Command::CreateTarget {
        target: target.clone(),
        portal_groups: PortalGroups::ALL,
    };
    let map = Command::MapLun {
        target,
        volume: volume(name),
        number: None,
        read_only: false,
    };
    for command in [create, map] {
        house.registry().apply(command).await.unwrap();
    }
}

#[tokio::test]
async fn hosts_that_are_logged_in_stand_against_it_and_by_force_they_are_told() {
    let house = House::apart(Operation::Fracture).await;
    map(&house, "a").await;
    let host = log_in(&house).await;
    let key = house.registry().mirror_relations()[0].association.key;
    let restore = Operation::RestoreFromReplica;
    let told = house.registry().operations_for(key).unwrap();
    let at = told
        .supported_operations
        .iter()
        .position(|it| *it == restore);
    assert!(told.requires_force[at.unwrap()], "it needs Force");
    let refused = house.done(restore, false).await.unwrap_err().to_string();
    assert!(refused.contains("session"), "{refused}");
    assert_eq!(house.content("a")[0], 2);
    house.done(restore, true).await.unwrap();
    house.until_rests("Fractured").await;
    house.until_usable("a").await;
    assert_eq!(house.content("a")[0], 1);
    drop(host);
    house.write("a", 0, 1, 3);
    let told = house.registry().operations_for(key).unwrap();
    let at = told
        .supported_operations
        .iter()
        .position(|it| *it == restore);
    assert!(!told.requires_force[at.unwrap()], "nobody is there");
    house.done(restore, false).await.unwrap();
    house.until_rests("Fractured").await;
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_restore_leads_to_a_restored_source_or_to_the_one_that_was() {
    let house = House::apart(Operation::Fracture).await;
    let before = house.content("a");
    let copies = Copies::of(&house);
    house
        .done(Operation::RestoreFromReplica, false)
        .await
        .unwrap();
    house.until_rests("Fractured").await;
    let mut seen = [0, 0];
    copies
        .each(6, async |house, step| {
            let rests = house.until_rests("Fractured").await;
            assert_eq!(rests.serving.as_deref(), Some("a"), "step {step}");
            house.until_usable("a").await;
            assert_eq!(house.content("b"), [1; BLOCKS], "step {step}");
            let content = house.content("a");
            if content == before {
                seen[0] += 1;
                assert!(house.kept("a").is_empty(), "step {step}");
            } else {
                seen[1] += 1;
                assert_eq!(content, [1; BLOCKS], "step {step}");
                let kept = house.kept("a");
                let first = kept.first().unwrap();
                assert!(first.name.starts_with("before-restore-"), "{kept:?}");
            }
            house.write("a", 7, 1, 8);
            house.done(Operation::ResyncReplica, false).await.unwrap();
            house.until_in_step("a").await;
            assert_eq!(house.content("b"), house.content("a"), "step {step}");
        })
        .await;
    assert!(seen[0] > 0 && seen[1] > 4, "{seen:?}");
}

impl House {
    /// A restore whose steps are still to be done when this daemon starts, and a target that isn't there.
    async fn restoring_alone() -> (Self, PathBuf, PathBuf) {
        let mut house = Self::apart(Operation::Split).await;
        let words = Command::SetMirror {
            mirror: house.registry().catalog().mirrors().next().unwrap().id,
            source: MirrorSide::First,
            rest: MirrorRest::RestoringSplit,
        };
        let path = house.raw_path("b");
        let away = path.with_extension("away");
        house.registry().apply(words).await.unwrap();
        house.close().await;
        std::fs::rename(&path, &away).unwrap();
        house.open_with("a").await;
        (house, path, away)
    }
}

#[tokio::test]
async fn a_restore_goes_on_when_the_target_is_back_and_no_host_uses_the_source_before() {
    let (mut house, path, away) = House::restoring_alone().await;
    let shown = house.until("a", "Broken").await;
    assert!(
        shown.detail.contains("is being restored from b"),
        "{shown:?}"
    );
    assert_eq!((shown.serving, shown.next.is_some()), (None, true));
    assert_eq!(house.found("a"), AccessState::Transitioning);
    // Whoever sends a command is sent away, whatever else becomes of the states.
    let served = house.registry().volume(&volume("a")).unwrap();
    served.unit().complete_transition(Default::default(), None);
    let _ = served.unit_in_time();
    assert_eq!(house.found("a"), AccessState::Transitioning);
    drop(served);
    for operation in [
        Operation::ResyncReplica,
        Operation::Failover,
        Operation::Fracture,
        Operation::RestoreFromReplica,
    ] {
        house.done(operation, true).await.unwrap_err();
    }
    let key = house.registry().mirror_relations()[0].association.key;
    let offered = house.registry().operations_for(key).unwrap();
    assert_eq!(offered.supported_operations, [Operation::Detach]);
    house.close().await;
    std::fs::rename(&away, &path).unwrap();
    house.open_with("a").await;
    house.registry().reopen().await;
    house.until_rests("Split").await;
    house.until_usable("a").await;
    assert_eq!(house.content("a"), [1; BLOCKS]);
    assert_eq!(house.kept("a").len(), 1);
}

#[tokio::test]
async fn a_restore_that_can_never_go_on_is_ended_with_the_mirror_and_the_source_is_what_it_was() {
    let (mut house, ..) = House::restoring_alone().await;
    let next = house.until("a", "Broken").await.next.unwrap();
    assert!(next.command.contains("volume show b"), "{next:?}");
    let before = house.content("a");
    let registry = house.registry();
    registry.detach_mirror("a".into(), true).await.unwrap();
    assert_eq!(house.found("a"), AccessState::ActiveOptimized);
    let served = house.registry().volume(&volume("a")).unwrap();
    let _ = served.unit_in_time();
    assert_eq!(house.found("a"), AccessState::ActiveOptimized);
    house.write("a", 9, 1, 7);
    house.reopen().await;
    assert_eq!(house.content("a")[..9], before[..9]);
    assert_eq!(house.content("a")[9], 7);
}

#[tokio::test]
async fn a_mirror_whose_source_can_not_be_looked_at_is_not_ended_while_that_is_restored() {
    let (mut house, target, gone) = House::restoring_alone().await;
    let path = house.raw_path("a");
    let away = path.with_extension("away");
    house.close().await;
    std::fs::rename(&gone, &target).unwrap();
    std::fs::rename(&path, &away).unwrap();
    house.open_with("b").await;
    house.until("a", "Broken").await;
    let detached = house.registry().detach_mirror("b".into(), true).await;
    let refused = detached.unwrap_err().to_string();
    assert!(refused.contains("put the volume right first"), "{refused}");
    house.close().await;
    std::fs::rename(&away, &path).unwrap();
    house.open_with("a").await;
    house.registry().reopen().await;
    house.until_rests("Split").await;
    house.until_usable("a").await;
    assert_eq!(house.content("a"), [1; BLOCKS]);
}

#[tokio::test]
async fn a_source_of_which_a_half_is_restored_goes_back_when_its_mirror_is_ended() {
    let house = House::mirrored().await;
    house.done(Operation::Fracture, false).await.unwrap();
    house.write("a", 0, BLOCKS as u64, 2);
    let copies = Copies::of(&house);
    house
        .done(Operation::RestoreFromReplica, false)
        .await
        .unwrap();
    house.until_rests("Fractured").await;
    let mut seen = [0; 3];
    // The target is never seen again.
    let lose = |folder: &Path| std::fs::remove_file(folder.join("volumes/b.img")).unwrap();
    copies
        .each_after(6, lose, async |house, step| {
            let rest = house.registry().catalog().mirrors().next().unwrap().rest;
            if rest.is_restoring() {
                house.until("a", "Broken").await;
                assert_eq!(house.mirror("a").serving, None);
            }
            let registry = house.registry();
            registry.detach_mirror("a".into(), false).await.unwrap();
            assert_eq!(house.found("a"), AccessState::ActiveOptimized);
            let content = house.content("a");
            let [first, ..] = content[..] else { panic!() };
            assert_eq!(content, [first; BLOCKS], "step {step}: half of each");
            seen[usize::from(first)] += 1;
            if first == 1 {
                assert_eq!(house.kept("a").len(), 1, "step {step}");
            }
            house.write("a", 3, 1, 9);
        })
        .await;
    assert!(seen[1] > 1 && seen[2] > 2, "{seen:?}");
}
