//! Why an operation on an association is refused, and what is returned for it.

use thiserror::Error;

use crate::facts::AssociationKey;
use crate::reason::Reason;
use crate::values::{CopyState, Operation, ProgressStatus, ReplicationType, ReturnCode};

/// Why an operation is refused. The text says what is in the way and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OperationRefusal {
    /// There is no such association.
    #[error("there is no association of these two elements: list the associations again")]
    NoAssociation(AssociationKey),
    /// It isn't built for this type.
    #[error("{operation} isn't possible for {replication_type}")]
    NotBuilt {
        /// The operation.
        operation: Operation,
        /// The type.
        replication_type: ReplicationType,
    },
    /// The type itself isn't built, or not any more.
    #[error("{0} isn't part of this service")]
    TypeNotBuilt(ReplicationType),
    /// It goes with other states.
    #[error("{operation} isn't possible while the CopyState is {copy_state}")]
    WrongState {
        /// The operation.
        operation: Operation,
        /// The state.
        copy_state: CopyState,
    },
    /// It could leave data that isn't consistent.
    #[error(
        "{operation} while the CopyState is {copy_state} may leave data that isn't consistent: give Force if \
         that is wanted"
    )]
    NeedsForce {
        /// The operation.
        operation: Operation,
        /// The state.
        copy_state: CopyState,
    },
    /// Another operation has to come first.
    #[error("the last operation isn't finished: {0} has to come first")]
    RequiresFirst(Operation),
    /// Something is being done.
    #[error("the association is busy ({0}): wait until that is completed")]
    Running(ProgressStatus),
    /// The source has to be read-only.
    #[error("the roles can be reversed only while the source is read-only: make it so")]
    SourceNotReadOnly,
    /// One of the ends, or the peer, is in the way.
    #[error("{0}")]
    End(Reason),
}

impl OperationRefusal {
    /// What is returned for it.
    #[must_use]
    pub const fn return_code(self) -> ReturnCode {
        match self {
            Self::NoAssociation(_) => ReturnCode::InvalidParameter,
            Self::NotBuilt { .. } | Self::TypeNotBuilt(_) => ReturnCode::NotSupported,
            Self::WrongState { .. }
            | Self::NeedsForce { .. }
            | Self::RequiresFirst(_)
            | Self::Running(_)
            | Self::SourceNotReadOnly => ReturnCode::InUse,
            Self::End(reason) => reason.obstacle().return_code(),
        }
    }
}
