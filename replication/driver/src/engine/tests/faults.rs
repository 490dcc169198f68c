//! Media that fail, and disks that are full.

use super::*;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EOPNOTSUPP: i32 = 95;
const EDQUOT: i32 = 122;

#[test]
fn a_failed_data_sync_fences_the_volume_whatever_the_error() {
    for errno in [EIO, ENOSPC, EDQUOT] {
        let mut rig = Rig::in_memory(8192);
        done(rig.run(write(0, 512, 1)));
        rig.memory().fail_nth(OpName::DataSync, 1, errno);
        rig.start(VolumeOp::Flush);
        rig.start(VolumeOp::Flush);
        for (_, outcome) in rig.finish(2) {
            assert_eq!(
                fault(outcome).kind,
                VolumeFaultKind::Fenced,
                "each one who shared it"
            );
        }
        assert!(
            rig.volume
                .is_fenced()
                .unwrap()
                .what
                .contains("cannot flush (memory)")
        );
        // The medium is well again; that is no reason to believe it.
        for op in [write(0, 512, 2), durable(write(0, 512, 2)), VolumeOp::Flush] {
            assert_eq!(fault(rig.run(op)).kind, VolumeFaultKind::Fenced);
        }
        assert!(rig.volume.flush_blocking().is_err());
        assert_eq!(rig.memory().count(OpName::DataSync), 1, "no second attempt");
        assert_eq!(rig.read(0, 512), vec![1; 512], "reading goes on");
        rig.volume.unfence().unwrap();
        done(rig.run(write(0, 512, 3)));
        done(rig.run(VolumeOp::Flush));
    }
}

#[test]
fn a_fence_stays_up_while_the_medium_still_fails() {
    let mut rig = Rig::in_memory(8192);
    rig.memory().fail_always(OpName::DataSync, EIO);
    fault(rig.run(VolumeOp::Flush));
    let error = rig.volume.unfence().unwrap_err().to_string();
    assert!(error.contains("still failing"), "{error}");
    assert!(rig.volume.is_fenced().is_some());
    rig.memory().heal();
    rig.volume.unfence().unwrap();
    assert!(rig.volume.is_fenced().is_none());
}

#[test]
fn a_durable_write_whose_sync_fails_fences_the_volume() {
    let mut rig = Rig::in_memory(8192);
    rig.memory().fail_nth(OpName::DataSync, 1, EIO);
    let outcome = rig.run(durable(write(0, 512, 1)));
    assert_eq!(fault(outcome).kind, VolumeFaultKind::Fenced);
    assert!(rig.volume.is_fenced().is_some());
}

#[test]
fn a_failed_flush_on_the_way_out_fences_too() {
    let rig = Rig::in_memory(8192);
    rig.memory().fail_nth(OpName::DataSync, 1, EIO);
    assert!(rig.volume.flush_blocking().is_err());
    assert!(rig.volume.is_fenced().is_some());
}

#[test]
fn a_sync_that_ran_while_the_fence_went_up_and_down_is_not_believed() {
    let mut rig = Rig::in_memory(8192);
    rig.memory().hold(OpName::DataSync);
    rig.start(VolumeOp::Flush);
    assert!(rig.turn().is_empty());
    // Another engine's flush fails meanwhile, and an operator is quick.
    rig.memory().fail_nth(OpName::DataSync, 1, EIO);
    assert!(rig.volume.flush_blocking().is_err());
    rig.volume.unfence().unwrap();
    rig.memory().release();
    let (_, outcome) = rig.finish(1).remove(0);
    assert_eq!(fault(outcome).kind, VolumeFaultKind::Fenced);
}

#[test]
fn a_full_disk_fails_the_write_alone() {
    for errno in [ENOSPC, EDQUOT] {
        let mut rig = Rig::in_memory(8192);
        rig.memory().fail_nth(OpName::Write, 1, errno);
        assert_eq!(
            fault(rig.run(write(0, 512, 1))).kind,
            VolumeFaultKind::NoSpace
        );
        assert!(rig.volume.is_fenced().is_none());
        done(rig.run(write(512, 512, 2)));
        done(rig.run(VolumeOp::Flush));
        assert_eq!(rig.read(0, 1024), [vec![0; 512], vec![2; 512]].concat());
    }
}

#[test]
fn a_bad_spot_is_a_medium_error_there_and_no_fence() {
    let mut rig = Rig::in_memory(8192);
    rig.memory().fail_nth(OpName::Read, 1, EIO);
    let failed = fault(rig.run(VolumeOp::Read {
        offset: 1024,
        length: 512,
    }));
    assert_eq!(failed.kind, VolumeFaultKind::MediumError { offset: 1024 });
    assert!(
        failed
            .to_string()
            .contains("cannot read (memory) at byte 1024"),
        "{failed}"
    );
    rig.memory().fail_nth(OpName::Write, 1, EIO);
    let failed = fault(rig.run(write(2048, 512, 1)));
    assert_eq!(failed.kind, VolumeFaultKind::MediumError { offset: 2048 });
    rig.memory().fail_nth(OpName::Read, 1, EIO);
    let failed = fault(rig.run(VolumeOp::Verify {
        offset: 4096,
        length: 512,
    }));
    assert_eq!(failed.kind, VolumeFaultKind::MediumError { offset: 4096 });
    assert!(rig.volume.is_fenced().is_none());
    assert_eq!(rig.pool.in_use(), 0);
}

#[test]
fn a_file_that_was_cut_short_is_an_error_and_not_zeros() {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        let Some(mut rig) = Rig::on_file(kind, 8192, false) else {
            continue;
        };
        std::fs::OpenOptions::new()
            .write(true)
            .open(rig.volume.path())
            .unwrap()
            .set_len(4096)
            .unwrap();
        let failed = fault(rig.run(VolumeOp::Read {
            offset: 0,
            length: 8192,
        }));
        assert_eq!(failed.kind, VolumeFaultKind::MediumError { offset: 4096 });
    }
}

#[test]
fn files_that_cannot_punch_or_zero_get_zeros_written() {
    let mut rig = Rig::in_memory(4 << 20);
    rig.memory().fail_always(OpName::PunchHole, EOPNOTSUPP);
    rig.memory().fail_always(OpName::ZeroRange, EOPNOTSUPP);
    done(rig.run(write(0, 4 << 20, 1)));
    let ranges = smallvec![
        Range {
            offset: 512,
            length: (2 << 20) + 512
        },
        Range {
            offset: 3 << 20,
            length: 512
        },
    ];
    done(rig.run(VolumeOp::Unmap { ranges }));
    let block = Bytes::from(vec![0; 512]);
    let zero = |offset, unmap| {
        let block = block.clone();
        VolumeOp::WriteSame {
            offset,
            length: 512,
            block,
            unmap,
            fua: false,
        }
    };
    done(rig.run(zero((3 << 20) + 1024, false)));
    done(rig.run(zero((3 << 20) + 2048, true)));
    assert_eq!(rig.memory().count(OpName::PunchHole), 1, "it is asked once");
    assert_eq!(rig.memory().count(OpName::ZeroRange), 1);
    let content = rig.memory().content();
    let zeros = content.iter().filter(|byte| **byte == 0).count();
    assert_eq!(zeros, (2 << 20) + 512 * 4);
    assert_eq!((content[511], content[512]), (1, 0));
}

#[test]
fn a_punch_that_fails_is_reported() {
    let mut rig = Rig::in_memory(8192);
    rig.memory().fail_nth(OpName::PunchHole, 1, ENOSPC);
    let ranges = smallvec![Range {
        offset: 0,
        length: 512
    }];
    assert_eq!(
        fault(rig.run(VolumeOp::Unmap { ranges })).kind,
        VolumeFaultKind::NoSpace
    );
}
