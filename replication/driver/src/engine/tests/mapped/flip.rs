//! A volume that becomes mapped and raw again under load.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use super::partial::{Stop, rounds, watch, work};
use super::*;
use crate::{Committed, CopyOutOptions, CreateOptions};

const SECTORS: u64 = 30 * 8 + 3;
const ROUNDS: u32 = 120;

#[test]
fn nothing_is_lost_when_a_volume_becomes_mapped_and_raw_again_under_load() {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        let Some(mut rig) = Rig::on_file(kind, SECTORS * BLOCK, false) else {
            continue;
        };
        let folder = rig.folder.take().unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let volume = &rig.volume;
            let stopping = Stop(&stop);
            let watcher = scope.spawn(|| watch(kind, Arc::clone(volume), SECTORS, true, &stop));
            let workers = [0, 1].map(|worker| {
                let own: Vec<u64> = (0..SECTORS).filter(|number| number % 2 == worker).collect();
                scope.spawn(move || work(kind, Arc::clone(volume), &own, ROUNDS))
            });
            let mut turns = 0;
            while turns < 3 || !workers.iter().all(|worker| worker.is_finished()) {
                turns += 1;
                there_and_back(volume, &folder, turns);
            }
            let ended = workers.map(|worker| worker.join());
            drop(stopping);
            ended.into_iter().for_each(|ended| ended.unwrap());
            watcher.join().unwrap();
        });
        assert!(rig.volume.mapped().is_none());
        let content = rig.read(0, SECTORS * BLOCK);
        assert!(rounds(&content, 0).iter().all(|round| *round == ROUNDS));
        let file = std::fs::read(folder.path().join("image")).unwrap();
        assert_eq!(content, file, "it is raw again");
    }
}

/// As [`nothing_is_lost_when_a_volume_becomes_mapped_and_raw_again_under_load`], of a clone that becomes a file of
/// its own.
#[test]
fn nothing_is_lost_when_a_clone_becomes_a_file_of_its_own_under_load() {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        let Some(mut rig) = Rig::on_file(kind, SECTORS * BLOCK, false) else {
            continue;
        };
        let folder = rig.folder.take().unwrap();
        let (family, clone) = clone_of(&rig.volume, &folder);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let stopping = Stop(&stop);
            let volume = &clone;
            let watcher = scope.spawn(|| watch(kind, Arc::clone(volume), SECTORS, true, &stop));
            let workers = [0, 1].map(|worker| {
                let own: Vec<u64> = (0..SECTORS).filter(|number| number % 2 == worker).collect();
                scope.spawn(move || work(kind, Arc::clone(volume), &own, ROUNDS))
            });
            hydrate(&family, volume, &folder);
            let ended = workers.map(|worker| worker.join());
            drop(stopping);
            ended.into_iter().for_each(|ended| ended.unwrap());
            watcher.join().unwrap();
        });
        assert!(clone.mapped().is_none());
        family.close().unwrap();
        let pool = Arc::new(BufferPool::new(16 << 20));
        let engine = Engine::new(kind, 32, Arc::clone(&pool)).unwrap();
        let mut rig = Rig::of(engine, clone, pool, None, None);
        let content = rig.read(0, SECTORS * BLOCK);
        assert!(rounds(&content, 0).iter().all(|round| *round == ROUNDS));
        let file = std::fs::read(folder.path().join("own")).unwrap();
        assert_eq!(content, file, "it is raw");
    }
}

fn clone_of(volume: &Arc<Volume>, folder: &TempDir) -> (Arc<Family>, Arc<Volume>) {
    let options = FamilyOptions {
        journal_bytes: 1 << 20,
        ..FamilyOptions::new(folder.path().join("family"), id(99))
    };
    let family = Family::create(&options, volume, id(HEAD)).unwrap();
    family.adopt(volume, id(HEAD)).unwrap();
    Family::snapshot(&[(Arc::clone(&family), id(HEAD), id(2))]).unwrap();
    family.clone_of(id(2), id(3)).unwrap();
    let options = MappedOptions {
        block_size: 512,
        size: SECTORS * BLOCK,
        read_only: false,
    };
    let clone = family.volume(id(3), &options).unwrap();
    (family, clone)
}

fn hydrate(family: &Arc<Family>, clone: &Arc<Volume>, folder: &TempDir) {
    let options = CreateOptions {
        open: OpenOptions::new(&folder.path().join("own")),
        size: SECTORS * BLOCK,
        preallocate: false,
    };
    let to = Volume::create(&options).unwrap();
    let copy = |what, since: Option<u32>| {
        let options = CopyOutOptions {
            what: id(what),
            since: since.map(id),
            to: Arc::clone(&to),
            from: 0,
        };
        let mut copy = family.copy_out(options).unwrap();
        while copy.step().unwrap().is_some() {}
    };
    let mut since = None;
    for round in 4..10 {
        Family::snapshot(&[(Arc::clone(family), id(3), id(round))]).unwrap();
        copy(round, since);
        since = Some(round);
    }
    let held = clone.hold().unwrap();
    copy(3, since);
    assert!(held.part(&to, || Committed::Yes).unwrap());
}

fn there_and_back(volume: &Arc<Volume>, folder: &TempDir, turn: u32) {
    let options = FamilyOptions {
        journal_bytes: 1 << 20,
        ..FamilyOptions::new(folder.path().join(format!("family-{turn}")), id(turn))
    };
    let family = Family::create(&options, volume, id(HEAD)).unwrap();
    family.adopt(volume, id(HEAD)).unwrap();
    Family::snapshot(&[(Arc::clone(&family), id(HEAD), id(2))]).unwrap();
    let frozen = MappedOptions {
        block_size: 512,
        size: SECTORS * BLOCK,
        read_only: true,
    };
    let snapshot = family.volume(id(2), &frozen).unwrap();
    let pool = Arc::new(BufferPool::new(16 << 20));
    let engine = Engine::new(EngineKind::ThreadPool, 32, Arc::clone(&pool)).unwrap();
    let mut rig = Rig::of(engine, snapshot, pool, None, None);
    let content = rig.read(0, SECTORS * BLOCK);
    rounds(&content, 0);
    assert_eq!(rig.read(0, SECTORS * BLOCK), content, "it never changes");
    drop(rig);
    family.delete(id(2)).unwrap();
    while family.datasets().len() > 1 {
        family.checkpoint().unwrap();
    }
    let mut progress = |_| ControlFlow::Continue(());
    family.fold(id(HEAD), &mut progress).unwrap();
    family.release(volume, id(HEAD)).unwrap();
    family.close().unwrap();
}
