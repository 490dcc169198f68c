//! Reading blocks: where they are, all of them at once, and whether they are what was written.
//!
//! Between the look at the map and the read, a block may be overwritten, freed and used for something
//! else; and blocks of the home file may be overwritten, too. So a checksum that is wrong, or a home file
//! that was worked on, leads to another look at the map. Only what is still in the same place is damaged.

use std::sync::Arc;

use smallvec::SmallVec;
use tidelock_block::{BlockError, Buffer, OpKind};
use tidelock_volume::mapped::{Address, BLOCK_BYTES, BlockRange, Place, Stretch, Stretches};

use super::super::{kind_of, told};
use super::{BLOCK, Next, Origin, Stop};
use crate::family::Home;
use crate::op::{VolumeFault, VolumeFaultKind};

/// Blocks that are read.
#[derive(Debug)]
pub(super) struct Fetch {
    range: BlockRange,
    phase: Phase,
    /// Where they were when the map was looked at.
    stretches: Stretches,
    home_generation: u64,
    /// Of these stretches, in order; one at least.
    parts: SmallVec<[Part; 1]>,
    /// The next one to be read.
    next: usize,
    reads_home: bool,
    /// A block with a wrong checksum.
    doubtful: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Look,
    Read,
    /// Something may have changed meanwhile.
    LookAgain,
    Done,
}

/// What one request reads, or none.
#[derive(Debug)]
struct Part {
    first: u64,
    from: Source,
    /// The first of its stretches.
    stretch: usize,
    /// `None` while it is being read.
    buffer: Option<Buffer>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Zeros,
    Home,
    Blocks(Address),
}

impl Fetch {
    /// Of nothing, so far.
    pub(super) fn new() -> Self {
        Self {
            range: BlockRange { first: 0, count: 0 },
            phase: Phase::Done,
            stretches: Stretches::new(),
            home_generation: 0,
            parts: SmallVec::new(),
            next: 0,
            reads_home: false,
            doubtful: None,
        }
    }

    /// Begins to read blocks into a buffer that is as long as they are.
    pub(super) fn begin(&mut self, range: BlockRange, buffer: Buffer) {
        self.range = range;
        self.phase = Phase::Look;
        self.doubtful = None;
        self.parts.clear();
        self.parts.push(Part {
            first: range.first,
            from: Source::Zeros,
            stretch: 0,
            buffer: Some(buffer),
        });
    }

    /// All of it, in order; for once.
    pub(super) fn take_buffer(&mut self) -> Option<Buffer> {
        let mut parts = self.parts.iter_mut().map(|part| part.buffer.take());
        let first = parts.next()??;
        let whole = parts.try_fold(first, |whole, part| whole.join(part?).ok());
        self.parts.clear();
        whole
    }

    /// Lets go of what it has.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.stretches.clear();
        // What a long one has needed isn't kept.
        self.parts.shrink_to_fit();
        self.stretches.shrink_to_fit();
    }

    /// What it wants next; `None`: all of it is there.
    pub(super) fn next(
        &mut self,
        origin: &Origin,
        may_issue: bool,
        quiet: bool,
    ) -> Result<Option<Next>, Stop> {
        loop {
            match self.phase {
                Phase::Look => {
                    let home = origin.locate(self.range, &mut self.stretches)?;
                    self.cut(home)?;
                    self.phase = Phase::Read;
                }
                Phase::Read => {
                    if may_issue && let Some(next) = self.issue(origin)? {
                        return Ok(Some(next));
                    }
                    if !quiet || self.next < self.parts.len() {
                        return Ok(Some(Next::Wait));
                    }
                    let home_changed =
                        self.reads_home && origin.family.home_generation() != self.home_generation;
                    self.phase = if self.doubtful.is_some() || home_changed {
                        Phase::LookAgain
                    } else {
                        Phase::Done
                    };
                }
                Phase::LookAgain => {
                    let mut now = Stretches::new();
                    let home = origin.locate(self.range, &mut now)?;
                    if let Some(block) = self.doubtful.take() {
                        if place(&now, block) == place(&self.stretches, block) {
                            return Err(damaged(origin, block).into());
                        }
                    } else if now == self.stretches {
                        self.phase = Phase::Done;
                        continue;
                    }
                    self.stretches = now;
                    self.cut(home)?;
                    self.phase = Phase::Read;
                }
                Phase::Done => return Ok(None),
            }
        }
    }

    /// Cuts the buffer into parts, one for each request that reading takes.
    fn cut(&mut self, home: Home) -> Result<(), Stop> {
        let mut rest = self.take_buffer();
        self.home_generation = home.generation;
        self.reads_home = false;
        self.next = 0;
        let mut at = 0;
        while let Some(stretch) = self.stretches.get(at).copied() {
            let whole = stretch.count * BLOCK;
            let (from, bytes, stretches) = match stretch.entry.place {
                Place::Hole => (Source::Zeros, whole, 1),
                Place::Home => {
                    self.reads_home = true;
                    let there = home.bytes.saturating_sub(stretch.first * BLOCK);
                    (Source::Home, there.min(whole), 1)
                }
                Place::Block { address, .. } => {
                    let run = run_length(self.stretches.get(at..).unwrap_or_default(), address);
                    (Source::Blocks(address), run as u64 * BLOCK, run)
                }
                Place::Node { .. } => return Err(VolumeFaultKind::Hardware.into()),
            };
            let part = |from| Part {
                first: stretch.first,
                from,
                stretch: at,
                buffer: None,
            };
            rest = self.add(part(from), bytes, rest)?;
            if bytes < whole {
                rest = self.add(part(Source::Zeros), whole - bytes, rest)?;
            }
            at += stretches;
        }
        if rest.is_some() {
            // The map has answered for less than was asked.
            return Err(VolumeFaultKind::Hardware.into());
        }
        Ok(())
    }

    /// Gives a part its memory, which is taken from what is left.
    fn add(
        &mut self,
        mut part: Part,
        bytes: u64,
        rest: Option<Buffer>,
    ) -> Result<Option<Buffer>, Stop> {
        if bytes == 0 {
            return Ok(rest);
        }
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        let rest = rest.filter(|rest| rest.len() >= length);
        let buffer = rest.ok_or(VolumeFaultKind::Hardware)?;
        // Mostly it is all of it.
        let (mut own, rest) = if buffer.len() == length {
            (buffer, None)
        } else {
            let (own, rest) = buffer.split_off(length);
            (own, Some(rest))
        };
        if let Source::Zeros = part.from {
            own.fill(0);
        }
        part.buffer = Some(own);
        self.parts.push(part);
        Ok(rest)
    }

    /// The next request, if there is one.
    fn issue(&mut self, origin: &Origin) -> Result<Option<Next>, Stop> {
        while let Some(part) = self.parts.get_mut(self.next) {
            let (file, offset) = match part.from {
                Source::Zeros => {
                    self.next += 1;
                    continue;
                }
                Source::Home => {
                    let home = origin.family.home_file();
                    let home = home.ok_or(VolumeFaultKind::Hardware)?;
                    (Arc::clone(home), part.first * BLOCK)
                }
                Source::Blocks(address) => origin.family.place(address)?,
            };
            let buffer = part.buffer.take().ok_or(VolumeFaultKind::Hardware)?;
            let op = OpKind::Read { offset, buffer };
            let part = u32::try_from(self.next).unwrap_or(u32::MAX);
            self.next += 1;
            let more = self.next < self.parts.len();
            return Ok(Some(Next::Issue {
                part,
                file,
                op,
                more,
            }));
        }
        Ok(None)
    }

    pub(super) fn landed(
        &mut self,
        part: u32,
        op: OpKind,
        result: Result<(), BlockError>,
    ) -> Result<(), VolumeFault> {
        let hardware = || VolumeFault::new(VolumeFaultKind::Hardware);
        let part = self.parts.get_mut(part as usize).ok_or_else(hardware)?;
        let OpKind::Read { offset, buffer } = op else {
            return Err(hardware());
        };
        let buffer = part.buffer.insert(buffer);
        if let Err(error) = result {
            // The error counts bytes of the file.
            let read = error
                .context()
                .offset
                .map_or(0, |at| at.saturating_sub(offset));
            return Err(told(kind_of(&error, part.first * BLOCK + read), error));
        }
        if let Source::Blocks(_) = part.from {
            let stretches = self.stretches.get(part.stretch..).unwrap_or_default();
            let wrong = buffer
                .chunks(BLOCK_BYTES)
                .zip(stretches)
                .find(|(bytes, stretch)| !is_intact(bytes, stretch));
            if let Some((_, stretch)) = wrong {
                self.doubtful = Some(stretch.first);
            }
        }
        Ok(())
    }
}

/// How many of the stretches are blocks of one segment behind one another.
pub(super) fn run_length(stretches: &[Stretch], address: Address) -> usize {
    let follows = |(index, stretch): &(usize, &Stretch)| match stretch.entry.place {
        Place::Block { address: next, .. } => {
            next == address.plus(*index as u64) && next.segment() == address.segment()
        }
        _ => false,
    };
    stretches.iter().enumerate().take_while(follows).count()
}

fn is_intact(bytes: &[u8], stretch: &Stretch) -> bool {
    matches!(stretch.entry.place, Place::Block { crc, .. } if crc32c::crc32c(bytes) == crc)
}

/// Where a block is.
fn place(stretches: &[Stretch], block: u64) -> Option<Place> {
    let holds =
        |stretch: &&Stretch| (stretch.first..stretch.first + stretch.count).contains(&block);
    stretches
        .iter()
        .find(holds)
        .map(|stretch| stretch.entry.place)
}

fn damaged(origin: &Origin, block: u64) -> VolumeFaultKind {
    let offset = block * BLOCK;
    tracing::warn!(
        folder = %origin.family.folder().display(),
        dataset = %origin.dataset,
        offset,
        "a block is damaged: its checksum is wrong; what it should be is lost, unless a mirror or a \
         backup has it"
    );
    VolumeFaultKind::MediumError { offset }
}
