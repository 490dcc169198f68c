//! What is left when a hydration has ended: the family without the clone, or the clone without a file.

use std::sync::Arc;

use tidelock_catalog::{
    Catalog, CatalogError, Change, Command, DatasetId, Hydration, HydrationProgress, VolumeId,
    VolumeName,
};

use super::{Halt, copying};
use crate::registry::Registry;
use crate::registry::changes::{ChangeError, remove_file, run_blocking};
use crate::registry::families::remove_folder;
use crate::registry::removal::delete_datasets;
use crate::registry::snapshots::Member;
use crate::state_dir::StateDirError;

impl Registry {
    /// A clone is its file, and the catalog says so. The writer's lock is held.
    pub(super) async fn has_parted(
        &self,
        member: &Member,
        hydration: &Hydration,
        catalog: Catalog,
        changes: &[Change],
    ) -> Result<(), ChangeError> {
        tracing::info!(volume = %member.record.name, "has a file of its own and shares nothing any more");
        member.served.become_file(self.own_path(hydration));
        self.install(catalog, changes, None);
        let family = Arc::clone(&member.family);
        let deleted = changes.iter().find_map(|change| match change {
            Change::FamilyDeleted(family) => Some(family.home.managed),
            _ => None,
        });
        let Some(managed) = deleted else {
            let datasets = datasets_of(&hydration.progress);
            let all: Vec<_> = datasets.chain([member.head]).collect();
            let open = Arc::clone(&member.open);
            return run_blocking(move || delete_datasets(&open, &all)).await;
        };
        self.families.remove(family.id());
        let open = Arc::clone(&member.open);
        run_blocking(move || {
            if let Err(error) = family.close() {
                tracing::warn!(family = %family.id(), %error, "closing what isn't needed any more");
            }
            // While it is open, and locked against other daemons.
            if managed {
                remove_file(family.home());
            }
            // The clone has had one of its files open since it was opened itself.
            if let Err(error) = open.engine.discard() {
                tracing::warn!(%error, "space comes back when the daemon restarts");
            }
            remove_folder(family.folder());
        })
        .await
    }

    /// Leaves it at that: the clone shares blocks as before, and its unfinished file is gone. Nobody works on it.
    ///
    /// # Errors
    /// The file can't be removed, or the catalog not be written.
    pub(super) async fn abandon(&self, id: VolumeId) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        let catalog = self.catalog();
        let record = catalog.volumes().find(|volume| volume.id == id).cloned();
        let Some((record, hydration)) =
            record.and_then(|record| Some((record.clone(), record.hydration?)))
        else {
            return Ok(Vec::new());
        };
        // The catalog of the next start may say that it is the clone.
        if writer.file.is_poisoned() {
            return Err(StateDirError::Poisoned {
                path: writer.file.path().to_owned(),
            }
            .into());
        }
        // The file first: as long as there may be one the catalog says so.
        let options = self.own_file(&record, &hydration);
        run_blocking(move || copying::remove(&options)).await??;
        let command = Command::EndHydration {
            volume: record.name.clone(),
        };
        let (catalog, changes) = self.save(&writer, command).await?;
        self.install(catalog, &changes, None);
        let family = record.backing.place();
        let family = family.and_then(|place| self.families.get(place.family));
        if let Some(Ok(open)) = family.map(|family| family.open_family()) {
            let all: Vec<_> = datasets_of(&hydration.progress).collect();
            run_blocking(move || delete_datasets(&open, &all)).await?;
        }
        Ok(changes)
    }

    /// Ends the hydration of a volume that is about to be deleted, and waits for that. No effect if there is none.
    ///
    /// # Errors
    /// A rule stands against the deletion, or its unfinished file can't be removed.
    pub(in crate::registry) async fn stop_hydration(
        &self,
        name: &VolumeName,
    ) -> Result<Vec<Change>, ChangeError> {
        let catalog = self.catalog();
        let Ok(record) = catalog.volume(name) else {
            return Ok(Vec::new());
        };
        let Some(hydration) = &record.hydration else {
            return Ok(Vec::new());
        };
        let delete = Command::DeleteVolume {
            volume: name.clone(),
        };
        (*catalog).clone().apply(delete)?;
        // It may have ended by now.
        let _ = self.jobs.cancel(hydration.job);
        loop {
            let ended = self.hydrations.ended.notified();
            if !self.hydrations.has(record.id) {
                break;
            }
            ended.await;
        }
        self.abandon(record.id).await
    }

    /// Gives up the hydration of a job that has failed.
    ///
    /// # Errors
    /// Its unfinished file can't be removed, or the catalog not be written. `None`: there is none.
    pub async fn abandon_failed(&self, job: u64) -> Option<Result<Vec<Change>, ChangeError>> {
        let catalog = self.catalog();
        let is_it = |hydration: &Hydration| hydration.job == job;
        let record = catalog
            .volumes()
            .find(|volume| volume.hydration.as_ref().is_some_and(is_it))?;
        if self.hydrations.has(record.id) {
            return None;
        }
        Some(self.abandon(record.id).await)
    }

    /// Forgets the snapshot that was being copied: the next try takes a new one. If that fails it tries the old one.
    pub(super) async fn forget_round(&self, id: VolumeId) {
        let Ok((member, hydration)) = self.hydrating(id) else {
            return;
        };
        let before = hydration.progress;
        // The file may have some of it, of which what differs between the one before and a new one knows nothing:
        // that goes as well.
        let progress = HydrationProgress::default();
        if before.next.is_some() && self.note(id, progress).await.is_ok() {
            let _ = self.forget_snapshots(&member, &before).await;
        }
    }

    pub(super) async fn forget_snapshots(
        &self,
        member: &Member,
        progress: &HydrationProgress,
    ) -> Result<(), Halt> {
        let all: Vec<_> = datasets_of(progress).collect();
        let open = Arc::clone(&member.open);
        run_blocking(move || delete_datasets(&open, &all)).await?;
        Ok(())
    }

    /// Forgets what a clone was made from, which shares nothing with it.
    ///
    /// # Errors
    /// It does.
    pub async fn detach_clone(
        self: &Arc<Self>,
        volume: VolumeName,
    ) -> Result<Vec<Change>, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let origin = self.catalog().volume(&volume)?.origin.clone();
        if origin.is_none() {
            return Err(CatalogError::NotAClone { volume }.into());
        }
        self.apply(Command::DetachClone { volume }).await
    }
}

/// The snapshots of which nobody is told.
pub(in crate::registry) fn datasets_of(
    progress: &HydrationProgress,
) -> impl Iterator<Item = DatasetId> + use<> {
    progress.base.into_iter().chain(progress.next)
}
