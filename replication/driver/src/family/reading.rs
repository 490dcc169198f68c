//! Blocks that are read where a map has shown them, without another look: whatever becomes of them meanwhile,
//! nothing else is written there before that has ended.

use std::sync::Arc;

use tidelock_volume::mapped;

use super::Family;

/// Goes on until it is dropped, which should be soon: space that hosts free waits for it.
#[derive(Debug)]
pub(crate) struct Reading {
    family: Arc<Family>,
    numbers: (mapped::Reading, mapped::Reading),
}

impl Family {
    /// What [`Self::locate`] finds from now on stays as it is.
    pub(crate) fn begin_reading(self: &Arc<Self>) -> Reading {
        Reading {
            numbers: self.state.lock().maps.begin_reading(),
            family: Arc::clone(self),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let freed = self.family.state.lock().maps.end_reading(self.numbers);
        if freed {
            self.family.desk.ask_tidy();
        }
    }
}
