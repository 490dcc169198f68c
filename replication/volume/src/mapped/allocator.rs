//! Which blocks of which segments are in use, and when a freed one may be used again. Knows nothing
//! of what is in them.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{Address, AddressSet, SEGMENT_BLOCKS, SEGMENTS_MAX};
use super::format::allocation::{AllocationSlot, Bits, WORDS};
pub use super::format::table::SegmentKind;
use super::format::table::{SegmentRecord, mark};
use super::readings::{Reading, Readings};

/// A segment is written into again when at least one block in this many is free.
const WORTH_REUSING: u32 = 4;

/// After what a freed block may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// The flush with this number is done.
    AfterFlush(u64),
    /// The checkpoint with this sequence is durable.
    AfterCheckpoint(u64),
}

/// Blocks next to each other, all in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first.
    pub address: Address,
    /// How many, not zero.
    pub count: u32,
}

#[derive(Debug)]
struct Segment {
    kind: SegmentKind,
    used: u32,
    bits: Box<Bits>,
    /// Which of its two slots has what the last checkpoint wrote; `None` if none has.
    slot: Option<bool>,
    dirty: bool,
    /// Blocks in use by the checkpoint that was begun last.
    recorded: u32,
    /// Sequence of the slot that was written last.
    slot_sequence: u64,
}

impl Segment {
    fn new(kind: SegmentKind) -> Self {
        Self {
            kind,
            used: 0,
            bits: Box::new([0; WORDS]),
            slot: None,
            dirty: true,
            recorded: 0,
            slot_sequence: 0,
        }
    }

    fn bit(&mut self, index: u32) -> Option<(&mut u64, u64)> {
        let word = self.bits.get_mut(index as usize / 64)?;
        Some((word, 1 << (index % 64)))
    }

    fn get(&self, index: u32) -> bool {
        let word = self.bits.get(index as usize / 64).copied().unwrap_or(0);
        word & (1 << (index % 64)) != 0
    }

    /// True if it has changed.
    fn set(&mut self, index: u32, used: bool) -> bool {
        let Some((word, bit)) = self.bit(index) else {
            return false;
        };
        if (*word & bit != 0) == used {
            return false;
        }
        *word ^= bit;
        self.dirty = true;
        if used {
            self.used += 1;
        } else {
            self.used -= 1;
        }
        true
    }
}

/// Where new blocks of one kind come from.
#[derive(Debug, Default)]
struct Front {
    segment: Option<u32>,
    next: u32,
}

/// The blocks of a family.
#[derive(Debug, Default)]
pub struct Allocator {
    segments: BTreeMap<u32, Segment>,
    data: Front,
    nodes: Front,
    /// Freed, and not yet to be used again.
    after_flush: BTreeMap<u64, Vec<Address>>,
    after_checkpoint: BTreeMap<u64, Vec<Address>>,
    /// Given out for data that no map points to yet, or free but for somebody who still reads them: a checkpoint
    /// takes them for free.
    reserved: AddressSet,
    /// Those who read blocks, and the blocks that have become free meanwhile.
    readings: Readings<Vec<Address>>,
    /// Free again since somebody last asked.
    released: Vec<Address>,
    /// Segments that are no more since somebody last asked.
    gone: Vec<u32>,
    /// Blocks in use, waiting ones included.
    in_use: u64,
    /// Blocks that may be in use; more are refused.
    limit: Option<u64>,
}

/// A segment's bits for a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotWrite {
    /// Which segment.
    pub segment: u32,
    /// Into its second slot.
    pub second: bool,
    /// The bits.
    pub bits: Box<Bits>,
}

impl Allocator {
    /// Takes a segment over that the last checkpoint knew. If it is `dirty`, the next one writes its
    /// other slot, changed or not.
    pub fn load(
        &mut self,
        segment: u32,
        kind: SegmentKind,
        slot: AllocationSlot,
        second: bool,
        dirty: bool,
    ) {
        let AllocationSlot { sequence, bits } = slot;
        let used = bits.iter().map(|word| word.count_ones()).sum();
        self.in_use += u64::from(used);
        self.segments.insert(
            segment,
            Segment {
                kind,
                used,
                bits,
                slot: Some(second),
                dirty,
                recorded: used,
                slot_sequence: sequence,
            },
        );
    }

    /// At most so many blocks from now on; `None`: as many as there are.
    pub fn set_limit(&mut self, blocks: Option<u64>) {
        self.limit = blocks;
    }

    /// Blocks in use, and freed ones that may not be used again yet.
    #[must_use]
    pub fn in_use(&self) -> u64 {
        self.in_use
    }

    /// Blocks that were given out and that no map points to yet.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.reserved.len() as u64
    }

    /// Of those, blocks that wait for a flush.
    #[must_use]
    pub fn waiting_for_flush(&self) -> u64 {
        self.after_flush
            .values()
            .map(|freed| freed.len() as u64)
            .sum()
    }

    /// Freed blocks that may not be used again yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let waiting = self
            .after_flush
            .values()
            .chain(self.after_checkpoint.values());
        waiting.map(|freed| freed.len() as u64).sum()
    }

    /// All segments with what they are for and how many of their blocks are in use.
    pub fn segments(&self) -> impl Iterator<Item = (u32, SegmentKind, u32)> {
        self.segments
            .iter()
            .map(|(number, segment)| (*number, segment.kind, segment.used))
    }

    /// The last block in use of each segment that has one.
    #[must_use]
    pub fn last_used(&self) -> Vec<Address> {
        let last = |segment: &Segment| (0..SEGMENT_BLOCKS).rev().find(|at| segment.get(*at));
        let all = self.segments.iter();
        all.filter_map(|(number, segment)| Some(Address::of(*number, last(segment)?)))
            .collect()
    }

    /// Whether a block is in use, or freed and not free yet.
    #[must_use]
    pub fn is_used(&self, address: Address) -> bool {
        self.segments
            .get(&address.segment())
            .is_some_and(|segment| segment.get(address.index()))
    }

    /// Up to `count` new blocks next to each other; `None` when the limit is reached.
    pub fn allocate(&mut self, kind: SegmentKind, count: u32) -> Option<Run> {
        let room = match (kind, self.limit) {
            (SegmentKind::Data, Some(limit)) => limit.saturating_sub(self.in_use),
            // What describes the data may always be written, or nothing could ever be deleted.
            _ => u64::MAX,
        };
        let count = count.min(u32::try_from(room).unwrap_or(u32::MAX));
        if count == 0 {
            return None;
        }
        loop {
            let segment = match self.front(kind).segment {
                Some(segment) => segment,
                None => self.open_segment(kind)?,
            };
            let from = self.front(kind).next;
            let Some(found) = self.find_free(segment, from, count) else {
                *self.front(kind) = Front::default();
                continue;
            };
            self.front(kind).next = found.address.index() + found.count;
            for place in 0..found.count {
                let address = found.address.plus(u64::from(place));
                self.mark(address, kind);
                if kind == SegmentKind::Data {
                    self.reserved.insert(address);
                }
            }
            return Some(found);
        }
    }

    /// Marks a block as in use that the journal names.
    pub fn mark(&mut self, address: Address, kind: SegmentKind) {
        let segment = self
            .segments
            .entry(address.segment())
            .or_insert_with(|| Segment::new(kind));
        if segment.set(address.index(), true) {
            self.in_use += 1;
        }
    }

    /// A map points to a block that was given out.
    pub fn settle(&mut self, address: Address) {
        self.reserved.remove(&address);
    }

    /// A block that was given out isn't needed: nothing ever pointed to it.
    pub fn give_back(&mut self, address: Address) {
        if self.reserved.remove(&address) {
            self.release(vec![address]);
        }
    }

    /// A block is no longer pointed to.
    pub fn free(&mut self, address: Address, reuse: Reuse) {
        let waiting = match reuse {
            Reuse::AfterFlush(sequence) => self.after_flush.entry(sequence),
            Reuse::AfterCheckpoint(sequence) => self.after_checkpoint.entry(sequence),
        };
        waiting.or_default().push(address);
    }

    /// Takes back a block that recovery has freed and now finds used again.
    pub fn unfree(&mut self, address: Address) {
        for waiting in self
            .after_flush
            .values_mut()
            .chain(self.after_checkpoint.values_mut())
        {
            waiting.retain(|freed| *freed != address);
        }
    }

    /// The flush is done, and all before it.
    pub fn flush_is_durable(&mut self, sequence: u64) {
        let later = self.after_flush.split_off(&sequence.saturating_add(1));
        let due = std::mem::replace(&mut self.after_flush, later);
        due.into_values().for_each(|freed| self.retire(freed));
    }

    /// The checkpoint is durable.
    pub fn checkpoint_is_durable(&mut self, sequence: u64) {
        let later = self.after_checkpoint.split_off(&sequence.saturating_add(1));
        let due = std::mem::replace(&mut self.after_checkpoint, later);
        due.into_values().for_each(|freed| self.retire(freed));
    }

    /// Nothing that is freed from now on is given out again before [`Self::end_reading`].
    pub(crate) fn begin_reading(&mut self) -> Reading {
        self.readings.begin()
    }

    /// Whether something has become free by it.
    pub(crate) fn end_reading(&mut self, reading: Reading) -> bool {
        let due = self.readings.end(reading);
        let any = !due.is_empty();
        for freed in due {
            for address in &freed {
                self.reserved.remove(address);
            }
            self.release(freed);
        }
        any
    }

    /// Nobody points to these any more, durably.
    fn retire(&mut self, freed: Vec<Address>) {
        // In use, as far as the next one knows who wants a block.
        match self.readings.wait(freed) {
            Some(freed) => self.release(freed),
            None => {
                let waiting = self.readings.waiting().last();
                self.reserved.extend(waiting.into_iter().flatten());
            }
        }
    }

    /// What has become free, in order: its space can be given back to the file system. Nothing of it
    /// is given out before [`Self::emptied`].
    pub fn take_released(&mut self) -> Vec<Address> {
        let mut released = std::mem::take(&mut self.released);
        // Some may be in use again already, or be there twice.
        released.retain(|address| {
            let segment = self.segments.get_mut(&address.segment());
            let taken = segment.is_some_and(|segment| segment.set(address.index(), true));
            if taken {
                self.in_use += 1;
                self.reserved.insert(*address);
            }
            taken
        });
        released.sort_unstable();
        released
    }

    /// The free blocks of a segment, in order, as if they had just become free: what a crash left behind
    /// in them can be given back. As [`Self::take_released`].
    pub fn take_free(&mut self, number: u32) -> Vec<Address> {
        let Some(segment) = self.segments.get_mut(&number) else {
            return Vec::new();
        };
        let free: Vec<Address> = (0..SEGMENT_BLOCKS)
            .filter(|index| segment.set(*index, true))
            .map(|index| Address::of(number, index))
            .collect();
        self.in_use += free.len() as u64;
        self.reserved.extend(&free);
        free
    }

    /// What [`Self::take_released`] gave may be given out again.
    pub fn emptied(&mut self, addresses: &[Address]) {
        for address in addresses {
            if self.reserved.remove(address)
                && let Some(segment) = self.segments.get_mut(&address.segment())
                && segment.set(address.index(), false)
            {
                self.in_use -= 1;
            }
        }
    }

    /// The bits that have changed since the last call, for the checkpoint that is being made, as they
    /// are to be when it is durable: without what waits for it or for a flush before it.
    pub fn write_slots(&mut self, checkpoint: u64, flushes: u64) -> Vec<SlotWrite> {
        let freed = self.due(checkpoint, flushes);
        let mut writes = Vec::new();
        for (number, segment) in &mut self.segments {
            let freed = freed.get(number);
            if !segment.dirty && freed.is_none() {
                continue;
            }
            let mut bits = segment.bits.clone();
            for index in freed.into_iter().flatten() {
                if let Some(word) = bits.get_mut(*index as usize / 64) {
                    *word &= !(1 << (index % 64));
                }
            }
            let second = segment.slot == Some(false);
            segment.slot = Some(second);
            segment.slot_sequence = checkpoint;
            segment.dirty = freed.is_some();
            writes.push(SlotWrite {
                segment: *number,
                second,
                bits,
            });
        }
        writes
    }

    /// Blocks that count as free once this checkpoint and these flushes are durable.
    fn due(&self, checkpoint: u64, flushes: u64) -> BTreeMap<u32, BTreeSet<u32>> {
        let mut freed: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        let due = self.after_flush.range(..=flushes).map(|(_, freed)| freed);
        let by_checkpoint = self.after_checkpoint.range(..=checkpoint);
        let due = due.chain(by_checkpoint.map(|(_, freed)| freed)).flatten();
        for address in due.chain(&self.reserved) {
            freed
                .entry(address.segment())
                .or_default()
                .insert(address.index());
        }
        freed
    }

    /// All segments, with what they are for and how many of their blocks are in use once this
    /// checkpoint, which is being begun, and these flushes are durable.
    pub fn record(&mut self, checkpoint: u64, flushes: u64) -> Vec<(u32, SegmentRecord)> {
        let freed = self.due(checkpoint, flushes);
        let mut recorded = Vec::with_capacity(self.segments.len());
        for (number, segment) in &mut self.segments {
            let free = freed.get(number).map_or(0, BTreeSet::len);
            let free = u32::try_from(free).unwrap_or(u32::MAX);
            segment.recorded = segment.used.saturating_sub(free);
            let record = SegmentRecord {
                kind: segment.kind,
                used: segment.recorded,
                mark: mark(segment.slot_sequence),
            };
            recorded.push((*number, record));
        }
        recorded
    }

    /// One more than the highest number of a segment.
    #[must_use]
    pub fn numbers(&self) -> u32 {
        self.segments
            .last_key_value()
            .map_or(0, |(number, _)| number + 1)
    }

    fn release(&mut self, freed: Vec<Address>) {
        for address in freed {
            if let Some(segment) = self.segments.get_mut(&address.segment())
                && segment.set(address.index(), false)
            {
                self.in_use -= 1;
                self.released.push(address);
            }
        }
    }

    fn front(&mut self, kind: SegmentKind) -> &mut Front {
        match kind {
            SegmentKind::Data => &mut self.data,
            SegmentKind::Nodes => &mut self.nodes,
        }
    }

    /// The emptiest segment of this kind that is worth it, else a new one.
    fn open_segment(&mut self, kind: SegmentKind) -> Option<u32> {
        let worth = SEGMENT_BLOCKS - SEGMENT_BLOCKS / WORTH_REUSING;
        let emptiest = self
            .segments
            .iter()
            .filter(|(_, segment)| segment.kind == kind && segment.used <= worth)
            .min_by_key(|(_, segment)| segment.used)
            .map(|(number, _)| *number);
        let number = match emptiest {
            Some(number) => number,
            None => {
                let number = self.unused_number()?;
                self.segments.insert(number, Segment::new(kind));
                number
            }
        };
        *self.front(kind) = Front {
            segment: Some(number),
            next: 0,
        };
        Some(number)
    }

    fn unused_number(&self) -> Option<u32> {
        let mut number = 0;
        for known in self.segments.keys() {
            if *known != number {
                break;
            }
            number += 1;
        }
        (number < SEGMENTS_MAX).then_some(number)
    }

    /// The first free blocks of a segment from `from` on, as many as there are up to `count`.
    fn find_free(&self, segment: u32, from: u32, count: u32) -> Option<Run> {
        let bits = &self.segments.get(&segment)?.bits;
        let free = |index: u32| {
            let word = bits.get(index as usize / 64).copied().unwrap_or(u64::MAX);
            word & (1 << (index % 64)) == 0
        };
        let mut first = from;
        while first < SEGMENT_BLOCKS {
            let word = bits.get(first as usize / 64).copied().unwrap_or(u64::MAX);
            let ahead = (!word) >> (first % 64);
            if ahead == 0 {
                first = (first / 64 + 1) * 64;
                continue;
            }
            first += ahead.trailing_zeros();
            break;
        }
        if first >= SEGMENT_BLOCKS {
            return None;
        }
        let end = SEGMENT_BLOCKS.min(first.saturating_add(count));
        let length = (first..end).take_while(|index| free(*index)).count();
        Some(Run {
            address: Address::of(segment, first),
            count: u32::try_from(length).ok()?,
        })
    }

    /// Forgets segments that the checkpoint which has just become durable doesn't have.
    pub fn forget_empty(&mut self) {
        let fronts = [self.data.segment, self.nodes.segment];
        self.segments.retain(|number, segment| {
            let is_empty = segment.used == 0 && segment.recorded == 0;
            let gone = is_empty && !fronts.contains(&Some(*number));
            if gone {
                self.gone.push(*number);
            }
            !gone
        });
    }

    /// Segments that are no more: their files can be removed, unless they are there again.
    pub fn take_gone(&mut self) -> Vec<u32> {
        let mut gone = std::mem::take(&mut self.gone);
        gone.retain(|number| !self.segments.contains_key(number));
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_in_runs_and_go_on_in_another_segment() {
        let mut allocator = Allocator::default();
        let first = allocator.allocate(SegmentKind::Data, 100).unwrap();
        assert_eq!((first.address.get(), first.count), (0, 100));
        let second = allocator
            .allocate(SegmentKind::Data, SEGMENT_BLOCKS)
            .unwrap();
        assert_eq!(
            (second.address.get(), second.count),
            (100, SEGMENT_BLOCKS - 100)
        );
        let third = allocator.allocate(SegmentKind::Data, 1).unwrap();
        assert_eq!(third.address.segment(), 1);
        let node = allocator.allocate(SegmentKind::Nodes, 1).unwrap();
        assert_eq!(node.address.segment(), 2);
    }

    #[test]
    fn a_freed_block_is_used_again_only_when_its_flush_is_durable() {
        let mut allocator = Allocator::default();
        let run = allocator.allocate(SegmentKind::Data, 8).unwrap();
        allocator.free(run.address.plus(3), Reuse::AfterFlush(5));
        allocator.flush_is_durable(4);
        assert!(allocator.is_used(run.address.plus(3)));
        assert!(allocator.take_released().is_empty());
        allocator.flush_is_durable(5);
        assert!(!allocator.is_used(run.address.plus(3)));
        assert_eq!(allocator.in_use(), 7);
        let released = allocator.take_released();
        assert_eq!(released, [run.address.plus(3)]);
        assert!(allocator.is_used(run.address.plus(3)));
        allocator.emptied(&released);
        assert!(!allocator.is_used(run.address.plus(3)));
        assert!(allocator.take_released().is_empty());
        assert_eq!(allocator.in_use(), 7);
        let free = allocator.take_free(run.address.segment());
        assert_eq!(free.len(), SEGMENT_BLOCKS as usize - 7);
        assert_eq!(free.first(), Some(&run.address.plus(3)));
        allocator.emptied(&free);
        assert_eq!(allocator.in_use(), 7);
    }

    #[test]
    fn a_checkpoint_writes_the_slot_that_the_last_one_did_not() {
        let mut allocator = Allocator::default();
        let run = allocator.allocate(SegmentKind::Data, 2).unwrap();
        // Nobody points to them yet.
        assert_eq!(allocator.write_slots(1, 0)[0].bits[0], 0);
        allocator.settle(run.address);
        allocator.settle(run.address.plus(1));
        let first = allocator.write_slots(2, 0);
        assert_eq!(
            (first.len(), first[0].second, first[0].bits[0]),
            (1, true, 3)
        );
        assert!(allocator.write_slots(3, 0).is_empty());
        allocator.free(run.address, Reuse::AfterCheckpoint(4));
        let second = allocator.write_slots(4, 0);
        // On disk it is free with the checkpoint; in memory only when that is durable.
        assert_eq!((second[0].second, second[0].bits[0]), (false, 2));
        assert!(allocator.is_used(run.address));
        allocator.checkpoint_is_durable(4);
        assert!(!allocator.is_used(run.address));
    }

    #[test]
    fn the_limit_is_kept() {
        let mut allocator = Allocator::default();
        allocator.set_limit(Some(10));
        assert_eq!(allocator.allocate(SegmentKind::Data, 8).unwrap().count, 8);
        assert_eq!(allocator.allocate(SegmentKind::Data, 8).unwrap().count, 2);
        assert_eq!(allocator.allocate(SegmentKind::Data, 8), None);
    }
}
