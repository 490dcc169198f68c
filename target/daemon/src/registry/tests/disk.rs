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

/// A host that writes as fast as it is answered.
pub(super) struct Quick {
    engine: Engine,
    stores: Vec<Arc<Volume>>,
}

impl Quick {
    /// Writes a number to a block of one of its volumes; whether that is acknowledged.
    pub(super) fn write(&mut self, which: usize, block: u64, number: u64) -> bool {
        let op = VolumeOp::Write {
            offset: block * BLOCK,
            data: smallvec![Bytes::from(number.to_le_bytes().repeat(512))],
            fua: false,
        };
        self.engine.start(1, &self.stores[which], op);
        loop {
            self.engine.submit();
            if let Some((_, outcome)) = self.engine.poll() {
                return matches!(outcome, VolumeOutcome::Done);
            }
            std::thread::yield_now();
        }
    }
}

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

    /// One that writes several volumes, on the thread that asks for it.
    pub(super) fn quick(&self, names: &[&str]) -> impl FnOnce() -> Quick + Send + 'static {
        let stores = names.iter().map(|name| self.store(name)).collect();
        move || {
            let pool = Arc::new(BufferPool::new(16 << 20));
            let engine = Engine::new(Engine::probe().kind, 4, pool).unwrap();
            Quick { engine, stores }
        }
    }

    /// The number that such a host has written to a block; 0 if none has.
    pub(super) fn number(&self, name: &str, block: u64) -> u64 {
        let bytes = self.bytes(name);
        let at = usize::try_from(block * BLOCK).unwrap();
        let numbers = bytes[at..at + 4_096].chunks(8);
        let mut numbers = numbers.map(|it| u64::from_le_bytes(it.try_into().unwrap()));
        let first = numbers.next().unwrap();
        assert!(numbers.all(|number| number == first), "half of a block");
        first
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
        let bytes = self.bytes(name);
        let blocks = bytes.chunks(4_096).map(|block| {
            assert!(
                block.iter().all(|byte| *byte == block[0]),
                "half of a block"
            );
            block[0]
        });
        blocks.collect()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let catalog = self.registry().catalog();
        let record = catalog.volume(&volume(name)).unwrap();
        match record.backing {
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
        }
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
