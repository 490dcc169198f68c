//! What a volume's bytes are: its file, or a dataset of a family.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use tidelock_volume::mapped::DatasetId;

use crate::family::Family;

/// A dataset of a family.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    pub(crate) family: Arc<Family>,
    pub(crate) dataset: DatasetId,
}

/// Raw, or a dataset.
#[derive(Debug, Default)]
pub(crate) struct Content {
    is_mapped: AtomicBool,
    mapped: RwLock<Option<Mapped>>,
}

impl Content {
    pub(crate) fn of(mapped: Mapped) -> Self {
        Self {
            is_mapped: AtomicBool::new(true),
            mapped: RwLock::new(Some(mapped)),
        }
    }

    /// Whether there is a family; a raw volume pays no more than this look.
    #[inline]
    pub(crate) fn is_mapped(&self) -> bool {
        self.is_mapped.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn mapped(&self) -> Option<Mapped> {
        if self.is_mapped() {
            self.mapped.read().clone()
        } else {
            None
        }
    }

    /// Changes it. Nothing may be at work on the volume's blocks at that moment.
    pub(crate) fn set(&self, mapped: Option<Mapped>) {
        let mut place = self.mapped.write();
        self.is_mapped.store(mapped.is_some(), Ordering::Release);
        *place = mapped;
    }
}
