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
    /// Failedover) don't need it. What was relied on by Force counts as an image from then on.
    pub target_consistent: bool,
    /// Whether the source holds a consistent image. It does, unless a restore or failback onto it was given
    /// up half-way by an engine that overwrites in place.
    pub source_consistent: bool,
}

impl Association {
    /// Any association of this sort that is in a state, with nothing going on and nothing wrong.
    pub(crate) const fn at_rest(sync_type: SyncType, mode: Mode, copy_state: CopyState) -> Self {
        Self {
            key: AssociationKey {
                system_element: ElementId(0),
                synced_element: ElementId(0),
            },
            sync_type,
            mode,
            copy_state,
            progress_status: ProgressStatus::Completed,
            target_consistent: true,
            source_consistent: true,
        }
    }

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
