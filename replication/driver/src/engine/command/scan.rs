//! Reading a range piece by piece through one buffer, to see whether it can be read or what is in
//! it.

use bytes::Bytes;
use smallvec::SmallVec;
use tidelock_block::{Buffer, OpKind};
use tidelock_volume::Range;

use super::Step;
use super::medium::{Medium, chunk};
use crate::op::VolumeOutcome;

/// Bytes read in one step, at most.
const CHUNK: u64 = 1 << 18;

#[derive(Debug)]
pub(in crate::engine) struct Scan {
    offset: u64,
    length: u64,
    done: u64,
    /// What should be there; `None`: anything.
    expected: Option<SmallVec<[Bytes; 2]>>,
    /// The buffer, between two steps.
    buffer: Option<Buffer>,
}

impl Scan {
    pub(super) fn new(offset: u64, length: u64, expected: Option<SmallVec<[Bytes; 2]>>) -> Self {
        Self {
            offset,
            length,
            done: 0,
            expected,
            buffer: None,
        }
    }

    /// What is read.
    pub(super) fn range(&self) -> Range {
        Range {
            offset: self.offset,
            length: self.length,
        }
    }

    /// Bytes of the buffer that it needs.
    pub(super) fn chunk_length(&self) -> u64 {
        self.length.min(CHUNK)
    }

    pub(super) fn step(&mut self, medium: Medium<'_>) -> Step {
        let left = self.length - self.done;
        if left == 0 {
            return Step::Finished(VolumeOutcome::Done);
        }
        let offset = self.offset + self.done;
        let length = usize::try_from(chunk(offset, left, CHUNK)).unwrap_or_default();
        match medium.buffer_again(self.buffer.take(), offset, length) {
            Ok(buffer) => Step::Issue(OpKind::Read { offset, buffer }),
            Err(step) => step,
        }
    }

    pub(super) fn completed(&mut self, op: OpKind) -> Option<VolumeOutcome> {
        let OpKind::Read { buffer, .. } = op else {
            return None;
        };
        if let Some(expected) = &self.expected
            && let Some(differs) = first_difference(&buffer, expected, self.done)
        {
            return Some(VolumeOutcome::Miscompare {
                offset: self.done + differs,
            });
        }
        self.done += buffer.len() as u64;
        self.buffer = Some(buffer);
        None
    }
}

/// Index of the first byte of `found` that differs from the pieces, read from byte `skip` on.
fn first_difference(found: &[u8], pieces: &[Bytes], skip: u64) -> Option<u64> {
    let mut skip = usize::try_from(skip).ok()?;
    let mut at = 0;
    for piece in pieces {
        let Some(expected) = piece.get(skip..) else {
            skip -= piece.len();
            continue;
        };
        skip = 0;
        let rest = found.get(at..)?;
        let length = rest.len().min(expected.len());
        // Whole slices first: equality is the common case, and fast.
        if rest.get(..length) != expected.get(..length) {
            let differs = rest.iter().zip(expected).position(|(a, b)| a != b)?;
            return Some((at + differs) as u64);
        }
        at += length;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found_across_pieces() {
        let pieces = [
            Bytes::from_static(b"abc"),
            Bytes::new(),
            Bytes::from_static(b"defgh"),
        ];
        assert_eq!(first_difference(b"abcdefgh", &pieces, 0), None);
        assert_eq!(first_difference(b"abcdefgX", &pieces, 0), Some(7));
        assert_eq!(first_difference(b"Xbcdefgh", &pieces, 0), Some(0));
        assert_eq!(first_difference(b"efgh", &pieces, 4), None);
        assert_eq!(first_difference(b"eXgX", &pieces, 4), Some(1));
        assert_eq!(first_difference(b"defgh", &pieces, 3), None);
    }
}
