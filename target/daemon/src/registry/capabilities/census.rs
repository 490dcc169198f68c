//! What answers need of the catalog that it takes a look at all of it to know: counted when it changes, so that asking
//! doesn't take longer the more there is. Knows no live objects.

use std::collections::HashMap;

use tidelock_capabilities::facts::Total;
use tidelock_catalog::{Catalog, DatasetId, IscsiName, VolumeName};
use uuid::Uuid;

/// Counts, and places of what is looked for by something else than its name.
#[derive(Debug, Default)]
pub(in crate::registry) struct Census {
    /// By their identities, without the snapshots that targets show.
    by_id: HashMap<Uuid, VolumeName>,
    /// Clones that keep what they were made from from being deleted, by the volume that it is or was of.
    linked: HashMap<VolumeName, u64>,
    /// Clones by what they were made from.
    of_snapshot: HashMap<DatasetId, Vec<VolumeName>>,
    /// Where volumes are shown, and whether to be read only.
    shown: HashMap<VolumeName, Vec<(IscsiName, bool)>>,
    clones: Total,
}

impl Census {
    /// Looks at all of a catalog.
    pub(in crate::registry) fn of(catalog: &Catalog) -> Self {
        let mut census = Self::default();
        for volume in catalog.volumes() {
            if !volume.name.is_of_snapshot() {
                census.by_id.insert(volume.id.0, volume.name.clone());
            }
            let Some(origin) = &volume.origin else {
                continue;
            };
            if origin.linked {
                *census.linked.entry(origin.volume.clone()).or_default() += 1;
                census.clones.targets += 1;
            }
            let of = census.of_snapshot.entry(origin.dataset).or_default();
            of.push(volume.name.clone());
        }
        census.clones.sources = census.linked.len() as u64;
        for target in catalog.targets() {
            for lun in target.luns.values() {
                let at = census.shown.entry(lun.volume.clone()).or_default();
                at.push((target.name.clone(), lun.read_only));
            }
        }
        census
    }

    /// The volume of that identity.
    pub(super) fn volume(&self, id: Uuid) -> Option<&VolumeName> {
        self.by_id.get(&id)
    }

    /// How many clones keep a volume.
    pub(super) fn clones_of(&self, volume: &VolumeName) -> u64 {
        self.linked.get(volume).copied().unwrap_or(0)
    }

    /// The clones that were made from a snapshot.
    pub(super) fn clones_of_snapshot(&self, snapshot: DatasetId) -> &[VolumeName] {
        self.of_snapshot.get(&snapshot).map_or(&[], Vec::as_slice)
    }

    /// The targets that show a volume, and whether to be read only.
    pub(super) fn shown(&self, volume: &VolumeName) -> &[(IscsiName, bool)] {
        self.shown.get(volume).map_or(&[], Vec::as_slice)
    }

    /// Clones that keep something, and what they keep.
    pub(super) fn clones(&self) -> Total {
        self.clones
    }
}
