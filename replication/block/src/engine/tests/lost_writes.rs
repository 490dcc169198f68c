//! What the kernel says when write-back fails on a real medium: a loop device over a sparse file in
//! a tmpfs that is too small for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

fn run(program: &str, arguments: &[&str], last: &Path) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .arg(last)
        .output()
        .ok()?;
    if !output.status.success() {
        eprintln!(
            "NOT TESTED here: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// 1 MiB of space.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        run(
            "mount",
            &["-t", "tmpfs", "-o", "size=1m", "none"],
            folder.path(),
        )?;
        Some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the loop device lets go of its file a little later.
        run("umount", &["--lazy"], self.0.path());
    }
}

/// 16 MiB that promise more than there is.
struct Device(PathBuf);

impl Device {
    fn on(disk: &SmallDisk) -> Option<Self> {
        let backing = disk.0.path().join("backing");
        fs::File::create(&backing)
            .unwrap()
            .set_len(16 << 20)
            .unwrap();
        Some(Self(
            run("losetup", &["--find", "--show"], &backing)?.into(),
        ))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        run("losetup", &["--detach"], &self.0);
    }
}

#[test]
fn every_engine_hears_of_a_lost_write_for_itself() {
    let Some(disk) = SmallDisk::new() else { return };
    let Some(device) = Device::on(&disk) else {
        return;
    };
    let file = BlockFile::open(&FileOptions {
        lanes: 64,
        ..FileOptions::new(&device.0)
    })
    .unwrap();
    let threads = || EngineIo::Threads(ThreadsIo::new(4).unwrap());
    let mut first = Rig::around(threads(), Arc::clone(&file));
    let mut second = match UringIo::new(4) {
        Ok(io) => Rig::around(EngineIo::Uring(io), Arc::clone(&file)),
        Err(_) => Rig::around(threads(), Arc::clone(&file)),
    };
    let sync = |rig: &mut Rig| rig.run(OpKind::DataSync).result;
    sync(&mut first).unwrap();
    first.run(write(4 << 20, &vec![1; 4 << 20])).result.unwrap();
    let error = sync(&mut first).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            BlockErrorKind::Medium | BlockErrorKind::NoSpace
        ),
        "{error}"
    );
    // The kernel has told the first, and would not tell it again: over lost data, success.
    sync(&mut first).unwrap();
    assert!(
        sync(&mut second).is_err(),
        "the first has taken the second one's report"
    );
    assert!(file.data_sync().is_err(), "and that of control");
    assert!(
        !file.take_reported_errors() || !file.take_reported_errors(),
        "taken is taken"
    );
}
