//! Fences outlive the daemon: a volume whose flush failed stays fenced over a restart, until an
//! operator has looked at it. One small file per fenced volume in the state folder.

use std::collections::HashSet;
use std::path::PathBuf;

use parking_lot::Mutex;
use tidelock_catalog::VolumeId;
use tidelock_replication::Volume;

use super::ServedVolume;
use crate::state_dir::{ReplacedFile, StateDirError};

/// The longest reason that is kept, in bytes.
const REASON_MAX: usize = 4_096;

/// What is known on disk about fences.
#[derive(Debug)]
pub(super) struct Fences {
    folder: PathBuf,
    noted: Mutex<HashSet<VolumeId>>,
}

impl Fences {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            noted: Mutex::default(),
        }
    }

    /// Raises the fence of a volume that has just been opened, if it was up when the daemon last ran.
    /// Blocks.
    pub(super) fn recall(&self, id: VolumeId, store: &Volume) {
        match self.file(id).read() {
            Ok(None) => {}
            Ok(Some(reason)) => {
                self.noted.lock().insert(id);
                store.raise_fence(String::from_utf8_lossy(&reason).into_owned());
            }
            Err(error) => {
                // Better fenced without need than served after a loss.
                store.raise_fence(format!("cannot tell whether it was fenced before: {error}"));
            }
        }
    }

    /// Notes the fences that have gone up since the last call. Blocks.
    pub(super) fn note<'a>(&self, volumes: impl Iterator<Item = &'a ServedVolume>) {
        for volume in volumes {
            let fence = volume.store().and_then(|store| store.is_fenced());
            let Some(fence) = fence else { continue };
            if self.noted.lock().contains(&volume.id()) {
                continue;
            }
            let reason = fence.what.as_bytes();
            let reason = reason.get(..REASON_MAX).unwrap_or(reason);
            match self.file(volume.id()).replace(reason) {
                Ok(()) => {
                    self.noted.lock().insert(volume.id());
                }
                Err(error) => {
                    tracing::error!(volume = %volume.name(), %error, "the fence can't be noted");
                }
            }
        }
    }

    /// The operator has lifted a fence, or the volume is gone. Blocks.
    pub(super) fn forget(&self, id: VolumeId) -> Result<(), StateDirError> {
        self.file(id).remove()?;
        self.noted.lock().remove(&id);
        Ok(())
    }

    fn file(&self, id: VolumeId) -> ReplacedFile {
        ReplacedFile::in_folder(&self.folder, &format!("fenced-{id}"))
    }
}
