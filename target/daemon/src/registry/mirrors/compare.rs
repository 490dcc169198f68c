//! Whether the two volumes of a mirror have the same content: every byte of both is read, while hosts go on.
//!
//! A write that is under way may be at one end already and not at the other one. So what differs is looked at again
//! and again, block by block; only what stays different is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tidelock_admin::v1::{CheckReport, JobKind};
use tidelock_replication::Volume;

use super::operations::refuse;
use super::{Mirrors, Registry};
use crate::jobs::{JobEnd, RunningJob};
use crate::mirrors::end::Ends;
use crate::registry::changes::ChangeError;

/// What is read of each volume at a time.
const PIECE: u64 = 1 << 20;
/// What is told, and looked at again.
const BLOCK: usize = 4_096;
/// How often a block that differs is looked at again, and how long after the last time.
const LOOKS: usize = 40;
const PAUSE: Duration = Duration::from_millis(25);
/// Findings that are told in words.
const FINDINGS_MAX: usize = 100;

/// The volumes that are compared.
struct Pair {
    mirrors: Arc<Mirrors>,
    stores: [Arc<Volume>; 2],
    names: [String; 2],
    size: u64,
}

impl Registry {
    /// Begins to compare the volumes of a mirror; the number of the job.
    ///
    /// # Errors
    /// They aren't meant to be equal at the moment, or can't be read.
    pub async fn verify_mirror(self: &Arc<Self>, name: &str) -> Result<u64, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let record = self.mirror_named(name)?;
        super::remote::check_both_here(&record)?;
        let running = self.mirrors.get(record.id).ok_or(ChangeError::Loading)?;
        if !running.look(|state| state.is_in_step()) {
            let state = running.look(|state| state.association().copy_state);
            return Err(refuse(format!(
                "the volumes of the mirror aren't meant to be equal while its CopyState is {state}: wait until it is \
                 Synchronized"
            )));
        }
        let (source, target) = (&record.system().volume, &record.synced().volume);
        let ((_, served, first), (_, _, second)) = (self.ready(source)?, self.ready(target)?);
        let unit = served.unit();
        let pair = Pair {
            mirrors: Arc::clone(&self.mirrors),
            stores: [first, second],
            names: [source.to_string(), target.to_string()],
            size: unit.blocks() << unit.config().block_size.shift(),
        };
        let what = format!("{source} and {target}");
        let job = self.jobs().begin(JobKind::Compare, &what, true);
        let (id, stopping) = (job.id(), Arc::clone(&self.stopping));
        let running = Arc::clone(&running);
        tokio::spawn(async move {
            let wanted = || {
                !job.is_cancelled()
                    && !stopping.load(Ordering::SeqCst)
                    && running.look(|state| state.is_in_step())
            };
            let compared = pair.compare(&job, what, wanted).await;
            let in_step = running.look(|state| state.is_in_step());
            job.end(match compared {
                Ok(Some(report)) => JobEnd::Found(report),
                Ok(None) if !in_step => JobEnd::Failed(
                    "the mirror isn't Synchronized any more: compare again when it is".into(),
                ),
                Ok(None) => JobEnd::Terminated,
                Err(reason) => JobEnd::Failed(reason),
            });
        });
        Ok(id)
    }
}

impl Pair {
    /// `None`: it isn't wanted any more.
    async fn compare(
        &self,
        job: &RunningJob,
        what: String,
        wanted: impl Fn() -> bool,
    ) -> Result<Option<CheckReport>, String> {
        let mut report = CheckReport {
            checked: what,
            ..CheckReport::default()
        };
        let mut at = 0;
        while at < self.size {
            if !wanted() {
                return Ok(None);
            }
            let length = PIECE.min(self.size - at);
            for block in self.differing(at, length).await? {
                if !self.becomes_equal(block, &wanted).await? {
                    if !wanted() {
                        return Ok(None);
                    }
                    report.damaged += 1;
                    if report.findings.len() < FINDINGS_MAX {
                        let [one, other] = &self.names;
                        report.findings.push(format!(
                            "{one} and {other} differ in the 4 KiB from byte {block} on"
                        ));
                    }
                }
            }
            at += length;
            report.checked_bytes = at;
            job.progress(at, self.size);
        }
        Ok(Some(report))
    }

    /// The blocks of a piece that differ at this moment.
    async fn differing(&self, at: u64, length: u64) -> Result<Vec<u64>, String> {
        let [one, other] = self.read(at, length).await?;
        if one == other {
            return Ok(Vec::new());
        }
        let blocks = one.chunks(BLOCK).zip(other.chunks(BLOCK)).zip(0_u64..);
        Ok(blocks
            .filter(|((one, other), _)| one != other)
            .map(|(_, number)| at + number * BLOCK as u64)
            .collect())
    }

    async fn becomes_equal(&self, block: u64, wanted: &impl Fn() -> bool) -> Result<bool, String> {
        let length = (BLOCK as u64).min(self.size - block);
        for _ in 0..LOOKS {
            tokio::time::sleep(PAUSE).await;
            let [one, other] = self.read(block, length).await?;
            if one == other {
                return Ok(true);
            }
            if !wanted() {
                break;
            }
        }
        Ok(false)
    }

    /// The same bytes of both, read at nearly the same time.
    async fn read(&self, offset: u64, length: u64) -> Result<[Bytes; 2], String> {
        let ends: &Ends = self.mirrors.ends()?;
        let [first, second] = &self.stores;
        let (one, other) = tokio::join!(
            ends.read(first, offset, length),
            ends.read(second, offset, length)
        );
        let named = |at: usize, error: String| {
            let name = self.names.get(at).map_or("", String::as_str);
            format!("volume {name} can't be read from byte {offset} on: {error}")
        };
        Ok([
            one.map_err(|error| named(0, error))?,
            other.map_err(|error| named(1, error))?,
        ])
    }
}
