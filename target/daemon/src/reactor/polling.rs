//! When a reactor that has nothing to do looks again and again instead of sleeping. Knows no sockets and no clock: time is an
//! argument.
//!
//! To be woken takes longer than to answer a small command, so whoever hears of the next one within microseconds is better
//! served by a reactor that stays awake for them. How long it does is bounded, and whether it does at all is learnt from what
//! came before, by an account of the time. To have met a command is worth four fifths of the longest time, less the time that
//! was waited for it: one that comes at once brings most, and one that comes at the last moment costs something. One that comes
//! later costs all of the time. The account is kept while the reactor sleeps as well, as if it had stayed awake. Hosts with a
//! command after the other keep it awake, for up to a whole core; commands that come now and then, of which only some would be
//! met, don't; and a reactor with nothing to do sleeps.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// With so many times the longest time to its credit, a reactor stays awake: a few commands in a row have come in time.
const ENOUGH: u32 = 2;

/// It never has more than so many times the longest time, so that a few that come late are enough to sleep.
const MOST: u32 = 4;

/// How a reactor waits.
#[derive(Debug)]
pub struct Polling {
    /// The longest time that it stays awake for nothing; zero: it never does.
    longest: Duration,
    /// What staying awake has brought so far and not cost again, up to [`MOST`] times the longest time.
    credit: Duration,
    /// Since when there is nothing to do but to wait for hosts.
    idle_since: Option<Instant>,
    /// Whoever looks, while it sleeps.
    sleeper: Option<Waker>,
}

impl Polling {
    /// A reactor that stays awake for `longest` at most.
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        Self {
            longest,
            credit: Duration::ZERO,
            idle_since: None,
            sleeper: None,
        }
    }

    /// Whether it ever stays awake: whoever hears no can save itself a look at the clock.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.longest.is_zero()
    }

    /// Something came from a host at `now`: whether it stays awake the next time follows from how long that took.
    pub fn came(&mut self, now: Instant) {
        let Some(since) = self.idle_since.take() else {
            return;
        };
        let waited = now.saturating_duration_since(since);
        let worth = if waited <= self.longest {
            self.longest * 4 / 5
        } else {
            Duration::ZERO
        };
        let credit = self.credit + worth;
        self.credit = credit
            .saturating_sub(waited.min(self.longest))
            .min(self.longest * MOST);
    }

    /// Something else was done: what is waited for next is waited for from then on, and nothing is learnt of the time until now.
    pub fn works(&mut self) {
        self.idle_since = None;
    }

    /// Whether it stays awake when there is nothing to do.
    fn pays(&self) -> bool {
        self.is_on() && self.credit >= self.longest * ENOUGH
    }

    /// There is nothing to do from `now` on but to wait for hosts: not even a disk's answer is waited for, which may take longer.
    pub fn rests(&mut self, now: Instant) {
        // Who looks around in between hasn't done anything.
        self.idle_since.get_or_insert(now);
        if self.pays()
            && let Some(sleeper) = self.sleeper.take()
        {
            sleeper.wake();
        }
    }

    /// Whether to look once more, at `now`. Not while something is being done: whoever does it says when it rests, and a
    /// session that ends instead leaves nobody awake.
    #[must_use]
    pub fn looks(&self, now: Instant) -> bool {
        let idle = self.idle_since;
        self.pays() && idle.is_some_and(|since| now.saturating_duration_since(since) < self.longest)
    }

    /// Ready when there is something to look for.
    pub fn poll_due(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        if self.looks(now) {
            return Poll::Ready(());
        }
        if !self
            .sleeper
            .as_ref()
            .is_some_and(|it| it.will_wake(cx.waker()))
        {
            self.sleeper = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_micros(50);

    /// A reactor whose commands come one after the other.
    struct Reactor {
        polling: Polling,
        now: Instant,
    }

    impl Reactor {
        fn new(longest: Duration) -> Self {
            let now = Instant::now();
            let mut polling = Polling::new(longest);
            polling.came(now);
            polling.rests(now);
            Self { polling, now }
        }

        /// The next command comes after `gap`, and is done at once; how long the reactor would have stayed awake for it.
        fn hears_after(&mut self, gap: Duration) -> Duration {
            let mut awake = Duration::ZERO;
            while awake < gap && self.polling.looks(self.now + awake) {
                awake += Duration::from_nanos(100);
            }
            self.now += gap;
            self.polling.came(self.now);
            assert!(!self.polling.looks(self.now), "something is being done");
            self.polling.rests(self.now);
            awake
        }

        /// So many commands come soon after one another.
        fn hears_often(&mut self, times: u32) {
            for _ in 0..times {
                self.hears_after(SOON);
            }
        }
    }

    const SOON: Duration = Duration::from_micros(20);
    const LATE: Duration = Duration::from_millis(1);

    #[test]
    fn it_stays_awake_while_commands_come_in_time() {
        let mut reactor = Reactor::new(LONGEST);
        let before: Vec<Duration> = (0..4).map(|_| reactor.hears_after(SOON)).collect();
        assert_eq!(before, [Duration::ZERO; 4], "a few must have come in time");
        reactor.hears_after(SOON);
        for _ in 0..100 {
            assert_eq!(reactor.hears_after(SOON), SOON);
        }
    }

    #[test]
    fn it_sleeps_when_nothing_comes_and_after_a_few_that_are_late() {
        let mut reactor = Reactor::new(LONGEST);
        reactor.hears_often(100);
        let awake: Vec<Duration> = (0..20).map(|_| reactor.hears_after(LATE)).collect();
        assert_eq!(awake.first(), Some(&LONGEST));
        assert_eq!(awake.iter().sum::<Duration>(), 3 * LONGEST);
        // One that comes in time isn't enough to begin again.
        reactor.hears_after(SOON);
        assert_eq!(reactor.hears_after(LATE), Duration::ZERO);
    }

    #[test]
    fn commands_of_which_only_some_come_in_time_keep_it_awake_for_less_than_they_bring() {
        // One of so many is late. Those in time bring 20 us each, and the late one costs 50.
        for (of, stays) in [(2, false), (3, false), (4, true), (10, true)] {
            let mut reactor = Reactor::new(LONGEST);
            let awake: Duration = (0..1_000)
                .map(|number| reactor.hears_after(if number % of == 0 { LATE } else { SOON }))
                .sum();
            assert_eq!(awake > LONGEST * 10, stays, "one of {of} late: {awake:?}");
        }
    }

    #[test]
    fn whoever_comes_at_the_last_moment_is_not_waited_for() {
        let mut reactor = Reactor::new(LONGEST);
        let last = LONGEST * 9 / 10;
        for _ in 0..10_000 {
            assert_eq!(reactor.hears_after(last), Duration::ZERO);
        }
        // Nor any more, by somebody who waited awake for others before.
        reactor.hears_often(100);
        let awake: Duration = (0..10_000).map(|_| reactor.hears_after(last)).sum();
        assert!(awake <= LONGEST * 40, "{awake:?}");
    }

    #[test]
    fn what_is_done_between_two_rests_belongs_to_neither() {
        let mut reactor = Reactor::new(LONGEST);
        for _ in 0..20 {
            // A disk's answer, for another session, comes long after the first one has begun to rest.
            reactor.now += LATE;
            reactor.polling.works();
            assert!(!reactor.polling.looks(reactor.now));
            reactor.polling.rests(reactor.now);
            reactor.hears_after(SOON);
        }
        assert_eq!(reactor.hears_after(SOON), SOON);
    }

    #[test]
    fn it_never_stays_awake_without_a_time_to_do_so() {
        let mut reactor = Reactor::new(Duration::ZERO);
        assert!(!reactor.polling.is_on());
        for gap in [0, 1, 20] {
            assert_eq!(
                reactor.hears_after(Duration::from_micros(gap)),
                Duration::ZERO
            );
        }
    }

    #[test]
    fn whoever_ends_in_the_middle_of_something_leaves_nobody_awake() {
        let mut reactor = Reactor::new(LONGEST);
        reactor.hears_often(10);
        assert!(reactor.polling.looks(reactor.now));
        reactor.polling.came(reactor.now);
        assert!(!reactor.polling.looks(reactor.now));
    }

    #[test]
    fn what_comes_in_pieces_and_looking_around_in_between_count_once() {
        let mut reactor = Reactor::new(LONGEST);
        reactor.hears_often(10);
        for _ in 0..20 {
            reactor.hears_after(Duration::from_millis(1));
            reactor.now += Duration::from_micros(5);
            reactor.polling.rests(reactor.now);
            reactor
                .polling
                .came(reactor.now - Duration::from_micros(5) + Duration::from_millis(1));
            reactor.polling.came(reactor.now + Duration::from_millis(1));
            reactor
                .polling
                .rests(reactor.now + Duration::from_millis(1));
            reactor.now += Duration::from_millis(1);
        }
        assert_eq!(
            reactor.hears_after(Duration::from_millis(1)),
            Duration::ZERO
        );
    }

    #[test]
    fn whoever_looks_is_woken_when_there_is_something_to_look_for() {
        let mut reactor = Reactor::new(LONGEST);
        let (waker, wakes) = counting_waker();
        let mut cx = Context::from_waker(&waker);
        assert!(reactor.polling.poll_due(&mut cx, reactor.now).is_pending());
        reactor.hears_after(Duration::from_micros(200));
        reactor.hears_often(4);
        assert_eq!(wakes.count(), 0);
        reactor.hears_often(1);
        assert_eq!(wakes.count(), 1);
        assert!(reactor.polling.poll_due(&mut cx, reactor.now).is_ready());
    }

    fn counting_waker() -> (Waker, std::sync::Arc<Wakes>) {
        let wakes = std::sync::Arc::<Wakes>::default();
        (Waker::from(std::sync::Arc::clone(&wakes)), wakes)
    }

    #[derive(Debug, Default)]
    struct Wakes(std::sync::atomic::AtomicUsize);

    impl Wakes {
        fn count(&self) -> usize {
            self.0.load(std::sync::atomic::Ordering::SeqCst)
        }
    }

    impl std::task::Wake for Wakes {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
}
