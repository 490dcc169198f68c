//! CreateSynchronizationAspect: a point in time without a target.

use tidelock_capabilities::facts::{Element, ElementId};
use tidelock_capabilities::values::{CopyState, GroupFeature, ReturnCode, SyncType, ValueSet};
use tidelock_capabilities::{Decision, Facts, Reason, Reference, Request, decide};

use crate::rig::*;

fn ask_aspect(element: Element<'_>, aspects: u64) -> Decision {
    let built = assumed();
    let elements = [element];
    let mut facts = facts(&built, &elements);
    facts.totals.aspects = aspects;
    let request = Request {
        method_name: 4,
        ..alone()
    };
    decide(&request, &facts)
}

#[test]
fn a_volume_can_have_aspects_as_a_source() {
    // Only snapshots have aspects in this engine.
    let decision = ask_aspect(volume(LOCAL), 0);
    row(
        &decision,
        "Yes Never Never Never Never",
        ReturnCode::Success,
    );
}

#[test]
fn an_aspect_needs_what_a_snapshot_needs() {
    let relations = [mirror_onto_local(CopyState::Unsynchronized)];
    let element = Element {
        relations: &relations,
        ..volume(LOCAL)
    };
    let decision = ask_aspect(element, 0);
    row(
        &decision,
        "NotNow Never Never Never Never",
        ReturnCode::InUse,
    );
    let full = Element {
        room_for: ValueSet::EMPTY,
        ..volume(LOCAL)
    };
    let decision = ask_aspect(full, 0);
    row(
        &decision,
        "NotNow Never Never Never Never",
        ReturnCode::InUse,
    );
}

#[test]
fn aspects_have_limits_of_their_own() {
    // The limit of snapshots doesn't count for them.
    let snapshots = Element {
        snapshots: SNAPSHOTS_MAX,
        ..volume(LOCAL)
    };
    for (of_element, of_service, code) in [
        (2, 5, ReturnCode::Success),
        (3, 5, ReturnCode::InUse),
        (2, 6, ReturnCode::InUse),
    ] {
        let element = Element {
            aspects: of_element,
            ..snapshots
        };
        assert_eq!(ask_aspect(element, of_service).return_code(), code);
    }
}

#[test]
fn a_group_has_aspects_if_that_is_built() {
    let mut built = assumed();
    let members = [10, 11].map(|id| volume(ElementId(id)));
    let groups = [group(GROUP, &members)];
    let request = Request {
        local_element: Reference::Group(GROUP),
        method_name: 4,
        ..alone()
    };
    let ask = |built: &_| {
        let facts = Facts {
            groups: &groups,
            ..facts(built, &[])
        };
        decide(&request, &facts)
    };
    let decision = ask(&built);
    assert_eq!(decision.return_code(), ReturnCode::NotSupported);
    let snapshot = decision
        .explain()
        .find(|(triple, _)| triple.sync_type == SyncType::Snapshot);
    assert_eq!(
        snapshot.unwrap().1.reason(),
        Some(Reason::GroupAspectsNotBuilt)
    );
    let feature = GroupFeature::SupportsSynchronizationAspectOfReplicationGroup;
    built.types[0].group_features = built.types[0].group_features.with(feature);
    assert_eq!(ask(&built).return_code(), ReturnCode::Success);
}
