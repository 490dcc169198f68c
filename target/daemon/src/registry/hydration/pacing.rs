//! How fast blocks are copied while hosts go on, and what comes after each round. Only values: times and
//! amounts come from outside.

use std::time::Duration;

/// How much longer a copy rests than it works while hosts are busy, as deletions do.
const REST_PART: u32 = 2;
/// What can be copied while hosts wait, without their noticing much.
const HOLD_MAX: u64 = 4 << 20;
/// The most that is copied while hosts wait, if it has become more by the time that they do.
pub(super) const HELD_MAX: u64 = 32 << 20;
/// Rounds that may not bring it nearer to its end before it is given up.
const STUCK_MAX: u32 = 24;
/// The part of the time for which hosts may be held back, of a hundred.
const HELD_PERCENT_MAX: u8 = 95;

/// How long to rest after a piece of work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// Bytes a second, if that is limited.
    pub(super) bytes_per_second: Option<u64>,
}

impl Rest {
    /// After so many bytes in so much time; `busy`: hosts had something to do meanwhile.
    pub(super) fn after(self, bytes: u64, worked: Duration, busy: bool) -> Duration {
        let hosts = if busy {
            worked * REST_PART
        } else {
            Duration::ZERO
        };
        let limit = self.bytes_per_second.map_or(Duration::ZERO, |rate| {
            let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
            let allowed = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            allowed.saturating_sub(worked)
        });
        hosts.max(limit)
    }
}

/// What comes after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another one.
    Round {
        /// The limit holds.
        limited: bool,
        /// For so many of a hundred parts of the time hosts are held back.
        held_percent: u8,
    },
    /// The rest, while hosts wait.
    Last,
    /// Hosts write faster than can be copied, whatever is done.
    GiveUp,
}

/// The rounds of a copy, each of which copies what hosts have changed during the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounds {
    /// What was left before the last one.
    before: Option<u64>,
    /// Rounds that had not much less left than the one before.
    stuck: u32,
}

impl Rounds {
    /// So many bytes are left.
    pub(super) fn after(&mut self, left: u64) -> Next {
        if left <= HOLD_MAX {
            return Next::Last;
        }
        // At least a third less each time: that has an end.
        let is_less = self.before.is_none_or(|before| left <= before / 3 * 2);
        self.before = Some(left);
        if !is_less {
            self.stuck += 1;
        }
        self.next()
    }

    /// There was too much left when hosts waited already.
    pub(super) fn was_too_much(&mut self) -> Next {
        self.stuck += 1;
        self.next()
    }

    fn next(self) -> Next {
        if self.stuck > STUCK_MAX {
            return Next::GiveUp;
        }
        let held_percent = match self.stuck {
            0 | 1 => 0,
            // Half of the time, three quarters of it, and so on.
            stuck => 100 - (100_u8 >> (stuck - 1).min(7)),
        };
        Next::Round {
            limited: self.stuck == 0,
            held_percent: held_percent.min(HELD_PERCENT_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn hosts_come_first_and_a_limit_is_one() {
        let free = Rest {
            bytes_per_second: None,
        };
        assert_eq!(free.after(1 << 20, SECOND, false), Duration::ZERO);
        assert_eq!(free.after(1 << 20, SECOND, true), SECOND * REST_PART);
        let limited = Rest {
            bytes_per_second: Some(1 << 20),
        };
        assert_eq!(limited.after(10 << 20, SECOND, false), SECOND * 9);
        assert_eq!(limited.after(10 << 20, SECOND, true), SECOND * 9);
        assert_eq!(limited.after(1 << 20, SECOND * 2, false), Duration::ZERO);
        let least = Rest {
            bytes_per_second: Some(0),
        };
        assert!(least.after(u64::MAX, SECOND, false) > SECOND);
    }

    /// Hosts that change `rate` times as much as is copied, when nobody holds them back, of a volume of that size;
    /// how many rounds it takes, or `None` if it is given up.
    fn simulate(size: u64, rate: f64) -> Option<usize> {
        let mut rounds = Rounds::default();
        let (mut left, mut held) = (size, 0);
        for round in 0.. {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a test"
            )]
            #[allow(clippy::cast_precision_loss, reason = "a test")]
            let changed = (left as f64 * rate * f64::from(100 - held) / 100.0) as u64;
            left = changed.min(size);
            match rounds.after(left) {
                Next::Last => return Some(round),
                Next::GiveUp => return None,
                Next::Round { held_percent, .. } => held = held_percent,
            }
        }
        unreachable!("it has an end")
    }

    #[test]
    fn it_has_an_end_however_much_hosts_write() {
        const TIB: u64 = 1 << 40;
        for (rate, most) in [
            (0.0, 1),
            (0.1, 6),
            (0.5, 20),
            (0.9, 30),
            (2.0, 30),
            (8.0, 40),
        ] {
            let rounds = simulate(TIB, rate).unwrap_or_else(|| panic!("given up at {rate}"));
            assert!(rounds <= most, "{rounds} at {rate}");
        }
        assert_eq!(simulate(TIB, 1000.0), None, "and says so");
        let mut rounds = Rounds::default();
        let ends = (0..100).any(|_| rounds.was_too_much() == Next::GiveUp);
        assert!(ends);
    }

    #[test]
    fn nobody_is_held_back_while_it_gets_nearer_to_its_end() {
        let mut rounds = Rounds::default();
        let calm = Next::Round {
            limited: true,
            held_percent: 0,
        };
        for left in [1 << 40, 1 << 38, 1 << 36, 1 << 30] {
            assert_eq!(rounds.after(left), calm);
        }
        // First the limit goes, and only then hosts are held back.
        let held = |rounds: &mut Rounds| match rounds.after(1 << 30) {
            Next::Round {
                limited,
                held_percent,
            } => (limited, held_percent),
            other => panic!("{other:?}"),
        };
        assert_eq!(held(&mut rounds), (false, 0));
        assert_eq!(held(&mut rounds), (false, 50));
        assert_eq!(held(&mut rounds), (false, 75));
        assert_eq!(rounds.after(HOLD_MAX), Next::Last);
    }
}
