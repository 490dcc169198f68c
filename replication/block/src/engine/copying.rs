//! Copying from one file to another inside the file system, which shares the space of both where it can
//! (XFS, btrfs), and else copies without our memory. **Blocks.**

#![allow(unsafe_code, reason = "FICLONERANGE is an ioctl")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, opcode};

use super::blocking::again;
use super::{Request, blocking};
use crate::engine::OpKind;
use crate::file::{BlockFile, FileKind};

/// Bytes of one block of which there is a [`BlockSum`].
pub const SUM_BYTES: usize = 4096;
/// Bytes that are read back at a time.
const READ_BYTES: usize = 1 << 16;

/// What has arrived in a block of 4 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSum {
    /// CRC32C of its bytes.
    pub crc32c: u32,
    /// All of them are zeros.
    pub is_zero: bool,
}

impl BlockSum {
    /// Of these bytes.
    #[must_use]
    pub fn of(block: &[u8]) -> Self {
        Self {
            crc32c: crc32c::crc32c(block),
            is_zero: block.iter().all(|byte| *byte == 0),
        }
    }
}

/// What is asked of a [`OpKind::CopyFrom`] besides copying. Of whole blocks of [`SUM_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sums {
    /// Nothing.
    Unwanted,
    /// What has arrived in each block is added to `found`. Nothing need be written where there are only zeros.
    Wanted {
        /// Of each block.
        found: Vec<BlockSum>,
        /// Nobody changes the source meanwhile, so that it may be read there, where it is in memory most likely. If
        /// somebody may, it is read where it has arrived, and true whatever happens to the source.
        stable: bool,
    },
    /// These are the CRC32Cs of the blocks of the source, which nobody changes meanwhile. They are compared
    /// before anything is done.
    Expected(Vec<u32>),
}

/// A range of one file, and where it goes to in another.
struct Way<'a> {
    source: BorrowedFd<'a>,
    source_offset: u64,
    target: BorrowedFd<'a>,
    offset: u64,
    length: u64,
    /// Which of them go past the page cache.
    source_is_direct: bool,
    target_is_direct: bool,
}

/// Does a [`OpKind::CopyFrom`].
pub(super) fn run(request: &mut Request, lane: usize) -> Result<(), Errno> {
    let target = request.file.clone();
    let OpKind::CopyFrom {
        source,
        source_offset,
        offset,
        length,
        sums,
    } = &mut request.op
    else {
        return Err(Errno::INVAL);
    };
    let of = |file: &BlockFile| file.kind() == FileKind::Regular;
    let (Some(from), Some(to)) = (source.lane(lane), target.lane(lane)) else {
        return Err(Errno::OPNOTSUPP);
    };
    if !of(source) || !of(&target) {
        return Err(Errno::OPNOTSUPP);
    }
    let way = Way {
        source: from,
        source_offset: *source_offset,
        target: to,
        offset: *offset,
        length: *length,
        source_is_direct: source.is_direct(),
        target_is_direct: target.is_direct(),
    };
    way.check_end()?;
    let sums = match sums {
        Sums::Unwanted => return way.copy(),
        Sums::Expected(expected) => {
            way.compare(expected)?;
            return way.copy();
        }
        Sums::Wanted { found, stable } => (found, *stable),
    };
    let (found, stable) = sums;
    if way.is_hole()? {
        let zeros = BlockSum::of(&[0; SUM_BYTES]);
        let blocks = length.div_ceil(SUM_BYTES as u64);
        found.resize(usize::try_from(blocks).unwrap_or(0), zeros);
        return Ok(());
    }
    let note = |block: &[u8]| {
        found.push(BlockSum::of(block));
        Ok(())
    };
    if stable && !way.source_is_direct {
        way.read(way.source, way.source_offset, note)?;
        return match found.iter().all(|sum| sum.is_zero) {
            true => Ok(()),
            false => way.copy(),
        };
    }
    if way.target_is_direct {
        // It couldn't be read into any memory.
        return Err(Errno::OPNOTSUPP);
    }
    way.copy()?;
    way.read(way.target, way.offset, note)
}

impl Way<'_> {
    fn copy(&self) -> Result<(), Errno> {
        match again(|| clone_range(self)) {
            Ok(()) => Ok(()),
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::IO)) => Err(error),
            Err(error) if self.source_is_direct || self.target_is_direct => Err(error),
            // Another file system, one that can't share, or ranges that it can't: then it copies.
            Err(_) => self.copy_pieces(),
        }
    }

    /// Copies what is there, and makes holes where there are some.
    fn copy_pieces(&self) -> Result<(), Errno> {
        let mut done = 0;
        while done < self.length {
            let data = self.next(SeekFrom::Data(self.source_offset + done))?;
            if data > done {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                again(|| {
                    rustix::fs::fallocate(self.target, flags, self.offset + done, data - done)
                })?;
                done = data;
                continue;
            }
            let hole = self.next(SeekFrom::Hole(self.source_offset + done))?;
            // Somebody makes holes meanwhile: whatever is copied is what was there at some moment.
            let end = if hole > done { hole } else { self.length };
            self.copy_bytes(done, end)?;
            done = end;
        }
        Ok(())
    }

    fn copy_bytes(&self, from: u64, end: u64) -> Result<(), Errno> {
        let mut done = from;
        while done < end {
            let (mut read, mut write) = (self.source_offset + done, self.offset + done);
            let left = usize::try_from(end - done).unwrap_or(usize::MAX);
            let copied = again(|| {
                rustix::fs::copy_file_range(
                    self.source,
                    Some(&mut read),
                    self.target,
                    Some(&mut write),
                    left,
                )
            })?;
            if copied == 0 {
                // It ends before this.
                return Err(Errno::NODATA);
            }
            done += copied as u64;
        }
        Ok(())
    }

    /// What is behind the end of the source is not a hole.
    fn check_end(&self) -> Result<(), Errno> {
        let size = rustix::fs::fstat(self.source)?.st_size;
        let end = self.source_offset.saturating_add(self.length);
        if u64::try_from(size).unwrap_or(0) < end {
            return Err(Errno::NODATA);
        }
        Ok(())
    }

    fn is_hole(&self) -> Result<bool, Errno> {
        Ok(self.next(SeekFrom::Data(self.source_offset))? >= self.length)
    }

    /// Where the next data of the source is, or its next hole, in bytes from the start of the range; its end if
    /// that comes before.
    fn next(&self, what: SeekFrom) -> Result<u64, Errno> {
        match rustix::fs::seek(self.source, what) {
            Ok(at) => Ok(at.saturating_sub(self.source_offset).min(self.length)),
            // No data from here on.
            Err(Errno::NXIO) => Ok(self.length),
            Err(error) => Err(error),
        }
    }

    fn compare(&self, expected: &[u32]) -> Result<(), Errno> {
        if self.source_is_direct {
            return Err(Errno::OPNOTSUPP);
        }
        let mut expected = expected.iter();
        self.read(self.source, self.source_offset, |block| {
            match expected.next() {
                Some(crc) if *crc == crc32c::crc32c(block) => Ok(()),
                _ => Err(Errno::BADMSG),
            }
        })
    }

    /// Reads one end, block by block.
    fn read(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        mut each: impl FnMut(&[u8]) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        let mut buffer = vec![0; READ_BYTES.min(length)];
        let mut done = 0;
        while done < self.length {
            let left = usize::try_from(self.length - done).unwrap_or(usize::MAX);
            let now = left.min(buffer.len());
            let Some(part) = buffer.get_mut(..now) else {
                return Err(Errno::INVAL);
            };
            blocking::read(file, offset + done, part)
                .map_err(|failure| failure.source.unwrap_or(Errno::NODATA))?;
            part.chunks(SUM_BYTES).try_for_each(&mut each)?;
            done += now as u64;
        }
        Ok(())
    }
}

fn clone_range(way: &Way<'_>) -> Result<(), Errno> {
    const FICLONERANGE: Opcode = opcode::write::<libc::file_clone_range>(0x94, 13);
    let range = libc::file_clone_range {
        src_fd: way.source.as_raw_fd().into(),
        src_offset: way.source_offset,
        src_length: way.length,
        dest_offset: way.offset,
    };
    // SAFETY: FICLONERANGE reads one `file_clone_range` and writes nothing to our memory; both descriptors are
    // open for as long as `way` borrows them.
    unsafe {
        let clone = Setter::<FICLONERANGE, libc::file_clone_range>::new(range);
        rustix::ioctl::ioctl(way.target.as_fd(), clone)
    }
}
