//! SANITIZE and FORMAT UNIT against a real daemon: in the background, over lost sessions and kill -9,
//! and what is left of the medium when they fail.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Answer, Initiator, LoginAs};
use crate::harness::wait_until;

const SANITIZE_IN_PROGRESS: (u8, u8, u8) = (2, 0x04, 0x1b);
const FORMAT_IN_PROGRESS: (u8, u8, u8) = (2, 0x04, 0x04);
const SANITIZE_FAILED: (u8, u8, u8) = (3, 0x31, 0x03);
const UNIT_ATTENTION: u8 = 6;
const IMMED: u8 = 0x80;
const AUSE: u8 = 0x20;
const PATIENCE: Duration = Duration::from_secs(60);

/// The slowest pace that can be set: 16 MiB take 16 s, which leaves time to look.
const SLOW: &str = "sanitize_mib_per_second = 1\n";

fn sanitize(initiator: &mut Initiator, byte_1: u8, list: &[u8]) -> Answer {
    let length = u8::try_from(list.len()).unwrap();
    let cdb = [0x48, byte_1, 0, 0, 0, 0, 0, 0, length, 0];
    if list.is_empty() {
        initiator.read_command(0, &cdb, 0)
    } else {
        initiator.write_command(0, &cdb, list)
    }
}

/// One pass of `pattern`.
fn overwrite(initiator: &mut Initiator, flags: u8, pattern: &[u8]) -> Answer {
    let mut list = vec![0x01, 0, 0, u8::try_from(pattern.len()).unwrap()];
    list.extend(pattern);
    sanitize(initiator, 0x01 | flags, &list)
}

/// What TEST UNIT READY says once no unit attention is left.
fn readiness(initiator: &mut Initiator) -> (u8, u8, u8) {
    for _ in 0..8 {
        let answer = initiator.read_command(0, &[0; 6], 0);
        let code = answer.sense_code();
        if answer.status == 0 || code.0 != UNIT_ATTENTION {
            return code;
        }
    }
    panic!("unit attentions without end");
}

/// The progress that REQUEST SENSE tells, in 65536ths.
fn progress(initiator: &mut Initiator) -> u16 {
    let sense = initiator
        .read_command(0, &[0x03, 0, 0, 0, 252, 0], 252)
        .data;
    assert_eq!((sense[2], sense[12], sense[13]), SANITIZE_IN_PROGRESS);
    assert_eq!(sense[15] & 0x80, 0x80);
    u16::from_be_bytes([sense[16], sense[17]])
}

fn wait_until_ready(initiator: &mut Initiator) {
    wait_until("the medium is ready", PATIENCE, || {
        readiness(initiator) == (0, 0, 0)
    });
}

fn log_in(daemon: &Daemon) -> Initiator {
    Initiator::log_in(daemon.portal)
}

fn image(daemon: &Daemon) -> PathBuf {
    daemon.state_dir().join("volumes/vol.img")
}

fn markers(daemon: &Daemon) -> usize {
    let entries = std::fs::read_dir(daemon.state_dir()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("renewal-"))
        .count()
}

/// Whether the file is `pattern` over and over, from every 512-byte block's start on.
fn is_filled(path: &Path, pattern: &[u8]) -> bool {
    let block: Vec<u8> = pattern.iter().copied().cycle().take(512).collect();
    let data = std::fs::read(path).unwrap();
    data.chunks(512).all(|chunk| chunk == block)
}

#[test]
fn an_overwrite_goes_on_over_lost_sessions_and_kill_9_and_nothing_is_left() {
    let daemon = Daemon::start_with(SLOW, &[]);
    daemon.add_lun("vol", "8M");
    let mut first = log_in(&daemon);
    first.settle(0);
    for step in 0..8_u64 {
        first
            .write(0, step * 2048, &[0x5a; 1 << 20], false)
            .assert_good();
    }
    overwrite(&mut first, IMMED, b"gone!").assert_good();
    assert_eq!(markers(&daemon), 1, "it is durable before the status");
    assert_eq!(readiness(&mut first), SANITIZE_IN_PROGRESS);
    assert_eq!(first.read(0, 0, 1).sense_code(), SANITIZE_IN_PROGRESS);
    assert_eq!(
        first.write(0, 0, &[1; 512], false).sense_code(),
        SANITIZE_IN_PROGRESS
    );
    assert_eq!(
        sanitize(&mut first, 0x02, &[]).sense_code(),
        SANITIZE_IN_PROGRESS
    );
    drop(first);
    let mut second = log_in(&daemon);
    wait_until("some progress", PATIENCE, || progress_seen(&mut second) > 0);

    let daemon = daemon.kill_and_restart();
    let mut third = log_in(&daemon);
    assert_eq!(readiness(&mut third), SANITIZE_IN_PROGRESS);
    assert_eq!(third.read(0, 0, 1).sense_code(), SANITIZE_IN_PROGRESS);
    wait_until_ready(&mut third);
    assert!(is_filled(&image(&daemon), b"gone!"));
    assert_eq!(markers(&daemon), 0);
    third.write(0, 0, &[1; 512], false).assert_good();
    let daemon = daemon.kill_and_restart();
    log_in(&daemon).settle(0);
}

/// As [`progress`], when the unit attention of a new session may come first.
fn progress_seen(initiator: &mut Initiator) -> u16 {
    readiness(initiator);
    progress(initiator)
}

#[test]
fn an_overwrite_without_immed_answers_at_its_end_and_inverts_every_other_pass() {
    let daemon = Daemon::with_lun("2M");
    let mut initiator = log_in(&daemon);
    initiator.settle(0);
    let list = [0x80 | 2, 0, 0, 2, 0xf0, 0x01];
    sanitize(&mut initiator, 0x01, &list).assert_good();
    initiator.settle(0);
    assert!(is_filled(&image(&daemon), &[0xf0, 0x01]));
}

#[test]
fn block_erase_and_format_give_all_space_back() {
    use std::os::unix::fs::MetadataExt;
    let daemon = Daemon::with_lun("8M");
    let mut initiator = log_in(&daemon);
    initiator.settle(0);
    let format = [0x04, 0, 0, 0, 0, 0];
    for immediately in [false, true] {
        initiator.write(0, 0, &[9; 1 << 20], true).assert_good();
        assert!(std::fs::metadata(image(&daemon)).unwrap().blocks() >= 2048);
        if immediately {
            let header = [0, 0x02, 0, 0];
            let cdb = [0x04, 0x10, 0, 0, 0, 0];
            initiator.write_command(0, &cdb, &header).assert_good();
            wait_until("the medium is formatted", PATIENCE, || {
                let state = readiness(&mut initiator);
                assert!([(0, 0, 0), FORMAT_IN_PROGRESS].contains(&state));
                state == (0, 0, 0)
            });
        } else {
            sanitize(&mut initiator, 0x02, &[]).assert_good();
        }
        assert_eq!(std::fs::metadata(image(&daemon)).unwrap().blocks(), 0);
        assert!(is_filled(&image(&daemon), &[0]));
        assert_eq!(initiator.read(0, 0, 8).data, [0; 4096]);
    }
    initiator.write(0, 0, &[9; 512], true).assert_good();
    initiator.read_command(0, &format, 0).assert_good();
    assert_eq!(initiator.read(0, 0, 1).data, [0; 512]);
}

#[test]
fn an_overwrite_with_zeros_gives_the_space_back_afterwards() {
    use std::os::unix::fs::MetadataExt;
    let daemon = Daemon::with_lun("4M");
    let mut initiator = log_in(&daemon);
    initiator.settle(0);
    initiator.write(0, 0, &[9; 1 << 20], true).assert_good();
    overwrite(&mut initiator, 0, &[0; 8]).assert_good();
    assert_eq!(std::fs::metadata(image(&daemon)).unwrap().blocks(), 0);
    assert!(is_filled(&image(&daemon), &[0]));
}

#[test]
fn the_task_that_asked_can_be_aborted_and_the_operation_goes_on() {
    let daemon = Daemon::start_with(SLOW, &[]);
    daemon.add_lun("vol", "4M");
    let mut initiator = log_in(&daemon);
    initiator.settle(0);
    let list = [0x01, 0, 0, 1, 0x77];
    let cdb = [0x48, 0x01, 0, 0, 0, 0, 0, 0, 5, 0];
    let command = initiator.command(0, &cdb, 0x20, 5).with_data(&list);
    initiator.send(&command).unwrap();
    wait_until("it is under way", PATIENCE, || markers(&daemon) == 1);
    // ABORT TASK (RFC 7143 §11.5.1).
    let tag = initiator.tag();
    let mut abort = crate::harness::initiator::Pdu::new(0x42, 0x81)
        .set(16, tag)
        .set(20, command.get(16))
        .set(24, initiator.cmd_sn)
        .set(28, initiator.exp_stat_sn)
        .set(32, command.get(24));
    abort.bhs[9] = 0;
    initiator.send(&abort).unwrap();
    let reply = initiator.receive().unwrap();
    assert_eq!(
        (reply.opcode(), reply.bhs[2]),
        (0x22, 0),
        "function complete"
    );
    assert_eq!(readiness(&mut initiator), SANITIZE_IN_PROGRESS);
    wait_until_ready(&mut initiator);
    assert!(is_filled(&image(&daemon), &[0x77]));
}

/// A file system of 8 MiB with a sparse file of 32 MiB, which can't be overwritten.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(folder: &Path) -> Self {
        let mount = folder.join("small");
        std::fs::create_dir(&mount).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(&mount)
            .status();
        assert!(mounted.unwrap().success(), "this test needs root");
        let file = std::fs::File::create(mount.join("lun")).unwrap();
        file.set_len(32 << 20).unwrap();
        Self(mount)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        let clean = unmounted.is_ok_and(|status| status.success());
        assert!(clean || std::thread::panicking(), "the disk stays behind");
    }
}

#[test]
fn a_sanitize_that_fails_leaves_the_unit_unusable_over_restarts_until_it_is_left_as_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::new(folder.path());
    let daemon = Daemon::start();
    let lun = disk.0.join("lun");
    daemon.run(&["volume", "create", "small", "--file", lun.to_str().unwrap()]);
    daemon.run(&["target", "create", TARGET]);
    daemon.run(&["lun", "map", TARGET, "small"]);
    daemon.run(&["acl", "allow", TARGET, "*"]);
    let mut initiator = log_in(&daemon);
    initiator.settle(0);

    // In the restricted completion mode.
    let failed = overwrite(&mut initiator, 0, b"x");
    assert_eq!(failed.sense_code(), SANITIZE_FAILED);
    assert_eq!(readiness(&mut initiator), SANITIZE_FAILED);
    assert_eq!(initiator.read(0, 0, 1).sense_code(), SANITIZE_FAILED);
    let daemon = daemon.kill_and_restart();
    let mut initiator = log_in(&daemon);
    assert_eq!(readiness(&mut initiator), SANITIZE_FAILED);
    let exit = sanitize(&mut initiator, 0x1f, &[]);
    assert_eq!(exit.sense_code(), (5, 0x24, 0), "INVALID FIELD IN CDB");
    let shown = daemon.json(&["volume", "show", "small"]);
    assert_eq!(shown["state"], "failed");
    // One that succeeds cures it.
    sanitize(&mut initiator, 0x02, &[]).assert_good();
    initiator.settle(0);

    // In the unrestricted completion mode.
    let failed = overwrite(&mut initiator, AUSE, b"x");
    assert_eq!(failed.sense_code(), SANITIZE_FAILED);
    let daemon = daemon.kill_and_restart();
    let mut initiator = log_in(&daemon);
    assert_eq!(readiness(&mut initiator), SANITIZE_FAILED);
    sanitize(&mut initiator, 0x1f, &[]).assert_good();
    initiator.settle(0);
    let daemon = daemon.kill_and_restart();
    log_in(&daemon).settle(0);
}

#[test]
fn two_sessions_that_sanitize_at_once_get_one_operation() {
    let daemon = Daemon::start_with(SLOW, &[]);
    daemon.add_lun("vol", "2M");
    let mut sessions: Vec<_> = (1..=4)
        .map(|isid| {
            let who = LoginAs {
                isid,
                ..LoginAs::default()
            };
            let mut initiator = Initiator::log_in_as(daemon.portal, &who).unwrap();
            initiator.settle(0);
            initiator
        })
        .collect();
    let pattern = b"once";
    let mut begun = 0;
    for initiator in &mut sessions {
        let answer = overwrite(initiator, IMMED, pattern);
        if answer.status == 0 {
            begun += 1;
        } else {
            assert_eq!(answer.sense_code(), SANITIZE_IN_PROGRESS);
        }
    }
    assert_eq!(begun, 1);
    wait_until_ready(&mut sessions[3]);
    assert!(is_filled(&image(&daemon), pattern));
}

#[test]
fn what_snapshots_keep_is_not_said_to_be_sanitized() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    daemon.run(&["snapshot", "create", "vol", "kept"]);
    let refused = overwrite(&mut initiator, 0, &[0x55]);
    assert_eq!(
        refused.sense_code(),
        (5, 0x20, 0),
        "INVALID COMMAND OPERATION CODE"
    );
    let daemon = daemon.kill_and_restart();
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let refused = sanitize(&mut initiator, 0x02, &[]);
    assert_eq!(
        refused.sense_code(),
        (5, 0x20, 0),
        "INVALID COMMAND OPERATION CODE"
    );
}

#[test]
fn no_snapshot_is_taken_of_what_is_being_sanitized() {
    let daemon = Daemon::start_with(SLOW, &[]);
    daemon.add_lun("vol", "16M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    overwrite(&mut initiator, 0x80, &[0x55]).assert_good();
    let refused = daemon.refused(&["snapshot", "create", "vol", "half"]);
    assert!(refused.contains("vol is being sanitized"), "{refused}");
    let refused = daemon.refused(&["clone", "create", "vol", "half"]);
    assert!(refused.contains("vol is being sanitized"), "{refused}");
    assert!(daemon.json(&["volume", "show", "vol"])["family"].is_null());
}
