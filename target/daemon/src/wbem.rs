//! The WBEM server's door: HTTP and TLS on a TCP port, users with passwords, and the daemon as the server sees it.
//! What is asked and answered is `tidelock-wbem`'s. It has a thread of its own, so that hosts never wait for it.

mod accept;
mod certificate;
mod daemon;
mod http;
mod inventory;
mod jobs;
mod mirrors;
mod settings;
mod users;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::control::DaemonControl;
use crate::shared::Shared;
use crate::state_dir::StateDir;

pub use settings::Settings;
pub(crate) use settings::{Section, check};
pub use users::{HashError, hash_from_stdin, hash_password};

/// Requests that are answered at once. Others wait.
const WORKERS: usize = 4;

/// Why the WBEM server can't be had. The text says what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WbemError {
    /// The address.
    #[error("cannot listen for WBEM on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificate or its key.
    #[error("the WBEM server's certificate: {0}")]
    Certificate(#[from] certificate::CertificateError),
    /// The thread.
    #[error("cannot start the thread of the WBEM server: {0}")]
    Thread(std::io::Error),
}

/// The running server.
#[derive(Debug)]
pub struct Door {
    /// Where it listens.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Door {
    /// Opens it. What is changed for clients is changed on the runtime that this is called from.
    ///
    /// # Errors
    /// See [`WbemError`].
    pub fn open(
        settings: &Settings,
        state: &StateDir,
        shared: &Arc<Shared>,
        control: &Arc<DaemonControl>,
    ) -> Result<Self, WbemError> {
        let tls = match &settings.tls {
            Some(source) => Some(certificate::load(source, state)?),
            None => None,
        };
        let fail = |source| WbemError::Listen {
            address: settings.listen,
            source,
        };
        let listener = TcpListener::bind(settings.listen).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let model =
            daemon::DaemonModel::new(Arc::clone(shared), Arc::clone(control), Handle::current());
        let house = http::House {
            server: tidelock_wbem::Server::default(),
            model: Box::new(model),
            users: settings.users.clone(),
            limits: http::Limits::default(),
            workers: Semaphore::new(WORKERS),
            passwords: Semaphore::new(1),
            begun: Instant::now(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Of those one looks at passwords.
            .max_blocking_threads(WORKERS + 1)
            .thread_name("tidelock-wbem")
            .build()
            .map_err(WbemError::Thread)?;
        let (stop, stopped) = watch::channel(false);
        std::thread::Builder::new()
            .name("tidelock-wbem".to_owned())
            .spawn(move || {
                runtime.block_on(accept::accept(listener, tls, Arc::new(house), stopped));
                // What is still asked of the daemon is nobody's any more.
                runtime.shutdown_background();
            })
            .map_err(WbemError::Thread)?;
        Ok(Self { address, stop })
    }

    /// Ends all connections.
    pub fn close(&self) {
        self.stop.send_replace(true);
    }
}

#[cfg(test)]
mod tests;
