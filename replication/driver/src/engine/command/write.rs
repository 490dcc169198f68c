//! A write: straight from the pieces that came from the wire, unless direct I/O can't have them.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use tidelock_block::{BufferPool, OpKind};
use tidelock_volume::Range;

use super::Step;
use crate::op::VolumeOutcome;
use crate::volume::Volume;

#[derive(Debug)]
pub(in crate::engine) struct Write {
    offset: u64,
    data: SmallVec<[Bytes; 2]>,
    fua: bool,
    /// The data has landed; what is left is to make it durable.
    sync: bool,
}

impl Write {
    pub(super) fn new(offset: u64, data: SmallVec<[Bytes; 2]>, fua: bool) -> Self {
        Self {
            offset,
            data,
            fua,
            sync: false,
        }
    }

    /// Where to; before its first step.
    pub(super) fn range(&self) -> Range {
        Range {
            offset: self.offset,
            length: self.data.iter().map(|piece| piece.len() as u64).sum(),
        }
    }

    /// Whether direct I/O can't take the pieces as they lie in memory.
    pub(super) fn needs_copy(&self, volume: &Volume) -> bool {
        let alignment = volume.file().alignment();
        volume.is_direct()
            && self.data.iter().any(|piece| {
                !piece.as_ptr().addr().is_multiple_of(alignment.memory)
                    || !piece.len().is_multiple_of(alignment.offset)
            })
    }

    pub(super) fn step(&mut self, volume: &Volume, pool: &BufferPool) -> Step {
        if self.sync {
            return Step::Sync;
        }
        if self.needs_copy(volume) {
            let length = self.data.iter().map(Bytes::len).sum();
            let Some(mut buffer) = pool.try_take(length) else {
                return Step::NeedMemory;
            };
            let mut rest = &mut buffer[..];
            for piece in &self.data {
                let Some((to, left)) = rest.split_at_mut_checked(piece.len()) else {
                    break;
                };
                to.copy_from_slice(piece);
                rest = left;
            }
            self.data = smallvec![buffer.freeze()];
        }
        // Buffered volumes sync in a step of their own: see the module documentation of the engine.
        let dsync = self.fua && volume.is_direct();
        self.sync = self.fua && !dsync;
        Step::Issue(OpKind::Write {
            offset: self.offset,
            data: std::mem::take(&mut self.data),
            dsync,
        })
    }

    pub(super) fn completed(&self) -> Option<VolumeOutcome> {
        if self.sync {
            None
        } else {
            Some(VolumeOutcome::Done)
        }
    }
}
