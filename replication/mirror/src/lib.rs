//! Mirrors: two copies of a volume that are kept equal, or nearly so, by two daemons or by one. Sans-I/O: no
//! sockets, files, clocks or threads. Time and random numbers are arguments, and what is to be done comes back as
//! values.
//!
//! * [`generation`]: who is right. The durable record of an end, and what follows when two ends meet.
//! * [`association`]: one end. What is done with the writes of hosts and with what the peer sends.
//! * [`epochs`]: when an asynchronous mirror makes cuts, and how far its target is behind. [`resync`]: how fast.
//! * [`region_log`]: where ends may differ.
//! * [`stored`]: what is kept of an end beside the data, as bytes.
//! * [`lease`]: who may serve hosts, if failover is automatic.
//! * [`link`]: what goes over the connection.
#![forbid(unsafe_code)]

pub mod association;
mod data;
pub mod epochs;
pub mod generation;
pub mod id;
pub mod lease;
pub mod link;
pub mod region;
pub mod region_log;
pub mod resync;
pub mod stored;

pub use data::{Data, ZEROS_MAX};

#[cfg(test)]
mod tests;
