//! Recovery: from a superblock, the pages that it names, the allocation slots and the journal to a
//! family as it was when it was last durable.

use super::{Family, FamilyError};
use crate::mapped::address::{Address, BLOCK_BYTES};
use crate::mapped::allocator::SegmentKind;
use crate::mapped::dataset::{Dataset, Datasets};
use crate::mapped::entry::{Entry, Place};
use crate::mapped::family::flush::Journal;
use crate::mapped::format::batch::{self, SECTOR_BYTES};
use crate::mapped::format::record::Record;
use crate::mapped::format::superblock::{Slot, Superblock};
use crate::mapped::format::table::{
    DATASET_BYTES, DATASETS_PER_PAGE, DatasetRecord, SEGMENT_BYTES, SegmentRecord, decode_segment,
    mark,
};
use crate::mapped::format::tail;
use crate::mapped::format::{Damage, allocation, bytes_at, chain, crc};
use crate::mapped::maps::Maps;
use crate::mapped::nodes::{Missing, PageKind};

/// The superblock that counts, of those in its file.
///
/// # Errors
/// None counts, or one is of a version that isn't known.
pub fn choose(file: &[u8]) -> Result<Superblock, Damage> {
    let mut chosen: Option<Superblock> = None;
    for page in file.chunks(BLOCK_BYTES) {
        if let Slot::Valid(found) = Superblock::decode(page)?
            && chosen
                .as_ref()
                .is_none_or(|chosen| chosen.sequence < found.sequence)
        {
            chosen = Some(*found);
        }
    }
    chosen.ok_or_else(|| Damage::new("the superblock", "neither of its slots is valid"))
}

/// What a recovery wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A page: [`Opening::page`].
    Page(Missing),
    /// Both allocation slots of a segment: [`Opening::slots`].
    Slots(u32),
    /// The journal's ring from this byte on, this many bytes, round its end if need be:
    /// [`Opening::journal`].
    Journal {
        /// First byte.
        at: u64,
        /// Bytes, whole sectors.
        bytes: usize,
    },
    /// All of the journal's ring: [`Opening::ring`].
    Ring,
    /// Nothing more to read before [`Opening::finish`].
    Nothing,
}

/// A family that is being opened.
#[derive(Debug)]
pub struct Opening {
    superblock: Superblock,
    datasets: Vec<DatasetRecord>,
    table_pages: Vec<Address>,
    segments: Vec<(u32, SegmentRecord)>,
    segments_seen: u32,
    maps: Maps,
    journal: Journal,
    records: Vec<Record>,
    /// The number of the last change that was found.
    changes: u64,
    /// Of what was found in tails: where it goes on from the journal.
    tail: Vec<tail::Entry>,
    /// Pages of the two tables that are still to be read.
    tables: [Option<Entry>; 2],
    /// Bytes of the next batch.
    batch: usize,
    journal_ended: bool,
    ring_seen: bool,
}

impl Opening {
    /// Begins with the superblock that [`choose`] chose.
    ///
    /// # Errors
    /// It says what no superblock says.
    pub fn new(superblock: Superblock) -> Result<Self, Damage> {
        let mut journal = Journal::new(superblock.journal_bytes);
        let sector = SECTOR_BYTES as u64;
        let aligned = superblock.journal_at.is_multiple_of(sector);
        if journal.bytes != superblock.journal_bytes
            || superblock.journal_at >= journal.bytes
            || !aligned
        {
            return Err(Damage::new("the superblock", "its journal makes no sense"));
        }
        journal.at = superblock.journal_at;
        journal.sequence = superblock.journal_sequence;
        let maps = Maps {
            epoch: superblock.epoch,
            flush: 1,
            checkpoint: superblock.sequence + 1,
            ..Maps::default()
        };
        let superblock_changes = superblock.changes;
        Ok(Self {
            tables: [superblock.datasets, superblock.segments],
            superblock,
            datasets: Vec::new(),
            table_pages: Vec::new(),
            segments: Vec::new(),
            segments_seen: 0,
            maps,
            journal,
            records: Vec::new(),
            changes: superblock_changes,
            tail: Vec::new(),
            batch: SECTOR_BYTES,
            journal_ended: false,
            ring_seen: false,
        })
    }

    /// What is to be read next.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        for pointer in self.tables.into_iter().flatten() {
            if let Place::Node { address, crc } = pointer.place {
                let kind = PageKind::Chain;
                return Wanted::Page(Missing { address, crc, kind });
            }
        }
        if let Some((segment, _)) = self.segments.last() {
            return Wanted::Slots(*segment);
        }
        if !self.journal_ended {
            return Wanted::Journal {
                at: self.journal.at,
                bytes: self.batch,
            };
        }
        if self.ring_seen {
            Wanted::Nothing
        } else {
            Wanted::Ring
        }
    }

    /// Takes a page of a table.
    ///
    /// # Errors
    /// It isn't what it should be.
    pub fn page(&mut self, missing: Missing, page: &[u8]) -> Result<(), Damage> {
        if crc(page) != missing.crc {
            return Err(Damage::new("a page of a table", "its checksum is wrong"));
        }
        let (next, payload) = chain::decode(page)?;
        self.table_pages.push(missing.address);
        let [datasets, segments] = &mut self.tables;
        if datasets.is_some() {
            *datasets = next;
            self.take_datasets(payload)
        } else {
            *segments = next;
            self.take_segments(payload)
        }
    }

    fn take_datasets(&mut self, payload: &[u8]) -> Result<(), Damage> {
        let left = self.superblock.dataset_count as usize - self.datasets.len();
        for record in payload
            .chunks_exact(DATASET_BYTES)
            .take(left.min(DATASETS_PER_PAGE))
        {
            self.datasets.push(DatasetRecord::decode(record)?);
        }
        Ok(())
    }

    fn take_segments(&mut self, payload: &[u8]) -> Result<(), Damage> {
        for at in (0..payload.len()).step_by(SEGMENT_BYTES) {
            if self.segments_seen == self.superblock.segment_count {
                break;
            }
            if at + SEGMENT_BYTES > payload.len() {
                break;
            }
            if let Some(record) = decode_segment(bytes_at(payload, at)?)? {
                self.segments.push((self.segments_seen, record));
            }
            self.segments_seen += 1;
        }
        Ok(())
    }

    /// Takes both slots of a segment.
    ///
    /// # Errors
    /// Neither counts.
    pub fn slots(&mut self, segment: u32, first: &[u8], second: &[u8]) -> Result<(), Damage> {
        let newest = self.superblock.sequence;
        let found = [
            allocation::decode(first, segment)?,
            allocation::decode(second, segment)?,
        ];
        // A checkpoint that was never finished has been here. The next one has its sequence, and must
        // not leave this to be taken for its own.
        let leftover = found.iter().flatten().any(|slot| slot.sequence > newest);
        let [first, second] = found.map(|slot| slot.filter(|slot| slot.sequence <= newest));
        let of =
            |slot: &Option<allocation::AllocationSlot>| slot.as_ref().map_or(0, |it| it.sequence);
        let is_second = of(&second) > of(&first);
        let chosen = if is_second { second } else { first };
        let chosen = chosen.ok_or_else(|| {
            let why = format!("neither slot of segment {segment} is valid");
            Damage::new("the allocation", why)
        })?;
        let at = self
            .segments
            .iter()
            .position(|(number, _)| *number == segment);
        let Some(at) = at else {
            return Ok(());
        };
        let (_, record) = self.segments.swap_remove(at);
        let used: u32 = chosen.bits.iter().map(|word| word.count_ones()).sum();
        if used != record.used || mark(chosen.sequence) != record.mark {
            let why = format!("the slot of segment {segment} that counts is not valid");
            return Err(Damage::new("the allocation", why));
        }
        self.maps
            .allocator
            .load(segment, record.kind, chosen, is_second, leftover);
        Ok(())
    }

    /// Takes bytes of the journal.
    ///
    /// # Errors
    /// A batch that was written in full makes no sense.
    pub fn journal(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        let sequence = self.journal.sequence;
        let family = self.superblock.family;
        let room = self.journal.bytes - self.journal.used;
        match batch::length(bytes, &family, sequence) {
            Some(length) if length as u64 > room => self.journal_ended = true,
            Some(length) if length > bytes.len() => self.batch = length,
            Some(_) => match batch::decode(bytes, &family, sequence)? {
                Some(batch) => {
                    let length = bytes.len() as u64;
                    self.journal.at = (self.journal.at + length) % self.journal.bytes;
                    self.journal.used += length;
                    self.journal.sequence += 1;
                    self.changes = self.changes.max(batch.changes);
                    self.records.extend(batch.records);
                    self.batch = SECTOR_BYTES;
                }
                None => self.journal_ended = true,
            },
            None => self.journal_ended = true,
        }
        Ok(())
    }

    /// Takes all of the ring: nothing in it may be newer than what was found. A batch is written when
    /// the one before it is durable, so a later one says that one was damaged since.
    ///
    /// # Errors
    /// It was.
    pub fn ring(&mut self, ring: &[u8]) -> Result<(), Damage> {
        self.ring_seen = true;
        let (family, next) = (&self.superblock.family, self.journal.sequence);
        for at in (0..ring.len()).step_by(SECTOR_BYTES) {
            let (before, from) = ring.split_at_checked(at).unwrap_or((ring, &[]));
            let Some(sequence) = batch::sequence(from, family).filter(|found| *found > next) else {
                continue;
            };
            let Some(length) = batch::length(from, family, sequence) else {
                continue;
            };
            let rest = length.saturating_sub(from.len());
            let whole = from.iter().take(length).chain(before.iter().take(rest));
            let whole: Vec<u8> = whole.copied().collect();
            if batch::is_whole(&whole, family, sequence) {
                return Err(Damage::new(
                    "the journal",
                    format!("batch {next} is damaged, and batch {sequence} is there"),
                ));
            }
        }
        Ok(())
    }

    /// Takes a tail, if there is one, before [`Self::finish`].
    pub fn tail(&mut self, bytes: &[u8]) {
        self.tail
            .extend(tail::decode(bytes, &self.superblock.family));
    }

    /// What goes on where the journal has ended; the rest is in the journal, or of another time.
    fn take_tails(&mut self) -> bool {
        let mut entries = std::mem::take(&mut self.tail);
        entries.sort_by_key(|entry| entry.first);
        let mut any = false;
        for entry in entries {
            if entry.first == self.changes + 1 {
                self.changes += entry.records.len() as u64;
                self.records.extend(entry.records);
                any = true;
            }
        }
        any
    }

    /// The family, before what the journal says has been done: [`Replay::step`].
    ///
    /// # Errors
    /// The tables say what no tables say.
    pub fn finish(mut self) -> Result<Replay, Damage> {
        let has_tail = self.take_tails();
        let wrong = |why: &str| Err(Damage::new("the dataset table", why));
        if self.datasets.len() != self.superblock.dataset_count as usize {
            return wrong("datasets are missing");
        }
        let mut datasets = Datasets::default();
        for record in self.datasets {
            if record.id.0 >= self.superblock.next_dataset {
                return wrong("a number that wasn't given yet");
            }
            datasets.insert(Dataset::new(record));
        }
        for dataset in datasets.iter() {
            let previous = dataset.record.previous;
            let previous = previous.map(|id| datasets.get(id).ok_or(id));
            match previous {
                Some(Err(_)) => return wrong("a dataset comes from one that isn't there"),
                Some(Ok(previous)) if previous.is_head() => {
                    return wrong("a dataset comes from a head");
                }
                _ => {}
            }
        }
        // What the journal names is in use, before anything else is given out.
        for record in &self.records {
            if let Record::Map { address, crcs, .. } = record {
                for place in 0..crcs.len() as u64 {
                    let address = address.plus(place);
                    self.maps.allocator.mark(address, SegmentKind::Data);
                }
            }
        }
        // Events are in the journal as soon as they can be, changes of maps only with a flush.
        self.records
            .sort_by_key(|record| (record.epoch(), record.ends_epoch()));
        self.records.reverse();
        let family = Family {
            id: self.superblock.family,
            maps: self.maps,
            datasets,
            next_dataset: self.superblock.next_dataset,
            home_bytes: self.superblock.home_bytes,
            journal: self.journal,
            changed: Vec::new(),
            changes: self.changes,
            journaled: self.changes,
            untailed: 0,
            events: Vec::new(),
            sequence: self.superblock.sequence,
            checkpointing: false,
            table_pages: self.table_pages,
            checks: 0,
        };
        Ok(Replay {
            family,
            left: self.records,
            has_tail,
        })
    }
}

/// A family to which things have happened that aren't done yet.
#[derive(Debug)]
pub struct Replay {
    family: Family,
    /// The next one is the last.
    left: Vec<Record>,
    has_tail: bool,
}

impl Replay {
    /// Does the next thing; false when there is none left.
    ///
    /// # Errors
    /// A page is missing: supply it to [`Self::supply`] and try again. Or a record says what can't be.
    pub fn step(&mut self) -> Result<bool, FamilyError> {
        let Some(record) = self.left.last() else {
            return Ok(false);
        };
        let family = &mut self.family;
        let epoch = record.epoch();
        if epoch < family.maps.epoch {
            let why = "it is older than the checkpoint";
            return Err(Damage::new("a record of the journal", why).into());
        }
        family.maps.epoch = epoch;
        if let Record::Map { address, crcs, .. } = record {
            for place in 0..crcs.len() as u64 {
                family.maps.allocator.unfree(address.plus(place));
            }
        }
        if record.ends_epoch() {
            family.event(record)?;
        } else {
            family.change(record)?;
        }
        self.left.pop();
        Ok(true)
    }

    /// Whether nothing has happened since the last checkpoint: the family was closed, not killed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether something of it was in a tail only: then a checkpoint has to be made, after all data is
    /// durable, before anything else happens.
    #[must_use]
    pub fn has_tail(&self) -> bool {
        self.has_tail
    }

    /// Takes a page that was asked for.
    ///
    /// # Errors
    /// It isn't what it should be.
    pub fn supply(&mut self, missing: Missing, page: &[u8]) -> Result<(), Damage> {
        self.family.supply(missing, page)
    }

    /// The family, when [`Self::step`] has said that nothing is left.
    #[must_use]
    pub fn finish(mut self) -> Family {
        // What the journal made durable is done.
        let flush = self.family.maps.flush;
        self.family.maps.flush += 1;
        self.family.flushed(flush);
        self.family
    }
}
