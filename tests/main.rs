//! Tests of the real programs: the daemon is spawned, spoken to over its sockets, killed and started
//! again. Only the documentation check links code of the project.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    missing_docs,
    reason = "a test that meets the unexpected is to fail where it stands"
)]

mod harness;

mod access;
mod alua;
mod atomic;
mod bad_input;
mod capabilities;
mod copy;
mod demo;
mod durability;
mod endurance;
mod failover;
mod farewell;
mod fence;
mod identifying;
mod limits;
mod live_capabilities;
mod login;
mod management;
mod mirrors;
mod offload;
mod parameters;
mod peers;
mod polling;
mod portal_groups;
mod recovery;
mod redirect;
mod remote_mirrors;
mod remote_reservations;
mod reservations;
mod sanitize;
mod sharing;
mod snapshots;
mod storage;
mod task_attributes;
mod task_reporting;
mod tidy;
