//! When a reactor that has nothing to do looks again and again instead of sleeping. Knows no sockets and no clock: time is an
//! argument.
//!
//! To be woken takes longer than to answer a small command, so whoever hears of the next one within microseconds is better
//! served by a reactor that stays awake for them. How long it does is bounded, and learnt from what came before: as long as
//! commands come in time it stays awake after each, and after a few that came too late it sleeps at once. A reactor with
//! nothing to do sleeps.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A window shorter than this catches nothing: a look at the sockets takes about as long.
const SHORTEST: Duration = Duration::from_micros(2);

/// How a reactor waits.
#[derive(Debug)]
pub struct Polling {
    /// The longest time that it stays awake for nothing; zero: it never does.
    longest: Duration,
    /// How long it will stay awake the next time.
    window: Duration,
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
            window: Duration::ZERO,
            idle_since: None,
            sleeper: None,
        }
    }

    /// Whether it ever stays awake: whoever hears no can save itself a look at the clock.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.longest.is_zero()
    }

    /// Something came from a host at `now`: what the next window is follows from how long that took.
    pub fn came(&mut self, now: Instant) {
        let Some(since) = self.idle_since.take() else {
            return;
        };
        if now.saturating_duration_since(since) <= self.longest {
            self.window = self.longest;
        } else {
            self.window /= 2;
            if self.window < SHORTEST {
                self.window = Duration::ZERO;
            }
        }
    }

    /// There is nothing to do from `now` on: not even an answer of a disk is waited for, which may take longer.
    pub fn rests(&mut self, now: Instant) {
        // Who looks around in between hasn't done anything.
        self.idle_since.get_or_insert(now);
        if !self.window.is_zero()
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
        idle.is_some_and(|since| now.saturating_duration_since(since) < self.window)
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
    }

    #[test]
    fn it_stays_awake_while_commands_come_in_time() {
        let mut reactor = Reactor::new(LONGEST);
        let gap = Duration::from_micros(20);
        assert_eq!(reactor.hears_after(gap), Duration::ZERO);
        for _ in 0..100 {
            assert_eq!(reactor.hears_after(gap), gap);
        }
    }

    #[test]
    fn it_sleeps_when_nothing_comes_and_after_a_few_that_are_late() {
        let mut reactor = Reactor::new(LONGEST);
        reactor.hears_after(Duration::from_micros(20));
        let late = Duration::from_millis(1);
        let awake: Vec<Duration> = (0..20).map(|_| reactor.hears_after(late)).collect();
        assert_eq!(awake.first(), Some(&LONGEST));
        assert_eq!(awake.last(), Some(&Duration::ZERO));
        assert!(awake.iter().sum::<Duration>() <= 2 * LONGEST);
        // One that comes in time is enough to begin again.
        reactor.hears_after(Duration::from_micros(20));
        assert_eq!(reactor.hears_after(late), LONGEST);
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
        reactor.hears_after(Duration::from_micros(20));
        reactor.polling.came(reactor.now);
        assert!(!reactor.polling.looks(reactor.now));
    }

    #[test]
    fn what_comes_in_pieces_and_looking_around_in_between_count_once() {
        let mut reactor = Reactor::new(LONGEST);
        reactor.hears_after(Duration::from_micros(20));
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
        assert_eq!(wakes.count(), 0);
        reactor.hears_after(Duration::from_micros(20));
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
