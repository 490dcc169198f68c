//! The memory ceiling, and the depth of the I/O engine.

use super::*;

#[test]
fn reads_beyond_the_ceiling_wait_in_order_and_all_finish() {
    let mut rig = Rig::in_memory_with(1 << 20, 64, 64 << 10);
    let tokens: Vec<_> = (0..50)
        .map(|index| {
            rig.start(VolumeOp::Read {
                offset: index * 16_384,
                length: 16_384,
            })
        })
        .collect();
    assert_eq!(rig.engine.waiting(), 46);
    let mut finished = Vec::new();
    while finished.len() < 50 {
        assert!(rig.pool.reserved() <= 64 << 10);
        let batch = rig.turn();
        assert!(!batch.is_empty(), "stuck after {}", finished.len());
        // Dropping the bytes is what a socket does after it has sent them.
        finished.extend(batch.into_iter().map(|(token, _)| token));
    }
    assert_eq!(finished, tokens);
    assert_eq!(rig.pool.in_use(), 0);
}

#[test]
fn operations_that_need_no_memory_pass_those_that_wait_for_it() {
    let mut rig = Rig::in_memory_with(1 << 20, 64, 4096);
    let held = rig.read(0, 4096);
    let read = rig.start(VolumeOp::Read {
        offset: 0,
        length: 512,
    });
    let written = rig.start(write(0, 512, 1));
    let flushed = rig.start(VolumeOp::Flush);
    let tokens: Vec<_> = rig.turn().into_iter().map(|(token, _)| token).collect();
    assert_eq!(tokens, [written, flushed]);
    drop(held);
    assert_eq!(rig.finish(1).first().map(|(token, _)| *token), Some(read));
}

#[test]
fn memory_that_another_thread_returns_wakes_a_sleeping_engine() {
    for kind in [
        EngineKind::Memory,
        EngineKind::Uring,
        EngineKind::ThreadPool,
    ] {
        let mut rig = match kind {
            EngineKind::Memory => Rig::in_memory_with(8192, 8, 4096),
            _ => match Rig::on_file(kind, 8192, false) {
                Some(rig) => {
                    let pool = Arc::new(BufferPool::new(4096));
                    let engine = Engine::new(kind, 8, Arc::clone(&pool)).unwrap();
                    Rig::of(engine, Arc::clone(&rig.volume), pool, None, rig.folder)
                }
                None => continue,
            },
        };
        for _ in 0..3 {
            let held = rig.read(0, 4096);
            rig.start(VolumeOp::Read {
                offset: 4096,
                length: 4096,
            });
            assert!(rig.turn().is_empty());
            while rig.sleeps_no_longer_than(Duration::ZERO) {
                assert!(rig.turn().is_empty());
            }
            let thread = std::thread::spawn(move || drop(held));
            assert!(rig.sleeps_no_longer_than(PATIENCE), "{kind:?} sleeps on");
            thread.join().unwrap();
            assert_eq!(rig.finish(1).len(), 1);
        }
    }
}

#[test]
fn what_could_never_fit_is_refused_at_once() {
    let mut rig = Rig::in_memory_with(1 << 20, 8, 64 << 10);
    let read = VolumeOp::Read {
        offset: 0,
        length: 128 << 10,
    };
    assert_eq!(fault(rig.run(read)).kind, VolumeFaultKind::TooLarge);
    // Written straight from where it is: no memory of ours.
    done(rig.run(write(0, 128 << 10, 1)));
}

#[test]
fn more_operations_than_the_depth_wait_for_a_place_and_all_finish() {
    for kind in [
        EngineKind::Memory,
        EngineKind::Uring,
        EngineKind::ThreadPool,
    ] {
        let mut rig = match kind {
            EngineKind::Memory => Rig::in_memory(1 << 20),
            _ => match Rig::on_file(kind, 1 << 20, false) {
                Some(rig) => rig,
                None => continue,
            },
        };
        for index in 0..300_u64 {
            rig.start(match index % 3 {
                0 => write(index * 512, 512, 1),
                1 => VolumeOp::Read {
                    offset: index * 512,
                    length: 512,
                },
                _ => VolumeOp::Flush,
            });
        }
        let finished = rig.finish(300);
        assert_eq!(finished.len(), 300);
        for (_, outcome) in finished {
            assert!(
                !matches!(outcome, VolumeOutcome::Failed(_)),
                "{kind:?} {outcome:?}"
            );
        }
        assert_eq!(rig.engine.in_flight(), 0);
    }
}
