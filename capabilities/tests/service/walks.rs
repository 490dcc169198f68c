//! Walks through the state machine: wherever operations and events lead, it is a state that is published, and
//! there is a way on.

use proptest::prelude::*;
use tidelock_capabilities::BuiltType;
use tidelock_capabilities::facts::Association;
use tidelock_capabilities::machine::{
    After, Event, Scope, copy_states, created, observe, required_operation, transition,
};
use tidelock_capabilities::values::{
    CopyRecoveryMode, CopyState, Feature, LocalOrRemote, Operation, ReplicationType, SyncType,
    ValueSet,
};

use crate::rig::*;

/// Features that change where operations lead, one of each kind that excludes others.
fn features() -> impl Strategy<Value = ValueSet<Feature>> {
    use Feature as F;
    let one_of = |choices: Vec<F>| prop::option::of(prop::sample::select(choices));
    (
        one_of(vec![
            F::RestoreOperationRequiresSubsequentFracture,
            F::RestoreOperationRequiresSubsequentDetach,
            F::RestoreOperationRequiresSubsequentResume,
        ]),
        one_of(vec![
            F::FailoverOperationRequiresSubsequentFracture,
            F::FailoverOperationRequiresSubsequentSplit,
            F::FailoverOperationRequiresSubsequentFailback,
        ]),
        one_of(vec![
            F::ReverseRolesOperationRequiresSubsequentResync,
            F::ReverseRolesOperationDoesNotChangeCopyState,
        ]),
        one_of(vec![F::ResyncOperationRequiresSubsequentActivate]),
        one_of(vec![F::PlannedFailoverOperationRequiresFracturedState]),
        one_of(vec![F::SynchronizedCloneTargetDetachesAutomatically]),
        prop::collection::vec(
            prop::sample::select(vec![
                F::ReverseRolesOperationRequiresSynchronizedState,
                F::ReverseRolesOperationRequiresFracturedState,
                F::ReverseRolesOperationRequiresSplitState,
                F::ReverseRolesOperationRequiresFailedOverState,
                F::ReverseRolesOperationRequiresSuspendedState,
            ]),
            0..3,
        ),
    )
        .prop_map(
            |(restore, failover, reverse, resync, planned, clone, states)| {
                let chosen = [restore, failover, reverse, resync, planned, clone];
                chosen.into_iter().flatten().chain(states).collect()
            },
        )
}

prop_compose! {
    fn built()(
        replication_type in prop::sample::select(ReplicationType::ALL.to_vec()),
        features in features(),
        automatic in any::<bool>(),
        targets_writable in any::<bool>(),
        rests_in_restored in any::<bool>(),
    ) -> BuiltType {
        // Snapshots have neither of the operations that these would require.
        let of_snapshots = Feature::set(&[
            Feature::RestoreOperationRequiresSubsequentFracture,
            Feature::RestoreOperationRequiresSubsequentResume,
        ]);
        let features = match replication_type.sync_type() {
            SyncType::Snapshot => features.difference(of_snapshots),
            _ => features,
        };
        BuiltType {
            features,
            copy_recovery_mode: if automatic {
                CopyRecoveryMode::Automatic
            } else {
                CopyRecoveryMode::Manual
            },
            targets_writable,
            rests_in_restored,
            ..every_operation(replication_type)
        }
    }
}

/// One step: an operation that is or isn't accepted, or an event.
#[derive(Clone, Copy, Debug)]
enum Step {
    Operation(Operation, bool),
    Event(Event),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (prop::sample::select(Operation::ALL.to_vec()), any::<bool>())
            .prop_map(|(operation, force)| Step::Operation(operation, force)),
        prop::sample::select(Event::ALL.to_vec()).prop_map(Step::Event),
    ]
}

fn can_happen(event: Event, built: &BuiltType) -> bool {
    match event {
        Event::StateLost | Event::ContactWithoutStatus => {
            built.replication_type.locality() == LocalOrRemote::Remote
        }
        Event::TargetWritten => built.targets_writable,
        _ => true,
    }
}

fn apply(association: &mut Association, after: After) -> bool {
    match after {
        After::Rests(state) | After::Reversed(state) => {
            association.copy_state = state.copy_state;
            association.progress_status = state.progress_status;
            true
        }
        After::InMode(mode) => {
            association.mode = mode;
            true
        }
        After::Unchanged => true,
        After::Gone(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_state_on_a_walk_is_published_and_can_be_left(
        built in built(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let published = copy_states(&built, Scope::Element);
        let (first, _) = created(&built, Scope::Element);
        let mut it = association(built.sync_type(), first.copy_state);
        it.mode = built.mode();
        it.progress_status = first.progress_status;
        for step in steps {
            let next = match step {
                Step::Operation(operation, force) => {
                    match transition(operation, &it, Scope::Element, &built, force) {
                        Ok(transition) => {
                            if let Some(during) = transition.during {
                                prop_assert!(published.contains(during.copy_state));
                            }
                            Some(transition.after)
                        }
                        Err(_) => None,
                    }
                }
                Step::Event(event) if can_happen(event, &built) => {
                    observe(event, &it, Scope::Element, &built)
                }
                Step::Event(_) => None,
            };
            if next.is_some_and(|after| !apply(&mut it, after)) {
                break;
            }
            prop_assert!(published.contains(it.copy_state), "{step:?} led to {:?}", it);
            // What is required is accepted, so that nothing stays unfinished for ever.
            if let Some(required) = required_operation(it.progress_status) {
                let accepted = transition(required, &it, Scope::Element, &built, false);
                prop_assert!(accepted.is_ok(), "{required} after {step:?}: {accepted:?}");
            } else {
                let detached = transition(Operation::Detach, &it, Scope::Element, &built, true);
                prop_assert!(detached.is_ok(), "no way out after {step:?}: {detached:?}");
            }
        }
    }

    #[test]
    fn what_is_not_built_is_never_reached(built in built()) {
        let without = BuiltType { operations: ValueSet::EMPTY, ..built.clone() };
        let states = copy_states(&without, Scope::Element);
        for operation_only in [
            CopyState::Inactive,
            CopyState::Failedover,
            CopyState::Prepared,
            CopyState::Aborted,
            CopyState::Split,
            CopyState::Fractured,
            CopyState::Restored,
        ] {
            prop_assert!(!states.contains(operation_only), "{operation_only}");
        }
        prop_assert_eq!(
            states.contains(CopyState::Partitioned),
            built.replication_type.locality() == LocalOrRemote::Remote
        );
        let all = copy_states(&built, Scope::Element);
        prop_assert_eq!(states.difference(all), ValueSet::EMPTY);
        prop_assert!(!all.contains(CopyState::Mixed) && !all.contains(CopyState::NotApplicable));
        prop_assert!(copy_states(&built, Scope::Group).contains(CopyState::Mixed));
    }
}
