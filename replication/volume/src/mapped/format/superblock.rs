//! The superblock: what a checkpoint leaves for the next start.

use super::{Damage, Id, VERSION, bytes_at, is_sealed, put, seal, u32_at, u64_at};
use crate::mapped::address::{BLOCK_BYTES, Epoch};
use crate::mapped::entry::{ENTRY_BYTES, Entry};

const MAGIC: [u8; 8] = *b"TIDELKSB";
const CRC_AT: usize = 12;
const REST_AT: usize = 128;
/// Bytes of a slot.
const SLOT_BYTES: usize = 2 * BLOCK_BYTES;
/// Bytes of the superblock's file.
pub const FILE_BYTES: usize = 2 * SLOT_BYTES;

/// What one slot says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The family's id.
    pub family: Id,
    /// Sequence of the checkpoint, from 1.
    pub sequence: u64,
    /// Byte of the journal's ring at which the first batch since begins.
    pub journal_at: u64,
    /// Sequence of that batch.
    pub journal_sequence: u64,
    /// Bytes of the journal's ring.
    pub journal_bytes: u64,
    /// The current epoch.
    pub epoch: Epoch,
    /// The number that the next dataset gets.
    pub next_dataset: u32,
    /// Bytes of the home file that belong to the family.
    pub home_bytes: u64,
    /// The dataset table.
    pub datasets: Option<Entry>,
    /// The segment table.
    pub segments: Option<Entry>,
    /// Datasets in their table.
    pub dataset_count: u32,
    /// Segments in their table.
    pub segment_count: u32,
    /// The number of the last change of the maps that it covers.
    pub changes: u64,
}

/// What was found in a page of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Nothing that counts: never written, or cut short.
    Invalid,
    /// A superblock.
    Valid(Box<Superblock>),
}

impl Superblock {
    /// The slot of the file that it belongs into, as a byte offset.
    #[must_use]
    pub fn offset(&self) -> u64 {
        (self.sequence & 1) * SLOT_BYTES as u64
    }

    /// Its slot: the same page twice, so that one may go bad.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_page().repeat(2)
    }

    fn encode_page(&self) -> Vec<u8> {
        let mut page = vec![0; BLOCK_BYTES];
        put(&mut page, 0, &MAGIC);
        put(&mut page, 8, &VERSION.to_le_bytes());
        put(&mut page, 16, &self.family);
        for (at, value) in [
            (32, self.sequence),
            (40, self.journal_at),
            (48, self.journal_sequence),
            (56, self.journal_bytes),
            (72, self.home_bytes),
            (120, self.changes),
        ] {
            put(&mut page, at, &value.to_le_bytes());
        }
        for (at, value) in [
            (64, self.epoch.0),
            (68, self.next_dataset),
            (112, self.dataset_count),
            (116, self.segment_count),
        ] {
            put(&mut page, at, &value.to_le_bytes());
        }
        put(&mut page, 80, &encode_pointer(self.datasets));
        put(&mut page, 96, &encode_pointer(self.segments));
        seal(&mut page, CRC_AT);
        page
    }

    /// What one page of a slot says.
    ///
    /// # Errors
    /// A page that was written in full, by something that this version doesn't understand.
    pub fn decode(page: &[u8]) -> Result<Slot, Damage> {
        if page.len() != BLOCK_BYTES || bytes_at(page, 0) != Ok(MAGIC) || !is_sealed(page, CRC_AT) {
            return Ok(Slot::Invalid);
        }
        let version = u32_at(page, 8)?;
        if version != VERSION {
            return Err(Damage::new(
                "the superblock",
                format!("it has version {version} of the format, and this program knows {VERSION}"),
            ));
        }
        if page.iter().skip(REST_AT).any(|byte| *byte != 0) {
            return Err(Damage::new("the superblock", "its rest isn't zero"));
        }
        let superblock = Self {
            family: bytes_at(page, 16)?,
            sequence: u64_at(page, 32)?,
            journal_at: u64_at(page, 40)?,
            journal_sequence: u64_at(page, 48)?,
            journal_bytes: u64_at(page, 56)?,
            epoch: Epoch(u32_at(page, 64)?),
            next_dataset: u32_at(page, 68)?,
            home_bytes: u64_at(page, 72)?,
            datasets: decode_pointer(&bytes_at(page, 80)?)?,
            segments: decode_pointer(&bytes_at(page, 96)?)?,
            dataset_count: u32_at(page, 112)?,
            segment_count: u32_at(page, 116)?,
            changes: u64_at(page, 120)?,
        };
        Ok(Slot::Valid(Box::new(superblock)))
    }
}

/// A pointer to a chain: a node entry, or zeros.
pub(crate) fn encode_pointer(pointer: Option<Entry>) -> [u8; ENTRY_BYTES] {
    pointer.map_or([0; ENTRY_BYTES], |entry| entry.encode(0))
}

pub(crate) fn decode_pointer(bytes: &[u8; ENTRY_BYTES]) -> Result<Option<Entry>, Damage> {
    if *bytes == [0; ENTRY_BYTES] {
        return Ok(None);
    }
    let entry = Entry::decode(bytes)?;
    match entry.place {
        crate::mapped::entry::Place::Node { .. } => Ok(Some(entry)),
        _ => Err(Damage::new("a chain's pointer", "it points to no page")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> Superblock {
        Superblock {
            family: [7; 16],
            sequence: 3,
            journal_at: 8192,
            journal_sequence: 12,
            journal_bytes: 1 << 20,
            epoch: Epoch(4),
            next_dataset: 9,
            home_bytes: 1 << 30,
            datasets: None,
            segments: None,
            dataset_count: 2,
            segment_count: 1,
            changes: 77,
        }
    }

    #[test]
    fn each_flipped_bit_of_a_page_is_noticed() {
        let page = example().encode_page();
        assert_eq!(
            Superblock::decode(&page),
            Ok(Slot::Valid(Box::new(example())))
        );
        for bit in 0..page.len() * 8 {
            let mut page = page.clone();
            page[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Superblock::decode(&page), Ok(Slot::Invalid), "bit {bit}");
        }
    }

    #[test]
    fn another_version_is_named_and_refused() {
        let mut page = example().encode_page();
        put(&mut page, 8, &9_u32.to_le_bytes());
        seal(&mut page, CRC_AT);
        let error = Superblock::decode(&page).unwrap_err().to_string();
        assert!(error.contains("version 9"), "{error}");
    }
}
