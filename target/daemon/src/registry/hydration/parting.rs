//! The last round: what is left is copied while hosts wait, and then the clone is its file. Everything here blocks.

use std::path::PathBuf;
use std::sync::Arc;

use tidelock_catalog::DatasetId;
use tidelock_replication::{Committed, Family, Held, Volume, VolumeError};

use super::copying;
use super::pacing::HELD_MAX;
use super::rounds::begin;
use crate::registry::families::leftover;
use crate::registry::removal::delete_datasets;
use crate::registry::snapshots::Member;
use crate::state_dir::{ReplacedFile, StateDirError};

/// The last round.
pub(super) struct Ending {
    pub(super) member: Member,
    pub(super) to: Arc<Volume>,
    pub(super) file: Arc<ReplacedFile>,
    pub(super) base: DatasetId,
    pub(super) next: DatasetId,
    /// The catalog, with the snapshot that is copied.
    pub(super) noted: Vec<u8>,
    /// The catalog in which the clone is its file.
    pub(super) parted: Vec<u8>,
    /// The folder of the family, if nobody is in it then.
    pub(super) left: Option<PathBuf>,
}

/// How it went.
pub(super) enum Ended {
    TooMuch,
    /// The catalog doesn't know of the snapshot, and nothing is copied.
    NotNoted(StateDirError),
    /// It does. Why the clone isn't its file, if it isn't.
    Noted(Result<Option<String>, VolumeError>),
}

impl Ending {
    /// Blocks, and hosts wait.
    pub(super) fn run(self) -> Result<Ended, VolumeError> {
        let Self {
            member, to, file, ..
        } = &self;
        let (store, family) = (&member.store, &member.open.engine);
        to.resize(store.size())?;
        // Most of it, before anybody waits.
        store.flush_blocking()?;
        let held = store.hold()?;
        let (_, left) = begin(family, member.head, Some(self.base), to, 0)?.measure(0, || true)?;
        if left > HELD_MAX {
            return Ok(Ended::TooMuch);
        }
        let [head, next] = [member.head, self.next].map(|id| *id.0.as_bytes());
        Family::snapshot(&[(Arc::clone(family), head, next)])?;
        if let Err(error) = file.replace(&self.noted) {
            // If a restart may find it noted, it must find it.
            if !file.is_poisoned() || error.is_poisoned() {
                delete_datasets(&member.open, &[self.next]);
            }
            return Ok(Ended::NotNoted(error));
        }
        Ok(Ended::Noted(self.part(&held)))
    }

    fn part(&self, held: &Held<'_>) -> Result<Option<String>, VolumeError> {
        let family = &self.member.open.engine;
        let mut copy = begin(family, self.next, Some(self.base), &self.to, 0)?;
        copying::to_the_end(&mut copy)?;
        if let Some(folder) = &self.left {
            // Or a crash would leave something that has data in it, and nobody could tell whose.
            leftover::mark(folder).map_err(|error| VolumeError::Family {
                folder: folder.clone(),
                what: format!("its end can't be noted: {error}"),
            })?;
        }
        let parted = self.commit(held);
        if let (Some(folder), Ok(Some(_)) | Err(_)) = (&self.left, &parted)
            && !self.file.is_poisoned()
        {
            leftover::unmark(folder);
        }
        parted
    }

    fn commit(&self, held: &Held<'_>) -> Result<Option<String>, VolumeError> {
        let mut failed = None;
        let parted = held.part(&self.to, || match self.file.replace(&self.parted) {
            Ok(()) => Committed::Yes,
            Err(error) => {
                let was_placed = self.file.is_poisoned() && !error.is_poisoned();
                failed = Some(error);
                match was_placed {
                    true => Committed::Unknown,
                    false => Committed::No,
                }
            }
        })?;
        let reason = failed.map(|error| error.to_string());
        let reason = reason.unwrap_or_else(|| "the catalog can't be written".to_owned());
        Ok((!parted).then_some(reason))
    }
}
