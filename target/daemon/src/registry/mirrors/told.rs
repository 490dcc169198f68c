//! Mirrors as associations of two elements, for who knows elements by their identities and no names.

use std::sync::Arc;

use tidelock_capabilities::facts::{Association, AssociationKey, ElementId};
use tidelock_catalog::{MirrorId, OnFailure, PeerName, VolumeName};

use super::view::describe;
use super::{Registry, Running};

/// A mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorRelation {
    /// Which.
    pub id: MirrorId,
    /// As it is now.
    pub association: Association,
    /// How much of the copy is there.
    pub percent_synced: Option<u8>,
    /// Whether hosts are stopped while the target is away.
    pub stops_hosts: bool,
    /// What is wrong with it, or what it waits for.
    pub detail: String,
    /// The other end, if a peer has it.
    pub far: Option<Far>,
}

/// The end of a mirror that a peer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Far {
    /// Who has it.
    pub peer: PeerName,
    /// Its identity.
    pub id: ElementId,
    /// What it is called: `PEER:VOLUME`.
    pub name: String,
    /// The volume here.
    pub near: VolumeName,
}

impl Registry {
    /// All mirrors.
    #[must_use]
    pub fn mirror_relations(&self) -> Vec<MirrorRelation> {
        let all = self.mirrors.all();
        all.iter().map(|it| relation(it)).collect()
    }

    /// The one between two elements.
    #[must_use]
    pub fn mirror_relation(&self, key: AssociationKey) -> Option<MirrorRelation> {
        self.mirror_between(key).map(|it| relation(&it))
    }

    /// The same, as it runs.
    pub(in crate::registry) fn mirror_between(&self, key: AssociationKey) -> Option<Arc<Running>> {
        let mut all = self.mirrors.all().into_iter();
        all.find(|it| it.look(|state| state.association().key) == key)
    }
}

fn relation(running: &Running) -> MirrorRelation {
    let told = describe(running);
    running.look(|state| {
        let record = state.record();
        let far = record.remote().map(|(side, elsewhere)| Far {
            peer: elsewhere.peer.clone(),
            id: ElementId(record.end(side).node.as_u128()),
            name: record.end(side).to_string(),
            near: record.end(side.opposite()).volume.clone(),
        });
        MirrorRelation {
            id: running.id(),
            association: *state.association(),
            percent_synced: told.percent_synced,
            stops_hosts: record.on_failure == OnFailure::Halt,
            detail: told.detail.clone(),
            far,
        }
    })
}
