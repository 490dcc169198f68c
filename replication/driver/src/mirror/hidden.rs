//! What the hidden snapshots of a mirrored volume are called: nobody but their end takes notice of them, so what they
//! are for, and whose they are, is in their ids. These are UUIDs of version 8 (RFC 9562); all others that a family has
//! are random, of version 4. Only values.

use tidelock_mirror::id::NodeId;
use tidelock_volume::mapped::Id;

/// What a hidden snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// What a target goes back to if a resync isn't finished.
    Safety,
    /// The same, and it holds what the operator has dropped after a split brain, which is kept.
    Dropped,
    /// What an asynchronous target is being sent.
    Cut,
    /// Half a resync, after its end went back to what was before.
    Replaced,
}

impl Hidden {
    const ALL: [Self; 4] = [Self::Safety, Self::Dropped, Self::Cut, Self::Replaced];

    /// A new id of one that an end has. `random` is drawn for it.
    #[must_use]
    pub fn id(self, node: NodeId, random: u64) -> Id {
        let kind: u128 = match self {
            Self::Safety => 0,
            Self::Dropped => 1,
            Self::Cut => 2,
            Self::Replaced => 3,
        };
        // 48 bits of whom it belongs to, the version, 12 bits of what it is, the variant, 62 random ones.
        let low = u128::from(random & (u64::MAX >> 2));
        let id = (of(node) << 80) | (8 << 76) | (kind << 64) | (0b10 << 62) | low;
        id.to_be_bytes()
    }

    /// What a snapshot is to an end; `None`: it isn't one of its hidden ones.
    #[must_use]
    pub fn of(id: Id, node: NodeId) -> Option<Self> {
        let high = u128::from_be_bytes(id) >> 62;
        let is_of = |kind: &Self| u128::from_be_bytes(kind.id(node, 0)) >> 62 == high;
        Self::ALL.into_iter().find(is_of)
    }
}

/// 48 bits of an end's id, which is random.
const fn of(node: NodeId) -> u128 {
    (node.0 ^ (node.0 >> 64)) & 0xFFFF_FFFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_finds_its_own_and_no_others() {
        let (one, other) = (NodeId(u128::MAX / 7), NodeId(u128::MAX / 11));
        for kind in Hidden::ALL {
            for random in [0, 1, u64::MAX] {
                let id = kind.id(one, random);
                assert_eq!(Hidden::of(id, one), Some(kind));
                assert_eq!(Hidden::of(id, other), None);
                assert_eq!(id[6] >> 4, 8, "the version");
                assert_eq!(id[8] >> 6, 0b10, "the variant");
            }
        }
        // As random ones are.
        let mut id = Hidden::Cut.id(one, 7);
        id[6] = 0x40 | (id[6] & 0xF);
        assert_eq!(Hidden::of(id, one), None);
    }
}
