//! What is done to a file as a whole, outside the data path. Everything here **blocks**.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, SeekFrom};

use super::{Backing, BlockFile, FileKind, open::sync_folder};
use crate::engine::{Completion, OpKind, Request, blocking};
use crate::error::{BlockError, BlockErrorKind, OpName};

/// A stretch of a file that is allocated, or a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocationExtent {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Whether it holds data; a hole reads as zeros.
    pub allocated: bool,
}

/// Where a file's new blocks come from: its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSpace {
    /// Bytes that a user without privileges may still write.
    pub available: u64,
    /// Bytes that there are.
    pub total: u64,
}

impl BlockFile {
    /// The space of the file system that the file is in; `None` for a device, which has all of its
    /// own. **Blocks.**
    ///
    /// # Errors
    /// The system can't tell.
    pub fn pool_space(&self) -> Result<Option<PoolSpace>, BlockError> {
        match &self.backing {
            Backing::Os { control, .. } if self.kind == FileKind::Regular => {
                let stat = rustix::fs::fstatvfs(control)
                    .map_err(|source| self.error(OpName::Stat, source))?;
                Ok(Some(PoolSpace {
                    available: stat.f_bavail.saturating_mul(stat.f_frsize),
                    total: stat.f_blocks.saturating_mul(stat.f_frsize),
                }))
            }
            _ => Ok(None),
        }
    }

    /// Does one operation here and now, for what happens while nothing is served. **Blocks.**
    #[must_use]
    pub fn perform(self: &Arc<Self>, op: OpKind) -> Completion {
        let file = Arc::clone(self);
        let request = Request { tag: 0, file, op };
        match self.memory() {
            Some(memory) => memory.run(request),
            None => blocking::run(request, 0),
        }
    }

    /// Bytes in the file or on the device now. **Blocks.**
    ///
    /// # Errors
    /// The system can't tell.
    pub fn size(&self) -> Result<u64, BlockError> {
        let fd = match &self.backing {
            Backing::Memory(memory) => return Ok(memory.len()),
            Backing::Os { control, .. } => control,
        };
        let size = if self.kind == FileKind::BlockDevice {
            // What BLKGETSIZE64 says, without its ioctl.
            rustix::fs::seek(fd, SeekFrom::End(0))
        } else {
            rustix::fs::fstat(fd).map(|stat| u64::try_from(stat.st_size).unwrap_or(0))
        };
        size.map_err(|source| self.error(OpName::Stat, source))
    }

    /// Bytes of storage that the file takes; all of it for a device. **Blocks.**
    ///
    /// # Errors
    /// The system can't tell.
    pub fn allocated_bytes(&self) -> Result<u64, BlockError> {
        match &self.backing {
            Backing::Os { control, .. } if self.kind == FileKind::Regular => {
                let stat = rustix::fs::fstat(control)
                    .map_err(|source| self.error(OpName::Stat, source))?;
                // POSIX leaves the unit open; on Linux it is always 512 bytes.
                Ok(u64::try_from(stat.st_blocks)
                    .unwrap_or(0)
                    .saturating_mul(512))
            }
            _ => self.size(),
        }
    }

    /// Makes the file `size` bytes long; new bytes read as zeros and take no space. **Blocks.**
    ///
    /// # Errors
    /// `Unsupported` for devices, `NoSpace`, `Other` when the file system's limit is exceeded.
    pub fn set_size(&self, size: u64) -> Result<(), BlockError> {
        match &self.backing {
            Backing::Memory(memory) => {
                memory.set_len(size);
                Ok(())
            }
            Backing::Os { control, .. } if self.kind == FileKind::Regular => {
                rustix::fs::ftruncate(control, size)
                    .map_err(|source| self.error(OpName::Resize, source))
            }
            Backing::Os { .. } => {
                let why = io::Error::other("a block device has the size that it has");
                let kind = BlockErrorKind::Unsupported;
                Err(BlockError::with_kind(
                    kind,
                    OpName::Resize,
                    &self.path,
                    None,
                    why,
                ))
            }
        }
    }

    /// Allocates the range, growing the file if it must. **Blocks**, long where the file system has
    /// to write zeros.
    ///
    /// # Errors
    /// `NoSpace`, `Unsupported`.
    pub fn allocate(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        match &self.backing {
            Backing::Memory(_) => Ok(()),
            Backing::Os { control, .. } => {
                rustix::fs::fallocate(control, FallocateFlags::empty(), offset, length)
                    .map_err(|source| self.error(OpName::Allocate, source))
            }
        }
    }

    /// Makes content, size and name durable: the file and then its folder. **Blocks.**
    ///
    /// # Errors
    /// The medium failed, or is full.
    pub fn sync_all(&self) -> Result<(), BlockError> {
        let Backing::Os { control, .. } = &self.backing else {
            return self.data_sync();
        };
        rustix::fs::fsync(control).map_err(|source| self.error(OpName::DataSync, source))?;
        if self.kind == FileKind::Regular {
            sync_folder(&self.path)
        } else {
            Ok(())
        }
    }

    /// Makes everything durable that was written before. Reports write-back errors independently of
    /// every lane. **Blocks.**
    ///
    /// # Errors
    /// The medium failed, or is full: what was written before may be lost.
    pub fn data_sync(&self) -> Result<(), BlockError> {
        match &self.backing {
            Backing::Memory(memory) => memory
                .sync_now()
                .map_err(|source| BlockError::new(OpName::DataSync, &self.path, None, source)),
            Backing::Os { control, .. } => sync_descriptor(control.as_fd())
                .map_err(|source| self.error(OpName::DataSync, source)),
        }
    }

    /// Takes write-back errors that are still waiting to be reported on any lane, so that an old
    /// failure isn't taken for a new one; true if there were any. **Blocks.**
    pub fn take_reported_errors(&self) -> bool {
        let Backing::Os { control, lanes } = &self.backing else {
            return false;
        };
        let mut found = false;
        for fd in lanes.iter().chain([control]) {
            found |= sync_descriptor(fd.as_fd()).is_err();
        }
        found
    }

    /// Whether [`crate::OpKind::PunchHole`] frees space here. **Blocks.**
    #[must_use]
    pub fn can_punch(&self) -> bool {
        let Backing::Os { control, .. } = &self.backing else {
            return true;
        };
        if self.read_only {
            return false;
        }
        if self.kind == FileKind::BlockDevice {
            return device_can_punch(control.as_fd());
        }
        // Behind the end there is nothing to lose.
        let Ok(size) = self.size() else { return false };
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(control, flags, size.next_multiple_of(4096), 4096).is_ok()
    }

    /// What is allocated in `length` bytes from `offset`, at most `extents_max` pieces from the
    /// start, merged and in order. **Blocks.**
    ///
    /// # Errors
    /// The system can't tell.
    pub fn allocation(
        &self,
        offset: u64,
        length: u64,
        extents_max: usize,
    ) -> Result<Vec<AllocationExtent>, BlockError> {
        let end = offset.saturating_add(length);
        let mut extents = Vec::new();
        let fd = match &self.backing {
            Backing::Os { control, .. } if self.kind == FileKind::Regular => control,
            _ => {
                if length > 0 && extents_max > 0 {
                    extents.push(AllocationExtent {
                        offset,
                        length,
                        allocated: true,
                    });
                }
                return Ok(extents);
            }
        };
        let mut at = offset;
        while at < end && extents.len() < extents_max {
            let data = self.seek(fd.as_fd(), SeekFrom::Data(at), end)?.min(end);
            let (allocated, next) = if data > at {
                (false, data)
            } else {
                (
                    true,
                    self.seek(fd.as_fd(), SeekFrom::Hole(at), end)?.min(end),
                )
            };
            if next <= at {
                // Somebody writes and punches at the same time; what we have is still true.
                break;
            }
            extents.push(AllocationExtent {
                offset: at,
                length: next - at,
                allocated,
            });
            at = next;
        }
        Ok(extents)
    }

    fn seek(&self, fd: BorrowedFd<'_>, to: SeekFrom, end: u64) -> Result<u64, BlockError> {
        match rustix::fs::seek(fd, to) {
            // No data from here on.
            Err(rustix::io::Errno::NXIO) => Ok(end),
            result => result.map_err(|source| self.error(OpName::Map, source)),
        }
    }

    /// Removes the name of a regular file, durably. Space comes back when the last user has closed
    /// it. **Blocks.**
    ///
    /// # Errors
    /// `PermissionDenied`, `ReadOnly`, `NotFound` when the name is gone or means another file.
    pub fn remove(&self) -> Result<(), BlockError> {
        let Backing::Os { control, .. } = &self.backing else {
            return Ok(());
        };
        let ours = rustix::fs::fstat(control).map_err(|e| self.error(OpName::Remove, e))?;
        let named = rustix::fs::lstat(&*self.path).map_err(|e| self.error(OpName::Remove, e))?;
        if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino) {
            let why = io::Error::other("another file has taken its name");
            let kind = BlockErrorKind::NotFound;
            return Err(BlockError::with_kind(
                kind,
                OpName::Remove,
                &self.path,
                None,
                why,
            ));
        }
        rustix::fs::unlink(&*self.path).map_err(|e| self.error(OpName::Remove, e))?;
        sync_folder(&self.path)
    }

    fn error(&self, op: OpName, source: rustix::io::Errno) -> BlockError {
        BlockError::new(op, &self.path, None, source.into())
    }
}

/// A hole in a block device is zeros written by the device itself, which frees what it can.
fn device_can_punch(fd: BorrowedFd<'_>) -> bool {
    let Ok(stat) = rustix::fs::fstat(fd) else {
        return false;
    };
    let (major, minor) = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    // A partition has the queue of its disk.
    ["queue", "../queue"].iter().any(|queue| {
        let limit = format!("/sys/dev/block/{major}:{minor}/{queue}/write_zeroes_max_bytes");
        std::fs::read_to_string(limit).is_ok_and(|bytes| bytes.trim() != "0")
    })
}

fn sync_descriptor(fd: BorrowedFd<'_>) -> Result<(), rustix::io::Errno> {
    loop {
        match rustix::fs::fdatasync(fd) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Bytes that a user without privileges may still write in the file system of `path`. **Blocks.**
///
/// # Errors
/// The system can't tell.
pub fn free_bytes(path: &Path) -> Result<u64, BlockError> {
    let stat = rustix::fs::statvfs(path)
        .map_err(|source| BlockError::at_path(OpName::Stat, path, source.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
