//! A volume that changes from raw to mapped, and back, while hosts use it. Everything here **blocks**.

use std::sync::Arc;

use tidelock_block::OpKind;
use tidelock_volume::mapped::{BLOCK_BYTES, BlockRange, Id};

use super::Family;
use crate::error::VolumeError;
use crate::volume::{Mapped, Volume};

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
        let _alone = volume.hold()?;
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
        let _alone = volume.hold()?;
        // Nobody writes now. What came since the fold's last look is little.
        self.bring_all_home(dataset)?;
        self.checkpoint()?;
        if self.state.lock().maps.datasets().len() != 1 {
            return Err(wrong("has got a snapshot or a clone meanwhile"));
        }
        volume.content().set(None);
        self.forget(volume);
        Ok(())
    }

    /// A volume isn't in the family any more: what happens to that is none of its business.
    pub(crate) fn forget(&self, volume: &Volume) {
        self.volumes
            .lock()
            .retain(|known| !std::ptr::eq(known.as_ptr(), volume));
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
