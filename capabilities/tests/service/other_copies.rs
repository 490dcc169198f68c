//! ModifyReplicaSynchronization and what other associations the two ends have.

use tidelock_capabilities::Reason;
use tidelock_capabilities::facts::{
    Association, AssociationKey, Element, ElementId, Facts, Totals,
};
use tidelock_capabilities::machine::{Modification, OperationRefusal, modify};
use tidelock_capabilities::values::{
    CopyState, EnabledState, Feature, Mode, Operation, ProgressStatus, ReturnCode, SyncType,
};

use crate::rig::*;

const THIRD: ElementId = ElementId(3);

fn between(source: ElementId, target: ElementId, of: Association) -> Association {
    let key = AssociationKey {
        system_element: source,
        synced_element: target,
    };
    Association { key, ..of }
}

/// An operation on a copy of SOURCE to TARGET, while there is another association.
fn beside(
    operation: Operation,
    this: Association,
    other: Association,
) -> Result<(), OperationRefusal> {
    let mut built = full();
    for it in &mut built.types {
        let more = Feature::set(&[
            Feature::ReverseRolesOperationRequiresFracturedState,
            Feature::PlannedFailoverOperationRequiresFracturedState,
        ]);
        it.features = it.features.union(more);
    }
    let of = |id: ElementId| {
        let is_end =
            move |it: &Association| it.key.system_element == id || it.key.synced_element == id;
        [this, other].into_iter().filter(is_end).collect::<Vec<_>>()
    };
    let relations = [of(SOURCE), of(TARGET)];
    let elements = [
        Element {
            relations: &relations[0],
            ..Element::volume(SOURCE, 1 << 30, 512)
        },
        Element {
            relations: &relations[1],
            ..Element::volume(TARGET, 1 << 30, 512)
        },
    ];
    let facts = Facts {
        generation: 1,
        service: EnabledState::Enabled,
        built: &built,
        elements: &elements,
        groups: &[],
        peers: &[],
        totals: Totals::default(),
    };
    let modification = Modification {
        operation,
        synchronization: KEY,
        force: true,
    };
    modify(&modification, &facts).map(|_| ())
}

fn mirror(copy_state: CopyState) -> Association {
    Association {
        mode: Mode::Synchronous,
        ..association(SyncType::Mirror, copy_state)
    }
}

fn snapshot() -> Association {
    association(SyncType::Snapshot, CopyState::Synchronized)
}

fn refused(reason: Reason) -> Result<(), OperationRefusal> {
    Err(OperationRefusal::End(reason))
}

#[test]
fn a_source_that_feeds_another_mirror_is_not_overwritten() {
    use Operation::{Failback, RestoreFromReplica, ReverseRoles};
    for (operation, this) in [
        (RestoreFromReplica, snapshot()),
        (RestoreFromReplica, mirror(CopyState::Fractured)),
        (Failback, mirror(CopyState::Failedover)),
    ] {
        for (state, flows) in [
            (CopyState::Synchronized, true),
            (CopyState::Unsynchronized, true),
            (CopyState::Split, false),
            (CopyState::Suspended, false),
        ] {
            let other = between(SOURCE, THIRD, mirror(state));
            let expected = if flows {
                refused(Reason::FlowsOn(other.key))
            } else {
                Ok(())
            };
            assert_eq!(beside(operation, this, other), expected, "{operation}");
        }
        // Points in time stay what they are.
        let point = between(SOURCE, THIRD, snapshot());
        assert_eq!(beside(operation, this, point), Ok(()));
    }
    // With the roles reversed it would be source and target at once, whatever the state.
    let other = between(SOURCE, THIRD, mirror(CopyState::Split));
    for state in [CopyState::Fractured, CopyState::Synchronized] {
        assert_eq!(
            beside(ReverseRoles, mirror(state), other),
            refused(Reason::IsSource(other.key))
        );
    }
    let point = between(SOURCE, THIRD, snapshot());
    assert_eq!(
        beside(ReverseRoles, mirror(CopyState::Fractured), point),
        Ok(())
    );
}

#[test]
fn a_source_that_is_itself_a_target_is_overwritten_only_where_a_host_may_write_it() {
    let restore = Operation::RestoreFromReplica;
    for (state, may) in [
        (CopyState::Synchronized, false),
        (CopyState::Unsynchronized, false),
        (CopyState::Broken, false),
        (CopyState::Split, true),
        (CopyState::Failedover, true),
    ] {
        let other = between(THIRD, SOURCE, mirror(state));
        let expected = if may {
            Ok(())
        } else {
            refused(Reason::IsTarget(other.key))
        };
        assert_eq!(beside(restore, snapshot(), other), expected, "{state}");
    }
    let copying = Association {
        progress_status: ProgressStatus::Resyncing,
        ..between(THIRD, SOURCE, mirror(CopyState::Fractured))
    };
    assert_eq!(
        beside(restore, snapshot(), copying),
        refused(Reason::IsTarget(copying.key))
    );
    // It can't be the target of two.
    let clone = between(
        THIRD,
        SOURCE,
        association(SyncType::Clone, CopyState::Synchronized),
    );
    assert_eq!(
        beside(
            Operation::ReverseRoles,
            mirror(CopyState::Synchronized),
            clone
        ),
        refused(Reason::IsTarget(clone.key))
    );
}

#[test]
fn a_source_that_holds_no_image_is_not_copied_again() {
    let inactive = association(SyncType::Snapshot, CopyState::Inactive);
    for (operation, this) in [
        (Operation::Activate, inactive),
        (Operation::ResyncReplica, snapshot()),
    ] {
        for (state, reason) in [
            (CopyState::Unsynchronized, true),
            (CopyState::Synchronized, false),
            (CopyState::Split, false),
        ] {
            let other = Association {
                target_consistent: false,
                ..between(THIRD, SOURCE, mirror(state))
            };
            let expected = if reason {
                refused(Reason::Copying(other.key))
            } else {
                Ok(())
            };
            assert_eq!(beside(operation, this, other), expected, "{operation}");
        }
    }
}

#[test]
fn what_does_not_read_the_source_needs_no_image_of_it() {
    let other = between(THIRD, SOURCE, mirror(CopyState::Unsynchronized));
    for operation in [
        Operation::ReturnToResourcePool,
        Operation::Detach,
        Operation::Deactivate,
    ] {
        assert_eq!(beside(operation, snapshot(), other), Ok(()), "{operation}");
    }
    // To fail back, it is overwritten.
    let split = Association {
        target_consistent: false,
        ..between(THIRD, SOURCE, mirror(CopyState::Fractured))
    };
    let failedover = mirror(CopyState::Failedover);
    assert_eq!(beside(Operation::Failback, failedover, split), Ok(()));
}

#[test]
fn what_is_being_overwritten_is_neither_read_nor_overwritten_once_more() {
    let restoring = Association {
        progress_status: ProgressStatus::Restoring,
        ..between(SOURCE, THIRD, snapshot())
    };
    let failing_back = Association {
        progress_status: ProgressStatus::FailingBack,
        ..between(SOURCE, THIRD, mirror(CopyState::Failedover))
    };
    for operation in [Operation::RestoreFromReplica, Operation::ResyncReplica] {
        assert_eq!(
            beside(operation, snapshot(), restoring),
            refused(Reason::BeingRestored(restoring.key))
        );
        assert_eq!(
            beside(operation, snapshot(), failing_back),
            refused(Reason::ChangingOver(failing_back.key))
        );
    }
    let of_target = Association {
        progress_status: ProgressStatus::Restoring,
        ..between(TARGET, THIRD, snapshot())
    };
    assert_eq!(
        beside(
            Operation::ResyncReplica,
            mirror(CopyState::Split),
            of_target
        ),
        refused(Reason::BeingRestored(of_target.key))
    );
    assert_eq!(beside(Operation::Detach, snapshot(), restoring), Ok(()));
}

#[test]
fn a_target_that_is_being_restored_is_not_relied_on() {
    let restoring = Association {
        progress_status: ProgressStatus::Restoring,
        ..between(TARGET, THIRD, snapshot())
    };
    let half = Association {
        source_consistent: false,
        ..between(TARGET, THIRD, snapshot())
    };
    for (operation, this) in [
        (Operation::RestoreFromReplica, mirror(CopyState::Split)),
        (Operation::Failover, mirror(CopyState::Fractured)),
        (Operation::ReverseRoles, mirror(CopyState::Fractured)),
        (Operation::Failback, mirror(CopyState::Failedover)),
    ] {
        assert_eq!(
            beside(operation, this, restoring),
            refused(Reason::BeingRestored(restoring.key)),
            "{operation}"
        );
        assert_eq!(
            beside(operation, this, half),
            refused(Reason::HalfRestored(half.key)),
            "{operation}"
        );
    }
    // To be overwritten it needs no image.
    let resync = Operation::ResyncReplica;
    assert_eq!(beside(resync, mirror(CopyState::Split), half), Ok(()));
}

#[test]
fn a_snapshot_that_has_copies_is_not_deleted() {
    let delete = Operation::ReturnToResourcePool;
    let clone = between(
        TARGET,
        THIRD,
        association(SyncType::Clone, CopyState::Unsynchronized),
    );
    let result = beside(delete, snapshot(), clone);
    assert_eq!(result, refused(Reason::HasCopies(TARGET)));
    assert_eq!(result.unwrap_err().return_code(), ReturnCode::InUse);
    let elsewhere = between(SOURCE, THIRD, snapshot());
    assert_eq!(beside(delete, snapshot(), elsewhere), Ok(()));
    // Detached it may have as many as it likes.
    assert_eq!(beside(Operation::Detach, snapshot(), clone), Ok(()));
}

#[test]
fn copies_at_rest_count_though_they_are_not_listed() {
    let built = full();
    let relations = [snapshot()];
    for (snapshots, clones, aspects, expected) in [
        (0, 0, 0, true),
        (1, 0, 0, false),
        (0, 1, 0, false),
        (0, 0, 1, false),
    ] {
        let elements = [
            Element {
                relations: &relations,
                ..Element::volume(SOURCE, 1 << 30, 512)
            },
            Element {
                snapshots,
                clones,
                aspects,
                ..Element::volume(TARGET, 1 << 30, 512)
            },
        ];
        let facts = Facts {
            generation: 1,
            service: EnabledState::Enabled,
            built: &built,
            elements: &elements,
            groups: &[],
            peers: &[],
            totals: Totals::default(),
        };
        let modification = Modification {
            operation: Operation::ReturnToResourcePool,
            synchronization: KEY,
            force: false,
        };
        assert_eq!(modify(&modification, &facts).is_ok(), expected);
    }
}
