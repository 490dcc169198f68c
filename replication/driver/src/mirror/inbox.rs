//! What is on its way to an end: brought in order, by one thread at a time, and by any.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// A queue whose content is brought to somebody. Nobody waits for anybody: what comes while a thread brings is brought
/// by that one.
#[derive(Debug)]
pub struct Inbox<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// A thread is at it.
    bringing: bool,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self(Mutex::new(State {
            waiting: VecDeque::new(),
            bringing: false,
        }))
    }
}

/// Lets others bring what is left, also if whom it is brought to has a defect.
struct Turn<'a, T>(&'a Inbox<T>);

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.0.0.lock().bringing = false;
    }
}

impl<T> Inbox<T> {
    /// Puts something behind what is there already.
    pub fn put(&self, it: T) {
        self.0.lock().waiting.push_back(it);
    }

    /// Brings what is there, and what comes meanwhile, unless a thread is at it, which does so then. It may be one of
    /// the callers of this one.
    pub fn bring(&self, mut to: impl FnMut(T)) {
        let mut turn = None;
        loop {
            let mut state = self.0.lock();
            if turn.is_none() && state.bringing {
                return;
            }
            let Some(next) = state.waiting.pop_front() else {
                // Under the same lock, so that nobody leaves anything to a thread that has gone.
                state.bringing = false;
                drop(state);
                std::mem::forget(turn);
                return;
            };
            state.bringing = true;
            drop(state);
            if turn.is_none() {
                turn = Some(Turn(self));
            }
            to(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn what_many_threads_put_is_brought_by_one_at_a_time_and_in_order() {
        const EACH: usize = 2_000;
        let inbox = Inbox::default();
        let (at_it, seen) = (AtomicUsize::new(0), Mutex::new(vec![0; 4]));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (inbox, at_it, seen) = (&inbox, &at_it, &seen);
                scope.spawn(move || {
                    for number in 0..EACH {
                        inbox.put((thread, number));
                        inbox.bring(|(thread, number): (usize, usize)| {
                            assert_eq!(at_it.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                            let mut seen = seen.lock();
                            assert_eq!(seen[thread], number, "in order");
                            seen[thread] += 1;
                            drop(seen);
                            at_it.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                });
            }
        });
        // Whoever was the last to put something brought it, or left it to somebody who did.
        assert_eq!(*seen.lock(), vec![EACH; 4]);
    }

    #[test]
    fn what_is_put_by_whom_it_is_brought_to_comes_next() {
        let inbox = Inbox::default();
        inbox.put(0);
        let mut seen = Vec::new();
        inbox.bring(|it| {
            seen.push(it);
            if it < 5 {
                inbox.put(it + 1);
                inbox.bring(|_| panic!("a thread is at it"));
            }
        });
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_defect_of_whom_it_is_brought_to_stops_nobody_else() {
        let inbox = Inbox::default();
        inbox.put(1);
        inbox.put(2);
        let broken = std::panic::AssertUnwindSafe(|| inbox.bring(|_| panic!("a defect")));
        assert!(std::panic::catch_unwind(broken).is_err());
        let mut seen = Vec::new();
        inbox.bring(|it| seen.push(it));
        assert_eq!(seen, [2]);
    }
}
