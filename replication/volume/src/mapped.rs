//! The mapped format: volumes, snapshots and clones that share blocks.
//!
//! [`Family`] is a state machine. It is told what was written where, and answers where to read and
//! write; it hands out bytes that have to become durable, and is told when they are. It does no I/O:
//! a page that isn't in memory is asked for with [`Missing`], and the same call is made again when it
//! was supplied. `docs/on-disk-format.md` has the layout, the order of events and the invariants.

pub mod address;
pub mod allocator;
pub mod check;
pub(crate) mod dataset;
pub mod diff;
pub mod entry;
mod facts;
pub mod family;
pub mod format;
pub(crate) mod maps;
pub(crate) mod nodes;
mod readings;

pub use address::{Address, BLOCK_BYTES, DatasetId, Epoch, SEGMENT_BLOCKS};
pub use allocator::Run;
pub use entry::{Entry, Place};
pub use facts::DatasetFacts;
pub use family::{Family, FamilyError};
pub use format::{Damage, Id};
pub use maps::{BlockRange, Stretch, Stretches};
pub use nodes::{Missing, PageKind};
pub use readings::Reading;

#[cfg(test)]
mod tests;
