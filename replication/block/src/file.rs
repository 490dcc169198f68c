//! An open file or block device: found, checked, locked, sized. Knows no engines and no volumes.
//!
//! All functions here **block** (they may wait for a disk or a network file system); call them from
//! a thread that may wait. The data plane is in [`crate::engine`].
//!
//! # Lanes
//! A file is opened several times: once for control (this description holds the lock) and once per
//! *lane*, one lane for each engine. Linux reports a failed write-back once per open file
//! description; if two engines shared one, the `fdatasync` of the first could take the report away
//! from the second, which would then acknowledge a flush of lost data. Lanes also keep the
//! reference count of the description from bouncing between cores.

mod control;
mod lock;
mod open;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use std::os::fd::AsFd;

use crate::engine::memory::MemoryFile;

pub use control::{AllocationExtent, PoolSpace, free_bytes};

/// How a file is opened.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// Where it is.
    pub path: PathBuf,
    /// Bypass the page cache (`O_DIRECT`).
    pub direct: bool,
    /// Never write; takes a shared lock, so that several readers may have it open.
    pub read_only: bool,
    /// How many engines will use the file at once; more than that share lanes. 0: none will, and what blocks goes by the
    /// description for control, unless the file is direct.
    pub lanes: usize,
}

impl FileOptions {
    /// Buffered, for reading and writing, a lane per processor.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            path: path.into(),
            direct: false,
            read_only: false,
            lanes: lanes.min(LANES_MAX),
        }
    }
}

/// More lanes than this are not opened: descriptors are finite.
pub const LANES_MAX: usize = 64;

/// What kind of thing the bytes are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A block device.
    BlockDevice,
    /// Memory, for tests.
    Memory,
}

/// What direct I/O demands, in bytes; 1 and 1 for buffered files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// Of the addresses of memory.
    pub memory: usize,
    /// Of offsets and lengths in the file.
    pub offset: usize,
}

impl Alignment {
    /// No demands.
    pub const NONE: Self = Self {
        memory: 1,
        offset: 1,
    };
}

/// An open file or block device. Closed, and its lock freed, when the last reference goes: an
/// operation under way holds one.
#[derive(Debug)]
pub struct BlockFile {
    path: Arc<Path>,
    kind: FileKind,
    direct: bool,
    read_only: bool,
    alignment: Alignment,
    lives_in_memory: bool,
    backing: Backing,
}

#[derive(Debug)]
enum Backing {
    Os {
        control: OwnedFd,
        lanes: Vec<OwnedFd>,
    },
    Memory(MemoryFile),
}

impl Drop for Backing {
    fn drop(&mut self) {
        if let Self::Os { control, .. } = self {
            // Closing alone would leave the lock with a child of this process that hasn't become
            // another program yet.
            lock::free(control.as_fd());
        }
    }
}

impl BlockFile {
    /// A file in memory, for the memory engine; every other engine refuses it.
    #[must_use]
    pub fn in_memory(memory: MemoryFile) -> Arc<Self> {
        Arc::new(Self {
            path: Arc::from(Path::new("(memory)")),
            kind: FileKind::Memory,
            direct: false,
            read_only: false,
            alignment: Alignment::NONE,
            lives_in_memory: false,
            backing: Backing::Memory(memory),
        })
    }

    /// Any descriptor, for tests of engines.
    #[cfg(test)]
    pub(crate) fn of_descriptor(fd: OwnedFd) -> Arc<Self> {
        Arc::new(Self {
            path: Arc::from(Path::new("(descriptor)")),
            kind: FileKind::Regular,
            direct: false,
            read_only: false,
            alignment: Alignment::NONE,
            lives_in_memory: false,
            backing: Backing::Os {
                control: fd,
                lanes: Vec::new(),
            },
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Whether it bypasses the page cache.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// Whether it was opened for reading only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// What direct I/O demands of offsets, lengths and memory.
    #[must_use]
    pub fn alignment(&self) -> Alignment {
        self.alignment
    }

    /// Whether its file system has no medium but memory (tmpfs).
    pub(crate) fn lives_in_memory(&self) -> bool {
        self.lives_in_memory
    }

    /// The memory behind a file of [`Self::in_memory`].
    #[must_use]
    pub fn memory(&self) -> Option<&MemoryFile> {
        match &self.backing {
            Backing::Memory(memory) => Some(memory),
            Backing::Os { .. } => None,
        }
    }

    /// The description that the engine on `lane` uses.
    pub(crate) fn lane(&self, lane: usize) -> Option<BorrowedFd<'_>> {
        match &self.backing {
            Backing::Os { control, lanes } => {
                let fd = lane
                    .checked_rem(lanes.len())
                    .and_then(|lane| lanes.get(lane));
                Some(fd.unwrap_or(control).as_fd())
            }
            Backing::Memory(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
