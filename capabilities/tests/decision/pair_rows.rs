//! The table about pairs and peers. One test per row.

use tidelock_capabilities::facts::{
    Element, ElementKind, Hosts, Lock, Peer, PeerFault, Place, Reach, Store,
};
use tidelock_capabilities::values::{
    CopyState, LocalOrRemote, ReplicationType, ReturnCode, SyncType, ValueSet,
};
use tidelock_capabilities::{
    AccessPoint, Decision, Facts, Problem, Reason, Reference, Request, decide,
};

use crate::rig::*;

/// The five columns of remote copies: only mirrors are built for them.
fn remote_row(decision: &Decision, source: &str, target: &str, return_code: ReturnCode) {
    assert_eq!(decision.locality(), Some(LocalOrRemote::Remote));
    row(
        decision,
        &format!("Never Never {source} Never {target}"),
        return_code,
    );
}

fn ask_remote(local: Element<'_>, other: Option<Element<'_>>, peer: Peer) -> Decision {
    let built = assumed();
    let elements: Vec<_> = [local].into_iter().chain(other).collect();
    let peers = [peer];
    let facts = Facts {
        peers: &peers,
        ..facts(&built, &elements)
    };
    let request = Request {
        other_element_access_point: AccessPoint::Of(PEER),
        ..with_other()
    };
    decide(&request, &facts)
}

#[test]
fn pair_row_0_two_fitting_volumes_can_be_either_end() {
    let decision = ask_pair(volume(LOCAL), volume(OTHER));
    row(&decision, "Never Yes Yes Yes Yes", ReturnCode::Success);
}

#[test]
fn pair_row_1_an_association_exists_for_the_ordered_pair() {
    let relation = mirror_of_local(CopyState::Split);
    let relations = [relation];
    let local = Element {
        relations: &relations,
        ..volume(LOCAL)
    };
    let other = Element {
        relations: &relations,
        sources: &[LOCAL],
        ..volume(OTHER)
    };
    let decision = ask_pair(local, other);
    row(
        &decision,
        "Never NotNow NotNow NotNow NotNow",
        ReturnCode::InUse,
    );
    let (_, verdict) = decision.explain().next().unwrap();
    assert_eq!(verdict.reason(), Some(Reason::Exists(relation.key)));
    // Whichever end tells of it.
    row(
        &ask_pair(local, volume(OTHER)),
        "Never NotNow NotNow NotNow NotNow",
        ReturnCode::InUse,
    );
    let of_target = Element {
        sources: &[LOCAL],
        ..volume(OTHER)
    };
    row(
        &ask_pair(volume(LOCAL), of_target),
        "Never NotNow NotNow NotNow NotNow",
        ReturnCode::InUse,
    );
}

#[test]
fn pair_row_2_the_other_is_a_copy_of_this_one_by_way_of_a_third() {
    let other = Element {
        sources: &[THIRD, LOCAL],
        ..volume(OTHER)
    };
    let decision = ask_pair(volume(LOCAL), other);
    // From local to other nothing speaks against it here; the way back would close the circle.
    row(
        &decision,
        "Never Yes Yes NotNow NotNow",
        ReturnCode::Success,
    );
    let local = Element {
        sources: &[THIRD, OTHER],
        ..volume(LOCAL)
    };
    let decision = ask_pair(local, volume(OTHER));
    row(
        &decision,
        "Never NotNow NotNow Yes Yes",
        ReturnCode::Success,
    );
}

#[test]
fn pair_row_3_sizes_or_blocks_do_not_fit() {
    let smaller = Element {
        size_bytes: 10 * GIB - 512,
        ..volume(OTHER)
    };
    let decision = ask_pair(volume(LOCAL), smaller);
    row(&decision, "Never Never Never Yes Yes", ReturnCode::Success);
    let blocks = Element {
        block_bytes: 4096,
        ..volume(OTHER)
    };
    let decision = ask_pair(volume(LOCAL), blocks);
    row(
        &decision,
        "Never Never Never Never Never",
        ReturnCode::NotSupported,
    );
}

#[test]
fn pair_row_3_where_the_ends_have_to_be_alike_a_larger_target_does_not_fit() {
    let mut built = assumed();
    for it in &mut built.types {
        it.equal_sizes = it.sync_type() == SyncType::Mirror;
    }
    let larger = Element {
        size_bytes: 2 * volume(LOCAL).size_bytes,
        ..volume(OTHER)
    };
    let mirrors = |elements: &[Element<'_>]| {
        let decision = decide(&with_other(), &facts(&built, elements));
        let supported = decision.supported();
        supported
            .filter(|it| it.sync_type == SyncType::Mirror)
            .count()
    };
    assert!(mirrors(&[volume(LOCAL), volume(OTHER)]) > 0);
    assert_eq!(mirrors(&[volume(LOCAL), larger]), 0);
}

#[test]
fn pair_row_4_both_ends_have_their_own_state() {
    let in_use = Element {
        hosts: Hosts {
            sessions: 1,
            reserved: false,
        },
        ..volume(OTHER)
    };
    let decision = ask_pair(volume(LOCAL), in_use);
    row(
        &decision,
        "Never NotNow NotNow Yes Yes",
        ReturnCode::Success,
    );
    let faulty = Element {
        store: Store::Failing,
        ..volume(OTHER)
    };
    let decision = ask_pair(volume(LOCAL), faulty);
    row(
        &decision,
        "Never Fault Fault Fault Fault",
        ReturnCode::Failed,
    );
    let relations = [association(
        SyncType::Snapshot,
        LOCAL,
        OTHER,
        CopyState::Synchronized,
    )];
    let snapshot = Element {
        relations: &relations,
        sources: &[LOCAL],
        ..snapshot(OTHER)
    };
    let decision = ask_pair(volume(LOCAL), snapshot);
    // Onto it never; from it, it would have to be detached first (a restore is another operation).
    row(
        &decision,
        "Never Never Never NotNow Never",
        ReturnCode::InUse,
    );
}

#[test]
fn pair_row_5_a_peer_that_answers_speaks_for_its_element() {
    let answers = peer(Reach::Answers);
    let decision = ask_remote(volume(LOCAL), Some(remote(OTHER)), answers);
    remote_row(&decision, "Yes", "Yes", ReturnCode::Success);
    assert_eq!(decision.hinges_on(), None);
    let busy = Element {
        locks: &[Lock::Resizing],
        ..remote(OTHER)
    };
    let decision = ask_remote(volume(LOCAL), Some(busy), answers);
    remote_row(&decision, "NotNow", "NotNow", ReturnCode::InUse);
    let in_use = Element {
        hosts: Hosts {
            sessions: 4,
            reserved: false,
        },
        ..remote(OTHER)
    };
    let decision = ask_remote(volume(LOCAL), Some(in_use), answers);
    remote_row(&decision, "NotNow", "Yes", ReturnCode::Success);
}

#[test]
fn pair_row_6_a_peer_that_does_not_answer() {
    for (reach, asks) in [(Reach::Silent, None), (Reach::NotAsked, Some(PEER))] {
        for other in [Some(remote(OTHER)), None] {
            let decision = ask_remote(volume(LOCAL), other, peer(reach));
            remote_row(&decision, "NoPeer", "NoPeer", ReturnCode::Timeout);
            assert_eq!(decision.hinges_on(), asks);
        }
        // What was once known of the other element's state isn't held against it.
        let stale = Element {
            locks: &[Lock::Resizing],
            ..remote(OTHER)
        };
        let decision = ask_remote(volume(LOCAL), Some(stale), peer(reach));
        remote_row(&decision, "NoPeer", "NoPeer", ReturnCode::Timeout);
        // What is known here is certain, and nobody needs to be asked.
        let faulty = Element {
            store: Store::Missing,
            ..volume(LOCAL)
        };
        let decision = ask_remote(faulty, Some(remote(OTHER)), peer(reach));
        remote_row(&decision, "Fault", "Fault", ReturnCode::Failed);
        assert_eq!(decision.hinges_on(), None);
    }
}

#[test]
fn pair_row_7_a_peer_that_refuses_or_breaks_the_protocol() {
    for fault in [PeerFault::Authentication, PeerFault::Protocol] {
        let faulty = peer(Reach::Faulty(fault));
        let decision = ask_remote(volume(LOCAL), Some(remote(OTHER)), faulty);
        remote_row(&decision, "Fault", "Fault", ReturnCode::Failed);
    }
}

#[test]
fn pair_row_8_a_peer_of_another_version_or_without_the_feature() {
    let incompatible = peer(Reach::Incompatible);
    let decision = ask_remote(volume(LOCAL), Some(remote(OTHER)), incompatible);
    remote_row(&decision, "Never", "Never", ReturnCode::NotSupported);
    let without = Peer {
        types: ValueSet::EMPTY,
        ..peer(Reach::Answers)
    };
    let decision = ask_remote(volume(LOCAL), Some(remote(OTHER)), without);
    remote_row(&decision, "Never", "Never", ReturnCode::NotSupported);
    let only_asynchronous = Peer {
        types: ReplicationType::set(&[ReplicationType::AsynchronousMirrorRemote]),
        ..peer(Reach::Answers)
    };
    let decision = ask_remote(volume(LOCAL), Some(remote(OTHER)), only_asynchronous);
    let told: Vec<_> = decision.supported().map(|it| it.to_string()).collect();
    assert_eq!(
        told,
        [
            "Asynchronous Mirror as source",
            "Asynchronous Mirror as target"
        ]
    );
}

#[test]
fn pair_row_9_a_peer_that_does_not_know_the_element() {
    let decision = ask_remote(volume(LOCAL), None, peer(Reach::Answers));
    assert_eq!(decision.problem(), Some(Problem::NoSuchElementAtPeer(PEER)));
    assert_eq!(decision.return_code(), ReturnCode::InvalidParameter);
}

#[test]
fn request_row_8_an_access_point_alone_asks_for_any_element_of_that_peer() {
    let built = assumed();
    let request = Request {
        other_element: Reference::Null,
        other_element_access_point: AccessPoint::Of(PEER),
        ..alone()
    };
    let elements = [volume(LOCAL)];
    let ask = |peer: Peer| {
        let peers = [peer];
        let facts = Facts {
            peers: &peers,
            ..facts(&built, &elements)
        };
        decide(&request, &facts)
    };
    remote_row(
        &ask(peer(Reach::Answers)),
        "Yes",
        "Yes",
        ReturnCode::Success,
    );
    remote_row(
        &ask(peer(Reach::Silent)),
        "NoPeer",
        "NoPeer",
        ReturnCode::Timeout,
    );
    let full = Peer {
        room_for: ValueSet::EMPTY,
        ..peer(Reach::Answers)
    };
    remote_row(&ask(full), "NotNow", "Yes", ReturnCode::Success);
}

#[test]
fn request_row_10_with_neither_given_only_local_copies_are_asked_for() {
    let built = assumed();
    let elements = [volume(LOCAL)];
    let peers = [peer(Reach::Silent)];
    let facts = Facts {
        peers: &peers,
        ..facts(&built, &elements)
    };
    row(
        &decide(&alone(), &facts),
        "Yes Yes Yes Yes Yes",
        ReturnCode::Success,
    );
}

#[test]
fn an_element_that_was_named_is_one_whatever_the_peer_says() {
    // Snapshots at a peer, whose targets it makes itself.
    let mut built = assumed();
    built.types[0].replication_type = ReplicationType::SynchronousSnapshotRemote;
    let elements = [volume(LOCAL)];
    let peers = [peer(Reach::Silent)];
    let facts = Facts {
        peers: &peers,
        ..facts(&built, &elements)
    };
    for (other_element, expected) in [
        (
            Reference::Element(OTHER),
            Reason::TargetIsCreated(SyncType::Snapshot),
        ),
        (Reference::Null, Reason::PeerSilent(PEER)),
    ] {
        let request = Request {
            other_element,
            other_element_access_point: AccessPoint::Of(PEER),
            ..alone()
        };
        let decision = decide(&request, &facts);
        let mut all = decision.explain();
        let snapshot = all.find(|(triple, _)| triple.sync_type == SyncType::Snapshot);
        assert_eq!(snapshot.unwrap().1.reason(), Some(expected));
    }
}

#[test]
fn a_peer_of_which_nothing_was_gathered_has_not_been_asked() {
    let built = assumed();
    let elements = [volume(LOCAL), remote(OTHER)];
    let decision = decide(&with_other(), &facts(&built, &elements));
    remote_row(&decision, "NoPeer", "NoPeer", ReturnCode::Timeout);
    assert_eq!(decision.hinges_on(), Some(PEER));
}

#[test]
fn the_other_element_is_of_a_kind_that_is_not_replicated() {
    let device = Element {
        kind: ElementKind::Unreplicated,
        place: Place::Here,
        ..volume(OTHER)
    };
    let decision = ask_pair(volume(LOCAL), device);
    assert_eq!(decision.problem(), Some(Problem::NotReplicated));
    assert_eq!(decision.return_code(), ReturnCode::NotSupported);
}
