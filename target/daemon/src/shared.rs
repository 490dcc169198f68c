//! What all threads of the daemon share. Holds things together; does nothing itself.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tidelock_block::BufferPool;
use tidelock_iscsi::parameters::LocalParameters;

use crate::config::Config;
use crate::directory::Directory;
use crate::events::Events;
use crate::registry::Registry;
use crate::tokens::Tokens;

/// Which engine does file I/O, and why that one.
#[derive(Clone, Debug)]
pub struct Backend {
    /// `io_uring` or `threads`.
    pub name: &'static str,
    /// Why: what was asked for, or what the kernel said.
    pub reason: String,
}

/// What all threads of the daemon share.
#[derive(Debug)]
pub struct Shared {
    /// The settings.
    pub config: Config,
    /// What is served.
    pub registry: Arc<Registry>,
    /// Who is logged in.
    pub directory: Arc<Directory>,
    /// Payload memory of all I/O.
    pub pool: Arc<BufferPool>,
    /// ROD tokens, whichever session has made them.
    pub tokens: Arc<Tokens>,
    /// The I/O engine in use.
    pub backend: Backend,
    /// What happens, for those who watch.
    pub events: Events,
    /// When the daemon started.
    pub started: Instant,
    /// What the host's clock said then.
    pub started_at: SystemTime,
}

impl Shared {
    /// The device clock of all logical units: milliseconds since 1970. It was set from the host's clock
    /// when the daemon started, and doesn't jump with it, as every jump would have to be told to all.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        let then = self.started_at.duration_since(UNIX_EPOCH);
        let now = then
            .unwrap_or_default()
            .saturating_add(self.started.elapsed());
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }

    /// What we declare and offer in a login, with room for `window` commands to begin with.
    #[must_use]
    pub fn local_parameters(&self, window: u32) -> LocalParameters {
        LocalParameters {
            max_recv_data_segment_length: self.config.max_recv_data_segment_length,
            max_burst_length: self.config.max_burst_length,
            first_burst_length: self.config.first_burst_length,
            max_connections: self.config.max_connections,
            error_recovery_level: self.config.error_recovery_level,
            command_window: u16::try_from(window).unwrap_or(u16::MAX),
            ..LocalParameters::default()
        }
    }
}
