//! A write that is all or nothing: its record first, then the data in place, then the record is done
//! with, each of them durable before the next. The range lock around it is the engine's, and covers
//! the journal, which holds one record.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use tidelock_block::{BlockError, BlockErrorKind, BufferPool, OpKind};
use tidelock_volume::Range;

use super::write::Write;
use super::{Step, fault};
use crate::journal::{Journal, RECORD_DATA_AT, record_length};
use crate::op::{VolumeFaultKind, VolumeOutcome};
use crate::volume::Volume;

/// Stands for the journal among the ranges of a volume: no image reaches as far.
pub(super) const JOURNAL: Range = Range {
    offset: u64::MAX - 1,
    length: 1,
};

#[derive(Debug)]
pub(in crate::engine) struct WriteAtomic {
    range: Range,
    data: SmallVec<[Bytes; 2]>,
    /// The bytes of the record, once there was memory for them; all memory that it ever takes.
    record: Option<Bytes>,
    phase: Phase,
    /// There may be a record that isn't done with.
    has_record: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The journal gets its space, where it hasn't.
    Room,
    /// The range gets its space, so that writing in place doesn't fail half-way for want of it.
    Allocate,
    Record,
    Place,
    Sync,
    Retire,
    Done,
}

impl WriteAtomic {
    pub(super) fn new(offset: u64, data: SmallVec<[Bytes; 2]>) -> Self {
        let length = data.iter().map(|piece| piece.len() as u64).sum();
        Self {
            range: Range { offset, length },
            data,
            record: None,
            phase: Phase::Room,
            has_record: false,
        }
    }

    pub(super) fn range(&self) -> Range {
        self.range
    }

    /// The same as a write that is durable when it is done; before the first step.
    pub(super) fn take_write(&mut self) -> Write {
        Write::new(self.range.offset, std::mem::take(&mut self.data), true)
    }

    /// Where it writes what; before the first step. `None`: there is no memory for it.
    pub(super) fn content(&mut self, volume: &Volume, pool: &BufferPool) -> Option<(u64, Bytes)> {
        let record = match &self.record {
            Some(record) => record.clone(),
            None => {
                let record = self.make_record(volume.journal()?, pool)?;
                self.record.insert(record).clone()
            }
        };
        let data = record.slice(RECORD_DATA_AT.min(record.len())..);
        Some((self.range.offset, data))
    }

    pub(super) fn has_record(&self) -> bool {
        self.has_record
    }

    pub(super) fn step(&mut self, volume: &Volume, pool: &BufferPool) -> Step {
        let Some(journal) = volume.journal() else {
            return Step::Finished(VolumeFaultKind::Hardware.into());
        };
        let record = match &self.record {
            Some(record) => record.clone(),
            None => match self.make_record(journal, pool) {
                Some(record) => self.record.insert(record).clone(),
                None => return Step::NeedMemory,
            },
        };
        if self.phase == Phase::Room {
            if let Some(op) = journal.make_room() {
                return Step::Journal(op);
            }
            self.phase = Phase::Allocate;
        }
        let Range { offset, length } = self.range;
        match self.phase {
            Phase::Room | Phase::Allocate => Step::Issue(OpKind::Allocate { offset, length }),
            Phase::Record => {
                // From here on it can't be called off: the record may survive a crash.
                self.has_record = true;
                Step::Journal(durable(record))
            }
            Phase::Place => Step::Issue(OpKind::Write {
                offset,
                data: smallvec![record.slice(RECORD_DATA_AT.min(record.len())..)],
                dsync: volume.is_direct(),
            }),
            Phase::Sync => Step::Sync,
            Phase::Retire => Step::Journal(durable(journal.retirement())),
            Phase::Done => Step::Finished(VolumeOutcome::Done),
        }
    }

    fn make_record(&mut self, journal: &Journal, pool: &BufferPool) -> Option<Bytes> {
        let length = usize::try_from(record_length(self.range.length)).ok()?;
        let mut buffer = pool.try_take(length)?;
        journal.fill_record(self.range.offset, &self.data, &mut buffer);
        // What came from the wire can go back.
        self.data.clear();
        Some(buffer.freeze())
    }

    pub(super) fn completed(
        &mut self,
        volume: &Volume,
        op: &OpKind,
        result: Result<(), BlockError>,
    ) -> Option<VolumeOutcome> {
        if let Err(error) = result {
            // Not every file system can allocate: then a full one is noticed later, and worse.
            let cannot = error.kind() == BlockErrorKind::Unsupported;
            if !(cannot && matches!(self.phase, Phase::Room | Phase::Allocate)) {
                return Some(self.failed(volume, op, error));
            }
        }
        self.phase = match self.phase {
            Phase::Room => {
                if let Some(journal) = volume.journal() {
                    journal.has_room();
                }
                Phase::Allocate
            }
            Phase::Allocate => Phase::Record,
            Phase::Record => Phase::Place,
            // It was durable when it was done.
            Phase::Place if volume.is_direct() => Phase::Retire,
            Phase::Place => Phase::Sync,
            Phase::Sync => Phase::Retire,
            Phase::Retire | Phase::Done => {
                self.has_record = false;
                Phase::Done
            }
        };
        None
    }

    pub(super) fn synced(&mut self) {
        self.phase = Phase::Retire;
    }

    fn failed(&self, volume: &Volume, op: &OpKind, error: BlockError) -> VolumeOutcome {
        if self.has_record {
            // Whether it is done when the volume is opened next nobody can say: nothing newer may be
            // written there.
            volume.raise_fence(format!("an atomic write failed half-way: {error}"));
        }
        fault(volume, op, error)
    }
}

fn durable(record: Bytes) -> OpKind {
    OpKind::Write {
        offset: 0,
        data: smallvec![record],
        dsync: true,
    }
}
