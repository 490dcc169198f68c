//! How much space a volume may take. A write that would need more is refused before anything of it is done.
//!
//! What a volume takes is its file while it is raw, and all of its family afterwards: with its snapshots, and
//! with the clones that share blocks with it. That is looked up only when what was written since the last time
//! might have reached the limit; what is on its way then isn't in it yet, so the limit may be exceeded by the
//! writes of one moment. Maps count, but are always written, or nothing could be deleted any more.

use std::sync::atomic::{AtomicU64, Ordering};

use tidelock_volume::Range;
use tidelock_volume::mapped::BLOCK_BYTES;

use super::Volume;
use crate::error::VolumeError;
use crate::op::VolumeOp;

/// No limit.
const NONE: u64 = u64::MAX;

/// The limit of a volume.
#[derive(Debug)]
pub(super) struct Limit {
    /// Bytes.
    most: AtomicU64,
    /// What it took at the last look.
    known: AtomicU64,
    /// Bytes whose writing has begun since.
    since: AtomicU64,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            most: AtomicU64::new(NONE),
            known: AtomicU64::new(0),
            since: AtomicU64::new(0),
        }
    }
}

impl Limit {
    /// Whether so many bytes fit, by what is known.
    fn takes(&self, bytes: u64) -> bool {
        let since = self.since.fetch_add(bytes, Ordering::Relaxed);
        let known = self.known.load(Ordering::Relaxed);
        let most = self.most.load(Ordering::Relaxed);
        known.saturating_add(since).saturating_add(bytes) <= most
    }

    fn look(&self, used: u64) {
        self.known.store(used, Ordering::Relaxed);
        self.since.store(0, Ordering::Relaxed);
    }
}

impl Volume {
    /// The most bytes that it may take from now on; `None`: as many as there are.
    pub fn set_space_limit(&self, bytes: Option<u64>) {
        self.limit.look(NONE);
        let most = bytes.map_or(NONE, |bytes| bytes.min(NONE - 1));
        self.limit.most.store(most, Ordering::Relaxed);
    }

    /// Bytes that it may take; `None` if nobody has set a limit.
    #[must_use]
    pub fn space_limit(&self) -> Option<u64> {
        Some(self.limit.most.load(Ordering::Relaxed)).filter(|most| *most != NONE)
    }

    /// Bytes of storage that it takes: its file, and what else its family has, snapshots and clones included.
    /// **Blocks.**
    ///
    /// # Errors
    /// The system can't tell.
    pub fn space_used(&self) -> Result<u64, VolumeError> {
        match self.mapped() {
            None => self.allocated_bytes(),
            Some(mapped) => mapped.family.space_used(),
        }
    }

    /// Whether an operation may be done: it needs no more space than there is below the limit.
    pub(crate) fn has_room_for(&self, op: &VolumeOp) -> bool {
        if self.limit.most.load(Ordering::Relaxed) == NONE {
            return true;
        }
        let Some(range) = needed(op) else {
            return true;
        };
        let mapped = self.mapped();
        let bytes = match &mapped {
            Some(_) => whole_blocks(range),
            None => range.length,
        };
        if self.limit.takes(bytes) {
            return true;
        }
        // Rare: only near the limit. What can't be told doesn't stop anybody.
        let Ok(used) = self.space_used() else {
            return true;
        };
        self.limit.look(used);
        if self.limit.takes(bytes) {
            return true;
        }
        self.limit.look(used);
        match mapped {
            Some(mapped) => {
                // What hosts have overwritten may be had soon.
                mapped.family.want_space();
                false
            }
            None => self.is_allocated(range),
        }
    }

    /// Whether all of a range has its space already: writing there takes no more.
    fn is_allocated(&self, range: Range) -> bool {
        let found = self.file.allocation(range.offset, range.length, 2);
        found.is_ok_and(|extents| {
            let length: u64 = extents.iter().map(|extent| extent.length).sum();
            extents.iter().all(|extent| extent.allocated) && length >= range.length
        })
    }
}

/// What an operation may need space for.
fn needed(op: &VolumeOp) -> Option<Range> {
    let (offset, length) = match op {
        VolumeOp::Write { offset, data, .. }
        | VolumeOp::CompareAndWrite { offset, data, .. }
        | VolumeOp::OrWrite { offset, data, .. }
        | VolumeOp::WriteAtomic { offset, data } => {
            let length = data.iter().map(|piece| piece.len() as u64).sum();
            (*offset, length)
        }
        VolumeOp::CopyFrom { offset, length, .. } => (*offset, *length),
        VolumeOp::WriteSame {
            offset,
            length,
            block,
            unmap,
            ..
        } if !unmap || block.iter().any(|byte| *byte != 0) => (*offset, *length),
        _ => return None,
    };
    Some(Range { offset, length })
}

/// Bytes of the blocks that a range is in.
fn whole_blocks(range: Range) -> u64 {
    let block = BLOCK_BYTES as u64;
    let first = range.offset / block;
    let end = range.offset.saturating_add(range.length).div_ceil(block);
    end.saturating_sub(first).saturating_mul(block)
}
