//! Copies that hosts ask for take no space where the file system can share: EXTENDED COPY and ODX on an XFS of the
//! test's own, between volumes with snapshots and without.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::copy::{MIB, MIB_BLOCKS, copy, cscd, pattern, read_mebibyte, segment};
use crate::harness::daemon::Daemon;
use crate::harness::initiator::Initiator;
use crate::offload::{token, write_using};

/// Mebibytes that are copied.
const MEBIBYTES: u64 = 32;

/// A loop-mounted XFS, unmounted when dropped.
struct Xfs {
    path: PathBuf,
}

impl Xfs {
    /// `None` (and a word about it) where the host has none.
    fn new(folder: &Path) -> Option<Self> {
        let image = folder.join("xfs.img");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(512 << 20).unwrap();
        let path = folder.join("xfs");
        std::fs::create_dir(&path).unwrap();
        let mut make = Command::new("mkfs.xfs");
        make.args(["-q", "-m", "reflink=1"]).arg(&image);
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).args([&image, &path]);
        let runs = |command: &mut Command| match command.output() {
            Ok(output) if output.status.success() => true,
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                eprintln!("NOT TESTED on this host: {command:?}: {said}");
                false
            }
            Err(error) => {
                eprintln!("NOT TESTED on this host: {command:?}: {error}");
                false
            }
        };
        (runs(&mut make) && runs(&mut mount)).then(|| Self { path })
    }

    /// Mebibytes in use, when everything is where it stays.
    fn used(&self) -> u64 {
        let folder = std::fs::File::open(&self.path).unwrap();
        rustix::fs::syncfs(&folder).unwrap();
        let stat = rustix::fs::fstatvfs(&folder).unwrap();
        ((stat.f_blocks - stat.f_bfree) * stat.f_frsize) >> 20
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn fill(initiator: &mut Initiator, lun: u8, from: u64, mebibytes: u64, seed: u8) {
    for part in from..from + mebibytes {
        let data = pattern(seed.wrapping_add(part as u8), MIB);
        let lba = part * MIB_BLOCKS;
        initiator.write(lun, lba, &data, false).assert_good();
    }
}

#[test]
fn what_hosts_have_copied_shares_its_space() {
    let folder = tempfile::tempdir().unwrap();
    let Some(xfs) = Xfs::new(folder.path()) else {
        return;
    };
    let daemon = Daemon::start_in(&xfs.path.join("state"));
    daemon.add_lun("vol", "128M");
    daemon.run(&["volume", "create", "raw", "--size", "128M"]);
    daemon.run(&["volume", "create", "kept", "--size", "128M"]);
    let target = crate::harness::daemon::TARGET;
    daemon.run(&["lun", "map", target, "raw", "--lun", "1"]);
    daemon.run(&["lun", "map", target, "kept", "--lun", "2"]);
    let mut initiator = Initiator::log_in(daemon.portal);
    (0..3).for_each(|lun| initiator.settle(lun));
    fill(&mut initiator, 0, 0, MEBIBYTES, 1);
    // Half of it is in the home file, half in the family's.
    daemon.run(&["snapshot", "create", "vol", "before"]);
    daemon.run(&["snapshot", "create", "kept", "before"]);
    fill(&mut initiator, 0, 16, MEBIBYTES - 16, 100);
    let expected: Vec<_> = (0..MEBIBYTES)
        .map(|part| {
            pattern(
                (part as u8).wrapping_add(if part < 16 { 1 } else { 100 }),
                MIB,
            )
        })
        .collect();
    let used = xfs.used();
    let cscds: Vec<u8> = (0..3).flat_map(|lun| cscd(&mut initiator, lun)).collect();
    let blocks = (16 * MIB_BLOCKS) as u16;
    let both = |ends, to: u64| {
        let half = |at: u64| segment(ends, blocks, at * MIB_BLOCKS, (to + at) * MIB_BLOCKS);
        [half(0), half(16)].concat()
    };
    // From mapped to raw, from mapped to mapped, from raw to raw, from raw to mapped.
    for (ends, to) in [((0, 1), 0), ((0, 2), 0), ((1, 1), 64), ((1, 2), 64)] {
        copy(&mut initiator, 0, &cscds, &both(ends, to)).assert_good();
        for (part, expected) in (0..).zip(&expected) {
            let lun = u8::try_from(ends.1).unwrap();
            let found = read_mebibyte(&mut initiator, lun, to + part);
            assert!(found == *expected, "{ends:?}, mebibyte {part}");
        }
        let now = xfs.used();
        assert!(now <= used + 6, "{ends:?}: {used} MiB, now {now} MiB");
    }
    // With tokens of a mapped volume and of a raw one.
    for (from, lun, to) in [(0, 1, 96), (1, 2, 96)] {
        let all = (MEBIBYTES * MIB_BLOCKS) as u32;
        let made = token(&mut initiator, from, &[(0, all)]);
        let place = [(to * MIB_BLOCKS, all)];
        write_using(&mut initiator, lun, &made, 0, &place, 0).assert_good();
        for (part, expected) in (0..).zip(&expected) {
            let found = read_mebibyte(&mut initiator, lun, to + part);
            assert!(found == *expected, "a token of {from}, mebibyte {part}");
        }
        let now = xfs.used();
        assert!(
            now <= used + 6,
            "a token of {from}: {used} MiB, now {now} MiB"
        );
    }
    // What is written then is the writer's alone.
    fill(&mut initiator, 0, 0, 4, 200);
    for lun in [1, 2] {
        assert!(read_mebibyte(&mut initiator, lun, 2) == expected[2]);
    }
    for volume in ["vol", "kept"] {
        let report = daemon.json(&["volume", "verify", volume]);
        assert_eq!(report["damaged"], 0, "{report}");
    }
}
