//! States and features beside the rows of the tables.

use tidelock_capabilities::facts::{
    Association, Element, ElementId, ElementKind, Peer, Reach, Store,
};
use tidelock_capabilities::values::{
    Component, CopyState, Feature, GroupFeature, ProgressStatus, ReturnCode, SyncType,
};
use tidelock_capabilities::{
    AccessPoint, Facts, Obstacle, Reason, Reference, Request, Triple, decide,
};

use crate::rig::*;

const OK: ReturnCode = ReturnCode::Success;
const IN_USE: ReturnCode = ReturnCode::InUse;

fn related(relations: &[Association]) -> Element<'_> {
    Element {
        relations,
        ..volume(LOCAL)
    }
}

#[test]
fn a_read_only_volume_is_no_target_as_long_as_it_is() {
    let element = Element {
        read_only: true,
        ..volume(LOCAL)
    };
    row(&ask(element), "Yes Yes Yes NotNow NotNow", OK);
}

#[test]
fn an_engine_that_copies_offline_wants_its_sources_offline() {
    let mut built = assumed();
    for it in &mut built.types {
        it.features = Feature::set(&[Feature::CopyOperationRequiresOfflineSource]);
    }
    for (online, expected) in [
        (true, "NotNow NotNow NotNow Yes Yes"),
        (false, "Yes Yes Yes Yes Yes"),
    ] {
        let elements = [Element {
            online,
            ..volume(LOCAL)
        }];
        let decision = decide(&alone(), &facts(&built, &elements));
        row(&decision, expected, OK);
    }
}

#[test]
fn while_a_mirror_changes_over_neither_end_can_do_anything() {
    let all = "NotNow NotNow NotNow NotNow NotNow";
    for status in [ProgressStatus::FailingOver, ProgressStatus::FailingBack] {
        for relation in [
            mirror_of_local(CopyState::Synchronized),
            mirror_onto_local(CopyState::Synchronized),
        ] {
            let relations = [in_progress(relation, status)];
            row(&ask(related(&relations)), all, IN_USE);
        }
    }
}

#[test]
fn a_snapshot_whose_state_is_not_known_or_that_is_being_made_anew() {
    for (copy_state, status, expected, code) in [
        (
            CopyState::Partitioned,
            ProgressStatus::Completed,
            "Unknown",
            ReturnCode::Unknown,
        ),
        (
            CopyState::Invalid,
            ProgressStatus::Completed,
            "Unknown",
            ReturnCode::Unknown,
        ),
        (
            CopyState::Synchronized,
            ProgressStatus::Resyncing,
            "NotNow",
            IN_USE,
        ),
        (
            CopyState::Initialized,
            ProgressStatus::Initializing,
            "NotNow",
            IN_USE,
        ),
    ] {
        let relation = association(SyncType::Snapshot, OTHER, LOCAL, copy_state);
        let relations = [in_progress(relation, status)];
        let element = Element {
            relations: &relations,
            ..snapshot(LOCAL)
        };
        let expected = format!("Never {expected} Never Never Never");
        row(&ask(element), &expected, code);
    }
}

#[test]
fn a_source_that_was_left_half_restored_is_no_source() {
    let mirror = Association {
        source_consistent: false,
        ..mirror_of_local(CopyState::Fractured)
    };
    row(
        &ask(related(&[mirror])),
        "NotNow NotNow NotNow NotNow NotNow",
        IN_USE,
    );
    // What it was restored from is one all the same.
    let snapshot_of_other = association(SyncType::Snapshot, OTHER, LOCAL, CopyState::Synchronized);
    let relations = [Association {
        source_consistent: false,
        ..snapshot_of_other
    }];
    let element = Element {
        relations: &relations,
        ..snapshot(LOCAL)
    };
    row(&ask(element), "Never Yes Never Never Never", OK);
    let relations = [Association {
        source_consistent: false,
        ..association(SyncType::Snapshot, LOCAL, OTHER, CopyState::Synchronized)
    }];
    // It can be overwritten, which is one way to put it right.
    row(
        &ask(related(&relations)),
        "NotNow NotNow NotNow Yes Yes",
        OK,
    );
}

#[test]
fn what_is_associated_as_a_snapshot_is_one_whatever_its_kind() {
    let relations = [association(
        SyncType::Snapshot,
        OTHER,
        LOCAL,
        CopyState::Synchronized,
    )];
    row(&ask(related(&relations)), "Never Yes Never Never Never", OK);
}

#[test]
fn states_of_groups_say_nothing_about_an_element() {
    for state in [CopyState::Mixed, CopyState::NotApplicable] {
        let relations = [mirror_of_local(state)];
        row(
            &ask(related(&relations)),
            "Yes Yes Unknown Unknown Unknown",
            OK,
        );
        let relations = [mirror_onto_local(state)];
        row(
            &ask(related(&relations)),
            "Unknown Unknown Unknown Unknown Unknown",
            ReturnCode::Unknown,
        );
    }
}

#[test]
fn mirrors_of_mirror_targets_where_chains_are_built() {
    let relations = [mirror_onto_local(CopyState::Synchronized)];
    let element = Element {
        sources: &[OTHER],
        ..related(&relations)
    };
    let mut built = assumed();
    let ask = |built: &_| decide(&alone(), &facts(built, &[element]));
    row(&ask(&built), "Yes Yes NotNow NotNow NotNow", OK);
    for it in &mut built.types {
        it.features = Feature::set(&[Feature::MultiHopElementReplication]);
    }
    row(&ask(&built), "Yes Yes Yes NotNow NotNow", OK);
    for it in &mut built.types {
        it.maximums.push((Component::Hops, 1));
    }
    row(&ask(&built), "Yes Yes Never NotNow NotNow", OK);
    // A clone that isn't detached is no mirror, and is detached first.
    let relations = [association(
        SyncType::Clone,
        OTHER,
        LOCAL,
        CopyState::Synchronized,
    )];
    for it in &mut built.types {
        it.maximums.pop();
    }
    let decision = decide(&alone(), &facts(&built, &[related(&relations)]));
    row(&decision, "Yes Yes NotNow NotNow NotNow", OK);
}

#[test]
fn relations_of_others_are_not_looked_at() {
    let strange = ElementId(900);
    let relations = [association(
        SyncType::Mirror,
        strange,
        THIRD,
        CopyState::Broken,
    )];
    row(&ask(related(&relations)), "Yes Yes Yes Yes Yes", OK);
}

#[test]
fn the_order_of_relations_does_not_matter() {
    let mut relations = [
        mirror_of_local(CopyState::Partitioned),
        association(SyncType::Mirror, LOCAL, THIRD, CopyState::Partitioned),
        association(SyncType::Clone, LOCAL, OTHER, CopyState::Unsynchronized),
    ];
    let one = ask(related(&relations));
    relations.reverse();
    assert_eq!(one, ask(related(&relations)));
}

#[test]
fn a_member_of_a_group_that_is_not_replicated_keeps_it_from_everything() {
    let built = assumed();
    let members = [
        volume(LOCAL),
        Element {
            kind: ElementKind::Unreplicated,
            ..volume(OTHER)
        },
    ];
    let groups = [group(GROUP, &members)];
    let facts = Facts {
        groups: &groups,
        ..facts(&built, &[])
    };
    let request = Request {
        local_element: Reference::Group(GROUP),
        method_name: 3,
        ..alone()
    };
    row(
        &decide(&request, &facts),
        "Never Never Never Never Never",
        ReturnCode::NotSupported,
    );
}

#[test]
fn groups_without_the_features_to_use_them() {
    let mut built = assumed();
    let members = [volume(LOCAL), volume(OTHER)];
    let ask = |built: &_| {
        let groups = [group(GROUP, &members)];
        let facts = Facts {
            groups: &groups,
            ..facts(built, &[])
        };
        let request = Request {
            local_element: Reference::Group(GROUP),
            method_name: 3,
            ..alone()
        };
        decide(&request, &facts)
    };
    // A group can be the target of one source, and then it is no source itself.
    for it in &mut built.types {
        it.group_features = GroupFeature::set(&[GroupFeature::OneToManyReplication]);
    }
    row(&ask(&built), "Never Never Never Yes Yes", OK);
    for it in &mut built.types {
        it.group_features = GroupFeature::set(&[]);
    }
    row(
        &ask(&built),
        "Never Never Never Never Never",
        ReturnCode::NotSupported,
    );
}

#[test]
fn a_limit_that_was_lowered_does_not_count_against_what_adds_nothing() {
    let mut built = assumed();
    for it in &mut built.types {
        it.maximums.extend([
            (Component::TotalSourceElements, 5),
            (Component::TotalTargetElements, 5),
        ]);
        let empty = GroupFeature::EmptyReplicationGroupsAllowed;
        it.group_features = it.group_features.with(empty);
    }
    let groups = [group(GROUP, &[])];
    let mut facts = Facts {
        groups: &groups,
        ..facts(&built, &[])
    };
    facts.totals.snapshots.sources = 9;
    facts.totals.snapshots.targets = 9;
    let request = Request {
        local_element: Reference::Group(GROUP),
        method_name: 3,
        ..alone()
    };
    row(&decide(&request, &facts), "Yes Yes Yes Yes Yes", OK);
}

#[test]
fn the_limit_of_a_source_at_a_peer_counts_only_if_the_peer_has_said_so() {
    let built = assumed();
    let relations: Vec<_> = [10, 11]
        .map(|id| {
            association(
                SyncType::Mirror,
                OTHER,
                ElementId(id),
                CopyState::Synchronized,
            )
        })
        .into();
    let elements = [
        volume(LOCAL),
        Element {
            relations: &relations,
            ..remote(OTHER)
        },
    ];
    let as_target = |peer: Peer| {
        let peers = [peer];
        let facts = Facts {
            peers: &peers,
            ..facts(&built, &elements)
        };
        let request = Request {
            other_element_access_point: AccessPoint::Of(PEER),
            ..with_other()
        };
        let decision = decide(&request, &facts);
        decision.verdict(Triple::ALL[1]).unwrap().reason().unwrap()
    };
    assert_eq!(
        as_target(peer(Reach::Answers)),
        Reason::LimitReached {
            component: Component::TargetElementsPerSourceElement,
            maximum: MIRRORS_MAX
        }
    );
    assert_eq!(as_target(peer(Reach::Silent)).obstacle(), Obstacle::NoPeer);
}

#[test]
fn an_incompatible_peer_is_told_before_an_unknown_state() {
    let built = assumed();
    let relations = [mirror_of_local(CopyState::Partitioned)];
    let elements = [related(&relations)];
    let peers = [peer(Reach::Incompatible)];
    let facts = Facts {
        peers: &peers,
        ..facts(&built, &elements)
    };
    let request = Request {
        other_element_access_point: AccessPoint::Of(PEER),
        ..alone()
    };
    let decision = decide(&request, &facts);
    let first = decision.explain().next().unwrap().1;
    assert_eq!(first.reason(), Some(Reason::PeerIncompatible(PEER)));
    assert_eq!(decision.return_code(), ReturnCode::NotSupported);
}

#[test]
fn codes_follow_from_the_least_lasting_obstacle() {
    // Snapshots and clones of this one are faulty, its mirrors unknown, and it as a target too.
    let relations = [mirror_of_local(CopyState::Invalid)];
    let element = Element {
        store: Store::Fenced,
        ..related(&relations)
    };
    assert_eq!(ask(element).return_code(), ReturnCode::Failed);
    // One that is only not now, among faults and nevers.
    let relations = [association(
        SyncType::Mirror,
        OTHER,
        LOCAL,
        CopyState::Broken,
    )];
    let broken = ask(related(&relations));
    assert_eq!(broken.return_code(), ReturnCode::Failed);
    let mut built = assumed();
    built.types.truncate(1);
    let locked = [Element {
        locks: &[tidelock_capabilities::facts::Lock::Moving],
        ..volume(LOCAL)
    }];
    let decision = decide(&alone(), &facts(&built, &locked));
    assert_eq!(decision.return_code(), IN_USE);
}
