//! A family on a crashing disk, driven as a driver would, beside a model that remembers every block of
//! every dataset and what a crash may make of it.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::{Disk, File, PowerCut, Random};
use super::readings::Read;
use crate::mapped::address::{Address, BLOCK_BYTES, DatasetId};
use crate::mapped::entry::Place;
use crate::mapped::family::checkpoint::Checkpoint;
use crate::mapped::family::flush::JournalWrite;
use crate::mapped::family::recover::{Opening, Replay, Wanted, choose};
use crate::mapped::family::{Deletion, Family, FamilyError};
use crate::mapped::format::{Id, crc, superblock};
use crate::mapped::maps::{BlockRange, Stretches};
use crate::mapped::nodes::Missing;

pub(super) const JOURNAL_BYTES: u64 = 1 << 20;

/// A block's content, told by a number: 0 is zeros.
pub(super) type Tag = u64;

/// What one block of a dataset may be found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    now: Tag,
    /// What a crash may bring back instead.
    or: BTreeSet<Tag>,
}

#[derive(Clone, Debug)]
struct Image {
    cells: Vec<Cell>,
    head: bool,
    uuid: Id,
}

#[derive(Debug)]
pub(super) struct Rig {
    pub(super) disk: Disk,
    pub(super) family: Family,
    id: Id,
    images: BTreeMap<DatasetId, Image>,
    /// Begun when the power went: may or may not have happened. The ids of what it makes.
    in_doubt: BTreeSet<Id>,
    /// Deletions that were begun and not acknowledged.
    may_be_gone: BTreeSet<DatasetId>,
    /// A restore of a head that may or may not have happened: all of it, with the snapshot that comes
    /// with it, or nothing.
    restoring: Option<(DatasetId, Id, Vec<Cell>)>,
    next_tag: Tag,
    next_uuid: u64,
    checkpointing: bool,
    emptied_late: Vec<Address>,
    pub(super) readings: Vec<Read>,
}

pub(super) fn content(tag: Tag) -> Vec<u8> {
    if tag == 0 {
        return vec![0; BLOCK_BYTES];
    }
    tag.to_le_bytes().repeat(BLOCK_BYTES / 8)
}

pub(super) fn tag_of(block: &[u8]) -> Tag {
    let tag = u64::from_le_bytes(block[..8].try_into().unwrap());
    assert_eq!(block, content(tag), "a blend of blocks");
    tag
}

pub(super) fn place(address: Address) -> u64 {
    address.get() * BLOCK_BYTES as u64
}

/// Repeats a call until it needs no more pages.
fn with_pages<T>(
    disk: &Disk,
    mut call: impl FnMut() -> Result<T, FamilyError>,
    mut supply: impl FnMut(Missing, &[u8]),
) -> T {
    loop {
        match call() {
            Ok(value) => return value,
            Err(FamilyError::Missing(missing)) => {
                let page = disk.read(File::Segments, place(missing.address), BLOCK_BYTES);
                supply(missing, &page);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

macro_rules! paged {
    ($rig:expr, $family:ident => $call:expr) => {{
        loop {
            let $family = &mut $rig.family;
            match $call {
                Err(FamilyError::Missing(missing)) => {
                    let page = $rig
                        .disk
                        .read(File::Segments, place(missing.address), BLOCK_BYTES);
                    $rig.family.supply(missing, &page).unwrap();
                }
                other => break other.unwrap(),
            }
        }
    }};
}

impl Rig {
    /// A family over a home file of `home` blocks of content, checkpointed.
    pub(super) fn new(blocks: u64, home: u64) -> Result<(Self, DatasetId), PowerCut> {
        let (family, head) = Family::create(
            [1; 16],
            [2; 16],
            blocks,
            home * BLOCK_BYTES as u64,
            JOURNAL_BYTES,
        )
        .unwrap();
        let mut disk = Disk::default();
        let mut cells = Vec::new();
        for block in 0..blocks {
            let tag = if block < home { 1_000_000 + block } else { 0 };
            cells.push(Cell {
                now: tag,
                or: BTreeSet::new(),
            });
            if block < home {
                disk.write(File::Home, block * BLOCK_BYTES as u64, &content(tag))?;
            }
        }
        disk.sync(File::Home)?;
        disk.operations = 0;
        let image = Image {
            cells,
            head: true,
            uuid: [2; 16],
        };
        let mut rig = Self {
            disk,
            family,
            id: [1; 16],
            images: BTreeMap::from([(head, image)]),
            in_doubt: BTreeSet::new(),
            may_be_gone: BTreeSet::new(),
            restoring: None,
            next_tag: 1,
            next_uuid: 1,
            checkpointing: false,
            emptied_late: Vec::new(),
            readings: Vec::new(),
        };
        rig.checkpoint()?;
        Ok((rig, head))
    }

    pub(super) fn heads(&self) -> Vec<DatasetId> {
        let heads = self.images.iter().filter(|(_, image)| image.head);
        heads.map(|(id, _)| *id).collect()
    }

    pub(super) fn snapshots(&self) -> Vec<DatasetId> {
        let frozen = self.images.iter().filter(|(_, image)| !image.head);
        frozen.map(|(id, _)| *id).collect()
    }

    pub(super) fn size(&self, id: DatasetId) -> u64 {
        self.images[&id].cells.len() as u64
    }

    fn new_uuid(&mut self) -> Id {
        self.next_uuid += 1;
        let mut id = [0xee; 16];
        id[..8].copy_from_slice(&self.next_uuid.to_le_bytes());
        id
    }

    fn set(&mut self, head: DatasetId, block: u64, tag: Tag) {
        let image = self.images.get_mut(&head).unwrap();
        let cell = &mut image.cells[block as usize];
        cell.or.insert(cell.now);
        cell.now = tag;
    }

    pub(super) fn write(
        &mut self,
        head: DatasetId,
        first: u64,
        count: u64,
    ) -> Result<(), PowerCut> {
        let mut first = first;
        let mut left = count;
        while left > 0 {
            let run = self.family.allocate(left as u32).unwrap();
            if self.next_tag.is_multiple_of(7) {
                // One that is given out and never used, with a checkpoint in between or not.
                let unused = self.family.allocate(2).unwrap();
                if self.next_tag.is_multiple_of(3) {
                    self.family.give_back(unused);
                }
            }
            let tags: Vec<Tag> = (0..u64::from(run.count))
                .map(|place| self.next_tag + place)
                .collect();
            self.next_tag += u64::from(run.count);
            let data: Vec<u8> = tags.iter().flat_map(|tag| content(*tag)).collect();
            self.disk.write(File::Segments, place(run.address), &data)?;
            let crcs: Vec<u32> = tags.iter().map(|tag| crc(&content(*tag))).collect();
            paged!(self, family => family.map(head, first, run.address, &crcs));
            for tag in tags {
                self.set(head, first, tag);
                first += 1;
            }
            left -= u64::from(run.count);
        }
        Ok(())
    }

    pub(super) fn zero(&mut self, head: DatasetId, first: u64, count: u64) {
        let range = BlockRange { first, count };
        paged!(self, family => family.zero(head, range));
        for block in first..first + count {
            self.set(head, block, 0);
        }
    }

    /// Copies blocks home that are elsewhere, as a fold does: for a head that comes from nothing.
    pub(super) fn fold(&mut self, head: DatasetId, first: u64, count: u64) -> Result<(), PowerCut> {
        let home = self.family.home_bytes() / BLOCK_BYTES as u64;
        let count = count.min(home.saturating_sub(first));
        if count == 0 || self.images.len() > 1 || self.family.deletion().is_some() {
            return Ok(());
        }
        self.flush()?;
        let range = BlockRange { first, count };
        if !self.family.may_bring_home(range) {
            self.checkpoint()?;
        }
        if !self.family.may_bring_home(range) {
            assert!(!self.readings.is_empty());
            return Ok(());
        }
        let found = paged!(self, family => family.lookup(head, range));
        for stretch in found {
            if let Place::Block { address, .. } = stretch.entry.place {
                let data = self.disk.read(File::Segments, place(address), BLOCK_BYTES);
                self.disk
                    .write(File::Home, stretch.first * BLOCK_BYTES as u64, &data)?;
                let range = BlockRange {
                    first: stretch.first,
                    count: 1,
                };
                paged!(self, family => family.bring_home(head, range));
            }
        }
        Ok(())
    }

    pub(super) fn snapshot(&mut self, heads: &[DatasetId]) -> Result<Vec<DatasetId>, PowerCut> {
        let named: Vec<(DatasetId, Id)> =
            heads.iter().map(|head| (*head, self.new_uuid())).collect();
        self.in_doubt.extend(named.iter().map(|(_, uuid)| *uuid));
        let made = self.family.snapshot(&named).unwrap();
        for ((head, uuid), snapshot) in named.iter().zip(&made) {
            let image = Image {
                head: false,
                uuid: *uuid,
                ..self.images[head].clone()
            };
            self.images.insert(*snapshot, image);
        }
        self.write_events()?;
        self.in_doubt.clear();
        Ok(made)
    }

    pub(super) fn clone_of(&mut self, snapshot: DatasetId) -> Result<DatasetId, PowerCut> {
        let uuid = self.new_uuid();
        self.in_doubt.insert(uuid);
        let head = self.family.clone_of(snapshot, uuid).unwrap();
        let image = Image {
            head: true,
            uuid,
            ..self.images[&snapshot].clone()
        };
        self.images.insert(head, image);
        self.write_events()?;
        self.in_doubt.clear();
        Ok(head)
    }

    pub(super) fn restore(&mut self, head: DatasetId, snapshot: DatasetId) -> Result<(), PowerCut> {
        let uuid = self.new_uuid();
        self.in_doubt.insert(uuid);
        let kept = self.family.restore(head, snapshot, uuid).unwrap();
        let image = Image {
            head: false,
            uuid,
            ..self.images[&head].clone()
        };
        self.images.insert(kept, image);
        let size = self.size(head) as usize;
        let mut cells = self.images[&snapshot].cells.clone();
        let hole = Cell {
            now: 0,
            or: BTreeSet::new(),
        };
        cells.resize(size.max(cells.len()), hole);
        let before = std::mem::replace(&mut self.images.get_mut(&head).unwrap().cells, cells);
        self.restoring = Some((head, uuid, before));
        self.write_events()?;
        self.restoring = None;
        self.in_doubt.clear();
        Ok(())
    }

    pub(super) fn delete(&mut self, dataset: DatasetId) -> Result<(), PowerCut> {
        self.family.delete(dataset).unwrap();
        self.may_be_gone.insert(dataset);
        self.write_events()?;
        self.images.remove(&dataset);
        self.may_be_gone.clear();
        Ok(())
    }

    /// Goes on with deletions; true if one is done.
    pub(super) fn delete_some(&mut self, steps: u64) -> bool {
        if self.checkpointing {
            let waits = self.family.deletion().map(|id| self.family.delete_step(id));
            assert!(matches!(
                waits,
                None | Some(Err(FamilyError::CheckpointUnderWay))
            ));
            return false;
        }
        for _ in 0..steps {
            let Some(id) = self.family.deletion() else {
                return false;
            };
            if paged!(self, family => family.delete_step(id)) == Deletion::Done {
                return true;
            }
        }
        false
    }

    fn write_pieces(&mut self, write: &JournalWrite) -> Result<(), PowerCut> {
        for (at, bytes) in &write.pieces {
            self.disk.write(File::Journal, *at, bytes)?;
        }
        self.disk.sync(File::Journal)
    }

    fn write_events(&mut self) -> Result<(), PowerCut> {
        match self.family.take_events() {
            Ok(Some(write)) => self.write_pieces(&write),
            Ok(None) => Ok(()),
            Err(FamilyError::CheckpointNeeded) => self.checkpoint(),
            Err(error) => panic!("{error}"),
        }
    }

    fn sync_data(&mut self) -> Result<(), PowerCut> {
        self.disk.sync(File::Segments)?;
        self.disk.sync(File::Home)
    }

    pub(super) fn flush(&mut self) -> Result<(), PowerCut> {
        let taken = match self.family.take_flush() {
            Ok(Some(write)) => write,
            Ok(None) => return Ok(()),
            Err(FamilyError::CheckpointNeeded) => return self.checkpoint(),
            Err(error) => panic!("{error}"),
        };
        self.sync_data()?;
        self.write_pieces(&taken)?;
        self.family.flushed(taken.flush.unwrap());
        self.settle();
        self.scribble()
    }

    /// Everything is durable now.
    fn settle(&mut self) {
        for cell in self.images.values_mut().flat_map(|image| &mut image.cells) {
            cell.or.clear();
        }
    }

    pub(super) fn checkpoint(&mut self) -> Result<(), PowerCut> {
        let begun = self.begin_checkpoint()?;
        self.end_checkpoint(begun)
    }

    /// Begins a checkpoint. Its batch was taken before any that comes later, so it is written first.
    pub(super) fn begin_checkpoint(&mut self) -> Result<Checkpoint, PowerCut> {
        self.checkpointing = true;
        let checkpoint = self.family.begin_checkpoint().unwrap();
        if let Some(write) = &checkpoint.journal {
            self.sync_data()?;
            self.write_pieces(write)?;
            self.family.flushed(write.flush.unwrap());
            self.settle();
        }
        Ok(checkpoint)
    }

    pub(super) fn end_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), PowerCut> {
        self.sync_data()?;
        for (address, page) in &checkpoint.pages {
            self.disk.write(File::Segments, place(*address), page)?;
        }
        for (at, slot) in &checkpoint.slots {
            self.disk.write(File::Allocation, *at, slot)?;
        }
        self.disk.sync(File::Segments)?;
        self.disk.sync(File::Allocation)?;
        let (at, superblock) = &checkpoint.superblock;
        self.disk.write(File::Superblock, *at, superblock)?;
        self.disk.sync(File::Superblock)?;
        self.family.checkpointed(checkpoint.sequence);
        self.checkpointing = false;
        self.scribble()
    }

    /// Writes rubbish over everything that is said to be free.
    pub(super) fn scribble(&mut self) -> Result<(), PowerCut> {
        let rubbish = vec![0xdb; BLOCK_BYTES];
        let released = self.family.take_released();
        for address in &released {
            self.disk.write(File::Segments, place(*address), &rubbish)?;
        }
        // Sometimes late: nothing of it may be given out before.
        let late = std::mem::take(&mut self.emptied_late);
        self.family.emptied(&late);
        if released.len() % 3 == 2 {
            self.emptied_late = released;
        } else {
            self.family.emptied(&released);
        }
        let home = self.family.home_bytes() / BLOCK_BYTES as u64;
        for range in self.family.take_home_freed() {
            for block in range.first..range.end().min(home) {
                self.disk
                    .write(File::Home, block * BLOCK_BYTES as u64, &rubbish)?;
            }
        }
        Ok(())
    }

    pub(super) fn look(&mut self, id: DatasetId, range: BlockRange) -> Stretches {
        paged!(self, family => family.lookup(id, range))
    }

    /// Reads one block of a dataset, checksum and all.
    fn read(&mut self, id: DatasetId, block: u64) -> Tag {
        let range = BlockRange {
            first: block,
            count: 1,
        };
        let found = paged!(self, family => family.lookup(id, range));
        let [stretch] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!((stretch.first, stretch.count), (block, 1));
        match stretch.entry.place {
            Place::Hole => 0,
            Place::Home if block * BLOCK_BYTES as u64 >= self.family.home_bytes() => 0,
            Place::Home => {
                let at = block * BLOCK_BYTES as u64;
                tag_of(&self.disk.read(File::Home, at, BLOCK_BYTES))
            }
            Place::Block {
                address,
                crc: known,
            } => {
                let data = self.disk.read(File::Segments, place(address), BLOCK_BYTES);
                assert_eq!(crc(&data), known, "checksum of block {block} of {id}");
                tag_of(&data)
            }
            Place::Node { .. } => panic!("a node where a block should be"),
        }
    }

    /// Compares every block of every dataset, and checks who owns what.
    pub(super) fn verify(&mut self) {
        let ids: Vec<_> = self.images.keys().copied().collect();
        for id in ids {
            assert_eq!(self.family.blocks(id).unwrap(), self.size(id));
            for block in 0..self.size(id) {
                let found = self.read(id, block);
                let cell = &self.images[&id].cells[block as usize];
                assert_eq!(found, cell.now, "block {block} of {id}");
            }
        }
        self.check();
    }

    pub(super) fn check(&mut self) {
        let mut check = self.family.begin_check().unwrap();
        loop {
            match self.family.check_step(&mut check) {
                Ok(true) => {}
                Ok(false) => break,
                Err(missing) => {
                    let at = place(missing.address);
                    let page = self.disk.read(File::Segments, at, BLOCK_BYTES);
                    check.supply(Ok(&page));
                }
            }
        }
        self.family.end_check(&check);
        assert_eq!(check.report().findings, [], "{:?}", check.report());
    }

    /// The diff of two datasets covers all blocks in which they differ.
    pub(super) fn verify_diff(&mut self, one: DatasetId, other: DatasetId) {
        let within = BlockRange {
            first: 0,
            count: u64::MAX,
        };
        let differ = paged!(self, family => family.diff(one, other, within));
        let covered = |block: u64| differ.iter().any(|range| range.covers(block, 1));
        for block in 0..self.size(one).max(self.size(other)) {
            let tag = |id| {
                let cells: &Vec<Cell> = &self.images[&id].cells;
                cells.get(block as usize).map_or(0, |cell| cell.now)
            };
            assert!(tag(one) == tag(other) || covered(block), "block {block}");
        }
    }

    /// The power goes and comes back; the family is opened again and compared with what may be.
    pub(super) fn crash(&mut self, random: &mut Random) {
        self.emptied_late.clear();
        self.readings.clear();
        self.disk.crash(random);
        self.family = reopen(&self.disk, self.id);
        self.checkpointing = false;
        if let Some((head, safety, before)) = self.restoring.take()
            && self.family.by_uuid(&safety).is_none()
        {
            self.images.get_mut(&head).unwrap().cells = before;
        }
        let ids: Vec<_> = self.images.keys().copied().collect();
        for id in ids {
            let image = &self.images[&id];
            let there = self.family.by_uuid(&image.uuid);
            if there.is_none() {
                let excused = self.in_doubt.contains(&image.uuid) || self.may_be_gone.contains(&id);
                assert!(excused, "{id} is gone");
                self.images.remove(&id);
                continue;
            }
            assert_eq!(there, Some(id));
        }
        self.accept();
        self.in_doubt.clear();
        self.may_be_gone.clear();
        self.check();
    }

    /// What was found is what there is from now on, if it may be.
    fn accept(&mut self) {
        let ids: Vec<_> = self.images.keys().copied().collect();
        for id in ids {
            for block in 0..self.size(id) {
                let found = self.read(id, block);
                let image = self.images.get_mut(&id).unwrap();
                let cell = &mut image.cells[block as usize];
                assert!(
                    found == cell.now || cell.or.contains(&found),
                    "block {block} of {id} is {found}: neither {} nor one of {:?}",
                    cell.now,
                    cell.or
                );
                *cell = Cell {
                    now: found,
                    or: BTreeSet::new(),
                };
            }
        }
    }
}

/// Opens the family of a disk.
pub(super) fn reopen(disk: &Disk, id: Id) -> Family {
    let file = disk.read(File::Superblock, 0, superblock::FILE_BYTES);
    let superblock = choose(&file).unwrap();
    assert_eq!(superblock.family, id);
    let mut opening = Opening::new(superblock).unwrap();
    loop {
        match opening.wanted() {
            Wanted::Page(missing) => {
                let page = disk.read(File::Segments, place(missing.address), BLOCK_BYTES);
                opening.page(missing, &page).unwrap();
            }
            Wanted::Slots(segment) => {
                let at = u64::from(segment) * 2 * BLOCK_BYTES as u64;
                let both = disk.read(File::Allocation, at, 2 * BLOCK_BYTES);
                let (first, second) = both.split_at(BLOCK_BYTES);
                opening.slots(segment, first, second).unwrap();
            }
            Wanted::Journal { at, bytes } => {
                let to_end = usize::try_from(JOURNAL_BYTES - at).unwrap().min(bytes);
                let mut read = disk.read(File::Journal, at, to_end);
                read.extend(disk.read(File::Journal, 0, bytes - to_end));
                opening.journal(&read).unwrap();
            }
            Wanted::Ring => {
                let ring = disk.read(File::Journal, 0, usize::try_from(JOURNAL_BYTES).unwrap());
                opening.ring(&ring).unwrap();
            }
            Wanted::Nothing => break,
        }
    }
    let replay: std::cell::RefCell<Replay> = opening.finish().unwrap().into();
    while with_pages(
        disk,
        || replay.borrow_mut().step(),
        |missing, page| replay.borrow_mut().supply(missing, page).unwrap(),
    ) {}
    replay.into_inner().finish()
}
