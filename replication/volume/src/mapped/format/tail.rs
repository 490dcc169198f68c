//! The tail: changes of the maps that are in no batch of the journal yet, in memory that outlives the
//! process but not the power.

use super::record::Record;
use super::{Id, bytes_at, crc, u32_at, u64_at};

const MAGIC: [u8; 8] = *b"TIDELKTL";
/// Bytes of the header.
pub const HEADER_BYTES: usize = 24;
const ENTRY_BYTES: usize = 24;
const CRC_AT: usize = 20;

/// Changes that were made at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number of the first of them.
    pub first: u64,
    /// They.
    pub records: Vec<Record>,
}

/// What a tail begins with.
#[must_use]
pub fn header(family: &Id) -> Vec<u8> {
    [&MAGIC[..], family].concat()
}

/// Puts what comes before records, which are at the end of `out` from `at + 24` bytes on.
pub(crate) fn seal(out: &mut [u8], at: usize, first: u64, count: u32) {
    let length = out.len().saturating_sub(at + ENTRY_BYTES);
    let Some(entry) = out.get_mut(at..) else {
        return;
    };
    super::put(entry, 0, &first.to_le_bytes());
    super::put(entry, 8, &count.to_le_bytes());
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    super::put(entry, 12, &length.to_le_bytes());
    let sum = checksum(entry);
    super::put(entry, CRC_AT, &sum.to_le_bytes());
}

/// Room for what [`seal`] puts.
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.resize(at + ENTRY_BYTES, 0);
    at
}

fn checksum(entry: &[u8]) -> u32 {
    let fields = entry.get(..CRC_AT).unwrap_or_default();
    let records = entry.get(ENTRY_BYTES..).unwrap_or_default();
    crc32c::crc32c_append(crc(fields), records)
}

/// The entries of a tail, up to the first that isn't whole. None if it is no tail of this family.
#[must_use]
pub fn decode(bytes: &[u8], family: &Id) -> Vec<Entry> {
    let mut entries = Vec::new();
    let is_ours =
        bytes_at(bytes, 0) == Ok(MAGIC) && bytes_at(bytes, MAGIC.len()).as_ref() == Ok(family);
    let mut rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
    while is_ours && let Some((entry, length)) = entry(rest) {
        entries.push(entry);
        rest = rest.get(length..).unwrap_or_default();
    }
    entries
}

fn entry(bytes: &[u8]) -> Option<(Entry, usize)> {
    let length = usize::try_from(u32_at(bytes, 12).ok()?).ok()?;
    let whole = bytes.get(..ENTRY_BYTES.checked_add(length)?)?;
    if checksum(whole) != u32_at(whole, CRC_AT).ok()? {
        return None;
    }
    let mut rest = whole.get(ENTRY_BYTES..)?;
    let mut records = Vec::new();
    for _ in 0..u32_at(whole, 8).ok()? {
        records.push(Record::decode(&mut rest).ok()?);
    }
    let first = u64_at(whole, 0).ok()?;
    (rest.is_empty() && !records.is_empty()).then_some((Entry { first, records }, whole.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::tests::any_record;
    use super::*;

    proptest! {
        #[test]
        fn a_tail_comes_back_as_far_as_it_is_whole(
            groups in prop::collection::vec(prop::collection::vec(any_record(), 1..5), 0..20),
            cut in any::<prop::sample::Index>(),
            flip in any::<prop::sample::Index>(),
        ) {
            let mut bytes = header(&[3; 16]);
            let mut ends = Vec::new();
            let mut entries = Vec::new();
            let mut first = 7;
            for records in groups {
                let at = begin(&mut bytes);
                records.iter().for_each(|record| record.encode(&mut bytes));
                let count = u32::try_from(records.len()).unwrap();
                seal(&mut bytes, at, first, count);
                entries.push(Entry { first, records });
                ends.push(bytes.len());
                first += u64::from(count);
            }
            prop_assert_eq!(&decode(&bytes, &[3; 16]), &entries);
            prop_assert!(decode(&bytes, &[4; 16]).is_empty());
            let whole = |at: usize| ends.iter().take_while(|end| **end <= at).count();
            let cut = cut.index(bytes.len() + 1);
            let kept = if cut < HEADER_BYTES { 0 } else { whole(cut) };
            prop_assert_eq!(&decode(&bytes[..cut], &[3; 16]), &entries[..kept]);
            let bit = flip.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let kept = if bit / 8 < HEADER_BYTES { 0 } else { whole(bit / 8) };
            prop_assert_eq!(&decode(&bytes, &[3; 16]), &entries[..kept]);
        }
    }
}
