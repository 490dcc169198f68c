//! What a daemon does about the end at a peer that isn't as it should be: not there at all, or met in another mode.

use tokio::task::AbortHandle;

use super::Running;

impl Running {
    /// The peer says that there is no such mirror, and why there is no connection.
    pub(crate) fn is_missed(&self, reason: &str) {
        if self.line().is_some_and(|line| line.is_refused(reason)) {
            self.has_changed();
        }
    }

    /// The ends part, and meet again at once.
    pub(crate) fn meet_again(&self) {
        if let Some(line) = self.line() {
            line.is_fine();
            line.disconnect();
        }
    }

    /// It goes on until the mirror is ended.
    pub(crate) fn with_task(&self, task: AbortHandle) {
        self.tasks.lock().push(task);
    }
}
