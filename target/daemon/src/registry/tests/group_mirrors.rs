//! Mirrors of the volumes of a group: what their targets have when they are held is of one moment, and what can't be done with
//! all of them is done with none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidelock_capabilities::values::Operation;
use tidelock_catalog::{MirrorMode, OnFailure};

use super::every_step::Copies;
use super::*;
use crate::registry::changes::ChangeError;
use crate::registry::{
    GroupMirrorChange, GroupMirrorRequest, GroupTarget, MirrorChange, MirrorRequest,
};
use crate::steps::Watching;

const SOURCES: [&str; 4] = ["a0", "a1", "a2", "a3"];
const TARGETS: [&str; 4] = ["b0", "b1", "b2", "b3"];
const ASYNCHRONOUS: MirrorMode = MirrorMode::Asynchronous { rpo_ms: 200 };

pub(super) fn change(name: &str, operation: Operation) -> GroupMirrorChange {
    GroupMirrorChange {
        group: group(name),
        operation,
        force: false,
    }
}

impl House {
    /// Mirrors of four volumes, in two groups: sources and targets.
    async fn grouped(mode: MirrorMode) -> Self {
        let house = Self::new().await;
        for (source, target) in SOURCES.into_iter().zip(TARGETS) {
            house.add_volume(source).await;
            house.add_volume(target).await;
            house.mirror_to(source, target, mode, None).await;
        }
        house.add_group("a", &SOURCES).await;
        house.add_group("b", &TARGETS).await;
        house.until_all("Synchronized").await;
        house
    }

    async fn mirror_to(&self, source: &str, target: &str, mode: MirrorMode, limit: Option<u64>) {
        let request = MirrorRequest {
            source: volume(source),
            target: volume(target),
            on_failure: OnFailure::Continue,
            mode,
            resync_limit: limit,
        };
        self.registry().create_mirror(request).await.unwrap();
    }

    async fn until_all(&self, copy_state: &str) {
        for name in SOURCES {
            self.until(name, copy_state).await;
        }
    }

    async fn with_group(&self, name: &str, operation: Operation) -> Result<(), ChangeError> {
        let registry = self.registry();
        registry
            .modify_group_mirrors(change(name, operation))
            .await?;
        Ok(())
    }

    async fn with_one(&self, name: &str, operation: Operation) {
        let change = MirrorChange {
            mirror: name.to_owned(),
            operation,
            force: false,
            discard: None,
        };
        self.registry().modify_mirror(change).await.unwrap();
    }

    fn states(&self) -> [String; 4] {
        SOURCES.map(|name| self.mirror(name).copy_state)
    }

    /// What a host has written to a block of each volume.
    fn block(&self, names: [&str; 4], block: u64) -> [u64; 4] {
        names.map(|name| self.number(name, block))
    }
}

/// A host that writes one number after the other to a block of all volumes, to each after the one before has answered.
pub(super) struct Host {
    stopped: Arc<AtomicBool>,
    /// The last number that all volumes have acknowledged.
    acknowledged: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Host {
    pub(super) fn begin(house: &House, names: &[&str], block: u64) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (host, count) = (house.quick(names), names.len());
        let (until, tell) = (Arc::clone(&stopped), Arc::clone(&acknowledged));
        let thread = std::thread::spawn(move || {
            let mut host = host();
            let mut all = |number| (0..count).all(|which| host.write(which, block, number));
            for number in 1.. {
                if until.load(Ordering::SeqCst) || !all(number) {
                    break;
                }
                tell.store(number, Ordering::SeqCst);
            }
        });
        Self {
            stopped,
            acknowledged,
            thread,
        }
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    pub(super) async fn until(&self, number: u64) {
        let written = async {
            while self.acknowledged() < number {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), written).await;
        waited.expect("the host doesn't get on");
    }

    /// From now on it has the time to write more between any two steps of what the daemon does, if it isn't kept waiting.
    pub(super) fn goes_on_between_steps(&self, house: &House) -> Watching {
        let acknowledged = Arc::clone(&self.acknowledged);
        Watching::new(house.path(), move || {
            let before = acknowledged.load(Ordering::SeqCst);
            let deadline = Instant::now() + Duration::from_millis(20);
            while acknowledged.load(Ordering::SeqCst) < before + 2 && Instant::now() < deadline {
                std::thread::yield_now();
            }
        })
    }

    pub(super) fn stop(self) -> u64 {
        self.stopped.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// Whether the volumes have what a host that wrote them in this order had written at one instant.
#[track_caller]
pub(super) fn assert_one_moment(numbers: &[u64], least: u64) {
    let in_order = numbers.windows(2).all(|pair| pair[0] >= pair[1]);
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    let is_one = in_order && first - last <= 1;
    assert!(is_one && last >= least, "{numbers:?}, {least}");
}

#[tokio::test]
async fn targets_that_hosts_wait_for_are_of_one_moment_when_a_group_is_held() {
    let house = House::grouped(MirrorMode::Synchronous).await;
    let ways = [
        (Operation::Split, "Split", Operation::ResyncReplica),
        (Operation::Suspend, "Suspended", Operation::Resume),
        (Operation::Fracture, "Fractured", Operation::ResyncReplica),
    ];
    for round in 0..6 {
        let (hold, shown, release) = ways[usize::try_from(round).unwrap() % 3];
        let host = Host::begin(&house, &SOURCES, round);
        host.until(20 + round % 7).await;
        let before = host.acknowledged();
        let steps = host.goes_on_between_steps(&house);
        // It is the same by whichever volumes the mirrors are named.
        let named = ["a", "b"][usize::try_from(round).unwrap() % 2];
        house.with_group(named, hold).await.unwrap();
        drop(steps);
        let held = host.acknowledged();
        host.until(held + 2).await;
        assert_eq!(house.states(), [shown; 4]);
        assert_one_moment(&house.block(TARGETS, round), before);
        let last = host.stop();
        assert!(house.block(SOURCES, round) >= [last; 4], "hosts go on");
        house.with_group("a", release).await.unwrap();
        house.until_all("Synchronized").await;
        assert_eq!(house.block(TARGETS, round), house.block(SOURCES, round));
    }
}

#[tokio::test]
async fn targets_that_hosts_do_not_wait_for_are_of_one_moment_when_a_group_is_held() {
    let house = House::grouped(ASYNCHRONOUS).await;
    for round in 0..4 {
        let host = Host::begin(&house, &SOURCES, round);
        host.until(3).await;
        let before = host.acknowledged();
        let steps = host.goes_on_between_steps(&house);
        house.with_group("a", Operation::Split).await.unwrap();
        drop(steps);
        assert_one_moment(&house.block(TARGETS, round), before);
        host.stop();
        house
            .with_group("a", Operation::ResyncReplica)
            .await
            .unwrap();
        house.until_all("Synchronized").await;
    }
    // Cuts are made again by themselves.
    let caught_up = |it: &tidelock_admin::v1::Mirror| {
        it.asynchronous.as_ref().and_then(|it| it.lag_bytes) == Some(0)
    };
    for name in SOURCES {
        house.write(name, 200, 1, 7);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !caught_up(&house.mirror(name)) {
            assert!(Instant::now() < deadline, "{name} lags");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let first = |name| house.block([name; 4], 200)[0].to_le_bytes()[0];
    assert_eq!(TARGETS.map(first), [7; 4]);
}

#[tokio::test]
async fn a_group_changes_over_and_back_and_nothing_that_was_acknowledged_is_lost() {
    for mode in [MirrorMode::Synchronous, ASYNCHRONOUS] {
        let mut house = House::grouped(mode).await;
        let host = Host::begin(&house, &SOURCES, 1);
        host.until(5).await;
        house.with_group("a", Operation::Failover).await.unwrap();
        house.until_all("Failedover").await;
        let acknowledged = host.stop();
        assert_one_moment(&house.block(TARGETS, 1), acknowledged);
        for (source, target) in SOURCES.into_iter().zip(TARGETS) {
            assert!(house.is_protected(source) && !house.is_protected(target));
        }
        house.reopen().await;
        house.until_all("Failedover").await;
        let host = Host::begin(&house, &TARGETS, 2);
        host.until(5).await;
        house.with_group("b", Operation::Failback).await.unwrap();
        house.until_all("Synchronized").await;
        let acknowledged = host.stop();
        assert_one_moment(&house.block(SOURCES, 2), acknowledged);
        if mode == MirrorMode::Synchronous {
            house
                .with_group("b", Operation::ReverseRoles)
                .await
                .unwrap();
            house.until_all("Synchronized").await;
            for (source, target) in SOURCES.into_iter().zip(TARGETS) {
                assert_eq!(house.mirror(source).source.volume, target);
            }
        }
    }
}

pub(super) fn reason<T: std::fmt::Debug>(result: Result<T, ChangeError>) -> String {
    match result.unwrap_err() {
        ChangeError::Refused(refused) => refused.reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_one_member_can_not_do_is_done_with_none() {
    let house = House::grouped(MirrorMode::Synchronous).await;
    house.with_one("a2", Operation::Suspend).await;
    let states = house.states();
    for operation in [
        Operation::Split,
        Operation::Suspend,
        Operation::Failback,
        Operation::ReverseRoles,
    ] {
        let told = reason(house.with_group("a", operation).await);
        assert!(told.starts_with("volume a2: "), "{operation:?}: {told}");
        assert_eq!(house.states(), states, "{operation:?}");
    }
    // The others need nothing.
    house.with_group("a", Operation::Resume).await.unwrap();
    house.until_all("Synchronized").await;
    let told = reason(house.with_group("a", Operation::Resume).await);
    assert!(told.starts_with("volume a0: "), "{told}");
    let told = reason(house.with_group("a", Operation::ResetToAsync).await);
    assert!(told.contains("one mirror at a time"), "{told}");
    // Some that hosts wait for, and one that they don't.
    house.with_one("a1", Operation::ResetToAsync).await;
    house.until_all("Synchronized").await;
    let told = reason(house.with_group("a", Operation::Split).await);
    assert!(told.contains("never of one moment"), "{told}");
    assert_eq!(house.states(), ["Synchronized"; 4]);
}

#[tokio::test]
async fn groups_that_have_no_mirrors_or_both_ends_are_refused() {
    let house = House::grouped(MirrorMode::Synchronous).await;
    house.add_volume("c").await;
    house.add_group("with-c", &["a0", "c"]).await;
    house.add_group("both", &["a0", "b1"]).await;
    house.add_group("none", &["c"]).await;
    for (name, part) in [
        ("with-c", "volume c of group with-c isn't mirrored"),
        ("both", "volume a0 of group both is the source"),
        ("none", "group none has no volumes that are mirrored"),
    ] {
        let told = reason(house.with_group(name, Operation::Split).await);
        assert!(told.contains(part), "{told}");
    }
    let missing = house.with_group("nobody", Operation::Split).await;
    assert!(matches!(missing, Err(ChangeError::Rule(_))));
    assert_eq!(house.states(), ["Synchronized"; 4]);
    // What isn't mirrored has nothing to be detached.
    let registry = house.registry();
    let detached = registry.detach_group_mirrors(group("with-c"), false).await;
    detached.unwrap();
    assert_eq!(registry.mirrors().len(), 3);
    let detached = registry.detach_group_mirrors(group("a"), false).await;
    detached.unwrap();
    assert!(registry.mirrors().is_empty());
    let told = reason(registry.detach_group_mirrors(group("a"), false).await);
    assert!(told.contains("no volumes that are mirrored"), "{told}");
}

#[tokio::test]
async fn targets_that_are_at_moments_of_their_own_do_not_take_over_together() {
    let house = House::grouped(ASYNCHRONOUS).await;
    house.with_group("a", Operation::Suspend).await.unwrap();
    let told = reason(house.with_group("a", Operation::Failover).await);
    assert!(told.contains("moment of its own"), "{told}");
    assert_eq!(house.states(), ["Suspended"; 4]);
    house.with_group("b", Operation::Resume).await.unwrap();
    house.until_all("Synchronized").await;
}

#[tokio::test]
async fn a_group_of_which_one_target_is_being_copied_to_is_held_as_it_is() {
    for mode in [MirrorMode::Synchronous, ASYNCHRONOUS] {
        for operation in [Operation::Suspend, Operation::Fracture] {
            let house = House::grouped(mode).await;
            let registry = house.registry();
            let detached = registry.detach_mirror("a2".into(), false).await;
            detached.unwrap();
            house.mirror_to("a2", "b2", mode, Some(64 << 10)).await;
            house.until("a2", "Unsynchronized").await;
            house.with_group("a", operation).await.unwrap();
            let held = match operation {
                Operation::Suspend => "Suspended",
                _ => "Fractured",
            };
            house.until_all(held).await;
        }
    }
}

#[tokio::test]
async fn a_target_that_is_lost_before_the_moment_comes_leaves_the_group_as_it_was() {
    let house = House::grouped(MirrorMode::Synchronous).await;
    let store = |name| {
        house
            .registry()
            .volume(&volume(name))
            .unwrap()
            .store()
            .unwrap()
    };
    let mut stores = SOURCES.map(|name| (name, store(name)));
    // In the order in which they are held, so that none is but for the first one.
    stores.sort_by_key(|(_, store)| Arc::as_ptr(store));
    let [(_, first), (lost, _), ..] = &stores;
    let held = first.hold().unwrap();
    let loses = async {
        let registry = house.registry();
        let admitted = async {
            while registry.writer.try_lock().is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let admitted = tokio::time::timeout(Duration::from_secs(30), admitted).await;
        admitted.expect("nobody changes anything");
        house.fence(&lost.replace('a', "b"));
        house.write(lost, 0, 1, 1);
        house.until(lost, "Broken").await;
        drop(held);
    };
    let (done, ()) = tokio::join!(house.with_group("a", Operation::Fracture), loses);
    let told = reason(done);
    assert!(told.starts_with(&format!("volume {lost}: ")), "{told}");
    assert!(told.contains("just been lost"), "{told}");
    for name in SOURCES {
        let is = house.mirror(name).copy_state;
        assert_eq!(is == "Synchronized", name != *lost, "{name}: {is}");
    }
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_split_leaves_all_as_they_were_or_all_split() {
    let house = House::grouped(MirrorMode::Synchronous).await;
    for (name, number) in SOURCES.into_iter().zip(1..) {
        house.write(name, 0, 4, number);
    }
    let copies = Copies::of(&house);
    house.with_group("a", Operation::Split).await.unwrap();
    for name in SOURCES {
        house.write(name, 0, 4, 9);
    }
    let mut seen = [0, 0];
    copies
        .each(2, async |house, step| {
            let is_split = house.states() == ["Split"; 4];
            seen[usize::from(is_split)] += 1;
            if !is_split {
                house.until_all("Synchronized").await;
                house.with_group("a", Operation::Split).await.unwrap();
            }
            let first = |name: &str| house.content(name)[0];
            assert_eq!(TARGETS.map(first), [1, 2, 3, 4], "step {step}");
            house
                .with_group("a", Operation::ResyncReplica)
                .await
                .unwrap();
            house.until_all("Synchronized").await;
        })
        .await;
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_failover_leaves_all_at_one_end() {
    let house = House::grouped(MirrorMode::Synchronous).await;
    let copies = Copies::of(&house);
    house.with_group("a", Operation::Failover).await.unwrap();
    house.until_all("Failedover").await;
    let mut seen = [0, 0];
    copies
        .each(2, async |house, step| {
            let catalog = house.registry().catalog();
            let over = catalog
                .mirrors()
                .filter(|it| it.rest == tidelock_catalog::MirrorRest::FailedOver);
            let over = over.count();
            assert!(over == 0 || over == 4, "step {step}: {over}");
            seen[usize::from(over == 4)] += 1;
            let shown = ["Synchronized", "Failedover"][usize::from(over == 4)];
            house.until_all(shown).await;
            let back = match over {
                0 => Operation::Failover,
                _ => Operation::Failback,
            };
            house.with_group("a", back).await.unwrap();
        })
        .await;
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

fn mirrors(from: &str, to: &str, mode: MirrorMode) -> GroupMirrorRequest {
    GroupMirrorRequest {
        group: group(from),
        target: GroupTarget::Here(group(to)),
        on_failure: OnFailure::Continue,
        mode,
        resync_limit: None,
    }
}

impl House {
    /// Four volumes with numbers, and four that may become their copies.
    async fn with_groups() -> Self {
        let house = Self::new().await;
        for ((source, target), number) in SOURCES.into_iter().zip(TARGETS).zip(1..) {
            house.add_volume(source).await;
            house.add_volume(target).await;
            house.write(source, 0, 4, number);
        }
        house.add_group("a", &SOURCES).await;
        house.add_group("b", &TARGETS).await;
        house
    }
}

#[tokio::test]
async fn a_group_is_mirrored_as_a_whole_wherever_a_crash_comes() {
    let house = House::with_groups().await;
    house.add_group("few", &SOURCES[..2]).await;
    house.add_group("few-copies", &TARGETS[..2]).await;
    let copies = Copies::of(&house);
    let request = mirrors("few", "few-copies", MirrorMode::Synchronous);
    let registry = house.registry();
    registry.create_group_mirrors(request).await.unwrap();
    let mut seen = [0, 0];
    copies
        .each(4, async |house, step| {
            let made = house.registry().mirrors().len();
            assert!(made == 0 || made == 2, "step {step}: {made}");
            assert_eq!(house.folders(), made, "step {step}");
            seen[usize::from(made == 2)] += 1;
            if made == 2 {
                for (name, number) in SOURCES[..2].iter().zip(1..) {
                    house.until(name, "Synchronized").await;
                    let target = house.mirror(name).target.volume;
                    assert_eq!(house.content(&target)[..4], [number; 4], "step {step}");
                }
            }
        })
        .await;
    assert!(seen[0] > 1 && seen[1] > 0, "{seen:?}");
    let detached = registry.detach_group_mirrors(group("few"), true).await;
    detached.unwrap();
    let request = mirrors("a", "b", ASYNCHRONOUS);
    registry.create_group_mirrors(request).await.unwrap();
    house.until_all("Synchronized").await;
    assert_eq!(house.mirror("b3").source.volume, "a3");
    assert_eq!(house.mirror("b3").groups, ["a", "b"]);
}

#[tokio::test]
async fn groups_that_can_not_be_mirrored_as_a_whole_have_no_mirror() {
    let house = House::with_groups().await;
    let registry = house.registry();
    house.add_group("three", &TARGETS[..3]).await;
    house.add_group("shared", &["a0", "b1", "b2", "b3"]).await;
    for (target, part) in [
        ("three", "4 members and the target group 3"),
        ("a", "OtherElement is LocalElement"),
        ("shared", "source and target at once"),
    ] {
        let request = mirrors("a", target, MirrorMode::Synchronous);
        let told = reason(registry.create_group_mirrors(request).await);
        assert!(told.contains(part), "{target}: {told}");
    }
    // One of them has a mirror.
    house.add_volume("c").await;
    house
        .mirror_to("a2", "c", MirrorMode::Synchronous, None)
        .await;
    let request = mirrors("a", "b", MirrorMode::Synchronous);
    let told = reason(registry.create_group_mirrors(request.clone()).await);
    assert!(told.contains("a2"), "{told}");
    assert_eq!((registry.mirrors().len(), house.folders()), (1, 1));
    registry.detach_mirror("a2".into(), true).await.unwrap();
    let stopping = GroupMirrorRequest {
        on_failure: OnFailure::Halt,
        ..mirrors("a", "b", ASYNCHRONOUS)
    };
    let told = reason(registry.create_group_mirrors(stopping).await);
    assert!(told.contains("--on-failure continue"), "{told}");
    assert_eq!((registry.mirrors().len(), house.folders()), (0, 0));
    registry.create_group_mirrors(request).await.unwrap();
    house.until_all("Synchronized").await;
}
