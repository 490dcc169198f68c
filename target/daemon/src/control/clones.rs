//! The daemon's clones as the admin server sees them.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt as _;
use tidelock_admin::v1;
use tidelock_catalog::{Change, VolumeName};
use tokio::sync::Semaphore;

use super::{DaemonControl, Outcome};
use crate::admin_server::CloneControl;
use crate::events::unix_ms;
use crate::registry::{CloneRequest, GroupCloneRequest};

/// Clones that get blocks of their own at a time; the others wait for their turn.
const HYDRATIONS: usize = 8;

impl DaemonControl {
    /// Gives clones blocks of their own that are to have some, several at a time; for ever.
    pub async fn hydrate(self: Arc<Self>) {
        let room = Arc::new(Semaphore::new(HYDRATIONS));
        // Never closed.
        while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
            let id = self.shared.registry.next_hydration().await;
            let this = Arc::clone(&self);
            tokio::spawn(async move {
                let changes = this.shared.registry.hydrate(id).await;
                this.tell(&changes);
                drop(permit);
            });
        }
    }
}

impl CloneControl for DaemonControl {
    fn clones(&self) -> Vec<v1::CloneOf> {
        self.shared.registry.clones()
    }

    fn clone_of(&self, volume: &VolumeName) -> Outcome<'_, v1::CloneOf> {
        let volume = volume.clone();
        async move { Ok(self.shared.registry.clone_of(&volume)?) }.boxed()
    }

    fn create_clone(&self, request: CloneRequest) -> Outcome<'_, ()> {
        async move {
            let now = unix_ms(SystemTime::now());
            let changes = self.shared.registry.create_clone(request, now).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn split_clone(&self, volume: VolumeName, rate: Option<u64>) -> Outcome<'_, ()> {
        async move {
            let changes = self.shared.registry.split_clone(volume, rate).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn detach_clone(&self, volume: VolumeName) -> Outcome<'_, ()> {
        async move {
            let changes = self.shared.registry.detach_clone(volume).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn promote_clone(&self, volume: VolumeName) -> Outcome<'_, ()> {
        async move {
            let changes = self.shared.registry.promote_clone(volume).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn clone_group(&self, request: GroupCloneRequest) -> Outcome<'_, Vec<v1::CloneOf>> {
        async move {
            let registry = &self.shared.registry;
            let changes = registry.clone_group(request).await?;
            self.tell(&changes);
            let made = changes.iter().filter_map(|change| match change {
                Change::VolumeCreated(volume) => registry.clone_of(&volume.name).ok(),
                _ => None,
            });
            Ok(made.collect())
        }
        .boxed()
    }
}
