//! Associations by identities: what is told of them, what may be done with them, and that it is what can be done.

use tidelock_capabilities::facts::ElementId;
use tidelock_capabilities::values::{
    CopyState, MethodName, Mode, Operation, ProgressStatus, ReplicationType, ReturnCode, SyncType,
};
use tidelock_catalog::DatasetRef;

use super::*;
use crate::registry::CloneRequest;
use crate::registry::capabilities::{ElementName, ReplicaAsked, Via};
use crate::registry::changes::ChangeError;

fn dataset(text: &str) -> DatasetRef {
    text.parse().unwrap()
}

fn clone_of(source: &str, name: &str) -> CloneRequest {
    CloneRequest {
        source: dataset(source),
        name: volume(name),
        linked: false,
        full: None,
    }
}

fn id_of(house: &House, name: &str) -> ElementId {
    let catalog = house.registry().catalog();
    ElementId(catalog.volume(&volume(name)).unwrap().id.0.as_u128())
}

#[tokio::test]
async fn a_snapshot_is_restored_from_and_returned_until_it_is_gone() {
    let house = House::new().await;
    house.add_volume("a").await;
    let registry = house.registry();
    let snapshot = dataset("a@s");
    assert!(registry.association_of(&snapshot).is_none());
    let called = SnapshotRef {
        volume: volume("a"),
        snapshot: word("s"),
    };
    registry
        .create_snapshot(called.clone(), false, 1)
        .await
        .unwrap();
    let (association, job) = registry.association_of(&snapshot).unwrap();
    let key = association.key;
    assert_eq!((key.system_element, job), (id_of(&house, "a"), None));
    assert_eq!(registry.element_called(key.synced_element), Some(snapshot));
    assert_eq!(
        registry.element_called(key.system_element),
        Some(dataset("a"))
    );
    let told = registry.operations_for(key).unwrap().supported_operations;
    assert_eq!(
        told,
        [
            Operation::RestoreFromReplica,
            Operation::ReturnToResourcePool
        ]
    );
    let refused = registry
        .admit_operation(key, Operation::Detach, true)
        .unwrap_err();
    assert_eq!(refused.return_code, ReturnCode::NotSupported);
    registry
        .admit_operation(key, Operation::ReturnToResourcePool, false)
        .unwrap();
    registry.delete_snapshot(called).await.unwrap();
    let refused = registry.admit_operation(key, Operation::ReturnToResourcePool, false);
    assert_eq!(
        refused.unwrap_err().return_code,
        ReturnCode::InvalidParameter
    );
    assert_eq!(
        registry.operations_for(key),
        Err(ReturnCode::InvalidParameter)
    );
    assert_eq!(registry.element_called(key.synced_element), None);
}

#[tokio::test]
async fn a_clone_is_detached_when_it_is_complete_and_not_before() {
    let house = House::new().await;
    house.add_volume("a").await;
    let registry = house.registry();
    registry.create_clone(clone_of("a", "k"), 1).await.unwrap();
    let (association, _) = registry.association_of(&dataset("k")).unwrap();
    let key = association.key;
    // Nobody was told of the snapshot, so the volume is the source.
    assert_eq!(key.system_element, id_of(&house, "a"));
    assert_eq!(association.sync_type, SyncType::Clone);
    assert_eq!(
        (association.copy_state, association.progress_status),
        (CopyState::Unsynchronized, ProgressStatus::Dormant)
    );
    assert_eq!(
        registry.operations_for(key).unwrap().supported_operations,
        []
    );
    for force in [false, true] {
        let refused = registry
            .admit_operation(key, Operation::Detach, force)
            .unwrap_err();
        assert_eq!(refused.return_code, ReturnCode::InUse);
    }
    assert!(registry.detach_clone(volume("k")).await.is_err());
    registry.split_clone(volume("k"), None).await.unwrap();
    let (association, job) = registry.association_of(&dataset("k")).unwrap();
    assert_eq!(association.progress_status, ProgressStatus::Synchronizing);
    assert!(job.is_some());
    assert!(
        registry
            .admit_operation(key, Operation::Detach, true)
            .is_err()
    );
    let id = registry.next_hydration().await;
    registry.hydrate(id).await;
    let (association, job) = registry.association_of(&dataset("k")).unwrap();
    assert_eq!(
        (association.copy_state, job),
        (CopyState::Synchronized, None)
    );
    assert_eq!(association.key, key);
    let told = registry.operations_for(key).unwrap().supported_operations;
    assert_eq!(told, [Operation::Detach]);
    registry
        .admit_operation(key, Operation::Detach, false)
        .unwrap();
    registry.detach_clone(volume("k")).await.unwrap();
    assert!(registry.association_of(&dataset("k")).is_none());
    assert_eq!(
        registry.operations_for(key),
        Err(ReturnCode::InvalidParameter)
    );
}

#[tokio::test]
async fn a_clone_of_a_snapshot_is_one_of_the_volume_when_the_snapshot_is_gone() {
    let house = House::new().await;
    house.add_volume("a").await;
    let registry = house.registry();
    let called = SnapshotRef {
        volume: volume("a"),
        snapshot: word("s"),
    };
    registry
        .create_snapshot(called.clone(), false, 1)
        .await
        .unwrap();
    registry
        .create_clone(clone_of("a@s", "k"), 1)
        .await
        .unwrap();
    let source = |text: &str| {
        registry
            .association_of(&dataset(text))
            .unwrap()
            .0
            .key
            .system_element
    };
    let snapshot = registry.association_of(&dataset("a@s")).unwrap().0.key;
    assert_eq!(source("k"), snapshot.synced_element);
    registry
        .admit_operation(snapshot, Operation::ReturnToResourcePool, false)
        .unwrap();
    registry.delete_snapshot(called).await.unwrap();
    assert_eq!(source("k"), id_of(&house, "a"));
    registry.delete_volume(volume("a"), false).await.unwrap();
    assert!(registry.association_of(&dataset("k")).is_none());
}

#[test]
fn what_the_wbem_server_offers_fits_together_and_is_all_here() {
    let offered = Registry::offered();
    offered.check().unwrap();
    let types: Vec<_> = offered.types.iter().map(|it| it.replication_type).collect();
    for expected in [
        ReplicationType::SynchronousMirrorLocal,
        ReplicationType::SynchronousMirrorRemote,
    ] {
        assert!(types.contains(&expected));
    }
    // The rules are those of what is built.
    assert_eq!(offered.types, crate::registry::capabilities::built().types);
}

#[tokio::test]
async fn a_mirror_is_an_association_of_its_ends_until_it_is_detached() {
    let house = House::mirrored().await;
    house.until("a", "Synchronized").await;
    let registry = house.registry();
    let (a, b) = (id_of(&house, "a"), id_of(&house, "b"));
    let [relation]: [_; 1] = registry.mirror_relations().try_into().unwrap();
    let key = relation.association.key;
    assert_eq!((key.system_element, key.synced_element), (a, b));
    assert_eq!(registry.mirror_relation(key), Some(relation.clone()));
    assert!(!relation.stops_hosts);
    // There can be no second one of these.
    let (source, target) = (dataset("a"), dataset("b"));
    let admit = |target: Option<&DatasetRef>, mode| {
        let source = ElementName::Dataset(source.clone());
        let target = target.cloned().map(ElementName::Dataset);
        let admitted = registry.admit_replica(&ReplicaAsked {
            method: MethodName::CreateElementReplica,
            sync_type: SyncType::Mirror,
            mode,
            source: &source,
            target: target.as_ref(),
            via: Via::Nobody,
        });
        admitted.map_err(|error| match error {
            ChangeError::Refused(refused) => refused.return_code,
            other => panic!("{other}"),
        })
    };
    assert_eq!(admit(Some(&target), None), Err(ReturnCode::InUse));
    registry
        .admit_operation(key, Operation::Detach, false)
        .unwrap();
    registry.detach_mirror("a".to_owned(), false).await.unwrap();
    assert_eq!(registry.mirror_relation(key), None);
    assert_eq!(
        admit(Some(&target), None),
        Ok(ReplicationType::SynchronousMirrorLocal)
    );
    assert_eq!(admit(None, None), Err(ReturnCode::InvalidParameter));
    assert_eq!(
        admit(Some(&target), Some(Mode::Asynchronous)),
        Ok(ReplicationType::AsynchronousMirrorLocal)
    );
}
