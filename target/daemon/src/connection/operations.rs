//! Between the device server's words for what is to be done with the medium and the I/O engine's.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tidelock_block::AllocationExtent;
use tidelock_replication::{
    Volume, VolumeError, VolumeFaultKind as FaultKind, VolumeOp, VolumeOutcome,
};
use tidelock_scsi::{
    AccessState, Extent, IdentifyingInformationType, LbaExtent, NexusId, NexusInfo, Operation,
    Outcome, ReservationChange,
};
use tidelock_volume::Range;

use crate::admin_server::event_of;
use crate::connection::copying;
use crate::connection::offload::{self, Own};
use crate::connection::shown::Shown;
use crate::reactor::Local;
use crate::registry::ServedVolume;
use crate::registry::asymmetric_access::{AccessRequest, Cause, requested};
use crate::registry::preempting;
use crate::registry::reservations::ReservationError;
use crate::renewal::{self, Subject};
use crate::shared::Shared;

/// Who does an operation.
pub(crate) enum Work {
    /// The I/O engine, in one operation.
    Engine(VolumeOp),
    /// Something that takes several steps, another thread, or other volumes.
    Elsewhere(Elsewhere),
    /// One operation of the engine on a file that isn't open.
    NotReady,
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
    /// The session's nexus with it.
    pub(crate) nexus: &'a NexusInfo,
    /// The number of the logical unit that it was sent to.
    pub(crate) number: u16,
    /// The file behind the logical unit that it was sent to, if it is open.
    pub(crate) store: Option<&'a Arc<Volume>>,
    /// The number of the session that sent it.
    pub(crate) session: u64,
}

/// SET TARGET PORT GROUPS: durable before the host is answered.
async fn set_access_states(
    volume: &ServedVolume,
    states: &[(u16, AccessState)],
    nexus: NexusId,
    shared: &Shared,
) -> Outcome {
    let (Ok(name), Some(changes)) = (volume.name().parse(), requested(states)) else {
        return Outcome::HardwareError;
    };
    let request = AccessRequest {
        volume: name,
        id: Some(volume.id()),
        changes,
        cause: Cause::Explicit(nexus),
    };
    match shared.registry.change_access(request).await {
        Ok(changes) => {
            for change in &changes {
                tracing::info!(volume = %volume.name(), ?states, "a host changed access states");
                event_of(change)
                    .into_iter()
                    .for_each(|event| shared.events.tell(event));
            }
            Outcome::Done
        }
        Err(error) => {
            tracing::warn!(volume = %volume.name(), %error, "access states stay as they are");
            Outcome::HardwareError
        }
    }
}

impl Surroundings<'_> {
    /// The logical unit that the command was sent to, for as long as it takes.
    fn own(&self, store: &Arc<Volume>) -> Own {
        Own {
            local: Rc::clone(self.local),
            volume: Arc::clone(self.volume),
            store: Arc::clone(store),
            nexus: self.nexus.clone(),
        }
    }
}

/// Who does an operation, and how it is said there.
pub(crate) fn work_of(operation: Operation, surroundings: &Surroundings<'_>) -> Work {
    let operation = match engine_op(operation) {
        Ok(op) if surroundings.store.is_some() => return Work::Engine(op),
        Ok(_) => return Work::NotReady,
        Err(operation) => operation,
    };
    match (operation, surroundings.store) {
        (Operation::ChangeReservations { change }, _) => reservations(change, surroundings),
        (Operation::SetAccessStates { states, nexus }, _) => {
            let volume = Arc::clone(surroundings.volume);
            let shared = Arc::clone(&surroundings.local.shared);
            Elsewhere::quick(
                async move { set_access_states(&volume, &states, nexus, &shared).await },
            )
        }
        (
            Operation::SetIdentifyingInformation {
                kind,
                information,
                nexus,
            },
            _,
        ) => identify(surroundings, (kind, information), nexus),
        (Operation::Timestamp, _) => {
            let milliseconds = surroundings.local.shared.timestamp();
            Elsewhere::quick(std::future::ready(Outcome::Timestamp { milliseconds }))
        }
        (Operation::SaveModeParameters { .. }, _) => Work::NotOurs,
        (_, None) => Work::NotReady,
        (operation, Some(store)) => work_on(operation, store, surroundings),
    }
}

/// The same for what needs the volume's file and isn't one operation of the engine.
fn work_on(operation: Operation, store: &Arc<Volume>, surroundings: &Surroundings<'_>) -> Work {
    match operation {
        Operation::LbaStatus { extent, most } => {
            allocation(Arc::clone(store), range(extent), most as usize)
        }
        Operation::Renew {
            renewal,
            immediate,
            before,
        } => {
            let subject = Subject {
                volume: Arc::clone(surroundings.volume),
                store: Arc::clone(store),
            };
            let outcome = renewal::begin(surroundings.local, subject, renewal, immediate, before);
            Elsewhere::patient(outcome)
        }
        Operation::AcceptFailedRenewal => {
            let local = Rc::clone(surroundings.local);
            let accepting = renewal::accept_failure(local, Arc::clone(surroundings.volume));
            Elsewhere::quick(accepting)
        }
        Operation::Copy { .. }
        | Operation::PopulateToken { .. }
        | Operation::WriteUsingToken { .. } => copy(operation, store, surroundings),
        Operation::Resources => resources(Arc::clone(store)),
        // What is left was looked at before.
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
        Operation::WriteAtomic { extent, data } => VolumeOp::WriteAtomic {
            offset: extent.offset,
            data,
        },
        Operation::Flush { .. } => VolumeOp::Flush,
        Operation::Unmap { extents } => VolumeOp::Unmap {
            ranges: extents.iter().copied().map(range).collect(),
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
fn copy(operation: Operation, store: &Arc<Volume>, surroundings: &Surroundings<'_>) -> Work {
    match operation {
        Operation::Copy { job } => Elsewhere::patient(copying::copy(
            Rc::clone(surroundings.local),
            Rc::clone(surroundings.shown),
            surroundings.number,
            job,
        )),
        Operation::PopulateToken { wish } => {
            Elsewhere::patient(offload::populate(surroundings.own(store), wish))
        }
        Operation::WriteUsingToken { job } => {
            Elsewhere::patient(offload::write(surroundings.own(store), job))
        }
        _ => Work::NotOurs,
    }
}

fn range(extent: Extent) -> Range {
    Range {
        offset: extent.offset,
        length: extent.length,
    }
}

/// Changes reservations, and ends the tasks of those who were preempted: in all sessions, on all
/// reactors.
fn reservations(change: ReservationChange, surroundings: &Surroundings<'_>) -> Work {
    let volume = Arc::clone(surroundings.volume);
    let shared = Arc::clone(&surroundings.local.shared);
    let session = surroundings.session;
    Elsewhere::quick(async move {
        // A task of its own: the command may be given up, the change must not be left half-made.
        let changed = tokio::spawn({
            let (volume, shared) = (Arc::clone(&volume), Arc::clone(&shared));
            async move {
                let changed = shared.registry.change_reservations(&volume, &change);
                changed.await.map(|preempted| {
                    let directory = &shared.directory;
                    preempting::ask_to_end(preempted, &volume, directory, Some(session))
                })
            }
        });
        match changed.await {
            Ok(Ok(ending)) => match ending.have_ended(&volume).await {
                true => Outcome::Done,
                false => {
                    tracing::warn!(
                        volume = %volume.name(),
                        session,
                        "I/O of a preempted host still runs: PREEMPT AND ABORT is answered with an error"
                    );
                    Outcome::HardwareError
                }
            },
            Ok(Err(ReservationError::Refused(refused))) => Outcome::ReservationsRefused(refused),
            Ok(Err(ReservationError::OtherPart(reason))) => {
                tracing::warn!(
                    volume = %volume.name(),
                    %reason,
                    "a change of reservations has to wait for the other daemon: the host is told to try again"
                );
                Outcome::Busy
            }
            Ok(Err(error)) => {
                tracing::error!(volume = %volume.name(), %error, "reservations can't be kept");
                Outcome::HardwareError
            }
            Err(error) => {
                tracing::error!(%error, "a change of reservations ended by a defect");
                Outcome::HardwareError
            }
        }
    })
}

/// SET IDENTIFYING INFORMATION: durable before the host is answered.
fn identify(
    surroundings: &Surroundings<'_>,
    change: (IdentifyingInformationType, Bytes),
    nexus: NexusId,
) -> Work {
    let volume = Arc::clone(surroundings.volume);
    Elsewhere::quick(async move {
        // A task of its own: the command may be given up, the change must not be left half-made.
        let changed = tokio::spawn({
            let volume = Arc::clone(&volume);
            async move {
                volume
                    .identifying()
                    .change(volume.unit(), change, nexus)
                    .await
            }
        });
        match changed.await {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(error)) => {
                tracing::error!(volume = %volume.name(), %error, "what a host calls the volume can't be kept");
                Outcome::HardwareError
            }
            Err(error) => {
                tracing::error!(%error, "a change of identifying information ended by a defect");
                Outcome::HardwareError
            }
        }
    })
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
            let used = store.space_used()?;
            let pool = store.pool_space()?.map(|pool| pool.available);
            let left = store.space_limit().map(|most| most.saturating_sub(used));
            // Whichever ends first.
            let available = pool.into_iter().chain(left).min();
            Ok::<_, VolumeError>((used, available))
        });
        match asked.await {
            Ok(Ok((used, available))) => Outcome::Resources { used, available },
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
        VolumeOutcome::NotCopied => return Outcome::NotCopied,
        VolumeOutcome::Miscompare { offset } => return Outcome::Miscompare { offset },
        VolumeOutcome::Failed(fault) => fault,
    };
    match fault.kind {
        // What a full disk, a stuck write and a mirror without its peer cause again and again until somebody helps.
        FaultKind::NoSpace | FaultKind::Busy | FaultKind::NotSource | FaultKind::Halted => {
            tracing::debug!(%fault, "a command failed");
        }
        _ => tracing::warn!(%fault, "a command failed"),
    }
    match fault.kind {
        FaultKind::MediumError { offset } => Outcome::MediumError { offset },
        FaultKind::NoSpace => Outcome::SpaceExhausted,
        FaultKind::Busy => Outcome::Busy,
        FaultKind::NotSource => Outcome::Standby,
        FaultKind::Halted => Outcome::NotReady,
        _ => Outcome::HardwareError,
    }
}
