//! Where the journals of atomic writes are: one file per volume in a folder of the state folder.

use std::path::PathBuf;

use tidelock_catalog::VolumeId;
use tidelock_replication::JournalPlace;

use crate::state_dir::{ReplacedFile, StateDir, StateDirError};

/// Largest atomic write that a logical unit announces, in bytes: what a record can hold.
pub(super) const ATOMIC_WRITE_MAX: u32 = 1 << 20;

/// The folder of the journals.
#[derive(Clone, Debug)]
pub(super) struct Journals(PathBuf);

impl Journals {
    /// Makes the folder if it isn't there. Blocks.
    pub(super) fn new(state: &StateDir) -> Result<Self, StateDirError> {
        state.folder("journals").map(Self)
    }

    /// Where the journal of a volume is.
    pub(super) fn place(&self, id: VolumeId) -> JournalPlace {
        JournalPlace {
            path: self.0.join(id.to_string()),
            owner: *id.0.as_bytes(),
        }
    }

    /// The volume is gone. Blocks.
    pub(super) fn forget(&self, id: VolumeId) -> Result<(), StateDirError> {
        ReplacedFile::in_folder(&self.0, &id.to_string()).remove()
    }
}
