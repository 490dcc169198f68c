//! What the steps of an operation may know of the volume that they are on.

use tidelock_block::{Buffer, BufferPool};
use tidelock_volume::mapped::BLOCK_BYTES;

use super::{Step, mapped};
use crate::op::VolumeFaultKind;
use crate::volume::Volume;

/// The volume as a step sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Medium<'a> {
    pub(super) volume: &'a Volume,
    pub(super) pool: &'a BufferPool,
    pub(super) is_mapped: bool,
    pub(super) is_mirrored: bool,
}

impl Medium<'_> {
    /// Memory for reading a range; otherwise the step to be taken instead. On a mapped volume, where
    /// whole blocks are read, there is room around it for them.
    #[inline]
    pub(super) fn buffer(self, offset: u64, length: usize) -> Result<Buffer, Step> {
        if !self.is_mapped {
            return self.pool.try_take(length).ok_or(Step::NeedMemory);
        }
        let (before, whole) = mapped::room(offset, length);
        let taken = self.pool.try_take(whole).and_then(|mut buffer| {
            let fits = buffer.window(before, length);
            fits.then_some(buffer)
        });
        taken.ok_or_else(|| {
            if self.pool.could_ever_take(whole) {
                Step::NeedMemory
            } else {
                Step::Finished(VolumeFaultKind::TooLarge.into())
            }
        })
    }

    /// The same memory for the next piece, which isn't longer; other memory where it doesn't do.
    pub(super) fn buffer_again(
        self,
        last: Option<Buffer>,
        offset: u64,
        length: usize,
    ) -> Result<Buffer, Step> {
        let before = if self.is_mapped {
            mapped::room(offset, length).0
        } else {
            0
        };
        let again = last.and_then(|mut buffer| {
            let does = before == 0 && buffer.window(0, length);
            does.then_some(buffer)
        });
        again.map_or_else(|| self.buffer(offset, length), Ok)
    }

    /// Whether a write can be durable when it is done, without a flush.
    pub(super) fn has_durable_writes(self) -> bool {
        !self.is_mapped && self.volume.is_direct()
    }
}

/// Bytes of the next step of something that goes on for `left` bytes from `offset`: at most `most`, and
/// up to the end of a mapped block, so that no block is worked on twice.
pub(super) fn chunk(offset: u64, left: u64, most: u64) -> u64 {
    if left <= most {
        return left;
    }
    most - (offset + most) % BLOCK_BYTES as u64
}
