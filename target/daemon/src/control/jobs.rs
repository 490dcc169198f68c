//! The daemon's jobs as the admin server sees them.

use tidelock_admin::v1;

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

    fn cancel_job(&self, id: u64) -> Result<(), NotCancelled> {
        self.shared.registry.jobs().cancel(id)
    }
}
