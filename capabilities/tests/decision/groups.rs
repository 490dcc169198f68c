//! CreateGroupReplica: the members' verdicts together, and what concerns the groups themselves.

use tidelock_capabilities::facts::{Element, ElementId, Group, Lock, ReservedAs};
use tidelock_capabilities::values::{Component, CopyState, GroupFeature, ReturnCode, SyncType};
use tidelock_capabilities::{
    BuiltCapabilities, Decision, Facts, Reason, Reference, Request, decide,
};

use crate::rig::*;

fn members(first: u128) -> [Element<'static>; 3] {
    [first, first + 1, first + 2].map(|id| volume(ElementId(id)))
}

fn ask_groups(built: &BuiltCapabilities, local: Group<'_>, other: Option<Group<'_>>) -> Decision {
    let groups: Vec<_> = [local].into_iter().chain(other).collect();
    let facts = Facts {
        groups: &groups,
        ..facts(built, &[])
    };
    let request = Request {
        local_element: Reference::Group(local.id),
        other_element: other.map_or(Reference::Null, |it| Reference::Group(it.id)),
        method_name: 3,
        ..alone()
    };
    decide(&request, &facts)
}

/// The first reason against any combination.
fn a_reason(decision: &Decision, sync_type: SyncType) -> Reason {
    let mut all = decision.explain();
    let refused = all.find_map(|(triple, verdict)| {
        (triple.sync_type == sync_type)
            .then(|| verdict.reason())
            .flatten()
    });
    refused.unwrap()
}

#[test]
fn a_group_of_free_volumes_can_be_either_end() {
    let members = members(10);
    let decision = ask_groups(&assumed(), group(GROUP, &members), None);
    row(&decision, "Yes Yes Yes Yes Yes", ReturnCode::Success);
}

#[test]
fn one_member_that_cannot_now_keeps_the_group_from_it() {
    let mut members = members(10);
    members[2].locks = &[Lock::Resizing];
    let decision = ask_groups(&assumed(), group(GROUP, &members), None);
    row(
        &decision,
        "NotNow NotNow NotNow NotNow NotNow",
        ReturnCode::InUse,
    );
}

#[test]
fn members_in_different_states_are_decided_one_by_one() {
    let first = [association(
        SyncType::Mirror,
        ElementId(10),
        THIRD,
        CopyState::Synchronized,
    )];
    let second = [association(
        SyncType::Mirror,
        ElementId(11),
        THIRD,
        CopyState::Unsynchronized,
    )];
    let mut members = members(10);
    members[0].relations = &first;
    members[1].relations = &second;
    let decision = ask_groups(&assumed(), group(GROUP, &members), None);
    row(
        &decision,
        "Yes Yes NotNow NotNow NotNow",
        ReturnCode::Success,
    );
}

#[test]
fn pairs_are_made_in_the_order_of_the_members() {
    let sources = members(10);
    let mut targets = members(20);
    let pair = |sources: &[Element<'_>], targets: &[Element<'_>]| {
        let other = group(OTHER_GROUP, targets);
        ask_groups(&assumed(), group(GROUP, sources), Some(other))
    };
    let decision = pair(&sources, &targets);
    row(&decision, "Never Yes Yes Yes Yes", ReturnCode::Success);
    // The second target is too small for the second source, and would be large enough for none.
    targets[1].size_bytes = GIB;
    let decision = pair(&sources, &targets);
    row(&decision, "Never Never Never Yes Yes", ReturnCode::Success);
    let mut fitting = sources;
    fitting[1].size_bytes = GIB;
    let decision = pair(&fitting, &targets);
    row(&decision, "Never Yes Yes Yes Yes", ReturnCode::Success);
}

#[test]
fn groups_of_different_sizes_do_not_fit() {
    let sources = members(10);
    let targets = members(20);
    let other = group(OTHER_GROUP, &targets[..2]);
    let decision = ask_groups(&assumed(), group(GROUP, &sources), Some(other));
    row(
        &decision,
        "Never NotNow NotNow NotNow NotNow",
        ReturnCode::InUse,
    );
    let expected = Reason::GroupsUnequal {
        source: 3,
        target: 2,
    };
    assert_eq!(a_reason(&decision, SyncType::Mirror), expected);
}

#[test]
fn an_element_in_both_groups_would_be_source_and_target() {
    let sources = members(10);
    let targets = [
        volume(ElementId(12)),
        volume(ElementId(20)),
        volume(ElementId(21)),
    ];
    let other = group(OTHER_GROUP, &targets);
    let decision = ask_groups(&assumed(), group(GROUP, &sources), Some(other));
    row(
        &decision,
        "Never Never Never Never Never",
        ReturnCode::NotSupported,
    );
    assert_eq!(
        a_reason(&decision, SyncType::Mirror),
        Reason::SameElement(ElementId(12))
    );
}

#[test]
fn a_group_is_reserved_for_one_end() {
    let members = members(10);
    for (reserved_as, expected) in [
        (ReservedAs::SourceOnly, "Yes Yes Yes NotNow NotNow"),
        (ReservedAs::TargetOnly, "NotNow NotNow NotNow Yes Yes"),
        (ReservedAs::SourceOrTarget, "Yes Yes Yes Yes Yes"),
    ] {
        let group = Group {
            reserved_as,
            ..group(GROUP, &members)
        };
        row(
            &ask_groups(&assumed(), group, None),
            expected,
            ReturnCode::Success,
        );
    }
}

#[test]
fn features_of_groups_are_kept() {
    let all = members(10);
    let with = |feature| {
        let mut built = assumed();
        for it in &mut built.types {
            it.group_features = it.group_features.with(feature);
        }
        built
    };
    let no = "NotNow NotNow NotNow NotNow NotNow";
    let yes = "Yes Yes Yes Yes Yes";

    let related = Group {
        relations: 1,
        ..group(GROUP, &all)
    };
    let single = with(GroupFeature::GroupCanOnlyHaveOneSingleRelationshipActive);
    row(
        &ask_groups(&assumed(), related, None),
        yes,
        ReturnCode::Success,
    );
    row(&ask_groups(&single, related, None), no, ReturnCode::InUse);
    let free = group(GROUP, &all);
    row(&ask_groups(&single, free, None), yes, ReturnCode::Success);

    let empty = group(GROUP, &[]);
    let empty_allowed = with(GroupFeature::EmptyReplicationGroupsAllowed);
    row(&ask_groups(&assumed(), empty, None), no, ReturnCode::InUse);
    row(
        &ask_groups(&empty_allowed, empty, None),
        yes,
        ReturnCode::Success,
    );

    let one = group(GROUP, &all[..1]);
    let more = with(GroupFeature::SourceGroupMustHaveMoreThanOneElement);
    row(&ask_groups(&assumed(), one, None), yes, ReturnCode::Success);
    row(
        &ask_groups(&more, one, None),
        "NotNow NotNow NotNow Yes Yes",
        ReturnCode::Success,
    );
}

#[test]
fn a_group_has_at_most_so_many_members() {
    let many: Vec<_> = (100..109).map(|id| volume(ElementId(id))).collect();
    let decision = ask_groups(&assumed(), group(GROUP, &many[..8]), None);
    row(&decision, "Yes Yes Yes Yes Yes", ReturnCode::Success);
    let decision = ask_groups(&assumed(), group(GROUP, &many), None);
    row(
        &decision,
        "NotNow NotNow NotNow NotNow NotNow",
        ReturnCode::InUse,
    );
}

#[test]
fn one_volume_can_have_a_group_of_targets() {
    let built = assumed();
    let targets = members(20);
    let ask = |built: &BuiltCapabilities, targets: &[Element<'_>], other| {
        let elements = [volume(LOCAL)];
        let groups = [group(OTHER_GROUP, targets)];
        let facts = Facts {
            groups: &groups,
            ..facts(built, &elements)
        };
        let request = Request {
            other_element: other,
            method_name: 3,
            ..alone()
        };
        decide(&request, &facts)
    };
    let alone = ask(&built, &targets, Reference::Null);
    row(&alone, "Yes Yes Yes Never Never", ReturnCode::Success);
    let group = Reference::Group(OTHER_GROUP);
    // Two mirrors are the limit, so three can't be made at once.
    let decision = ask(&built, &targets, group);
    row(
        &decision,
        "Never Yes NotNow Never Never",
        ReturnCode::Success,
    );
    let decision = ask(&built, &targets[..2], group);
    row(&decision, "Never Yes Yes Never Never", ReturnCode::Success);

    let mut without = assumed();
    for it in &mut without.types {
        it.group_features = GroupFeature::set(&[GroupFeature::ManyToManyGroups]);
    }
    let decision = ask(&without, &targets, group);
    assert_eq!(decision.return_code(), ReturnCode::NotSupported);
    assert_eq!(
        a_reason(&decision, SyncType::Mirror),
        Reason::OneToManyNotBuilt
    );
}

#[test]
fn the_limit_of_the_service_counts_every_member() {
    let members = members(10);
    let mut built = assumed();
    built.types[0]
        .maximums
        .push((Component::TotalTargetElements, 10));
    let groups = [group(GROUP, &members)];
    for (targets, expected) in [(7, "Yes"), (8, "NotNow")] {
        let mut facts = Facts {
            groups: &groups,
            ..facts(&built, &[])
        };
        facts.totals.snapshots.targets = targets;
        let request = Request {
            local_element: Reference::Group(GROUP),
            method_name: 3,
            ..alone()
        };
        row(
            &decide(&request, &facts),
            &format!("{expected} Yes Yes Yes Yes"),
            ReturnCode::Success,
        );
    }
}

#[test]
fn the_limit_of_sources_counts_those_that_are_none_yet() {
    let mut built = assumed();
    built.types[0]
        .maximums
        .push((Component::TotalSourceElements, 5));
    for (snapshots, expected) in [(0, "NotNow"), (1, "Yes")] {
        let elements = [Element {
            snapshots,
            ..volume(LOCAL)
        }];
        let mut facts = facts(&built, &elements);
        facts.totals.snapshots.sources = 5;
        row(
            &decide(&alone(), &facts),
            &format!("{expected} Yes Yes Yes Yes"),
            ReturnCode::Success,
        );
    }
}
