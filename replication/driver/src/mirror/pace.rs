//! How fast a resync goes on, by what hosts' writes take meanwhile: [`Rate`] with a clock.

use std::time::{Duration, Instant};

use tidelock_mirror::link::DATA_MAX;
use tidelock_mirror::resync::{Limits, Rate};

/// Latencies that are kept between two looks.
const LATENCIES_MAX: usize = 1024;
/// How often the rate is adapted to what hosts see.
const ADAPT: Duration = Duration::from_millis(100);
/// Who hasn't asked for so long asks for another resync.
const OVER: Duration = Duration::from_secs(1);
/// After so many looks at which there was no host it is taken that none is there.
const QUIET: u32 = 2;

/// See the module.
pub(super) struct Pace {
    rate: Rate,
    began: Instant,
    /// What hosts' writes took since the rate was adapted, in microseconds.
    latencies: Vec<u64>,
    adapted: Instant,
    /// At so many looks no host had written, nor waited.
    quiet: u32,
}

impl Pace {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            rate: Rate::new(limits, 0),
            began: now,
            latencies: Vec::new(),
            adapted: now,
            quiet: 0,
        }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.rate.set(limits);
    }

    /// A host's write has ended, which began then, if a resync goes on.
    pub(super) fn took(&mut self, began: Option<Instant>) {
        if let Some(began) = began
            && self.latencies.len() < LATENCIES_MAX
        {
            let us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.latencies.push(us);
        }
    }

    /// How many bytes a resync may copy that has `left` of what it was given before: what it keeps of that, and what it
    /// gets. `waiting`: so does a host. To be asked every few milliseconds.
    pub(super) fn budget(&mut self, now: Instant, left: u64, waiting: bool) -> (u64, u64) {
        if now.saturating_duration_since(self.adapted) >= OVER {
            self.quiet = 0;
            self.rate.begin_anew();
        }
        // Who doesn't use what there is needs no more; and once hosts come a high rate would take long to get low. Less than
        // a region is of no use.
        let wants_more = left < (self.most() / 20).max(DATA_MAX as u64);
        if waiting || !self.latencies.is_empty() {
            self.quiet = 0;
        } else {
            self.quiet = self.quiet.saturating_add(1);
        }
        if now.saturating_duration_since(self.adapted) >= ADAPT {
            self.adapt(now, wants_more);
        }
        if self.quiet > QUIET && wants_more {
            self.rate.double();
        }
        let passed = now.saturating_duration_since(self.began).as_millis();
        let granted = self.rate.grant(u64::try_from(passed).unwrap_or(u64::MAX));
        // What isn't used isn't saved up, nor is what was given before hosts came.
        let kept = left.min(self.most());
        (kept, granted.min(self.most() - kept))
    }

    fn adapt(&mut self, now: Instant, wants_more: bool) {
        self.adapted = now;
        self.latencies.sort_unstable();
        let at = self.latencies.len().saturating_sub(1).saturating_mul(99) / 100;
        let slow = self.latencies.get(at).copied().unwrap_or_default();
        let writes = self.latencies.len() as u64;
        self.rate.observe(writes, slow, wants_more);
        self.latencies.clear();
    }

    fn most(&self) -> u64 {
        (self.rate.rate() / 10).max(2 * DATA_MAX as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(20);
    const LIMITS: Limits = Limits {
        rate_max: None,
        latency_max_us: 10_000,
    };

    /// A resync that copies all that it may, or so many bytes in a tick at most.
    struct Resync {
        pace: Pace,
        now: Instant,
        left: u64,
        copied: u64,
    }

    impl Resync {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                pace: Pace::new(LIMITS, now),
                now,
                left: 0,
                copied: 0,
            }
        }

        fn ticks(&mut self, count: u32, most: u64, host: impl Fn(&mut Pace) -> bool) {
            for _ in 0..count {
                self.now += TICK;
                let waiting = host(&mut self.pace);
                let (kept, granted) = self.pace.budget(self.now, self.left, waiting);
                self.left = kept + granted;
                let copies = self.left.min(most);
                self.left -= copies;
                self.copied += copies;
            }
        }
    }

    fn nobody(_: &mut Pace) -> bool {
        false
    }

    fn writes(pace: &mut Pace) -> bool {
        pace.latencies.push(10_001);
        false
    }

    #[test]
    fn a_resync_that_nobody_feels_is_at_full_speed_soon() {
        let mut resync = Resync::new();
        resync.ticks(20, u64::MAX, nobody);
        assert!(resync.copied > 1 << 30, "{} bytes", resync.copied);
    }

    #[test]
    fn whoever_waits_is_somebody() {
        let mut resync = Resync::new();
        resync.ticks(20, u64::MAX, |_| true);
        assert!(resync.copied < 64 << 20, "{} bytes", resync.copied);
    }

    #[test]
    fn it_makes_way_at_once_however_long_nobody_was_there() {
        let mut resync = Resync::new();
        resync.ticks(10_000, 20 << 20, nobody);
        assert!(resync.pace.rate.rate() > 1 << 30, "all that it can");
        assert!(resync.pace.rate.rate() < 8 << 30, "and not much more");
        resync.ticks(6, 20 << 20, writes);
        let before = resync.copied;
        resync.ticks(50, 20 << 20, writes);
        assert!(resync.copied - before < 32 << 20);
    }

    #[test]
    fn another_resync_begins_slowly_where_hosts_are() {
        let mut resync = Resync::new();
        resync.ticks(100, 20 << 20, nobody);
        (resync.left, resync.copied) = (0, 0);
        resync.now += Duration::from_secs(60);
        resync.ticks(4, u64::MAX, |_| true);
        assert!(resync.copied < 32 << 20, "{} bytes", resync.copied);
    }

    #[test]
    fn hosts_that_come_now_and_then_are_made_way_for_as_well() {
        let mut resync = Resync::new();
        for _ in 0..10 {
            resync.ticks(8, 20 << 20, nobody);
            resync.ticks(4, 20 << 20, writes);
        }
        let before = resync.copied;
        resync.ticks(1, 20 << 20, writes);
        assert!(resync.copied - before < 1 << 20);
    }
}
