//! Entries: where a stretch of a dataset is, in 16 bytes. And nodes, which are 256 of them.

use super::address::{Address, BLOCK_BYTES, Epoch};
use super::format::{Damage, bytes_at};

/// Entries of a node.
pub const FANOUT: usize = 256;
/// The highest level that an entry can be of: 4 PiB times 256.
pub const LEVEL_MAX: u8 = 6;
/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 16;

/// Where a stretch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it reads as zeros.
    Hole,
    /// In the home file, at its own offset.
    Home,
    /// One block in a segment.
    Block {
        /// Which.
        address: Address,
        /// CRC32C of its bytes.
        crc: u32,
    },
    /// 256 entries of the level below.
    Node {
        /// The node's block.
        address: Address,
        /// CRC32C of its bytes; meaningless while the node has not been written.
        crc: u32,
    },
}

/// Where a stretch of a dataset is, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub place: Place,
    /// The epoch in which it came to be there.
    pub birth: Epoch,
}

impl Entry {
    /// In the home file since before the family was made.
    pub const HOME: Self = Self {
        place: Place::Home,
        birth: Epoch::BEFORE,
    };

    /// Blocks that an entry of a level covers: 256 to the power of the level.
    #[must_use]
    pub fn span(level: u8) -> u64 {
        1 << (8 * u32::from(level.min(LEVEL_MAX)))
    }

    /// Whether it stands for a whole stretch by itself, of any level.
    #[must_use]
    pub fn is_uniform(&self) -> bool {
        matches!(self.place, Place::Hole | Place::Home)
    }

    /// On disk; the seventh byte is `level`, which is not zero in dead lists only.
    #[must_use]
    pub fn encode(&self, level: u8) -> [u8; ENTRY_BYTES] {
        let (kind, address, crc) = match self.place {
            Place::Hole => (0, 0, 0),
            Place::Home => (1, 0, 0),
            Place::Block { address, crc } => (2, address.get(), crc),
            Place::Node { address, crc } => (3, address.get(), crc),
        };
        pack(kind, address, level, crc, self.birth)
    }

    /// The entry of these bytes, of a map.
    ///
    /// # Errors
    /// An unknown kind, or bytes that should be zero and aren't.
    pub fn decode(bytes: &[u8; ENTRY_BYTES]) -> Result<Self, Damage> {
        let raw = RawEntry::unpack(bytes);
        if raw.level != 0 {
            return Err(Damage::new("byte 7 of an entry", "it isn't zero"));
        }
        raw.entry()
    }
}

/// The fields of an entry as they stand on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawEntry {
    pub(crate) kind: u8,
    pub(crate) address: u64,
    pub(crate) level: u8,
    pub(crate) crc: u32,
    pub(crate) birth: Epoch,
}

impl RawEntry {
    pub(crate) fn unpack(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let [
            a0,
            a1,
            a2,
            a3,
            a4,
            a5,
            kind,
            level,
            c0,
            c1,
            c2,
            c3,
            b0,
            b1,
            b2,
            b3,
        ] = *bytes;
        Self {
            kind,
            address: u64::from_le_bytes([a0, a1, a2, a3, a4, a5, 0, 0]),
            level,
            crc: u32::from_le_bytes([c0, c1, c2, c3]),
            birth: Epoch(u32::from_le_bytes([b0, b1, b2, b3])),
        }
    }

    pub(crate) fn pack(self) -> [u8; ENTRY_BYTES] {
        pack(self.kind, self.address, self.level, self.crc, self.birth)
    }

    pub(crate) fn entry(self) -> Result<Entry, Damage> {
        let address =
            || Address::new(self.address).ok_or_else(|| Damage::new("an entry", "no such address"));
        let place = match self.kind {
            0 | 1 if self.address != 0 || self.crc != 0 => {
                return Err(Damage::new(
                    "an entry",
                    "a hole or home entry with an address",
                ));
            }
            0 => Place::Hole,
            1 => Place::Home,
            2 => Place::Block {
                address: address()?,
                crc: self.crc,
            },
            3 => Place::Node {
                address: address()?,
                crc: self.crc,
            },
            _ => return Err(Damage::new("an entry", "an unknown kind")),
        };
        Ok(Entry {
            place,
            birth: self.birth,
        })
    }
}

fn pack(kind: u8, address: u64, level: u8, crc: u32, birth: Epoch) -> [u8; ENTRY_BYTES] {
    let [a0, a1, a2, a3, a4, a5, _, _] = address.to_le_bytes();
    let [c0, c1, c2, c3] = crc.to_le_bytes();
    let [b0, b1, b2, b3] = birth.0.to_le_bytes();
    [
        a0, a1, a2, a3, a4, a5, kind, level, c0, c1, c2, c3, b0, b1, b2, b3,
    ]
}

/// The entries of a node.
pub type Entries = [Entry; FANOUT];

/// A node's block.
#[must_use]
pub fn encode_node(entries: &Entries) -> Vec<u8> {
    let mut page = Vec::with_capacity(BLOCK_BYTES);
    for entry in entries {
        page.extend_from_slice(&entry.encode(0));
    }
    page
}

/// The entries of a node of a level from 1, whose CRC has been checked.
///
/// # Errors
/// An entry that makes no sense, at all or on this level.
pub fn decode_node(page: &[u8], level: u8) -> Result<Box<Entries>, Damage> {
    if page.len() != BLOCK_BYTES {
        return Err(Damage::new("a node", "it isn't a whole block"));
    }
    let mut entries = Box::new([Entry::HOME; FANOUT]);
    for (at, entry) in entries.iter_mut().enumerate() {
        let bytes = bytes_at(page, at * ENTRY_BYTES)?;
        *entry = Entry::decode(&bytes)?;
        match entry.place {
            Place::Node { .. } if level <= 1 => {
                return Err(Damage::new("a node of level 1", "a node below it"));
            }
            Place::Block { .. } if level > 1 => {
                return Err(Damage::new("a node above level 1", "a single block in it"));
            }
            _ => {}
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_entry() -> impl Strategy<Value = Entry> {
        let place = prop_oneof![
            Just(Place::Hole),
            Just(Place::Home),
            (0_u64..1 << 44, any::<u32>()).prop_map(|(at, crc)| Place::Block {
                address: Address::new(at).unwrap(),
                crc
            }),
        ];
        (place, any::<u32>()).prop_map(|(place, birth)| Entry {
            place,
            birth: Epoch(birth),
        })
    }

    proptest! {
        #[test]
        fn a_node_comes_back_as_it_was(entries in prop::collection::vec(any_entry(), FANOUT)) {
            let entries: Entries = entries.try_into().unwrap();
            let page = encode_node(&entries);
            prop_assert_eq!(page.len(), BLOCK_BYTES);
            prop_assert_eq!(*decode_node(&page, 1).unwrap(), entries);
        }

        #[test]
        fn any_bytes_are_an_entry_or_refused(bytes: [u8; ENTRY_BYTES]) {
            if let Ok(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode(0), bytes);
            }
        }
    }

    #[test]
    fn a_level_covers_256_times_the_one_below() {
        assert_eq!(Entry::span(0), 1);
        assert_eq!(Entry::span(1) * 4096, 1 << 20);
        assert_eq!(Entry::span(4) * 4096, 16 << 40);
    }
}
