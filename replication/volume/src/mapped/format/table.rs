//! Records of the two tables: datasets and segments.

use super::chain::PAYLOAD_BYTES;
use super::superblock::{decode_pointer, encode_pointer};
use super::{Damage, Id, bytes_at, put, u32_at, u64_at};
use crate::mapped::address::{DatasetId, Epoch};
use crate::mapped::entry::Entry;

/// Bytes of a dataset's record.
pub const DATASET_BYTES: usize = 120;
/// Records of one page of the dataset table.
pub const DATASETS_PER_PAGE: usize = PAYLOAD_BYTES / DATASET_BYTES;
/// Bytes of a segment's record.
pub const SEGMENT_BYTES: usize = 4;
/// Records of one page of the segment table.
pub const SEGMENTS_PER_PAGE: usize = PAYLOAD_BYTES / SEGMENT_BYTES;

const HIDDEN: u8 = 1;
const DELETING: u8 = 2;

/// A dataset as its table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetRecord {
    /// Its number.
    pub id: DatasetId,
    /// When it was frozen; `None` for a head.
    pub frozen: Option<Epoch>,
    /// Deleted, but others come from it.
    pub hidden: bool,
    /// Its deletion is under way.
    pub deleting: bool,
    /// Blocks from its start that its deletion is done with.
    pub released: u64,
    /// The snapshot that it comes from.
    pub previous: Option<DatasetId>,
    /// Blocks.
    pub blocks: u64,
    /// Where its stretch is.
    pub root: Entry,
    /// Its dead list.
    pub dead: Option<Entry>,
    /// Records in its dead list.
    pub dead_count: u64,
    /// The id by which the catalog knows it.
    pub uuid: Id,
}

impl DatasetRecord {
    /// On disk.
    #[must_use]
    pub fn encode(&self) -> [u8; DATASET_BYTES] {
        let mut record = [0; DATASET_BYTES];
        let flags = (u8::from(self.hidden) * HIDDEN) | (u8::from(self.deleting) * DELETING);
        put(&mut record, 0, &self.id.0.to_le_bytes());
        put(
            &mut record,
            4,
            &[1 + u8::from(self.frozen.is_some()), flags],
        );
        let previous = self.previous.map_or(0, |id| id.0);
        put(&mut record, 8, &previous.to_le_bytes());
        let frozen = self.frozen.map_or(0, |epoch| epoch.0);
        put(&mut record, 12, &frozen.to_le_bytes());
        put(&mut record, 16, &self.blocks.to_le_bytes());
        put(&mut record, 24, &self.root.encode(0));
        put(&mut record, 40, &encode_pointer(self.dead));
        put(&mut record, 56, &self.dead_count.to_le_bytes());
        put(&mut record, 64, &self.uuid);
        put(&mut record, 80, &self.released.to_le_bytes());
        record
    }

    /// The dataset of a record.
    ///
    /// # Errors
    /// A record that makes no sense.
    pub fn decode(record: &[u8]) -> Result<Self, Damage> {
        let wrong = |why: &str| Damage::new("the dataset table", why);
        let [kind, flags, zero1, zero2] = bytes_at(record, 4)?;
        if zero1 != 0 || zero2 != 0 || flags & !(HIDDEN | DELETING) != 0 {
            return Err(wrong("flags that aren't known"));
        }
        let id = u32_at(record, 0)?;
        let frozen = Epoch(u32_at(record, 12)?);
        let frozen = match (kind, frozen) {
            (1, Epoch(0)) => None,
            (2, epoch) => Some(epoch),
            _ => return Err(wrong("neither a head nor a snapshot")),
        };
        if id == 0 {
            return Err(wrong("a dataset without a number"));
        }
        let previous = u32_at(record, 8)?;
        Ok(Self {
            id: DatasetId(id),
            frozen,
            hidden: flags & HIDDEN != 0,
            deleting: flags & DELETING != 0,
            previous: (previous != 0).then_some(DatasetId(previous)),
            blocks: u64_at(record, 16)?,
            root: Entry::decode(&bytes_at(record, 24)?)?,
            dead: decode_pointer(&bytes_at(record, 40)?)?,
            dead_count: u64_at(record, 56)?,
            uuid: bytes_at(record, 64)?,
            released: u64_at(record, 80)?,
        })
    }
}

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SegmentKind {
    /// Blocks of data.
    Data,
    /// Nodes and chains.
    Nodes,
}

/// What the table says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRecord {
    /// What it is for.
    pub kind: SegmentKind,
    /// Blocks in use.
    pub used: u32,
    /// Of the sequence in its allocation slot: [`mark`].
    pub mark: u8,
}

/// What the table keeps of a slot's sequence, so that an older slot isn't taken for it.
#[must_use]
pub fn mark(sequence: u64) -> u8 {
    let [low, ..] = sequence.to_le_bytes();
    low
}

/// A segment's record; `None` where there is no such segment.
#[must_use]
pub fn encode_segment(segment: Option<SegmentRecord>) -> [u8; SEGMENT_BYTES] {
    let Some(SegmentRecord { kind, used, mark }) = segment else {
        return [0; SEGMENT_BYTES];
    };
    let [low, high, ..] = used.to_le_bytes();
    [low, high, 1 + u8::from(kind == SegmentKind::Nodes), mark]
}

/// The segment of a record.
///
/// # Errors
/// A record that makes no sense.
pub fn decode_segment(record: [u8; SEGMENT_BYTES]) -> Result<Option<SegmentRecord>, Damage> {
    let [low, high, kind, mark] = record;
    let used = u32::from(u16::from_le_bytes([low, high]));
    let kind = match kind {
        0 if record == [0; SEGMENT_BYTES] => return Ok(None),
        1 => SegmentKind::Data,
        2 => SegmentKind::Nodes,
        _ => {
            let why = "a record of no known kind";
            return Err(Damage::new("the segment table", why));
        }
    };
    Ok(Some(SegmentRecord { kind, used, mark }))
}
