//! The six types of persistent reservations (SPC-5, "Persistent reservation type codes").

/// The type of a persistent reservation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum ReservationType {
    /// Others may read.
    WriteExclusive = 0x1,
    /// Others may do nothing with the medium.
    ExclusiveAccess = 0x3,
    /// Whoever is registered may write, others may read; one nexus holds it.
    WriteExclusiveRegistrantsOnly = 0x5,
    /// Whoever is registered may do anything, others nothing; one nexus holds it.
    ExclusiveAccessRegistrantsOnly = 0x6,
    /// As the registrants only type, but everybody who is registered holds it.
    WriteExclusiveAllRegistrants = 0x7,
    /// As the registrants only type, but everybody who is registered holds it.
    ExclusiveAccessAllRegistrants = 0x8,
}

impl ReservationType {
    /// All types, in the order of their codes.
    pub const ALL: [Self; 6] = [
        Self::WriteExclusive,
        Self::ExclusiveAccess,
        Self::WriteExclusiveRegistrantsOnly,
        Self::ExclusiveAccessRegistrantsOnly,
        Self::WriteExclusiveAllRegistrants,
        Self::ExclusiveAccessAllRegistrants,
    ];

    /// The code in the TYPE field.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The type of a code; `None` for a reserved or obsolete one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether those who have no part in it may still read.
    #[must_use]
    pub const fn is_write_exclusive(self) -> bool {
        matches!(
            self,
            Self::WriteExclusive
                | Self::WriteExclusiveRegistrantsOnly
                | Self::WriteExclusiveAllRegistrants
        )
    }

    /// Whether everybody who is registered has a part in it.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        !matches!(self, Self::WriteExclusive | Self::ExclusiveAccess)
    }

    /// Whether everybody who is registered holds it.
    #[must_use]
    pub const fn is_all_registrants(self) -> bool {
        matches!(
            self,
            Self::WriteExclusiveAllRegistrants | Self::ExclusiveAccessAllRegistrants
        )
    }

    /// The name that the standard gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WriteExclusive => "Write Exclusive",
            Self::ExclusiveAccess => "Exclusive Access",
            Self::WriteExclusiveRegistrantsOnly => "Write Exclusive - Registrants Only",
            Self::ExclusiveAccessRegistrantsOnly => "Exclusive Access - Registrants Only",
            Self::WriteExclusiveAllRegistrants => "Write Exclusive - All Registrants",
            Self::ExclusiveAccessAllRegistrants => "Exclusive Access - All Registrants",
        }
    }
}
