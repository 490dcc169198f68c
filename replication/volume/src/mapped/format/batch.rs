//! Batches of the journal: records that become durable together.

use super::record::Record;
use super::{Damage, Id, bytes_at, crc_without, put, seal, u32_at, u64_at};

const MAGIC: [u8; 8] = *b"TIDELKJB";
const CRC_AT: usize = 8;
const HEADER_BYTES: usize = 56;
/// Batches begin at multiples of this many bytes.
pub const SECTOR_BYTES: usize = 4096;
/// Bytes that one batch may have.
pub const BATCH_BYTES_MAX: usize = 16 << 20;

/// A batch as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its sequence.
    pub sequence: u64,
    /// The number of the last change of the maps that is in it, or was in one before it.
    pub changes: u64,
    /// What has happened.
    pub records: Vec<Record>,
}

/// Builds one batch.
#[derive(Debug)]
pub struct BatchBuilder {
    bytes: Vec<u8>,
    records: u32,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self {
            bytes: vec![0; HEADER_BYTES],
            records: 0,
        }
    }
}

impl BatchBuilder {
    /// Adds a record.
    pub fn push(&mut self, record: &Record) {
        record.encode(&mut self.bytes);
        self.records += 1;
    }

    /// Bytes that the batch would have in the ring.
    #[must_use]
    pub fn ring_bytes(&self) -> usize {
        self.bytes.len().next_multiple_of(SECTOR_BYTES)
    }

    /// The batch, whole sectors long.
    #[must_use]
    pub fn finish(mut self, family: &Id, sequence: u64, changes: u64) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let padded = self.ring_bytes();
        self.bytes.resize(padded, 0);
        put(&mut self.bytes, 0, &MAGIC);
        put(&mut self.bytes, 12, &length.to_le_bytes());
        put(&mut self.bytes, 16, family);
        put(&mut self.bytes, 32, &sequence.to_le_bytes());
        put(&mut self.bytes, 40, &self.records.to_le_bytes());
        put(&mut self.bytes, 48, &changes.to_le_bytes());
        seal(&mut self.bytes, CRC_AT);
        self.bytes
    }
}

/// How many bytes the batch with this sequence has that begins with this sector, padding included;
/// `None` if it isn't that batch.
#[must_use]
pub fn length(sector: &[u8], family: &Id, sequence: u64) -> Option<usize> {
    let is_it = bytes_at(sector, 0) == Ok(MAGIC)
        && bytes_at(sector, 16).as_ref() == Ok(family)
        && u64_at(sector, 32) == Ok(sequence);
    let length = usize::try_from(u32_at(sector, 12).ok()?).ok()?;
    (is_it && (HEADER_BYTES..=BATCH_BYTES_MAX).contains(&length))
        .then(|| length.next_multiple_of(SECTOR_BYTES))
}

/// The sequence of the batch that begins with this sector, if one of the family seems to.
#[must_use]
pub fn sequence(sector: &[u8], family: &Id) -> Option<u64> {
    let is_one = bytes_at(sector, 0) == Ok(MAGIC) && bytes_at(sector, 16).as_ref() == Ok(family);
    is_one.then(|| u64_at(sector, 32).ok()).flatten()
}

/// Whether these bytes are the batch with this sequence, written in full.
#[must_use]
pub fn is_whole(bytes: &[u8], family: &Id, sequence: u64) -> bool {
    length(bytes, family, sequence) == Some(bytes.len())
        && u32_at(bytes, CRC_AT) == Ok(crc_without(bytes, CRC_AT))
}

/// Whether these bytes may have been the batch with this sequence once: it was cut short, or is damaged now.
/// Only one wrong bit is found in what says how long it is.
#[must_use]
pub fn is_ruin(bytes: &[u8], family: &Id, sequence: u64) -> bool {
    if length(bytes, family, sequence).is_some() {
        return true;
    }
    let Some(mut whole) = bytes.get(..HEADER_BYTES).map(<[u8]>::to_vec) else {
        return false;
    };
    put(&mut whole, 0, &MAGIC);
    put(&mut whole, 16, family);
    put(&mut whole, 32, &sequence.to_le_bytes());
    let said = u32_at(bytes, 12).unwrap_or(0);
    let mut lengths = (0..32).map(|bit| said ^ (1 << bit)).chain([said]);
    lengths.any(|length| {
        let used = usize::try_from(length).unwrap_or(usize::MAX);
        let padded = used.min(BATCH_BYTES_MAX).next_multiple_of(SECTOR_BYTES);
        let Some(rest) = bytes.get(HEADER_BYTES..padded) else {
            return false;
        };
        let mut whole = [&whole[..], rest].concat();
        put(&mut whole, 12, &length.to_le_bytes());
        is_whole(&whole, family, sequence)
    })
}

/// The batch of these bytes, of which [`length`] has said how many there are; `None` if it was not
/// written in full.
///
/// # Errors
/// It was written in full and makes no sense.
pub fn decode(bytes: &[u8], family: &Id, sequence: u64) -> Result<Option<Batch>, Damage> {
    if !is_whole(bytes, family, sequence) {
        return Ok(None);
    }
    let used = usize::try_from(u32_at(bytes, 12)?).unwrap_or(usize::MAX);
    let mut rest = bytes.get(HEADER_BYTES..used).unwrap_or_default();
    let count = u32_at(bytes, 40)?;
    let mut records = Vec::new();
    for _ in 0..count {
        records.push(Record::decode(&mut rest)?);
    }
    if !rest.is_empty() {
        return Err(Damage::new("a batch of the journal", "bytes are left over"));
    }
    let changes = u64_at(bytes, 48)?;
    Ok(Some(Batch {
        sequence,
        changes,
        records,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::tests::any_record;
    use super::*;

    proptest! {
        #[test]
        fn a_batch_comes_back_and_no_flipped_bit_does(
            records in prop::collection::vec(any_record(), 0..60),
            flips in prop::collection::vec(any::<prop::sample::Index>(), 20),
        ) {
            let mut builder = BatchBuilder::default();
            records.iter().for_each(|record| builder.push(record));
            let bytes = builder.finish(&[3; 16], 8, 99);
            prop_assert_eq!(length(&bytes, &[3; 16], 8), Some(bytes.len()));
            prop_assert_eq!(length(&bytes, &[3; 16], 9), None);
            prop_assert_eq!(length(&bytes, &[4; 16], 8), None);
            let batch = decode(&bytes, &[3; 16], 8).unwrap().unwrap();
            prop_assert_eq!(&batch.records, &records);
            prop_assert_eq!(batch.changes, 99);
            for flip in flips {
                let mut bytes = bytes.clone();
                let bit = flip.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                prop_assert_eq!(decode(&bytes, &[3; 16], 8), Ok(None));
                prop_assert!(is_ruin(&bytes, &[3; 16], 8));
            }
        }
    }
}
