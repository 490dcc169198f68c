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
        // A disk that filled up, or a crash, may have left a part of it.
        let has_some = *is_full || self.file.allocated_bytes().is_ok_and(|bytes| bytes > 0);
        *is_full = false;
        has_some && self.file.set_size(0).is_ok()
    }

    /// Takes it again: all of it, or nothing.
    pub(super) fn fill(&self) -> Result<(), BlockError> {
        let mut is_full = self.is_full.lock();
        if !*is_full {
            if let Err(error) = self.file.allocate(0, BYTES) {
                // Whoever needs space needs this part of it more.
                let _ = self.file.set_size(0);
                return Err(error);
            }
            *is_full = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tidelock_block::FileOptions;

    use super::*;

    #[test]
    fn a_part_of_it_is_given_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let file = BlockFile::create(&FileOptions::new(folder.path().join("reserve"))).unwrap();
        file.allocate(0, BYTES / 2).unwrap();
        let reserve = Reserve::new(Arc::clone(&file));
        assert!(reserve.give());
        assert_eq!(file.allocated_bytes().unwrap(), 0);
        assert!(!reserve.give(), "there is nothing left");
        reserve.fill().unwrap();
        assert!(file.allocated_bytes().unwrap() >= BYTES);
        assert!(reserve.give());
    }
}
