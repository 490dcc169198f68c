//! Records of dead lists: what an earlier snapshot has and its successor doesn't.

use super::chain::PAYLOAD_BYTES;
use super::{Damage, bytes_at, put, u64_at};
use crate::mapped::address::{Address, Epoch};
use crate::mapped::entry::{ENTRY_BYTES, LEVEL_MAX, RawEntry};

/// Bytes of a record: an entry, and the number of a block.
pub const DEAD_BYTES: usize = ENTRY_BYTES + 8;
/// Records of one page.
pub const DEAD_PER_PAGE: usize = PAYLOAD_BYTES / DEAD_BYTES;

/// Something that has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead {
    /// What.
    pub what: DeadPlace,
    /// When it was born.
    pub birth: Epoch,
}

/// What has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadPlace {
    /// Blocks of the home file.
    Home {
        /// The first.
        first: u64,
        /// How many, not zero.
        count: u32,
    },
    /// A block of a segment.
    Block(Address),
    /// A node alone: its entries live on elsewhere, or have records of their own.
    Node(Address),
    /// A node and everything below it.
    Tree {
        /// The first block that it covers.
        first: u64,
        /// The node.
        address: Address,
        /// CRC32C of the node.
        crc: u32,
        /// Its level, from 1.
        level: u8,
    },
}

impl Dead {
    /// On disk.
    #[must_use]
    pub fn encode(&self) -> [u8; DEAD_BYTES] {
        let (kind, address, crc, level, first) = match self.what {
            DeadPlace::Home { first, count } => (1, 0, count, 0, first),
            DeadPlace::Block(address) => (2, address.get(), 0, 0, 0),
            DeadPlace::Node(address) => (3, address.get(), 0, 0, 0),
            DeadPlace::Tree {
                first,
                address,
                crc,
                level,
            } => (3, address.get(), crc, level, first),
        };
        let raw = RawEntry {
            kind,
            address,
            level,
            crc,
            birth: self.birth,
        };
        let mut record = [0; DEAD_BYTES];
        put(&mut record, 0, &raw.pack());
        put(&mut record, ENTRY_BYTES, &first.to_le_bytes());
        record
    }
}

/// The records of a page's payload.
///
/// # Errors
/// A record that makes no sense.
pub fn decode(payload: &[u8]) -> Result<Vec<Dead>, Damage> {
    let mut records = Vec::new();
    for at in (0..DEAD_PER_PAGE).map(|index| index * DEAD_BYTES) {
        let bytes = bytes_at(payload, at)?;
        let first = u64_at(payload, at + ENTRY_BYTES)?;
        if bytes == [0; ENTRY_BYTES] {
            break;
        }
        let RawEntry {
            kind,
            address,
            level,
            crc,
            birth,
        } = RawEntry::unpack(&bytes);
        let place = Address::new(address)
            .ok_or_else(|| Damage::new("a dead list", "an address that can't be"))?;
        let what = match (kind, level, first) {
            (1, 0, _) if crc != 0 && address == 0 => DeadPlace::Home { first, count: crc },
            (2, 0, 0) => DeadPlace::Block(place),
            (3, 0, 0) => DeadPlace::Node(place),
            (3, 1..=LEVEL_MAX, _) => DeadPlace::Tree {
                first,
                address: place,
                crc,
                level,
            },
            _ => return Err(Damage::new("a dead list", "a record of no known kind")),
        };
        records.push(Dead { what, birth });
    }
    Ok(records)
}
