//! Long jobs: which are under way, how far they are, and what became of the last ones. Knows nothing of what
//! they do: whoever does the work tells, and looks whether it is still wanted.

mod pace;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;
use tidelock_admin::v1::{self, JobKind, JobState};
use tidelock_catalog::schedule::time_text;
use tokio::sync::Notify;

use crate::events::unix_ms;
use pace::Pace;

/// Jobs that have ended and are still told of.
const ENDED_MAX: usize = 64;

/// All jobs.
#[derive(Debug, Default)]
pub struct Jobs {
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    /// The highest number that was given.
    last: u64,
    jobs: BTreeMap<u64, Arc<Job>>,
}

#[derive(Debug)]
struct Job {
    id: u64,
    kind: JobKind,
    volume: String,
    cancellable: bool,
    started_unix_ms: u64,
    started: Instant,
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
    /// Rung when it is cancelled.
    bell: Notify,
    fate: Mutex<Fate>,
}

#[derive(Debug)]
struct Fate {
    state: JobState,
    pace: Pace,
    waiting: String,
    error: String,
    report: Option<v1::CheckReport>,
    ended: Option<(Instant, u64)>,
}

/// How a job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// Well.
    Completed,
    /// The same, of a job that looks for damage: what it has found.
    Found(v1::CheckReport),
    /// It was cancelled.
    Terminated,
    /// It has failed, and why.
    Failed(String),
}

/// Why a job can't be cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotCancelled {
    /// There is none of that number.
    None,
    /// It has ended like this.
    Ended(JobState),
    /// It can't be ended half-way.
    Never,
    /// What it has left can't be removed, and why.
    Failed(String),
}

/// The job in the hands of whoever does the work. Dropped without an end it has failed by a defect.
#[derive(Debug)]
pub struct RunningJob {
    job: Arc<Job>,
}

impl Jobs {
    /// A new job, which runs. `volume` is what it is done to, in words.
    pub fn begin(&self, kind: JobKind, volume: impl ToString, cancellable: bool) -> RunningJob {
        let id = self.reserve();
        self.resume(id, kind, volume, cancellable)
    }

    /// A number that no job has.
    pub fn reserve(&self) -> u64 {
        let mut all = self.all.lock();
        all.last += 1;
        all.last
    }

    /// A job that has its number already: from [`Self::reserve`], or from before a restart.
    pub fn resume(
        &self,
        id: u64,
        kind: JobKind,
        volume: impl ToString,
        cancellable: bool,
    ) -> RunningJob {
        let job = Arc::new(Job {
            id,
            kind,
            volume: volume.to_string(),
            cancellable,
            started_unix_ms: unix_ms(SystemTime::now()),
            started: Instant::now(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            bell: Notify::new(),
            fate: Mutex::new(Fate {
                state: JobState::Running,
                pace: Pace::default(),
                waiting: String::new(),
                error: String::new(),
                report: None,
                ended: None,
            }),
        });
        let mut all = self.all.lock();
        all.last = all.last.max(id);
        all.jobs.insert(id, Arc::clone(&job));
        let ended = |job: &Arc<Job>| job.fate.lock().ended.is_some();
        let old: Vec<u64> = all
            .jobs
            .values()
            .filter(|job| ended(job))
            .map(|job| job.id)
            .collect();
        for id in old.iter().take(old.len().saturating_sub(ENDED_MAX)) {
            all.jobs.remove(id);
        }
        RunningJob { job }
    }

    /// All of them, by number.
    #[must_use]
    pub fn list(&self) -> Vec<v1::Job> {
        let all: Vec<_> = self.all.lock().jobs.values().cloned().collect();
        all.iter().map(|job| job.describe()).collect()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<v1::Job> {
        Some(self.find(id)?.describe())
    }

    /// Tells a job to end. No effect if it was told already.
    ///
    /// # Errors
    /// There is none, it has ended, or it can't be ended half-way.
    pub fn cancel(&self, id: u64) -> Result<(), NotCancelled> {
        let job = self.find(id).ok_or(NotCancelled::None)?;
        let mut fate = job.fate.lock();
        if fate.ended.is_some() {
            return Err(NotCancelled::Ended(fate.state));
        }
        if !job.cancellable {
            return Err(NotCancelled::Never);
        }
        fate.state = JobState::ShuttingDown;
        fate.waiting.clear();
        drop(fate);
        job.cancelled.store(true, Ordering::SeqCst);
        job.bell.notify_waiters();
        Ok(())
    }

    fn find(&self, id: u64) -> Option<Arc<Job>> {
        self.all.lock().jobs.get(&id).cloned()
    }
}

impl Job {
    fn describe(&self) -> v1::Job {
        let fate = self.fate.lock();
        let (done, total) = (
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        );
        let percent = match fate.state {
            JobState::Completed => Some(100),
            // All of it and not done yet is 99: 100 is a promise.
            _ => percent(done, total).map(|percent| percent.min(99)),
        };
        let bytes_per_second = match &fate.ended {
            Some((at, _)) => pace::per_second(done, at.duration_since(self.started)),
            None => fate.pace.per_second(Instant::now()),
        };
        v1::Job {
            id: self.id,
            kind: self.kind,
            volume: self.volume.clone(),
            state: fate.state,
            percent,
            done_bytes: done,
            total_bytes: total,
            bytes_per_second,
            started: time_text(self.started_unix_ms),
            ended: fate.ended.map(|(_, at)| time_text(at)),
            cancellable: self.cancellable && fate.ended.is_none(),
            waiting: fate.waiting.clone(),
            error: fate.error.clone(),
            report: fate.report.clone(),
        }
    }
}

/// How many of a hundred; `None` if nobody knows what all of it is.
fn percent(done: u64, total: u64) -> Option<u8> {
    let percent = (u128::from(done) * 100).checked_div(u128::from(total))?;
    Some(u8::try_from(percent).unwrap_or(100).min(100))
}

impl RunningJob {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.job.id
    }

    /// How far it is, in bytes. It isn't suspended any more.
    pub fn progress(&self, done: u64, total: u64) {
        let mut fate = self.job.fate.lock();
        if fate.ended.is_some() {
            return;
        }
        self.job.done.store(done, Ordering::Relaxed);
        self.job.total.store(total, Ordering::Relaxed);
        fate.pace.note(Instant::now(), done);
        if fate.state == JobState::Suspended {
            fate.state = JobState::Running;
            fate.waiting.clear();
        }
    }

    /// It waits, and for what.
    pub fn suspend(&self, waiting: impl ToString) {
        let mut fate = self.job.fate.lock();
        if matches!(fate.state, JobState::Running | JobState::Suspended) {
            fate.state = JobState::Suspended;
            fate.waiting = waiting.to_string();
        }
    }

    /// Whether it was told to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.job.cancelled.load(Ordering::SeqCst)
    }

    /// Ready when it is told to end.
    pub async fn cancelled(&self) {
        loop {
            let rung = self.job.bell.notified();
            if self.is_cancelled() {
                return;
            }
            rung.await;
        }
    }

    /// It has ended. No effect if it had.
    pub fn end(&self, end: JobEnd) {
        let mut fate = self.job.fate.lock();
        if fate.ended.is_some() {
            return;
        }
        fate.waiting.clear();
        fate.ended = Some((Instant::now(), unix_ms(SystemTime::now())));
        match end {
            JobEnd::Completed => fate.state = JobState::Completed,
            JobEnd::Found(report) => {
                fate.state = JobState::Completed;
                fate.report = Some(report);
            }
            JobEnd::Terminated => fate.state = JobState::Terminated,
            JobEnd::Failed(error) => {
                fate.state = JobState::Exception;
                fate.error = error;
            }
        }
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        let what = "it ended by a defect: please report it, with the log";
        self.end(JobEnd::Failed(what.to_owned()));
    }
}

#[cfg(test)]
mod tests;
