//! The value maps: numbers and names that can't be mixed up, and nothing that isn't in the schema.

use std::collections::BTreeSet;

use tidelock_capabilities::values::*;

/// What holds of every map: ascending numbers, names that differ, and reading back what was written.
fn check<T: ValueMap>(count: usize) {
    assert_eq!(T::ALL.len(), count, "{}", T::MAP);
    assert!(T::ALL.is_sorted_by_key(|it| it.value()), "{}", T::MAP);
    let names: BTreeSet<_> = T::ALL.iter().map(|it| it.name()).collect();
    assert_eq!(names.len(), count, "{}: a name twice", T::MAP);
    let mut known = 0;
    for value in 0..=u16::MAX {
        if let Ok(it) = T::try_from(value) {
            assert_eq!(it.value(), value);
            assert_eq!(it.to_string(), it.name());
            known += 1;
        }
    }
    assert_eq!(known, count, "{}", T::MAP);
    let all = ValueSet::<T>::all();
    assert_eq!(all.iter().collect::<Vec<_>>(), T::ALL);
    assert_eq!(all.len() as usize, count);
    for it in T::ALL.iter().copied() {
        assert!(!all.without(it).contains(it));
        assert_eq!(all.without(it).with(it), all);
    }
}

#[test]
fn every_map_has_the_values_of_the_schema() {
    check::<SyncType>(3);
    check::<Mode>(2);
    check::<LocalOrRemote>(2);
    check::<LocalElementRole>(2);
    check::<ReplicationType>(12);
    check::<CopyState>(17);
    check::<ProgressStatus>(25);
    check::<SyncState>(15);
    check::<MethodName>(3);
    check::<WaitMethodName>(10);
    check::<Action>(30);
    check::<Operation>(26);
    check::<SettingsDefineStateOperation>(7);
    check::<ServiceControlling>(4);
    check::<Feature>(63);
    check::<GroupFeature>(70);
    check::<Component>(14);
    check::<PropertyName>(25);
    check::<CopyRecoveryMode>(4);
    check::<EnabledState>(11);
    check::<StorageObject>(3);
    check::<Consistency>(1);
    check::<GroupPersistency>(3);
    check::<SynchronizationType>(2);
    check::<ThinProvisioningFeature>(3);
    check::<ConnectionFeature>(2);
    check::<ReturnCode>(8);
}

#[test]
fn what_is_newer_than_an_edition_is_left_out() {
    fn newer<T: ValueMap>() -> usize {
        let all = ValueSet::<T>::all();
        assert_eq!(all.up_to(Edition::V2_49), all);
        all.difference(all.up_to(Edition::V2_29)).iter().count()
    }
    assert_eq!(newer::<CopyState>(), 1);
    assert_eq!(newer::<ProgressStatus>(), 4);
    assert_eq!(newer::<Operation>(), 4);
    assert_eq!(newer::<Feature>(), 38);
    assert_eq!(newer::<GroupFeature>(), 50);
    assert_eq!(newer::<Component>(), 6);
    assert_eq!(newer::<WaitMethodName>(), 5);
    assert_eq!(newer::<ReplicationType>(), 0);
}

#[test]
fn the_same_words_have_other_numbers_in_the_older_model() {
    assert_eq!(CopyState::Synchronized.value(), 4);
    assert_eq!(SyncState::Synchronized.value(), 6);
    assert_eq!(CopyState::Fractured.value(), 6);
    assert_eq!(SyncState::Fractured.value(), 13);
}

#[test]
fn the_three_numberings_of_methods_differ() {
    assert_eq!(MethodName::CreateSynchronizationAspect.value(), 4);
    assert_eq!(WaitMethodName::ModifyReplicaSynchronization.value(), 4);
    assert_eq!(Action::ModifyReplicaSynchronization.value(), 5);
    for method in MethodName::ALL.iter().copied() {
        assert_eq!(Action::from(method).name(), method.name());
    }
}

#[test]
fn a_number_that_is_not_in_the_map_says_so() {
    let error = CopyState::try_from(1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 is no value of CopyState that this service knows"
    );
}

#[test]
fn a_replication_type_is_its_three_parts() {
    for it in ReplicationType::ALL.iter().copied() {
        let (sync_type, mode, locality) = it.parts();
        assert_eq!(ReplicationType::of(sync_type, mode, locality), it);
        assert_eq!(
            it.name(),
            format!("{mode} {sync_type} {locality}"),
            "the number and the name differ"
        );
        let remote = u16::from(locality == LocalOrRemote::Remote);
        let number = 2 + 4 * (sync_type.value() - 6) + 2 * remote + (mode.value() - 2);
        assert_eq!(it.value(), number);
    }
}
