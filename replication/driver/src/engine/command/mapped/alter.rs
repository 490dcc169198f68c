//! Changing blocks: new ones are written, then the map is changed, all of it at one moment. Of blocks
//! that are changed in part the rest is read first; the engine has seen to it that nobody else changes
//! these meanwhile.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use tidelock_block::{BlockError, Buffer, OpKind};
use tidelock_volume::Range;
use tidelock_volume::mapped::{BLOCK_BYTES, BlockRange, Run};

use super::super::zero::zeros;
use super::super::{are_aligned, copied, kind_of, told};
use super::fetch::Fetch;
use super::pieces::{Pieces, checksums, take_front, total};
use super::{BLOCK, Memory, Next, Origin, Stop};
use crate::family::Change;
use crate::op::{VolumeFault, VolumeFaultKind};

/// What the range becomes.
#[derive(Debug)]
pub(super) enum Content {
    Data(Pieces),
    Zeros,
}

/// Blocks that are changed.
#[derive(Debug)]
pub(super) struct Alter {
    content: Content,
    blocks: BlockRange,
    /// Bytes of the first block that stay as they are.
    prefix: usize,
    /// Bytes of the last block that do.
    suffix: usize,
    /// The range ends with the volume: what is behind it in its block is zeros.
    to_the_end: bool,
    phase: Phase,
    /// The first and the last block as they were, where parts of them stay. Both are the first if there
    /// is only one.
    first: Option<Bytes>,
    last: Option<Bytes>,
    writes: SmallVec<[Write; 1]>,
    /// The next one to be issued.
    next: usize,
    /// What becomes of the map when all of them are done. All that was allocated is in here.
    changes: SmallVec<[Change; 1]>,
}

#[derive(Debug)]
enum Phase {
    Begin,
    First(Box<Fetch>, Option<Buffer>),
    Last(Box<Fetch>),
    Compose,
    Write,
    Commit,
    Done,
}

/// A run of new blocks.
#[derive(Debug)]
struct Write {
    run: Run,
    first: u64,
    data: Pieces,
}

impl Alter {
    /// Of nothing, so far.
    pub(super) fn new() -> Self {
        Self {
            content: Content::Zeros,
            blocks: BlockRange { first: 0, count: 0 },
            prefix: 0,
            suffix: 0,
            to_the_end: false,
            phase: Phase::Done,
            first: None,
            last: None,
            writes: SmallVec::new(),
            next: 0,
            changes: SmallVec::new(),
        }
    }

    /// Begins to change a range of a volume that has so many bytes.
    pub(super) fn begin(&mut self, range: Range, content: Content, bytes: u64) {
        let end = range.offset.saturating_add(range.length);
        let first = range.offset / BLOCK;
        let count = end.div_ceil(BLOCK).saturating_sub(first);
        let rest = |bytes: u64| usize::try_from(bytes).unwrap_or_default();
        self.content = content;
        self.blocks = BlockRange { first, count };
        self.prefix = rest(range.offset % BLOCK);
        self.suffix = rest(end.next_multiple_of(BLOCK) - end);
        self.to_the_end = end >= bytes;
        self.phase = Phase::Begin;
        (self.first, self.last) = (None, None);
        self.writes.clear();
        self.next = 0;
    }

    /// Lets go of what it has.
    pub(super) fn clear(&mut self) {
        self.content = Content::Zeros;
        self.phase = Phase::Done;
        (self.first, self.last) = (None, None);
        self.writes.clear();
        self.changes.clear();
        // What a long one has needed isn't kept.
        self.writes.shrink_to_fit();
        self.changes.shrink_to_fit();
    }

    /// The operation that it was, without its data.
    pub(super) fn op(&self, offset: u64, length: u64) -> OpKind {
        match self.content {
            Content::Data(_) => OpKind::Write {
                offset,
                data: Pieces::new(),
                dsync: false,
            },
            Content::Zeros => OpKind::PunchHole { offset, length },
        }
    }

    /// What was allocated and isn't in the map goes back.
    pub(super) fn give_back(&mut self, origin: &Origin) {
        let runs: SmallVec<[Run; 2]> = self.changes.iter().filter_map(run_of).collect();
        self.changes.clear();
        if !runs.is_empty() {
            origin.family.give_back(&runs);
            // Most likely for want of space.
            origin.family.want_space();
        }
    }

    /// What it wants next; `None`: it is done.
    pub(super) fn next(
        &mut self,
        origin: &Origin,
        memory: Memory<'_>,
        may_issue: bool,
        quiet: bool,
    ) -> Result<Option<Next>, Stop> {
        loop {
            match &mut self.phase {
                Phase::Begin => self.phase = self.take_blocks(memory)?,
                Phase::First(fetch, _) | Phase::Last(fetch) => {
                    match fetch.next(origin, may_issue, quiet)? {
                        None => self.fetched()?,
                        next => return Ok(next),
                    }
                }
                // Nothing has been taken yet.
                Phase::Compose if origin.family.is_tight() => return Err(Stop::Room),
                Phase::Compose => {
                    self.compose(origin)?;
                    self.phase = Phase::Write;
                }
                Phase::Write => {
                    if self.next < self.writes.len() {
                        return if may_issue {
                            self.issue(origin, memory).map(Some)
                        } else {
                            Ok(Some(Next::Wait))
                        };
                    }
                    if !quiet {
                        return Ok(Some(Next::Wait));
                    }
                    self.phase = Phase::Commit;
                }
                Phase::Commit => {
                    origin.family.commit(origin.dataset, &self.changes)?;
                    self.changes.clear();
                    self.phase = Phase::Done;
                }
                Phase::Done => return Ok(None),
            }
        }
    }

    /// Finds out which blocks have to be read, and takes memory for all of them at once.
    fn take_blocks(&self, memory: Memory<'_>) -> Result<Phase, Stop> {
        let keeps_end = self.suffix > 0 && !self.to_the_end;
        let is_one = self.blocks.count == 1;
        let needs_first = self.prefix > 0 || (is_one && keeps_end);
        let needs_last = keeps_end && !is_one;
        let needed = usize::from(needs_first) + usize::from(needs_last);
        if needed == 0 {
            return Ok(Phase::Compose);
        }
        let length = needed * BLOCK_BYTES;
        let buffer = memory.blocks.try_take(length).ok_or(Stop::Scratch)?;
        Ok(match (needs_first, needs_last) {
            (true, true) => {
                let (first, last) = buffer.split_off(BLOCK_BYTES);
                Phase::First(fetch_of(self.first_block(), first), Some(last))
            }
            (true, false) => Phase::First(fetch_of(self.first_block(), buffer), None),
            (false, _) => Phase::Last(fetch_of(self.last_block(), buffer)),
        })
    }

    fn first_block(&self) -> BlockRange {
        BlockRange {
            first: self.blocks.first,
            count: 1,
        }
    }

    fn last_block(&self) -> BlockRange {
        BlockRange {
            first: self.blocks.first + self.blocks.count.saturating_sub(1),
            count: 1,
        }
    }

    /// A block that is changed in part has been read.
    fn fetched(&mut self) -> Result<(), Stop> {
        let block = |mut fetch: Box<Fetch>| {
            let buffer = fetch.take_buffer();
            let buffer = buffer.filter(|buffer| buffer.len() == BLOCK_BYTES);
            buffer.map(Buffer::freeze).ok_or(VolumeFaultKind::Hardware)
        };
        self.phase = match std::mem::replace(&mut self.phase, Phase::Compose) {
            Phase::First(fetch, for_last) => {
                let first = block(fetch)?;
                if self.blocks.count == 1 {
                    self.last = Some(first.clone());
                }
                self.first = Some(first);
                match for_last {
                    Some(buffer) => Phase::Last(fetch_of(self.last_block(), buffer)),
                    None => Phase::Compose,
                }
            }
            Phase::Last(fetch) => {
                self.last = Some(block(fetch)?);
                Phase::Compose
            }
            other => other,
        };
        Ok(())
    }

    /// The bytes before the range in its first block.
    fn before(&mut self) -> Bytes {
        let block = self.first.take().unwrap_or_default();
        block.slice(..self.prefix.min(block.len()))
    }

    /// The bytes behind the range in its last block.
    fn after(&mut self) -> Pieces {
        match self.last.take() {
            _ if self.to_the_end => zeros(self.suffix as u64),
            Some(block) => smallvec![block.slice(block.len() - self.suffix.min(block.len())..)],
            None => Pieces::new(),
        }
    }

    /// Puts the new blocks together, and finds places for them.
    fn compose(&mut self, origin: &Origin) -> Result<(), Stop> {
        if let Content::Data(data) = &mut self.content {
            let mut data = std::mem::take(data);
            if self.prefix > 0 {
                let before = self.before();
                data.insert(0, before);
            }
            if self.suffix > 0 {
                data.extend(self.after());
            }
            return self.place(origin, self.blocks.first, data);
        }
        let BlockRange {
            mut first,
            mut count,
        } = self.blocks;
        let last = self.last_block().first;
        let before = self.before();
        let after = self.after();
        let has = |piece: &Bytes| piece.iter().any(|byte| *byte != 0);
        let keeps = (has(&before), after.iter().any(has));
        let is_one = count == 1;
        if keeps.0 || (is_one && keeps.1) {
            let end = if is_one { self.suffix } else { 0 };
            let mut block: Pieces = smallvec![before];
            block.extend(zeros((BLOCK_BYTES - self.prefix - end) as u64));
            if is_one {
                block.extend(after.iter().cloned());
            }
            self.place(origin, first, block)?;
            first += 1;
            count -= 1;
        }
        if keeps.1 && !is_one {
            let mut block = zeros((BLOCK_BYTES - self.suffix) as u64);
            block.extend(after);
            self.place(origin, last, block)?;
            count -= 1;
        }
        if count > 0 {
            self.changes.push(Change::Zero(BlockRange { first, count }));
        }
        Ok(())
    }

    /// Finds places for new blocks, from block `first` on.
    fn place(&mut self, origin: &Origin, first: u64, mut data: Pieces) -> Result<(), Stop> {
        data.retain(|piece| !piece.is_empty());
        let length = total(&data);
        let count = u32::try_from(length / BLOCK_BYTES).map_err(|_| VolumeFaultKind::TooLarge)?;
        let mut crcs = checksums(&data);
        let mut first = first;
        for run in origin.family.allocate(count)? {
            let count = run.count as usize;
            let is_all = count == crcs.len();
            let (own, data) = if is_all {
                (std::mem::take(&mut crcs), std::mem::take(&mut data))
            } else {
                let own = crcs.drain(..count.min(crcs.len())).collect();
                (own, take_front(&mut data, count * BLOCK_BYTES))
            };
            self.changes.push(Change::Map {
                first,
                address: run.address,
                crcs: own,
            });
            self.writes.push(Write { run, first, data });
            first += u64::from(run.count);
        }
        Ok(())
    }

    fn issue(&mut self, origin: &Origin, memory: Memory<'_>) -> Result<Next, Stop> {
        let write = self.writes.get_mut(self.next);
        let write = write.ok_or(VolumeFaultKind::Hardware)?;
        let (file, offset) = origin.family.place(write.run.address)?;
        if !are_aligned(&write.data, file.alignment()) {
            let length = total(&write.data);
            let Some(buffer) = memory.pool.try_take(length) else {
                return Err(if memory.pool.could_ever_take(length) {
                    Stop::Memory
                } else {
                    VolumeFaultKind::TooLarge.into()
                });
            };
            write.data = copied(&write.data, buffer);
        }
        let op = OpKind::Write {
            offset,
            data: std::mem::take(&mut write.data),
            dsync: false,
        };
        let part = u32::try_from(self.next).unwrap_or(u32::MAX);
        self.next += 1;
        let more = self.next < self.writes.len();
        Ok(Next::Issue {
            part,
            file,
            op,
            more,
        })
    }

    pub(super) fn landed(
        &mut self,
        part: u32,
        op: OpKind,
        result: Result<(), BlockError>,
    ) -> Result<(), VolumeFault> {
        if let Phase::First(fetch, _) | Phase::Last(fetch) = &mut self.phase {
            return fetch.landed(part, op, result);
        }
        result.map_err(|error| {
            let first = self.writes.get(part as usize).map(|write| write.first);
            let kind = kind_of(&error, first.unwrap_or(self.blocks.first) * BLOCK);
            told(kind, error)
        })
    }
}

fn fetch_of(blocks: BlockRange, buffer: Buffer) -> Box<Fetch> {
    let mut fetch = Box::new(Fetch::new());
    fetch.begin(blocks, buffer);
    fetch
}

fn run_of(change: &Change) -> Option<Run> {
    match change {
        Change::Map { address, crcs, .. } => Some(Run {
            address: *address,
            count: u32::try_from(crcs.len()).unwrap_or(u32::MAX),
        }),
        Change::Zero(_) => None,
    }
}
