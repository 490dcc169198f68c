//! Watches: whether any of a few ranges of a volume has been changed since somebody began to look.
//!
//! A range counts as changed before the change begins, so that whoever reads it and then finds it not
//! changed has read what was there before. And [`Volume::settle_writes`] tells when everything has landed
//! that was begun before a watch was there.
//!
//! A write costs two additions to a counter, and looks at the list of watches only if there is one.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tidelock_volume::Range;

use crate::op::VolumeOp;
use crate::volume::Volume;

/// The watches of a volume, and the changes that are under way.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    count: AtomicUsize,
    list: Mutex<Vec<Arc<Watched>>>,
    /// Changes under way, begun while [`Self::turn`] was even, and odd.
    under_way: [Arc<AtomicU32>; 2],
    turn: AtomicUsize,
    /// Somebody waits for changes that were begun in an earlier turn.
    settling: AtomicBool,
}

#[derive(Debug)]
struct Watched {
    ranges: Vec<Range>,
    changed: AtomicBool,
}

impl Watched {
    fn touches(&self, offset: u64, length: u64) -> bool {
        let end = offset.saturating_add(length);
        self.ranges
            .iter()
            .any(|range| offset < range.offset.saturating_add(range.length) && range.offset < end)
    }
}

/// A watch; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    /// A watch keeps no file open.
    volume: Weak<Volume>,
    watched: Arc<Watched>,
}

impl Watch {
    /// Whether a change of one of the ranges has begun since the watch did. One that hadn't landed
    /// when the watch began may have been missed: see [`Volume::settle_writes`].
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.watched.changed.load(Ordering::SeqCst)
    }

    /// The volume, if it is still open.
    #[must_use]
    pub fn volume(&self) -> Option<Arc<Volume>> {
        self.volume.upgrade()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(volume) = self.volume.upgrade() else {
            return;
        };
        let watches = volume.watches();
        let mut list = watches.list.lock();
        list.retain(|watched| !Arc::ptr_eq(watched, &self.watched));
        watches.count.store(list.len(), Ordering::SeqCst);
    }
}

/// A change under way; it has landed, or was never begun, when this is dropped.
#[derive(Debug)]
pub(crate) struct Changing(Arc<AtomicU32>);

impl Drop for Changing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Changes that are waited for.
#[derive(Debug)]
pub struct Settling {
    volume: Arc<Volume>,
    before: usize,
}

impl Settling {
    /// Whether all of them have landed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.volume
            .watches()
            .counter(self.before)
            .load(Ordering::SeqCst)
            == 0
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.volume
            .watches()
            .settling
            .store(false, Ordering::SeqCst);
    }
}

impl Watches {
    fn counter(&self, turn: usize) -> &Arc<AtomicU32> {
        let [even, odd] = &self.under_way;
        if turn.is_multiple_of(2) { even } else { odd }
    }

    /// A change begins. It is counted before the watches are looked at, and a watch is there before the
    /// counters are: so either the change finds the watch, or who has set the watch finds the change.
    pub(crate) fn begin(&self, op: &VolumeOp) -> Changing {
        let counter = Arc::clone(self.counter(self.turn.load(Ordering::SeqCst)));
        counter.fetch_add(1, Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) > 0 {
            self.touch(op);
        }
        Changing(counter)
    }

    /// Anything may have changed.
    pub(crate) fn change_everything(&self) {
        let mut list = self.list.lock();
        for watched in list.drain(..) {
            watched.changed.store(true, Ordering::SeqCst);
        }
        self.count.store(0, Ordering::SeqCst);
    }

    /// Marks the watches that `op` touches, which then have seen all that they were there for.
    fn touch(&self, op: &VolumeOp) {
        let mut list = self.list.lock();
        list.retain(|watched| {
            let touched = match op {
                VolumeOp::Write { offset, data, .. }
                | VolumeOp::OrWrite { offset, data, .. }
                | VolumeOp::WriteAtomic { offset, data, .. }
                | VolumeOp::CompareAndWrite { offset, data, .. } => {
                    let length = data.iter().map(|piece| piece.len() as u64).sum();
                    watched.touches(*offset, length)
                }
                VolumeOp::WriteSame { offset, length, .. }
                | VolumeOp::CopyFrom { offset, length, .. } => watched.touches(*offset, *length),
                VolumeOp::Unmap { ranges } => ranges
                    .iter()
                    .any(|range| watched.touches(range.offset, range.length)),
                // Whatever else changes something may change anything.
                _ => true,
            };
            if touched {
                watched.changed.store(true, Ordering::SeqCst);
            }
            !touched
        });
        self.count.store(list.len(), Ordering::SeqCst);
    }
}

impl Volume {
    /// Begins to watch `ranges`.
    #[must_use]
    pub fn watch(self: &Arc<Self>, ranges: Vec<Range>) -> Watch {
        let watched = Arc::new(Watched {
            ranges,
            changed: AtomicBool::new(false),
        });
        let watches = self.watches();
        let mut list = watches.list.lock();
        list.push(Arc::clone(&watched));
        watches.count.store(list.len(), Ordering::SeqCst);
        drop(list);
        Watch {
            volume: Arc::downgrade(self),
            watched,
        }
    }

    /// Something to ask until every change has landed that was begun before this call; later ones
    /// don't hold it up. `None` while somebody else waits like this.
    #[must_use]
    pub fn settle_writes(self: &Arc<Self>) -> Option<Settling> {
        let watches = self.watches();
        if watches.settling.swap(true, Ordering::SeqCst) {
            return None;
        }
        let before = watches.turn.fetch_add(1, Ordering::SeqCst);
        Some(Settling {
            volume: Arc::clone(self),
            before,
        })
    }
}

#[cfg(test)]
mod tests;
