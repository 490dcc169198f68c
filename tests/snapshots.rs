//! Snapshots and clones through the whole program: taken while a host writes, read through LUNs of their
//! own, restored, deleted; and found again after kill -9 at any moment.

mod check;
mod clones;
mod damage;
mod folds;
mod full_clones;
mod groups;
mod integrity;
mod kills;
mod quiesced;
mod restores;
mod streams;

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::Initiator;

const KIB: usize = 1 << 10;

fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| seed.wrapping_mul(31).wrapping_add((index / 512) as u8))
        .collect()
}

fn log_in(daemon: &Daemon, luns: &[u8]) -> Initiator {
    let mut initiator = Initiator::log_in(daemon.portal);
    for lun in luns {
        initiator.settle(*lun);
    }
    initiator
}

fn write(initiator: &mut Initiator, lun: u8, lba: u64, seed: u8) {
    let data = pattern(seed, 64 * KIB);
    initiator.write(lun, lba, &data, true).assert_good();
}

/// Whether 64 KiB are what [`write`] wrote with that seed; 0 stands for zeros.
fn is(initiator: &mut Initiator, lun: u8, lba: u64, seed: u8) -> bool {
    let answer = initiator.read(lun, lba, 128);
    answer.assert_good();
    match seed {
        0 => answer.data.iter().all(|&byte| byte == 0),
        _ => answer.data == pattern(seed, 64 * KIB),
    }
}

fn names(daemon: &Daemon, volume: &str) -> Vec<String> {
    let list = daemon.json(&["snapshot", "list", volume]);
    let all = list["snapshots"].as_array().unwrap();
    all.iter()
        .map(|snapshot| snapshot["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_snapshot_keeps_what_was_there_while_the_volume_goes_on() {
    let daemon = Daemon::with_lun("16M");
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    write(&mut initiator, 0, 1_000, 2);
    let before = daemon.json(&["volume", "show", "vol"]);
    assert!(before["family"].is_null(), "{before}");
    daemon.run(&["snapshot", "create", "vol", "one"]);
    // The session notices nothing of it.
    write(&mut initiator, 0, 0, 3);
    write(&mut initiator, 0, 2_000, 4);
    daemon.run(&["snapshot", "create", "vol", "two"]);
    write(&mut initiator, 0, 1_000, 5);
    // What was overwritten between the two is the first one's alone. What was overwritten after the second
    // one both have: it has no more for itself than what says so.
    let own = |name: &str| {
        let shown = daemon.json(&["snapshot", "show", name]);
        shown["exclusive_bytes"].as_u64().unwrap()
    };
    let (one, two) = (own("vol@one"), own("vol@two"));
    assert!(one >= 64 << 10 && two < 64 << 10, "{one} {two}");
    let daemon = daemon.kill_and_restart();
    assert_eq!(names(&daemon, "vol"), ["one", "two"]);
    daemon.run(&["snapshot", "map", "vol@one", TARGET]);
    daemon.run(&["lun", "map", TARGET, "vol@two", "--lun", "7"]);
    let shown = daemon.json(&["volume", "show", "vol"]);
    for key in ["naa", "serial", "size_bytes", "id"] {
        assert_eq!(before[key], shown[key], "{key} changed");
    }
    assert_eq!(shown["family"]["snapshots"], 2);
    assert_eq!(daemon.metric("tidelock_snapshots"), 2);
    assert_eq!(daemon.metric("tidelock_families"), 1);
    for round in 0..2 {
        let mut initiator = log_in(&daemon, &[0, 1, 7]);
        for (lun, seeds) in [(0, [3, 5, 4]), (1, [1, 2, 0]), (7, [3, 2, 4])] {
            for (lba, seed) in [0, 1_000, 2_000].into_iter().zip(seeds) {
                assert!(
                    is(&mut initiator, lun, lba, seed),
                    "LUN {lun} at {lba}, round {round}"
                );
            }
        }
        let refused = initiator.write(1, 0, &pattern(9, 512), false);
        assert_eq!(refused.sense_code(), (7, 0x27, 0), "WRITE PROTECTED");
    }
    // It is no volume of its own.
    assert_eq!(daemon.volumes().len(), 1);
}

#[test]
fn kill_9_right_after_each_command_loses_none_of_them() {
    let mut daemon = Daemon::with_lun("16M");
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    drop(initiator);
    let steps: [(&[&str], &[&str]); 10] = [
        (&["snapshot", "create", "vol", "a"], &["a"]),
        (&["snapshot", "create", "vol", "b"], &["a", "b"]),
        (&["clone", "create", "vol@a", "k"], &["a", "b"]),
        (&["clone", "create", "vol", "l"], &["a", "b"]),
        (
            &["clone", "create", "vol", "m", "--linked"],
            &["a", "b", "m"],
        ),
        (&["snapshot", "delete", "vol@a"], &["b", "m"]),
        (&["snapshot", "restore", "vol@b"], &["b", "m", "*"]),
        (&["snapshot", "map", "vol@b", TARGET], &["b", "m", "*"]),
        (&["volume", "delete", "m"], &["b", "m", "*"]),
        (
            &["volume", "resize", "k", "--size", "32M"],
            &["b", "m", "*"],
        ),
    ];
    for (command, expected) in steps {
        daemon.run(command);
        daemon = daemon.kill_and_restart();
        let found = names(&daemon, "vol");
        assert_eq!(found.len(), expected.len(), "{command:?}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            let is_safety = *expected == "*" && found.starts_with("before-restore-");
            assert!(is_safety || found == expected, "{command:?}: {found}");
        }
        let states = daemon.volumes();
        for volume in states {
            assert_eq!(volume["state"], "ready", "{command:?}: {volume}");
        }
    }
    assert_eq!(
        daemon.json(&["volume", "show", "k"])["size_bytes"],
        32 << 20
    );
    let mut initiator = log_in(&daemon, &[0, 1]);
    assert!(is(&mut initiator, 0, 0, 1) && is(&mut initiator, 1, 0, 1));
}

#[test]
fn what_is_needed_is_not_deleted_and_what_stands_against_it_is_named() {
    let daemon = Daemon::with_lun("16M");
    daemon.run(&["snapshot", "create", "vol", "shown"]);
    daemon.run(&["snapshot", "create", "vol", "other"]);
    daemon.run(&["snapshot", "map", "vol@shown", TARGET, "--lun", "3"]);
    daemon.run(&["clone", "create", "vol@other", "k", "--linked"]);
    let refused = daemon.refused(&["snapshot", "delete", "vol@shown"]);
    assert!(
        refused.contains("vol@shown is mapped: LUN 3 of"),
        "{refused}"
    );
    let refused = daemon.refused(&["snapshot", "delete", "vol@other"]);
    assert!(refused.contains("has linked clones: k"), "{refused}");
    let refused = daemon.refused(&["snapshot", "create", "vol", "other"]);
    assert!(
        refused.contains("there is a snapshot vol@other already"),
        "{refused}"
    );
    daemon.run(&["lun", "unmap", TARGET, "0", "--yes"]);
    let refused = daemon.refused(&["volume", "delete", "vol"]);
    assert!(refused.contains("2 snapshot(s): shown, other"), "{refused}");
    assert!(refused.contains("--with-snapshots"), "{refused}");
    let refused = daemon.refused(&["volume", "delete", "vol", "--with-snapshots"]);
    assert!(refused.contains("has linked clones: k"), "{refused}");
    daemon.run(&["volume", "delete", "k"]);
    let refused = daemon.refused(&["volume", "delete", "vol", "--with-snapshots"]);
    assert!(refused.contains("vol@shown is mapped"), "{refused}");
    daemon.run(&["lun", "unmap", TARGET, "3"]);
    daemon.run(&["volume", "delete", "vol", "--with-snapshots"]);
    let daemon = daemon.kill_and_restart();
    assert!(daemon.volumes().is_empty());
    for folder in ["families", "volumes"] {
        let left = std::fs::read_dir(daemon.state_dir().join(folder)).unwrap();
        assert_eq!(left.count(), 0, "{folder}");
    }
}

#[test]
fn names_lead_nowhere_else() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["snapshot", "create", "vol", "a"]);
    for name in ["..", "../a", "a/b", "a@b", "-a", "a b", "ä", "a\n"] {
        for command in [
            &["snapshot", "create", "vol", "--", name][..],
            &["snapshot", "create", "--", name, "x"],
            &["clone", "create", "vol@a", "--", name],
            &["group", "create", "--", name],
            &["diff", "--", name],
        ] {
            let output = daemon.tidelock(command);
            let code = output.status.code();
            assert!(matches!(code, Some(1 | 2)), "{command:?}: {output:?}");
        }
    }
    let long = "x".repeat(65);
    let refused = daemon.refused(&["snapshot", "create", "vol", &long]);
    assert!(
        refused.contains("at most 64 characters; this one has 65"),
        "{refused}"
    );
    let refused = daemon.refused(&["snapshot", "create", "none", "a"]);
    assert!(refused.contains("there is no volume none"), "{refused}");
    let refused = daemon.refused(&["snapshot", "delete", "vol@none"]);
    assert!(
        refused.contains("there is no snapshot vol@none"),
        "{refused}"
    );
    assert_eq!(names(&daemon, "vol"), ["a"]);
}

#[test]
fn what_changed_between_two_points_is_listed() {
    let daemon = Daemon::with_lun("16M");
    daemon.run(&["volume", "create", "stranger", "--size", "16M"]);
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    let refused = daemon.refused(&["diff", "vol@a"]);
    assert!(refused.contains("volume vol has no snapshots"), "{refused}");
    daemon.run(&["snapshot", "create", "vol", "a"]);
    assert!(daemon.run(&["diff", "vol@a"]).contains("are the same"));
    write(&mut initiator, 0, 2_048, 2);
    daemon.run(&["snapshot", "create", "vol", "b"]);
    write(&mut initiator, 0, 8_192, 3);
    let ranges = |args: &[&str]| {
        let all = [&["diff"], args].concat();
        let diff = daemon.json(&all);
        let ranges = diff["ranges"].as_array().unwrap().iter();
        let number = |range: &serde_json::Value, key| range[key].as_u64().unwrap();
        ranges
            .map(|range| (number(range, "offset_bytes"), number(range, "length_bytes")))
            .collect::<Vec<_>>()
    };
    let (first, second) = ((1 << 20, 64 << 10), (4 << 20, 64 << 10));
    assert_eq!(ranges(&["vol@a", "vol@b"]), [first]);
    assert_eq!(ranges(&["vol@b", "vol@a"]), [first]);
    assert_eq!(ranges(&["vol@b"]), [second]);
    assert_eq!(ranges(&["vol@a"]), [first, second]);
    daemon.run(&["clone", "create", "vol@a", "k"]);
    assert_eq!(ranges(&["k", "vol@b"]), [first]);
    daemon.run(&["snapshot", "create", "stranger", "a"]);
    let refused = daemon.refused(&["diff", "vol@a", "stranger@a"]);
    assert!(refused.contains("come from different volumes"), "{refused}");
}

#[test]
fn schedules_are_kept_and_listed() {
    let daemon = Daemon::with_lun("8M");
    let refused = daemon.refused(&[
        "snapshot", "schedule", "vol", "--every", "30s", "--keep", "2",
    ]);
    assert!(
        refused.contains("every 60 to 31622400 seconds, not every 30"),
        "{refused}"
    );
    daemon.run(&[
        "snapshot", "schedule", "vol", "--every", "1h", "--keep", "24",
    ]);
    let daemon = daemon.kill_and_restart();
    let list = daemon.json(&["snapshot", "schedule"]);
    assert_eq!(list["schedules"][0]["every_seconds"], 3_600);
    assert_eq!(list["schedules"][0]["keep"], 24);
    assert!(daemon.run(&["snapshot", "schedule", "vol"]).contains("1h"));
    daemon.run(&["snapshot", "schedule", "vol", "--off"]);
    let daemon = daemon.kill_and_restart();
    assert!(
        daemon
            .run(&["snapshot", "schedule"])
            .contains("no schedules")
    );
}
