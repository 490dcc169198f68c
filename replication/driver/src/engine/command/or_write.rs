//! Setting bits: a piece is read, the bits are set in it, and it is written back, then the next. The
//! range lock around all of it is the engine's.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use tidelock_block::{Buffer, OpKind};
use tidelock_volume::Range;

use super::Step;
use super::medium::{Medium, chunk};
use crate::op::VolumeOutcome;

/// Bytes in one step, at most.
const CHUNK: u64 = 1 << 18;

#[derive(Debug)]
pub(in crate::engine) struct OrWrite {
    range: Range,
    done: u64,
    bits: SmallVec<[Bytes; 2]>,
    /// What was read, with the bits set.
    merged: Option<Buffer>,
    fua: bool,
}

impl OrWrite {
    pub(super) fn new(offset: u64, bits: SmallVec<[Bytes; 2]>, fua: bool) -> Self {
        let length = bits.iter().map(|piece| piece.len() as u64).sum();
        Self {
            range: Range { offset, length },
            done: 0,
            bits,
            merged: None,
            fua,
        }
    }

    pub(super) fn range(&self) -> Range {
        self.range
    }

    /// Bytes of the buffer that it needs.
    pub(super) fn chunk_length(&self) -> u64 {
        self.range.length.min(CHUNK)
    }

    pub(super) fn step(&mut self, medium: Medium<'_>) -> Step {
        let offset = self.range.offset + self.done;
        if let Some(merged) = self.merged.take() {
            self.done += merged.len() as u64;
            return Step::Issue(OpKind::Write {
                offset,
                data: smallvec![merged.freeze()],
                // Buffered volumes sync in a step of their own: see the engine's documentation.
                dsync: self.fua && medium.has_durable_writes(),
            });
        }
        let left = self.range.length - self.done;
        if left == 0 {
            return if self.fua && !medium.has_durable_writes() {
                Step::Sync
            } else {
                Step::Finished(VolumeOutcome::Done)
            };
        }
        let length = usize::try_from(chunk(offset, left, CHUNK)).unwrap_or_default();
        match medium.buffer(offset, length) {
            Ok(buffer) => Step::Issue(OpKind::Read { offset, buffer }),
            Err(step) => step,
        }
    }

    pub(super) fn completed(&mut self, op: OpKind) -> Option<VolumeOutcome> {
        if let OpKind::Read { mut buffer, .. } = op {
            set_bits(&mut buffer, &self.bits, self.done);
            self.merged = Some(buffer);
        }
        None
    }
}

/// Sets in `found` the bits of the pieces, read from byte `skip` on.
fn set_bits(found: &mut [u8], pieces: &[Bytes], skip: u64) {
    let mut skip = usize::try_from(skip).unwrap_or(usize::MAX);
    let mut rest = found;
    for piece in pieces {
        let Some(bits) = piece.get(skip..) else {
            skip -= piece.len();
            continue;
        };
        skip = 0;
        let length = bits.len().min(rest.len());
        let (now, later) = rest.split_at_mut(length);
        for (byte, bits) in now.iter_mut().zip(bits) {
            *byte |= bits;
        }
        rest = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_set_across_pieces() {
        let pieces = [
            Bytes::from_static(&[1, 2]),
            Bytes::new(),
            Bytes::from_static(&[4, 8, 16]),
        ];
        let or = |skip, mut found: Vec<u8>| {
            set_bits(&mut found, &pieces, skip);
            found
        };
        assert_eq!(or(0, vec![0x80; 5]), [0x81, 0x82, 0x84, 0x88, 0x90]);
        assert_eq!(or(1, vec![0; 3]), [2, 4, 8]);
        assert_eq!(or(3, vec![0xff, 0]), [0xff, 16]);
        assert_eq!(or(4, vec![0, 0]), [16, 0], "no more bits than there are");
    }
}
