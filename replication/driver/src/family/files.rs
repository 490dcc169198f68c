//! The files of a family: where each byte of the format is, and reading and writing it. Knows no maps.
//! Everything here **blocks**, but [`Files::place`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use smallvec::smallvec;
use tidelock_block::{
    BlockError, BlockFile, Buffer, BufferPool, FileOptions, OpKind, OpName, free_bytes,
};
use tidelock_volume::mapped::format::superblock::FILE_BYTES;
use tidelock_volume::mapped::{Address, BLOCK_BYTES};

use super::reserve::Reserve;
use crate::error::VolumeError;

/// Blocks of a data file: 1 TiB.
const FILE_BLOCKS: u64 = 1 << 28;
/// Memory for what the family's own threads read.
const POOL_BYTES: usize = 8 << 20;

/// The number of the data file that a block is in.
pub(super) fn number(address: Address) -> u32 {
    u32::try_from(address.get() / FILE_BLOCKS).unwrap_or(u32::MAX)
}

/// The name of the data file that a block is in, and its first byte there: for messages.
pub(super) fn named(address: Address) -> (String, u64) {
    let byte = address.get() % FILE_BLOCKS * BLOCK_BYTES as u64;
    (data_name(number(address) as usize), byte)
}

/// How long a file is.
#[derive(Debug)]
pub(super) struct FileSize {
    pub(super) name: String,
    /// Its bytes.
    pub(super) size: u64,
    /// The bytes that it was made with.
    pub(super) full: Option<u64>,
}

/// The open files.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    superblock: Arc<BlockFile>,
    journal: Arc<BlockFile>,
    allocation: Arc<BlockFile>,
    /// By number. One until the family has more than 1 TiB.
    data: RwLock<Vec<Arc<BlockFile>>>,
    home: Option<Arc<BlockFile>>,
    /// Space for metadata when there is no other; `None` for files in memory.
    reserve: Option<Reserve>,
    pool: BufferPool,
    /// Nothing is written and no file is made.
    read_only: bool,
}

impl Files {
    /// New files in a new folder, with the sizes that they will keep.
    pub(super) fn create(
        folder: &Path,
        home: Option<Arc<BlockFile>>,
        journal_bytes: u64,
    ) -> Result<Self, VolumeError> {
        let new = |name: &str, size: u64| -> Result<_, VolumeError> {
            let options = options(folder, name);
            let refuse = |error| VolumeError::from_block(error, size);
            let file = BlockFile::create(&options).map_err(refuse)?;
            file.set_size(size).map_err(refuse)?;
            Ok(file)
        };
        Self {
            folder: folder.to_path_buf(),
            superblock: new("superblock", FILE_BYTES as u64)?,
            journal: new("journal", journal_bytes)?,
            allocation: new("allocation", 0)?,
            data: RwLock::new(vec![new(&data_name(0), FILE_BLOCKS * BLOCK_BYTES as u64)?]),
            home,
            reserve: Some(Reserve::new(new("reserve", 0)?)),
            pool: BufferPool::new(POOL_BYTES),
            read_only: false,
        }
        .prepared(journal_bytes)
    }

    /// Makes new files durable, with all the space for the journal: so that no batch ever fails for want
    /// of it, and none has to make metadata of the file system durable.
    fn prepared(self, journal_bytes: u64) -> Result<Self, VolumeError> {
        let refuse = |error| VolumeError::from_block(error, journal_bytes);
        self.journal.allocate(0, journal_bytes).map_err(refuse)?;
        let fill = Bytes::from(vec![0; 1 << 20]);
        for at in (0..journal_bytes).step_by(fill.len()) {
            let length = usize::try_from(journal_bytes - at).unwrap_or(usize::MAX);
            let piece = fill.slice(..length.min(fill.len()));
            write(&self.journal, at, piece).map_err(refuse)?;
        }
        if let Some(reserve) = &self.reserve {
            reserve.fill().map_err(refuse)?;
        }
        for file in [&self.superblock, &self.journal, &self.allocation] {
            file.sync_all().map_err(refuse)?;
        }
        let data: Vec<_> = self.data.read().clone();
        for file in data {
            file.sync_all().map_err(refuse)?;
        }
        Ok(self)
    }

    /// Files in memory, in the order superblock, journal, allocation, data: for tests.
    #[cfg(test)]
    pub(super) fn in_memory(
        files: [&tidelock_block::MemoryFile; 4],
        home: Option<Arc<BlockFile>>,
    ) -> Self {
        let [superblock, journal, allocation, data] =
            files.map(|file| BlockFile::in_memory(file.clone()));
        Self {
            folder: PathBuf::from("(memory)"),
            superblock,
            journal,
            allocation,
            data: RwLock::new(vec![data]),
            home,
            reserve: None,
            pool: BufferPool::new(POOL_BYTES),
            read_only: false,
        }
    }

    /// The files of a family that is there.
    pub(super) fn open(folder: &Path, home: Option<Arc<BlockFile>>) -> Result<Self, VolumeError> {
        let mut files = Self::found(folder, home, false)?;
        files.reserve = reserve(folder);
        Ok(files)
    }

    /// The same, only to look at them.
    pub(super) fn look_at(
        folder: &Path,
        home: Option<Arc<BlockFile>>,
    ) -> Result<Self, VolumeError> {
        Self::found(folder, home, true)
    }

    fn found(
        folder: &Path,
        home: Option<Arc<BlockFile>>,
        read_only: bool,
    ) -> Result<Self, VolumeError> {
        let old = |name: &str| {
            let options = FileOptions {
                read_only,
                ..options(folder, name)
            };
            BlockFile::open(&options).map_err(|error| VolumeError::from_block(error, 0))
        };
        let mut data = vec![old(&data_name(0))?];
        while folder.join(data_name(data.len())).exists() {
            let next = old(&data_name(data.len()))?;
            data.push(next);
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            superblock: old("superblock")?,
            journal: old("journal")?,
            allocation: old("allocation")?,
            data: RwLock::new(data),
            home,
            reserve: None,
            pool: BufferPool::new(POOL_BYTES),
            read_only,
        })
    }

    /// Makes durable what was found and may be in the page cache only: whoever was killed may have been about
    /// to. Everything else was durable before these two were written.
    pub(super) fn sync_found(&self) -> Result<(), VolumeError> {
        let refuse = |error| VolumeError::from_block(error, 0);
        self.journal.data_sync().map_err(refuse)?;
        self.superblock.data_sync().map_err(refuse)
    }

    /// Gives the space that is set aside to whoever needs it now; false if it is used up.
    pub(super) fn use_reserve(&self) -> bool {
        self.reserve.as_ref().is_some_and(Reserve::give)
    }

    /// Sets space aside again, if there is some.
    pub(super) fn fill_reserve(&self) {
        if let Some(reserve) = &self.reserve
            && let Err(error) = reserve.fill()
        {
            tracing::debug!(%error, "no space can be set aside");
        }
    }

    /// The file that says which family this is.
    pub(super) fn superblock_path(&self) -> &Path {
        self.superblock.path()
    }

    /// The numbers of the data files.
    pub(super) fn numbers(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.data.read().len()).unwrap_or(u32::MAX)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn home(&self) -> Option<&Arc<BlockFile>> {
        self.home.as_ref()
    }

    /// The first data file, which stands for all where one is enough to know.
    pub(super) fn first(&self) -> Option<Arc<BlockFile>> {
        self.data.read().first().cloned()
    }

    /// The file of a block and its first byte there. Makes a new file once per TiB, which **blocks**.
    pub(super) fn place(&self, address: Address) -> Result<(Arc<BlockFile>, u64), VolumeError> {
        let offset = address.get() % FILE_BLOCKS * BLOCK_BYTES as u64;
        let file = self.data_file(number(address))?;
        Ok((file, offset))
    }

    fn data_file(&self, number: u32) -> Result<Arc<BlockFile>, VolumeError> {
        let index = number as usize;
        if let Some(file) = self.data.read().get(index) {
            return Ok(Arc::clone(file));
        }
        if self.read_only {
            let path = self.folder.join(data_name(index));
            return Err(VolumeError::Missing { path });
        }
        let mut data = self.data.write();
        while data.len() <= index {
            let options = options(&self.folder, &data_name(data.len()));
            let size = FILE_BLOCKS * BLOCK_BYTES as u64;
            let refuse = |error| VolumeError::from_block(error, size);
            // What a crash left of a file of this name has nothing that anything points to.
            let file = match BlockFile::create(&options) {
                Ok(file) => file,
                Err(error) if error.kind() == tidelock_block::BlockErrorKind::AlreadyExists => {
                    BlockFile::open(&options).map_err(refuse)?
                }
                Err(error) => return Err(refuse(error)),
            };
            file.set_size(size).map_err(refuse)?;
            file.sync_all().map_err(refuse)?;
            data.push(file);
        }
        data.get(index)
            .cloned()
            .ok_or_else(|| VolumeError::Missing {
                path: self.folder.join(data_name(index)),
            })
    }

    /// A node, a page of a chain, or a block of data.
    pub(super) fn read_page(&self, address: Address) -> Result<Bytes, VolumeError> {
        let (file, offset) = self.place(address)?;
        self.read(&file, offset, BLOCK_BYTES)
    }

    /// Bytes of a file.
    pub(super) fn read(
        &self,
        file: &Arc<BlockFile>,
        offset: u64,
        length: usize,
    ) -> Result<Bytes, VolumeError> {
        let refuse = |error| VolumeError::from_block(error, 0);
        let buffer = self.buffer(file, offset, length).map_err(refuse)?;
        let completion = file.perform(OpKind::Read { offset, buffer });
        completion.result.map_err(refuse)?;
        match completion.op {
            OpKind::Read { buffer, .. } => Ok(buffer.freeze()),
            _ => Ok(Bytes::new()),
        }
    }

    fn buffer(&self, file: &BlockFile, offset: u64, length: usize) -> Result<Buffer, BlockError> {
        self.pool.try_take(length).ok_or_else(|| {
            let why = std::io::Error::from(std::io::ErrorKind::OutOfMemory);
            BlockError::new(OpName::Read, file.path(), Some(offset), why)
        })
    }

    /// Bytes of each file as it was found, with its name and the bytes that it was made with, if that is known
    /// of the file alone.
    pub(super) fn sizes(&self) -> Result<Vec<FileSize>, VolumeError> {
        let data = self.data.read().clone();
        let data = data.iter().enumerate().map(|(number, file)| {
            let full = Some(FILE_BLOCKS * BLOCK_BYTES as u64);
            (data_name(number), file, full)
        });
        let others = [
            ("superblock", &self.superblock, Some(FILE_BYTES as u64)),
            ("journal", &self.journal, None),
            ("allocation", &self.allocation, None),
        ];
        let others = others.map(|(name, file, full)| (name.to_owned(), file, full));
        let all = others.into_iter().chain(data);
        all.map(|(name, file, full)| {
            let size = file
                .size()
                .map_err(|error| VolumeError::from_block(error, 0))?;
            Ok(FileSize { name, size, full })
        })
        .collect()
    }

    /// All of the superblock's file.
    pub(super) fn superblock(&self) -> Result<Bytes, VolumeError> {
        self.read(&self.superblock, 0, FILE_BYTES)
    }

    /// Both slots of a segment; what is behind the file's end reads as zeros.
    pub(super) fn slots(&self, segment: u32) -> Result<[Bytes; 2], VolumeError> {
        let size = self
            .allocation
            .size()
            .map_err(|error| VolumeError::from_block(error, 0))?;
        let slot = |second: u64| {
            let at = (u64::from(segment) * 2 + second) * BLOCK_BYTES as u64;
            if at + BLOCK_BYTES as u64 > size {
                return Ok(Bytes::from(vec![0; BLOCK_BYTES]));
            }
            self.read(&self.allocation, at, BLOCK_BYTES)
        };
        Ok([slot(0)?, slot(1)?])
    }

    /// Bytes of the journal's ring, round its end if need be.
    pub(super) fn ring(&self, at: u64, bytes: usize, size: u64) -> Result<Vec<u8>, VolumeError> {
        let mut found = Vec::with_capacity(bytes);
        let mut at = at;
        while found.len() < bytes {
            let left = (bytes - found.len()) as u64;
            let length = left.min(size - at).min(1 << 20);
            let length = usize::try_from(length).unwrap_or(bytes);
            found.extend_from_slice(&self.read(&self.journal, at, length)?);
            at = (at + length as u64) % size;
        }
        Ok(found)
    }

    pub(super) fn write_journal(&self, at: u64, bytes: Vec<u8>) -> Result<(), BlockError> {
        write(&self.journal, at, bytes.into())
    }

    pub(super) fn sync_journal(&self) -> Result<(), BlockError> {
        self.journal.data_sync()
    }

    /// Empties the data files.
    pub(super) fn discard(&self) -> Result<(), VolumeError> {
        let files: Vec<_> = self.data.read().clone();
        for file in files {
            file.set_size(0)
                .map_err(|error| VolumeError::from_block(error, 0))?;
        }
        Ok(())
    }

    /// Makes data files durable, and the home file.
    pub(super) fn sync_data(
        &self,
        numbers: impl IntoIterator<Item = u32>,
        home: bool,
    ) -> Result<(), BlockError> {
        for number in numbers {
            let file = self.data.read().get(number as usize).cloned();
            if let Some(file) = file {
                file.data_sync()?;
            }
        }
        match &self.home {
            Some(file) if home => file.data_sync(),
            _ => Ok(()),
        }
    }

    /// Writes pages of a checkpoint, joining those that are behind one another.
    pub(super) fn write_pages(
        &self,
        pages: &[(Address, Vec<u8>)],
    ) -> Result<Vec<u32>, VolumeError> {
        let mut order: Vec<&(Address, Vec<u8>)> = pages.iter().collect();
        order.sort_unstable_by_key(|(address, _)| *address);
        let mut numbers = Vec::new();
        for run in order.chunk_by(|(one, _), (next, _)| one.plus(1) == *next) {
            let Some((first, _)) = run.first() else {
                continue;
            };
            for (piece, part) in run.chunks(256).enumerate() {
                let (file, offset) = self.place(first.plus(256 * piece as u64))?;
                let bytes: Vec<u8> = part.iter().flat_map(|(_, page)| page.clone()).collect();
                let refuse = |error| VolumeError::from_block(error, bytes_of(pages));
                write(&file, offset, bytes.into()).map_err(refuse)?;
            }
            numbers.push(number(*first));
        }
        numbers.dedup();
        Ok(numbers)
    }

    pub(super) fn write_slots(&self, slots: &[(u64, Vec<u8>)]) -> Result<(), BlockError> {
        for (at, slot) in slots {
            write(&self.allocation, *at, slot.clone().into())?;
        }
        self.allocation.data_sync()
    }

    pub(super) fn write_superblock(&self, at: u64, slot: Vec<u8>) -> Result<(), BlockError> {
        write(&self.superblock, at, slot.into())?;
        self.superblock.data_sync()
    }

    /// As far as whoever is killed then has come.
    #[cfg(test)]
    pub(super) fn write_superblock_unsynced(&self, at: u64, slot: Vec<u8>) {
        write(&self.superblock, at, slot.into()).unwrap();
    }

    /// Gives the space of blocks back, as far as the file system takes it.
    pub(super) fn punch(&self, first: Address, count: u64) -> Result<(), BlockError> {
        let Ok((file, offset)) = self.place(first) else {
            return Ok(());
        };
        let length = count * BLOCK_BYTES as u64;
        file.perform(OpKind::PunchHole { offset, length }).result
    }

    /// Bytes of storage that the family takes, without its home file.
    pub(super) fn allocated_bytes(&self) -> Result<u64, VolumeError> {
        let data = self.data.read().clone();
        let files = data
            .iter()
            .chain([&self.superblock, &self.journal, &self.allocation]);
        let mut bytes = 0;
        for file in files {
            let allocated = file.allocated_bytes();
            bytes += allocated.map_err(|error| VolumeError::from_block(error, 0))?;
        }
        Ok(bytes)
    }

    /// Bytes that may still be written in its file system.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.folder).ok()
    }
}

fn bytes_of(pages: &[(Address, Vec<u8>)]) -> u64 {
    (pages.len() * BLOCK_BYTES) as u64
}

/// What the names of files of data begin with.
const DATA: &str = "data-";

fn data_name(number: usize) -> String {
    format!("{DATA}{number:04}")
}

/// What is set aside; a family does without it, if it must.
fn reserve(folder: &Path) -> Option<Reserve> {
    let options = options(folder, "reserve");
    let file = BlockFile::open(&options).or_else(|_| BlockFile::create(&options));
    match file {
        Ok(file) => Some(Reserve::new(file)),
        Err(error) => {
            tracing::warn!(%error, "no space can be set aside for metadata");
            None
        }
    }
}

/// Engines use files of data alone; all others are read and written by threads of the family, which may wait: so they are
/// opened once, however many engines there are.
fn options(folder: &Path, name: &str) -> FileOptions {
    let options = FileOptions::new(folder.join(name));
    match name.starts_with(DATA) {
        true => options,
        false => FileOptions {
            lanes: 0,
            ..options
        },
    }
}

/// Writes bytes.
pub(super) fn write(file: &Arc<BlockFile>, offset: u64, bytes: Bytes) -> Result<(), BlockError> {
    let data = smallvec![bytes];
    file.perform(OpKind::Write {
        offset,
        data,
        dsync: false,
    })
    .result
}
