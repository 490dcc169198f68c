//! Operations on the image of a mapped volume, carried out on the files of its family: a read as reads
//! of wherever the blocks are, a change as writes of new blocks and then one change of the map. Knows no
//! queues, and not what the operations are for.
//!
//! [`fetch`] reads blocks and [`alter`] changes them; [`graft`] copies from one volume to another, whatever these
//! are. This file fetches the pages of the map that they
//! miss, and keeps count of the requests that are under way.

mod alter;
mod fetch;
mod graft;
mod pieces;

use std::sync::Arc;

use tidelock_block::{BlockError, BlockFile, BufferPool, OpKind};
use tidelock_volume::Range;
use tidelock_volume::mapped::{BLOCK_BYTES, BlockRange, DatasetId, Missing, Stretches};

use super::{kind_of, told};
use crate::family::{Family, Home, Trouble};
use crate::op::{VolumeFault, VolumeFaultKind};
use crate::volume::{Mapped, Volume};
use alter::{Alter, Content};
use fetch::Fetch;
use graft::Graft;
pub(super) use pieces::{take_front, total};

const BLOCK: u64 = BLOCK_BYTES as u64;
/// Requests of one operation that are under way at a time; others are to have places in the ring, too.
const REQUESTS_MAX: u32 = 32;
/// Stands for the page of a map among the parts of an operation.
const PAGE: u32 = (1 << 30) - 1;

/// Whether a change of this range leaves a part of a block as it is, in a volume of so many bytes.
pub(super) fn shares_blocks(range: Range, bytes: u64) -> bool {
    let end = range.offset.saturating_add(range.length);
    !range.offset.is_multiple_of(BLOCK) || (!end.is_multiple_of(BLOCK) && end < bytes)
}

/// Makes the range whole blocks.
pub(super) fn widen(range: &mut Range) {
    let before = range.offset % BLOCK;
    let end = range.offset.saturating_add(range.length);
    range.offset -= before;
    range.length = end.checked_next_multiple_of(BLOCK).unwrap_or(end) - range.offset;
}

/// Bytes between the start of the first block of a range and the range, and bytes of all its blocks.
pub(super) fn room(offset: u64, length: usize) -> (usize, usize) {
    let before = usize::try_from(offset % BLOCK).unwrap_or_default();
    (before, (before + length).next_multiple_of(BLOCK_BYTES))
}

/// What an operation wants next.
#[derive(Debug)]
pub(in crate::engine) enum Next {
    /// This request, whose completion has to come with the number of the part.
    Issue {
        part: u32,
        file: Arc<BlockFile>,
        op: OpKind,
        /// There may be another one at once.
        more: bool,
    },
    /// Nothing before one of its requests has come back.
    Wait,
    /// A buffer for copying, from the pool of everybody: the same again later.
    NeedMemory,
    /// A small buffer for blocks that are changed in part, or for a page: the same again later.
    NeedScratch,
    /// Memory for the maps of the family: the same again when there is some.
    NeedRoom,
    /// The operation is done.
    Done(OpKind),
    /// It isn't.
    Failed(VolumeFault),
    /// A copy can't be made inside the file system. No map has changed; a raw file may have got a part of it.
    NotCopied,
}

/// Why an operation can't go on.
#[derive(Debug)]
enum Stop {
    Page(Missing),
    Memory,
    Scratch,
    Room,
    Fault(VolumeFault),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Missing(missing) => Self::Page(missing),
            Trouble::NoSpace => VolumeFaultKind::NoSpace.into(),
            Trouble::Wrong(what) => {
                tracing::error!(%what, "a mapped volume can't be read or written here");
                VolumeFaultKind::Hardware.into()
            }
        }
    }
}

impl From<VolumeFaultKind> for Stop {
    fn from(kind: VolumeFaultKind) -> Self {
        Self::Fault(VolumeFault::new(kind))
    }
}

/// A dataset as an operation sees it.
#[derive(Debug)]
struct Origin {
    family: Arc<Family>,
    dataset: DatasetId,
    /// Bytes of the volume when the operation began.
    bytes: u64,
}

impl Origin {
    fn locate(&self, range: BlockRange, stretches: &mut Stretches) -> Result<Home, Trouble> {
        self.family.locate(self.dataset, range, stretches)
    }
}

/// Where memory comes from. Whoever has some of one kind may wait for the kinds behind it, and for
/// nothing before: so nobody waits for himself.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Memory<'a> {
    /// Everybody's.
    pub(in crate::engine) pool: &'a BufferPool,
    /// For blocks that are changed in part.
    pub(in crate::engine) blocks: &'a BufferPool,
    /// For pages of maps.
    pub(in crate::engine) pages: &'a BufferPool,
}

/// Carries operations of one command out, one after the other. It is large, and used by one command after
/// the other, too.
#[derive(Debug)]
pub(in crate::engine) struct Carrier {
    /// `None` while it belongs to no command.
    origin: Option<Origin>,
    job: Job,
    fetch: Fetch,
    alter: Alter,
    /// Rare, and gone with its operation.
    graft: Option<Box<Graft>>,
    page: Page,
    /// Requests that haven't come back.
    under_way: u32,
    /// A page that was not what its map says. It may have been somebody else's page by then: only if it is
    /// still missed it is damaged.
    doubtful: Option<Missing>,
    /// Something went wrong; told when nothing is under way any more.
    fault: Option<VolumeFault>,
    /// Nothing more is issued: a request of it has been refused a place.
    called_off: bool,
    /// The operation has had requests.
    has_issued: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Nothing,
    Read { offset: u64, length: usize },
    Alter(Range),
    Copy,
}

/// A page of the map that has to be read.
#[derive(Debug)]
enum Page {
    Nothing,
    Wanted(Missing),
    UnderWay(Missing),
}

impl Carrier {
    pub(in crate::engine) fn new() -> Self {
        Self {
            origin: None,
            job: Job::Nothing,
            fetch: Fetch::new(),
            alter: Alter::new(),
            graft: None,
            page: Page::Nothing,
            under_way: 0,
            doubtful: None,
            fault: None,
            called_off: false,
            has_issued: false,
        }
    }

    /// It is a command's now, on a volume of so many bytes.
    pub(in crate::engine) fn engage(&mut self, mapped: Mapped, bytes: u64) {
        self.clean();
        self.origin = Some(Origin {
            family: mapped.family,
            dataset: mapped.dataset,
            bytes,
        });
    }

    /// It copies whole blocks from one volume to another. The ranges of both are held, that of the source for nobody
    /// else if it says so.
    pub(in crate::engine) fn engage_copy(
        &mut self,
        source: (&Volume, bool),
        from: Range,
        to: &Volume,
        at: u64,
    ) {
        self.clean();
        let from = BlockRange {
            first: from.offset / BLOCK,
            count: from.length / BLOCK,
        };
        self.graft = Some(Box::new(Graft::new(source, from, to, at / BLOCK)));
        self.job = Job::Copy;
        self.has_issued = false;
    }

    fn clean(&mut self) {
        self.job = Job::Nothing;
        self.page = Page::Nothing;
        self.under_way = 0;
        self.doubtful = None;
        self.fault = None;
        self.called_off = false;
    }

    pub(in crate::engine) fn family(&self) -> Option<&Arc<Family>> {
        match (&self.graft, &self.origin) {
            (Some(graft), _) => graft.family(),
            (None, origin) => origin.as_ref().map(|origin| &origin.family),
        }
    }

    /// Whose page is missing, when one is.
    fn asks(&self) -> Result<Arc<Family>, Stop> {
        let family = match (&self.graft, &self.origin) {
            (Some(graft), _) => graft.asks(),
            (None, origin) => origin.as_ref().map(|origin| &origin.family),
        };
        family
            .cloned()
            .ok_or_else(|| VolumeFaultKind::Hardware.into())
    }

    /// Takes an operation on the image.
    pub(in crate::engine) fn begin(&mut self, op: OpKind) {
        self.has_issued = false;
        match op {
            OpKind::Read { offset, mut buffer } => {
                let length = buffer.len();
                let (_, whole) = room(offset, length);
                let blocks = BlockRange {
                    first: offset / BLOCK,
                    count: whole as u64 / BLOCK,
                };
                if !buffer.window(0, whole) {
                    self.fault = Some(VolumeFault::new(VolumeFaultKind::Hardware));
                }
                self.fetch.begin(blocks, buffer);
                self.job = Job::Read { offset, length };
            }
            OpKind::Write { offset, data, .. } => {
                let length = data.iter().map(|piece| piece.len() as u64).sum();
                self.begin_alter(Range { offset, length }, Content::Data(data));
            }
            OpKind::PunchHole { offset, length } | OpKind::ZeroRange { offset, length } => {
                self.begin_alter(Range { offset, length }, Content::Zeros);
            }
            // Nothing of a mapped volume wants these.
            OpKind::DataSync | OpKind::Allocate { .. } | OpKind::CopyFrom { .. } => {
                self.fault = Some(VolumeFault::new(VolumeFaultKind::Hardware));
                self.job = Job::Nothing;
            }
        }
    }

    fn begin_alter(&mut self, range: Range, content: Content) {
        let bytes = self.origin.as_ref().map_or(0, |origin| origin.bytes);
        self.alter.begin(range, content, bytes);
        self.job = Job::Alter(range);
    }

    /// Whether it is in the middle of an operation.
    pub(in crate::engine) fn is_busy(&self) -> bool {
        self.job != Job::Nothing
    }

    /// Whether all of its requests have come back.
    pub(in crate::engine) fn is_quiet(&self) -> bool {
        self.under_way == 0
    }

    /// Whether its operation has had requests.
    pub(in crate::engine) fn has_issued(&self) -> bool {
        self.has_issued
    }

    pub(in crate::engine) fn is_called_off(&self) -> bool {
        self.called_off
    }

    /// One of its requests will not be carried out, and there are to be no more.
    pub(in crate::engine) fn call_off(&mut self) {
        self.called_off = true;
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(in crate::engine) fn next(&mut self, memory: Memory<'_>) -> Next {
        loop {
            if self.fault.is_some() || self.called_off {
                if self.under_way > 0 {
                    return Next::Wait;
                }
                if self.job == Job::Copy && !self.called_off {
                    self.fault = None;
                    return Next::NotCopied;
                }
                let busy = || VolumeFault::new(VolumeFaultKind::Busy);
                let fault = self.fault.take().unwrap_or_else(busy);
                return Next::Failed(self.inside(fault));
            }
            match self.try_next(memory) {
                Ok(next) => {
                    if let Next::Issue { .. } = next {
                        self.under_way += 1;
                        self.has_issued = true;
                    }
                    return next;
                }
                Err(Stop::Page(missing)) if self.doubtful == Some(missing) => {
                    if let Some(origin) = &self.origin {
                        tracing::error!(
                            folder = %origin.family.folder().display(),
                            dataset = %origin.dataset,
                            page = %missing.address,
                            "a page of a map is damaged"
                        );
                    }
                    let offset = self.range().offset;
                    let kind = VolumeFaultKind::MediumError { offset };
                    self.fault = Some(VolumeFault::new(kind));
                }
                Err(Stop::Page(missing)) => self.page = Page::Wanted(missing),
                // Somebody comes back anyway.
                Err(Stop::Memory | Stop::Scratch) if self.under_way > 0 => return Next::Wait,
                Err(Stop::Room) => return Next::NeedRoom,
                Err(Stop::Memory) => return Next::NeedMemory,
                Err(Stop::Scratch) => return Next::NeedScratch,
                Err(Stop::Fault(fault)) => self.fault = Some(fault),
            }
        }
    }

    fn try_next(&mut self, memory: Memory<'_>) -> Result<Next, Stop> {
        match self.page {
            Page::Nothing => {}
            Page::Wanted(missing) => {
                let (file, offset) = self.asks()?.place(missing.address)?;
                let buffer = memory.pages.try_take(BLOCK_BYTES).ok_or(Stop::Scratch)?;
                self.page = Page::UnderWay(missing);
                let op = OpKind::Read { offset, buffer };
                return Ok(Next::Issue {
                    part: PAGE,
                    file,
                    op,
                    more: false,
                });
            }
            Page::UnderWay(_) => return Ok(Next::Wait),
        }
        let may_issue = self.under_way < REQUESTS_MAX;
        let quiet = self.under_way == 0;
        if let Some(graft) = &mut self.graft {
            let next = graft.next(may_issue, quiet)?;
            return Ok(next.unwrap_or_else(|| self.done()));
        }
        let Some(origin) = &self.origin else {
            return Err(VolumeFaultKind::Hardware.into());
        };
        let next = match self.job {
            Job::Nothing => return Ok(Next::Wait),
            Job::Read { .. } => self.fetch.next(origin, may_issue, quiet)?,
            Job::Alter(_) => self.alter.next(origin, memory, may_issue, quiet)?,
            Job::Copy => return Err(VolumeFaultKind::Hardware.into()),
        };
        Ok(next.unwrap_or_else(|| self.done()))
    }

    fn done(&mut self) -> Next {
        match std::mem::replace(&mut self.job, Job::Nothing) {
            Job::Read { offset, length } => {
                let (before, _) = room(offset, length);
                let asked = self.fetch.take_buffer().and_then(|mut buffer| {
                    let fits = buffer.window(before, length);
                    fits.then_some(buffer)
                });
                match asked {
                    Some(buffer) => Next::Done(OpKind::Read { offset, buffer }),
                    None => Next::Failed(VolumeFault::new(VolumeFaultKind::Hardware)),
                }
            }
            Job::Alter(Range { offset, length }) => Next::Done(self.alter.op(offset, length)),
            Job::Copy => Next::Done(OpKind::DataSync),
            Job::Nothing => Next::Wait,
        }
    }

    /// One of its requests has come back.
    pub(in crate::engine) fn landed(
        &mut self,
        part: u32,
        op: OpKind,
        result: Result<(), BlockError>,
    ) {
        self.under_way = self.under_way.saturating_sub(1);
        if part == PAGE {
            return self.page_landed(op, result);
        }
        let landed = match self.job {
            Job::Nothing => Ok(()),
            Job::Read { .. } => self.fetch.landed(part, op, result),
            Job::Alter(_) => self.alter.landed(part, op, result),
            Job::Copy => {
                let graft = self.graft.as_mut();
                let copied = graft.is_some_and(|graft| graft.landed(part, op, result));
                let hardware = || VolumeFault::new(VolumeFaultKind::Hardware);
                copied.then_some(()).ok_or_else(hardware)
            }
        };
        if let Err(fault) = landed {
            self.fault.get_or_insert(fault);
        }
    }

    fn page_landed(&mut self, op: OpKind, result: Result<(), BlockError>) {
        let Page::UnderWay(missing) = std::mem::replace(&mut self.page, Page::Nothing) else {
            return;
        };
        let start = self.range().offset;
        let fault = match (op, result) {
            (OpKind::Read { buffer, .. }, Ok(())) => {
                let family = self.asks().ok();
                let supplied = family.map(|family| family.supply(missing, &buffer));
                let is_page = supplied.is_some_and(|supplied| supplied.is_ok());
                self.doubtful = (!is_page).then_some(missing);
                return;
            }
            (_, Err(error)) => told(kind_of(&error, start), error),
            (_, Ok(())) => VolumeFault::new(VolumeFaultKind::Hardware),
        };
        self.fault.get_or_insert(fault);
    }

    /// The range of the operation under way.
    fn range(&self) -> Range {
        match self.job {
            Job::Nothing | Job::Copy => Range {
                offset: 0,
                length: 0,
            },
            Job::Read { offset, length } => Range {
                offset,
                length: length as u64,
            },
            Job::Alter(range) => range,
        }
    }

    /// A fault with the place of it inside the range that was asked for.
    fn inside(&self, mut fault: VolumeFault) -> VolumeFault {
        if let VolumeFaultKind::MediumError { offset } = &mut fault.kind {
            let Range {
                offset: first,
                length,
            } = self.range();
            let last = first + length.saturating_sub(1);
            *offset = (*offset).clamp(first, last);
        }
        fault
    }

    /// None of its requests has got anywhere, and none will.
    pub(in crate::engine) fn drop_requests(&mut self) {
        self.under_way = 0;
    }

    /// The command ends; blocks that were not used go back, unless something is still being written to
    /// them. Nothing is left of it then; false if there are requests that haven't come back.
    pub(in crate::engine) fn end(&mut self) -> bool {
        let is_quiet = self.under_way == 0;
        if let Some(origin) = self.origin.take()
            && is_quiet
        {
            self.alter.give_back(&origin);
        }
        if let Some(mut graft) = self.graft.take()
            && is_quiet
        {
            graft.give_back();
        }
        self.fetch.clear();
        self.alter.clear();
        is_quiet
    }
}
