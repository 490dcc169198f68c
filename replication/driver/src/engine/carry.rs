//! Commands on mapped volumes inside the engine: their operations are carried out by requests on several
//! files, many of them at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tidelock_block::{BlockError, OpKind, Waker};

use super::Engine;
use super::command::{Carrier, Memory, Next, Stage};
use super::run::{part_of, tag};
use crate::op::{VolumeFault, VolumeFaultKind, VolumeOutcome};

/// Bytes for blocks that are changed in part, and for pages of maps, of one engine. They come on top of
/// the memory ceiling: who has memory from below that must not wait for more of it.
pub(super) const BLOCKS_BYTES: usize = 1 << 20;
pub(super) const PAGES_BYTES: usize = 512 << 10;

/// Carriers without a command that are kept.
const CARRIERS_MAX: usize = 128;

/// Where the commands of an engine hear how the flush of their family went.
#[derive(Debug)]
pub(super) struct Flushes {
    waker: Waker,
    any: AtomicBool,
    done: Mutex<Flushed>,
    /// A family has room for changes again.
    roomy: AtomicBool,
}

/// Commands, and how their flushes went.
type Flushed = SmallVec<[(usize, Result<(), String>); 4]>;

impl Flushes {
    pub(super) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self {
            waker,
            any: AtomicBool::new(false),
            done: Mutex::default(),
            roomy: AtomicBool::new(false),
        })
    }

    /// Tells the engine, and wakes it.
    fn deliver(&self, key: usize, result: Result<(), String>) {
        self.done.lock().push((key, result));
        self.any.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Tells the engine that a family has room again, and wakes it.
    fn tell_room(&self) {
        self.roomy.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(super) fn has_room(&self) -> bool {
        self.roomy.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn has_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    fn take(&self) -> Flushed {
        let mut done = self.done.lock();
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *done)
    }
}

impl Engine {
    /// A command begins on what seems to be a mapped volume. False if it has to wait for its blocks first:
    /// it begins again then.
    pub(super) fn begin_mapped(&mut self, key: usize) -> bool {
        let Some(command) = self.commands.get_mut(key) else {
            return true;
        };
        let Some(mapped) = command.volume.mapped() else {
            return true;
        };
        if command.shares_blocks() {
            command.has_whole_blocks = true;
            self.release(key);
            if !self.hold(key) {
                return false;
            }
            return self.begin_mapped(key);
        }
        let carrier = self.carriers.pop();
        command.begin_mapped(mapped, carrier.unwrap_or_else(|| Box::new(Carrier::new())));
        true
    }

    /// A copy begins, or isn't made.
    pub(super) fn begin_copy(&mut self, key: usize) {
        let Some(command) = self.commands.get_mut(key) else {
            return;
        };
        let carrier = self.carriers.pop();
        let carrier = carrier.unwrap_or_else(|| Box::new(Carrier::new()));
        if command.begin_copy(&self.post, key, carrier) {
            self.advance(key);
        } else {
            self.finish(key, VolumeOutcome::NotCopied);
        }
    }

    /// A command has ended: others can have its carrier.
    pub(super) fn carrier_returns(&mut self, mut carrier: Box<Carrier>) {
        if carrier.end() && self.carriers.len() < CARRIERS_MAX {
            self.carriers.push(carrier);
        }
    }

    /// A mapped command goes on with its operation; false if it has to wait for memory and isn't queued
    /// for it.
    pub(super) fn carry_on(&mut self, key: usize) -> bool {
        loop {
            let Some(command) = self.commands.get_mut(key) else {
                return true;
            };
            let Some(carrier) = &mut command.carrier else {
                return true;
            };
            let memory = Memory {
                pool: &self.pool,
                blocks: &self.blocks,
                pages: &self.pages,
            };
            match carrier.next(memory) {
                Next::Issue {
                    part,
                    file,
                    op,
                    more,
                } => {
                    self.issue_on(tag(key, part), file, op);
                    if !more {
                        return true;
                    }
                }
                Next::Wait => return true,
                Next::NeedMemory => return false,
                Next::NeedScratch => {
                    self.for_scratch.push_back(key);
                    return true;
                }
                Next::NeedRoom => {
                    let flushes = Arc::clone(&self.flushes);
                    let told = Box::new(move || flushes.tell_room());
                    let family = carrier.family();
                    if family.is_some_and(|family| family.when_roomy(told)) {
                        self.for_room.push_back(key);
                        return true;
                    }
                }
                Next::Done(op) => {
                    let has_issued = carrier.has_issued();
                    if command.way.is_some() {
                        self.completed_mirrored(key, op, Ok(()));
                        return true;
                    }
                    match command.completed(op, Ok(())) {
                        Some(outcome) => self.finish(key, outcome),
                        None if command.is_given_up() => {
                            self.finish(key, VolumeFaultKind::Busy.into());
                        }
                        None if has_issued => self.advance(key),
                        // A long operation that needs no request mustn't keep the thread to itself.
                        None => self.to_go_on.push_back(key),
                    }
                    return true;
                }
                Next::Failed(fault) => {
                    self.finish(key, VolumeOutcome::Failed(fault));
                    return true;
                }
                Next::NotCopied => {
                    self.finish(key, VolumeOutcome::NotCopied);
                    return true;
                }
            }
        }
    }

    /// A request of a mapped command has come back.
    pub(super) fn part_landed(
        &mut self,
        key: usize,
        tag: u64,
        op: OpKind,
        result: Result<(), BlockError>,
    ) {
        let Some(command) = self.commands.get_mut(key) else {
            return;
        };
        let given_up = command.is_given_up();
        let Some(carrier) = &mut command.carrier else {
            return;
        };
        carrier.landed(part_of(tag), op, result);
        if !given_up {
            if !self.carry_on(key) {
                self.for_memory.push_back(key);
            }
        } else if carrier.is_quiet() {
            // Nobody waits for the rest, which never gets into the map.
            self.finish(key, VolumeFaultKind::Busy.into());
        }
    }

    /// A request of a mapped command that waited for a place isn't carried out, nor is any more of it.
    pub(super) fn call_off(&mut self, key: usize) {
        let Some(command) = self.commands.get_mut(key) else {
            return;
        };
        let is_quiet = command.carrier.as_mut().is_none_or(|carrier| {
            carrier.call_off();
            carrier.is_quiet()
        });
        if is_quiet {
            self.finish(key, VolumeFaultKind::Busy.into());
        }
    }

    /// Lets those go on that wait for a small buffer, or for their turn.
    pub(super) fn serve_scratch(&mut self) {
        for _ in 0..self.for_scratch.len() {
            let Some(key) = self.for_scratch.pop_front() else {
                return;
            };
            if self.is_refused_meanwhile(key) {
                self.finish(key, VolumeFaultKind::Busy.into());
            } else if !self.carry_on(key) {
                self.for_memory.push_back(key);
            }
        }
    }

    /// Lets those go on that wait for room in the maps of their family. Who finds none waits again.
    pub(super) fn serve_room(&mut self) {
        self.flushes.roomy.store(false, Ordering::Release);
        for key in std::mem::take(&mut self.for_room) {
            let Some(command) = self.commands.get(key) else {
                continue;
            };
            // What was true when it came need not be true any more.
            if let Err(kind) = command.is_admitted() {
                self.finish(key, kind.into());
            } else if self.is_refused_meanwhile(key) {
                self.finish(key, VolumeFaultKind::Busy.into());
            } else if !self.carry_on(key) {
                self.for_memory.push_back(key);
            }
        }
    }

    /// A command that is given up and waits for room has nothing under way, and never will have.
    pub(super) fn is_waiting_for_room(&self, key: usize) -> bool {
        self.for_room.contains(&key)
    }

    /// Next steps of those whose last one needed no request.
    pub(super) fn go_on(&mut self) {
        for _ in 0..self.to_go_on.len() {
            let Some(key) = self.to_go_on.pop_front() else {
                return;
            };
            if self.is_refused_meanwhile(key) {
                self.finish(key, VolumeFaultKind::Busy.into());
            } else {
                self.advance(key);
            }
        }
    }

    /// The command of a mapped volume waits until everything that was done so far is durable.
    pub(super) fn join_family_flush(&mut self, key: usize) {
        let Some(command) = self.commands.get_mut(key) else {
            return;
        };
        let Some(carrier) = &command.carrier else {
            return;
        };
        command.stage = Stage::Syncing;
        command.fence_epoch = command.volume.fence().epoch();
        command.volume.count_data_sync();
        let Some(family) = carrier.family().cloned() else {
            return;
        };
        let flushes = Arc::clone(&self.flushes);
        // What it has done is in the map: nobody has to wait for the medium.
        self.release(key);
        self.for_flush += 1;
        family.flush(Box::new(move |result| flushes.deliver(key, result)));
    }

    /// Ends the commands whose family has been flushed, or hasn't.
    pub(super) fn take_flushes(&mut self) {
        for (key, result) in self.flushes.take() {
            self.for_flush = self.for_flush.saturating_sub(1);
            let Some(command) = self.commands.get(key) else {
                continue;
            };
            // The family has raised the fence if it failed. If that went up, or up and down, for any
            // other reason while this one ran, a success means nothing.
            let fence = command.volume.fence();
            let trusted = !fence.is_up() && fence.epoch() == command.fence_epoch;
            let outcome = match result {
                Ok(()) if trusted => VolumeOutcome::Done,
                Ok(()) => VolumeFaultKind::Fenced.into(),
                Err(reason) => {
                    tracing::warn!(%reason, "a flush has failed");
                    VolumeOutcome::Failed(VolumeFault::new(VolumeFaultKind::Fenced))
                }
            };
            if !matches!(outcome, VolumeOutcome::Done) || !self.flushed_mirrored(key) {
                self.finish(key, outcome);
            }
        }
    }
}
