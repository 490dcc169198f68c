//! COMPARE AND WRITE and ORWRITE have their range for themselves: on one engine, and on many threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

fn compare_and_write(offset: u64, expected: &[u8], data: &[u8]) -> VolumeOp {
    VolumeOp::CompareAndWrite {
        offset,
        expected: smallvec![Bytes::copy_from_slice(expected)],
        data: smallvec![Bytes::copy_from_slice(data)],
        fua: false,
    }
}

fn read(offset: u64, length: u64) -> VolumeOp {
    VolumeOp::Read { offset, length }
}

fn block(fill: u8) -> Vec<u8> {
    vec![fill; 512]
}

#[test]
fn it_writes_when_nothing_differs_and_says_where_when_something_does() {
    on_each(2 << 20, |rig| {
        let length = 600 << 10;
        let (old, new) = (vec![0; length], vec![7; length]);
        let mut other = old.clone();
        other[500_001] = 1;
        match rig.run(compare_and_write(4096, &other, &new)) {
            VolumeOutcome::Miscompare { offset: 500_001 } => {}
            outcome => panic!("{outcome:?}"),
        }
        assert_eq!(rig.read(4096, length as u64), old);
        done(rig.run(compare_and_write(4096, &old, &new)));
        assert_eq!(rig.read(4096, length as u64), new);
        assert_eq!(rig.read(0, 4096), vec![0; 4096]);
        assert_eq!(rig.read(4096 + length as u64, 512), block(0));
        assert_eq!((rig.pool.in_use(), rig.engine.in_flight()), (0, 0));
        assert_eq!(rig.volume.locks().entries(), 0);
    });
}

#[test]
fn or_write_sets_bits_and_clears_none() {
    on_each(1 << 20, |rig| {
        done(rig.run(write(0, 1 << 20, 0x50)));
        let bits = VolumeOp::OrWrite {
            offset: 512,
            data: smallvec![Bytes::from(vec![0x0f; 300 << 10]), Bytes::from(block(0x30))],
            fua: true,
        };
        done(rig.run(bits));
        let end = 512 + (300 << 10);
        assert_eq!(rig.read(0, 512), block(0x50));
        assert_eq!(rig.read(512, 300 << 10), vec![0x5f; 300 << 10]);
        assert_eq!(rig.read(end, 1024), [block(0x70), block(0x50)].concat());
        assert_eq!((rig.pool.in_use(), rig.volume.locks().entries()), (0, 0));
    });
}

#[test]
fn nothing_to_compare_is_done_and_unequal_lengths_are_refused() {
    let mut rig = Rig::in_memory(4096);
    done(rig.run(compare_and_write(0, &[], &[])));
    let outcome = rig.run(compare_and_write(
        0,
        &block(0),
        &[block(1), block(1)].concat(),
    ));
    assert_eq!(fault(outcome).kind, VolumeFaultKind::OutOfRange);
    let outcome = rig.run(compare_and_write(4096, &block(0), &block(1)));
    assert_eq!(fault(outcome).kind, VolumeFaultKind::OutOfRange);
}

#[test]
fn with_fua_it_is_durable_when_it_is_done() {
    let mut rig = Rig::in_memory(4096);
    let VolumeOp::CompareAndWrite {
        offset,
        expected,
        data,
        ..
    } = compare_and_write(0, &block(0), &block(1))
    else {
        return;
    };
    done(rig.run(VolumeOp::CompareAndWrite {
        offset,
        expected,
        data,
        fua: true,
    }));
    rig.memory().crash();
    assert_eq!(rig.read(0, 512), block(1));
}

#[test]
fn what_overlaps_waits_in_turn_and_what_does_not_goes_on() {
    let mut rig = Rig::in_memory(8192);
    let memory = rig.memory();
    memory.hold(OpName::Read);
    let swap = rig.start(compare_and_write(512, &block(0), &block(1)));
    let behind = rig.start(write(512, 512, 2));
    let beside = rig.start(write(1024, 512, 3));
    let finished = rig.turn();
    assert_eq!(finished.len(), 1, "{finished:?}");
    assert_eq!(finished[0].0, beside);
    assert_eq!(rig.engine.waiting(), 1);
    memory.release();
    let order: Vec<_> = rig.finish(2).into_iter().map(|(token, _)| token).collect();
    assert_eq!(order, [swap, behind]);
    assert_eq!(rig.read(512, 1024), [block(2), block(3)].concat());
}

#[test]
fn writes_under_way_are_waited_for() {
    let mut rig = Rig::in_memory(8192);
    let memory = rig.memory();
    memory.hold(OpName::Write);
    rig.start(write(0, 512, 1));
    assert!(rig.turn().is_empty());
    let mut other = Engine::new(EngineKind::Memory, 8, Arc::clone(&rig.pool)).unwrap();
    other.start(9, &rig.volume, compare_and_write(0, &block(1), &block(2)));
    other.submit();
    assert!(other.poll().is_none());
    assert_eq!((other.waiting(), memory.count(OpName::Read)), (1, 0));
    memory.release();
    rig.finish(1);
    other.submit();
    let (_, outcome) = other.poll().unwrap();
    done(outcome);
    assert_eq!(memory.content()[..512], block(2));
}

#[test]
fn one_that_is_given_up_while_it_waits_never_begins_and_leaves_nothing_behind() {
    let mut rig = Rig::in_memory(8192);
    let memory = rig.memory();
    memory.hold(OpName::Read);
    let reader = rig.start(read(0, 512));
    let swap = rig.start(compare_and_write(0, &block(0), &block(1)));
    let behind = rig.start(write(0, 512, 2));
    assert!(rig.turn().is_empty());
    assert_eq!(rig.engine.waiting(), 2);
    rig.engine.detach(swap);
    // It was only in the way of the write behind it.
    let finished = rig.finish(1);
    assert_eq!(finished[0].0, behind);
    memory.release();
    assert_eq!(rig.finish(1)[0].0, reader);
    assert_eq!(rig.volume.locks().entries(), 0);
    assert_eq!((rig.engine.waiting(), rig.engine.in_flight()), (0, 0));
    assert_eq!(memory.content()[..512], block(2));
}

#[test]
fn one_that_is_given_up_while_it_reads_never_writes() {
    let mut rig = Rig::in_memory(8192);
    let memory = rig.memory();
    memory.hold(OpName::Read);
    let swap = rig.start(compare_and_write(0, &block(0), &block(1)));
    assert!(rig.turn().is_empty());
    rig.engine.detach(swap);
    assert_eq!(fault(rig.run(write(0, 512, 2))).kind, VolumeFaultKind::Busy);
    memory.release();
    assert!(rig.turn().is_empty());
    assert_eq!(memory.count(OpName::Write), 0);
    assert_eq!(rig.volume.locks().entries(), 0);
    done(rig.run(write(0, 512, 2)));
}

#[test]
fn a_late_write_lands_before_anybody_else_gets_its_range() {
    let mut rig = Rig::in_memory(8192);
    let memory = rig.memory();
    memory.hold(OpName::Write);
    let stuck = rig.start(compare_and_write(0, &block(0), &block(1)));
    let behind = rig.start(compare_and_write(0, &block(1), &block(2)));
    assert!(rig.turn().is_empty());
    rig.engine.detach(stuck);
    assert!(rig.turn().is_empty());
    assert_eq!(rig.volume.locks().entries(), 2, "it still has its range");
    memory.release();
    let (token, outcome) = rig.finish(1).remove(0);
    assert_eq!(token, behind);
    done(outcome);
    assert_eq!(memory.content()[..512], block(2));
    assert_eq!(rig.volume.locks().entries(), 0);
}

#[test]
fn whoever_comes_to_his_turn_while_a_late_write_is_elsewhere_is_busy() {
    let mut rig = Rig::in_memory(8192);
    let memory = rig.memory();
    memory.hold(OpName::Read);
    rig.start(read(0, 512));
    let swap = rig.start(compare_and_write(0, &block(0), &block(1)));
    assert!(rig.turn().is_empty());
    memory.hold(OpName::Write);
    let mut other = Engine::new(EngineKind::Memory, 8, Arc::clone(&rig.pool)).unwrap();
    other.start(1, &rig.volume, write(4096, 512, 9));
    other.submit();
    other.detach(1);
    memory.release();
    let finished = rig.finish(2);
    let busy = finished.into_iter().find(|(token, _)| *token == swap);
    assert_eq!(fault(busy.unwrap().1).kind, VolumeFaultKind::Busy);
    other.submit();
    assert!(other.poll().is_none());
    done(rig.run(compare_and_write(0, &block(0), &block(1))));
}

#[test]
fn an_engine_that_is_dropped_leaves_no_lock_behind() {
    let mut rig = Rig::in_memory(8192);
    let memory = rig.memory();
    memory.hold(OpName::Write);
    let mut other = Engine::new(EngineKind::Memory, 8, Arc::clone(&rig.pool)).unwrap();
    other.start(1, &rig.volume, compare_and_write(0, &block(0), &block(1)));
    other.start(2, &rig.volume, write(0, 512, 5));
    other.start(3, &rig.volume, write(4096, 512, 5));
    other.submit();
    assert!(other.poll().is_none());
    let behind = rig.start(write(0, 512, 6));
    let swap = rig.start(compare_and_write(4096, &block(0), &block(1)));
    assert!(rig.turn().is_empty());
    memory.release();
    drop(other);
    let mut tokens: Vec<_> = rig.finish(2).into_iter().map(|(token, _)| token).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [behind, swap]);
    assert_eq!(rig.volume.locks().entries(), 0);
}

/// Rounds of [`a_block_as_a_spin_lock_excludes`], all threads together.
const ROUNDS: u64 = 100_000;
const THREADS: u64 = 4;
const LOCK: u64 = 4096;
const COUNTER: u64 = 65_536;

/// One initiator on a thread and an engine of its own.
fn spin(kind: EngineKind, volume: &Arc<Volume>, pool: &Arc<BufferPool>, rounds: u64, mine: u8) {
    let engine = Engine::new(kind, 64, Arc::clone(pool)).unwrap();
    let mut rig = Rig::of(engine, Arc::clone(volume), Arc::clone(pool), None, None);
    for _ in 0..rounds {
        loop {
            match rig.run(compare_and_write(LOCK, &block(0), &block(mine))) {
                VolumeOutcome::Done => break,
                VolumeOutcome::Miscompare { .. } => std::thread::yield_now(),
                other => panic!("{other:?}"),
            }
        }
        // Two steps that nobody may come between.
        let found = rig.read(COUNTER, 512);
        let count = u64::from_be_bytes(found[..8].try_into().unwrap());
        let mut next = block(mine);
        next[..8].copy_from_slice(&(count + 1).to_be_bytes());
        done(rig.run(VolumeOp::Write {
            offset: COUNTER,
            data: smallvec![Bytes::from(next)],
            fua: false,
        }));
        done(rig.run(compare_and_write(LOCK, &block(mine), &block(0))));
    }
}

/// A stretch of equal bytes that is swapped by COMPARE AND WRITE and read all the time: whoever sees
/// two kinds of bytes in it has seen half of a swap. And ordinary writes beside the lock.
fn stretch(
    kind: EngineKind,
    volume: &Arc<Volume>,
    pool: &Arc<BufferPool>,
    stop: &AtomicBool,
) -> u64 {
    const STRETCH: u64 = 131_072;
    // Above the engine's step where that costs little, so that a swap is of several.
    let length = if kind == EngineKind::Memory {
        8192
    } else {
        300 << 10
    };
    let engine = Engine::new(kind, 64, Arc::clone(pool)).unwrap();
    let mut rig = Rig::of(engine, Arc::clone(volume), Arc::clone(pool), None, None);
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        let found = rig.read(STRETCH, length as u64);
        assert!(
            found == vec![found[0]; length],
            "a reader has seen half of it"
        );
        let next = vec![found[0].wrapping_add(1); length];
        match rig.run(compare_and_write(STRETCH, &found, &next)) {
            VolumeOutcome::Done => swaps += 1,
            VolumeOutcome::Miscompare { .. } => {}
            other => panic!("{other:?}"),
        }
        done(rig.run(write(LOCK - 512, 512, 0xee)));
    }
    swaps
}

fn hammer(kind: EngineKind, volume: &Arc<Volume>, rounds: u64) {
    let pool = Arc::new(BufferPool::new(64 << 20));
    let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Barrier::new(usize::try_from(THREADS).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| swaps.fetch_add(stretch(kind, volume, &pool, &stop), Ordering::Relaxed));
        }
        let spinners: Vec<_> = (0..THREADS)
            .map(|index| {
                let (start, pool) = (&start, &pool);
                scope.spawn(move || {
                    start.wait();
                    let mine = u8::try_from(index + 1).unwrap();
                    spin(kind, volume, pool, rounds / THREADS, mine);
                })
            })
            .collect();
        let results: Vec<_> = spinners.into_iter().map(|thread| thread.join()).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
    assert!(swaps.load(Ordering::Relaxed) > 0);
    let engine = Engine::new(kind, 8, Arc::clone(&pool)).unwrap();
    let mut rig = Rig::of(engine, Arc::clone(volume), Arc::clone(&pool), None, None);
    let count = u64::from_be_bytes(rig.read(COUNTER, 512)[..8].try_into().unwrap());
    assert_eq!(count, rounds / THREADS * THREADS);
    assert_eq!((volume.locks().entries(), pool.in_use()), (0, 0));
}

#[test]
fn a_block_as_a_spin_lock_excludes_over_a_hundred_thousand_rounds() {
    let memory = MemoryFile::new(1 << 20);
    let volume = Volume::in_memory(memory, BlockSize::B512).unwrap();
    hammer(EngineKind::Memory, &volume, ROUNDS);
}

#[test]
fn a_block_as_a_spin_lock_excludes_on_real_files() {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        let Some(rig) = Rig::on_file(kind, 1 << 20, false) else {
            continue;
        };
        hammer(kind, &rig.volume, ROUNDS / 50);
    }
}
