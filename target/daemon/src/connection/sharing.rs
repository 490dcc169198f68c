//! Which parts of a copy the store may do by itself, sharing the space of both ends where its file system can, and
//! whether it is worth asking it. Does no I/O.

use std::sync::Arc;

use tidelock_replication::{Volume, VolumeOp, Watch};
use tidelock_scsi::Extent;

/// The store copies whole blocks of so many bytes.
const BLOCK: u64 = 4096;
/// A store that has refused so often in a row isn't asked again.
const REFUSALS_MAX: u8 = 4;

/// One copy, and how willing the store is.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    refusals: u8,
}

/// Which bytes of a range are whole blocks at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// Bytes before them, fewer than a block has.
    pub(super) before: u64,
    /// Their bytes.
    pub(super) length: u64,
}

impl Sharing {
    /// What of a copy of bytes at `from` to `to` the store may be asked for.
    pub(super) fn whole(&self, from: Extent, to: Extent, same_volume: bool) -> Option<Whole> {
        let fits = from.length == to.length && from.offset % BLOCK == to.offset % BLOCK;
        let overlap = from.offset < to.offset + to.length && to.offset < from.offset + from.length;
        if self.refusals >= REFUSALS_MAX || !fits || (same_volume && overlap) {
            return None;
        }
        let before = (BLOCK - from.offset % BLOCK) % BLOCK;
        let length = from.length.checked_sub(before)? / BLOCK * BLOCK;
        (length > 0).then_some(Whole { before, length })
    }

    /// The store has done it, or hasn't.
    pub(super) fn note(&mut self, copied: bool) {
        self.refusals = if copied { 0 } else { self.refusals + 1 };
    }
}

/// The store's operation for whole blocks.
pub(super) fn copy_from(
    source: &Arc<Volume>,
    from: Extent,
    to: u64,
    watch: Option<&Arc<Watch>>,
) -> VolumeOp {
    VolumeOp::CopyFrom {
        source: Arc::clone(source),
        source_offset: from.offset,
        offset: to,
        length: from.length,
        watch: watch.cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, length: u64) -> Extent {
        Extent { offset, length }
    }

    #[test]
    fn only_whole_blocks_at_both_ends_are_asked_for() {
        let sharing = Sharing::default();
        let whole =
            |from, to, length| sharing.whole(extent(from, length), extent(to, length), false);
        let some = |before, length| Some(Whole { before, length });
        assert_eq!(whole(0, 8192, 65_536), some(0, 65_536));
        assert_eq!(whole(512, 8704, 65_536), some(3584, 61_440));
        assert_eq!(whole(0, 0, 4608), some(0, 4096));
        assert_eq!(whole(512, 0, 65_536), None);
        assert_eq!(whole(512, 512, 512), None);
        assert_eq!(whole(512, 512, 7168), None);
        assert_eq!(whole(512, 512, 7680), some(3584, 4096));
        assert_eq!(whole(0, 0, 0), None);
    }

    #[test]
    fn ranges_of_one_volume_that_overlap_are_not() {
        let sharing = Sharing::default();
        let whole = |from, to, same| sharing.whole(extent(from, 8192), extent(to, 8192), same);
        assert_eq!(whole(0, 4096, true), None);
        assert_eq!(whole(4096, 0, true), None);
        assert!(whole(0, 8192, true).is_some());
        assert!(whole(0, 4096, false).is_some());
    }

    #[test]
    fn a_store_that_always_refuses_is_not_asked_for_ever() {
        let mut sharing = Sharing::default();
        let whole = |sharing: &Sharing| sharing.whole(extent(0, 4096), extent(0, 4096), false);
        for copied in [false, false, false, true, false, false, false] {
            sharing.note(copied);
            assert!(whole(&sharing).is_some());
        }
        sharing.note(false);
        assert_eq!(whole(&sharing), None);
    }
}
