//! A change of reservations on its way: asked for, prepared, kept, in force.
//!
//! It takes two steps because what outlives a loss of power must be on stable storage before anybody
//! is told that it holds. Whoever executes one lets no other change of the same logical unit come in
//! between; should one do so all the same, the second step refuses.

use crate::nexus::NexusId;
use crate::reservation::action::{Effects, Refused, ServiceAction};
use crate::reservation::shared;
use crate::reservation::state::{NexusName, PersistentState};

/// A change that somebody asked for; only [`crate::LogicalUnit`] knows what is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReservationChange(pub(crate) Change);

impl ReservationChange {
    /// An operator ends every reservation and registration, persistent or not, also when what was
    /// kept of them can't be read. All who had a part in it are told by a unit attention.
    #[must_use]
    pub const fn operator_clear() -> Self {
        Self(Change::OperatorClear)
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// PERSISTENT RESERVE OUT.
    Persistent {
        from: Requester,
        action: Box<ServiceAction>,
    },
    /// RESERVE.
    Reserve(Requester),
    /// RELEASE.
    Release(Requester),
    /// See [`ReservationChange::operator_clear`].
    OperatorClear,
}

/// Who asks: the nexus while it lives, and its name for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Requester {
    pub(crate) id: NexusId,
    pub(crate) name: NexusName,
}

/// What a prepared change makes of the record that outlives a loss of power.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RecordUpdate {
    /// It stays as it is.
    Keep,
    /// There must be none.
    Remove,
    /// It must be this, whole.
    Replace(Vec<u8>),
}

/// A change that is allowed, with everything that it leads to.
#[derive(Debug)]
#[must_use = "a change that is prepared and not committed has no effect"]
pub struct PreparedReservations {
    /// Number of the state on which it is based.
    pub(crate) based_on: u64,
    pub(crate) record: RecordUpdate,
    pub(crate) outcome: Prepared,
}

#[derive(Debug)]
pub(crate) enum Prepared {
    Persistent {
        next: PersistentState,
        effects: Effects,
    },
    /// Somebody holds an SPC-2 reservation now, if still there; or nobody does.
    Reserved(Option<Requester>),
    Cleared {
        next: PersistentState,
        effects: Effects,
    },
    /// GOOD, and nothing else.
    Nothing,
}

impl PreparedReservations {
    /// What must be on stable storage before the change is committed.
    #[must_use]
    pub const fn record(&self) -> &RecordUpdate {
        &self.record
    }

    /// What the daemon that has another part of the same unit has to have before the change is committed; `None`: it is
    /// none of its business.
    #[must_use]
    pub fn replica(&self) -> Option<Vec<u8>> {
        match &self.outcome {
            Prepared::Persistent { next, effects } | Prepared::Cleared { next, effects } => {
                Some(shared::encode(next, Some(effects)))
            }
            Prepared::Reserved(_) | Prepared::Nothing => None,
        }
    }
}

/// Why a change isn't made; the reply to the command says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReservationsRefused(pub(crate) RefusedOrStale);

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RefusedOrStale {
    Refused(Refused),
    /// Another change came in between: the initiator tries again.
    Stale,
}

impl From<Refused> for ReservationsRefused {
    fn from(refused: Refused) -> Self {
        Self(RefusedOrStale::Refused(refused))
    }
}
