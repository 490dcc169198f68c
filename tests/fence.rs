//! A flush that fails: the volume is fenced until an operator acts, over restarts too.
//!
//! The failing disk is real: a loop device on a sparse file in a file system that is too small. Writes
//! go to the page cache and are acknowledged; the flush finds no room for them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::Initiator;
use crate::harness::wait_until;

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {args:?} (this test needs root and loop devices): {stderr}"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A disk of 16 MiB that has room for 4.
struct FailingDisk {
    mount: PathBuf,
    device: String,
}

impl FailingDisk {
    fn new(folder: &Path) -> Self {
        let mount = folder.join("small");
        std::fs::create_dir(&mount).unwrap();
        let text = mount.to_str().unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=4m", "tmpfs", text]);
        let backing = mount.join("backing");
        std::fs::File::create(&backing)
            .unwrap()
            .set_len(16 << 20)
            .unwrap();
        let device = run("losetup", &["--find", "--show", backing.to_str().unwrap()]);
        Self { mount, device }
    }

    fn make_room(&self) {
        run(
            "mount",
            &["-o", "remount,size=64m", self.mount.to_str().unwrap()],
        );
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        // What fails here leaves a loop device behind, which is worth knowing but not hiding a
        // failure of the test itself.
        let detached = Command::new("losetup").args(["-d", &self.device]).status();
        let unmounted = Command::new("umount").arg("-l").arg(&self.mount).status();
        let clean = [detached, unmounted]
            .iter()
            .all(|status| status.as_ref().is_ok_and(std::process::ExitStatus::success));
        assert!(clean || std::thread::panicking(), "the disk stays behind");
    }
}

fn state(daemon: &Daemon) -> String {
    let shown = daemon.json(&["volume", "show", "failing"]);
    shown["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_failed_flush_fences_the_volume_until_an_operator_acts_even_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(folder.path());
    let daemon = Daemon::start();
    daemon.run(&["volume", "create", "failing", "--file", &disk.device]);
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
