//! What of a volume is allocated, as its file or its map says. Everything here **blocks**.

use tidelock_block::{AllocationExtent, BlockFile};
use tidelock_volume::Range;
use tidelock_volume::mapped::{BLOCK_BYTES, BlockRange, Place};

use super::{Mapped, Volume};
use crate::error::VolumeError;

const BLOCK: u64 = BLOCK_BYTES as u64;
/// Blocks of the first look into a map, and of the longest: whoever needs it waits meanwhile.
const LOOK_BLOCKS: u64 = 1 << 10;
const LOOK_BLOCKS_MAX: u64 = 1 << 16;

impl Volume {
    /// What is allocated in a range: at most `extents_max` pieces from its start, in order. For GET
    /// LBA STATUS. **Blocks.**
    ///
    /// # Errors
    /// The system can't tell.
    pub fn allocation(
        &self,
        range: Range,
        extents_max: usize,
    ) -> Result<Vec<AllocationExtent>, VolumeError> {
        match self.mapped() {
            Some(mapped) => mapped.allocation(range, extents_max),
            None => allocation_of(self.file(), range.offset, range.length, extents_max),
        }
    }
}

fn allocation_of(
    file: &BlockFile,
    offset: u64,
    length: u64,
    extents_max: usize,
) -> Result<Vec<AllocationExtent>, VolumeError> {
    file.allocation(offset, length, extents_max)
        .map_err(|error| VolumeError::from_block(error, 0))
}

impl Mapped {
    pub(crate) fn allocation(
        &self,
        range: Range,
        extents_max: usize,
    ) -> Result<Vec<AllocationExtent>, VolumeError> {
        let mut found = Found {
            range,
            extents: Vec::new(),
            // One more, so that the last one that is told is whole.
            most: extents_max.saturating_add(1),
        };
        let end = range.offset.saturating_add(range.length).div_ceil(BLOCK);
        let mut first = range.offset / BLOCK;
        let mut step = LOOK_BLOCKS;
        while first < end && !found.is_full() {
            let count = step.min(end - first);
            let look = BlockRange { first, count };
            for stretch in self.family.locate_waiting(self.dataset, look)? {
                let (offset, length) = (stretch.first * BLOCK, stretch.count * BLOCK);
                match stretch.entry.place {
                    Place::Home => self.add_home(&mut found, offset, length)?,
                    Place::Block { .. } => found.add(offset, length, true),
                    Place::Hole | Place::Node { .. } => found.add(offset, length, false),
                }
                if found.is_full() {
                    break;
                }
            }
            first += count;
            step = (step * 2).min(LOOK_BLOCKS_MAX);
        }
        found.extents.truncate(extents_max);
        Ok(found.extents)
    }

    /// What is in the home file is allocated as far as the file system has it.
    fn add_home(&self, found: &mut Found, offset: u64, length: u64) -> Result<(), VolumeError> {
        let end = offset + length;
        let mut at = offset;
        if let Some((home, bytes)) = self.family.home() {
            while at < end.min(bytes) && !found.is_full() {
                let extents = allocation_of(home, at, end.min(bytes) - at, found.most)?;
                let before = at;
                for extent in extents {
                    found.add(extent.offset, extent.length, extent.allocated);
                    at = extent.offset + extent.length;
                }
                if at == before {
                    // The file has become shorter: nothing is there.
                    break;
                }
            }
        }
        if at < end {
            found.add(at, end - at, false);
        }
        Ok(())
    }
}

/// Extents, in order.
struct Found {
    range: Range,
    extents: Vec<AllocationExtent>,
    most: usize,
}

impl Found {
    fn is_full(&self) -> bool {
        self.extents.len() >= self.most
    }

    /// Adds what comes next, as far as it is in the range.
    fn add(&mut self, offset: u64, length: u64, allocated: bool) {
        let end = (offset + length).min(self.range.offset.saturating_add(self.range.length));
        let offset = offset.max(self.range.offset);
        if offset >= end {
            return;
        }
        let length = end - offset;
        match self.extents.last_mut() {
            Some(last) if last.allocated == allocated => last.length += length,
            _ => self.extents.push(AllocationExtent {
                offset,
                length,
                allocated,
            }),
        }
    }
}
