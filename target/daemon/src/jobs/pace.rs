//! How fast a job has been in the last seconds. The time comes from outside.

use std::time::{Duration, Instant};

/// How long a piece of time is over which is measured.
const PIECE: Duration = Duration::from_secs(2);

/// How fast.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the piece of time before this one began, and what was done by then.
    before: Option<(Instant, u64)>,
    /// The same of this one.
    this: Option<(Instant, u64)>,
    /// The last that was told.
    last: u64,
}

impl Pace {
    /// So much is done by now.
    pub(super) fn note(&mut self, now: Instant, done: u64) {
        self.last = done;
        match self.this {
            Some((begun, _)) if now.duration_since(begun) < PIECE => {}
            this => {
                self.before = this;
                self.this = Some((now, done));
            }
        }
    }

    /// Bytes a second.
    pub(super) fn per_second(&self, now: Instant) -> Option<u64> {
        let (begun, done) = self.before.or(self.this)?;
        per_second(self.last.saturating_sub(done), now.duration_since(begun))
    }
}

/// Bytes a second; `None` before anything can be said.
pub(super) fn per_second(bytes: u64, within: Duration) -> Option<u64> {
    let per_second = (u128::from(bytes) * 1_000).checked_div(within.as_millis())?;
    u64::try_from(per_second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_speed_of_the_last_seconds_and_not_of_all_of_them() {
        let begun = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.per_second(begun), None);
        // A hundred a second at first, ten later.
        let mut done = 0;
        for second in 0..10 {
            pace.note(begun + Duration::from_secs(second), done);
            done += 100;
        }
        let at = begun + Duration::from_secs(9);
        assert_eq!(pace.per_second(at), Some(100));
        for second in 10..30 {
            pace.note(begun + Duration::from_secs(second), done);
            done += 10;
        }
        let now = pace.per_second(begun + Duration::from_secs(29)).unwrap();
        assert!((8..=12).contains(&now), "{now}");
        // Nothing comes any more.
        let later = pace.per_second(begun + Duration::from_secs(600)).unwrap();
        assert!(later < 1, "{later}");
    }
}
