//! The engine that the rows assume, elements in the states that they name, and how an answer is compared.

use tidelock_capabilities::built::{BuiltCapabilities, BuiltType, TargetSupply};
use tidelock_capabilities::facts::{
    Association, AssociationKey, Element, ElementId, ElementKind, Facts, Group, GroupId, Peer,
    PeerId, Place, Reach, ReservedAs, Totals,
};
use tidelock_capabilities::values::{
    Component, CopyState, EnabledState, GroupFeature, LocalElementRole, MethodName, Mode,
    ProgressStatus, ReplicationType, ReturnCode, SyncType, ValueSet,
};
use tidelock_capabilities::{
    AccessPoint, Decision, Obstacle, Reference, Request, Triple, Verdict, decide,
};

pub(crate) const GIB: u64 = 1 << 30;
pub(crate) const LOCAL: ElementId = ElementId(1);
pub(crate) const OTHER: ElementId = ElementId(2);
pub(crate) const THIRD: ElementId = ElementId(3);
pub(crate) const PEER: PeerId = PeerId(77);
pub(crate) const GROUP: GroupId = GroupId(50);
pub(crate) const OTHER_GROUP: GroupId = GroupId(51);

/// The engine of the tables: every method, no aspects of mirrors, up to `MIRRORS_MAX` mirrors of a source.
pub(crate) const MIRRORS_MAX: u64 = 2;
pub(crate) const SNAPSHOTS_MAX: u64 = 512;
pub(crate) const CLONES_MAX: u64 = 4;

pub(crate) fn assumed() -> BuiltCapabilities {
    use ReplicationType as T;
    let all = MethodName::set(&[
        MethodName::CreateElementReplica,
        MethodName::CreateGroupReplica,
    ]);
    let make = |it: ReplicationType, supply, max| {
        let mut built = BuiltType::new(it, supply);
        built.methods = all;
        built.maximums = vec![
            (Component::TargetElementsPerSourceElement, max),
            (Component::ElementsPerSourceGroup, 8),
            (Component::ElementsPerTargetGroup, 8),
        ];
        built.group_features = GroupFeature::set(&[
            GroupFeature::OneToManyReplication,
            GroupFeature::ManyToManyGroups,
        ]);
        built
    };
    let mut snapshot = make(
        T::SynchronousSnapshotLocal,
        TargetSupply::Created,
        SNAPSHOTS_MAX,
    );
    snapshot.methods = MethodName::set(MethodName::ALL);
    snapshot.maximums.extend([
        (Component::SynchronizationAspects, 6),
        (Component::SynchronizationAspectsPerSourceElement, 3),
    ]);
    let mut types = vec![snapshot];
    types.push(make(
        T::AsynchronousCloneLocal,
        TargetSupply::CreatedOrSupplied,
        CLONES_MAX,
    ));
    for it in [
        T::SynchronousMirrorLocal,
        T::AsynchronousMirrorLocal,
        T::SynchronousMirrorRemote,
        T::AsynchronousMirrorRemote,
    ] {
        types.push(make(it, TargetSupply::CreatedOrSupplied, MIRRORS_MAX));
    }
    BuiltCapabilities {
        types,
        ..BuiltCapabilities::default()
    }
}

pub(crate) fn volume(id: ElementId) -> Element<'static> {
    Element::volume(id, 10 * GIB, 512)
}

pub(crate) fn snapshot(id: ElementId) -> Element<'static> {
    Element {
        kind: ElementKind::Snapshot,
        ..volume(id)
    }
}

pub(crate) fn remote(id: ElementId) -> Element<'static> {
    Element {
        place: Place::At(PEER),
        ..volume(id)
    }
}

pub(crate) fn peer(reach: Reach) -> Peer {
    Peer {
        id: PEER,
        reach,
        types: ReplicationType::set(&[
            ReplicationType::SynchronousMirrorRemote,
            ReplicationType::AsynchronousMirrorRemote,
        ]),
        room_for: ValueSet::all(),
        connection: ValueSet::EMPTY,
    }
}

pub(crate) fn group<'a>(id: GroupId, members: &'a [Element<'a>]) -> Group<'a> {
    Group {
        id,
        place: Place::Here,
        members,
        reserved_as: ReservedAs::SourceOrTarget,
        relations: 0,
        aspects: 0,
    }
}

/// An association at rest.
pub(crate) fn association(
    sync_type: SyncType,
    source: ElementId,
    target: ElementId,
    copy_state: CopyState,
) -> Association {
    let progress_status = match copy_state {
        CopyState::Unsynchronized => ProgressStatus::Synchronizing,
        CopyState::Inactive | CopyState::Suspended => ProgressStatus::Dormant,
        _ => ProgressStatus::Completed,
    };
    Association {
        key: AssociationKey {
            system_element: source,
            synced_element: target,
        },
        sync_type,
        mode: Mode::Synchronous,
        copy_state,
        progress_status,
        target_consistent: false,
        source_consistent: true,
    }
}

pub(crate) fn mirror_of_local(copy_state: CopyState) -> Association {
    association(SyncType::Mirror, LOCAL, OTHER, copy_state)
}

pub(crate) fn mirror_onto_local(copy_state: CopyState) -> Association {
    association(SyncType::Mirror, OTHER, LOCAL, copy_state)
}

pub(crate) fn consistent(association: Association) -> Association {
    Association {
        target_consistent: true,
        ..association
    }
}

pub(crate) fn in_progress(
    association: Association,
    progress_status: ProgressStatus,
) -> Association {
    Association {
        progress_status,
        ..association
    }
}

pub(crate) fn facts<'a>(built: &'a BuiltCapabilities, elements: &'a [Element<'a>]) -> Facts<'a> {
    Facts {
        generation: 42,
        service: EnabledState::Enabled,
        built,
        elements,
        groups: &[],
        peers: &[],
        totals: Totals::default(),
    }
}

pub(crate) fn alone() -> Request {
    Request {
        local_element: Reference::Element(LOCAL),
        other_element: Reference::Null,
        other_element_access_point: AccessPoint::Null,
        method_name: 2,
    }
}

pub(crate) fn with_other() -> Request {
    Request {
        other_element: Reference::Element(OTHER),
        ..alone()
    }
}

/// The decision about one local element, with nothing else named.
pub(crate) fn ask(element: Element<'_>) -> Decision {
    let built = assumed();
    decide(&alone(), &facts(&built, &[element]))
}

/// The decision about two elements here.
pub(crate) fn ask_pair(local: Element<'_>, other: Element<'_>) -> Decision {
    let built = assumed();
    decide(&with_other(), &facts(&built, &[local, other]))
}

/// What the tables call a verdict.
fn word(verdict: Verdict) -> &'static str {
    match verdict.obstacle() {
        None => "Yes",
        Some(Obstacle::NoPeer) => "NoPeer",
        Some(Obstacle::NotNow) => "NotNow",
        Some(Obstacle::Unknown) => "Unknown",
        Some(Obstacle::Fault) => "Fault",
        Some(Obstacle::Never) => "Never",
    }
}

/// The columns S C M tC tM of the tables: snapshot, clone and mirror of it, and it as the supplied target
/// of a clone and a mirror. Both modes of a mirror have to agree.
pub(crate) fn columns(decision: &Decision) -> [&'static str; 5] {
    use LocalElementRole::{SyncedElement, SystemElement};
    let of = |sync_type, mode, role| {
        word(
            decision
                .verdict(Triple::new(sync_type, mode, role))
                .unwrap(),
        )
    };
    let mirror = |role| {
        let synchronous = of(SyncType::Mirror, Mode::Synchronous, role);
        let asynchronous = of(SyncType::Mirror, Mode::Asynchronous, role);
        assert_eq!(synchronous, asynchronous, "modes disagree about {role}");
        synchronous
    };
    [
        of(SyncType::Snapshot, Mode::Synchronous, SystemElement),
        of(SyncType::Clone, Mode::Asynchronous, SystemElement),
        mirror(SystemElement),
        of(SyncType::Clone, Mode::Asynchronous, SyncedElement),
        mirror(SyncedElement),
    ]
}

/// Compares a decision with a row: the five columns in words, and the return code.
#[track_caller]
pub(crate) fn row(decision: &Decision, expected: &str, return_code: ReturnCode) {
    let expected: Vec<_> = expected.split_whitespace().collect();
    let told: Vec<_> = decision.explain().collect();
    assert_eq!(columns(decision).as_slice(), expected, "{told:#?}");
    assert_eq!(decision.return_code(), return_code, "{told:#?}");
    // A snapshot is never a target that could be supplied.
    let as_snapshot = Triple::new(
        SyncType::Snapshot,
        Mode::Synchronous,
        LocalElementRole::SyncedElement,
    );
    assert_eq!(word(decision.verdict(as_snapshot).unwrap()), "Never");
}
