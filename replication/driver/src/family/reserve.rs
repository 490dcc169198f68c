//! Space that is set aside for metadata, so that something can be deleted on a full disk. Knows nothing
//! but its file.

use std::sync::Arc;

use parking_lot::Mutex;
use tidelock_block::{BlockError, BlockFile};

/// Bytes that are set aside.
const BYTES: u64 = 4 << 20;

/// A file that has nothing but space.
#[derive(Debug)]
pub(super) struct Reserve {
    file: Arc<BlockFile>,
    is_full: Mutex<bool>,
}

impl Reserve {
    pub(super) fn new(file: Arc<BlockFile>) -> Self {
        let is_full = file.allocated_bytes().is_ok_and(|bytes| bytes >= BYTES);
        Self {
            file,
            is_full: Mutex::new(is_full),
        }
    }

    /// Gives all of it back to the file system; false if there was nothing.
    pub(super) fn give(&self) -> bool {
        let mut is_full = self.is_full.lock();
        *is_full && {
            *is_full = false;
            self.file.set_size(0).is_ok()
        }
    }

    /// Takes it again.
    pub(super) fn fill(&self) -> Result<(), BlockError> {
        let mut is_full = self.is_full.lock();
        if !*is_full {
            self.file.allocate(0, BYTES)?;
            *is_full = true;
        }
        Ok(())
    }
}
