//! Who reads blocks where a map has shown them, without looking again: what is freed meanwhile is not used for
//! anything else before he has ended. Only numbers.

use std::collections::BTreeSet;

/// A reading that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading(u64);

/// The readings that go on, and what waits for them.
#[derive(Debug)]
pub(crate) struct Readings<T> {
    next: u64,
    under_way: BTreeSet<Reading>,
    /// With the last reading that may be about it.
    waiting: Vec<(Reading, T)>,
}

impl<T> Default for Readings<T> {
    fn default() -> Self {
        Self {
            next: 0,
            under_way: BTreeSet::new(),
            waiting: Vec::new(),
        }
    }
}

impl<T> Readings<T> {
    /// Begins one.
    pub(crate) fn begin(&mut self) -> Reading {
        let reading = Reading(self.next);
        self.next += 1;
        self.under_way.insert(reading);
        reading
    }

    /// Ends one: what has waited for no other comes back.
    pub(crate) fn end(&mut self, reading: Reading) -> Vec<T> {
        self.under_way.remove(&reading);
        let oldest = self.under_way.first().copied();
        let is_due = |waits_for: &Reading| oldest.is_none_or(|oldest| oldest > *waits_for);
        self.waiting
            .extract_if(.., |(waits_for, _)| is_due(waits_for))
            .map(|(_, what)| what)
            .collect()
    }

    /// Lets something wait for all that go on now; it comes back at once if there are none.
    pub(crate) fn wait(&mut self, what: T) -> Option<T> {
        let Some(newest) = self.under_way.last().copied() else {
            return Some(what);
        };
        self.waiting.push((newest, what));
        None
    }

    /// What waits.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|(_, what)| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_comes_back_when_the_last_reading_has_ended_that_was_there_before_it() {
        let mut readings = Readings::default();
        assert_eq!(readings.wait('a'), Some('a'));
        let first = readings.begin();
        assert_eq!(readings.wait('b'), None);
        let second = readings.begin();
        assert_eq!(readings.wait('c'), None);
        let third = readings.begin();
        assert_eq!(readings.end(second), []);
        assert_eq!(readings.waiting().count(), 2);
        // A reading that began later holds nothing up.
        assert_eq!(readings.end(first), ['b', 'c']);
        assert_eq!(readings.wait('d'), None);
        assert_eq!(readings.end(third), ['d']);
        assert_eq!(readings.waiting().count(), 0);
    }

    #[test]
    fn readings_that_overlap_for_ever_hold_nothing_up_for_ever() {
        let mut readings = Readings::default();
        let mut last = readings.begin();
        for turn in 0..100 {
            assert_eq!(readings.wait(turn), None);
            let next = readings.begin();
            assert_eq!(readings.end(last), [turn]);
            last = next;
        }
    }
}
