//! Where ends may differ: the regions in which something isn't settled, and those that have changed since a
//! generation. Each change is made durable before what it protects. Knows no peers and no data.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use crate::generation::Lineage;
use crate::id::GenerationId;
use crate::region::RegionSet;

/// How many generations changes are tracked since. Of an older one everything is sent.
pub const TRACKED_MAX: usize = 8;

/// One change of the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogEntry {
    /// Something is about to be written in these.
    Heat(RegionSet),
    /// All that was written in these is durable at each holder.
    Cool(RegionSet),
    /// The generation is over: from now on changes since it are tracked.
    Track(GenerationId),
    /// A copy was received whose regions these are; they count as changed since every generation.
    Received(RegionSet),
}

/// The log as it is when its entries were applied in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegionLog {
    hot: RegionSet,
    tracked: BTreeMap<GenerationId, RegionSet>,
    /// The generations of `tracked`, oldest first.
    order: VecDeque<GenerationId>,
}

impl RegionLog {
    /// Regions in which ends of the same generation may differ after a crash.
    #[must_use]
    pub const fn hot(&self) -> &RegionSet {
        &self.hot
    }

    /// Regions that may differ from the content that a generation ended with; `None`: that isn't known.
    #[must_use]
    pub fn changed_since(&self, generation: GenerationId) -> Option<&RegionSet> {
        self.tracked.get(&generation)
    }

    /// The same for the end of a lineage's generation, where an older one that is tracked says it as well: what has
    /// changed since then is more.
    #[must_use]
    pub fn changed_in(&self, lineage: &Lineage, generation: GenerationId) -> Option<&RegionSet> {
        let generations = lineage.generations();
        let at = generations.iter().position(|it| it.id == generation)?;
        let older = generations.get(..=at)?.iter().rev();
        older.map(|it| it.id).find_map(|it| self.changed_since(it))
    }

    /// The generations that changes are tracked since, oldest first, with what has changed.
    pub fn tracked(&self) -> impl Iterator<Item = (GenerationId, &RegionSet)> {
        let known = |it: &GenerationId| self.tracked.get(it).map(|regions| (*it, regions));
        self.order.iter().filter_map(known)
    }

    /// One with these regions hot and these changes tracked, oldest first.
    #[must_use]
    pub fn with(
        hot: RegionSet,
        tracked: impl IntoIterator<Item = (GenerationId, RegionSet)>,
    ) -> Self {
        let mut log = Self {
            hot,
            ..Self::default()
        };
        for (generation, regions) in tracked {
            log.track(generation, regions);
        }
        log
    }

    /// Applies one change.
    pub fn apply(&mut self, entry: &LogEntry) {
        match entry {
            LogEntry::Heat(regions) => {
                self.hot.add(regions);
                self.changed(regions);
            }
            LogEntry::Cool(regions) => {
                for region in regions.iter() {
                    self.hot.remove(region);
                }
            }
            LogEntry::Track(generation) => {
                // What is hot may have changed after the generation ended, or before: so it counts.
                let hot = self.hot.clone();
                self.track(*generation, hot);
            }
            LogEntry::Received(regions) => self.changed(regions),
        }
    }

    fn changed(&mut self, regions: &RegionSet) {
        for tracked in self.tracked.values_mut() {
            tracked.add(regions);
        }
    }

    fn track(&mut self, generation: GenerationId, regions: RegionSet) {
        // Of a generation that is tracked already there is more, not less.
        if let Entry::Vacant(vacant) = self.tracked.entry(generation) {
            vacant.insert(regions);
            self.order.push_back(generation);
        }
        while self.order.len() > TRACKED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.tracked.remove(&oldest);
            }
        }
    }
}
