//! What can be wrong with an end and its journal: each message names the file and says what to do.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error::VolumeError;

/// Why an end can't be made, opened or taken away.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the messages name")]
pub enum EndError {
    /// There is a journal where one was to be made.
    #[error("{}: there is the journal of a mirror already; it isn't overwritten", path.display())]
    Exists { path: PathBuf },
    /// There is none where one is to be opened.
    #[error("{}: the journal of this end of the mirror isn't there; without it nobody knows what the volume \
        holds: take the end out of the mirror and add it again, which copies everything", path.display())]
    Missing { path: PathBuf },
    /// It isn't what was written.
    #[error("{}: {what}; restore the storage below it, or take the end out of the mirror and add it again, which \
        copies everything", path.display())]
    Damaged { path: PathBuf, what: String },
    /// The volume isn't the one that it was made for.
    #[error("{}: it was made for a volume of {theirs} bytes, and this one has {ours}; a mirrored volume can't be \
        resized", path.display())]
    OtherSize {
        path: PathBuf,
        theirs: u64,
        ours: u64,
    },
    /// The volume is an end already.
    #[error("{}: is an end of a mirror already", path.display())]
    Mirrored { path: PathBuf },
    /// What was asked for makes no sense.
    #[error("{what}")]
    Config { what: &'static str },
    /// The volume can't be had alone for the moment in which it becomes an end, or stops to be one.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A file can't be read or written.
    #[error("{}: can't {what}: {source}", path.display())]
    Io {
        path: PathBuf,
        what: &'static str,
        source: io::Error,
    },
}

impl EndError {
    pub(super) fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, what, source }
    }
}
