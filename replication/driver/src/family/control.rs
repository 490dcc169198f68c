//! What is done to datasets as a whole. Everything here **blocks**, but for moments only: it waits for
//! the journal, never for data.

use std::collections::HashMap;
use std::sync::Arc;

use tidelock_volume::Range;
use tidelock_volume::mapped::{BLOCK_BYTES, BlockRange, DatasetFacts, DatasetId, Id};

use super::Family;
use crate::error::VolumeError;
use crate::volume::Volume;

/// Blocks of a dataset that are compared while the maps are held: 16 GiB.
const DIFF_BLOCKS: u64 = 1 << 22;

/// A dataset, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetInfo {
    /// The id by which it is known.
    pub id: Id,
    /// Frozen; otherwise a head.
    pub is_snapshot: bool,
    /// Blocks of 4 KiB.
    pub blocks: u64,
    /// The snapshot that it comes from.
    pub previous: Option<Id>,
    /// Deleted; what is only its own is being given back, or waits for those who come from it.
    pub deleting: bool,
}

/// What a family takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FamilySpace {
    /// Bytes of blocks that are in use, data and maps.
    pub used_bytes: u64,
    /// Bytes of storage that its files take, without the home file.
    pub allocated_bytes: u64,
    /// Bytes that may still be written in its file system.
    pub free_bytes: Option<u64>,
    /// Bytes of maps in memory.
    pub maps_bytes: u64,
}

impl Family {
    /// Snapshots of heads, of several families if need be, all at one moment: a family, a head in it and
    /// the new snapshot's id each. Durable when it returns, but for what nobody has flushed
    /// ([`Self::settle_soon`]). **Blocks.**
    ///
    /// # Errors
    /// One can't be made: then there is none. One couldn't be made durable: its family is fenced.
    pub fn snapshot(members: &[(Arc<Self>, Id, Id)]) -> Result<(), VolumeError> {
        let mut families: Vec<&Arc<Self>> = Vec::new();
        for (family, _, _) in members {
            if !families.iter().any(|known| Arc::ptr_eq(known, family)) {
                families.push(family);
            }
        }
        // One order for everybody, or two groups could wait for each other.
        families.sort_by_key(|family| Arc::as_ptr(family));
        let mut heads = Vec::with_capacity(families.len());
        for family in &families {
            let own = members
                .iter()
                .filter(|(other, _, _)| Arc::ptr_eq(other, family));
            let own: Result<Vec<(DatasetId, Id)>, VolumeError> = own
                .map(|(_, head, id)| Ok((family.find(*head)?, *id)))
                .collect();
            heads.push(own?);
        }
        let mut states: Vec<_> = families.iter().map(|family| family.state.lock()).collect();
        // From here to the end of the loop no write of any of them is acknowledged.
        let mut made: Vec<Vec<DatasetId>> = Vec::with_capacity(families.len());
        let mut failed = None;
        for ((state, heads), family) in states.iter_mut().zip(&heads).zip(&families) {
            match state.maps.snapshot(heads) {
                Ok(snapshots) => {
                    state.unsettled.extend(&snapshots);
                    made.push(snapshots);
                }
                Err(error) => {
                    failed = Some(family.wrong(&error));
                    break;
                }
            }
        }
        if failed.is_some() {
            for ((state, snapshots), family) in states.iter_mut().zip(made).zip(&families) {
                for snapshot in snapshots {
                    if let Err(error) = state.maps.delete(snapshot) {
                        failed = Some(family.wrong(&error));
                    }
                }
            }
        }
        drop(states);
        let durable = Self::events_durable(&families);
        for family in &families {
            family.desk.ask_tidy();
        }
        failed.map_or(durable, Err)
    }

    /// A new head with the content of a snapshot, durable when it returns. **Blocks.**
    ///
    /// # Errors
    /// There is no such snapshot, or no room.
    pub fn clone_of(self: &Arc<Self>, snapshot: Id, head: Id) -> Result<(), VolumeError> {
        self.settle(snapshot)?;
        let origin = self.find(snapshot)?;
        let made = self.state.lock().maps.clone_of(origin, head);
        made.map_err(|error| self.wrong(&error))?;
        Self::events_durable(&[self])
    }

    /// Gives a head the content of a snapshot, all at one moment, and keeps what it had as a new snapshot
    /// with the id `safety`. Durable when it returns. A crash leaves both or neither. **Blocks.**
    ///
    /// # Errors
    /// There is no such head or snapshot, or no room, or hosts' commands don't end in time.
    pub fn restore(
        self: &Arc<Self>,
        head: Id,
        snapshot: Id,
        safety: Id,
    ) -> Result<(), VolumeError> {
        let (head, snapshot) = (self.find(head)?, self.find(snapshot)?);
        let volumes = self.volumes_of(head);
        // Who changes a part of a block would put the rest of it back as it was before.
        let _alone = super::together::hold(&volumes)?;
        // Before it is so, as with every change.
        for volume in &volumes {
            volume.watches().change_everything();
        }
        {
            let mut state = self.state.lock();
            let kept = state.maps.restore(head, snapshot, safety);
            let kept = kept.map_err(|error| self.wrong(&error))?;
            state.unsettled.insert(kept);
        }
        Self::events_durable(&[self])
    }

    /// Deletes a head or a snapshot: it is gone when this returns, durably, and its space comes back in
    /// the background, or with the last of those who come from it. **Blocks.**
    ///
    /// # Errors
    /// There is no such dataset.
    pub fn delete(self: &Arc<Self>, id: Id) -> Result<(), VolumeError> {
        let dataset = self.find(id)?;
        let deleted = self.state.lock().maps.delete(dataset);
        deleted.map_err(|error| self.wrong(&error))?;
        let durable = Self::events_durable(&[self]);
        self.desk.ask_tidy();
        durable
    }

    /// Makes a head larger; what is new reads as zeros. **Blocks.**
    pub(crate) fn grow(self: &Arc<Self>, head: DatasetId, size: u64) -> Result<(), VolumeError> {
        let blocks = size.div_ceil(BLOCK_BYTES as u64);
        let grown = self.with_pages(|maps| maps.grow(head, blocks));
        grown?;
        Self::events_durable(&[self])
    }

    /// All datasets, the oldest first.
    #[must_use]
    pub fn datasets(&self) -> Vec<DatasetInfo> {
        let state = self.state.lock();
        let all = state.maps.datasets();
        drop(state);
        infos(&all)
    }

    pub(crate) fn info(&self, dataset: DatasetId) -> Option<DatasetFacts> {
        let state = self.state.lock();
        state.maps.facts(dataset)
    }

    /// What it takes. **Blocks.**
    ///
    /// # Errors
    /// The system can't tell.
    pub fn space(&self) -> Result<FamilySpace, VolumeError> {
        let allocated_bytes = self.files.allocated_bytes()?;
        let free_bytes = self.files.free_bytes();
        let state = self.state.lock();
        Ok(FamilySpace {
            used_bytes: state.maps.blocks_in_use() * BLOCK_BYTES as u64,
            allocated_bytes,
            free_bytes,
            maps_bytes: (state.maps.nodes_in_memory() * BLOCK_BYTES) as u64,
        })
    }

    /// Bytes that it takes by what its maps say, with what the file takes that it began with. **Blocks**, for a
    /// look at that file.
    ///
    /// # Errors
    /// The system can't tell.
    pub fn space_used(&self) -> Result<u64, VolumeError> {
        let home = match self.home() {
            Some((home, bytes)) if bytes > 0 => home.allocated_bytes(),
            _ => Ok(0),
        };
        let home = home.map_err(|error| VolumeError::from_block(error, 0))?;
        let state = self.state.lock();
        Ok(home + state.maps.blocks_in_use() * BLOCK_BYTES as u64)
    }

    /// Bytes that are in a dataset alone: that would come back if it were deleted now. **Blocks.**
    ///
    /// # Errors
    /// There is no such dataset, or a page of it can't be read.
    pub fn exclusive_bytes(&self, id: Id) -> Result<u64, VolumeError> {
        let dataset = self.find(id)?;
        let mut blocks = self.with_pages(|maps| maps.left_behind(dataset))?;
        if blocks.is_none() {
            let end = self.info(dataset).map_or(0, |info| info.blocks);
            let mut owned = 0;
            for first in (0..end).step_by(usize::try_from(DIFF_BLOCKS).unwrap_or(usize::MAX)) {
                let count = DIFF_BLOCKS;
                let within = BlockRange { first, count };
                owned += self.with_pages(|maps| maps.owned(dataset, within))?;
            }
            blocks = Some(owned);
        }
        Ok(blocks.unwrap_or_default() * BLOCK_BYTES as u64)
    }

    /// Ranges of bytes in which two datasets may differ, from the byte `from` on, some of them; and
    /// where to go on, `None` at the end. **Blocks.**
    ///
    /// # Errors
    /// There is no such dataset, or a page can't be read.
    pub fn diff(
        &self,
        one: Id,
        other: Id,
        from: u64,
    ) -> Result<(Vec<Range>, Option<u64>), VolumeError> {
        self.settle(one)?;
        self.settle(other)?;
        let (one, other) = (self.find(one)?, self.find(other)?);
        let blocks = |id| self.info(id).map_or(0, |info| info.blocks);
        let end = blocks(one).max(blocks(other));
        let block = BLOCK_BYTES as u64;
        let first = from / block;
        let within = BlockRange {
            first,
            count: end.saturating_sub(first).min(DIFF_BLOCKS),
        };
        let found = self.with_pages(|maps| maps.diff(one, other, within))?;
        let ranges = found.iter().map(|range| Range {
            offset: range.first * block,
            length: range.count * block,
        });
        let next = within.first + within.count;
        let next = (next < end).then_some(next * block);
        Ok((ranges.collect(), next))
    }

    /// Whether a dataset is open as a volume: then it isn't left over by a crash, whoever knows of it.
    #[must_use]
    pub fn is_open(&self, id: Id) -> bool {
        let dataset = self.state.lock().maps.by_uuid(&id);
        dataset.is_some_and(|dataset| !self.volumes_of(dataset).is_empty())
    }

    /// The volumes that a dataset is open as.
    pub(super) fn volumes_of(&self, dataset: DatasetId) -> Vec<Arc<Volume>> {
        let volumes = self.volumes.lock();
        let open = volumes.iter().filter_map(std::sync::Weak::upgrade);
        open.filter(|volume| {
            let mapped = volume.mapped();
            mapped.is_some_and(|mapped| mapped.dataset == dataset)
        })
        .collect()
    }

    /// Waits until what has happened to datasets is durable.
    pub(super) fn events_durable(families: &[&Arc<Self>]) -> Result<(), VolumeError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        for family in families {
            let (sender, named) = (sender.clone(), Arc::clone(family));
            family.desk.ask_events(Box::new(move |result| {
                let result = result.map_err(|reason| named.failing(reason));
                // Nobody listens any more if another one has failed.
                let _ = sender.send(result);
            }));
        }
        drop(sender);
        for _ in families {
            match receiver.recv() {
                Ok(result) => result?,
                Err(_) => {
                    let folder = families.first().map(|family| family.folder().to_path_buf());
                    return Err(VolumeError::Family {
                        folder: folder.unwrap_or_default(),
                        what: "it is being closed".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Datasets, by the ids by which they are known outside.
pub(super) fn infos(all: &[DatasetFacts]) -> Vec<DatasetInfo> {
    // There may be ten thousand.
    let uuids: HashMap<DatasetId, Id> = all.iter().map(|info| (info.number, info.uuid)).collect();
    let uuid = |id: DatasetId| uuids.get(&id).copied();
    all.iter()
        .map(|info| DatasetInfo {
            id: info.uuid,
            is_snapshot: info.is_snapshot,
            blocks: info.blocks,
            previous: info.previous.and_then(uuid),
            deleting: info.deleting,
        })
        .collect()
}
