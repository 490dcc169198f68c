//! Reading fields of a CDB, by byte offset, as the standards' tables give them.

use crate::sense::Sense;

/// The longest CDB that is not a variable-length one.
pub(crate) const MAX_CDB: usize = 16;

/// A CDB of up to 16 bytes, zero-padded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cdb([u8; MAX_CDB]);

impl Cdb {
    /// Copies the first 16 bytes of `bytes`.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        if let Some(whole) = bytes.first_chunk() {
            return Self(*whole);
        }
        let mut cdb = [0; MAX_CDB];
        for (to, from) in cdb.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(cdb)
    }

    /// All bytes as one big-endian number: byte 0 is the most significant.
    pub(crate) fn as_u128(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// The byte at `at`.
    pub(crate) fn u8(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// Whether any bit of `mask` is set in the byte at `at`.
    pub(crate) fn flag(self, at: usize, mask: u8) -> bool {
        self.u8(at) & mask != 0
    }

    /// Two bytes from `at`.
    pub(crate) fn u16(self, at: usize) -> u16 {
        u16::from_be_bytes(self.chunk(at))
    }

    /// Four bytes from `at`.
    pub(crate) fn u32(self, at: usize) -> u32 {
        u32::from_be_bytes(self.chunk(at))
    }

    /// Eight bytes from `at`.
    pub(crate) fn u64(self, at: usize) -> u64 {
        u64::from_be_bytes(self.chunk(at))
    }

    fn chunk<const N: usize>(self, at: usize) -> [u8; N] {
        self.0
            .get(at..)
            .and_then(|tail| tail.first_chunk())
            .copied()
            .unwrap_or([0; N])
    }
}

/// INVALID FIELD IN CDB with the pointer at `byte`, and at `bit` when a single field of the byte is
/// meant (its most significant bit).
pub(crate) fn invalid_field(byte: u16, bit: impl Into<Option<u8>>) -> Sense {
    Sense::invalid_field_in_cdb(byte, bit.into())
}
