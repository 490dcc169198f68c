//! Asymmetric access states of volumes (SPC-5, asymmetric logical unit access): what is to be found
//! again after a restart. Knows no hosts and no commands.

use crate::portal_group::PortalGroupTag;

/// A target port asymmetric access state (SPC-5) that lasts. A transition doesn't: one that a crash
/// interrupts has ended, in the state before or the one after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AccessState {
    /// Served in full.
    #[default]
    ActiveOptimized,
    /// Served in full, but another way is better.
    ActiveNonOptimized,
    /// Kept in reserve: the medium can't be reached.
    Standby,
    /// Can't be reached.
    Unavailable,
}

impl AccessState {
    /// All states.
    pub const ALL: [Self; 4] = [
        Self::ActiveOptimized,
        Self::ActiveNonOptimized,
        Self::Standby,
        Self::Unavailable,
    ];

    /// Its name, as in the catalog's file, the API and the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ActiveOptimized => "active-optimized",
            Self::ActiveNonOptimized => "active-non-optimized",
            Self::Standby => "standby",
            Self::Unavailable => "unavailable",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Who changed a state last (SPC-5, the STATUS CODE of REPORT TARGET PORT GROUPS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AlteredBy {
    /// Nobody: it is as it was at the beginning.
    #[default]
    Nobody,
    /// A host, by SET TARGET PORT GROUPS.
    Explicit,
    /// The daemon, by itself or because an operator said so.
    Implicit,
}

/// How a volume is accessed through one target port group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GroupAccess {
    /// The state.
    pub state: AccessState,
    /// Hosts should use this group, if they can (PREF).
    pub preferred: bool,
    /// Who changed the state last.
    pub altered_by: AlteredBy,
}

/// What is to be different about one target port group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessChange {
    /// The group.
    pub group: PortalGroupTag,
    /// Its state from now on; `None` for as it is.
    pub state: Option<AccessState>,
    /// Whether it is preferred from now on; `None` for as it is.
    pub preferred: Option<bool>,
}

impl AccessChange {
    pub(crate) fn apply(&self, access: &mut GroupAccess, by: AlteredBy) {
        if let Some(state) = self.state
            && state != access.state
        {
            access.state = state;
            access.altered_by = by;
        }
        access.preferred = self.preferred.unwrap_or(access.preferred);
    }
}
