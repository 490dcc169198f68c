//! Families on files in memory that fail, hang and lose power on demand, for tests of those who use
//! families.

use std::sync::Arc;

use tidelock_block::{BlockFile, MemoryFile};
use tidelock_volume::BlockSize;
use tidelock_volume::mapped::{self, BLOCK_BYTES, Id};

use super::files::Files;
use super::{Family, FamilyOptions};
use crate::volume::Volume;

/// Bytes of the data file.
const DATA_BYTES: u64 = 8 << 26;

/// The files of a family: superblock, journal, allocation, data; and its home file.
#[derive(Debug)]
pub(crate) struct MemoryDisk {
    files: [MemoryFile; 4],
    pub(crate) home: MemoryFile,
}

impl MemoryDisk {
    /// A raw volume of zeros that is mapped now, with this head.
    pub(crate) fn new(bytes: usize, head: Id) -> (Self, Arc<Family>, Arc<Volume>) {
        Self::with(bytes, head, &options())
    }

    /// The same with so many bytes of memory for its maps.
    pub(crate) fn with_maps(
        bytes: usize,
        head: Id,
        maps_bytes: usize,
    ) -> (Self, Arc<Family>, Arc<Volume>) {
        let options = FamilyOptions {
            maps_bytes,
            ..options()
        };
        Self::with(bytes, head, &options)
    }

    fn with(bytes: usize, head: Id, options: &FamilyOptions) -> (Self, Arc<Family>, Arc<Volume>) {
        let sparse = |len| MemoryFile::sparse(len, None);
        let disk = Self {
            files: [
                sparse(4 * BLOCK_BYTES as u64),
                sparse(1 << 20),
                sparse(1 << 20),
                sparse(DATA_BYTES),
            ],
            home: MemoryFile::new(bytes),
        };
        let volume = Volume::in_memory(disk.home.clone(), BlockSize::B512).unwrap();
        let bytes = bytes as u64;
        let blocks = bytes.div_ceil(BLOCK_BYTES as u64);
        let (maps, _) = mapped::Family::create([9; 16], head, blocks, bytes, 1 << 20).unwrap();
        let files = Files::in_memory(disk.files.each_ref(), Some(Arc::clone(volume.file())));
        let family = Family::begin(options, files, maps).unwrap();
        family.adopt(&volume, head).unwrap();
        (disk, family, volume)
    }

    /// The file of the blocks.
    pub(crate) fn data(&self) -> &MemoryFile {
        let [_, _, _, data] = &self.files;
        data
    }

    pub(crate) fn journal(&self) -> &MemoryFile {
        let [_, journal, _, _] = &self.files;
        journal
    }

    /// Where checkpoints write which blocks are in use.
    pub(crate) fn allocation(&self) -> &MemoryFile {
        let [_, _, allocation, _] = &self.files;
        allocation
    }

    pub(crate) fn kill(&self, family: Arc<Family>) -> Arc<Family> {
        let threads = std::mem::take(&mut *family.threads.lock());
        drop(family);
        for thread in threads {
            thread.join().unwrap();
        }
        let home = BlockFile::in_memory(self.home.clone());
        let files = Files::in_memory(self.files.each_ref(), Some(home));
        Family::recovered(&options(), files).unwrap()
    }

    /// The power goes, and what wasn't synced; then the family is opened again.
    pub(crate) fn power_cut(&self, family: Arc<Family>) -> Arc<Family> {
        let threads = std::mem::take(&mut *family.threads.lock());
        drop(family);
        for thread in threads {
            thread.join().unwrap();
        }
        for file in self.files.iter().chain([&self.home]) {
            file.crash();
            file.heal();
        }
        let home = BlockFile::in_memory(self.home.clone());
        let files = Files::in_memory(self.files.each_ref(), Some(home));
        Family::recovered(&options(), files).unwrap()
    }
}

fn options() -> FamilyOptions {
    FamilyOptions::new("(memory)", [9; 16])
}
