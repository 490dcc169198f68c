//! Deleting datasets: metadata only, in steps, and begun again after a crash from where the last
//! checkpoint knew of it.

use super::{Family, FamilyError};
use crate::mapped::address::{Address, DatasetId};
use crate::mapped::allocator::Reuse;
use crate::mapped::dataset::{Floor, level_for};
use crate::mapped::entry::{Entry, Place};
use crate::mapped::format::chain;
use crate::mapped::format::dead::{self, Dead, DeadPlace};
use crate::mapped::maps::BlockRange;
use crate::mapped::nodes::Missing;

/// How far a deletion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// More steps are to be made.
    Going {
        /// Blocks that are dealt with.
        released: u64,
        /// Of so many.
        blocks: u64,
    },
    /// The dataset is no more. Its space is free with the next checkpoint.
    Done,
}

impl Family {
    /// A dataset whose deletion can go on, if there is one. There is none while a check looks at what
    /// would be given back.
    #[must_use]
    pub fn deletion(&self) -> Option<DatasetId> {
        if self.checks > 0 {
            return None;
        }
        self.datasets
            .iter()
            .filter(|dataset| dataset.record.deleting)
            .map(|dataset| dataset.record.id)
            .find(|id| self.can_go(*id))
    }

    /// Not while several datasets come from it; nor while the only one is being walked through, which
    /// would come to own what has been passed already.
    fn can_go(&self, id: DatasetId) -> bool {
        let mut children = self.datasets.children(id);
        match (children.next(), children.next()) {
            (None, _) => true,
            (Some(child), None) => {
                let walked = child.record.deleting
                    && self.datasets.children(child.record.id).next().is_none();
                !walked
            }
            _ => false,
        }
    }

    /// Goes on with a deletion that [`Self::deletion`] named.
    ///
    /// # Errors
    /// A page is missing, or a checkpoint is being written: its pages can't be read yet.
    pub fn delete_step(&mut self, id: DatasetId) -> Result<Deletion, FamilyError> {
        self.can_read_lists()?;
        let dataset = self.datasets.get(id).filter(|it| it.record.deleting);
        if dataset.is_none() || !self.can_go(id) {
            return Err(FamilyError::NoSuchDataset(id));
        }
        let child = self.datasets.children(id).next();
        match child.map(|child| child.record.id) {
            Some(child) => self.merge(id, child),
            None => self.release(id),
        }
    }

    /// A checkpoint gives dead lists new pages that aren't on disk before it is.
    pub(crate) fn can_read_lists(&self) -> Result<(), FamilyError> {
        if self.checkpointing {
            return Err(FamilyError::CheckpointUnderWay);
        }
        Ok(())
    }

    /// Nothing comes from it: what is its own is free.
    fn release(&mut self, id: DatasetId) -> Result<Deletion, FamilyError> {
        let floor = self.floor(id);
        let dataset = self.datasets.get(id);
        let dataset = dataset.ok_or(FamilyError::NoSuchDataset(id))?;
        let level = level_for(dataset.record.blocks);
        let (root, released) = (dataset.record.root, dataset.record.released);
        let blocks = Entry::span(level);
        if released < blocks {
            let released = self.release_at(root, level, floor, released)?;
            if let Some(dataset) = self.datasets.get_mut(id) {
                dataset.record.released = released;
            }
            return Ok(Deletion::Going { released, blocks });
        }
        let Some(Place::Node { address, crc }) = dataset.record.dead.map(|entry| entry.place)
        else {
            self.datasets.remove(id);
            return Ok(Deletion::Done);
        };
        let (next, _) = chain::decode(self.maps.nodes.chain(address, crc)?)?;
        self.maps.nodes.forget_chains();
        self.free(address);
        if let Some(dataset) = self.datasets.get_mut(id) {
            dataset.record.dead = next;
        }
        Ok(Deletion::Going { released, blocks })
    }

    /// Frees what there is at a block, as far as one node of level 1 or one other entry goes; tells
    /// where to go on.
    fn release_at(
        &mut self,
        root: Entry,
        level: u8,
        floor: Floor,
        block: u64,
    ) -> Result<u64, Missing> {
        let (mut entry, mut level, mut base) = (root, level, 0);
        let mut path = Vec::new();
        while let Place::Node { address, crc } = entry.place
            && floor.owns(entry.birth)
        {
            let entries = self.maps.nodes.get(address, crc, level)?;
            if level == 1 {
                let entries = *entries;
                for (index, entry) in entries.into_iter().enumerate() {
                    self.release_entry(entry, 0, base + index as u64, floor);
                }
                self.maps.free_node(address);
                return Ok(self.leave(&path, base + Entry::span(level)));
            }
            path.push((address, base + Entry::span(level)));
            let below = Entry::span(level - 1);
            let index = (block - base) / below;
            let child = usize::try_from(index).ok().and_then(|at| entries.get(at));
            entry = child.copied().unwrap_or(Entry::HOME);
            base += index * below;
            level -= 1;
        }
        self.release_entry(entry, level, base, floor);
        Ok(self.leave(&path, base + Entry::span(level)))
    }

    /// Frees the nodes of a path whose last entry has been dealt with.
    fn leave(&mut self, path: &[(Address, u64)], done: u64) -> u64 {
        for (address, _) in path.iter().filter(|(_, end)| *end == done) {
            self.maps.free_node(*address);
        }
        done
    }

    fn release_entry(&mut self, entry: Entry, level: u8, base: u64, floor: Floor) {
        if !floor.owns(entry.birth) {
            return;
        }
        match entry.place {
            Place::Block { address, .. } => self.free(address),
            Place::Home => self.free_home(base, Entry::span(level)),
            Place::Hole | Place::Node { .. } => {}
        }
    }

    /// Exactly one dataset comes from it: what only it has is free, and the rest of what that one
    /// doesn't have any more is what it has to remember from now on.
    fn merge(&mut self, id: DatasetId, child: DatasetId) -> Result<Deletion, FamilyError> {
        let floor = self.floor(id);
        let no_child = FamilyError::NoSuchDataset(child);
        let found = self.datasets.get(child).ok_or_else(|| no_child.clone())?;
        let (pages, records) = self.dead_list(found.record.dead, &found.dying)?;
        for record in records.iter().filter(|record| floor.owns(record.birth)) {
            self.need(*record, floor)?;
        }
        self.maps.nodes.forget_chains();
        let mut kept = Vec::new();
        for record in records {
            self.sort(record, floor, &mut kept);
        }
        pages.into_iter().for_each(|page| self.free(page));
        let before = self.floor(child);
        let checkpoint = self.maps.checkpoint;
        let gone = self.datasets.remove(id);
        let gone = gone.ok_or(FamilyError::NoSuchDataset(id))?;
        let child = self.datasets.get_mut(child).ok_or(no_child)?;
        child.record.previous = gone.record.previous;
        child.record.dead = gone.record.dead;
        child.record.dead_count = gone.record.dead_count;
        child.dying = gone.dying;
        child.dying.extend(kept);
        let settled = child.settled.map_or(before, |(settled, _)| settled);
        child.settled = Some((settled, checkpoint));
        Ok(Deletion::Done)
    }

    /// The pages and the records of a dead list.
    pub(crate) fn dead_list(
        &self,
        mut next: Option<Entry>,
        dying: &[Dead],
    ) -> Result<(Vec<Address>, Vec<Dead>), FamilyError> {
        let mut pages = Vec::new();
        let mut records = dying.to_vec();
        while let Some(Place::Node { address, crc }) = next.map(|entry| entry.place) {
            let (following, payload) = chain::decode(self.maps.nodes.chain(address, crc)?)?;
            records.extend(dead::decode(payload)?);
            pages.push(address);
            next = following;
        }
        Ok((pages, records))
    }

    /// Makes sure that everything is in memory that [`Self::sort`] looks at.
    fn need(&self, record: Dead, floor: Floor) -> Result<(), Missing> {
        let DeadPlace::Tree {
            first,
            address,
            crc,
            level,
        } = record.what
        else {
            return Ok(());
        };
        let below = Entry::span(level - 1);
        let entries = self.maps.nodes.get(address, crc, level)?;
        for (child, first) in entries.iter().zip((first..).step_by(step(below))) {
            if floor.owns(child.birth)
                && let Some(below) = as_dead(*child, level - 1, first)
            {
                self.need(below, floor)?;
            }
        }
        Ok(())
    }

    fn sort(&mut self, record: Dead, floor: Floor, kept: &mut Vec<Dead>) {
        if !floor.owns(record.birth) {
            kept.push(record);
            return;
        }
        match record.what {
            DeadPlace::Home { first, count } => self.free_home(first, u64::from(count)),
            DeadPlace::Block(address) => self.free(address),
            DeadPlace::Node(address) => self.maps.free_node(address),
            DeadPlace::Tree {
                first,
                address,
                crc,
                level,
            } => {
                let below = Entry::span(level - 1);
                let entries = self.maps.nodes.get(address, crc, level).copied();
                let entries = entries.iter().flatten();
                for (child, first) in entries.zip((first..).step_by(step(below))) {
                    if let Some(below) = as_dead(*child, level - 1, first) {
                        self.sort(below, floor, kept);
                    }
                }
                self.maps.free_node(address);
            }
        }
    }

    fn free(&mut self, address: Address) {
        let reuse = Reuse::AfterCheckpoint(self.maps.checkpoint);
        self.maps.allocator.free(address, reuse);
    }

    fn free_home(&mut self, first: u64, count: u64) {
        let reuse = Reuse::AfterCheckpoint(self.maps.checkpoint);
        self.maps
            .home_freed
            .push((reuse, BlockRange { first, count }));
    }
}

fn step(blocks: u64) -> usize {
    usize::try_from(blocks).unwrap_or(usize::MAX)
}

/// What is below a node that died as a whole.
fn as_dead(entry: Entry, level: u8, first: u64) -> Option<Dead> {
    let what = match entry.place {
        Place::Hole => return None,
        Place::Home => DeadPlace::Home {
            first,
            count: u32::try_from(Entry::span(level)).unwrap_or(u32::MAX),
        },
        Place::Block { address, .. } => DeadPlace::Block(address),
        Place::Node { address, crc } => DeadPlace::Tree {
            first,
            address,
            crc,
            level,
        },
    };
    Some(Dead {
        what,
        birth: entry.birth,
    })
}
