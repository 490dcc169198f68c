//! A thread for the tasks of mirrors: one on which messages go from end to end, and which has nothing else to do, since
//! writes of hosts wait for it; and one that keeps up leases.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread, for as long as this is there.
#[derive(Debug)]
pub(crate) struct Post {
    handle: Handle,
    /// Dropped with this, which ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Post {
    /// Begins it.
    ///
    /// # Errors
    /// The host has no threads or descriptors left.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Nobody ever sends anything.
                let _: Result<(), _> = runtime.block_on(stopped);
            })?;
        Ok(Self {
            handle,
            _stop: stop,
        })
    }

    /// Where tasks go.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}
