//! How clones are, in the words of the API and of DMTF. Reads live objects; changes nothing.

use tidelock_admin::v1::{self, CopyState, JobState, ProgressStatus, SyncType};
use tidelock_catalog::{CatalogError, Volume, VolumeName};

use super::Registry;
use super::changes::ChangeError;
use super::family_facts::origin_of;

/// How a clone is.
struct Condition {
    sync_type: SyncType,
    copy_state: CopyState,
    progress_status: ProgressStatus,
    percent_synced: Option<u8>,
    detail: String,
}

impl Registry {
    /// All clones.
    #[must_use]
    pub fn clones(&self) -> Vec<v1::CloneOf> {
        let catalog = self.catalog();
        let all = catalog.volumes();
        all.filter_map(|volume| self.describe_clone(volume))
            .collect()
    }

    /// One clone.
    ///
    /// # Errors
    /// There is no such volume, or it isn't one.
    pub fn clone_of(&self, name: &VolumeName) -> Result<v1::CloneOf, ChangeError> {
        let catalog = self.catalog();
        let volume = catalog.volume(name)?;
        self.describe_clone(volume).ok_or_else(|| {
            let volume = name.clone();
            CatalogError::NotAClone { volume }.into()
        })
    }

    fn describe_clone(&self, volume: &Volume) -> Option<v1::CloneOf> {
        let origin = volume.origin.as_ref()?;
        let open = volume.backing.place().and_then(|place| {
            let family = self.families.get(place.family)?;
            family.open_family().ok()
        });
        let hydration = volume.hydration.as_ref();
        let job = hydration.map(|hydration| hydration.job);
        let condition = match job {
            _ if origin.copied => full(),
            None => linked(),
            Some(job) => under_way(self.jobs.get(job)),
        };
        let mut origin = origin_of(origin, open.as_deref());
        if origin.copied {
            // Its family may be anybody's by now: who has it in his list is asked.
            origin.deleted = !self.is_listed(volume);
        }
        Some(v1::CloneOf {
            name: volume.name.to_string(),
            size_bytes: volume.size_bytes,
            origin,
            sync_type: condition.sync_type,
            copy_state: condition.copy_state,
            progress_status: condition.progress_status,
            percent_synced: condition.percent_synced,
            job,
            detail: condition.detail,
        })
    }

    /// Whether the snapshot that a full clone was made from is still there.
    fn is_listed(&self, volume: &Volume) -> bool {
        let Some(origin) = &volume.origin else {
            return false;
        };
        let families = self.families.all();
        let open = families
            .iter()
            .filter_map(|family| family.open_family().ok());
        let mut lists =
            open.filter_map(|open| open.look(|list| list.get(origin.dataset).is_some()).ok());
        lists.any(|listed| listed)
    }
}

fn linked() -> Condition {
    Condition {
        sync_type: SyncType::Snapshot,
        copy_state: CopyState::Synchronized,
        progress_status: ProgressStatus::Completed,
        percent_synced: None,
        detail: String::new(),
    }
}

fn full() -> Condition {
    Condition {
        sync_type: SyncType::Clone,
        percent_synced: Some(100),
        ..linked()
    }
}

fn under_way(job: Option<v1::Job>) -> Condition {
    let state = job.as_ref().map(|job| job.state);
    let percent = job.as_ref().and_then(|job| job.percent);
    let (copy_state, progress_status) = match state {
        Some(JobState::Suspended) => (CopyState::Unsynchronized, ProgressStatus::Pending),
        Some(JobState::ShuttingDown) => (CopyState::Unsynchronized, ProgressStatus::Aborting),
        Some(JobState::Exception) => (CopyState::Broken, ProgressStatus::Dormant),
        _ => (CopyState::Unsynchronized, ProgressStatus::Synchronizing),
    };
    let detail = job.map(|job| match job.waiting.is_empty() {
        true => job.error,
        false => job.waiting,
    });
    Condition {
        sync_type: SyncType::Clone,
        copy_state,
        progress_status,
        percent_synced: Some(percent.unwrap_or(0).min(99)),
        detail: detail.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_clone_is_what_its_job_is_at() {
        let jobs = crate::jobs::Jobs::default();
        let job = jobs.begin(v1::JobKind::Split, "k", true);
        let said = |id| {
            let now = under_way(jobs.get(id));
            (
                now.copy_state,
                now.progress_status,
                now.percent_synced,
                now.detail,
            )
        };
        use CopyState::{Broken, Unsynchronized};
        let nothing = String::new();
        let id = job.id();
        assert_eq!(
            said(id),
            (
                Unsynchronized,
                ProgressStatus::Synchronizing,
                Some(0),
                nothing.clone()
            )
        );
        job.progress(4, 4);
        assert_eq!(
            said(id),
            (
                Unsynchronized,
                ProgressStatus::Synchronizing,
                Some(99),
                nothing.clone()
            )
        );
        job.suspend("no space");
        assert_eq!(
            said(id),
            (
                Unsynchronized,
                ProgressStatus::Pending,
                Some(99),
                "no space".into()
            )
        );
        jobs.cancel(id).unwrap();
        assert_eq!(
            said(id),
            (Unsynchronized, ProgressStatus::Aborting, Some(99), nothing)
        );
        job.end(crate::jobs::JobEnd::Failed("damaged".into()));
        assert_eq!(
            said(id),
            (Broken, ProgressStatus::Dormant, Some(99), "damaged".into())
        );
        assert_eq!(full().percent_synced, Some(100));
        assert_eq!(linked().percent_synced, None);
    }
}
