//! What can be wrong with a volume's file: each message names the file and says what to do.

use std::path::{Path, PathBuf};

use thiserror::Error;
use tidelock_block::{BlockError, BlockErrorKind, OpName};
use tidelock_volume::{BlockSizeError, GeometryError};

/// Why a volume can't be opened, created, resized, deleted or taken out of its fence.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the messages name")]
pub enum VolumeError {
    /// No such file.
    #[error("{}: no such file; check the path, or create a new volume with a size", path.display())]
    Missing { path: PathBuf },
    /// The folder of a new file isn't there.
    #[error("{}: its folder does not exist; create the folder first", path.display())]
    NoFolder { path: PathBuf },
    /// The file of a new volume is there already.
    #[error("{}: the file exists already; choose another name, or use it as an existing file",
        path.display())]
    Exists { path: PathBuf },
    /// The process may not do it.
    #[error("{}: permission denied ({what}); give the daemon's user read and write access",
        path.display())]
    PermissionDenied { path: PathBuf, what: OpName },
    /// File or file system can only be read.
    #[error("{}: read-only; make the file and its file system writable, or use the volume \
        read-only", path.display())]
    ReadOnly { path: PathBuf },
    /// A directory.
    #[error("{}: is a directory; name a file or a block device", path.display())]
    IsDirectory { path: PathBuf },
    /// Neither file nor block device.
    #[error("{}: {what}; name a regular file or a block device", path.display())]
    NotABlockFile { path: PathBuf, what: String },
    /// Locked by somebody else.
    #[error("{}: {holder}; stop that one first, or use another file: two would destroy each \
        other's data", path.display())]
    InUse { path: PathBuf, holder: String },
    /// Full.
    #[error("{}: no space left for {needed} bytes ({}); free some, or choose a smaller size or a \
        sparse file", path.display(), free_text(*free))]
    NoSpace {
        path: PathBuf,
        needed: u64,
        free: Option<u64>,
    },
    /// More than the file system can hold in one file.
    #[error("{}: its file system cannot have a file of this size; choose a smaller one, or another \
        file system", path.display())]
    TooLarge { path: PathBuf },
    /// O_DIRECT isn't to be had.
    #[error("{}: its file system has no direct I/O; use the volume without it", path.display())]
    NoDirectIo { path: PathBuf },
    /// O_DIRECT wants more than a block.
    #[error("{}: direct I/O works in units of {unit} bytes here, and the volume's blocks have \
        {block}; use blocks of 4096 bytes, or no direct I/O", path.display())]
    DirectUnit {
        path: PathBuf,
        unit: usize,
        block: u32,
    },
    /// Not a possible size.
    #[error("{}: {source}; {}", path.display(), geometry_advice(source))]
    Size {
        path: PathBuf,
        source: GeometryError,
    },
    /// Not a possible block size.
    #[error(transparent)]
    BlockSize(#[from] BlockSizeError),
    /// Smaller than before.
    #[error("{}: cannot shrink from {from} to {to} bytes: what lies behind would be lost, and \
        initiators would go on writing there; copy the data to a new, smaller volume instead",
        path.display())]
    Shrink { path: PathBuf, from: u64, to: u64 },
    /// A block device has the size that it has.
    #[error("{}: the block device has {device} bytes, not {wanted}; grow the device first",
        path.display())]
    DeviceTooSmall {
        path: PathBuf,
        device: u64,
        wanted: u64,
    },
    /// Block devices aren't ours to remove.
    #[error("{}: is a block device and can't be deleted; only the volume can", path.display())]
    NotRemovable { path: PathBuf },
    /// The fence stays up.
    #[error("{}: still failing ({reason}); repair the storage first, then try again",
        path.display())]
    StillFailing { path: PathBuf, reason: String },
    /// The journal has a record that can't be this volume's.
    #[error("{}: {what}; if it was put there by mistake, move it away; if the volume's file was \
        replaced on purpose, remove it", path.display())]
    Journal { path: PathBuf, what: String },
    /// Something is wrong with a family, or with what is asked of it.
    #[error("{}: {what}", folder.display())]
    Family { folder: PathBuf, what: String },
    /// Operations under way don't end.
    #[error("{}: operations that are under way don't end within {seconds} s; try again, and look at \
        the storage if it happens again", path.display())]
    NotQuiet { path: PathBuf, seconds: u64 },
    /// The volume shares blocks with others.
    #[error("{}: {what}", path.display())]
    Mapped { path: PathBuf, what: &'static str },
    /// The other ends of its mirror have the size that they have.
    #[error("{}: is an end of a mirror, which has one size; take it out of the mirror first", path.display())]
    Mirrored { path: PathBuf },
    /// Anything else: the error names the file.
    #[error("{0}; see the system log for the cause")]
    File(#[source] BlockError),
}

fn free_text(free: Option<u64>) -> String {
    free.map_or_else(
        || "free space unknown".to_owned(),
        |free| format!("{free} bytes are free"),
    )
}

fn geometry_advice(error: &GeometryError) -> &'static str {
    match error {
        GeometryError::Empty => "give it a size first, or create a new volume with a size",
        GeometryError::PartialBlock { .. } => {
            "make it a multiple (truncate can), or choose a smaller block size"
        }
        _ => "choose a smaller size",
    }
}

impl VolumeError {
    /// Tells a file's error in the words of the one who named the file.
    pub(crate) fn from_block(error: BlockError, needed: u64) -> Self {
        let path = error.path();
        let what = error.context().op;
        match error.kind() {
            BlockErrorKind::NotFound if what == OpName::Create => Self::NoFolder { path },
            BlockErrorKind::NotFound => Self::Missing { path },
            BlockErrorKind::AlreadyExists => Self::Exists { path },
            BlockErrorKind::PermissionDenied => Self::PermissionDenied { path, what },
            BlockErrorKind::ReadOnly => Self::ReadOnly { path },
            BlockErrorKind::IsDirectory => Self::IsDirectory { path },
            BlockErrorKind::NotABlockFile => Self::NotABlockFile {
                path,
                what: error.io_error().to_string(),
            },
            BlockErrorKind::InUse => Self::InUse {
                path,
                holder: error.io_error().to_string(),
            },
            BlockErrorKind::NoSpace => Self::NoSpace {
                free: free_near(&path),
                path,
                needed,
            },
            BlockErrorKind::TooLarge => Self::TooLarge { path },
            BlockErrorKind::Unsupported if what != OpName::Allocate => Self::NoDirectIo { path },
            _ => Self::File(error),
        }
    }
}

fn free_near(path: &Path) -> Option<u64> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    tidelock_block::free_bytes(folder.unwrap_or_else(|| Path::new("."))).ok()
}
