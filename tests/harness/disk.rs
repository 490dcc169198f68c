//! A disk of its own for a test: a loop device on a sparse file in a file system of its own. Needs root.

use std::path::{Path, PathBuf};
use std::process::Command;

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {args:?} (this test needs root and loop devices): {stderr}"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A disk of 16 MiB. Gone when dropped.
pub(crate) struct Disk {
    mount: PathBuf,
    device: String,
}

impl Disk {
    /// With so much `room` for what is written, as `mount` has it.
    pub(crate) fn new(folder: &Path, room: &str) -> Self {
        let mount = folder.join("small");
        std::fs::create_dir(&mount).unwrap();
        let text = mount.to_str().unwrap();
        let size = format!("size={room}");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", text]);
        let backing = mount.join("backing");
        std::fs::File::create(&backing)
            .unwrap()
            .set_len(16 << 20)
            .unwrap();
        let device = run("losetup", &["--find", "--show", backing.to_str().unwrap()]);
        Self { mount, device }
    }

    /// Its path.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// Room for all of it.
    pub(crate) fn make_room(&self) {
        run(
            "mount",
            &["-o", "remount,size=64m", self.mount.to_str().unwrap()],
        );
    }

    /// How often it was told to make what it had been given durable, and has done so.
    pub(crate) fn flushes(&self) -> u64 {
        let name = Path::new(&self.device).file_name().unwrap();
        let stat = Path::new("/sys/block").join(name).join("stat");
        let stat = std::fs::read_to_string(stat).unwrap();
        stat.split_whitespace().nth(15).unwrap().parse().unwrap()
    }
}

impl Drop for Disk {
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
