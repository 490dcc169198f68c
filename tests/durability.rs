//! What an answer promises to be durable has been made durable by the disk when the answer comes: its flushes are counted.

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::disk::Disk;
use crate::harness::initiator::{Initiator, LoginAs};

const SESSIONS: u64 = 4;
const ROUNDS: u64 = 25;

/// One session's writes, each with the promise that it asks for.
fn write_and_count(initiator: &mut Initiator, disk: &Disk, session: u64, alone: bool) {
    for round in 0..ROUNDS {
        let lba = (session * ROUNDS + round) * 8;
        let data = [u8::try_from(round).unwrap(); 4_096];
        let before = disk.flushes();
        initiator.write(0, lba, &data, true).assert_good();
        assert!(disk.flushes() > before, "FUA, round {round}");
        let mut before = disk.flushes();
        initiator.write(0, lba, &data, false).assert_good();
        // A flush of another session may have covered it before it is asked for one.
        if alone {
            before = disk.flushes();
        }
        initiator.flush(0).assert_good();
        assert!(disk.flushes() > before, "SYNCHRONIZE CACHE, round {round}");
    }
}

fn each_promise_is_a_flush_of_the_disk(engine: &str, cache: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path(), "32m");
    let daemon = Daemon::start_with(&format!("engine = \"{engine}\""), &[]);
    let create = ["volume", "create", "vol", "--file", disk.device()];
    daemon.run(&[&create, cache].concat());
    daemon.run(&["target", "create", TARGET]);
    daemon.run(&["lun", "map", TARGET, "vol"]);
    daemon.run(&["acl", "allow", TARGET, "*"]);
    // Without a promise there is none: so the counter counts what it is to count.
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let before = disk.flushes();
    for lba in 0..ROUNDS {
        initiator.write(0, lba, &[1; 512], false).assert_good();
    }
    assert_eq!(disk.flushes(), before, "nobody asked for a flush");
    write_and_count(&mut initiator, &disk, SESSIONS, true);
    std::thread::scope(|scope| {
        for session in 0..SESSIONS {
            let who = LoginAs {
                isid: u8::try_from(session).unwrap() + 2,
                ..LoginAs::default()
            };
            let mut initiator = Initiator::log_in_as(daemon.portal, &who).unwrap();
            let disk = &disk;
            scope.spawn(move || {
                initiator.settle(0);
                write_and_count(&mut initiator, disk, session, false);
            });
        }
    });
}

#[test]
fn what_is_promised_is_durable_when_it_is_answered_by_the_ring() {
    each_promise_is_a_flush_of_the_disk("io-uring", &[]);
}

#[test]
fn what_is_promised_past_the_page_cache_is_durable_when_it_is_answered_by_the_ring() {
    each_promise_is_a_flush_of_the_disk("io-uring", &["--direct"]);
}

#[test]
fn what_is_promised_is_durable_when_it_is_answered_by_threads() {
    each_promise_is_a_flush_of_the_disk("threads", &[]);
}

#[test]
fn what_is_promised_past_the_page_cache_is_durable_when_it_is_answered_by_threads() {
    each_promise_is_a_flush_of_the_disk("threads", &["--direct"]);
}
