//! How long it is from one look at a mirror to the next, of who waits until both volumes are equal. Pure.

use std::time::Duration;

/// At first and at most: what is copied in no time is told at once.
const LOOK_MIN: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_millis(200);
/// What isn't copied in no time. A look takes the longer the more is left, and hosts wait for it.
const MUCH: u64 = 1 << 30;

/// Waits that become longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    pause: Duration,
}

impl Default for Looks {
    fn default() -> Self {
        Self { pause: LOOK_MIN }
    }
}

impl Looks {
    /// The wait after a look that said how many bytes are left to be copied.
    pub(super) fn next(&mut self, left_bytes: u64) -> Duration {
        if left_bytes >= MUCH {
            self.pause = LOOK_MAX;
        }
        let pause = self.pause;
        self.pause = (pause + pause / 8).min(LOOK_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_rarer_and_rarer_up_to_a_limit() {
        let mut looks = Looks::default();
        let all: Vec<_> = (0..40).map(|_| looks.next(MUCH - 1)).collect();
        assert_eq!(all.first(), Some(&LOOK_MIN));
        assert!(all.is_sorted());
        assert_eq!(all.last(), Some(&LOOK_MAX));
        let soon: Duration = all.iter().take_while(|it| **it < LOOK_MAX).sum();
        assert!(soon < Duration::from_secs(2), "{soon:?}");
        // No look is late by more than an eighth of the time that it took, and the least of waits.
        let mut waited = Duration::ZERO;
        for pause in all {
            assert!(pause <= LOOK_MIN + waited / 8, "{pause:?} after {waited:?}");
            waited += pause;
        }
    }

    #[test]
    fn what_takes_long_is_looked_at_rarely_from_the_beginning() {
        let mut looks = Looks::default();
        assert_eq!(looks.next(MUCH), LOOK_MAX);
        assert_eq!(looks.next(0), LOOK_MAX, "and to the end");
        let mut looks = Looks::default();
        assert_eq!(looks.next(0), LOOK_MIN);
        assert_eq!(looks.next(MUCH), LOOK_MAX, "or from when it is known");
    }
}
