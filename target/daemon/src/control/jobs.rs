//! The daemon's jobs as the admin server sees them.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tidelock_admin::v1::{self, JobState};

use super::DaemonControl;
use crate::admin_server::JobControl;
use crate::jobs::NotCancelled;

impl JobControl for DaemonControl {
    fn jobs(&self) -> Vec<v1::Job> {
        self.shared.registry.jobs().list()
    }

    fn job(&self, id: u64) -> Option<v1::Job> {
        self.shared.registry.jobs().get(id)
    }

    fn cancel_job(&self, id: u64) -> BoxFuture<'_, Result<(), NotCancelled>> {
        async move {
            let registry = &self.shared.registry;
            let cancelled = registry.jobs().cancel(id);
            let Err(NotCancelled::Ended(JobState::Exception)) = cancelled else {
                return cancelled;
            };
            // A clone that couldn't be made a full one has an unfinished file still.
            match registry.abandon_failed(id).await {
                None => cancelled,
                Some(Ok(changes)) => {
                    self.tell(&changes);
                    Ok(())
                }
                Some(Err(error)) => Err(NotCancelled::Failed(error.to_string())),
            }
        }
        .boxed()
    }
}
