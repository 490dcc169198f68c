//! Schedules: takes the snapshots that are due and deletes those that have had their time. What time it is
//! comes from outside.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tidelock_catalog::snapshots::Cause;
use tidelock_catalog::{
    CatalogError, Change, Command, Schedule, SnapshotRef, VolumeName, schedule,
};

use super::changes::ChangeError;
use super::snapshots::Occasion;
use super::{Registry, Writer};
use crate::quiesce::Quiesce;

/// What is known about schedules while the daemon runs.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    /// Why the last snapshot of a volume couldn't be taken, or an old one not deleted.
    problems: Mutex<HashMap<VolumeName, String>>,
}

/// How long a volume rests whose command before the snapshot has failed.
const AGAIN_MS: u64 = 60_000;

/// Commands before and after snapshots.
#[derive(Debug, Default)]
pub(super) struct Quiescing {
    commands: OnceLock<Vec<Quiesce>>,
    /// When a volume may be tried again whose command before has failed, in milliseconds since 1970-01-01
    /// UTC: applications aren't disturbed every few seconds.
    again: Mutex<HashMap<VolumeName, u64>>,
    /// Held from before the first command until after the last one.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Registry {
    /// Says what is to be done before and after the snapshots of schedules; only once.
    pub fn set_quiesce(&self, commands: Vec<Quiesce>) {
        if self.quiescing.commands.set(commands).is_err() {
            tracing::error!("the commands for snapshots were set already");
        }
    }

    fn quiesce_for(&self, volume: &VolumeName) -> Option<Quiesce> {
        let commands = self.quiescing.commands.get()?;
        let mut of_it = commands.iter();
        of_it
            .find(|quiesce| quiesce.volumes.contains(volume))
            .cloned()
    }

    /// Takes snapshots of a volume again and again, from `now` on (in milliseconds since 1970-01-01
    /// UTC), or no longer.
    ///
    /// # Errors
    /// There is no such volume, or the schedule is none.
    pub async fn set_schedule(
        self: &Arc<Self>,
        volume: VolumeName,
        times: Option<(u64, u32)>,
        now: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        let schedule = times.map(|(every_seconds, keep)| Schedule {
            every_seconds,
            keep,
            since_unix_ms: now,
        });
        self.schedules.problems.lock().remove(&volume);
        self.apply(Command::SetSchedule { volume, schedule }).await
    }

    /// Why the last snapshot of a schedule couldn't be taken, if so.
    pub(super) fn schedule_problem(&self, volume: &VolumeName) -> Option<String> {
        self.schedules.problems.lock().get(volume).cloned()
    }

    /// Does what is due at `now`, in milliseconds since 1970-01-01 UTC.
    pub async fn run_schedules(self: &Arc<Self>, now: u64) -> Vec<Change> {
        if !self.is_loaded() {
            return Vec::new();
        }
        let due: Vec<_> = self
            .catalog()
            .schedules()
            .filter(|(volume, schedule)| self.is_due(volume, schedule, now))
            .map(|(volume, schedule)| (volume.clone(), *schedule))
            .collect();
        let mut all = Vec::new();
        for (volume, schedule) in due {
            let again = self.quiescing.again.lock().get(&volume).copied();
            if again.is_some_and(|again| (now..now + AGAIN_MS).contains(&again)) {
                continue;
            }
            let name = volume.clone();
            let done = self
                .detached(async move |this| {
                    this.flush_files([&name]).await;
                    let Some(quiesce) = this.quiesce_for(&name) else {
                        return this.take_if_due(&name, schedule, now, false).await;
                    };
                    let _at_rest = this.quiescing.turn.lock().await;
                    let called = schedule::scheduled_name(now)
                        .ok_or_else(|| ChangeError::Defect(format!("no name for {now}")))?;
                    let take = this.take_if_due(&name, schedule, now, true);
                    let of = (&name, &called);
                    match quiesce.between(of, &this.stopping, take).await {
                        Ok(taken) => taken,
                        Err(reason) => {
                            let again = now.saturating_add(AGAIN_MS - 1);
                            this.quiescing.again.lock().insert(name.clone(), again);
                            Err(ChangeError::NotReady {
                                volume: name,
                                reason,
                            })
                        }
                    }
                })
                .await;
            let mut problems = self.schedules.problems.lock();
            match done {
                Ok(changes) => {
                    problems.remove(&volume);
                    all.extend(changes);
                }
                Err(error) => {
                    let reason = error.to_string();
                    // Tried every few seconds: the log is told once.
                    if problems.get(&volume) != Some(&reason) {
                        tracing::error!(%volume, %reason, "a snapshot of the schedule isn't taken");
                    }
                    problems.insert(volume, reason);
                }
            }
        }
        all
    }

    fn is_due(&self, volume: &VolumeName, schedule: &Schedule, now: u64) -> bool {
        let taken = self.scheduled_times(volume);
        schedule.is_due(taken.into_iter(), now)
    }

    /// When the snapshots of a volume were taken that its schedule took.
    pub(super) fn scheduled_times(&self, volume: &VolumeName) -> Vec<u64> {
        let served = self.volume(volume);
        let place = served.as_ref().and_then(|served| served.place());
        let (Some(served), Some((family, _))) = (served, place) else {
            return Vec::new();
        };
        let Ok(open) = family.open_family() else {
            return Vec::new();
        };
        let times = open.look(|list| {
            let all = list.of_volume(served.id()).into_iter();
            all.filter(|snapshot| snapshot.cause == Cause::Schedule)
                .map(|snapshot| snapshot.at_unix_ms)
                .collect()
        });
        times.unwrap_or_default()
    }

    async fn take_if_due(
        &self,
        volume: &VolumeName,
        schedule: Schedule,
        now: u64,
        quiesced: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        // It may be another one by now, or have had its turn.
        let current = self.catalog().schedule(volume);
        if current != Some(schedule) || !self.is_due(volume, &schedule, now) {
            return Ok(Vec::new());
        }
        let taking = self.take_scheduled(&writer, volume, schedule, now, quiesced);
        taking.await
    }

    async fn take_scheduled(
        &self,
        writer: &Writer,
        volume: &VolumeName,
        schedule: Schedule,
        now: u64,
        quiesced: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let name = schedule::scheduled_name(now)
            .ok_or_else(|| ChangeError::Defect(format!("no name for {now}")))?;
        let occasion = Occasion {
            cause: Cause::Schedule,
            group: None,
            quiesced,
            at_unix_ms: now,
        };
        let wanted = [(volume.clone(), name)];
        let (mut changes, _) = self.take(writer, &wanted, &occasion).await?;
        let member = self.member(volume)?;
        let outlived: Vec<SnapshotRef> = member.open.look(|list| {
            let all = list.outlived(member.record.id, schedule.keep).into_iter();
            all.map(|snapshot| member.called(&snapshot.name)).collect()
        })?;
        for snapshot in outlived {
            match self.delete_snapshot_now(writer, &snapshot).await {
                Ok(deleted) => changes.extend(deleted),
                // Somebody needs it: it goes when it is needed no longer.
                Err(ChangeError::Rule(
                    CatalogError::VolumeIsMapped { .. } | CatalogError::SnapshotHasClones { .. },
                )) => {}
                Err(error) => {
                    tracing::error!(%snapshot, %error, "an old snapshot of the schedule stays");
                }
            }
        }
        Ok(changes)
    }
}
