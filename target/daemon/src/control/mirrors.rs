//! The daemon's mirrors as the admin server sees them.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tidelock_admin::v1;
use tidelock_catalog::{GroupName, MirrorCompression};
use tokio::sync::broadcast::error::RecvError;

use super::{DaemonControl, Outcome};
use crate::admin_server::{ControlError, MirrorControl};
use crate::registry::{
    FailoverChange, GroupMirrorChange, GroupMirrorRequest, MirrorChange, MirrorRequest,
    RemoteMirrorRequest,
};

impl DaemonControl {
    /// Tells those who watch what becomes of mirrors; for ever.
    pub async fn tell_of_mirrors(self: Arc<Self>) {
        let registry = &self.shared.registry;
        let mut changes = registry.watch_mirrors();
        let mut others = registry.watch_changes_of_mirrors();
        let mut told = std::collections::HashMap::new();
        loop {
            let changed = tokio::select! {
                changed = changes.recv() => changed,
                other = others.recv() => {
                    if let Ok(other) = other {
                        self.tell(&other);
                    }
                    continue;
                }
            };
            let changed = match changed {
                Ok(id) => Some(id),
                Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return,
            };
            for mirror in registry.mirrors() {
                if changed.is_some_and(|id| id.to_string() != mirror.id) {
                    continue;
                }
                let event = v1::EventKind::MirrorStateChanged {
                    mirror: mirror.id.clone(),
                    source: mirror.source.volume,
                    target: mirror.target.volume,
                    copy_state: mirror.copy_state,
                    progress_status: mirror.progress_status,
                    serving: mirror.serving,
                    rpo_kept: mirror.asynchronous.as_ref().map(|it| it.rpo_kept),
                };
                if told.get(&mirror.id) != Some(&event) {
                    tracing::info!(event = event.name(), change = %super::in_words(&event), "changed");
                    told.insert(mirror.id, event.clone());
                    self.shared.events.tell(event);
                }
            }
        }
    }
}

impl MirrorControl for DaemonControl {
    fn mirrors(&self) -> Vec<v1::Mirror> {
        self.shared.registry.mirrors()
    }

    fn mirror(&self, name: &str) -> Outcome<'_, v1::Mirror> {
        let mirror = self.shared.registry.mirror(name);
        async move { Ok(mirror?) }.boxed()
    }

    fn create_mirror(&self, request: MirrorRequest) -> Outcome<'_, v1::Mirror> {
        async move {
            let registry = &self.shared.registry;
            let source = request.source.clone();
            let changes = registry.create_mirror(request).await?;
            self.tell(&changes);
            Ok(registry.mirror(source.as_str())?)
        }
        .boxed()
    }

    fn create_remote_mirror(&self, request: RemoteMirrorRequest) -> Outcome<'_, v1::Mirror> {
        async move {
            let registry = &self.shared.registry;
            let source = request.source.clone();
            let changes = registry.create_remote_mirror(request).await?;
            self.tell(&changes);
            Ok(registry.mirror(source.as_str())?)
        }
        .boxed()
    }

    fn set_mirror_rpo(&self, name: String, rpo_ms: u64) -> Outcome<'_, v1::Mirror> {
        async move {
            let registry = &self.shared.registry;
            registry.set_mirror_rpo(name.clone(), rpo_ms).await?;
            Ok(registry.mirror(&name)?)
        }
        .boxed()
    }

    fn set_mirror_resync_limit(&self, name: String, limit: Option<u64>) -> Outcome<'_, v1::Mirror> {
        async move {
            let registry = &self.shared.registry;
            registry
                .set_mirror_resync_limit(name.clone(), limit)
                .await?;
            Ok(registry.mirror(&name)?)
        }
        .boxed()
    }

    fn set_mirror_compression(
        &self,
        name: String,
        compression: MirrorCompression,
    ) -> Outcome<'_, v1::Mirror> {
        async move {
            let registry = &self.shared.registry;
            registry
                .set_mirror_compression(name.clone(), compression)
                .await?;
            Ok(registry.mirror(&name)?)
        }
        .boxed()
    }

    fn modify_mirror(&self, change: MirrorChange) -> Outcome<'_, v1::Mirror> {
        async move {
            let registry = &self.shared.registry;
            let name = change.mirror.clone();
            registry.modify_mirror(change).await?;
            Ok(registry.mirror(&name)?)
        }
        .boxed()
    }

    fn set_mirror_failover(&self, change: FailoverChange) -> Outcome<'_, v1::MirrorFailoverSet> {
        async move {
            let registry = &self.shared.registry;
            let name = change.mirror.clone();
            let left = registry.set_mirror_failover(change).await?;
            let mirror = registry.mirror(&name)?;
            Ok(v1::MirrorFailoverSet { mirror, left })
        }
        .boxed()
    }

    fn detach_mirror(&self, name: String, force: bool) -> Outcome<'_, ()> {
        async move {
            let changes = self.shared.registry.detach_mirror(name, force).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn create_group_mirrors(&self, request: GroupMirrorRequest) -> Outcome<'_, v1::MirrorList> {
        async move {
            let registry = &self.shared.registry;
            let group = request.group.clone();
            let changes = registry.create_group_mirrors(request).await?;
            self.tell(&changes);
            let mirrors = registry.mirrors_of_group(&group)?;
            Ok(v1::MirrorList { mirrors })
        }
        .boxed()
    }

    fn modify_group_mirrors(&self, change: GroupMirrorChange) -> Outcome<'_, v1::MirrorList> {
        async move {
            let registry = &self.shared.registry;
            let group = change.group.clone();
            registry.modify_group_mirrors(change).await?;
            let mirrors = registry.mirrors_of_group(&group)?;
            Ok(v1::MirrorList { mirrors })
        }
        .boxed()
    }

    fn detach_group_mirrors(&self, group: GroupName, force: bool) -> Outcome<'_, ()> {
        async move {
            let registry = &self.shared.registry;
            let changes = registry.detach_group_mirrors(group, force).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn verify_mirror(&self, name: String) -> Outcome<'_, v1::Job> {
        async move {
            let registry = &self.shared.registry;
            let id = registry.verify_mirror(&name).await?;
            registry.jobs().get(id).ok_or(ControlError::Defect)
        }
        .boxed()
    }
}
