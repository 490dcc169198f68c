//! Whether there is room for more changes of the maps in memory, and who waits for some. Knows no maps.
//!
//! What a checkpoint hasn't written can't be forgotten. Where checkpoints are slower than hosts, maps would
//! grow without an end: so writes wait, before they have taken anything, until a checkpoint is finished.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Is told that there may be room, on a thread of the family: it must not wait for anything.
pub(crate) type Told = Box<dyn FnOnce() + Send>;

/// Tells them.
pub(super) fn tell(waiting: Vec<Told>) {
    waiting.into_iter().for_each(|told| told());
}

/// Room in memory.
#[derive(Default)]
pub(super) struct Room {
    is_tight: AtomicBool,
    waiting: Mutex<Vec<Told>>,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room")
            .field("is_tight", &self.is_tight)
            .finish_non_exhaustive()
    }
}

impl Room {
    /// Whether there is none: one load, as each write asks.
    pub(super) fn is_tight(&self) -> bool {
        self.is_tight.load(Ordering::Acquire)
    }

    /// There is none any more; true if there was some.
    pub(super) fn tighten(&self) -> bool {
        !self.is_tight() && !self.is_tight.swap(true, Ordering::AcqRel)
    }

    /// There is some again: those who wait are to be told, by [`tell`]. Called under the lock of the maps, as
    /// is [`Self::tighten`], or a late word of room would be believed that is gone again.
    #[must_use]
    pub(super) fn open(&self) -> Vec<Told> {
        let mut waiting = self.waiting.lock();
        self.is_tight.store(false, Ordering::Release);
        std::mem::take(&mut *waiting)
    }

    /// Nobody is to wait any more.
    pub(super) fn loosen(&self) {
        tell(self.open());
    }

    /// Has somebody told when there is some; false if there is some now, and nobody will be told.
    pub(super) fn when_roomy(&self, told: Told) -> bool {
        let mut waiting = self.waiting.lock();
        if !self.is_tight() {
            return false;
        }
        waiting.push(told);
        true
    }
}
