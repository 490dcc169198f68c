//! What is the case right now: the whole input of a decision, as plain data. Knows no rules.
//!
//! Facts are gathered for one question under one [`Facts::generation`]: about the elements that are
//! named, the peer that is named, and counts. Nothing in them grows with the number of snapshots of an
//! element or of elements of the daemon, see [`Element::relations`].
//!
//! # Gathering them
//!
//! About a local element the daemon has its own record (identity, size, store, locks), what hosts do with it,
//! the few associations that matter, and counters that are kept as associations come and go. The chain of its
//! sources is followed upwards, one association at a time. No list of all elements or snapshots is walked.
//! Facts about an element of a peer are what the peer has answered, under [`Reach::Answers`], or what was known
//! of it before; then only its size, its blocks and its place in a chain count.

mod association;
mod element;
mod group;
mod id;
mod peer;

pub use association::{Association, AssociationKey};
pub use element::{Element, ElementKind, Hosts, Lock, Place, Store};
pub use group::{Group, ReservedAs};
pub use id::{ElementId, GroupId, PeerId};
pub use peer::{Peer, PeerFault, Reach};

use crate::built::BuiltCapabilities;
use crate::values::{EnabledState, SyncType};

/// The facts for one question.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Which state of the daemon this is. Copied into the answer, so that two answers can be compared.
    pub generation: u64,
    /// The state of the replication service as a whole.
    pub service: EnabledState,
    /// What is built and configured.
    pub built: &'a BuiltCapabilities,
    /// The elements that the request names, as far as they exist; further ones do no harm.
    pub elements: &'a [Element<'a>],
    /// The groups that the request names.
    pub groups: &'a [Group<'a>],
    /// The peers that the request names or that named elements are served by.
    pub peers: &'a [Peer],
    /// How many associations there are.
    pub totals: Totals,
}

/// Counts over all of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Of mirrors.
    pub mirrors: Total,
    /// Of snapshots.
    pub snapshots: Total,
    /// Of clones that are still associated.
    pub clones: Total,
    /// SynchronizationAspects.
    pub aspects: u64,
}

/// Counts over all associations of one SyncType.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Elements that are the source of at least one.
    pub sources: u64,
    /// Elements that are a target.
    pub targets: u64,
}

impl Totals {
    /// Those of one SyncType.
    #[must_use]
    pub const fn of(&self, sync_type: SyncType) -> Total {
        match sync_type {
            SyncType::Mirror => self.mirrors,
            SyncType::Snapshot => self.snapshots,
            SyncType::Clone => self.clones,
        }
    }
}

impl<'a> Facts<'a> {
    /// The facts about an element.
    #[must_use]
    pub fn element(&self, id: ElementId) -> Option<&'a Element<'a>> {
        self.elements.iter().find(|it| it.id == id)
    }

    /// The facts about a group.
    #[must_use]
    pub fn group(&self, id: GroupId) -> Option<&'a Group<'a>> {
        self.groups.iter().find(|it| it.id == id)
    }

    /// The facts about a peer.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Option<&'a Peer> {
        self.peers.iter().find(|it| it.id == id)
    }
}
