//! Jobs that nobody works on.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tidelock_admin::v1;

use super::Fake;
use crate::admin_server::JobControl;
use crate::jobs::NotCancelled;

impl JobControl for Fake {
    fn jobs(&self) -> Vec<v1::Job> {
        self.jobs.list()
    }

    fn job(&self, id: u64) -> Option<v1::Job> {
        self.jobs.get(id)
    }

    fn cancel_job(&self, id: u64) -> BoxFuture<'_, Result<(), NotCancelled>> {
        ready(self.jobs.cancel(id)).boxed()
    }
}
