//! Clones that become files of their own while a host writes to them, killed and cancelled in between, and on a
//! disk that is full.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{is, log_in, names, pattern, write};
use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::Initiator;
use crate::harness::wait_until;
use crate::storage::Mount;

const PATIENCE: Duration = Duration::from_secs(60);
const KIB: usize = 1 << 10;
/// Blocks of 512 bytes of the volumes.
const BLOCKS: u64 = 32_768;

/// A volume of 16 MiB of which each piece of 64 KiB but every eighth has its number.
fn filled(daemon: &Daemon) -> BTreeMap<u64, u8> {
    let mut initiator = log_in(daemon, &[0]);
    let mut expected = BTreeMap::new();
    for (lba, seed) in (0..BLOCKS).step_by(128).zip((1..=250).cycle()) {
        if seed % 8 == 0 {
            expected.insert(lba, 0);
            continue;
        }
        write(&mut initiator, 0, lba, seed);
        expected.insert(lba, seed);
    }
    expected
}

/// Writes pieces here and there, durably.
fn scribble(
    initiator: &mut Initiator,
    lun: u8,
    expected: &mut BTreeMap<u64, u8>,
    random: &mut u64,
) {
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    let lba = (*random >> 33) % (BLOCKS / 128) * 128;
    let seed = u8::try_from((*random >> 20) % 250 + 1).unwrap();
    write(initiator, lun, lba, seed);
    expected.insert(lba, seed);
}

fn assert_is(initiator: &mut Initiator, lun: u8, expected: &BTreeMap<u64, u8>) {
    for (lba, seed) in expected {
        assert!(is(initiator, lun, *lba, *seed), "LUN {lun} at {lba}");
    }
}

fn assert_file_is(path: &Path, expected: &BTreeMap<u64, u8>) {
    let file = std::fs::read(path).unwrap();
    for (lba, seed) in expected {
        let at = usize::try_from(lba * 512).unwrap();
        let piece = &file[at..at + 64 * KIB];
        match seed {
            0 => assert!(piece.iter().all(|byte| *byte == 0), "{lba}"),
            _ => assert!(piece == pattern(*seed, 64 * KIB), "{lba}"),
        }
    }
}

fn free_bytes(path: &Path) -> u64 {
    let told = Process::new("df")
        .args(["--output=avail", "-B1"])
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    text.lines().nth(1).unwrap().trim().parse().unwrap()
}

fn job(daemon: &Daemon, id: &str) -> serde_json::Value {
    daemon.json(&["job", "show", id])
}

#[test]
fn a_full_clone_is_used_killed_and_gone_on_with_until_it_is_a_file_of_its_own() {
    let daemon = Daemon::with_lun("16M");
    let mut expected = filled(&daemon);
    daemon.run(&["snapshot", "create", "vol", "base"]);
    // So slow that something is left after three rounds on any machine.
    let told = daemon.run(&["clone", "create", "vol@base", "k", "--full", "--rate", "1M"]);
    assert!(told.contains("`tidelock job watch 1`"), "{told}");
    daemon.run(&["lun", "map", TARGET, "k", "--lun", "1"]);
    let before = daemon.json(&["volume", "show", "k"]);
    let mut random = 1;
    let mut daemon = daemon;
    for round in 0..3 {
        let mut initiator = log_in(&daemon, &[1]);
        let begun = job(&daemon, "1")["done_bytes"].as_u64().unwrap();
        wait_until("more of it is copied", PATIENCE, || {
            scribble(&mut initiator, 1, &mut expected, &mut random);
            let job = job(&daemon, "1");
            assert_eq!(job["state"], "Running", "{job}");
            job["done_bytes"].as_u64().unwrap() > begun + (256 << 10)
        });
        let clone = daemon.json(&["clone", "show", "k"]);
        assert_eq!(
            (
                &clone["sync_type"],
                &clone["copy_state"],
                &clone["progress_status"]
            ),
            (
                &"Clone".into(),
                &"Unsynchronized".into(),
                &"Synchronizing".into()
            ),
            "{clone}"
        );
        let refused = daemon.refused(&["snapshot", "create", "k", "x"]);
        assert!(
            refused.contains("vol@base -> k is being copied"),
            "{refused}"
        );
        let refused = daemon.refused(&["clone", "detach", "k"]);
        assert!(refused.contains("by job 1"), "{refused}");
        let refused = daemon.refused(&["clone", "create", "k", "l"]);
        assert!(refused.contains("k is being copied"), "{refused}");
        daemon = daemon.kill_and_restart();
        let mut initiator = log_in(&daemon, &[1]);
        assert_is(&mut initiator, 1, &expected);
        assert!(round < 3);
    }
    let mut initiator = log_in(&daemon, &[1]);
    wait_until("it shares nothing", PATIENCE, || {
        scribble(&mut initiator, 1, &mut expected, &mut random);
        daemon.json(&["volume", "show", "k"])["family"].is_null()
    });
    // The session has noticed nothing of it, and the identity is the same.
    for _ in 0..50 {
        scribble(&mut initiator, 1, &mut expected, &mut random);
    }
    let ended = daemon.run(&["job", "watch", "1"]);
    assert!(ended.contains("has ended"), "{ended}");
    assert!(daemon.run(&["clone", "list"]).contains("no clones"));
    let now = daemon.json(&["volume", "show", "k"]);
    for key in ["id", "naa", "serial", "size_bytes"] {
        assert_eq!(before[key], now[key], "{key}");
    }
    daemon.run(&["lun", "unmap", TARGET, "0", "--yes"]);
    daemon.run(&["volume", "delete", "vol", "--with-snapshots"]);
    initiator.settle(1);
    assert_is(&mut initiator, 1, &expected);
    let daemon = daemon.kill_and_restart();
    let mut initiator = log_in(&daemon, &[1]);
    assert_is(&mut initiator, 1, &expected);
    assert_file_is(&daemon.state_dir().join("volumes/k.img"), &expected);
    let families = std::fs::read_dir(daemon.state_dir().join("families")).unwrap();
    assert_eq!(families.count(), 0);
    // It is a volume like any other.
    daemon.run(&["snapshot", "create", "k", "x"]);
    scribble(&mut initiator, 1, &mut expected, &mut random);
    assert_is(&mut initiator, 1, &expected);
}

/// The limit gives way, and then the host: it has an end.
#[test]
fn a_host_that_writes_faster_than_the_limit_does_not_keep_it_from_its_end() {
    let daemon = Daemon::with_lun("16M");
    let mut initiator = log_in(&daemon, &[0]);
    let mut expected: BTreeMap<u64, u8> = (0..BLOCKS).step_by(128).map(|lba| (lba, 0)).collect();
    for lba in (0..2_048).step_by(128) {
        write(&mut initiator, 0, lba, 7);
        expected.insert(lba, 7);
    }
    daemon.run(&["clone", "create", "vol", "k"]);
    daemon.run(&["lun", "map", TARGET, "k", "--lun", "1"]);
    let mut initiator = log_in(&daemon, &[1]);
    daemon.run(&["clone", "split", "k", "--rate", "500K"]);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        let mut random = 7;
        while !stopped.load(Ordering::Relaxed) {
            scribble(&mut initiator, 1, &mut expected, &mut random);
        }
        (initiator, expected)
    });
    wait_until("it has an end", PATIENCE, || {
        let job = job(&daemon, "1");
        assert!(job["error"].is_null(), "{job}");
        job["state"] == "Completed"
    });
    stop.store(true, Ordering::Relaxed);
    let (mut initiator, expected) = writer.join().unwrap();
    assert_is(&mut initiator, 1, &expected);
    assert_file_is(&daemon.state_dir().join("volumes/k.img"), &expected);
}

#[test]
fn a_split_is_waited_for_cancelled_and_detached() {
    let daemon = Daemon::with_lun("16M");
    let expected = filled(&daemon);
    daemon.run(&["clone", "create", "vol", "k", "--linked"]);
    let listed = daemon.json(&["clone", "list"]);
    let clone = &listed["clones"][0];
    assert_eq!(
        (&clone["copy_state"], &clone["sync_type"]),
        (&"Synchronized".into(), &"Snapshot".into())
    );
    assert!(
        clone["percent_synced"].is_null() && clone["job"].is_null(),
        "{clone}"
    );
    let refused = daemon.refused(&["clone", "detach", "k"]);
    assert!(
        refused.contains("shares blocks with vol@k") && refused.contains("clone split"),
        "{refused}"
    );
    daemon.run(&["clone", "split", "k", "--rate", "1M"]);
    let cancelled = daemon.run(&["job", "cancel", "1"]);
    assert!(
        cancelled.contains("job 1: split k: Terminated"),
        "{cancelled}"
    );
    let output = daemon.tidelock(&["job", "watch", "1"]);
    assert_eq!(output.status.code(), Some(8));
    let refused = daemon.refused(&["job", "cancel", "1"]);
    assert!(
        refused.contains("has ended already: Terminated"),
        "{refused}"
    );
    assert!(!daemon.state_dir().join("volumes/k.img").exists());
    let done = daemon.run(&["clone", "split", "k", "--wait"]);
    assert!(done.contains("job 2: split k has ended"), "{done}");
    let clone = daemon.json(&["clone", "show", "k"]);
    assert_eq!(
        (&clone["percent_synced"], &clone["origin"]["copied"]),
        (&100.into(), &true.into())
    );
    assert_file_is(&daemon.state_dir().join("volumes/k.img"), &expected);
    // Nothing keeps the snapshot any more.
    daemon.run(&["snapshot", "delete", "vol@k"]);
    daemon.run(&["clone", "detach", "k"]);
    assert!(daemon.run(&["clone", "list"]).contains("no clones"));
    let refused = daemon.refused(&["clone", "split", "k"]);
    assert!(refused.contains("isn't a clone"), "{refused}");
    let jobs = daemon.json(&["job", "list"]);
    let split = |job: &&serde_json::Value| job["kind"] == "split";
    assert_eq!(
        jobs["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .filter(split)
            .count(),
        2
    );
}

#[test]
fn a_full_clone_waits_for_space_and_its_hosts_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Mount::tmpfs(&folder.path().join("small"), "size=96m");
    let daemon = Daemon::start_in(&disk.path.join("state"));
    daemon.add_lun("vol", "16M");
    let mut expected = filled(&daemon);
    daemon.run(&["clone", "create", "vol", "k"]);
    daemon.run(&["lun", "map", TARGET, "k", "--lun", "1"]);
    let mut initiator = log_in(&daemon, &[1]);
    // The clone would need 14 MiB.
    let filler = disk.path.join("filler");
    let room = 8 << 20;
    let filling = usize::try_from(free_bytes(&disk.path) - room).unwrap();
    std::fs::write(&filler, vec![1; filling]).unwrap();
    daemon.run(&["clone", "split", "k"]);
    wait_until("it waits", PATIENCE, || {
        job(&daemon, "1")["state"] == "Suspended"
    });
    let waiting = job(&daemon, "1")["waiting"].to_string();
    assert!(waiting.contains("no space left"), "{waiting}");
    let clone = daemon.json(&["clone", "show", "k"]);
    assert_eq!(
        (&clone["copy_state"], &clone["progress_status"]),
        (&"Unsynchronized".into(), &"Pending".into())
    );
    // A little is left for those who write.
    write(&mut initiator, 1, 0, 77);
    expected.insert(0, 77);
    let volumes = daemon.volumes();
    assert!(
        volumes.iter().all(|volume| volume["state"] == "ready"),
        "{volumes:?}"
    );
    std::fs::remove_file(&filler).unwrap();
    wait_until("it is done", PATIENCE, || {
        job(&daemon, "1")["state"] == "Completed"
    });
    assert_is(&mut initiator, 1, &expected);
    assert_file_is(&daemon.state_dir().join("volumes/k.img"), &expected);
}

#[test]
fn a_clone_and_its_volume_change_places_under_their_hosts() {
    let daemon = Daemon::with_lun("16M");
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    daemon.run(&["snapshot", "create", "vol", "old"]);
    daemon.run(&["snapshot", "create", "vol", "base"]);
    write(&mut initiator, 0, 0, 2);
    daemon.run(&["snapshot", "create", "vol", "new"]);
    daemon.run(&["clone", "create", "vol@base", "k", "--linked"]);
    daemon.run(&["lun", "map", TARGET, "k", "--lun", "1"]);
    initiator.settle(1);
    write(&mut initiator, 1, 500, 3);
    let refused = daemon.refused(&["clone", "promote", "vol"]);
    assert!(refused.contains("isn't a clone"), "{refused}");
    let told = daemon.run(&["clone", "promote", "k"]);
    assert!(
        told.contains("volume k depends on no other now; it has 2 snapshot(s)"),
        "{told}"
    );
    let daemon = daemon.kill_and_restart();
    assert_eq!(names(&daemon, "k"), ["old", "base"]);
    assert_eq!(names(&daemon, "vol"), ["new"]);
    let clones = daemon.json(&["clone", "list"]);
    assert_eq!(
        (
            &clones["clones"][0]["name"],
            &clones["clones"][0]["origin"]["volume"]
        ),
        (&"vol".into(), &"k".into())
    );
    let refused = daemon.refused(&["snapshot", "delete", "k@base"]);
    assert!(refused.contains("linked clones: vol"), "{refused}");
    let mut initiator = log_in(&daemon, &[0, 1]);
    assert!(
        is(&mut initiator, 0, 0, 2) && is(&mut initiator, 1, 0, 1) && is(&mut initiator, 1, 500, 3)
    );
    daemon.run(&["lun", "unmap", TARGET, "0", "--yes"]);
    daemon.run(&["volume", "delete", "vol", "--with-snapshots"]);
    daemon.run(&["snapshot", "delete", "k@base"]);
    initiator.settle(1);
    assert!(is(&mut initiator, 1, 0, 1) && is(&mut initiator, 1, 500, 3));
    daemon.run(&["snapshot", "restore", "k@old", "--force"]);
    initiator.settle(1);
    assert!(is(&mut initiator, 1, 0, 1) && is(&mut initiator, 1, 500, 0));
}

#[test]
fn a_group_is_cloned_at_one_moment() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["volume", "create", "second", "--size", "8M"]);
    daemon.run(&["lun", "map", TARGET, "second", "--lun", "1"]);
    daemon.run(&["group", "create", "both", "vol", "second"]);
    let mut initiator = log_in(&daemon, &[0, 1]);
    for lun in [0, 1] {
        write(&mut initiator, lun, 0, 1 + lun);
    }
    daemon.run(&["group", "snapshot", "both", "set"]);
    write(&mut initiator, 0, 0, 9);
    let refused = daemon.refused(&["group", "clone", "both@none", "copies"]);
    assert!(refused.contains("none"), "{refused}");
    let made = daemon.run(&["group", "clone", "both@set", "copies"]);
    assert!(
        made.contains("clone vol-copies of vol@set created"),
        "{made}"
    );
    daemon.run(&["group", "clone", "both", "--suffix", ".now", "--full"]);
    for id in ["1", "2"] {
        daemon.run(&["job", "watch", id]);
    }
    let group = daemon.json(&["group", "show", "copies"]);
    assert_eq!(
        group["volumes"],
        serde_json::json!(["second-copies", "vol-copies"])
    );
    let daemon = daemon.kill_and_restart();
    for (name, lun) in [
        ("vol-copies", "2"),
        ("second-copies", "3"),
        ("vol.now", "4"),
        ("second.now", "5"),
    ] {
        daemon.run(&["lun", "map", TARGET, name, "--lun", lun]);
    }
    let mut initiator = log_in(&daemon, &[2, 3, 4, 5]);
    for (lun, seed) in [(2, 1), (3, 2), (4, 9), (5, 2)] {
        assert!(is(&mut initiator, lun, 0, seed), "LUN {lun}");
    }
    assert!(daemon.json(&["volume", "show", "vol.now"])["family"].is_null());
    let refused = daemon.refused(&["group", "clone", "both", "copies"]);
    assert!(refused.contains("already"), "{refused}");
}
