//! How volumes are, for listings and metrics. Reads live objects; changes nothing but a fence that an
//! operator lifts.

use std::sync::Arc;
use std::time::Duration;

use tidelock_admin::v1::{self, VolumeCounts, VolumeState};
use tidelock_catalog::VolumeName;
use tidelock_replication::Volume;
use tidelock_scsi::{MediumCondition, ReservationChange, ReservationReport, ReservationType};

use super::changes::{ChangeError, run_blocking as blocking};
use super::reservations::ReservationError;
use super::{Registry, ServedVolume, Space};
use crate::admin_server::VolumeFacts;

/// How long a listing waits for a file that doesn't answer.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

impl Registry {
    /// How a volume is; `thorough`: with what all that it shares takes.
    pub async fn facts(self: &Arc<Self>, name: &VolumeName, thorough: bool) -> VolumeFacts {
        let loaded = self.is_loaded();
        let Some(volume) = self.volume(name) else {
            let state = if loaded {
                VolumeState::Failed
            } else {
                VolumeState::Loading
            };
            return VolumeFacts {
                path: String::new(),
                state,
                detail: String::new(),
                allocated_bytes: None,
                used_bytes: None,
                reservations: None,
                family: None,
            };
        };
        let (state, mut detail) = state(&volume);
        if detail.is_empty() {
            detail = self.snapshots_problem(name).unwrap_or_default();
        }
        let measured = Arc::clone(&volume);
        let asked = tokio::task::spawn_blocking(move || measured.measure());
        let asked = tokio::time::timeout(PATIENCE, asked);
        let taking = volume.store();
        let used = tokio::task::spawn_blocking(move || taking?.space_used().ok());
        let used = tokio::time::timeout(PATIENCE, used);
        let mut family = self.family_facts(name);
        if let (Some(known), true) = (&family, thorough) {
            let (this, named, mut known) = (Arc::clone(self), name.clone(), known.clone());
            let told = tokio::task::spawn_blocking(move || {
                this.find_out(&named, &mut known);
                known
            });
            if let Ok(Ok(known)) = tokio::time::timeout(PATIENCE, told).await {
                family = Some(known);
            }
        }
        let allocated_bytes = asked.await.ok().and_then(Result::ok).flatten();
        let used_bytes = used.await.ok().and_then(Result::ok).flatten();
        VolumeFacts {
            path: volume.path().display().to_string(),
            state,
            detail,
            allocated_bytes,
            used_bytes,
            reservations: reservations(&volume.unit().reservations()),
            family,
        }
    }

    /// Ends all reservations and registrations of a volume.
    ///
    /// # Errors
    /// There is no such volume, or that can't be made durable.
    pub async fn clear_reservations(
        self: &Arc<Self>,
        name: &VolumeName,
    ) -> Result<(), ChangeError> {
        self.catalog().volume(name)?;
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let Some(volume) = self.volume(name) else {
            return Ok(());
        };
        // A task of its own: it must run to its end even if the client hangs up.
        let this = Arc::clone(self);
        let clearing = tokio::spawn(async move {
            let change = ReservationChange::operator_clear();
            let cleared = this.change_reservations(&volume, &change).await;
            if cleared.is_ok() {
                tracing::info!(volume = %volume.name(), "an operator cleared all reservations");
            }
            cleared
        });
        match clearing.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(ReservationError::NotKept(error))) => Err(error.into()),
            Ok(Err(ReservationError::OtherPart(reason))) => Err(ChangeError::Mirror(reason)),
            Ok(Err(error)) => Err(ChangeError::Defect(error.to_string())),
            Err(error) => Err(ChangeError::Defect(error.to_string())),
        }
    }

    /// Looks how much space is left for thin volumes, and warns initiators where less than `percent` of
    /// a file system is, or less than they want of the volume's own limit; nobody of the first, if that is 0.
    /// Tells of whom it has warned. Waits for file systems that don't answer.
    pub async fn note_space(&self, percent: u64) -> Vec<v1::EventKind> {
        let view = self.view();
        let folder = self.volumes.clone();
        let space = tokio::task::spawn_blocking(move || Space::of(&folder)).await;
        *self.space.lock() = space.ok().flatten();
        let noting = tokio::task::spawn_blocking(move || {
            let volumes = view.volumes.values();
            let warned = volumes.filter_map(|volume| {
                let store = volume.store()?;
                note_space(volume, &store, percent)
            });
            warned.collect()
        });
        noting.await.unwrap_or_else(|error| {
            tracing::error!(%error, "looking for space ended by a defect: please report it");
            Vec::new()
        })
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
    if let Some(problem) = volume.reservations().problem() {
        let name = volume.name();
        let detail = format!(
            "its reservations can't be read ({problem}); `tidelock reservation clear {name}` ends them"
        );
        return (VolumeState::Failed, detail);
    }
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

/// Sets the soft threshold of a thin unit and says what is left. The event, if hosts are warned by it.
fn note_space(volume: &ServedVolume, store: &Volume, percent: u64) -> Option<v1::EventKind> {
    let used = store.space_used();
    volume.set_used(used.as_ref().ok().copied());
    let unit = volume.unit();
    if !unit.config().thin {
        return None;
    }
    let found = used.and_then(|used| Ok((store.pool_space()?, used)));
    let (pool, used) = match found {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(volume = %volume.name(), %error, "cannot tell how much space is left");
            return None;
        }
    };
    let limits = volume.limits();
    let own = limits.limit_bytes.zip(limits.warn_percent);
    let left = limits.limit_bytes.map(|most| most.saturating_sub(used));
    let threshold = match (own, pool.as_ref()) {
        (Some((most, warn)), _) => Some(most / 100 * u64::from(100 - warn.min(99))),
        (None, Some(pool)) if percent > 0 => Some(pool.total / 100 * percent),
        _ => None,
    };
    unit.set_soft_threshold(threshold);
    let free = pool.map(|pool| pool.available);
    // A limit nobody wants to be warned of isn't what the threshold is about.
    let left = left.filter(|_| own.is_some());
    let available = free.into_iter().chain(left).min()?;
    unit.note_available(available)
        .then(|| v1::EventKind::SpaceRunsOut {
            volume: volume.name().to_string(),
            used_bytes: used,
            available_bytes: available,
        })
}

/// Reservations in the words of the API; `None` if nobody has a part in any.
fn reservations(report: &ReservationReport) -> Option<v1::Reservations> {
    if report.registrants.is_empty() && report.reserved_by.is_none() {
        return None;
    }
    let registrants = report.registrants.iter().map(|one| v1::Registrant {
        initiator_port: one.initiator_port.clone(),
        relative_port: one.relative_port,
        key: format!("{:#018x}", one.key),
        holder: one.holder,
    });
    Some(v1::Reservations {
        reservation: report.kind.map(reservation_type),
        reserved_by: report.reserved_by.clone(),
        registrants: registrants.collect(),
        persistent: report.persists,
    })
}

fn reservation_type(kind: ReservationType) -> v1::ReservationType {
    use v1::ReservationType as Named;
    match kind {
        ReservationType::WriteExclusive => Named::WriteExclusive,
        ReservationType::ExclusiveAccess => Named::ExclusiveAccess,
        ReservationType::WriteExclusiveRegistrantsOnly => Named::WriteExclusiveRegistrantsOnly,
        ReservationType::ExclusiveAccessRegistrantsOnly => Named::ExclusiveAccessRegistrantsOnly,
        ReservationType::WriteExclusiveAllRegistrants => Named::WriteExclusiveAllRegistrants,
        ReservationType::ExclusiveAccessAllRegistrants => Named::ExclusiveAccessAllRegistrants,
    }
}
