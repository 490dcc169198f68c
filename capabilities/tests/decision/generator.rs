//! Random states, requests and services: likely ones and nonsense.

use proptest::prelude::*;
use tidelock_capabilities::built::{BuiltCapabilities, BuiltType, TargetSupply};
use tidelock_capabilities::facts::{
    Association, AssociationKey, Element, ElementId, ElementKind, Facts, Group, GroupId, Hosts,
    Lock, Peer, PeerFault, PeerId, Place, Reach, ReservedAs, Store, Total, Totals,
};
use tidelock_capabilities::values::*;
use tidelock_capabilities::{AccessPoint, Reference, Request};

/// Elements 1 and 2 are here, 3 is at the peer if it is known at all.
pub(crate) const IDS: [ElementId; 3] = [ElementId(1), ElementId(2), ElementId(3)];
pub(crate) const GROUPS: [GroupId; 2] = [GroupId(11), GroupId(12)];
pub(crate) const PEER: PeerId = PeerId(21);

/// An element with what it would borrow.
#[derive(Clone, Debug)]
pub(crate) struct OwnElement {
    pub(crate) element: Element<'static>,
    pub(crate) locks: Vec<Lock>,
    pub(crate) relations: Vec<Association>,
    pub(crate) sources: Vec<ElementId>,
}

impl OwnElement {
    pub(crate) fn view(&self) -> Element<'_> {
        Element {
            locks: &self.locks,
            relations: &self.relations,
            sources: &self.sources,
            ..self.element
        }
    }
}

/// All that a decision is made of.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) built: BuiltCapabilities,
    pub(crate) service: EnabledState,
    pub(crate) elements: Vec<OwnElement>,
    /// Members of the two groups, as places in `elements`.
    pub(crate) groups: [Vec<usize>; 2],
    pub(crate) reserved_as: ReservedAs,
    pub(crate) peer: Peer,
    pub(crate) totals: Totals,
}

impl State {
    /// Calls with the state as facts.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&Facts<'_>) -> T) -> T {
        let elements: Vec<_> = self.elements.iter().map(OwnElement::view).collect();
        let members = self.groups.clone().map(|places| {
            places
                .into_iter()
                .map(|at| elements[at])
                .collect::<Vec<_>>()
        });
        let group = |at: usize| Group {
            id: GROUPS[at],
            place: Place::Here,
            members: &members[at],
            reserved_as: self.reserved_as,
            relations: at as u64,
            aspects: 0,
        };
        call(&Facts {
            generation: 5,
            service: self.service,
            built: &self.built,
            elements: &elements,
            groups: &[group(0), group(1)],
            peers: &[self.peer],
            totals: self.totals,
        })
    }
}

fn pick<T: Clone + std::fmt::Debug + 'static>(from: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(from.to_vec())
}

fn set<T: ValueMap>() -> impl Strategy<Value = ValueSet<T>> {
    any::<u128>().prop_map(|bits| {
        let chosen = T::ALL.iter().copied();
        chosen.filter(|it| bits & (1 << it.value()) != 0).collect()
    })
}

/// Nearly everything, so that something is left to decide.
fn most<T: ValueMap>() -> impl Strategy<Value = ValueSet<T>> {
    prop_oneof![4 => Just(ValueSet::all()), 1 => set()]
}

prop_compose! {
    fn association()(
        (source, target) in pick(&[(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1), (0, 0)]),
        sync_type in pick(SyncType::ALL),
        mode in pick(Mode::ALL),
        copy_state in prop_oneof![Just(CopyState::Synchronized), pick(CopyState::ALL)],
        progress_status in prop_oneof![3 => Just(ProgressStatus::Completed), 1 => pick(ProgressStatus::ALL)],
        target_consistent in any::<bool>(),
        source_consistent in prop::bool::weighted(0.9),
    ) -> Association {
        Association {
            key: AssociationKey { system_element: IDS[source], synced_element: IDS[target] },
            sync_type,
            mode,
            copy_state,
            progress_status,
            target_consistent,
            source_consistent,
        }
    }
}

prop_compose! {
    fn element(at: usize)(
        kind in prop_oneof![
            6 => Just(ElementKind::Volume),
            2 => Just(ElementKind::Snapshot),
            1 => Just(ElementKind::Unreplicated)
        ],
        size_bytes in pick(&[1_u64 << 30, 1 << 31]),
        block_bytes in prop_oneof![5 => Just(512_u32), 1 => Just(4096)],
        store in prop_oneof![6 => Just(Store::Healthy), 1 => pick(&[Store::Missing, Store::Failing, Store::Fenced])],
        online in any::<bool>(),
        hosts in prop_oneof![
            3 => Just(Hosts::default()),
            1 => Just(Hosts { sessions: 1, reserved: false }),
            1 => Just(Hosts { sessions: 0, reserved: true })
        ],
        read_only in prop::bool::weighted(0.1),
        locks in prop_oneof![5 => Just(vec![]), 1 => prop::collection::vec(pick(&Lock::ALL), 1..3)],
        counts in (0..4_u64, 0..4_u64, 0..4_u64),
        sources in prop::collection::vec(pick(&IDS), 0..2),
        copies in most(),
        room_for in most(),
    ) -> OwnElement {
        let (snapshots, clones, aspects) = counts;
        let place = if at == 2 { Place::At(PEER) } else { Place::Here };
        OwnElement {
            element: Element {
                place,
                kind,
                store,
                online,
                hosts,
                read_only,
                snapshots,
                clones,
                aspects,
                copies,
                room_for,
                ..Element::volume(IDS[at], size_bytes, block_bytes)
            },
            locks,
            relations: vec![],
            sources: sources.into_iter().filter(|it| *it != IDS[at]).collect(),
        }
    }
}

prop_compose! {
    fn built_type()(
        replication_type in pick(ReplicationType::ALL),
        methods in most(),
        target_supply in pick(&[
            TargetSupply::Created,
            TargetSupply::Supplied,
            TargetSupply::CreatedOrSupplied,
        ]),
        features in prop_oneof![2 => Just(ValueSet::EMPTY), 1 => set()],
        group_features in set(),
        maximums in prop::collection::vec((pick(Component::ALL), 0..6_u64), 0..4),
    ) -> BuiltType {
        BuiltType {
            methods,
            features,
            group_features,
            maximums,
            ..BuiltType::new(replication_type, target_supply)
        }
    }
}

fn built() -> impl Strategy<Value = BuiltCapabilities> {
    prop::collection::vec(built_type(), 0..16).prop_map(|types| {
        let mut built = BuiltCapabilities::default();
        for it in types {
            if built.of(it.replication_type).is_none() {
                built.types.push(it);
            }
        }
        built
    })
}

prop_compose! {
    fn peer()(
        reach in pick(&[
            Reach::Answers,
            Reach::Answers,
            Reach::NotAsked,
            Reach::Silent,
            Reach::Faulty(PeerFault::Protocol),
            Reach::Incompatible,
        ]),
        types in most(),
        room_for in most(),
    ) -> Peer {
        Peer { id: PEER, reach, types, room_for, connection: ValueSet::EMPTY }
    }
}

prop_compose! {
    pub(crate) fn state()(
        built in built(),
        service in prop_oneof![9 => Just(EnabledState::Enabled), 1 => pick(EnabledState::ALL)],
        elements in (element(0), element(1), element(2)),
        relations in prop::collection::vec(association(), 0..4),
        groups in (
            prop::collection::vec(0..3_usize, 0..3),
            prop::collection::vec(0..3_usize, 0..3),
        ),
        reserved_as in pick(&[
            ReservedAs::SourceOrTarget,
            ReservedAs::SourceOnly,
            ReservedAs::TargetOnly,
        ]),
        peer in peer(),
        totals in (0..6_u64, 0..6_u64),
    ) -> State {
        let mut elements = vec![elements.0, elements.1, elements.2];
        for it in &mut elements {
            let id = it.element.id;
            let mine = |relation: &&Association| {
                relation.key.system_element == id || relation.key.synced_element == id
            };
            it.relations = relations.iter().filter(mine).copied().collect();
        }
        let total = Total { sources: totals.0, targets: totals.1 };
        State {
            built,
            service,
            elements,
            groups: [groups.0, groups.1],
            reserved_as,
            peer,
            totals: Totals { mirrors: total, snapshots: total, clones: total, aspects: totals.0 },
        }
    }
}

pub(crate) fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![
        1 => Just(Reference::Null),
        1 => Just(Reference::Malformed),
        8 => pick(&IDS).prop_map(Reference::Element),
        1 => Just(Reference::Element(ElementId(99))),
        3 => pick(&GROUPS).prop_map(Reference::Group),
    ]
}

prop_compose! {
    pub(crate) fn request()(
        local_element in prop_oneof![3 => Just(Reference::Element(IDS[0])), 1 => reference()],
        other_element in prop_oneof![1 => Just(Reference::Null), 2 => reference()],
        other_element_access_point in pick(&[
            AccessPoint::Null,
            AccessPoint::Null,
            AccessPoint::Of(PEER),
            AccessPoint::Of(PeerId(99)),
            AccessPoint::Malformed,
        ]),
        method_name in prop_oneof![4 => Just(2), 2 => Just(3), 1 => Just(4), 1 => any::<u16>()],
    ) -> Request {
        Request { local_element, other_element, other_element_access_point, method_name }
    }
}
