//! Groups: snapshots of several volumes at one point in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{names, pattern};
use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Initiator, LoginAs};

fn two_volumes() -> Daemon {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["volume", "create", "second", "--size", "8M"]);
    daemon.run(&["lun", "map", TARGET, "second", "--lun", "1"]);
    daemon.run(&["group", "create", "both", "vol", "second"]);
    daemon
}

fn counter(initiator: &mut Initiator, lun: u8) -> u64 {
    let answer = initiator.read(lun, 0, 1);
    answer.assert_good();
    u64::from_le_bytes(answer.data[..8].try_into().unwrap())
}

/// A writer counts in two volumes in turn: whatever is in the second was in the first before. A cut
/// through both at one moment shows that, whenever it is made.
#[test]
fn a_group_is_cut_at_one_moment_while_a_host_writes() {
    let daemon = two_volumes();
    let stop = Arc::new(AtomicBool::new(false));
    let (portal, stopped) = (daemon.portal, Arc::clone(&stop));
    let writer = std::thread::spawn(move || {
        let who = LoginAs {
            isid: 9,
            ..LoginAs::default()
        };
        let mut initiator = Initiator::log_in_as(portal, &who).unwrap();
        initiator.settle(0);
        initiator.settle(1);
        let mut count = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            count += 1;
            for lun in [0, 1] {
                let mut block = pattern(1, 512);
                block[..8].copy_from_slice(&count.to_le_bytes());
                initiator.write(lun, 0, &block, false).assert_good();
            }
        }
        count
    });
    let sets = 12;
    for set in 0..sets {
        daemon.run(&["group", "snapshot", "both", &format!("s{set}")]);
    }
    stop.store(true, Ordering::Relaxed);
    let last = writer.join().unwrap();
    let daemon = daemon.kill_and_restart();
    assert_eq!(names(&daemon, "vol"), names(&daemon, "second"));
    assert_eq!(names(&daemon, "vol").len(), sets);
    let (mut before, mut different) = (0, 0);
    for set in 0..sets {
        daemon.run(&[
            "snapshot",
            "map",
            &format!("vol@s{set}"),
            TARGET,
            "--lun",
            "2",
        ]);
        daemon.run(&[
            "snapshot",
            "map",
            &format!("second@s{set}"),
            TARGET,
            "--lun",
            "3",
        ]);
        let mut initiator = Initiator::log_in(daemon.portal);
        initiator.settle(2);
        initiator.settle(3);
        let (first, second) = (counter(&mut initiator, 2), counter(&mut initiator, 3));
        assert!(
            first == second || first == second + 1,
            "set {set}: {first} in the first volume and {second} in the second"
        );
        assert!(
            before <= second && first <= last,
            "{before} {second} {first} {last}"
        );
        different += u32::from(first > before);
        before = second;
        for lun in ["2", "3"] {
            daemon.run(&["lun", "unmap", TARGET, lun, "--yes"]);
        }
    }
    assert!(different > 1, "the writer hardly wrote: this shows nothing");
}

#[test]
fn a_group_is_restored_as_a_whole() {
    let daemon = two_volumes();
    let mut initiator = Initiator::log_in(daemon.portal);
    let mut put = |seed: u8| {
        for lun in [0, 1] {
            initiator.settle(lun);
            let data = pattern(seed + lun, 512);
            initiator.write(lun, 0, &data, true).assert_good();
        }
    };
    put(1);
    daemon.run(&["group", "snapshot", "both", "good"]);
    put(5);
    let refused = daemon.refused(&["group", "snapshot", "both", "good"]);
    assert!(refused.contains("there is a snapshot"), "{refused}");
    let refused = daemon.refused(&["group", "restore", "both", "none"]);
    assert!(
        refused.contains("has no snapshots none that were taken together"),
        "{refused}"
    );
    let refused = daemon.refused(&["group", "restore", "both", "good"]);
    assert!(refused.contains("is in use"), "{refused}");
    daemon.run(&["group", "restore", "both", "good", "--force"]);
    let daemon = daemon.kill_and_restart();
    let mut initiator = Initiator::log_in(daemon.portal);
    for lun in [0, 1] {
        initiator.settle(lun);
        let answer = initiator.read(lun, 0, 1);
        assert!(
            answer.assert_good().data == pattern(1 + lun, 512),
            "LUN {lun}"
        );
    }
    let shown = daemon.json(&["group", "show", "both"]);
    assert_eq!(shown["sets"][0]["complete"], true);
    daemon.run(&["group", "remove", "both", "second"]);
    let refused = daemon.refused(&["group", "restore", "both", "good"]);
    let told = "of volumes that are not in group both any more: second";
    assert!(refused.contains(told), "{refused}");
    daemon.run(&["group", "add", "both", "second"]);
    daemon.run(&["snapshot", "delete", "vol@good"]);
    let shown = daemon.json(&["group", "show", "both"]);
    assert_eq!(shown["sets"][0]["complete"], false);
    daemon.run(&["group", "remove", "both", "vol"]);
    daemon.run(&["group", "delete", "both"]);
    assert!(daemon.run(&["group", "list"]).contains("no groups"));
    assert_eq!(names(&daemon, "second").len(), 2);
}

#[test]
fn a_group_with_a_volume_that_can_not_be_cut_leaves_nothing_behind() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["group", "create", "g"]);
    let refused = daemon.refused(&["group", "snapshot", "g", "x"]);
    assert!(refused.contains("g has no members"), "{refused}");
    daemon.run(&["volume", "create", "second", "--size", "8M"]);
    daemon.run(&["snapshot", "create", "second", "taken"]);
    daemon.run(&["group", "add", "g", "vol"]);
    daemon.run(&["group", "add", "g", "second"]);
    let refused = daemon.refused(&["group", "snapshot", "g", "taken"]);
    assert!(
        refused.contains("there is a snapshot second@taken already"),
        "{refused}"
    );
    assert!(names(&daemon, "vol").is_empty());
    daemon.run(&["group", "snapshot", "g", "fine"]);
    assert_eq!(names(&daemon, "vol"), ["fine"]);
    assert_eq!(names(&daemon, "second"), ["taken", "fine"]);
}
