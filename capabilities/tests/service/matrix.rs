//! The table of operations, cell by cell against the matrix that it was written from.

use tidelock_capabilities::machine::{
    After, Basis, Need, OperationRefusal, Remains, Scope, State, TABLE, required_operation, rows,
    transition,
};
use tidelock_capabilities::values::{
    CopyState, Feature, GroupFeature, Mode, Operation, ProgressStatus, ReplicationType, ReturnCode,
    SyncType,
};

use crate::rig::*;

/// Mirrors. `Y` is specified, `y` inferred, `F` after it needs Force, `R` needs a feature, `-` is refused.
const MIRROR: &str = "
    state           Act  Deact Susp Res  Frac Split Resync Restore Failov Failb Rev  Detach Abort
    Initialized     y    -     -    -    -    -     -      -       -      -     -    Y      y
    Unsynchronized  -    y     y    -    y    -     -      -       -      -     -    YF     Y
    Synchronized    -    y     y    -    Y    Y     -      -       y      -     R    Y      -
    Broken          -    -     -    -    y    -     Y      -       y      -     -    Y      -
    Fractured       -    -     -    -    -    -     Y      Y       R      -     R    Y      -
    Split           -    -     -    -    -    -     Y      y       -      -     R    Y      -
    Inactive        Y    -     -    -    -    -     -      -       -      -     -    Y      -
    Suspended       -    -     -    Y    y    -     -      -       y      -     R    Y      -
    Failedover      -    -     -    -    R    R     -      -       -      Y     R    Y      -
    Prepared        Y    -     -    -    -    -     -      -       -      -     -    Y      y
    Aborted         -    -     -    -    -    -     Y      -       -      -     -    Y      -
    Skewed          -    -     -    -    -    -     y      y       -      -     -    Y      -
    Mixed           -    -     -    -    -    -     -      -       -      -     -    -      -
    Not_Applicable  -    -     -    -    -    -     -      -       -      -     -    -      -
    Partitioned     -    -     -    -    -    -     -      -       yF     -     -    yF     -
    Invalid         -    -     -    -    -    -     y      -       -      -     -    yF     -
    Restored        -    -     -    -    -    -     y      -       -      -     -    Y      -
";

/// Snapshots.
const SNAPSHOT: &str = "
    state           Act  Deact Resync Reset Restore Detach Return
    Initialized     -    -     -      -     -       Y      Y
    Unsynchronized  -    -     -      -     -       YF     -
    Synchronized    -    y     y      -     y       Y      Y
    Broken          -    -     -      -     -       Y      Y
    Inactive        Y    -     -      -     -       Y      Y
    Prepared        Y    -     -      -     -       Y      Y
    Aborted         -    -     -      -     -       Y      Y
    Skewed          -    y     y      Y     y       Y      Y
    Partitioned     -    -     -      -     -       yF     -
    Invalid         -    -     -      -     -       yF     -
    Restored        -    -     y      -     -       Y      Y
";

/// Clones.
const CLONE: &str = "
    state           Act  Susp Res  Frac Resync Reset Restore Detach Abort Dissolve
    Initialized     -    -    -    -    -      -     -       Y      -     Y
    Unsynchronized  -    y    -    -    -      -     -       YF     Y     -
    Synchronized    -    y    -    y    y      -     y       Y      -     Y
    Broken          -    -    -    -    -      -     -       Y      -     Y
    Fractured       -    -    -    -    y      -     -       Y      -     Y
    Inactive        Y    -    -    -    -      -     -       Y      -     Y
    Suspended       -    -    Y    -    -      -     -       Y      -     Y
    Aborted         -    -    -    -    -      -     -       Y      -     Y
    Skewed          -    -    -    -    y      Y     y       Y      -     Y
    Partitioned     -    -    -    -    -      -     -       yF     -     -
    Restored        -    -    -    -    y      -     -       Y      -     Y
";

fn operation(heading: &str) -> Operation {
    match heading {
        "Act" => Operation::Activate,
        "Deact" => Operation::Deactivate,
        "Susp" => Operation::Suspend,
        "Res" => Operation::Resume,
        "Frac" => Operation::Fracture,
        "Split" => Operation::Split,
        "Resync" => Operation::ResyncReplica,
        "Reset" => Operation::ResetReplica,
        "Restore" => Operation::RestoreFromReplica,
        "Failov" => Operation::Failover,
        "Failb" => Operation::Failback,
        "Rev" => Operation::ReverseRoles,
        "Detach" => Operation::Detach,
        "Return" => Operation::ReturnToResourcePool,
        "Abort" => Operation::Abort,
        "Dissolve" => Operation::Dissolve,
        other => panic!("no operation {other}"),
    }
}

fn state(name: &str) -> CopyState {
    let name = name.replace('_', " ");
    let mut all = CopyState::ALL.iter().copied();
    all.find(|it| it.name() == name).unwrap()
}

/// What the table says of a cell, in the letters of the matrix.
fn cell(operation: Operation, sync_type: SyncType, copy_state: CopyState) -> String {
    let mut letters: Vec<_> = rows(operation, sync_type, Scope::Element)
        .filter(|row| row.from.contains(&copy_state))
        .filter(|row| !row.needs.iter().any(|it| matches!(it, Need::WithGroup(_))))
        .map(|row| {
            let by_feature = row.needs.iter().any(|it| matches!(it, Need::With(_)));
            let letter = match row.basis {
                _ if by_feature => "R",
                Basis::Specified => "Y",
                Basis::Inferred => "y",
            };
            format!("{letter}{}", if row.needs_force() { "F" } else { "" })
        })
        .collect();
    assert!(
        letters.len() <= 1,
        "{operation} in {copy_state}: {letters:?}"
    );
    letters.pop().unwrap_or_else(|| "-".into())
}

#[track_caller]
fn compare(matrix: &str, sync_type: SyncType, mut told: usize) {
    let mut lines = matrix.lines().filter(|line| !line.trim().is_empty());
    let headings: Vec<_> = lines.next().unwrap().split_whitespace().skip(1).collect();
    for line in lines {
        let mut words = line.split_whitespace();
        let copy_state = state(words.next().unwrap());
        let cells: Vec<_> = words.collect();
        assert_eq!(cells.len(), headings.len(), "{line}");
        for (heading, expected) in headings.iter().zip(cells) {
            let found = cell(operation(heading), sync_type, copy_state);
            assert_eq!(found, expected, "{sync_type}: {heading} in {copy_state}");
            told -= usize::from(expected != "-");
        }
    }
    assert_eq!(told, 0, "the matrix lacks what the table has");
}

/// How many cells of these operations the table has in all.
fn cells(sync_type: SyncType, matrix: &str) -> usize {
    let heading = matrix.lines().find(|line| !line.trim().is_empty()).unwrap();
    let count = |operation| {
        let states = CopyState::ALL.iter().copied();
        states
            .filter(|it| cell(operation, sync_type, *it) != "-")
            .count()
    };
    heading
        .split_whitespace()
        .skip(1)
        .map(|it| count(operation(it)))
        .sum()
}

#[test]
fn the_table_is_the_matrix_of_mirrors() {
    compare(MIRROR, SyncType::Mirror, cells(SyncType::Mirror, MIRROR));
}

#[test]
fn the_table_is_the_matrix_of_snapshots() {
    // Fractured, Split, Suspended and Failedover can be left by ending the association, and by nothing else.
    let others = 4 * 2;
    compare(
        SNAPSHOT,
        SyncType::Snapshot,
        cells(SyncType::Snapshot, SNAPSHOT) - others,
    );
}

#[test]
fn the_table_is_the_matrix_of_clones() {
    // Split and Failedover, which clones are never in; Prepared, which they can be activated from; Invalid.
    let others = 2 + 2 + 3 + 1;
    compare(
        CLONE,
        SyncType::Clone,
        cells(SyncType::Clone, CLONE) - others,
    );
}

#[test]
fn every_operation_of_the_schema_has_rows_unless_it_is_of_modes_that_nobody_has() {
    for operation in Operation::ALL.iter().copied() {
        let has = TABLE.iter().any(|row| row.operation == operation);
        let is_of_other_modes = matches!(
            operation,
            Operation::ResetToAdaptive | Operation::ResetToActive
        );
        assert_eq!(has, !is_of_other_modes, "{operation}");
    }
}

#[test]
fn at_most_one_row_is_published_for_a_cell() {
    let features = [
        Feature::PlannedFailoverOperationRequiresFracturedState,
        Feature::FailoverOperationRequiresSubsequentFracture,
        Feature::TargetMustRemainAssociatedToSource,
    ];
    let group_features = [
        GroupFeature::PlannedFailoverOperationRequiresSplitState,
        GroupFeature::AddOrRemoveToGroupRequiresFracturedState,
        GroupFeature::AddOrRemoveToGroupRequiresSplitState,
        GroupFeature::AddOrRemoveToGroupRequiresSuspendedState,
        GroupFeature::AddOrRemoveToGroupRequiresFailedOverState,
    ];
    for choice in 0..256_u32 {
        let is_chosen = |bit: usize| choice & (1 << bit) != 0;
        for replication_type in ReplicationType::ALL.iter().copied() {
            let mut built = every_operation(replication_type);
            built.features = (0..3)
                .filter(|it| is_chosen(*it))
                .map(|it| features[it])
                .collect();
            built.group_features = (0..5)
                .filter(|it| is_chosen(it + 3))
                .map(|it| group_features[it])
                .collect();
            for scope in [Scope::Element, Scope::Group] {
                for operation in Operation::ALL.iter().copied() {
                    for copy_state in CopyState::ALL {
                        let published = rows(operation, built.sync_type(), scope)
                            .filter(|row| row.from.contains(copy_state))
                            .filter(|row| row.is_published(&built, scope))
                            .count();
                        assert!(published <= 1, "{operation} in {copy_state}");
                    }
                }
            }
        }
    }
}

/// The state after an operation on a mirror with these features.
fn after(operation: Operation, copy_state: CopyState, features: &[Feature]) -> After {
    let mut built = every_operation(ReplicationType::SynchronousMirrorRemote);
    built.features = Feature::set(features);
    let mirror = association(SyncType::Mirror, copy_state);
    transition(operation, &mirror, Scope::Element, &built, false)
        .unwrap()
        .after
}

fn rests(copy_state: CopyState, progress_status: ProgressStatus) -> After {
    After::Rests(State {
        copy_state,
        progress_status,
    })
}

#[test]
fn operations_lead_where_the_schema_says() {
    use CopyState as S;
    use Operation as O;
    use ProgressStatus as P;
    for (operation, from, expected) in [
        (
            O::Activate,
            S::Inactive,
            rests(S::Synchronized, P::Completed),
        ),
        (
            O::Deactivate,
            S::Synchronized,
            rests(S::Inactive, P::Dormant),
        ),
        (
            O::Suspend,
            S::Unsynchronized,
            rests(S::Suspended, P::Dormant),
        ),
        (
            O::Resume,
            S::Suspended,
            rests(S::Synchronized, P::Completed),
        ),
        (
            O::Fracture,
            S::Synchronized,
            rests(S::Fractured, P::Completed),
        ),
        (O::Split, S::Synchronized, rests(S::Split, P::Completed)),
        (
            O::ResyncReplica,
            S::Broken,
            rests(S::Synchronized, P::Completed),
        ),
        (
            O::RestoreFromReplica,
            S::Split,
            rests(S::Split, P::Completed),
        ),
        (O::Failover, S::Broken, rests(S::Failedover, P::Completed)),
        (
            O::Failback,
            S::Failedover,
            rests(S::Synchronized, P::Completed),
        ),
        (O::Abort, S::Unsynchronized, rests(S::Aborted, P::Completed)),
        (O::Prepare, S::Fractured, rests(S::Prepared, P::Completed)),
        (
            O::Unprepare,
            S::Prepared,
            rests(S::Initialized, P::Completed),
        ),
        (
            O::ResetToAsync,
            S::Synchronized,
            After::InMode(Mode::Asynchronous),
        ),
        (O::Detach, S::Failedover, After::Gone(Remains::Target)),
        (
            O::Dissolve,
            S::Synchronized,
            After::Gone(Remains::TargetAndAspect),
        ),
    ] {
        assert_eq!(after(operation, from, &[]), expected, "{operation}");
    }
}

#[test]
fn features_change_where_operations_lead() {
    use CopyState as S;
    use Feature as F;
    use Operation as O;
    use ProgressStatus as P;
    for (operation, from, feature, expected) in [
        (
            O::ResyncReplica,
            S::Fractured,
            F::ResyncOperationRequiresSubsequentActivate,
            rests(S::Prepared, P::RequiresActivate),
        ),
        (
            O::RestoreFromReplica,
            S::Fractured,
            F::RestoreOperationRequiresSubsequentFracture,
            rests(S::Synchronized, P::RequiresFracture),
        ),
        (
            O::RestoreFromReplica,
            S::Fractured,
            F::RestoreOperationRequiresSubsequentDetach,
            rests(S::Restored, P::RequiresDetach),
        ),
        (
            O::RestoreFromReplica,
            S::Fractured,
            F::RestoreOperationRequiresSubsequentResume,
            rests(S::Suspended, P::RequiresResume),
        ),
        (
            O::Failover,
            S::Synchronized,
            F::FailoverOperationRequiresSubsequentFracture,
            rests(S::Failedover, P::RequiresFracture),
        ),
        (
            O::Failover,
            S::Synchronized,
            F::FailoverOperationRequiresSubsequentSplit,
            rests(S::Failedover, P::RequiresSplit),
        ),
        (
            O::Failover,
            S::Fractured,
            F::PlannedFailoverOperationRequiresFracturedState,
            rests(S::Failedover, P::Completed),
        ),
    ] {
        assert_eq!(after(operation, from, &[feature]), expected, "{feature}");
    }
}

#[test]
fn reversed_roles_need_the_state_that_is_published_and_flow_the_other_way() {
    use CopyState as S;
    use Feature as F;
    for (feature, from) in [
        (
            F::ReverseRolesOperationRequiresSynchronizedState,
            S::Synchronized,
        ),
        (F::ReverseRolesOperationRequiresFracturedState, S::Fractured),
        (F::ReverseRolesOperationRequiresSplitState, S::Split),
        (
            F::ReverseRolesOperationRequiresFailedOverState,
            S::Failedover,
        ),
        (F::ReverseRolesOperationRequiresSuspendedState, S::Suspended),
    ] {
        let reversed = |more: &[F]| {
            let features = [&[feature], more].concat();
            match after(Operation::ReverseRoles, from, &features) {
                After::Reversed(state) => (state.copy_state, state.progress_status),
                other => panic!("{other:?}"),
            }
        };
        let flowing = (S::Unsynchronized, ProgressStatus::Resyncing);
        let synchronized = (S::Synchronized, ProgressStatus::Completed);
        let is_in_step = from == S::Synchronized;
        assert_eq!(
            reversed(&[]),
            if is_in_step { synchronized } else { flowing }
        );
        let stays = reversed(&[F::ReverseRolesOperationDoesNotChangeCopyState]);
        assert_eq!(stays.0, from);
        let resync = reversed(&[F::ReverseRolesOperationRequiresSubsequentResync]);
        assert_eq!(resync.1, ProgressStatus::RequiresResync);
        // Without the feature it is refused.
        let built = every_operation(ReplicationType::SynchronousMirrorRemote);
        let mirror = association(SyncType::Mirror, from);
        let refused = transition(
            Operation::ReverseRoles,
            &mirror,
            Scope::Element,
            &built,
            true,
        );
        assert_eq!(
            refused.unwrap_err(),
            OperationRefusal::WrongState {
                operation: Operation::ReverseRoles,
                copy_state: from
            }
        );
    }
}

#[test]
fn a_clone_that_detaches_by_itself_is_gone_when_it_is_complete() {
    let mut built = every_operation(ReplicationType::AsynchronousCloneLocal);
    let clone = association(SyncType::Clone, CopyState::Suspended);
    let resume = |built: &_| {
        let resumed = transition(Operation::Resume, &clone, Scope::Element, built, false);
        resumed.unwrap().after
    };
    assert_eq!(
        resume(&built),
        rests(CopyState::Synchronized, ProgressStatus::Completed)
    );
    built.features = Feature::set(&[Feature::SynchronizedCloneTargetDetachesAutomatically]);
    assert_eq!(resume(&built), After::Gone(Remains::Target));
}

#[test]
fn while_an_operation_requires_another_one_only_that_one_is_accepted() {
    for status in ProgressStatus::ALL.iter().copied() {
        let Some(next) = required_operation(status) else {
            continue;
        };
        let mut built = every_operation(ReplicationType::SynchronousMirrorRemote);
        built.features = Feature::set(&[
            Feature::FailoverOperationRequiresSubsequentFracture,
            Feature::ReverseRolesOperationRequiresSynchronizedState,
        ]);
        for copy_state in CopyState::ALL.iter().copied() {
            let mut mirror = association(SyncType::Mirror, copy_state);
            mirror.progress_status = status;
            for operation in built.operations.iter() {
                let result = transition(operation, &mirror, Scope::Element, &built, true);
                match result {
                    Err(OperationRefusal::RequiresFirst(it)) if operation != next => {
                        assert_eq!(it, next);
                    }
                    Ok(_) | Err(OperationRefusal::WrongState { .. }) => assert_eq!(operation, next),
                    other => panic!("{operation} in {copy_state}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn after_a_failover_that_requires_failback_only_that_and_detach_are_accepted() {
    let mut built = every_operation(ReplicationType::SynchronousMirrorRemote);
    built.features = Feature::set(&[
        Feature::FailoverOperationRequiresSubsequentFailback,
        Feature::ReverseRolesOperationRequiresFailedOverState,
    ]);
    let mirror = association(SyncType::Mirror, CopyState::Failedover);
    let accepted: Vec<_> = built
        .operations
        .iter()
        .filter(|it| transition(*it, &mirror, Scope::Element, &built, true).is_ok())
        .collect();
    assert_eq!(accepted, [Operation::Detach, Operation::Failback]);
}

#[test]
fn while_a_state_changes_nothing_is_accepted() {
    use ProgressStatus as P;
    let built = every_operation(ReplicationType::SynchronousMirrorRemote);
    for status in [
        P::Preparing,
        P::Restoring,
        P::Fracturing,
        P::Splitting,
        P::FailingOver,
        P::FailingBack,
        P::Aborting,
        P::Suspending,
        P::Detaching,
        P::Terminating,
    ] {
        let mut mirror = association(SyncType::Mirror, CopyState::Synchronized);
        mirror.progress_status = status;
        for operation in built.operations.iter() {
            let refused = transition(operation, &mirror, Scope::Element, &built, true);
            assert_eq!(refused.unwrap_err(), OperationRefusal::Running(status));
        }
    }
}

#[test]
fn a_snapshot_that_must_remain_associated_is_not_detached() {
    let mut built = every_operation(ReplicationType::SynchronousSnapshotLocal);
    let snapshot = association(SyncType::Snapshot, CopyState::Synchronized);
    let ends = |built: &_, operation| {
        transition(operation, &snapshot, Scope::Element, built, true).is_ok()
    };
    for (features, expected) in [
        (&[][..], true),
        (&[Feature::TargetMustRemainAssociatedToSource][..], false),
    ] {
        built.features = Feature::set(features);
        assert_eq!(ends(&built, Operation::Detach), expected);
        assert_eq!(ends(&built, Operation::Dissolve), expected);
        assert!(ends(&built, Operation::ReturnToResourcePool));
    }
}

#[test]
fn force_is_needed_where_data_may_not_be_consistent_and_says_so() {
    let built = every_operation(ReplicationType::SynchronousMirrorRemote);
    for (operation, copy_state) in [
        (Operation::Detach, CopyState::Unsynchronized),
        (Operation::Detach, CopyState::Partitioned),
        (Operation::Failover, CopyState::Partitioned),
    ] {
        let mirror = association(SyncType::Mirror, copy_state);
        let ask = |force| transition(operation, &mirror, Scope::Element, &built, force);
        assert!(ask(true).is_ok());
        let refused = ask(false).unwrap_err();
        assert_eq!(
            refused,
            OperationRefusal::NeedsForce {
                operation,
                copy_state
            }
        );
        assert!(refused.to_string().contains("Force"));
    }
}

#[test]
fn what_relies_on_an_image_that_is_not_consistent_needs_force() {
    let mut built = every_operation(ReplicationType::SynchronousMirrorRemote);
    built.features = Feature::set(&[
        Feature::ReverseRolesOperationRequiresFracturedState,
        Feature::ReverseRolesOperationRequiresSuspendedState,
    ]);
    for (operation, copy_state) in [
        (Operation::RestoreFromReplica, CopyState::Fractured),
        (Operation::Failover, CopyState::Broken),
        (Operation::Failover, CopyState::Suspended),
        (Operation::ReverseRoles, CopyState::Fractured),
        (Operation::ReverseRoles, CopyState::Suspended),
    ] {
        let mut mirror = association(SyncType::Mirror, copy_state);
        let ask = |mirror: &_, force| transition(operation, mirror, Scope::Element, &built, force);
        assert!(ask(&mirror, false).is_ok(), "{operation} in {copy_state}");
        mirror.target_consistent = false;
        assert_eq!(
            ask(&mirror, false).unwrap_err(),
            OperationRefusal::NeedsForce {
                operation,
                copy_state
            }
        );
        assert!(ask(&mirror, true).is_ok());
    }
}

#[test]
fn a_source_that_was_left_half_restored_replaces_its_target_only_by_force() {
    let built = every_operation(ReplicationType::SynchronousMirrorRemote);
    for (operation, copy_state, replaces) in [
        (Operation::ResyncReplica, CopyState::Broken, true),
        (Operation::Resume, CopyState::Suspended, true),
        (Operation::RestoreFromReplica, CopyState::Fractured, false),
        (Operation::Failover, CopyState::Broken, false),
        (Operation::Failback, CopyState::Failedover, false),
        (Operation::Detach, CopyState::Broken, false),
    ] {
        let mut mirror = association(SyncType::Mirror, copy_state);
        mirror.source_consistent = false;
        let ask = |force| transition(operation, &mirror, Scope::Element, &built, force);
        assert_eq!(ask(false).is_ok(), !replaces, "{operation}");
        assert!(ask(true).is_ok());
    }
}

#[test]
fn what_is_not_built_is_not_supported() {
    let mut built = every_operation(ReplicationType::SynchronousMirrorRemote);
    let mirror = association(SyncType::Mirror, CopyState::Synchronized);
    let operation = Operation::Split;
    for scope in [Scope::Element, Scope::Group] {
        assert!(transition(operation, &mirror, scope, &built, false).is_ok());
    }
    // Of elements' associations, while groups still have it.
    built.operations = built.operations.without(operation);
    let refused = transition(operation, &mirror, Scope::Element, &built, false).unwrap_err();
    assert_eq!(
        refused,
        OperationRefusal::NotBuilt {
            operation,
            replication_type: ReplicationType::SynchronousMirrorRemote
        }
    );
    assert_eq!(refused.return_code(), ReturnCode::NotSupported);
    assert!(transition(operation, &mirror, Scope::Group, &built, false).is_ok());
}

#[test]
fn an_association_that_is_being_made_is_not_dissolved() {
    let built = every_operation(ReplicationType::AsynchronousCloneLocal);
    let mut clone = association(SyncType::Clone, CopyState::Initialized);
    let ask = |clone: &_| transition(Operation::Dissolve, clone, Scope::Element, &built, true);
    assert!(ask(&clone).is_ok());
    clone.progress_status = ProgressStatus::Initializing;
    assert_eq!(
        ask(&clone).unwrap_err(),
        OperationRefusal::Running(ProgressStatus::Initializing)
    );
}

#[test]
fn while_a_snapshot_gets_another_point_in_time_nothing_is_accepted() {
    let built = every_operation(ReplicationType::SynchronousSnapshotLocal);
    let mut snapshot = association(SyncType::Snapshot, CopyState::Synchronized);
    let resync = |snapshot: &_| {
        let operation = Operation::ResyncReplica;
        transition(operation, snapshot, Scope::Element, &built, false)
    };
    let during = resync(&snapshot).unwrap().during.unwrap();
    assert_eq!(
        during,
        State {
            copy_state: CopyState::Synchronized,
            progress_status: ProgressStatus::Resyncing
        }
    );
    snapshot.progress_status = during.progress_status;
    for operation in built.operations.iter() {
        let refused = transition(operation, &snapshot, Scope::Element, &built, true);
        assert_eq!(
            refused.unwrap_err(),
            OperationRefusal::Running(ProgressStatus::Resyncing)
        );
    }
}

#[test]
fn members_are_added_in_the_states_that_group_features_ask_for() {
    let mut built = every_operation(ReplicationType::SynchronousMirrorRemote);
    let accepted = |built: &_| -> Vec<_> {
        let states = CopyState::ALL.iter().copied();
        states
            .filter(|copy_state| {
                let group = association(SyncType::Mirror, *copy_state);
                let ask = |it| transition(it, &group, Scope::Group, built, false).is_ok();
                let added = ask(Operation::AddSyncPair);
                assert_eq!(added, ask(Operation::RemoveSyncPair));
                added
            })
            .collect()
    };
    assert_eq!(accepted(&built), CopyState::ALL);
    built.group_features = GroupFeature::set(&[
        GroupFeature::AddOrRemoveToGroupRequiresSplitState,
        GroupFeature::AddOrRemoveToGroupRequiresSuspendedState,
    ]);
    assert_eq!(accepted(&built), [CopyState::Split, CopyState::Suspended]);
    // Pairs are of groups only.
    let mirror = association(SyncType::Mirror, CopyState::Split);
    built.operations = built.operations.with(Operation::AddSyncPair);
    assert!(
        transition(
            Operation::AddSyncPair,
            &mirror,
            Scope::Element,
            &built,
            true
        )
        .is_err()
    );
}
