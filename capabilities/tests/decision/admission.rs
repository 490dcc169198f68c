//! Creations: admitted by the decision, with what a creation has and a question hasn't.

use tidelock_capabilities::facts::{Element, ElementId, Hosts, Lock, Peer, Reach};
use tidelock_capabilities::values::{
    Component, LocalElementRole, MethodName, Mode, ReplicationType, ReturnCode, SyncType,
};
use tidelock_capabilities::{
    AccessPoint, Admitted, Creation, Facts, Problem, Reason, Reference, Refusal, TargetSupply,
    admit, available_targets,
};

use crate::rig::*;

fn creation(sync_type: SyncType, mode: Option<Mode>) -> Creation {
    Creation {
        method: MethodName::CreateElementReplica,
        sync_type,
        mode,
        source: Reference::Element(LOCAL),
        target: Reference::Null,
        access_point: AccessPoint::Null,
    }
}

#[test]
fn an_open_mode_is_the_first_that_is_possible() {
    let built = assumed();
    let elements = [volume(LOCAL)];
    let facts = facts(&built, &elements);
    for (sync_type, expected) in [
        (SyncType::Mirror, ReplicationType::SynchronousMirrorLocal),
        (
            SyncType::Snapshot,
            ReplicationType::SynchronousSnapshotLocal,
        ),
        (SyncType::Clone, ReplicationType::AsynchronousCloneLocal),
    ] {
        let admitted = Admitted {
            generation: 42,
            replication_type: expected,
            local_element_role: LocalElementRole::SystemElement,
        };
        assert_eq!(admit(&creation(sync_type, None), &facts), Ok(admitted));
    }
    let asynchronous = creation(SyncType::Mirror, Some(Mode::Asynchronous));
    assert_eq!(
        admit(&asynchronous, &facts).unwrap().replication_type,
        ReplicationType::AsynchronousMirrorLocal
    );
    let asynchronous = creation(SyncType::Snapshot, Some(Mode::Asynchronous));
    let not_built = Reason::NotBuilt(ReplicationType::AsynchronousSnapshotLocal);
    assert_eq!(
        admit(&asynchronous, &facts),
        Err(Refusal::Reason(not_built))
    );
}

#[test]
fn a_refusal_has_the_reason_and_the_code_of_the_answer() {
    let built = assumed();
    let elements = [Element {
        locks: &[Lock::Resizing],
        ..volume(LOCAL)
    }];
    let facts = facts(&built, &elements);
    let refusal = admit(&creation(SyncType::Snapshot, None), &facts).unwrap_err();
    let locked = Reason::Locked {
        element: LOCAL,
        lock: Lock::Resizing,
    };
    assert_eq!(refusal, Refusal::Reason(locked));
    assert_eq!(refusal.return_code(), ReturnCode::InUse);
    assert!(refusal.to_string().contains("being resized"), "{refusal}");
}

#[test]
fn a_request_that_is_wrong_is_refused_as_such() {
    let built = assumed();
    let elements = [volume(LOCAL)];
    let facts = facts(&built, &elements);
    let unknown = Creation {
        source: Reference::Element(THIRD),
        ..creation(SyncType::Snapshot, None)
    };
    let refusal = admit(&unknown, &facts).unwrap_err();
    assert_eq!(refusal, Refusal::Problem(Problem::LocalElementUnknown));
    assert_eq!(refusal.return_code(), ReturnCode::InvalidParameter);
    assert!(refusal.to_string().contains("LocalElement"), "{refusal}");
}

#[test]
fn with_an_open_mode_the_least_lasting_reason_is_told() {
    // Asynchronous mirrors are at their limit, synchronous ones aren't replicated by this peer.
    let mut built = assumed();
    for it in &mut built.types {
        if it.replication_type == ReplicationType::AsynchronousMirrorRemote {
            it.maximums = vec![(Component::TotalTargetElements, 1)];
        }
    }
    let elements = [volume(LOCAL)];
    let peers = [Peer {
        types: ReplicationType::set(&[ReplicationType::AsynchronousMirrorRemote]),
        ..peer(Reach::Answers)
    }];
    let mut facts = Facts {
        peers: &peers,
        ..facts(&built, &elements)
    };
    facts.totals.mirrors.targets = 1;
    let creation = Creation {
        access_point: AccessPoint::Of(PEER),
        ..creation(SyncType::Mirror, None)
    };
    let refusal = admit(&creation, &facts).unwrap_err();
    assert_eq!(refusal.return_code(), ReturnCode::InUse, "{refusal}");
}

#[test]
fn a_copy_from_a_peer_has_its_target_here() {
    let built = assumed();
    let elements = [remote(OTHER), volume(LOCAL)];
    let peers = [peer(Reach::Answers)];
    let facts = Facts {
        peers: &peers,
        ..facts(&built, &elements)
    };
    let creation = Creation {
        source: Reference::Element(OTHER),
        target: Reference::Element(LOCAL),
        ..creation(SyncType::Mirror, Some(Mode::Asynchronous))
    };
    let admitted = admit(&creation, &facts).unwrap();
    assert_eq!(
        (admitted.replication_type, admitted.local_element_role),
        (
            ReplicationType::AsynchronousMirrorRemote,
            LocalElementRole::SyncedElement
        )
    );
    // The same if only its access point is known.
    let facts = Facts {
        elements: &elements[1..],
        peers: &[peer(Reach::Silent)],
        ..facts
    };
    let creation = Creation {
        access_point: AccessPoint::Of(PEER),
        ..creation
    };
    let refusal = admit(&creation, &facts).unwrap_err();
    assert_eq!(refusal, Refusal::Reason(Reason::PeerSilent(PEER)));
    assert_eq!(refusal.return_code(), ReturnCode::Timeout);
}

#[test]
fn a_target_has_to_be_supplied_where_none_is_made() {
    let mut built = assumed();
    for it in &mut built.types {
        if it.sync_type() == SyncType::Mirror {
            it.target_supply = TargetSupply::Supplied;
        }
    }
    let elements = [volume(LOCAL), volume(OTHER)];
    let facts = facts(&built, &elements);
    let without = creation(SyncType::Mirror, None);
    let refusal = admit(&without, &facts).unwrap_err();
    assert_eq!(refusal, Refusal::Problem(Problem::TargetMissing));
    assert_eq!(refusal.return_code(), ReturnCode::InvalidParameter);
    let with = Creation {
        target: Reference::Element(OTHER),
        ..without
    };
    assert!(admit(&with, &facts).is_ok());
}

#[test]
fn a_target_must_not_be_supplied_where_it_is_made() {
    let built = assumed();
    let elements = [volume(LOCAL), volume(OTHER)];
    let with = Creation {
        target: Reference::Element(OTHER),
        ..creation(SyncType::Snapshot, None)
    };
    assert_eq!(
        admit(&with, &facts(&built, &elements)),
        Err(Refusal::Reason(Reason::TargetIsCreated(SyncType::Snapshot)))
    );
}

#[test]
fn groups_and_aspects_are_admitted_by_the_same_decision() {
    let built = assumed();
    let elements = [volume(LOCAL)];
    let members = [10, 11].map(|id| volume(ElementId(id)));
    let targets = [20, 21].map(|id| volume(ElementId(id)));
    let groups = [group(GROUP, &members), group(OTHER_GROUP, &targets)];
    let facts = Facts {
        groups: &groups,
        ..facts(&built, &elements)
    };
    let of_group = Creation {
        method: MethodName::CreateGroupReplica,
        source: Reference::Group(GROUP),
        target: Reference::Group(OTHER_GROUP),
        ..creation(SyncType::Mirror, None)
    };
    assert!(admit(&of_group, &facts).is_ok());
    let aspect = Creation {
        method: MethodName::CreateSynchronizationAspect,
        ..creation(SyncType::Snapshot, None)
    };
    assert!(admit(&aspect, &facts).is_ok());
    let of_clone = Creation {
        sync_type: SyncType::Clone,
        ..aspect
    };
    let method = MethodName::CreateSynchronizationAspect;
    assert_eq!(
        admit(&of_clone, &facts),
        Err(Refusal::Reason(Reason::NotByMethod(
            ReplicationType::AsynchronousCloneLocal,
            method
        )))
    );
}

#[test]
fn available_targets_are_those_that_would_be_admitted() {
    let built = assumed();
    let elements = [volume(LOCAL)];
    let candidates = [
        volume(ElementId(10)),
        Element {
            size_bytes: GIB,
            ..volume(ElementId(11))
        },
        Element {
            hosts: Hosts {
                sessions: 1,
                reserved: false,
            },
            ..volume(ElementId(12))
        },
        volume(LOCAL),
        snapshot(ElementId(13)),
        Element {
            size_bytes: 20 * GIB,
            ..volume(ElementId(14))
        },
    ];
    let creation = creation(SyncType::Mirror, Some(Mode::Synchronous));
    let facts = facts(&built, &elements);
    let found: Vec<_> = available_targets(creation, facts, candidates.iter()).collect();
    assert_eq!(found, [ElementId(10), ElementId(14)]);
}
