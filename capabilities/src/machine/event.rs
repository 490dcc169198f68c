//! What happens to an association without being asked for.

use super::row::{Basis, Scope};
use super::transition::{After, State, copied};
use crate::built::BuiltType;
use crate::facts::Association;
use crate::values::{
    CopyRecoveryMode, CopyState as S, LocalOrRemote, ProgressStatus, ReplicationType, SyncType,
};

/// What an engine notices. It says only what concerns the association: an error of a disk that a fractured
/// mirror doesn't need at the moment is no event of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// An error in source, target or path, or no space.
    Failed,
    /// A restore was given up. It is the restore that has failed, not the association, so that it can be tried
    /// again.
    RestoreFailed,
    /// The relationship's state can't be known any more, as when the peer may have failed over.
    StateLost,
    /// There is contact again, and an end's status isn't known.
    ContactWithoutStatus,
    /// The cause of the failure is gone, or the other end is known again.
    Recovered,
    /// The flow of data is complete.
    Copied,
    /// A host has written a target that is meant to match.
    TargetWritten,
    /// The flow has stopped for a moment, for want of bandwidth.
    FlowPaused,
    /// It goes on.
    FlowResumed,
}

/// One rule: in these states, an event leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// The event.
    pub event: Event,
    /// For which copies.
    pub sync_types: &'static [SyncType],
    /// In which states.
    pub from: &'static [S],
    /// What it leads to.
    pub outcome: EventOutcome,
    /// Where the rule comes from.
    pub basis: Basis,
}

/// What an event leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// The association is in this state.
    Becomes(S),
    /// The flow is complete.
    Complete,
    /// The flow goes on by itself, or waits for Resume, as CopyRecoveryMode says.
    Recovers,
    /// Only ProgressStatus changes.
    Shows(ProgressStatus),
}

const MIRROR_CLONE: &[SyncType] = &[SyncType::Mirror, SyncType::Clone];
const ALL: &[SyncType] = SyncType::ALL;
const FLOWING: &[S] = &[S::Unsynchronized, S::Synchronized];

/// The table of events. In other states an event changes nothing.
pub const EVENTS: &[EventRow] = &[
    EventRow {
        event: Event::Failed,
        sync_types: ALL,
        // Not what has failed over, is switched off or given up: there nothing is left to fail.
        from: &[
            S::Initialized,
            S::Unsynchronized,
            S::Synchronized,
            S::Fractured,
            S::Split,
            S::Suspended,
            S::Prepared,
            S::Skewed,
            S::Partitioned,
            S::Invalid,
            S::Restored,
        ],
        outcome: EventOutcome::Becomes(S::Broken),
        basis: Basis::Specified,
    },
    EventRow {
        event: Event::RestoreFailed,
        sync_types: ALL,
        from: &[S::Synchronized, S::Fractured, S::Split, S::Skewed],
        outcome: EventOutcome::Shows(ProgressStatus::Completed),
        basis: Basis::Inferred,
    },
    EventRow {
        event: Event::StateLost,
        sync_types: ALL,
        from: &[
            S::Initialized,
            S::Unsynchronized,
            S::Synchronized,
            S::Broken,
            S::Fractured,
            S::Split,
            S::Suspended,
            S::Failedover,
            S::Prepared,
            S::Invalid,
        ],
        outcome: EventOutcome::Becomes(S::Partitioned),
        basis: Basis::Specified,
    },
    EventRow {
        event: Event::ContactWithoutStatus,
        sync_types: ALL,
        from: &[S::Partitioned],
        outcome: EventOutcome::Becomes(S::Invalid),
        basis: Basis::Specified,
    },
    EventRow {
        event: Event::Recovered,
        sync_types: MIRROR_CLONE,
        from: &[S::Broken, S::Partitioned, S::Invalid],
        outcome: EventOutcome::Recovers,
        basis: Basis::Specified,
    },
    EventRow {
        event: Event::Recovered,
        sync_types: &[SyncType::Snapshot],
        from: &[S::Partitioned, S::Invalid],
        outcome: EventOutcome::Becomes(S::Synchronized),
        basis: Basis::Inferred,
    },
    EventRow {
        event: Event::Copied,
        sync_types: ALL,
        from: &[S::Initialized, S::Unsynchronized],
        outcome: EventOutcome::Complete,
        basis: Basis::Specified,
    },
    EventRow {
        event: Event::TargetWritten,
        sync_types: ALL,
        from: &[S::Synchronized],
        outcome: EventOutcome::Becomes(S::Skewed),
        basis: Basis::Specified,
    },
    EventRow {
        event: Event::FlowPaused,
        sync_types: MIRROR_CLONE,
        from: FLOWING,
        outcome: EventOutcome::Shows(ProgressStatus::Pending),
        basis: Basis::Specified,
    },
    EventRow {
        event: Event::FlowResumed,
        sync_types: MIRROR_CLONE,
        from: &[S::Unsynchronized],
        outcome: EventOutcome::Shows(ProgressStatus::Synchronizing),
        basis: Basis::Specified,
    },
    EventRow {
        event: Event::FlowResumed,
        sync_types: MIRROR_CLONE,
        from: &[S::Synchronized],
        outcome: EventOutcome::Shows(ProgressStatus::Completed),
        basis: Basis::Specified,
    },
];

impl Event {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Failed,
        Self::RestoreFailed,
        Self::StateLost,
        Self::ContactWithoutStatus,
        Self::Recovered,
        Self::Copied,
        Self::TargetWritten,
        Self::FlowPaused,
        Self::FlowResumed,
    ];

    /// Whether it can happen to such copies at all.
    pub(super) fn is_possible(self, built: &BuiltType) -> bool {
        let replication_type: ReplicationType = built.replication_type;
        match self {
            Self::StateLost | Self::ContactWithoutStatus => {
                replication_type.locality() == LocalOrRemote::Remote
            }
            Self::TargetWritten => built.targets_writable,
            _ => true,
        }
    }
}

/// What an event makes of an association; `None` if nothing.
#[must_use]
pub fn observe(
    event: Event,
    association: &Association,
    scope: Scope,
    built: &BuiltType,
) -> Option<After> {
    let row = EVENTS.iter().find(|row| {
        row.event == event
            && row.sync_types.contains(&association.sync_type)
            && row.from.contains(&association.copy_state)
    })?;
    Some(match row.outcome {
        EventOutcome::Becomes(copy_state) => After::Rests(State::at_rest(copy_state)),
        EventOutcome::Complete => copied(built, scope),
        EventOutcome::Recovers => After::Rests(recovered(built)),
        EventOutcome::Shows(progress_status) => After::Rests(State {
            copy_state: association.copy_state,
            progress_status,
        }),
    })
}

/// What an association is when the cause of its failure is gone.
fn recovered(built: &BuiltType) -> State {
    match built.copy_recovery_mode {
        CopyRecoveryMode::Automatic => State {
            copy_state: S::Unsynchronized,
            progress_status: ProgressStatus::Resyncing,
        },
        _ => State::at_rest(S::Suspended),
    }
}
