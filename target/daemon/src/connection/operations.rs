//! Between the device server's words for what is to be done with the medium and the I/O engine's.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use tidelock_block::AllocationExtent;
use tidelock_replication::{
    Volume, VolumeError, VolumeFaultKind as FaultKind, VolumeOp, VolumeOutcome,
};
use tidelock_scsi::{CopyJob, LbaExtent, Operation, Outcome};
use tidelock_volume::Range;

use crate::connection::copying;
use crate::connection::shown::Shown;
use crate::reactor::Local;
use crate::registry::ServedVolume;
use crate::renewal::{self, Subject};

/// Who does an operation.
pub(crate) enum Work {
    /// The I/O engine, in one operation.
    Engine(VolumeOp),
    /// Something that takes several steps, another thread, or other volumes.
    Elsewhere(Elsewhere),
    /// Saved mode parameters, which no logical unit of ours is configured to support.
    NotOurs,
}

/// Work that isn't one operation of the engine.
pub(crate) struct Elsewhere {
    /// Runs on the session's reactor; dropped when the command is given up.
    pub(crate) outcome: Pin<Box<dyn Future<Output = Outcome>>>,
    /// It may take as long as it takes, instead of being answered BUSY after the deadline of
    /// commands, and dropping it in the middle does no harm: so an abort doesn't wait for it.
    pub(crate) patient: bool,
}

impl Elsewhere {
    fn quick(outcome: impl Future<Output = Outcome> + 'static) -> Work {
        Work::Elsewhere(Self {
            outcome: Box::pin(outcome),
            patient: false,
        })
    }

    fn patient(outcome: impl Future<Output = Outcome> + 'static) -> Work {
        Work::Elsewhere(Self {
            outcome: Box::pin(outcome),
            patient: true,
        })
    }
}

/// Where a command runs.
pub(crate) struct Surroundings<'a> {
    /// The reactor.
    pub(crate) local: &'a Rc<Local>,
    /// The volume whose logical unit it was sent to.
    pub(crate) volume: &'a Arc<ServedVolume>,
    /// All that the session is shown.
    pub(crate) shown: &'a Rc<Shown>,
    /// The number of the logical unit that it was sent to.
    pub(crate) number: u16,
    /// The file behind the logical unit that it was sent to.
    pub(crate) store: &'a Arc<Volume>,
}

/// Who does an operation, and how it is said there.
pub(crate) fn work_of(operation: Operation, surroundings: &Surroundings<'_>) -> Work {
    let operation = match engine_op(operation) {
        Ok(op) => return Work::Engine(op),
        Err(operation) => operation,
    };
    match operation {
        Operation::LbaStatus { extent, most } => {
            let range = Range {
                offset: extent.offset,
                length: extent.length,
            };
            allocation(Arc::clone(surroundings.store), range, most as usize)
        }
        Operation::Renew {
            renewal,
            immediate,
            before,
        } => {
            let subject = Subject {
                volume: Arc::clone(surroundings.volume),
                store: Arc::clone(surroundings.store),
            };
            let outcome = renewal::begin(surroundings.local, subject, renewal, immediate, before);
            Elsewhere::patient(outcome)
        }
        Operation::AcceptFailedRenewal => {
            let local = Rc::clone(surroundings.local);
            let accepting = renewal::accept_failure(local, Arc::clone(surroundings.volume));
            Elsewhere::quick(accepting)
        }
        Operation::Copy { job } => copy(job, surroundings),
        Operation::Resources => resources(Arc::clone(surroundings.store)),
        // The one that is left keeps mode parameters.
        _ => Work::NotOurs,
    }
}

/// The operation of the engine that does it; what isn't one comes back.
#[allow(
    clippy::result_large_err,
    reason = "the other way out is no error, and is as large as the way in"
)]
fn engine_op(operation: Operation) -> Result<VolumeOp, Operation> {
    Ok(match operation {
        Operation::Read { extent, .. } => VolumeOp::Read {
            offset: extent.offset,
            length: extent.length,
        },
        Operation::Write { extent, data, fua } => VolumeOp::Write {
            offset: extent.offset,
            data,
            fua,
        },
        Operation::Verify { extent } => VolumeOp::Verify {
            offset: extent.offset,
            length: extent.length,
        },
        Operation::Compare { extent, data } => VolumeOp::Compare {
            offset: extent.offset,
            data,
        },
        Operation::CompareAndWrite {
            extent,
            expected,
            data,
            fua,
        } => VolumeOp::CompareAndWrite {
            offset: extent.offset,
            expected,
            data,
            fua,
        },
        Operation::OrWrite { extent, data, fua } => VolumeOp::OrWrite {
            offset: extent.offset,
            data,
            fua,
        },
        Operation::Flush { .. } => VolumeOp::Flush,
        Operation::Unmap { extents } => VolumeOp::Unmap {
            ranges: extents
                .iter()
                .map(|extent| Range {
                    offset: extent.offset,
                    length: extent.length,
                })
                .collect(),
        },
        Operation::WriteSame {
            extent,
            block,
            unmap,
            fua,
        } => VolumeOp::WriteSame {
            offset: extent.offset,
            length: extent.length,
            block,
            unmap,
            fua,
        },
        other => return Err(other),
    })
}

/// Lets the copy manager's hands do it, however long that takes.
fn copy(job: Arc<CopyJob>, surroundings: &Surroundings<'_>) -> Work {
    Elsewhere::patient(copying::copy(
        Rc::clone(surroundings.local),
        Rc::clone(surroundings.shown),
        surroundings.number,
        job,
    ))
}

/// Asks the file system what is allocated. That may wait for the disk, so another thread does it.
fn allocation(store: Arc<Volume>, range: Range, most: usize) -> Work {
    Elsewhere::quick(async move {
        let asked = tokio::task::spawn_blocking(move || store.allocation(range, most));
        allocation_outcome(asked.await.ok())
    })
}

/// Asks the file system how much is used and left, on another thread for the same reason.
fn resources(store: Arc<Volume>) -> Work {
    Elsewhere::quick(async move {
        let asked = tokio::task::spawn_blocking(move || {
            let used = store.allocated_bytes()?;
            Ok::<_, VolumeError>((used, store.pool_space()?))
        });
        match asked.await {
            Ok(Ok((used, pool))) => Outcome::Resources {
                used,
                available: pool.map(|pool| pool.available),
            },
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot tell how much space is used");
                Outcome::HardwareError
            }
            Err(_) => Outcome::HardwareError,
        }
    })
}

/// What the file system said, for the device server; `None` if it could not be asked.
fn allocation_outcome(answer: Option<Result<Vec<AllocationExtent>, VolumeError>>) -> Outcome {
    match answer {
        Some(Ok(extents)) => {
            let told = extents.iter().map(|extent| LbaExtent {
                length: extent.length,
                mapped: extent.allocated,
            });
            Outcome::LbaStatus(told.collect())
        }
        Some(Err(error)) => {
            tracing::warn!(%error, "cannot tell what is allocated");
            Outcome::HardwareError
        }
        None => Outcome::HardwareError,
    }
}

/// How it went, for the device server; the log gets what an operator should look at.
pub(crate) fn outcome(result: VolumeOutcome) -> Outcome {
    let fault = match result {
        VolumeOutcome::Read(data) => return Outcome::Read(std::iter::once(data).collect()),
        VolumeOutcome::Done => return Outcome::Done,
        VolumeOutcome::Miscompare { offset } => return Outcome::Miscompare { offset },
        VolumeOutcome::Failed(fault) => fault,
    };
    match fault.kind {
        // What a full disk and a stuck write cause again and again until somebody helps.
        FaultKind::NoSpace | FaultKind::Busy => tracing::debug!(%fault, "a command failed"),
        _ => tracing::warn!(%fault, "a command failed"),
    }
    match fault.kind {
        FaultKind::MediumError { offset } => Outcome::MediumError { offset },
        FaultKind::NoSpace => Outcome::SpaceExhausted,
        FaultKind::Busy => Outcome::Busy,
        _ => Outcome::HardwareError,
    }
}
