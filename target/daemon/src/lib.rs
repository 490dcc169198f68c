//! The daemon: the one crate that knows everybody. Threads, sockets, the registry of what is served,
//! the admin server, configuration, the catalog's file and metrics live here; protocol, SCSI and
//! volume logic does not.
#![forbid(unsafe_code)]

pub mod admin_server;
pub mod admin_socket;
pub mod args;
pub mod config;
pub mod connection;
pub mod control;
pub mod demo;
pub mod directory;
pub mod events;
pub mod failover;
pub mod jobs;
pub mod lifecycle;
pub mod limits;
pub mod logging;
mod loops;
pub mod metrics;
mod mirrors;
pub mod peers;
pub mod portal;
pub mod quiesce;
pub mod reactor;
pub mod registry;
mod renewal;
pub mod shared;
pub mod state_dir;
mod steps;
pub mod systemd;
pub mod tokens;
pub mod wbem;

pub use lifecycle::DaemonError;

/// Runs the daemon as its command line says, until it is told to stop.
///
/// # Errors
/// It can't start, or volumes can't be flushed at the end.
pub fn run(args: &args::Args) -> Result<(), DaemonError> {
    if args.hash_password {
        return wbem::hash_from_stdin().map_err(DaemonError::from);
    }
    let config = config::Config::load(args)?;
    logging::start(&config.log)?;
    lifecycle::run(config)
}
