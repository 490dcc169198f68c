//! The daemon's command line. Knows the configuration's shape, not what is done with it.

use std::path::PathBuf;

use clap::Parser;

use crate::portal::Portal;

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
    /// Address to listen on for iSCSI, such as 0.0.0.0:3260 or \[::\]:3260, and the portal group
    /// that it is in, 1 if none is given. May be repeated.
    #[arg(
        long = "portal",
        value_name = "[TAG=]ADDRESS:PORT",
        help = "Address to listen on for iSCSI, such as 0.0.0.0:3260 or [::]:3260; with a TAG in \
                front in that portal group (1 to 16), else in group 1. May be repeated; overrides \
                the file's portals of the same group"
    )]
    pub portals: Vec<Portal>,
    /// Address to listen on for other daemons, such as 10.0.0.1:3261, for mirrors between them. Without it
    /// no port is open for that.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub peer_portal: Option<std::net::SocketAddr>,
    /// Path of the admin socket.
    #[arg(long, value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,
    /// Serve a ready-made 1 GiB LUN on 127.0.0.1, with everything in ./tidelock-demo.
    #[arg(long, conflicts_with_all = ["config", "state_dir"])]
    pub demo: bool,
    /// What to log: error, warn, info, debug, trace, or a filter such as tidelock_daemon=debug.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Read a password from standard input and print its hash, as the section `[wbem.users]` of the configuration has it.
    #[arg(long)]
    pub hash_password: bool,
}
