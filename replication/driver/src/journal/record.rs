//! The bytes of an intent record. Knows no files; `docs/atomic-write-journal.md` draws it.
//!
//! A record is a header in the first sector of the file, and the data from [`DATA_AT`] on. Either may
//! be torn by a crash: whatever doesn't check is no record.

use std::ops::Range as Span;

use tidelock_volume::Range;

/// Where the data begins: what comes before belongs to the header.
pub(crate) const DATA_AT: usize = 4096;
/// Most bytes of data in a record.
pub(crate) const DATA_MAX: usize = 1 << 20;

/// Bytes of the header that mean something; those behind are zero and checked by nobody.
const HEADER: usize = 64;
const MAGIC: [u8; 8] = *b"TLKATOM\x01";

const MAGIC_AT: Span<usize> = 0..8;
const CHECKSUM_AT: Span<usize> = 8..12;
const DATA_CHECKSUM_AT: Span<usize> = 12..16;
const SEQUENCE_AT: Span<usize> = 16..24;
const OFFSET_AT: Span<usize> = 24..32;
const LENGTH_AT: Span<usize> = 32..40;
const OWNER_AT: Span<usize> = 40..56;

/// Which volume a journal belongs to: anything that no other volume ever has.
pub(crate) type Owner = [u8; 16];

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Counts the records of the file.
    pub(crate) sequence: u64,
    /// Where in the image the data belongs; a length of 0 is a record that is done with.
    pub(crate) range: Range,
    /// CRC32C of the data.
    pub(crate) data_checksum: u32,
    pub(crate) owner: Owner,
}

impl Header {
    /// Writes it into the first bytes of `to`.
    pub(crate) fn encode(&self, to: &mut [u8]) {
        let mut header = [0; HEADER];
        let mut put = |at: Span<usize>, bytes: &[u8]| {
            if let Some(to) = header.get_mut(at) {
                to.copy_from_slice(bytes);
            }
        };
        put(MAGIC_AT, &MAGIC);
        put(DATA_CHECKSUM_AT, &self.data_checksum.to_le_bytes());
        put(SEQUENCE_AT, &self.sequence.to_le_bytes());
        put(OFFSET_AT, &self.range.offset.to_le_bytes());
        put(LENGTH_AT, &self.range.length.to_le_bytes());
        put(OWNER_AT, &self.owner);
        let checksum = crc32c::crc32c(&header).to_le_bytes();
        if let Some(to) = header.get_mut(CHECKSUM_AT) {
            to.copy_from_slice(&checksum);
        }
        if let Some(to) = to.get_mut(..HEADER) {
            to.copy_from_slice(&header);
        }
    }

    /// Reads it from the first bytes of a file; `None` if there is none, or only a part of one.
    pub(crate) fn decode(from: &[u8]) -> Option<Self> {
        let mut header: [u8; HEADER] = from.get(..HEADER)?.try_into().ok()?;
        let checksum = u32::from_le_bytes(field(&header, CHECKSUM_AT)?);
        header.get_mut(CHECKSUM_AT)?.fill(0);
        if field(&header, MAGIC_AT)? != MAGIC || crc32c::crc32c(&header) != checksum {
            return None;
        }
        Some(Self {
            sequence: u64::from_le_bytes(field(&header, SEQUENCE_AT)?),
            range: Range {
                offset: u64::from_le_bytes(field(&header, OFFSET_AT)?),
                length: u64::from_le_bytes(field(&header, LENGTH_AT)?),
            },
            data_checksum: u32::from_le_bytes(field(&header, DATA_CHECKSUM_AT)?),
            owner: field(&header, OWNER_AT)?,
        })
    }
}

fn field<const N: usize>(header: &[u8], at: Span<usize>) -> Option<[u8; N]> {
    header.get(at)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            sequence: 0x0102_0304_0506_0708,
            range: Range {
                offset: 4096,
                length: 1 << 20,
            },
            data_checksum: 0xdead_beef,
            owner: *b"0123456789abcdef",
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let mut bytes = [0xff; HEADER];
        header().encode(&mut bytes);
        assert_eq!(bytes[0..8], *b"TLKATOM\x01");
        assert_eq!(bytes[12..16], [0xef, 0xbe, 0xad, 0xde]);
        assert_eq!(bytes[16..24], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[24..32], [0, 0x10, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[32..40], [0, 0, 0x10, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[40..56], *b"0123456789abcdef");
        assert_eq!(bytes[56..64], [0; 8]);
        let checksum = bytes[8..12].to_vec();
        bytes[8..12].fill(0);
        assert_eq!(checksum, crc32c::crc32c(&bytes).to_le_bytes());
    }

    #[test]
    fn nothing_and_zeros_are_no_record() {
        assert_eq!(Header::decode(&[]), None);
        assert_eq!(Header::decode(&[0; 4096]), None);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_and_any_changed_bit_is_noticed(
            sequence: u64, offset: u64, length: u64, data_checksum: u32, owner: [u8; 16],
            bit in 0..HEADER * 8,
        ) {
            let header = Header {
                sequence,
                range: Range { offset, length },
                data_checksum,
                owner,
            };
            let mut bytes = [0; HEADER];
            header.encode(&mut bytes);
            prop_assert_eq!(Header::decode(&bytes), Some(header));
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Header::decode(&bytes), None);
        }

        #[test]
        fn any_bytes_are_a_header_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::decode(&bytes);
        }
    }
}
