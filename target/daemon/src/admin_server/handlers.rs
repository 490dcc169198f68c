//! One module per noun: each handler understands a request, asks [`Control`], and answers.
//!
//! [`Control`]: crate::admin_server::Control

pub(super) mod access;
pub(super) mod asymmetric_access;
pub(super) mod capabilities;
pub(super) mod clones;
pub(super) mod daemon;
pub(super) mod events;
pub(super) mod groups;
pub(super) mod jobs;
pub(super) mod mirrors;
pub(super) mod peers;
pub(super) mod sessions;
pub(super) mod snapshots;
pub(super) mod streams;
pub(super) mod targets;
pub(super) mod volumes;

use std::future::Future;

use crate::admin_server::control::ControlError;
use crate::admin_server::failure::Failure;

/// Runs a change to its end even if the client hangs up half-way and its request is dropped.
async fn to_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, ControlError>> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::spawn(change).await {
        Ok(outcome) => outcome.map_err(Failure::from),
        Err(_) => Err(ControlError::Defect.into()),
    }
}
