//! The shape of a volume: block size and capacity, and which ranges lie inside.

use thiserror::Error;

/// Bytes of a logical block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockSize {
    /// 512 bytes.
    B512,
    /// 4096 bytes.
    B4096,
}

/// No such block size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a block has 512 or 4096 bytes, not {0}")]
pub struct BlockSizeError(pub u32);

impl BlockSize {
    /// Bytes.
    #[must_use]
    pub fn bytes(self) -> u32 {
        match self {
            Self::B512 => 512,
            Self::B4096 => 4096,
        }
    }

    fn divides(self, bytes: u64) -> bool {
        bytes & u64::from(self.bytes() - 1) == 0
    }
}

impl TryFrom<u32> for BlockSize {
    type Error = BlockSizeError;

    fn try_from(bytes: u32) -> Result<Self, Self::Error> {
        match bytes {
            512 => Ok(Self::B512),
            4096 => Ok(Self::B4096),
            other => Err(BlockSizeError(other)),
        }
    }
}

/// Block size and capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    block_size: BlockSize,
    bytes: u64,
}

/// Why this can't be a volume's capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// No bytes at all.
    #[error("it is empty")]
    Empty,
    /// The last block would be cut.
    #[error("its size of {bytes} bytes is not a multiple of the block size of {block} bytes")]
    PartialBlock {
        /// Capacity in bytes.
        bytes: u64,
        /// Block size in bytes.
        block: u32,
    },
    /// Offsets in files are signed.
    #[error("its size of {bytes} bytes is above the {max} that a file can have", max = i64::MAX)]
    TooLarge {
        /// Capacity in bytes.
        bytes: u64,
    },
}

impl Geometry {
    /// A volume of `bytes` bytes.
    ///
    /// # Errors
    /// Empty, not of whole blocks, or larger than a file can be.
    pub fn new(block_size: BlockSize, bytes: u64) -> Result<Self, GeometryError> {
        if bytes == 0 {
            return Err(GeometryError::Empty);
        }
        if i64::try_from(bytes).is_err() {
            return Err(GeometryError::TooLarge { bytes });
        }
        if !block_size.divides(bytes) {
            return Err(GeometryError::PartialBlock {
                bytes,
                block: block_size.bytes(),
            });
        }
        Ok(Self { block_size, bytes })
    }

    /// Bytes of a block.
    #[must_use]
    pub fn block_size(self) -> BlockSize {
        self.block_size
    }

    /// Capacity in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// Capacity in blocks.
    #[must_use]
    pub fn blocks(self) -> u64 {
        self.bytes / u64::from(self.block_size.bytes())
    }

    /// Checks that a range is of whole blocks inside the volume. An empty range at the very end is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, range: Range) -> Result<(), RangeError> {
        let Range { offset, length } = range;
        match offset.checked_add(length) {
            Some(end) if end <= self.bytes => {}
            _ => {
                return Err(RangeError::OutOfRange {
                    range,
                    capacity: self.bytes,
                });
            }
        }
        if self.block_size.divides(offset) && self.block_size.divides(length) {
            Ok(())
        } else {
            Err(RangeError::PartialBlock {
                range,
                block: self.block_size.bytes(),
            })
        }
    }
}

/// Bytes of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// Why a range can't be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RangeError {
    /// It doesn't end inside the volume.
    #[error("{} bytes at {} are not inside the volume's {capacity} bytes", range.length, range.offset)]
    OutOfRange {
        /// The range.
        range: Range,
        /// The volume's capacity in bytes.
        capacity: u64,
    },
    /// It isn't of whole blocks.
    #[error("{} bytes at {} are not whole blocks of {block} bytes", range.length, range.offset)]
    PartialBlock {
        /// The range.
        range: Range,
        /// Block size in bytes.
        block: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_capacities_are_refused_with_the_reason() {
        let refused = |bytes| {
            Geometry::new(BlockSize::B4096, bytes)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(refused(0), "it is empty");
        assert_eq!(
            refused(4097),
            "its size of 4097 bytes is not a multiple of the block size of 4096 bytes"
        );
        assert!(refused(1 << 63).contains("above"));
        assert_eq!(Geometry::new(BlockSize::B4096, 8192).unwrap().blocks(), 2);
    }

    #[test]
    fn ranges_are_checked_against_overflow_end_and_block_size() {
        let geometry = Geometry::new(BlockSize::B512, 1024).unwrap();
        let check = |offset, length| geometry.check(Range { offset, length });
        assert_eq!(check(0, 1024), Ok(()));
        assert_eq!(check(1024, 0), Ok(()));
        assert!(matches!(
            check(1024, 512),
            Err(RangeError::OutOfRange { .. })
        ));
        assert!(matches!(
            check(u64::MAX, 512),
            Err(RangeError::OutOfRange { .. })
        ));
        assert!(matches!(
            check(0, 100),
            Err(RangeError::PartialBlock { .. })
        ));
        assert!(matches!(
            check(100, 512),
            Err(RangeError::PartialBlock { .. })
        ));
    }

    #[test]
    fn only_512_and_4096_are_block_sizes() {
        assert_eq!(BlockSize::try_from(512), Ok(BlockSize::B512));
        assert_eq!(BlockSize::try_from(4096), Ok(BlockSize::B4096));
        let error = BlockSize::try_from(1000).unwrap_err();
        assert_eq!(error.to_string(), "a block has 512 or 4096 bytes, not 1000");
    }
}
