//! Mirrors through the whole program: two volumes of one daemon that hosts see, and kill -9 while they write.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Initiator, cdb16};
use crate::harness::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);
const WRITE_PROTECTED: (u8, u8, u8) = (7, 0x27, 0);
const MODE_PARAMETERS_CHANGED: (u8, u8, u8) = (6, 0x2a, 1);
/// 512-byte blocks of 4 KiB.
const BLOCKS: u32 = 8;

/// LUN 0 is `vol`, and LUN 1 its copy.
fn mirrored() -> Daemon {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["volume", "create", "copy", "--size", "8M"]);
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.write(0, 0, &[1; 4096], false).assert_good();
    drop(initiator);
    let said = daemon.run(&["mirror", "create", "vol", "copy", "--wait"]);
    assert!(
        said.contains("Synchronized (Completed); hosts use vol"),
        "{said}"
    );
    daemon.run(&["lun", "map", TARGET, "copy", "--lun", "1"]);
    daemon
}

fn until_synchronized(daemon: &Daemon) {
    wait_until("the mirror is synchronized", PATIENCE, || {
        daemon.json(&["mirror", "show", "vol"])["copy_state"] == "Synchronized"
    });
}

fn damaged(daemon: &Daemon) -> u64 {
    let job = daemon.json(&["mirror", "verify", "vol"]);
    assert_eq!(job["report"]["checked_bytes"], 8 << 20, "{job}");
    job["report"]["damaged"].as_u64().unwrap()
}

#[test]
fn hosts_write_one_of_two_equal_volumes_and_change_over_to_the_other_one() {
    let daemon = mirrored();
    let mut initiator = Initiator::log_in(daemon.portal);
    for lun in [0, 1] {
        initiator.settle(lun);
        assert_eq!(initiator.read(lun, 0, BLOCKS).data, [1; 4096], "LUN {lun}");
    }
    initiator.write(0, 8, &[2; 4096], false).assert_good();
    assert_eq!(initiator.read(1, 8, BLOCKS).data, [2; 4096]);
    let refused = initiator.write(1, 8, &[9; 4096], false);
    assert_eq!(refused.sense_code(), WRITE_PROTECTED);

    daemon.run(&["mirror", "failover", "vol"]);
    for lun in [0, 1] {
        let told = initiator.read(lun, 0, BLOCKS).sense_code();
        assert_eq!(told, MODE_PARAMETERS_CHANGED, "LUN {lun}");
    }
    let refused = initiator.write(0, 16, &[9; 4096], false);
    assert_eq!(refused.sense_code(), WRITE_PROTECTED);
    initiator.write(1, 16, &[3; 4096], true).assert_good();
    assert_eq!(initiator.read(0, 16, BLOCKS).data, [3; 4096]);
    let shown = daemon.run(&["mirror", "show", "copy"]);
    for part in ["Failedover", "hosts use", "tidelock mirror failback vol"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    daemon.run(&["mirror", "failback", "vol"]);
    until_synchronized(&daemon);
    for lun in [0, 1] {
        initiator.settle(lun);
    }
    initiator.write(0, 24, &[4; 4096], true).assert_good();
    assert_eq!(initiator.read(1, 24, BLOCKS).data, [4; 4096]);

    daemon.run(&["mirror", "suspend", "vol"]);
    initiator.write(0, 32, &[5; 4096], true).assert_good();
    assert_eq!(initiator.read(1, 32, BLOCKS).data, [0; 4096]);
    let list = daemon.run(&["mirror", "list"]);
    assert!(
        list.contains("Suspended") && list.contains("Dormant"),
        "{list}"
    );
    let refused = daemon.refused(&["volume", "delete", "copy", "--yes"]);
    assert!(refused.contains("mirror detach"), "{refused}");
    let refused = daemon.refused(&["mirror", "verify", "vol"]);
    assert!(refused.contains("Suspended"), "{refused}");
    daemon.run(&["mirror", "resume", "vol"]);
    let watched = daemon.run(&["mirror", "watch", "vol"]);
    assert!(watched.contains("Synchronized"), "{watched}");
    assert_eq!(damaged(&daemon), 0);

    daemon.run(&["mirror", "detach", "vol"]);
    assert_eq!(
        initiator.read(1, 0, 1).sense_code(),
        MODE_PARAMETERS_CHANGED
    );
    initiator.write(1, 0, &[6; 4096], true).assert_good();
    assert_eq!(initiator.read(0, 0, BLOCKS).data, [1; 4096]);
    assert!(daemon.run(&["mirror", "list"]).contains("no mirrors"));
}

#[test]
fn fua_and_flush_reach_the_disks_of_both_ends_and_plain_writes_do_not() {
    // Counted by the daemon itself, in its metrics: what the kernel was asked for, for both files.
    let daemon = mirrored();
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.write(0, 0, &[1; 4096], false).assert_good();
    let count = || daemon.metric("tidelock_data_syncs_total");
    let before = count();
    for _ in 0..5 {
        initiator.write(0, 0, &[2; 4096], false).assert_good();
    }
    assert_eq!(count(), before, "a plain write isn't synced");
    for number in 1..=5 {
        initiator.write(0, 0, &[3; 4096], true).assert_good();
        assert_eq!(count(), before + 2 * number, "each FUA write is, at both");
    }
    for number in 6..=10 {
        initiator.flush(0).assert_good();
        assert_eq!(count(), before + 2 * number, "each flush is, at both");
    }
}

/// Writes ever higher numbers to each of some blocks in turn, until the daemon is gone; what was acknowledged of
/// each is in `acknowledged`.
fn write_on(mut initiator: Initiator, acknowledged: &[AtomicU8], from: u8) {
    for number in from.. {
        for (at, block) in acknowledged.iter().enumerate() {
            let data = [number; 4096];
            let cdb = cdb16(0x8a, 8 * at as u64, BLOCKS, at % 4 == 0);
            let pdu = initiator.command(0, &cdb, 0x20, 4096).with_data(&data);
            let sent = initiator.send(&pdu);
            match sent.and_then(|()| initiator.finish(pdu.get(16), &data)) {
                Ok(answer) => {
                    answer.assert_good();
                    block.store(number, Ordering::SeqCst);
                }
                Err(_) => return,
            }
        }
    }
}

#[test]
fn whenever_the_daemon_is_killed_what_was_acknowledged_is_in_both_volumes_afterwards() {
    let mut daemon = mirrored();
    let blocks: Vec<AtomicU8> = (0..64).map(|_| AtomicU8::new(0)).collect();
    let mut last = 0;
    for round in 0..5_u64 {
        let mut initiator = Initiator::log_in(daemon.portal);
        initiator.settle(0);
        let from = last + 1;
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| write_on(initiator, &blocks, from));
            // The moment of the kill is what is tried; something was written by then.
            wait_until("something is written", PATIENCE, || {
                blocks[1].load(Ordering::SeqCst) >= from
            });
            let until = Instant::now() + Duration::from_millis(7 * round);
            while Instant::now() < until {
                std::thread::yield_now();
            }
            daemon.kill();
            writing.join().unwrap();
        });
        daemon = daemon.restart();
        until_synchronized(&daemon);
        assert_eq!(damaged(&daemon), 0, "round {round}");
        let mut initiator = Initiator::log_in(daemon.portal);
        for lun in [0, 1] {
            initiator.settle(lun);
            for (at, block) in blocks.iter().enumerate() {
                let found = initiator.read(lun, 8 * at as u64, BLOCKS).data;
                let least = block.load(Ordering::SeqCst);
                let number = found[0];
                assert!(found.iter().all(|byte| *byte == number), "half a write");
                // One more may have been on its way.
                assert!(
                    number >= least || (least == 0 && number == 1),
                    "round {round}, LUN {lun}, block {at}: {number}, {least} was acknowledged"
                );
                last = last.max(number);
            }
        }
    }
}
