//! Allocation slots: which blocks of a segment are in use.

use super::{Damage, is_sealed, put, seal, u32_at, u64_at};
use crate::mapped::address::{BLOCK_BYTES, SEGMENT_BLOCKS};

const CRC_AT: usize = 8;
const BITS_AT: usize = 16;
/// Words of a segment's bits.
pub const WORDS: usize = SEGMENT_BLOCKS as usize / 64;

/// The bits of a segment, 1 for a block in use.
pub type Bits = [u64; WORDS];

/// A valid slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocationSlot {
    /// Sequence of the checkpoint that wrote it.
    pub sequence: u64,
    /// The bits.
    pub bits: Box<Bits>,
}

/// Byte offset of a slot in its file; `second` is the one with the odd number.
#[must_use]
pub fn slot_offset(segment: u32, second: bool) -> u64 {
    (u64::from(segment) * 2 + u64::from(second)) * BLOCK_BYTES as u64
}

/// A slot as bytes.
#[must_use]
pub fn encode(segment: u32, sequence: u64, bits: &Bits) -> Vec<u8> {
    let mut page = vec![0; BLOCK_BYTES];
    put(&mut page, 0, &sequence.to_le_bytes());
    put(&mut page, 12, &segment.to_le_bytes());
    for (at, word) in bits.iter().enumerate() {
        put(&mut page, BITS_AT + at * 8, &word.to_le_bytes());
    }
    seal(&mut page, CRC_AT);
    page
}

/// The slot of these bytes; `None` if it was never written, or cut short.
///
/// # Errors
/// A slot that was written in full and is another segment's.
pub fn decode(page: &[u8], segment: u32) -> Result<Option<AllocationSlot>, Damage> {
    if page.len() != BLOCK_BYTES || !is_sealed(page, CRC_AT) {
        return Ok(None);
    }
    let sequence = u64_at(page, 0)?;
    if sequence == 0 {
        return Ok(None);
    }
    let found = u32_at(page, 12)?;
    if found != segment {
        return Err(Damage::new(
            "an allocation slot",
            format!("it is of segment {found} and stands at that of segment {segment}"),
        ));
    }
    let mut bits = Box::new([0; WORDS]);
    for (at, word) in bits.iter_mut().enumerate() {
        *word = u64_at(page, BITS_AT + at * 8)?;
    }
    Ok(Some(AllocationSlot { sequence, bits }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flipped_bit_of_a_slot_is_noticed() {
        let mut bits = [0; WORDS];
        bits[3] = 0xff00;
        let page = encode(5, 9, &bits);
        let slot = decode(&page, 5).unwrap().unwrap();
        assert_eq!((slot.sequence, *slot.bits), (9, bits));
        assert!(decode(&page, 6).is_err());
        for bit in 0..page.len() * 8 {
            let mut page = page.clone();
            page[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&page, 5), Ok(None), "bit {bit}");
        }
    }
}
