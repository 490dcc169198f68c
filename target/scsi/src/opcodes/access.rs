//! How a command is treated in the presence of reservations: the one column from which the conflict
//! matrix follows.
//!
//! SPC-5 and SBC-4 draw it as two tables, "commands that are allowed in the presence of various
//! reservations", in which only a few patterns occur. Each pattern is a value here, and what a nexus
//! may do is a set of them: whether a command conflicts is one bit test.

use crate::cdb::Cdb;
use crate::opcodes::Class;

/// What a reservation that another I_T nexus holds does to a command (SPC-5, "Commands that are
/// allowed in the presence of various reservations"; SBC-4, the same).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Allowed, also while an SPC-2 reservation (RESERVE) is held by another nexus.
    Always,
    /// Allowed with every type of persistent reservation, but not with an SPC-2 reservation.
    Allowed,
    /// Conflicts with the Exclusive Access types: it tells or reads something of the medium.
    Reads,
    /// Conflicts with all types: it changes something.
    Writes,
    /// START STOP UNIT: allowed when it starts the unit and says nothing of power conditions, else
    /// as what writes.
    WritesUnlessItStarts,
    /// PREVENT ALLOW MEDIUM REMOVAL: allowed when it allows removal, else as what writes.
    WritesUnlessItAllows,
    /// PERSISTENT RESERVE IN, and PERSISTENT RESERVE OUT that registers: allowed with every type of
    /// persistent reservation; SPC-2 reservations exclude it for everybody, their holder included.
    Persistent,
    /// PERSISTENT RESERVE OUT for those who are registered, whoever holds the reservation.
    Registrants,
    /// PERSISTENT RESERVE OUT for the holder alone, while there is one.
    Holder,
}

/// A set of patterns: what one I_T nexus may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct AccessBits(pub(crate) u8);

impl AccessBits {
    /// Nothing but what is always allowed.
    pub(crate) const NONE: Self = Self::of(Access::Always);
    /// Everything.
    pub(crate) const ALL: Self = Self(u8::MAX);

    /// A set of one.
    pub(crate) const fn of(access: Access) -> Self {
        Self(match access {
            Access::Always => 0x01,
            Access::Allowed => 0x02,
            Access::Reads => 0x04,
            Access::Writes | Access::WritesUnlessItStarts | Access::WritesUnlessItAllows => 0x08,
            Access::Persistent => 0x10,
            Access::Registrants => 0x20,
            Access::Holder => 0x40,
        })
    }

    /// Both sets together.
    pub(crate) const fn and(self, access: Access) -> Self {
        Self(self.0 | Self::of(access).0)
    }

    /// Whether the pattern is in the set.
    pub(crate) const fn has(self, access: Access) -> bool {
        self.0 & Self::of(access).0 != 0
    }
}

impl Access {
    /// What a command is taken for that says nothing else. One that is neither for the medium nor
    /// plainly harmless counts as what writes: the safe side.
    pub(crate) const fn of_class(class: Class) -> Self {
        match class {
            Class::Always => Self::Always,
            Class::Ready => Self::Allowed,
            Class::MediumRead => Self::Reads,
            Class::MediumWrite | Class::Control => Self::Writes,
        }
    }

    /// The pattern of one CDB, where its fields make a difference.
    pub(crate) fn of_cdb(self, cdb: Cdb) -> Self {
        const POWER_CONDITION: u8 = 0xf0;
        const START: u8 = 0x01;
        const PREVENT: u8 = 0x03;
        let harmless = match self {
            Self::WritesUnlessItStarts => cdb.flag(4, START) && !cdb.flag(4, POWER_CONDITION),
            Self::WritesUnlessItAllows => !cdb.flag(4, PREVENT),
            _ => return self,
        };
        if harmless { Self::Always } else { Self::Writes }
    }
}
