//! Automatic failover: the store of leases, and how it is reached. The rules are [`tidelock_mirror::lease`]'s. No mirror
//! asks it yet.

mod etcd;
mod settings;
mod words;

pub use etcd::{AskError, Etcd};
pub use settings::{Endpoint, Section, Settings, check};

#[cfg(test)]
mod tests;
