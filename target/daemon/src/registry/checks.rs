//! Looking for damage in what volumes share, as jobs. Changes nothing of it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tidelock_admin::v1::{self, JobKind};
use tidelock_catalog::{CatalogError, DatasetRef, VolumeName};
use tidelock_replication::VerifyReport;

use super::Registry;
use super::changes::{ChangeError, run_blocking};
use super::family_facts::Point;
use super::scrubs::{Kept, Scrub};
use crate::jobs::{JobEnd, RunningJob};

/// How far a scrub is is noted so often.
const NOTE: Duration = Duration::from_secs(5);
/// A scrub that has a rate looks so often whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

impl Registry {
    /// Begins to look whether every block that a volume and those it shares blocks with use has one owner.
    ///
    /// # Errors
    /// The volume shares nothing, or isn't there.
    pub async fn verify_volume(
        self: &Arc<Self>,
        name: &VolumeName,
    ) -> Result<v1::Job, ChangeError> {
        self.check_has_checksums(name)?;
        let member = self.member(name)?;
        let job = self.jobs().begin(JobKind::Verify, name, true);
        let (id, stopping, name) = (job.id(), Arc::clone(&self.stopping), name.to_string());
        tokio::spawn(run_blocking(move || {
            let verified = member.open.engine.verify(&mut |progress| {
                job.progress(progress.done, progress.total);
                go_on(!job.is_cancelled() && !stopping.load(Ordering::SeqCst))
            });
            let end = match verified {
                Ok(_) if job.is_cancelled() => JobEnd::Terminated,
                Ok(_) if stopping.load(Ordering::SeqCst) => JobEnd::Terminated,
                Ok(report) => JobEnd::Found(in_words(name, &report)),
                Err(error) => JobEnd::Failed(error.to_string()),
            };
            job.end(end);
        }));
        self.described(id)
    }

    /// Begins to look whether the blocks of a volume or a snapshot are what they were when they were written, at
    /// so many bytes a second at most. It goes on after a restart.
    ///
    /// # Errors
    /// The volume shares nothing, or isn't there; or it can't be noted.
    pub async fn scrub(
        self: &Arc<Self>,
        what: &DatasetRef,
        rate: Option<u64>,
    ) -> Result<v1::Job, ChangeError> {
        self.check_has_checksums(&what.volume)?;
        let point = self.point(what)?;
        let scrub = Scrub::new(self.jobs().reserve(), what, point.dataset, rate);
        let kept = self.scrubs.keep(scrub);
        let kept = run_blocking(move || kept.note().map(|()| kept)).await??;
        let job = self
            .jobs()
            .resume(kept.scrub.job, JobKind::Scrub, what, true);
        let id = job.id();
        self.run_scrub(kept, job, point);
        self.described(id)
    }

    /// Goes on with the scrubs that an earlier daemon didn't finish. Blocks.
    pub(super) fn resume_scrubs(self: &Arc<Self>) {
        for kept in self.scrubs.left() {
            let scrub = &kept.scrub;
            let job = self
                .jobs()
                .resume(scrub.job, JobKind::Scrub, scrub.what(), true);
            job.progress(scrub.done, 0);
            let end = match scrub.point().map(|what| self.point(&what)) {
                Ok(Ok(point)) if point.dataset.to_string() == scrub.dataset => {
                    self.run_scrub(kept, job, point);
                    continue;
                }
                // The next start may find it.
                Ok(Err(error @ ChangeError::NotReady { .. })) => error.to_string(),
                Ok(Ok(_)) => {
                    kept.forget();
                    format!("{} is another one than it was", kept.scrub.what())
                }
                Ok(Err(error)) => {
                    kept.forget();
                    error.to_string()
                }
                Err(reason) => {
                    kept.forget();
                    reason
                }
            };
            job.end(JobEnd::Failed(end));
        }
    }

    fn run_scrub(&self, mut kept: Kept, job: RunningJob, point: Point) {
        let stopping = Arc::clone(&self.stopping);
        tokio::spawn(run_blocking(move || {
            let id = *point.dataset.0.as_bytes();
            let (from, rate) = (kept.scrub.done, kept.scrub.rate);
            let mut report = kept.scrub.found();
            let is_wanted = || !job.is_cancelled() && !stopping.load(Ordering::SeqCst);
            let (mut noted, before) = (Instant::now(), report.checked_bytes);
            let begun = noted;
            let engine = &point.open.engine;
            let scrubbed = engine.scrub(id, from, &mut report, &mut |progress, found| {
                job.progress(progress.done, progress.total);
                if noted.elapsed() >= NOTE {
                    kept.scrub.come_to(progress.done, found);
                    note(&kept);
                    noted = Instant::now();
                }
                let due = due(found.checked_bytes - before, rate);
                while is_wanted() && begun.elapsed() < due {
                    std::thread::sleep(LOOK.min(due.saturating_sub(begun.elapsed())));
                }
                if !is_wanted() {
                    kept.scrub.come_to(progress.done, found);
                }
                go_on(is_wanted())
            });
            let is_cancelled = job.is_cancelled();
            if scrubbed.is_ok() && report.stopped && !is_cancelled {
                // The next daemon goes on.
                note(&kept);
                return job.end(JobEnd::Terminated);
            }
            kept.forget();
            job.end(match scrubbed {
                Ok(()) if is_cancelled && report.stopped => JobEnd::Terminated,
                Ok(()) => JobEnd::Found(in_words(kept.scrub.what(), &report)),
                Err(error) => JobEnd::Failed(error.to_string()),
            });
        }));
    }

    fn described(&self, id: u64) -> Result<v1::Job, ChangeError> {
        let job = self.jobs().get(id);
        job.ok_or_else(|| ChangeError::Defect(format!("job {id} isn't there")))
    }

    fn check_has_checksums(&self, name: &VolumeName) -> Result<(), ChangeError> {
        let catalog = self.catalog();
        match catalog.volume(name)?.backing.place() {
            Some(_) => Ok(()),
            None => Err(CatalogError::NoChecksums {
                volume: name.clone(),
            }
            .into()),
        }
    }
}

/// A scrub that can't be noted begins further back after a restart.
fn note(kept: &Kept) {
    if let Err(error) = kept.note() {
        tracing::warn!(%error, "how far a scrub is can't be noted");
    }
}

/// After how long so many bytes may have been read.
fn due(bytes: u64, rate: Option<u64>) -> Duration {
    let Some(rate) = rate.filter(|rate| *rate > 0) else {
        return Duration::ZERO;
    };
    let millis = u128::from(bytes) * 1_000 / u128::from(rate);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

fn go_on(is_wanted: bool) -> ControlFlow<()> {
    match is_wanted {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    }
}

fn in_words(checked: String, report: &VerifyReport) -> v1::CheckReport {
    v1::CheckReport {
        checked,
        checked_bytes: report.checked_bytes,
        damaged: report.damaged,
        findings: report.findings.clone(),
        stopped: report.stopped,
        longest_hold_us: u64::try_from(report.longest_hold.as_micros()).unwrap_or(u64::MAX),
    }
}
