//! The intent journal of a volume: what makes WRITE ATOMIC all or nothing over a crash.
//!
//! One record at a time, in a file of its own beside the daemon's other state. The record is durable
//! before the first byte is written in place, and is done with only when everything in place is
//! durable. A volume with a record that isn't done with gets its data written in place, all of it,
//! when it is opened and before anybody sees it. `docs/atomic-write-journal.md` says what every
//! partial write leads to.

mod record;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use tidelock_block::{BlockError, BlockErrorKind, BlockFile, BufferPool, FileOptions, OpKind};
use tidelock_volume::{Geometry, Range};

use crate::error::VolumeError;
use record::{DATA_AT, Header, Owner};

pub(crate) use record::DATA_MAX;

/// Where the journal of a volume is.
#[derive(Clone, Debug)]
pub struct JournalPlace {
    /// The file; made if it isn't there. Its folder must exist, and belong to the daemon alone.
    pub path: PathBuf,
    /// What no other volume ever has, so that a record never gets into another one.
    pub owner: [u8; 16],
}

/// The open journal of a volume.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Arc<BlockFile>,
    owner: Owner,
    sequence: AtomicU64,
    /// Its space is set aside.
    has_room: AtomicBool,
}

impl Journal {
    /// Opens the journal of a volume and finishes what a crash has left unfinished. **Blocks.**
    pub(crate) fn open(
        place: &JournalPlace,
        home: &Arc<BlockFile>,
        geometry: Geometry,
    ) -> Result<Self, VolumeError> {
        let refuse = |error| VolumeError::from_block(error, (DATA_AT + DATA_MAX) as u64);
        let options = FileOptions {
            // One record at a time: the engines don't get into each other's way.
            lanes: 1,
            ..FileOptions::new(&place.path)
        };
        let file = match BlockFile::open(&options) {
            Err(error) if error.kind() == BlockErrorKind::NotFound => {
                BlockFile::create(&options).map_err(refuse)?
            }
            other => other.map_err(refuse)?,
        };
        Self::over(file, place.owner, home, geometry)
    }

    /// The same over a file that is open.
    pub(crate) fn over(
        file: Arc<BlockFile>,
        owner: Owner,
        home: &Arc<BlockFile>,
        geometry: Geometry,
    ) -> Result<Self, VolumeError> {
        let refuse = |error| VolumeError::from_block(error, (DATA_AT + DATA_MAX) as u64);
        let length = (DATA_AT + DATA_MAX) as u64;
        if file.size().map_err(refuse)? < length {
            // Durable with its name before there is a first record. It takes no space before that.
            file.set_size(length).map_err(refuse)?;
            file.sync_all().map_err(refuse)?;
        }
        let journal = Self {
            file,
            owner,
            sequence: AtomicU64::new(0),
            has_room: AtomicBool::new(false),
        };
        journal.replay(home, geometry)?;
        Ok(journal)
    }

    pub(crate) fn file(&self) -> &Arc<BlockFile> {
        &self.file
    }

    /// What sets the space for every record aside, so that none fails for want of it half-way; `None`
    /// if that is done.
    pub(crate) fn make_room(&self) -> Option<OpKind> {
        let length = record_length(DATA_MAX as u64);
        (!self.has_room.load(Ordering::Relaxed)).then_some(OpKind::Allocate { offset: 0, length })
    }

    pub(crate) fn has_room(&self) {
        self.has_room.store(true, Ordering::Relaxed);
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// A record for `data`, as the bytes of the file from its start: header, then data. `to` is as
    /// long as [`record_length`] says.
    pub(crate) fn fill_record(&self, offset: u64, data: &[Bytes], to: &mut [u8]) {
        let Some((head, mut rest)) = to.split_at_mut_checked(DATA_AT) else {
            return;
        };
        head.fill(0);
        let (mut checksum, mut length) = (0, 0);
        for piece in data {
            let Some((now, later)) = rest.split_at_mut_checked(piece.len()) else {
                return;
            };
            now.copy_from_slice(piece);
            checksum = crc32c::crc32c_append(checksum, piece);
            length += piece.len() as u64;
            rest = later;
        }
        self.header(Range { offset, length }, checksum).encode(head);
    }

    /// What says that the record is done with.
    pub(crate) fn retirement(&self) -> Bytes {
        let mut bytes = vec![0; DATA_AT];
        let nothing = Range {
            offset: 0,
            length: 0,
        };
        self.header(nothing, 0).encode(&mut bytes);
        bytes.into()
    }

    fn header(&self, range: Range, data_checksum: u32) -> Header {
        Header {
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
            range,
            data_checksum,
            owner: self.owner,
        }
    }

    /// Writes the data of a record that isn't done with in its place, durably, then retires it. Doing
    /// so twice does no harm. **Blocks.**
    pub(crate) fn replay(
        &self,
        home: &Arc<BlockFile>,
        geometry: Geometry,
    ) -> Result<(), VolumeError> {
        let refuse = |error| VolumeError::from_block(error, DATA_MAX as u64);
        let pool = BufferPool::new(DATA_AT + 2 * DATA_MAX);
        let head = self.read(&pool, 0, DATA_AT).map_err(refuse)?;
        let Some(header) = Header::decode(&head) else {
            return Ok(());
        };
        self.sequence.store(header.sequence, Ordering::Relaxed);
        if header.range.length == 0 {
            return Ok(());
        }
        let wrong = |what: &str| VolumeError::Journal {
            path: self.path().to_path_buf(),
            what: what.to_owned(),
        };
        if header.owner != self.owner {
            return Err(wrong("its record belongs to another volume"));
        }
        let length = usize::try_from(header.range.length)
            .ok()
            .filter(|length| *length <= DATA_MAX)
            .ok_or_else(|| wrong("its record is longer than any that is written"))?;
        geometry
            .check(header.range)
            .map_err(|error| wrong(&format!("its record doesn't fit the volume: {error}")))?;
        let data = self.read(&pool, DATA_AT as u64, length).map_err(refuse)?;
        if crc32c::crc32c(&data) != header.data_checksum {
            // Cut while it was written: nothing was written in place yet.
            return Ok(());
        }
        write(home, header.range.offset, data, false).map_err(refuse)?;
        home.perform(OpKind::DataSync).result.map_err(refuse)?;
        write(&self.file, 0, self.retirement(), true).map_err(refuse)?;
        tracing::warn!(
            file = %home.path().display(),
            offset = header.range.offset,
            length,
            "finished an atomic write that was cut short"
        );
        Ok(())
    }

    /// Overwrites every record with one that is done with. **Blocks.**
    pub(crate) fn clear(&self) -> Result<(), VolumeError> {
        let refuse = |error| VolumeError::from_block(error, DATA_MAX as u64);
        if self.file.allocated_bytes().map_err(refuse)? == 0 {
            // Never used.
            return Ok(());
        }
        let mut bytes = vec![0; DATA_AT + DATA_MAX];
        if let Some((head, _)) = bytes.split_at_mut_checked(DATA_AT) {
            head.copy_from_slice(&self.retirement());
        }
        write(&self.file, 0, bytes.into(), true).map_err(refuse)
    }

    fn read(&self, pool: &BufferPool, offset: u64, length: usize) -> Result<Bytes, BlockError> {
        let buffer = pool.try_take(length).ok_or_else(|| {
            let why = io::Error::from(io::ErrorKind::OutOfMemory);
            let op = tidelock_block::OpName::Read;
            BlockError::new(op, self.file.path(), Some(offset), why)
        })?;
        let completion = self.file.perform(OpKind::Read { offset, buffer });
        completion.result?;
        match completion.op {
            OpKind::Read { buffer, .. } => Ok(buffer.freeze()),
            _ => Ok(Bytes::new()),
        }
    }
}

fn write(file: &Arc<BlockFile>, offset: u64, data: Bytes, dsync: bool) -> Result<(), BlockError> {
    let data: SmallVec<[Bytes; 2]> = smallvec![data];
    file.perform(OpKind::Write {
        offset,
        data,
        dsync,
    })
    .result
}

/// Bytes of a record with so much data.
pub(crate) fn record_length(data: u64) -> u64 {
    DATA_AT as u64 + data
}

/// Where the data of a record begins in it.
pub(crate) const RECORD_DATA_AT: usize = DATA_AT;
