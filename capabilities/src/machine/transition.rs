//! One operation on one association: looked up in the table, under the features that are published.

use super::refusal::OperationRefusal;
use super::required::required_operation;
use super::row::{Need, Outcome, Remains, Row, Scope, Touches, behaves};
use super::table::rows;
use crate::built::BuiltType;
use crate::facts::Association;
use crate::values::{CopyState, Feature, Mode, Operation, ProgressStatus, SyncType};

/// The two states of an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// CopyState.
    pub copy_state: CopyState,
    /// ProgressStatus.
    pub progress_status: ProgressStatus,
}

/// What an operation does to an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What it shows while it runs; `None` if it takes effect at once.
    pub during: Option<State>,
    /// What it is afterwards, if nothing goes wrong. If something does: [`super::Event::Failed`].
    pub after: After,
    /// The row that it comes from.
    pub row: &'static Row,
}

/// What an association is after an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// In this state.
    Rests(State),
    /// In the state that it was in, with another mode.
    InMode(Mode),
    /// In this state, with source and target exchanged: the association has another key.
    Reversed(State),
    /// No more.
    Gone(Remains),
    /// As it was.
    Unchanged,
}

impl After {
    /// The CopyState that it goes over to, if it does.
    #[must_use]
    pub const fn copy_state(self) -> Option<CopyState> {
        match self {
            Self::Rests(state) | Self::Reversed(state) => Some(state.copy_state),
            Self::InMode(_) | Self::Gone(_) | Self::Unchanged => None,
        }
    }
}

impl State {
    /// At rest in this state.
    #[must_use]
    pub const fn at_rest(copy_state: CopyState) -> Self {
        let progress_status = match copy_state {
            CopyState::Inactive | CopyState::Suspended => ProgressStatus::Dormant,
            _ => ProgressStatus::Completed,
        };
        Self {
            copy_state,
            progress_status,
        }
    }

    const fn of(association: &Association) -> Self {
        Self {
            copy_state: association.copy_state,
            progress_status: association.progress_status,
        }
    }
}

/// What a new association shows first, and then.
#[must_use]
pub fn created(built: &BuiltType, scope: Scope) -> (State, After) {
    let first = State {
        copy_state: CopyState::Initialized,
        progress_status: ProgressStatus::Initializing,
    };
    (first, copied(built, scope))
}

/// What an operation does to an association of this type, or why it is refused. Looks at the association
/// alone; [`super::modify()`] looks at its ends as well.
///
/// # Errors
///
/// Why it is refused.
pub fn transition(
    operation: Operation,
    association: &Association,
    scope: Scope,
    built: &BuiltType,
    force: bool,
) -> Result<Transition, OperationRefusal> {
    let row = accepted(operation, association, scope, built, force)?;
    let from = State::of(association);
    let sync_type = association.sync_type;
    let after = match row.outcome {
        Outcome::Rests(copy_state) => After::Rests(rests(operation, copy_state, scope, built)),
        Outcome::Flows => flows(operation, sync_type, scope, built),
        Outcome::Restores => After::Rests(restored(from.copy_state, scope, built)),
        Outcome::Reverses => After::Reversed(reversed(from, scope, built)),
        Outcome::ChangesMode(mode) => After::InMode(mode),
        Outcome::Ends(remains) => After::Gone(remains),
        Outcome::Stays => After::Unchanged,
    };
    let during = row.during.map(|progress_status| State {
        copy_state: match row.outcome {
            // The old point in time stays until the new one is there.
            Outcome::Flows if sync_type != SyncType::Snapshot => CopyState::Unsynchronized,
            _ => from.copy_state,
        },
        progress_status,
    });
    Ok(Transition { during, after, row })
}

/// The row by which an operation is accepted.
fn accepted(
    operation: Operation,
    association: &Association,
    scope: Scope,
    built: &BuiltType,
    force: bool,
) -> Result<&'static Row, OperationRefusal> {
    let offered = match scope {
        Scope::Group => built.group_operations,
        Scope::Element | Scope::Either => built.operations,
    };
    if !offered.contains(operation) {
        return Err(OperationRefusal::NotBuilt {
            operation,
            replication_type: built.replication_type,
        });
    }
    unfinished(operation, association, scope, built)?;
    let copy_state = association.copy_state;
    // What isn't there yet is still read from the source, and there is no way to do without it.
    if operation == Operation::Detach
        && copy_state == CopyState::Unsynchronized
        && !built.detaches_incomplete
    {
        return Err(OperationRefusal::WrongState {
            operation,
            copy_state,
        });
    }
    let mut candidates = rows(operation, association.sync_type, scope)
        .filter(|row| row.from.contains(&copy_state) && row.is_published(built, scope));
    let Some(row) = candidates.next() else {
        return Err(OperationRefusal::WrongState {
            operation,
            copy_state,
        });
    };
    let lacks_image = match row.touches {
        // What the source holds is about to replace what the target holds.
        Touches::Target if row.outcome == Outcome::Flows => !association.source_consistent,
        _ => row.needs.contains(&Need::Image) && !association.target_consistent,
    };
    if (row.needs_force() || lacks_image) && !force {
        return Err(OperationRefusal::NeedsForce {
            operation,
            copy_state,
        });
    }
    if row.needs.contains(&Need::Idle) && association.is_copying() {
        return Err(OperationRefusal::Running(association.progress_status));
    }
    Ok(row)
}

/// What has to be finished before this operation can be.
fn unfinished(
    operation: Operation,
    association: &Association,
    scope: Scope,
    built: &BuiltType,
) -> Result<(), OperationRefusal> {
    let status = association.progress_status;
    if let Some(next) = required_operation(status)
        && next != operation
    {
        return Err(OperationRefusal::RequiresFirst(next));
    }
    // A flow that CopyState doesn't show, as that of a snapshot which gets another point in time.
    let flows_unseen = association.is_copying()
        && !matches!(
            association.copy_state,
            CopyState::Initialized | CopyState::Unsynchronized
        );
    if is_changing(status) || flows_unseen {
        return Err(OperationRefusal::Running(status));
    }
    let only_failback = behaves(
        built,
        scope,
        Feature::FailoverOperationRequiresSubsequentFailback,
    );
    if association.copy_state == CopyState::Failedover
        && only_failback
        && !matches!(operation, Operation::Failback | Operation::Detach)
    {
        return Err(OperationRefusal::RequiresFirst(Operation::Failback));
    }
    Ok(())
}

/// Whether the state is about to be another one, so that nothing can be said of it.
const fn is_changing(status: ProgressStatus) -> bool {
    matches!(
        status,
        ProgressStatus::Preparing
            | ProgressStatus::Restoring
            | ProgressStatus::Fracturing
            | ProgressStatus::Splitting
            | ProgressStatus::FailingOver
            | ProgressStatus::FailingBack
            | ProgressStatus::Aborting
            | ProgressStatus::Suspending
            | ProgressStatus::Detaching
            | ProgressStatus::Terminating
    )
}

/// What rests in a state may have a notice about what has to follow.
fn rests(operation: Operation, copy_state: CopyState, scope: Scope, built: &BuiltType) -> State {
    let is = |feature| behaves(built, scope, feature);
    let notice = match operation {
        Operation::Failover if is(Feature::FailoverOperationRequiresSubsequentFracture) => {
            Some(ProgressStatus::RequiresFracture)
        }
        Operation::Failover if is(Feature::FailoverOperationRequiresSubsequentSplit) => {
            Some(ProgressStatus::RequiresSplit)
        }
        _ => None,
    };
    let rest = State::at_rest(copy_state);
    State {
        progress_status: notice.unwrap_or(rest.progress_status),
        ..rest
    }
}

/// What a flow of data ends in.
fn flows(operation: Operation, sync_type: SyncType, scope: Scope, built: &BuiltType) -> After {
    let halts = operation == Operation::ResyncReplica
        && sync_type == SyncType::Mirror
        && behaves(
            built,
            scope,
            Feature::ResyncOperationRequiresSubsequentActivate,
        );
    if halts {
        After::Rests(State {
            copy_state: CopyState::Prepared,
            progress_status: ProgressStatus::RequiresActivate,
        })
    } else {
        copied(built, scope)
    }
}

/// What a copy is when it is complete.
pub(super) fn copied(built: &BuiltType, scope: Scope) -> After {
    let detaches = built.sync_type() == SyncType::Clone
        && behaves(
            built,
            scope,
            Feature::SynchronizedCloneTargetDetachesAutomatically,
        );
    if detaches {
        After::Gone(Remains::Target)
    } else {
        After::Rests(State::at_rest(CopyState::Synchronized))
    }
}

/// What an association is when its source was restored.
fn restored(from: CopyState, scope: Scope, built: &BuiltType) -> State {
    let is = |feature| behaves(built, scope, feature);
    if is(Feature::RestoreOperationRequiresSubsequentFracture) {
        State {
            copy_state: CopyState::Synchronized,
            progress_status: ProgressStatus::RequiresFracture,
        }
    } else if is(Feature::RestoreOperationRequiresSubsequentResume) {
        State {
            copy_state: CopyState::Suspended,
            progress_status: ProgressStatus::RequiresResume,
        }
    } else if is(Feature::RestoreOperationRequiresSubsequentDetach) {
        State {
            copy_state: CopyState::Restored,
            progress_status: ProgressStatus::RequiresDetach,
        }
    } else if built.rests_in_restored {
        State::at_rest(CopyState::Restored)
    } else {
        State::at_rest(from)
    }
}

/// What an association is when its ends have changed places.
fn reversed(from: State, scope: Scope, built: &BuiltType) -> State {
    let is = |feature| behaves(built, scope, feature);
    if is(Feature::ReverseRolesOperationRequiresSubsequentResync) {
        // A state from which it can be resynchronized.
        State {
            copy_state: match from.copy_state {
                CopyState::Split => CopyState::Split,
                _ => CopyState::Fractured,
            },
            progress_status: ProgressStatus::RequiresResync,
        }
    } else if is(Feature::ReverseRolesOperationDoesNotChangeCopyState)
        || from.copy_state == CopyState::Synchronized
    {
        State::at_rest(from.copy_state)
    } else {
        // The new target gets what the new source has.
        State {
            copy_state: CopyState::Unsynchronized,
            progress_status: ProgressStatus::Resyncing,
        }
    }
}
