//! The way back: a volume without snapshots and clones is a plain file again, which any tool can read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::{is, log_in, pattern, write};
use crate::harness::daemon::Daemon;
use crate::harness::initiator::{Initiator, LoginAs};
use crate::harness::wait_until;

const PATIENCE: Duration = Duration::from_secs(120);

fn family(daemon: &Daemon) -> serde_json::Value {
    daemon.json(&["volume", "show", "vol"])["family"].clone()
}

/// Whether the volume's file has 64 KiB of that seed at a block.
fn file_is(daemon: &Daemon, lba: usize, seed: u8) -> bool {
    let file = std::fs::read(daemon.state_dir().join("volumes/vol.img")).unwrap();
    let bytes = &file[lba * 512..lba * 512 + (64 << 10)];
    match seed {
        0 => bytes.iter().all(|&byte| byte == 0),
        _ => bytes == pattern(seed, 64 << 10),
    }
}

fn families(daemon: &Daemon) -> usize {
    std::fs::read_dir(daemon.state_dir().join("families"))
        .unwrap()
        .count()
}

#[test]
fn without_snapshots_a_volume_is_a_plain_file_again_under_its_hosts() {
    let daemon = Daemon::with_lun("16M");
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    write(&mut initiator, 0, 2_000, 2);
    // Again and again, so that the way back is begun and broken off as well.
    for round in 0..4_u8 {
        daemon.run(&["snapshot", "create", "vol", "a"]);
        write(&mut initiator, 0, 0, 10 + round);
        write(
            &mut initiator,
            0,
            5_000 + u64::from(round) * 128,
            20 + round,
        );
        daemon.run(&["snapshot", "delete", "vol@a"]);
        write(&mut initiator, 0, 9_000, 30 + round);
    }
    let unmap = [
        &[0, 22, 0, 16, 0, 0, 0, 0][..],
        &2_000_u64.to_be_bytes(),
        &[0, 0, 0, 128, 0, 0, 0, 0],
    ];
    let cdb = [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0];
    initiator
        .write_command(0, &cdb, &unmap.concat())
        .assert_good();
    wait_until("the volume is a plain file", PATIENCE, || {
        family(&daemon).is_null()
    });
    wait_until("its family's folder is gone", PATIENCE, || {
        families(&daemon) == 0
    });
    write(&mut initiator, 0, 12_000, 4);
    let expected = [
        (0, 13),
        (2_000, 0),
        (5_000, 20),
        (5_384, 23),
        (9_000, 33),
        (12_000, 4),
    ];
    for (lba, seed) in expected {
        assert!(is(&mut initiator, 0, lba, seed), "at {lba}");
        assert!(
            file_is(&daemon, usize::try_from(lba).unwrap(), seed),
            "the file at {lba}"
        );
    }
    let daemon = daemon.kill_and_restart();
    assert!(family(&daemon).is_null());
    let mut initiator = log_in(&daemon, &[0]);
    for (lba, seed) in expected {
        assert!(
            is(&mut initiator, 0, lba, seed),
            "at {lba}, after a restart"
        );
    }
    // And it can have snapshots again.
    daemon.run(&["snapshot", "create", "vol", "b"]);
    write(&mut initiator, 0, 0, 5);
    let daemon = daemon.kill_and_restart();
    let mut initiator = log_in(&daemon, &[0]);
    assert!(is(&mut initiator, 0, 0, 5));
    assert_eq!(family(&daemon)["snapshots"], 1);
}

#[test]
fn what_was_opened_as_a_head_is_a_plain_file_after_the_next_start() {
    let daemon = Daemon::with_lun("16M");
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    daemon.run(&["snapshot", "create", "vol", "a"]);
    write(&mut initiator, 0, 3_000, 2);
    let daemon = daemon.kill_and_restart();
    daemon.run(&["volume", "resize", "vol", "--size", "32M"]);
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 60_000, 3);
    daemon.run(&["snapshot", "delete", "vol@a"]);
    wait_until("the snapshot's space is given back", PATIENCE, || {
        family(&daemon)["being_deleted"] == 0
    });
    write(&mut initiator, 0, 0, 4);
    let daemon = daemon.kill_and_restart();
    assert!(family(&daemon).is_null(), "{}", family(&daemon));
    assert_eq!(families(&daemon), 0);
    let mut initiator = log_in(&daemon, &[0]);
    assert_eq!(initiator.capacity(0), (32 << 20) / 512);
    for (lba, seed) in [(0, 4), (3_000, 2), (30_000, 0), (60_000, 3)] {
        assert!(is(&mut initiator, 0, lba, seed), "at {lba}");
        assert!(
            file_is(&daemon, usize::try_from(lba).unwrap(), seed),
            "the file at {lba}"
        );
    }
}

#[test]
fn a_volume_with_a_clone_or_a_schedule_stays_where_it_is() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["volume", "create", "other", "--size", "8M"]);
    daemon.run(&["volume", "create", "third", "--size", "8M"]);
    daemon.run(&[
        "snapshot", "schedule", "other", "--every", "1d", "--keep", "2",
    ]);
    for volume in ["vol", "other", "third"] {
        daemon.run(&["snapshot", "create", volume, "a"]);
    }
    daemon.run(&["clone", "create", "vol@a", "k"]);
    for volume in ["vol", "other", "third"] {
        daemon.run(&["snapshot", "delete", &format!("{volume}@a")]);
    }
    // By the time that this one is back the others would have been.
    wait_until("the third volume is a plain file", PATIENCE, || {
        daemon.json(&["volume", "show", "third"])["family"].is_null()
    });
    let daemon = daemon.kill_and_restart();
    for volume in ["vol", "other", "k"] {
        let shown = daemon.json(&["volume", "show", volume]);
        assert!(!shown["family"].is_null(), "{volume}");
    }
}

/// Writes numbers to pieces of all sizes and places, until it is told to stop; returns what each block of
/// 512 bytes must have.
fn write_without_end(
    portal: std::net::SocketAddr,
    stop: &AtomicBool,
    done: &AtomicU32,
) -> std::collections::BTreeMap<u64, u32> {
    let who = LoginAs {
        isid: 9,
        ..LoginAs::default()
    };
    let mut initiator = Initiator::log_in_as(portal, &who).unwrap();
    initiator.settle(0);
    let mut expected = std::collections::BTreeMap::new();
    let mut random = 12_345_u64;
    for number in 1.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let blocks = 1 + (random >> 40) % 40;
        let lba = (random >> 33) % (16_384 - blocks);
        let data = number_of(number).repeat(usize::try_from(blocks).unwrap());
        initiator
            .write(0, lba, &data, number % 64 == 0)
            .assert_good();
        expected.extend((lba..lba + blocks).map(|lba| (lba, number)));
        done.store(number, Ordering::Relaxed);
    }
    expected
}

/// A block of 512 bytes with a number in it.
fn number_of(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(128)
}

#[test]
fn a_host_that_writes_all_the_while_notices_nothing_of_either_way() {
    let daemon = Daemon::with_lun("8M");
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU32::new(0));
    let portal = daemon.portal;
    let (stopped, done) = (Arc::clone(&stop), Arc::clone(&written));
    let writer = std::thread::spawn(move || write_without_end(portal, &stopped, &done));
    let it_writes = || {
        let before = written.load(Ordering::Relaxed);
        wait_until("the host goes on", PATIENCE, || {
            written.load(Ordering::Relaxed) > before + 200
        });
    };
    for round in 0..2 {
        it_writes();
        daemon.run(&["snapshot", "create", "vol", "a"]);
        it_writes();
        daemon.run(&["snapshot", "create", "vol", "b"]);
        for name in ["vol@a", "vol@b"] {
            daemon.run(&["snapshot", "delete", name]);
        }
        wait_until(&format!("a plain file, round {round}"), PATIENCE, || {
            family(&daemon).is_null()
        });
    }
    it_writes();
    stop.store(true, Ordering::Relaxed);
    let expected = writer.join().unwrap();
    let mut initiator = log_in(&daemon, &[0]);
    initiator.flush(0).assert_good();
    let file = std::fs::read(daemon.state_dir().join("volumes/vol.img")).unwrap();
    for (lba, number) in expected {
        let at = usize::try_from(lba * 512).unwrap();
        assert!(
            file[at..at + 512] == number_of(number),
            "write {number} at {lba} is gone"
        );
    }
}
