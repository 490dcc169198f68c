//! Folders of families that the catalog doesn't know: which of them may be removed. Knows no catalog.

use std::fs::File;
use std::path::Path;

use tidelock_catalog::FamilyId;
use tidelock_replication::FamilyOptions;

use super::snapshot_log::{SnapshotLog, SnapshotLogError};
use crate::state_dir::StateDirError;

/// A file that says that a family is being deleted: it is made before the catalog forgets the family.
const MARK: &str = "deleted";

/// Notes durably that the family is about to be deleted. Blocks.
///
/// # Errors
/// It can't be noted.
pub(in crate::registry) fn mark(folder: &Path) -> std::io::Result<()> {
    File::create(folder.join(MARK))?.sync_all()?;
    File::open(folder)?.sync_all()
}

/// It isn't deleted after all. Blocks.
pub(in crate::registry) fn unmark(folder: &Path) {
    match std::fs::remove_file(folder.join(MARK)) {
        Ok(()) => {
            tracing::warn!(folder = %folder.display(), "a deletion that was begun wasn\'t made");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::error!(folder = %folder.display(), %error, "a deletion that wasn't made can't be taken back");
        }
    }
}

/// Whether the folder of a family that the catalog doesn't know may be removed; if not, why. Blocks.
pub(super) fn may_go(folder: &Path, id: FamilyId) -> Result<(), String> {
    if folder.join(MARK).exists() {
        return Ok(());
    }
    match SnapshotLog::open(folder, id) {
        Ok(log) if !log.list().is_empty() => Err("it has snapshots".to_owned()),
        Ok(_) => no_data(folder),
        Err(SnapshotLogError::File(StateDirError::Io { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            no_data(folder)
        }
        Err(error) => Err(error.to_string()),
    }
}

fn no_data(folder: &Path) -> Result<(), String> {
    if !tidelock_replication::is_family(folder) {
        // It was never finished, so nothing was ever written to it.
        return is_bare(folder);
    }
    let options = FamilyOptions::new(folder, [0; 16]);
    match tidelock_replication::has_data(folder, options.tail_folder.as_deref()) {
        Ok(false) => Ok(()),
        Ok(true) => Err("it has blocks of data".to_owned()),
        Err(error) if is_unfinished(folder) => {
            tracing::debug!(%error, "a family that was never finished");
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Whether no checkpoint of it was ever written: so nobody can have used it.
fn is_unfinished(folder: &Path) -> bool {
    std::fs::read(folder.join("superblock")).is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
}

/// Whether there is no data file, in which alone data can be.
fn is_bare(folder: &Path) -> Result<(), String> {
    match folder.join("data-0000").exists() {
        true => Err("it has data, and no superblock".to_owned()),
        false => Ok(()),
    }
}
