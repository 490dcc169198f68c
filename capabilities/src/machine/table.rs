//! The table of operations. The one place that says which goes with which state.

use super::row::Need::{Force, Idle, Image, With, WithGroup, Without, WithoutGroup};
use super::row::Outcome::{ChangesMode, Ends, Flows, Restores, Rests, Reverses, Stays};
use super::row::{Need, Remains, Row, Scope};
use crate::values::CopyState::{
    Aborted, Broken, Failedover, Fractured, Inactive, Initialized, Invalid, Partitioned, Prepared,
    Restored, Skewed, Split, Suspended, Synchronized, Unsynchronized,
};
use crate::values::Mode::{Asynchronous, Synchronous};
use crate::values::{CopyState, Feature as F, GroupFeature as G, Operation as O, SyncType};

const M: &[SyncType] = &[SyncType::Mirror];
const S: &[SyncType] = &[SyncType::Snapshot];
const C: &[SyncType] = &[SyncType::Clone];
const MC: &[SyncType] = &[SyncType::Mirror, SyncType::Clone];
const SC: &[SyncType] = &[SyncType::Snapshot, SyncType::Clone];
const MSC: &[SyncType] = SyncType::ALL;

/// States in which no data has to flow and nothing is in doubt.
#[rustfmt::skip]
const SETTLED: &[CopyState] = &[
    Initialized, Synchronized, Broken, Fractured, Split, Inactive, Suspended, Failedover, Prepared,
    Aborted, Skewed, Restored,
];
const IN_DOUBT: &[CopyState] = &[Partitioned, Invalid];
/// Mixed is a state of groups, whose members differ.
const ANY: &[CopyState] = CopyState::ALL;

const REMAIN: F = F::TargetMustRemainAssociatedToSource;
const FRACTURE_FIRST: F = F::PlannedFailoverOperationRequiresFracturedState;
const SPLIT_FIRST: G = G::PlannedFailoverOperationRequiresSplitState;
const FRACTURE_AFTER_FAILOVER: F = F::FailoverOperationRequiresSubsequentFracture;
const SPLIT_AFTER_FAILOVER: F = F::FailoverOperationRequiresSubsequentSplit;
const REVERSE_SYNCHRONIZED: F = F::ReverseRolesOperationRequiresSynchronizedState;
const REVERSE_FRACTURED: F = F::ReverseRolesOperationRequiresFracturedState;
const REVERSE_SPLIT: F = F::ReverseRolesOperationRequiresSplitState;
const REVERSE_FAILEDOVER: F = F::ReverseRolesOperationRequiresFailedOverState;
const REVERSE_SUSPENDED: F = F::ReverseRolesOperationRequiresSuspendedState;
const MEMBERS_FRACTURED: G = G::AddOrRemoveToGroupRequiresFracturedState;
const MEMBERS_SPLIT: G = G::AddOrRemoveToGroupRequiresSplitState;
const MEMBERS_SUSPENDED: G = G::AddOrRemoveToGroupRequiresSuspendedState;
const MEMBERS_FAILEDOVER: G = G::AddOrRemoveToGroupRequiresFailedOverState;
/// No state is asked for when members are added or removed.
#[rustfmt::skip]
const MEMBERS_ANY: &[Need] = &[
    WithoutGroup(MEMBERS_FRACTURED), WithoutGroup(MEMBERS_SPLIT),
    WithoutGroup(MEMBERS_SUSPENDED), WithoutGroup(MEMBERS_FAILEDOVER),
];

/// The rows about such an operation.
pub fn rows(operation: O, sync_type: SyncType, scope: Scope) -> impl Iterator<Item = &'static Row> {
    let about = move |row: &&Row| row.is_about(operation, sync_type, scope);
    TABLE.iter().filter(about)
}

/// The table. At most one row is about the same operation, kind of copy and state under what is published.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    // --- Begin the flow of data, hold it, end it. A snapshot that is deactivated loses what was written to it.
    Row::new(O::Activate, MSC, &[Inactive, Prepared], Flows).onto_target(),
    Row::new(O::Activate, M, &[Initialized], Flows).onto_target().inferred(),
    Row::new(O::Deactivate, M, &[Unsynchronized, Synchronized], Rests(Inactive)).inferred(),
    Row::new(O::Deactivate, S, &[Synchronized, Skewed], Rests(Inactive)).loses_target().inferred(),
    Row::new(O::Suspend, MC, &[Unsynchronized, Synchronized], Rests(Suspended)).inferred(),
    Row::new(O::Resume, MC, &[Suspended], Flows).onto_target(),
    Row::new(O::Abort, MC, &[Unsynchronized], Rests(Aborted)),
    Row::new(O::Abort, M, &[Initialized, Prepared], Rests(Aborted)).inferred(),
    Row::new(O::Prepare, M, &[Initialized, Fractured, Inactive], Rests(Prepared)).both_ends().inferred(),
    Row::new(O::Unprepare, M, &[Prepared], Rests(Initialized)).inferred(),
    // --- Take it apart. A mirror that is fractured while it is copied has a target that can't be used.
    Row::new(O::Fracture, M, &[Synchronized], Rests(Fractured)),
    Row::new(O::Fracture, M, &[Unsynchronized, Broken, Suspended], Rests(Fractured)).inferred(),
    Row::new(O::Fracture, M, &[Failedover], Rests(Fractured)).needs(&[With(FRACTURE_AFTER_FAILOVER)]),
    Row::new(O::Fracture, C, &[Synchronized], Rests(Fractured)).inferred(),
    Row::new(O::Split, M, &[Synchronized], Rests(Split)).both_ends(),
    Row::new(O::Split, M, &[Failedover], Rests(Split)).needs(&[With(SPLIT_AFTER_FAILOVER)]),
    // --- Put it together again. Of a point in time, Resync makes another one and Reset makes the same again.
    Row::new(O::ResyncReplica, M, &[Broken, Fractured, Split, Aborted], Flows).onto_target(),
    Row::new(O::ResyncReplica, M, &[Skewed, Invalid, Restored], Flows).onto_target().inferred(),
    Row::new(O::ResyncReplica, SC, &[Synchronized, Skewed, Restored], Flows).onto_target().inferred(),
    Row::new(O::ResyncReplica, C, &[Fractured], Flows).onto_target().inferred(),
    Row::new(O::ResetReplica, SC, &[Skewed], Flows).onto_target(),
    Row::new(O::RestoreFromReplica, M, &[Fractured], Restores).needs(&[Image]).onto_source(),
    Row::new(O::RestoreFromReplica, M, &[Split, Skewed], Restores).onto_source().inferred(),
    Row::new(O::RestoreFromReplica, SC, &[Synchronized, Skewed], Restores).onto_source().inferred(),
    // --- Change over. Where the ends differ, what was the source will be overwritten. A target that holds no
    // consistent image takes over only by force.
    Row::new(O::Failover, M, &[Synchronized], Rests(Failedover))
        .needs(&[Without(FRACTURE_FIRST), WithoutGroup(SPLIT_FIRST)]).inferred(),
    Row::new(O::Failover, M, &[Fractured], Rests(Failedover)).needs(&[With(FRACTURE_FIRST), Image]),
    Row::new(O::Failover, M, &[Split], Rests(Failedover)).needs(&[WithGroup(SPLIT_FIRST)]),
    Row::new(O::Failover, M, &[Broken, Suspended], Rests(Failedover)).needs(&[Image]).inferred(),
    Row::new(O::Failover, M, &[Partitioned], Rests(Failedover)).needs(&[Force]).inferred(),
    Row::new(O::Failback, M, &[Failedover], Flows).onto_source(),
    Row::new(O::ReverseRoles, M, &[Synchronized], Reverses).needs(&[With(REVERSE_SYNCHRONIZED)]).both_ends(),
    Row::new(O::ReverseRoles, M, &[Fractured], Reverses).needs(&[With(REVERSE_FRACTURED), Image]).onto_source(),
    Row::new(O::ReverseRoles, M, &[Split], Reverses).needs(&[With(REVERSE_SPLIT)]).onto_source(),
    Row::new(O::ReverseRoles, M, &[Failedover], Reverses).needs(&[With(REVERSE_FAILEDOVER)]).onto_source(),
    Row::new(O::ReverseRoles, M, &[Suspended], Reverses).needs(&[With(REVERSE_SUSPENDED), Image]).onto_source(),
    // --- Another mode.
    Row::new(O::ResetToSync, M, &[Synchronized], ChangesMode(Synchronous)).both_ends(),
    Row::new(O::ResetToAsync, M, &[Synchronized], ChangesMode(Asynchronous)).both_ends(),
    // --- End the association.
    Row::new(O::Detach, MC, SETTLED, Ends(Remains::Target)),
    Row::new(O::Detach, MC, &[Unsynchronized], Ends(Remains::Target)).needs(&[Force]),
    Row::new(O::Detach, MC, IN_DOUBT, Ends(Remains::Target)).needs(&[Force]).inferred(),
    Row::new(O::Detach, S, SETTLED, Ends(Remains::Target)).needs(&[Without(REMAIN)]),
    Row::new(O::Detach, S, &[Unsynchronized], Ends(Remains::Target)).needs(&[Without(REMAIN), Force]),
    Row::new(O::Detach, S, IN_DOUBT, Ends(Remains::Target)).needs(&[Without(REMAIN), Force]).inferred(),
    Row::new(O::Dissolve, MC, SETTLED, Ends(Remains::TargetAndAspect)).needs(&[Idle]),
    Row::new(O::Dissolve, S, SETTLED, Ends(Remains::TargetAndAspect)).needs(&[Idle, Without(REMAIN)]),
    Row::new(O::ReturnToResourcePool, S, SETTLED, Ends(Remains::Nothing)).needs(&[Idle]).loses_target(),
    // --- What only groups have.
    Row::new(O::ActivateConsistency, MSC, ANY, Stays).of_groups(),
    Row::new(O::DeactivateConsistency, MSC, ANY, Stays).of_groups(),
    Row::new(O::AddSyncPair, MSC, ANY, Stays).of_groups().needs(MEMBERS_ANY),
    Row::new(O::AddSyncPair, MSC, &[Fractured], Stays).of_groups().needs(&[WithGroup(MEMBERS_FRACTURED)]),
    Row::new(O::AddSyncPair, MSC, &[Split], Stays).of_groups().needs(&[WithGroup(MEMBERS_SPLIT)]),
    Row::new(O::AddSyncPair, MSC, &[Suspended], Stays).of_groups().needs(&[WithGroup(MEMBERS_SUSPENDED)]),
    Row::new(O::AddSyncPair, MSC, &[Failedover], Stays).of_groups().needs(&[WithGroup(MEMBERS_FAILEDOVER)]),
    Row::new(O::RemoveSyncPair, MSC, ANY, Stays).of_groups().needs(MEMBERS_ANY),
    Row::new(O::RemoveSyncPair, MSC, &[Fractured], Stays).of_groups().needs(&[WithGroup(MEMBERS_FRACTURED)]),
    Row::new(O::RemoveSyncPair, MSC, &[Split], Stays).of_groups().needs(&[WithGroup(MEMBERS_SPLIT)]),
    Row::new(O::RemoveSyncPair, MSC, &[Suspended], Stays).of_groups().needs(&[WithGroup(MEMBERS_SUSPENDED)]),
    Row::new(O::RemoveSyncPair, MSC, &[Failedover], Stays).of_groups().needs(&[WithGroup(MEMBERS_FAILEDOVER)]),
];
