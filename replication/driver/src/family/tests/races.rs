//! What may happen at the worst of moments: between two steps of others, and where a kill is followed by a
//! loss of power.

use std::ops::ControlFlow;

use super::super::testing::MemoryDisk;
use super::*;

/// Until the keeper has given back what it takes for free.
fn swept(family: &Family) {
    while !family.to_sweep.lock().is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn a_snapshot_that_comes_into_a_fold_keeps_what_it_has() {
    let bench = Bench::mapped();
    bench.write(1, 0, &[5]);
    bench.family().flush_blocking().unwrap();
    let mut first = true;
    // As if all of this came just after the daemon's callback has found the head alone.
    let mut on = |_| {
        if std::mem::take(&mut first) {
            let (family, ids) = (Arc::clone(bench.family()), (id(1), id(2)));
            Family::snapshot(&[(family, ids.0, ids.1)]).unwrap();
            bench.family().flush_blocking().unwrap();
            bench.write(1, 500, &[77]);
        }
        ControlFlow::Continue(())
    };
    bench.family().fold(id(1), &mut on).unwrap();
    let snapshot = bench.read(2);
    assert_eq!(snapshot[500], byte(500), "the snapshot has changed");
}

#[test]
fn a_kill_before_the_journal_is_synced_and_then_a_power_cut_lose_nothing() {
    let (disk, family, volume) = MemoryDisk::new(64 * BLOCK_BYTES, id(1));
    drop(volume);
    let put = |family: &Arc<Family>, byte: u8| {
        let run = family.allocate(1).unwrap()[0];
        let content = Bytes::from(vec![byte; BLOCK_BYTES]);
        let (file, offset) = family.place(run.address).unwrap();
        let mut crcs = SmallVec::new();
        crcs.push(crc32c::crc32c(&content));
        write(&file, offset, content).unwrap();
        let head = family.find(id(1)).unwrap();
        family
            .commit(
                head,
                &[Change::Map {
                    first: 0,
                    address: run.address,
                    crcs,
                }],
            )
            .unwrap();
    };
    put(&family, 1);
    family.flush_blocking().unwrap();
    family.checkpoint().unwrap();
    // Acknowledged and durable: block 0 is full of 1. Now the scribe is killed just before sync_journal.
    put(&family, 2);
    let taken = family.state.lock().maps.take_flush().unwrap().unwrap();
    family.files.sync_data([0], true).unwrap();
    for (at, bytes) in &taken.pieces {
        family.files.write_journal(*at, bytes.clone()).unwrap();
    }
    let family = disk.kill(family);
    swept(&family);
    // As the first half of any flush, or as the kernel likes.
    family.files.sync_data([0], true).unwrap();
    let family = disk.power_cut(family);
    let head = family.find(id(1)).unwrap();
    let found = family
        .locate_waiting(head, BlockRange { first: 0, count: 1 })
        .unwrap();
    let Place::Block { address, crc } = found[0].entry.place else {
        panic!()
    };
    let data = family.checked(address, crc).expect("1 or 2");
    assert!(data[0] == 1 || data[0] == 2);
}

#[test]
fn a_kill_before_the_superblock_is_synced_and_then_a_power_cut_lose_nothing() {
    let (disk, family, volume) = MemoryDisk::new(64 * BLOCK_BYTES, id(1));
    drop(volume);
    family.checkpoint().unwrap();
    let checkpoint = family.state.lock().maps.begin_checkpoint().unwrap();
    let numbers = family.files.write_pages(&checkpoint.pages).unwrap();
    family.files.sync_data(numbers, false).unwrap();
    family.files.write_slots(&checkpoint.slots).unwrap();
    // The scribe writes a batch meanwhile.
    family.zero_one();
    let taken = family.state.lock().maps.take_flush().unwrap().unwrap();
    for (at, bytes) in &taken.pieces {
        family.files.write_journal(*at, bytes.clone()).unwrap();
    }
    family.files.sync_journal().unwrap();
    family
        .files
        .write_superblock_unsynced(checkpoint.superblock.0, checkpoint.superblock.1.clone());
    let family = disk.kill(family);
    swept(&family);
    family.files.sync_data([0], true).unwrap();
    let family = disk.power_cut(family);
    family.find(id(1)).unwrap();
}

impl Family {
    fn zero_one(&self) {
        let head = self.find(id(1)).unwrap();
        self.commit(head, &[Change::Zero(BlockRange { first: 0, count: 1 })])
            .unwrap();
    }
}

#[test]
fn a_flush_after_a_kill_covers_what_was_written_before_the_first_snapshot() {
    let (disk, family, volume) = MemoryDisk::new(64 * BLOCK_BYTES, id(1));
    // As a raw write that was acknowledged just before the adoption.
    write(volume.file(), 0, Bytes::from(vec![7; BLOCK_BYTES])).unwrap();
    drop(volume);
    let family = disk.kill(family);
    family.flush_blocking().unwrap();
    let family = disk.power_cut(family);
    let (home, _) = family.home().unwrap();
    assert_eq!(
        family.files.read(home, 0, BLOCK_BYTES).unwrap()[0],
        7,
        "flushed, and lost"
    );
}

#[test]
fn what_lay_behind_the_home_file_never_shows() {
    let bench = Bench::raw();
    {
        use std::os::unix::fs::FileExt;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(bench.path().join("home"))
            .unwrap();
        file.write_all_at(&[0xEE; 16 * BLOCK_BYTES], SIZE).unwrap();
    }
    let mut bench = bench;
    let volume = bench.volume.clone().unwrap();
    let family = Family::create(&bench.options(), &volume, id(1)).unwrap();
    family.adopt(&volume, id(1)).unwrap();
    bench.family = Some(family);
    volume.resize(SIZE + 16 * BLOCK_BYTES as u64).unwrap();
    let mut on = |_| ControlFlow::Continue(());
    bench.family().fold(id(1), &mut on).unwrap();
    let (home, _) = bench.family().home().unwrap();
    let read = bench.family().files.read(home, SIZE, BLOCK_BYTES).unwrap();
    assert_eq!(read[0], 0, "was zeros, is what the file had behind its end");
}
