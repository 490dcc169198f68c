//! Whether a volume is an end of a mirror, so that what changes it goes through that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::Volume;
use crate::mirror::{End, EndError};

/// The end that a volume is, if it is one.
#[derive(Debug, Default)]
pub(crate) struct Mirrored {
    is_mirrored: AtomicBool,
    end: RwLock<Option<Arc<End>>>,
}

impl Mirrored {
    /// Whether there is an end; a volume that isn't mirrored pays no more than this look.
    #[inline]
    pub(crate) fn is_mirrored(&self) -> bool {
        self.is_mirrored.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) -> Option<Arc<End>> {
        self.end.read().clone()
    }
}

impl Volume {
    pub(crate) fn mirrored(&self) -> &Mirrored {
        &self.mirrored
    }

    /// The end that it is, while it is an open one.
    #[must_use]
    pub fn mirror_end(&self) -> Option<Arc<End>> {
        self.mirrored.end()
    }

    /// What changes it goes through this end from now on. **Blocks**, until what is under way has ended.
    pub(crate) fn mirror_by(&self, end: &Arc<End>) -> Result<(), EndError> {
        // A change that began without the end must not land behind one that didn't.
        let _alone = self.hold()?;
        let mut place = self.mirrored.end.write();
        if place.is_some() {
            return Err(EndError::Mirrored {
                path: self.path().to_path_buf(),
            });
        }
        *place = Some(Arc::clone(end));
        self.mirrored.is_mirrored.store(true, Ordering::Release);
        Ok(())
    }

    /// It doesn't any more. What is under way has the end still.
    pub(crate) fn unmirror(&self, end: &End) {
        let mut place = self.mirrored.end.write();
        if place.as_ref().is_some_and(|it| std::ptr::eq(&**it, end)) {
            self.mirrored.is_mirrored.store(false, Ordering::Release);
            *place = None;
        }
    }
}
