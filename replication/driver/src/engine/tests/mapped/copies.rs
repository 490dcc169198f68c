//! Copies between volumes of every kind inside the file system: what arrives, what it takes, and when it isn't
//! done.

mod durable;
mod model;
mod races;

use super::*;
use crate::Watch;

const MIB: u64 = 1 << 20;

/// A copy of bytes from one volume to another.
fn copy(source: &Arc<Volume>, from: u64, to: u64, length: u64) -> VolumeOp {
    VolumeOp::CopyFrom {
        source: Arc::clone(source),
        source_offset: from,
        offset: to,
        length,
        watch: None,
    }
}

fn watched(source: &Arc<Volume>, watch: &Arc<Watch>, from: u64, to: u64, length: u64) -> VolumeOp {
    VolumeOp::CopyFrom {
        source: Arc::clone(source),
        source_offset: from,
        offset: to,
        length,
        watch: Some(Arc::clone(watch)),
    }
}

#[track_caller]
fn not_copied(outcome: VolumeOutcome) {
    assert!(matches!(outcome, VolumeOutcome::NotCopied), "{outcome:?}");
}

/// A raw volume of zeros.
fn raw(folder: &TempDir, name: &str, size: u64, direct: bool, preallocate: bool) -> Arc<Volume> {
    let open = OpenOptions {
        direct,
        ..OpenOptions::new(&folder.path().join(name))
    };
    Volume::create(&CreateOptions {
        open,
        size,
        preallocate,
    })
    .unwrap()
}

/// A bench for each engine, through the page cache.
fn on_each_bench(size: u64, fill: impl Fn(&mut Rig), test: impl Fn(&mut Bench)) {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        if let Some(mut bench) = Bench::over(kind, size, false, &fill) {
            test(&mut bench);
            assert_eq!(bench.rig.engine.in_flight(), 0);
        }
    }
}

#[test]
fn what_is_not_of_whole_blocks_or_not_inside_is_not_copied() {
    on_each_bench(
        8 * BLOCK_BYTES + 512,
        |_| {},
        |bench| {
            let other = raw(&bench.folder, "other", 16 * BLOCK_BYTES, false, false);
            for (from, to, length) in [
                (512, 0, 4096),
                (0, 512, 4096),
                (0, 0, 512),
                (0, 0, 4096 + 512),
            ] {
                not_copied(bench.rig.run(copy(&other, from, to, length)));
            }
            for (from, to, length) in [(0, 8 * 4096, 4096), (16 * 4096, 0, 4096), (1, 0, 4096)] {
                let outcome = bench.rig.run(copy(&other, from, to, length));
                let kind = fault(outcome).kind;
                assert_eq!(kind, VolumeFaultKind::OutOfRange);
            }
            done(bench.rig.run(copy(&other, 0, 0, 0)));
        },
    );
}

#[test]
fn zeros_and_holes_take_no_space_and_what_has_a_checksum_keeps_it() {
    let fill = |rig: &mut Rig| done(rig.run(write(0, 1 << 20, 7)));
    on_each_bench(8 * MIB, fill, |bench| {
        let target = raw(&bench.folder, "target", 8 * MIB, false, false);
        done(bench.on(&target, |rig| rig.run(write(4 * MIB, 1 << 20, 9))));
        // From the home file, half of which is a hole, and from blocks that have been written since.
        done(bench.rig.run(write(65_536, 65_536, 8)));
        let head = Arc::clone(&bench.rig.volume);
        let outcome = bench.on(&target, |rig| {
            [
                rig.run(copy(&head, 0, 0, 2 * MIB)),
                rig.run(copy(&head, 4 * MIB, 4 * MIB, 2 * MIB)),
                rig.run(VolumeOp::Flush),
            ]
        });
        outcome.into_iter().for_each(done);
        let expected = bench.rig.read(0, 8 * MIB).to_vec();
        let arrived = bench.on(&target, |rig| rig.read(0, 8 * MIB));
        assert!(arrived == expected);
        drop(arrived);
        assert_eq!(target.allocated_bytes().unwrap(), MIB);
        // Back, to where something was.
        done(bench.rig.run(write(0, 4 << 20, 3)));
        done(bench.rig.run(VolumeOp::Flush));
        let used = bench.family().space().unwrap().used_bytes;
        done(bench.rig.run(copy(&target, 0, 0, 4 * MIB)));
        done(bench.rig.run(VolumeOp::Flush));
        assert!(bench.rig.read(0, 8 * MIB) == expected);
        let place = bench.place(2 * 256);
        assert_eq!(place, None, "zeros are not in the map");
        let now = bench.family().space().unwrap().used_bytes;
        assert!(now <= used - 3 * MIB + 65_536, "{used} -> {now}");
        bench.assert_sound();
    });
}

#[test]
fn blocks_that_are_scattered_are_left_to_reading_and_writing() {
    on_each_bench(
        MIB,
        |_| {},
        |bench| {
            for block in (0..128).rev() {
                done(bench.rig.run(write(block * 4096, 4096, 1)));
            }
            let used = bench.family().space().unwrap().used_bytes;
            let target = raw(&bench.folder, "target", MIB, false, false);
            let head = Arc::clone(&bench.rig.volume);
            not_copied(bench.on(&target, |rig| rig.run(copy(&head, 0, 0, 128 * 4096))));
            not_copied(bench.rig.run(copy(&head, 0, 512 * 1024, 128 * 4096)));
            done(bench.on(&target, |rig| rig.run(copy(&head, 0, 0, 8 * 4096))));
            assert_eq!(bench.family().space().unwrap().used_bytes, used);
        },
    );
}

#[test]
fn who_has_his_space_for_himself_keeps_it() {
    on_each_bench(
        MIB,
        |_| {},
        |bench| {
            let own = raw(&bench.folder, "own", MIB, false, true);
            let head = Arc::clone(&bench.rig.volume);
            not_copied(bench.on(&own, |rig| rig.run(copy(&head, 0, 0, 65_536))));
            not_copied(bench.rig.run(copy(&own, 0, 0, 65_536)));
        },
    );
}

#[test]
fn a_damaged_block_is_found_at_its_copy_and_never_gets_into_a_file() {
    on_each_bench(
        MIB,
        |_| {},
        |bench| {
            done(bench.rig.run(write(0, 65_536, 1)));
            let (path, at) = bench.place(3).unwrap();
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[2], at + 100).unwrap();
            let head = Arc::clone(&bench.rig.volume);
            let target = raw(&bench.folder, "target", MIB, false, false);
            not_copied(bench.on(&target, |rig| rig.run(copy(&head, 0, 0, 65_536))));
            assert_eq!(target.allocated_bytes().unwrap(), 0);
            done(bench.rig.run(copy(&head, 0, 524_288, 65_536)));
            let read = bench.rig.run(VolumeOp::Read {
                offset: 524_288,
                length: 65_536,
            });
            let kind = fault(read).kind;
            let offset = 524_288 + 3 * 4096;
            assert_eq!(kind, VolumeFaultKind::MediumError { offset });
        },
    );
}

#[test]
fn what_would_exceed_the_limit_is_not_copied() {
    on_each_bench(
        4 * MIB,
        |_| {},
        |bench| {
            let source = raw(&bench.folder, "source", 4 * MIB, false, false);
            done(bench.on(&source, |rig| rig.run(write(0, 2 << 20, 1))));
            let used = bench.rig.volume.space_used().unwrap();
            bench.rig.volume.set_space_limit(Some(used + MIB / 2));
            not_copied(bench.rig.run(copy(&source, 0, 0, MIB)));
            bench.rig.volume.set_space_limit(Some(used + 2 * MIB));
            done(bench.rig.run(copy(&source, 0, 0, MIB)));
        },
    );
}

#[test]
fn a_watch_of_the_source_that_has_seen_a_change_lets_nothing_be_copied() {
    on_each_bench(
        MIB,
        |_| {},
        |bench| {
            let source = raw(&bench.folder, "source", MIB, false, false);
            done(bench.on(&source, |rig| rig.run(write(0, 1 << 20, 1))));
            let range = Range {
                offset: 0,
                length: 65_536,
            };
            let watch = Arc::new(source.watch(vec![range]));
            done(bench.rig.run(watched(&source, &watch, 0, 0, 65_536)));
            assert!(!watch.is_changed());
            done(bench.on(&source, |rig| rig.run(write(4096, 512, 2))));
            assert!(watch.is_changed());
            not_copied(bench.rig.run(watched(&source, &watch, 0, 65_536, 65_536)));
            assert_eq!(bench.rig.read(65_536, 65_536), vec![0; 65_536]);
            // And a copy is a change of what it goes to, nowhere else.
            let [hit, beside] = [0, 65_536].map(|offset| {
                let length = 65_536;
                source.watch(vec![Range { offset, length }])
            });
            let head = Arc::clone(&bench.rig.volume);
            done(bench.on(&source, |rig| rig.run(copy(&head, 0, 0, 65_536))));
            assert!(hit.is_changed() && !beside.is_changed());
            assert_eq!(
                source.locks().entries(),
                0,
                "nothing of it is held any more"
            );
        },
    );
}

#[test]
fn a_range_of_the_source_that_somebody_has_for_himself_is_not_waited_for() {
    on_each_bench(
        MIB,
        |_| {},
        |bench| {
            let source = raw(&bench.folder, "source", MIB, false, false);
            let held = source.hold().unwrap();
            not_copied(bench.rig.run(copy(&source, 0, 0, 65_536)));
            drop(held);
            done(bench.rig.run(copy(&source, 0, 0, 65_536)));
            assert_eq!(source.locks().entries(), 0);
        },
    );
}

#[test]
fn what_is_fenced_or_only_read_is_refused_as_for_a_write() {
    on_each_bench(
        MIB,
        |_| {},
        |bench| {
            done(bench.rig.run(write(0, 65_536, 1)));
            bench.snapshot(2);
            let (head, snapshot) = (Arc::clone(&bench.rig.volume), bench.dataset(2));
            let outcome = bench.on(&snapshot, |rig| rig.run(copy(&head, 0, 0, 4096)));
            assert_eq!(fault(outcome).kind, VolumeFaultKind::ReadOnly);
            done(bench.rig.run(copy(&snapshot, 0, 524_288, 65_536)));
            head.raise_fence("a test".to_owned());
            let outcome = bench.rig.run(copy(&snapshot, 0, 0, 4096));
            assert_eq!(fault(outcome).kind, VolumeFaultKind::Fenced);
        },
    );
}
