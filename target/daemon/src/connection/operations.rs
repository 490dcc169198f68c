//! Between the device server's words for what is to be done with the medium and the I/O engine's.

use tidelock_replication::{VolumeFaultKind as FaultKind, VolumeOp, VolumeOutcome};
use tidelock_scsi::{Operation, Outcome};
use tidelock_volume::Range;

/// What the engine is to do; `None` for what isn't the medium's business: saved mode parameters,
/// which no logical unit of ours is configured to support.
pub(crate) fn volume_op(operation: Operation) -> Option<VolumeOp> {
    Some(match operation {
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
        Operation::SaveModeParameters { .. } => return None,
    })
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
