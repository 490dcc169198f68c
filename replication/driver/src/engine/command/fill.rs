//! One block repeated over a range: a buffer full of copies, written as often as needed.

use bytes::Bytes;
use smallvec::smallvec;
use tidelock_block::{BufferPool, OpKind};
use tidelock_volume::Range;
use tidelock_volume::mapped::BLOCK_BYTES;

use super::Step;
use super::medium::chunk;
use crate::op::VolumeOutcome;

/// Bytes written in one step, at most.
const CHUNK: u64 = 1 << 18;

#[derive(Debug)]
pub(in crate::engine) struct Fill {
    offset: u64,
    /// Bytes left.
    left: u64,
    /// Of these, bytes of the step under way.
    under_way: u64,
    block: Bytes,
    /// Copies of `block`, once there was memory for them.
    pattern: Option<Bytes>,
    fua: bool,
}

impl Fill {
    /// `length` is a multiple of the block's length, which isn't 0.
    pub(super) fn new(offset: u64, length: u64, block: Bytes, fua: bool) -> Self {
        Self {
            offset,
            left: length,
            under_way: 0,
            block,
            pattern: None,
            fua,
        }
    }

    /// What is left.
    pub(super) fn range(&self) -> Range {
        Range {
            offset: self.offset,
            length: self.left,
        }
    }

    /// Bytes of the buffer that it needs: whole blocks.
    pub(super) fn pattern_length(&self) -> u64 {
        let block = (self.block.len() as u64).max(1);
        (CHUNK / block).max(1) * block
    }

    pub(super) fn step(&mut self, pool: &BufferPool) -> Step {
        if self.left == 0 {
            return if self.fua {
                Step::Sync
            } else {
                Step::Finished(VolumeOutcome::Done)
            };
        }
        let whole = self.pattern_length().min(self.left);
        let is_part = (BLOCK_BYTES as u64).is_multiple_of(self.block.len() as u64);
        self.under_way = if is_part {
            chunk(self.offset, self.left, whole)
        } else {
            whole
        };
        let (Ok(whole), Ok(length)) = (usize::try_from(whole), usize::try_from(self.under_way))
        else {
            return Step::NeedMemory;
        };
        let pattern = match &self.pattern {
            Some(pattern) => pattern,
            None => {
                let Some(mut buffer) = pool.try_take(whole) else {
                    return Step::NeedMemory;
                };
                for to in buffer.chunks_exact_mut(self.block.len().max(1)) {
                    to.copy_from_slice(&self.block);
                }
                self.pattern.insert(buffer.freeze())
            }
        };
        let data = smallvec![pattern.slice(..length.min(pattern.len()))];
        Step::Issue(OpKind::Write {
            offset: self.offset,
            data,
            dsync: false,
        })
    }

    pub(super) fn completed(&mut self) -> Option<VolumeOutcome> {
        self.offset += self.under_way;
        self.left = self.left.saturating_sub(self.under_way);
        None
    }
}
