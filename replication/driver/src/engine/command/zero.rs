//! Ranges that must read as zeros: freed, zeroed by the file system, or written, whichever the file
//! can do first.

use bytes::Bytes;
use smallvec::SmallVec;
use tidelock_block::{BlockError, BlockErrorKind, OpKind};
use tidelock_mirror::ZEROS_MAX;
use tidelock_volume::Range;

use super::medium::Medium;
use super::{Step, fault};
use crate::op::VolumeOutcome;
use crate::volume::Volume;

/// Bytes written in one step where the file system can't zero by itself.
const CHUNK: u64 = 1 << 20;
/// Bytes of a mapped volume that become zeros in one step: whoever needs its map waits meanwhile.
const MAPPED_CHUNK: u64 = 64 << 20;
const ZEROS_LENGTH: usize = 1 << 16;

/// Aligned, so that direct I/O can take it.
#[repr(align(4096))]
struct Zeros([u8; ZEROS_LENGTH]);

static ZEROS: Zeros = Zeros([0; ZEROS_LENGTH]);

#[derive(Debug)]
pub(in crate::engine) struct Zero {
    /// What is left, the next one last.
    ranges: SmallVec<[Range; 4]>,
    /// Free the space rather than keep it.
    free: bool,
    fua: bool,
}

impl Zero {
    pub(super) fn new(mut ranges: SmallVec<[Range; 4]>, free: bool, fua: bool) -> Self {
        ranges.reverse();
        Self { ranges, free, fua }
    }

    /// What is left.
    pub(super) fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// From the first byte of what is left to the last.
    pub(super) fn span(&self) -> Option<Range> {
        let offset = self.ranges.iter().map(|range| range.offset).min()?;
        let ends = self.ranges.iter().map(|range| range.offset + range.length);
        let length = ends.max()? - offset;
        Some(Range { offset, length })
    }

    pub(super) fn step(&mut self, medium: Medium<'_>) -> Step {
        let volume = medium.volume;
        let Some(Range { offset, length }) = self.ranges.last().copied() else {
            return if self.fua {
                Step::Sync
            } else {
                Step::Finished(VolumeOutcome::Done)
            };
        };
        let length = if medium.is_mirrored {
            length.min(ZEROS_MAX)
        } else {
            length
        };
        Step::Issue(if medium.is_mapped {
            // A map says that there are zeros; no space is kept for what will be written there.
            let length = length.min(MAPPED_CHUNK - offset % MAPPED_CHUNK);
            OpKind::PunchHole { offset, length }
        } else if !self.free && volume.can_zero() {
            OpKind::ZeroRange { offset, length }
        } else if volume.can_punch() {
            OpKind::PunchHole { offset, length }
        } else {
            OpKind::Write {
                offset,
                data: zeros(length.min(CHUNK)),
                dsync: false,
            }
        })
    }

    fn advance(&mut self, done: u64) {
        if let Some(range) = self.ranges.last_mut() {
            range.offset += done;
            range.length = range.length.saturating_sub(done);
            if range.length == 0 {
                self.ranges.pop();
            }
        }
    }

    pub(super) fn completed(
        &mut self,
        volume: &Volume,
        op: &OpKind,
        result: Result<(), BlockError>,
    ) -> Option<VolumeOutcome> {
        match (op, result) {
            (OpKind::Write { data, .. }, Ok(())) => {
                self.advance(data.iter().map(|piece| piece.len() as u64).sum());
            }
            (OpKind::PunchHole { length, .. } | OpKind::ZeroRange { length, .. }, Ok(())) => {
                self.advance(*length);
            }
            (_, Ok(())) => {}
            (OpKind::PunchHole { .. }, Err(error))
                if error.kind() == BlockErrorKind::Unsupported =>
            {
                volume.learn_no_punch();
            }
            (OpKind::ZeroRange { .. }, Err(error))
                if error.kind() == BlockErrorKind::Unsupported =>
            {
                volume.learn_no_zero();
            }
            (op, Err(error)) => return Some(fault(volume, op, error)),
        }
        None
    }
}

/// `length` zero bytes without memory of their own.
pub(super) fn zeros(length: u64) -> SmallVec<[Bytes; 2]> {
    let all = Bytes::from_static(&ZEROS.0);
    let mut left = usize::try_from(length).unwrap_or(ZEROS_LENGTH);
    let mut pieces = SmallVec::new();
    while left > 0 {
        let piece = left.min(ZEROS_LENGTH);
        pieces.push(all.slice(..piece));
        left -= piece;
    }
    pieces
}
