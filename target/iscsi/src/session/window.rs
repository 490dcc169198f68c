//! The command window of a session: which CmdSN is due, and up to which one the initiator may go
//! (RFC 7143 §4.2.2.1). Counts tasks; knows nothing of what they do.

use crate::serial::SerialNumber;

/// The widest window that can be configured: tasks have a slot each.
pub(super) const WINDOW_MAX: u32 = 2_048;

/// Whether a CmdSN is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is the next one.
    Due,
    /// It is inside the window, and so many numbers before it are missing.
    Early(u32),
    /// It is outside the window, or was there before: to be ignored.
    Outside,
}

#[derive(Debug)]
pub(super) struct CommandWindow {
    /// ExpCmdSN.
    expected: SerialNumber,
    /// MaxCmdSN as last told to the initiator; it never goes back.
    maximum: SerialNumber,
    /// How many tasks may be outstanding.
    width: u32,
    /// Tasks that came in CmdSN order and haven't ended.
    outstanding: u32,
}

impl CommandWindow {
    pub(super) fn new(expected: SerialNumber, width: u32) -> Self {
        let width = width.clamp(1, WINDOW_MAX);
        Self {
            expected,
            maximum: expected.plus(width - 1),
            width,
            outstanding: 0,
        }
    }

    #[inline]
    pub(super) fn expected(&self) -> SerialNumber {
        self.expected
    }

    #[inline]
    pub(super) fn admit(&self, cmd_sn: SerialNumber) -> Admission {
        let ahead = cmd_sn.since(self.expected);
        if ahead == 0 && self.is_open() {
            Admission::Due
        } else if !cmd_sn.is_before(self.expected) && !cmd_sn.is_after(self.maximum) {
            Admission::Early(ahead)
        } else {
            Admission::Outside
        }
    }

    /// Whether the initiator was told that it may send another command.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        !self.expected.is_after(self.maximum)
    }

    /// The due CmdSN has arrived.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.expected = self.expected.next();
    }

    #[inline]
    pub(super) fn begin_task(&mut self) {
        self.outstanding += 1;
    }

    #[inline]
    pub(super) fn end_task(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    /// How many tasks may be outstanding.
    pub(super) fn width(&self) -> u32 {
        self.width
    }

    pub(super) fn set_width(&mut self, width: u32) {
        self.width = width.clamp(1, WINDOW_MAX);
    }

    /// MaxCmdSN for the next PDU: as many as may become outstanding, but never less than was said
    /// before (RFC 7143 §4.2.2.1).
    #[inline]
    pub(super) fn advertise(&mut self) -> SerialNumber {
        let room = self.width.saturating_sub(self.outstanding);
        self.maximum = self.maximum.later(self.expected.plus(room).minus(1));
        self.maximum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_numbers_inside_the_window_are_admitted() {
        let window = CommandWindow::new(SerialNumber(u32::MAX), 4);
        assert_eq!(window.admit(SerialNumber(u32::MAX - 1)), Admission::Outside);
        assert_eq!(window.admit(SerialNumber(u32::MAX)), Admission::Due);
        assert_eq!(window.admit(SerialNumber(0)), Admission::Early(1));
        assert_eq!(window.admit(SerialNumber(2)), Admission::Early(3));
        assert_eq!(window.admit(SerialNumber(3)), Admission::Outside);
        assert_eq!(window.admit(SerialNumber(1 << 31)), Admission::Outside);
    }

    #[test]
    fn the_window_closes_when_enough_tasks_are_outstanding_and_reopens_as_they_end() {
        let mut window = CommandWindow::new(SerialNumber(10), 2);
        for _ in 0..2 {
            window.advance();
            window.begin_task();
        }
        assert_eq!(window.advertise(), SerialNumber(11));
        assert_eq!(window.admit(SerialNumber(12)), Admission::Outside);
        window.end_task();
        assert_eq!(window.advertise(), SerialNumber(12));
        assert_eq!(window.admit(SerialNumber(12)), Admission::Due);
    }

    #[test]
    fn a_narrower_window_never_takes_back_what_was_said() {
        let mut window = CommandWindow::new(SerialNumber(0), 100);
        assert_eq!(window.advertise(), SerialNumber(99));
        window.set_width(1);
        assert_eq!(window.advertise(), SerialNumber(99));
        for _ in 0..100 {
            window.advance();
        }
        assert_eq!(window.advertise(), SerialNumber(100));
    }

    proptest! {
        #[test]
        fn max_cmd_sn_never_goes_back_and_outstanding_tasks_stay_within_the_widest_window(
            start: u32,
            steps in prop::collection::vec((0_u8..4, 1_u32..64), 1..200),
        ) {
            let mut window = CommandWindow::new(SerialNumber(start), 64);
            let mut said = window.advertise();
            let mut running = 0_u32;
            for (step, width) in steps {
                match step {
                    0 | 1 if window.admit(window.expected()) == Admission::Due => {
                        window.advance();
                        window.begin_task();
                        running += 1;
                    }
                    2 if running > 0 => {
                        window.end_task();
                        running -= 1;
                    }
                    3 => window.set_width(width),
                    _ => {}
                }
                let now = window.advertise();
                prop_assert!(!now.is_before(said));
                prop_assert!(running <= 64);
                said = now;
            }
        }
    }
}
