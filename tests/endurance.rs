//! The daemon under load: killed in the middle, its file frozen, its sessions cut off.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Initiator, LoginAs, cdb16};

/// A block that tells its own number and version, so that old, new and torn can be told apart.
fn block(lba: u64, version: u64) -> Vec<u8> {
    let mut block = Vec::with_capacity(4_096);
    while block.len() < 4_096 {
        block.extend_from_slice(&lba.to_le_bytes());
        block.extend_from_slice(&version.to_le_bytes());
    }
    block
}

#[test]
fn no_acknowledged_write_is_lost_when_the_daemon_is_killed_under_load() {
    const BLOCKS: u64 = 64;
    let mut daemon = Daemon::with_lun("8M");
    let mut acknowledged = [0_u64; BLOCKS as usize];
    let mut version = 0;
    for round in 0..8_u64 {
        let mut initiator = Initiator::log_in(daemon.portal);
        initiator.settle(0);
        for (index, expected) in acknowledged.iter().enumerate() {
            let lba = index as u64 * 8;
            let found = initiator.read(0, lba, 8);
            found.assert_good();
            let version = u64::from_le_bytes(found.data[8..16].try_into().unwrap());
            assert!(
                version >= *expected,
                "block {index}: version {version}, acknowledged {expected}"
            );
            if version > 0 {
                assert!(found.data == block(lba, version), "block {index} is torn");
            }
        }
        let pid = daemon.pid().to_string();
        let killer = std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_millis(50 + 30 * round));
            assert!(
                Command::new("kill")
                    .args(["-9", &pid])
                    .status()
                    .unwrap()
                    .success()
            );
        });
        'load: loop {
            for index in 0..BLOCKS {
                version += 1;
                let data = block(index * 8, version);
                let pdu = initiator.command(0, &cdb16(0x8a, index * 8, 8, false), 0x20, 4_096);
                let pdu = pdu.with_data(&data);
                let answer = initiator
                    .send(&pdu)
                    .and_then(|()| initiator.finish(pdu.get(16), &data));
                match answer {
                    Ok(answer) => {
                        answer.assert_good();
                        acknowledged[usize::try_from(index).unwrap()] = version;
                    }
                    Err(_) => break 'load,
                }
            }
        }
        killer.join().unwrap();
        daemon = daemon.kill_and_restart();
    }
}

/// A loop-mounted ext4 that can be frozen; thawed and unmounted when dropped.
struct Freezer {
    path: PathBuf,
}

impl Freezer {
    fn new(folder: &Path) -> Self {
        let image = folder.join("ext4.img");
        std::fs::File::create(&image)
            .unwrap()
            .set_len(64 << 20)
            .unwrap();
        let path = folder.join("frozen");
        std::fs::create_dir(&path).unwrap();
        let run = |program: &str, args: &[&std::ffi::OsStr]| {
            let output = Command::new(program).args(args).output().unwrap();
            assert!(
                output.status.success(),
                "{program} (tests of frozen files need root and loop devices): {}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        run("mkfs.ext4", &["-q".as_ref(), image.as_os_str()]);
        run(
            "mount",
            &[
                "-o".as_ref(),
                "loop".as_ref(),
                image.as_os_str(),
                path.as_os_str(),
            ],
        );
        Self { path }
    }

    fn fsfreeze(&self, flag: &str) -> bool {
        let status = Command::new("fsfreeze").arg(flag).arg(&self.path).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.fsfreeze("-u");
        let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_frozen_file_answers_busy_in_time_and_holds_nobody_else_up() {
    let daemon = Daemon::start_with("command_deadline_seconds = 6", &[]);
    let freezer = Freezer::new(daemon.folder());
    let file = freezer.path.join("image");
    std::fs::write(&file, vec![0; 8 << 20]).unwrap();
    daemon.add_lun("healthy", "8M");
    daemon.run(&[
        "volume",
        "create",
        "frozen",
        "--file",
        file.to_str().unwrap(),
    ]);
    daemon.run(&["lun", "map", TARGET, "frozen", "--lun", "1"]);
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.settle(1);
    initiator.write(1, 0, &[1; 4_096], false).assert_good();
    assert!(freezer.fsfreeze("-f"), "cannot freeze");
    let begun = Instant::now();
    let stuck = initiator
        .command(1, &cdb16(0x8a, 0, 8, false), 0x20, 4_096)
        .with_data(&[2; 4_096]);
    initiator.send(&stuck).unwrap();
    // The same session and a new one work while that write is stuck.
    initiator.ping(b"alive").unwrap();
    let who = LoginAs {
        isid: 2,
        ..LoginAs::default()
    };
    let mut other = Initiator::log_in_as(daemon.portal, &who).unwrap();
    other.settle(0);
    other.write(0, 0, &[3; 4_096], false).assert_good();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "others waited {:?}",
        begun.elapsed()
    );
    let answer = initiator.finish(stuck.get(16), &[]).unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "answered after {:?}",
        begun.elapsed()
    );
    assert_eq!(answer.status, 8, "BUSY");
    // A newer write must not be overtaken by the stuck one: it is refused until that has ended.
    let answer = initiator.write(1, 0, &[4; 4_096], false);
    assert_eq!(answer.status, 8, "BUSY while an older write is stuck");
    assert!(freezer.fsfreeze("-u"), "cannot thaw");
    let deadline = Instant::now() + Duration::from_secs(60);
    while initiator.write(1, 0, &[5; 4_096], false).status != 0 {
        assert!(Instant::now() < deadline, "the volume doesn't come back");
    }
    assert!(initiator.read(1, 0, 8).data == [5; 4_096]);
    drop(daemon);
}

#[test]
fn a_kill_and_restart_serves_again_within_seconds() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let begun = Instant::now();
    let daemon = daemon.kill_and_restart();
    Initiator::log_in(daemon.portal).settle(0);
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "it took {:?}",
        begun.elapsed()
    );
}
