//! What differs between two datasets of a family, without looking at what they share.

use super::address::DatasetId;
use super::dataset::level_for;
use super::entry::{Entries, Entry, FANOUT, Place};
use super::family::{Family, FamilyError};
use super::maps::BlockRange;
use super::nodes::Missing;

impl Family {
    /// The ranges of `within` in which two datasets may differ, in order and joined. What they share
    /// isn't among them; a block that was written with the same bytes again is.
    ///
    /// # Errors
    /// No such dataset, or a page is missing.
    pub fn diff(
        &self,
        one: DatasetId,
        other: DatasetId,
        within: BlockRange,
    ) -> Result<Vec<BlockRange>, FamilyError> {
        let (one, other) = (self.dataset(one)?, self.dataset(other)?);
        let level = level_for(one.record.blocks.max(other.record.blocks));
        let end = one.record.blocks.max(other.record.blocks);
        let mut differ = Vec::new();
        let within = BlockRange {
            first: within.first,
            count: within.end().min(end).saturating_sub(within.first),
        };
        if within.count > 0 {
            let mut walk = Walk {
                family: self,
                within,
                differ: &mut differ,
            };
            let raise = |record: &super::format::table::DatasetRecord| Side {
                entry: record.root,
                level: level_for(record.blocks),
            };
            walk.compare(raise(&one.record), raise(&other.record), level, 0)?;
        }
        Ok(differ)
    }
}

/// An entry, which may be of a lower level than the place at which it is looked at.
#[derive(Clone, Copy)]
struct Side {
    entry: Entry,
    level: u8,
}

struct Walk<'a> {
    family: &'a Family,
    within: BlockRange,
    differ: &'a mut Vec<BlockRange>,
}

impl Walk<'_> {
    fn compare(&mut self, one: Side, other: Side, level: u8, base: u64) -> Result<(), Missing> {
        let span = Entry::span(level);
        if !self.within.overlaps(base, span) || same(one, other) {
            return Ok(());
        }
        let is_node = |side: Side| matches!(side.entry.place, Place::Node { .. });
        if level == 0 || (!is_node(one) && !is_node(other)) {
            self.differs(base, span);
            return Ok(());
        }
        let (ones, others) = (self.below(one, level)?, self.below(other, level)?);
        let below = Entry::span(level - 1);
        for (index, (one, other)) in ones.into_iter().zip(others).enumerate() {
            self.compare(one, other, level - 1, base + index as u64 * below)?;
        }
        Ok(())
    }

    /// What there is one level below.
    fn below(&self, side: Side, level: u8) -> Result<Vec<Side>, Missing> {
        let Side { entry, level: own } = side;
        if own < level {
            // It is smaller: the rest is nothing.
            let hole = Side {
                entry: Entry {
                    place: Place::Hole,
                    ..entry
                },
                level: level - 1,
            };
            let mut all = vec![hole; FANOUT];
            if let Some(first) = all.first_mut() {
                *first = side;
            }
            return Ok(all);
        }
        let entries: Entries = match entry.place {
            Place::Node { address, crc } => *self.family.maps.nodes.get(address, crc, level)?,
            _ => [entry; FANOUT],
        };
        let level = level - 1;
        Ok(entries
            .into_iter()
            .map(|entry| Side { entry, level })
            .collect())
    }

    fn differs(&mut self, base: u64, span: u64) {
        let first = base.max(self.within.first);
        let end = base.saturating_add(span).min(self.within.end());
        match self.differ.last_mut() {
            Some(last) if last.end() == first => last.count += end - first,
            _ => self.differ.push(BlockRange {
                first,
                count: end - first,
            }),
        }
    }
}

fn same(one: Side, other: Side) -> bool {
    match (one.entry.place, other.entry.place) {
        (Place::Hole, Place::Hole) => true,
        (Place::Block { address: one, .. }, Place::Block { address: other, .. }) => one == other,
        (Place::Node { address: a, .. }, Place::Node { address: b, .. }) => {
            a == b && one.level == other.level
        }
        _ => one.entry == other.entry && one.level == other.level,
    }
}
