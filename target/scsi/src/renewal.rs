//! Renewals: what SANITIZE and FORMAT UNIT do to the whole medium, and what the medium is worth while
//! they run and after they failed. Knows neither CDBs nor who does the work.

use bytes::Bytes;

/// What a SANITIZE (SBC-4) or FORMAT UNIT command asks for. It is done to the whole medium, may take
/// hours, and goes on over resets, lost nexuses and restarts until it has succeeded or failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Renewal {
    /// A sanitize overwrite operation: every block is really written, in every pass.
    Overwrite {
        /// Written to every block from its first byte on, and again until the block is full: 1 byte to
        /// a whole block.
        pattern: Bytes,
        /// How often, 1 to 31.
        passes: u8,
        /// Every other pass writes the pattern inverted, so that the last one writes it as it is.
        invert: bool,
        /// A failure may be left behind by EXIT FAILURE MODE (AUSE).
        unrestricted: bool,
    },
    /// A sanitize block erase operation: all space is given back, and all blocks read as zeros.
    BlockErase {
        /// A failure may be left behind by EXIT FAILURE MODE (AUSE).
        unrestricted: bool,
    },
    /// A format operation: all blocks read as zeros, and are unmapped where the unit is thin.
    Format,
}

impl Renewal {
    /// The condition of the medium while it runs.
    #[must_use]
    pub const fn under_way(&self) -> MediumCondition {
        match self {
            Self::Overwrite { unrestricted, .. } | Self::BlockErase { unrestricted } => {
                MediumCondition::Sanitizing {
                    unrestricted: *unrestricted,
                }
            }
            Self::Format => MediumCondition::Formatting,
        }
    }

    /// The condition of the medium after it failed.
    #[must_use]
    pub const fn failed(&self) -> MediumCondition {
        self.under_way().after_failure()
    }
}

/// What the medium as a whole is worth. Anything but [`Self::Sound`] must outlive a restart: a medium
/// that is half renewed is never served as if nothing had happened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MediumCondition {
    /// It can be read and written.
    #[default]
    Sound,
    /// A sanitize operation runs.
    Sanitizing {
        /// In the unrestricted completion mode.
        unrestricted: bool,
    },
    /// A sanitize operation failed: nothing but another one, or EXIT FAILURE MODE after the
    /// unrestricted completion mode, makes the medium usable.
    SanitizeFailed {
        /// In the unrestricted completion mode.
        unrestricted: bool,
    },
    /// A format operation runs.
    Formatting,
    /// A format operation failed.
    FormatCorrupt,
}

impl MediumCondition {
    /// Whether a renewal runs.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Sanitizing { .. } | Self::Formatting)
    }

    /// The condition when what runs now has failed.
    #[must_use]
    pub const fn after_failure(self) -> Self {
        match self {
            Self::Sanitizing { unrestricted } => Self::SanitizeFailed { unrestricted },
            Self::Formatting => Self::FormatCorrupt,
            other => other,
        }
    }

    /// As three bits; zero is sound.
    pub(crate) const fn to_bits(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::Sanitizing {
                unrestricted: false,
            } => 1,
            Self::Sanitizing { unrestricted: true } => 2,
            Self::SanitizeFailed {
                unrestricted: false,
            } => 3,
            Self::SanitizeFailed { unrestricted: true } => 4,
            Self::Formatting => 5,
            Self::FormatCorrupt => 6,
        }
    }

    pub(crate) const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Sound,
            1 => Self::Sanitizing {
                unrestricted: false,
            },
            2 => Self::Sanitizing { unrestricted: true },
            4 => Self::SanitizeFailed { unrestricted: true },
            5 => Self::Formatting,
            6 => Self::FormatCorrupt,
            _ => Self::SanitizeFailed {
                unrestricted: false,
            },
        }
    }
}
