//! When the content of a snapshot is beyond a power cut, and not only beyond a kill.
//!
//! A snapshot is made without a flush. It is one moment of its head all the same, whatever happens: a batch
//! of the journal has all changes up to a moment or none, so after a power cut a snapshot is what its head
//! was at the last durable batch, if that was earlier. That is one change of its content, to what the head
//! itself has then; so nobody is given the content of a snapshot before it can't happen any more.

use tidelock_volume::mapped::Id;

use super::Family;
use crate::error::VolumeError;

impl Family {
    /// Begins to make durable whatever snapshots have that nobody has flushed. Doesn't wait.
    pub fn settle_soon(&self) {
        if !self.state.lock().unsettled.is_empty() {
            // A failure raises the fence, whoever listens.
            self.flush(Box::new(|_| {}));
        }
    }

    /// Makes everything durable that was written so far. **Blocks.**
    ///
    /// # Errors
    /// It can't be: the family is fenced.
    pub fn settle_all(&self) -> Result<(), VolumeError> {
        self.flush_blocking()
    }

    /// Makes sure that a snapshot is after a power cut what it is now. **Blocks.**
    ///
    /// # Errors
    /// It can't be made durable: the family is fenced.
    pub fn settle(&self, id: Id) -> Result<(), VolumeError> {
        let state = self.state.lock();
        let dataset = state.maps.by_uuid(&id);
        let settled = dataset.is_none_or(|dataset| !state.unsettled.contains(&dataset));
        drop(state);
        if settled {
            Ok(())
        } else {
            self.flush_blocking()
        }
    }
}
