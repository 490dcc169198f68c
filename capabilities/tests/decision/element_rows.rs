//! The table about the live state of LocalElement, with no other element named. One test per row.

use tidelock_capabilities::facts::{Association, Element, Hosts, Lock, Store};
use tidelock_capabilities::values::{
    Component, CopyState, Operation, ProgressStatus, ReturnCode, SyncType, ValueSet,
};
use tidelock_capabilities::{Reason, decide};

use crate::rig::*;

const OK: ReturnCode = ReturnCode::Success;
const IN_USE: ReturnCode = ReturnCode::InUse;
const FAILED: ReturnCode = ReturnCode::Failed;
const UNKNOWN: ReturnCode = ReturnCode::Unknown;
const NOT_SUPPORTED: ReturnCode = ReturnCode::NotSupported;

/// LOCAL as a volume with these relations.
fn related(relations: &[Association]) -> Element<'_> {
    Element {
        relations,
        ..volume(LOCAL)
    }
}

/// LOCAL as a snapshot of OTHER in this state.
fn as_snapshot(relations: &[Association]) -> Element<'_> {
    Element {
        relations,
        sources: &[OTHER],
        ..snapshot(LOCAL)
    }
}

fn snapshot_of_other(copy_state: CopyState) -> Association {
    association(SyncType::Snapshot, OTHER, LOCAL, copy_state)
}

fn clone_of_other(copy_state: CopyState) -> Association {
    association(SyncType::Clone, OTHER, LOCAL, copy_state)
}

#[test]
fn row_01_online_and_unrelated() {
    row(&ask(volume(LOCAL)), "Yes Yes Yes Yes Yes", OK);
}

#[test]
fn row_02_hosts_use_it() {
    for (sessions, reserved) in [(1, false), (0, true), (3, true)] {
        let element = Element {
            hosts: Hosts { sessions, reserved },
            ..volume(LOCAL)
        };
        row(&ask(element), "Yes Yes Yes NotNow NotNow", OK);
    }
}

#[test]
fn row_03_offline_and_readable() {
    let element = Element {
        online: false,
        ..volume(LOCAL)
    };
    row(&ask(element), "Yes Yes Yes Yes Yes", OK);
}

#[test]
fn row_04_store_missing_failing_or_fenced() {
    for store in [Store::Missing, Store::Failing, Store::Fenced] {
        let element = Element {
            store,
            ..volume(LOCAL)
        };
        row(&ask(element), "Fault Fault Fault Fault Fault", FAILED);
    }
}

#[test]
fn row_05_something_runs_on_it() {
    for lock in Lock::ALL {
        let element = Element {
            locks: &[lock],
            ..volume(LOCAL)
        };
        row(&ask(element), "NotNow NotNow NotNow NotNow NotNow", IN_USE);
    }
}

#[test]
fn row_06_source_of_a_synchronized_mirror() {
    let one = [mirror_of_local(CopyState::Synchronized)];
    row(&ask(related(&one)), "Yes Yes Yes NotNow NotNow", OK);
    let other = association(SyncType::Mirror, LOCAL, THIRD, CopyState::Synchronized);
    let two = [one[0], other];
    let decision = ask(related(&two));
    row(&decision, "Yes Yes NotNow NotNow NotNow", OK);
    let (_, verdict) = decision.explain().next().unwrap();
    let limit = Reason::LimitReached {
        component: Component::TargetElementsPerSourceElement,
        maximum: MIRRORS_MAX,
    };
    assert_eq!(verdict.reason(), Some(limit));
    // Copies of other kinds don't count.
    let clone = association(SyncType::Clone, LOCAL, THIRD, CopyState::Synchronized);
    let with_clone = [one[0], clone];
    row(&ask(related(&with_clone)), "Yes Yes Yes NotNow NotNow", OK);
}

#[test]
fn row_07_source_of_a_mirror_that_is_being_copied() {
    use ProgressStatus as P;
    let fractured = mirror_of_local(CopyState::Fractured);
    let states = [
        mirror_of_local(CopyState::Unsynchronized),
        in_progress(mirror_of_local(CopyState::Initialized), P::Initializing),
        in_progress(fractured, P::Synchronizing),
        in_progress(fractured, P::Resyncing),
    ];
    for state in states {
        row(&ask(related(&[state])), "Yes Yes NotNow NotNow NotNow", OK);
    }
}

#[test]
fn row_08_source_of_a_mirror_that_is_broken_or_apart() {
    use CopyState::{Aborted, Broken, Fractured, Inactive, Split, Suspended};
    for state in [Broken, Fractured, Split, Inactive, Suspended, Aborted] {
        let relations = [mirror_of_local(state)];
        row(&ask(related(&relations)), "Yes Yes Yes NotNow NotNow", OK);
    }
}

#[test]
fn row_09_source_that_is_being_restored() {
    for (sync_type, state) in [
        (SyncType::Mirror, CopyState::Fractured),
        (SyncType::Snapshot, CopyState::Synchronized),
        (SyncType::Clone, CopyState::Synchronized),
    ] {
        let relation = association(sync_type, LOCAL, OTHER, state);
        let relations = [in_progress(relation, ProgressStatus::Restoring)];
        let decision = ask(related(&relations));
        row(&decision, "NotNow NotNow NotNow NotNow NotNow", IN_USE);
    }
}

#[test]
fn row_10_restored_or_an_operation_is_required() {
    use ProgressStatus as P;
    let all = "NotNow NotNow NotNow NotNow NotNow";
    let restored = association(SyncType::Snapshot, LOCAL, OTHER, CopyState::Restored);
    row(&ask(related(&[restored])), all, IN_USE);
    for (notice, next) in [
        (P::RequiresFracture, Operation::Fracture),
        (P::RequiresResync, Operation::ResyncReplica),
        (P::RequiresActivate, Operation::Activate),
        (P::RequiresDetach, Operation::Detach),
        (P::RequiresSplit, Operation::Split),
        (P::RequiresResume, Operation::Resume),
    ] {
        for relation in [
            mirror_of_local(CopyState::Synchronized),
            mirror_onto_local(CopyState::Synchronized),
        ] {
            let relation = in_progress(relation, notice);
            let decision = ask(related(&[relation]));
            row(&decision, all, IN_USE);
            let told = decision.supported().count();
            assert_eq!(told, 0);
            let verdict = decision.explain().next().unwrap().1;
            let expected = Reason::Unfinished {
                key: relation.key,
                next: Some(next),
            };
            assert_eq!(verdict.reason(), Some(expected));
        }
    }
}

#[test]
fn row_11_target_of_a_synchronized_mirror() {
    let relations = [mirror_onto_local(CopyState::Synchronized)];
    row(
        &ask(related(&relations)),
        "Yes Yes NotNow NotNow NotNow",
        OK,
    );
}

#[test]
fn row_12_target_of_an_asynchronous_mirror() {
    let relations = [Association {
        mode: tidelock_capabilities::values::Mode::Asynchronous,
        ..mirror_onto_local(CopyState::Synchronized)
    }];
    row(
        &ask(related(&relations)),
        "Yes Yes NotNow NotNow NotNow",
        OK,
    );
}

#[test]
fn row_13_target_of_a_mirror_that_is_being_copied() {
    let all = "NotNow NotNow NotNow NotNow NotNow";
    let resyncing = in_progress(
        mirror_onto_local(CopyState::Synchronized),
        ProgressStatus::Resyncing,
    );
    for state in [mirror_onto_local(CopyState::Unsynchronized), resyncing] {
        row(&ask(related(&[state])), all, IN_USE);
        // Where the engine keeps the last consistent cut while it copies, that can be copied.
        let relations = [consistent(state)];
        row(
            &ask(related(&relations)),
            "Yes Yes NotNow NotNow NotNow",
            OK,
        );
    }
}

#[test]
fn row_14_target_of_a_mirror_that_is_split_or_suspended() {
    let split = mirror_onto_local(CopyState::Split);
    let suspended = mirror_onto_local(CopyState::Suspended);
    for relation in [split, consistent(suspended)] {
        let relations = [relation];
        row(
            &ask(related(&relations)),
            "Yes Yes NotNow NotNow NotNow",
            OK,
        );
    }
    // Suspended in the middle of the first copy.
    let all = "NotNow NotNow NotNow NotNow NotNow";
    row(&ask(related(&[suspended])), all, IN_USE);
}

#[test]
fn row_15_target_of_a_fractured_mirror() {
    let fractured = mirror_onto_local(CopyState::Fractured);
    let all = "NotNow NotNow NotNow NotNow NotNow";
    row(&ask(related(&[fractured])), all, IN_USE);
    let relations = [consistent(fractured)];
    row(
        &ask(related(&relations)),
        "Yes Yes NotNow NotNow NotNow",
        OK,
    );
}

#[test]
fn row_16_target_of_a_broken_mirror() {
    let broken = mirror_onto_local(CopyState::Broken);
    row(
        &ask(related(&[broken])),
        "Fault Fault Fault Fault Fault",
        FAILED,
    );
    let relations = [consistent(broken)];
    row(&ask(related(&relations)), "Yes Yes Fault Fault Fault", OK);
}

#[test]
fn row_17_target_of_a_mirror_that_failed_over() {
    let relations = [mirror_onto_local(CopyState::Failedover)];
    row(
        &ask(related(&relations)),
        "Yes Yes NotNow NotNow NotNow",
        OK,
    );
}

#[test]
fn row_18_source_of_a_mirror_that_failed_over() {
    let relations = [mirror_of_local(CopyState::Failedover)];
    let all = "NotNow NotNow NotNow NotNow NotNow";
    row(&ask(related(&relations)), all, IN_USE);
}

#[test]
fn row_19_source_of_a_mirror_whose_state_is_not_known() {
    for state in [CopyState::Partitioned, CopyState::Invalid] {
        let relations = [mirror_of_local(state)];
        row(
            &ask(related(&relations)),
            "Yes Yes Unknown Unknown Unknown",
            OK,
        );
    }
}

#[test]
fn row_20_target_of_a_mirror_whose_state_is_not_known() {
    for state in [CopyState::Partitioned, CopyState::Invalid] {
        let relation = mirror_onto_local(state);
        let all = "Unknown Unknown Unknown Unknown Unknown";
        row(&ask(related(&[relation])), all, UNKNOWN);
        // Its last consistent cut is known, whatever became of the source.
        let relations = [consistent(relation)];
        row(
            &ask(related(&relations)),
            "Yes Yes Unknown Unknown Unknown",
            OK,
        );
    }
}

#[test]
fn row_21_a_snapshot() {
    let relations = [snapshot_of_other(CopyState::Synchronized)];
    let element = as_snapshot(&relations);
    row(&ask(element), "Never Yes Never Never Never", OK);

    // Where snapshots of snapshots are built, up to their depth.
    let mut deep = assumed();
    let multihop = tidelock_capabilities::values::Feature::MultiHopElementReplication;
    deep.types[0].features = deep.types[0].features.with(multihop);
    for (hops, expected) in [(2, "Yes"), (1, "Never")] {
        deep.types[0].maximums.push((Component::Hops, hops));
        let decision = decide(&alone(), &facts(&deep, &[element]));
        row(&decision, &format!("{expected} Yes Never Never Never"), OK);
        deep.types[0].maximums.pop();
    }

    // Nothing is left if clones aren't built.
    let mut without = assumed();
    without.types.retain(|it| it.sync_type() != SyncType::Clone);
    let decision = decide(&alone(), &facts(&without, &[element]));
    row(&decision, "Never Never Never Never Never", NOT_SUPPORTED);
}

#[test]
fn row_22_a_snapshot_that_is_restored_from_or_not_active() {
    let restoring = in_progress(
        snapshot_of_other(CopyState::Synchronized),
        ProgressStatus::Restoring,
    );
    for relation in [
        restoring,
        snapshot_of_other(CopyState::Inactive),
        snapshot_of_other(CopyState::Aborted),
    ] {
        let relations = [relation];
        let element = as_snapshot(&relations);
        row(&ask(element), "Never NotNow Never Never Never", IN_USE);
    }
}

#[test]
fn row_23_a_broken_snapshot() {
    let relations = [snapshot_of_other(CopyState::Broken)];
    row(
        &ask(as_snapshot(&relations)),
        "Never Fault Never Never Never",
        FAILED,
    );
}

#[test]
fn row_24_a_snapshot_with_children_or_written() {
    let with_children = Element {
        clones: 2,
        ..as_snapshot(&[])
    };
    row(&ask(with_children), "Never Yes Never Never Never", OK);
    let relations = [snapshot_of_other(CopyState::Skewed)];
    row(
        &ask(as_snapshot(&relations)),
        "Never Yes Never Never Never",
        OK,
    );
}

#[test]
fn row_25_a_clone_that_is_being_copied() {
    let copying = clone_of_other(CopyState::Unsynchronized);
    let all = "NotNow NotNow NotNow NotNow NotNow";
    row(&ask(related(&[copying])), all, IN_USE);
    // Where it can be read meanwhile, because what is missing comes from the source.
    let relations = [consistent(copying)];
    row(
        &ask(related(&relations)),
        "Yes Yes NotNow NotNow NotNow",
        OK,
    );
}

#[test]
fn row_26_a_clone_that_is_complete_and_not_detached() {
    for state in [CopyState::Synchronized, CopyState::Skewed] {
        let relations = [clone_of_other(state)];
        let decision = ask(related(&relations));
        row(&decision, "Yes Yes NotNow NotNow NotNow", OK);
        let verdict = decision.explain().next().unwrap().1;
        assert!(verdict.reason().unwrap().to_string().contains("detach"));
    }
}

#[test]
fn row_27_source_of_a_clone_that_is_being_copied() {
    let copying = association(SyncType::Clone, LOCAL, OTHER, CopyState::Unsynchronized);
    let relations = [copying];
    let element = Element {
        clones: 1,
        ..related(&relations)
    };
    row(&ask(element), "Yes Yes Yes NotNow NotNow", OK);
    let at_the_limit = Element {
        clones: CLONES_MAX,
        ..element
    };
    row(&ask(at_the_limit), "Yes NotNow Yes NotNow NotNow", OK);
}

#[test]
fn row_28_the_limit_of_snapshots() {
    for (snapshots, expected) in [(SNAPSHOTS_MAX - 1, "Yes"), (SNAPSHOTS_MAX, "NotNow")] {
        let element = Element {
            snapshots,
            ..volume(LOCAL)
        };
        row(&ask(element), &format!("{expected} Yes Yes Yes Yes"), OK);
    }
    // Alone it is no more than "not now".
    let mut only = assumed();
    only.types.truncate(1);
    let element = Element {
        snapshots: SNAPSHOTS_MAX,
        ..volume(LOCAL)
    };
    let decision = decide(&alone(), &facts(&only, &[element]));
    row(&decision, "NotNow Never Never Never Never", IN_USE);
}

#[test]
fn row_29_no_space_for_a_target_that_is_made() {
    let element = Element {
        room_for: ValueSet::EMPTY,
        ..volume(LOCAL)
    };
    row(&ask(element), "NotNow NotNow NotNow Yes Yes", OK);
    // A target that is supplied needs none.
    row(
        &ask_pair(element, volume(OTHER)),
        "Never Yes Yes Yes Yes",
        OK,
    );
    // Redirect-on-write may have space for a point in time where there is none for a copy.
    let element = Element {
        room_for: SyncType::set(&[SyncType::Snapshot]),
        ..volume(LOCAL)
    };
    row(&ask(element), "Yes NotNow NotNow Yes Yes", OK);
}

#[test]
fn row_30_the_more_lasting_of_two_conditions_is_told() {
    // Never > Fault > Unknown > NotNow > Yes, for each combination by itself.
    let fault = Element {
        store: Store::Failing,
        locks: &[Lock::Resizing],
        ..as_snapshot(&[])
    };
    row(&ask(fault), "Never Fault Never Never Never", FAILED);
    let relations = [
        mirror_of_local(CopyState::Partitioned),
        association(SyncType::Mirror, LOCAL, THIRD, CopyState::Unsynchronized),
    ];
    row(
        &ask(related(&relations)),
        "Yes Yes Unknown Unknown Unknown",
        OK,
    );
    let locked = Element {
        locks: &[Lock::Moving],
        ..related(&relations)
    };
    row(
        &ask(locked),
        "NotNow NotNow Unknown Unknown Unknown",
        IN_USE,
    );
    let faulty = Element {
        store: Store::Missing,
        ..locked
    };
    row(&ask(faulty), "Fault Fault Fault Fault Fault", FAILED);
}
