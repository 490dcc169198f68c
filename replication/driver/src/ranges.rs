//! Range locks: what must be atomic keeps overlapping operations of every engine away, and nobody
//! else.
//!
//! Two rooms. [`traffic`] is where every engine says which ranges its ordinary operations work on:
//! memory of its own, which others only look at. [`table`] is the pure decision of who waits for
//! whom. This file joins the two for a volume.
//!
//! # The protocol
//! An ordinary operation writes its range into its engine's traffic, then looks whether the volume
//! has locks; none is the rule, and then that was all. An exclusive operation counts itself, enters
//! the table, then looks at the traffic of every engine. Both write before they look, in one total
//! order (`SeqCst`), so at least one of the two sees the other. The same when an ordinary operation
//! ends: it clears its range, then looks whether somebody may be waiting for that.
//!
//! Who must wait stands in the table in the order of arrival. A later one never overtakes an earlier
//! one that it conflicts with, so nobody starves; everybody waits for earlier ones only, so there is
//! no cycle. A lock is asked for before anything else that an operation may wait for (memory, a
//! place in the ring), and is held until the operation has ended, landed if it was given up.
//!
//! Ranges are bytes of the volume's image.

mod table;
mod traffic;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tidelock_volume::Range;

pub(crate) use table::{Mode, Ticket};
pub(crate) use traffic::{Post, Traffic, VolumeId};

use table::Table;

/// The ranges of one operation: more than one for UNMAP only.
pub(crate) type Ranges = SmallVec<[Range; 1]>;

/// Who hears of it when it is his turn: a command of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) post: Arc<Post>,
    pub(crate) key: usize,
}

/// The locks of one volume.
#[derive(Debug)]
pub(crate) struct RangeLocks {
    volume: VolumeId,
    /// Entries of the table, counted before they enter it and after they have left it.
    entries: AtomicUsize,
    table: Mutex<Table<Owner>>,
}

/// What became of an operation that had to look at the locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// No lock is in its way; its traffic stands for it.
    Free,
    /// It may begin, and stands in the table until it leaves.
    Granted(Ticket),
    /// It may not begin before its post says so.
    Waits(Ticket),
}

impl RangeLocks {
    pub(crate) fn new() -> Self {
        Self {
            volume: VolumeId::next(),
            entries: AtomicUsize::new(0),
            table: Mutex::new(Table::default()),
        }
    }

    /// The number that the volume has in the traffic of engines.
    pub(crate) fn volume(&self) -> VolumeId {
        self.volume
    }

    /// Whether nobody holds or wants a lock: what an ordinary operation looks at once its traffic is
    /// written, and once it is cleared.
    #[inline]
    pub(crate) fn are_idle(&self) -> bool {
        self.entries.load(Ordering::SeqCst) == 0
    }

    /// How many hold or want a lock.
    #[cfg(test)]
    pub(crate) fn entered(&self) -> usize {
        self.entries.load(Ordering::SeqCst)
    }

    /// An ordinary operation found locks. `traffic` is where it has written its range, if it has: if
    /// it must wait, that is cleared, because whoever it waits for would wait for it.
    pub(crate) fn meet(&self, ranges: Ranges, owner: Owner, traffic: Option<&Traffic>) -> Entered {
        let mut table = self.table.lock();
        if let Some(traffic) = traffic {
            if !table.is_in_the_way(&ranges) {
                return Entered::Free;
            }
            traffic.clear(owner.key);
        }
        let entered = self.enter(&mut table, Mode::Shared, ranges.clone(), owner);
        if traffic.is_some() {
            self.settle(&mut table, &ranges);
        }
        entered
    }

    /// An exclusive operation asks for its lock.
    pub(crate) fn lock(&self, ranges: Ranges, owner: Owner) -> Entered {
        self.enter(&mut self.table.lock(), Mode::Exclusive, ranges, owner)
    }

    /// Takes a range exclusively for a thread, which waits until it is quiet there. The answer lets it
    /// go when it is dropped; `None` if it isn't quiet within that time. **Blocks.**
    pub(crate) fn lock_waiting(&self, range: Range, longest: Duration) -> Option<Alone<'_>> {
        let post = Post::for_thread();
        let owner = Owner {
            post: Arc::clone(&post),
            key: 0,
        };
        let alone = match self.lock(Ranges::from_slice(&[range]), owner) {
            Entered::Free => return None,
            Entered::Granted(ticket) => {
                return Some(Alone {
                    locks: self,
                    ticket,
                });
            }
            Entered::Waits(ticket) => Alone {
                locks: self,
                ticket,
            },
        };
        post.wait(longest).then_some(alone)
    }

    fn enter(&self, table: &mut Table<Owner>, mode: Mode, ranges: Ranges, owner: Owner) -> Entered {
        let ticket = Ticket::next();
        // Before the traffic is looked at: who writes his range later than that sees this.
        self.entries.fetch_add(1, Ordering::SeqCst);
        let granted = table.enter(ticket, mode, ranges, owner, |range| self.is_quiet(range));
        if granted {
            Entered::Granted(ticket)
        } else {
            Entered::Waits(ticket)
        }
    }

    /// An operation with an entry has ended, or is given up before it began.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let mut table = self.table.lock();
        if let Some(ranges) = table.leave(ticket) {
            self.entries.fetch_sub(1, Ordering::SeqCst);
            self.settle(&mut table, &ranges);
        }
    }

    /// An ordinary operation has cleared its traffic and seen that there are locks.
    pub(crate) fn passed(&self, ranges: &Ranges) {
        self.settle(&mut self.table.lock(), ranges);
    }

    fn settle(&self, table: &mut Table<Owner>, freed: &Ranges) {
        table.settle(
            freed,
            |range| self.is_quiet(range),
            |ticket, owner| owner.post.deliver(owner.key, ticket),
        );
    }

    /// Whether no ordinary operation of any engine is at work there.
    fn is_quiet(&self, range: Range) -> bool {
        Traffic::all_quiet(self.volume, range)
    }

    /// Operations that hold or want a lock, or wait for one.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> usize {
        self.entries.load(Ordering::SeqCst)
    }
}

/// A range that a thread has for itself.
#[derive(Debug)]
pub(crate) struct Alone<'a> {
    locks: &'a RangeLocks,
    ticket: Ticket,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.locks.leave(self.ticket);
    }
}

#[cfg(test)]
mod tests;
