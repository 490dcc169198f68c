//! The copy manager (SPC-5, "Third-party copy commands"), as far as it is pure: parameter lists,
//! what a segment comes to in bytes, how a failure is told, what is remembered of a copy operation.
//!
//! The data is moved by the shell: it gets a [`CopyJob`], finds the logical units that the
//! descriptors name among those that the initiator sees, and carries out [`Chunk`] after [`Chunk`].
//! Nothing here knows which other logical units there are.

mod cscd;
mod failure;
mod job;
pub(crate) mod list;
pub(crate) mod record;
pub(crate) mod rod;
mod segment;

pub use cscd::Designation;
pub use failure::{CopyFailure, CopySide, ThirdPartyRefusal};
pub use job::{CopyEnd, CopyJob};
pub use rod::{
    MAX_RANGES, MAX_ROD_BYTES, PopulateToken, ROD_RANDOM_LENGTH, ROD_TOKEN_LENGTH, RodToken,
    RodTokenKind, RodTokenProblem, WriteUsingToken,
};
pub use segment::{Chunk, CopyEndpoint, Transfer};

pub(crate) use record::{CopyRecords, CopyTicket, RunningCopies};

/// MAXIMUM CSCD DESCRIPTOR COUNT: most descriptors of copy sources and copy destinations.
pub const MAX_CSCDS: u16 = 16;
/// MAXIMUM SEGMENT DESCRIPTOR COUNT.
pub const MAX_SEGMENTS: u16 = 64;
/// MAXIMUM DESCRIPTOR LIST LENGTH in bytes: room for as many of both as there may be.
pub const MAX_DESCRIPTORS_LENGTH: u32 = 32 * (MAX_CSCDS as u32 + MAX_SEGMENTS as u32);
/// MAXIMUM SEGMENT LENGTH in bytes: what 65535 blocks of 4096 bytes fit into.
pub const MAX_SEGMENT_LENGTH: u32 = 1 << 28;
/// Copy operations of one logical unit that may be under way at a time, of all its I_T nexuses.
pub const MAX_CONCURRENT_COPIES: u8 = 16;
/// DATA SEGMENT GRANULARITY as a power of two: a logical block of 512 bytes.
pub(crate) const DATA_SEGMENT_GRANULARITY: u8 = 9;

/// Descriptor types that are supported, in ascending order: block device to block device, the same
/// with offsets, Identification Descriptor CSCD descriptor.
pub(crate) const DESCRIPTOR_TYPES: [u8; 3] = [
    segment::BLOCK_TO_BLOCK,
    segment::BLOCK_TO_BLOCK_WITH_OFFSETS,
    cscd::IDENTIFICATION,
];
