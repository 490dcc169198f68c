//! A volume that changes from raw to mapped, and back, while hosts use it. Everything here **blocks**.

use std::sync::Arc;
use std::time::Duration;

use tidelock_block::OpKind;
use tidelock_volume::Range;
use tidelock_volume::mapped::{BLOCK_BYTES, BlockRange, Id};

use super::Family;
use crate::error::VolumeError;
use crate::volume::{Mapped, Volume};

/// How long operations under way may take to end; hosts' commands wait meanwhile.
const QUIET: Duration = Duration::from_secs(5);

impl Family {
    /// The volume whose family this is ([`Self::create`]) is its head from now on: what is written goes
    /// to new blocks. Whoever restarts must know of the family before this. **Blocks**, until the
    /// operations that are under way have ended.
    ///
    /// # Errors
    /// They don't end in time, or the head isn't this volume's: it is still raw then.
    pub fn adopt(self: &Arc<Self>, volume: &Arc<Volume>, head: Id) -> Result<(), VolumeError> {
        let dataset = self.find(head)?;
        let is_its_home = self
            .files
            .home()
            .is_some_and(|home| Arc::ptr_eq(home, volume.file()));
        if !is_its_home {
            return Err(VolumeError::Mapped {
                path: volume.path().to_path_buf(),
                what: "isn't the file that this family began with",
            });
        }
        let whole = Range {
            offset: 0,
            length: u64::MAX,
        };
        let alone = volume.locks().lock_waiting(whole, QUIET);
        let _alone = alone.ok_or_else(|| not_quiet(volume))?;
        let family = Arc::clone(self);
        // A flush doesn't wait for the range: it must not pass between these two.
        self.state.lock().home_is_dirty = true;
        volume.content().set(Some(Mapped { family, dataset }));
        self.join(volume);
        Ok(())
    }

    /// The volume is raw again: all of it is at home ([`Self::fold`]). What is written goes to its file
    /// from now on, so nothing else may happen in the family any more. **Blocks**, until the operations
    /// that are under way have ended.
    ///
    /// # Errors
    /// They don't end in time, or something isn't at home yet: it is still mapped then.
    pub fn release(self: &Arc<Self>, volume: &Arc<Volume>, head: Id) -> Result<(), VolumeError> {
        let dataset = self.find(head)?;
        let wrong = |what| VolumeError::Mapped {
            path: volume.path().to_path_buf(),
            what,
        };
        let whole = Range {
            offset: 0,
            length: u64::MAX,
        };
        let alone = volume.locks().lock_waiting(whole, QUIET);
        let _alone = alone.ok_or_else(|| not_quiet(volume))?;
        // Nobody writes now. What came since the fold's last look is little.
        self.bring_all_home(dataset)?;
        self.checkpoint()?;
        if self.state.lock().maps.datasets().len() != 1 {
            return Err(wrong("has got a snapshot or a clone meanwhile"));
        }
        volume.content().set(None);
        self.volumes
            .lock()
            .retain(|known| known.as_ptr() != Arc::as_ptr(volume));
        Ok(())
    }

    /// Gives ranges of the home file back to the file system that nobody needs any more.
    pub(super) fn punch_home(&self, ranges: &[BlockRange]) {
        let Some((home, bytes)) = self.home() else {
            return;
        };
        self.home_changes();
        for range in ranges {
            let offset = range.first.saturating_mul(BLOCK_BYTES as u64);
            let length = range.count.saturating_mul(BLOCK_BYTES as u64);
            let end = offset.saturating_add(length).min(bytes);
            let Some(length) = end.checked_sub(offset).filter(|length| *length > 0) else {
                continue;
            };
            let punched = home.perform(OpKind::PunchHole { offset, length });
            if let Err(error) = punched.result {
                tracing::debug!(%error, "space of the home file can't be given back");
                break;
            }
        }
    }

    /// Says that bytes of the home file are about to change that nobody's map has there.
    pub(super) fn home_changes(&self) {
        self.home_generation
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

fn not_quiet(volume: &Volume) -> VolumeError {
    VolumeError::NotQuiet {
        path: volume.path().to_path_buf(),
        seconds: QUIET.as_secs(),
    }
}
