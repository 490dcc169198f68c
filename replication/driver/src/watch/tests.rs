//! Watches on a volume in memory.

use bytes::Bytes;
use smallvec::smallvec;

use super::*;
use crate::engine::{Engine, EngineKind};
use tidelock_block::{BufferPool, MemoryFile};
use tidelock_volume::BlockSize;

fn write(offset: u64, length: usize) -> VolumeOp {
    VolumeOp::Write {
        offset,
        data: smallvec![Bytes::from(vec![7; length])],
        fua: false,
    }
}

fn range(offset: u64, length: u64) -> Range {
    Range { offset, length }
}

fn volume() -> Arc<Volume> {
    Volume::in_memory(MemoryFile::new(1 << 20), BlockSize::B512).unwrap()
}

#[test]
fn only_changes_of_what_is_watched_are_noticed() {
    let volume = volume();
    let watch = volume.watch(vec![range(4096, 512), range(8192, 1024)]);
    for (offset, length) in [(0, 4096), (4608, 3584), (9216, 512)] {
        drop(volume.watches().begin(&write(offset, length)));
        assert!(!watch.is_changed(), "{offset}");
    }
    let changes = [
        write(4096, 512),
        write(0, 16384),
        VolumeOp::Unmap {
            ranges: smallvec![range(0, 512), range(8704, 512)],
        },
        VolumeOp::WriteSame {
            offset: 8192,
            length: 512,
            block: Bytes::from(vec![0; 512]),
            unmap: false,
            fua: false,
        },
    ];
    for change in changes {
        let watch = volume.watch(vec![range(4096, 512), range(8192, 1024)]);
        drop(volume.watches().begin(&change));
        assert!(watch.is_changed(), "{change:?}");
    }
}

#[test]
fn the_engine_announces_changes_before_they_begin_and_until_they_have_landed() {
    let volume = volume();
    let pool = Arc::new(BufferPool::new(1 << 20));
    let mut engine = Engine::new(EngineKind::Memory, 8, pool).unwrap();
    let watch = volume.watch(vec![range(0, 512)]);
    engine.start(1, &volume, write(0, 512));
    assert!(watch.is_changed(), "nothing was submitted yet");
    let settling = volume.settle_writes().unwrap();
    assert!(!settling.is_done());
    // Later changes are not waited for, and one waits at a time.
    assert!(volume.settle_writes().is_none());
    engine.start(2, &volume, write(0, 512));
    loop {
        engine.submit();
        if let Some((1, _)) = engine.poll() {
            break;
        }
    }
    assert!(settling.is_done());
    drop(settling);
    assert!(volume.settle_writes().is_some());
}

#[test]
fn a_read_and_a_refused_write_change_nothing() {
    let volume = volume();
    let pool = Arc::new(BufferPool::new(1 << 20));
    let mut engine = Engine::new(EngineKind::Memory, 8, pool).unwrap();
    let watch = volume.watch(vec![range(0, 1 << 20)]);
    engine.start(
        1,
        &volume,
        VolumeOp::Read {
            offset: 0,
            length: 512,
        },
    );
    assert!(!watch.is_changed());
    engine.start(2, &volume, write(1 << 20, 512));
    assert!(volume.settle_writes().unwrap().is_done());
    drop(watch);
    assert_eq!(volume.watches().count.load(Ordering::SeqCst), 0);
}

#[test]
fn a_fence_leaves_nothing_certain() {
    let volume = volume();
    let watch = volume.watch(vec![range(0, 512)]);
    volume.raise_fence("a test".to_owned());
    assert!(watch.is_changed());
}
