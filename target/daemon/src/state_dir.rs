//! The state folder: one daemon at a time, and files in it that are replaced whole or not at all.
//! Knows nothing of what is in those files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

/// The longest file that is read back, in bytes. A catalog of ten thousand volumes has a tenth of it.
const FILE_LEN_MAX: u64 = 256 << 20;

/// What can go wrong with the state folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateDirError {
    /// Another daemon holds the lock.
    #[error(
        "the state folder {path} is in use by another tidelockd{holder}: stop it, or give this one \
         another --state-dir"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// " (pid N)" if known.
        holder: String,
    },
    /// Something in the folder can't be made, read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file is longer than any that the daemon writes.
    #[error(
        "{path} has {len} bytes, which is more than this daemon ever writes: is it the right file?"
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// An earlier replacement failed half-way, so that what is on disk is not known.
    #[error(
        "{path} could not be made durable earlier, so no more changes are taken: check the disk, \
         then restart the daemon"
    )]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
}

impl StateDirError {
    /// Whether nothing was changed because there is no space.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Self::Io { action, source, .. } = self else {
            return false;
        };
        let is_full = matches!(
            source.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        );
        // Those that come before the new content is in place.
        is_full && matches!(*action, "create" | "write" | "sync")
    }

    /// Whether it was refused because an earlier change has failed half-way.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        matches!(self, Self::Poisoned { .. })
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StateDirError {
    move |source| StateDirError::Io {
        action,
        path: path.into(),
        source,
    }
}

/// The state folder, locked for as long as this value lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    lock: File,
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a child that hasn't become another program yet.
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

impl StateDir {
    /// Makes the folder if it is missing (mode 0700) and takes its lock.
    ///
    /// # Errors
    /// Another daemon has it, or it can't be made or locked.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(io("create the state folder", path))?;
        let path = path
            .canonicalize()
            .map_err(io("resolve the state folder", path))?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io("open", &lock_path))?;
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if error == rustix::io::Errno::WOULDBLOCK {
                let mut pid = String::new();
                let read = (&lock).take(32).read_to_string(&mut pid).unwrap_or(0);
                let holder = if read == 0 {
                    String::new()
                } else {
                    format!(" (pid {})", pid.trim())
                };
                return Err(StateDirError::InUse { path, holder });
            }
            return Err(io("lock", &lock_path)(error.into()));
        }
        lock.set_len(0).map_err(io("write", &lock_path))?;
        writeln!(lock, "{}", std::process::id()).map_err(io("write", &lock_path))?;
        Ok(Self { path, lock })
    }

    /// The folder itself, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where volumes go that the daemon makes itself; made if it is missing.
    ///
    /// # Errors
    /// It can't be made.
    pub fn volumes(&self) -> Result<PathBuf, StateDirError> {
        self.folder("volumes")
    }

    /// Where reservations are kept that outlive the daemon; made if it is missing.
    ///
    /// # Errors
    /// It can't be made.
    pub fn reservations(&self) -> Result<PathBuf, StateDirError> {
        self.folder("reservations")
    }

    /// A folder in the state folder; made if it is missing.
    ///
    /// # Errors
    /// It can't be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf, StateDirError> {
        let path = self.path.join(name);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(io("create", &path))?;
        sync_dir(&self.path)?;
        Ok(path)
    }
}

/// One file that is only ever replaced as a whole: after a crash at any instruction it has the old
/// content or the new, never a part of either.
///
/// The order is write aside, fsync, rename, fsync the folder. A new file that was never renamed is
/// left aside and overwritten by the next replacement.
#[derive(Debug)]
pub struct ReplacedFile {
    path: PathBuf,
    aside: PathBuf,
    /// Space for the next content is kept, so that it can be written on a full disk.
    keeps_space: bool,
    poisoned: Mutex<bool>,
}

/// The least space that is kept for the next content, in bytes.
const SPACE_MIN: u64 = 256 << 10;

impl ReplacedFile {
    /// Names a file in `dir`; touches nothing.
    #[must_use]
    pub fn new(dir: &StateDir, name: &str) -> Self {
        Self::in_folder(&dir.path, name)
    }

    /// Names a file in a folder that is known to be the state folder; touches nothing.
    #[must_use]
    pub fn in_folder(folder: &Path, name: &str) -> Self {
        Self {
            path: folder.join(name),
            aside: folder.join(format!("{name}.new")),
            keeps_space: false,
            poisoned: Mutex::new(false),
        }
    }

    /// The same, with space for the next content set aside whenever one is in place: on a full disk it can still be
    /// replaced, by one of up to twice its size.
    #[must_use]
    pub fn keeping_space(self) -> Self {
        Self {
            keeps_space: true,
            ..self
        }
    }

    /// Sets space aside in the file that the next content will be written to. On a full disk there may be none; what
    /// the old content took is free by then. Blocks.
    pub fn keep_space(&self, len: usize) {
        let wanted = (len as u64).saturating_mul(2).max(SPACE_MIN);
        let kept = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.aside)
            .and_then(|file| {
                let all = rustix::fs::FallocateFlags::empty();
                rustix::fs::fallocate(&file, all, 0, wanted).map_err(Into::into)
            });
        if let Err(error) = kept {
            tracing::debug!(path = %self.aside.display(), %error, "no space can be set aside");
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nobody knows what a restart would find, since replacing it has failed half-way.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        *self.poisoned.lock()
    }

    /// The content, or `None` if it was never written. Blocks.
    ///
    /// # Errors
    /// It can't be read or is absurdly long.
    pub fn read(&self) -> Result<Option<Vec<u8>>, StateDirError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("open", &self.path)(error)),
        };
        let len = file.metadata().map_err(io("inspect", &self.path))?.len();
        if len > FILE_LEN_MAX {
            return Err(StateDirError::TooLong {
                path: self.path.clone(),
                len,
            });
        }
        let mut content = Vec::new();
        file.take(FILE_LEN_MAX)
            .read_to_end(&mut content)
            .map_err(io("read", &self.path))?;
        Ok(Some(content))
    }

    /// Removes the file; when this returns `Ok` it stays removed. No effect if there is none. Blocks.
    ///
    /// # Errors
    /// It can't be removed, or that can't be made durable.
    pub fn remove(&self) -> Result<(), StateDirError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io("remove", &self.path)(error)),
            Ok(()) => self.path.parent().map_or(Ok(()), sync_dir),
        }
    }

    /// Replaces the content; when this returns `Ok` it is on stable storage. Blocks.
    ///
    /// # Errors
    /// It can't be written, in which case the old content stands. If the failure came when the new
    /// content may already be in place (renaming or later), every further call is refused: what a
    /// restart would find is not known.
    pub fn replace(&self, content: &[u8]) -> Result<(), StateDirError> {
        crate::steps::reached(&self.path);
        let mut poisoned = self.poisoned.lock();
        if *poisoned {
            return Err(StateDirError::Poisoned {
                path: self.path.clone(),
            });
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            // Its space is what is kept, if any is.
            .truncate(false)
            .mode(0o600)
            .open(&self.aside)
            .map_err(io("create", &self.aside))?;
        file.write_all(content).map_err(io("write", &self.aside))?;
        file.set_len(content.len() as u64)
            .map_err(io("write", &self.aside))?;
        file.sync_all().map_err(io("sync", &self.aside))?;
        let placed = std::fs::rename(&self.aside, &self.path)
            .map_err(io("replace", &self.path))
            .and_then(|()| self.path.parent().map_or(Ok(()), sync_dir));
        *poisoned = placed.is_err();
        crate::steps::reached(&self.path);
        if placed.is_ok() && self.keeps_space {
            self.keep_space(content.len());
        }
        placed
    }
}

/// Makes durable what is in a folder by which names. **Blocks.**
pub(crate) fn sync_dir(path: &Path) -> Result<(), StateDirError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(io("sync the folder", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_left_is_free_whoever_has_inherited_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        // What a child has that was just made: the same description.
        let inherited = first.lock.try_clone().unwrap();
        drop(first);
        StateDir::open(dir.path()).unwrap();
        drop(inherited);
    }

    #[test]
    fn a_second_daemon_on_the_same_folder_is_refused_and_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        let error = StateDir::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("in use by another tidelockd"), "{error}");
        assert!(
            error.contains(&format!("(pid {})", std::process::id())),
            "{error}"
        );
        drop(first);
        StateDir::open(dir.path()).unwrap();
    }

    #[test]
    fn what_was_replaced_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let file = ReplacedFile::new(&state, "catalog");
        assert_eq!(file.read().unwrap(), None);
        file.replace(b"one").unwrap();
        file.replace(b"two").unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some(&b"two"[..]));
    }

    #[test]
    fn a_file_left_aside_by_a_crash_is_ignored_and_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let file = ReplacedFile::new(&state, "catalog");
        file.replace(b"old").unwrap();
        std::fs::write(dir.path().join("catalog.new"), b"half of the ne").unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some(&b"old"[..]));
        file.replace(b"new").unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn there_is_space_for_the_next_content() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let file = ReplacedFile::new(&state, "catalog").keeping_space();
        for len in [1, 300 << 10, 5] {
            let content = vec![7; len];
            file.replace(&content).unwrap();
            assert_eq!(file.read().unwrap().as_deref(), Some(&content[..]));
            let aside = std::fs::metadata(dir.path().join("catalog.new")).unwrap();
            let wanted = (2 * len as u64).max(SPACE_MIN);
            assert!(aside.blocks() * 512 >= wanted, "{} blocks", aside.blocks());
            assert_eq!(aside.mode() & 0o777, 0o600);
        }
        // What is there already isn't given away by opening it.
        let inode = std::fs::metadata(dir.path().join("catalog.new"))
            .unwrap()
            .ino();
        file.replace(b"last").unwrap();
        assert_eq!(
            std::fs::metadata(dir.path().join("catalog")).unwrap().ino(),
            inode
        );
    }

    #[test]
    fn a_failed_rename_stops_all_further_changes() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let file = ReplacedFile::new(&state, "catalog");
        std::fs::create_dir_all(dir.path().join("catalog/in-the-way")).unwrap();
        assert!(file.replace(b"one").is_err());
        std::fs::remove_dir_all(dir.path().join("catalog")).unwrap();
        assert!(matches!(
            file.replace(b"two"),
            Err(StateDirError::Poisoned { .. })
        ));
    }
}
