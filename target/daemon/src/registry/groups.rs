//! Groups: snapshots of several volumes at one point in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidelock_catalog::snapshots::Cause;
use tidelock_catalog::{
    Catalog, CatalogError, Change, GroupName, Snapshot, SnapshotName, VolumeId, VolumeName,
};
use uuid::Uuid;

use super::Registry;
use super::changes::ChangeError;
use super::snapshots::Occasion;

/// Snapshots that were taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) name: SnapshotName,
    pub(super) at_unix_ms: u64,
    /// How many there were.
    pub(super) members: u32,
    /// The volumes whose snapshots are still there.
    pub(super) volumes: Vec<VolumeName>,
}

impl Registry {
    /// Takes a snapshot of each volume of a group, all at one moment; `at_unix_ms` is what time it is.
    ///
    /// # Errors
    /// A rule, a volume or the disk stands against it; then there is none.
    pub async fn snapshot_group(
        self: &Arc<Self>,
        group: GroupName,
        name: SnapshotName,
        quiesced: bool,
        at_unix_ms: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let members = this.catalog().group(&group)?.members.clone();
            this.flush_files(&members).await;
            let writer = this.writer.lock().await;
            let members = this.catalog().group(&group)?.members.clone();
            let wanted: Vec<_> = members
                .into_iter()
                .map(|volume| (volume, name.clone()))
                .collect();
            let occasion = Occasion {
                cause: Cause::Operator,
                group: Some(group),
                quiesced,
                at_unix_ms,
            };
            let (changes, taken) = this.take(&writer, &wanted, &occasion).await?;
            drop(writer);
            this.confirm_together(taken).await?;
            Ok(changes)
        })
        .await
    }

    /// The volumes whose snapshots of that name were taken of a group.
    ///
    /// # Errors
    /// There is no such group, or no such set.
    pub fn volumes_of_set(
        &self,
        group: &GroupName,
        name: &SnapshotName,
    ) -> Result<Vec<VolumeName>, ChangeError> {
        Ok(self.set(group, name)?.volumes)
    }

    /// The newest set of that name of which nothing was deleted.
    ///
    /// # Errors
    /// There is no such group, or no such set.
    pub(super) fn set(&self, group: &GroupName, name: &SnapshotName) -> Result<Set, CatalogError> {
        let sets = self.sets(group)?;
        let whole = sets.into_iter().rev().find(|set| {
            set.name == *name && set.volumes.len() == usize::try_from(set.members).unwrap_or(0)
        });
        whole.ok_or_else(|| CatalogError::NoSuchSet {
            group: group.clone(),
            name: name.clone(),
        })
    }

    /// What was taken of a group, from the oldest to the newest.
    ///
    /// # Errors
    /// There is no such group.
    pub(super) fn sets(&self, group: &GroupName) -> Result<Vec<Set>, CatalogError> {
        let catalog = self.catalog();
        catalog.group(group)?;
        let names = names(&catalog);
        let mut sets: BTreeMap<Uuid, Set> = BTreeMap::new();
        for family in self.families.all() {
            let Ok(open) = family.open_family() else {
                continue;
            };
            // A list that can't be read tells of no set.
            let _ = open.look(|list| {
                for snapshot in list.iter() {
                    note(&mut sets, group, snapshot, &names);
                }
            });
        }
        let mut sets: Vec<_> = sets.into_values().collect();
        sets.sort_by(|a, b| (a.at_unix_ms, &a.name).cmp(&(b.at_unix_ms, &b.name)));
        for set in &mut sets {
            set.volumes.sort();
        }
        Ok(sets)
    }
}

fn names(catalog: &Catalog) -> BTreeMap<VolumeId, VolumeName> {
    let all = catalog.volumes();
    all.map(|volume| (volume.id, volume.name.clone())).collect()
}

fn note(
    sets: &mut BTreeMap<Uuid, Set>,
    group: &GroupName,
    snapshot: &Snapshot,
    names: &BTreeMap<VolumeId, VolumeName>,
) {
    let Some(member) = snapshot.set.as_ref().filter(|set| set.group == *group) else {
        return;
    };
    if snapshot.pending {
        return;
    }
    let set = sets.entry(member.set).or_insert_with(|| Set {
        name: snapshot.name.clone(),
        at_unix_ms: snapshot.at_unix_ms,
        members: member.members,
        volumes: Vec::new(),
    });
    set.volumes.extend(names.get(&snapshot.volume).cloned());
}
