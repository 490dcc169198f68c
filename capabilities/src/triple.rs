//! The twelve combinations of SyncType, Mode and role that a question is about. No rules.

use std::fmt;

use crate::values::{LocalElementRole, LocalOrRemote, Mode, ReplicationType, SyncType};

/// One combination: what copy, how, and as which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Triple {
    /// What is made.
    pub sync_type: SyncType,
    /// What the writer waits for.
    pub mode: Mode,
    /// Which end the local element would be.
    pub local_element_role: LocalElementRole,
}

impl Triple {
    /// How many there are.
    pub const COUNT: usize = 12;

    /// All of them, in the order of every answer: by SyncType, then Mode, then role.
    pub const ALL: [Self; Self::COUNT] = {
        use LocalElementRole::{SyncedElement as Target, SystemElement as Source};
        use Mode::{Asynchronous as Async, Synchronous as Sync};
        use SyncType::{Clone, Mirror, Snapshot};
        [
            Self::new(Mirror, Sync, Source),
            Self::new(Mirror, Sync, Target),
            Self::new(Mirror, Async, Source),
            Self::new(Mirror, Async, Target),
            Self::new(Snapshot, Sync, Source),
            Self::new(Snapshot, Sync, Target),
            Self::new(Snapshot, Async, Source),
            Self::new(Snapshot, Async, Target),
            Self::new(Clone, Sync, Source),
            Self::new(Clone, Sync, Target),
            Self::new(Clone, Async, Source),
            Self::new(Clone, Async, Target),
        ]
    };

    /// The combination of these three.
    #[must_use]
    pub const fn new(sync_type: SyncType, mode: Mode, role: LocalElementRole) -> Self {
        Self {
            sync_type,
            mode,
            local_element_role: role,
        }
    }

    /// The class-level type of the same copy.
    #[must_use]
    pub const fn replication_type(self, locality: LocalOrRemote) -> ReplicationType {
        ReplicationType::of(self.sync_type, self.mode, locality)
    }
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.local_element_role {
            LocalElementRole::SystemElement => "source",
            LocalElementRole::SyncedElement => "target",
        };
        write!(f, "{} {} as {role}", self.mode, self.sync_type)
    }
}
