//! An engine like that of the Windows iSCSI target: local snapshots of volumes, up to 512, and nothing else.

use tidelock_capabilities::facts::{Element, ElementKind};
use tidelock_capabilities::values::{
    Component, CopyState, MethodName, ProgressStatus, ReplicationType, ReturnCode, SyncType,
    ValueSet,
};
use tidelock_capabilities::{BuiltCapabilities, BuiltType, Decision, TargetSupply, decide};

use crate::rig::*;

fn ask_limited(element: Element<'_>) -> Decision {
    let mut snapshot = BuiltType::new(
        ReplicationType::SynchronousSnapshotLocal,
        TargetSupply::Created,
    );
    snapshot.methods = MethodName::set(&[MethodName::CreateElementReplica]);
    snapshot.maximums = vec![(Component::TargetElementsPerSourceElement, 512)];
    let built = BuiltCapabilities {
        types: vec![snapshot],
        ..BuiltCapabilities::default()
    };
    decide(&alone(), &facts(&built, &[element]))
}

#[test]
fn a_fixed_or_dynamic_disk_has_one_answer() {
    let decision = ask_limited(volume(LOCAL));
    row(
        &decision,
        "Yes Never Never Never Never",
        ReturnCode::Success,
    );
}

#[test]
fn at_512_snapshots_another_one_is_not_possible_now() {
    let element = Element {
        snapshots: 512,
        ..volume(LOCAL)
    };
    let decision = ask_limited(element);
    row(
        &decision,
        "NotNow Never Never Never Never",
        ReturnCode::InUse,
    );
}

#[test]
fn a_differencing_disk_is_never_frozen() {
    let element = Element {
        copies: ValueSet::EMPTY,
        ..volume(LOCAL)
    };
    row(
        &ask_limited(element),
        "Never Never Never Never Never",
        ReturnCode::NotSupported,
    );
}

#[test]
fn a_passed_through_disk_is_not_replicated() {
    let element = Element {
        kind: ElementKind::Unreplicated,
        ..volume(LOCAL)
    };
    let decision = ask_limited(element);
    assert_eq!(decision.return_code(), ReturnCode::NotSupported);
}

#[test]
fn a_snapshot_has_no_snapshots() {
    row(
        &ask_limited(snapshot(LOCAL)),
        "Never Never Never Never Never",
        ReturnCode::NotSupported,
    );
}

#[test]
fn during_a_rollback_nothing_is_possible() {
    let relation = association(SyncType::Snapshot, LOCAL, OTHER, CopyState::Synchronized);
    let relations = [in_progress(relation, ProgressStatus::Restoring)];
    let element = Element {
        relations: &relations,
        ..volume(LOCAL)
    };
    let decision = ask_limited(element);
    row(
        &decision,
        "NotNow Never Never Never Never",
        ReturnCode::InUse,
    );
}
