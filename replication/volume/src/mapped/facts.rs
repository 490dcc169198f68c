//! What can be told of a family without changing it.

use super::address::{Address, DatasetId};
use super::dataset::{Floor, level_for};
use super::entry::{Entry, Place};
use super::family::{Family, FamilyError};
use super::format::Id;
use super::format::dead::DeadPlace;
use super::maps::BlockRange;
use super::nodes::Missing;

/// A dataset, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatasetFacts {
    /// Its number.
    pub number: DatasetId,
    /// The id by which the catalog knows it.
    pub uuid: Id,
    /// Frozen; otherwise a head.
    pub is_snapshot: bool,
    /// How many blocks it has.
    pub blocks: u64,
    /// The snapshot that it comes from.
    pub previous: Option<DatasetId>,
    /// It can't be used any more.
    pub deleting: bool,
}

impl Family {
    /// All datasets, those that are being deleted too, in the order of their numbers.
    #[must_use]
    pub fn datasets(&self) -> Vec<DatasetFacts> {
        self.datasets.iter().map(facts).collect()
    }

    /// One of them, unless it is being deleted.
    #[must_use]
    pub fn facts(&self, id: DatasetId) -> Option<DatasetFacts> {
        self.dataset(id).ok().map(facts)
    }

    /// Blocks, nodes among them, that deleting a dataset now would free, as far as they are told by what
    /// comes from it; all of them, if anything does. What else there is has [`Self::owned`].
    ///
    /// # Errors
    /// No such dataset, or a page is missing; or a checkpoint is being written, and pages can't be read
    /// yet.
    pub fn left_behind(&mut self, id: DatasetId) -> Result<Option<u64>, FamilyError> {
        self.can_read_lists()?;
        self.dataset(id)?;
        let floor = self.floor(id);
        let mut children = self.datasets.children(id);
        let child = match (children.next(), children.next()) {
            (None, _) => return Ok(None),
            (Some(child), None) => child,
            // It would only be hidden.
            _ => return Ok(Some(0)),
        };
        let (_, records) = self.dead_list(child.record.dead, &child.dying)?;
        let mut blocks = 0;
        for record in records.iter().filter(|record| floor.owns(record.birth)) {
            blocks += match record.what {
                DeadPlace::Home { count, .. } => u64::from(count),
                DeadPlace::Block(_) | DeadPlace::Node(_) => 1,
                DeadPlace::Tree {
                    first,
                    address,
                    crc,
                    level,
                } => {
                    let root = Entry {
                        place: Place::Node { address, crc },
                        birth: record.birth,
                    };
                    let all = BlockRange {
                        first,
                        count: Entry::span(level),
                    };
                    self.count(root, level, first, floor, all)?
                }
            };
        }
        self.maps.nodes.forget_chains();
        Ok(Some(blocks))
    }

    /// Blocks in a range of a dataset, nodes among them, that no older snapshot has. A node counts where
    /// it begins.
    ///
    /// # Errors
    /// No such dataset, or a page is missing.
    pub fn owned(&self, id: DatasetId, within: BlockRange) -> Result<u64, FamilyError> {
        let dataset = self.dataset(id)?;
        let (root, level) = (dataset.record.root, level_for(dataset.record.blocks));
        let end = within.end().min(dataset.record.blocks);
        let within = BlockRange {
            first: within.first,
            count: end.saturating_sub(within.first),
        };
        Ok(self.count(root, level, 0, self.floor(id), within)?)
    }

    fn count(
        &self,
        entry: Entry,
        level: u8,
        base: u64,
        floor: Floor,
        within: BlockRange,
    ) -> Result<u64, Missing> {
        let span = Entry::span(level);
        if !floor.owns(entry.birth) || !within.overlaps(base, span) {
            return Ok(0);
        }
        match entry.place {
            Place::Hole => Ok(0),
            Place::Home => {
                let first = base.max(within.first);
                Ok(base.saturating_add(span).min(within.end()) - first)
            }
            Place::Block { .. } => Ok(1),
            Place::Node { address, crc } => {
                let entries = self.maps.nodes.get(address, crc, level)?;
                let below = Entry::span(level - 1);
                let mut blocks = u64::from(within.first <= base);
                for (index, child) in entries.iter().enumerate() {
                    let first = base + index as u64 * below;
                    blocks += self.count(*child, level - 1, first, floor, within)?;
                }
                Ok(blocks)
            }
        }
    }

    /// The node of level 1 that says where a block of a dataset is, if there is one and it is in memory: for
    /// those who want to know what its loss would mean.
    #[must_use]
    pub fn node_of(&self, id: DatasetId, block: u64) -> Option<Address> {
        let record = &self.dataset(id).ok()?.record;
        let (mut entry, mut level) = (record.root, level_for(record.blocks));
        while let Place::Node { address, crc } = entry.place {
            if level == 1 {
                return Some(address);
            }
            level -= 1;
            let entries = self.maps.nodes.get(address, crc, level + 1).ok()?;
            let index = block / Entry::span(level) % 256;
            entry = *entries.get(usize::try_from(index).ok()?)?;
        }
        None
    }

    /// The number of the last change of the maps.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Leaves out numbers of changes that may have been given where nobody can look now.
    pub fn skip_changes(&mut self) {
        self.changes = self.changes.saturating_add(1 << 32);
        self.journaled = self.journaled.saturating_add(1 << 32);
    }

    /// Whether a checkpoint is being written.
    #[must_use]
    pub fn is_checkpointing(&self) -> bool {
        self.checkpointing
    }

    /// Sequence of the checkpoint that will be begun next.
    #[must_use]
    pub fn next_checkpoint(&self) -> u64 {
        self.maps.checkpoint
    }

    /// Sequence of the last checkpoint that is durable.
    #[must_use]
    pub fn durable_checkpoint(&self) -> u64 {
        self.sequence
    }

    /// The home file has grown: so many bytes of it belong to the family with the next checkpoint.
    /// Nothing is brought home behind its old end before that is durable.
    pub fn grow_home(&mut self, bytes: u64) {
        self.home_bytes = self.home_bytes.max(bytes);
    }
}

fn facts(dataset: &super::dataset::Dataset) -> DatasetFacts {
    let record = &dataset.record;
    DatasetFacts {
        number: record.id,
        uuid: record.uuid,
        is_snapshot: record.frozen.is_some(),
        blocks: record.blocks,
        previous: record.previous,
        deleting: record.deleting,
    }
}
