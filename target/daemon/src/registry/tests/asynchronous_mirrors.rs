//! Asynchronous mirrors of two volumes: hosts don't wait, the target follows, and what is asked of a mirror is done.

use tidelock_admin::v1;
use tidelock_capabilities::values::Operation;
use tidelock_catalog::{MirrorMode, OnFailure};

use super::*;
use crate::registry::{MirrorChange, MirrorRequest};

const MODE: MirrorMode = MirrorMode::Asynchronous { rpo_ms: 200 };

fn request(mode: MirrorMode, on_failure: OnFailure) -> MirrorRequest {
    MirrorRequest {
        resync_limit: None,
        source: volume("a"),
        target: volume("b"),
        on_failure,
        mode,
    }
}

fn lag(mirror: &v1::Mirror) -> &v1::MirrorLag {
    mirror.asynchronous.as_ref().unwrap()
}

impl House {
    async fn asynchronous() -> Self {
        let house = Self::with_two().await;
        let wanted = request(MODE, OnFailure::Continue);
        house.registry().create_mirror(wanted).await.unwrap();
        house.until("a", "Synchronized").await;
        house
    }

    async fn ask(&self, operation: Operation) {
        let change = MirrorChange {
            mirror: "a".to_owned(),
            operation,
            force: false,
            discard: None,
        };
        self.registry().modify_mirror(change).await.unwrap();
    }

    /// Waits until the target has all of what was written.
    async fn until_caught_up(&self) {
        // Nothing tells of each cut.
        for _ in 0..6_000 {
            let mirror = self.mirror("a");
            let has_all = lag(&mirror).lag_bytes == Some(0) && lag(&mirror).cut_at.is_some();
            if has_all && self.content("a") == self.content("b") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("still behind: {:#?}", self.mirror("a"));
    }
}

#[tokio::test]
async fn a_target_follows_and_takes_over_without_loss_if_that_is_planned() {
    let mut house = House::asynchronous().await;
    house.write("a", 3, 2, 7);
    house.until_caught_up().await;
    assert_eq!(house.mirror("a").mode, v1::MirrorMode::Asynchronous);
    for number in 0..4 {
        house.write("a", 9, 1, 10 + number);
        house.ask(Operation::Failover).await;
        house.until("a", "Failedover").await;
        assert_eq!(house.content("b")[9], 10 + number, "nothing is lost");
        assert!(house.is_protected("a") && !house.is_protected("b"));
        house.write("b", 10, 1, 20 + number);
        house.until_caught_up().await;
        house.write("b", 11, 1, 30 + number);
        house.ask(Operation::Failback).await;
        house.until("a", "Synchronized").await;
        assert_eq!(
            house.content("a")[9..12],
            [10 + number, 20 + number, 30 + number]
        );
        assert!(!house.is_protected("a") && house.is_protected("b"));
    }
    house.until_caught_up().await;
    house.reopen().await;
    assert_eq!(house.mirror("a").mode, v1::MirrorMode::Asynchronous);
    house.write("a", 12, 1, 9);
    house.until("a", "Synchronized").await;
    house.until_caught_up().await;
}

#[tokio::test]
async fn what_is_held_lags_and_what_is_detached_is_one_moment_and_nothing_stays_behind() {
    let house = House::asynchronous().await;
    house.ask(Operation::Suspend).await;
    house.write("a", 4, 1, 8);
    let shown = house.wait("a", |it| !lag(it).rpo_kept).await;
    assert_eq!(lag(&shown).lag_bytes, Some(4096));
    assert_eq!(house.content("b")[4], 1);
    house.ask(Operation::Resume).await;
    house.until("a", "Synchronized").await;
    house.until_caught_up().await;
    house.wait("a", |it| lag(it).rpo_kept).await;
    for number in 0..20 {
        house.write("a", number, 1, 50);
    }
    let registry = house.registry();
    registry.detach_mirror("a".into(), false).await.unwrap();
    let copied = house.content("b").iter().filter(|it| **it == 50).count();
    assert!(
        house.content("b")[..copied].iter().all(|it| *it == 50),
        "a prefix"
    );
    assert_eq!((house.datasets("a"), house.datasets("b")), (1, 1));
}

#[tokio::test]
async fn hosts_wait_for_both_or_for_the_source_alone_as_it_is_asked_for() {
    let mut house = House::asynchronous().await;
    house.ask(Operation::ResetToSync).await;
    house.wait("a", |it| it.percent_synced == Some(100)).await;
    house.until("a", "Synchronized").await;
    assert_eq!(house.mirror("a").mode, v1::MirrorMode::Synchronous);
    house.write("a", 1, 1, 5);
    assert_eq!(house.content("b")[1], 5);
    house.reopen().await;
    house.until("a", "Synchronized").await;
    house.ask(Operation::ResetToAsync).await;
    house.write("a", 2, 1, 6);
    house.until_caught_up().await;
    assert_eq!(lag(&house.mirror("a")).rpo_ms, 5_000);
}

#[tokio::test]
async fn hosts_are_not_stopped_for_a_target_that_they_do_not_wait_for() {
    let house = House::with_two().await;
    let wanted = request(MODE, OnFailure::Halt);
    let refused = house.registry().create_mirror(wanted).await.unwrap_err();
    assert!(
        refused.to_string().contains("--on-failure continue"),
        "{refused}"
    );
    assert!(house.registry().mirrors().is_empty());
    assert_eq!(house.folders(), 0);
}
