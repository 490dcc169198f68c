//! Mirrors that begin: new ones, and those that were there when the daemon was started.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use tidelock_capabilities::facts::{AssociationKey, ElementId};
use tidelock_capabilities::values::{LocalOrRemote, MethodName, Mode, ReplicationType, SyncType};
use tidelock_capabilities::{BuiltType, Creation, TargetSupply, admit};
use tidelock_catalog::{
    Catalog, Change, Command, DatasetRef, Mirror, MirrorCompression, MirrorEnd, MirrorFailover,
    MirrorId, MirrorMode, MirrorRest, MirrorSide, OnFailure, VolumeName,
};
use tidelock_replication::Volume;
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use super::{EndName, Mirrors, Registry};
use crate::mirrors::News;
use crate::mirrors::end::Ends;
use crate::mirrors::running::{Running, which};
use crate::mirrors::state::State;
use crate::registry::capabilities::{ElementName, Via, built};
use crate::registry::changes::{ChangeError, run_blocking};
use crate::registry::{ServedVolume, Writer};
use crate::state_dir::{StateDirError, sync_dir};

const SIDES: [MirrorSide; 2] = [MirrorSide::First, MirrorSide::Second];

/// A mirror that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorRequest {
    /// The volume whose content counts.
    pub source: VolumeName,
    /// Its copy from then on.
    pub target: VolumeName,
    /// What is done with hosts while the copy is away.
    pub on_failure: OnFailure,
    /// When writes of hosts are answered.
    pub mode: MirrorMode,
    /// How many bytes a second are copied at most.
    pub resync_limit: Option<u64>,
}

/// A mirror of two volumes here that is about to be made.
struct Planned {
    record: Mirror,
    volumes: [Arc<ServedVolume>; 2],
    stores: [Arc<Volume>; 2],
}

impl Registry {
    /// Keeps a volume equal to another one from now on. The first copy goes on in the background.
    ///
    /// # Errors
    /// A rule, a volume or the disk stands against it; then there is no mirror.
    pub async fn create_mirror(
        self: &Arc<Self>,
        request: MirrorRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            this.create_mirror_now(&writer, request).await
        })
        .await
    }

    async fn create_mirror_now(
        self: &Arc<Self>,
        writer: &Writer,
        request: MirrorRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        self.admit_mirror(
            &request.source,
            &request.target.clone().into(),
            mode_of(request.mode),
        )?;
        self.make_mirrors(writer, &[request]).await
    }

    /// Makes mirrors that are admitted, all or none: the catalog is told of all of them at once.
    pub(super) async fn make_mirrors(
        self: &Arc<Self>,
        writer: &Writer,
        requests: &[MirrorRequest],
    ) -> Result<Vec<Change>, ChangeError> {
        let mut joined = Vec::new();
        for request in requests {
            if let MirrorMode::Asynchronous { .. } = request.mode {
                check_hosts_go_on(request.on_failure)?;
                let volumes = [&request.source, &request.target];
                joined.extend(self.have_families(writer, &volumes).await?);
            }
        }
        let planned = requests.iter().map(|request| self.plan(request));
        let planned = planned.collect::<Result<Vec<_>, _>>()?;
        let runtime = self.mirrors.runtime()?;
        let commands = planned
            .iter()
            .map(|it| Command::CreateMirror(it.record.clone()));
        // The rules first: nothing is made for what can't be.
        let mut next = (*self.catalog()).clone();
        for command in commands.clone() {
            next.apply(command)?;
        }
        let of: Vec<_> = planned
            .iter()
            .map(|it| {
                let [content, _] = &it.stores;
                let folder = self.mirrors.folder_of(it.record.id);
                (folder, it.record.clone(), content.size())
            })
            .collect();
        let folders: Vec<_> = of.iter().map(|(folder, ..)| folder.clone()).collect();
        let made = run_blocking(move || {
            let mut made = of
                .iter()
                .map(|(folder, of, bytes)| make(folder, of, *bytes));
            made.try_for_each(|made| made)
        });
        let saved = match made.await? {
            Ok(()) => self.save_all(writer, commands).await,
            Err(error) => Err(error),
        };
        let (catalog, mut changes) = match saved {
            Ok(saved) => saved,
            Err(error) => {
                // If nobody knows whether the catalog has them, the next start finds their ends or removes them.
                if !writer.file.is_poisoned() {
                    let made = folders.into_iter().filter(|folder| folder.exists());
                    made.for_each(|folder| super::operations::remove_folder(&folder));
                }
                return Err(error);
            }
        };
        self.install(catalog, &changes, None);
        changes.extend(joined);
        for it in planned {
            self.begin_new(it, &runtime).await?;
        }
        Ok(changes)
    }

    /// What a new mirror will be.
    fn plan(&self, request: &MirrorRequest) -> Result<Planned, ChangeError> {
        let (_, source, content) = self.ready(&request.source)?;
        let (_, target, copy) = self.ready(&request.target)?;
        let end = |volume: &VolumeName| MirrorEnd {
            volume: volume.clone(),
            node: Uuid::new_v4(),
            elsewhere: None,
        };
        let record = Mirror {
            id: MirrorId(Uuid::new_v4()),
            first: end(&request.source),
            second: end(&request.target),
            source: MirrorSide::First,
            on_failure: request.on_failure,
            mode: request.mode,
            rest: MirrorRest::Linked,
            failover: MirrorFailover::Manual,
            resync_limit: request.resync_limit,
            compression: MirrorCompression::None,
        };
        Ok(Planned {
            record,
            volumes: [source, target],
            stores: [content, copy],
        })
    }

    /// Lets a mirror run of which the catalog knows.
    async fn begin_new(
        self: &Arc<Self>,
        planned: Planned,
        runtime: &tokio::runtime::Handle,
    ) -> Result<(), ChangeError> {
        let Planned {
            record,
            volumes,
            stores,
        } = planned;
        let volumes = volumes.map(Some);
        let state = State::new(record.clone(), key(&record, &volumes), mirror_type(&record));
        let running = self.mirrors.begin(state, volumes, runtime);
        let mirrors = Arc::clone(&self.mirrors);
        run_blocking(move || {
            // The source first: from then on what hosts write is known.
            for (side, store) in SIDES.into_iter().zip(&stores) {
                if let Err(reason) = mirrors.ends().and_then(|ends| running.attach(ends, side, store)) {
                    tracing::error!(mirror = %running.id(), ?side, %reason, "a new mirror isn't complete");
                }
            }
        })
        .await
    }

    /// Whether a mirror may be made now.
    pub(super) fn admit_mirror(
        &self,
        source: &VolumeName,
        target: &EndName,
        mode: Mode,
    ) -> Result<(), ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        self.catalog().volume(source)?;
        let name = |volume: &VolumeName| ElementName::Dataset(DatasetRef::from(volume.clone()));
        let source = name(source);
        let target = match &target.peer {
            Some(_) => ElementName::AtPeer(target.clone()),
            None => {
                self.catalog().volume(&target.volume)?;
                name(&target.volume)
            }
        };
        self.admit_pair(MethodName::CreateElementReplica, (&source, &target), mode)
    }

    /// Whether a mirror may be made now of two elements, or of two groups of them.
    pub(super) fn admit_pair(
        &self,
        method: MethodName,
        (source, target): (&ElementName, &ElementName),
        mode: Mode,
    ) -> Result<(), ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let gathered = self.gather(source, Some(target));
        if let Some(missing) = gathered.missing() {
            return Err(missing.into());
        }
        let creation = Creation {
            method,
            sync_type: SyncType::Mirror,
            mode: Some(mode),
            source: gathered.reference(source),
            target: gathered.other(target),
            access_point: gathered.access_point(Some(target), Via::Nobody),
        };
        let admitted = gathered.with_facts(built(), |facts| admit(&creation, facts));
        match admitted {
            Ok(_) => Ok(()),
            Err(refusal) => Err(self.refused(&refusal, &gathered, source)),
        }
    }

    /// Lets the mirrors of the catalog run, without their ends: those come with their volumes.
    pub(in crate::registry) fn begin_mirrors(
        self: &Arc<Self>,
        catalog: &Catalog,
        volumes: &HashMap<VolumeName, Arc<ServedVolume>>,
    ) {
        self.know_albums();
        remove_unknown(&self.mirrors.folder, catalog);
        let runtime = match catalog.mirrors().next() {
            None => None,
            Some(_) => match self.mirrors.runtime() {
                Ok(runtime) => Some(runtime),
                Err(error) => {
                    // Their volumes aren't served then.
                    tracing::error!(%error, "mirrors can't be begun");
                    None
                }
            },
        };
        for (record, runtime) in catalog.mirrors().zip(std::iter::repeat(&runtime)) {
            let Some(runtime) = runtime else { continue };
            let volumes = SIDES.map(|side| {
                let end = record.end(side);
                let volume = volumes.get(&end.volume).cloned();
                volume.filter(|_| end.is_here())
            });
            let here = SIDES.into_iter().zip(&volumes);
            let mut here = here.filter(|(side, _)| record.end(*side).is_here());
            if here.all(|(_, volume)| volume.is_some()) {
                let state = State::found(
                    record.clone(),
                    key_of(record, &volumes),
                    mirror_type(record),
                );
                let running = self.mirrors.begin(state, volumes, runtime);
                if record.rest.is_restoring() {
                    self.go_on_restoring(&running);
                }
                self.look_for(&running, runtime);
            }
        }
        if let Some(said) = self.mirrors.said.lock().take() {
            tokio::spawn(listen(Arc::downgrade(self), said));
        }
    }
}

impl Mirrors {
    pub(super) fn begin(
        &self,
        state: State,
        volumes: [Option<Arc<ServedVolume>>; 2],
        runtime: &tokio::runtime::Handle,
    ) -> Arc<Running> {
        let folder = self.folder_of(state.record().id);
        let running = Running::new(state, folder, volumes, self.news.clone(), runtime);
        self.running
            .write()
            .insert(running.id(), Arc::clone(&running));
        self.keep_lease(&running);
        self.dial(&running);
        running
    }
}

/// How mirrors as this one are built.
pub(super) fn mirror_type(record: &Mirror) -> BuiltType {
    let (locality, supply) = match record.remote() {
        None => (LocalOrRemote::Local, TargetSupply::Supplied),
        Some(_) => (LocalOrRemote::Remote, TargetSupply::Created),
    };
    let wanted = ReplicationType::of(SyncType::Mirror, mode_of(record.mode), locality);
    // It is what admitted the mirror; without it there would be none.
    let found = built().of(wanted).cloned();
    found.unwrap_or_else(|| BuiltType::new(wanted, supply))
}

pub(super) const fn mode_of(mode: MirrorMode) -> Mode {
    match mode {
        MirrorMode::Synchronous => Mode::Synchronous,
        MirrorMode::Asynchronous { .. } => Mode::Asynchronous,
    }
}

/// Hosts don't wait for an asynchronous target, so they can't be stopped while it is away either.
pub(super) fn check_hosts_go_on(on_failure: OnFailure) -> Result<(), ChangeError> {
    match on_failure {
        OnFailure::Continue => Ok(()),
        OnFailure::Halt => Err(super::operations::refuse(
            "hosts don't wait for the target of an asynchronous mirror, so they can't be stopped while it is away: \
             make it with --on-failure continue"
                .into(),
        )),
    }
}

pub(super) fn key(
    record: &Mirror,
    [first, second]: &[Option<Arc<ServedVolume>>; 2],
) -> AssociationKey {
    // What a peer's volume is called there isn't said; its end has a name of its own.
    let element = |volume: &Option<Arc<ServedVolume>>, end: &MirrorEnd| {
        let volume = volume.as_ref().map(|it| it.id().0);
        ElementId(volume.unwrap_or(end.node).as_u128())
    };
    AssociationKey {
        system_element: element(first, &record.first),
        synced_element: element(second, &record.second),
    }
}

/// The same, of a mirror that may have changed its roles.
fn key_of(record: &Mirror, volumes: &[Option<Arc<ServedVolume>>; 2]) -> AssociationKey {
    let AssociationKey {
        system_element,
        synced_element,
    } = key(record, volumes);
    match record.source {
        MirrorSide::First => AssociationKey {
            system_element,
            synced_element,
        },
        MirrorSide::Second => AssociationKey {
            system_element: synced_element,
            synced_element: system_element,
        },
    }
}

/// Makes what is durable of the ends that are here. Blocks.
pub(super) fn make(folder: &Path, record: &Mirror, bytes: u64) -> Result<(), ChangeError> {
    std::fs::create_dir(folder).map_err(|source| StateDirError::Io {
        action: "create",
        path: folder.to_path_buf(),
        source,
    })?;
    let here = |side: &MirrorSide| record.end(*side).is_here();
    for side in SIDES.into_iter().filter(here) {
        let own = Running::folder_of(folder, side);
        crate::steps::reached(&own);
        Ends::create(&own, which(record, side), bytes, side == record.source)
            .map_err(|error| ChangeError::Mirror(error.to_string()))?;
        crate::steps::reached(&own);
    }
    // Or a catalog that knows the mirror could find no ends of it.
    if let Some(all) = folder.parent() {
        sync_dir(all)?;
    }
    Ok(())
}

/// What a crash has left of mirrors that were being made or ended.
fn remove_unknown(folder: &Path, catalog: &Catalog) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_known = catalog
            .mirrors()
            .any(|mirror| name.to_str() == Some(&mirror.id.to_string()));
        let is_ours = name
            .to_str()
            .is_some_and(|it| it.len() == 32 && it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if is_ours && !is_known {
            super::operations::remove_folder(&entry.path());
        }
    }
}

/// Does what mirrors can't do themselves; for ever.
async fn listen(registry: Weak<Registry>, mut said: UnboundedReceiver<News>) {
    while let Some(news) = said.recv().await {
        let Some(registry) = registry.upgrade() else {
            break;
        };
        match news {
            News::Changed(mirror) => {
                let _ = registry.mirror_changes.send(mirror);
            }
            News::Access(mirror) => {
                registry.move_hosts(mirror).await;
                tokio::spawn(async move { registry.catch_up_reservations(mirror).await });
            }
            News::Promote(mirror) => {
                tokio::spawn(async move { registry.promote_by_lease(mirror).await });
            }
            News::Seen(mirror) => {
                // It may take its time, and others have news as well.
                let other = Arc::clone(&registry);
                tokio::spawn(async move { other.catch_up_reservations(mirror).await });
                tokio::spawn(async move { registry.tell_words(mirror).await });
            }
            News::TakeBack { mirror } => {
                if let Err(error) = registry.keep_agreed(mirror).await {
                    // It is tried again by the next operation, or begun again after a restart.
                    tracing::error!(%mirror, %error, "what is wanted of a mirror can't be kept");
                }
            }
        }
    }
}
