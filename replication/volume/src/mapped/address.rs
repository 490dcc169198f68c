//! The small numbers of the mapped format: addresses of blocks, epochs, datasets. Only values.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 4096;
/// Blocks of a segment.
pub const SEGMENT_BLOCKS: u32 = 16_384;
/// Segments that a family can have: what 48 bits can address, as far as a `u32` counts them.
pub const SEGMENTS_MAX: u32 = 1 << 30;

/// Where a block is: a segment and a place in it, in 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u64);

impl Address {
    /// The address with that number; `None` above 48 bits or behind the last segment.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (number / u64::from(SEGMENT_BLOCKS) < u64::from(SEGMENTS_MAX)).then_some(Self(number))
    }

    pub(crate) fn of(segment: u32, index: u32) -> Self {
        Self(u64::from(segment) * u64::from(SEGMENT_BLOCKS) + u64::from(index % SEGMENT_BLOCKS))
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// Which segment.
    #[must_use]
    pub fn segment(self) -> u32 {
        // Checked when it was made.
        u32::try_from(self.0 / u64::from(SEGMENT_BLOCKS)).unwrap_or(u32::MAX)
    }

    /// Which block of the segment, below [`SEGMENT_BLOCKS`].
    #[must_use]
    pub fn index(self) -> u32 {
        u32::try_from(self.0 % u64::from(SEGMENT_BLOCKS)).unwrap_or(0)
    }

    /// The block `count` places on, in the same segment or a later one.
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} of segment {}", self.index(), self.segment())
    }
}

/// Spreads addresses over a table in a few instructions. They are the allocator's: nobody from outside
/// chooses them so that they collide.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio; the high bits are the better ones.
        let spread = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = spread ^ (spread >> 32);
    }
}

/// By address.
pub(crate) type AddressMap<T> = HashMap<Address, T, BuildHasherDefault<AddressHasher>>;
/// Addresses.
pub(crate) type AddressSet = HashSet<Address, BuildHasherDefault<AddressHasher>>;

/// A time of a family: it goes up with every snapshot, and what is written carries it as its birth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// Before everything: what the family began with.
    pub const BEFORE: Self = Self(0);

    /// The next one; `None` after the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// A head or a snapshot of a family, from 1, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetId(pub u32);

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dataset {}", self.0)
    }
}
