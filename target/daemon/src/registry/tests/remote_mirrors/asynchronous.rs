//! Asynchronous mirrors between two daemons: what is asked of them at either, and that nothing is lost by what is planned.

use tidelock_admin::v1;

use super::*;

const MODE: MirrorMode = MirrorMode::Asynchronous { rpo_ms: 200 };

/// Two daemons, and b has a copy of a's volume that follows it.
pub(super) async fn following() -> (Daemon, Daemon) {
    let (mut a, b) = pair().await;
    a.mode = MODE;
    a.create("a", "copy").await.unwrap();
    in_step(&a, &b).await;
    (a, b)
}

fn lag(mirror: &v1::Mirror) -> &v1::MirrorLag {
    mirror.asynchronous.as_ref().unwrap()
}

/// Waits until both daemons say that the target has all, and it has.
async fn caught_up(a: &Daemon, b: &Daemon) {
    caught_up_from(a, "a", b, "copy").await;
}

impl House {
    /// The same as `wait`, for what nothing tells of.
    pub(super) async fn wait_often(
        &self,
        name: &str,
        is_so: impl Fn(&v1::Mirror) -> bool,
    ) -> v1::Mirror {
        for _ in 0..6_000 {
            let mirror = self.mirror(name);
            if is_so(&mirror) {
                return mirror;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it isn't so: {:#?}", self.mirror(name));
    }
}

#[tokio::test]
async fn the_target_follows_and_changes_of_roles_lose_nothing_at_either_daemon() {
    let (a, b) = following().await;
    assert_eq!(b.house.mirror("copy").mode, v1::MirrorMode::Asynchronous);
    a.house.write("a", 3, 2, 7);
    caught_up(&a, &b).await;
    // By turns, and asked for at both.
    for number in 0..4_u8 {
        let (asked, name) = if number % 2 == 0 {
            (&a, "a")
        } else {
            (&b, "copy")
        };
        a.house.write("a", 9, 1, 10 + number);
        asked.operate(name, Operation::Failover).await.unwrap();
        b.until_used("copy").await;
        a.house.until("a", "Failedover").await;
        b.house.until("copy", "Failedover").await;
        assert_eq!(b.house.content("copy")[9], 10 + number, "nothing is lost");
        b.house.write("copy", 10, 1, 20 + number);
        asked.operate(name, Operation::Failback).await.unwrap();
        a.until_used("a").await;
        // Each of them has seen that hosts don't wait for it any more.
        caught_up(&a, &b).await;
        in_step(&a, &b).await;
        assert_eq!(a.house.content("a")[9..11], [10 + number, 20 + number]);
    }
    a.house.write("a", 11, 1, 40);
    caught_up(&a, &b).await;
    b.operate("copy", Operation::ReverseRoles).await.unwrap();
    b.until_used("copy").await;
    let reversed = a.house.wait("a", |it| it.source.volume == "b:copy").await;
    assert_eq!(reversed.mode, v1::MirrorMode::Asynchronous);
    b.house.until("copy", "Synchronized").await;
    b.house.write("copy", 12, 1, 41);
    caught_up_from(&b, "copy", &a, "a").await;
    assert_eq!(a.house.content("a")[12], 41);
    a.operate("a", Operation::ReverseRoles).await.unwrap();
    a.until_used("a").await;
    in_step(&a, &b).await;
    caught_up(&a, &b).await;
}

#[tokio::test]
async fn what_is_held_lags_and_the_rpo_and_the_mode_are_changed_at_either_daemon() {
    let (a, mut b) = following().await;
    for (hold, release) in [
        (Operation::Suspend, Operation::Resume),
        (Operation::Fracture, Operation::ResyncReplica),
        (Operation::Split, Operation::ResyncReplica),
    ] {
        b.operate("copy", hold).await.unwrap();
        a.house.write("a", 4, 1, 8);
        let shown = a.house.wait("a", |it| !lag(it).rpo_kept).await;
        assert_ne!(lag(&shown).lag_bytes, Some(0));
        a.operate("a", release).await.unwrap();
        in_step(&a, &b).await;
        a.house.wait("a", |it| lag(it).rpo_kept).await;
        caught_up(&a, &b).await;
    }
    let registry = b.house.registry();
    registry.set_mirror_rpo("copy".into(), 400).await.unwrap();
    for (daemon, name) in [(&a, "a"), (&b, "copy")] {
        assert_eq!(lag(&daemon.house.mirror(name)).rpo_ms, 400);
    }
    let refused = registry.set_mirror_rpo("copy".into(), 50).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("a tenth of a second")
    );
    b.operate("copy", Operation::ResetToSync).await.unwrap();
    in_step(&a, &b).await;
    for (daemon, name) in [(&a, "a"), (&b, "copy")] {
        let shown = daemon
            .house
            .wait(name, |it| it.percent_synced == Some(100))
            .await;
        assert_eq!(shown.mode, v1::MirrorMode::Synchronous);
    }
    a.house.write("a", 5, 1, 9);
    assert_eq!(b.house.content("copy")[5], 9);
    let refused = a.house.registry().set_mirror_rpo("a".into(), 400).await;
    assert!(refused.unwrap_err().to_string().contains("reset-to-async"));
    a.operate("a", Operation::ResetToAsync).await.unwrap();
    for (daemon, name) in [(&a, "a"), (&b, "copy")] {
        // The other daemon is told, but not waited for.
        let is_asynchronous = |it: &v1::Mirror| it.asynchronous.is_some();
        let shown = daemon.house.wait_often(name, is_asynchronous).await;
        assert_eq!(lag(&shown).rpo_ms, 5_000);
    }
    // It is so after a restart as well, and goes on.
    a.house
        .registry()
        .set_mirror_rpo("a".into(), 200)
        .await
        .unwrap();
    b.stop().await;
    a.house.write("a", 6, 1, 10);
    a.house.until("a", "Broken").await;
    a.house.wait("a", |it| !lag(it).rpo_kept).await;
    b.start(&a).await;
    in_step(&a, &b).await;
    caught_up(&a, &b).await;
    assert_eq!(lag(&b.house.mirror("copy")).rpo_ms, 200);
}

#[tokio::test]
async fn a_target_whose_source_is_gone_takes_over_with_its_cut_and_says_what_is_lost_at_most() {
    let (mut a, b) = following().await;
    a.house.write("a", 1, 1, 5);
    caught_up(&a, &b).await;
    // No cut is made of this.
    let registry = a.house.registry();
    registry.set_mirror_rpo("a".into(), 600_000).await.unwrap();
    a.house.write("a", 2, 1, 6);
    a.stop().await;
    let away = b
        .house
        .wait("copy", |it| it.detail.contains("lacks at most"))
        .await;
    assert!(lag(&away).lag_bytes.is_none() && lag(&away).cut_at.is_some());
    let refused = b.operate("copy", Operation::Failover).await.unwrap_err();
    assert!(refused.to_string().contains("--force"), "{refused}");
    b.force("copy", Operation::Failover).await.unwrap();
    b.until_used("copy").await;
    assert_eq!(b.house.content("copy")[1..3], [5, 1]);
    b.house.write("copy", 3, 1, 7);
    a.start(&b).await;
    let split = |it: &v1::Mirror| it.detail.contains("split brain");
    a.house.wait("a", split).await;
    assert!(a.keeps_hosts_away("a"));
    let dropping = a.change("a", Operation::ResyncReplica, Some("a"));
    dropping.await.unwrap();
    let registry = b.house.registry();
    registry.set_mirror_rpo("copy".into(), 200).await.unwrap();
    let has = |it: &v1::Mirror| it.copy_state == "Failedover" && lag(it).lag_bytes == Some(0);
    a.house.wait_often("a", has).await;
    caught_up_from(&b, "copy", &a, "a").await;
    assert_eq!(a.house.content("a")[1..4], [5, 1, 7]);
    b.operate("copy", Operation::Failback).await.unwrap();
    in_step(&a, &b).await;
    caught_up(&a, &b).await;
}

async fn caught_up_from(source: &Daemon, name: &str, target: &Daemon, copy: &str) {
    let has_all = |it: &v1::Mirror| lag(it).lag_bytes == Some(0) && lag(it).cut_at.is_some();
    source.house.wait_often(name, has_all).await;
    target.house.wait_often(copy, has_all).await;
    assert_eq!(source.house.content(name), target.house.content(copy));
}

#[tokio::test]
async fn hosts_are_not_stopped_for_a_target_that_they_do_not_wait_for() {
    let (a, b) = pair().await;
    let request = RemoteMirrorRequest {
        resync_limit: None,
        compression: tidelock_catalog::MirrorCompression::None,
        source: volume("a"),
        peer: peer("b"),
        target: volume("copy"),
        on_failure: OnFailure::Halt,
        failover: MirrorFailover::Manual,
        mode: MODE,
    };
    let refused = a.house.registry().create_remote_mirror(request).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("--on-failure continue"), "{refused}");
    assert!(a.has_no_mirror() && b.has_no_mirror());
}
