//! The methods of the class: what they report, what they refuse, and that nothing unbuilt is in any of them.

use tidelock_capabilities::facts::{Facts, Peer, PeerId, Reach, Totals};
use tidelock_capabilities::service::SettingValue;
use tidelock_capabilities::values::*;
use tidelock_capabilities::{
    AccessPoint, BuiltCapabilities, Reference, ReplicationServiceCapabilities, Request,
};

use crate::rig::*;

const SNAPSHOT: u16 = 6;
const CLONE: u16 = 11;
const LOCAL_MIRROR: u16 = 2;
const REMOTE_MIRROR: u16 = 5;
const NOT_BUILT: u16 = 12;

const INVALID: ReturnCode = ReturnCode::InvalidParameter;
const NOT_SUPPORTED: ReturnCode = ReturnCode::NotSupported;

fn old(built: &BuiltCapabilities) -> ReplicationServiceCapabilities<'_> {
    ReplicationServiceCapabilities::new(built, Edition::V2_29)
}

fn new(built: &BuiltCapabilities) -> ReplicationServiceCapabilities<'_> {
    ReplicationServiceCapabilities::new(built, Edition::V2_49)
}

/// The code of every method that takes a ReplicationType, for one of them.
fn codes(class: &ReplicationServiceCapabilities<'_>, it: u16) -> Vec<(&'static str, ReturnCode)> {
    fn code<T>(answer: Result<T, ReturnCode>) -> ReturnCode {
        answer.err().unwrap_or(ReturnCode::Success)
    }
    vec![
        (
            "convert",
            code(class.convert_replication_type_to_sync_type(it)),
        ),
        (
            "copy states",
            code(class.get_supported_copy_states(it, None)),
        ),
        (
            "group copy states",
            code(class.get_supported_group_copy_states(it, None)),
        ),
        (
            "wait",
            code(class.get_supported_wait_for_copy_states(it, 2, None)),
        ),
        ("features", code(class.get_supported_features(it))),
        (
            "group features",
            code(class.get_supported_group_features(it)),
        ),
        ("consistency", code(class.get_supported_consistency(it))),
        ("operations", code(class.get_supported_operations(it, None))),
        (
            "group operations",
            code(class.get_supported_group_operations(it, None)),
        ),
        (
            "list operations",
            code(class.get_supported_list_operations(it, None, None)),
        ),
        (
            "settings operations",
            code(class.get_supported_settings_define_state_operations(it)),
        ),
        (
            "thin",
            code(class.get_supported_thin_provisioning_features(it)),
        ),
        ("maximum", code(class.get_supported_maximum(it, 5))),
        (
            "default consistency",
            code(class.get_default_consistency(it)),
        ),
        (
            "settings",
            code(class.get_supported_replication_setting_data(it, 11)),
        ),
        (
            "default settings",
            code(class.get_default_replication_setting_data(it)),
        ),
    ]
}

#[test]
fn a_type_that_is_not_built_is_not_supported_and_a_reserved_one_is_invalid() {
    let full = full();
    let nothing = BuiltCapabilities::default();
    for (built, edition) in [(&full, Edition::V2_29), (&nothing, Edition::V2_49)] {
        let class = ReplicationServiceCapabilities::new(built, edition);
        for (it, expected) in [
            (NOT_BUILT, NOT_SUPPORTED),
            (14, NOT_SUPPORTED),
            (27, NOT_SUPPORTED),
            (0, INVALID),
            (1, INVALID),
            (28, INVALID),
            (0x8000, INVALID),
        ] {
            for (method, code) in codes(&class, it) {
                assert_eq!(code, expected, "{method} of {it}");
            }
        }
    }
    // The snapshots of the full service answer to everything.
    for (method, code) in codes(&new(&full), SNAPSHOT) {
        assert_eq!(code, ReturnCode::Success, "{method}");
    }
    for (method, code) in codes(&new(&nothing), SNAPSHOT) {
        assert_eq!(code, NOT_SUPPORTED, "{method}");
    }
}

#[test]
fn triples_are_coded_and_decoded_if_they_are_built() {
    let built = full();
    let class = old(&built);
    let to_type = |a, b, c| class.convert_sync_type_to_replication_type(a, b, c);
    assert_eq!(
        to_type(7, 2, 2),
        Ok(ReplicationType::SynchronousSnapshotLocal)
    );
    assert_eq!(to_type(7, 3, 2), Err(NOT_SUPPORTED));
    for (a, b, c) in [
        (5, 2, 2),
        (9, 2, 2),
        (6, 0, 2),
        (6, 4, 2),
        (6, 2, 1),
        (6, 2, 4),
    ] {
        assert_eq!(to_type(a, b, c), Err(INVALID));
    }
    for it in class.supported_replication_types().iter() {
        let (sync_type, mode, locality) = class
            .convert_replication_type_to_sync_type(it.value())
            .unwrap();
        let back = to_type(sync_type.value(), mode.value(), locality.value());
        assert_eq!(back, Ok(it));
    }
}

#[test]
fn copy_states_come_with_whether_hosts_can_use_the_target() {
    let built = full();
    let told = old(&built)
        .get_supported_copy_states(SNAPSHOT, None)
        .unwrap();
    let pairs: Vec<_> = told
        .supported_copy_states
        .iter()
        .copied()
        .zip(told.host_accessible.iter().copied())
        .collect();
    assert_eq!(
        pairs,
        [
            (CopyState::Initialized, false),
            (CopyState::Synchronized, true),
            (CopyState::Broken, false),
            (CopyState::Inactive, false),
        ]
    );
    let told = old(&built)
        .get_supported_copy_states(REMOTE_MIRROR, None)
        .unwrap();
    let accessible: Vec<_> = told
        .supported_copy_states
        .iter()
        .zip(&told.host_accessible)
        .filter(|(_, accessible)| **accessible)
        .map(|(state, _)| *state)
        .collect();
    assert_eq!(
        accessible,
        [
            CopyState::Fractured,
            CopyState::Split,
            CopyState::Failedover
        ]
    );
    assert!(told.supported_copy_states.contains(&CopyState::Partitioned));
}

#[test]
fn copy_states_that_accept_an_operation() {
    let built = full();
    let states = |operation: Operation| {
        new(&built)
            .get_supported_copy_states(REMOTE_MIRROR, Some(operation.value()))
            .map(|it| it.supported_copy_states)
    };
    assert_eq!(states(Operation::Failback), Ok(vec![CopyState::Failedover]));
    assert_eq!(states(Operation::Resume), Ok(vec![CopyState::Suspended]));
    assert_eq!(states(Operation::ReturnToResourcePool), Err(NOT_SUPPORTED));
    assert_eq!(
        new(&built).get_supported_copy_states(REMOTE_MIRROR, Some(1)),
        Err(INVALID)
    );
    let groups = new(&built)
        .get_supported_group_copy_states(REMOTE_MIRROR, None)
        .unwrap();
    assert!(groups.contains(CopyState::Mixed));
}

#[test]
fn a_restored_state_is_newer_than_the_old_interface() {
    let mut built = full();
    built.types[0].rests_in_restored = true;
    let has = |class: ReplicationServiceCapabilities<'_>| {
        let told = class.get_supported_copy_states(SNAPSHOT, None).unwrap();
        told.supported_copy_states.contains(&CopyState::Restored)
    };
    assert!(has(new(&built)));
    assert!(!has(old(&built)));
}

#[test]
fn states_to_wait_for_are_those_that_a_method_leads_to() {
    let built = full();
    let wait = |it: u16, method: WaitMethodName, operation: Option<Operation>| {
        old(&built)
            .get_supported_wait_for_copy_states(it, method.value(), operation.map(Operation::value))
            .map(|states| states.iter().collect::<Vec<_>>())
    };
    use CopyState as S;
    use WaitMethodName as W;
    let created = vec![S::Initialized, S::Unsynchronized, S::Synchronized];
    assert_eq!(wait(CLONE, W::CreateElementReplica, None), Ok(created));
    let at_once = vec![S::Initialized, S::Synchronized];
    assert_eq!(
        wait(SNAPSHOT, W::CreateGroupReplica, None),
        Ok(at_once.clone())
    );
    let modify = W::ModifyReplicaSynchronization;
    assert_eq!(
        wait(REMOTE_MIRROR, modify, Some(Operation::Suspend)),
        Ok(vec![S::Suspended])
    );
    assert_eq!(
        wait(SNAPSHOT, modify, None),
        Ok(vec![S::Synchronized, S::Inactive])
    );
    assert_eq!(
        wait(SNAPSHOT, modify, Some(Operation::Failover)),
        Err(NOT_SUPPORTED)
    );
    assert_eq!(
        wait(SNAPSHOT, W::ModifySettingsDefineState, None),
        Ok(at_once)
    );
    assert_eq!(
        wait(CLONE, W::ModifySettingsDefineState, None),
        Err(NOT_SUPPORTED)
    );
    // In no list of actions.
    assert_eq!(wait(CLONE, W::CreateListReplica, None), Err(NOT_SUPPORTED));
    assert_eq!(
        old(&built).get_supported_wait_for_copy_states(CLONE, 1, None),
        Err(INVALID)
    );
}

#[test]
fn operations_of_a_type_and_of_a_state_of_it() {
    let built = full();
    let all = new(&built)
        .get_supported_operations(SNAPSHOT, None)
        .unwrap();
    assert_eq!(
        all.supported_operations,
        [
            Operation::Activate,
            Operation::Deactivate,
            Operation::Detach,
            Operation::Dissolve,
            Operation::ResyncReplica,
            Operation::RestoreFromReplica,
            Operation::ReturnToResourcePool,
            Operation::ResetReplica,
        ]
    );
    let in_state = |it, state: CopyState| {
        let told = new(&built).get_supported_operations(it, Some(state.value()));
        let told = told.unwrap();
        let names = told.supported_operations.iter().map(|it| it.name());
        let with_force = names.zip(told.requires_force);
        with_force.collect::<Vec<_>>()
    };
    assert_eq!(
        in_state(SNAPSHOT, CopyState::Inactive),
        [
            ("Activate", false),
            ("Detach", false),
            ("Dissolve", false),
            ("Return To ResourcePool", false)
        ]
    );
    assert_eq!(
        in_state(REMOTE_MIRROR, CopyState::Partitioned),
        [("Detach", true), ("Failover", true)]
    );
    assert!(in_state(SNAPSHOT, CopyState::Mixed).is_empty());
}

#[test]
fn a_copy_that_cannot_do_without_its_source_yet_is_not_detached_by_any_force() {
    let mut built = full();
    let in_state = |built: &BuiltCapabilities, state: CopyState| {
        let told = new(built).get_supported_operations(CLONE, Some(state.value()));
        told.unwrap()
            .supported_operations
            .contains(&Operation::Detach)
    };
    assert!(in_state(&built, CopyState::Unsynchronized));
    let clones = built.types.iter_mut();
    for clone in clones.filter(|it| it.replication_type.value() == CLONE) {
        clone.detaches_incomplete = false;
    }
    assert!(!in_state(&built, CopyState::Unsynchronized));
    assert!(in_state(&built, CopyState::Synchronized));
}

#[test]
fn operations_need_a_type_that_has_some_and_a_method_to_ask_for_them() {
    let mut built = full();
    built.types[0].operations = ValueSet::EMPTY;
    assert_eq!(
        old(&built).get_supported_operations(SNAPSHOT, None),
        Err(NOT_SUPPORTED)
    );
    assert!(
        old(&built)
            .get_supported_group_operations(SNAPSHOT, None)
            .is_ok()
    );
    let mut built = full();
    let modify = Action::ModifyReplicaSynchronization;
    built.synchronous_actions = built.synchronous_actions.without(modify);
    built.asynchronous_actions = built.asynchronous_actions.without(modify);
    let class = old(&built);
    assert_eq!(
        class.get_supported_operations(SNAPSHOT, None),
        Err(NOT_SUPPORTED)
    );
    assert_eq!(
        class.get_supported_group_operations(SNAPSHOT, None),
        Err(NOT_SUPPORTED)
    );
}

#[test]
fn failover_changes_the_key_where_it_reverses_roles() {
    let mut built = full();
    let changing = |built: &_| {
        let told = new(built)
            .get_supported_operations(LOCAL_MIRROR, None)
            .unwrap();
        let both = told
            .supported_operations
            .into_iter()
            .zip(told.updates_synchronized_path);
        let changing = both.filter(|(_, changes)| *changes);
        changing.map(|(operation, _)| operation).collect::<Vec<_>>()
    };
    assert_eq!(changing(&built), [Operation::ReverseRoles]);
    let feature = Feature::UsesReverseRolesForFailoverAndFailback;
    built.types[2].features = built.types[2].features.with(feature);
    assert_eq!(
        changing(&built),
        [
            Operation::Failover,
            Operation::Failback,
            Operation::ReverseRoles
        ]
    );
}

#[test]
fn operations_newer_than_the_interface_are_left_out() {
    let built = full();
    let has = |class: ReplicationServiceCapabilities<'_>, operation| {
        let told = class.get_supported_operations(LOCAL_MIRROR, None).unwrap();
        told.supported_operations.contains(&operation)
    };
    assert!(has(new(&built), Operation::Prepare));
    assert!(!has(old(&built), Operation::Prepare));
    assert!(has(old(&built), Operation::Unprepare));
}

#[test]
fn groups_and_lists_have_operations_of_their_own() {
    let built = full();
    let class = old(&built);
    let groups = class
        .get_supported_group_operations(LOCAL_MIRROR, None)
        .unwrap();
    let has = |operation| groups.supported_operations.contains(&operation);
    assert!(has(Operation::AddSyncPair) && has(Operation::ActivateConsistency));
    for of in [None, Some(2), Some(3)] {
        let lists = class
            .get_supported_list_operations(LOCAL_MIRROR, of, None)
            .unwrap();
        assert!(lists.supported_operations.contains(&Operation::Split));
        let reserved = lists.supported_operations.iter().any(|it| !it.in_lists());
        assert!(!reserved, "{lists:?}");
    }
    assert_eq!(
        class.get_supported_list_operations(LOCAL_MIRROR, Some(4), None),
        Err(INVALID)
    );
    let mut without = full();
    without.asynchronous_actions = without
        .asynchronous_actions
        .without(Action::ModifyListSynchronization);
    assert_eq!(
        old(&without).get_supported_list_operations(LOCAL_MIRROR, None, None),
        Err(NOT_SUPPORTED)
    );
}

#[test]
fn operations_on_aspects() {
    let built = full();
    let told = |class: ReplicationServiceCapabilities<'_>, it| {
        class
            .get_supported_settings_define_state_operations(it)
            .map(|all| all.iter().map(|it| it.name()).collect::<Vec<_>>())
    };
    assert_eq!(
        told(old(&built), SNAPSHOT),
        Ok(vec!["Delete", "Copy To Target"])
    );
    assert_eq!(
        told(new(&built), SNAPSHOT),
        Ok(vec!["Delete", "Copy To Target", "Restore"])
    );
    assert_eq!(told(new(&built), CLONE), Err(NOT_SUPPORTED));
}

#[test]
fn features_of_the_age_of_the_interface() {
    let built = full();
    let names =
        |features: ValueSet<Feature>| -> Vec<_> { features.iter().map(|it| it.value()).collect() };
    let old_ones = old(&built).get_supported_features(SNAPSHOT).unwrap();
    assert_eq!(names(old_ones), [2, 24]);
    let new_ones = new(&built).get_supported_features(SNAPSHOT).unwrap();
    assert_eq!(names(new_ones), [2, 24, 29, 39, 45]);
    let groups = old(&built).get_supported_group_features(SNAPSHOT).unwrap();
    assert_eq!(
        groups.iter().map(|it| it.value()).collect::<Vec<_>>(),
        [3, 4]
    );
}

#[test]
fn consistency_and_persistency() {
    let built = full();
    let class = old(&built);
    let all = |it| class.get_supported_consistency(it).unwrap();
    assert!(all(REMOTE_MIRROR).contains(Consistency::SequentiallyConsistent));
    assert!(all(SNAPSHOT).is_empty());
    assert_eq!(
        class.get_default_consistency(REMOTE_MIRROR),
        Ok(Some(Consistency::SequentiallyConsistent))
    );
    assert_eq!(class.get_default_consistency(SNAPSHOT), Ok(None));
    assert_eq!(
        class.get_default_group_persistency(),
        Ok(GroupPersistency::Persistent)
    );
    let nothing = BuiltCapabilities::default();
    assert_eq!(
        old(&nothing).get_default_group_persistency(),
        Err(NOT_SUPPORTED)
    );
}

#[test]
fn maximums_are_those_that_decisions_go_by() {
    let built = full();
    let class = old(&built);
    let maximum = |it, component| class.get_supported_maximum(it, component);
    assert_eq!(maximum(SNAPSHOT, 5), Ok(512));
    assert_eq!(maximum(CLONE, 5), Ok(0));
    assert_eq!(maximum(SNAPSHOT, 9), Err(ReturnCode::NotAvailable));
    assert_eq!(maximum(SNAPSHOT, 1), Err(INVALID));
    // A component of aspects is newer.
    assert_eq!(maximum(SNAPSHOT, 14), Err(INVALID));
    assert_eq!(
        new(&built).get_supported_maximum(SNAPSHOT, 14),
        Err(ReturnCode::NotAvailable)
    );
}

#[test]
fn thin_provisioning_is_told_or_not_supported() {
    let built = full();
    let thin = |it| old(&built).get_supported_thin_provisioning_features(it);
    assert_eq!(
        thin(SNAPSHOT).unwrap().iter().collect::<Vec<_>>(),
        [ThinProvisioningFeature::NotInitialized]
    );
    assert_eq!(thin(CLONE), Err(NOT_SUPPORTED));
}

#[test]
fn settings_and_their_defaults() {
    let built = full();
    let values = |class: ReplicationServiceCapabilities<'_>, it, property: PropertyName| {
        class.get_supported_replication_setting_data(it, property.value())
    };
    let (was, is) = (old(&built), new(&built));
    assert_eq!(
        values(was, CLONE, PropertyName::CopyRecoveryMode),
        Ok(vec![2, 3])
    );
    assert_eq!(
        values(was, CLONE, PropertyName::ReadOnly),
        Err(NOT_SUPPORTED)
    );
    assert_eq!(
        values(is, CLONE, PropertyName::ReadOnly),
        Err(ReturnCode::NotAvailable)
    );
    assert_eq!(values(was, CLONE, PropertyName::AutoDelete), Err(INVALID));
    // Where targets come from says who supplies them.
    let supplier = PropertyName::TargetElementSupplier;
    assert_eq!(values(was, SNAPSHOT, supplier), Ok(vec![2, 4]));
    assert_eq!(values(was, CLONE, supplier), Ok(vec![1, 2, 4]));
    let defaults = was.get_default_replication_setting_data(CLONE).unwrap();
    assert_eq!(
        defaults,
        [
            SettingValue {
                property: supplier,
                value: 4
            },
            SettingValue {
                property: PropertyName::CopyRecoveryMode,
                value: 3
            }
        ]
    );
}

#[test]
fn actions_of_the_age_of_the_interface() {
    let built = full();
    let newer = Action::ConfirmTargetData;
    assert!(new(&built).supported_synchronous_actions().contains(newer));
    assert!(!old(&built).supported_synchronous_actions().contains(newer));
    assert!(
        old(&built)
            .supported_asynchronous_actions()
            .contains(Action::ModifyListSynchronization)
    );
    assert!(
        old(&built)
            .supported_storage_objects()
            .contains(StorageObject::StorageVolume)
    );
}

#[test]
fn connections_to_peers() {
    let peers = [Peer {
        id: PeerId(3),
        reach: Reach::Answers,
        types: ValueSet::EMPTY,
        room_for: ValueSet::EMPTY,
        connection: ConnectionFeature::set(&[
            ConnectionFeature::UnidirectionalToServiceAccessPoint,
        ]),
    }];
    let built = full();
    let facts = Facts {
        generation: 0,
        service: EnabledState::Enabled,
        built: &built,
        elements: &[],
        groups: &[],
        peers: &peers,
        totals: Totals::default(),
    };
    let told = |built: &_, access_point| {
        old(built)
            .get_supported_connection_features(access_point, &facts)
            .map(|it| it.iter().map(|it| it.value()).collect::<Vec<_>>())
    };
    assert_eq!(told(&built, AccessPoint::Of(PeerId(3))), Ok(vec![2]));
    for unknown in [
        AccessPoint::Of(PeerId(4)),
        AccessPoint::Null,
        AccessPoint::Malformed,
    ] {
        assert_eq!(told(&built, unknown), Err(INVALID));
    }
    let mut local = full();
    local
        .types
        .retain(|it| it.replication_type.locality() == LocalOrRemote::Local);
    assert_eq!(told(&local, AccessPoint::Of(PeerId(3))), Err(NOT_SUPPORTED));
}

#[test]
fn every_type_that_an_answer_names_is_in_the_list_of_the_class() {
    let built = full();
    let elements = [tidelock_capabilities::facts::Element::volume(
        SOURCE, 1, 512,
    )];
    let facts = Facts {
        generation: 0,
        service: EnabledState::Enabled,
        built: &built,
        elements: &elements,
        groups: &[],
        peers: &[],
        totals: Totals::default(),
    };
    let class = old(&built);
    let request = Request {
        local_element: Reference::Element(SOURCE),
        other_element: Reference::Null,
        other_element_access_point: AccessPoint::Null,
        method_name: 2,
    };
    let answer = class.get_synchronization_supported(&request, &facts);
    assert_eq!(answer.return_code, ReturnCode::Success);
    assert!(!answer.sync_types.is_empty());
    for (sync_type, mode) in answer.sync_types.iter().zip(&answer.modes) {
        let it = ReplicationType::of(*sync_type, *mode, LocalOrRemote::Local);
        assert!(class.supported_replication_types().contains(it), "{it}");
    }
}
