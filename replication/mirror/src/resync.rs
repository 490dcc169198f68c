//! How fast a resync may be: as fast as it can while hosts are quiet, and out of their way while they aren't. Pure:
//! time and what hosts see are arguments.

/// A budget may be this many milliseconds' worth of the rate.
const BURST_MS: u64 = 100;
/// The lowest rate, so that a resync ends however busy hosts are: bytes per second.
const RATE_MIN: u64 = 4 << 20;
/// The rate at first.
const RATE_FIRST: u64 = 64 << 20;

/// What the operator has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes per second that a resync never exceeds; `None`: as fast as it can.
    pub rate_max: Option<u64>,
    /// How long a write of a host may take while a resync goes on, in microseconds; beyond it the resync slows down.
    pub latency_max_us: u64,
}

/// The rate of one resync: it halves when hosts wait, and grows when they don't: by a tenth, or faster while there are
/// none.
#[derive(Clone, Debug)]
pub struct Rate {
    limits: Limits,
    rate: u64,
    /// What it was before it began to double. Nobody has said since that more is no harm.
    before: Option<u64>,
    /// Bytes that may be copied and weren't granted yet, times a thousand.
    owed: u64,
    last_ms: u64,
}

impl Rate {
    /// From now on.
    #[must_use]
    pub fn new(limits: Limits, now_ms: u64) -> Self {
        let mut rate = Self {
            limits,
            rate: RATE_FIRST,
            before: None,
            owed: 0,
            last_ms: now_ms,
        };
        rate.clamp();
        rate
    }

    /// Other limits from now on.
    pub fn set(&mut self, limits: Limits) {
        self.limits = limits;
        self.clamp();
    }

    /// Bytes per second.
    #[must_use]
    pub const fn rate(&self) -> u64 {
        self.rate
    }

    /// What hosts have seen since the last call: how many writes, and how long the slower ones took (the 99th of a
    /// hundred, in microseconds). Call it every tenth of a second or so. It grows only if the resync `wants_more`.
    pub fn observe(&mut self, writes: u64, latency_us: u64, wants_more: bool) {
        if writes > 0 {
            self.make_way();
            if latency_us > self.limits.latency_max_us {
                self.rate /= 2;
                return self.clamp();
            }
        }
        if wants_more {
            self.rate = self.rate.saturating_add(self.rate / 10);
        }
        self.clamp();
    }

    /// The resync wants more, and there is nobody who could be held up. If there is somebody later who is, all of it is taken
    /// back.
    pub fn double(&mut self) {
        self.before.get_or_insert(self.rate);
        self.rate = self.rate.saturating_mul(2);
        self.clamp();
    }

    /// There is somebody: what was reached while there was nobody counts for nothing.
    pub fn make_way(&mut self) {
        self.rate = self.before.take().unwrap_or(self.rate);
        self.clamp();
    }

    /// Another resync begins, and hosts may have come since the last one.
    pub fn begin_anew(&mut self) {
        self.make_way();
        self.rate = self.rate.min(RATE_FIRST);
    }

    /// How many bytes more may be copied now.
    pub fn grant(&mut self, now_ms: u64) -> u64 {
        let passed_ms = now_ms.saturating_sub(self.last_ms).min(BURST_MS);
        self.last_ms = self.last_ms.max(now_ms);
        self.owed = self
            .owed
            .saturating_add(self.rate.saturating_mul(passed_ms));
        let bytes = self.owed / 1_000;
        self.owed %= 1_000;
        bytes
    }

    fn clamp(&mut self) {
        let max = self.limits.rate_max.unwrap_or(u64::MAX / 10_000);
        self.rate = self.rate.max(RATE_MIN).min(max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        rate_max: None,
        latency_max_us: 2_000,
    };

    #[test]
    fn it_grants_its_rate_and_no_more_after_a_pause() {
        let mut rate = Rate::new(LIMITS, 0);
        let granted: u64 = (1..=1_000).map(|now| rate.grant(now)).sum();
        assert_eq!(granted, RATE_FIRST);
        assert_eq!(
            rate.grant(60_000),
            RATE_FIRST / 10,
            "a tenth of a second at once"
        );
        assert_eq!(rate.grant(60_000), 0);
        assert_eq!(
            rate.grant(50_000),
            0,
            "a clock that goes back grants nothing"
        );
    }

    #[test]
    fn it_makes_way_for_hosts_and_comes_back() {
        let mut rate = Rate::new(LIMITS, 0);
        for _ in 0..20 {
            rate.observe(100, 2_001, true);
        }
        assert_eq!(rate.rate(), RATE_MIN, "and it never stops");
        for _ in 0..50 {
            rate.observe(100, 2_000, true);
        }
        assert!(rate.rate() > RATE_FIRST);
        let before = rate.rate();
        rate.observe(0, 1_000_000, true);
        assert!(rate.rate() > before, "nobody waited");
        let before = rate.rate();
        rate.observe(100, 2_000, false);
        assert_eq!(rate.rate(), before, "it would be of no use");
    }

    #[test]
    fn what_it_has_reached_while_nobody_was_there_counts_for_nothing() {
        let mut rate = Rate::new(LIMITS, 0);
        (0..10).for_each(|_| rate.double());
        assert_eq!(rate.rate(), RATE_FIRST << 10);
        rate.observe(0, 0, false);
        rate.observe(1, 2_001, true);
        assert_eq!(rate.rate(), RATE_FIRST / 2);
        (0..10).for_each(|_| rate.double());
        rate.observe(1, 2_001, true);
        assert_eq!(rate.rate(), RATE_FIRST / 4, "and again and again");
        (0..10).for_each(|_| rate.double());
        rate.observe(1, 2_000, true);
        let grown = RATE_FIRST / 4 + RATE_FIRST / 40;
        assert_eq!(rate.rate(), grown, "one fast write says little");
        rate.double();
        rate.make_way();
        assert_eq!(rate.rate(), grown);
    }

    #[test]
    fn another_resync_is_never_faster_at_first_than_the_first_one() {
        let mut rate = Rate::new(LIMITS, 0);
        (0..50).for_each(|_| rate.observe(1, 0, true));
        assert!(rate.rate() > RATE_FIRST);
        rate.double();
        rate.begin_anew();
        assert_eq!(rate.rate(), RATE_FIRST);
        rate.observe(1, 2_001, true);
        rate.double();
        rate.begin_anew();
        assert_eq!(rate.rate(), RATE_FIRST / 2, "hosts had no room for more");
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let limits = Limits {
            rate_max: Some(1 << 20),
            ..LIMITS
        };
        let mut rate = Rate::new(limits, 0);
        assert_eq!(rate.rate(), 1 << 20);
        for _ in 0..100 {
            rate.observe(0, 0, true);
        }
        assert_eq!(rate.rate(), 1 << 20);
        rate.double();
        assert_eq!(rate.rate(), 1 << 20);
        rate.set(LIMITS);
        for _ in 0..1_000 {
            rate.observe(0, 0, true);
        }
        assert!(rate.grant(1_000) > 1 << 40);
    }
}
