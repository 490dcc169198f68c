//! What an end has begun to change below its mirror and hasn't landed. When the end is closed the volume is as any other,
//! and nothing keeps that in order with what hosts write any more: until all of it has landed they are kept off, as
//! after a write that was given up.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::volume::Volume;

/// See the module.
#[derive(Debug)]
pub(super) struct Landing {
    volume: Weak<Volume>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    under_way: u32,
    closed: bool,
}

/// One change; it has landed, or never will begin, when this is dropped.
#[derive(Debug)]
pub(super) struct Change(Arc<Landing>);

impl Landing {
    pub(super) fn new(volume: &Arc<Volume>) -> Arc<Self> {
        Arc::new(Self {
            volume: Arc::downgrade(volume),
            state: Mutex::default(),
        })
    }

    /// A change is about to begin; `None`: it must not, as the end is closed.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Change> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        state.under_way += 1;
        drop(state);
        Some(Change(Arc::clone(self)))
    }

    /// No change begins any more, and hosts are kept off until those that are under way have landed. To be called
    /// before hosts are let through without the end.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        if let Some(volume) = self.volume.upgrade() {
            (0..state.under_way).for_each(|_| volume.write_detached());
        }
    }

    #[cfg(test)]
    pub(super) fn under_way(&self) -> u32 {
        self.state.lock().under_way
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.under_way -= 1;
        if state.closed
            && let Some(volume) = self.0.volume.upgrade()
        {
            volume.detached_write_landed();
        }
    }
}
