//! A mirror between two whole daemons, the disk of one of which fills up: hosts are told of their own disk alone, and the ends are
//! equal again once there is space.

use std::process::Command;

use super::{PATIENCE, Two, host, until};
use crate::harness::daemon::Daemon;
use crate::harness::initiator::Initiator;
use crate::harness::wait_until;
use crate::storage::Mount;

const PIECE: usize = 256 << 10;
/// Logical blocks of a piece.
const BLOCKS: u64 = 512;

/// Small disks for what a daemon makes itself: 2 MiB of a volume's data fit, and of what is written to one with snapshots one or two
/// beside its journal.
fn small_disks(daemon: &Daemon) -> [Mount; 2] {
    [("volumes", "size=2m"), ("families", "size=14m")]
        .map(|(folder, size)| Mount::tmpfs(&daemon.state_dir().join(folder), size))
}

fn grow(disks: &[Mount]) {
    for disk in disks {
        let grown = Command::new("mount")
            .args(["-o", "remount,size=64m"])
            .arg(&disk.path)
            .status();
        assert!(grown.unwrap().success());
    }
}

/// Writes all of the volume; the sense codes of what was refused.
fn fill(host: &mut Initiator, seed: u8) -> Vec<(u8, u8, u8)> {
    let pieces = 0..(8 << 20) / PIECE as u64;
    let answers = pieces.map(|at| host.write(0, at * BLOCKS, &vec![seed + at as u8; PIECE], false));
    let refused = answers.filter(|it| it.status != 0);
    refused.map(|it| it.sense_code()).collect()
}

#[test]
fn a_target_whose_disk_is_full_holds_up_no_host_and_gets_what_it_lacks_when_there_is_space() {
    for mode in [&["--mode", "sync"][..], &["--mode", "async", "--rpo", "1s"]] {
        let two = Two::befriended(["", ""]);
        let disks = small_disks(&two.b);
        two.create(mode);
        let mut host = host(&two.a);
        assert_eq!(fill(&mut host, 1), []);
        let behind = until(&two.a, "vol", "not in step", |it| {
            it["copy_state"] != "Synchronized" || it["asynchronous"]["rpo_kept"] == false
        });
        // It stays so while hosts go on, and both daemons live.
        assert_eq!(fill(&mut host, 2), [], "{behind}");
        grow(&disks);
        until(&two.a, "vol", "in step again", |it| {
            let has_all = it["percent_synced"] == 100 || it["asynchronous"]["lag_bytes"] == 0;
            it["copy_state"] == "Synchronized" && has_all
        });
        if mode.len() > 2 {
            two.a.run(&["mirror", "reset-to-sync", "vol"]);
            two.until_synchronized();
        }
        two.compare();
    }
}

#[test]
fn a_source_whose_disk_is_full_says_so_and_its_target_has_what_it_has() {
    let two = Two::befriended(["", ""]);
    let disks = small_disks(&two.b);
    // The volume with the small disk becomes the source.
    two.create(&[]);
    two.a.run(&["mirror", "failover", "vol", "-y"]);
    two.b.run(&["mirror", "reverse", "copy"]);
    two.until_synchronized();
    let mut hosts = host(&two.b);
    let refused = fill(&mut hosts, 1);
    assert!(!refused.is_empty(), "8 MiB fit into 2");
    for sense in refused {
        assert_eq!(sense, (7, 0x27, 7), "SPACE ALLOCATION FAILED WRITE PROTECT");
    }
    // What was refused, the target may have had already.
    two.until_synchronized();
    two.compare();
    grow(&disks);
    wait_until("there is space", PATIENCE, || {
        fill(&mut hosts, 2).is_empty()
    });
    two.until_synchronized();
    two.compare();
}
