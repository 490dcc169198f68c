//! What every I/O engine takes and gives: operations that own their memory, completions that give
//! it back. Knows no volumes and no policy; errors are reported, never judged.
//!
//! An engine belongs to one thread. Files are shared: each engine uses its own *lane* (open file
//! description) of a file, see [`crate::file`].

pub mod memory;
pub mod threads;
pub mod uring;

pub(crate) mod blocking;
mod copying;
mod lane;
mod wakeup;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::buffer::Buffer;
use crate::error::{BlockError, BlockErrorKind, OpName};
use crate::file::BlockFile;

pub use copying::{BlockSum, SUM_BYTES, Sums};
pub use wakeup::Waker;

/// One operation on a file. Offsets and lengths are in bytes.
#[derive(Debug)]
pub enum OpKind {
    /// Fills the whole buffer. A file that ends before the range does is an error
    /// ([`crate::BlockErrorKind::UnexpectedEnd`]), not zeros.
    Read {
        /// First byte in the file.
        offset: u64,
        /// Where the bytes go; its length is the length of the read.
        buffer: Buffer,
    },
    /// Writes all pieces, one after the other.
    Write {
        /// First byte in the file.
        offset: u64,
        /// What is written.
        data: SmallVec<[Bytes; 2]>,
        /// Durable before it completes (`RWF_DSYNC`).
        dsync: bool,
    },
    /// Makes everything durable that was written to the file before this started (`fdatasync`).
    DataSync,
    /// Frees the range; it reads as zeros afterwards. The file's size stays.
    PunchHole {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// Makes the range read as zeros; its space stays allocated. The file's size stays.
    ZeroRange {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// Allocates the range without changing what it reads as. The file grows if it must.
    Allocate {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// Makes the range what another file has, which shares the space if the file system can. What is a hole
    /// there is one here. Fails if neither that nor copying works inside the file system, or if the other
    /// file ends before: a part of it may be there then.
    CopyFrom {
        /// The other file.
        source: Arc<BlockFile>,
        /// First byte there.
        source_offset: u64,
        /// First byte here. The two ranges don't overlap if the files are the same.
        offset: u64,
        /// Bytes.
        length: u64,
        /// What else is asked.
        sums: Sums,
    },
}

impl OpKind {
    /// Name for messages.
    #[must_use]
    pub fn name(&self) -> OpName {
        match self {
            Self::Read { .. } => OpName::Read,
            Self::Write { .. } => OpName::Write,
            Self::DataSync => OpName::DataSync,
            Self::PunchHole { .. } => OpName::PunchHole,
            Self::ZeroRange { .. } => OpName::ZeroRange,
            Self::Allocate { .. } => OpName::Allocate,
            Self::CopyFrom { .. } => OpName::Copy,
        }
    }

    /// First byte of the range it touches, if it has one.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::DataSync => None,
            Self::Read { offset, .. }
            | Self::Write { offset, .. }
            | Self::PunchHole { offset, .. }
            | Self::ZeroRange { offset, .. }
            | Self::Allocate { offset, .. }
            | Self::CopyFrom { offset, .. } => Some(*offset),
        }
    }

    /// Bytes that a read or write moves.
    pub(crate) fn transfer_length(&self) -> usize {
        match self {
            Self::Read { buffer, .. } => buffer.len(),
            Self::Write { data, .. } => data.iter().map(Bytes::len).sum(),
            _ => 0,
        }
    }
}

/// An operation on its way in.
#[derive(Debug)]
pub struct Request {
    /// Comes back with the completion; the engine doesn't look at it.
    pub tag: u64,
    /// The file.
    pub file: Arc<BlockFile>,
    /// What to do.
    pub op: OpKind,
}

impl Request {
    pub(crate) fn error(&self, done: u64, source: io::Error) -> BlockError {
        let offset = self.op.offset().map(|offset| offset + done);
        BlockError::new(self.op.name(), self.file.path(), offset, source)
    }

    pub(crate) fn finish(self, result: Result<(), BlockError>) -> Completion {
        Completion {
            tag: self.tag,
            op: self.op,
            result,
        }
    }
}

/// An operation on its way out, with the memory it owned.
#[derive(Debug)]
pub struct Completion {
    /// As in the request.
    pub tag: u64,
    /// The operation; a read's buffer is filled if `result` is `Ok`.
    pub op: OpKind,
    /// How it went.
    pub result: Result<(), BlockError>,
}

/// The engine has all the operations that it can hold: here is this one back.
#[derive(Debug)]
pub struct Full(pub Request);

/// The data plane of one thread.
///
/// Use: [`push`](Self::push) any number of requests, [`submit`](Self::submit) once, then drain
/// [`next_completion`](Self::next_completion) until it gives `None`. None of these blocks. Then
/// sleep until the descriptor of `as_fd` becomes readable, call `submit` and drain again. Watch it
/// *edge-triggered* (as tokio's `AsyncFd` does): nobody spends a system call on making it unreadable
/// again. It may become readable without a reason.
pub trait BlockIo: AsFd {
    /// Queues an operation.
    ///
    /// # Errors
    /// [`Full`] when as many operations are under way as the engine was made for.
    fn push(&mut self, request: Request) -> Result<(), Full>;

    /// Hands everything that is queued to whoever does the work; at most one system call unless
    /// more is queued than fits at once. Calling it with nothing queued is cheap.
    fn submit(&mut self);

    /// Takes the next completion, if any, without a system call where that is possible.
    fn next_completion(&mut self) -> Option<Completion>;

    /// Whether a finished part of an operation has queued its continuation: `submit` is due.
    fn needs_submit(&self) -> bool;

    /// Counts how often queued operations were handed over. As long as it stays the same, an
    /// operation that was pushed since hasn't begun.
    fn handed_over(&self) -> u64;

    /// Operations that were pushed and haven't completed.
    fn in_flight(&self) -> usize;

    /// A waker that makes `as_fd` readable.
    fn waker(&self) -> Waker;
}

/// Any engine: one static dispatch point, so that the hot path has no virtual calls.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one per thread, and it never moves"
)]
pub enum EngineIo {
    /// io_uring.
    Uring(uring::UringIo),
    /// Blocking calls on threads.
    Threads(threads::ThreadsIo),
    /// Memory, for tests.
    Memory(memory::MemoryIo),
}

macro_rules! each {
    ($self:ident, $io:ident => $do:expr) => {
        match $self {
            Self::Uring($io) => $do,
            Self::Threads($io) => $do,
            Self::Memory($io) => $do,
        }
    };
}

impl BlockIo for EngineIo {
    fn push(&mut self, request: Request) -> Result<(), Full> {
        each!(self, io => io.push(request))
    }

    fn submit(&mut self) {
        each!(self, io => io.submit());
    }

    fn next_completion(&mut self) -> Option<Completion> {
        each!(self, io => io.next_completion())
    }

    fn needs_submit(&self) -> bool {
        each!(self, io => io.needs_submit())
    }

    fn handed_over(&self) -> u64 {
        each!(self, io => io.handed_over())
    }

    fn in_flight(&self) -> usize {
        each!(self, io => io.in_flight())
    }

    fn waker(&self) -> Waker {
        each!(self, io => io.waker())
    }
}

impl AsFd for EngineIo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        each!(self, io => io.as_fd())
    }
}

/// The pieces of a write from `done` bytes on, none of them empty.
fn remaining(data: &[Bytes], done: usize) -> impl Iterator<Item = &[u8]> {
    let mut skip = done;
    data.iter().filter_map(move |piece| {
        let rest = piece.get(skip..);
        skip = skip.saturating_sub(piece.len());
        rest.filter(|rest| !rest.is_empty())
    })
}

/// The error of an operation that the file's end stopped after `done` bytes.
fn ended(request: &Request, done: u64) -> BlockError {
    let (kind, why) = match request.op {
        OpKind::Read { .. } => (
            BlockErrorKind::UnexpectedEnd,
            "the file ends before this: somebody has made it shorter",
        ),
        _ => (BlockErrorKind::Other, "the system takes no more bytes"),
    };
    let offset = request.op.offset().map(|offset| offset + done);
    BlockError::with_kind(
        kind,
        request.op.name(),
        request.file.path(),
        offset,
        io::Error::new(io::ErrorKind::UnexpectedEof, why),
    )
}

#[cfg(test)]
mod tests;
