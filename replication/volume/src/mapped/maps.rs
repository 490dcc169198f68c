//! The maps of datasets: looking blocks up, changing ranges, and what becomes of what was there
//! before. Knows no datasets, only roots and who owns what.

use smallvec::SmallVec;

use super::address::{Address, Epoch};
use super::allocator::{Allocator, Reuse, SegmentKind};
use super::dataset::Floor;
use super::entry::{Entries, Entry, FANOUT, Place};
use super::format::dead::{Dead, DeadPlace};
use super::nodes::{Missing, Nodes};
use super::readings::Readings;

/// A stretch of a dataset in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first block.
    pub first: u64,
    /// How many blocks; one, where they are in a segment.
    pub count: u64,
    /// Where.
    pub entry: Entry,
}

/// Stretches in order, without gaps.
pub type Stretches = SmallVec<[Stretch; 4]>;

/// Blocks of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRange {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
}

impl BlockRange {
    pub(crate) fn end(self) -> u64 {
        self.first.saturating_add(self.count)
    }

    pub(crate) fn overlaps(self, first: u64, count: u64) -> bool {
        self.first < first.saturating_add(count) && first < self.end()
    }

    pub(crate) fn covers(self, first: u64, count: u64) -> bool {
        self.first <= first && first.saturating_add(count) <= self.end()
    }
}

/// What a range becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    /// The same for all of it.
    Uniform(Place),
    /// Blocks in a segment, one behind the other, with the CRC of each.
    Blocks { address: Address, crcs: &'a [u32] },
}

/// No place for another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A map for the time of a change, and what the change leaves behind.
pub(crate) struct Target<'a> {
    pub(crate) root: &'a mut Entry,
    pub(crate) level: u8,
    pub(crate) floor: Floor,
    /// What was the dataset's own by the last checkpoint already.
    pub(crate) settled: Floor,
    /// What died that isn't the dataset's own.
    pub(crate) dead: &'a mut Vec<Dead>,
}

/// What a change of a range needs.
#[derive(Clone, Copy)]
struct Wanted {
    floor: Floor,
    range: BlockRange,
    uniform: bool,
}

/// The nodes and blocks of a family.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    pub(crate) nodes: Nodes,
    pub(crate) allocator: Allocator,
    pub(crate) epoch: Epoch,
    /// The flush that makes durable what is changed now.
    pub(crate) flush: u64,
    /// The checkpoint that is to be begun next.
    pub(crate) checkpoint: u64,
    /// Blocks of the home file that nobody points to any more, and when that is durable.
    pub(crate) home_freed: Vec<(Reuse, BlockRange)>,
    /// The same when that was durable while somebody read: they wait for his end.
    pub(crate) home_readings: Readings<Vec<BlockRange>>,
    /// Those that have waited for it, and that nobody has taken yet.
    pub(crate) home_given: Vec<BlockRange>,
}

impl Maps {
    /// Adds where the blocks of a range are.
    pub(crate) fn lookup(
        &self,
        root: Entry,
        level: u8,
        range: BlockRange,
        found: &mut Stretches,
    ) -> Result<(), Missing> {
        self.look(root, level, 0, range, found)
    }

    fn look(
        &self,
        entry: Entry,
        level: u8,
        base: u64,
        range: BlockRange,
        found: &mut Stretches,
    ) -> Result<(), Missing> {
        let span = Entry::span(level);
        if let Place::Node { address, crc } = entry.place {
            let entries = self.nodes.get(address, crc, level)?;
            let below = Entry::span(level - 1);
            for (first, child) in children(entries, base, below, range) {
                self.look(*child, level - 1, first, range, found)?;
            }
            return Ok(());
        }
        let first = base.max(range.first);
        let count = base.saturating_add(span).min(range.end()) - first;
        match found.last_mut() {
            Some(last) if entry.is_uniform() && last.entry == entry => last.count += count,
            _ => found.push(Stretch {
                first,
                count,
                entry,
            }),
        }
        Ok(())
    }

    /// Makes sure that a change of this range finds everything in memory that it needs, so that it
    /// can't stop half-way.
    pub(crate) fn prepare(
        &self,
        root: Entry,
        level: u8,
        floor: Floor,
        range: BlockRange,
        uniform: bool,
    ) -> Result<(), Missing> {
        let wanted = Wanted {
            floor,
            range,
            uniform,
        };
        self.find(root, level, 0, wanted)
    }

    fn find(&self, entry: Entry, level: u8, base: u64, wanted: Wanted) -> Result<(), Missing> {
        let Wanted {
            floor,
            range,
            uniform,
        } = wanted;
        let Place::Node { address, crc } = entry.place else {
            return Ok(());
        };
        let span = Entry::span(level);
        // What is dropped as a whole is looked into only if it is the dataset's own.
        if uniform && range.covers(base, span) && !floor.owns(entry.birth) {
            return Ok(());
        }
        let entries = self.nodes.get(address, crc, level)?;
        if level > 1 {
            let below = Entry::span(level - 1);
            for (first, child) in children(entries, base, below, range) {
                self.find(*child, level - 1, first, wanted)?;
            }
        }
        Ok(())
    }

    /// Changes a range, all of it or nothing: [`Self::prepare`] comes first.
    pub(crate) fn change(
        &mut self,
        target: &mut Target<'_>,
        range: BlockRange,
        change: Change<'_>,
    ) -> Result<(), Full> {
        let (root, level) = (*target.root, target.level);
        *target.root = self.alter(target, root, level, 0, range, change)?;
        Ok(())
    }

    fn alter(
        &mut self,
        target: &mut Target<'_>,
        entry: Entry,
        level: u8,
        base: u64,
        range: BlockRange,
        change: Change<'_>,
    ) -> Result<Entry, Full> {
        let span = Entry::span(level);
        if range.covers(base, span) {
            match change {
                Change::Uniform(place) => {
                    if entry.place != place {
                        self.bury(target, entry, level, base);
                    } else if level > 0 || entry.birth == self.epoch {
                        return Ok(entry);
                    }
                    let birth = self.epoch;
                    return Ok(Entry { place, birth });
                }
                Change::Blocks { address, crcs } if level == 0 => {
                    let at = base - range.first;
                    let crc = usize::try_from(at).ok().and_then(|at| crcs.get(at));
                    let place = Place::Block {
                        address: address.plus(at),
                        crc: crc.copied().unwrap_or_default(),
                    };
                    self.bury(target, entry, level, base);
                    let birth = self.epoch;
                    return Ok(Entry { place, birth });
                }
                Change::Blocks { .. } => {}
            }
        }
        let address = self.writable(target, entry, level)?;
        let below = Entry::span(level - 1);
        let indices = overlapped(base, below, range);
        for index in indices {
            let Some(child) = self.child(address, index) else {
                continue;
            };
            let first = base + index as u64 * below;
            let changed = self.alter(target, child, level - 1, first, range, change)?;
            if let Some(place) = self
                .nodes
                .change(address)
                .and_then(|entries| entries.get_mut(index))
            {
                *place = changed;
            }
        }
        Ok(self.collapsed(address, level))
    }

    fn child(&mut self, address: Address, index: usize) -> Option<Entry> {
        self.nodes.change(address)?.get(index).copied()
    }

    /// The node of an entry in a form that may be changed: itself, a copy, or a new one.
    fn writable(
        &mut self,
        target: &mut Target<'_>,
        entry: Entry,
        level: u8,
    ) -> Result<Address, Full> {
        let entries = match entry.place {
            Place::Node { address, crc } => {
                if entry.birth == self.epoch && self.nodes.change(address).is_some() {
                    self.nodes.touch(address);
                    return Ok(address);
                }
                // `prepare` has seen to it that the node is here.
                let entries = self.nodes.get(address, crc, level).map_err(|_| Full)?;
                Box::new(*entries)
            }
            _ => Box::new([entry; FANOUT]),
        };
        let run = self.allocator.allocate(SegmentKind::Nodes, 1).ok_or(Full)?;
        if let Place::Node { address, .. } = entry.place {
            self.bury_node(target, address, entry.birth);
        }
        self.nodes.insert(run.address, level, entries);
        Ok(run.address)
    }

    /// The entry for a node that was changed: itself, or what all its entries are.
    fn collapsed(&mut self, address: Address, level: u8) -> Entry {
        let node = Entry {
            place: Place::Node { address, crc: 0 },
            birth: self.epoch,
        };
        let Ok(entries) = self.nodes.get(address, 0, level) else {
            return node;
        };
        let Some(first) = entries.first().copied() else {
            return node;
        };
        // Holes are alike whenever they came to be; blocks at home are somebody's by their birth.
        let alike = |entry: &Entry| match first.place {
            Place::Hole => entry.place == Place::Hole,
            Place::Home => *entry == first,
            _ => false,
        };
        if !entries.iter().all(alike) {
            return node;
        }
        let birth = entries.iter().map(|entry| entry.birth).max();
        self.free_node(address);
        Entry {
            birth: birth.unwrap_or(first.birth),
            ..first
        }
    }

    /// What was at a place isn't there any more, with all that is below it.
    fn bury(&mut self, target: &mut Target<'_>, entry: Entry, level: u8, base: u64) {
        let own = target.floor.owns(entry.birth);
        match entry.place {
            Place::Hole => {}
            Place::Home => self.bury_home(target, entry.birth, base, Entry::span(level)),
            Place::Block { address, .. } if own => {
                let reuse = self.reuse(target, entry.birth);
                self.allocator.free(address, reuse);
            }
            Place::Block { address, .. } => target.dead.push(Dead {
                what: DeadPlace::Block(address),
                birth: entry.birth,
            }),
            Place::Node { address, crc } if own => {
                let below = Entry::span(level - 1);
                let entries = self.nodes.get(address, crc, level).copied();
                for (index, child) in entries.iter().flatten().enumerate() {
                    self.bury(target, *child, level - 1, base + index as u64 * below);
                }
                self.free_node(address);
            }
            Place::Node { address, crc } => target.dead.push(Dead {
                what: DeadPlace::Tree {
                    first: base,
                    address,
                    crc,
                    level,
                },
                birth: entry.birth,
            }),
        }
    }

    fn bury_home(&mut self, target: &mut Target<'_>, birth: Epoch, first: u64, count: u64) {
        if target.floor.owns(birth) {
            let reuse = self.reuse(target, birth);
            self.home_freed.push((reuse, BlockRange { first, count }));
            return;
        }
        let mut first = first;
        let mut left = count;
        while left > 0 {
            let count = u32::try_from(left).unwrap_or(u32::MAX);
            target.dead.push(Dead {
                what: DeadPlace::Home { first, count },
                birth,
            });
            first += u64::from(count);
            left -= u64::from(count);
        }
    }

    /// What belongs to the dataset only since a snapshot was deleted must be there as long as the
    /// deletion might be undone by a crash.
    fn reuse(&self, target: &Target<'_>, birth: Epoch) -> Reuse {
        if target.settled.owns(birth) {
            Reuse::AfterFlush(self.flush)
        } else {
            Reuse::AfterCheckpoint(self.checkpoint)
        }
    }

    /// Blocks of the home file are somebody's again.
    pub(crate) fn keep_home(&mut self, kept: BlockRange) {
        let freed = std::mem::take(&mut self.home_freed);
        for (reuse, range) in freed {
            if !range.overlaps(kept.first, kept.count) {
                self.home_freed.push((reuse, range));
                continue;
            }
            let before = kept.first.saturating_sub(range.first);
            let after = range.end().saturating_sub(kept.end());
            for (first, count) in [(range.first, before), (kept.end(), after)] {
                if count > 0 {
                    self.home_freed.push((reuse, BlockRange { first, count }));
                }
            }
        }
    }

    /// A node was copied: its entries live on in the copy.
    fn bury_node(&mut self, target: &mut Target<'_>, address: Address, birth: Epoch) {
        if target.floor.owns(birth) {
            self.free_node(address);
        } else {
            target.dead.push(Dead {
                what: DeadPlace::Node(address),
                birth,
            });
        }
    }

    /// A node is nobody's any more. The last checkpoint may still need it.
    pub(crate) fn free_node(&mut self, address: Address) {
        self.nodes.remove(address);
        let reuse = Reuse::AfterCheckpoint(self.checkpoint);
        self.allocator.free(address, reuse);
    }
}

/// The entries of a node that overlap a range, with the first block of each.
fn children(
    entries: &Entries,
    base: u64,
    below: u64,
    range: BlockRange,
) -> impl Iterator<Item = (u64, &Entry)> {
    let indices = overlapped(base, below, range);
    let first = indices.start;
    entries
        .get(indices)
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(move |(index, entry)| (base + (first + index) as u64 * below, entry))
}

/// The indices of the entries of a node that overlap a range.
fn overlapped(base: u64, below: u64, range: BlockRange) -> std::ops::Range<usize> {
    let index = |block: u64| usize::try_from(block.saturating_sub(base) / below).unwrap_or(FANOUT);
    let start = index(range.first).min(FANOUT);
    let end = if range.end() <= base {
        0
    } else {
        index(range.end() - 1).saturating_add(1).min(FANOUT)
    };
    start..end.max(start)
}
