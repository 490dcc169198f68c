//! Copying from another volume without moving the data through memory: what has to be so before it begins.
//! How it is carried out is [`super::mapped`]'s, whatever the two volumes are.
//!
//! The source's range is held for as long as that takes, so that the source doesn't become another kind of volume
//! meanwhile. Who would have to wait for it doesn't, as he has another range already: nothing is copied then.

use std::sync::Arc;

use tidelock_volume::Range;
use tidelock_volume::mapped::BLOCK_BYTES;

use crate::ranges::{Entered, Owner, Post, Ranges, Ticket};
use crate::volume::Volume;
use crate::watch::Watch;

/// Most bytes of one copy.
const BYTES_MAX: u64 = 4 << 20;

#[derive(Debug)]
pub(in crate::engine) struct CopyFrom {
    pub(super) source: Arc<Volume>,
    pub(super) from: Range,
    pub(super) to: u64,
    /// Nothing of the source may have changed since this began.
    watch: Option<Arc<Watch>>,
    hold: Option<SourceHold>,
}

/// The source's range.
#[derive(Debug)]
struct SourceHold {
    source: Arc<Volume>,
    ticket: Ticket,
    /// Nobody else has any of it.
    alone: bool,
}

impl Drop for SourceHold {
    fn drop(&mut self) {
        self.source.locks().leave(self.ticket);
    }
}

impl CopyFrom {
    pub(super) fn new(
        source: Arc<Volume>,
        from: Range,
        to: u64,
        watch: Option<Arc<Watch>>,
    ) -> Self {
        Self {
            source,
            from,
            to,
            watch,
            hold: None,
        }
    }

    /// Whether it is of whole blocks, and not too long.
    pub(super) fn is_of_blocks(&self) -> bool {
        let block = BLOCK_BYTES as u64;
        let Range { offset, length } = self.from;
        let all = [offset, length, self.to];
        all.iter().all(|bytes| bytes.is_multiple_of(block)) && length <= BYTES_MAX
    }

    /// What it changes.
    pub(super) fn range(&self) -> Range {
        Range {
            offset: self.to,
            length: self.from.length,
        }
    }

    /// Whether the two are as they must be, with the target's range held: takes the source's as well.
    pub(super) fn may_begin(&mut self, target: &Arc<Volume>, post: &Arc<Post>, key: usize) -> bool {
        let same = Arc::ptr_eq(target, &self.source);
        let (from, to) = (self.from, self.range());
        let apart = from.offset + from.length <= to.offset || to.offset + to.length <= from.offset;
        self.take_source(target, post, key)
            && (!same || apart || target.content().is_mapped())
            && target.is_thin()
            // The other ends of a mirror are sent what is written, so it has to pass by here.
            && !target.mirrored().is_mirrored()
            && self.source.admits(false, false).is_ok()
            // Who has space of his own for everything keeps it.
            && !target.keeps_space()
            && !self.source.keeps_space()
    }

    /// Whether nobody else uses the source's range meanwhile.
    pub(super) fn is_alone(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.alone)
    }

    /// Holds the source's range, if it can be had at once. Nobody else has it if it is watched, so that a change of it
    /// is either known by now or comes after the copy; and if that helps, as what it has need not be read again where
    /// it arrives then.
    fn take_source(&mut self, target: &Volume, post: &Arc<Post>, key: usize) -> bool {
        let helps = !self.source.content().is_mapped() && target.content().is_mapped();
        let watched = self.watch.is_some();
        // What its source sends the target of a mirror isn't kept off by any hold. A volume that is held doesn't become
        // an end meanwhile, so this is looked at once that is so.
        self.hold = (watched || helps)
            .then(|| self.hold(true, post, key))
            .flatten()
            .filter(|_| !self.source.mirrored().is_mirrored());
        if self.hold.is_none() && !watched {
            self.hold = self.hold(false, post, key);
        }
        let is_changed = |watch: &Arc<Watch>| watch.is_changed();
        self.hold.is_some() && !self.watch.as_ref().is_some_and(is_changed)
    }

    fn hold(&self, alone: bool, post: &Arc<Post>, key: usize) -> Option<SourceHold> {
        let locks = self.source.locks();
        let owner = Owner {
            post: Arc::clone(post),
            key,
        };
        let ranges = Ranges::from_slice(&[self.from]);
        let entered = match alone {
            true => locks.lock(ranges, owner),
            false => locks.meet(ranges, owner, None),
        };
        match entered {
            Entered::Granted(ticket) => Some(SourceHold {
                source: Arc::clone(&self.source),
                ticket,
                alone,
            }),
            // Nobody waits for two.
            Entered::Waits(ticket) => {
                locks.leave(ticket);
                None
            }
            Entered::Free => None,
        }
    }
}
