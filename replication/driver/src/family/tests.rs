//! A family on real files: made, changed, closed or dropped, opened again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use tempfile::TempDir;
use tidelock_volume::mapped::{BLOCK_BYTES, BlockRange, Id, Place};

use super::files::write;
use super::{Change, Family, FamilyOptions, MappedOptions, Trouble};
use crate::{CreateOptions, OpenOptions, Volume};

mod copy_out;
mod crashes;
mod damage;
mod fold;
mod full;
mod inspect;
mod power;
mod races;
mod stream;
mod verify;

const BLOCKS: u64 = 600;
const SIZE: u64 = BLOCKS * BLOCK_BYTES as u64;

fn id(number: u8) -> Id {
    [number; 16]
}

/// A folder with a raw volume in it and, once made, a family.
struct Bench {
    folder: TempDir,
    volume: Option<Arc<Volume>>,
    family: Option<Arc<Family>>,
}

impl Bench {
    /// A raw volume whose block N is full of the byte N.
    fn raw() -> Self {
        // Where syncing takes no time, if there is such a place.
        let folder = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let options = CreateOptions {
            open: OpenOptions::new(&folder.path().join("home")),
            size: SIZE,
            preallocate: false,
        };
        let volume = Volume::create(&options).unwrap();
        for block in 0..BLOCKS {
            let content = Bytes::from(vec![byte(block); BLOCK_BYTES]);
            write(volume.file(), block * BLOCK_BYTES as u64, content).unwrap();
        }
        Self {
            folder,
            volume: Some(volume),
            family: None,
        }
    }

    /// The same as a family, whose head is 1.
    fn mapped() -> Self {
        let mut bench = Self::raw();
        let volume = bench.volume.clone().unwrap();
        let family = Family::create(&bench.options(), &volume, id(1)).unwrap();
        family.adopt(&volume, id(1)).unwrap();
        bench.family = Some(family);
        bench
    }

    fn options(&self) -> FamilyOptions {
        FamilyOptions {
            journal_bytes: 1 << 20,
            tail_folder: Some(self.path().join("tails")),
            ..FamilyOptions::new(self.path().join("families/one"), id(9))
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn family(&self) -> &Arc<Family> {
        self.family.as_ref().unwrap()
    }

    /// As after a kill: nothing is said to it, its threads are left to themselves.
    fn drop_family(&mut self) {
        self.volume = None;
        let family = self.family.take().unwrap();
        let threads = std::mem::take(&mut *family.threads.lock());
        drop(family);
        for thread in threads {
            thread.join().unwrap();
        }
    }

    fn open(&mut self) {
        let home = OpenOptions::new(&self.path().join("home"));
        self.family = Some(Family::open(&self.options(), Some(&home)).unwrap());
    }

    fn reopen(&mut self) {
        self.drop_family();
        self.open();
    }

    /// Writes whole blocks of one byte each.
    fn write(&self, head: u8, first: u64, bytes: &[u8]) {
        let family = self.family();
        let mut first = first;
        let mut changes: Vec<Change> = Vec::new();
        let mut left = bytes;
        let count = u32::try_from(bytes.len()).unwrap();
        for run in family.allocate(count).unwrap() {
            let mut crcs = SmallVec::new();
            for at in 0..u64::from(run.count) {
                let content = Bytes::from(vec![left[0]; BLOCK_BYTES]);
                left = &left[1..];
                crcs.push(crc32c::crc32c(&content));
                let (file, offset) = family.place(run.address.plus(at)).unwrap();
                write(&file, offset, content).unwrap();
            }
            changes.push(Change::Map {
                first,
                address: run.address,
                crcs,
            });
            first += u64::from(run.count);
        }
        self.commit(head, &changes);
    }

    fn zero(&self, head: u8, first: u64, count: u64) {
        self.commit(head, &[Change::Zero(BlockRange { first, count })]);
    }

    fn commit(&self, head: u8, changes: &[Change]) {
        let family = self.family();
        let head = family.find(id(head)).unwrap();
        loop {
            match family.commit(head, changes) {
                Ok(()) => return,
                Err(Trouble::Missing(missing)) => family.fetch(missing).unwrap(),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    /// The byte that each block is full of.
    fn read(&self, dataset: u8) -> Vec<u8> {
        self.read_first(dataset, BLOCKS)
    }

    fn read_first(&self, dataset: u8, count: u64) -> Vec<u8> {
        let family = self.family();
        let dataset = family.find(id(dataset)).unwrap();
        let range = BlockRange { first: 0, count };
        let found = family.with_pages(|maps| maps.lookup(dataset, range));
        let mut bytes = Vec::new();
        for stretch in found.unwrap() {
            for block in stretch.first..stretch.first + stretch.count {
                let content = match stretch.entry.place {
                    Place::Hole => Bytes::from(vec![0; BLOCK_BYTES]),
                    Place::Home => {
                        let (home, _) = family.home().unwrap();
                        let at = block * BLOCK_BYTES as u64;
                        family.files.read(home, at, BLOCK_BYTES).unwrap()
                    }
                    Place::Block { address, crc } => family.checked(address, crc).unwrap(),
                    Place::Node { .. } => panic!("a node is nobody's content"),
                };
                assert!(content.iter().all(|byte| *byte == content[0]));
                bytes.push(content[0]);
            }
        }
        bytes
    }

    fn snapshot(&self, head: u8, new: u8) {
        Family::snapshot(&[(Arc::clone(self.family()), id(head), id(new))]).unwrap();
    }

    fn delete(&self, dataset: u8) {
        self.family().delete(id(dataset)).unwrap();
    }

    /// Waits until nothing is left to delete.
    fn settle(&self) {
        let family = self.family();
        loop {
            let deleting = family.datasets().iter().any(|info| info.deleting);
            family.checkpoint().unwrap();
            if !deleting {
                return;
            }
        }
    }

    fn assert_sound(&self) {
        let report = self.family().verify_now();
        assert_eq!(report.findings, Vec::<String>::new());
    }
}

fn byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

fn numbered() -> Vec<u8> {
    (0..BLOCKS).map(byte).collect()
}

#[test]
fn a_raw_volume_keeps_its_content_when_it_is_adopted() {
    let mut bench = Bench::mapped();
    assert_eq!(bench.read(1), numbered());
    let volume = bench.volume.clone().unwrap();
    assert_eq!(volume.family().map(|(_, head)| head), Some(id(1)));
    drop(volume);
    bench.reopen();
    assert_eq!(bench.read(1), numbered());
}

#[test]
fn a_snapshot_keeps_what_was_and_the_head_goes_on() {
    let mut bench = Bench::mapped();
    bench.write(1, 3, &[200, 201]);
    bench.snapshot(1, 2);
    bench.write(1, 4, &[210, 211]);
    bench.zero(1, 500, 100);
    bench.family().flush_blocking().unwrap();
    for _ in 0..2 {
        let mut frozen = numbered();
        frozen[3..5].copy_from_slice(&[200, 201]);
        assert_eq!(bench.read(2), frozen);
        let mut now = frozen;
        now[4..6].copy_from_slice(&[210, 211]);
        now[500..].fill(0);
        assert_eq!(bench.read(1), now);
        bench.assert_sound();
        bench.reopen();
    }
}

#[test]
fn a_clone_is_independent_and_a_restore_keeps_what_was() {
    let mut bench = Bench::mapped();
    bench.snapshot(1, 2);
    bench.family().clone_of(id(2), id(3)).unwrap();
    bench.write(3, 0, &[77; 10]);
    bench.write(1, 0, &[88; 10]);
    bench.family().restore(id(1), id(2), id(4)).unwrap();
    bench.family().flush_blocking().unwrap();
    bench.reopen();
    assert_eq!(bench.read(1), numbered());
    assert_eq!(bench.read(2), numbered());
    assert_eq!(bench.read(3)[..11], [&[77; 10][..], &[10]].concat());
    assert_eq!(bench.read(4)[..11], [&[88; 10][..], &[10]].concat());
    bench.assert_sound();
}

#[test]
fn space_comes_back_to_the_file_system_when_a_snapshot_is_deleted() {
    let bench = Bench::mapped();
    bench.write(1, 0, &[1; 512]);
    bench.snapshot(1, 2);
    bench.family().checkpoint().unwrap();
    bench.write(1, 0, &[2; 512]);
    bench.family().checkpoint().unwrap();
    let before = bench.family().space().unwrap();
    assert_eq!(
        bench.family().exclusive_bytes(id(2)).unwrap() / BLOCK_BYTES as u64 / 512,
        1,
        "512 blocks that only the snapshot has now"
    );
    bench.delete(2);
    bench.settle();
    // One checkpoint frees what was deleted, the next the tables of the one before.
    bench.family().checkpoint().unwrap();
    bench.family().checkpoint().unwrap();
    // The keeper is at it.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let after = bench.family().space().unwrap();
        let gone = |before: u64, after: u64| after + (512 << 12) <= before;
        if gone(before.used_bytes, after.used_bytes)
            && gone(before.allocated_bytes, after.allocated_bytes)
        {
            break;
        }
        assert!(std::time::Instant::now() < end, "{before:?} {after:?}");
        std::thread::yield_now();
    }
    bench.assert_sound();
}

#[test]
fn a_group_has_one_point_or_nothing() {
    let (one, other) = (Bench::mapped(), Bench::mapped());
    let member = |bench: &Bench, head, new| (Arc::clone(bench.family()), id(head), id(new));
    Family::snapshot(&[member(&one, 1, 2), member(&other, 1, 3)]).unwrap();
    let refused = Family::snapshot(&[member(&one, 1, 4), member(&other, 7, 5)]);
    assert!(refused.unwrap_err().to_string().contains("no dataset"));
    // A snapshot isn't a head: found out when the first one is frozen already.
    Family::snapshot(&[member(&one, 1, 6), member(&other, 3, 7)]).unwrap_err();
    for bench in [&one, &other] {
        let alive = |info: &&super::DatasetInfo| info.is_snapshot && !info.deleting;
        assert_eq!(bench.family().datasets().iter().filter(alive).count(), 1);
        bench.assert_sound();
    }
}

#[test]
fn a_group_is_restored_at_one_moment_or_not_at_all() {
    let (mut one, mut other) = (Bench::mapped(), Bench::mapped());
    for bench in [&one, &other] {
        bench.snapshot(1, 2);
        bench.write(1, 0, &[50, 51]);
    }
    let member = |bench: &Bench, head, snapshot| super::Restoring {
        family: Arc::clone(bench.family()),
        head: id(head),
        snapshot: id(snapshot),
        safety: id(3),
        undo: id(4),
    };
    let content = |bench: &Bench| bench.read(1)[..2].to_vec();
    // A head can't be restored to: found out when the first one is restored already.
    let refused = Family::restore_together(&[member(&one, 1, 2), member(&other, 1, 1)]);
    refused.unwrap_err();
    for bench in [&one, &other] {
        assert_eq!(content(bench), [50, 51]);
    }
    one.delete(3);
    one.settle();
    for bench in [&one, &other] {
        bench.family().flush_blocking().unwrap();
    }
    Family::restore_together(&[member(&one, 1, 2), member(&other, 1, 2)]).unwrap();
    // What is kept of it may never have been flushed: nobody is given it before it is durable.
    let unsettled = |bench: &Bench| bench.family().state.lock().unsettled.len();
    assert_eq!((unsettled(&one), unsettled(&other)), (1, 1));
    one.family().settle(id(3)).unwrap();
    assert_eq!((unsettled(&one), unsettled(&other)), (0, 1));
    for bench in [&mut one, &mut other] {
        bench.reopen();
        assert_eq!(content(bench), [0, 1]);
        assert_eq!(bench.read(3)[..2], [50, 51]);
        bench.assert_sound();
    }
}

#[test]
fn what_differs_is_told() {
    let bench = Bench::mapped();
    bench.snapshot(1, 2);
    bench.write(1, 100, &[1, 2, 3]);
    let (ranges, next) = bench.family().diff(id(2), id(1), 0).unwrap();
    let block = BLOCK_BYTES as u64;
    assert_eq!(ranges.len(), 1);
    assert_eq!(
        (ranges[0].offset, ranges[0].length),
        (100 * block, 3 * block)
    );
    assert_eq!(next, None);
}

#[test]
fn ten_thousand_writes_without_a_flush_keep_memory_bounded() {
    let bench = Bench::mapped();
    let mut expected: BTreeMap<u64, u8> = BTreeMap::new();
    for round in 0..10_000_u64 {
        let block = round * 7 % BLOCKS;
        bench.write(1, block, &[byte(round)]);
        expected.insert(block, byte(round));
        if round % 1000 == 999 {
            bench.family().flush_blocking().unwrap();
        }
    }
    let mut now = numbered();
    for (block, byte) in expected {
        now[usize::try_from(block).unwrap()] = byte;
    }
    assert_eq!(bench.read(1), now);
    bench.assert_sound();
}

#[test]
fn a_volume_of_a_snapshot_can_only_be_read() {
    let bench = Bench::mapped();
    bench.snapshot(1, 2);
    let options = MappedOptions {
        block_size: 512,
        size: SIZE,
        read_only: false,
    };
    assert!(!bench.family().is_open(id(2)));
    let frozen = bench.family().volume(id(2), &options).unwrap();
    assert!(bench.family().is_open(id(2)));
    assert!(frozen.is_read_only());
    assert!(frozen.remove_file().is_err());
    let wrong = MappedOptions {
        size: SIZE - BLOCK_BYTES as u64,
        ..options
    };
    let refused = bench.family().volume(id(2), &wrong).unwrap_err();
    assert!(refused.to_string().contains("blocks of 4096"));
}

#[test]
fn what_is_overwritten_without_a_flush_is_used_again() {
    let bench = Bench::mapped();
    bench.snapshot(1, 2);
    // 300 MiB into a volume of 2.3: far more than may wait.
    for round in 0..128_u64 {
        bench.write(1, 0, &vec![byte(round); usize::try_from(BLOCKS).unwrap()]);
    }
    let used = bench.family().space().unwrap().used_bytes;
    let waiting = super::WAITING_MAX * BLOCK_BYTES as u64;
    // As much again may come while the flush is on its way.
    assert!(used < 3 * waiting, "{used}");
    bench.assert_sound();
}

#[test]
fn small_holes_are_made_when_hosts_are_quiet() {
    let bench = Bench::mapped();
    bench.write(1, 0, &[1; 512]);
    bench.family().checkpoint().unwrap();
    let taken = || bench.family().space().unwrap().allocated_bytes;
    let before = taken();
    // Every other block, so that no run is long.
    for block in (0..512).step_by(2) {
        bench.zero(1, block, 1);
    }
    bench.family().checkpoint().unwrap();
    bench.family().checkpoint().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while taken() + 256 * BLOCK_BYTES as u64 > before + (64 << 10) {
        assert!(std::time::Instant::now() < end, "{} of {before}", taken());
        std::thread::yield_now();
    }
    bench.assert_sound();
}

#[test]
fn a_deletion_ends_however_busy_hosts_are() {
    let bench = Bench::mapped();
    bench.write(1, 0, &[1; 512]);
    bench.snapshot(1, 2);
    bench.write(1, 0, &[2; 512]);
    bench.delete(2);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let mut round = 0_u64;
    // Small holes all over, and one checkpoint after the other.
    while bench.family().datasets().iter().any(|info| info.deleting) {
        for block in (round % 2..512).step_by(2) {
            bench.write(1, block, &[byte(round)]);
        }
        round += 1;
        bench.family().desk.ask_checkpoint();
        assert!(
            std::time::Instant::now() < end,
            "still there after {round} rounds"
        );
    }
    bench.assert_sound();
}
