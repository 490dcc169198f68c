//! The WBEM server's door: HTTP and TLS on a TCP port, users with passwords, and the daemon as the server sees it.
//! What is asked and answered is `tidelock-wbem`'s. It has a thread of its own, so that hosts never wait for it.

mod accept;
mod certificate;
mod daemon;
mod http;
mod inventory;
mod jobs;
mod listeners;
mod mirrors;
mod settings;
mod users;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};

use crate::control::DaemonControl;
use crate::shared::Shared;
use crate::state_dir::{ReplacedFile, StateDir, StateDirError};

pub use settings::Settings;
pub(crate) use settings::{Section, check};
pub use users::{HashError, hash_from_stdin, hash_password};

/// Requests that are answered at once. Others wait.
const WORKERS: usize = 4;

/// What clients have subscribed to, in the state folder.
const SUBSCRIPTIONS: &str = "wbem-subscriptions.xml";

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
    /// The state folder.
    #[error(transparent)]
    State(StateDirError),
    /// What clients have subscribed to.
    #[error(
        "{path}: what WBEM clients have subscribed to can't be read: {reason}; remove it, and they have to do so again"
    )]
    Subscriptions {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
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
        let tls_of_listeners = match &settings.listener_certificates {
            Some(path) => Some(certificate::trusting(path)?),
            None => None,
        };
        let ways = listeners::Ways::new(tls_of_listeners);
        let kept = ReplacedFile::new(state, SUBSCRIPTIONS);
        let server = tidelock_wbem::Server::default();
        if let Some(text) = kept.read().map_err(WbemError::State)? {
            let text = String::from_utf8_lossy(&text);
            server
                .restore(&text)
                .map_err(|error| WbemError::Subscriptions {
                    path: kept.path().to_owned(),
                    reason: error.description,
                })?;
        }
        let mirrors = shared.registry.watch_mirrors();
        let model = daemon::DaemonModel::new(
            Arc::clone(shared),
            Arc::clone(control),
            Handle::current(),
            (ways.clone(), kept),
        );
        let house = http::House {
            server,
            model: Box::new(model),
            refusals: Notify::new(),
            users: settings.users.clone(),
            limits: http::Limits::default(),
            workers: Semaphore::new(WORKERS),
            passwords: Semaphore::new(1),
            begun: Instant::now(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Of those one looks at passwords, and one at what has happened.
            .max_blocking_threads(WORKERS + 2)
            .thread_name("tidelock-wbem")
            .build()
            .map_err(WbemError::Thread)?;
        let (stop, stopped) = watch::channel(false);
        std::thread::Builder::new()
            .name("tidelock-wbem".to_owned())
            .spawn(move || {
                let house = Arc::new(house);
                let told = listeners::tell(Arc::clone(&house), ways, mirrors, stopped.clone());
                runtime.spawn(told);
                runtime.block_on(accept::accept(listener, tls, house, stopped));
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
