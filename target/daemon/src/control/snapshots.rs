//! The daemon's snapshots as the admin server sees them. The one place that looks at the clock for them.

use std::time::SystemTime;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tidelock_admin::v1;
use tidelock_catalog::{
    Change, DatasetRef, GroupName, IscsiName, LunNumber, SnapshotName, SnapshotRef, VolumeName,
};

use super::{DaemonControl, Outcome};
use crate::admin_server::{ControlError, SnapshotControl};
use crate::events::unix_ms;

pub(super) fn now() -> u64 {
    unix_ms(SystemTime::now())
}

impl DaemonControl {
    /// Whether a volume may get other content under those who use it.
    fn check_use(&self, volume: &VolumeName, force: bool) -> Result<(), ControlError> {
        if force {
            return Ok(());
        }
        let catalog = self.shared.registry.catalog();
        let shown = catalog.mappings(volume).filter_map(|(target, _)| {
            let count = self.sessions_of(&target.name);
            (count > 0).then(|| format!("{} has {count} session(s)", target.name))
        });
        let at: Vec<_> = shown.collect();
        if at.is_empty() {
            return Ok(());
        }
        let volume = volume.clone();
        Err(ControlError::VolumeInUse { volume, at })
    }

    /// What was restored, in the words of the API.
    fn restored(&self, changes: &[Change]) -> v1::Restored {
        let catalog = self.shared.registry.catalog();
        let restored = changes.iter().filter_map(|change| match change {
            Change::VolumeRestored { snapshot, safety } => Some(v1::RestoredVolume {
                volume: snapshot.volume.to_string(),
                snapshot: snapshot.snapshot.to_string(),
                safety: safety.snapshot.to_string(),
                size_bytes: catalog
                    .volume(&snapshot.volume)
                    .map_or(0, |volume| volume.size_bytes),
            }),
            _ => None,
        });
        v1::Restored {
            restored: restored.collect(),
        }
    }

    /// Makes a volume a plain file again that shares nothing any more, if there is one.
    pub async fn fold_back(&self) {
        let changes = self.shared.registry.fold_back().await;
        self.tell(&changes);
    }

    /// Takes the snapshots that are due now.
    pub async fn run_schedules(&self) {
        let changes = self.shared.registry.run_schedules(now()).await;
        self.tell(&changes);
    }
}

impl SnapshotControl for DaemonControl {
    fn snapshots(&self, volume: Option<&VolumeName>) -> Outcome<'_, Vec<v1::Snapshot>> {
        let volume = volume.cloned();
        async move { Ok(self.shared.registry.snapshots(volume.as_ref())?) }.boxed()
    }

    fn snapshot(&self, snapshot: &SnapshotRef) -> Outcome<'_, v1::Snapshot> {
        let snapshot = snapshot.clone();
        async move { Ok(self.shared.registry.snapshot_in_full(&snapshot).await?) }.boxed()
    }

    fn create_snapshot(&self, snapshot: SnapshotRef, quiesced: bool) -> Outcome<'_, ()> {
        async move {
            let registry = &self.shared.registry;
            let changes = registry.create_snapshot(snapshot, quiesced, now()).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn delete_snapshot(&self, snapshot: SnapshotRef) -> Outcome<'_, ()> {
        async move {
            let changes = self.shared.registry.delete_snapshot(snapshot).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn restore_snapshot(&self, snapshot: SnapshotRef, force: bool) -> Outcome<'_, v1::Restored> {
        async move {
            self.check_use(&snapshot.volume, force)?;
            let registry = &self.shared.registry;
            let changes = registry.restore_snapshot(snapshot, now()).await?;
            self.tell(&changes);
            Ok(self.restored(&changes))
        }
        .boxed()
    }

    fn map_snapshot(
        &self,
        target: IscsiName,
        snapshot: SnapshotRef,
        number: Option<LunNumber>,
    ) -> Outcome<'_, Vec<Change>> {
        async move {
            let registry = &self.shared.registry;
            let changes = registry.map_snapshot(target, snapshot, number).await?;
            self.tell(&changes);
            Ok(changes)
        }
        .boxed()
    }

    fn diff(
        &self,
        from: DatasetRef,
        to: DatasetRef,
        offset_bytes: u64,
        limit: usize,
    ) -> Outcome<'_, v1::Diff> {
        async move {
            let registry = &self.shared.registry;
            Ok(registry.diff(from, to, offset_bytes, limit).await?)
        }
        .boxed()
    }

    fn group(&self, group: &GroupName) -> Outcome<'_, v1::Group> {
        let group = group.clone();
        async move { Ok(self.shared.registry.group(&group)?) }.boxed()
    }

    fn snapshot_group(
        &self,
        group: GroupName,
        name: SnapshotName,
        quiesced: bool,
    ) -> Outcome<'_, Vec<v1::Snapshot>> {
        async move {
            let registry = &self.shared.registry;
            let changes = registry
                .snapshot_group(group, name, quiesced, now())
                .await?;
            self.tell(&changes);
            let taken = changes.iter().filter_map(|change| match change {
                Change::SnapshotCreated(snapshot) => registry.snapshot(snapshot).ok(),
                _ => None,
            });
            Ok(taken.collect())
        }
        .boxed()
    }

    fn restore_group(
        &self,
        group: GroupName,
        name: SnapshotName,
        force: bool,
    ) -> Outcome<'_, v1::Restored> {
        async move {
            let registry = &self.shared.registry;
            let volumes = registry.volumes_of_set(&group, &name)?;
            let catalog = registry.catalog();
            let members = &catalog.group(&group)?.members;
            let left = volumes.iter().filter(|volume| !members.contains(*volume));
            let left: Vec<_> = left.cloned().collect();
            if !left.is_empty() && !force {
                let volumes = left;
                return Err(ControlError::LeftTheGroup { group, volumes });
            }
            for volume in volumes {
                self.check_use(&volume, force)?;
            }
            let changes = registry.restore_group(group, name, now()).await?;
            self.tell(&changes);
            Ok(self.restored(&changes))
        }
        .boxed()
    }

    fn schedules(&self) -> BoxFuture<'_, Vec<v1::Schedule>> {
        async move { self.shared.registry.schedules(now()) }.boxed()
    }

    fn set_schedule(&self, volume: VolumeName, times: Option<(u64, u32)>) -> Outcome<'_, ()> {
        async move {
            let registry = &self.shared.registry;
            let changes = registry.set_schedule(volume, times, now()).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn verify_volume(&self, volume: VolumeName) -> Outcome<'_, v1::Job> {
        async move { Ok(self.shared.registry.verify_volume(&volume).await?) }.boxed()
    }

    fn scrub(&self, what: DatasetRef, rate: Option<u64>) -> Outcome<'_, v1::Job> {
        async move { Ok(self.shared.registry.scrub(&what, rate).await?) }.boxed()
    }
}
