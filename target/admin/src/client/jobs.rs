//! Asking about jobs.

use super::{Answer, Client, path};
use crate::v1;

impl Client {
    /// The jobs that are under way, and the last ones that have ended.
    ///
    /// # Errors
    /// See [`crate::client::ClientError`]; so for all other requests.
    pub async fn jobs(&self) -> Answer<v1::JobList> {
        self.get(path(&["jobs"])).await
    }

    /// One job.
    pub async fn job(&self, id: u64) -> Answer<v1::Job> {
        self.get(path(&["jobs", &id.to_string()])).await
    }

    /// Tells a job to end. It may be [`v1::JobState::ShuttingDown`] for a while.
    pub async fn cancel_job(&self, id: u64) -> Answer<()> {
        self.delete(path(&["jobs", &id.to_string()])).await
    }
}
