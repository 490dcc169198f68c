//! What is written: bytes, or so many zeros, which need no memory and next to nothing on a connection.

use bytes::Bytes;

use crate::link::DATA_MAX;

/// The most zeros of one write; more are several. It bounds how many regions a write makes hot.
pub const ZEROS_MAX: u64 = 64 << 20;
/// What zeros count for among the bytes that may be under way, however many they are.
const ZEROS_COST: u64 = 512;

/// The data of one write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Data {
    /// These; at most [`DATA_MAX`].
    Bytes(Bytes),
    /// So many zeros; at most [`ZEROS_MAX`]. The space may be given back.
    Zeros(u64),
}

impl Data {
    /// What was read: zeros, if it is nothing else.
    #[must_use]
    pub fn of(bytes: Bytes) -> Self {
        // Each byte is compared with the one behind it: that is one pass of `memcmp`.
        let all_zeros = match (bytes.split_first(), bytes.split_last()) {
            (Some((first, rest)), Some((_, front))) => *first == 0 && rest == front,
            _ => true,
        };
        if all_zeros {
            Self::Zeros(bytes.len() as u64)
        } else {
            Self::Bytes(bytes)
        }
    }

    /// Bytes of the volume.
    #[must_use]
    pub const fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(count) => *count,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is more than one write may have.
    #[must_use]
    pub const fn is_too_much(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.len() > DATA_MAX,
            Self::Zeros(count) => *count > ZEROS_MAX,
        }
    }

    /// What it counts for among the bytes that may be under way to a peer.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(count) => (*count).min(ZEROS_COST),
        }
    }
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_seen_wherever_something_else_could_be() {
        assert_eq!(Data::of(Bytes::from(vec![0; 33])), Data::Zeros(33));
        for at in 0..33 {
            let mut bytes = vec![0; 33];
            bytes[at] = 1;
            let bytes = Bytes::from(bytes);
            assert_eq!(Data::of(bytes.clone()), Data::Bytes(bytes), "at {at}");
        }
    }

    #[test]
    fn zeros_cost_little_and_are_bounded() {
        assert_eq!(Data::Zeros(ZEROS_MAX).cost(), 512);
        assert_eq!(Data::Zeros(4).cost(), 4, "and never more than they are");
        assert!(!Data::Zeros(ZEROS_MAX).is_too_much());
        assert!(Data::Zeros(ZEROS_MAX + 1).is_too_much());
        assert!(Data::Bytes(Bytes::from(vec![0; DATA_MAX + 1])).is_too_much());
    }
}
