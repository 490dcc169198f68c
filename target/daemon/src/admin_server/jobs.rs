//! What the admin server asks of the daemon about jobs.

use futures_util::future::BoxFuture;
use tidelock_admin::v1;

use crate::jobs::NotCancelled;

/// The daemon's jobs as the admin server sees them.
pub trait JobControl: Send + Sync + 'static {
    /// Those that are under way, and the last ones that have ended.
    fn jobs(&self) -> Vec<v1::Job>;

    /// One of them.
    fn job(&self, id: u64) -> Option<v1::Job>;

    /// Tells one to end.
    ///
    /// # Errors
    /// There is none, it has ended, or it can't be ended half-way.
    fn cancel_job(&self, id: u64) -> BoxFuture<'_, Result<(), NotCancelled>>;
}
