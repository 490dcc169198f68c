//! Batches of the journal: what a flush, or an event, makes durable.

use super::{Family, FamilyError};
use crate::mapped::format::batch::{BATCH_BYTES_MAX, BatchBuilder, SECTOR_BYTES};
use crate::mapped::format::tail;

/// The smallest ring, in bytes.
pub const JOURNAL_BYTES_MIN: u64 = 1 << 20;
/// The largest.
pub const JOURNAL_BYTES_MAX: u64 = 1 << 30;
/// When this part of the ring is in use, a checkpoint is due.
const DUE_PART: u64 = 2;
/// Bytes that are kept free, so that a checkpoint's own batch and events always have room.
const SPARE_BYTES: u64 = 128 << 10;

/// The ring, as a place for batches.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) bytes: u64,
    /// Where the next batch goes.
    pub(crate) at: u64,
    /// Its sequence.
    pub(crate) sequence: u64,
    /// Bytes behind the oldest batch that is still needed.
    pub(crate) used: u64,
    /// Of these, bytes that the checkpoint under way will free.
    pub(crate) covered: u64,
    /// The last flush that is done.
    pub(crate) flushed: u64,
    /// What a checkpoint covers didn't fit: nothing more goes in before that is durable, and this flush
    /// is done with it.
    pub(crate) blocked: Option<u64>,
}

/// Bytes for the journal; split where the ring ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalWrite {
    /// Byte offsets and bytes, one or two.
    pub pieces: Vec<(u64, Vec<u8>)>,
    /// The flush that is done when all of it, and all data written before, is durable; `None` if data
    /// has nothing to do with it.
    pub flush: Option<u64>,
}

impl Journal {
    pub(crate) fn new(bytes: u64) -> Self {
        let sector = SECTOR_BYTES as u64;
        Self {
            bytes: bytes.clamp(JOURNAL_BYTES_MIN, JOURNAL_BYTES_MAX) / sector * sector,
            at: 0,
            sequence: 1,
            used: 0,
            covered: 0,
            flushed: 0,
            blocked: None,
        }
    }

    fn room(&self) -> u64 {
        self.bytes.saturating_sub(self.used)
    }

    fn place(&mut self, mut batch: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
        let length = batch.len() as u64;
        let to_end = self.bytes - self.at;
        let mut pieces = Vec::with_capacity(2);
        if length > to_end {
            let rest = batch.split_off(usize::try_from(to_end).unwrap_or(batch.len()));
            pieces.push((self.at, batch));
            pieces.push((0, rest));
        } else {
            pieces.push((self.at, batch));
        }
        self.at = (self.at + length) % self.bytes;
        self.used += length;
        self.sequence += 1;
        pieces
    }
}

impl Family {
    /// Whether a checkpoint should be made soon, so that the journal doesn't get full.
    #[must_use]
    pub fn is_checkpoint_due(&self) -> bool {
        !self.checkpointing
            && self.journal.used - self.journal.covered > self.journal.bytes / DUE_PART
    }

    /// Whether anything has happened that no batch has yet.
    #[must_use]
    pub fn has_unflushed(&self) -> bool {
        !self.changed.is_empty() || !self.events.is_empty()
    }

    /// The batch for a flush: everything that has happened so far. It is to be written after all data
    /// that was mapped so far is durable; then, when it is durable itself, [`Self::flushed`]. Batches
    /// are written in the order in which they were taken. `None` if there is nothing.
    ///
    /// # Errors
    /// The journal has no room: a checkpoint comes first. Nothing was taken then.
    pub fn take_flush(&mut self) -> Result<Option<JournalWrite>, FamilyError> {
        if self.journal.blocked.is_some() {
            return Err(FamilyError::CheckpointUnderWay);
        }
        if !self.has_unflushed() {
            return Ok(None);
        }
        let spare = if self.checkpointing { 0 } else { SPARE_BYTES };
        let pieces = self.take_batch(true, spare)?;
        Ok(Some(JournalWrite {
            pieces,
            flush: Some(self.next_flush()),
        }))
    }

    /// The batch for events alone: it can be written at once, whatever data is on its way. `None` if
    /// there are none.
    ///
    /// # Errors
    /// The journal has no room: a checkpoint comes first.
    pub fn take_events(&mut self) -> Result<Option<JournalWrite>, FamilyError> {
        if self.journal.blocked.is_some() {
            return Err(FamilyError::CheckpointUnderWay);
        }
        if self.events.is_empty() {
            return Ok(None);
        }
        let pieces = self.take_batch(false, 0)?;
        Ok(Some(JournalWrite {
            pieces,
            flush: None,
        }))
    }

    /// A flush is done: what it freed may be used again.
    pub fn flushed(&mut self, flush: u64) {
        self.journal.flushed = self.journal.flushed.max(flush);
        self.maps.allocator.flush_is_durable(flush);
    }

    /// Changes of the maps since the last flush.
    #[must_use]
    pub fn unflushed_changes(&self) -> usize {
        self.changed.len()
    }

    /// Appends an entry for the tail to `out`: what has been changed since the last call. A tail makes that
    /// survive the end of the process. It may be emptied when the flush after it is done.
    pub fn take_tail(&mut self, out: &mut Vec<u8>) {
        let count = self.untailed.min(self.changed.len());
        self.untailed = 0;
        if count == 0 {
            return;
        }
        let at = tail::begin(out);
        let from = self.changed.len() - count;
        for record in self.changed.iter().skip(from) {
            record.encode(out);
        }
        let number = (self.changes + 1).saturating_sub(count as u64);
        tail::seal(out, at, number, u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn next_flush(&mut self) -> u64 {
        let flush = self.maps.flush;
        self.maps.flush += 1;
        flush
    }

    /// Takes what a checkpoint covers. What doesn't fit needs no batch, as long as none follows it
    /// before the checkpoint is durable.
    pub(crate) fn take_covered(&mut self) -> Option<JournalWrite> {
        if !self.has_unflushed() {
            return None;
        }
        let pieces = self.take_batch(true, 0);
        let flush = self.next_flush();
        match pieces {
            Ok(pieces) => Some(JournalWrite {
                pieces,
                flush: Some(flush),
            }),
            Err(_) => {
                self.changed.clear();
                self.untailed = 0;
                self.journaled = self.changes;
                self.events.clear();
                self.journal.blocked = Some(flush);
                None
            }
        }
    }

    fn take_batch(
        &mut self,
        with_changes: bool,
        spare: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, FamilyError> {
        if self.journal.blocked.is_some() {
            return Err(FamilyError::CheckpointUnderWay);
        }
        let mut builder = BatchBuilder::default();
        if with_changes {
            self.changed.iter().for_each(|record| builder.push(record));
        }
        self.events.iter().for_each(|record| builder.push(record));
        let length = builder.ring_bytes();
        if length > BATCH_BYTES_MAX || length as u64 + spare > self.journal.room() {
            return Err(FamilyError::CheckpointNeeded);
        }
        if with_changes {
            self.changed.clear();
            self.untailed = 0;
            self.journaled = self.changes;
        }
        self.events.clear();
        let batch = builder.finish(&self.id, self.journal.sequence, self.journaled);
        Ok(self.journal.place(batch))
    }
}
