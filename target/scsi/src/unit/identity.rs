//! As which logical unit hosts see this one: itself, or one that it is together with a unit of another daemon.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::attention::UnitAttention;
use crate::config::Identity;
use crate::unit::LogicalUnit;

impl LogicalUnit {
    /// Shows it as a unit that another daemon has a part in as well, or (`None`) as itself. Hosts that know it under
    /// another identity must not see it any more: they would take it for another disk. While it is shared its access
    /// states change only by themselves (implicitly): where the data are written is agreed on between the daemons, and
    /// no host's choice. Everybody is told if INQUIRY says something else (3Fh/03h).
    pub fn show_as(&self, identity: Option<Identity>) {
        let identity = identity.map(Arc::new);
        self.is_shared.store(identity.is_some(), Ordering::SeqCst);
        let before = mem::replace(&mut *self.shown_as.write(), identity.clone());
        if before != identity {
            self.raise(UnitAttention::InquiryDataChanged, None);
        }
    }

    /// Whether another daemon has a part in it.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::SeqCst)
    }

    /// Who it is to hosts.
    pub(crate) fn identity(&self) -> Arc<Identity> {
        let shown_as = self.shown_as.read();
        Arc::clone(shown_as.as_ref().unwrap_or(&self.own_identity))
    }
}
