//! Clones that get blocks of their own: copied in the background while hosts go on, until the clone is a file
//! that shares nothing. Until the catalog says so the clone is a head of its family, and a crash at any instant
//! leaves one of both.
//!
//! What is copied is a snapshot of the clone that nobody is told of, then what differs between it and a newer
//! one, and so on; each is durable in the file before the catalog says that the file has it, and a restart goes
//! on from there. The last difference, which is small, is copied while hosts wait.

mod beginning;
mod copying;
mod ending;
mod pacing;
mod parting;
mod rounds;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tidelock_admin::v1::JobKind;
use tidelock_catalog as catalog;
use tidelock_catalog::{Change, Hydration, VolumeId};
use tidelock_replication::{OpenOptions, VolumeError};
use tokio::sync::Notify;

use super::Registry;
use super::changes::ChangeError;
use super::families::kept_path;
use super::snapshots::Member;
use crate::jobs::{JobEnd, Jobs, RunningJob};
use copying::Watcher;
pub(super) use ending::datasets_of;

/// From one try to the next, of one that waits for space or for its volume.
const RETRY: Duration = Duration::from_secs(1);

/// The clones that are getting blocks of their own, while the daemon runs.
#[derive(Debug, Default)]
pub(super) struct Hydrations {
    /// Those that nobody works on yet.
    ready: Mutex<HashMap<VolumeId, Arc<RunningJob>>>,
    /// Those that somebody works on.
    running: Mutex<HashMap<VolumeId, Arc<RunningJob>>>,
    /// Rung when there is one more.
    bell: Notify,
    /// Rung when one has ended.
    ended: Notify,
    /// Held for reading by each of them, so that the daemon can wait for their end.
    gate: tokio::sync::RwLock<()>,
}

/// Why a hydration doesn't go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// For a while, for this reason.
    Pause(String),
    /// Somebody has cancelled it.
    Cancelled,
    /// The daemon stops.
    Stopping,
    /// There is nothing to do any more.
    Gone,
    /// For good.
    Failed(String),
}

impl From<ChangeError> for Halt {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotReady { .. } | ChangeError::Loading => Self::Pause(error.to_string()),
            ChangeError::Volume(error) => error.into(),
            // Nothing was changed, and there may be space again.
            ChangeError::StateDir(error) if error.is_full() => Self::Pause(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<VolumeError> for Halt {
    fn from(error: VolumeError) -> Self {
        match error {
            VolumeError::NoSpace { .. } | VolumeError::NotQuiet { .. } => {
                Self::Pause(error.to_string())
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

impl Hydrations {
    /// One more, with its job.
    pub(super) fn add(&self, id: VolumeId, job: RunningJob) {
        self.ready.lock().insert(id, Arc::new(job));
        self.bell.notify_one();
    }

    /// Whether somebody works on it, or is about to.
    pub(super) fn has(&self, id: VolumeId) -> bool {
        self.ready.lock().contains_key(&id) || self.running.lock().contains_key(&id)
    }
}

impl Registry {
    /// Takes notice of the hydrations that an earlier daemon has left unfinished.
    pub(super) fn resume_hydrations(&self) {
        for volume in self.catalog().volumes() {
            if let Some(hydration) = &volume.hydration {
                let job = job_of(&self.jobs, volume, hydration);
                self.hydrations.add(volume.id, job);
            }
        }
    }

    /// Waits until there is a clone that nobody works on yet: [`Self::hydrate`] does.
    pub async fn next_hydration(&self) -> VolumeId {
        loop {
            let rung = self.hydrations.bell.notified();
            {
                // Under one lock, or there were a moment in which nobody has it.
                let mut ready = self.hydrations.ready.lock();
                let next = ready.keys().next().copied();
                if let Some((id, job)) = next.and_then(|id| ready.remove_entry(&id)) {
                    self.hydrations.running.lock().insert(id, job);
                    return id;
                }
            }
            rung.await;
        }
    }

    /// Gives a clone blocks of its own. Returns when that is done, or has failed, or isn't wanted any more.
    pub async fn hydrate(self: &Arc<Self>, id: VolumeId) -> Vec<Change> {
        let job = self.hydrations.running.lock().get(&id).cloned();
        let Some(job) = job else {
            return Vec::new();
        };
        let this = Arc::clone(self);
        let (work, own) = (Arc::clone(&job), Arc::clone(&job));
        let done = self.detached(async move |_| Ok(this.to_its_end(id, work).await));
        let changes = done.await.unwrap_or_default();
        // Not before it is known what has become of it.
        self.hydrations.running.lock().remove(&id);
        self.hydrations.ended.notify_waiters();
        drop(own);
        changes
    }

    async fn to_its_end(self: &Arc<Self>, id: VolumeId, job: Arc<RunningJob>) -> Vec<Change> {
        let _gate = self.hydrations.gate.read().await;
        let watcher = Watcher {
            job: Arc::clone(&job),
            stopping: Arc::clone(&self.stopping),
            directory: Arc::clone(&self.directory),
        };
        loop {
            let halt = if watcher.is_wanted() {
                match self.go_through(id, &watcher).await {
                    Ok(changes) => {
                        job.end(JobEnd::Completed);
                        return changes;
                    }
                    Err(halt) => halt,
                }
            } else if job.is_cancelled() {
                Halt::Cancelled
            } else {
                Halt::Stopping
            };
            match halt {
                Halt::Pause(reason) => {
                    tracing::info!(volume = %id, %reason, "a full clone waits");
                    job.suspend(reason);
                    self.pause(&watcher).await;
                }
                Halt::Cancelled => {
                    return match self.abandon(id).await {
                        Ok(changes) => {
                            job.end(JobEnd::Terminated);
                            changes
                        }
                        Err(error) => {
                            job.end(JobEnd::Failed(error.to_string()));
                            Vec::new()
                        }
                    };
                }
                // It goes on after the restart.
                Halt::Stopping => {
                    job.end(JobEnd::Terminated);
                    return Vec::new();
                }
                Halt::Gone => {
                    job.end(JobEnd::Terminated);
                    return Vec::new();
                }
                Halt::Failed(reason) => {
                    tracing::error!(volume = %id, %reason, "a full clone can't be made: it stays a linked one");
                    // What can't be copied today is not what is copied at the next try.
                    self.forget_round(id).await;
                    job.end(JobEnd::Failed(reason));
                    return Vec::new();
                }
            }
        }
    }

    /// Waits until nobody works on any: the daemon stops.
    pub(super) async fn hydrations_ended(&self) {
        drop(self.hydrations.gate.write().await);
    }

    async fn pause(&self, watcher: &Watcher) {
        let until = tokio::time::Instant::now() + RETRY;
        while tokio::time::Instant::now() < until && !self.stopping.load(Ordering::SeqCst) {
            let nap = tokio::time::sleep(Duration::from_millis(100));
            tokio::select! {
                () = nap => {}
                () = watcher.job.cancelled() => return,
            }
        }
    }

    /// The clone of that identity with what is under way, ready to be worked on.
    fn hydrating(&self, id: VolumeId) -> Result<(Member, Hydration), Halt> {
        let catalog = self.catalog();
        let record = catalog.volumes().find(|volume| volume.id == id);
        let record = record.ok_or(Halt::Gone)?;
        let hydration = record.hydration.clone().ok_or(Halt::Gone)?;
        let member = self.member(&record.name)?;
        Ok((member, hydration))
    }

    /// How the file is opened that a clone gets.
    fn own_file(&self, record: &catalog::Volume, hydration: &Hydration) -> OpenOptions {
        let path = self.own_path(hydration);
        OpenOptions {
            block_size: record.block_size.bytes(),
            journal: Some(self.journals.place(record.id)),
            ..OpenOptions::new(&path)
        }
    }

    fn own_path(&self, hydration: &Hydration) -> PathBuf {
        kept_path(&hydration.file, true, &self.volumes)
    }
}

/// The job of a hydration.
fn job_of(jobs: &Jobs, volume: &catalog::Volume, hydration: &Hydration) -> RunningJob {
    let kind = match hydration.split {
        true => JobKind::Split,
        false => JobKind::Hydrate,
    };
    jobs.resume(hydration.job, kind, &volume.name, true)
}
