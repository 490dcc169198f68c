//! Blocks that are changed in part by several engines at once, while others read them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const BLOCKS: u64 = 8;
const SECTORS: u64 = BLOCKS * 8;
const ROUNDS: u32 = 150;

/// A sector that says which it is, and when it was written.
fn sector(number: u64, round: u32) -> Bytes {
    let mut bytes = Vec::with_capacity(512);
    for _ in 0..32 {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&u64::from(round).to_le_bytes());
    }
    bytes.into()
}

/// Sets a flag when it goes, so that nobody waits for ever if something fails.
pub(super) struct Stop<'a>(pub(super) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The round of every sector, each of which must be whole and in its place.
pub(super) fn rounds(content: &[u8], first: u64) -> Vec<u32> {
    let sectors = content.chunks(512).zip(first..);
    sectors
        .map(|(bytes, number)| {
            let round = u64::from_le_bytes(bytes[8..16].try_into().unwrap());
            let round = u32::try_from(round).unwrap();
            let expected = if round == 0 && bytes[0..8] == [0; 8] {
                Bytes::from(vec![0; 512])
            } else {
                sector(number, round)
            };
            assert!(bytes == expected, "sector {number} is torn or another's");
            round
        })
        .collect()
}

/// Whether whatever is there was once written to this sector.
fn is_of(content: &[u8], sector: u64) -> bool {
    content.chunks(16).all(|record| {
        let (number, round) = record.split_at(8);
        number == sector.to_le_bytes() || (number == [0; 8] && round == [0; 8])
    })
}

/// Writes its own sectors again and again, several at a time, and reads what it has written.
pub(super) fn work(kind: EngineKind, volume: Arc<Volume>, own: &[u64], rounds_max: u32) {
    let pool = Arc::new(BufferPool::new(16 << 20));
    let engine = Engine::new(kind, 32, Arc::clone(&pool)).unwrap();
    let mut rig = Rig::of(engine, volume, pool, None, None);
    for round in 1..=rounds_max {
        for number in own {
            rig.start(VolumeOp::Write {
                offset: number * BLOCK,
                data: smallvec![sector(*number, round)],
                fua: round % 50 == 0,
            });
        }
        for (_, outcome) in rig.finish(own.len()) {
            done(outcome);
        }
        if round % 16 == 0 {
            done(rig.run(VolumeOp::Flush));
        }
        for number in own {
            let content = rig.read(number * BLOCK, BLOCK);
            assert_eq!(rounds(&content, *number), [round]);
        }
    }
}

/// Reads everything until it is told to stop. A raw file may tear a sector that is being written.
pub(super) fn watch(
    kind: EngineKind,
    volume: Arc<Volume>,
    sectors: u64,
    tears: bool,
    stop: &AtomicBool,
) {
    let pool = Arc::new(BufferPool::new(16 << 20));
    let engine = Engine::new(kind, 64, Arc::clone(&pool)).unwrap();
    let mut rig = Rig::of(engine, volume, pool, None, None);
    let mut before = vec![0; usize::try_from(sectors).unwrap()];
    while !stop.load(Ordering::Relaxed) {
        let content = rig.read(0, sectors * BLOCK);
        if tears {
            for (part, number) in content.chunks(512).zip(0..) {
                assert!(is_of(part, number), "sector {number} is another's");
            }
            continue;
        }
        let now = rounds(&content, 0);
        for (number, (before, now)) in before.iter().zip(&now).enumerate() {
            assert!(
                before <= now,
                "sector {number} went back from {before} to {now}"
            );
        }
        before = now;
    }
}

#[test]
fn parts_of_a_block_that_several_engines_change_at_once_are_all_there() {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        let Some(mut bench) = Bench::new(kind, SECTORS * BLOCK) else {
            continue;
        };
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let volume = &bench.rig.volume;
            let stopping = Stop(&stop);
            let watcher = scope.spawn(|| watch(kind, Arc::clone(volume), SECTORS, false, &stop));
            let workers = [0, 1, 2].map(|worker| {
                let own: Vec<u64> = (0..SECTORS).filter(|number| number % 3 == worker).collect();
                scope.spawn(move || work(kind, Arc::clone(volume), &own, ROUNDS))
            });
            let ended = workers.map(|worker| worker.join());
            drop(stopping);
            ended.into_iter().for_each(|ended| ended.unwrap());
            watcher.join().unwrap();
        });
        let content = bench.rig.read(0, SECTORS * BLOCK);
        assert!(rounds(&content, 0).iter().all(|round| *round == ROUNDS));
        bench.assert_sound();
        bench.reopen();
        assert_eq!(bench.rig.read(0, SECTORS * BLOCK), content);
    }
}
