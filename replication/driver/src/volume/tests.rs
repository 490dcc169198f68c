//! Volumes: every refusal by its text, growth, fences.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use tidelock_block::MemoryFile;
use tidelock_volume::Range;

use super::*;
use crate::error::VolumeError;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn image(folder: &TempDir, size: u64) -> PathBuf {
    let path = folder.path().join("image");
    fs::File::create(&path).unwrap().set_len(size).unwrap();
    path
}

fn create(path: &Path, size: u64, preallocate: bool) -> Result<Arc<Volume>, VolumeError> {
    Volume::create(&CreateOptions {
        open: OpenOptions::new(path),
        size,
        preallocate,
    })
}

/// The message of a refusal: names the file, and contains what is expected.
#[track_caller]
fn refused<T>(result: Result<T, VolumeError>, path: &Path, expected: &[&str]) {
    let Err(error) = result else {
        panic!("accepted")
    };
    let text = error.to_string();
    assert!(text.starts_with(&path.display().to_string()), "{text}");
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn what_cannot_be_opened_is_named_with_what_to_do() {
    let folder = folder();
    let open = |path: &Path| Volume::open(&OpenOptions::new(path));
    let missing = folder.path().join("missing");
    refused(
        open(&missing),
        &missing,
        &["no such file", "check the path"],
    );
    refused(
        open(folder.path()),
        folder.path(),
        &["is a directory", "name a file"],
    );
    let null = Path::new("/dev/null");
    refused(
        open(null),
        null,
        &["character device", "regular file or a block device"],
    );
    let empty = image(&folder, 0);
    refused(open(&empty), &empty, &["it is empty", "give it a size"]);
    let odd = image(&folder, 1000);
    refused(
        open(&odd),
        &odd,
        &["1000 bytes is not a multiple", "512", "make it a multiple"],
    );
    let small = image(&folder, 512);
    let big_blocks = OpenOptions {
        block_size: 4096,
        ..OpenOptions::new(&small)
    };
    refused(
        Volume::open(&big_blocks),
        &small,
        &["not a multiple of the block size of 4096"],
    );
    let marked = image(&folder, 4096);
    fs::set_permissions(&marked, fs::Permissions::from_mode(0o400)).unwrap();
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(&marked, fs::Permissions::from_mode(0o444)).unwrap();
        refused(open(&marked), &marked, &["read-only", "make the file"]);
    } else {
        refused(
            open(&marked),
            &marked,
            &["permission denied", "read and write access"],
        );
    }
    let odd_blocks = OpenOptions {
        block_size: 1000,
        ..OpenOptions::new(&marked)
    };
    let error = Volume::open(&odd_blocks).unwrap_err();
    assert_eq!(error.to_string(), "a block has 512 or 4096 bytes, not 1000");
}

#[test]
fn a_file_in_use_is_refused_until_its_volume_is_gone() {
    let folder = folder();
    let path = image(&folder, 4096);
    let options = OpenOptions::new(&path);
    let first = Volume::open(&options).unwrap();
    let us = std::process::id().to_string();
    refused(
        Volume::open(&options),
        &path,
        &["in use by process", &us, "stop that one"],
    );
    drop(first);
    Volume::open(&options).unwrap();
}

#[test]
fn a_new_volume_is_sparse_or_allocated_as_asked() {
    let folder = folder();
    let sparse = create(&folder.path().join("sparse"), 1 << 20, false).unwrap();
    assert_eq!(
        (sparse.size(), sparse.allocated_bytes().unwrap()),
        (1 << 20, 0)
    );
    let full = create(&folder.path().join("full"), 1 << 20, true).unwrap();
    assert!(full.allocated_bytes().unwrap() >= 1 << 20);
    let range = Range {
        offset: 0,
        length: 1 << 20,
    };
    let holes = sparse.allocation(range, 8).unwrap();
    assert_eq!(holes.len(), 1);
    assert!(!holes[0].allocated);
}

#[test]
fn a_volume_says_whether_unmapping_frees_space() {
    let folder = folder();
    let path = image(&folder, 8192);
    assert!(Volume::open(&OpenOptions::new(&path)).unwrap().is_thin());
    let reading = OpenOptions {
        read_only: true,
        ..OpenOptions::new(&path)
    };
    assert!(!Volume::open(&reading).unwrap().is_thin());
    assert_eq!(
        fs::metadata(&path).unwrap().len(),
        8192,
        "asking changes nothing"
    );
}

#[test]
fn what_cannot_be_created_is_named_and_leaves_nothing_behind() {
    let folder = folder();
    let path = image(&folder, 4096);
    refused(
        create(&path, 4096, false),
        &path,
        &["exists already", "another name"],
    );
    let lost = folder.path().join("no/folder");
    refused(
        create(&lost, 4096, false),
        &lost,
        &["folder does not exist"],
    );
    let new = folder.path().join("new");
    refused(create(&new, 0, false), &new, &["it is empty"]);
    refused(create(&new, 1000, false), &new, &["not a multiple"]);
    refused(
        create(&new, 1 << 63, false),
        &new,
        &["above", "smaller size"],
    );
    // Larger than any file system here can hold, and than it can allocate.
    refused(
        create(&new, (1 << 62) + 512, false),
        &new,
        &["file of this size", "smaller"],
    );
    refused(create(&new, 1 << 50, true), &new, &["smaller"]);
    assert!(!new.exists(), "a failed attempt is cleaned up");
}

#[test]
fn a_full_disk_is_named_with_what_is_free() {
    let folder = folder();
    let Some(_mount) = Mount::tmpfs(folder.path(), "1m") else {
        return;
    };
    let path = folder.path().join("image");
    refused(
        create(&path, 2 << 20, true),
        &path,
        &["no space left for 2097152", "bytes are free"],
    );
    assert!(!path.exists());
    let volume = create(&path, 512 << 10, true).unwrap();
    refused(
        volume.resize(4 << 20),
        &path,
        &["no space left", "free some"],
    );
    assert_eq!(volume.size(), 512 << 10, "a refused resize changes nothing");
    assert_eq!(fs::metadata(&path).unwrap().len(), 512 << 10);
}

/// Something mounted for one test.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(on: &Path, size: &str) -> Option<Self> {
        let option = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &option, "tidelock-test"])
            .arg(on)
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(on.to_path_buf()));
        }
        eprintln!("NOT TESTED here: mounting a tmpfs is not allowed");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_volume_grows_and_keeps_its_size_and_never_shrinks() {
    let folder = folder();
    let path = folder.path().join("image");
    let volume = create(&path, 4096, false).unwrap();
    volume.resize(4096).unwrap();
    volume.resize(1 << 20).unwrap();
    assert_eq!(volume.size(), 1 << 20);
    refused(
        volume.resize(4096),
        &path,
        &["cannot shrink from 1048576 to 4096", "copy the data"],
    );
    refused(volume.resize((1 << 20) + 1), &path, &["not a multiple"]);
    assert_eq!(volume.size(), 1 << 20);
    drop(volume);
    let options = OpenOptions {
        preallocate: true,
        ..OpenOptions::new(&path)
    };
    let volume = Volume::open(&options).unwrap();
    assert_eq!(volume.size(), 1 << 20);
    volume.resize(2 << 20).unwrap();
    assert!(
        volume.allocated_bytes().unwrap() >= 1 << 20,
        "what was added is allocated"
    );
    drop(volume);
    let reading = OpenOptions {
        read_only: true,
        ..OpenOptions::new(&path)
    };
    refused(
        Volume::open(&reading).unwrap().resize(4 << 20),
        &path,
        &["read-only"],
    );
}

#[test]
fn removing_the_file_frees_its_name_at_once_and_its_space_with_the_last_user() {
    let folder = folder();
    let path = folder.path().join("image");
    let volume = create(&path, 4096, false).unwrap();
    volume.remove_file().unwrap();
    assert!(!path.exists());
    assert!(volume.remove_file().is_err());
    assert_eq!(volume.size(), 4096);
    create(&path, 4096, false).unwrap();
}

#[test]
fn direct_io_wants_blocks_as_large_as_its_unit_and_a_file_system_that_has_it() {
    let folder = folder();
    let path = image(&folder, 8192);
    for block_size in [512, 4096] {
        let options = OpenOptions {
            direct: true,
            block_size,
            ..OpenOptions::new(&path)
        };
        match Volume::open(&options) {
            Ok(volume) => assert!(volume.is_direct()),
            Err(error @ VolumeError::NoDirectIo { .. }) => {
                refused::<()>(Err(error), &path, &["no direct I/O", "without it"]);
            }
            Err(error) => {
                assert_eq!(block_size, 512, "{error}");
                refused::<()>(Err(error), &path, &["direct I/O works in units of", "4096"]);
            }
        }
    }
    let proc = Path::new("/proc/self/status");
    let options = OpenOptions {
        direct: true,
        read_only: true,
        ..OpenOptions::new(proc)
    };
    assert!(Volume::open(&options).is_err());
}

#[test]
fn a_memory_volume_must_be_of_whole_blocks() {
    assert!(Volume::in_memory(MemoryFile::new(1000), BlockSize::B512).is_err());
    let volume = Volume::in_memory(MemoryFile::new(1024), BlockSize::B512).unwrap();
    assert_eq!(
        (volume.size(), volume.block_size()),
        (1024, BlockSize::B512)
    );
}

/// A block device over a file, for one test.
struct Loop(PathBuf);

impl Loop {
    fn over(file: &Path) -> Option<Self> {
        let made = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(file)
            .output()
            .ok()?;
        if !made.status.success() {
            eprintln!("NOT TESTED here: no loop device");
            return None;
        }
        let name = String::from_utf8(made.stdout).ok()?;
        Some(Self(PathBuf::from(name.trim())))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup")
            .arg("--detach")
            .arg(&self.0)
            .status();
    }
}

#[test]
fn a_block_device_is_opened_with_its_size_locked_and_never_removed() {
    let folder = folder();
    let file = image(&folder, 1 << 20);
    let Some(device) = Loop::over(&file) else {
        return;
    };
    for direct in [false, true] {
        let options = OpenOptions {
            direct,
            ..OpenOptions::new(&device.0)
        };
        let volume = Volume::open(&options).unwrap();
        assert_eq!(volume.size(), 1 << 20);
        assert_eq!(volume.allocated_bytes().unwrap(), 1 << 20);
        refused(Volume::open(&options), &device.0, &["in use"]);
        refused(
            volume.remove_file(),
            &device.0,
            &["block device", "can't be deleted"],
        );
        refused(
            volume.resize(2 << 20),
            &device.0,
            &["has 1048576 bytes, not 2097152"],
        );
    }
    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(2 << 20)
        .unwrap();
    let volume = Volume::open(&OpenOptions::new(&device.0)).unwrap();
    let grown = Command::new("losetup")
        .arg("--set-capacity")
        .arg(&device.0)
        .status()
        .unwrap();
    assert!(grown.success());
    volume.resize(2 << 20).unwrap();
    assert_eq!(volume.size(), 2 << 20);
}
