//! Opening and creating: every way in which a path can turn out not to be a usable block file.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use super::{Alignment, Backing, BlockFile, FileKind, FileOptions, LANES_MAX, lock};
use crate::error::{BlockError, BlockErrorKind, OpName};

/// Used where the kernel can't tell what direct I/O demands (before Linux 6.1): fits all media with
/// sectors up to 4 KiB.
const CAUTIOUS: Alignment = Alignment {
    memory: 4096,
    offset: 4096,
};

impl BlockFile {
    /// Opens what is there, and locks it. **Blocks.**
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`, `ReadOnly`, `IsDirectory`, `NotABlockFile`, `InUse`,
    /// `Unsupported` (no direct I/O on this file system) and what else the system finds.
    pub fn open(options: &FileOptions) -> Result<Arc<Self>, BlockError> {
        Self::open_with(options, OpName::Open, OFlags::empty())
    }

    /// Creates an empty file that must not exist yet, and locks it. Its name is durable only after
    /// [`BlockFile::sync_all`]. **Blocks.**
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound` (no such folder), `PermissionDenied`, `NoSpace`, ...
    pub fn create(options: &FileOptions) -> Result<Arc<Self>, BlockError> {
        Self::open_with(options, OpName::Create, OFlags::CREATE | OFlags::EXCL)
    }

    fn open_with(
        options: &FileOptions,
        op: OpName,
        extra: OFlags,
    ) -> Result<Arc<Self>, BlockError> {
        let path: Arc<Path> = Arc::from(options.path.as_path());
        let fail = |source: Errno| BlockError::new(op, &path, None, source.into());
        // A FIFO in its place must not hold us up, hence NONBLOCK; it means nothing for the rest.
        let mut flags = OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | extra;
        flags |= if options.read_only {
            OFlags::RDONLY
        } else {
            OFlags::RDWR
        };
        let mode = Mode::from_raw_mode(0o600);
        let control = rustix::fs::open(&*path, flags, mode).map_err(fail)?;
        let kind = kind_of(
            control.as_fd(),
            &path,
            options.read_only || op == OpName::Create,
        )?;
        lock::take(control.as_fd(), &path, options.read_only)?;
        let mut alignment = Alignment::NONE;
        let mut lane_flags = if options.read_only {
            OFlags::RDONLY
        } else {
            OFlags::RDWR
        };
        if options.direct {
            lane_flags |= OFlags::DIRECT;
            alignment = direct_alignment(control.as_fd(), kind).map_err(fail)?;
        }
        let lanes = options.lanes.clamp(usize::from(options.direct), LANES_MAX);
        let lanes = open_lanes(&control, &path, lane_flags, lanes).map_err(|source| {
            if options.direct && source == Errno::INVAL {
                let why = io::Error::other("its file system has no direct I/O");
                BlockError::with_kind(BlockErrorKind::Unsupported, op, &path, None, why)
            } else {
                fail(source)
            }
        })?;
        Ok(Arc::new(Self {
            path,
            kind,
            direct: options.direct,
            read_only: options.read_only,
            alignment,
            lives_in_memory: kind == FileKind::Regular && lives_in_memory(control.as_fd()),
            backing: Backing::Os { control, lanes },
        }))
    }
}

fn kind_of(fd: BorrowedFd<'_>, path: &Arc<Path>, read_only: bool) -> Result<FileKind, BlockError> {
    let stat = rustix::fs::fstat(fd)
        .map_err(|source| BlockError::new(OpName::Stat, path, None, source.into()))?;
    let refuse = |kind, why: &str| {
        Err(BlockError::with_kind(
            kind,
            OpName::Open,
            path,
            None,
            io::Error::other(why),
        ))
    };
    match FileType::from_raw_mode(stat.st_mode) {
        // To root every file is writable; but somebody has marked this one, and meant it.
        FileType::RegularFile if !read_only && stat.st_mode & 0o222 == 0 => {
            refuse(BlockErrorKind::ReadOnly, "its mode allows nobody to write")
        }
        FileType::RegularFile => Ok(FileKind::Regular),
        FileType::BlockDevice => Ok(FileKind::BlockDevice),
        FileType::Directory => refuse(BlockErrorKind::IsDirectory, "it is a directory"),
        FileType::CharacterDevice => {
            refuse(BlockErrorKind::NotABlockFile, "it is a character device")
        }
        FileType::Fifo => refuse(BlockErrorKind::NotABlockFile, "it is a FIFO"),
        _ => refuse(
            BlockErrorKind::NotABlockFile,
            "it is neither a regular file nor a block device",
        ),
    }
}

/// Opens the same file again, and makes sure that it is the same.
fn open_lanes(
    control: &OwnedFd,
    path: &Path,
    flags: OFlags,
    count: usize,
) -> Result<Vec<OwnedFd>, Errno> {
    let file = rustix::fs::fstat(control)?;
    let again = || {
        let lane = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?;
        let same = rustix::fs::fstat(&lane)?;
        // Somebody replaces it this very moment.
        if (file.st_dev, file.st_ino) == (same.st_dev, same.st_ino) {
            Ok(lane)
        } else {
            Err(Errno::STALE)
        }
    };
    (0..count).map(|_| again()).collect()
}

fn lives_in_memory(fd: BorrowedFd<'_>) -> bool {
    /// `TMPFS_MAGIC` of linux/magic.h.
    const TMPFS: u64 = 0x0102_1994;
    rustix::fs::fstatfs(fd).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(TMPFS))
}

fn direct_alignment(fd: BorrowedFd<'_>, kind: FileKind) -> Result<Alignment, Errno> {
    if kind == FileKind::BlockDevice {
        let sector = rustix::fs::ioctl_blksszget(fd)?;
        let sector = usize::try_from(sector).unwrap_or(CAUTIOUS.offset);
        return Ok(Alignment {
            memory: sector,
            offset: sector,
        });
    }
    let stat = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)?;
    let known = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::DIOALIGN);
    let (memory, offset) = (stat.stx_dio_mem_align, stat.stx_dio_offset_align);
    if !known {
        return Ok(CAUTIOUS);
    }
    if memory == 0 || offset == 0 {
        // The kernel's way to say that this file has no direct I/O.
        return Err(Errno::INVAL);
    }
    let size = |value: u32| usize::try_from(value).unwrap_or(CAUTIOUS.offset);
    Ok(Alignment {
        memory: size(memory),
        offset: size(offset),
    })
}

/// Makes the name of `path` durable in its folder. **Blocks.**
///
/// # Errors
/// The folder can't be opened or flushed.
pub(super) fn sync_folder(path: &Path) -> Result<(), BlockError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, folder, flags, Mode::empty())
        .and_then(rustix::fs::fsync)
        .map_err(|source| BlockError::at_path(OpName::DataSync, folder, source.into()))
}
