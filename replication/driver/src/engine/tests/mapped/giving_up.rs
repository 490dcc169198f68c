//! Operations of mapped volumes whose owner has given up, and those that there is no room for.

use super::*;

const SIZE: u64 = 64 * BLOCK_BYTES;

#[test]
fn an_abandoned_write_holds_the_volume_until_it_has_ended_and_never_lands() {
    on_each_mapped(
        SIZE,
        |_| {},
        |bench| {
            done(bench.rig.run(write(0, 8192, 1)));
            done(bench.rig.run(VolumeOp::Flush));
            let before = bench.family().space().unwrap().used_bytes;
            let rig = &mut bench.rig;
            // It has been given to the I/O engine, and not yet to the system.
            let token = rig.start(write(0, 8192, 2));
            rig.engine.detach(token);
            assert_eq!(rig.volume.detached_writes(), 1);
            assert_eq!(fault(rig.run(write(0, 512, 3))).kind, VolumeFaultKind::Busy);
            while rig.engine.in_flight() > 0 {
                assert!(rig.turn().is_empty(), "nobody waits for it");
                std::thread::yield_now();
            }
            assert_eq!(rig.volume.detached_writes(), 0);
            assert_eq!(
                rig.read(0, 8192),
                [1; 8192].as_slice(),
                "it isn't in the map"
            );
            assert_eq!(
                bench.family().space().unwrap().used_bytes,
                before,
                "its blocks went back"
            );
            done(bench.rig.run(write(0, 8192, 4)));
            assert_eq!(bench.rig.read(0, 8192), [4; 8192].as_slice());
            bench.assert_sound();
        },
    );
}

#[test]
fn what_waits_for_a_place_when_it_is_abandoned_never_begins() {
    on_each_mapped(
        SIZE,
        |_| {},
        |bench| {
            done(bench.rig.run(VolumeOp::Flush));
            let before = bench.family().space().unwrap().used_bytes;
            let pool = Arc::clone(&bench.rig.pool);
            let kind = match &bench.rig.engine.io {
                EngineIo::Uring(_) => EngineKind::Uring,
                _ => EngineKind::ThreadPool,
            };
            let volume = Arc::clone(&bench.rig.volume);
            let engine = Engine::new(kind, 1, Arc::clone(&pool)).unwrap();
            let mut rig = Rig::of(engine, volume, pool, None, None);
            let first = rig.start(write(0, 4096, 1));
            let second = rig.start(write(4096, 4096, 2));
            assert_eq!(rig.engine.waiting(), 1);
            rig.engine.detach(second);
            assert_eq!((rig.engine.waiting(), rig.volume.detached_writes()), (0, 0));
            let finished = rig.finish(1);
            assert_eq!(finished.first().map(|(token, _)| *token), Some(first));
            assert_eq!(rig.read(4096, 4096), [0; 4096].as_slice());
            let used = bench.family().space().unwrap().used_bytes;
            assert_eq!(
                used - before,
                BLOCK_BYTES + BLOCK_BYTES,
                "a block and a node"
            );
        },
    );
}

/// Free blocks can be had when their space has been given back, which happens in the background.
fn write_once_there_is_room(bench: &mut Bench, op: VolumeOp) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match bench.rig.run(op.clone()) {
            VolumeOutcome::Done => return,
            outcome => assert_eq!(fault(outcome).kind, VolumeFaultKind::NoSpace),
        }
        assert!(Instant::now() < deadline, "there is no room");
        bench.family().checkpoint().unwrap();
    }
}

#[test]
fn a_family_at_its_limit_takes_no_more_blocks_and_gives_nothing_wrong() {
    on_each_mapped(
        SIZE,
        |_| {},
        |bench| {
            done(bench.rig.run(write(0, 65_536, 1)));
            bench.family().close().unwrap();
            bench.family = None;
            bench.rig.volume = Volume::in_memory(MemoryFile::new(512), BlockSize::B512).unwrap();
            let options = FamilyOptions {
                limit_bytes: Some(40 * BLOCK_BYTES),
                ..family_options(&bench.folder)
            };
            let home = OpenOptions::new(&bench.folder.path().join("image"));
            bench.family = Some(Family::open(&options, Some(&home)).unwrap());
            bench.rig.volume = bench.dataset(HEAD);
            let rig = &mut bench.rig;
            let too_much = fault(rig.run(write(65_536, 131_072, 2)));
            assert_eq!(too_much.kind, VolumeFaultKind::NoSpace);
            assert_eq!(rig.read(65_536, 131_072), [0; 131_072].as_slice());
            assert_eq!(rig.read(0, 65_536), [1; 65_536].as_slice());
            // Some is left, and unmapping makes more.
            write_once_there_is_room(bench, write(65_536, 4096, 3));
            done(bench.rig.run(VolumeOp::Unmap {
                ranges: smallvec![Range {
                    offset: 0,
                    length: 65_536
                }],
            }));
            done(bench.rig.run(VolumeOp::Flush));
            write_once_there_is_room(bench, write(0, 106_496, 4));
            assert_eq!(bench.rig.read(0, 106_496), [4; 106_496].as_slice());
            bench.assert_sound();
        },
    );
}
