//! What is on the disk of volumes in these tests: a number in each block.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smallvec::smallvec;
use tidelock_catalog::Backing;
use tidelock_replication::{
    BufferPool, CopyOutOptions, CreateOptions, Engine, EngineKind, OpenOptions, Range, Volume,
    VolumeOp, VolumeOutcome,
};

use super::*;

const BLOCK: u64 = 4_096;

/// Does one thing to a volume, and waits for it.
fn run(store: &Arc<Volume>, op: VolumeOp) -> VolumeOutcome {
    let pool = Arc::new(BufferPool::new(16 << 20));
    let mut engine = Engine::new(EngineKind::ThreadPool, 4, pool).unwrap();
    engine.start(1, store, op);
    engine.submit();
    loop {
        if let Some((_, outcome)) = engine.poll() {
            return outcome;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

impl House {
    fn store(&self, name: &str) -> Arc<Volume> {
        let served = self.registry().volume(&volume(name)).unwrap();
        let problem = served.problem();
        served
            .store()
            .unwrap_or_else(|| panic!("{name}: {problem:?}"))
    }

    /// Writes a number to each of some blocks, durably.
    pub(super) fn write(&self, name: &str, first: u64, count: u64, number: u8) {
        let len = usize::try_from(count * BLOCK).unwrap();
        let op = VolumeOp::Write {
            offset: first * BLOCK,
            data: smallvec![Bytes::from(vec![number; len])],
            fua: true,
        };
        let outcome = run(&self.store(name), op);
        assert!(matches!(outcome, VolumeOutcome::Done), "{outcome:?}");
    }

    /// Writes a number to a block, durably, whenever it is called and that is possible; whether it was.
    pub(super) fn tries(&self, name: &str) -> impl Fn(u64, u8) -> bool + Send + Sync + 'static {
        let served = self.registry().volume(&volume(name)).unwrap();
        move |block, number| {
            let op = VolumeOp::Write {
                offset: block * BLOCK,
                data: smallvec![Bytes::from(vec![number; 4_096])],
                fua: true,
            };
            let store = served.store();
            store.is_some_and(|store| matches!(run(&store, op), VolumeOutcome::Done))
        }
    }

    /// Writes a number to a block, durably, whenever it is called.
    pub(super) fn writer(&self, name: &str) -> impl Fn(u64, u8) + Send + Sync + 'static {
        let store = self.store(name);
        move |block, number| {
            let op = VolumeOp::Write {
                offset: block * BLOCK,
                data: smallvec![Bytes::from(vec![number; 4_096])],
                fua: true,
            };
            let outcome = run(&store, op);
            assert!(matches!(outcome, VolumeOutcome::Done), "{outcome:?}");
        }
    }

    /// Makes zeros of some blocks.
    pub(super) fn unmap(&self, name: &str, first: u64, count: u64) {
        let range = Range {
            offset: first * BLOCK,
            length: count * BLOCK,
        };
        let store = self.store(name);
        for op in [
            VolumeOp::Unmap {
                ranges: smallvec![range],
            },
            VolumeOp::Flush,
        ] {
            let outcome = run(&store, op);
            assert!(matches!(outcome, VolumeOutcome::Done), "{outcome:?}");
        }
    }

    /// The number in each block.
    pub(super) fn content(&self, name: &str) -> Vec<u8> {
        let catalog = self.registry().catalog();
        let record = catalog.volume(&volume(name)).unwrap();
        let bytes = match record.backing {
            Backing::Raw => std::fs::read(self.raw_path(name)).unwrap(),
            Backing::Head(place) | Backing::Snapshot(place) => {
                let served = self.registry().volume(&record.name).unwrap();
                let (family, _) = served.place().unwrap();
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("copy");
                let create = CreateOptions {
                    open: OpenOptions::new(&path),
                    size: self.store(name).size(),
                    preallocate: false,
                };
                let to = Volume::create(&create).unwrap();
                let options = CopyOutOptions {
                    what: *place.dataset.0.as_bytes(),
                    since: None,
                    to,
                    from: 0,
                };
                let engine = &family.open_family().unwrap().engine;
                let mut copy = engine.copy_out(options).unwrap();
                while copy.step().unwrap().is_some() {}
                std::fs::read(&path).unwrap()
            }
        };
        let blocks = bytes.chunks(4_096).map(|block| {
            assert!(
                block.iter().all(|byte| *byte == block[0]),
                "half of a block"
            );
            block[0]
        });
        blocks.collect()
    }

    /// The file of a raw volume.
    pub(super) fn raw_path(&self, name: &str) -> PathBuf {
        let catalog = self.registry().catalog();
        let record = catalog.volume(&volume(name)).unwrap();
        assert_eq!(record.backing, Backing::Raw, "{name} is no file");
        let path = PathBuf::from(record.path.clone().unwrap());
        self.path().join("volumes").join(path.file_name().unwrap())
    }

    /// The files of volumes, without those of families.
    pub(super) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join("volumes")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}
