//! Files are opened, locked, sized and refused as they should be.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::engine::OpKind;
use crate::error::{BlockError, BlockErrorKind, OpName};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file_of(folder: &TempDir, size: usize) -> PathBuf {
    let path = folder.path().join("image");
    fs::write(&path, vec![1; size]).unwrap();
    path
}

fn refused(options: &FileOptions) -> BlockError {
    BlockFile::open(options).unwrap_err()
}

#[test]
fn what_is_not_a_usable_block_file_is_refused_by_kind() {
    let folder = folder();
    let kind = |path: PathBuf| refused(&FileOptions::new(path)).kind();
    assert_eq!(kind(folder.path().join("none")), BlockErrorKind::NotFound);
    assert_eq!(
        kind(folder.path().to_path_buf()),
        BlockErrorKind::IsDirectory
    );
    assert_eq!(kind("/dev/null".into()), BlockErrorKind::NotABlockFile);
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert_eq!(kind(fifo), BlockErrorKind::NotABlockFile);
    let marked = file_of(&folder, 512);
    fs::set_permissions(&marked, fs::Permissions::from_mode(0o444)).unwrap();
    let denied = kind(marked.clone());
    assert!(matches!(
        denied,
        BlockErrorKind::ReadOnly | BlockErrorKind::PermissionDenied
    ));
    let reading = FileOptions {
        read_only: true,
        ..FileOptions::new(marked)
    };
    assert!(BlockFile::open(&reading).unwrap().is_read_only());
}

#[test]
fn an_error_names_operation_file_and_cause() {
    let error = refused(&FileOptions::new("/nowhere/at/all"));
    assert_eq!(error.context().op, OpName::Open);
    let text = error.to_string();
    assert!(text.starts_with("cannot open /nowhere/at/all: "), "{text}");
    assert!(text.contains("No such file"), "{text}");
}

#[test]
fn a_file_has_one_writer_and_says_who_it_is() {
    let folder = folder();
    let options = FileOptions::new(file_of(&folder, 512));
    let first = BlockFile::open(&options).unwrap();
    let error = refused(&options);
    assert_eq!(error.kind(), BlockErrorKind::InUse);
    let us = format!("in use by process {}", std::process::id());
    assert!(error.to_string().contains(&us), "{error}");
    let reading = FileOptions {
        read_only: true,
        ..options.clone()
    };
    assert_eq!(refused(&reading).kind(), BlockErrorKind::InUse);
    drop(first);
    assert!(BlockFile::open(&options).is_ok());
}

#[test]
fn a_closed_file_is_free_whoever_has_inherited_it() {
    let folder = folder();
    let options = FileOptions::new(file_of(&folder, 512));
    let first = BlockFile::open(&options).unwrap();
    let Backing::Os { control, .. } = &first.backing else {
        panic!("a file of the system");
    };
    // What a child has that was just made: the same description.
    let inherited = control.try_clone().unwrap();
    drop(first);
    let second = BlockFile::open(&options).unwrap();
    drop(inherited);
    // And the lock of the second isn't taken away by the child's end.
    assert_eq!(refused(&options).kind(), BlockErrorKind::InUse);
    drop(second);
}

#[test]
fn a_file_may_have_several_readers() {
    let folder = folder();
    let options = FileOptions {
        read_only: true,
        ..FileOptions::new(file_of(&folder, 512))
    };
    let first = BlockFile::open(&options).unwrap();
    assert!(BlockFile::open(&options).is_ok());
    let writing = FileOptions {
        read_only: false,
        ..options
    };
    assert_eq!(refused(&writing).kind(), BlockErrorKind::InUse);
    drop(first);
}

#[test]
fn a_new_file_must_not_exist_and_needs_its_folder() {
    let folder = folder();
    let options = FileOptions::new(folder.path().join("new"));
    let file = BlockFile::create(&options).unwrap();
    file.set_size(1 << 20).unwrap();
    file.sync_all().unwrap();
    assert_eq!(file.size().unwrap(), 1 << 20);
    assert_eq!(file.allocated_bytes().unwrap(), 0);
    let again = BlockFile::create(&options).unwrap_err();
    assert_eq!(again.kind(), BlockErrorKind::AlreadyExists);
    let lost = FileOptions::new(folder.path().join("no/such/folder"));
    assert_eq!(
        BlockFile::create(&lost).unwrap_err().kind(),
        BlockErrorKind::NotFound
    );
}

#[test]
fn allocation_tells_data_from_holes() {
    let folder = folder();
    let file = BlockFile::create(&FileOptions::new(folder.path().join("sparse"))).unwrap();
    file.set_size(1 << 20).unwrap();
    file.allocate(0, 4096).unwrap();
    let path = folder.path().join("sparse");
    let all = file.allocation(0, 1 << 20, 10).unwrap();
    assert_eq!(all.iter().map(|extent| extent.length).sum::<u64>(), 1 << 20);
    std::os::unix::fs::FileExt::write_all_at(
        &fs::OpenOptions::new().write(true).open(&path).unwrap(),
        &[1; 8192],
        65_536,
    )
    .unwrap();
    let extents = file.allocation(65_536 - 4096, 16_384, 10).unwrap();
    let seen: Vec<_> = extents
        .iter()
        .map(|e| (e.offset, e.length, e.allocated))
        .collect();
    assert_eq!(
        seen,
        [
            (61_440, 4096, false),
            (65_536, 8192, true),
            (73_728, 4096, false)
        ]
    );
    assert_eq!(file.allocation(0, 1 << 20, 1).unwrap().len(), 1);
}

#[test]
fn removing_leaves_another_file_of_the_same_name_alone() {
    let folder = folder();
    let path = file_of(&folder, 512);
    let file = BlockFile::open(&FileOptions::new(&path)).unwrap();
    fs::rename(&path, folder.path().join("moved")).unwrap();
    fs::write(&path, "somebody else's").unwrap();
    assert_eq!(file.remove().unwrap_err().kind(), BlockErrorKind::NotFound);
    assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
    fs::rename(folder.path().join("moved"), &path).unwrap();
    file.remove().unwrap();
    assert!(!path.exists());
}

#[test]
fn lanes_are_descriptions_of_their_own_that_repeat_beyond_their_number() {
    use std::os::fd::AsRawFd;
    let folder = folder();
    let options = FileOptions {
        lanes: 2,
        ..FileOptions::new(file_of(&folder, 512))
    };
    let file = BlockFile::open(&options).unwrap();
    let fd = |lane| file.lane(lane).unwrap().as_raw_fd();
    assert_ne!(fd(0), fd(1));
    assert_eq!(fd(0), fd(2));
    drop(file);
    // A file that no engine uses is open once.
    let options = FileOptions {
        lanes: 0,
        ..options
    };
    let file = BlockFile::open(&options).unwrap();
    let Backing::Os { control, lanes } = &file.backing else {
        panic!("it isn't in memory");
    };
    assert!(lanes.is_empty());
    let fd = |lane| file.lane(lane).unwrap().as_raw_fd();
    assert_eq!((fd(0), fd(7)), (control.as_raw_fd(), control.as_raw_fd()));
    let offset = 0;
    let data = smallvec::smallvec![bytes::Bytes::from_static(&[7; 512])];
    let dsync = false;
    let write = OpKind::Write {
        offset,
        data,
        dsync,
    };
    file.perform(write).result.unwrap();
    file.data_sync().unwrap();
    assert_eq!(fs::read(file.path()).unwrap(), [7; 512]);
}
