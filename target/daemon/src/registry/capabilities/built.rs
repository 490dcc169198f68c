//! What the replication engines of this daemon can do, whatever the state of any element. The one place that
//! says so: what isn't here is neither offered nor accepted.

use std::sync::OnceLock;

use tidelock_capabilities::built::BuiltSetting;
use tidelock_capabilities::values::{
    Action, Component, CopyRecoveryMode, Feature, GroupFeature, GroupPersistency, MethodName,
    Operation, PropertyName, ReplicationType, SettingsDefineStateOperation, StorageObject,
    ValueSet,
};
use tidelock_capabilities::{BuiltCapabilities, BuiltType, TargetSupply};
use tidelock_catalog::snapshots::SNAPSHOTS_MAX;

/// What is built.
pub(in crate::registry) fn built() -> &'static BuiltCapabilities {
    static BUILT: OnceLock<BuiltCapabilities> = OnceLock::new();
    BUILT.get_or_init(make)
}

fn make() -> BuiltCapabilities {
    BuiltCapabilities {
        types: vec![
            snapshots(),
            clones(),
            mirrors(),
            asynchronous_mirrors(),
            remote_mirrors(),
            asynchronous_remote_mirrors(),
        ],
        storage_objects: StorageObject::set(&[StorageObject::StorageVolume]),
        synchronous_actions: Action::set(&[
            Action::CreateElementReplica,
            Action::CreateGroupReplica,
            Action::CreateSynchronizationAspect,
            Action::ModifyReplicaSynchronization,
            Action::ModifySettingsDefineState,
            Action::CreateGroup,
            Action::DeleteGroup,
            Action::AddMembers,
            Action::RemoveMembers,
        ]),
        asynchronous_actions: Action::set(&[]),
        group_persistency: Some(GroupPersistency::Persistent),
    }
}

/// Of elements and of groups.
const METHODS: ValueSet<MethodName> = MethodName::set(&[
    MethodName::CreateElementReplica,
    MethodName::CreateGroupReplica,
]);

/// All members at one point in time, whatever the group is used for.
const GROUPS: ValueSet<GroupFeature> = GroupFeature::set(&[
    GroupFeature::ManyToManyGroups,
    GroupFeature::ConsistencyEnabledForAllGroups,
    GroupFeature::SourceElementCanBeRemovedFromGroup,
    GroupFeature::GroupIsNameable,
    GroupFeature::ElementCanBeMemberOfMultipleGroups,
]);

/// A setting that may be said, and what it is if it isn't.
fn setting(property: PropertyName, supported: &[u64]) -> BuiltSetting {
    BuiltSetting {
        property,
        supported: supported.to_vec(),
        default: supported.first().copied(),
    }
}

/// What goes for copies of all kinds: the implementation decides how they are copied, and what can't be made of a list is
/// told at once, or after the rest was tried.
fn settings() -> Vec<BuiltSetting> {
    vec![
        setting(PropertyName::DesiredCopyMethodology, &[2]),
        setting(PropertyName::OnGroupOrListError, &[STOP, CONTINUE]),
        setting(PropertyName::UnequalListsAction, &[RETURN_AN_ERROR]),
    ]
}

const FALSE: u64 = 2;
const TRUE: u64 = 3;
/// Of OnGroupOrListError.
const CONTINUE: u64 = 2;
const STOP: u64 = 3;
/// Of UnequalListsAction.
const RETURN_AN_ERROR: u64 = 2;
/// Of ReadOnly: the copy.
const SYNCED_ELEMENT: u64 = 3;

/// Redirect-on-write: at once, and a target is made each time.
fn snapshots() -> BuiltType {
    BuiltType {
        // A snapshot is the aspect of its moment, and an element of its own as well.
        methods: METHODS.with(MethodName::CreateSynchronizationAspect),
        settings_operations: SettingsDefineStateOperation::set(&[
            SettingsDefineStateOperation::Delete,
            SettingsDefineStateOperation::CopyToTarget,
        ]),
        features: Feature::set(&[
            Feature::TargetIsAssociatedToSynchronizationAspect,
            Feature::SourceIsAssociatedToSynchronizationAspect,
        ]),
        operations: Operation::set(&[
            Operation::RestoreFromReplica,
            Operation::ReturnToResourcePool,
        ]),
        maximums: vec![
            (
                Component::TargetElementsPerSourceElement,
                SNAPSHOTS_MAX as u64,
            ),
            (
                Component::SynchronizationAspectsPerSourceElement,
                SNAPSHOTS_MAX as u64,
            ),
        ],
        list_operations: Operation::set(&[
            Operation::RestoreFromReplica,
            Operation::ReturnToResourcePool,
        ]),
        group_operations: Operation::set(&[Operation::RestoreFromReplica]),
        group_features: GROUPS,
        settings: [
            // Of a group all are of one moment, whether or not that is asked for.
            settings(),
            vec![
                setting(PropertyName::ConsistentPointInTime, &[TRUE, FALSE]),
                setting(PropertyName::ReadOnly, &[SYNCED_ELEMENT]),
            ],
        ]
        .concat(),
        ..BuiltType::new(
            ReplicationType::SynchronousSnapshotLocal,
            TargetSupply::Created,
        )
    }
}

/// What is done with mirrors.
const MIRROR_OPERATIONS: ValueSet<Operation> = Operation::set(&[
    Operation::Fracture,
    Operation::Split,
    Operation::Suspend,
    Operation::Resume,
    Operation::ResyncReplica,
    Operation::RestoreFromReplica,
    Operation::Failover,
    Operation::Failback,
    Operation::ReverseRoles,
    Operation::Detach,
]);

/// Two volumes of this daemon, each of which can be the source.
fn mirrors() -> BuiltType {
    BuiltType {
        methods: METHODS,
        // When one mirror of a group breaks the others go on.
        group_features: GROUPS.without(GroupFeature::ConsistencyEnabledForAllGroups),
        operations: MIRROR_OPERATIONS.with(Operation::ResetToAsync),
        list_operations: MIRROR_OPERATIONS,
        settings: [
            settings(),
            vec![
                setting(PropertyName::FailedCopyStopsHostIO, &[FALSE, TRUE]),
                setting(
                    PropertyName::CopyRecoveryMode,
                    &[
                        CopyRecoveryMode::Automatic as u64,
                        CopyRecoveryMode::ImplementationDecides as u64,
                    ],
                ),
                setting(PropertyName::ReadOnly, &[SYNCED_ELEMENT]),
            ],
        ]
        .concat(),
        features: Feature::set(&[
            Feature::ReverseRolesOperationRequiresSynchronizedState,
            Feature::ReverseRolesOperationRequiresFailedOverState,
        ]),
        copy_recovery_mode: CopyRecoveryMode::Automatic,
        equal_sizes: true,
        maximums: vec![(Component::TargetElementsPerSourceElement, 1)],
        ..BuiltType::new(
            ReplicationType::SynchronousMirrorLocal,
            TargetSupply::Supplied,
        )
    }
}

/// The same, of which the target is the source as it was a while ago.
fn asynchronous_mirrors() -> BuiltType {
    let synchronous = mirrors();
    let operations = synchronous.operations.without(Operation::ResetToAsync);
    let operations = operations.with(Operation::ResetToSync);
    BuiltType {
        replication_type: ReplicationType::AsynchronousMirrorLocal,
        operations,
        ..synchronous
    }
}

/// A volume of this daemon, and one that a peer makes: what is there already isn't overwritten by who doesn't own it.
fn remote_mirrors() -> BuiltType {
    BuiltType {
        replication_type: ReplicationType::SynchronousMirrorRemote,
        target_supply: TargetSupply::Created,
        methods: MethodName::set(&[MethodName::CreateElementReplica]),
        group_features: ValueSet::EMPTY,
        ..mirrors()
    }
}

/// The same, of which the target is the source as it was a while ago.
fn asynchronous_remote_mirrors() -> BuiltType {
    BuiltType {
        replication_type: ReplicationType::AsynchronousMirrorRemote,
        target_supply: TargetSupply::Created,
        methods: MethodName::set(&[MethodName::CreateElementReplica]),
        group_features: ValueSet::EMPTY,
        ..asynchronous_mirrors()
    }
}

/// Usable at once: what isn't copied is read from the source.
fn clones() -> BuiltType {
    BuiltType {
        methods: METHODS,
        operations: Operation::set(&[Operation::Detach]),
        list_operations: Operation::set(&[Operation::Detach]),
        settings: settings(),
        // Whatever isn't copied is read from the source for as long as there is a clone.
        detaches_incomplete: false,
        group_features: GROUPS,
        targets_writable: true,
        ..BuiltType::new(
            ReplicationType::AsynchronousCloneLocal,
            TargetSupply::Created,
        )
    }
}
