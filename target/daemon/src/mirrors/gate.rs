//! Until when hosts may be served from a volume whose mirror fails over by itself. It is looked at before every command, so
//! that no timer has to be on time for it. Knows nothing of leases.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// For ever.
const OPEN: u64 = u64::MAX;

/// See the module. A volume of any other mirror, or of none, pays one load for it.
#[derive(Debug)]
pub(crate) struct Gate {
    until_ms: AtomicU64,
    /// A command came too late.
    late: AtomicBool,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            until_ms: AtomicU64::new(OPEN),
            late: AtomicBool::new(false),
        }
    }
}

impl Gate {
    /// Hosts may be served until then, by [`now_ms`].
    pub(crate) fn limit(&self, until_ms: u64) {
        self.until_ms
            .store(until_ms.min(OPEN - 1), Ordering::SeqCst);
    }

    /// It isn't a question of time any more.
    pub(crate) fn lift(&self) {
        self.until_ms.store(OPEN, Ordering::SeqCst);
        self.late.store(false, Ordering::SeqCst);
    }

    /// Whether the time is over.
    pub(crate) fn is_past(&self) -> bool {
        let until_ms = self.until_ms.load(Ordering::SeqCst);
        until_ms != OPEN && now_ms() >= until_ms
    }

    /// Somebody has come too late, and was sent away.
    pub(crate) fn note_late(&self) {
        self.late.store(true, Ordering::SeqCst);
    }

    /// Whether somebody has come too late since this was asked last.
    pub(crate) fn was_late(&self) -> bool {
        self.late.swap(false, Ordering::SeqCst)
    }
}

/// Milliseconds of the clock of leases: it doesn't go back, nobody sets it, and it goes on while the machine sleeps.
pub(crate) fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, nanoseconds) = (now.tv_sec, now.tv_nsec);
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let ms = u64::try_from(nanoseconds / 1_000_000).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_alone_closes_it() {
        let gate = Gate::default();
        assert!(!gate.is_past());
        gate.limit(now_ms() + 60_000);
        assert!(!gate.is_past());
        assert!(!gate.was_late());
        gate.limit(now_ms());
        assert!(gate.is_past());
        gate.note_late();
        assert!(gate.was_late());
        assert!(!gate.was_late());
        assert!(gate.is_past());
        gate.lift();
        assert!(!gate.is_past());
        assert!(!gate.was_late());
    }
}
