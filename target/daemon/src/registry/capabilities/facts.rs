//! The facts for one question, gathered from the catalog and the live objects. Knows no rules. Nothing here waits
//! for a disk or for a lock that hosts' commands take.

use std::fmt;

use tidelock_admin::v1::PeerState;
use tidelock_capabilities::facts::{
    Association, AssociationKey, Element, ElementId, ElementKind, Facts, Group, GroupId, Hosts,
    Lock, Peer, PeerFault, PeerId, Place, Reach, ReservedAs, Store, Total, Totals,
};
use tidelock_capabilities::values::{
    CopyState, EnabledState, Mode, ProgressStatus, ReplicationType, SyncType, ValueSet,
};
use tidelock_capabilities::{AccessPoint, BuiltCapabilities, Names, Reference};
use tidelock_catalog as catalog;
use tidelock_catalog::{
    Backing, CatalogError, DatasetId, DatasetRef, GroupName, PeerName, Snapshot, SnapshotRef,
    VOLUMES_MAX, VolumeName,
};
use tidelock_scsi::MediumCondition;

use super::super::served::ServedVolume;
use super::super::{Registry, View};
use super::{ElementName, Via};
use crate::peers::PeerError;

/// What was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Dataset(DatasetRef),
    Group(GroupName),
    /// What a peer has of a mirror.
    Far(ElementId),
}

/// What is known of one element, owned.
#[derive(Clone, Debug)]
pub(super) struct Known {
    element: Element<'static>,
    name: String,
    /// What the other ends of its relations are called.
    others: Vec<(ElementId, String)>,
    locks: Vec<Lock>,
    relations: Vec<Association>,
    sources: Vec<ElementId>,
}

/// Facts, with the names of what they are about.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Gathered {
    pub(super) generation: u64,
    service: EnabledState,
    named: Vec<(Named, Vec<Known>)>,
    missing: Option<CatalogError>,
    /// Those at which something was named, and what they are called.
    peers: Vec<(Peer, PeerName)>,
    pub(super) totals: Totals,
}

impl Gathered {
    pub(super) fn new(generation: u64, service: EnabledState) -> Self {
        Self {
            generation,
            service,
            named: Vec::new(),
            missing: None,
            peers: Vec::new(),
            totals: Totals::default(),
        }
    }

    pub(super) fn add(&mut self, named: Named, known: Vec<Known>) {
        self.named.push((named, known));
    }

    pub(super) fn miss(&mut self, error: CatalogError) {
        self.missing = Some(error);
    }

    pub(super) fn add_peer(&mut self, peer: Peer, name: &PeerName) {
        self.peers.push((peer, name.clone()));
    }

    /// How a question refers to where the other end is, by what that is called or by who was named beside it.
    pub(in crate::registry) fn access_point(
        &self,
        other: Option<&ElementName>,
        via: Via<'_>,
    ) -> AccessPoint {
        let named = match other {
            Some(ElementName::AtPeer(end)) => end.peer.as_ref(),
            _ => None,
        };
        let peer = match (named, via) {
            (_, Via::Unreadable) => return AccessPoint::Malformed,
            // It can't be in two places.
            (Some(named), Via::Peer(via)) if named != via => return AccessPoint::Malformed,
            (Some(peer), _) | (None, Via::Peer(peer)) => peer,
            (None, Via::Nobody) => return AccessPoint::Null,
        };
        let found = self.peers.iter().find(|(_, name)| name == peer);
        found.map_or(AccessPoint::Malformed, |(peer, _)| AccessPoint::Of(peer.id))
    }

    /// How it refers to the other element: what a peer is to make has no identity yet.
    pub(in crate::registry) fn other(&self, name: &ElementName) -> Reference {
        match name {
            ElementName::AtPeer(_) => Reference::Null,
            here => self.reference(here),
        }
    }

    /// What was named and isn't there.
    pub(in crate::registry) fn missing(&self) -> Option<CatalogError> {
        self.missing.clone()
    }

    /// How a question refers to what was named.
    pub(in crate::registry) fn reference(&self, name: &ElementName) -> Reference {
        let named = match name {
            ElementName::Unreadable | ElementName::AtPeer(_) => return Reference::Malformed,
            ElementName::Gone => return Reference::Element(ElementId(0)),
            ElementName::Dataset(dataset) => Named::Dataset(dataset.clone()),
            ElementName::Group(group) => Named::Group(group.clone()),
            ElementName::Far(id) => Named::Far(*id),
        };
        let found = self.named.iter().position(|(it, _)| *it == named);
        match (found.and_then(|at| Some((at, self.named.get(at)?))), named) {
            (Some((_, (_, known))), Named::Dataset(_) | Named::Far(_)) => known
                .first()
                .map_or(Reference::Malformed, |it| Reference::Element(it.element.id)),
            (Some((at, _)), Named::Group(_)) => Reference::Group(group_id(at)),
            // Of something that isn't there nothing is known, whatever its id.
            (None, Named::Dataset(_) | Named::Far(_)) => Reference::Element(ElementId(0)),
            (None, Named::Group(_)) => Reference::Group(GroupId(0)),
        }
    }

    /// Puts the facts before a question.
    pub(in crate::registry) fn with_facts<T>(
        &self,
        built: &BuiltCapabilities,
        ask: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let all: Vec<Vec<Element<'_>>> = self
            .named
            .iter()
            .map(|(_, known)| known.iter().map(Known::element).collect())
            .collect();
        let named = || self.named.iter().zip(&all).enumerate();
        let elements: Vec<Element<'_>> = named()
            .filter(|(_, ((named, _), _))| !matches!(named, Named::Group(_)))
            .flat_map(|(_, (_, elements))| elements.iter().copied())
            .collect();
        let groups: Vec<Group<'_>> = named()
            .filter(|(_, ((named, _), _))| matches!(named, Named::Group(_)))
            .map(|(at, (_, members))| Group {
                id: group_id(at),
                place: Place::Here,
                members,
                reserved_as: ReservedAs::SourceOrTarget,
                relations: 0,
                aspects: 0,
            })
            .collect();
        let peers: Vec<Peer> = self.peers.iter().map(|(peer, _)| *peer).collect();
        ask(&Facts {
            generation: self.generation,
            service: self.service,
            built,
            elements: &elements,
            groups: &groups,
            peers: &peers,
            totals: self.totals,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Known> {
        self.named.iter().flat_map(|(_, known)| known)
    }
}

/// A group has no identity but its name; within one question its place will do.
fn group_id(at: usize) -> GroupId {
    GroupId(at as u128 + 1)
}

impl Names for Gathered {
    fn element(&self, id: ElementId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let itself = self.all().find(|known| known.element.id == id);
        let mut others = self.all().flat_map(|known| &known.others);
        let name = itself.map(|known| &known.name);
        match name.or_else(|| others.find(|(it, _)| *it == id).map(|(_, name)| name)) {
            Some(name) => f.write_str(name),
            None => fmt::Display::fmt(&id, f),
        }
    }

    fn group(&self, id: GroupId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = usize::try_from(id.0).ok().and_then(|id| id.checked_sub(1));
        match at.and_then(|at| self.named.get(at)) {
            Some((Named::Group(name), _)) => fmt::Display::fmt(name, f),
            _ => fmt::Display::fmt(&id, f),
        }
    }

    fn peer(&self, id: PeerId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peers.iter().find(|(peer, _)| peer.id == id) {
            Some((_, name)) => write!(f, "peer {name}"),
            None => fmt::Display::fmt(&id, f),
        }
    }
}

impl Known {
    fn element(&self) -> Element<'_> {
        Element {
            locks: &self.locks,
            relations: &self.relations,
            sources: &self.sources,
            ..self.element
        }
    }
}

impl Registry {
    /// A number that is another one after every change of what is named, of its snapshots and clones.
    pub(super) fn generation(&self) -> u64 {
        self.catalog()
            .generation()
            .wrapping_add(self.families.generation())
            .wrapping_add(self.mirrors.generation())
    }

    /// What is known of a volume or a snapshot.
    pub(super) fn known(&self, what: &DatasetRef) -> Result<Known, CatalogError> {
        let view = self.view();
        let record = view.catalog.volume(&what.volume)?;
        match (&what.snapshot, record.backing) {
            (None, Backing::Snapshot(_)) => Err(CatalogError::IsSnapshot {
                volume: what.volume.clone(),
            }),
            (None, _) => Ok(self.known_volume(&view, record)),
            (Some(snapshot), _) => self.known_snapshot(
                &view,
                record,
                &SnapshotRef {
                    volume: what.volume.clone(),
                    snapshot: snapshot.clone(),
                },
            ),
        }
    }

    /// What is known of the volumes of a group, in its order.
    pub(super) fn known_members(&self, group: &GroupName) -> Result<Vec<Known>, CatalogError> {
        let view = self.view();
        let members = view.catalog.group(group)?.members.iter();
        members
            .map(|name| Ok(self.known_volume(&view, view.catalog.volume(name)?)))
            .collect()
    }

    fn known_volume(&self, view: &View, record: &catalog::Volume) -> Known {
        let id = element_of(record);
        let served = view.volumes.get(&record.name);
        let (store, locks) = match served {
            Some(served) => self.health(record, served),
            None => (Store::Missing, Vec::new()),
        };
        let snapshots = self.snapshot_count(record).unwrap_or(0);
        let mut relations = Vec::new();
        let mut sources = Vec::new();
        let mut others = Vec::new();
        if let Some((relation, name)) = self.clone_and_source(record) {
            others.push((relation.key.system_element, name));
            sources.push(relation.key.system_element);
            relations.push(relation);
        }
        if let Some(mirrored) = self.mirrors.facts_of(record.name.as_str(), id) {
            if mirrored.is_target {
                sources.push(mirrored.association.key.system_element);
            }
            others.push(mirrored.other);
            relations.push(mirrored.association);
        }
        Known {
            element: Element {
                store,
                online: !view.census.shown(&record.name).is_empty(),
                hosts: self.hosts(view, record, served.map(|it| &**it)),
                snapshots,
                // Each is the aspect of its moment as well.
                aspects: snapshots,
                clones: view.census.clones_of(&record.name),
                room_for: room(&view.catalog),
                ..Element::volume(id, record.size_bytes, record.block_size.bytes())
            },
            name: record.name.to_string(),
            others,
            locks,
            relations,
            sources,
        }
    }

    fn known_snapshot(
        &self,
        view: &View,
        record: &catalog::Volume,
        called: &SnapshotRef,
    ) -> Result<Known, CatalogError> {
        let missing = || CatalogError::NoSuchSnapshot {
            snapshot: called.clone(),
        };
        let place = record.backing.place().ok_or_else(missing)?;
        let found: Option<Snapshot> = self
            .families
            .get(place.family)
            .and_then(|family| family.open_family().ok())
            .and_then(|open| {
                open.look(|list| list.named(record.id, called).cloned())
                    .ok()
            })
            .transpose()?;
        let volume = self.known_volume(view, record);
        // A family that can't be opened tells of no snapshot. Its volumes can't be opened either.
        let (id, size_bytes) = match &found {
            Some(found) => (snapshot_id(found.id), found.size_bytes),
            None if volume.element.store != Store::Healthy => (ElementId(0), record.size_bytes),
            None => return Err(missing()),
        };
        let of = found.as_ref().map(|found| found.id);
        let clones = of.map_or(&[][..], |of| view.census.clones_of_snapshot(of));
        let clones: Vec<_> = clones
            .iter()
            .filter_map(|name| view.catalog.volume(name).ok())
            .filter_map(|other| Some((other, self.clone_relation(other)?)))
            .filter(|(_, relation)| relation.key.system_element == id)
            .collect();
        let mut relations = vec![at_rest(SyncType::Snapshot, volume.element.id, id)];
        let mut others = vec![(volume.element.id, volume.name)];
        for (clone, relation) in clones.iter().filter(|(clone, _)| clone.hydration.is_some()) {
            relations.push(*relation);
            others.push((relation.key.synced_element, clone.name.to_string()));
        }
        Ok(Known {
            element: Element {
                id,
                kind: ElementKind::Snapshot,
                size_bytes,
                online: !view
                    .census
                    .shown(&VolumeName::of_snapshot(called))
                    .is_empty(),
                hosts: Hosts::default(),
                read_only: true,
                snapshots: 0,
                aspects: 0,
                clones: clones.iter().filter(|(clone, _)| holds(clone)).count() as u64,
                ..volume.element
            },
            name: called.to_string(),
            others,
            locks: volume.locks,
            relations,
            sources: vec![volume.element.id],
        })
    }

    /// What is known here of the end that a peer has of a mirror, and whose it is: nobody asks for it now.
    pub(super) fn known_far(&self, id: ElementId) -> Option<(Known, PeerName)> {
        let far = self.mirrors.far_end(id)?;
        let catalog = self.catalog();
        let near = catalog.volume(&far.near).ok()?;
        let peer = catalog.peer(&far.peer).ok()?;
        let association = far.association;
        let is_target = association.key.synced_element == id;
        let source = is_target.then_some(association.key.system_element);
        let known = Known {
            element: Element {
                place: Place::At(PeerId(peer.node.as_u128())),
                ..Element::volume(id, near.size_bytes, near.block_size.bytes())
            },
            name: far.name,
            others: vec![(element_of(near), near.name.to_string())],
            locks: Vec::new(),
            relations: vec![association],
            sources: source.into_iter().collect(),
        };
        Some((known, far.peer))
    }

    /// How the store of a volume is, and what runs on it that nothing may run beside.
    pub(super) fn health(
        &self,
        record: &catalog::Volume,
        served: &ServedVolume,
    ) -> (Store, Vec<Lock>) {
        let mut locks = Vec::new();
        let Some(store) = served.store() else {
            return (Store::Missing, locks);
        };
        if store.is_fenced().is_some() {
            return (Store::Fenced, locks);
        }
        if self.snapshot_count(record).is_none() {
            return (Store::Failing, locks);
        }
        match served.unit().medium_condition() {
            MediumCondition::Sound => {}
            MediumCondition::Sanitizing { .. } => locks.push(Lock::Sanitizing),
            MediumCondition::Formatting => locks.push(Lock::Formatting),
            MediumCondition::SanitizeFailed { .. } | MediumCondition::FormatCorrupt => {
                return (Store::Failing, locks);
            }
        }
        (Store::Healthy, locks)
    }

    /// How many snapshots a volume has, with those that are being taken; `None` if nobody can say.
    fn snapshot_count(&self, record: &catalog::Volume) -> Option<u64> {
        let Some(place) = record.backing.place() else {
            return Some(0);
        };
        let open = self.families.get(place.family)?.open_family().ok()?;
        let count = open.look(|list| list.count_of(record.id)).ok()?;
        Some(count as u64)
    }

    /// What hosts do with a volume.
    fn hosts(&self, view: &View, record: &catalog::Volume, served: Option<&ServedVolume>) -> Hosts {
        let shown = view.census.shown(&record.name).iter();
        let sessions: usize = shown
            .filter(|(_, read_only)| !read_only)
            .map(|(target, _)| self.directory.sessions_of(target.as_str()))
            .sum();
        // Those that can't write it do no harm.
        let protected = served.is_some_and(|served| served.unit().is_write_protected());
        let sessions = if protected { 0 } else { sessions };
        Hosts {
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
            reserved: served.is_some_and(|served| served.unit().is_reserved()),
        }
    }

    /// What is known of a peer, which is what it said last: nobody asks it now.
    pub(super) fn known_peer(&self, name: &PeerName) -> Result<Peer, CatalogError> {
        let catalog = self.catalog();
        let record = catalog.peer(name)?;
        let peers = self.mirrors.peers().ok();
        let state = peers.as_ref().and_then(|it| it.show(name).ok());
        let reach = match (state.map(|it| it.state), &peers) {
            (Some(PeerState::Connected), Some(peers)) => match peers.check_portal_groups(name) {
                Ok(()) => Reach::Answers,
                Err(PeerError::PortalGroups { .. }) => Reach::Faulty(PeerFault::PortGroups),
                Err(_) => Reach::Silent,
            },
            (Some(PeerState::WaitsForAcceptance), _) => Reach::Faulty(PeerFault::Authentication),
            _ => Reach::Silent,
        };
        Ok(Peer {
            id: PeerId(record.node.as_u128()),
            reach,
            types: ReplicationType::set(&[
                ReplicationType::SynchronousMirrorRemote,
                ReplicationType::AsynchronousMirrorRemote,
            ]),
            room_for: ValueSet::all(),
            connection: ValueSet::EMPTY,
        })
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            clones: self.view().census.clones(),
            mirrors: Total {
                sources: self.mirrors.count(),
                targets: self.mirrors.count(),
            },
            ..Totals::default()
        }
    }
}

pub(super) fn element_of(record: &catalog::Volume) -> ElementId {
    ElementId(record.id.0.as_u128())
}

pub(super) fn snapshot_id(id: DatasetId) -> ElementId {
    ElementId(id.0.as_u128())
}

/// Whether a clone keeps what it was made from from being deleted.
fn holds(clone: &catalog::Volume) -> bool {
    let linked = clone.origin.as_ref().is_some_and(|origin| origin.linked);
    linked || clone.hydration.is_some()
}

/// An association with nothing going on: the copy is whole, by what it shares.
pub(super) fn at_rest(sync_type: SyncType, source: ElementId, target: ElementId) -> Association {
    let mode = match sync_type {
        SyncType::Clone => Mode::Asynchronous,
        _ => Mode::Synchronous,
    };
    Association {
        key: AssociationKey {
            system_element: source,
            synced_element: target,
        },
        sync_type,
        mode,
        copy_state: CopyState::Synchronized,
        progress_status: ProgressStatus::Completed,
        target_consistent: true,
        source_consistent: true,
    }
}

/// A clone is one volume more, and there may be only so many.
fn room(catalog: &catalog::Catalog) -> ValueSet<SyncType> {
    let all = ValueSet::all();
    match catalog.volumes().len() < VOLUMES_MAX {
        true => all,
        false => SyncType::set(&[SyncType::Snapshot]),
    }
}
