//! Mirrors as associations of two elements, for who knows elements by their identities and no names.

use tidelock_capabilities::facts::{Association, AssociationKey};
use tidelock_catalog::{MirrorId, OnFailure};

use super::view::describe;
use super::{Registry, Running};

/// A mirror of two volumes here.
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
}

impl Registry {
    /// All mirrors of two volumes here.
    #[must_use]
    pub fn mirror_relations(&self) -> Vec<MirrorRelation> {
        let all = self.mirrors.all();
        all.iter().filter_map(|it| relation(it)).collect()
    }

    /// The one between two elements.
    #[must_use]
    pub fn mirror_relation(&self, key: AssociationKey) -> Option<MirrorRelation> {
        let all = self.mirrors.all();
        let found = all
            .iter()
            .find(|it| it.look(|state| state.association().key) == key)?;
        relation(found)
    }
}

fn relation(running: &Running) -> Option<MirrorRelation> {
    let (association, on_failure, is_here) = running.look(|state| {
        let record = state.record();
        let is_here = record.remote().is_none();
        (*state.association(), record.on_failure, is_here)
    });
    let told = describe(running);
    is_here.then(|| MirrorRelation {
        id: running.id(),
        association,
        percent_synced: told.percent_synced,
        stops_hosts: on_failure == OnFailure::Halt,
        detail: told.detail,
    })
}
