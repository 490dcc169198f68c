//! A volume that becomes mapped and raw again under load.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use super::partial::{Stop, rounds, watch, work};
use super::*;

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
