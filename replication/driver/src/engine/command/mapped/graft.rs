//! Copying blocks of one volume to another inside the file system, which shares their space if it can: from
//! wherever the source has them to new blocks of the target, or to its file. The target's map has all of them at
//! one moment, as with a write, and each block keeps one owner.
//!
//! Blocks of the source that have a checksum keep it. What its map shows stays as it is while this lasts
//! ([`Reading`]). What has none, in a raw file or a home file, is summed up there if nobody changes it meanwhile, and
//! as it has arrived if somebody may. Whatever goes wrong:
//! no map has changed, and whoever asked reads and writes instead, which will tell him what is the matter.

use std::sync::Arc;

use smallvec::SmallVec;
use tidelock_block::{BlockError, BlockFile, OpKind, Sums};
use tidelock_volume::mapped::{Address, BlockRange, Place, Run, Stretch, Stretches};

use super::fetch::run_length;
use super::{BLOCK, Next, Origin, Stop};
use crate::family::{Change, Family, Home, Reading};
use crate::op::VolumeFaultKind;
use crate::volume::Volume;

/// Requests of one copy; where blocks are more scattered than that, copying them is the better way.
const PARTS_MAX: usize = 32;

/// One end of a copy.
#[derive(Debug)]
pub(super) enum End {
    Mapped(Origin),
    Raw(Arc<BlockFile>),
}

impl End {
    fn of(volume: &Volume) -> Self {
        match volume.mapped() {
            None => Self::Raw(Arc::clone(volume.file())),
            Some(mapped) => Self::Mapped(Origin {
                family: mapped.family,
                dataset: mapped.dataset,
                bytes: volume.size(),
            }),
        }
    }

    fn family(&self) -> Option<&Arc<Family>> {
        match self {
            Self::Mapped(origin) => Some(&origin.family),
            Self::Raw(_) => None,
        }
    }
}

/// A copy.
#[derive(Debug)]
pub(super) struct Graft {
    source: End,
    /// What the map of the source shows stays as it is.
    _reading: Option<Reading>,
    /// Nobody changes the source meanwhile: it is mapped, or its range has been had for nobody else.
    stable: bool,
    target: End,
    /// Of the source.
    from: BlockRange,
    /// The first block of the target.
    to: u64,
    phase: Phase,
    parts: SmallVec<[Part; 2]>,
    /// The next one to be issued.
    next: usize,
    /// Blocks that the target's map doesn't point to.
    taken: SmallVec<[Run; 2]>,
    /// Those of them that it never will point to: they are zeros.
    unused: SmallVec<[Run; 2]>,
    changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Look,
    Copy,
    Commit,
    Done,
}

/// What one request copies.
#[derive(Debug)]
struct Part {
    /// In the target.
    first: u64,
    count: u64,
    /// Where it comes from; `None`: zeros.
    from: Option<(Arc<BlockFile>, u64)>,
    to: (Arc<BlockFile>, u64),
    /// Where that is in the segments of the target, if it has some.
    address: Option<Address>,
    /// The checksums, where the source has them.
    crcs: Option<SmallVec<[u32; 8]>>,
    /// Nobody changes the source meanwhile.
    stable: bool,
}

/// Blocks of the source that are behind one another, or zeros.
struct Piece {
    first: u64,
    count: u64,
    from: Option<(Arc<BlockFile>, u64)>,
    crcs: Option<SmallVec<[u32; 8]>>,
}

impl Graft {
    /// Of whole blocks, of a source to which nobody writes meanwhile if it is `alone`.
    pub(super) fn new(
        (source, alone): (&Volume, bool),
        from: BlockRange,
        target: &Volume,
        to: u64,
    ) -> Self {
        let source = End::of(source);
        Self {
            stable: alone || source.family().is_some(),
            _reading: source.family().map(Family::begin_reading),
            source,
            target: End::of(target),
            from,
            to,
            phase: Phase::Look,
            parts: SmallVec::new(),
            next: 0,
            taken: SmallVec::new(),
            unused: SmallVec::new(),
            changes: Vec::new(),
        }
    }

    /// The family whose page is missing, if one is.
    pub(super) fn asks(&self) -> Option<&Arc<Family>> {
        match self.phase {
            Phase::Look => self.source.family(),
            _ => self.target.family(),
        }
    }

    /// The family of the target.
    pub(super) fn family(&self) -> Option<&Arc<Family>> {
        self.target.family()
    }

    /// What was allocated and isn't in the map goes back.
    pub(super) fn give_back(&mut self) {
        if let Some(family) = self.target.family()
            && !self.taken.is_empty()
        {
            family.give_back(&self.taken);
        }
        self.taken.clear();
    }

    /// What it wants next; `None`: it is done.
    pub(super) fn next(&mut self, may_issue: bool, quiet: bool) -> Result<Option<Next>, Stop> {
        loop {
            match self.phase {
                Phase::Look => {
                    if self.family().is_some_and(|family| family.is_tight()) {
                        return Err(Stop::Room);
                    }
                    for piece in self.look()? {
                        self.add(piece)?;
                    }
                    self.phase = Phase::Copy;
                }
                Phase::Copy => {
                    if let Some(part) = self.parts.get(self.next) {
                        if !may_issue {
                            return Ok(Some(Next::Wait));
                        }
                        let (file, op) = (Arc::clone(&part.to.0), part.op());
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
                    if !quiet {
                        return Ok(Some(Next::Wait));
                    }
                    self.phase = Phase::Commit;
                }
                Phase::Commit => {
                    if let End::Mapped(origin) = &self.target {
                        origin.family.commit(origin.dataset, &self.changes)?;
                        // All others are in the map now.
                        self.taken = std::mem::take(&mut self.unused);
                        self.give_back();
                    }
                    self.phase = Phase::Done;
                }
                Phase::Done => return Ok(None),
            }
        }
    }

    /// What there is to copy, in order.
    fn look(&self) -> Result<Vec<Piece>, Stop> {
        let BlockRange { first, count } = self.from;
        match &self.source {
            End::Raw(file) => Ok(vec![Piece {
                first: self.to,
                count,
                from: Some((Arc::clone(file), first * BLOCK)),
                crcs: None,
            }]),
            End::Mapped(origin) => {
                let mut stretches = Stretches::new();
                let home = origin.locate(self.from, &mut stretches)?;
                self.pieces(origin, home, &stretches)
            }
        }
    }

    fn pieces(&self, origin: &Origin, home: Home, found: &[Stretch]) -> Result<Vec<Piece>, Stop> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(stretch) = found.get(at).copied() {
            let there = stretch.first.saturating_sub(self.from.first) + self.to;
            let mut add = |behind: u64, count: u64, from| {
                if count > 0 {
                    pieces.push(Piece {
                        first: there + behind,
                        count,
                        from,
                        crcs: None,
                    });
                }
            };
            let mut stretches = 1;
            match stretch.entry.place {
                Place::Hole => add(0, stretch.count, None),
                Place::Home => {
                    let offset = stretch.first * BLOCK;
                    let bytes = home.bytes.saturating_sub(offset);
                    let own = (bytes / BLOCK).min(stretch.count);
                    if own < stretch.count && !bytes.is_multiple_of(BLOCK) {
                        // The end of the home file is inside of a block.
                        return Err(VolumeFaultKind::Hardware.into());
                    }
                    let file = origin.family.home_file();
                    let file = file.ok_or(VolumeFaultKind::Hardware)?;
                    add(0, own, Some((Arc::clone(file), offset)));
                    add(own, stretch.count - own, None);
                }
                Place::Block { address, .. } => {
                    let rest = found.get(at..).unwrap_or_default();
                    stretches = run_length(rest, address);
                    let crcs =
                        rest.iter()
                            .take(stretches)
                            .map(|stretch| match stretch.entry.place {
                                Place::Block { crc, .. } => crc,
                                _ => 0,
                            });
                    pieces.push(Piece {
                        first: there,
                        count: stretches as u64,
                        from: Some(origin.family.place(address)?),
                        crcs: Some(crcs.collect()),
                    });
                }
                Place::Node { .. } => return Err(VolumeFaultKind::Hardware.into()),
            }
            at += stretches;
        }
        if pieces.len() > PARTS_MAX {
            return Err(VolumeFaultKind::TooLarge.into());
        }
        Ok(pieces)
    }

    /// Finds places for a piece.
    fn add(&mut self, piece: Piece) -> Result<(), Stop> {
        let Piece {
            mut first,
            count,
            from,
            mut crcs,
        } = piece;
        let family = match &self.target {
            End::Raw(file) => {
                let to = (Arc::clone(file), first * BLOCK);
                self.parts.push(Part {
                    first,
                    count,
                    from,
                    to,
                    address: None,
                    crcs,
                    stable: self.stable,
                });
                return Ok(());
            }
            End::Mapped(origin) => Arc::clone(&origin.family),
        };
        let Some((file, mut offset)) = from else {
            self.changes.push(Change::Zero(BlockRange { first, count }));
            return Ok(());
        };
        let count = u32::try_from(count).map_err(|_| VolumeFaultKind::TooLarge)?;
        for run in family.allocate(count)? {
            self.taken.push(run);
            let count = run.count as usize;
            let crcs = crcs.as_mut().map(|crcs| crcs.drain(..count).collect());
            self.parts.push(Part {
                first,
                count: run.count.into(),
                from: Some((Arc::clone(&file), offset)),
                to: family.place(run.address)?,
                address: Some(run.address),
                crcs,
                stable: self.stable,
            });
            first += u64::from(run.count);
            offset += u64::from(run.count) * BLOCK;
        }
        Ok(())
    }

    pub(super) fn landed(&mut self, part: u32, op: OpKind, result: Result<(), BlockError>) -> bool {
        if let Err(error) = result {
            tracing::debug!(%error, "blocks can't be copied inside the file system");
            return false;
        }
        let Some(part) = self.parts.get_mut(part as usize) else {
            return false;
        };
        let Some(address) = part.address else {
            return true;
        };
        if let Some(crcs) = part.crcs.take() {
            self.changes.push(Change::Map {
                first: part.first,
                address,
                crcs,
            });
            return true;
        }
        let OpKind::CopyFrom {
            sums: Sums::Wanted { found: sums, .. },
            ..
        } = op
        else {
            return false;
        };
        if sums.len() as u64 != part.count {
            return false;
        }
        let mut at = 0;
        for same in sums.chunk_by(|one, next| one.is_zero == next.is_zero) {
            let is_zero = same.first().is_some_and(|sum| sum.is_zero);
            let (first, count) = (part.first + at, same.len() as u64);
            let address = address.plus(at);
            self.changes.push(if is_zero {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                self.unused.push(Run { address, count });
                Change::Zero(BlockRange {
                    first,
                    count: count.into(),
                })
            } else {
                Change::Map {
                    first,
                    address,
                    crcs: same.iter().map(|sum| sum.crc32c).collect(),
                }
            });
            at += count;
        }
        true
    }
}

impl Part {
    fn op(&self) -> OpKind {
        let (offset, length) = (self.to.1, self.count * BLOCK);
        let Some((source, source_offset)) = &self.from else {
            return OpKind::PunchHole { offset, length };
        };
        let sums = match (&self.crcs, self.address) {
            // Whoever reads it there finds out by the checksum that it is damaged.
            (Some(_), Some(_)) => Sums::Unwanted,
            // There nobody would.
            (Some(crcs), None) => Sums::Expected(crcs.to_vec()),
            (None, Some(_)) => Sums::Wanted {
                found: Vec::with_capacity(self.count.min(1 << 10) as usize),
                stable: self.stable,
            },
            (None, None) => Sums::Unwanted,
        };
        OpKind::CopyFrom {
            source: Arc::clone(source),
            source_offset: *source_offset,
            offset,
            length,
            sums,
        }
    }
}
