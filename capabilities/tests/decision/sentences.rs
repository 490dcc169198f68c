//! Reasons in words: each names what it is about and says what would clear it.

use std::fmt;

use tidelock_capabilities::facts::{
    ElementId, GroupId, Lock, PeerFault, PeerId, ReservedAs, Store,
};
use tidelock_capabilities::values::{
    Component, CopyState, MethodName, Operation, ReplicationType, SyncType,
};
use tidelock_capabilities::{Names, Obstacle, Reason};

use crate::rig::*;

struct Called;

impl Names for Called {
    fn element(&self, id: ElementId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vol{}", id.0)
    }

    fn group(&self, id: GroupId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group{}", id.0)
    }

    fn peer(&self, id: PeerId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer{}", id.0)
    }
}

fn all() -> Vec<Reason> {
    let key = mirror_of_local(CopyState::Broken).key;
    let mut all = vec![
        Reason::PeerNotAsked(PEER),
        Reason::PeerSilent(PEER),
        Reason::NoSpace {
            element: LOCAL,
            at: None,
        },
        Reason::NoSpace {
            element: LOCAL,
            at: Some(PEER),
        },
        Reason::LimitReached {
            component: Component::TargetElementsPerSourceElement,
            maximum: 512,
        },
        Reason::MustBeOffline(LOCAL),
        Reason::ReadOnly(LOCAL),
        Reason::InUseByHosts {
            element: LOCAL,
            sessions: 2,
            reserved: true,
        },
        Reason::GroupEmpty(GROUP),
        Reason::GroupTooSmall(GROUP),
        Reason::GroupsUnequal {
            source: 2,
            target: 3,
        },
        Reason::GroupReserved {
            group: GROUP,
            reserved_as: ReservedAs::SourceOnly,
        },
        Reason::GroupInRelation(GROUP),
        Reason::IsSource(key),
        Reason::HasCopies(LOCAL),
        Reason::FlowsOn(key),
        Reason::IsTarget(key),
        Reason::WouldBeCycle {
            source: LOCAL,
            target: OTHER,
        },
        Reason::Exists(key),
        Reason::Copying(key),
        Reason::ChangingOver(key),
        Reason::FailedOver(key),
        Reason::Unfinished { key, next: None },
        Reason::Unfinished {
            key,
            next: Some(Operation::Fracture),
        },
        Reason::HalfRestored(key),
        Reason::BeingRestored(key),
        Reason::Broken(key),
        Reason::PeerFaulty(PEER, PeerFault::Authentication),
        Reason::PeerFaulty(PEER, PeerFault::Protocol),
        Reason::SameElement(LOCAL),
        Reason::TargetTooSmall {
            source_bytes: 2,
            target_bytes: 1,
        },
        Reason::SizesDiffer {
            source_bytes: 1,
            target_bytes: 2,
        },
        Reason::BlockSizesDiffer {
            source_bytes: 512,
            target_bytes: 4096,
        },
        Reason::TargetIsNoGroup(LOCAL),
        Reason::OneToManyNotBuilt,
        Reason::ManyToManyNotBuilt,
        Reason::GroupAspectsNotBuilt,
        Reason::ChainTooLong(LOCAL),
        Reason::IsSnapshot(LOCAL),
        Reason::FormatCannot(LOCAL, SyncType::Snapshot),
        Reason::NotReplicated(LOCAL),
        Reason::TargetIsCreated(SyncType::Snapshot),
        Reason::AspectHasNoTarget,
        Reason::PeerIncompatible(PEER),
        Reason::PeerLacksType(PEER, ReplicationType::SynchronousMirrorRemote),
        Reason::NotByMethod(
            ReplicationType::SynchronousMirrorRemote,
            MethodName::CreateGroupReplica,
        ),
        Reason::NotBuilt(ReplicationType::SynchronousMirrorRemote),
    ];
    for copy_state in CopyState::ALL.iter().copied() {
        all.extend([
            Reason::NoConsistentImage { key, copy_state },
            Reason::SnapshotState { key, copy_state },
            Reason::StateUnknown { key, copy_state },
        ]);
    }
    all.extend(Lock::ALL.map(|lock| Reason::Locked {
        element: LOCAL,
        lock,
    }));
    for store in [Store::Missing, Store::Failing, Store::Fenced] {
        all.push(Reason::StoreFault {
            element: LOCAL,
            store,
        });
    }
    all
}

#[test]
fn what_can_be_cleared_says_how() {
    for reason in all() {
        let text = reason.sentence(&Called).to_string();
        if reason.obstacle() != Obstacle::Never {
            let (_, advice) = text.split_once(": ").unwrap_or_else(|| panic!("{text}"));
            assert!(advice.len() > 5, "{text}");
        }
        assert!(!text.ends_with('.'), "{text}");
        assert!(text != "it isn't possible", "{reason:?} has no words");
    }
}

#[test]
fn things_are_called_by_their_names() {
    for reason in all() {
        let text = reason.sentence(&Called).to_string();
        if let Some(key) = reason.blocker() {
            assert!(text.contains("vol1 -> vol2"), "{text}");
            assert_eq!(key.system_element, LOCAL);
        }
        // Identities only where nobody gave names.
        assert!(!text.contains("00000000-"), "{text}");
    }
    let silent = Reason::PeerSilent(PEER);
    assert_eq!(
        silent.sentence(&Called).to_string(),
        "peer77 doesn't answer: check the link"
    );
    assert_eq!(
        silent.to_string(),
        "00000000-0000-0000-0000-00000000004d doesn't answer: check the link"
    );
}

#[test]
fn no_two_reasons_are_told_alike() {
    let mut texts: Vec<_> = all()
        .into_iter()
        .map(|reason| reason.sentence(&Called).to_string())
        .collect();
    let count = texts.len();
    texts.sort();
    texts.dedup();
    // The reasons that an unfinished association gives by default and by name may be the same.
    assert!(texts.len() >= count - 1, "{texts:#?}");
}
