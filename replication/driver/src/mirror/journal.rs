//! The journal of an end: what is durable of it beside the data. A file that is set aside in full, has everything
//! twice, and is replaced as a whole when it is full. `docs/mirror-journal.md` has its bytes.
//!
//! What was acknowledged is never lost silently: whatever one thing happens to the file afterwards, either the other
//! copy has it or the file is refused. Both copies of a change are made durable by the same `fdatasync`, in pages
//! that have nothing older in them.

mod layout;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tidelock_mirror::association::{Durable, JournalEntry};

use super::error::EndError;
pub(super) use layout::Identity;
use layout::{Image, PAGE};

const NAME: &str = "journal";
/// Where the next one is made. What is found there at a start was never in force.
const ASIDE: &str = "journal.new";
/// Bytes for changes in each half, behind the state that it begins with.
const LOG_BYTES: u64 = 1 << 20;

/// The open journal of an end.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    identity: Identity,
    /// With all changes so far.
    durable: Durable,
    file: File,
    nonce: u128,
    half: u64,
    /// Where the next batch goes in each half, and its number.
    at: u64,
    next: u64,
    /// Bytes for changes.
    room: u64,
    /// A replacement couldn't be made; it is told once.
    warned: bool,
}

impl Journal {
    /// Makes the journal of a new end, and its folder. **Blocks.**
    pub(super) fn create(
        folder: &Path,
        identity: Identity,
        durable: Durable,
    ) -> Result<(), EndError> {
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(EndError::io(folder, "make the folder of the mirror")(error));
            }
            _ => {}
        }
        let path = folder.join(NAME);
        if path.symlink_metadata().is_ok() {
            return Err(EndError::Exists { path });
        }
        replace(folder, identity, &durable, LOG_BYTES)?;
        match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
            _ => Ok(()),
        }
    }

    /// Opens a journal, with what was durable when it was written last, and makes it whole again. **Blocks.**
    pub(super) fn open(folder: &Path) -> Result<Self, EndError> {
        Self::open_with(folder, LOG_BYTES)
    }

    /// With room for fewer changes, so that it is replaced more often.
    pub(super) fn open_with(folder: &Path, room: u64) -> Result<Self, EndError> {
        let path = folder.join(NAME);
        let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => EndError::Missing { path: path.clone() },
            _ => EndError::io(&path, "read the journal of the mirror")(error),
        })?;
        let damaged = |what| EndError::Damaged {
            path: path.clone(),
            what,
        };
        let found = layout::recover(&bytes).map_err(damaged)?;
        if found.copies_differ {
            tracing::warn!(path = %path.display(), "one of the two copies in the journal of the mirror was damaged; \
                the other one is used");
        }
        let (file, image) = replace(folder, found.identity, &found.durable, room)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            identity: found.identity,
            durable: found.durable,
            file,
            nonce: image.nonce,
            half: image.half,
            at: image.end,
            next: 1,
            room,
            warned: false,
        })
    }

    pub(super) const fn identity(&self) -> Identity {
        self.identity
    }

    pub(super) const fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Makes changes durable, in their order, all of them at once. After a failure nobody knows what is durable, and
    /// nothing may be tried again. **Blocks.**
    pub(super) fn append(&mut self, entries: &[JournalEntry]) -> Result<(), EndError> {
        for entry in entries {
            self.durable.apply(entry);
        }
        let batch = layout::batch(self.nonce, self.next, &layout::changes(entries));
        let end = self.at + batch.len() as u64;
        // It is replaced while it still has room, so that a full disk isn't a failure yet.
        let is_long = self.half - self.at < self.room / 2;
        if end > self.half || is_long {
            match replace(&self.folder, self.identity, &self.durable, self.room) {
                Ok((file, image)) => {
                    self.file = file;
                    self.nonce = image.nonce;
                    self.half = image.half;
                    self.at = image.end;
                    self.next = 1;
                    self.warned = false;
                    return Ok(());
                }
                // The old one is in force, whatever became of the new one.
                Err(Replacing::Before(error)) if end <= self.half => {
                    if !std::mem::replace(&mut self.warned, true) {
                        tracing::warn!(%error, "the journal of the mirror can't be replaced yet");
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        let path = self.folder.join(NAME);
        let write = |at| self.file.write_all_at(&batch, at);
        write(self.at)
            .and_then(|()| write(self.half + self.at))
            .and_then(|()| self.file.sync_data())
            .map_err(EndError::io(&path, "write the journal of the mirror"))?;
        self.at = end;
        self.next += 1;
        Ok(())
    }

    /// Takes the journal away, and its folder if nothing else is in it. **Blocks.**
    pub(super) fn remove(folder: &Path) -> Result<(), EndError> {
        for name in [NAME, ASIDE] {
            let path = folder.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(EndError::io(&path, "remove the journal of the mirror")(
                        error,
                    ));
                }
                _ => {}
            }
        }
        match std::fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed.map_err(EndError::io(folder, "remove the folder of the mirror"))?,
        }
        match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
            _ => Ok(()),
        }
    }
}

/// Why a journal wasn't replaced.
enum Replacing {
    /// The old one is in force.
    Before(EndError),
    /// Nobody knows which one is.
    Unknown(EndError),
}

impl From<Replacing> for EndError {
    fn from(error: Replacing) -> Self {
        match error {
            Replacing::Before(error) | Replacing::Unknown(error) => error,
        }
    }
}

/// Makes a new journal with this state, and puts it in the place of the old one.
fn replace(
    folder: &Path,
    identity: Identity,
    durable: &Durable,
    room: u64,
) -> Result<(File, Image), Replacing> {
    let aside = folder.join(ASIDE);
    let path = folder.join(NAME);
    let refuse = |what| EndError::io(&aside, what);
    let image = layout::image(identity, durable, room)
        .ok_or_else(|| refuse("draw a random number for")(io::ErrorKind::Other.into()))
        .map_err(Replacing::Before)?;
    let written = write_new(&aside, &image)
        .map_err(refuse("write the journal of the mirror"))
        .map_err(Replacing::Before)?;
    std::fs::rename(&aside, &path)
        .map_err(refuse("put the journal of the mirror into its place"))
        .map_err(Replacing::Unknown)?;
    sync_folder(folder).map_err(Replacing::Unknown)?;
    Ok((written, image))
}

fn write_new(path: &Path, image: &Image) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let file = options.mode(0o600).open(path)?;
    for at in [0, image.half] {
        let first = if at == 0 { &image.first } else { &image.second };
        file.write_all_at(first, at)?;
        file.write_all_at(&image.state, at + PAGE)?;
        // Its space is set aside, so that a change of it needs none.
        let zeros = vec![0; 64 << 10];
        let mut zeroed = at + image.end;
        while zeroed < at + image.half {
            let left = at + image.half - zeroed;
            let count = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            file.write_all_at(zeros.get(..count).unwrap_or_default(), zeroed)?;
            zeroed += count as u64;
        }
    }
    file.sync_all()?;
    Ok(file)
}

fn sync_folder(folder: &Path) -> Result<(), EndError> {
    File::open(folder)
        .and_then(|it| it.sync_all())
        .map_err(EndError::io(folder, "make the folder durable"))
}

#[cfg(test)]
mod tests;
