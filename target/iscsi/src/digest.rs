//! Header and data digests: CRC32C (RFC 7143 §11.2.3, §13.1). Knows bytes only.

use bytes::Bytes;

/// Length of a digest on the wire in bytes.
pub const DIGEST_LEN: usize = 4;

/// Data segments are padded with zeros to a multiple of this many bytes (RFC 7143 §11.1).
pub const PAD_TO: usize = 4;

/// How many bytes of padding follow a segment of `length` bytes: 0..=3.
#[must_use]
#[inline]
pub const fn padding(length: usize) -> usize {
    length.wrapping_neg() & (PAD_TO - 1)
}

/// The digest of a header with its additional header segments, as it stands on the wire.
#[must_use]
pub fn header_digest(bhs: &[u8], ahs: &[u8]) -> [u8; DIGEST_LEN] {
    let mut digest = Digest::new();
    digest.update(bhs);
    digest.update(ahs);
    digest.finish()
}

/// The digest of a data segment in pieces, with its padding of zeros, as it stands on the wire.
#[must_use]
pub fn data_digest<'a>(pieces: impl IntoIterator<Item = &'a Bytes>) -> [u8; DIGEST_LEN] {
    let mut digest = Digest::new();
    let mut length = 0;
    for piece in pieces {
        digest.update(piece);
        length += piece.len();
    }
    digest.update_padding(length);
    digest.finish()
}

/// A digest under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Digest {
    crc: u32,
}

impl Digest {
    pub(crate) const fn new() -> Self {
        Self { crc: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.crc = crc32c::crc32c_append(self.crc, bytes);
        }
    }

    /// The zeros behind a segment of `length` bytes.
    pub(crate) fn update_padding(&mut self, length: usize) {
        self.update([0; PAD_TO - 1].get(..padding(length)).unwrap_or_default());
    }

    /// The coefficient of x^31 is the first bit sent, which for this reflected CRC is the least
    /// significant byte first (RFC 7143 §13.1).
    pub(crate) fn finish(self) -> [u8; DIGEST_LEN] {
        self.crc.to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> [u8; 4] {
        header_digest(bytes, &[])
    }

    /// The examples of RFC 7143, appendix A.4.
    #[test]
    fn the_examples_of_the_standard_hold() {
        assert_eq!(digest(&[0; 32]), [0xaa, 0x36, 0x91, 0x8a]);
        assert_eq!(digest(&[0xff; 32]), [0x43, 0xab, 0xa8, 0x62]);
        let up: Vec<u8> = (0..32).collect();
        assert_eq!(digest(&up), [0x4e, 0x79, 0xdd, 0x46]);
        let down: Vec<u8> = (0..32).rev().collect();
        assert_eq!(digest(&down), [0x5c, 0xdb, 0x3f, 0x11]);
        let mut read = [0_u8; 48];
        for (index, byte) in [
            (0, 0x01),
            (1, 0xc0),
            (16, 0x14),
            (22, 0x04),
            (27, 0x14),
            (31, 0x18),
            (32, 0x28),
            (40, 0x02),
        ] {
            read[index] = byte;
        }
        assert_eq!(digest(&read), [0x56, 0x3a, 0x96, 0xd9]);
    }

    #[test]
    fn padding_is_part_of_the_data_digest() {
        let padded = data_digest(&[Bytes::from_static(b"abcde")]);
        assert_eq!(padded, digest(b"abcde\0\0\0"));
        let pieces = [Bytes::from_static(b"ab"), Bytes::from_static(b"cde")];
        assert_eq!(data_digest(&pieces), padded);
    }

    #[test]
    fn padding_fills_up_to_a_multiple_of_four() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(padding), [0, 3, 2, 1, 0, 3]);
    }
}
