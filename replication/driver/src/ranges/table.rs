//! Who waits for whom: the pure decision. Knows no threads and no engines; what else is at work on a
//! range is an argument.

use std::sync::atomic::{AtomicU64, Ordering};

use tidelock_volume::Range;

use super::Ranges;

/// An entry of a table, unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(u64);

impl Ticket {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What an operation bears beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Other shared ones.
    Shared,
    /// Nothing that overlaps.
    Exclusive,
}

/// The operations that hold or want a lock, and those that have met one, in order of arrival.
#[derive(Debug)]
pub(super) struct Table<O> {
    entries: Vec<Entry<O>>,
}

#[derive(Debug)]
struct Entry<O> {
    ticket: Ticket,
    mode: Mode,
    ranges: Ranges,
    granted: bool,
    owner: O,
}

impl<O> Default for Table<O> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<O> Table<O> {
    /// Whether an ordinary operation on `ranges` that comes now must wait.
    pub(super) fn is_in_the_way(&self, ranges: &Ranges) -> bool {
        blocked(&self.entries, Mode::Shared, ranges)
    }

    /// Puts an operation at the end; true if it may begin at once. `is_quiet` says whether nothing
    /// without an entry is at work on a range.
    pub(super) fn enter(
        &mut self,
        ticket: Ticket,
        mode: Mode,
        ranges: Ranges,
        owner: O,
        is_quiet: impl Fn(Range) -> bool,
    ) -> bool {
        let granted = !blocked(&self.entries, mode, &ranges) && may(mode, &ranges, &is_quiet);
        self.entries.push(Entry {
            ticket,
            mode,
            ranges,
            granted,
            owner,
        });
        granted
    }

    /// Takes an operation out and gives its ranges, for which [`Self::settle`] is due; `None` if it
    /// isn't there.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Ranges> {
        let found = self.entries.iter().position(|entry| entry.ticket == ticket);
        found.map(|at| self.entries.remove(at).ranges)
    }

    /// Tells the owners of those that may begin now that `freed` has become free.
    pub(super) fn settle(
        &mut self,
        freed: &Ranges,
        is_quiet: impl Fn(Range) -> bool,
        mut tell: impl FnMut(Ticket, &O),
    ) {
        for at in 0..self.entries.len() {
            let Some((entry, earlier)) = self
                .entries
                .get_mut(..=at)
                .and_then(|entries| entries.split_last_mut())
            else {
                return;
            };
            if !entry.granted
                && meet(&entry.ranges, freed)
                && !blocked(earlier, entry.mode, &entry.ranges)
                && may(entry.mode, &entry.ranges, &is_quiet)
            {
                entry.granted = true;
                tell(entry.ticket, &entry.owner);
            }
        }
    }
}

/// Whether one of these stands in the way of somebody who came later.
fn blocked<O>(earlier: &[Entry<O>], mode: Mode, ranges: &Ranges) -> bool {
    earlier.iter().any(|entry| {
        (mode == Mode::Exclusive || entry.mode == Mode::Exclusive) && meet(&entry.ranges, ranges)
    })
}

fn meet(a: &Ranges, b: &Ranges) -> bool {
    a.iter().any(|a| b.iter().any(|b| overlap(*a, *b)))
}

/// Shared operations don't mind what else is at work.
fn may(mode: Mode, ranges: &Ranges, is_quiet: &impl Fn(Range) -> bool) -> bool {
    mode == Mode::Shared || ranges.iter().all(|range| is_quiet(*range))
}

/// Whether two ranges have a byte in common.
pub(super) fn overlap(a: Range, b: Range) -> bool {
    a.offset < b.offset.saturating_add(b.length) && b.offset < a.offset.saturating_add(a.length)
}
