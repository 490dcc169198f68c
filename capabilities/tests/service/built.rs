//! What is said to be built has to fit together.

use tidelock_capabilities::built::{BuiltCapabilities, BuiltError, BuiltSetting, TargetSupply};
use tidelock_capabilities::values::{
    Action, Feature, GroupFeature, MethodName, Operation, PropertyName, ReplicationType,
    SettingsDefineStateOperation, ValueSet,
};

use crate::rig::*;

const SNAPSHOT: ReplicationType = ReplicationType::SynchronousSnapshotLocal;
const MIRROR: ReplicationType = ReplicationType::SynchronousMirrorLocal;

/// The error after one thing was changed in a service that fits.
fn changed(change: impl FnOnce(&mut BuiltCapabilities)) -> BuiltError {
    let mut built = full();
    assert_eq!(built.check(), Ok(()));
    change(&mut built);
    let error = built.check().unwrap_err();
    assert!(error.to_string().len() > 20, "{error}");
    error
}

#[test]
fn nothing_fits() {
    assert_eq!(BuiltCapabilities::default().check(), Ok(()));
}

#[test]
fn a_type_is_there_once() {
    let error = changed(|it| it.types.push(it.types[0].clone()));
    assert_eq!(error, BuiltError::TypeTwice(SNAPSHOT));
}

#[test]
fn methods_and_actions_agree() {
    let error = changed(|it| {
        it.synchronous_actions = it.synchronous_actions.without(Action::CreateGroupReplica);
    });
    let method = MethodName::CreateGroupReplica;
    assert_eq!(error, BuiltError::NoAction(SNAPSHOT, method));
    let error = changed(|it| {
        it.asynchronous_actions = it.asynchronous_actions.with(Action::AddMembers);
    });
    assert_eq!(error, BuiltError::NeverAsynchronous(Action::AddMembers));
}

#[test]
fn an_operation_can_be_accepted_in_some_state() {
    let error = changed(|it| {
        it.types[0].operations = it.types[0].operations.with(Operation::Failover);
    });
    assert_eq!(
        error,
        BuiltError::NeverAccepted(SNAPSHOT, Operation::Failover)
    );
    // Roles are reversed in the states that features name, so without them never.
    let error = changed(|it| it.types[2].features = ValueSet::EMPTY);
    assert_eq!(
        error,
        BuiltError::NeverAccepted(MIRROR, Operation::ReverseRoles)
    );
    let error = changed(|it| {
        it.types[0].operations = it.types[0].operations.with(Operation::AddSyncPair);
    });
    assert_eq!(
        error,
        BuiltError::NeverAccepted(SNAPSHOT, Operation::AddSyncPair)
    );
    let error = changed(|it| {
        it.types[0].list_operations = Operation::set(&[Operation::Failover]);
    });
    assert_eq!(
        error,
        BuiltError::OnlyInLists(SNAPSHOT, Operation::Failover)
    );
}

#[test]
fn groups_can_be_made_and_used() {
    let methods = MethodName::set(&[MethodName::CreateElementReplica]);
    let error = changed(|it| it.types[2].methods = methods);
    assert_eq!(error, BuiltError::NoGroups(MIRROR));
    let error = changed(|it| {
        let many = GroupFeature::ManyToManyGroups;
        it.types[2].group_features = it.types[2].group_features.without(many);
    });
    assert_eq!(error, BuiltError::NoGroups(MIRROR));
}

#[test]
fn what_is_said_of_groups_needs_groups() {
    let without = |change: fn(&mut tidelock_capabilities::BuiltType)| {
        changed(|it| {
            let mirror = &mut it.types[2];
            mirror.methods = MethodName::set(&[MethodName::CreateElementReplica]);
            change(mirror);
        })
    };
    let expected = BuiltError::NoGroups(MIRROR);
    assert_eq!(
        without(|it| it.group_operations = ValueSet::EMPTY),
        expected
    );
    let only_operations = without(|it| {
        it.group_features = ValueSet::EMPTY;
        it.group_operations = Operation::set(&[Operation::Split]);
    });
    assert_eq!(only_operations, expected);
}

#[test]
fn aspects_can_be_made() {
    let error = changed(|it| {
        let aspects = MethodName::CreateSynchronizationAspect;
        it.types[0].methods = it.types[0].methods.without(aspects);
        it.types[0].settings_operations =
            SettingsDefineStateOperation::set(&[SettingsDefineStateOperation::Delete]);
    });
    assert_eq!(error, BuiltError::NoAspects(SNAPSHOT));
}

#[test]
fn features_do_not_contradict_each_other() {
    let (one, other) = (
        Feature::RestoreOperationRequiresSubsequentFracture,
        Feature::RestoreOperationRequiresSubsequentDetach,
    );
    let error = changed(|it| {
        it.types[2].features = it.types[2].features.with(one).with(other);
    });
    assert_eq!(error, BuiltError::Contradiction(MIRROR, one, other));
    let error = changed(|it| {
        let feature = Feature::TargetElementShallNotBeSupplied;
        it.types[2].features = it.types[2].features.with(feature);
    });
    assert_eq!(error, BuiltError::TargetSupply(MIRROR));
}

#[test]
fn features_that_no_rule_keeps_are_not_published() {
    let feature = Feature::TargetsRequireReservedElements;
    let error = changed(|it| it.types[2].features = it.types[2].features.with(feature));
    assert_eq!(error, BuiltError::FeatureNotKept(MIRROR, feature));
    let feature = GroupFeature::TargetGroupShallNotBeSupplied;
    let error = changed(|it| {
        it.types[2].group_features = it.types[2].group_features.with(feature);
    });
    assert_eq!(error, BuiltError::GroupFeatureNotKept(MIRROR, feature));
}

#[test]
fn what_an_operation_requires_is_built() {
    let error = changed(|it| {
        let feature = Feature::FailoverOperationRequiresSubsequentFailback;
        let mirror = &mut it.types[2];
        mirror.features = mirror.features.with(feature);
        mirror.operations = mirror.operations.without(Operation::Failback);
        mirror.list_operations = ValueSet::EMPTY;
    });
    assert_eq!(
        error,
        BuiltError::NoNextOperation(MIRROR, Operation::Failback)
    );
    let error = changed(|it| {
        let operation = Operation::ResetToAsync;
        it.types[2].operations = it.types[2].operations.with(operation);
    });
    assert_eq!(
        error,
        BuiltError::NoOtherMode(MIRROR, Operation::ResetToAsync)
    );
}

#[test]
fn settings_have_defaults_that_can_be_given() {
    let setting = |property, default| BuiltSetting {
        property,
        supported: vec![2, 3],
        default,
    };
    let error = changed(|it| {
        it.types[2].settings = vec![setting(PropertyName::ReadOnly, Some(4))];
    });
    assert_eq!(
        error,
        BuiltError::DefaultNotSupported(MIRROR, PropertyName::ReadOnly)
    );
    let error = changed(|it| {
        it.types[2].settings = vec![setting(PropertyName::TargetElementSupplier, None)];
    });
    assert_eq!(error, BuiltError::SettingIsDerived(MIRROR));
}

#[test]
fn features_that_follow_are_published_by_themselves() {
    let mut built = every_operation(SNAPSHOT);
    built.target_supply = TargetSupply::Created;
    let published = built.published_features();
    for feature in [
        Feature::ReplicationGroups,
        Feature::SupportsSynchronizationAspect,
        Feature::TargetElementShallNotBeSupplied,
    ] {
        assert!(published.contains(feature), "{feature}");
    }
    built.methods = ValueSet::EMPTY;
    built.target_supply = TargetSupply::Supplied;
    assert_eq!(built.published_features(), ValueSet::EMPTY);
}
