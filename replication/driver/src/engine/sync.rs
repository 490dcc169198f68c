//! Flushes that share an `fdatasync`.
//!
//! A flush promises that what was written *before it arrived* is durable. An `fdatasync` that has
//! begun already may have passed by such a write, so a flush may only ride on one that begins after
//! its arrival. Hence, per volume: one `fdatasync` at a time; who arrives before it is handed to
//! the kernel rides on it; who arrives later rides, with everybody else who does, on the next one.
//!
//! One at a time is also what makes the answer true: the kernel reports a failed write-back once
//! per open file description, and this engine's description of the file has no other reader.

use std::sync::Arc;

use slab::Slab;
use smallvec::SmallVec;
use tidelock_block::{BlockError, BlockIo, Full, OpKind, Request};

use super::Engine;
use super::command::Stage;
use crate::op::{VolumeFault, VolumeFaultKind, VolumeOutcome};
use crate::volume::Volume;

/// Set in the tag of an `fdatasync`; the rest is its group's index.
pub(super) const SYNC_TAG: u64 = 1 << 63;

/// The volumes that are being flushed.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    groups: Slab<Group>,
}

#[derive(Debug)]
struct Group {
    volume: Arc<Volume>,
    /// Commands that the present `fdatasync` answers.
    riders: SmallVec<[usize; 4]>,
    /// Commands for the next one.
    next: SmallVec<[usize; 4]>,
    /// The I/O engine's count of hand-overs when it was pushed; `None` before.
    pushed_at: Option<u64>,
    /// The fence's epoch when it was asked for.
    fence_epoch: u64,
}

impl Group {
    fn has_begun(&self, handed_over: u64) -> bool {
        self.pushed_at
            .is_some_and(|pushed_at| pushed_at != handed_over)
    }
}

impl Syncs {
    fn get_mut(&mut self, tag: u64) -> Option<&mut Group> {
        self.groups.get_mut(usize::try_from(tag & !SYNC_TAG).ok()?)
    }

    pub(super) fn pushed(&mut self, tag: u64, handed_over: u64) {
        if let Some(group) = self.get_mut(tag) {
            group.pushed_at = Some(handed_over);
        }
    }
}

impl Engine {
    /// The command waits for everything written so far to be durable.
    pub(super) fn join_sync(&mut self, key: usize) {
        let Some(command) = self.commands.get_mut(key) else {
            return;
        };
        command.stage = Stage::Syncing;
        let volume = Arc::clone(&command.volume);
        if !command.must_go_on() {
            // Its data has landed: nobody has to wait for the medium.
            self.release(key);
        }
        let handed_over = self.io.handed_over();
        let known = self
            .syncs
            .groups
            .iter_mut()
            .find(|(_, g)| Arc::ptr_eq(&g.volume, &volume));
        if let Some((_, group)) = known {
            let begun = group.has_begun(handed_over);
            let list = if begun {
                &mut group.next
            } else {
                &mut group.riders
            };
            list.push(key);
            return;
        }
        let index = self.syncs.groups.insert(Group {
            fence_epoch: volume.fence().epoch(),
            volume,
            riders: SmallVec::from_slice(&[key]),
            next: SmallVec::new(),
            pushed_at: None,
        });
        self.issue_sync(index);
    }

    fn issue_sync(&mut self, index: usize) {
        let Some(group) = self.syncs.groups.get_mut(index) else {
            return;
        };
        group.volume.count_data_sync();
        group.fence_epoch = group.volume.fence().epoch();
        group.pushed_at = None;
        let file = Arc::clone(group.volume.file());
        let request = Request {
            tag: SYNC_TAG | index as u64,
            file,
            op: OpKind::DataSync,
        };
        if !self.for_place.is_empty() {
            self.for_place.push_back(request);
        } else if let Err(Full(request)) = self.push(request) {
            self.for_place.push_back(request);
        }
    }

    pub(super) fn sync_completed(&mut self, tag: u64, result: Result<(), BlockError>) {
        let Some(group) = self.syncs.get_mut(tag) else {
            return;
        };
        let volume = Arc::clone(&group.volume);
        let mut error = result.err();
        if let Some(error) = &error {
            volume.raise_fence(error.to_string());
        }
        // The fence went up, or up and down, while this one ran: taking it down takes the reports
        // of lost writes with it, so a success means nothing.
        let fence = volume.fence();
        let trusted = error.is_none() && !fence.is_up() && fence.epoch() == group.fence_epoch;
        let riders = std::mem::take(&mut group.riders);
        for key in riders {
            if trusted && self.goes_on(key) {
                continue;
            }
            let outcome = if trusted {
                VolumeOutcome::Done
            } else {
                let kind = VolumeFaultKind::Fenced;
                VolumeOutcome::Failed(match error.take() {
                    Some(error) => VolumeFault::of(kind, error),
                    None => VolumeFault::new(kind),
                })
            };
            self.finish(key, outcome);
        }
        self.next_sync(tag);
    }

    /// Takes the next step of a command that wanted an `fdatasync` in between; false if that was all
    /// that it wanted.
    fn goes_on(&mut self, key: usize) -> bool {
        if self.flushed_mirrored(key) {
            return true;
        }
        let Some(command) = self.commands.get_mut(key) else {
            return false;
        };
        let goes_on = command.synced();
        if goes_on {
            command.stage = Stage::Issued;
            self.advance(key);
        }
        goes_on
    }

    fn next_sync(&mut self, tag: u64) {
        let Some(group) = self.syncs.get_mut(tag) else {
            return;
        };
        let Ok(index) = usize::try_from(tag & !SYNC_TAG) else {
            return;
        };
        let next = std::mem::take(&mut group.next);
        if next.is_empty() {
            self.syncs.groups.remove(index);
        } else if group.volume.fence().is_up() {
            self.syncs.groups.remove(index);
            for key in next {
                self.finish(key, VolumeFaultKind::Fenced.into());
            }
        } else {
            group.riders = next;
            self.issue_sync(index);
        }
    }
}
