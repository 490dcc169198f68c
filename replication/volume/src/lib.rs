//! Sans-I/O core of volumes: geometry, maps and plans. Knows no files and no clocks.
//!
//! A volume is an image of bytes. Where those bytes are is the business of its *map*: [`raw`] says
//! "where they seem to be". Redirected formats go next to it and give the same answers in the same
//! types ([`Plan`] of [`Piece`]s), so that whoever carries plans out need not care.

#![forbid(unsafe_code)]

pub mod geometry;
pub mod mapped;
pub mod raw;
pub mod stream;

pub use geometry::{BlockSize, BlockSizeError, Geometry, GeometryError, Range, RangeError};
pub use raw::RawMap;

use smallvec::SmallVec;

/// Where the bytes of a range are, in order and without gaps.
pub type Plan = SmallVec<[Piece; 2]>;

/// A stretch of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// In the volume's home file.
    Home {
        /// First byte in the file.
        offset: u64,
        /// Bytes.
        length: u64,
    },
}

impl Piece {
    /// Bytes.
    #[must_use]
    pub fn length(self) -> u64 {
        match self {
            Self::Home { length, .. } => length,
        }
    }
}
