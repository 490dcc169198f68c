//! What happens to datasets as a whole: snapshot, clone, restore, delete, growth. Each ends an epoch.

use super::{Family, FamilyError};
use crate::mapped::address::{DatasetId, Epoch};
use crate::mapped::allocator::SegmentKind;
use crate::mapped::dataset::{BLOCKS_MAX, Dataset, level_for};
use crate::mapped::entry::{Entry, FANOUT, Place};
use crate::mapped::format::Id;
use crate::mapped::format::record::{GROUP_MAX, Record};
use crate::mapped::format::table::DatasetRecord;

/// Datasets that a family can have.
const DATASETS_MAX: usize = 1 << 20;

impl Family {
    /// Freezes heads, all at this moment: one snapshot of each, with the id that comes with it. What
    /// was mapped before is in the snapshot; what is mapped from now on isn't.
    ///
    /// # Errors
    /// One of them is no head, or there is no room; nothing has happened to any of them then.
    pub fn snapshot(&mut self, heads: &[(DatasetId, Id)]) -> Result<Vec<DatasetId>, FamilyError> {
        if heads.is_empty() || heads.len() > GROUP_MAX {
            return Err(FamilyError::Full("members of one snapshot"));
        }
        for (at, (head, _)) in heads.iter().enumerate() {
            self.head(*head)?;
            if heads.iter().skip(at + 1).any(|(other, _)| other == head) {
                return Err(FamilyError::NotASnapshot(*head));
            }
        }
        let numbers = self.new_numbers(heads.len())?;
        let named = heads.iter().zip(&numbers);
        let members = named
            .map(|((head, uuid), number)| (*head, *number, *uuid))
            .collect();
        self.end_epoch(Record::Snapshot {
            epoch: self.maps.epoch,
            members,
        })?;
        Ok(numbers)
    }

    /// A new head with the content of a snapshot.
    ///
    /// # Errors
    /// There is no such snapshot, or no room.
    pub fn clone_of(&mut self, snapshot: DatasetId, uuid: Id) -> Result<DatasetId, FamilyError> {
        self.frozen(snapshot)?;
        let number = self.new_numbers(1)?;
        let head = number.first().copied();
        let head = head.ok_or(FamilyError::Full("datasets"))?;
        self.end_epoch(Record::Clone {
            epoch: self.maps.epoch,
            snapshot,
            head,
            uuid,
        })?;
        Ok(head)
    }

    /// Gives a head the content of a snapshot, after a snapshot was made of what it has: the number of
    /// that is the answer.
    ///
    /// # Errors
    /// There is no such head or snapshot, or no room.
    pub fn restore(
        &mut self,
        head: DatasetId,
        snapshot: DatasetId,
        safety: Id,
    ) -> Result<DatasetId, FamilyError> {
        self.head(head)?;
        self.frozen(snapshot)?;
        // Both or neither.
        if self.maps.epoch.next().and_then(Epoch::next).is_none() {
            return Err(FamilyError::Full("epochs"));
        }
        let kept = self.snapshot(&[(head, safety)])?;
        self.end_epoch(Record::Restore {
            epoch: self.maps.epoch,
            head,
            snapshot,
        })?;
        kept.first().copied().ok_or(FamilyError::Full("datasets"))
    }

    /// Begins to delete a dataset: it can't be used any more. A snapshot from which several datasets
    /// come goes when all of them but one have gone. The work is done by [`Self::deletion`].
    ///
    /// # Errors
    /// There is no such dataset.
    pub fn delete(&mut self, dataset: DatasetId) -> Result<(), FamilyError> {
        self.dataset(dataset)?;
        self.end_epoch(Record::Delete {
            epoch: self.maps.epoch,
            dataset,
        })
    }

    /// Makes a head larger: what is new reads as zeros.
    ///
    /// # Errors
    /// There is no such head, or it doesn't grow, or grows too much.
    pub fn grow(&mut self, head: DatasetId, blocks: u64) -> Result<(), FamilyError> {
        let old = self.head(head)?.record.blocks;
        if blocks < old || blocks > BLOCKS_MAX {
            return Err(FamilyError::Size(blocks));
        }
        self.end_epoch(Record::Resize {
            epoch: self.maps.epoch,
            head,
            blocks,
        })
    }

    fn end_epoch(&mut self, record: Record) -> Result<(), FamilyError> {
        if self.maps.epoch.next().is_none() {
            return Err(FamilyError::Full("epochs"));
        }
        self.event(&record)?;
        self.events.push(record);
        Ok(())
    }

    /// Does to the datasets what a record says, and goes on to the next epoch.
    pub(crate) fn event(&mut self, record: &Record) -> Result<(), FamilyError> {
        match record {
            Record::Snapshot { epoch, members } => {
                for (head, snapshot, uuid) in members {
                    self.freeze(*head, *snapshot, *uuid, *epoch)?;
                }
            }
            Record::Clone {
                snapshot,
                head,
                uuid,
                ..
            } => {
                let origin = self.frozen(*snapshot)?.record.clone();
                let mut clone = Dataset::head(*head, *uuid, origin.blocks, origin.root);
                clone.record.previous = Some(*snapshot);
                self.datasets.insert(clone);
                self.seen(*head);
            }
            Record::Restore { head, snapshot, .. } => {
                let origin = self.frozen(*snapshot)?.record.clone();
                let found = self.head_mut(*head)?;
                // A volume never shrinks: what it has grown by reads as zeros.
                let blocks = found.record.blocks.max(origin.blocks);
                found.record.root = origin.root;
                found.record.blocks = origin.blocks;
                found.record.previous = Some(*snapshot);
                found.forget_dead();
                self.resize(*head, blocks)?;
            }
            Record::Delete { dataset, .. } => {
                let found = self.datasets.get_mut(*dataset);
                let found = found.ok_or(FamilyError::NoSuchDataset(*dataset))?;
                found.record.hidden = true;
                found.record.deleting = true;
            }
            Record::Resize { head, blocks, .. } => self.resize(*head, *blocks)?,
            Record::Map { .. } | Record::Zero { .. } | Record::Home { .. } => return Ok(()),
        }
        let ended = record.epoch();
        self.maps.epoch = ended.next().ok_or(FamilyError::Full("epochs"))?;
        Ok(())
    }

    fn freeze(
        &mut self,
        head: DatasetId,
        number: DatasetId,
        uuid: Id,
        epoch: Epoch,
    ) -> Result<(), FamilyError> {
        let found = self.head_mut(head)?;
        let mut snapshot = found.clone();
        snapshot.record = DatasetRecord {
            id: number,
            frozen: Some(epoch),
            uuid,
            ..snapshot.record
        };
        found.record.previous = Some(number);
        found.forget_dead();
        self.datasets.insert(snapshot);
        self.seen(number);
        Ok(())
    }

    fn resize(&mut self, head: DatasetId, blocks: u64) -> Result<(), FamilyError> {
        let record = &self.head(head)?.record;
        let (mut root, old) = (record.root, level_for(record.blocks));
        let hole = Entry {
            place: Place::Hole,
            birth: self.maps.epoch,
        };
        for level in old + 1..=level_for(blocks) {
            if root.is_uniform() {
                // It stands for more of the same: what is at home behind its end reads as zeros too.
                break;
            }
            let run = self.maps.allocator.allocate(SegmentKind::Nodes, 1);
            let run = run.ok_or(FamilyError::Full("nodes"))?;
            let mut entries = Box::new([hole; FANOUT]);
            if let Some(first) = entries.first_mut() {
                *first = root;
            }
            self.maps.nodes.insert(run.address, level, entries);
            root = Entry {
                place: Place::Node {
                    address: run.address,
                    crc: 0,
                },
                birth: self.maps.epoch,
            };
        }
        let head = self.head_mut(head)?;
        head.record.root = root;
        head.record.blocks = blocks;
        Ok(())
    }

    fn new_numbers(&self, count: usize) -> Result<Vec<DatasetId>, FamilyError> {
        let full = FamilyError::Full("datasets");
        if self.datasets.iter().len() + count > DATASETS_MAX {
            return Err(full);
        }
        let count = u32::try_from(count).map_err(|_| full.clone())?;
        let end = self.next_dataset.checked_add(count).ok_or(full)?;
        Ok((self.next_dataset..end).map(DatasetId).collect())
    }

    /// Numbers are never used again.
    fn seen(&mut self, number: DatasetId) {
        self.next_dataset = self.next_dataset.max(number.0.saturating_add(1));
    }

    pub(crate) fn head(&self, id: DatasetId) -> Result<&Dataset, FamilyError> {
        let dataset = self.dataset(id)?;
        if dataset.is_head() {
            Ok(dataset)
        } else {
            Err(FamilyError::NotAHead(id))
        }
    }

    fn head_mut(&mut self, id: DatasetId) -> Result<&mut Dataset, FamilyError> {
        self.head(id)?;
        self.datasets
            .get_mut(id)
            .ok_or(FamilyError::NoSuchDataset(id))
    }

    fn frozen(&self, id: DatasetId) -> Result<&Dataset, FamilyError> {
        let dataset = self.dataset(id)?;
        if dataset.is_head() {
            Err(FamilyError::NotASnapshot(id))
        } else {
            Ok(dataset)
        }
    }
}
