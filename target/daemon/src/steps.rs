//! Where tests look at what a crash would leave: before and after each step that is durable. The daemon that
//! people run has nothing of it.

/// A durable step about this file begins, or has ended.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn reached(_: &std::path::Path) {}

#[cfg(test)]
pub(crate) use watching::{Watching, reached};

#[cfg(test)]
mod watching {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use parking_lot::Mutex;

    type Look = Arc<dyn Fn() + Send + Sync>;

    /// Who looks at the steps in which folder.
    static ALL: Mutex<Vec<(PathBuf, Look)>> = Mutex::new(Vec::new());

    /// Somebody looks at each step in a folder, until this is dropped.
    pub(crate) struct Watching(PathBuf);

    impl Watching {
        pub(crate) fn new(folder: &Path, look: impl Fn() + Send + Sync + 'static) -> Self {
            ALL.lock().push((folder.to_owned(), Arc::new(look)));
            Self(folder.to_owned())
        }
    }

    impl Drop for Watching {
        fn drop(&mut self) {
            ALL.lock().retain(|(folder, _)| *folder != self.0);
        }
    }

    pub(crate) fn reached(path: &Path) {
        let all = ALL.lock();
        let of_it = all.iter().find(|(folder, _)| path.starts_with(folder));
        let look = of_it.map(|(_, look)| Arc::clone(look));
        drop(all);
        if let Some(look) = look {
            look();
        }
    }
}
