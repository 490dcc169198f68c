//! Whether every block of a family has exactly one owner, and nothing is in use without one.

use std::collections::HashMap;
use std::fmt;

use super::address::{Address, DatasetId};
use super::dataset::{Floor, level_for};
use super::entry::{Entry, Place};
use super::family::{Family, FamilyError};
use super::format::dead::DeadPlace;

/// Findings of one kind that are named.
const NAMED_MAX: usize = 100;

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Blocks of segments that have an owner.
    pub owned: u64,
    /// What is wrong; empty if nothing is. At most some hundred findings are named.
    pub findings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Two entries own one block.
    OwnedTwice(Address, DatasetId),
    /// A block has an owner but doesn't count as in use.
    NotInUse(Address, DatasetId),
    /// Blocks are in use and have no owner.
    Leaked(u64),
    /// Something is older or younger than it can be.
    Birth(DatasetId),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnedTwice(address, by) => write!(f, "{address} has two owners; {by} is one"),
            Self::NotInUse(address, by) => {
                write!(f, "{address} belongs to {by} but counts as free")
            }
            Self::Leaked(blocks) => write!(f, "{blocks} blocks are in use by nobody"),
            Self::Birth(dataset) => write!(f, "{dataset} has something born at an impossible time"),
        }
    }
}

#[derive(Default)]
struct Owners {
    of: HashMap<Address, DatasetId>,
    report: Report,
}

impl Owners {
    fn find(&mut self, finding: Finding) {
        if self.report.findings.len() < NAMED_MAX {
            self.report.findings.push(finding);
        }
    }

    fn own(&mut self, family: &Family, address: Address, dataset: DatasetId) {
        if self.of.insert(address, dataset).is_some() {
            self.find(Finding::OwnedTwice(address, dataset));
        }
        if !family.maps.allocator.is_used(address) {
            self.find(Finding::NotInUse(address, dataset));
        }
    }
}

impl Family {
    /// Checks that every block has exactly one owner. Walks all that isn't shared, so it takes memory
    /// and time in proportion to what is in use; what it needs is asked for page by page.
    ///
    /// # Errors
    /// A page is missing, or damaged; or a checkpoint is being written, and pages can't be read yet.
    pub fn check(&self) -> Result<Report, FamilyError> {
        self.can_read_lists()?;
        let mut owners = Owners::default();
        for dataset in self.datasets.iter() {
            let id = dataset.record.id;
            let (pages, records) = self.dead_list(dataset.record.dead, &dataset.dying)?;
            pages
                .into_iter()
                .for_each(|page| owners.own(self, page, id));
            let floor = self.floor(id);
            let is_wrong = |dead: &super::format::dead::Dead| {
                floor.owns(dead.birth) || matches!(dead.what, DeadPlace::Home { count: 0, .. })
            };
            if !dataset.record.deleting && records.iter().any(is_wrong) {
                owners.find(Finding::Birth(id));
            }
            let level = level_for(dataset.record.blocks);
            let walk = Walk {
                family: self,
                id,
                floor,
                released: dataset.record.released,
            };
            walk.visit(dataset.record.root, level, 0, &mut owners)?;
        }
        for page in self.table_pages() {
            owners.own(self, *page, DatasetId(0));
        }
        owners.report.owned = owners.of.len() as u64;
        let waiting = self.maps.allocator.waiting() + self.maps.allocator.reserved();
        let leaked = self.blocks_in_use() - waiting;
        let leaked = leaked.saturating_sub(owners.report.owned);
        if leaked > 0 {
            owners.find(Finding::Leaked(leaked));
        }
        Ok(owners.report)
    }
}

struct Walk<'a> {
    family: &'a Family,
    id: DatasetId,
    floor: Floor,
    /// What is before this block has been given back.
    released: u64,
}

impl Walk<'_> {
    fn visit(
        &self,
        entry: Entry,
        level: u8,
        base: u64,
        owners: &mut Owners,
    ) -> Result<(), FamilyError> {
        let end = base.saturating_add(Entry::span(level));
        if !self.floor.owns(entry.birth) || end <= self.released {
            return Ok(());
        }
        if entry.birth > self.family.epoch() {
            owners.find(Finding::Birth(self.id));
        }
        match entry.place {
            Place::Hole | Place::Home => {}
            Place::Block { address, .. } => owners.own(self.family, address, self.id),
            Place::Node { address, crc } => {
                owners.own(self.family, address, self.id);
                let entries = self.family.maps.nodes.get(address, crc, level)?;
                let below = Entry::span(level - 1);
                for (index, child) in entries.iter().enumerate() {
                    let first = base + index as u64 * below;
                    self.visit(*child, level - 1, first, owners)?;
                }
            }
        }
        Ok(())
    }
}
