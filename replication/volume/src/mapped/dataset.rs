//! Datasets in memory: heads and snapshots, and how they come from each other.

use std::collections::BTreeMap;

use super::address::{DatasetId, Epoch};
use super::entry::{Entry, LEVEL_MAX};
use super::format::Id;
use super::format::dead::Dead;
use super::format::table::DatasetRecord;

/// Most blocks that a dataset can have: what the highest level covers.
pub(crate) const BLOCKS_MAX: u64 = 1 << (8 * LEVEL_MAX as u32);

/// A head or a snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Dataset {
    pub(crate) record: DatasetRecord,
    /// What has died since the last checkpoint.
    pub(crate) dying: Vec<Dead>,
    /// What was its own before a snapshot was deleted, while no checkpoint knows of that: with the
    /// sequence of the one that will.
    pub(crate) settled: Option<(Floor, u64)>,
}

impl Dataset {
    pub(crate) fn new(record: DatasetRecord) -> Self {
        Self {
            record,
            dying: Vec::new(),
            settled: None,
        }
    }

    /// A head with content of its own size.
    pub(crate) fn head(id: DatasetId, uuid: Id, blocks: u64, root: Entry) -> Self {
        Self::new(DatasetRecord {
            id,
            frozen: None,
            hidden: false,
            deleting: false,
            released: 0,
            previous: None,
            blocks,
            root,
            dead: None,
            dead_count: 0,
            uuid,
        })
    }

    /// It comes from another snapshot now, and has everything that that has.
    pub(crate) fn forget_dead(&mut self) {
        self.record.dead = None;
        self.record.dead_count = 0;
        self.dying = Vec::new();
        self.settled = None;
    }

    pub(crate) fn is_head(&self) -> bool {
        self.record.frozen.is_none()
    }
}

/// The lowest level whose entry covers so many blocks.
pub(crate) fn level_for(blocks: u64) -> u8 {
    (0..LEVEL_MAX)
        .find(|level| Entry::span(*level) >= blocks)
        .unwrap_or(LEVEL_MAX)
}

/// All datasets of a family.
#[derive(Debug, Default)]
pub(crate) struct Datasets {
    all: BTreeMap<DatasetId, Dataset>,
}

impl Datasets {
    pub(crate) fn get(&self, id: DatasetId) -> Option<&Dataset> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: DatasetId) -> Option<&mut Dataset> {
        self.all.get_mut(&id)
    }

    pub(crate) fn insert(&mut self, dataset: Dataset) {
        self.all.insert(dataset.record.id, dataset);
    }

    pub(crate) fn remove(&mut self, id: DatasetId) -> Option<Dataset> {
        self.all.remove(&id)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Dataset> {
        self.all.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Dataset> {
        self.all.values_mut()
    }

    /// What comes from a snapshot.
    pub(crate) fn children(&self, id: DatasetId) -> impl Iterator<Item = &Dataset> {
        self.all
            .values()
            .filter(move |dataset| dataset.record.previous == Some(id))
    }

    /// The epoch above which something is a dataset's own: when the snapshot that it comes from was
    /// frozen. `None` where it comes from nothing: everything is its own, whenever it was born.
    pub(crate) fn floor(&self, id: DatasetId) -> Floor {
        let previous = self.get(id).and_then(|dataset| dataset.record.previous);
        let previous = previous.and_then(|previous| self.get(previous));
        Floor(previous.and_then(|previous| previous.record.frozen))
    }
}

/// Tells what is a dataset's own by when it was born.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floor(pub(crate) Option<Epoch>);

impl Floor {
    pub(crate) fn owns(self, birth: Epoch) -> bool {
        self.0.is_none_or(|floor| birth > floor)
    }
}
