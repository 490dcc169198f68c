//! How volumes are, for listings and metrics. Reads live objects; changes nothing but a fence that an
//! operator lifts.

use std::sync::Arc;
use std::time::Duration;

use tidelock_admin::v1::{VolumeCounts, VolumeState};
use tidelock_catalog::VolumeName;
use tidelock_replication::Volume;
use tidelock_scsi::MediumCondition;

use super::changes::{ChangeError, run_blocking as blocking};
use super::{Registry, ServedVolume};
use crate::admin_server::VolumeFacts;

/// Initiators of thin volumes are warned when less than this part of the file system is left.
const SOFT_THRESHOLD_PART: u64 = 10;
/// How long a listing waits for a file that doesn't answer.
const PATIENCE: Duration = Duration::from_millis(500);

impl Registry {
    /// How a volume is.
    pub async fn facts(&self, name: &VolumeName) -> VolumeFacts {
        let loaded = self.is_loaded();
        let Some(volume) = self.volume(name) else {
            let state = if loaded {
                VolumeState::Failed
            } else {
                VolumeState::Loading
            };
            return VolumeFacts {
                state,
                detail: String::new(),
                allocated_bytes: None,
            };
        };
        let (state, detail) = state(&volume);
        let allocated_bytes = match volume.store() {
            None => None,
            Some(store) => {
                let asked = tokio::task::spawn_blocking(move || store.allocated_bytes().ok());
                tokio::time::timeout(PATIENCE, asked)
                    .await
                    .ok()
                    .and_then(Result::ok)
                    .flatten()
            }
        };
        VolumeFacts {
            state,
            detail,
            allocated_bytes,
        }
    }

    /// Looks how much space is left for thin volumes, and warns initiators where it is little. Waits
    /// for file systems that don't answer.
    pub async fn note_space(&self) {
        let view = self.view();
        let noting = tokio::task::spawn_blocking(move || {
            for volume in view.volumes.values() {
                if let Some(store) = volume.store() {
                    note_space(volume, &store);
                }
            }
        });
        if let Err(error) = noting.await {
            tracing::error!(%error, "looking for space ended by a defect: please report it");
        }
    }

    /// Lets a fenced volume be used again.
    ///
    /// # Errors
    /// There is no such volume, or its file still fails.
    pub async fn unfence(&self, name: &VolumeName) -> Result<(), ChangeError> {
        self.catalog().volume(name)?;
        let Some(volume) = self.volume(name) else {
            return Ok(());
        };
        if let Some(store) = volume.store() {
            let fences = Arc::clone(&self.fences);
            blocking(move || -> Result<(), ChangeError> {
                store.unfence()?;
                // If that fails, the fence is up again after a restart, which is the safe side.
                Ok(fences.forget(volume.id())?)
            })
            .await??;
        }
        Ok(())
    }

    /// How many volumes are in which state.
    #[must_use]
    pub fn counts(&self) -> VolumeCounts {
        let view = self.view();
        let mut counts = VolumeCounts::default();
        if !view.loaded {
            counts.loading = view.catalog.volumes().len() as u64;
            return counts;
        }
        for volume in view.volumes.values() {
            match state(volume).0 {
                VolumeState::Ready => counts.ready += 1,
                VolumeState::Fenced => counts.fenced += 1,
                _ => counts.failed += 1,
            }
        }
        counts
    }

    /// How many fdatasync calls all volumes together have made.
    #[must_use]
    pub fn data_syncs(&self) -> u64 {
        let view = self.view();
        let stores = view.volumes.values().filter_map(|volume| volume.store());
        stores
            .map(|store| store.statistics().data_syncs)
            .fold(0, u64::wrapping_add)
    }
}

fn state(volume: &ServedVolume) -> (VolumeState, String) {
    let Some(store) = volume.store() else {
        return (VolumeState::Failed, volume.problem().unwrap_or_default());
    };
    match store.is_fenced() {
        Some(reason) => (VolumeState::Fenced, reason.what),
        None => medium(volume.unit().medium_condition()),
    }
}

/// What the medium as a whole is worth, in words for an operator.
fn medium(condition: MediumCondition) -> (VolumeState, String) {
    let (state, detail) = match condition {
        MediumCondition::Sound => (VolumeState::Ready, ""),
        MediumCondition::Sanitizing { .. } => (VolumeState::Ready, "is being sanitized"),
        MediumCondition::Formatting => (VolumeState::Ready, "is being formatted"),
        MediumCondition::SanitizeFailed { .. } => (
            VolumeState::Failed,
            "a sanitize operation failed: an initiator has to sanitize it again",
        ),
        MediumCondition::FormatCorrupt => (
            VolumeState::Failed,
            "a format operation failed: an initiator has to format it again",
        ),
    };
    (state, detail.to_owned())
}

/// Sets the soft threshold of a thin unit and says what is left.
fn note_space(volume: &ServedVolume, store: &Volume) {
    let unit = volume.unit();
    if !unit.config().thin {
        return;
    }
    match store.pool_space() {
        Ok(Some(pool)) => {
            unit.set_soft_threshold(Some(pool.total / SOFT_THRESHOLD_PART));
            unit.note_available(pool.available);
        }
        Ok(None) => unit.set_soft_threshold(None),
        Err(error) => {
            tracing::debug!(volume = %volume.name(), %error, "cannot tell how much space is left");
        }
    }
}
