//! Mapped volumes through the engine, on real files: against a model, damaged, changed in part by many at
//! once, and turning from raw to mapped under load.

mod allocation;
mod copies;
mod damage;
mod durable;
mod flip;
mod giving_up;
mod model;
mod partial;
mod pressure;
mod races;
mod restoring;

use std::path::PathBuf;

use tidelock_volume::mapped::{BlockRange, Place, Stretches};

use super::*;
use crate::{Family, FamilyOptions, Id, MappedOptions};

const BLOCK_BYTES: u64 = 4096;

fn id(number: u32) -> Id {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    id
}

/// The number of the head in the family.
const HEAD: u32 = 1;

/// A volume in a family, an engine for it, and what both need.
struct Bench {
    rig: Rig,
    family: Option<Arc<Family>>,
    folder: TempDir,
    size: u64,
    /// The home file goes past the page cache.
    direct: bool,
}

impl Bench {
    /// A volume of so many bytes, all zeros, that is mapped; `None` where the host has no such engine.
    fn new(kind: EngineKind, size: u64) -> Option<Self> {
        Self::over(kind, size, false, |_| {})
    }

    /// The same over a raw volume that `fill` has written to.
    fn over(kind: EngineKind, size: u64, direct: bool, fill: impl Fn(&mut Rig)) -> Option<Self> {
        let mut rig = Rig::on_file(kind, size, direct)?;
        fill(&mut rig);
        let folder = rig.folder.take().unwrap();
        let family = Family::create(&family_options(&folder), &rig.volume, id(HEAD)).unwrap();
        family.adopt(&rig.volume, id(HEAD)).unwrap();
        Some(Self {
            rig,
            family: Some(family),
            folder,
            size,
            direct,
        })
    }

    fn family(&self) -> &Arc<Family> {
        self.family.as_ref().unwrap()
    }

    fn snapshot(&self, number: u32) {
        Family::snapshot(&[(Arc::clone(self.family()), id(HEAD), id(number))]).unwrap();
    }

    /// A dataset as a volume.
    fn dataset(&self, number: u32) -> Arc<Volume> {
        let options = MappedOptions {
            block_size: 512,
            size: self.size,
            read_only: false,
        };
        self.family().volume(id(number), &options).unwrap()
    }

    /// Does something on another volume than the head.
    fn on<T>(&mut self, volume: &Arc<Volume>, work: impl FnOnce(&mut Rig) -> T) -> T {
        let own = std::mem::replace(&mut self.rig.volume, Arc::clone(volume));
        let result = work(&mut self.rig);
        self.rig.volume = own;
        result
    }

    /// All of a dataset.
    fn content(&mut self, number: u32) -> Bytes {
        let (volume, size) = (self.dataset(number), self.size);
        self.on(&volume, |rig| rig.read(0, size))
    }

    /// Closes everything but the engine, and opens it again.
    fn reopen(&mut self) {
        self.family().close().unwrap();
        self.family = None;
        self.rig.volume = Volume::in_memory(MemoryFile::new(512), BlockSize::B512).unwrap();
        let home = OpenOptions {
            direct: self.direct,
            ..OpenOptions::new(&self.folder.path().join("image"))
        };
        let family = Family::open(&family_options(&self.folder), Some(&home)).unwrap();
        self.family = Some(family);
        self.rig.volume = self.dataset(HEAD);
    }

    /// Where a block of the head is on disk: the file, the first byte there.
    fn place(&self, block: u64) -> Option<(PathBuf, u64)> {
        let mapped = self.rig.volume.mapped().unwrap();
        let range = BlockRange {
            first: block,
            count: 1,
        };
        let mut found = Stretches::new();
        mapped
            .family
            .locate(mapped.dataset, range, &mut found)
            .unwrap();
        let Place::Block { address, .. } = found[0].entry.place else {
            return None;
        };
        let (file, offset) = mapped.family.place(address).unwrap();
        Some((file.path().to_path_buf(), offset))
    }

    fn assert_sound(&self) {
        let report = self.family().verify_now();
        assert_eq!(report.findings, Vec::<String>::new());
        let space = self.family().space().unwrap();
        assert!(space.used_bytes > 0);
    }
}

fn family_options(folder: &TempDir) -> FamilyOptions {
    FamilyOptions {
        journal_bytes: 1 << 20,
        ..FamilyOptions::new(folder.path().join("family"), id(99))
    }
}

/// The same, of the head alone.
pub(super) fn on_each_mapped_volume(size: u64, test: impl Fn(&mut Rig)) {
    on_each_mapped(size, |_| {}, |bench| test(&mut bench.rig));
}

/// Runs a test on every engine that can do real files.
fn on_each_mapped(size: u64, fill: impl Fn(&mut Rig), test: impl Fn(&mut Bench)) {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        for direct in [false, true] {
            if let Some(mut bench) = Bench::over(kind, size, direct, &fill) {
                test(&mut bench);
                assert_eq!(bench.rig.pool.in_use(), 0);
                assert_eq!(bench.rig.engine.in_flight(), 0);
                assert_eq!(bench.rig.engine.waiting(), 0);
            }
        }
    }
}
