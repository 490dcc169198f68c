//! The shell that runs volume plans on block files.
//!
//! [`Volume`] is an open volume, shared by all threads; [`Engine`] carries out operations on
//! volumes, one engine per reactor thread. Between them lies what neither a map nor an I/O engine
//! knows: when a write may be called durable, what a failed flush means for everything after it,
//! and what may happen to an operation that nobody waits for any more.
//!
//! Functions that may wait for a disk say **Blocks**; everything else returns at once.

#![forbid(unsafe_code)]

mod engine;
mod error;
mod family;
mod fence;
mod journal;
pub mod mirror;
mod op;
mod ranges;
mod volume;
mod watch;

pub use engine::{Engine, EngineKind, EngineProbe};
pub use error::VolumeError;
pub use family::{
    CopyOut, CopyOutOptions, DatasetInfo, Export, ExportOptions, Family, FamilyOptions,
    FamilySpace, FileFinding, Id, InspectOptions, InspectReport, MappedOptions, Progress,
    Restoring, VerifyReport, file_size, has_data, inspect, is_family,
};
pub use fence::FenceReason;
pub use journal::JournalPlace;
pub use op::{VolumeFault, VolumeFaultKind, VolumeOp, VolumeOutcome};
pub use tidelock_block::{AllocationExtent, BufferPool, EngineIo, MemoryFile, PoolSpace};
pub use tidelock_volume::stream;
pub use tidelock_volume::{BlockSize, Range};
pub use volume::{Committed, CreateOptions, Held, OpenOptions, Volume, VolumeStatistics};
pub use watch::{Settling, Watch};
