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

/// How it went, for the device server.
pub(crate) fn outcome(result: VolumeOutcome) -> Outcome {
    match result {
        VolumeOutcome::Read(data) => Outcome::Read(std::iter::once(data).collect()),
        VolumeOutcome::Done => Outcome::Done,
        VolumeOutcome::Miscompare { offset } => Outcome::Miscompare { offset },
        VolumeOutcome::Failed(fault) => match fault.kind {
            FaultKind::MediumError { offset } => Outcome::MediumError { offset },
            FaultKind::NoSpace => Outcome::SpaceExhausted,
            FaultKind::Busy => Outcome::Busy,
            _ => Outcome::HardwareError,
        },
    }
}
