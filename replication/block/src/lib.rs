//! Block files, the buffers that their I/O uses, and the engines that do the I/O.
//!
//! Three rooms: [`buffer`] (aligned, pooled, bounded memory), [`mod@file`] (an open file or block
//! device: how it is opened, locked, sized), [`engine`] (who moves bytes between the two: io_uring,
//! a thread pool, or memory for tests). Knows nothing of volumes, SCSI or sessions.
//!
//! The only crate of the project with `unsafe`, and that only in [`buffer`], the io_uring engine and the one call
//! that shares a range of a file (`engine/copying.rs`).

pub mod buffer;
pub mod engine;
pub mod error;
pub mod file;

pub use buffer::{ALIGNMENT, Buffer, BufferPool};
pub use engine::memory::{MemoryFile, MemoryIo, Power};
pub use engine::threads::ThreadsIo;
pub use engine::uring::{RingMode, Unavailable, UringIo, probe};
pub use engine::{
    BlockIo, BlockSum, Completion, EngineIo, Full, OpKind, Request, SUM_BYTES, Sums, Waker,
};
pub use error::{BlockError, BlockErrorKind, ErrorContext, OpName};
pub use file::{
    Alignment, AllocationExtent, BlockFile, FileKind, FileOptions, PoolSpace, free_bytes,
};
