//! Changing what is served: the rules first, then the file, then the live objects, in that order, so
//! that what was answered with success is found again after a crash at any instant.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tidelock_catalog::{
    AclScope, Catalog, CatalogError, Change, Command, Integrity, IscsiName, NewVolume, Verdict,
    VolumeId, VolumeName,
};
use tidelock_replication::{CreateOptions, JournalPlace, OpenOptions, Volume, VolumeError};
use tidelock_scsi::GroupAccesses;
use uuid::Uuid;

use super::adoption;
use super::asymmetric_access::{AccessRequest, Cause};
use super::capabilities::Census;
use super::families::ListTrouble;
use super::families::snapshot_log::SnapshotLogError;
use super::served::{LunMap, ServedVolume, Target, lun_map};
use super::shared_units::identity_of;
use super::{Registry, View, Writer};
use crate::admin_server::{VolumeRequest, VolumeSource};
use crate::state_dir::StateDirError;

/// Why a change was not made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// A rule stands against it.
    #[error(transparent)]
    Rule(#[from] CatalogError),
    /// The volume's file.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The catalog's file.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The copy isn't possible now, or not at all: what `GetSynchronizationSupported` says of it.
    #[error("{0}")]
    Refused(super::capabilities::Refused),
    /// The volume's file isn't open, so that nothing can be done with it.
    #[error("volume {volume} isn't ready: {reason}")]
    NotReady {
        /// The volume.
        volume: VolumeName,
        /// Why.
        reason: String,
    },
    /// The list of snapshots, on which everything about them depends.
    #[error("snapshots can't be told or changed: {reason}")]
    Snapshots {
        /// Why.
        reason: String,
    },
    /// A stream of a snapshot.
    #[error(transparent)]
    Receive(#[from] super::receiving::ReceiveError),
    /// The end of a mirror.
    #[error("{0}")]
    Mirror(String),
    /// The daemon has only just started.
    #[error("volumes are still being opened: try again in a moment")]
    Loading,
    /// A defect.
    #[error("the change ended by a defect ({0}): please report it")]
    Defect(String),
}

impl From<ListTrouble> for ChangeError {
    fn from(trouble: ListTrouble) -> Self {
        match trouble {
            ListTrouble::Log(SnapshotLogError::File(error)) => Self::StateDir(error),
            ListTrouble::Log(SnapshotLogError::Change(error)) => Self::Defect(error.to_string()),
            other => Self::Snapshots {
                reason: other.to_string(),
            },
        }
    }
}

impl Registry {
    /// Makes a volume.
    ///
    /// # Errors
    /// A rule or the file stands against it; then nothing has changed.
    pub async fn create_volume(
        self: &Arc<Self>,
        request: VolumeRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| this.create_volume_now(request).await)
            .await
    }

    /// Makes any other change.
    ///
    /// # Errors
    /// A rule or a file stands against it; then nothing has changed.
    pub async fn apply(self: &Arc<Self>, command: Command) -> Result<Vec<Change>, ChangeError> {
        if let Command::DeleteVolume { volume } = command {
            return self.delete_volume(volume, false).await;
        }
        if let Command::SetAsymmetricAccess {
            volume, changes, ..
        } = command
        {
            let request = AccessRequest {
                volume,
                id: None,
                changes,
                cause: Cause::Implicit,
            };
            return self.change_access(request).await;
        }
        self.detached(async move |this| this.apply_now(command).await)
            .await
    }

    /// Runs a change as a task of its own: a client that hangs up in the middle must not leave the
    /// file changed and the live objects not.
    pub(super) async fn detached<F, W>(
        self: &Arc<Self>,
        work: W,
    ) -> Result<Vec<Change>, ChangeError>
    where
        W: FnOnce(Arc<Self>) -> F,
        F: Future<Output = Result<Vec<Change>, ChangeError>> + Send + 'static,
    {
        let task = tokio::spawn(work(Arc::clone(self)));
        task.await
            .unwrap_or_else(|error| Err(ChangeError::Defect(error.to_string())))
    }

    async fn create_volume_now(
        self: Arc<Self>,
        request: VolumeRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        let id = VolumeId(Uuid::new_v4());
        self.create_volume_as(&writer, request, id).await
    }

    pub(super) async fn create_volume_as(
        &self,
        writer: &Writer,
        request: VolumeRequest,
        id: VolumeId,
    ) -> Result<Vec<Change>, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let (path, managed) = match &request.source {
            VolumeSource::New { .. } => (self.volumes.join(format!("{}.img", request.name)), true),
            VolumeSource::File { path } => (PathBuf::from(path), false),
        };
        let mut new = NewVolume {
            name: request.name.clone(),
            id,
            path: path.to_string_lossy().into_owned(),
            size_bytes: 0,
            block_size: request.block_size,
            managed,
            preallocated: managed && request.preallocate,
            direct: request.direct,
            write_cache: request.write_cache,
            integrity: request.integrity,
            limits: request.limits,
        };
        if let VolumeSource::New { size_bytes } = request.source {
            new.size_bytes = size_bytes;
            // The rules first: a file isn't made for a name that is taken.
            (*self.catalog())
                .clone()
                .apply(Command::CreateVolume(new.clone()))?;
        }
        if let VolumeSource::File { .. } = request.source {
            let (file, volumes) = (path.clone(), self.volumes.clone());
            run_blocking(move || adoption::check(&file, &volumes)).await??;
        }
        let journal = self.journals.place(id);
        let store = open_or_create(&request, &path, journal).await?;
        new.size_bytes = store.size() & !(u64::from(request.block_size.bytes()) - 1);
        let saved = match request.integrity {
            Integrity::Usual => self.save(writer, Command::CreateVolume(new)).await,
            Integrity::Full => self.save_with_checksums(writer, new, &store).await,
        };
        match saved {
            Ok((catalog, changes)) => {
                self.install(catalog, &changes, Some(&store));
                Ok(changes)
            }
            Err(error) => {
                drop(store);
                if managed {
                    remove_file(&path);
                }
                if let Err(error) = self.journals.forget(id) {
                    tracing::warn!(%error, "the volume's journal stays behind");
                }
                Err(error)
            }
        }
    }

    /// The same for a volume that is a head of a family of its own from the beginning.
    async fn save_with_checksums(
        &self,
        writer: &Writer,
        new: NewVolume,
        store: &Arc<Volume>,
    ) -> Result<(Catalog, Vec<Change>), ChangeError> {
        let open = OpenOptions {
            journal: Some(self.journals.place(new.id)),
            block_size: new.block_size.bytes(),
            direct: new.direct,
            ..OpenOptions::new(Path::new(&new.path))
        };
        let volume = new.name.clone();
        let place = self.make_family(store, open, true).await?;
        let commands = [
            Command::CreateVolume(new),
            Command::JoinFamily { volume, place },
        ];
        let saved = self.save_all(writer, commands).await;
        let adopted = match (&saved, self.families.get(place.family)) {
            (Ok(_), Some(family)) => {
                let (store, head) = (Arc::clone(store), *place.dataset.0.as_bytes());
                let adopting = run_blocking(move || match family.open_family() {
                    Ok(open) => open.engine.adopt(&store, head).map_err(ChangeError::from),
                    Err(reason) => Err(ChangeError::Defect(reason)),
                });
                adopting.await?
            }
            _ => Ok(()),
        };
        if let Err(error) = adopted {
            // It is promised already, and the next start serves it.
            tracing::error!(%error, "a new volume isn't served before the daemon restarts");
            store.raise_fence(error.to_string());
        }
        if saved.is_err() {
            self.give_up_family(place.family).await?;
        }
        saved
    }

    async fn apply_now(self: Arc<Self>, command: Command) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        if let Command::ResizeVolume {
            volume, size_bytes, ..
        } = &command
        {
            // The rules first, then the file: a catalog must never promise bytes that aren't there.
            (*self.catalog()).clone().apply(command.clone())?;
            self.grow_file(volume, *size_bytes).await?;
        }
        let (catalog, changes) = self.save(&writer, command).await?;
        self.install(catalog, &changes, None);
        Ok(changes)
    }

    async fn grow_file(&self, name: &VolumeName, size: u64) -> Result<(), ChangeError> {
        let Some(volume) = self.volume(name) else {
            return Ok(());
        };
        let Some(store) = volume.store() else {
            let reason = volume.problem().unwrap_or_default();
            return Err(ChangeError::NotReady {
                volume: name.clone(),
                reason,
            });
        };
        if volume.place().is_some() {
            // The head has to grow, not the file that it began with.
            self.member(name)?.adopt().await?;
        }
        run_blocking(move || store.resize(size)).await??;
        Ok(())
    }

    /// Applies a command to a copy and makes the copy durable.
    pub(super) async fn save(
        &self,
        writer: &Writer,
        command: Command,
    ) -> Result<(Catalog, Vec<Change>), ChangeError> {
        self.save_all(writer, [command]).await
    }

    /// The same for several, which are durable together.
    pub(super) async fn save_all(
        &self,
        writer: &Writer,
        commands: impl IntoIterator<Item = Command>,
    ) -> Result<(Catalog, Vec<Change>), ChangeError> {
        let mut next = (*self.catalog()).clone();
        let mut changes = Vec::new();
        for command in commands {
            changes.extend(next.apply(command)?);
        }
        if !changes.is_empty() {
            let bytes = next.encode();
            let file = writer.file.clone();
            run_blocking(move || file.replace(&bytes)).await??;
        }
        Ok((next, changes))
    }

    /// Makes the live objects what the catalog says. Nothing here can fail: it is already promised.
    pub(super) fn install(
        &self,
        catalog: Catalog,
        changes: &[Change],
        store: Option<&Arc<Volume>>,
    ) {
        let old = self.view();
        let mut view = View {
            census: Arc::new(Census::of(&catalog)),
            catalog: Arc::new(catalog),
            ..(*old).clone()
        };
        for change in changes {
            match change {
                Change::VolumeCreated(record) => {
                    let volume = ServedVolume::new(record, self);
                    if let Some(store) = store {
                        volume.set_store(Arc::clone(store));
                    }
                    view.volumes.insert(record.name.clone(), Arc::new(volume));
                }
                Change::VolumeDeleted(record) => {
                    view.volumes.remove(&record.name);
                }
                Change::FamilyJoined { volume, .. }
                | Change::FamilyLeft { volume, .. }
                | Change::CloneParted { volume, .. } => {
                    let record = view.catalog.volume(volume).ok();
                    let place = record.and_then(|record| record.backing.place());
                    let place = place
                        .and_then(|place| Some((self.families.get(place.family)?, place.dataset)));
                    if let Some(volume) = view.volumes.get(volume) {
                        volume.set_place(place);
                    }
                }
                Change::TargetCreated(record) => {
                    view.targets
                        .insert(record.name.clone(), Arc::new(Target::new(record)));
                }
                Change::TargetDeleted(record) => {
                    view.targets.remove(&record.name);
                }
                _ => {}
            }
        }
        let view = Arc::new(view);
        *self.view.write() = Arc::clone(&view);
        for change in changes {
            // Whoever still has the target sees nothing on it any more.
            if let Change::TargetDeleted(record) = change
                && let Some(gone) = old.targets.get(&record.name)
            {
                gone.set_luns(LunMap::new());
            }
        }
        // Sessions are told when what they will find is in place.
        for change in changes {
            self.tell(&view, change);
        }
    }

    fn tell(&self, view: &View, change: &Change) {
        match change {
            Change::VolumeResized {
                volume, to_bytes, ..
            } => {
                if let Some(volume) = view.volumes.get(volume) {
                    let unit = volume.unit();
                    unit.set_blocks(to_bytes >> unit.config().block_size.shift());
                }
            }
            Change::IdentityShared { volume, identity } => {
                if let Some(volume) = view.volumes.get(volume) {
                    volume.unit().show_as(Some(identity_of(identity)));
                }
            }
            Change::IdentityUnshared { volume } => {
                if let Some(volume) = view.volumes.get(volume) {
                    volume.unit().show_as(None);
                    volume
                        .unit()
                        .complete_transition(GroupAccesses::new(), None);
                }
            }
            Change::SpaceLimitsSet { volume, limits } => {
                if let Some(volume) = view.volumes.get(volume) {
                    volume.set_limits(*limits);
                }
            }
            Change::LunMapped { target, lun } | Change::LunUnmapped { target, lun } => {
                view.place(&lun.volume);
                let served = view.targets.get(target);
                if let (Some(served), Ok(record)) = (served, view.catalog.target(target)) {
                    served.set_luns(lun_map(record, &view.volumes));
                    self.directory.luns_changed(served.name());
                }
            }
            Change::TargetDeleted(record) => {
                let name = record.name.to_string();
                self.directory
                    .terminate_where("the target was deleted", |info| {
                        info.key.target.as_deref() == Some(&name)
                    });
            }
            Change::PortalGroupsChanged { target, .. } => {
                if let Ok(record) = view.catalog.target(target) {
                    record.luns.values().for_each(|lun| view.place(&lun.volume));
                }
                self.drop_misplaced(view, target);
            }
            Change::AccessChanged {
                scope: AclScope::Target(target),
                ..
            } => {
                self.drop_unwelcome(view, target);
            }
            _ => {}
        }
    }

    /// Ends the sessions that came through a portal group through which the target can't be reached any
    /// more.
    fn drop_misplaced(&self, view: &View, target: &IscsiName) {
        let Ok(record) = view.catalog.target(target) else {
            return;
        };
        let name = target.to_string();
        self.directory
            .terminate_where("the target isn't in this portal group any more", |info| {
                let port = record.relative_port_identifier(info.key.group);
                info.key.target.as_deref() == Some(&name) && port.is_none()
            });
    }

    /// Ends the sessions of initiators that the access list doesn't let in any more.
    fn drop_unwelcome(&self, view: &View, target: &IscsiName) {
        let Ok(record) = view.catalog.target(target) else {
            return;
        };
        let name = target.to_string();
        self.directory.terminate_where("no longer allowed", |info| {
            if info.key.target.as_deref() != Some(&name) {
                return false;
            }
            let allowed = IscsiName::new(&info.key.initiator).is_ok_and(|initiator| {
                // All its connections have to be allowed; one at least is always looked at.
                let mut peers = info.peers.iter().chain([&info.peer]);
                peers.all(|peer| {
                    let verdict = record.acl.verdict(&initiator, peer.ip());
                    matches!(verdict, Verdict::Allowed { .. })
                })
            });
            !allowed
        });
    }
}

async fn open_or_create(
    request: &VolumeRequest,
    path: &Path,
    journal: JournalPlace,
) -> Result<Arc<Volume>, ChangeError> {
    let open = OpenOptions {
        journal: Some(journal),
        block_size: request.block_size.bytes(),
        direct: request.direct,
        ..OpenOptions::new(path)
    };
    let store = match request.source {
        VolumeSource::New { size_bytes } => {
            let preallocate = request.preallocate;
            let create = CreateOptions {
                open,
                size: size_bytes,
                preallocate,
            };
            run_blocking(move || Volume::create(&create)).await??
        }
        VolumeSource::File { .. } => run_blocking(move || Volume::open(&open)).await??,
    };
    Ok(store)
}

pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ChangeError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ChangeError::Defect(error.to_string()))
}

/// A file of the daemon's own that nothing names any more. If it stays behind nothing is wrong but
/// the space, so that is only logged.
pub(super) fn remove_file(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "the volume's file stays behind");
    }
}
