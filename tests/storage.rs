//! What was written is found again, and what an operator did persists.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::daemon::{Daemon, TARGET, start_refused};
use crate::harness::initiator::{Initiator, Pdu, cdb16};
use crate::harness::wait_until;

fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| seed.wrapping_add((index / 512) as u8).wrapping_mul(31))
        .collect()
}

#[test]
fn what_was_written_is_read_back_whatever_its_size() {
    let daemon = Daemon::with_lun("64M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    assert_eq!(initiator.capacity(0), (64 << 20) / 512);
    // Within immediate data, over FirstBurstLength, and over MaxBurstLength.
    for (lba, len) in [
        (0_u64, 512_usize),
        (8, 4_096),
        (100, 65_536),
        (1_000, 200_192),
        (5_000, 3 << 20),
    ] {
        let data = pattern(len as u8, len);
        initiator.write(0, lba, &data, false).assert_good();
        let blocks = u32::try_from(len / 512).unwrap();
        let back = initiator.read(0, lba, blocks);
        back.assert_good();
        assert!(back.data == data, "{len} bytes at {lba} came back changed");
    }
}

#[test]
fn everything_that_was_answered_is_still_there_after_kill_9() {
    let daemon = Daemon::with_lun("16M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let data = pattern(3, 65_536);
    initiator.write(0, 64, &data, true).assert_good();
    let before = daemon.json(&["volume", "show", "vol"]);
    daemon.run(&["volume", "create", "late", "--size", "8M"]);
    daemon.run(&["lun", "map", TARGET, "late", "--lun", "7", "--read-only"]);
    let daemon = daemon.kill_and_restart();
    let after = daemon.json(&["volume", "show", "vol"]);
    for key in ["naa", "serial", "size_bytes"] {
        assert!(!before[key].is_null(), "{key} is missing in {before}");
        assert_eq!(before[key], after[key], "{key} changed over a restart");
    }
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let back = initiator.read(0, 64, 128);
    assert!(back.assert_good().data == data);
    initiator.settle(7);
    let refused = initiator.write(7, 0, &pattern(1, 512), false);
    assert_eq!(
        refused.sense_code(),
        (7, 0x27, 0),
        "DATA PROTECT, WRITE PROTECTED"
    );
}

#[test]
fn kill_9_right_after_each_command_loses_none_of_them() {
    let mut daemon = Daemon::start();
    for round in 0..5 {
        let volume = format!("v{round}");
        daemon.run(&["volume", "create", &volume, "--size", "8M"]);
        daemon = daemon.kill_and_restart();
        let names: Vec<_> = daemon
            .volumes()
            .iter()
            .map(|volume| volume["name"].as_str().unwrap().to_owned())
            .collect();
        assert!(names.contains(&volume), "{volume} is gone: {names:?}");
    }
}

#[test]
fn a_stop_flushes_and_says_so() {
    let mut daemon = Daemon::with_lun("16M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator
        .write(0, 0, &pattern(9, 4_096), false)
        .assert_good();
    assert!(daemon.terminate());
    assert!(!daemon.socket.exists(), "the admin socket stays behind");
    let daemon = daemon.restart();
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    assert!(initiator.read(0, 0, 8).data == pattern(9, 4_096));
}

#[test]
fn growing_a_volume_is_seen_by_its_hosts_at_once() {
    let daemon = Daemon::with_lun("16M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    daemon.run(&["volume", "resize", "vol", "--size", "32M"]);
    let told = initiator.read_command(0, &[0; 6], 0);
    assert_eq!(told.sense_code(), (6, 0x2a, 9), "CAPACITY DATA HAS CHANGED");
    assert_eq!(initiator.capacity(0), (32 << 20) / 512);
    let last = (32 << 20) / 512 - 1;
    initiator
        .write(0, last, &pattern(1, 512), false)
        .assert_good();
    let daemon = daemon.kill_and_restart();
    assert_eq!(
        daemon.json(&["volume", "show", "vol"])["size_bytes"],
        32 << 20
    );
}

#[test]
fn luns_come_and_go_without_dropping_the_session() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    daemon.run(&["volume", "create", "second", "--size", "8M"]);
    daemon.run(&["lun", "map", TARGET, "second"]);
    let told = initiator.read_command(0, &[0; 6], 0);
    assert_eq!(
        told.sense_code(),
        (6, 0x3f, 0x0e),
        "REPORTED LUNS DATA HAS CHANGED"
    );
    initiator.settle(1);
    initiator.write(1, 0, &pattern(1, 512), false).assert_good();
    daemon.run(&["lun", "unmap", TARGET, "1", "--yes"]);
    let gone = initiator.read(1, 0, 1);
    assert_eq!(
        gone.sense_code(),
        (5, 0x25, 0),
        "LOGICAL UNIT NOT SUPPORTED"
    );
    initiator.settle(0);
}

#[test]
fn an_existing_file_is_served_as_it_is() {
    let daemon = Daemon::start();
    let file = daemon.folder().join("image");
    std::fs::write(&file, pattern(5, 1 << 20)).unwrap();
    daemon.run(&[
        "volume",
        "create",
        "adopted",
        "--file",
        file.to_str().unwrap(),
    ]);
    daemon.run(&["target", "create", TARGET]);
    daemon.run(&["lun", "map", TARGET, "adopted"]);
    daemon.run(&["acl", "allow", TARGET, "*"]);
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    assert!(initiator.read(0, 0, 2_048).data == pattern(5, 1 << 20));
    daemon.run(&["lun", "unmap", TARGET, "0", "--yes"]);
    daemon.run(&["volume", "delete", "adopted", "--yes"]);
    assert!(
        file.exists(),
        "a file that the daemon didn't make is never deleted"
    );
}

#[test]
fn files_that_cannot_be_served_are_refused_by_name() {
    let daemon = Daemon::start();
    let missing = daemon.folder().join("missing");
    let folder = daemon.folder().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let empty = daemon.folder().join("empty");
    std::fs::write(&empty, b"").unwrap();
    // The daemon's own.
    let books = daemon.state_dir().join("tidelockd.toml");
    for path in [&missing, &folder, &empty, &books] {
        let path = path.to_str().unwrap();
        let message = daemon.refused(&["volume", "create", "v", "--file", path]);
        assert!(message.contains(path), "{message} doesn't name {path}");
    }
    assert_eq!(daemon.volumes().len(), 0);
}

#[test]
fn a_file_that_another_daemon_serves_is_refused() {
    let one = Daemon::start();
    let two = Daemon::start();
    let file = one.folder().join("image");
    std::fs::write(&file, pattern(5, 1 << 20)).unwrap();
    let file = file.to_str().unwrap();
    one.run(&["volume", "create", "v", "--file", file]);
    let message = two.refused(&["volume", "create", "v", "--file", file]);
    assert!(
        message.contains(file) && message.contains("in use"),
        "{message}"
    );
}

#[test]
fn a_volume_whose_file_is_gone_is_not_ready_and_the_others_are_served() {
    let mut daemon = Daemon::with_lun("8M");
    let file = daemon.folder().join("image");
    std::fs::write(&file, pattern(5, 1 << 20)).unwrap();
    daemon.run(&["volume", "create", "lost", "--file", file.to_str().unwrap()]);
    daemon.run(&["lun", "map", TARGET, "lost"]);
    daemon.kill();
    std::fs::remove_file(&file).unwrap();
    let daemon = daemon.restart();
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.write(0, 0, &pattern(1, 512), false).assert_good();
    for _ in 0..3 {
        let answer = initiator.read(1, 0, 1);
        if answer.sense_code().0 != 6 {
            assert_eq!(
                answer.sense_code().0,
                2,
                "NOT READY: {:?}",
                answer.sense_code()
            );
        }
    }
    let shown = daemon.run(&["volume", "show", "lost"]);
    assert!(shown.contains(file.to_str().unwrap()), "{shown}");
    // A file that comes back is served again by itself.
    std::fs::write(&file, pattern(5, 1 << 20)).unwrap();
    wait_until("the volume is ready", Duration::from_secs(60), || {
        daemon.json(&["volume", "show", "lost"])["state"] == "ready"
    });
    initiator.settle(1);
    assert!(initiator.read(1, 0, 2_048).data == pattern(5, 1 << 20));
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let daemon = Daemon::start();
    let folder = daemon.state_dir().to_str().unwrap();
    let said = start_refused(&["--state-dir", folder, "--portal", "127.0.0.1:0"]);
    assert!(said.contains("in use by another tidelockd"), "{said}");
}

#[test]
fn a_damaged_catalog_is_named_and_left_alone() {
    let mut daemon = Daemon::with_lun("8M");
    assert!(daemon.terminate());
    let path = daemon.state_dir().join("catalog");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&path, &bytes).unwrap();
    let folder = daemon.state_dir().to_str().unwrap();
    let said = start_refused(&["--state-dir", folder, "--portal", "127.0.0.1:0"]);
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

/// A file system of the test's own, unmounted when dropped.
pub(crate) struct Mount {
    pub(crate) path: std::path::PathBuf,
}

impl Mount {
    pub(crate) fn tmpfs(path: &Path, options: &str) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(path)
            .status()
            .unwrap();
        assert!(
            mounted.success(),
            "tests of full disks need root, to mount a small tmpfs"
        );
        Self {
            path: path.to_owned(),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_full_disk_fails_the_write_alone_and_space_helps() {
    let daemon = Daemon::start();
    let small = Mount::tmpfs(&daemon.folder().join("small"), "size=4m");
    let file = small.path.join("thin");
    std::fs::File::create(&file)
        .unwrap()
        .set_len(16 << 20)
        .unwrap();
    daemon.run(&["volume", "create", "thin", "--file", file.to_str().unwrap()]);
    daemon.run(&["target", "create", TARGET]);
    daemon.run(&["lun", "map", TARGET, "thin"]);
    daemon.run(&["acl", "allow", TARGET, "*"]);
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let mut full = None;
    for step in 0..32_u64 {
        let answer = initiator.write(0, step * 512, &pattern(step as u8, 256 << 10), false);
        if answer.status != 0 {
            full = Some((step, answer.sense_code()));
            break;
        }
    }
    let (step, sense) = full.expect("16 MiB fit into 4");
    assert_eq!(
        sense,
        (7, 0x27, 7),
        "DATA PROTECT, SPACE ALLOCATION FAILED WRITE PROTECT"
    );
    assert!(initiator.read(0, 0, 512).data == pattern(0, 256 << 10));
    // UNMAP gives space back, and writes go on.
    let mut list = vec![0, 22, 0, 16, 0, 0, 0, 0];
    list.extend_from_slice(&0_u64.to_be_bytes());
    list.extend_from_slice(&2_048_u32.to_be_bytes());
    list.extend_from_slice(&[0; 4]);
    let cdb = [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0];
    initiator.write_command(0, &cdb, &list).assert_good();
    let again = initiator.write(0, step * 512, &pattern(7, 256 << 10), false);
    again.assert_good();
}

#[test]
fn creating_a_volume_on_a_full_disk_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let small = Mount::tmpfs(&folder.path().join("small"), "size=4m");
    let state = small.path.join("state");
    let daemon = Daemon::start_in(&state);
    let message = daemon.refused(&["volume", "create", "big", "--size", "64M", "--preallocate"]);
    assert!(message.contains("big.img"), "{message}");
    assert_eq!(daemon.volumes().len(), 0);
    assert!(!state.join("volumes/big.img").exists());
    drop(daemon);
}

#[test]
fn data_that_comes_after_the_volume_was_unmapped_is_not_written() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let cdb = cdb16(0x8a, 0, 8, false);
    let write = initiator.command(0, &cdb, 0x20, 4_096);
    initiator.send(&write).unwrap();
    let r2t = initiator.receive().unwrap();
    assert_eq!(r2t.opcode(), 0x31);
    daemon.run(&["lun", "unmap", TARGET, "0", "--yes"]);
    let data = Pdu::new(0x05, 0x80)
        .with_data(&[9; 4_096])
        .set(16, write.get(16))
        .set(20, r2t.get(20))
        .set(28, initiator.exp_stat_sn);
    initiator.send(&data).unwrap();
    let answer = initiator.finish(write.get(16), &[]).unwrap();
    assert_eq!(
        answer.sense_code(),
        (5, 0x25, 0),
        "LOGICAL UNIT NOT SUPPORTED"
    );
    // An idle session lets go of the file as well.
    daemon.run(&["volume", "delete", "vol", "--yes"]);
    daemon.run(&["volume", "create", "vol", "--size", "8M"]);
    daemon.run(&["lun", "map", TARGET, "vol", "--lun", "0"]);
    initiator.settle(0);
    assert!(initiator.read(0, 0, 8).data == [0; 4_096]);
}

#[test]
fn a_copied_state_folder_never_touches_the_files_of_the_original() {
    let mut daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator
        .write(0, 0, &pattern(3, 4_096), true)
        .assert_good();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    let copied = Command::new("cp")
        .args([
            "-r".as_ref(),
            daemon.state_dir().as_os_str(),
            copy.as_os_str(),
        ])
        .status()
        .unwrap();
    assert!(copied.success());
    std::fs::remove_file(copy.join("admin.sock")).unwrap();
    let second = Daemon::start_in(&copy);
    assert_eq!(
        second.json(&["volume", "show", "vol"])["state"],
        "ready",
        "the copy has files of its own"
    );
    second.run(&["lun", "unmap", TARGET, "0", "--yes"]);
    second.run(&["volume", "delete", "vol", "--yes"]);
    drop(second);
    assert!(daemon.state_dir().join("volumes/vol.img").exists());
    assert!(daemon.is_running());
    assert!(initiator.read(0, 0, 8).data == pattern(3, 4_096));
}
