//! One element: a volume or a snapshot, and what concerns its copies.

use super::{Association, AssociationKey, ElementId, PeerId};
use crate::values::{SyncType, ValueSet};

/// What is known of an element.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Which one.
    pub id: ElementId,
    /// Where it is served.
    pub place: Place,
    /// What it is.
    pub kind: ElementKind,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The size of its logical blocks in bytes.
    pub block_bytes: u32,
    /// The health of what it is stored on.
    pub store: Store,
    /// Whether hosts are offered it. An element that isn't can be copied all the same.
    pub online: bool,
    /// What hosts do with it.
    pub hosts: Hosts,
    /// Whether writes to it are refused by configuration. (A snapshot needs no flag for that.)
    pub read_only: bool,
    /// What runs on it that nothing else may run beside.
    pub locks: &'a [Lock],
    /// The associations that matter: every mirror that it is an end of, the association that it is the
    /// target of, every one that isn't at rest, and every one with the other element that the request names.
    /// At rest are those that are Synchronized and Completed with consistent images at both ends; snapshots and
    /// clones at rest of which it is the source may be left out, since they are in the counts.
    pub relations: &'a [Association],
    /// How many snapshots it is the source of.
    pub snapshots: u64,
    /// How many clones it is the source of that are still associated, running or not.
    pub clones: u64,
    /// How many SynchronizationAspects it has.
    pub aspects: u64,
    /// What it is a copy of, nearest first, and so on to the end, as far as associations exist.
    pub sources: &'a [ElementId],
    /// Which copies the format of its store can be the source of.
    pub copies: ValueSet<SyncType>,
    /// For which copies of it there would be space if the service had to make the target.
    pub room_for: ValueSet<SyncType>,
}

/// Where something is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By this service.
    Here,
    /// By a peer.
    At(PeerId),
}

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementKind {
    /// A volume that hosts write.
    Volume,
    /// A snapshot: it can be read, copied and restored from.
    Snapshot,
    /// Something that this service presents and never replicates, such as a passed-through device.
    Unreplicated,
}

/// The health of an element's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Store {
    /// It can be read and written.
    Healthy,
    /// Its file isn't there.
    Missing,
    /// It answers with errors.
    Failing,
    /// A flush has failed, and the element is fenced until an operator acts.
    Fenced,
}

/// What hosts do with an element at the moment. Sessions that can't write it, because their path is standby
/// or unavailable, don't count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Sessions that could write it.
    pub sessions: u32,
    /// Whether a reservation is held.
    pub reserved: bool,
}

/// What may run on an element that nothing else may run beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lock {
    /// It is being made.
    Creating,
    /// It is being deleted.
    Deleting,
    /// Its size is being changed.
    Resizing,
    /// Its store is being moved.
    Moving,
    /// FORMAT UNIT.
    Formatting,
    /// SANITIZE.
    Sanitizing,
}

impl Lock {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Creating,
        Self::Deleting,
        Self::Resizing,
        Self::Moving,
        Self::Formatting,
        Self::Sanitizing,
    ];
}

impl Hosts {
    /// Whether overwriting the element would pull the data from under a host.
    #[must_use]
    pub const fn in_use(self) -> bool {
        self.sessions > 0 || self.reserved
    }
}

impl Element<'_> {
    /// A healthy volume here, online, that nobody uses and that has no relations.
    #[must_use]
    pub fn volume(id: ElementId, size_bytes: u64, block_bytes: u32) -> Self {
        Self {
            id,
            place: Place::Here,
            kind: ElementKind::Volume,
            size_bytes,
            block_bytes,
            store: Store::Healthy,
            online: true,
            hosts: Hosts::default(),
            read_only: false,
            locks: &[],
            relations: &[],
            snapshots: 0,
            clones: 0,
            aspects: 0,
            sources: &[],
            copies: ValueSet::all(),
            room_for: ValueSet::all(),
        }
    }

    /// How many copies of a SyncType it is the source of.
    #[must_use]
    pub fn targets(&self, sync_type: SyncType) -> u64 {
        match sync_type {
            SyncType::Mirror => self.mirrors().count() as u64,
            SyncType::Snapshot => self.snapshots,
            SyncType::Clone => self.clones,
        }
    }

    /// Whether it is a snapshot, or something that hosts use and that is associated as one.
    #[must_use]
    pub fn is_snapshot(&self) -> bool {
        self.kind == ElementKind::Snapshot
            || self
                .as_target()
                .any(|relation| relation.sync_type == SyncType::Snapshot)
    }

    /// The mirrors that it is the source of.
    fn mirrors(&self) -> impl Iterator<Item = &Association> {
        self.relations.iter().filter(|relation| {
            relation.sync_type == SyncType::Mirror && relation.key.system_element == self.id
        })
    }

    /// The associations that it is the target of: at most one, if the engine keeps its rules.
    pub fn as_target(&self) -> impl Iterator<Item = &Association> {
        let mine = |relation: &&Association| relation.key.synced_element == self.id;
        self.relations.iter().filter(mine)
    }

    /// Whether there is an association with this key.
    pub(crate) fn has_relation(&self, key: AssociationKey) -> bool {
        self.relations.iter().any(|relation| relation.key == key)
    }
}
