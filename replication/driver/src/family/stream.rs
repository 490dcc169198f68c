//! Snapshots on their way out and in: the records of [`tidelock_volume::stream`] from a family's blocks,
//! and back. Everything here **blocks**.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use tidelock_volume::Range;
use tidelock_volume::mapped::{BLOCK_BYTES, BlockRange, DatasetId, Id, Place, Stretch};
use tidelock_volume::stream::{DATA_MAX, Encoder, Event, Header, StreamError};

use super::files::write;
use super::{Change, Family, Trouble};
use crate::error::VolumeError;
use crate::volume::Mapped;

const BLOCK: u64 = BLOCK_BYTES as u64;
/// Blocks of one record of data.
const RECORD_BLOCKS: u64 = DATA_MAX as u64 / BLOCK;
/// Pieces of a volume that are looked for at once.
const EXTENTS: usize = 1_024;

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The snapshot.
    pub snapshot: Id,
    /// An older one that the receiver has; `None`: it has nothing.
    pub since: Option<Id>,
    /// What the stream says of them. A copy of a snapshot has another id here than in streams; size and
    /// beginning are taken from here.
    pub header: Header,
}

/// A snapshot, or the difference between two, that is being sent.
#[derive(Debug)]
pub struct Export {
    family: Arc<Family>,
    snapshot: DatasetId,
    options: ExportOptions,
    /// `None` when the stream has ended.
    encoder: Option<Encoder>,
    begun: bool,
    /// Blocks that are to be sent, as far as they are known.
    ranges: VecDeque<BlockRange>,
    /// Block behind the last one of these, if anything was found already.
    next_block: u64,
    /// Byte from which on nobody has looked yet; `None` at the end.
    unseen: Option<u64>,
}

impl Family {
    /// Begins to send a snapshot. It must not be deleted meanwhile: the stream ends with an error then.
    ///
    /// # Errors
    /// There is no such snapshot, or it hasn't that many bytes.
    pub fn export(self: &Arc<Self>, mut options: ExportOptions) -> Result<Export, VolumeError> {
        let wrong = |what: &str| VolumeError::Family {
            folder: self.folder().to_path_buf(),
            what: what.to_owned(),
        };
        // What the receiver has must be what is here for ever.
        self.settle(options.snapshot)?;
        let snapshot = self.find(options.snapshot)?;
        if let Some(since) = options.since {
            self.settle(since)?;
            self.find(since)?;
        }
        let info = self.info(snapshot);
        let info = info.ok_or_else(|| wrong("the snapshot is gone"))?;
        if !info.is_snapshot {
            return Err(wrong(
                "only a snapshot can be sent: a volume changes meanwhile",
            ));
        }
        let Header { size, from, .. } = options.header;
        if size.div_ceil(BLOCK) != info.blocks || from > size {
            return Err(wrong("the snapshot hasn't that many bytes"));
        }
        let from = from / BLOCK * BLOCK;
        options.header.from = from;
        Ok(Export {
            family: Arc::clone(self),
            snapshot,
            encoder: Some(Encoder::new(&options.header)),
            begun: false,
            ranges: VecDeque::new(),
            next_block: 0,
            unseen: Some(from),
            options,
        })
    }

    /// Puts what a stream says into a head. It is durable with the next flush.
    ///
    /// # Errors
    /// There is no such head, no space, or I/O failed.
    pub fn import(self: &Arc<Self>, head: Id, event: &Event) -> Result<(), VolumeError> {
        let head = self.find(head)?;
        match event {
            Event::Begin(_) | Event::End => Ok(()),
            Event::Zeros { offset, length } => {
                let range = BlockRange {
                    first: offset / BLOCK,
                    count: length.div_ceil(BLOCK),
                };
                self.commit_waiting(head, &[Change::Zero(range)])
            }
            Event::Data { offset, data } => self.import_data(head, *offset, data),
        }
    }

    fn import_data(
        self: &Arc<Self>,
        head: DatasetId,
        offset: u64,
        data: &Bytes,
    ) -> Result<(), VolumeError> {
        let blocks = data.len().div_ceil(BLOCK_BYTES);
        let count = u32::try_from(blocks).unwrap_or(u32::MAX);
        let runs = self.allocate(count).map_err(|trouble| self.tell(trouble))?;
        let written = self.write_runs(offset / BLOCK, data, &runs);
        let committed = written.and_then(|changes| self.commit_waiting(head, &changes));
        if committed.is_err() {
            self.give_back(&runs);
        }
        committed
    }

    fn write_runs(
        &self,
        first: u64,
        data: &Bytes,
        runs: &[tidelock_volume::mapped::Run],
    ) -> Result<Vec<Change>, VolumeError> {
        let mut changes = Vec::with_capacity(runs.len());
        let (mut first, mut rest) = (first, data.clone());
        for run in runs {
            let bytes = (run.count as usize * BLOCK_BYTES).min(rest.len());
            let mut now = rest.split_to(bytes);
            if !now.len().is_multiple_of(BLOCK_BYTES) {
                // The end of a volume that isn't of whole blocks.
                let mut padded = BytesMut::from(now.as_ref());
                padded.resize(now.len().next_multiple_of(BLOCK_BYTES), 0);
                now = padded.freeze();
            }
            let crcs: SmallVec<[u32; 8]> = now.chunks(BLOCK_BYTES).map(crc32c::crc32c).collect();
            let (file, offset) = self.files.place(run.address)?;
            let refuse = |error| VolumeError::from_block(error, bytes as u64);
            write(&file, offset, now).map_err(refuse)?;
            changes.push(Change::Map {
                first,
                address: run.address,
                crcs,
            });
            first += u64::from(run.count);
        }
        Ok(changes)
    }

    /// [`Self::commit`], with the pages that it needs.
    fn commit_waiting(&self, head: DatasetId, changes: &[Change]) -> Result<(), VolumeError> {
        let mut bad = None;
        loop {
            let missing = match self.commit(head, changes) {
                Ok(()) => return Ok(()),
                Err(Trouble::Missing(missing)) => missing,
                Err(other) => return Err(self.tell(other)),
            };
            let fetched = self.fetch(missing);
            if bad.replace(missing) == Some(missing) {
                fetched?;
            }
        }
    }

    fn tell(&self, trouble: Trouble) -> VolumeError {
        let what = match trouble {
            Trouble::Missing(missing) => missing.to_string(),
            Trouble::NoSpace => {
                return VolumeError::NoSpace {
                    path: self.folder().to_path_buf(),
                    needed: DATA_MAX as u64,
                    free: self.files.free_bytes(),
                };
            }
            Trouble::Wrong(what) => what,
        };
        VolumeError::Family {
            folder: self.folder().to_path_buf(),
            what,
        }
    }

    /// Bytes of a stretch, of which each block is checked.
    fn read_stretch(&self, stretch: Stretch, to: &mut BytesMut) -> Result<(), VolumeError> {
        match stretch.entry.place {
            Place::Hole | Place::Node { .. } => {
                let bytes = usize::try_from(stretch.count * BLOCK).unwrap_or(0);
                to.resize(to.len() + bytes, 0);
            }
            Place::Block { address, crc } => to.extend_from_slice(&self.checked(address, crc)?),
            Place::Home => {
                let offset = stretch.first * BLOCK;
                let bytes = usize::try_from(stretch.count * BLOCK).unwrap_or(0);
                let end = to.len() + bytes;
                if let Some((home, home_bytes)) = self.home() {
                    let there = home_bytes.saturating_sub(offset).min(stretch.count * BLOCK);
                    let there = usize::try_from(there).unwrap_or(0);
                    if there > 0 {
                        to.extend_from_slice(&self.files.read(home, offset, there)?);
                    }
                }
                to.resize(end, 0);
            }
        }
        Ok(())
    }
}

impl Export {
    /// The next bytes of the stream, about 1 MiB at most; `None` when it is complete.
    ///
    /// # Errors
    /// The snapshot was deleted, or a block of it can't be read or isn't what it was.
    #[allow(clippy::should_implement_trait, reason = "an error isn't an item")]
    pub fn next(&mut self) -> Result<Option<Bytes>, VolumeError> {
        if !self.begun {
            self.begun = true;
            let header = self.encoder.as_ref().map(Encoder::header);
            return Ok(header.map(Bytes::copy_from_slice));
        }
        // Gone, or being deleted: its blocks may be another's.
        self.family.find(self.options.snapshot)?;
        loop {
            if let Some(range) = self.ranges.pop_front() {
                if let Some(bytes) = self.record(range)? {
                    return Ok(Some(bytes));
                }
            } else if let Some(from) = self.unseen {
                self.look(from)?;
            } else {
                let encoder = self.encoder.take();
                return Ok(encoder.map(|encoder| Bytes::copy_from_slice(&encoder.end())));
            }
        }
    }

    /// Byte of the volume up to which everything is in the stream.
    #[must_use]
    pub fn position(&self) -> u64 {
        let next = self.ranges.front().map(|range| range.first * BLOCK);
        next.or(self.unseen).unwrap_or(self.options.header.size)
    }

    /// Looks for more that is to be sent.
    fn look(&mut self, from: u64) -> Result<(), VolumeError> {
        if let Some(since) = self.options.since {
            let (found, next) = self.family.diff(since, self.options.snapshot, from)?;
            let end = self.options.header.size.div_ceil(BLOCK);
            let ranges = found.iter().map(|range| BlockRange {
                first: range.offset / BLOCK,
                count: (range.length / BLOCK).min(end.saturating_sub(range.offset / BLOCK)),
            });
            self.ranges.extend(ranges.filter(|range| range.count > 0));
            self.unseen = next.filter(|next| *next < self.options.header.size);
            return Ok(());
        }
        let size = self.options.header.size;
        let mapped = Mapped {
            family: Arc::clone(&self.family),
            dataset: self.snapshot,
        };
        let range = Range {
            offset: from,
            length: size - from,
        };
        let mut seen = from;
        for extent in mapped.allocation(range, EXTENTS)? {
            seen = extent.offset.saturating_add(extent.length).min(size);
            // Extents of the home file may begin and end inside a block.
            let first = (extent.offset / BLOCK).max(self.next_block);
            let end = seen.div_ceil(BLOCK);
            if extent.allocated && end > first {
                let count = end - first;
                self.ranges.push_back(BlockRange { first, count });
                self.next_block = end;
            }
        }
        self.unseen = (seen > from && seen < size).then_some(seen);
        Ok(())
    }

    /// The record for the start of a range; the rest of it is for the next time. `None` if it needs none.
    fn record(&mut self, range: BlockRange) -> Result<Option<Bytes>, VolumeError> {
        let family = Arc::clone(&self.family);
        let snapshot = self.snapshot;
        let now = BlockRange {
            first: range.first,
            count: range.count.min(RECORD_BLOCKS),
        };
        let found = family.with_pages(|maps| maps.lookup(snapshot, now))?;
        let is_hole = |stretch: &&Stretch| stretch.entry.place == Place::Hole;
        let zeros = found.iter().take_while(is_hole);
        let zeros: u64 = zeros.map(|stretch| stretch.count).sum();
        let data = found.iter().skip_while(is_hole);
        let data = data.take_while(|stretch| !is_hole(stretch));
        let done = if zeros > 0 {
            zeros
        } else {
            data.clone().map(|stretch| stretch.count).sum()
        };
        let rest = BlockRange {
            first: range.first + done,
            count: range.count.saturating_sub(done),
        };
        if rest.count > 0 {
            self.ranges.push_front(rest);
        }
        let offset = range.first * BLOCK;
        let length = (done * BLOCK).min(self.options.header.size - offset);
        let Some(encoder) = &mut self.encoder else {
            return Ok(None);
        };
        let refuse = |error: StreamError| VolumeError::Family {
            folder: family.folder().to_path_buf(),
            what: error.to_string(),
        };
        if zeros > 0 {
            // Who has nothing has zeros already.
            if self.options.since.is_none() {
                return Ok(None);
            }
            let record = encoder.zeros(offset, length).map_err(refuse)?;
            return Ok(Some(Bytes::copy_from_slice(&record)));
        }
        let mut bytes = BytesMut::with_capacity(DATA_MAX);
        for stretch in data {
            family.read_stretch(*stretch, &mut bytes)?;
        }
        bytes.truncate(usize::try_from(length).unwrap_or(0));
        let record = encoder.data(offset, &bytes).map_err(refuse)?;
        let mut whole = BytesMut::with_capacity(record.len() + bytes.len());
        whole.extend_from_slice(&record);
        whole.extend_from_slice(&bytes);
        Ok(Some(whole.freeze()))
    }
}
