//! What a dataset has on its way into a raw volume, which is to be a volume's own: all of it, or what differs
//! from a dataset that the raw volume has already. In small steps, between which whoever does it may rest.
//! Everything here **blocks**.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tidelock_block::OpKind;
use tidelock_volume::mapped::{Address, BLOCK_BYTES, BlockRange, DatasetId, Id, Place, Stretch};

use super::Family;
use super::files::write;
use crate::error::VolumeError;
use crate::volume::Volume;

const BLOCK: u64 = BLOCK_BYTES as u64;
/// Blocks that are copied in one step at most: 1 MiB.
const STEP_BLOCKS: u64 = 256;
/// Blocks of one look into the map, while there is something there, and the most of one look while there is
/// nothing: whoever needs the map waits meanwhile.
const LOOK_BLOCKS: u64 = 1 << 10;
const LOOK_BLOCKS_MAX: u64 = 1 << 16;
/// Pieces of the home file that are asked for at a time.
const EXTENTS: usize = 1_024;
/// Zeros that are written at a time where no hole can be made.
const ZEROS_BYTES: u64 = 1 << 20;

/// What is copied, and to where.
#[derive(Clone, Debug)]
pub struct CopyOutOptions {
    /// A snapshot, or a head to which nobody writes meanwhile.
    pub what: Id,
    /// A snapshot that the raw volume has, all of it; `None`: it has zeros only.
    pub since: Option<Id>,
    /// The raw volume; it is as large as the dataset, or larger.
    pub to: Arc<Volume>,
    /// Byte up to which it has been copied already.
    pub from: u64,
}

/// A copy under way.
#[derive(Debug)]
pub struct CopyOut {
    family: Arc<Family>,
    dataset: DatasetId,
    options: CopyOutOptions,
    /// Byte at which the dataset ends.
    end: u64,
    /// Blocks that are to be copied and have been found already.
    ranges: VecDeque<BlockRange>,
    /// Where their blocks are.
    stretches: VecDeque<Stretch>,
    /// Byte from which on nobody has looked yet for what differs; `None` at the end.
    unseen: Option<u64>,
    look: u64,
}

impl Family {
    /// Begins to copy a dataset. Nobody may delete it meanwhile, nor what it is compared with.
    ///
    /// # Errors
    /// There is no such dataset, or the raw volume is too small or isn't raw.
    pub fn copy_out(self: &Arc<Self>, options: CopyOutOptions) -> Result<CopyOut, VolumeError> {
        let wrong = |what: &str| VolumeError::Family {
            folder: self.folder().to_path_buf(),
            what: what.to_owned(),
        };
        let dataset = self.find(options.what)?;
        if let Some(since) = options.since {
            self.find(since)?;
        }
        let blocks = self.info(dataset).map_or(0, |info| info.blocks);
        // The last block may be there in part.
        if options.to.content().is_mapped() || options.to.size().div_ceil(BLOCK) < blocks {
            return Err(wrong(
                "what it is to be copied to isn't raw, or is too small",
            ));
        }
        let mut copy = CopyOut {
            family: Arc::clone(self),
            dataset,
            end: (blocks * BLOCK).min(options.to.size()),
            ranges: VecDeque::new(),
            stretches: VecDeque::new(),
            unseen: None,
            look: LOOK_BLOCKS,
            options,
        };
        let first = copy.options.from / BLOCK;
        if copy.options.since.is_some() {
            copy.unseen = Some(first * BLOCK);
        } else {
            let count = copy.end.div_ceil(BLOCK).saturating_sub(first);
            copy.ranges.push_back(BlockRange { first, count });
        }
        Ok(copy)
    }
}

impl CopyOut {
    /// Byte up to which everything is in the raw volume; durable with its next flush.
    #[must_use]
    pub fn position(&self) -> u64 {
        let stretch = self.stretches.front().map(|stretch| stretch.first * BLOCK);
        let range = || self.ranges.front().map(|range| range.first * BLOCK);
        stretch
            .or_else(range)
            .or(self.unseen)
            .map_or(self.end, |at| at.min(self.end))
    }

    /// How many bytes it has to copy: before a byte of the volume, and in all. Looks at the map of all of it, and
    /// at nothing else. Stops with an answer that is too small as soon as nobody wants it any more.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn measure(
        &self,
        from: u64,
        mut is_wanted: impl FnMut() -> bool,
    ) -> Result<(u64, u64), VolumeError> {
        let (mut before, mut all) = (0, 0);
        let mut note = |offset: u64, length: u64| {
            all += length;
            before += from.clamp(offset, offset + length) - offset;
        };
        if let Some(since) = self.options.since {
            let mut at = Some(0);
            while let Some(from) = at.filter(|_| is_wanted()) {
                let (ranges, next) = self.family.diff(since, self.options.what, from)?;
                ranges
                    .iter()
                    .for_each(|range| note(range.offset, range.length));
                at = next;
            }
            return Ok((before, all));
        }
        let mut at = 0;
        while at < self.end && is_wanted() {
            let length = (LOOK_BLOCKS_MAX * BLOCK).min(self.end - at);
            let range = BlockRange {
                first: at / BLOCK,
                count: length.div_ceil(BLOCK),
            };
            for stretch in self.family.locate_waiting(self.dataset, range)? {
                let (offset, length) = (stretch.first * BLOCK, stretch.count * BLOCK);
                match stretch.entry.place {
                    Place::Hole | Place::Node { .. } => {}
                    Place::Block { .. } => note(offset, length),
                    Place::Home => {
                        for (offset, length) in self.at_home(offset, length)? {
                            note(offset, length);
                        }
                    }
                }
            }
            at += length;
        }
        Ok((before, all))
    }

    /// Copies what comes next, 1 MiB at most: how many bytes that was, which may be none. `None` when everything has
    /// been copied.
    ///
    /// # Errors
    /// A block can't be read or isn't what was written, or there is no space for it. The same step can be tried
    /// again.
    pub fn step(&mut self) -> Result<Option<u64>, VolumeError> {
        if self.stretches.is_empty() && !self.find_more()? {
            return Ok(None);
        }
        let Some(first) = self.stretches.front().copied() else {
            return Ok(Some(0));
        };
        let (count, copied) = match first.entry.place {
            Place::Block { address, .. } => self.copy_blocks(first.first, address)?,
            Place::Home => self.copy_home(first)?,
            Place::Hole | Place::Node { .. } => {
                self.clear(first)?;
                (first.count, 0)
            }
        };
        self.is_done(count);
        Ok(Some(copied))
    }

    /// So many blocks from the first one on are copied.
    fn is_done(&mut self, blocks: u64) {
        let mut left = blocks;
        while let Some(stretch) = self.stretches.front_mut().filter(|_| left > 0) {
            let now = stretch.count.min(left);
            left -= now;
            stretch.first += now;
            stretch.count -= now;
            if stretch.count == 0 {
                self.stretches.pop_front();
            }
        }
    }

    /// Looks where the next blocks are; false at the end.
    fn find_more(&mut self) -> Result<bool, VolumeError> {
        while self.ranges.is_empty() {
            let (Some(from), Some(since)) = (self.unseen, self.options.since) else {
                return Ok(false);
            };
            let (found, next) = self.family.diff(since, self.options.what, from)?;
            let end = self.end.div_ceil(BLOCK);
            let ranges = found.iter().map(|range| BlockRange {
                first: range.offset / BLOCK,
                count: (range.length / BLOCK).min(end.saturating_sub(range.offset / BLOCK)),
            });
            self.ranges.extend(ranges.filter(|range| range.count > 0));
            self.unseen = next.filter(|next| *next < self.end);
        }
        let Some(range) = self.ranges.pop_front() else {
            return Ok(false);
        };
        let now = BlockRange {
            first: range.first,
            count: range.count.min(self.look),
        };
        if range.count > now.count {
            self.ranges.push_front(BlockRange {
                first: range.first + now.count,
                count: range.count - now.count,
            });
        }
        let found = match self.family.locate_waiting(self.dataset, now) {
            Ok(found) => found,
            Err(error) => {
                self.ranges.push_front(range);
                return Err(error);
            }
        };
        let is_empty = |stretch: &Stretch| stretch.entry.place == Place::Hole;
        self.look = if found.iter().all(is_empty) {
            (self.look * 2).min(LOOK_BLOCKS_MAX)
        } else {
            LOOK_BLOCKS
        };
        self.stretches.extend(found);
        Ok(true)
    }

    /// Copies a run of blocks that are behind one another, each of which is compared with its checksum.
    fn copy_blocks(&self, first: u64, address: Address) -> Result<(u64, u64), VolumeError> {
        let mut crcs = Vec::new();
        for (stretch, behind) in self.stretches.iter().zip(0..STEP_BLOCKS) {
            match stretch.entry.place {
                Place::Block { address: here, crc }
                    if stretch.first == first + behind
                        && here == address.plus(behind)
                        && here.segment() == address.segment() =>
                {
                    crcs.push(crc);
                }
                _ => break,
            }
        }
        let count = crcs.len() as u64;
        let (file, offset) = self.family.files.place(address)?;
        let data = self
            .family
            .files
            .read(&file, offset, crcs.len() * BLOCK_BYTES)?;
        for ((block, crc), behind) in data.chunks(BLOCK_BYTES).zip(crcs).zip(0..) {
            if crc32c::crc32c(block) != crc {
                let at = (first + behind) * BLOCK;
                let address = address.plus(behind);
                return Err(VolumeError::Family {
                    folder: self.family.folder().to_path_buf(),
                    what: format!("byte {at}: {address}: its checksum is wrong"),
                });
            }
        }
        Ok((count, self.put(first * BLOCK, data)?))
    }

    /// Copies the next piece of what is in the home file. What is a hole there is one here.
    fn copy_home(&self, stretch: Stretch) -> Result<(u64, u64), VolumeError> {
        let count = stretch.count.min(LOOK_BLOCKS_MAX);
        let (offset, length) = (stretch.first * BLOCK, count * BLOCK);
        let first = self.at_home(offset, length)?.into_iter().next();
        // Whole blocks: the file system may have smaller ones.
        let begins = first.map_or(offset + length, |(at, _)| at / BLOCK * BLOCK);
        if begins > offset {
            let empty = Stretch {
                count: (begins - offset) / BLOCK,
                ..stretch
            };
            self.clear(empty)?;
            return Ok((empty.count, 0));
        }
        let present = first.map_or(0, |(at, length)| {
            (at + length).div_ceil(BLOCK) * BLOCK - offset
        });
        let length = present.min(length).min(STEP_BLOCKS * BLOCK);
        let Some((home, bytes)) = self.family.home() else {
            return Ok((length / BLOCK, 0));
        };
        let there = bytes.saturating_sub(offset).min(length);
        let there = usize::try_from(there).unwrap_or_default();
        let data = self.family.files.read(home, offset, there)?;
        Ok((length / BLOCK, self.put(offset, data)?))
    }

    /// What of a range of the home file is there: offset and length of each piece.
    fn at_home(&self, offset: u64, length: u64) -> Result<Vec<(u64, u64)>, VolumeError> {
        let Some((home, bytes)) = self.family.home() else {
            return Ok(Vec::new());
        };
        let end = (offset + length).min(bytes);
        let (mut at, mut found) = (offset, Vec::new());
        while at < end {
            let extents = home
                .allocation(at, end - at, EXTENTS)
                .map_err(|error| VolumeError::from_block(error, 0))?;
            let before = at;
            for extent in extents {
                if extent.allocated {
                    found.push((extent.offset, extent.length));
                }
                at = extent.offset + extent.length;
            }
            if at == before {
                break;
            }
        }
        Ok(found)
    }

    fn put(&self, offset: u64, data: Bytes) -> Result<u64, VolumeError> {
        let left = self.end.saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        let refuse = |error| VolumeError::from_block(error, length as u64);
        write(self.options.to.file(), offset, data.slice(..length)).map_err(refuse)?;
        Ok(length as u64)
    }

    /// Makes zeros of what the raw volume may have in a range.
    fn clear(&self, stretch: Stretch) -> Result<(), VolumeError> {
        if self.options.since.is_none() {
            return Ok(());
        }
        let offset = stretch.first * BLOCK;
        let end = (offset + stretch.count * BLOCK).min(self.end);
        let length = end.saturating_sub(offset);
        if length == 0 {
            return Ok(());
        }
        let file = self.options.to.file();
        let punched = file.perform(OpKind::PunchHole { offset, length });
        if punched.result.is_ok() {
            return Ok(());
        }
        let mut at = offset;
        while at < end {
            let now = ZEROS_BYTES.min(end - at);
            let zeros = vec![0; usize::try_from(now).unwrap_or_default()];
            self.put(at, zeros.into())?;
            at += now;
        }
        Ok(())
    }
}
