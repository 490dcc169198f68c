//! Volumes that may take so much space and no more.

use super::mapped::on_each_mapped_volume;
use super::*;

const MIB: u64 = 1 << 20;

#[test]
fn a_raw_volume_at_its_limit_takes_what_needs_no_space_and_refuses_the_rest() {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        let Some(mut rig) = Rig::on_file(kind, 16 * MIB, false) else {
            continue;
        };
        rig.volume.set_space_limit(Some(4 * MIB));
        for at in 0..4 {
            done(rig.run(write(at * MIB, 1 << 20, 1)));
        }
        assert_eq!(rig.volume.space_used().unwrap(), 4 * MIB);
        let refused = fault(rig.run(write(8 * MIB, 4096, 2)));
        assert_eq!(refused.kind, VolumeFaultKind::NoSpace);
        // Half of it would be new.
        let refused = fault(rig.run(write(4 * MIB - 4096, 8192, 2)));
        assert_eq!(refused.kind, VolumeFaultKind::NoSpace);
        assert_eq!(
            rig.read(4 * MIB - 4096, 8192)[..4096],
            [1; 4096],
            "none of it was done"
        );
        // What is there may be overwritten, as often as anybody likes.
        for _ in 0..3 {
            done(rig.run(write(0, 1 << 20, 3)));
        }
        assert_eq!(rig.read(0, 4096), [3; 4096].as_slice());
        let zeros = |unmap| VolumeOp::WriteSame {
            offset: 8 * MIB,
            length: MIB,
            block: Bytes::from(vec![0; 512]),
            unmap,
            fua: false,
        };
        assert_eq!(fault(rig.run(zeros(false))).kind, VolumeFaultKind::NoSpace);
        done(rig.run(zeros(true)));
        // Space that is given back can be had again.
        done(rig.run(VolumeOp::Unmap {
            ranges: smallvec![Range {
                offset: MIB,
                length: MIB
            }],
        }));
        done(rig.run(write(8 * MIB, 1 << 20, 4)));
        rig.volume.set_space_limit(None);
        done(rig.run(write(10 * MIB, 1 << 20, 5)));
    }
}

#[test]
fn a_mapped_volume_at_its_limit_takes_no_more_until_something_is_freed() {
    on_each_mapped_volume(16 * MIB, |rig| {
        done(rig.run(write(0, 1 << 20, 1)));
        done(rig.run(VolumeOp::Flush));
        let used = rig.volume.space_used().unwrap();
        rig.volume.set_space_limit(Some(used + 64 * 1024));
        done(rig.run(write(2 * MIB, 32 * 1024, 2)));
        let refused = fault(rig.run(write(4 * MIB, 64 * 1024, 3)));
        assert_eq!(refused.kind, VolumeFaultKind::NoSpace);
        assert_eq!(rig.read(4 * MIB, 4096), [0; 4096].as_slice());
        assert_eq!(rig.read(2 * MIB, 4096), [2; 4096].as_slice());
        done(rig.run(VolumeOp::Unmap {
            ranges: smallvec![Range {
                offset: 0,
                length: MIB
            }],
        }));
        // It comes back in the background.
        let deadline = Instant::now() + PATIENCE;
        loop {
            match rig.run(write(4 * MIB, 64 * 1024, 3)) {
                VolumeOutcome::Done => break,
                outcome => assert_eq!(fault(outcome).kind, VolumeFaultKind::NoSpace),
            }
            assert!(Instant::now() < deadline, "there is no room");
            done(rig.run(VolumeOp::Flush));
        }
    });
}
