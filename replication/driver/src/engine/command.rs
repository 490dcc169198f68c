//! One operation on a volume as a sequence of steps on its image. Knows no queues.
//!
//! A step's operation is done on the file of a raw volume as it is. For a mapped one [`mapped`] carries
//! it out on the files of the family.

mod admit;
mod compare_and_write;
mod copy_from;
mod fill;
mod mapped;
mod medium;
mod or_write;
mod scan;
mod write;
mod write_atomic;
mod zero;

use std::sync::Arc;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use tidelock_block::{Alignment, BlockError, BlockErrorKind, Buffer, BufferPool, OpKind};
use tidelock_volume::Range;

use super::hold::Hold;
use super::mirrored::Way;
use crate::op::{VolumeFault, VolumeFaultKind, VolumeOutcome};
use crate::ranges::{Post, RangeLocks, Ranges};
use crate::volume::{Mapped, Volume};
use crate::watch::Changing;
use medium::Medium;

pub(super) use admit::admit;
pub(super) use mapped::{Carrier, Memory, Next};

/// An operation under way.
#[derive(Debug)]
pub(super) struct Command {
    /// Who asked for it; `None`: it was given up.
    pub(super) asker: Option<Asker>,
    pub(super) volume: Arc<Volume>,
    pub(super) stage: Stage,
    /// Counted among the volume's detached writes.
    pub(super) holds_off: bool,
    /// How its ranges are kept.
    pub(super) hold: Hold,
    /// From the first byte of what it holds to the last.
    pub(super) held: Range,
    /// It has its ranges for itself, with all of the mapped blocks that they are a part of.
    pub(super) has_whole_blocks: bool,
    /// It is below the mirror that the volume may be an end of.
    pub(super) below: bool,
    /// What its steps are carried out by; `None` on a raw volume. Chosen when it begins.
    pub(super) carrier: Option<Box<Carrier>>,
    /// Its way through the end of a mirror that the volume is. Chosen when it begins.
    pub(super) way: Option<Box<Way>>,
    /// What it writes is all or nothing, whoever does it.
    pub(super) is_atomic: bool,
    /// The fence's epoch when its flush was asked for, if that is the family's.
    pub(super) fence_epoch: u64,
    work: Work,
    /// Of a command that changes the volume: until it has landed.
    _changing: Option<Changing>,
}

/// Who hears of an operation's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// The engine's owner, by this token.
    Owner(u64),
    /// The end of a mirror, which wants this job done.
    End(usize),
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
    CopyFrom(copy_from::CopyFrom),
}

/// What a command wants next.
#[derive(Debug)]
pub(super) enum Step {
    /// This operation on its image; then [`Command::completed`].
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
        asker: Asker,
        volume: Arc<Volume>,
        work: Work,
        changing: Option<Changing>,
    ) -> Self {
        Self {
            asker: Some(asker),
            volume,
            stage: Stage::New,
            holds_off: false,
            hold: Hold::Nothing,
            held: Range {
                offset: 0,
                length: 0,
            },
            has_whole_blocks: false,
            below: false,
            carrier: None,
            way: None,
            is_atomic: false,
            fence_epoch: 0,
            work,
            _changing: changing,
        }
    }

    /// It begins, on a mapped volume.
    pub(super) fn begin_mapped(&mut self, mapped: Mapped, mut carrier: Box<Carrier>) {
        if let Work::WriteAtomic(command) = &mut self.work {
            // All of a write is in the map at one moment, and so it is after a crash.
            self.work = Work::Write(command.take_write());
            self.is_atomic = true;
        }
        carrier.engage(mapped, self.volume.size());
        self.carrier = Some(carrier);
    }

    pub(super) fn is_copy(&self) -> bool {
        matches!(self.work, Work::CopyFrom(_))
    }

    /// A copy begins, if it may; a carrier does it on any volume.
    pub(super) fn begin_copy(
        &mut self,
        post: &Arc<Post>,
        key: usize,
        mut carrier: Box<Carrier>,
    ) -> bool {
        let Work::CopyFrom(copy) = &mut self.work else {
            return false;
        };
        let may = copy.may_begin(&self.volume, post, key);
        if may {
            let source = (&*copy.source, copy.is_alone());
            carrier.engage_copy(source, copy.from, &self.volume, copy.to);
        }
        self.carrier = Some(carrier);
        may
    }

    /// It begins, on a volume that may be an end of a mirror.
    pub(super) fn begin_mirrored(&mut self) {
        if self.changes() || matches!(self.work, Work::Flush) {
            let end = self.volume.mirrored().end();
            self.way = end.map(|end| Box::new(Way::new(end)));
        }
    }

    /// Whether, on a mapped volume, it changes blocks of which it leaves a part as it is: nobody else may
    /// change these meanwhile.
    pub(super) fn shares_blocks(&self) -> bool {
        let bytes = self.volume.size();
        let shares = |range: &Range| mapped::shares_blocks(*range, bytes);
        self.changes() && !self.has_whole_blocks && self.image_ranges().iter().any(shares)
    }

    pub(super) fn changes(&self) -> bool {
        match self.work {
            Work::Write(_) | Work::Zero(_) | Work::Fill(_) | Work::CopyFrom(_) => true,
            Work::CompareAndWrite(_) | Work::OrWrite(_) | Work::WriteAtomic(_) => true,
            Work::Read { .. } | Work::Flush | Work::Scan(_) => false,
        }
    }

    /// Whether nothing that overlaps may happen beside it.
    pub(super) fn is_exclusive(&self) -> bool {
        self.has_whole_blocks
            || matches!(
                self.work,
                Work::CompareAndWrite(_) | Work::OrWrite(_) | Work::WriteAtomic(_)
            )
    }

    /// Nobody waits for its outcome, and it hasn't to go on either.
    pub(super) fn is_given_up(&self) -> bool {
        let counts = |it: &Way| it.is_going();
        let is_counted_on = self.way.as_deref().is_some_and(counts);
        self.asker.is_none() && !self.must_go_on() && !is_counted_on
    }

    /// Whether it has to go on even if nobody waits for it any more: there is a record of what it
    /// does, and whoever finds that does it all.
    pub(super) fn must_go_on(&self) -> bool {
        matches!(&self.work, Work::WriteAtomic(command) if command.has_record())
    }

    /// Of a command that is done at an end of a mirror as a whole: where it writes what, or `None` in it if there is no
    /// memory for that.
    pub(super) fn whole(&mut self, pool: &BufferPool) -> Option<Option<(u64, Bytes)>> {
        match &mut self.work {
            Work::WriteAtomic(command) => Some(command.content(&self.volume, pool)),
            _ => None,
        }
    }

    /// Whether all that it writes are zeros.
    pub(super) fn zeros(&self) -> bool {
        matches!(self.work, Work::Zero(_))
    }

    /// How many ranges it has still to make zeros of.
    pub(super) fn zero_ranges(&self) -> usize {
        match &self.work {
            Work::Zero(zero) => zero.ranges().len(),
            _ => 0,
        }
    }

    /// Whether the range that it made zeros of when there were so many isn't done up to this byte.
    pub(super) fn zeros_up_to(&self, end: u64, ranges: usize) -> bool {
        let Work::Zero(zero) = &self.work else {
            return false;
        };
        let behind = |it: &Range| it.offset < end;
        zero.ranges().len() == ranges && zero.ranges().last().is_some_and(behind)
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
            Work::CopyFrom(copy) => copy.range(),
        })
    }

    /// Where it keeps others off. What is done below a mirror isn't kept off by hosts' commands, which may wait for
    /// just that; the end keeps the two in order.
    pub(super) fn locks(&self) -> &RangeLocks {
        if self.below {
            self.volume.locks_below()
        } else {
            self.volume.locks()
        }
    }

    /// Whether it may still do what it has waited for. What an end has said is to be done isn't held off by writes that
    /// were given up: it keeps what overlaps in order itself, and one of these may be just this command.
    pub(super) fn is_admitted(&self) -> Result<(), VolumeFaultKind> {
        let counts = |it: &Way| it.is_going();
        if self.below || self.way.as_deref().is_some_and(counts) {
            self.volume.admits_below(self.changes(), false)
        } else {
            self.volume.admits(self.changes(), false)
        }
    }

    /// The ranges that it works on.
    pub(super) fn ranges(&self) -> Ranges {
        let mut ranges = self.image_ranges();
        if self.has_whole_blocks {
            ranges.iter_mut().for_each(mapped::widen);
        }
        if let Work::WriteAtomic(_) = self.work {
            ranges.push(write_atomic::JOURNAL);
        }
        ranges
    }

    fn image_ranges(&self) -> Ranges {
        match &self.work {
            Work::Zero(zero) => zero.ranges().iter().copied().collect(),
            _ => self.span().map_or_else(Ranges::new, |span| smallvec![span]),
        }
    }

    /// Whether its first step takes a buffer.
    pub(super) fn needs_memory(&self) -> bool {
        match &self.work {
            Work::Read { .. } | Work::Fill(_) | Work::Scan(_) => true,
            Work::CompareAndWrite(_) | Work::OrWrite(_) | Work::WriteAtomic(_) => true,
            Work::Write(write) => write.needs_copy(&self.volume),
            Work::Flush | Work::Zero(_) | Work::CopyFrom(_) => false,
        }
    }

    pub(super) fn step(&mut self, pool: &BufferPool) -> Step {
        let medium = Medium {
            volume: &self.volume,
            pool,
            is_mapped: self.carrier.is_some(),
            is_mirrored: self.way.is_some(),
        };
        match &mut self.work {
            Work::Read { offset, length } => match medium.buffer(*offset, *length) {
                Ok(buffer) => Step::Issue(OpKind::Read {
                    offset: *offset,
                    buffer,
                }),
                Err(step) => step,
            },
            Work::Write(write) => write.step(medium),
            Work::Flush => Step::Sync,
            Work::Zero(zero) => zero.step(medium),
            Work::Fill(fill) => fill.step(pool),
            Work::Scan(scan) => scan.step(medium),
            Work::CompareAndWrite(command) => command.step(medium),
            Work::OrWrite(command) => command.step(medium),
            Work::WriteAtomic(command) => command.step(&self.volume, pool),
            // Its carrier does all of it.
            Work::CopyFrom(_) => Step::Finished(VolumeOutcome::NotCopied),
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
            (Work::Fill(fill), Ok(())) => fill.completed(),
            (Work::Scan(scan), Ok(())) => scan.completed(op),
            (Work::CompareAndWrite(command), Ok(())) => command.completed(op),
            (Work::OrWrite(command), Ok(())) => command.completed(op),
            (Work::WriteAtomic(command), result) => command.completed(volume, &op, result),
            (Work::Flush | Work::CopyFrom(_), Ok(())) => Some(VolumeOutcome::Done),
            (_, Err(error)) => Some(fault(volume, &op, error)),
        }
    }
}

/// What a file's error means to the volume and to the one who asked.
fn fault(volume: &Volume, op: &OpKind, error: BlockError) -> VolumeOutcome {
    let kind = kind_of(&error, error.context().offset.unwrap_or_default());
    let durable = matches!(op, OpKind::Write { dsync: true, .. });
    if durable && !matches!(kind, VolumeFaultKind::NoSpace | VolumeFaultKind::Busy) {
        // As a failed flush: what else the medium has lost nobody knows. An ordinary write that
        // fails was never acknowledged, and its owner hears of it: no reason to stop the others.
        volume.raise_fence(error.to_string());
    }
    VolumeOutcome::Failed(told(kind, error))
}

/// What a file's error means; `offset` is the byte of the image.
fn kind_of(error: &BlockError, offset: u64) -> VolumeFaultKind {
    match error.kind() {
        BlockErrorKind::NoSpace => VolumeFaultKind::NoSpace,
        BlockErrorKind::Medium | BlockErrorKind::UnexpectedEnd => {
            VolumeFaultKind::MediumError { offset }
        }
        BlockErrorKind::ReadOnly | BlockErrorKind::PermissionDenied => VolumeFaultKind::ReadOnly,
        BlockErrorKind::Exhausted => VolumeFaultKind::Busy,
        _ => VolumeFaultKind::Hardware,
    }
}

/// The fault of a file's error, which is in the log then.
fn told(kind: VolumeFaultKind, error: BlockError) -> VolumeFault {
    if !matches!(kind, VolumeFaultKind::NoSpace | VolumeFaultKind::Busy) {
        tracing::warn!(%error, "file I/O failed");
    }
    VolumeFault::of(kind, error)
}

/// Whether direct I/O, or whatever the file demands, can take these pieces as they lie in memory.
pub(super) fn are_aligned(pieces: &[Bytes], alignment: Alignment) -> bool {
    alignment == Alignment::NONE
        || pieces.iter().all(|piece| {
            piece.as_ptr().addr().is_multiple_of(alignment.memory)
                && piece.len().is_multiple_of(alignment.offset)
        })
}

/// The pieces as one, in memory that any file takes; `to` is as long as they are.
fn copied(pieces: &[Bytes], mut to: Buffer) -> SmallVec<[Bytes; 2]> {
    let mut rest = &mut to[..];
    for piece in pieces {
        let Some((now, later)) = rest.split_at_mut_checked(piece.len()) else {
            break;
        };
        now.copy_from_slice(piece);
        rest = later;
    }
    smallvec![to.freeze()]
}
