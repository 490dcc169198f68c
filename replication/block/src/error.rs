//! What can go wrong with a block file: a small kind for control flow, the place, and the cause.
//! Knows how the operating system numbers its errors, and nobody's policy about them.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Classification of an error; callers match on this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockErrorKind {
    /// No such file.
    NotFound,
    /// The file is there already, and a new one was asked for.
    AlreadyExists,
    /// The process may not do this to the file.
    PermissionDenied,
    /// The file or its file system can only be read.
    ReadOnly,
    /// A directory where a file was expected.
    IsDirectory,
    /// Neither a regular file nor a block device.
    NotABlockFile,
    /// Somebody else holds the lock.
    InUse,
    /// The file system, the quota or the device is full.
    NoSpace,
    /// The file system can't have files of this size.
    TooLarge,
    /// The file ends before the range does.
    UnexpectedEnd,
    /// The file system or the device cannot do this operation.
    Unsupported,
    /// Offset, length or memory doesn't fit the alignment of direct I/O.
    Misaligned,
    /// The host has no memory or request slots just now; the same again may succeed.
    Exhausted,
    /// The medium or the path to it failed (EIO).
    Medium,
    /// Anything else: see the source.
    Other,
}

impl BlockErrorKind {
    /// Kind of an operating system error.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match Errno::from_io_error(error) {
            Some(Errno::NOENT) => Self::NotFound,
            Some(Errno::EXIST) => Self::AlreadyExists,
            Some(Errno::ACCESS | Errno::PERM) => Self::PermissionDenied,
            Some(Errno::ROFS) => Self::ReadOnly,
            Some(Errno::ISDIR) => Self::IsDirectory,
            Some(Errno::NOSPC | Errno::DQUOT) => Self::NoSpace,
            Some(Errno::FBIG) => Self::TooLarge,
            Some(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOTTY) => Self::Unsupported,
            Some(Errno::AGAIN | Errno::NOMEM | Errno::NOBUFS) => Self::Exhausted,
            Some(Errno::IO | Errno::REMOTEIO | Errno::ILSEQ | Errno::BADMSG | Errno::UCLEAN) => {
                Self::Medium
            }
            _ => Self::Other,
        }
    }
}

/// Name of an operation, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say it")]
pub enum OpName {
    Open,
    Create,
    Lock,
    Stat,
    Resize,
    Remove,
    Map,
    Read,
    Write,
    DataSync,
    PunchHole,
    ZeroRange,
    Allocate,
    Copy,
}

impl fmt::Display for OpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Lock => "lock",
            Self::Stat => "examine",
            Self::Resize => "resize",
            Self::Remove => "remove",
            Self::Map => "map the allocation of",
            Self::Read => "read",
            Self::Write => "write",
            Self::DataSync => "flush",
            Self::PunchHole => "punch a hole into",
            Self::ZeroRange => "write zeros to",
            Self::Allocate => "allocate space for",
            Self::Copy => "copy inside the file system to",
        })
    }
}

/// Where it went wrong.
#[derive(Clone, Debug)]
pub struct ErrorContext {
    /// The file.
    pub path: Arc<Path>,
    /// Byte offset in the file, for operations on a range.
    pub offset: Option<u64>,
    /// What was being done.
    pub op: OpName,
}

/// A failed operation on a block file.
#[derive(Debug)]
pub struct BlockError {
    kind: BlockErrorKind,
    context: Box<ErrorContext>,
    source: io::Error,
}

impl BlockError {
    /// An error as the operating system gave it.
    #[must_use]
    pub fn new(op: OpName, path: &Arc<Path>, offset: Option<u64>, source: io::Error) -> Self {
        Self::with_kind(BlockErrorKind::of(&source), op, path, offset, source)
    }

    /// An error whose kind is known better than the source tells.
    #[must_use]
    pub fn with_kind(
        kind: BlockErrorKind,
        op: OpName,
        path: &Arc<Path>,
        offset: Option<u64>,
        source: io::Error,
    ) -> Self {
        Self {
            kind,
            context: Box::new(ErrorContext {
                path: Arc::clone(path),
                offset,
                op,
            }),
            source,
        }
    }

    pub(crate) fn at_path(op: OpName, path: &Path, source: io::Error) -> Self {
        Self::new(op, &Arc::from(path), None, source)
    }

    /// What kind of error.
    #[must_use]
    pub fn kind(&self) -> BlockErrorKind {
        self.kind
    }

    /// Where it happened.
    #[must_use]
    pub fn context(&self) -> &ErrorContext {
        &self.context
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.context.path.to_path_buf()
    }

    /// The operating system's error.
    #[must_use]
    pub fn io_error(&self) -> &io::Error {
        &self.source
    }
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorContext { path, offset, op } = &*self.context;
        write!(f, "cannot {op} {}", path.display())?;
        if let Some(offset) = offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", self.source)
    }
}

impl Error for BlockError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
