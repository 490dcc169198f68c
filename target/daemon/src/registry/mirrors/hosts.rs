//! Hosts of a mirror whose ends are at two daemons: its volumes are one disk to them, and their access states follow the
//! role of the end here.

use std::sync::Arc;

use tidelock_catalog::MirrorId;

use super::Registry;
use crate::mirrors::state::Access;
use crate::registry::shared_units::SharedRole;

impl Registry {
    /// Shows hosts where the source is, as it is now. They are kept away from here already, if it isn't here.
    pub(super) async fn move_hosts(self: &Arc<Self>, mirror: MirrorId) {
        let Some(running) = self.mirrors.get(mirror) else {
            return;
        };
        running.show_source(|volume| self.show_again(volume));
        loop {
            let access = running.access();
            let role = match access {
                Some(Access::Active) => SharedRole::Source,
                Some(Access::Standby) => SharedRole::Target,
                // What follows is told when it is there.
                Some(Access::Transitioning) | None => return,
            };
            let Some((_, served)) = running.local() else {
                return;
            };
            let catalog = self.catalog();
            let record = catalog.mirror(mirror).and_then(|it| it.remote());
            let Some((remote, _)) = record else { return };
            let Some(record) = catalog.mirror(mirror) else {
                return;
            };
            let volume = record.end(remote.opposite()).volume.clone();
            let shown = {
                let running = Arc::clone(&running);
                move |show: &dyn Fn()| {
                    if let Some(access) = access {
                        running.show_access(access, show);
                    }
                }
            };
            if let Err(error) = self.follow_role_if(volume, role, shown).await {
                tracing::error!(%mirror, %error, "where hosts find a volume can't be kept");
            }
            if running.access() == access {
                return;
            }
            // It was led there while hosts were to be kept away: that holds until it is right.
            served.unit().lead_transition(SharedRole::Target.accesses());
        }
    }
}
