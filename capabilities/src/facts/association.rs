//! One association: its key and its state.

use super::ElementId;
use crate::values::{CopyState, Mode, ProgressStatus, SyncType};

/// The key of CIM_StorageSynchronized: the ordered pair of its ends. Reversing roles makes another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssociationKey {
    /// The source.
    pub system_element: ElementId,
    /// The target.
    pub synced_element: ElementId,
}

/// A StorageSynchronized association as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Association {
    /// Its ends.
    pub key: AssociationKey,
    /// What sort of copy.
    pub sync_type: SyncType,
    /// Its mode.
    pub mode: Mode,
    /// Its state.
    pub copy_state: CopyState,
    /// What is being done with it.
    pub progress_status: ProgressStatus,
    /// Whether the engine knows that the target holds a consistent image: the source as it was at one
    /// moment, now or at its last consistent cut; or that it can be read as if it did, because what
    /// isn't copied yet is read from the source. States that promise an image (Synchronized, Split,
    /// Failedover) don't need it.
    pub target_consistent: bool,
}

impl Association {
    /// Whether data flows to the target that it doesn't have yet.
    #[must_use]
    pub const fn is_copying(&self) -> bool {
        matches!(self.copy_state, CopyState::Unsynchronized)
            || matches!(
                self.progress_status,
                ProgressStatus::Initializing
                    | ProgressStatus::Synchronizing
                    | ProgressStatus::Resyncing
            )
    }

    /// Whether the source is being overwritten from the target.
    #[must_use]
    pub const fn is_restoring(&self) -> bool {
        matches!(self.progress_status, ProgressStatus::Restoring)
    }
}
