//! Records of the journal: what has happened to the maps since the last checkpoint.

use super::{Damage, Id};
use crate::mapped::address::{Address, DatasetId, Epoch, SEGMENT_BLOCKS};

/// Blocks that one map record can have.
pub const MAP_BLOCKS_MAX: usize = 4096;
/// Heads that one snapshot record can have.
pub const GROUP_MAX: usize = 1024;

/// One thing that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Blocks of a head are in a segment now.
    Map {
        /// Which head.
        head: DatasetId,
        /// The epoch in which they were written.
        birth: Epoch,
        /// The first block.
        first: u64,
        /// Where it is; the others are behind it.
        address: Address,
        /// CRC32C of each, 1 to [`MAP_BLOCKS_MAX`].
        crcs: Vec<u32>,
    },
    /// Blocks of a head read as zeros now.
    Zero {
        /// Which head.
        head: DatasetId,
        /// When.
        birth: Epoch,
        /// The first block.
        first: u64,
        /// How many.
        blocks: u64,
    },
    /// Blocks of a head are in the home file now.
    Home {
        /// Which head.
        head: DatasetId,
        /// When.
        birth: Epoch,
        /// The first block.
        first: u64,
        /// How many.
        blocks: u64,
    },
    /// Heads were frozen, all at one moment: the end of `epoch`.
    Snapshot {
        /// The epoch that has ended.
        epoch: Epoch,
        /// Of each head: the head, its snapshot, and the id of that. 1 to [`GROUP_MAX`].
        members: Vec<(DatasetId, DatasetId, Id)>,
    },
    /// A head was made of a snapshot.
    Clone {
        /// The epoch that has ended.
        epoch: Epoch,
        /// What it was made of.
        snapshot: DatasetId,
        /// The new head.
        head: DatasetId,
        /// Its id.
        uuid: Id,
    },
    /// A head has the content of a snapshot.
    Restore {
        /// The epoch that has ended.
        epoch: Epoch,
        /// Which head.
        head: DatasetId,
        /// Which snapshot.
        snapshot: DatasetId,
    },
    /// The deletion of a dataset has begun.
    Delete {
        /// The epoch that has ended.
        epoch: Epoch,
        /// Which dataset.
        dataset: DatasetId,
    },
    /// A head has another size.
    Resize {
        /// The epoch that has ended.
        epoch: Epoch,
        /// Which head.
        head: DatasetId,
        /// Its size now.
        blocks: u64,
    },
}

impl Record {
    /// In which epoch it has happened: recovery does things in this order.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Map { birth, .. } | Self::Zero { birth, .. } | Self::Home { birth, .. } => *birth,
            Self::Snapshot { epoch, .. }
            | Self::Clone { epoch, .. }
            | Self::Restore { epoch, .. }
            | Self::Delete { epoch, .. }
            | Self::Resize { epoch, .. } => *epoch,
        }
    }

    /// Whether it ends its epoch.
    #[must_use]
    pub fn ends_epoch(&self) -> bool {
        !matches!(
            self,
            Self::Map { .. } | Self::Zero { .. } | Self::Home { .. }
        )
    }

    /// Appends it to a batch.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Map {
                head,
                birth,
                first,
                address,
                crcs,
            } => {
                out.push(1);
                put_u32(out, head.0);
                put_u32(out, birth.0);
                put_u64(out, *first);
                let count = u16::try_from(crcs.len()).unwrap_or(u16::MAX);
                out.extend(count.to_le_bytes());
                let [a0, a1, a2, a3, a4, a5, _, _] = address.get().to_le_bytes();
                out.extend([a0, a1, a2, a3, a4, a5]);
                for crc in crcs {
                    put_u32(out, *crc);
                }
            }
            Self::Zero {
                head,
                birth,
                first,
                blocks,
            } => put_range(out, 2, *head, *birth, *first, *blocks),
            Self::Home {
                head,
                birth,
                first,
                blocks,
            } => put_range(out, 3, *head, *birth, *first, *blocks),
            Self::Snapshot { epoch, members } => {
                out.push(4);
                put_u32(out, epoch.0);
                let count = u16::try_from(members.len()).unwrap_or(u16::MAX);
                out.extend(count.to_le_bytes());
                for (head, snapshot, uuid) in members {
                    put_u32(out, head.0);
                    put_u32(out, snapshot.0);
                    out.extend(uuid);
                }
            }
            Self::Clone {
                epoch,
                snapshot,
                head,
                uuid,
            } => {
                put_ids(out, 5, *epoch, *snapshot, Some(*head));
                out.extend(uuid);
            }
            Self::Restore {
                epoch,
                head,
                snapshot,
            } => put_ids(out, 6, *epoch, *head, Some(*snapshot)),
            Self::Delete { epoch, dataset } => put_ids(out, 7, *epoch, *dataset, None),
            Self::Resize {
                epoch,
                head,
                blocks,
            } => {
                put_ids(out, 8, *epoch, *head, None);
                put_u64(out, *blocks);
            }
        }
    }

    /// The record at the front of `bytes`, which it is taken off of.
    ///
    /// # Errors
    /// It makes no sense, or ends too early.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, Damage> {
        let [kind] = take(bytes)?;
        Ok(match kind {
            1 => Self::decode_map(bytes)?,
            2 | 3 => {
                let head = take_dataset(bytes)?;
                let birth = take_epoch(bytes)?;
                let first = take_u64(bytes)?;
                let blocks = take_u64(bytes)?;
                if blocks == 0 || first.checked_add(blocks).is_none() {
                    return Err(wrong("a range that can't be"));
                }
                if kind == 2 {
                    Self::Zero {
                        head,
                        birth,
                        first,
                        blocks,
                    }
                } else {
                    Self::Home {
                        head,
                        birth,
                        first,
                        blocks,
                    }
                }
            }
            4 => {
                let epoch = take_epoch(bytes)?;
                let count = usize::from(u16::from_le_bytes(take(bytes)?));
                if count == 0 || count > GROUP_MAX {
                    return Err(wrong("a snapshot of no heads or of too many"));
                }
                let members = (0..count)
                    .map(|_| Ok((take_dataset(bytes)?, take_dataset(bytes)?, take(bytes)?)))
                    .collect::<Result<_, Damage>>()?;
                Self::Snapshot { epoch, members }
            }
            5 => Self::Clone {
                epoch: take_epoch(bytes)?,
                snapshot: take_dataset(bytes)?,
                head: take_dataset(bytes)?,
                uuid: take(bytes)?,
            },
            6 => Self::Restore {
                epoch: take_epoch(bytes)?,
                head: take_dataset(bytes)?,
                snapshot: take_dataset(bytes)?,
            },
            7 => Self::Delete {
                epoch: take_epoch(bytes)?,
                dataset: take_dataset(bytes)?,
            },
            8 => Self::Resize {
                epoch: take_epoch(bytes)?,
                head: take_dataset(bytes)?,
                blocks: take_u64(bytes)?,
            },
            _ => return Err(wrong("a record of no known kind")),
        })
    }

    fn decode_map(bytes: &mut &[u8]) -> Result<Self, Damage> {
        let head = take_dataset(bytes)?;
        let birth = take_epoch(bytes)?;
        let first = take_u64(bytes)?;
        let count = u16::from_le_bytes(take(bytes)?);
        let [a0, a1, a2, a3, a4, a5] = take(bytes)?;
        let number = u64::from_le_bytes([a0, a1, a2, a3, a4, a5, 0, 0]);
        let address = Address::new(number).ok_or_else(|| wrong("an address that can't be"))?;
        let fits = usize::from(count) <= MAP_BLOCKS_MAX
            && first.checked_add(u64::from(count)).is_some()
            && address.index() + u32::from(count) <= SEGMENT_BLOCKS;
        if count == 0 || !fits {
            return Err(wrong("a run of blocks that can't be"));
        }
        let crcs = (0..count)
            .map(|_| take(bytes).map(u32::from_le_bytes))
            .collect::<Result<_, Damage>>()?;
        Ok(Self::Map {
            head,
            birth,
            first,
            address,
            crcs,
        })
    }
}

fn wrong(why: &str) -> Damage {
    Damage::new("a record of the journal", why)
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

fn put_range(out: &mut Vec<u8>, kind: u8, head: DatasetId, birth: Epoch, first: u64, blocks: u64) {
    out.push(kind);
    put_u32(out, head.0);
    put_u32(out, birth.0);
    put_u64(out, first);
    put_u64(out, blocks);
}

fn put_ids(out: &mut Vec<u8>, kind: u8, epoch: Epoch, one: DatasetId, other: Option<DatasetId>) {
    out.push(kind);
    put_u32(out, epoch.0);
    put_u32(out, one.0);
    if let Some(other) = other {
        put_u32(out, other.0);
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Damage> {
    let (front, rest) = bytes
        .split_first_chunk::<N>()
        .ok_or_else(|| wrong("it ends too early"))?;
    *bytes = rest;
    Ok(*front)
}

fn take_u64(bytes: &mut &[u8]) -> Result<u64, Damage> {
    take(bytes).map(u64::from_le_bytes)
}

fn take_epoch(bytes: &mut &[u8]) -> Result<Epoch, Damage> {
    take(bytes).map(|bytes| Epoch(u32::from_le_bytes(bytes)))
}

fn take_dataset(bytes: &mut &[u8]) -> Result<DatasetId, Damage> {
    match take(bytes).map(u32::from_le_bytes)? {
        0 => Err(wrong("a dataset without a number")),
        id => Ok(DatasetId(id)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_record() -> impl Strategy<Value = Record> {
        let head = || (1_u32..).prop_map(DatasetId);
        let epoch = || any::<u32>().prop_map(Epoch);
        let range = || (0_u64..1 << 50, 1_u64..1 << 40);
        prop_oneof![
            (
                head(),
                epoch(),
                0_u64..1 << 50,
                0_u64..1 << 30,
                prop::collection::vec(any::<u32>(), 1..40)
            )
                .prop_map(|(head, birth, first, at, crcs)| Record::Map {
                    head,
                    birth,
                    first,
                    address: Address::new(at * 64).unwrap(),
                    crcs
                }),
            (head(), epoch(), range()).prop_map(|(head, birth, (first, blocks))| Record::Zero {
                head,
                birth,
                first,
                blocks
            }),
            (head(), epoch(), range()).prop_map(|(head, birth, (first, blocks))| Record::Home {
                head,
                birth,
                first,
                blocks
            }),
            (
                epoch(),
                prop::collection::vec((head(), head(), any::<Id>()), 1..5)
            )
                .prop_map(|(epoch, members)| Record::Snapshot { epoch, members }),
            (epoch(), head(), head(), any::<Id>()).prop_map(|(epoch, snapshot, head, uuid)| {
                Record::Clone {
                    epoch,
                    snapshot,
                    head,
                    uuid,
                }
            }),
            (epoch(), head(), head()).prop_map(|(epoch, head, snapshot)| Record::Restore {
                epoch,
                head,
                snapshot
            }),
            (epoch(), head()).prop_map(|(epoch, dataset)| Record::Delete { epoch, dataset }),
            (epoch(), head(), any::<u64>()).prop_map(|(epoch, head, blocks)| Record::Resize {
                epoch,
                head,
                blocks
            }),
        ]
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_were(records in prop::collection::vec(any_record(), 0..8)) {
            let mut bytes = Vec::new();
            for record in &records {
                record.encode(&mut bytes);
            }
            let mut rest = bytes.as_slice();
            for record in &records {
                prop_assert_eq!(&Record::decode(&mut rest).unwrap(), record);
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_are_records_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() && Record::decode(&mut rest).is_ok() {}
        }
    }
}
