//! The tail of a family's journal: changes that no flush has made durable yet, in two files in memory
//! (tmpfs), so that they outlive the daemon when it is killed. What is acknowledged then is lost with the
//! power only, as with a raw file and its page cache.
//!
//! Writing to tmpfs waits for no disk. While a flush is under way, changes go to the other file; when it is
//! done, the first one is emptied.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tidelock_volume::mapped::Id;
use tidelock_volume::mapped::format::tail::{HEADER_BYTES, header};

/// Bytes that are read of a tail at most: more than any has.
const BYTES_MAX: u64 = 256 << 20;

/// Both files.
#[derive(Debug)]
pub(super) struct Tail {
    files: [File; 2],
    paths: [PathBuf; 2],
    header: Vec<u8>,
    /// Into which is written now, and where.
    now: usize,
    at: u64,
    /// It can't be written any more: said once.
    broken: bool,
    entry: Vec<u8>,
}

impl Tail {
    /// The tail of the family whose superblock is this file.
    pub(super) fn open(folder: &Path, family: Id, superblock: &Path) -> io::Result<Self> {
        make_private(folder)?;
        let paths = paths(folder, superblock)?;
        let open = |path: &PathBuf| {
            let flags = rustix::fs::OFlags::NOFOLLOW.bits();
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(i32::try_from(flags).unwrap_or_default())
                .open(path)
        };
        let [first, second] = &paths;
        Ok(Self {
            files: [open(first)?, open(second)?],
            paths,
            header: header(&family),
            now: 0,
            at: 0,
            broken: false,
            entry: Vec::new(),
        })
    }

    /// What is in both files.
    pub(super) fn read(&self) -> io::Result<[Vec<u8>; 2]> {
        let read = |file: &File| {
            let length = file.metadata()?.len().min(BYTES_MAX);
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            file.read_exact_at(&mut bytes, 0)?;
            Ok::<_, io::Error>(bytes)
        };
        let [first, second] = &self.files;
        Ok([read(first)?, read(second)?])
    }

    /// Empties both: everything is durable.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        for file in &self.files {
            file.set_len(0)?;
        }
        self.at = 0;
        Ok(())
    }

    /// Writes what `fill` appends.
    pub(super) fn write(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        self.entry.clear();
        if self.at == 0 {
            self.entry.extend_from_slice(&self.header);
        }
        fill(&mut self.entry);
        if self.broken || self.entry.len() <= HEADER_BYTES && self.at == 0 || self.entry.is_empty()
        {
            return;
        }
        let file = self.files.get(self.now);
        let written = file.map(|file| file.write_all_at(&self.entry, self.at));
        match written {
            Some(Ok(())) => self.at += self.entry.len() as u64,
            Some(Err(error)) => {
                self.broken = true;
                tracing::error!(file = ?self.paths.first(), %error,
                    "what hosts write to volumes with snapshots and don't flush will be lost if the \
                     daemon is killed, until the next flush");
            }
            None => {}
        }
    }

    /// A flush begins: from now on the other file is used, which is empty.
    pub(super) fn switch(&mut self) {
        self.now ^= 1;
        self.at = 0;
        self.broken = false;
    }

    /// A flush is done: what was written before it isn't needed any more.
    pub(super) fn empty_other(&mut self) {
        let file = self.files.get(self.now ^ 1);
        if let Some(Err(error)) = file.map(|file| file.set_len(0)) {
            tracing::warn!(%error, "the tail of a journal can't be emptied");
        }
    }

    /// Removes both files: the family is closed.
    pub(super) fn remove(&self) {
        for path in &self.paths {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::debug!(%error, "the tail of a journal is left behind");
            }
        }
    }
}

/// What there is of the tail of the family whose superblock is this file. Makes and changes nothing.
pub(super) fn found(folder: &Path, superblock: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut halves = Vec::new();
    for path in paths(folder, superblock)? {
        match File::open(&path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(BYTES_MAX).read_to_end(&mut bytes)?;
                halves.push(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(halves)
}

fn paths(folder: &Path, superblock: &Path) -> io::Result<[PathBuf; 2]> {
    // A copy of a family isn't the family.
    let metadata = std::fs::metadata(superblock)?;
    let name = format!("{:x}-{:x}", metadata.dev(), metadata.ino());
    let path = |half: u8| folder.join(format!("{name}.{half}"));
    Ok([path(0), path(1)])
}

/// A folder that nobody else can write to, in one that everybody can.
fn make_private(folder: &Path) -> io::Result<()> {
    let made = DirBuilder::new().mode(0o700).create(folder);
    if let Err(error) = made
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    let metadata = std::fs::symlink_metadata(folder)?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || !ours || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "{} isn't a folder of this user alone",
            folder.display()
        )));
    }
    Ok(())
}

/// Where tails are if nothing else is said.
pub(super) fn usual_folder() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    PathBuf::from(format!("/dev/shm/tidelock-{user}"))
}
