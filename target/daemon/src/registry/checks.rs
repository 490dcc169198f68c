//! Looking for damage in what volumes share. Changes nothing.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidelock_admin::v1;
use tidelock_catalog::{CatalogError, DatasetRef, VolumeName};
use tidelock_replication::{Progress, VerifyReport};

use super::Registry;
use super::changes::{ChangeError, run_blocking};

/// Stops what is under way when nobody waits for it any more.
struct Waiting(Arc<AtomicBool>);

impl Waiting {
    /// Says whether to go on.
    fn go_on(&self) -> impl FnMut(Progress) -> ControlFlow<()> + Send + 'static {
        let is_wanted = Arc::clone(&self.0);
        move |_| match is_wanted.load(Ordering::Relaxed) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Registry {
    /// Whether every block that a volume and those it shares blocks with use has one owner. Ends when nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// The volume shares nothing, or what says where blocks are can't be read.
    pub async fn verify_volume(&self, name: &VolumeName) -> Result<v1::CheckReport, ChangeError> {
        self.check_has_checksums(name)?;
        let member = self.member(name)?;
        let wanted = Waiting(Arc::new(AtomicBool::new(true)));
        let mut go_on = wanted.go_on();
        let report = run_blocking(move || member.open.engine.verify(&mut go_on)).await??;
        Ok(in_words(name.to_string(), report))
    }

    /// Whether the blocks of a volume or a snapshot are what they were when they were written. Ends when
    /// nobody waits for it any more.
    ///
    /// # Errors
    /// The volume shares nothing, or what says where blocks are can't be read.
    pub async fn scrub(&self, what: &DatasetRef) -> Result<v1::CheckReport, ChangeError> {
        self.check_has_checksums(&what.volume)?;
        let point = self.point(what)?;
        let wanted = Waiting(Arc::new(AtomicBool::new(true)));
        let mut go_on = wanted.go_on();
        let report = run_blocking(move || {
            let id = *point.dataset.0.as_bytes();
            point.open.engine.scrub(id, &mut go_on)
        })
        .await??;
        Ok(in_words(what.to_string(), report))
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

fn in_words(checked: String, report: VerifyReport) -> v1::CheckReport {
    v1::CheckReport {
        checked,
        checked_bytes: report.checked_bytes,
        damaged: report.damaged,
        findings: report.findings,
        stopped: report.stopped,
        longest_hold_us: u64::try_from(report.longest_hold.as_micros()).unwrap_or(u64::MAX),
    }
}
