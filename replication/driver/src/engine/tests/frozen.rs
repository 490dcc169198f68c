//! A file system that hangs: a real one, frozen.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

fn run_tool(program: &str, arguments: &[&str], last: &[&Path]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .args(last)
        .output()
        .ok()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        eprintln!("NOT TESTED here: {program}: {why}");
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// An ext4 of its own that can be frozen; thawed and unmounted at the end, come what may.
struct Freezer {
    folder: TempDir,
    device: Option<PathBuf>,
}

impl Freezer {
    fn new() -> Option<Self> {
        let mut made = Self {
            folder: tempfile::tempdir().unwrap(),
            device: None,
        };
        let backing = made.folder.path().join("backing");
        std::fs::File::create(&backing)
            .unwrap()
            .set_len(64 << 20)
            .unwrap();
        run_tool("mkfs.ext4", &["-q"], &[&backing])?;
        let device = PathBuf::from(run_tool("losetup", &["--find", "--show"], &[&backing])?);
        made.device = Some(device.clone());
        std::fs::create_dir(made.mounted()).unwrap();
        run_tool("mount", &[], &[&device, &made.mounted()])?;
        Some(made)
    }

    fn mounted(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn freeze(&self) -> Option<()> {
        run_tool("fsfreeze", &["--freeze"], &[&self.mounted()]).map(drop)
    }

    fn thaw(&self) {
        let _ = Command::new("fsfreeze")
            .arg("--unfreeze")
            .arg(self.mounted())
            .output();
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.thaw();
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.mounted())
            .output();
        if let Some(device) = &self.device {
            let _ = Command::new("losetup").arg("--detach").arg(device).output();
        }
    }
}

fn volume_in(folder: &Path) -> Arc<Volume> {
    let open = OpenOptions::new(&folder.join("image"));
    Volume::create(&CreateOptions {
        open,
        size: 1 << 20,
        preallocate: true,
    })
    .unwrap()
}

/// The first of three volumes that a durable write gets to while another file is frozen.
///
/// Linux queues buffered writes by a hash of the file in 64 places: one in so many healthy files shares the queue of
/// the frozen one and waits with it. Of three at least two don't.
fn healthy_one(rig: &mut Rig, folder: &Path) -> Arc<Volume> {
    let volumes: Vec<_> = (0..3)
        .map(|number| {
            let place = folder.join(number.to_string());
            std::fs::create_dir(&place).unwrap();
            volume_in(&place)
        })
        .collect();
    let mut waiting = Vec::new();
    for volume in &volumes {
        rig.volume = Arc::clone(volume);
        waiting.push(rig.start(durable(write(0, 4096, 1))));
    }
    let tokens = waiting.clone();
    let mut first = None;
    for (token, outcome) in rig.finish(2) {
        done(outcome);
        first = first.or_else(|| tokens.iter().position(|it| *it == token));
        waiting.retain(|it| *it != token);
    }
    for token in waiting {
        rig.engine.detach(token);
    }
    Arc::clone(&volumes[first.unwrap()])
}

/// Turns until the volume has no abandoned writes any more.
fn wait_until_landed(rig: &mut Rig, volume: &Volume) {
    let deadline = Instant::now() + PATIENCE;
    while volume.detached_writes() > 0 {
        assert!(Instant::now() < deadline, "abandoned writes never land");
        rig.sleeps_no_longer_than(Duration::from_secs(1));
        assert!(rig.turn().is_empty());
    }
}

#[test]
fn a_frozen_file_holds_up_nobody_but_itself() {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        let Some(freezer) = Freezer::new() else {
            return;
        };
        let Some(mut rig) = Rig::on_file(kind, 1 << 20, false) else {
            continue;
        };
        let others = tempfile::tempdir().unwrap();
        let frozen = volume_in(&freezer.mounted());
        if freezer.freeze().is_none() {
            return;
        }
        rig.volume = Arc::clone(&frozen);
        // More than a default io-wq has threads on two processors.
        let stuck: Vec<u64> = (0..40)
            .map(|index| rig.start(write(index * 4096, 4096, 1)))
            .collect();
        assert!(
            rig.turn().is_empty(),
            "{kind:?}: written to a frozen file system"
        );
        rig.volume = healthy_one(&mut rig, others.path());
        for fill in 0..20 {
            done(rig.run(durable(write(0, 4096, fill))));
            assert_eq!(rig.read(0, 4096), vec![fill; 4096]);
        }
        for token in stuck {
            rig.engine.detach(token);
        }
        assert!(frozen.detached_writes() > 0);
        rig.volume = Arc::clone(&frozen);
        assert_eq!(
            fault(rig.run(write(0, 4096, 2))).kind,
            VolumeFaultKind::Busy
        );
        freezer.thaw();
        wait_until_landed(&mut rig, &frozen);
        done(rig.run(write(0, 4096, 3)));
        assert_eq!(
            rig.read(0, 4096),
            vec![3; 4096],
            "{kind:?}: an old write on top"
        );
    }
}

#[test]
fn an_engine_can_be_dropped_while_a_file_is_frozen() {
    let Some(freezer) = Freezer::new() else {
        return;
    };
    let Some(mut rig) = Rig::on_file(EngineKind::Uring, 1 << 20, false) else {
        return;
    };
    rig.volume = volume_in(&freezer.mounted());
    if freezer.freeze().is_none() {
        return;
    }
    let data = smallvec![Bytes::from(vec![7; 4096])];
    rig.start(VolumeOp::Write {
        offset: 0,
        data,
        fua: false,
    });
    assert!(rig.turn().is_empty());
    let begun = Instant::now();
    let volume = Arc::clone(&rig.volume);
    drop(rig);
    assert!(begun.elapsed() < PATIENCE, "it waited for the file system");
    freezer.thaw();
    // The write may have been cancelled or land now, whole, from memory that was kept for it.
    let content = std::fs::read(volume.path()).unwrap();
    let first = content[0];
    assert!(first == 0 || first == 7);
    assert!(content[..4096].iter().all(|byte| *byte == first));
}
