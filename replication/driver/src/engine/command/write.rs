//! A write: straight from the pieces that came from the wire, unless direct I/O can't have them.

use bytes::Bytes;
use smallvec::SmallVec;
use tidelock_block::OpKind;
use tidelock_mirror::link::DATA_MAX;
use tidelock_volume::Range;

use super::mapped::{take_front, total};
use super::medium::Medium;
use super::{Step, are_aligned, copied};
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
        volume.is_direct() && !are_aligned(&self.data, volume.file().alignment())
    }

    pub(super) fn step(&mut self, medium: Medium<'_>) -> Step {
        if self.sync && self.data.is_empty() {
            return Step::Sync;
        }
        // Where a mapped volume's blocks go, and what is around a part of one, isn't known yet.
        if !medium.is_mapped && self.needs_copy(medium.volume) {
            let length = self.data.iter().map(Bytes::len).sum();
            let Some(buffer) = medium.pool.try_take(length) else {
                return Step::NeedMemory;
            };
            self.data = copied(&self.data, buffer);
        }
        let data = if medium.is_mirrored {
            // A mirror takes so much at once. What has to be all or nothing isn't longer.
            take_front(&mut self.data, DATA_MAX)
        } else {
            std::mem::take(&mut self.data)
        };
        let offset = self.offset;
        if !self.data.is_empty() {
            self.offset += total(&data) as u64;
        }
        // Buffered volumes sync in a step of their own: see the module documentation of the engine.
        let dsync = self.fua && medium.has_durable_writes();
        self.sync = self.fua && !dsync;
        Step::Issue(OpKind::Write {
            offset,
            data,
            dsync,
        })
    }

    pub(super) fn completed(&self) -> Option<VolumeOutcome> {
        if self.sync || !self.data.is_empty() {
            None
        } else {
            Some(VolumeOutcome::Done)
        }
    }
}
