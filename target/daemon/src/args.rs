//! The daemon's command line. Knows the configuration's shape, not what is done with it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Tidelock: an iSCSI target daemon that serves block files as LUNs.
#[derive(Debug, Default, Parser)]
#[command(name = "tidelockd", version, about)]
pub struct Args {
    /// Configuration file (TOML). Options on the command line override it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder that holds the catalog and the volumes that the daemon made itself.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Address to listen on for iSCSI, such as 0.0.0.0:3260 or \[::\]:3260. May be repeated.
    #[arg(
        long = "portal",
        value_name = "ADDRESS:PORT",
        help = "Address to listen on for iSCSI, such as 0.0.0.0:3260 or [::]:3260. May be repeated"
    )]
    pub portals: Vec<SocketAddr>,
    /// Path of the admin socket.
    #[arg(long, value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,
    /// Serve a ready-made 1 GiB LUN on 127.0.0.1, with everything in ./tidelock-demo.
    #[arg(long, conflicts_with_all = ["config", "state_dir"])]
    pub demo: bool,
    /// What to log: error, warn, info, debug, trace, or a filter such as tidelock_daemon=debug.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}
