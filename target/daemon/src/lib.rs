//! The daemon: the one crate that knows everybody. Threads, sockets, the registry of what is served,
//! the admin server, configuration, the catalog's file and metrics live here; protocol, SCSI and
//! volume logic does not.
#![forbid(unsafe_code)]

pub mod args;
pub mod config;
pub mod directory;
pub mod reactor;
pub mod state_dir;
