//! A family: the datasets that share blocks, and what happens to them.

pub mod checkpoint;
mod delete;
mod events;
pub mod flush;
pub mod recover;

use thiserror::Error;

use super::address::{Address, DatasetId, Epoch};
use super::allocator::{Reuse, Run, SegmentKind};
use super::dataset::{BLOCKS_MAX, Dataset, Datasets, Floor, level_for};
use super::entry::{Entry, Place};
use super::format::record::{MAP_BLOCKS_MAX, Record};
use super::format::{Damage, Id};
use super::maps::{BlockRange, Change, Full, Maps, Stretches, Target};
use super::nodes::Missing;
use super::readings::Reading;
use flush::Journal;

pub use delete::Deletion;

/// Why something wasn't done. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FamilyError {
    /// A page has to be read first: supply it and try again.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// There is no such dataset, or it is being deleted.
    #[error("there is no {0}")]
    NoSuchDataset(DatasetId),
    /// A head is wanted.
    #[error("{0} is a snapshot, which never changes")]
    NotAHead(DatasetId),
    /// A snapshot is wanted.
    #[error("{0} is not a snapshot")]
    NotASnapshot(DatasetId),
    /// The range isn't inside the dataset.
    #[error("{count} blocks at {first} are not inside {blocks} blocks")]
    OutOfRange {
        /// The first block.
        first: u64,
        /// How many.
        count: u64,
        /// Blocks that there are.
        blocks: u64,
    },
    /// A size that a dataset can't have.
    #[error("{0} blocks are not a size that a volume can have or grow to")]
    Size(u64),
    /// No more blocks, epochs or datasets can be had.
    #[error("the family has no room for more {0}")]
    Full(&'static str),
    /// The journal has no room until a checkpoint has been made.
    #[error("the journal is full until a checkpoint is made")]
    CheckpointNeeded,
    /// One is being written already.
    #[error("a checkpoint is being written")]
    CheckpointUnderWay,
    /// Bytes on disk are wrong.
    #[error(transparent)]
    Damage(#[from] Damage),
}

impl From<Full> for FamilyError {
    fn from(Full: Full) -> Self {
        Self::Full("nodes")
    }
}

/// The datasets that share blocks.
#[derive(Debug)]
pub struct Family {
    id: Id,
    pub(crate) maps: Maps,
    pub(crate) datasets: Datasets,
    pub(crate) next_dataset: u32,
    pub(crate) home_bytes: u64,
    journal: Journal,
    /// What has happened to the maps since the last flush.
    changed: Vec<Record>,
    /// Changes of the maps are numbered: the last one, and the last one that is in a batch.
    pub(crate) changes: u64,
    pub(crate) journaled: u64,
    /// How many of those that nobody has taken for the tail yet.
    untailed: usize,
    /// What else has happened and is in no batch yet.
    events: Vec<Record>,
    /// The last checkpoint that is durable.
    pub(crate) sequence: u64,
    /// A checkpoint is being written.
    pub(crate) checkpointing: bool,
    /// Pages of the tables of the last checkpoint that was begun.
    table_pages: Vec<Address>,
    /// Checks that are under way: nothing is deleted meanwhile.
    pub(crate) checks: u32,
}

impl Family {
    /// A new family with one head of `blocks` blocks, whose content is the home file as far as that
    /// goes. Nothing of it is on disk before the first checkpoint.
    ///
    /// # Errors
    /// The size is none that a volume can have.
    pub fn create(
        id: Id,
        uuid: Id,
        blocks: u64,
        home_bytes: u64,
        journal_bytes: u64,
    ) -> Result<(Self, DatasetId), FamilyError> {
        Self::create_with(id, uuid, blocks, home_bytes, journal_bytes, Entry::HOME)
    }

    /// A new family with one head of `blocks` blocks of zeros. It has no home file, so that every block that is
    /// ever written has a checksum.
    ///
    /// # Errors
    /// The size is none that a volume can have.
    pub fn create_empty(
        id: Id,
        uuid: Id,
        blocks: u64,
        journal_bytes: u64,
    ) -> Result<(Self, DatasetId), FamilyError> {
        let root = Entry {
            place: Place::Hole,
            birth: Epoch::BEFORE,
        };
        Self::create_with(id, uuid, blocks, 0, journal_bytes, root)
    }

    fn create_with(
        id: Id,
        uuid: Id,
        blocks: u64,
        home_bytes: u64,
        journal_bytes: u64,
        root: Entry,
    ) -> Result<(Self, DatasetId), FamilyError> {
        if blocks == 0 || blocks > BLOCKS_MAX {
            return Err(FamilyError::Size(blocks));
        }
        let head = DatasetId(1);
        let mut datasets = Datasets::default();
        datasets.insert(Dataset::head(head, uuid, blocks, root));
        let maps = Maps {
            epoch: Epoch(1),
            flush: 1,
            checkpoint: 1,
            ..Maps::default()
        };
        let family = Self {
            id,
            maps,
            datasets,
            next_dataset: 2,
            home_bytes,
            journal: Journal::new(journal_bytes),
            changed: Vec::new(),
            changes: 0,
            journaled: 0,
            untailed: 0,
            events: Vec::new(),
            sequence: 0,
            checkpointing: false,
            table_pages: Vec::new(),
            checks: 0,
        };
        Ok((family, head))
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// Bytes of the home file that belong to it: entries at home behind that read as zeros.
    #[must_use]
    pub fn home_bytes(&self) -> u64 {
        self.home_bytes
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.maps.epoch
    }

    /// Nodes in memory, 4 KiB each.
    #[must_use]
    pub fn nodes_in_memory(&self) -> usize {
        self.maps.nodes.len()
    }

    /// Of these, nodes that the next checkpoint has to write.
    #[must_use]
    pub fn nodes_to_write(&self) -> usize {
        self.maps.nodes.to_write()
    }

    /// Nodes that can't be forgotten before a checkpoint is finished.
    #[must_use]
    pub fn nodes_unforgettable(&self) -> usize {
        self.maps.nodes.unforgettable()
    }

    /// Forgets nodes that haven't been used for long, until there are at most `most`.
    pub fn shrink(&mut self, most: usize) {
        self.maps.nodes.shrink(most);
    }

    /// Blocks of its segments that are in use.
    #[must_use]
    pub fn blocks_in_use(&self) -> u64 {
        self.maps.allocator.in_use()
    }

    /// Blocks of data in use, whoever's they are.
    #[must_use]
    pub fn data_blocks(&self) -> u64 {
        let segments = self.maps.allocator.segments();
        segments
            .filter(|(_, kind, _)| *kind == SegmentKind::Data)
            .map(|(.., used)| u64::from(used))
            .sum()
    }

    /// The last block in use of each of its segments.
    #[must_use]
    pub fn last_used(&self) -> Vec<Address> {
        self.maps.allocator.last_used()
    }

    /// Blocks that are nobody's any more, and wait for a flush before they can be used again.
    #[must_use]
    pub fn waiting_for_flush(&self) -> u64 {
        self.maps.allocator.waiting_for_flush()
    }

    /// At most so many blocks from now on.
    pub fn set_limit(&mut self, blocks: Option<u64>) {
        self.maps.allocator.set_limit(blocks);
    }

    /// The size of a dataset in blocks.
    ///
    /// # Errors
    /// There is no such dataset.
    pub fn blocks(&self, id: DatasetId) -> Result<u64, FamilyError> {
        Ok(self.dataset(id)?.record.blocks)
    }

    /// The dataset that the catalog knows by this id.
    #[must_use]
    pub fn by_uuid(&self, uuid: &Id) -> Option<DatasetId> {
        self.datasets
            .iter()
            .find(|dataset| dataset.record.uuid == *uuid && !dataset.record.deleting)
            .map(|dataset| dataset.record.id)
    }

    /// Takes a page that was asked for.
    ///
    /// # Errors
    /// Its bytes are not what they should be.
    pub fn supply(&mut self, missing: Missing, page: &[u8]) -> Result<(), Damage> {
        self.maps.nodes.supply(missing, page)
    }

    /// Where the blocks of a range are.
    ///
    /// # Errors
    /// No such dataset or range, or a page is missing.
    pub fn lookup(&self, id: DatasetId, range: BlockRange) -> Result<Stretches, FamilyError> {
        let mut found = Stretches::new();
        self.lookup_into(id, range, &mut found)?;
        Ok(found)
    }

    /// The same, in place of what is in `found`.
    ///
    /// # Errors
    /// As [`Self::lookup`]; `found` has anything then.
    pub fn lookup_into(
        &self,
        id: DatasetId,
        range: BlockRange,
        found: &mut Stretches,
    ) -> Result<(), FamilyError> {
        found.clear();
        let dataset = self.dataset(id)?;
        check_range(dataset, range)?;
        if range.count == 0 {
            return Ok(());
        }
        let level = level_for(dataset.record.blocks);
        Ok(self.maps.lookup(dataset.record.root, level, range, found)?)
    }

    /// Blocks for data, next to each other, up to `count`: to be written and then given to
    /// [`Self::map`], or back with [`Self::give_back`].
    ///
    /// # Errors
    /// There are none left.
    pub fn allocate(&mut self, count: u32) -> Result<Run, FamilyError> {
        let most = u32::try_from(MAP_BLOCKS_MAX).unwrap_or(u32::MAX);
        self.maps
            .allocator
            .allocate(SegmentKind::Data, count.min(most))
            .ok_or(FamilyError::Full("blocks"))
    }

    /// Blocks that were not used after all.
    pub fn give_back(&mut self, run: Run) {
        for place in 0..run.count {
            let address = run.address.plus(u64::from(place));
            self.maps.allocator.give_back(address);
        }
    }

    /// The blocks of a head from `first` on are in a segment now, written in full.
    ///
    /// # Errors
    /// No such head or range, or a page is missing.
    pub fn map(
        &mut self,
        head: DatasetId,
        first: u64,
        address: Address,
        crcs: &[u32],
    ) -> Result<(), FamilyError> {
        self.happen(Record::Map {
            head,
            birth: self.maps.epoch,
            first,
            address,
            crcs: crcs.to_vec(),
        })
    }

    /// A range of a head reads as zeros now.
    ///
    /// # Errors
    /// No such head or range, or a page is missing.
    pub fn zero(&mut self, head: DatasetId, range: BlockRange) -> Result<(), FamilyError> {
        self.happen(Record::Zero {
            head,
            birth: self.maps.epoch,
            first: range.first,
            blocks: range.count,
        })
    }

    /// A range of a head is in the home file now. The head comes from no snapshot, and before the
    /// copy was begun [`Self::may_bring_home`] has said that it may be.
    ///
    /// # Errors
    /// No such head or range, or a page is missing.
    pub fn bring_home(&mut self, head: DatasetId, range: BlockRange) -> Result<(), FamilyError> {
        self.happen(Record::Home {
            head,
            birth: self.maps.epoch,
            first: range.first,
            blocks: range.count,
        })
    }

    fn happen(&mut self, record: Record) -> Result<(), FamilyError> {
        self.change(&record)?;
        self.changed.push(record);
        self.changes += 1;
        self.untailed += 1;
        Ok(())
    }

    /// Does to a map what a record says.
    pub(crate) fn change(&mut self, record: &Record) -> Result<(), FamilyError> {
        let (head, range, change) = match record {
            Record::Map {
                head,
                first,
                address,
                crcs,
                ..
            } => (
                *head,
                BlockRange {
                    first: *first,
                    count: crcs.len() as u64,
                },
                Change::Blocks {
                    address: *address,
                    crcs,
                },
            ),
            Record::Zero {
                head,
                first,
                blocks,
                ..
            } => (*head, range(*first, *blocks), Change::Uniform(Place::Hole)),
            Record::Home {
                head,
                first,
                blocks,
                ..
            } => (*head, range(*first, *blocks), Change::Uniform(Place::Home)),
            _ => return Ok(()),
        };
        let floor = self.datasets.floor(head);
        let dataset = self.datasets.get_mut(head).filter(|it| !it.record.deleting);
        let dataset = dataset.ok_or(FamilyError::NoSuchDataset(head))?;
        if !dataset.is_head() {
            return Err(FamilyError::NotAHead(head));
        }
        check_range(dataset, range)?;
        if range.count == 0 {
            return Ok(());
        }
        let level = level_for(dataset.record.blocks);
        let uniform = matches!(change, Change::Uniform(_));
        self.maps
            .prepare(dataset.record.root, level, floor, range, uniform)?;
        let settled = dataset.settled.map_or(floor, |(settled, _)| settled);
        let mut target = Target {
            root: &mut dataset.record.root,
            level,
            floor,
            settled,
            dead: &mut dataset.dying,
        };
        self.maps.change(&mut target, range, change)?;
        if let Change::Blocks { address, crcs } = change {
            for place in 0..crcs.len() as u64 {
                self.maps.allocator.settle(address.plus(place));
            }
        }
        if let Change::Uniform(Place::Home) = change {
            self.maps.keep_home(range);
        }
        Ok(())
    }

    /// Whether blocks of the home file may be overwritten: nothing that is or may become durable
    /// needs what is there. If not, a flush or a checkpoint will change that.
    #[must_use]
    pub fn may_bring_home(&self, range: BlockRange) -> bool {
        let waiting = self.maps.home_freed.iter().map(|(_, freed)| freed);
        let waiting = waiting.chain(self.maps.home_readings.waiting().flatten());
        let mut waiting = waiting.chain(&self.maps.home_given);
        !waiting.any(|freed| freed.overlaps(range.first, range.count))
    }

    /// Somebody reads blocks where [`Self::lookup`] shows them from now on, without looking again: none of them is
    /// used for anything else, or punched, before [`Self::end_reading`]. Each of these is short.
    pub fn begin_reading(&mut self) -> (Reading, Reading) {
        let home = self.maps.home_readings.begin();
        (self.maps.allocator.begin_reading(), home)
    }

    /// It has ended. True if there is space to be given back now.
    pub fn end_reading(&mut self, (blocks, home): (Reading, Reading)) -> bool {
        let mut any = self.maps.allocator.end_reading(blocks);
        for freed in self.maps.home_readings.end(home) {
            any = true;
            self.maps.home_given.extend(freed);
        }
        any
    }

    /// Ranges of the home file that nobody needs any more, durably: their space can be given back.
    pub fn take_home_freed(&mut self) -> Vec<BlockRange> {
        let (flush, sequence) = (self.journal.flushed, self.sequence);
        let is_due = |reuse: &Reuse| match reuse {
            Reuse::AfterFlush(number) => *number <= flush,
            Reuse::AfterCheckpoint(number) => *number <= sequence,
        };
        let freed = &mut self.maps.home_freed;
        let freed: Vec<BlockRange> = freed
            .extract_if(.., |(reuse, _)| is_due(reuse))
            .map(|(_, range)| range)
            .collect();
        let mut given = std::mem::take(&mut self.maps.home_given);
        if !freed.is_empty() {
            given.extend(self.maps.home_readings.wait(freed).unwrap_or_default());
        }
        given
    }

    /// Blocks of segments that have become free, in order: their space can be given back. They are not
    /// used again before [`Self::emptied`].
    pub fn take_released(&mut self) -> Vec<Address> {
        self.maps.allocator.take_released()
    }

    /// The numbers of the segments that there are.
    #[must_use]
    pub fn segments(&self) -> Vec<u32> {
        self.maps
            .allocator
            .segments()
            .map(|(number, ..)| number)
            .collect()
    }

    /// The free blocks of a segment, as [`Self::take_released`] would give them: in what a crash left
    /// behind there may be space.
    pub fn take_free(&mut self, segment: u32) -> Vec<Address> {
        self.maps.allocator.take_free(segment)
    }

    /// The space of blocks that [`Self::take_released`] gave has been given back.
    pub fn emptied(&mut self, addresses: &[Address]) {
        self.maps.allocator.emptied(addresses);
    }

    /// Makes sure that [`Self::map`] or [`Self::zero`] (`uniform`) of a range finds everything in
    /// memory, so that several of them can be done as one.
    ///
    /// # Errors
    /// As theirs.
    pub fn prepare(
        &self,
        head: DatasetId,
        range: BlockRange,
        uniform: bool,
    ) -> Result<(), FamilyError> {
        let dataset = self.head(head)?;
        check_range(dataset, range)?;
        if range.count == 0 {
            return Ok(());
        }
        let level = level_for(dataset.record.blocks);
        let floor = self.datasets.floor(head);
        let root = dataset.record.root;
        Ok(self.maps.prepare(root, level, floor, range, uniform)?)
    }

    pub(crate) fn dataset(&self, id: DatasetId) -> Result<&Dataset, FamilyError> {
        self.datasets
            .get(id)
            .filter(|dataset| !dataset.record.deleting)
            .ok_or(FamilyError::NoSuchDataset(id))
    }

    pub(crate) fn table_pages(&self) -> &[Address] {
        &self.table_pages
    }

    pub(crate) fn floor(&self, id: DatasetId) -> Floor {
        self.datasets.floor(id)
    }
}

fn range(first: u64, count: u64) -> BlockRange {
    BlockRange { first, count }
}

fn check_range(dataset: &Dataset, range: BlockRange) -> Result<(), FamilyError> {
    let blocks = dataset.record.blocks;
    match range.first.checked_add(range.count) {
        Some(end) if end <= blocks => Ok(()),
        _ => Err(FamilyError::OutOfRange {
            first: range.first,
            count: range.count,
            blocks,
        }),
    }
}
