//! How long to wait before the next attempt to connect. Pure: chance comes from outside.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const MOST: Duration = Duration::from_secs(15);

/// Waits that become longer, up to 15 s, each between half and all of what it could be, so that daemons that lost each
/// other at one moment don't knock at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next wait; `random` is any number.
    pub(super) fn next(&mut self, random: u32) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.attempts.min(16));
        self.attempts = self.attempts.saturating_add(1);
        let half = doubled.min(MOST) / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// It went well.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// A number for [`Backoff::next`].
pub(super) fn random() -> u32 {
    // Without randomness they just wait alike.
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_begin_anew_after_success() {
        let mut longest = Backoff::default();
        let all: Vec<_> = (0..10).map(|_| longest.next(u32::MAX)).collect();
        assert_eq!(all.first(), Some(&FIRST));
        assert!(all.is_sorted());
        assert_eq!(all.last(), Some(&MOST));
        longest.reset();
        assert_eq!(longest.next(u32::MAX), FIRST);
        let mut shortest = Backoff::default();
        assert_eq!(shortest.next(0), FIRST / 2);
        let mut many = Backoff { attempts: u32::MAX };
        assert_eq!(many.next(0), MOST / 2);
    }
}
