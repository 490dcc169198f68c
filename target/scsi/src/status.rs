//! Status codes of SAM-6: a newtype, so that unknown values survive.

/// The status with which a command ends (SAM-6).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct Status(pub u8);

impl Status {
    /// The command completed without an error.
    pub const GOOD: Self = Self(0x00);
    /// Sense data says what went wrong.
    pub const CHECK_CONDITION: Self = Self(0x02);
    /// The logical unit can't take the command now; the initiator tries again later.
    pub const BUSY: Self = Self(0x08);
    /// Another I_T nexus holds a reservation.
    pub const RESERVATION_CONFLICT: Self = Self(0x18);
    /// The task set has no room; the initiator waits for a completion and tries again.
    pub const TASK_SET_FULL: Self = Self(0x28);
    /// The command was ended by another I_T nexus or a management function.
    pub const TASK_ABORTED: Self = Self(0x40);
}
