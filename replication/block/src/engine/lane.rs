//! Which lane of every file an engine uses: the lowest number that no living engine has.

use parking_lot::Mutex;

static TAKEN: Mutex<Vec<bool>> = Mutex::new(Vec::new());

/// A lane number, free again on drop.
#[derive(Debug)]
pub(crate) struct Lane(usize);

impl Lane {
    pub(crate) fn take() -> Self {
        let mut taken = TAKEN.lock();
        let index = taken.iter().position(|taken| !taken).unwrap_or(taken.len());
        match taken.get_mut(index) {
            Some(slot) => *slot = true,
            None => taken.push(true),
        }
        Self(index)
    }

    pub(crate) fn index(&self) -> usize {
        self.0
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(slot) = TAKEN.lock().get_mut(self.0) {
            *slot = false;
        }
    }
}
