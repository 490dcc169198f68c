//! A flush that fails: the volume is fenced until an operator acts, over restarts too.
//!
//! The failing disk is real: a loop device on a sparse file in a file system that is too small. Writes
//! go to the page cache and are acknowledged; the flush finds no room for them.

use std::time::Duration;

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::disk::Disk;
use crate::harness::initiator::Initiator;
use crate::harness::wait_until;

fn state(daemon: &Daemon) -> String {
    let shown = daemon.json(&["volume", "show", "failing"]);
    shown["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_failed_flush_fences_the_volume_until_an_operator_acts_even_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    // Of 16 MiB, with room for 4.
    let disk = Disk::new(folder.path(), "4m");
    let daemon = Daemon::start();
    daemon.run(&["volume", "create", "failing", "--file", disk.device()]);
    daemon.run(&["target", "create", TARGET]);
    daemon.run(&["lun", "map", TARGET, "failing"]);
    daemon.run(&["acl", "allow", TARGET, "*"]);
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    for step in 0..8_u64 {
        let lba = step * 2_048;
        initiator.write(0, lba, &[7; 1 << 20], false).assert_good();
    }
    let failed = initiator.flush(0);
    assert_ne!(
        failed.status, 0,
        "the flush of data that has no room succeeded"
    );
    assert_eq!(state(&daemon), "fenced");
    let refused = initiator.write(0, 0, &[8; 512], false);
    assert_eq!(
        refused.sense_code().0,
        4,
        "HARDWARE ERROR: {:?}",
        refused.sense_code()
    );
    assert_ne!(
        initiator.flush(0).status,
        0,
        "a second flush forgot the failure"
    );
    // Noted within moments, and found again by a daemon that was not asked to stop.
    let marker = |entry: &std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("fenced-") && !name.ends_with(".new")
    };
    wait_until("the fence is noted", Duration::from_secs(60), || {
        let entries = std::fs::read_dir(daemon.state_dir()).unwrap();
        entries.filter_map(Result::ok).any(|entry| marker(&entry))
    });
    let daemon = daemon.kill_and_restart();
    assert_eq!(state(&daemon), "fenced");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    assert_ne!(initiator.write(0, 0, &[8; 512], false).status, 0);
    disk.make_room();
    daemon.run(&["volume", "unfence", "failing", "--yes"]);
    assert_eq!(state(&daemon), "ready");
    initiator.write(0, 0, &[8; 512], true).assert_good();
    let mut daemon = daemon.kill_and_restart();
    assert_eq!(state(&daemon), "ready");
    daemon.kill();
}
