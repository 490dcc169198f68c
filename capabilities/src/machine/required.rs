//! The notices by which an operation demands another one.

use crate::values::{Operation, ProgressStatus};

/// What a ProgressStatus "Requires ..." requires. Until it is done, no other copy operation may be.
#[must_use]
pub const fn required_operation(progress_status: ProgressStatus) -> Option<Operation> {
    Some(match progress_status {
        ProgressStatus::RequiresFracture => Operation::Fracture,
        ProgressStatus::RequiresResync => Operation::ResyncReplica,
        ProgressStatus::RequiresActivate => Operation::Activate,
        ProgressStatus::RequiresDetach => Operation::Detach,
        ProgressStatus::RequiresSplit => Operation::Split,
        ProgressStatus::RequiresResume => Operation::Resume,
        _ => return None,
    })
}
