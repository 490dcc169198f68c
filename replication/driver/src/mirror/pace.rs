//! How fast a resync goes on, by what hosts' writes take meanwhile: [`Rate`] with a clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use tidelock_mirror::link::DATA_MAX;
use tidelock_mirror::resync::{Limits, Rate};

/// Latencies that are kept between two looks: the largest, of which one in a hundred is looked for.
const LATENCIES_MAX: usize = 1024;
/// How often the rate is adapted to what hosts see.
const ADAPT: Duration = Duration::from_millis(100);
/// Who hasn't asked for so long asks for another resync.
const OVER: Duration = Duration::from_secs(1);
/// After so many looks at which there was no host it is taken that none is there.
const QUIET: u32 = 2;

/// The hosts of the volume whose commands are under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    pub(super) any: bool,
    /// Since when the one does that has waited for longest, of those that came while a resync went on.
    pub(super) since: Option<Instant>,
}

/// What hosts' writes took in a window, in microseconds.
#[derive(Debug, Default)]
struct Latencies {
    count: u64,
    largest: BinaryHeap<Reverse<u64>>,
}

impl Latencies {
    fn add(&mut self, us: u64) {
        self.count += 1;
        self.largest.push(Reverse(us));
        if self.largest.len() > LATENCIES_MAX {
            self.largest.pop();
        }
    }

    /// What the slower ones took: the 99th of a hundred, and of fewer than a hundred the last one.
    fn slow(&mut self) -> u64 {
        let slower = usize::try_from(self.count / 100).unwrap_or(usize::MAX);
        while self.largest.len() > slower.saturating_add(1) {
            self.largest.pop();
        }
        self.largest.peek().map_or(0, |it| it.0)
    }

    fn clear(&mut self) {
        self.count = 0;
        self.largest.clear();
    }
}

/// See the module.
pub(super) struct Pace {
    rate: Rate,
    began: Instant,
    /// Since the rate was adapted.
    latencies: Latencies,
    adapted: Instant,
    /// At so many looks no host had written, nor waited.
    quiet: u32,
}

impl Pace {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            rate: Rate::new(limits, 0),
            began: now,
            latencies: Latencies::default(),
            adapted: now,
            quiet: 0,
        }
    }

    /// Other limits from now on. What a resync has of its budget is to be cut down to [`Pace::keeps`].
    pub(super) fn set_limits(&mut self, limits: Limits, now: Instant) {
        // What wasn't granted under the limits before isn't granted under these.
        let _ = self.granted(now);
        self.rate.set(limits);
    }

    /// How much of a budget may be kept: none of it if no resync goes on, as the next one would spend it at once.
    pub(super) fn keeps(&self, resyncing: bool) -> u64 {
        if resyncing { self.most() } else { 0 }
    }

    /// A host's write has ended, which began then, if a resync goes on.
    pub(super) fn took(&mut self, began: Option<Instant>) {
        if let Some(began) = began {
            self.latencies.add(micros(began.elapsed()));
        }
    }

    /// How many bytes a resync may copy that has `left` of what it was given before: what it keeps of that, and what it
    /// gets. To be asked every few milliseconds.
    pub(super) fn budget(&mut self, now: Instant, left: u64, waiting: Waiting) -> (u64, u64) {
        if now.saturating_duration_since(self.adapted) >= OVER {
            self.quiet = 0;
            self.latencies.clear();
            self.rate.begin_anew();
        }
        if waiting.any || self.latencies.count > 0 {
            self.quiet = 0;
            // It isn't waited for until a write has ended: that takes the longer the more is copied.
            self.rate.make_way();
        } else {
            self.quiet = self.quiet.saturating_add(1);
        }
        // Who doesn't use what there is needs no more; and once hosts come a high rate would take long to get low. Less than
        // a region is of no use.
        let wants_more = left < (self.most() / 20).max(DATA_MAX as u64);
        if now.saturating_duration_since(self.adapted) >= ADAPT {
            self.adapt(now, waiting, wants_more);
        }
        if self.quiet > QUIET && wants_more {
            self.rate.double();
        }
        let granted = self.granted(now);
        // What isn't used isn't saved up, nor is what was given before hosts came.
        let kept = left.min(self.most());
        (kept, granted.min(self.most() - kept))
    }

    fn granted(&mut self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began).as_millis();
        self.rate.grant(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    fn adapt(&mut self, now: Instant, waiting: Waiting, wants_more: bool) {
        self.adapted = now;
        // Who waits and hasn't got anything may be waiting for the resync.
        let may_grow = !waiting.any || self.latencies.count > 0;
        if let Some(since) = waiting.since {
            self.latencies
                .add(micros(now.saturating_duration_since(since)));
        }
        let (writes, slow) = (self.latencies.count, self.latencies.slow());
        self.rate.observe(writes, slow, wants_more && may_grow);
        self.latencies.clear();
    }

    fn most(&self) -> u64 {
        (self.rate.rate() / 10).max(2 * DATA_MAX as u64)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
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

        fn ticks(&mut self, count: u32, most: u64, host: impl Fn(&mut Pace) -> Waiting) {
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

    fn nobody(_: &mut Pace) -> Waiting {
        Waiting::default()
    }

    fn waits(_: &mut Pace) -> Waiting {
        Waiting {
            any: true,
            since: None,
        }
    }

    fn writes(pace: &mut Pace) -> Waiting {
        pace.latencies.add(10_001);
        Waiting::default()
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
        resync.ticks(20, u64::MAX, waits);
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
        resync.left = resync.left.min(resync.pace.keeps(false));
        // What there still is of it is spent before anybody looks.
        resync.copied = std::mem::take(&mut resync.left);
        resync.now += Duration::from_secs(60);
        resync.ticks(4, u64::MAX, waits);
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

    fn rate_after(latencies: &[u64]) -> u64 {
        let mut resync = Resync::new();
        latencies
            .iter()
            .for_each(|us| resync.pace.latencies.add(*us));
        resync.ticks(5, u64::MAX, |_| Waiting::default());
        resync.pace.rate.rate()
    }

    #[test]
    fn few_writes_are_judged_by_their_worst_and_many_by_all_but_one_of_a_hundred() {
        let first = Resync::new().pace.rate.rate();
        assert!(rate_after(&[1_000, 150_000]) < first);
        let mut many = vec![1_000; 99];
        many.push(150_000);
        assert!(rate_after(&many) > first);
        many.push(150_000);
        assert!(rate_after(&many) < first);
        let mut more = vec![1_000; 4_000];
        more.extend([150_000; 100]);
        assert!(rate_after(&more) < first, "however late they come");
    }

    #[test]
    fn whoever_waits_for_long_is_made_way_for_before_the_write_ends() {
        let mut resync = Resync::new();
        let first = resync.pace.rate.rate();
        let since = Some(resync.now);
        resync.ticks(50, u64::MAX, |_| Waiting { any: true, since });
        assert!(resync.pace.rate.rate() < first / 8);
    }

    #[test]
    fn it_never_grows_while_somebody_waits_and_nothing_ends() {
        let mut resync = Resync::new();
        let first = resync.pace.rate.rate();
        resync.ticks(100, u64::MAX, waits);
        assert_eq!(resync.pace.rate.rate(), first);
    }

    #[test]
    fn the_first_host_that_comes_is_made_way_for_at_the_next_look() {
        let mut resync = Resync::new();
        let first = resync.pace.rate.rate();
        resync.ticks(20, u64::MAX, nobody);
        assert!(resync.pace.rate.rate() > first << 8);
        resync.ticks(1, u64::MAX, waits);
        assert!(resync.pace.rate.rate() < first * 2);
    }

    #[test]
    fn another_resync_knows_nothing_of_the_writes_before_it() {
        let mut resync = Resync::new();
        resync.ticks(5, u64::MAX, nobody);
        let first = Resync::new().pace.rate.rate();
        (0..10).for_each(|_| resync.pace.latencies.add(150_000));
        resync.now += Duration::from_secs(60);
        resync.ticks(1, u64::MAX, nobody);
        assert!(resync.pace.rate.rate() >= first);
    }

    #[test]
    fn no_more_is_copied_than_the_limit_says_however_it_changes() {
        let mut seed = 1_u64;
        let mut random = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut resync = Resync::new();
        let mut limit = u64::MAX / 10_000;
        let (mut changed, mut copied) = (resync.now, 0);
        for _ in 0..20_000 {
            resync.now += Duration::from_millis(random(40));
            match random(40) {
                0 => {
                    limit = (64 << 10) << random(16);
                    let limits = Limits {
                        rate_max: Some(limit),
                        ..LIMITS
                    };
                    resync.pace.set_limits(limits, resync.now);
                    resync.left = resync.left.min(resync.pace.keeps(true));
                    (changed, copied) = (resync.now, resync.copied);
                }
                1 => resync.now += Duration::from_millis(random(3_000)),
                _ => {}
            }
            // What there is may be spent before the next look.
            let most = match random(4) {
                0 => u64::MAX,
                part => part * (limit / 40),
            };
            let before = resync.left.min(most);
            resync.left -= before;
            resync.copied += before;
            let host = random(60);
            resync.ticks(1, most, |pace| match host {
                0 => writes(pace),
                1 => waits(pace),
                _ => nobody(pace),
            });
            let ms = resync.now.duration_since(changed).as_millis();
            let time = u64::try_from(ms).unwrap() + 1;
            let may = limit.saturating_mul(time) / 1_000 + (limit / 10).max(2 << 20);
            assert!(resync.copied - copied <= may, "{limit} B/s, {ms} ms");
        }
    }
}
