//! Commands on an end of a mirror: what they change, and what they make durable, goes through the end on its way to the
//! volume. One step after the other: the end says when, the command does it as on any other volume, says that it has
//! landed, and goes on when the end says that it is done everywhere.
//!
//! # Giving up
//! A command that the end hasn't let begin is called off there, and has never been. What is on its way to the volume
//! keeps others off until it has landed, as ever. What has landed and waits for a peer keeps nobody off: the end itself
//! lets nothing that overlaps begin before.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tidelock_block::{BlockError, OpKind};
use tidelock_mirror::Data;
use tidelock_mirror::association::{CommandError, Durability, Outcome};
use tidelock_mirror::id::{CommandId, OperationId};

use super::Engine;
use super::command::{Stage, Step};
use crate::mirror::{Answer, End};
use crate::op::{VolumeFaultKind, VolumeOutcome};

/// The way of a command through the end that its volume is.
#[derive(Debug)]
pub(super) struct Way {
    end: Arc<End>,
    at: At,
}

/// How far the step is that the command is at.
#[derive(Debug)]
enum At {
    /// Before the next step.
    Between,
    /// The end has been asked, and hasn't said anything.
    Asked(CommandId, What),
    /// It is being done.
    Going {
        command: CommandId,
        operation: OperationId,
        kind: Kind,
        /// What the end says of it already: it will not be done everywhere.
        answer: Option<CommandError>,
    },
    /// It has landed; `then`: it was the last step.
    Landed {
        command: CommandId,
        then: Option<VolumeOutcome>,
    },
}

/// What is to be done when the end says so.
#[derive(Debug)]
enum What {
    Op(OpKind),
    /// All steps of the command.
    Whole,
    Flush,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An operation, up to this byte of the image, with so many ranges left to make zeros.
    Op {
        end: u64,
        ranges: usize,
    },
    Whole,
    Flush,
}

impl Way {
    pub(super) fn new(end: Arc<End>) -> Self {
        Self {
            end,
            at: At::Between,
        }
    }

    /// Whether something is on its way to the volume that the end counts on.
    pub(super) fn is_going(&self) -> bool {
        matches!(self.at, At::Going { .. })
    }

    fn is_flushing(&self) -> bool {
        let kind = Kind::Flush;
        matches!(&self.at, At::Going { kind: it, .. } if *it == kind)
    }
}

impl Drop for Way {
    /// What becomes of a command whose engine ends nobody knows.
    fn drop(&mut self) {
        match self.at {
            At::Asked(command, _) => self.end.cancel(command),
            At::Going {
                command, operation, ..
            } => self.end.landed(command, operation, Outcome::Failed),
            At::Between | At::Landed { .. } => {}
        }
    }
}

impl Engine {
    /// The next step of a command on an end; false if it has to wait for memory and isn't queued for it.
    pub(super) fn advance_mirrored(&mut self, key: usize) -> bool {
        let Some(command) = self.commands.get_mut(key) else {
            return true;
        };
        let Some(way) = &command.way else {
            return true;
        };
        let is_whole = match &way.at {
            At::Between => false,
            At::Going { .. } => true,
            At::Asked(..) | At::Landed { .. } => return true,
        };
        if !is_whole && let Some(whole) = command.whole(&self.pool) {
            let Some((offset, data)) = whole else {
                return false;
            };
            self.ask(
                key,
                What::Whole,
                offset,
                Data::Bytes(data),
                Durability::Atomic,
            );
            return true;
        }
        match command.step(&self.pool) {
            Step::NeedMemory => return false,
            Step::Issue(op) if !is_whole => match change(&op, command.zeros(), command.is_atomic) {
                Some((offset, data, durability)) => {
                    self.ask(key, What::Op(op), offset, data, durability);
                }
                None => return self.do_op(key, op),
            },
            Step::Issue(op) => return self.do_op(key, op),
            Step::Journal(op) => self.issue_to_journal(key, op),
            Step::Sync if is_whole => self.do_sync(key),
            Step::Sync => self.ask_to_flush(key),
            Step::Finished(outcome) if is_whole => self.landed(key, Some(outcome)),
            Step::Finished(outcome) => self.finish(key, outcome),
        }
        true
    }

    fn ask(&mut self, key: usize, what: What, offset: u64, data: Data, durability: Durability) {
        let Some(way) = self.way(key) else {
            return;
        };
        let end = Arc::clone(&way.end);
        // It is answered through `answers`, so never before this is done.
        let command =
            self.asking(|answers| end.begin_write((answers, key), offset, data, durability));
        if let Some(way) = self.way(key) {
            way.at = At::Asked(command, what);
        }
    }

    fn ask_to_flush(&mut self, key: usize) {
        let Some(command) = self.commands.get_mut(key) else {
            return;
        };
        command.stage = Stage::Syncing;
        let Some(way) = &mut command.way else {
            return;
        };
        let end = Arc::clone(&way.end);
        let command = self.asking(|answers| end.begin_flush((answers, key)));
        if let Some(way) = self.way(key) {
            way.at = At::Asked(command, What::Flush);
        }
    }

    fn way(&mut self, key: usize) -> Option<&mut Way> {
        self.commands.get_mut(key)?.way.as_deref_mut()
    }

    /// Does an operation on the image, whichever way the volume has.
    fn do_op(&mut self, key: usize, op: OpKind) -> bool {
        let command = self.commands.get_mut(key);
        match command.and_then(|it| it.carrier.as_mut()) {
            Some(carrier) => {
                carrier.begin(op);
                self.carry_on(key)
            }
            None => {
                self.issue(key, op);
                true
            }
        }
    }

    fn do_sync(&mut self, key: usize) {
        let is_mapped = self
            .commands
            .get(key)
            .is_some_and(|it| it.carrier.is_some());
        if is_mapped {
            self.join_family_flush(key);
        } else {
            self.join_sync(key);
        }
    }

    /// What ends have said to commands of this engine.
    pub(super) fn take_answers(&mut self) {
        for (key, command, answer) in self.answers.take() {
            let known = match self.way(key).map(|it| &it.at) {
                Some(
                    At::Asked(known, _)
                    | At::Going { command: known, .. }
                    | At::Landed { command: known, .. },
                ) => Some(*known),
                _ => None,
            };
            // The key may be another command's now.
            if known != Some(command) {
                continue;
            }
            match answer {
                Answer::Go(operation) => self.go(key, operation),
                Answer::Done(result) => self.answered(key, result),
            }
        }
    }

    /// The end says that the step is to be done now. It is done even if nobody waits for it any more.
    fn go(&mut self, key: usize, operation: OperationId) {
        let Some(it) = self.commands.get_mut(key) else {
            return;
        };
        let ranges = it.zero_ranges();
        let Some(way) = &mut it.way else {
            return;
        };
        let At::Asked(command, what) = std::mem::replace(&mut way.at, At::Between) else {
            return;
        };
        let kind = match &what {
            What::Op(op) => Kind::Op {
                end: range_of(op).1,
                ranges,
            },
            What::Whole => Kind::Whole,
            What::Flush => Kind::Flush,
        };
        way.at = At::Going {
            command,
            operation,
            kind,
            answer: None,
        };
        if kind != Kind::Flush {
            it.stage = Stage::Issued;
            if it.asker.is_none() && !it.holds_off {
                it.holds_off = true;
                it.volume.write_detached();
            }
        }
        let goes_on = match what {
            What::Op(op) => self.do_op(key, op),
            What::Whole => self.advance_mirrored(key),
            What::Flush => {
                self.do_sync(key);
                true
            }
        };
        if !goes_on {
            self.for_memory.push_back(key);
        }
    }

    /// The end says how the step has gone.
    fn answered(&mut self, key: usize, result: Result<(), CommandError>) {
        let Some(way) = self.way(key) else {
            return;
        };
        match (std::mem::replace(&mut way.at, At::Between), result) {
            // It is on its way to the disk and has to land first.
            (
                At::Going {
                    command,
                    operation,
                    kind,
                    ..
                },
                result,
            ) => {
                let answer = result.err();
                way.at = At::Going {
                    command,
                    operation,
                    kind,
                    answer,
                };
            }
            // What has gone wrong here is said in its own words.
            (
                At::Landed {
                    then: Some(VolumeOutcome::Failed(fault)),
                    ..
                },
                _,
            ) => self.finish(key, VolumeOutcome::Failed(fault)),
            (_, Err(error)) => self.finish(key, fault_of(error).into()),
            (
                At::Landed {
                    then: Some(outcome),
                    ..
                },
                Ok(()),
            ) => self.finish(key, outcome),
            (At::Landed { then: None, .. } | At::Asked(..) | At::Between, Ok(())) => {
                if self.commands.get(key).is_some_and(|it| it.is_given_up()) {
                    self.finish(key, VolumeFaultKind::Busy.into());
                } else {
                    self.advance(key);
                }
            }
        }
    }

    /// An operation on the image has ended.
    pub(super) fn completed_mirrored(
        &mut self,
        key: usize,
        op: OpKind,
        result: Result<(), BlockError>,
    ) {
        let Some(it) = self.commands.get_mut(key) else {
            return;
        };
        let next = it.completed(op, result);
        let kind = match it.way.as_ref().map(|way| &way.at) {
            Some(At::Going { kind, .. }) => Some(*kind),
            _ => None,
        };
        match kind {
            // Another way to make zeros of the same range, or the next part of it.
            Some(Kind::Op { end, ranges }) if next.is_none() && it.zeros_up_to(end, ranges) => {
                match it.step(&self.pool) {
                    Step::Issue(op) => {
                        if !self.do_op(key, op) {
                            self.for_memory.push_back(key);
                        }
                    }
                    _ => self.landed(key, Some(VolumeFaultKind::Hardware.into())),
                }
            }
            Some(Kind::Op { .. }) => self.landed(key, next),
            Some(Kind::Whole) if next.is_some() => self.landed(key, next),
            Some(Kind::Flush) => self.landed(key, next),
            None if next.is_none() && it.is_given_up() => {
                self.finish(key, VolumeFaultKind::Busy.into());
            }
            Some(Kind::Whole) | None => match next {
                Some(outcome) => self.finish(key, outcome),
                None => self.advance(key),
            },
        }
    }

    /// The flush that a command on an end has asked for has gone well; false if it is none of these.
    pub(super) fn flushed_mirrored(&mut self, key: usize) -> bool {
        let flushes = self.way(key).is_some_and(|it| it.is_flushing());
        if flushes {
            self.landed(key, Some(VolumeOutcome::Done));
        }
        flushes
    }

    /// A step is done here. `then`: it was the last one.
    pub(super) fn landed(&mut self, key: usize, then: Option<VolumeOutcome>) {
        let Some(it) = self.commands.get_mut(key) else {
            return;
        };
        // What is half done will be done to its end by whoever finds the record, and the end isn't told of that.
        let is_half_done = it.must_go_on();
        let Some(way) = &mut it.way else {
            return;
        };
        let At::Going {
            command,
            operation,
            kind,
            answer,
        } = std::mem::replace(&mut way.at, At::Between)
        else {
            return;
        };
        if std::mem::take(&mut it.holds_off) {
            it.volume.detached_write_landed();
        }
        let outcome = match &then {
            None | Some(VolumeOutcome::Done) => Outcome::Done,
            Some(VolumeOutcome::Failed(fault))
                if fault.kind == VolumeFaultKind::NoSpace
                    && kind != Kind::Flush
                    && !is_half_done =>
            {
                Outcome::Refused
            }
            Some(_) => Outcome::Failed,
        };
        let end = Arc::clone(&way.end);
        let Some(error) = answer else {
            way.at = At::Landed { command, then };
            return self.asking(|_| end.landed(command, operation, outcome));
        };
        self.asking(|_| end.landed(command, operation, outcome));
        let failed = then.filter(|it| matches!(it, VolumeOutcome::Failed(_)));
        self.finish(key, failed.unwrap_or_else(|| fault_of(error).into()));
    }

    /// Its owner gives a command on an end up; false if that is done as with any other command.
    pub(super) fn detach_mirrored(&mut self, key: usize) -> bool {
        let Some(it) = self.commands.get_mut(key) else {
            return false;
        };
        let Some(way) = &it.way else {
            return false;
        };
        match way.at {
            At::Asked(command, _) => {
                it.asker = None;
                // It is answered as called off, or has been told to go.
                let end = Arc::clone(&way.end);
                end.cancel(command);
                true
            }
            At::Landed { .. }
            | At::Going {
                kind: Kind::Flush, ..
            } => {
                it.asker = None;
                true
            }
            At::Going { .. } => {
                it.asker = None;
                it.holds_off = true;
                it.volume.write_detached();
                true
            }
            At::Between => false,
        }
    }
}

/// What an operation changes, as the end is told it; `None`: nothing.
fn change(op: &OpKind, zeros: bool, atomic: bool) -> Option<(u64, Data, Durability)> {
    let durability = |durable: bool| match (atomic, durable) {
        (true, _) => Durability::Atomic,
        (false, true) => Durability::Durable,
        (false, false) => Durability::Cached,
    };
    let (offset, end) = range_of(op);
    Some(match op {
        OpKind::Write { data, dsync, .. } => {
            let data = if zeros {
                Data::Zeros(end - offset)
            } else {
                Data::Bytes(one(data))
            };
            (offset, data, durability(*dsync))
        }
        OpKind::PunchHole { length, .. } | OpKind::ZeroRange { length, .. } => {
            (offset, Data::Zeros(*length), durability(false))
        }
        OpKind::Read { .. }
        | OpKind::DataSync
        | OpKind::Allocate { .. }
        | OpKind::CopyFrom { .. } => return None,
    })
}

/// From where to where an operation changes something.
fn range_of(op: &OpKind) -> (u64, u64) {
    match op {
        OpKind::Write { offset, data, .. } => {
            let length: u64 = data.iter().map(|it| it.len() as u64).sum();
            (*offset, offset.saturating_add(length))
        }
        OpKind::PunchHole { offset, length } | OpKind::ZeroRange { offset, length } => {
            (*offset, offset.saturating_add(*length))
        }
        OpKind::Read { .. }
        | OpKind::DataSync
        | OpKind::Allocate { .. }
        | OpKind::CopyFrom { .. } => (0, 0),
    }
}

/// The pieces in one; copied only if there are several.
fn one(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [piece] => piece.clone(),
        pieces => {
            let length = pieces.iter().map(Bytes::len).sum();
            let mut all = BytesMut::with_capacity(length);
            for piece in pieces {
                all.extend_from_slice(piece);
            }
            all.freeze()
        }
    }
}

fn fault_of(error: CommandError) -> VolumeFaultKind {
    match error {
        CommandError::NotSource => VolumeFaultKind::NotSource,
        CommandError::Halted => VolumeFaultKind::Halted,
        CommandError::DiskFailed => VolumeFaultKind::MirrorFailed,
        CommandError::OutOfRange => VolumeFaultKind::OutOfRange,
        CommandError::Cancelled => VolumeFaultKind::Busy,
        CommandError::Refused => VolumeFaultKind::NoSpace,
    }
}
