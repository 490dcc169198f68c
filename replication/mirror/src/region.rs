//! Ranges of bytes of a volume, and sets of the regions that it is divided into.

use std::collections::BTreeMap;

/// Some bytes of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

impl Range {
    /// The byte behind the last one. Ranges that end behind `u64::MAX` end there.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }

    /// Whether the two have a byte in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.length != 0
            && other.length != 0
            && self.offset < other.end()
            && other.offset < self.end()
    }
}

/// A region, counted from the beginning of the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(pub u64);

/// Regions in a row: those of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// The first one.
    pub first: Region,
    /// The one behind the last.
    pub end: Region,
}

impl Run {
    /// In the order of the volume.
    pub fn iter(self) -> impl Iterator<Item = Region> {
        (self.first.0..self.end.0).map(Region)
    }
}

impl From<Region> for Run {
    fn from(region: Region) -> Self {
        Self {
            first: region,
            end: Region(region.0.saturating_add(1)),
        }
    }
}

/// How a volume is divided into regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Regions {
    /// Bytes of the volume.
    pub size: u64,
    /// Bytes of a region; the last one may be shorter. Never zero.
    region_bytes: u64,
}

impl Regions {
    /// A volume of `size` bytes in regions of `region_bytes` (at least one).
    #[must_use]
    pub const fn new(size: u64, region_bytes: u64) -> Self {
        let region_bytes = if region_bytes == 0 { 1 } else { region_bytes };
        Self { size, region_bytes }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.size.div_ceil(self.region_bytes)
    }

    /// All of them.
    #[must_use]
    pub fn all(self) -> RegionSet {
        let mut all = RegionSet::default();
        all.insert_run(0, self.count());
        all
    }

    /// The bytes of one.
    #[must_use]
    pub const fn range(self, region: Region) -> Range {
        let offset = region.0.saturating_mul(self.region_bytes);
        let left = self.size.saturating_sub(offset);
        let length = if left < self.region_bytes {
            left
        } else {
            self.region_bytes
        };
        Range { offset, length }
    }

    /// Those that a range touches.
    #[must_use]
    pub const fn run(self, range: Range) -> Run {
        let first = range.offset / self.region_bytes;
        let end = if range.length == 0 {
            first
        } else {
            range.end().div_ceil(self.region_bytes)
        };
        Run {
            first: Region(first),
            end: Region(end),
        }
    }

    /// The same, one by one.
    pub fn touched(self, range: Range) -> impl Iterator<Item = Region> {
        self.run(range).iter()
    }

    /// Whether a range lies inside the volume.
    #[must_use]
    pub const fn contains(self, range: Range) -> bool {
        match range.offset.checked_add(range.length) {
            Some(end) => end <= self.size,
            None => false,
        }
    }
}

/// A set of regions, kept as runs: a whole volume is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionSet {
    /// The first region of each run, and the one behind its last. Runs don't touch.
    runs: BTreeMap<u64, u64>,
    /// How many are in all runs: asked for at each write.
    count: u64,
}

impl RegionSet {
    /// Adds one; false if it was there.
    pub fn insert(&mut self, region: Region) -> bool {
        let is_new = !self.contains(region);
        if is_new {
            self.insert_run(region.0, region.0.saturating_add(1));
        }
        is_new
    }

    /// Adds all from `first` up to, and without, `end`.
    pub fn insert_run(&mut self, mut first: u64, mut end: u64) {
        if first >= end {
            return;
        }
        // Those that it overlaps or touches become part of it.
        while let Some((&start, &stop)) = self.runs.range(..=end).next_back()
            && stop >= first
        {
            self.runs.remove(&start);
            self.count -= stop - start;
            first = first.min(start);
            end = end.max(stop);
        }
        self.count += end - first;
        self.runs.insert(first, end);
    }

    /// Adds all of a run.
    pub fn add_run(&mut self, run: Run) {
        self.insert_run(run.first.0, run.end.0);
    }

    /// Takes one out; false if it wasn't there.
    pub fn remove(&mut self, region: Region) -> bool {
        let Some((start, stop)) = self.run_of(region) else {
            return false;
        };
        self.runs.remove(&start);
        self.count -= 1;
        if start < region.0 {
            self.runs.insert(start, region.0);
        }
        if region.0 + 1 < stop {
            self.runs.insert(region.0 + 1, stop);
        }
        true
    }

    fn run_of(&self, region: Region) -> Option<(u64, u64)> {
        let (start, stop) = self.runs.range(..=region.0).next_back()?;
        (*stop > region.0).then_some((*start, *stop))
    }

    /// Whether it is in.
    #[must_use]
    pub fn contains(&self, region: Region) -> bool {
        self.run_of(region).is_some()
    }

    /// Whether all of a run are in.
    #[must_use]
    pub fn has_all(&self, run: Run) -> bool {
        let holds = |(_, stop): (u64, u64)| stop >= run.end.0;
        run.first >= run.end || self.run_of(run.first).is_some_and(holds)
    }

    /// Whether any of a run is in.
    #[must_use]
    pub fn has_any(&self, run: Run) -> bool {
        let mut before = self.runs.range(..run.end.0);
        run.first < run.end
            && before
                .next_back()
                .is_some_and(|(_, stop)| *stop > run.first.0)
    }

    /// Adds all of another set.
    pub fn add(&mut self, other: &Self) {
        for (first, end) in other.runs() {
            self.insert_run(first, end);
        }
    }

    /// How many are in.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// In the order of the volume.
    pub fn iter(&self) -> impl Iterator<Item = Region> {
        self.runs()
            .flat_map(|(first, end)| (first..end).map(Region))
    }

    /// Its runs: the first region of each, and the one behind its last.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().map(|(first, end)| (*first, *end))
    }

    /// How many runs there are.
    #[must_use]
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// The region behind the last one; 0 if there is none.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.runs.last_key_value().map_or(0, |(_, end)| *end)
    }

    /// A set of at most so many runs (at least one) that has all of these in it, and few others.
    #[must_use]
    pub fn within(&self, runs_max: usize) -> Self {
        let mut set = self.clone();
        let mut gap = 1;
        while set.runs.len() > runs_max.max(1) {
            let mut merged = Self::default();
            let mut open: Option<(u64, u64)> = None;
            for (first, end) in set.runs() {
                open = Some(match open {
                    Some((start, stop)) if first - stop <= gap => (start, end),
                    Some((start, stop)) => {
                        merged.insert_run(start, stop);
                        (first, end)
                    }
                    None => (first, end),
                });
            }
            if let Some((first, end)) = open {
                merged.insert_run(first, end);
            }
            set = merged;
            gap = gap.saturating_mul(2);
        }
        set
    }
}

impl FromIterator<Region> for RegionSet {
    fn from_iter<I: IntoIterator<Item = Region>>(regions: I) -> Self {
        let mut set = Self::default();
        for region in regions {
            set.insert(region);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_of_runs_is_a_set(changes in prop::collection::vec((any::<bool>(), 0_u64..40), 0..80)) {
            let mut runs = RegionSet::default();
            let mut plain = BTreeSet::new();
            for (inserts, number) in changes {
                if inserts {
                    prop_assert_eq!(runs.insert(Region(number)), plain.insert(number));
                } else {
                    prop_assert_eq!(runs.remove(Region(number)), plain.remove(&number));
                }
                prop_assert_eq!(runs.len(), plain.len() as u64);
                for (first, length) in [(number, 0), (number, 1), (number, 3), (number / 2, 9)] {
                    let run = Run { first: Region(first), end: Region(first + length) };
                    prop_assert_eq!(runs.has_all(run), run.iter().all(|it| plain.contains(&it.0)));
                    prop_assert_eq!(runs.has_any(run), run.iter().any(|it| plain.contains(&it.0)));
                }
            }
            let listed: Vec<u64> = runs.iter().map(|it| it.0).collect();
            prop_assert_eq!(&listed, &plain.iter().copied().collect::<Vec<_>>());
            // Equal sets are equal, however they came about.
            prop_assert_eq!(&runs, &plain.iter().rev().map(|it| Region(*it)).collect());
            for runs_max in 1..5 {
                let coarser = runs.within(runs_max);
                prop_assert!(coarser.run_count() <= runs_max);
                prop_assert!(plain.iter().all(|it| coarser.contains(Region(*it))));
                prop_assert!(coarser.end() == runs.end());
            }
        }
    }
}
