//! Deleting volumes: the catalog first, then what nothing names any more.

use std::sync::Arc;

use tidelock_catalog as catalog;
use tidelock_catalog::{
    Backing, CatalogError, Change, Command, ListChange, Snapshot, SnapshotRef, VolumeName,
};
use tidelock_replication::Volume;

use super::changes::{ChangeError, remove_file, run_blocking};
use super::families::{OpenFamily, ServedFamily, leftover, remove_folder};
use super::served::ServedVolume;
use super::snapshots::linked_clones;
use super::{Registry, Writer};
use crate::state_dir::StateDirError;

impl Registry {
    /// Removes a volume that isn't mapped, and its file if the daemon made it; with its snapshots only if
    /// that is said.
    ///
    /// # Errors
    /// A rule or a file stands against it; then nothing has changed.
    pub async fn delete_volume(
        self: &Arc<Self>,
        volume: VolumeName,
        with_snapshots: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let mut changes = this.stop_hydration(&volume).await?;
            let writer = this.writer.lock().await;
            if !this.is_loaded() {
                return Err(ChangeError::Loading);
            }
            let deleted = this.delete_volume_now(&writer, volume, with_snapshots);
            changes.extend(deleted.await?);
            Ok(changes)
        })
        .await
    }

    /// The same, by who has the turn, of a volume to which nothing is copied.
    pub(super) async fn delete_volume_now(
        &self,
        writer: &Writer,
        volume: VolumeName,
        with_snapshots: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let record = self.catalog().volume(&volume)?.clone();
        self.check_not_receiving(&record)?;
        record.check_not_hydrating()?;
        match record.backing {
            Backing::Raw => self.delete_file_volume(writer, volume).await,
            Backing::Head(_) => self.delete_head(writer, record, with_snapshots).await,
            Backing::Snapshot(_) => Err(CatalogError::IsSnapshot { volume }.into()),
        }
    }

    pub(super) async fn delete_file_volume(
        &self,
        writer: &Writer,
        name: VolumeName,
    ) -> Result<Vec<Change>, ChangeError> {
        let store = self.deletable(&name).await?;
        let (catalog, changes, gone) = self.delete_records(writer, name).await?;
        let managed = gone.iter().any(|(record, _)| record.managed);
        self.install(catalog, &changes, None);
        if let Some(store) = store.filter(|_| managed) {
            run_blocking(move || {
                if let Err(error) = store.remove_file() {
                    tracing::warn!(%error, "the volume's file stays behind");
                }
            })
            .await?;
        }
        self.forget(gone).await?;
        Ok(changes)
    }

    /// A head of a family: its snapshots go with it, and the family with its last head.
    async fn delete_head(
        &self,
        writer: &Writer,
        record: catalog::Volume,
        with_snapshots: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let place = record.backing.place();
        let family = place.and_then(|place| self.families.get(place.family));
        let (Some(family), Some(place)) = (family, place) else {
            return Err(ChangeError::Defect("a head without its family".into()));
        };
        let open = family.open_family().map_err(|reason| {
            let volume = record.name.clone();
            ChangeError::NotReady { volume, reason }
        })?;
        let known = open.look(|list| {
            let all = list.of_volume(record.id).into_iter();
            all.cloned().collect()
        });
        let is_last = self.catalog().heads(family.id()).count() == 1;
        let snapshots: Vec<Snapshot> = match known {
            Ok(snapshots) => snapshots,
            // Whatever they are, they go with the family.
            Err(_) if with_snapshots && is_last => Vec::new(),
            Err(trouble) => return Err(trouble.into()),
        };
        self.check_snapshots_may_go(&record, &snapshots, with_snapshots)?;
        let name = record.name.clone();
        let deleted = match is_last {
            true => self.delete_last_records(writer, name, &family).await,
            false => self.delete_records(writer, name).await,
        };
        let (catalog, mut changes, gone) = deleted?;
        self.install(catalog, &changes, None);
        let family_is_gone = changes
            .iter()
            .any(|change| matches!(change, Change::FamilyDeleted(_)));
        let removed: Vec<_> = snapshots
            .iter()
            .map(|one| ListChange::Remove(one.id))
            .collect();
        let deleted = snapshots.iter().map(|one| one.id).chain([place.dataset]);
        let deleted = deleted.chain(self.receives.datasets_of(record.id));
        let deleted: Vec<_> = deleted
            .filter(|id| open.datasets().contains_key(id))
            .collect();
        let list = Arc::clone(&open);
        run_blocking(move || list.add(&removed)).await??;
        if family_is_gone {
            self.families.remove(family.id());
            let managed = changes.iter().any(
                |change| matches!(change, Change::FamilyDeleted(family) if family.home.managed),
            );
            run_blocking(move || {
                if let Err(error) = family.close() {
                    tracing::warn!(family = %family.id(), %error, "closing what is deleted");
                }
                // While it is open, and locked against other daemons.
                if managed {
                    remove_file(family.home());
                }
                remove_folder(family.folder());
            })
            .await?;
        } else {
            run_blocking(move || delete_datasets(&open, &deleted)).await?;
        }
        self.forget(gone).await?;
        changes.extend(snapshots.into_iter().map(|snapshot| {
            Change::SnapshotDeleted(SnapshotRef {
                volume: record.name.clone(),
                snapshot: snapshot.name,
            })
        }));
        Ok(changes)
    }

    /// [`Self::delete_records`] of the last volume of a family. A crash after it leaves the family's folder, which
    /// says itself then that it isn't wanted any more.
    async fn delete_last_records(
        &self,
        writer: &Writer,
        volume: VolumeName,
        family: &Arc<ServedFamily>,
    ) -> Result<(catalog::Catalog, Vec<Change>, Vec<Gone>), ChangeError> {
        let marked = Arc::clone(family);
        run_blocking(move || leftover::mark(marked.folder()))
            .await?
            .map_err(|source| StateDirError::Io {
                action: "note the deletion in",
                path: family.folder().to_path_buf(),
                source,
            })?;
        let deleted = self.delete_records(writer, volume).await;
        if deleted.is_err() {
            let marked = Arc::clone(family);
            run_blocking(move || leftover::unmark(marked.folder())).await?;
        }
        deleted
    }

    fn check_snapshots_may_go(
        &self,
        record: &catalog::Volume,
        snapshots: &[Snapshot],
        with_snapshots: bool,
    ) -> Result<(), CatalogError> {
        if !snapshots.is_empty() && !with_snapshots {
            return Err(CatalogError::VolumeHasSnapshots {
                volume: record.name.clone(),
                snapshots: snapshots.iter().map(|one| one.name.clone()).collect(),
            });
        }
        let catalog = self.catalog();
        for snapshot in snapshots {
            let clones = linked_clones(&catalog, snapshot.id);
            if !clones.is_empty() {
                let snapshot = SnapshotRef {
                    volume: record.name.clone(),
                    snapshot: snapshot.name.clone(),
                };
                return Err(CatalogError::SnapshotHasClones { snapshot, clones });
            }
        }
        Ok(())
    }

    /// Makes durable that a volume is gone, with the snapshots of it that targets have shown. The live
    /// objects are still there.
    pub(super) async fn delete_records(
        &self,
        writer: &Writer,
        volume: VolumeName,
    ) -> Result<(catalog::Catalog, Vec<Change>, Vec<Gone>), ChangeError> {
        let (catalog, changes) = self.save(writer, Command::DeleteVolume { volume }).await?;
        let gone = changes.iter().filter_map(|change| match change {
            Change::VolumeDeleted(record) => Some((record.clone(), self.volume(&record.name))),
            _ => None,
        });
        let gone = gone.collect();
        Ok((catalog, changes, gone))
    }

    /// Removes the small files about volumes that are gone. Nobody gets their identities again: what
    /// stays of them takes up space, and that is all; but a fence and a journal must not.
    pub(super) async fn forget(&self, gone: Vec<Gone>) -> Result<(), ChangeError> {
        for (record, served) in gone {
            let (fences, id) = (Arc::clone(&self.fences), record.id);
            let renewals = Arc::clone(&self.renewals);
            let journals = self.journals.clone();
            let receives = Arc::clone(&self.receives);
            run_blocking(move || {
                receives.forget(id)?;
                journals.forget(id)?;
                renewals.forget(id)?;
                fences.forget(id)
            })
            .await??;
            let Some(served) = served else { continue };
            if let Err(error) = served.reservations().forget().await {
                tracing::warn!(%error, "the record of reservations stays behind");
            }
            if let Err(error) = served.identifying().forget().await {
                tracing::warn!(%error, "the record of identifying information stays behind");
            }
        }
        Ok(())
    }

    /// The open file of a volume that is to be deleted. A file of the daemon's own is only ever removed
    /// through the open, locked volume: another daemon may have it open, after a state folder was
    /// copied.
    async fn deletable(&self, name: &VolumeName) -> Result<Option<Arc<Volume>>, ChangeError> {
        let Some(volume) = self.volume(name) else {
            return Ok(None);
        };
        let store = volume.store();
        if store.is_none() && volume.is_managed() {
            let path = volume.path();
            if run_blocking(move || path.exists()).await? {
                let reason = volume.problem().unwrap_or_default();
                let volume = name.clone();
                return Err(ChangeError::NotReady { volume, reason });
            }
        }
        Ok(store)
    }
}

/// A volume that was deleted, and what it was served as.
type Gone = (catalog::Volume, Option<Arc<ServedVolume>>);

/// Deletes datasets that nothing tells of any more. What fails is done again at the next start. Blocks.
pub(super) fn delete_datasets(open: &OpenFamily, all: &[catalog::DatasetId]) {
    for id in all {
        if let Err(error) = open.engine.delete(*id.0.as_bytes()) {
            tracing::warn!(dataset = %id, %error, "its space comes back when the daemon restarts");
        }
    }
}
