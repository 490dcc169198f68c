//! What a power cut leaves, and how many times the medium is asked.

use super::*;

#[test]
fn a_write_is_durable_after_a_flush_or_with_fua_and_not_before() {
    let mut rig = Rig::in_memory(8192);
    done(rig.run(write(0, 512, 1)));
    done(rig.run(VolumeOp::Flush));
    done(rig.run(durable(write(512, 512, 2))));
    done(rig.run(write(1024, 512, 3)));
    rig.memory().crash();
    assert_eq!(
        rig.read(0, 1536),
        [vec![1; 512], vec![2; 512], vec![0; 512]].concat()
    );
}

#[test]
fn flushes_that_arrive_together_share_one_data_sync() {
    on_each(8192, |rig| {
        let before = rig.volume.statistics().data_syncs;
        for _ in 0..10 {
            rig.start(VolumeOp::Flush);
        }
        for (_, outcome) in rig.finish(10) {
            done(outcome);
        }
        assert_eq!(rig.volume.statistics().data_syncs - before, 1);
    });
}

#[test]
fn a_flush_never_rides_on_a_data_sync_that_began_before_it() {
    let mut rig = Rig::in_memory(8192);
    let memory = rig.memory();
    memory.hold(OpName::DataSync);
    let early = rig.start(VolumeOp::Flush);
    assert!(rig.turn().is_empty());
    done(rig.run(write(0, 512, 1)));
    let late = rig.start(VolumeOp::Flush);
    let also_late = rig.start(VolumeOp::Flush);
    assert!(rig.turn().is_empty());
    memory.release();
    let order: Vec<_> = rig.finish(3).into_iter().map(|(token, _)| token).collect();
    assert_eq!(order, [early, late, also_late]);
    assert_eq!(
        memory.count(OpName::DataSync),
        2,
        "one for the first, one for the other two"
    );
    memory.crash();
    assert_eq!(rig.read(0, 512), vec![1; 512]);
}

#[test]
fn durable_writes_to_a_buffered_volume_share_data_syncs() {
    let mut rig = Rig::in_memory(1 << 20);
    for index in 0..32_u8 {
        rig.start(durable(write(u64::from(index) * 4096, 4096, index)));
    }
    for (_, outcome) in rig.finish(32) {
        done(outcome);
    }
    let syncs = rig.memory().count(OpName::DataSync);
    assert!(
        (1..=2).contains(&syncs),
        "{syncs} data syncs for 32 writes in one batch"
    );
    rig.memory().crash();
    for index in 0..32_u8 {
        assert_eq!(rig.read(u64::from(index) * 4096, 512), vec![index; 512]);
    }
}

#[test]
fn zeroing_and_filling_with_fua_is_durable() {
    let mut rig = Rig::in_memory(1 << 20);
    done(rig.run(durable(write(0, 1 << 20, 1))));
    for (offset, fill) in [(0, 0), (65_536, 7)] {
        let block = Bytes::from(vec![fill; 512]);
        let op = VolumeOp::WriteSame {
            offset,
            length: 65_536,
            block,
            unmap: false,
            fua: true,
        };
        done(rig.run(op));
    }
    rig.memory().crash();
    let expected = [vec![0; 65_536], vec![7; 65_536], vec![1; 512]].concat();
    assert_eq!(rig.read(0, 65_536 * 2 + 512), expected);
}

#[test]
fn a_volume_that_is_only_read_has_nothing_to_flush() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    std::fs::write(&path, [0; 4096]).unwrap();
    let options = OpenOptions {
        read_only: true,
        ..OpenOptions::new(&path)
    };
    let volume = Volume::open(&options).unwrap();
    let pool = Arc::new(BufferPool::new(1 << 20));
    let engine = Engine::new(EngineKind::ThreadPool, 4, Arc::clone(&pool)).unwrap();
    let mut rig = Rig::of(engine, volume, pool, None, Some(folder));
    done(rig.run(VolumeOp::Flush));
    assert_eq!(
        fault(rig.run(write(0, 512, 1))).kind,
        VolumeFaultKind::ReadOnly
    );
    assert_eq!(rig.read(0, 4096), vec![0; 4096]);
    assert_eq!(rig.volume.statistics().data_syncs, 0);
}
