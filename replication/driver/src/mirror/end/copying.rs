//! How much a resync may copy.

use std::time::Instant;

#[cfg(test)]
use super::End;
use super::State;
use crate::mirror::pace::Waiting;

impl State {
    /// Bytes that a resync may copy now.
    pub(super) fn budget(&mut self) -> u64 {
        let waiting = Waiting {
            any: !self.hosts.is_empty(),
            since: self.hosts.values().filter_map(|it| it.began).min(),
        };
        let left = self.core.copy_budget();
        let (kept, granted) = self.pace.budget(Instant::now(), left, waiting);
        self.core.limit_copy_budget(kept);
        granted
    }

    /// A resync has begun or ended, or there are other limits.
    pub(super) fn keep_budget(&mut self) {
        let keeps = self.pace.keeps(self.core.is_resyncing());
        self.core.limit_copy_budget(keeps);
    }
}

#[cfg(test)]
impl End {
    pub(in crate::mirror) fn copy_budget(&self) -> u64 {
        self.state.lock().core.copy_budget()
    }
}
