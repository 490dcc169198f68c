//! How a clone begins to get blocks of its own: from the moment on when it is made, or later.

use std::path::PathBuf;
use std::sync::Arc;

use tidelock_catalog::{
    CatalogError, Change, Command, Hydration, HydrationProgress, VolumeId, VolumeName,
};

use super::job_of;
use crate::registry::Registry;
use crate::registry::changes::{ChangeError, run_blocking};

/// Names that are tried for a file.
const NAMES_MAX: u32 = 1_000;

impl Registry {
    /// Begins to make a full clone of a linked one; tells the number of the job.
    ///
    /// # Errors
    /// A rule or the disk stands against it; then nothing has changed.
    pub async fn split_clone(
        self: &Arc<Self>,
        volume: VolumeName,
        bytes_per_second: Option<u64>,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| this.split_now(volume, bytes_per_second).await)
            .await
    }

    async fn split_now(
        &self,
        name: VolumeName,
        bytes_per_second: Option<u64>,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let record = self.catalog().volume(&name)?.clone();
        if let Some(hydration) = &record.hydration {
            if self.hydrations.has(record.id) {
                record.check_not_hydrating()?;
            }
            // It has failed: once more from where it was.
            self.hydrations
                .add(record.id, job_of(&self.jobs, &record, hydration));
            let job = hydration.job;
            return Ok(vec![Change::HydrationBegun { volume: name, job }]);
        }
        if record.origin.is_none() {
            return Err(CatalogError::NotAClone { volume: name }.into());
        }
        if record.origin.as_ref().is_some_and(|origin| origin.copied) {
            return Err(CatalogError::IsFullClone { volume: name }.into());
        }
        self.check_not_receiving(&record)?;
        let member = self.member(&name)?;
        let snapshots = member.open.look(|list| {
            let all = list.of_volume(record.id).into_iter();
            all.map(|snapshot| snapshot.name.clone())
                .collect::<Vec<_>>()
        })?;
        if !snapshots.is_empty() {
            let volume = name;
            return Err(CatalogError::SnapshotsStay { volume, snapshots }.into());
        }
        let hydration = self
            .new_hydration(&name, record.id, true, bytes_per_second, &[])
            .await?;
        let begin = Command::BeginHydration {
            volume: name,
            hydration: hydration.clone(),
        };
        let (catalog, changes) = self.save(&writer, begin).await?;
        self.install(catalog, &changes, None);
        let job = job_of(&self.jobs, &record, &hydration);
        self.hydrations.add(record.id, job);
        Ok(changes)
    }

    /// What is to be kept of a hydration that is about to begin. Its file isn't made yet, and isn't one of `taken`,
    /// which others are to have that the catalog doesn't know yet.
    pub(in crate::registry) async fn new_hydration(
        &self,
        name: &VolumeName,
        id: VolumeId,
        split: bool,
        bytes_per_second: Option<u64>,
        taken: &[String],
    ) -> Result<Hydration, ChangeError> {
        let catalog = self.catalog();
        let mut free = None;
        for number in 0..NAMES_MAX {
            let path = self.volumes.join(match number {
                0 => format!("{name}.img"),
                // What a volume of that name has left, or another clone needs.
                _ => format!("{name}.{number}.img"),
            });
            let text = path.to_string_lossy().into_owned();
            let is_named = catalog.volumes().any(|volume| {
                let own = volume.hydration.as_ref().map(|own| &own.file);
                volume.path.as_ref() == Some(&text) || own == Some(&text)
            });
            let is_home = catalog.families().any(|family| family.home.path == text);
            let is_taken = is_named || is_home || taken.contains(&text);
            if !is_taken && !run_blocking(move || is_there(path)).await? {
                free = Some(text);
                break;
            }
        }
        let file = free.ok_or_else(|| {
            ChangeError::Defect(format!("no name is left for the file of {name} ({id})"))
        })?;
        Ok(Hydration {
            file,
            job: self.jobs.reserve(),
            split,
            bytes_per_second,
            progress: HydrationProgress::default(),
        })
    }

    /// A clone that was made with a hydration is told of and worked on.
    pub(in crate::registry) fn begin_hydrating(&self, changes: &[Change]) {
        let catalog = self.catalog();
        for change in changes {
            let Change::HydrationBegun { volume, .. } = change else {
                continue;
            };
            let record = catalog.volume(volume).ok();
            if let Some((record, hydration)) =
                record.and_then(|record| Some((record, record.hydration.as_ref()?)))
            {
                self.hydrations
                    .add(record.id, job_of(&self.jobs, record, hydration));
            }
        }
    }
}

fn is_there(path: PathBuf) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}
