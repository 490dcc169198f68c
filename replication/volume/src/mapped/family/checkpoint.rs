//! Checkpoints: the maps as they are at one moment, as pages, slots and a superblock.

use super::flush::JournalWrite;
use super::{Family, FamilyError};
use crate::mapped::address::{Address, AddressMap, Epoch};
use crate::mapped::allocator::{Reuse, SegmentKind};
use crate::mapped::entry::{Entry, Place};
use crate::mapped::format::allocation::{self, slot_offset};
use crate::mapped::format::chain::{self, PAYLOAD_BYTES};
use crate::mapped::format::crc;
use crate::mapped::format::dead::{DEAD_PER_PAGE, Dead, DeadPlace};
use crate::mapped::format::superblock::Superblock;
use crate::mapped::format::table::{
    DATASET_BYTES, DATASETS_PER_PAGE, SEGMENTS_PER_PAGE, encode_segment,
};
use crate::mapped::nodes::{Page, with_crc};

/// What a checkpoint writes, in this order: all data that was mapped, then the journal's batch, before
/// any batch that is taken later; then pages and slots, durable; then the superblock, durable; then [`Family::checkpointed`].
#[derive(Debug)]
pub struct Checkpoint {
    /// Its sequence.
    pub sequence: u64,
    /// The batch that it covers; its flush is done when it is durable.
    pub journal: Option<JournalWrite>,
    /// Blocks of segments.
    pub pages: Vec<(Address, Vec<u8>)>,
    /// Byte offsets and bytes of the allocation file.
    pub slots: Vec<(u64, Vec<u8>)>,
    /// Byte offset and bytes of the superblock's file.
    pub superblock: (u64, Vec<u8>),
}

/// What is known of the segments.
struct Segments {
    table: Option<Entry>,
    count: u32,
    slots: Vec<(u64, Vec<u8>)>,
}

impl Family {
    /// Begins a checkpoint of everything that has happened so far. Other calls go on meanwhile.
    ///
    /// # Errors
    /// One is being written already, or there is no room for its pages.
    pub fn begin_checkpoint(&mut self) -> Result<Checkpoint, FamilyError> {
        if self.checkpointing {
            return Err(FamilyError::CheckpointUnderWay);
        }
        let journal = self.take_covered();
        let sequence = self.maps.checkpoint;
        let (mut pages, crcs) = self.maps.nodes.freeze();
        self.write_dead_lists(&crcs, &mut pages)?;
        for page in std::mem::take(&mut self.table_pages) {
            let reuse = Reuse::AfterCheckpoint(sequence);
            self.maps.allocator.free(page, reuse);
        }
        let datasets = self.write_datasets(&crcs, &mut pages)?;
        let batches = self.maps.flush - 1;
        let Segments {
            table: segments,
            count: segment_count,
            slots,
        } = self.write_segments(batches, &mut pages)?;
        let superblock = Superblock {
            family: self.id,
            sequence,
            journal_at: self.journal.at,
            journal_sequence: self.journal.sequence,
            journal_bytes: self.journal.bytes,
            epoch: self.maps.epoch,
            next_dataset: self.next_dataset,
            home_bytes: self.home_bytes,
            datasets,
            segments,
            dataset_count: u32::try_from(self.datasets.iter().len()).unwrap_or(u32::MAX),
            segment_count,
            changes: self.journaled,
        };
        self.checkpointing = true;
        self.journal.covered = self.journal.used;
        self.maps.checkpoint += 1;
        Ok(Checkpoint {
            sequence,
            journal,
            pages,
            slots,
            superblock: (superblock.offset(), superblock.encode()),
        })
    }

    /// The checkpoint is durable.
    pub fn checkpointed(&mut self, sequence: u64) {
        self.sequence = sequence;
        self.checkpointing = false;
        self.journal.used -= self.journal.covered;
        self.journal.covered = 0;
        self.maps.nodes.written();
        self.maps.allocator.checkpoint_is_durable(sequence);
        if let Some(flush) = self.journal.blocked.take() {
            self.flushed(flush);
        }
        for dataset in self.datasets.iter_mut() {
            if dataset.settled.is_some_and(|(_, at)| at <= sequence) {
                dataset.settled = None;
            }
        }
        self.maps.allocator.forget_empty();
    }

    fn write_dead_lists(
        &mut self,
        crcs: &AddressMap<u32>,
        pages: &mut Vec<Page>,
    ) -> Result<(), FamilyError> {
        let (allocator, epoch) = (&mut self.maps.allocator, self.maps.epoch);
        for dataset in self.datasets.iter_mut() {
            let mut next = dataset.record.dead;
            for dying in dataset.dying.chunks(DEAD_PER_PAGE) {
                let payload: Vec<u8> = dying
                    .iter()
                    .flat_map(|dead| dead_with_crc(*dead, crcs).encode())
                    .collect();
                let run = allocator.allocate(SegmentKind::Nodes, 1);
                let address = run.ok_or(FamilyError::Full("nodes"))?.address;
                next = Some(chain_page(address, next, &payload, epoch, pages));
            }
            dataset.record.dead = next;
            dataset.record.dead_count += dataset.dying.len() as u64;
            dataset.dying = Vec::new();
        }
        Ok(())
    }

    fn write_datasets(
        &mut self,
        crcs: &AddressMap<u32>,
        pages: &mut Vec<Page>,
    ) -> Result<Option<Entry>, FamilyError> {
        let mut payload = Vec::with_capacity(self.datasets.iter().len() * DATASET_BYTES);
        for dataset in self.datasets.iter_mut() {
            dataset.record.root = with_crc(dataset.record.root, crcs);
            payload.extend(dataset.record.encode());
        }
        let chunks = payload.chunks(DATASETS_PER_PAGE * DATASET_BYTES);
        let places = self.new_pages(chunks.len())?;
        Ok(write_chain(&places, chunks, self.maps.epoch, pages))
    }

    /// The segment table and the slots. Pages for the table are taken until they are enough for the
    /// segments that there are with them.
    fn write_segments(
        &mut self,
        flushes: u64,
        pages: &mut Vec<Page>,
    ) -> Result<Segments, FamilyError> {
        let mut places = Vec::new();
        let count = loop {
            let count = self.maps.allocator.numbers();
            let wanted = (count as usize).div_ceil(SEGMENTS_PER_PAGE);
            if places.len() >= wanted {
                break count;
            }
            places.extend(self.new_pages(wanted - places.len())?);
        };
        let sequence = self.maps.checkpoint;
        let slots = self.maps.allocator.write_slots(sequence, flushes);
        let mut table = vec![[0; 4]; count as usize];
        for (number, found) in self.maps.allocator.record(sequence, flushes) {
            if let Some(record) = table.get_mut(number as usize) {
                *record = encode_segment((found.used > 0).then_some(found));
            }
        }
        let payload = table.concat();
        let chunks = payload.chunks(PAYLOAD_BYTES);
        let table = write_chain(&places, chunks, self.maps.epoch, pages);
        let slots = slots.into_iter().map(|slot| {
            let offset = slot_offset(slot.segment, slot.second);
            (
                offset,
                allocation::encode(slot.segment, sequence, &slot.bits),
            )
        });
        Ok(Segments {
            table,
            count,
            slots: slots.collect(),
        })
    }

    fn new_pages(&mut self, count: usize) -> Result<Vec<Address>, FamilyError> {
        let mut places = Vec::with_capacity(count);
        for _ in 0..count {
            let run = self.maps.allocator.allocate(SegmentKind::Nodes, 1);
            places.push(run.ok_or(FamilyError::Full("nodes"))?.address);
        }
        self.table_pages.extend(&places);
        Ok(places)
    }
}

/// A chain of these pages, whose first is the last to be made.
fn write_chain<'a>(
    places: &[Address],
    payloads: impl DoubleEndedIterator<Item = &'a [u8]>,
    epoch: Epoch,
    pages: &mut Vec<Page>,
) -> Option<Entry> {
    let mut next = None;
    for (payload, address) in payloads.rev().zip(places) {
        next = Some(chain_page(*address, next, payload, epoch, pages));
    }
    next
}

/// Makes a page of a chain, and the pointer to it.
fn chain_page(
    address: Address,
    next: Option<Entry>,
    payload: &[u8],
    epoch: Epoch,
    pages: &mut Vec<Page>,
) -> Entry {
    let page = chain::encode(next, payload);
    let crc = crc(&page);
    pages.push((address, page));
    Entry {
        place: Place::Node { address, crc },
        birth: epoch,
    }
}

fn dead_with_crc(dead: Dead, crcs: &AddressMap<u32>) -> Dead {
    match dead.what {
        DeadPlace::Tree {
            first,
            address,
            level,
            ..
        } if crcs.contains_key(&address) => Dead {
            what: DeadPlace::Tree {
                first,
                address,
                level,
                crc: crcs.get(&address).copied().unwrap_or_default(),
            },
            ..dead
        },
        _ => dead,
    }
}
