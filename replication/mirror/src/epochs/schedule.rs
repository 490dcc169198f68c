//! See the module above.

/// Between two cuts there are at least so many milliseconds.
const INTERVAL_MIN_MS: u64 = 100;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// DesiredRPO in milliseconds: the target should never be further behind.
    pub rpo_ms: u64,
}

/// How far the target is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Bytes that hosts have written since the target's cut; what was written twice counts twice.
    pub bytes: u64,
    /// Milliseconds since the target's cut was taken; 0 if nothing has been written since.
    pub ms: u64,
}

/// Whether the RPO is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RpoState {
    /// It is.
    Kept,
    /// The target is further behind.
    Missed,
}

/// A cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    /// When the first write came that isn't in the one before; that is how old what is missing is.
    taken_ms: u64,
    written: u64,
}

/// The schedule of one target. Times are milliseconds of any clock that doesn't go back.
#[derive(Clone, Debug)]
pub struct Schedule {
    settings: Settings,
    connected: bool,
    /// It was met just now, so it gets a cut at once.
    at_once: bool,
    /// Bytes written by hosts, ever.
    written: u64,
    /// The target has this; `None`: it has none yet.
    confirmed: Option<Cut>,
    /// It is being sent this.
    shipping: Option<Cut>,
    /// When the last one was taken.
    last_ms: Option<u64>,
    /// When something was written first since the confirmed cut, and since the one being shipped.
    first_ms: Option<u64>,
    first_since_shipping_ms: Option<u64>,
    began_ms: u64,
    state: RpoState,
}

impl Schedule {
    /// Of a target that has nothing yet.
    #[must_use]
    pub const fn new(settings: Settings, now_ms: u64) -> Self {
        Self {
            settings,
            connected: false,
            at_once: false,
            written: 0,
            confirmed: None,
            shipping: None,
            last_ms: None,
            first_ms: None,
            first_since_shipping_ms: None,
            began_ms: now_ms,
            state: RpoState::Kept,
        }
    }

    /// Another RPO from now on.
    pub const fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// A host has written so many bytes.
    pub fn written(&mut self, bytes: u64, now_ms: u64) {
        self.written = self.written.saturating_add(bytes);
        self.first_ms.get_or_insert(now_ms);
        if self.shipping.is_some() {
            self.first_since_shipping_ms.get_or_insert(now_ms);
        }
    }

    /// The target is there, and is behind.
    pub const fn met(&mut self) {
        self.connected = true;
        self.at_once = true;
        self.shipping = None;
    }

    /// It is gone. What it was being sent counts for nothing.
    pub const fn lost(&mut self) {
        self.connected = false;
        self.shipping = None;
        self.first_since_shipping_ms = None;
    }

    /// A cut was taken.
    pub const fn taken(&mut self, now_ms: u64) {
        self.shipping = Some(Cut {
            taken_ms: now_ms,
            written: self.written,
        });
        self.first_since_shipping_ms = None;
        self.last_ms = Some(now_ms);
        self.at_once = false;
    }

    /// The target has it.
    pub const fn confirmed(&mut self) {
        if let Some(cut) = self.shipping.take() {
            self.confirmed = Some(cut);
            self.first_ms = self.first_since_shipping_ms.take();
        }
    }

    /// When a cut is due; `None` if there is nothing to send, nobody to send it to, or one is being sent: a slow link
    /// makes cuts rarer, not more.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        if !self.connected || self.shipping.is_some() {
            return None;
        }
        let first_ms = match self.confirmed {
            None => return Some(self.began_ms),
            Some(_) => self.first_ms?,
        };
        // Half of the time is for sending.
        let interval_ms = match self.at_once {
            true => 0,
            false => (self.settings.rpo_ms / 2).max(INTERVAL_MIN_MS),
        };
        let not_before = self
            .last_ms
            .map_or(0, |it| it.saturating_add(INTERVAL_MIN_MS));
        Some(first_ms.saturating_add(interval_ms).max(not_before))
    }

    /// How far the target is behind.
    #[must_use]
    pub fn lag(&self, now_ms: u64) -> Lag {
        let Some(confirmed) = self.confirmed else {
            return Lag {
                bytes: self.written,
                ms: now_ms.saturating_sub(self.began_ms),
            };
        };
        Lag {
            bytes: self.written.saturating_sub(confirmed.written),
            ms: match self.first_ms {
                Some(_) => now_ms.saturating_sub(confirmed.taken_ms),
                None => 0,
            },
        }
    }

    /// Whether the RPO is kept, if that has changed since it was asked last. A target that has no cut yet has none to
    /// keep.
    pub fn alarm(&mut self, now_ms: u64) -> Option<RpoState> {
        let behind_ms = match (self.confirmed, self.first_ms) {
            (Some(_), Some(first_ms)) => now_ms.saturating_sub(first_ms),
            _ => 0,
        };
        let state = if behind_ms > self.settings.rpo_ms {
            RpoState::Missed
        } else {
            RpoState::Kept
        };
        let changed = state != self.state;
        self.state = state;
        changed.then_some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        let mut schedule = Schedule::new(Settings { rpo_ms: 5_000 }, 1_000);
        schedule.met();
        assert_eq!(
            schedule.due_ms(),
            Some(1_000),
            "the first one is due at once"
        );
        schedule.taken(1_000);
        schedule.confirmed();
        schedule
    }

    #[test]
    fn without_writes_nothing_is_due_and_nothing_is_lost() {
        let mut schedule = schedule();
        assert_eq!(schedule.due_ms(), None);
        assert_eq!(schedule.lag(60_000), Lag::default());
        assert_eq!(schedule.alarm(60_000), None);
    }

    #[test]
    fn a_cut_is_due_half_the_rpo_after_the_first_write() {
        let mut schedule = schedule();
        schedule.written(512, 10_000);
        schedule.written(512, 11_000);
        assert_eq!(schedule.due_ms(), Some(12_500));
        assert_eq!(
            schedule.lag(12_000),
            Lag {
                bytes: 1_024,
                ms: 11_000
            }
        );
        schedule.taken(12_500);
        schedule.written(100, 13_000);
        assert_eq!(schedule.due_ms(), None, "one at a time");
        schedule.confirmed();
        assert_eq!(
            schedule.lag(14_000),
            Lag {
                bytes: 100,
                ms: 1_500
            }
        );
        assert_eq!(schedule.due_ms(), Some(15_500));
    }

    #[test]
    fn a_slow_link_is_told_once_and_so_is_its_recovery() {
        let mut schedule = schedule();
        schedule.written(1, 10_000);
        schedule.taken(12_500);
        schedule.written(1, 12_600);
        assert_eq!(schedule.alarm(15_000), None);
        assert_eq!(schedule.alarm(15_001), Some(RpoState::Missed));
        assert_eq!(schedule.alarm(16_000), None);
        schedule.confirmed();
        // What was written meanwhile has waited since 12,600.
        assert_eq!(schedule.alarm(16_000), Some(RpoState::Kept));
        assert_eq!(schedule.due_ms(), Some(15_100));
    }

    #[test]
    fn a_target_that_comes_back_gets_a_cut_at_once() {
        let mut schedule = schedule();
        schedule.lost();
        schedule.written(0, 10_000);
        assert_eq!(schedule.due_ms(), None);
        schedule.met();
        assert_eq!(schedule.due_ms(), Some(10_000));
        schedule.taken(10_001);
        schedule.confirmed();
        schedule.written(1, 11_000);
        assert_eq!(schedule.due_ms(), Some(13_500));
    }

    #[test]
    fn what_was_being_sent_when_the_link_broke_counts_for_nothing() {
        let mut schedule = schedule();
        schedule.written(10, 10_000);
        schedule.taken(12_500);
        schedule.written(10, 13_000);
        schedule.lost();
        assert_eq!(schedule.due_ms(), None);
        schedule.confirmed();
        assert_eq!(schedule.lag(20_000).bytes, 20);
        schedule.met();
        assert_eq!(
            schedule.due_ms(),
            Some(12_600),
            "overdue, and taken at once"
        );
        assert_eq!(schedule.alarm(20_000), Some(RpoState::Missed));
    }
}
