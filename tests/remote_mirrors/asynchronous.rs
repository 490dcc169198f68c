//! Asynchronous mirrors between two whole daemons under a writer that numbers every block it writes: whatever is killed, and
//! whatever becomes of the link, the target is what the source was after some write, never a gap.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::Value;

use super::{BLOCKS, PATIENCE, Two, host, is_elsewhere, show, until, until_state};
use crate::harness::daemon::Daemon;
use crate::harness::initiator::{Initiator, cdb16};
use crate::harness::wait_until;

/// Blocks of 4 KiB that are written in turn.
const PLACES: u64 = 64;

/// Writes ever higher numbers, one after the other, each to the next place, until it is told to stop or the daemon is gone.
/// What was acknowledged is in `last`.
fn number_on(mut initiator: Initiator, last: &AtomicU64, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let number = last.load(Ordering::SeqCst) + 1;
        let data = number.to_be_bytes().repeat(512);
        let cdb = cdb16(0x8a, 8 * (number % PLACES), BLOCKS, false);
        let pdu = initiator.command(0, &cdb, 0x20, 4096).with_data(&data);
        let sent = initiator.send(&pdu);
        match sent.and_then(|()| initiator.finish(pdu.get(16), &data)) {
            Ok(answer) => {
                answer.assert_good();
            }
            Err(_) => return,
        }
        last.store(number, Ordering::SeqCst);
    }
}

fn numbering<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    two: &Two,
    last: &'scope AtomicU64,
    stop: &'scope AtomicBool,
) -> thread::ScopedJoinHandle<'scope, ()> {
    let initiator = host(&two.a);
    scope.spawn(|| number_on(initiator, last, stop))
}

/// The number of the last write that is there; all before it are, and none behind it.
fn last_of_prefix(daemon: &Daemon) -> u64 {
    let mut initiator = host(daemon);
    let read = |place| initiator.read(0, 8 * place, BLOCKS).data;
    let found: Vec<Vec<u8>> = (0..PLACES).map(read).collect();
    let number = |data: &Vec<u8>| u64::from_be_bytes(data[..8].try_into().unwrap());
    let last = found.iter().map(number).max().unwrap();
    for (place, data) in (0..PLACES).zip(&found) {
        let back = (last + PLACES - place) % PLACES;
        // Of places that weren't written yet, what the volume began with.
        if let Some(expected) = last.checked_sub(back).filter(|it| *it > 0) {
            assert_eq!(
                *data,
                expected.to_be_bytes().repeat(512),
                "place {place} of {last}"
            );
        }
    }
    last
}

fn lag(mirror: &Value) -> &Value {
    &mirror["asynchronous"]
}

/// Waits until the target has all that its source has, and both daemons say so.
fn caught_up(source: (&Daemon, &str), target: (&Daemon, &str)) {
    for (daemon, volume) in [source, target] {
        until(daemon, volume, "caught up", |it| {
            lag(it)["lag_bytes"] == 0 && lag(it)["cut_at"].is_string()
        });
    }
}

/// Until so many more writes were acknowledged.
fn until_written(last: &AtomicU64, more: u64) {
    let from = last.load(Ordering::SeqCst);
    wait_until("hosts go on", PATIENCE, || {
        last.load(Ordering::SeqCst) >= from + more
    });
}

/// All places are written, and the target has that.
fn begin() -> (Two, AtomicU64) {
    let two = Two::made("", &["--mode", "async", "--rpo", "1s"]);
    let last = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        numbering(scope, &two, &last, &stop);
        until_written(&last, 2 * PLACES);
        stop.store(true, Ordering::SeqCst);
    });
    caught_up((&two.a, "vol"), (&two.b, "copy"));
    (two, last)
}

/// At the end nothing is left to be copied, and every byte is the same.
fn compare(two: &Two) {
    two.a.run(&["mirror", "reset-to-sync", "vol"]);
    two.until_synchronized();
    for (daemon, name) in [(&two.a, "vol"), (&two.b, "copy")] {
        until(daemon, name, "in step", |it| it["percent_synced"] == 100);
    }
    two.compare();
}

#[test]
fn a_target_that_takes_over_from_a_dead_source_is_a_prefix_and_one_that_was_dead_comes_back() {
    let (mut two, last) = begin();
    let never = AtomicBool::new(false);
    for round in 0..2 {
        let before = last.load(Ordering::SeqCst);
        two = thread::scope(|scope| {
            let writing = numbering(scope, &two, &last, &never);
            // The target is killed while it may be receiving: no host is held up, and it comes back.
            until_written(&last, 40 + 30 * round);
            two.b.kill();
            until_written(&last, 100);
            let Two { a, b, ways } = two;
            two = Two {
                a,
                b: b.restart(),
                ways,
            };
            two.mend();
            until(&two.b, "copy", "following", |it| {
                lag(it)["cut_at"].is_string()
            });
            until_written(&last, 20);
            two.a.kill();
            writing.join().unwrap();
            two
        });
        until(&two.b, "copy", "told what is lost at most", |it| {
            let detail = it["detail"].as_str();
            detail.is_some_and(|it| it.contains("lacks at most"))
                && it["next"]["command"] == "tidelock mirror failover copy --force"
        });
        let refused = two.b.refused(&["mirror", "failover", "copy", "-y"]);
        assert!(refused.contains("--force"), "{refused}");
        two.b.run(&["mirror", "failover", "copy", "--force", "-y"]);
        let acknowledged = last.load(Ordering::SeqCst);
        let found = last_of_prefix(&two.b);
        assert!(
            (before..=acknowledged + 1).contains(&found),
            "{before} {found} {acknowledged}"
        );
        // The old source has what the target never got: an operator drops it.
        let Two { a, b, ways } = two;
        two = Two {
            a: a.restart(),
            b,
            ways,
        };
        two.mend();
        until(&two.a, "vol", "split", |it| {
            it["detail"]
                .as_str()
                .is_some_and(|it| it.contains("split brain"))
        });
        wait_until("hosts are kept away from it", PATIENCE, || {
            is_elsewhere(&two.a)
        });
        two.a
            .run(&["mirror", "resync", "vol", "--discard", "vol", "-y"]);
        until_state(&two.a, "vol", "Failedover");
        caught_up((&two.b, "copy"), (&two.a, "vol"));
        two.a.run(&["mirror", "failback", "vol"]);
        two.until_synchronized();
        assert_eq!(
            last_of_prefix(&two.a),
            found,
            "nothing is lost by what is planned"
        );
        last.store(found, Ordering::SeqCst);
    }
    caught_up((&two.a, "vol"), (&two.b, "copy"));
    compare(&two);
}

#[test]
fn a_link_that_is_cut_or_slow_holds_up_no_host_and_the_target_follows_again() {
    let (two, last) = begin();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writing = numbering(scope, &two, &last, &stop);
        two.cut();
        until_state(&two.a, "vol", "Broken");
        until_written(&last, 200);
        let missed = until(&two.a, "vol", "too far behind", |it| {
            lag(it)["rpo_kept"] == false
        });
        assert!(lag(&missed)["lag_bytes"].as_u64().unwrap() > 0);
        let away = show(&two.b, "copy");
        assert!(lag(&away)["lag_ms"].as_u64().unwrap() > 0, "{away}");
        let before = lag(&away)["cut_at"].clone();
        // A third of a megabyte a second: a cut of a region or two takes a second and more.
        two.set_slow(true);
        two.mend();
        until(&two.b, "copy", "following", |it| {
            lag(it)["cut_at"] != before && it["copy_state"] == "Synchronized"
        });
        until_written(&last, 200);
        two.set_slow(false);
        let kept = |it: &Value| lag(it)["rpo_kept"] == true && it["copy_state"] == "Synchronized";
        until(&two.a, "vol", "near again", kept);
        stop.store(true, Ordering::SeqCst);
        writing.join().unwrap();
    });
    // What is planned loses nothing, whatever the target lacks.
    two.b.run(&["mirror", "failover", "copy", "-y"]);
    assert_eq!(last_of_prefix(&two.b), last.load(Ordering::SeqCst));
    assert!(is_elsewhere(&two.a));
    two.b.run(&["mirror", "failback", "copy"]);
    two.until_synchronized();
    // One that takes over while the link is cut has a cut.
    two.a.run(&["mirror", "set", "vol", "--rpo", "1h"]);
    let acknowledged = last.load(Ordering::SeqCst);
    stop.store(false, Ordering::SeqCst);
    thread::scope(|scope| {
        let writing = numbering(scope, &two, &last, &stop);
        until_written(&last, 30);
        two.cut();
        until_state(&two.b, "copy", "Broken");
        two.b.run(&["mirror", "failover", "copy", "--force", "-y"]);
        let found = last_of_prefix(&two.b);
        assert!((acknowledged..=last.load(Ordering::SeqCst)).contains(&found));
        stop.store(true, Ordering::SeqCst);
        writing.join().unwrap();
    });
    two.mend();
    let split = |it: &Value| {
        it["detail"]
            .as_str()
            .is_some_and(|it| it.contains("split brain"))
    };
    until(&two.b, "copy", "split", split);
    // This time what the target had is dropped.
    two.b
        .run(&["mirror", "resync", "copy", "--discard", "copy", "-y"]);
    two.until_synchronized();
    assert_eq!(last_of_prefix(&two.a), last.load(Ordering::SeqCst));
    two.b.run(&["mirror", "set", "copy", "--rpo", "1s"]);
    caught_up((&two.a, "vol"), (&two.b, "copy"));
    compare(&two);
}
