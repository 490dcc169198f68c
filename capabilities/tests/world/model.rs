//! Volumes with contents, and associations between them. What they hold is a number: the image of one moment, or
//! nothing that ever was.

use std::collections::BTreeMap;

use tidelock_capabilities::built::{BuiltCapabilities, BuiltType, TargetSupply};
use tidelock_capabilities::facts::{
    Association, AssociationKey, Element, ElementId, ElementKind, Facts, Hosts, Lock, Totals,
};
use tidelock_capabilities::machine::{Scope, TABLE, host_accessible};
use tidelock_capabilities::values::{
    Component, CopyState, EnabledState, Feature, MethodName, ProgressStatus, ReplicationType,
    SyncType,
};

use crate::step::Done;

pub(crate) const VOLUMES: usize = 4;
pub(crate) const MIRRORS_MAX: u64 = 2;
pub(crate) const SNAPSHOTS_MAX: u64 = 3;

/// What a volume holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// What some volume held at one moment.
    Image(u64),
    /// Parts of several.
    Torn,
}

#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub(crate) id: ElementId,
    pub(crate) kind: ElementKind,
    pub(crate) size_bytes: u64,
    pub(crate) content: Content,
    /// Torn by being overwritten from a copy of it.
    pub(crate) half_restored: bool,
    pub(crate) used: bool,
    pub(crate) lock: Option<Lock>,
}

/// Where data is flowing in an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    None,
    ToTarget,
    ToSource,
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) key: AssociationKey,
    pub(crate) built: ReplicationType,
    pub(crate) copy_state: CopyState,
    pub(crate) progress_status: ProgressStatus,
    pub(crate) flow: Flow,
    /// What the target is to hold, of a point in time.
    pub(crate) point: Content,
    /// Where it will be when what is being done is done.
    pub(crate) then: Option<tidelock_capabilities::machine::After>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) built: BuiltCapabilities,
    pub(crate) volumes: BTreeMap<ElementId, Volume>,
    pub(crate) links: Vec<Link>,
    pub(crate) next: u64,
    pub(crate) done: Done,
    /// Volumes that hosts used before the step, and what they held.
    pub(crate) before: BTreeMap<ElementId, Content>,
}

fn built() -> BuiltCapabilities {
    use ReplicationType as T;
    let types = [
        (
            T::SynchronousSnapshotLocal,
            TargetSupply::Created,
            SNAPSHOTS_MAX,
        ),
        (
            T::AsynchronousCloneLocal,
            TargetSupply::CreatedOrSupplied,
            2,
        ),
        (
            T::SynchronousMirrorLocal,
            TargetSupply::Supplied,
            MIRRORS_MAX,
        ),
    ];
    let types = types.map(|(replication_type, supply, max)| {
        let rows = TABLE
            .iter()
            .filter(|row| row.covers(replication_type.sync_type(), Scope::Element));
        BuiltType {
            methods: MethodName::set(&[MethodName::CreateElementReplica]),
            operations: rows.map(|row| row.operation).collect(),
            features: Feature::set(&[
                Feature::ReverseRolesOperationRequiresSynchronizedState,
                Feature::ReverseRolesOperationRequiresFracturedState,
                Feature::ReverseRolesOperationRequiresSuspendedState,
            ]),
            maximums: vec![(Component::TargetElementsPerSourceElement, max)],
            targets_writable: true,
            ..BuiltType::new(replication_type, supply)
        }
    });
    BuiltCapabilities {
        types: types.into(),
        ..BuiltCapabilities::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self {
            built: built(),
            volumes: BTreeMap::new(),
            links: Vec::new(),
            next: 1,
            done: Done::default(),
            before: BTreeMap::new(),
        };
        for at in 0..VOLUMES {
            let size_bytes = if at == VOLUMES - 1 { 2 << 30 } else { 1 << 30 };
            world.make(ElementKind::Volume, size_bytes, None);
        }
        world
    }

    /// A new element with this content, or with one of its own.
    pub(crate) fn make(
        &mut self,
        kind: ElementKind,
        size_bytes: u64,
        content: Option<Content>,
    ) -> ElementId {
        let fresh = self.fresh();
        let id = ElementId(u128::from(self.next));
        let volume = Volume {
            id,
            kind,
            size_bytes,
            content: content.unwrap_or(fresh),
            half_restored: false,
            used: false,
            lock: None,
        };
        self.volumes.insert(id, volume);
        id
    }

    /// An image that nothing has held before.
    pub(crate) fn fresh(&mut self) -> Content {
        self.next += 1;
        Content::Image(self.next)
    }

    pub(crate) fn content(&self, id: ElementId) -> Content {
        self.volumes[&id].content
    }

    pub(crate) fn set(&mut self, id: ElementId, content: Content) {
        let volume = self.volumes.get_mut(&id).unwrap();
        volume.content = content;
        volume.half_restored = false;
    }

    pub(crate) fn association(&self, link: &Link) -> Association {
        Association {
            key: link.key,
            sync_type: link.built.sync_type(),
            mode: link.built.mode(),
            copy_state: link.copy_state,
            progress_status: link.progress_status,
            target_consistent: self.content(link.key.synced_element) != Content::Torn,
            source_consistent: !self.volumes[&link.key.system_element].half_restored,
        }
    }

    /// Whether a host may write a volume: not a snapshot, nor a target that is kept from hosts, nor a source
    /// whose hosts have moved to its target, nor anything that is being overwritten.
    pub(crate) fn is_open(&self, id: ElementId) -> bool {
        let is_volume = self.volumes[&id].kind == ElementKind::Volume;
        is_volume
            && self.links.iter().all(|link| {
                let is_target = link.key.synced_element == id;
                let is_source = link.key.system_element == id;
                let kept = is_target
                    && (!host_accessible(link.built.sync_type(), link.copy_state)
                        || link.flow != Flow::None);
                let fenced = is_source
                    && (link.copy_state == CopyState::Failedover || link.flow == Flow::ToSource);
                !kept && !fenced
            })
    }

    /// Calls with the world as facts.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&Facts<'_>) -> T) -> T {
        let relations: BTreeMap<_, Vec<_>> = self
            .volumes
            .keys()
            .map(|id| {
                let of =
                    |link: &&Link| link.key.system_element == *id || link.key.synced_element == *id;
                let all = self.links.iter().filter(of);
                (*id, all.map(|link| self.association(link)).collect())
            })
            .collect();
        let sources: BTreeMap<_, Vec<_>> = self
            .volumes
            .keys()
            .map(|id| (*id, self.sources(*id)))
            .collect();
        let elements: Vec<_> = self
            .volumes
            .values()
            .map(|volume| Element {
                kind: volume.kind,
                hosts: Hosts {
                    sessions: u32::from(volume.used),
                    reserved: false,
                },
                locks: volume.lock.as_slice(),
                relations: &relations[&volume.id],
                sources: &sources[&volume.id],
                snapshots: self.count(volume.id, SyncType::Snapshot),
                clones: self.count(volume.id, SyncType::Clone),
                ..Element::volume(volume.id, volume.size_bytes, 512)
            })
            .collect();
        call(&Facts {
            generation: self.next,
            service: EnabledState::Enabled,
            built: &self.built,
            elements: &elements,
            groups: &[],
            peers: &[],
            totals: Totals::default(),
        })
    }

    /// What a volume is a copy of, nearest first.
    fn sources(&self, id: ElementId) -> Vec<ElementId> {
        let mut sources = Vec::new();
        let mut at = id;
        while let Some(link) = self.links.iter().find(|it| it.key.synced_element == at) {
            at = link.key.system_element;
            assert!(!sources.contains(&at) && at != id, "a circle at {id}");
            sources.push(at);
        }
        sources
    }

    fn count(&self, id: ElementId, sync_type: SyncType) -> u64 {
        let of =
            |link: &&Link| link.key.system_element == id && link.built.sync_type() == sync_type;
        self.links.iter().filter(of).count() as u64
    }

    /// What has to hold whatever was done.
    pub(crate) fn check(&self, step: &str) {
        for id in self.volumes.keys().copied() {
            let targets = self.links.iter().filter(|it| it.key.synced_element == id);
            assert!(targets.count() <= 1, "{step}: two sources of {id}");
            self.sources(id);
            let is_mirror = |link: &&Link| link.built.sync_type() == SyncType::Mirror;
            let mut mirrors = self.links.iter().filter(is_mirror);
            let is_target = mirrors.any(|it| it.key.synced_element == id);
            let mut mirrors = self.links.iter().filter(is_mirror);
            let is_source = mirrors.any(|it| it.key.system_element == id);
            assert!(!(is_target && is_source), "{step}: a chain at {id}");
            for (sync_type, max) in [
                (SyncType::Mirror, MIRRORS_MAX),
                (SyncType::Snapshot, SNAPSHOTS_MAX),
            ] {
                let count = self.count(id, sync_type);
                assert!(count <= max, "{step}: {count} {sync_type}s of {id}");
            }
        }
        for link in &self.links {
            let target = self.content(link.key.synced_element);
            let promises = matches!(
                link.copy_state,
                CopyState::Synchronized | CopyState::Split | CopyState::Failedover
            );
            let id = link.key.synced_element;
            // Another association may be restoring it, and then it is that one which speaks of it.
            let rests =
                link.flow == Flow::None && self.links.iter().all(|it| it.key.system_element != id);
            assert!(
                !(promises && rests && target == Content::Torn),
                "{step}: no image in {link:?}"
            );
        }
        for (id, content) in &self.before {
            // A volume that is gone was used by nobody, or it couldn't be.
            let volume = self.volumes.get(id);
            assert!(volume.is_some(), "{step}: {id} went from under a host");
            let now = volume.unwrap().content;
            assert_eq!(now, *content, "{step}: {id} changed under a host");
        }
    }
}
