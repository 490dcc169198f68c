//! What happens to associations without being asked for.

use tidelock_capabilities::machine::{
    After, EVENTS, Event, Remains, Scope, State, host_accessible, observe,
};
use tidelock_capabilities::values::{
    CopyRecoveryMode, CopyState, Feature, ProgressStatus, ReplicationType, SyncType,
};

use crate::rig::*;

fn seen(event: Event, sync_type: SyncType, copy_state: CopyState) -> Option<After> {
    let built = every_operation(ReplicationType::SynchronousMirrorRemote);
    observe(
        event,
        &association(sync_type, copy_state),
        Scope::Element,
        &built,
    )
}

fn becomes(copy_state: CopyState, progress_status: ProgressStatus) -> Option<After> {
    Some(After::Rests(State {
        copy_state,
        progress_status,
    }))
}

#[test]
fn errors_break_and_lost_contact_partitions() {
    use CopyState as S;
    let done = ProgressStatus::Completed;
    for sync_type in SyncType::ALL.iter().copied() {
        let synchronized = |event| seen(event, sync_type, S::Synchronized);
        assert_eq!(synchronized(Event::Failed), becomes(S::Broken, done));
        assert_eq!(
            synchronized(Event::StateLost),
            becomes(S::Partitioned, done)
        );
        assert_eq!(synchronized(Event::TargetWritten), becomes(S::Skewed, done));
        let partitioned = seen(Event::ContactWithoutStatus, sync_type, S::Partitioned);
        assert_eq!(partitioned, becomes(S::Invalid, done));
    }
    // What hosts use after a failover goes on, whatever became of the source.
    assert_eq!(seen(Event::Failed, SyncType::Mirror, S::Failedover), None);
    // Only contact that was lost can come back without a status.
    assert_eq!(
        seen(
            Event::ContactWithoutStatus,
            SyncType::Mirror,
            S::Synchronized
        ),
        None
    );
}

#[test]
fn recovery_goes_on_by_itself_or_waits() {
    let mut built = every_operation(ReplicationType::SynchronousMirrorRemote);
    for copy_state in [
        CopyState::Broken,
        CopyState::Partitioned,
        CopyState::Invalid,
    ] {
        let mirror = association(SyncType::Mirror, copy_state);
        built.copy_recovery_mode = CopyRecoveryMode::Automatic;
        assert_eq!(
            observe(Event::Recovered, &mirror, Scope::Element, &built),
            becomes(CopyState::Unsynchronized, ProgressStatus::Resyncing)
        );
        assert!(built.has(Feature::ErrorRecoveryFromBrokenStateAutomatic));
        built.copy_recovery_mode = CopyRecoveryMode::Manual;
        assert_eq!(
            observe(Event::Recovered, &mirror, Scope::Element, &built),
            becomes(CopyState::Suspended, ProgressStatus::Dormant)
        );
        assert!(!built.has(Feature::ErrorRecoveryFromBrokenStateAutomatic));
    }
}

#[test]
fn a_restore_that_fails_can_be_tried_again() {
    for (sync_type, copy_state) in [
        (SyncType::Mirror, CopyState::Fractured),
        (SyncType::Mirror, CopyState::Split),
        (SyncType::Snapshot, CopyState::Synchronized),
        (SyncType::Clone, CopyState::Skewed),
    ] {
        assert_eq!(
            seen(Event::RestoreFailed, sync_type, copy_state),
            becomes(copy_state, ProgressStatus::Completed)
        );
    }
}

#[test]
fn a_pause_is_shown_and_changes_no_state() {
    for copy_state in [CopyState::Unsynchronized, CopyState::Synchronized] {
        assert_eq!(
            seen(Event::FlowPaused, SyncType::Mirror, copy_state),
            becomes(copy_state, ProgressStatus::Pending)
        );
        let resumed = seen(Event::FlowResumed, SyncType::Mirror, copy_state).unwrap();
        assert_eq!(resumed.copy_state(), Some(copy_state));
    }
    assert_eq!(
        seen(Event::FlowPaused, SyncType::Mirror, CopyState::Split),
        None
    );
}

#[test]
fn a_complete_copy_is_synchronized_or_detaches() {
    let mut built = every_operation(ReplicationType::AsynchronousCloneLocal);
    let clone = association(SyncType::Clone, CopyState::Unsynchronized);
    let copied = |built: &_| observe(Event::Copied, &clone, Scope::Element, built);
    assert_eq!(
        copied(&built),
        becomes(CopyState::Synchronized, ProgressStatus::Completed)
    );
    built.features = Feature::set(&[Feature::SynchronizedCloneTargetDetachesAutomatically]);
    assert_eq!(copied(&built), Some(After::Gone(Remains::Target)));
}

#[test]
fn hosts_can_use_targets_that_no_flow_is_meant_to_keep_equal() {
    use CopyState::{Failedover, Fractured, Restored, Skewed, Split, Synchronized};
    for (sync_type, expected) in [
        (
            SyncType::Mirror,
            &[Fractured, Split, Failedover, Skewed][..],
        ),
        (
            SyncType::Snapshot,
            &[Synchronized, Fractured, Split, Skewed, Restored],
        ),
        (
            SyncType::Clone,
            &[Synchronized, Fractured, Split, Skewed, Restored],
        ),
    ] {
        for copy_state in CopyState::ALL.iter().copied() {
            assert_eq!(
                host_accessible(sync_type, copy_state),
                expected.contains(&copy_state),
                "{sync_type}, {copy_state}"
            );
        }
    }
}

#[test]
fn at_most_one_row_is_about_an_event_in_a_state() {
    for event in Event::ALL {
        for sync_type in SyncType::ALL {
            for copy_state in CopyState::ALL {
                let about = EVENTS.iter().filter(|row| {
                    row.event == event
                        && row.sync_types.contains(sync_type)
                        && row.from.contains(copy_state)
                });
                assert!(about.count() <= 1, "{event:?}, {sync_type}, {copy_state}");
            }
        }
        assert!(EVENTS.iter().any(|row| row.event == event), "{event:?}");
    }
}
