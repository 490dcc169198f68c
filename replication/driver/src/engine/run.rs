//! The inside of the engine: commands take their steps, and wait where they must.

use std::sync::Arc;

use tidelock_block::{BlockFile, BlockIo, Completion, Full, OpKind, Request};

use super::Engine;
use super::command::{Stage, Step};
use super::sync::SYNC_TAG;
use crate::op::{VolumeFaultKind, VolumeOutcome};

/// Bits of a tag that are the command's key; those above say which part of it a request is.
const KEY_BITS: u32 = 32;

/// The tag of a request of a command.
pub(super) fn tag(key: usize, part: u32) -> u64 {
    key as u64 | u64::from(part) << KEY_BITS
}

pub(super) fn part_of(tag: u64) -> u32 {
    u32::try_from((tag & !SYNC_TAG) >> KEY_BITS).unwrap_or(u32::MAX)
}

/// The key of the command that a request is of; `None` for an `fdatasync`.
pub(super) fn key_of(tag: u64) -> Option<usize> {
    let key = usize::try_from(tag & ((1 << KEY_BITS) - 1)).ok();
    key.filter(|_| tag & SYNC_TAG == 0)
}

impl Engine {
    /// First step of a new command.
    pub(super) fn begin(&mut self, key: usize) {
        let Some(command) = self.commands.get(key) else {
            return;
        };
        if command.is_copy() {
            return self.begin_copy(key);
        }
        // All that a raw volume pays for the others.
        if command.volume.content().is_mapped() && !self.begin_mapped(key) {
            return;
        }
        let Some(command) = self.commands.get_mut(key) else {
            return;
        };
        if command.volume.mirrored().is_mirrored() && !command.below {
            command.begin_mirrored();
            self.mirrored += usize::from(command.way.is_some());
        }
        // First come, first served: memory that came back belongs to those who wait for it.
        if !self.for_memory.is_empty() && command.needs_memory() {
            self.for_memory.push_back(key);
        } else {
            self.advance(key);
        }
    }

    /// Next step of a command; false if it has to wait for memory and isn't queued for it.
    fn try_advance(&mut self, key: usize) -> bool {
        let Some(command) = self.commands.get_mut(key) else {
            return true;
        };
        if let Some(carrier) = &mut command.carrier
            && carrier.is_busy()
        {
            return self.carry_on(key);
        }
        if command.way.is_some() {
            return self.advance_mirrored(key);
        }
        match command.step(&self.pool) {
            Step::NeedMemory => return false,
            Step::Issue(op) => match &mut command.carrier {
                Some(carrier) => {
                    carrier.begin(op);
                    return self.carry_on(key);
                }
                None => self.issue(key, op),
            },
            Step::Journal(op) => self.issue_to_journal(key, op),
            Step::Sync if command.carrier.is_some() => self.join_family_flush(key),
            Step::Sync => self.join_sync(key),
            Step::Finished(outcome) => self.finish(key, outcome),
        }
        true
    }

    pub(super) fn advance(&mut self, key: usize) {
        if !self.try_advance(key) {
            self.for_memory.push_back(key);
        }
    }

    pub(super) fn issue(&mut self, key: usize, op: OpKind) {
        if let Some(command) = self.commands.get(key) {
            let file = Arc::clone(command.volume.file());
            self.issue_on(tag(key, 0), file, op);
        }
    }

    pub(super) fn issue_to_journal(&mut self, key: usize, op: OpKind) {
        let command = self.commands.get(key);
        if let Some(journal) = command.and_then(|command| command.volume.journal()) {
            let file = Arc::clone(journal.file());
            self.issue_on(tag(key, 0), file, op);
        }
    }

    pub(super) fn issue_on(&mut self, tag: u64, file: Arc<BlockFile>, op: OpKind) {
        let request = Request { tag, file, op };
        if !self.for_place.is_empty() {
            self.for_place.push_back(request);
        } else if let Err(Full(request)) = self.push(request) {
            self.for_place.push_back(request);
        }
    }

    /// Gives a request to the I/O engine and notes that it may have begun.
    pub(super) fn push(&mut self, request: Request) -> Result<(), Full> {
        let tag = request.tag;
        self.io.push(request)?;
        if tag & SYNC_TAG != 0 {
            self.syncs.pushed(tag, self.io.handed_over());
        } else if let Some(command) = key_of(tag).and_then(|key| self.commands.get_mut(key)) {
            command.stage = Stage::Issued;
        }
        Ok(())
    }

    /// Lets those go on that wait for a place or for memory, as far as there is any.
    pub(super) fn serve_waiting(&mut self) {
        while let Some(request) = self.for_place.pop_front() {
            let key = key_of(request.tag).filter(|key| self.is_refused_meanwhile(*key));
            if let Some(key) = key {
                // Its memory goes back with the request.
                drop(request);
                self.call_off(key);
            } else if let Err(Full(request)) = self.push(request) {
                self.for_place.push_front(request);
                break;
            }
        }
        self.serve_scratch();
        if !self.serve_memory() {
            // Ask to be woken, then look once more: some may have come back in between.
            self.pool.wake_when_returned(self.io.waker());
            self.serve_memory();
        }
    }

    /// Whether nobody waits for memory any more.
    fn serve_memory(&mut self) -> bool {
        while let Some(&key) = self.for_memory.front() {
            if self.is_refused_meanwhile(key) {
                self.for_memory.pop_front();
                self.finish(key, VolumeFaultKind::Busy.into());
            } else if self.try_advance(key) {
                self.for_memory.pop_front();
            } else {
                return false;
            }
        }
        true
    }

    /// Whether a command that waits must not go on any more: it was given up, or a write that was given
    /// up is still to land.
    pub(super) fn is_refused_meanwhile(&self, key: usize) -> bool {
        let Some(command) = self.commands.get(key) else {
            return false;
        };
        let called_off = command
            .carrier
            .as_ref()
            .is_some_and(|carrier| carrier.is_called_off());
        let held_off =
            command.stage == Stage::New && !command.below && command.volume.detached_writes() > 0;
        command.is_given_up() || called_off || held_off
    }

    pub(super) fn completed(&mut self, completion: Completion) {
        let Completion { tag, op, result } = completion;
        let Some(key) = key_of(tag) else {
            return self.sync_completed(tag, result);
        };
        let Some(command) = self.commands.get_mut(key) else {
            return;
        };
        if command.carrier.is_some() {
            return self.part_landed(key, tag, op, result);
        }
        if command.way.is_some() {
            return self.completed_mirrored(key, op, result);
        }
        match command.completed(op, result) {
            Some(outcome) => self.finish(key, outcome),
            // Nobody waits for the rest.
            None if command.is_given_up() => self.finish(key, VolumeFaultKind::Busy.into()),
            None => self.advance(key),
        }
    }

    /// Ends a command; its outcome is dropped if nobody waits for it.
    pub(super) fn finish(&mut self, key: usize, outcome: VolumeOutcome) {
        if let Some(command) = self.commands.get_mut(key)
            && let Some(way) = &command.way
        {
            if way.is_going() {
                // The end has to know first. It says what it makes of it.
                return self.landed(key, Some(outcome));
            }
            self.mirrored = self.mirrored.saturating_sub(1);
        }
        self.release(key);
        let Some(mut command) = self.commands.try_remove(key) else {
            return;
        };
        if let Some(carrier) = command.carrier.take() {
            self.carrier_returns(carrier);
        }
        if command.holds_off {
            command.volume.detached_write_landed();
        }
        if let Some(asker) = command.asker {
            self.ended(asker, outcome);
        }
    }
}
