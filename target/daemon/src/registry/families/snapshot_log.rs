//! The list of a family's snapshots on disk: a file that is only ever added to, durably, and written anew
//! when most of it is about snapshots that are gone. What the bytes mean is the catalog's
//! ([`tidelock_catalog::snapshots::log`]).

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use tidelock_catalog::snapshots::ListError;
use tidelock_catalog::snapshots::log::{LOG_BYTES_MAX, Log, LogError};
use tidelock_catalog::{FamilyId, ListChange, SnapshotList};

use crate::state_dir::{ReplacedFile, StateDirError};

/// The file's name in the family's folder.
const NAME: &str = "snapshots";

/// Why the list can't be used.
#[derive(Debug, Error)]
pub(in crate::registry) enum SnapshotLogError {
    /// The file can't be read or written.
    #[error(transparent)]
    File(#[from] StateDirError),
    /// It is damaged, or another family's.
    #[error("the list of snapshots {path} can't be used: {source}; nothing was changed")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LogError,
    },
    /// A defect: what was to be added can't be.
    #[error(transparent)]
    Change(#[from] ListError),
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SnapshotLogError {
    move |source| {
        let path = path.into();
        StateDirError::Io {
            action,
            path,
            source,
        }
        .into()
    }
}

/// The list, and its open file.
#[derive(Debug)]
pub(in crate::registry) struct SnapshotLog {
    path: PathBuf,
    file: File,
    log: Log,
    /// An addition failed when it may be on disk already: what a restart would find is not known.
    poisoned: bool,
}

impl SnapshotLog {
    /// Makes an empty list, durably. Blocks.
    pub(in crate::registry) fn create(
        folder: &Path,
        family: FamilyId,
    ) -> Result<Self, SnapshotLogError> {
        let (log, bytes) = Log::new(family);
        ReplacedFile::in_folder(folder, NAME).replace(&bytes)?;
        Self::with(folder, log)
    }

    /// Opens the list that is there. What a crash left of an addition is cut off. Blocks.
    pub(in crate::registry) fn open(
        folder: &Path,
        family: FamilyId,
    ) -> Result<Self, SnapshotLogError> {
        let path = folder.join(NAME);
        let file = File::open(&path).map_err(io("open", &path))?;
        let mut bytes = Vec::new();
        file.take(LOG_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(io("read", &path))?;
        let log = Log::decode(&bytes, family).map_err(|source| SnapshotLogError::Content {
            path: path.clone(),
            source,
        })?;
        let cut_off = bytes.len() as u64 > log.len();
        let opened = if log.is_mostly_garbage() {
            let (log, bytes) = log.compacted(family);
            ReplacedFile::in_folder(folder, NAME).replace(&bytes)?;
            Self::with(folder, log)?
        } else {
            Self::with(folder, log)?
        };
        if cut_off {
            opened.cut(opened.log.len())?;
        }
        Ok(opened)
    }

    fn with(folder: &Path, log: Log) -> Result<Self, SnapshotLogError> {
        let path = folder.join(NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io("open", &path))?;
        Ok(Self {
            path,
            file,
            log,
            poisoned: false,
        })
    }

    /// Makes the changes together; when this returns `Ok` they are on stable storage. Blocks.
    ///
    /// # Errors
    /// They can't be written, and the old list stands; or they can't be made durable, and nothing more
    /// is taken.
    pub(in crate::registry) fn add(
        &mut self,
        changes: &[ListChange],
    ) -> Result<(), SnapshotLogError> {
        if self.poisoned {
            let path = self.path.clone();
            return Err(StateDirError::Poisoned { path }.into());
        }
        if changes.is_empty() {
            return Ok(());
        }
        crate::steps::reached(&self.path);
        let addition = self.log.add(changes)?;
        if let Err(source) = self.file.write_all_at(&addition.bytes, addition.at) {
            let at = addition.at;
            self.log.take_back(addition);
            // Half a line would be in the way of the next one.
            self.poisoned = self.cut(at).is_err();
            return Err(io("write", &self.path)(source));
        }
        self.file.sync_data().map_err(|source| {
            self.poisoned = true;
            io("sync", &self.path)(source)
        })?;
        crate::steps::reached(&self.path);
        Ok(())
    }

    fn cut(&self, len: u64) -> Result<(), SnapshotLogError> {
        let cut = self.file.set_len(len).and_then(|()| self.file.sync_data());
        cut.map_err(io("shorten", &self.path))
    }

    /// The list.
    pub(in crate::registry) fn list(&self) -> &SnapshotList {
        self.log.list()
    }
}

#[cfg(test)]
mod tests {
    use tidelock_catalog::snapshots::{Cause, Snapshot};
    use tidelock_catalog::{DatasetId, SnapshotName, VolumeId};
    use uuid::Uuid;

    use super::*;

    const FAMILY: FamilyId = FamilyId(Uuid::from_u128(7));

    fn add(number: u128) -> ListChange {
        ListChange::Add(Snapshot {
            id: DatasetId(Uuid::from_u128(number)),
            volume: VolumeId(Uuid::from_u128(1)),
            name: SnapshotName::new(&format!("s{number}")).unwrap(),
            at_unix_ms: 0,
            size_bytes: 4_096,
            cause: Cause::Operator,
            set: None,
            pending: false,
            quiesced: false,
        })
    }

    fn remove(number: u128) -> ListChange {
        ListChange::Remove(DatasetId(Uuid::from_u128(number)))
    }

    #[test]
    fn what_was_added_is_found_again_and_half_an_addition_is_not_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = SnapshotLog::create(dir.path(), FAMILY).unwrap();
        log.add(&[add(1)]).unwrap();
        log.add(&[add(2), remove(1)]).unwrap();
        let path = dir.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"0123abcd [{\"add"].concat()).unwrap();
        let mut again = SnapshotLog::open(dir.path(), FAMILY).unwrap();
        assert_eq!(again.list(), log.list());
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        again.add(&[add(3)]).unwrap();
        let last = SnapshotLog::open(dir.path(), FAMILY).unwrap();
        assert_eq!(last.list().len(), 2);
    }

    #[test]
    fn a_damaged_list_is_refused_by_name_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = SnapshotLog::create(dir.path(), FAMILY).unwrap();
        log.add(&[add(1)]).unwrap();
        log.add(&[add(2)]).unwrap();
        let path = dir.path().join(NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() - 20;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = SnapshotLog::open(dir.path(), FAMILY)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("snapshots can't be used: it is damaged at"),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn a_list_that_is_mostly_about_what_is_gone_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = SnapshotLog::create(dir.path(), FAMILY).unwrap();
        for number in 0..300 {
            log.add(&[add(number)]).unwrap();
            if number > 0 {
                log.add(&[remove(number - 1)]).unwrap();
            }
        }
        let path = dir.path().join(NAME);
        let before = std::fs::metadata(&path).unwrap().len();
        let mut again = SnapshotLog::open(dir.path(), FAMILY).unwrap();
        assert_eq!(again.list(), log.list());
        assert!(std::fs::metadata(&path).unwrap().len() < before / 50);
        again.add(&[add(999)]).unwrap();
        let last = SnapshotLog::open(dir.path(), FAMILY).unwrap();
        assert_eq!(last.list(), again.list());
    }

    #[test]
    fn a_change_that_can_not_be_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = SnapshotLog::create(dir.path(), FAMILY).unwrap();
        log.add(&[add(1)]).unwrap();
        let before = std::fs::read(dir.path().join(NAME)).unwrap();
        assert!(log.add(&[add(2), add(1)]).is_err());
        assert_eq!(std::fs::read(dir.path().join(NAME)).unwrap(), before);
        log.add(&[add(2)]).unwrap();
        assert_eq!(
            SnapshotLog::open(dir.path(), FAMILY).unwrap().list().len(),
            2
        );
    }
}
