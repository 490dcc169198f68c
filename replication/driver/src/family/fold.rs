//! The way back to a raw file, when the last snapshot and the last clone are gone. **Blocks.**

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use tidelock_block::{BlockFile, OpKind};
use tidelock_volume::mapped::{
    Address, BLOCK_BYTES, BlockRange, DatasetId, FamilyError, Id, Place, Stretch,
};

use super::files::write;
use super::{Family, Progress};
use crate::error::VolumeError;

/// Blocks in which is looked for the next one that isn't at home: 1 GiB.
const LOOK_BLOCKS: u64 = 1 << 18;
/// Zeros that are written at a time where no hole can be made.
const ZEROS_BYTES: usize = 1 << 20;
/// Blocks that are brought home between two looks at the progress: 1 MiB.
const STEP_BLOCKS: u64 = 256;

impl Family {
    /// Brings everything home that isn't, while hosts go on: for the only head of a family, from which no
    /// snapshot is left. Stops when `progress` says so; what is home stays there. **Blocks**, for as long
    /// as the copying takes.
    ///
    /// # Errors
    /// There are snapshots or clones, or they are still being deleted; the family has no home file; I/O
    /// failed.
    pub fn fold(
        self: &Arc<Self>,
        head: Id,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), VolumeError> {
        let dataset = self.find(head)?;
        let blocks = self.begin_fold(dataset)?;
        let mut first = 0;
        while first < blocks {
            let range = self.next_away(dataset, first, blocks)?;
            self.bring_home(dataset, range)?;
            first = range.first + range.count;
            let told = Progress {
                done: first * BLOCK_BYTES as u64,
                total: blocks * BLOCK_BYTES as u64,
            };
            if progress(told).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Everything that is left, while no host writes.
    pub(super) fn bring_all_home(self: &Arc<Self>, head: DatasetId) -> Result<(), VolumeError> {
        let blocks = self.begin_fold(head)?;
        let mut first = 0;
        while first < blocks {
            let range = self.next_away(head, first, blocks)?;
            // Once more where a flush or a checkpoint was still needed.
            for _ in 0..3 {
                if self.bring_home(head, range)? {
                    break;
                }
            }
            if !self.bring_home(head, range)? {
                return Err(self.failing("blocks can't be brought home".to_owned()));
            }
            first = range.first + range.count;
        }
        Ok(())
    }

    /// The next range from `first` on that is worth a look: what is at home is skipped.
    fn next_away(
        &self,
        head: DatasetId,
        first: u64,
        blocks: u64,
    ) -> Result<BlockRange, VolumeError> {
        let mut first = first;
        while first < blocks {
            let count = LOOK_BLOCKS.min(blocks - first);
            let range = BlockRange { first, count };
            let found = self.with_pages(|maps| maps.lookup(head, range))?;
            let away = found
                .iter()
                .find(|stretch| stretch.entry.place != Place::Home);
            if let Some(stretch) = away {
                let first = stretch.first;
                let count = STEP_BLOCKS.min(blocks - first);
                return Ok(BlockRange { first, count });
            }
            first += count;
        }
        Ok(BlockRange {
            first: blocks,
            count: 0,
        })
    }

    /// Sees to it that a fold may begin: alone, and with a home file that is long enough, durably so.
    fn begin_fold(self: &Arc<Self>, head: DatasetId) -> Result<u64, VolumeError> {
        let wrong = |what: &str| VolumeError::Family {
            folder: self.folder().to_path_buf(),
            what: what.to_owned(),
        };
        let (alone, blocks) = {
            let state = self.state.lock();
            let all = state.maps.datasets();
            let blocks = state.maps.facts(head).map_or(0, |facts| facts.blocks);
            (all.len() == 1, blocks)
        };
        if !alone {
            return Err(wrong(
                "there are snapshots or clones, or they are still being deleted: their blocks stay \
                 where they are",
            ));
        }
        let Some((home, bytes)) = self.home() else {
            return Err(wrong(
                "it began without a raw file, and has none to go back to",
            ));
        };
        let volume = self.volumes_of(head).into_iter().next();
        let size = volume.map_or(bytes, |volume| volume.size());
        if size > bytes {
            let refuse = |error| VolumeError::from_block(error, size - bytes);
            let present = home.size().map_err(refuse)?;
            if present < size {
                home.set_size(size).map_err(refuse)?;
            }
            // What lies there read as zeros so far, whatever it is.
            self.clear_home(home, bytes, present.min(size))?;
            home.sync_all().map_err(refuse)?;
            self.state.lock().maps.grow_home(size);
            self.checkpoint()?;
        }
        Ok(blocks)
    }

    /// Brings a range home, but for what hosts change meanwhile; true if all of it is.
    fn bring_home(
        self: &Arc<Self>,
        head: DatasetId,
        range: BlockRange,
    ) -> Result<bool, VolumeError> {
        let found = self.with_pages(|maps| {
            // A snapshot that comes later has what is away here away as well, and needs nothing at home.
            if maps.datasets().len() != 1 {
                return Ok(None);
            }
            maps.lookup(head, range).map(Some)
        })?;
        let Some(found) = found else {
            return Ok(false);
        };
        // It has grown meanwhile: the home file has no place for its end.
        let (bytes, volume) = (
            self.home().map_or(0, |(_, bytes)| bytes),
            self.volumes_of(head),
        );
        if volume.first().is_some_and(|volume| volume.size() > bytes) {
            return Ok(false);
        }
        let away = |stretch: &Stretch| stretch.entry.place != Place::Home;
        if !found.iter().any(away) {
            return Ok(true);
        }
        // What is at home may still be needed by what is durable; nothing that was away above gets
        // there again but by this.
        if !self.state.lock().maps.may_bring_home(range) {
            self.checkpoint()?;
        }
        let _alone = self.home_work.lock();
        if !self.state.lock().maps.may_bring_home(range) {
            return Ok(false);
        }
        let mut all = true;
        for stretch in found {
            all &= self.bring_stretch(head, stretch)?;
        }
        Ok(all)
    }

    /// Makes bytes of the home file zeros that nothing of the family is in.
    fn clear_home(&self, home: &Arc<BlockFile>, from: u64, end: u64) -> Result<(), VolumeError> {
        let _alone = self.home_work.lock();
        self.home_changes();
        let length = end.saturating_sub(from);
        if length == 0 {
            return Ok(());
        }
        let offset = from;
        if home
            .perform(OpKind::PunchHole { offset, length })
            .result
            .is_ok()
        {
            return Ok(());
        }
        let zeros = Bytes::from(vec![0; ZEROS_BYTES]);
        for at in (from..end).step_by(ZEROS_BYTES) {
            let count = usize::try_from(end - at).unwrap_or(ZEROS_BYTES);
            let piece = zeros.slice(..count.min(ZEROS_BYTES));
            write(home, at, piece).map_err(|error| VolumeError::from_block(error, length))?;
        }
        Ok(())
    }

    fn bring_stretch(
        self: &Arc<Self>,
        head: DatasetId,
        stretch: Stretch,
    ) -> Result<bool, VolumeError> {
        let Some((home, bytes)) = self.home() else {
            return Ok(true);
        };
        let offset = stretch.first * BLOCK_BYTES as u64;
        let end = (offset + stretch.count * BLOCK_BYTES as u64).min(bytes);
        let length = end.saturating_sub(offset);
        self.home_changes();
        let refuse = |error| VolumeError::from_block(error, length);
        match stretch.entry.place {
            Place::Home | Place::Node { .. } => return Ok(true),
            // Behind the end of the home file.
            Place::Hole if length == 0 => {}
            Place::Block { .. } if length == 0 => return Ok(false),
            Place::Hole => {
                let freed = home.perform(OpKind::PunchHole { offset, length });
                if freed.result.is_err() {
                    let zeros = vec![0; usize::try_from(length).unwrap_or_default()];
                    write(home, offset, zeros.into()).map_err(refuse)?;
                }
            }
            Place::Block { address, crc } => {
                let data = match self.checked(address, crc) {
                    Ok(data) => data,
                    // A host may have overwritten it since, and the block be another's by now.
                    Err(_) if !self.is_still(head, stretch)? => return Ok(false),
                    Err(error) => return Err(error),
                };
                let length = usize::try_from(length).unwrap_or_default();
                let data = data.slice(..length.min(data.len()));
                write(home, offset, data).map_err(refuse)?;
            }
        }
        let range = BlockRange {
            first: stretch.first,
            count: stretch.count,
        };
        let mut bad = None;
        loop {
            let missing = {
                let mut state = self.state.lock();
                let state = &mut *state;
                // Only what is still what was copied.
                let now = state.maps.lookup(head, range);
                if now.as_ref().is_ok_and(|now| now.as_slice() != [stretch]) {
                    return Ok(false);
                }
                // Before anybody can make durable that it is there.
                state.home_is_dirty = true;
                match now.and_then(|_| state.maps.bring_home(head, range)) {
                    Ok(()) => {
                        state.write_tail();
                        return Ok(true);
                    }
                    Err(FamilyError::Missing(missing)) => missing,
                    Err(error) => return Err(self.wrong(&error)),
                }
            };
            let fetched = self.fetch(missing);
            if bad.replace(missing) == Some(missing) {
                fetched?;
            }
        }
    }

    /// Whether a stretch is where it was.
    fn is_still(&self, head: DatasetId, stretch: Stretch) -> Result<bool, VolumeError> {
        let range = BlockRange {
            first: stretch.first,
            count: stretch.count,
        };
        let now = self.with_pages(|maps| maps.lookup(head, range))?;
        Ok(now.as_slice() == [stretch])
    }

    /// A block of data, if it is what its map says.
    pub(super) fn checked(&self, address: Address, crc: u32) -> Result<Bytes, VolumeError> {
        let data = self.files.read_page(address)?;
        if crc32c::crc32c(&data) == crc {
            return Ok(data);
        }
        Err(VolumeError::Family {
            folder: self.folder().to_path_buf(),
            what: format!("{address}: its checksum is wrong"),
        })
    }
}
