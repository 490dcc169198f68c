//! Schedules: when the next snapshot of a volume is due, what it is called, and which ones have had
//! their time. Knows no clock: what time it is comes as an argument.

use crate::snapshot::SnapshotName;

/// Between two snapshots of a schedule there is at least this, in seconds.
pub const EVERY_SECONDS_MIN: u64 = 60;
/// Between two snapshots of a schedule there is at most this, in seconds: a leap year.
pub const EVERY_SECONDS_MAX: u64 = 366 * 86_400;
/// Most snapshots that a schedule keeps.
pub const KEEP_MAX: u32 = 10_000;

/// Snapshots of a volume that are taken again and again.
///
/// They are due at whole multiples of the interval since 1970-01-01 UTC: on the hour, at midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// From one to the next, in seconds: [`EVERY_SECONDS_MIN`]..=[`EVERY_SECONDS_MAX`].
    pub every_seconds: u64,
    /// How many of them are kept, the newest: 1..=[`KEEP_MAX`].
    pub keep: u32,
    /// When somebody said so, in milliseconds since 1970-01-01 UTC: the first is due after that.
    pub since_unix_ms: u64,
}

impl Schedule {
    /// Whether a snapshot is due at `now`, when the schedule has taken the others at these times; all
    /// in milliseconds since 1970-01-01 UTC. However many were missed, one is due.
    ///
    /// What lies in the future is not looked at: the clock was set back.
    #[must_use]
    pub fn is_due(&self, taken: impl Iterator<Item = u64>, now: u64) -> bool {
        let since = (self.since_unix_ms <= now).then_some(self.since_unix_ms);
        let last = taken.filter(|&at| at <= now).chain(since).max();
        last.is_none_or(|last| self.slot(last) < self.slot(now))
    }

    /// When the next one is due, if the last was taken at that time.
    #[must_use]
    pub fn next_after(&self, at: u64) -> u64 {
        let every = self.every_ms();
        (at / every + 1).saturating_mul(every)
    }

    fn slot(&self, at: u64) -> u64 {
        at / self.every_ms()
    }

    fn every_ms(&self) -> u64 {
        self.every_seconds.max(1).saturating_mul(1_000)
    }
}

/// What a snapshot of a schedule is called that is taken at this time.
#[must_use]
pub fn scheduled_name(at_unix_ms: u64) -> Option<SnapshotName> {
    timestamped("auto-", at_unix_ms)
}

/// What the snapshot is called that is taken before a restore at this time.
#[must_use]
pub fn safety_name(at_unix_ms: u64) -> Option<SnapshotName> {
    timestamped("before-restore-", at_unix_ms)
}

/// What the snapshot is called that keeps what is dropped after a split brain at this time.
#[must_use]
pub fn dropped_name(at_unix_ms: u64) -> Option<SnapshotName> {
    timestamped("split-brain-", at_unix_ms)
}

fn timestamped(before: &str, at_unix_ms: u64) -> Option<SnapshotName> {
    let (y, mo, d, h, mi, s) = calendar(at_unix_ms);
    SnapshotName::new(&format!("{before}{y:04}{mo:02}{d:02}T{h:02}{mi:02}{s:02}Z")).ok()
}

/// A time as text (RFC 3339, UTC, whole seconds).
#[must_use]
pub fn time_text(at_unix_ms: u64) -> String {
    let (y, mo, d, h, mi, s) = calendar(at_unix_ms);
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
}

/// Year, month, day, hour, minute and second of the proleptic Gregorian calendar, in UTC.
fn calendar(at_unix_ms: u64) -> (u64, u64, u64, u64, u64, u64) {
    let seconds = at_unix_ms / 1_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Counted in years that begin in March, so that the leap day is the last one; 719,468 days lie
    // between 0000-03-01 and 1970-01-01, and 146,097 in 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + next;
    let (hour, minute) = (second / 3_600, second % 3_600 / 60);
    (year, month, of_month, hour, minute, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn hourly(since_unix_ms: u64) -> Schedule {
        Schedule {
            every_seconds: 3_600,
            keep: 3,
            since_unix_ms,
        }
    }

    #[test]
    fn one_is_due_at_every_full_interval_and_only_then() {
        let schedule = hourly(10 * HOUR + 5);
        assert!(!schedule.is_due([].into_iter(), 10 * HOUR + 6));
        assert!(!schedule.is_due([].into_iter(), 11 * HOUR - 1));
        assert!(schedule.is_due([].into_iter(), 11 * HOUR));
        assert!(!schedule.is_due([11 * HOUR].into_iter(), 12 * HOUR - 1));
        assert!(schedule.is_due([11 * HOUR].into_iter(), 12 * HOUR));
        assert_eq!(schedule.next_after(11 * HOUR), 12 * HOUR);
        assert_eq!(schedule.next_after(11 * HOUR + 1), 12 * HOUR);
    }

    #[test]
    fn however_many_were_missed_one_is_due() {
        let schedule = hourly(0);
        assert!(schedule.is_due([HOUR].into_iter(), 50 * HOUR + 7));
        assert!(!schedule.is_due([HOUR, 50 * HOUR + 7].into_iter(), 50 * HOUR + 8));
    }

    #[test]
    fn a_clock_that_was_wrong_does_not_end_a_schedule() {
        let schedule = hourly(99 * HOUR);
        assert!(schedule.is_due([90 * HOUR].into_iter(), 2 * HOUR));
        assert!(!schedule.is_due([90 * HOUR, 2 * HOUR].into_iter(), 2 * HOUR + 1));
        assert!(schedule.is_due([90 * HOUR, 2 * HOUR].into_iter(), 3 * HOUR));
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        // As `date -u -d @N` says.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_689_296, "2026-11-26T10:34:56Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
        ] {
            assert_eq!(time_text(seconds * 1_000 + 999), text);
        }
        let name = scheduled_name(1_795_689_296_000).unwrap();
        assert_eq!(name.as_str(), "auto-20261126T103456Z");
        let name = safety_name(1_795_689_296_000).unwrap();
        assert_eq!(name.as_str(), "before-restore-20261126T103456Z");
    }

    #[test]
    fn no_time_is_too_late_to_be_written_down() {
        assert!(scheduled_name(u64::MAX).is_some());
        assert!(!time_text(u64::MAX).is_empty());
        let all = Schedule {
            every_seconds: u64::MAX,
            keep: 1,
            since_unix_ms: 0,
        };
        assert_eq!(all.next_after(u64::MAX), u64::MAX);
    }
}
