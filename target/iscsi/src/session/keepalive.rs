//! When to ask whether the initiator is still there, and when to give up on it (RFC 7143 §11.19). Any
//! PDU from the initiator counts as a sign of life.

use std::time::{Duration, Instant};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// Send a NOP-In that asks for an answer.
    Ping,
    /// The initiator is gone.
    Dead,
}

#[derive(Debug)]
pub(super) struct Keepalive {
    /// Silence after which we ask; zero: never.
    interval: Duration,
    /// How long we wait for the answer; zero: forever.
    timeout: Duration,
    heard: Instant,
    asked: Option<Instant>,
}

impl Keepalive {
    pub(super) fn new(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Self {
            interval,
            timeout,
            heard: now,
            asked: None,
        }
    }

    #[inline]
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    pub(super) fn timeout(&self) -> Option<Instant> {
        if self.interval.is_zero() {
            return None;
        }
        match self.asked {
            None => self.heard.checked_add(self.interval),
            Some(_) if self.timeout.is_zero() => None,
            Some(asked) => asked.checked_add(self.timeout),
        }
    }

    pub(super) fn due(&mut self, now: Instant) -> Due {
        if self.timeout().is_none_or(|timeout| now < timeout) {
            return Due::Nothing;
        }
        if self.asked.is_some() {
            return Due::Dead;
        }
        self.asked = Some(now);
        Due::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    // The tests need some instant to count from.
    #[allow(clippy::disallowed_methods, reason = "any instant will do")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn silence_is_answered_by_a_ping_and_more_silence_by_the_end() {
        let start = start();
        let mut keepalive = Keepalive::new(10 * SECOND, 5 * SECOND, start);
        assert_eq!(keepalive.timeout(), Some(start + 10 * SECOND));
        assert_eq!(keepalive.due(start + 9 * SECOND), Due::Nothing);
        assert_eq!(keepalive.due(start + 10 * SECOND), Due::Ping);
        assert_eq!(keepalive.timeout(), Some(start + 15 * SECOND));
        assert_eq!(keepalive.due(start + 14 * SECOND), Due::Nothing);
        assert_eq!(keepalive.due(start + 15 * SECOND), Due::Dead);
    }

    #[test]
    fn any_pdu_is_a_sign_of_life() {
        let start = start();
        let mut keepalive = Keepalive::new(10 * SECOND, 5 * SECOND, start);
        assert_eq!(keepalive.due(start + 10 * SECOND), Due::Ping);
        keepalive.heard(start + 12 * SECOND);
        assert_eq!(keepalive.due(start + 21 * SECOND), Due::Nothing);
        assert_eq!(keepalive.due(start + 22 * SECOND), Due::Ping);
    }

    #[test]
    fn zero_switches_it_off() {
        let start = start();
        let mut keepalive = Keepalive::new(Duration::ZERO, SECOND, start);
        assert_eq!(keepalive.timeout(), None);
        assert_eq!(keepalive.due(start + 1_000 * SECOND), Due::Nothing);
        let mut patient = Keepalive::new(SECOND, Duration::ZERO, start);
        assert_eq!(patient.due(start + SECOND), Due::Ping);
        assert_eq!(patient.due(start + 1_000 * SECOND), Due::Nothing);
    }
}
