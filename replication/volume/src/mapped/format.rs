//! Bytes of the mapped format, as `docs/on-disk-format.md` has them, and nothing about what they mean.

pub mod allocation;
pub mod batch;
pub mod chain;
pub mod dead;
pub mod record;
pub mod superblock;
pub mod table;
pub mod tail;

use thiserror::Error;

/// Version of the format that is written and read.
pub const VERSION: u32 = 1;
/// The id of a family or of a dataset: an UUID.
pub type Id = [u8; 16];

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}: {why}")]
pub struct Damage {
    /// Which structure.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Damage {
    pub(crate) fn new(what: &'static str, why: impl Into<String>) -> Self {
        Self {
            what,
            why: why.into(),
        }
    }
}

/// `N` bytes at an offset.
pub(crate) fn bytes_at<const N: usize>(page: &[u8], at: usize) -> Result<[u8; N], Damage> {
    page.get(at..at.saturating_add(N))
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Damage::new("a structure", "it ends too early"))
}

pub(crate) fn u32_at(page: &[u8], at: usize) -> Result<u32, Damage> {
    bytes_at(page, at).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(page: &[u8], at: usize) -> Result<u64, Damage> {
    bytes_at(page, at).map(u64::from_le_bytes)
}

/// Writes `bytes` at an offset of a page that is known to be long enough.
pub(crate) fn put(page: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = page.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// CRC32C of bytes.
#[must_use]
pub fn crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// CRC32C of a page whose field of four bytes at `at` counts as zero.
pub(crate) fn crc_without(page: &[u8], at: usize) -> u32 {
    let (before, rest) = page.split_at_checked(at).unwrap_or((page, &[]));
    let after = rest.get(4..).unwrap_or_default();
    let crc = crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]);
    crc32c::crc32c_append(crc, after)
}

/// Puts the CRC of a page into its own field.
pub(crate) fn seal(page: &mut [u8], at: usize) {
    let crc = crc_without(page, at);
    put(page, at, &crc.to_le_bytes());
}

/// Whether the CRC in a page's own field is right.
pub(crate) fn is_sealed(page: &[u8], at: usize) -> bool {
    u32_at(page, at).is_ok_and(|crc| crc == crc_without(page, at))
}
