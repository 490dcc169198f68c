//! Clones: volumes of their own that share what they have in common.

use super::{is, log_in, names, write};
use crate::harness::daemon::{Daemon, TARGET};

#[test]
fn a_clone_is_a_volume_of_its_own_from_the_first_moment() {
    let daemon = Daemon::with_lun("16M");
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    daemon.run(&["snapshot", "create", "vol", "base"]);
    write(&mut initiator, 0, 0, 2);
    daemon.run(&["clone", "create", "vol@base", "old"]);
    daemon.run(&["clone", "create", "vol", "now"]);
    for (name, lun) in [("old", "1"), ("now", "2")] {
        daemon.run(&["lun", "map", TARGET, name, "--lun", lun]);
    }
    let mut initiator = log_in(&daemon, &[0, 1, 2]);
    assert!(is(&mut initiator, 1, 0, 1) && is(&mut initiator, 2, 0, 2));
    write(&mut initiator, 1, 0, 3);
    write(&mut initiator, 2, 500, 4);
    write(&mut initiator, 0, 1_000, 5);
    let identity = |daemon: &Daemon, name: &str| {
        let shown = daemon.json(&["volume", "show", name]);
        (shown["naa"].clone(), shown["serial"].clone())
    };
    let before = ["vol", "old", "now"].map(|name| identity(&daemon, name));
    assert!(before[0] != before[1] && before[1] != before[2]);
    let daemon = daemon.kill_and_restart();
    assert_eq!(
        ["vol", "old", "now"].map(|name| identity(&daemon, name)),
        before
    );
    let mut initiator = log_in(&daemon, &[0, 1, 2]);
    let expected = [(0, [2, 0, 5]), (1, [3, 0, 0]), (2, [2, 4, 0])];
    for (lun, seeds) in expected {
        for (lba, seed) in [0, 500, 1_000].into_iter().zip(seeds) {
            assert!(is(&mut initiator, lun, lba, seed), "LUN {lun} at {lba}");
        }
    }
    // Nobody was told of the snapshot that was taken for a clone.
    assert_eq!(names(&daemon, "vol"), ["base"]);
    let clones = daemon.json(&["clone", "list"]);
    assert_eq!(clones["clones"][1]["name"], "old");
    assert_eq!(clones["clones"][1]["origin"]["snapshot"], "base");
    assert_eq!(clones["clones"][0]["origin"]["deleted"], true);
    let refused = daemon.refused(&["clone", "create", "vol@base", "old"]);
    assert!(
        refused.contains("there is a volume old already"),
        "{refused}"
    );
}

#[test]
fn clones_go_on_without_what_they_were_made_from() {
    let daemon = Daemon::with_lun("16M");
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    write(&mut initiator, 0, 9_000, 2);
    daemon.run(&["clone", "create", "vol", "heir"]);
    daemon.run(&["clone", "create", "heir", "grandchild"]);
    daemon.run(&["lun", "unmap", TARGET, "0", "--yes"]);
    daemon.run(&["volume", "delete", "vol"]);
    let daemon = daemon.kill_and_restart();
    daemon.run(&["lun", "map", TARGET, "heir"]);
    daemon.run(&["lun", "map", TARGET, "grandchild"]);
    let mut initiator = log_in(&daemon, &[0, 1]);
    for lun in [0, 1] {
        assert!(is(&mut initiator, lun, 0, 1) && is(&mut initiator, lun, 9_000, 2));
        write(&mut initiator, lun, 0, 3 + lun);
    }
    assert!(is(&mut initiator, 0, 0, 3) && is(&mut initiator, 1, 0, 4));
    // A clone has snapshots like any other volume, and grows like one.
    daemon.run(&["snapshot", "create", "heir", "x"]);
    daemon.run(&["volume", "resize", "heir", "--size", "32M"]);
    write(&mut initiator, 1, 0, 7);
    initiator.settle(0);
    assert_eq!(initiator.capacity(0), (32 << 20) / 512);
    write(&mut initiator, 0, 60_000, 8);
    let daemon = daemon.kill_and_restart();
    let mut initiator = log_in(&daemon, &[0]);
    assert!(is(&mut initiator, 0, 60_000, 8) && is(&mut initiator, 0, 0, 3));
    assert_eq!(names(&daemon, "heir"), ["x"]);
}
