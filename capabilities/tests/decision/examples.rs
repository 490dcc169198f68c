//! The worked examples of the specification, as arrays of numbers.

use tidelock_capabilities::facts::{Element, Hosts, Reach, Store};
use tidelock_capabilities::values::{CopyState, MethodName, ProgressStatus, SyncType};
use tidelock_capabilities::{
    AccessPoint, Decision, Facts, Request, SynchronizationSupported, decide,
};

use crate::rig::*;

/// The return code and the three arrays as numbers.
fn numbers(decision: &Decision) -> (u16, Vec<u16>, Vec<u16>, Vec<u16>) {
    let answer = SynchronizationSupported::from(decision);
    (
        answer.return_code.value(),
        answer.sync_types.iter().map(|it| it.value()).collect(),
        answer.modes.iter().map(|it| it.value()).collect(),
        answer
            .local_element_role
            .iter()
            .map(|it| it.value())
            .collect(),
    )
}

fn nothing(return_code: u16) -> (u16, Vec<u16>, Vec<u16>, Vec<u16>) {
    (return_code, vec![], vec![], vec![])
}

#[test]
fn a_volume_in_use() {
    let element = Element {
        hosts: Hosts {
            sessions: 1,
            reserved: false,
        },
        ..volume(LOCAL)
    };
    let expected = (0, vec![6, 6, 7, 8], vec![2, 3, 2, 3], vec![2, 2, 2, 2]);
    assert_eq!(numbers(&ask(element)), expected);
}

#[test]
fn the_same_volume_without_sessions() {
    let expected = (
        0,
        vec![6, 6, 6, 6, 7, 8, 8],
        vec![2, 2, 3, 3, 2, 3, 3],
        vec![2, 3, 2, 3, 2, 2, 3],
    );
    assert_eq!(numbers(&ask(volume(LOCAL))), expected);
}

#[test]
fn a_mirror_target() {
    let relations = [mirror_onto_local(CopyState::Synchronized)];
    let element = Element {
        relations: &relations,
        ..volume(LOCAL)
    };
    assert_eq!(
        numbers(&ask(element)),
        (0, vec![7, 8], vec![2, 3], vec![2, 2])
    );
    let relations = [mirror_onto_local(CopyState::Unsynchronized)];
    let resyncing = Element {
        relations: &relations,
        ..element
    };
    assert_eq!(numbers(&ask(resyncing)), nothing(6));
}

#[test]
fn a_snapshot() {
    let relations = [association(
        SyncType::Snapshot,
        OTHER,
        LOCAL,
        CopyState::Synchronized,
    )];
    let element = Element {
        relations: &relations,
        ..snapshot(LOCAL)
    };
    assert_eq!(numbers(&ask(element)), (0, vec![8], vec![3], vec![2]));
}

#[test]
fn a_volume_that_is_rolled_back() {
    let relation = association(SyncType::Snapshot, LOCAL, OTHER, CopyState::Synchronized);
    let relations = [in_progress(relation, ProgressStatus::Restoring)];
    let element = Element {
        relations: &relations,
        ..volume(LOCAL)
    };
    assert_eq!(numbers(&ask(element)), nothing(6));
}

#[test]
fn a_faulted_volume() {
    let element = Element {
        store: Store::Failing,
        ..volume(LOCAL)
    };
    assert_eq!(numbers(&ask(element)), nothing(4));
}

#[test]
fn a_remote_volume_whose_peer_is_down() {
    let built = assumed();
    let elements = [volume(LOCAL)];
    let peers = [peer(Reach::Silent)];
    let facts = Facts {
        peers: &peers,
        ..facts(&built, &elements)
    };
    let request = Request {
        other_element_access_point: AccessPoint::Of(PEER),
        ..with_other()
    };
    assert_eq!(numbers(&decide(&request, &facts)), nothing(3));
}

#[test]
fn groups_that_are_not_built_and_a_method_that_does_not_exist() {
    let mut built = assumed();
    for it in &mut built.types {
        it.methods = it.methods.without(MethodName::CreateGroupReplica);
    }
    let elements = [volume(LOCAL)];
    for (method_name, return_code) in [(3, 1), (7, 5)] {
        let request = Request {
            method_name,
            ..alone()
        };
        let decision = decide(&request, &facts(&built, &elements));
        assert_eq!(numbers(&decision), nothing(return_code));
    }
}
