//! Who asks to be a peer: so many at most, so often at most, in memory alone. Pure: what time it is comes from outside.

use std::time::Instant;

use tidelock_catalog::{Fingerprint, PeerAddress, PeerName};
use uuid::Uuid;

/// How many requests are kept; a further one takes the place of the oldest.
pub(super) const REQUESTS_MAX: usize = 16;
/// How many may come at once.
const BURST: f64 = 16.0;
/// How many may come in a second.
const PER_SECOND: f64 = 8.0;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asking {
    /// Proved.
    pub(super) fingerprint: Fingerprint,
    /// What it calls itself.
    pub(super) name: PeerName,
    /// What it says is its identity.
    pub(super) node: Uuid,
    /// Where it says that it can be reached.
    pub(super) address: PeerAddress,
    /// The address that it asked from.
    pub(super) from: String,
    /// When it asked first, in milliseconds since 1970-01-01 UTC.
    pub(super) since_unix_ms: u64,
}

/// Which of the requests is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    /// There is none.
    None,
    /// There are several of that name.
    Several,
}

/// All that ask.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// From the one that asked last the longest ago.
    all: Vec<Asking>,
}

impl Requests {
    /// Keeps a request. True if it is a new one.
    pub(super) fn note(&mut self, mut asking: Asking) -> bool {
        let known = self.take(asking.fingerprint);
        if let Some(known) = &known {
            asking.since_unix_ms = known.since_unix_ms;
        }
        if self.all.len() >= REQUESTS_MAX {
            self.all.remove(0);
        }
        self.all.push(asking);
        known.is_none()
    }

    /// Takes one away.
    pub(super) fn take(&mut self, fingerprint: Fingerprint) -> Option<Asking> {
        let at = self.all.iter().position(|it| it.fingerprint == fingerprint);
        at.map(|at| self.all.remove(at))
    }

    /// The one that has a fingerprint, or that alone calls itself so.
    pub(super) fn find(&self, text: &str) -> Result<&Asking, NotFound> {
        let fingerprint = text.parse::<Fingerprint>().ok();
        let is_it = |it: &&Asking| match fingerprint {
            Some(fingerprint) => it.fingerprint == fingerprint,
            None => it.name.as_str() == text,
        };
        let mut found = self.all.iter().filter(is_it);
        match (found.next(), found.next()) {
            (None, _) => Err(NotFound::None),
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(NotFound::Several),
        }
    }

    /// From the oldest to the newest.
    pub(super) fn list(&self) -> Vec<Asking> {
        let mut all = self.all.clone();
        all.sort_by_key(|it| it.since_unix_ms);
        all
    }
}

/// How often something may happen.
#[derive(Debug)]
pub(super) struct Rate {
    left: f64,
    at: Instant,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            at: now,
        }
    }

    /// Whether it may happen now; then it counts as having happened.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = passed.mul_add(PER_SECOND, self.left).min(BURST);
        self.at = now;
        let allows = self.left >= 1.0;
        if allows {
            self.left -= 1.0;
        }
        allows
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn asking(number: u8, name: &str) -> Asking {
        Asking {
            fingerprint: Fingerprint([number; 32]),
            name: PeerName::new(name).unwrap(),
            node: Uuid::from_u128(number.into()),
            address: "192.0.2.1".parse().unwrap(),
            from: "192.0.2.1:9".into(),
            since_unix_ms: number.into(),
        }
    }

    #[test]
    fn a_flood_of_requests_takes_no_more_room_and_one_that_asks_again_stays() {
        let mut requests = Requests::default();
        assert!(requests.note(asking(0, "patient")));
        for number in 1..=200 {
            requests.note(asking(number, "flood"));
            assert!(!requests.note(asking(0, "patient")));
        }
        assert_eq!(requests.list().len(), REQUESTS_MAX);
        assert_eq!(requests.find("patient"), Ok(&asking(0, "patient")));
    }

    #[test]
    fn a_request_is_found_by_fingerprint_or_by_a_name_that_is_not_ambiguous() {
        let mut requests = Requests::default();
        requests.note(asking(1, "a"));
        requests.note(asking(2, "b"));
        requests.note(asking(3, "b"));
        assert_eq!(requests.find("a"), Ok(&asking(1, "a")));
        assert_eq!(requests.find("b"), Err(NotFound::Several));
        assert_eq!(requests.find("c"), Err(NotFound::None));
        let third = Fingerprint([3; 32]);
        assert_eq!(requests.find(&third.to_string()), Ok(&asking(3, "b")));
        assert_eq!(requests.take(third), Some(asking(3, "b")));
        assert_eq!(requests.take(third), None);
        assert_eq!(requests.find("b"), Ok(&asking(2, "b")));
    }

    #[test]
    fn so_many_at_once_and_then_so_many_a_second() {
        let begin = Instant::now();
        let mut rate = Rate::new(begin);
        let allowed = (0..100).filter(|_| rate.allows(begin)).count();
        assert_eq!(allowed, 16);
        let later = begin + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| rate.allows(later)).count(), 8);
        let much_later = later + Duration::from_secs(1000);
        assert_eq!((0..100).filter(|_| rate.allows(much_later)).count(), 16);
        // A clock that goes back gives nothing.
        assert!(!rate.allows(begin));
    }
}
