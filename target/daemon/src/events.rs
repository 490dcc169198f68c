//! What happens, for those who watch. Nobody waits for them: who falls behind is told how much was
//! missed.

use std::time::{SystemTime, UNIX_EPOCH};

use tidelock_admin::v1::{Event, EventKind};
use tokio::sync::broadcast;

/// Events that a slow watcher may fall behind by.
const BACKLOG: usize = 1_024;

/// The channel that events go through.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Events {
    /// Tells whoever watches.
    pub fn tell(&self, kind: EventKind) {
        // Without watchers nobody needs to be told.
        let _ = self.0.send(Event {
            at_unix_ms: unix_ms(SystemTime::now()),
            kind,
        });
    }

    /// What happens from now on.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}

/// Milliseconds since 1970; 0 for times before it.
#[must_use]
pub fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
