//! A service with everything that the table has, and one with next to nothing.

use tidelock_capabilities::built::{BuiltCapabilities, BuiltSetting, BuiltType, TargetSupply};
use tidelock_capabilities::facts::{Association, AssociationKey, ElementId};
use tidelock_capabilities::machine::{Scope, TABLE};
use tidelock_capabilities::values::{
    Action, Component, CopyState, Feature, GroupFeature, GroupPersistency, MethodName, Operation,
    ProgressStatus, PropertyName, ReplicationType, SettingsDefineStateOperation, StorageObject,
    SyncType, ThinProvisioningFeature, ValueSet,
};

pub(crate) const SOURCE: ElementId = ElementId(1);
pub(crate) const TARGET: ElementId = ElementId(2);
pub(crate) const KEY: AssociationKey = AssociationKey {
    system_element: SOURCE,
    synced_element: TARGET,
};

/// An association at rest in a state.
pub(crate) fn association(sync_type: SyncType, copy_state: CopyState) -> Association {
    let type_of = match sync_type {
        SyncType::Mirror => ReplicationType::SynchronousMirrorRemote,
        SyncType::Snapshot => ReplicationType::SynchronousSnapshotLocal,
        SyncType::Clone => ReplicationType::AsynchronousCloneLocal,
    };
    Association {
        key: KEY,
        sync_type,
        mode: type_of.mode(),
        copy_state,
        progress_status: ProgressStatus::Completed,
        target_consistent: true,
        source_consistent: true,
    }
}

/// A type with every operation that any row gives it, and no features.
pub(crate) fn every_operation(replication_type: ReplicationType) -> BuiltType {
    let sync_type = replication_type.sync_type();
    let of = |scope| -> ValueSet<Operation> {
        let rows = TABLE.iter().filter(|row| row.covers(sync_type, scope));
        rows.map(|row| row.operation).collect()
    };
    BuiltType {
        methods: MethodName::set(MethodName::ALL),
        operations: of(Scope::Element),
        group_operations: of(Scope::Group),
        ..BuiltType::new(replication_type, TargetSupply::CreatedOrSupplied)
    }
}

/// A service that fits together: mirrors here and to peers, snapshots with aspects, clones.
pub(crate) fn full() -> BuiltCapabilities {
    use ReplicationType as T;
    let mut types: Vec<_> = [
        T::SynchronousSnapshotLocal,
        T::AsynchronousCloneLocal,
        T::SynchronousMirrorLocal,
        T::SynchronousMirrorRemote,
        T::AsynchronousMirrorRemote,
    ]
    .into_iter()
    .map(every_operation)
    .collect();
    for it in &mut types {
        it.features = Feature::set(&[
            Feature::ReverseRolesOperationRequiresSynchronizedState,
            Feature::AdjustableCopyPriority,
        ]);
        it.group_features = GroupFeature::set(&[
            GroupFeature::ManyToManyGroups,
            GroupFeature::ConsistencyEnabledForAllGroups,
            GroupFeature::ReverseRolesOperationRequiresSynchronizedState,
        ]);
        it.maximums = vec![(Component::TargetElementsPerSourceElement, 0)];
        it.list_operations = it.operations;
        it.settings = vec![BuiltSetting {
            property: PropertyName::CopyRecoveryMode,
            supported: vec![2, 3],
            default: Some(3),
        }];
    }
    types[0].settings_operations = SettingsDefineStateOperation::set(&[
        SettingsDefineStateOperation::Delete,
        SettingsDefineStateOperation::CopyToTarget,
        SettingsDefineStateOperation::Restore,
    ]);
    types[0].maximums = vec![(Component::TargetElementsPerSourceElement, 512)];
    types[0].target_supply = TargetSupply::Created;
    types[0].thin_provisioning =
        ThinProvisioningFeature::set(&[ThinProvisioningFeature::NotInitialized]);
    types[4].sequentially_consistent = true;
    // There is no asynchronous local mirror to change over to.
    types[2].operations = types[2].operations.without(Operation::ResetToAsync);
    types[2].list_operations = types[2].operations;
    BuiltCapabilities {
        types,
        storage_objects: StorageObject::set(&[StorageObject::StorageVolume]),
        synchronous_actions: Action::set(&[
            Action::CreateElementReplica,
            Action::CreateGroupReplica,
            Action::CreateSynchronizationAspect,
            Action::ModifyReplicaSynchronization,
            Action::ModifySettingsDefineState,
            Action::GetPeerSystems,
            Action::ConfirmTargetData,
        ]),
        asynchronous_actions: Action::set(&[
            Action::CreateElementReplica,
            Action::ModifyReplicaSynchronization,
            Action::ModifyListSynchronization,
        ]),
        group_persistency: Some(GroupPersistency::Persistent),
    }
}
