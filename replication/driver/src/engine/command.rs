//! One operation on a volume as a sequence of steps on its file. Knows no queues.

mod admit;
mod compare_and_write;
mod fill;
mod or_write;
mod scan;
mod write;
mod write_atomic;
mod zero;

use std::sync::Arc;

use smallvec::smallvec;
use tidelock_block::{BlockError, BlockErrorKind, BufferPool, OpKind};
use tidelock_volume::Range;

use super::hold::Hold;
use crate::op::{VolumeFault, VolumeFaultKind, VolumeOutcome};
use crate::ranges::Ranges;
use crate::volume::Volume;
use crate::watch::Changing;

pub(super) use admit::admit;

/// An operation under way.
#[derive(Debug)]
pub(super) struct Command {
    /// `None`: given up by its owner.
    pub(super) token: Option<u64>,
    pub(super) volume: Arc<Volume>,
    pub(super) stage: Stage,
    /// Counted among the volume's detached writes.
    pub(super) holds_off: bool,
    /// How its ranges are kept.
    pub(super) hold: Hold,
    /// From the first byte of what it holds to the last.
    pub(super) held: Range,
    work: Work,
    /// Of a command that changes the volume: until it has landed.
    _changing: Option<Changing>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing of it has reached the I/O engine.
    New,
    /// A part of it has.
    Issued,
    /// All of it is done but the flush.
    Syncing,
}

/// What is left to do.
#[derive(Debug)]
pub(super) enum Work {
    Read { offset: u64, length: usize },
    Write(write::Write),
    Flush,
    Zero(zero::Zero),
    Fill(fill::Fill),
    Scan(scan::Scan),
    CompareAndWrite(compare_and_write::CompareAndWrite),
    OrWrite(or_write::OrWrite),
    WriteAtomic(write_atomic::WriteAtomic),
}

/// What a command wants next.
#[derive(Debug)]
pub(super) enum Step {
    /// This operation on its file; then [`Command::completed`].
    Issue(OpKind),
    /// This operation on the volume's journal; then [`Command::completed`].
    Journal(OpKind),
    /// An `fdatasync` that starts from now on; then it is finished, or goes on ([`Command::synced`]).
    Sync,
    /// A buffer, and the pool has none: the same step again later.
    NeedMemory,
    /// Nothing.
    Finished(VolumeOutcome),
}

impl Command {
    pub(super) fn new(
        token: u64,
        volume: Arc<Volume>,
        work: Work,
        changing: Option<Changing>,
    ) -> Self {
        Self {
            token: Some(token),
            volume,
            stage: Stage::New,
            holds_off: false,
            hold: Hold::Nothing,
            held: Range {
                offset: 0,
                length: 0,
            },
            work,
            _changing: changing,
        }
    }

    pub(super) fn changes(&self) -> bool {
        match self.work {
            Work::Write(_) | Work::Zero(_) | Work::Fill(_) => true,
            Work::CompareAndWrite(_) | Work::OrWrite(_) | Work::WriteAtomic(_) => true,
            Work::Read { .. } | Work::Flush | Work::Scan(_) => false,
        }
    }

    /// Whether nothing that overlaps may happen beside it.
    pub(super) fn is_exclusive(&self) -> bool {
        matches!(
            self.work,
            Work::CompareAndWrite(_) | Work::OrWrite(_) | Work::WriteAtomic(_)
        )
    }

    /// Whether it has to go on even if nobody waits for it any more: there is a record of what it
    /// does, and whoever finds that does it all.
    pub(super) fn must_go_on(&self) -> bool {
        matches!(&self.work, Work::WriteAtomic(command) if command.has_record())
    }

    /// The `fdatasync` that it asked for has gone well: whether there is a next step.
    pub(super) fn synced(&mut self) -> bool {
        match &mut self.work {
            Work::WriteAtomic(command) => {
                command.synced();
                true
            }
            _ => false,
        }
    }

    /// From the first byte to the last that it works on; `None` if it has no range.
    pub(super) fn span(&self) -> Option<Range> {
        Some(match &self.work {
            Work::Read { offset, length } => Range {
                offset: *offset,
                length: *length as u64,
            },
            Work::Write(write) => write.range(),
            Work::Flush => return None,
            Work::Zero(zero) => zero.span()?,
            Work::Fill(fill) => fill.range(),
            Work::Scan(scan) => scan.range(),
            Work::CompareAndWrite(command) => command.range(),
            Work::OrWrite(command) => command.range(),
            Work::WriteAtomic(command) => command.range(),
        })
    }

    /// The ranges that it works on.
    pub(super) fn ranges(&self) -> Ranges {
        match &self.work {
            Work::Zero(zero) => zero.ranges().iter().copied().collect(),
            Work::WriteAtomic(command) => smallvec![command.range(), write_atomic::JOURNAL],
            _ => self.span().map_or_else(Ranges::new, |span| smallvec![span]),
        }
    }

    /// Whether its first step takes a buffer.
    pub(super) fn needs_memory(&self) -> bool {
        match &self.work {
            Work::Read { .. } | Work::Fill(_) | Work::Scan(_) => true,
            Work::CompareAndWrite(_) | Work::OrWrite(_) | Work::WriteAtomic(_) => true,
            Work::Write(write) => write.needs_copy(&self.volume),
            Work::Flush | Work::Zero(_) => false,
        }
    }

    pub(super) fn step(&mut self, pool: &BufferPool) -> Step {
        match &mut self.work {
            Work::Read { offset, length } => match pool.try_take(*length) {
                Some(buffer) => Step::Issue(OpKind::Read {
                    offset: *offset,
                    buffer,
                }),
                None => Step::NeedMemory,
            },
            Work::Write(write) => write.step(&self.volume, pool),
            Work::Flush => Step::Sync,
            Work::Zero(zero) => zero.step(&self.volume),
            Work::Fill(fill) => fill.step(pool),
            Work::Scan(scan) => scan.step(pool),
            Work::CompareAndWrite(command) => command.step(&self.volume, pool),
            Work::OrWrite(command) => command.step(&self.volume, pool),
            Work::WriteAtomic(command) => command.step(&self.volume, pool),
        }
    }

    /// A step's operation has ended. `None`: there is a next step.
    pub(super) fn completed(
        &mut self,
        op: OpKind,
        result: Result<(), BlockError>,
    ) -> Option<VolumeOutcome> {
        let volume = &self.volume;
        match (&mut self.work, result) {
            (Work::Read { .. }, Ok(())) => Some(match op {
                OpKind::Read { buffer, .. } => VolumeOutcome::Read(buffer.freeze()),
                _ => VolumeFaultKind::Hardware.into(),
            }),
            (Work::Write(write), Ok(())) => write.completed(),
            (Work::Zero(zero), result) => zero.completed(volume, &op, result),
            (Work::Fill(fill), Ok(())) => fill.completed(&op),
            (Work::Scan(scan), Ok(())) => scan.completed(op),
            (Work::CompareAndWrite(command), Ok(())) => command.completed(op),
            (Work::OrWrite(command), Ok(())) => command.completed(op),
            (Work::WriteAtomic(command), result) => command.completed(volume, &op, result),
            (Work::Flush, Ok(())) => Some(VolumeOutcome::Done),
            (_, Err(error)) => Some(fault(volume, &op, error)),
        }
    }
}

/// What a file's error means to the volume and to the one who asked.
fn fault(volume: &Volume, op: &OpKind, error: BlockError) -> VolumeOutcome {
    let offset = error.context().offset.unwrap_or_default();
    let kind = match error.kind() {
        BlockErrorKind::NoSpace => VolumeFaultKind::NoSpace,
        BlockErrorKind::Medium | BlockErrorKind::UnexpectedEnd => {
            VolumeFaultKind::MediumError { offset }
        }
        BlockErrorKind::ReadOnly | BlockErrorKind::PermissionDenied => VolumeFaultKind::ReadOnly,
        BlockErrorKind::Exhausted => VolumeFaultKind::Busy,
        _ => VolumeFaultKind::Hardware,
    };
    let durable = matches!(op, OpKind::Write { dsync: true, .. });
    if durable && !matches!(kind, VolumeFaultKind::NoSpace | VolumeFaultKind::Busy) {
        // As a failed flush: what else the medium has lost nobody knows. An ordinary write that
        // fails was never acknowledged, and its owner hears of it: no reason to stop the others.
        volume.raise_fence(error.to_string());
    }
    if !matches!(kind, VolumeFaultKind::NoSpace | VolumeFaultKind::Busy) {
        tracing::warn!(%error, "file I/O failed");
    }
    VolumeOutcome::Failed(VolumeFault::of(kind, error))
}
