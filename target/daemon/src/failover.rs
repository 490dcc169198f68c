//! Automatic failover: the store of leases, and how it is reached. The rules are [`tidelock_mirror::lease`]'s; who asks it is
//! the task of each mirror (`mirrors/lease.rs`).

mod etcd;
mod settings;
mod words;

pub use etcd::{AskError, Etcd};
pub use settings::{Endpoint, Section, Settings, check};

#[cfg(test)]
mod tests;
