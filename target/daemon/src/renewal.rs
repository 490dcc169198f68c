//! Runs renewals: SANITIZE and FORMAT UNIT in the background. One is a task of the reactor that was
//! told of it; it outlives the command and the session, and after a restart it begins anew.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::smallvec;
use tidelock_replication::{Volume, VolumeOp};
use tidelock_scsi::{MediumCondition, Outcome, Renewal};
use tidelock_volume::Range;
use tokio::sync::oneshot;
use tokio::task::{spawn_blocking, spawn_local};

use crate::reactor::Local;
use crate::reactor::performer::Performer;
use crate::registry::ServedVolume;

/// Bytes of one write.
const WRITE: usize = 1 << 20;
/// Bytes that are written between two flushes.
const BETWEEN_FLUSHES: u64 = 64 << 20;
/// Bytes that are given back in one operation.
const ERASE: u64 = 256 << 20;
/// How often a renewal looks again for what it waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A volume that is to be renewed.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) volume: Arc<ServedVolume>,
    pub(crate) store: Arc<Volume>,
}

/// Begins a renewal that a command asked for. The future is the command's answer, and may be dropped.
pub(crate) fn begin(
    local: &Rc<Local>,
    subject: Subject,
    renewal: Renewal,
    immediate: bool,
    before: MediumCondition,
) -> impl Future<Output = Outcome> + 'static {
    let (begun, has_begun) = oneshot::channel();
    let (ended, has_ended) = oneshot::channel();
    let local = Rc::clone(local);
    spawn_local(async move {
        let renewals = Arc::clone(local.shared.registry.renewals());
        let (id, noted) = (subject.volume.id(), renewal.clone());
        let noting = spawn_blocking(move || renewals.begin(id, &noted));
        let outcome = match noting.await {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(error)) => refuse(&subject, before, &error),
            Err(error) => refuse(&subject, before, &error),
        };
        let refused = outcome != Outcome::Done;
        // Nobody listens any more when the command was aborted.
        let _ = begun.send(outcome);
        if !refused {
            let _ = ended.send(go_on(local, subject, renewal).await);
        }
    });
    async move {
        match has_begun.await {
            Ok(Outcome::Done) if !immediate => has_ended.await.unwrap_or(Outcome::HardwareError),
            Ok(outcome) => outcome,
            Err(_) => Outcome::HardwareError,
        }
    }
}

/// Not a block was touched, so the medium is what it was.
fn refuse(subject: &Subject, before: MediumCondition, error: &dyn std::error::Error) -> Outcome {
    let volume = subject.volume.name();
    tracing::error!(%volume, %error, "a sanitize or format can't be noted, so it isn't begun");
    subject.volume.unit().set_medium_condition(before);
    Outcome::HardwareError
}

/// Accepts the medium as a failed renewal left it.
pub(crate) async fn accept_failure(local: Rc<Local>, volume: Arc<ServedVolume>) -> Outcome {
    let renewals = Arc::clone(local.shared.registry.renewals());
    let accepting = spawn_blocking(move || renewals.accept_failure(volume.id(), volume.unit()));
    match accepting.await {
        Ok(Ok(true)) => Outcome::Done,
        // Another sanitize was faster.
        Ok(Ok(false)) => Outcome::Busy,
        Ok(Err(error)) => {
            tracing::error!(%error, "the end of a sanitize can't be noted");
            Outcome::HardwareError
        }
        Err(_) => Outcome::HardwareError,
    }
}

/// Does a renewal that is durably under way, to its end.
pub(crate) async fn go_on(local: Rc<Local>, subject: Subject, renewal: Renewal) -> Outcome {
    let renewals = Arc::clone(local.shared.registry.renewals());
    let (unit, volume) = (subject.volume.unit(), subject.volume.name());
    tracing::info!(%volume, what = name(&renewal), "the whole medium is made anew");
    // What was begun before must not land on top of it.
    while unit.has_commands_under_way() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let _turn = renewals.turn().await;
    let mut worker = Worker::new(&local, &subject);
    let done = worker.work(&renewal).await;
    drop(worker);

    let (id, noted) = (subject.volume.id(), renewal.clone());
    let failed = done.is_err();
    let keeper = Arc::clone(&renewals);
    let noting = spawn_blocking(move || {
        if failed {
            keeper.fail(id, &noted)
        } else {
            keeper.succeed(id)
        }
    });
    let durable = match noting.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match (done, durable) {
        (Ok(()), Ok(())) => {
            unit.set_medium_condition(MediumCondition::Sound);
            tracing::info!(%volume, "the whole medium was made anew");
            Outcome::Done
        }
        (done, durable) => {
            unit.set_medium_condition(renewal.failed());
            tracing::error!(%volume, ?done, ?durable, "making the whole medium anew failed");
            Outcome::RenewalFailed
        }
    }
}

fn name(renewal: &Renewal) -> &'static str {
    match renewal {
        Renewal::Overwrite { .. } => "sanitize overwrite",
        Renewal::BlockErase { .. } => "sanitize block erase",
        Renewal::Format => "format",
    }
}

/// Works on one medium.
struct Worker<'a> {
    performer: Performer,
    subject: &'a Subject,
    local: &'a Local,
    /// Bytes per second that it may write: others need the disk as well.
    pace: u64,
    began: Instant,
    written: u64,
}

impl<'a> Worker<'a> {
    fn new(local: &'a Rc<Local>, subject: &'a Subject) -> Self {
        Self {
            performer: Performer::new(local),
            subject,
            local,
            pace: local.shared.config.sanitize_bytes_per_second.max(1),
            began: Instant::now(),
            written: 0,
        }
    }

    async fn work(&mut self, renewal: &Renewal) -> Result<(), Outcome> {
        self.work_on_medium(renewal).await?;
        // What the journal has copied is data of the medium too.
        let store = Arc::clone(&self.subject.store);
        match spawn_blocking(move || store.clear_journal()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot clear the journal");
                Err(Outcome::HardwareError)
            }
            Err(_) => Err(Outcome::HardwareError),
        }
    }

    async fn work_on_medium(&mut self, renewal: &Renewal) -> Result<(), Outcome> {
        match renewal {
            Renewal::Overwrite {
                pattern,
                passes,
                invert,
                ..
            } => self.overwrite(pattern, *passes, *invert).await,
            Renewal::BlockErase { .. } | Renewal::Format => self.erase().await,
        }
    }

    async fn overwrite(
        &mut self,
        pattern: &Bytes,
        passes: u8,
        invert: bool,
    ) -> Result<(), Outcome> {
        for pass in 1..=passes {
            // The last pass writes the pattern as it is.
            let inverted = invert && (passes - pass) % 2 == 1;
            let data = self.blocks_of(pattern, inverted);
            self.pass(&data, pass, passes).await?;
        }
        // Where zeros are left, giving the space back changes nothing that can be read (LBPRZ), and
        // unmapped is what a sanitized block should be (SBC-4, "Completing a sanitize operation").
        let zeros = pattern.iter().all(|byte| *byte == 0);
        if zeros && self.subject.volume.unit().config().thin {
            self.erase().await?;
        }
        Ok(())
    }

    /// One pass over the medium, with `data` again and again.
    async fn pass(&mut self, data: &Bytes, pass: u8, passes: u8) -> Result<(), Outcome> {
        let size = self.subject.store.size();
        let mut offset = 0;
        let mut flushed = 0;
        while offset < size {
            let length = (size - offset).min(data.len() as u64);
            let piece = data.slice(..usize::try_from(length).unwrap_or(data.len()));
            self.perform(VolumeOp::Write {
                offset,
                data: smallvec![piece],
                fua: false,
            })
            .await?;
            offset += length;
            self.written += length;
            if offset - flushed >= BETWEEN_FLUSHES || offset == size {
                self.perform(VolumeOp::Flush).await?;
                flushed = offset;
            }
            let passed = u64::from(pass - 1);
            self.tell_progress(passed, offset, size, u64::from(passes));
            self.keep_pace().await;
        }
        Ok(())
    }

    /// Makes all blocks zeros: gives their space back where the unit is thin.
    async fn erase(&mut self) -> Result<(), Outcome> {
        let size = self.subject.store.size();
        let unit = self.subject.volume.unit();
        let block = usize::try_from(unit.config().block_size.bytes()).unwrap_or(WRITE);
        let mut offset = 0;
        while offset < size {
            let length = (size - offset).min(ERASE);
            let op = if unit.config().thin {
                VolumeOp::Unmap {
                    ranges: smallvec![Range { offset, length }],
                }
            } else {
                VolumeOp::WriteSame {
                    offset,
                    length,
                    block: Bytes::from(vec![0; block]),
                    unmap: false,
                    fua: false,
                }
            };
            self.perform(op).await?;
            offset += length;
            self.tell_progress(0, offset, size, 1);
        }
        self.perform(VolumeOp::Flush).await
    }

    /// As many whole blocks of `pattern` as one write takes.
    fn blocks_of(&self, pattern: &Bytes, inverted: bool) -> Bytes {
        let unit = self.subject.volume.unit();
        let block = usize::try_from(unit.config().block_size.bytes()).unwrap_or(WRITE);
        let mask = if inverted { 0xff } else { 0 };
        let block: Vec<u8> = pattern
            .iter()
            .cycle()
            .take(block)
            .map(|byte| byte ^ mask)
            .collect();
        let fill = |to: &mut [u8]| {
            for to in to.chunks_exact_mut(block.len().max(1)) {
                to.copy_from_slice(&block);
            }
        };
        // From the pool it is aligned for direct I/O; without, the engine copies it.
        if let Some(mut buffer) = self.local.shared.pool.try_take(WRITE) {
            fill(&mut buffer);
            return buffer.freeze();
        }
        let mut buffer = vec![0; WRITE];
        fill(&mut buffer);
        buffer.into()
    }

    async fn perform(&mut self, op: VolumeOp) -> Result<(), Outcome> {
        loop {
            match self
                .performer
                .perform(&self.subject.store, op.clone())
                .await
            {
                Outcome::Done => return Ok(()),
                // A write that somebody gave up hasn't landed yet.
                Outcome::Busy => tokio::time::sleep(LOOK_AGAIN).await,
                failure => return Err(failure),
            }
        }
    }

    fn tell_progress(&self, passed: u64, offset: u64, size: u64, passes: u64) {
        let part = u128::from(offset) * 0x1_0000 / u128::from(size.max(1));
        let all = (u128::from(passed) * 0x1_0000 + part) / u128::from(passes.max(1));
        let done = u16::try_from(all).unwrap_or(u16::MAX);
        self.subject.volume.unit().set_renewal_progress(done);
    }

    /// Waits until what was written was due.
    async fn keep_pace(&self) {
        let millis = u128::from(self.written) * 1_000 / u128::from(self.pace);
        let due = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        let early = due.saturating_sub(self.began.elapsed());
        if early >= Duration::from_millis(1) {
            tokio::time::sleep(early).await;
        }
    }
}
