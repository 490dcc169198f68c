//! The source gets what the copy at a peer has, asked for at either daemon, and whichever of them ends meanwhile.

use tidelock_catalog::{Command, MirrorRest, MirrorSide};

use super::*;

const RESTORE: Operation = Operation::RestoreFromReplica;

/// Both rest in this state, and hosts use the source.
async fn rests(a: &Daemon, b: &Daemon, copy_state: &str) {
    for (daemon, name) in [(a, "a"), (b, "copy")] {
        let done = |it: &tidelock_admin::v1::Mirror| {
            it.copy_state == copy_state && it.progress_status == "Completed"
        };
        daemon.house.wait(name, done).await;
    }
    a.until_used("a").await;
    assert!(b.keeps_hosts_away("copy"));
}

/// The source was written since nothing is sent.
async fn apart(hold: Operation) -> (Daemon, Daemon) {
    let (a, b) = mirrored().await;
    a.operate("a", hold).await.unwrap();
    let shown = if hold == Operation::Split {
        "Split"
    } else {
        "Fractured"
    };
    rests(&a, &b, shown).await;
    a.house.write("a", 0, 4, 2);
    (a, b)
}

fn kept(a: &Daemon) -> Vec<String> {
    a.house.names("a")
}

#[tokio::test]
async fn the_source_gets_what_the_copy_has_asked_at_either_side_and_the_copy_never_serves() {
    for (at_source, hold, shown, mode) in [
        (
            true,
            Operation::Fracture,
            "Fractured",
            MirrorMode::Synchronous,
        ),
        (false, Operation::Split, "Split", MirrorMode::Synchronous),
        (
            true,
            Operation::Split,
            "Split",
            MirrorMode::Asynchronous { rpo_ms: 200 },
        ),
    ] {
        let (mut a, mut b) = pair().await;
        a.mode = mode;
        a.create("a", "copy").await.unwrap();
        in_step(&a, &b).await;
        a.operate("a", hold).await.unwrap();
        rests(&a, &b, shown).await;
        a.house.write("a", 0, 4, 2);
        match at_source {
            true => a.operate("a", RESTORE).await.unwrap(),
            false => b.operate("copy", RESTORE).await.unwrap(),
        }
        a.house.wait("a", |_| kept(&a).len() == 1).await;
        rests(&a, &b, shown).await;
        assert_eq!(a.house.content("a"), [1; BLOCKS]);
        assert!(kept(&a)[0].starts_with("before-restore-"));
        for restarted in [false, true] {
            if restarted {
                a.stop().await;
                a.start(&b).await;
                b.stop().await;
                b.start(&a).await;
                rests(&a, &b, shown).await;
            }
            a.house.write("a", 9, 2, 3 + u8::from(restarted));
            assert_eq!(b.house.content("copy"), [1; BLOCKS]);
        }
        a.operate("a", Operation::ResyncReplica).await.unwrap();
        in_step(&a, &b).await;
        if mode == MirrorMode::Synchronous {
            assert_eq!(b.house.content("copy"), a.house.content("a"));
            assert_eq!(
                a.house.content("a")[..11],
                [1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 4]
            );
        }
    }
}

#[tokio::test]
async fn a_restore_needs_both_daemons_and_goes_on_whichever_was_away() {
    let (mut a, mut b) = apart(Operation::Fracture).await;
    b.stop().await;
    a.house.wait("a", |it| !it.target.problem.is_empty()).await;
    let lost = async {
        while a.peers().show(&peer("b")).unwrap().state == PeerState::Connected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), lost).await;
    waited.expect("the peer is there");
    let refused = a.operate("a", RESTORE).await.unwrap_err().to_string();
    assert!(refused.contains("peer b doesn't answer"), "{refused}");
    assert_eq!(a.house.content("a")[0], 2);
    assert_eq!(a.seen("a"), Shown::ActiveOptimized);
    // What was wanted was durable when the source's daemon was killed.
    let words = Command::SetMirror {
        mirror: a.house.registry().catalog().mirrors().next().unwrap().id,
        source: MirrorSide::First,
        rest: MirrorRest::RestoringFractured,
    };
    a.house.registry().apply(words).await.unwrap();
    a.stop().await;
    a.house.open().await;
    a.listen();
    let shown = a.house.until("a", "Broken").await;
    assert_eq!(shown.serving, None);
    assert!(
        shown.detail.contains("being restored from b:copy"),
        "{shown:?}"
    );
    assert_eq!(
        shown.next.unwrap().command,
        "tidelock mirror detach a --force"
    );
    assert_eq!(a.seen("a"), Shown::Transitioning);
    b.start(&a).await;
    let moved = b.peers().set_address(peer("a"), a.address());
    moved.await.unwrap();
    rests(&a, &b, "Fractured").await;
    assert_eq!(a.house.content("a"), [1; BLOCKS]);
    assert_eq!(kept(&a).len(), 1);
}

#[tokio::test]
async fn a_daemon_that_ends_in_the_middle_goes_on_with_the_restore() {
    for (round, ends_source) in [true, false, true, false].into_iter().enumerate() {
        let (mut a, mut b) = mirrored().await;
        a.house.write("a", 0, BLOCKS as u64, 5);
        a.operate("a", Operation::Fracture).await.unwrap();
        rests(&a, &b, "Fractured").await;
        a.house.write("a", 0, BLOCKS as u64, 2);
        a.operate("a", RESTORE).await.unwrap();
        if round > 1 {
            // It may be anywhere by now.
            tokio::task::yield_now().await;
        }
        match ends_source {
            true => {
                a.stop().await;
                a.start(&b).await;
            }
            false => {
                b.stop().await;
                b.start(&a).await;
            }
        }
        rests(&a, &b, "Fractured").await;
        assert_eq!(a.house.content("a"), [5; BLOCKS]);
        assert_eq!(b.house.content("copy"), [5; BLOCKS]);
        assert!(!kept(&a).is_empty());
        a.house.write("a", 1, 1, 7);
        b.operate("copy", Operation::ResyncReplica).await.unwrap();
        in_step(&a, &b).await;
        assert_eq!(b.house.content("copy"), a.house.content("a"));
    }
}

#[tokio::test]
async fn a_restore_without_its_peer_is_ended_with_the_mirror() {
    let (mut a, mut b) = apart(Operation::Split).await;
    b.stop().await;
    let before = a.house.content("a");
    let words = Command::SetMirror {
        mirror: a.house.registry().catalog().mirrors().next().unwrap().id,
        source: MirrorSide::First,
        rest: MirrorRest::RestoringSplit,
    };
    a.house.registry().apply(words).await.unwrap();
    a.stop().await;
    a.house.open().await;
    a.listen();
    a.house.until("a", "Broken").await;
    a.detach("a", true).await.unwrap();
    assert!(a.has_no_mirror());
    a.until_used("a").await;
    assert_eq!(a.house.content("a"), before);
    a.house.write("a", 1, 1, 9);
}

#[tokio::test]
async fn a_copy_that_is_the_source_or_that_is_not_known_to_be_held_gives_nothing() {
    let (a, b) = mirrored().await;
    let id = b.house.mirror("copy").id;
    let catalog = b.house.registry().catalog();
    let known = catalog.peer(&peer("a")).unwrap().clone();
    let asked = async |daemon: &Daemon, who: &Peer, split: bool| {
        let ends = MirrorEnds::of(daemon.house.registry());
        let what = json!({"restore": {"mirror": id, "split": split}});
        let answer = ends.asked(who, what).await.unwrap();
        assert_eq!(answer["is_source"], false);
        answer["never"].as_str().unwrap().to_owned()
    };
    let error = asked(&b, &known, false).await;
    assert!(
        error.contains("isn't known here to be fractured"),
        "{error}"
    );
    let catalog = a.house.registry().catalog();
    let other = catalog.peer(&peer("b")).unwrap().clone();
    let error = asked(&a, &other, true).await;
    assert!(error.contains("isn't the target"), "{error}");
    in_step(&a, &b).await;
    a.until_used("a").await;
    assert!(b.keeps_hosts_away("copy"));
}
