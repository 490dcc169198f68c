//! What is served: the catalog on disk and the live objects that stand for it. One writer at a time
//! changes both, file first; readers (logins, sessions, listings) never wait for it.

pub mod access;
mod adoption;
pub mod asymmetric_access;
pub mod capabilities;
pub mod changes;
mod checks;
mod clone_facts;
mod clones;
pub mod facts;
mod families;
mod family_facts;
mod fences;
mod folding;
mod group_clones;
mod group_restores;
mod groups;
mod hydration;
mod identifying;
mod intents;
mod journals;
mod mirrors;
pub(crate) mod preempting;
mod promotion;
mod receiving;
mod recovery;
mod removal;
mod renewals;
pub mod reservations;
mod schedules;
mod scrubs;
mod sending;
pub mod served;
pub mod shared_units;
mod snapshots;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use thiserror::Error;
use tidelock_catalog::{Catalog, DaemonIdentity, DecodeError, IscsiName, MirrorId, VolumeName};
use tidelock_replication::Volume;
use tidelock_scsi::{IdentifyingInformation, Renewal};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::directory::Directory;
use crate::jobs::Jobs;
use crate::portal::Portal;
use crate::renewal::Subject;
use crate::state_dir::{ReplacedFile, StateDir, StateDirError};

use capabilities::Census;
pub use clones::{CloneRequest, FullClone};
use families::Families;
use fences::Fences;
pub use group_clones::GroupCloneRequest;
use hydration::Hydrations;
use journals::Journals;
use mirrors::Mirrors;
pub use mirrors::{
    EndName, FailoverChange, Far, GroupMirrorChange, GroupMirrorRequest, GroupTarget, MirrorChange,
    MirrorEnds, MirrorFigures, MirrorRelation, MirrorRequest, RemoteMirrorRequest,
};
use receiving::Receives;
pub use receiving::{ReceiveError, ReceiveRequest, Received};
use renewals::Renewals;
use schedules::{Quiescing, Schedules};
use scrubs::Scrubs;
pub use served::{Lun, ServedVolume, Target};

/// Threads that open volumes at a time.
const OPENERS: usize = 32;
/// How long the start waits for volumes that don't answer.
const LOAD_PATIENCE: Duration = Duration::from_secs(5);

/// Why what is to be served can't be found out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The state folder.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The catalog's file is damaged or of another version.
    #[error("the catalog {path} can't be used: {source}; nothing was changed")]
    Catalog {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// The live objects of one catalog generation.
#[derive(Clone, Debug)]
struct View {
    catalog: Arc<Catalog>,
    /// What is counted of it.
    census: Arc<Census>,
    volumes: HashMap<VolumeName, Arc<ServedVolume>>,
    targets: HashMap<IscsiName, Arc<Target>>,
    portals: Vec<Portal>,
    /// False until every volume has been tried: logins are told to come back.
    loaded: bool,
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// That may still be written.
    pub available: u64,
    /// That there are.
    pub total: u64,
}

impl Space {
    /// Of the file system that a folder is in. Blocks.
    fn of(folder: &std::path::Path) -> Option<Self> {
        let found = rustix::fs::statvfs(folder).ok()?;
        Some(Self {
            available: found.f_bavail.saturating_mul(found.f_frsize),
            total: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }
}

/// What only the one who changes things may touch.
#[derive(Debug)]
struct Writer {
    file: Arc<ReplacedFile>,
}

/// The registry.
#[derive(Debug)]
pub struct Registry {
    view: RwLock<Arc<View>>,
    writer: tokio::sync::Mutex<Writer>,
    directory: Arc<Directory>,
    fences: Arc<Fences>,
    renewals: Arc<Renewals>,
    /// Folder of the volumes that the daemon makes itself.
    volumes: PathBuf,
    /// Folder of the reservations that outlive the daemon.
    reservations: PathBuf,
    /// Folder of what hosts call volumes.
    identifying: PathBuf,
    journals: Journals,
    families: Families,
    mirrors: Arc<Mirrors>,
    /// Which mirror isn't as it was.
    mirror_changes: tokio::sync::broadcast::Sender<MirrorId>,
    schedules: Schedules,
    /// What the file system of the state folder had at the last look.
    space: Mutex<Option<Space>>,
    scrubs: Scrubs,
    receives: Arc<Receives>,
    quiescing: Quiescing,
    jobs: Arc<Jobs>,
    hydrations: Hydrations,
    /// Held while blocks of a volume are brought home; locked before the writer.
    folding: tokio::sync::Mutex<()>,
    /// What takes long ends: the daemon does.
    stopping: Arc<AtomicBool>,
}

impl Registry {
    /// Reads the catalog, or makes an empty one at the first start. Blocks. Nothing is served yet.
    ///
    /// # Errors
    /// It can't be read, or is damaged: then nothing is changed, so that an operator can look.
    pub fn open(state: &StateDir, directory: Arc<Directory>) -> Result<Arc<Self>, RegistryError> {
        let file = ReplacedFile::new(state, "catalog").keeping_space();
        let catalog = match file.read()? {
            Some(bytes) => {
                let catalog = Catalog::decode(&bytes).map_err(|source| RegistryError::Catalog {
                    path: file.path().to_owned(),
                    source,
                })?;
                file.keep_space(bytes.len());
                catalog
            }
            None => {
                let catalog = Catalog::new(DaemonIdentity(Uuid::new_v4()));
                file.replace(&catalog.encode())?;
                catalog
            }
        };
        let view = View {
            census: Arc::new(Census::of(&catalog)),
            catalog: Arc::new(catalog),
            volumes: HashMap::new(),
            targets: HashMap::new(),
            portals: Vec::new(),
            loaded: false,
        };
        let volumes = state.volumes()?;
        let reservations = state.reservations()?;
        let identifying = state.folder("identifying")?;
        Ok(Arc::new(Self {
            view: RwLock::new(Arc::new(view)),
            writer: tokio::sync::Mutex::new(Writer {
                file: Arc::new(file),
            }),
            directory,
            volumes,
            reservations,
            identifying,
            journals: Journals::new(state)?,
            families: Families::new(state)?,
            mirrors: Mirrors::new(state)?,
            mirror_changes: tokio::sync::broadcast::Sender::new(256),
            schedules: Schedules::default(),
            space: Mutex::default(),
            scrubs: Scrubs::new(state)?,
            receives: Receives::open(state)?,
            quiescing: Quiescing::default(),
            jobs: Arc::default(),
            hydrations: Hydrations::default(),
            folding: tokio::sync::Mutex::default(),
            stopping: Arc::default(),
            fences: Arc::new(Fences::new(state.path().to_owned())),
            renewals: Arc::new(Renewals::new(state.path().to_owned())),
        }))
    }

    /// Opens every volume of the catalog and begins to serve. A volume that can't be opened is
    /// served as not ready, and the log says why.
    pub async fn load(self: &Arc<Self>, portals: Vec<Portal>) {
        let writer = self.writer.lock().await;
        let catalog = self.catalog();
        self.forget_received_of_nobody(&catalog).await;
        self.families.learn(&catalog, &self.volumes, &self.journals);
        let this = Arc::clone(self);
        let removing = tokio::task::spawn_blocking(move || this.families.remove_unknown());
        if let Err(error) = removing.await {
            tracing::error!(%error, "looking for left families ended by a defect: please report it");
        }
        self.open_families(&writer, LOAD_PATIENCE).await;
        self.fold_at_start(&writer).await;
        // A crash may have left the catalog behind by the size of a head.
        let catalog = self.catalog();
        let mut volumes = HashMap::with_capacity(catalog.volumes().len());
        for volume in catalog.volumes() {
            volumes.insert(
                volume.name.clone(),
                Arc::new(ServedVolume::new(volume, self)),
            );
        }
        self.begin_mirrors(&catalog, &volumes);
        // Before anybody can log in: who is registered must be known by then.
        restore_kept(volumes.values().cloned().collect()).await;
        let mut opening = open_all(volumes.values().cloned().collect(), self);
        let all_open = async { while opening.join_next().await.is_some() {} };
        if tokio::time::timeout(LOAD_PATIENCE, all_open).await.is_err() {
            // What doesn't answer is not ready; it must not keep the others from being served. Its
            // thread goes on, and the next look finds what it has opened.
            tracing::warn!("some volumes take long to open: serving without them for now");
            opening.detach_all();
        }
        let mut targets = HashMap::with_capacity(catalog.targets().len());
        for target in catalog.targets() {
            let served = Target::new(target);
            served.set_luns(served::lun_map(target, &volumes));
            targets.insert(target.name.clone(), Arc::new(served));
        }
        let view = View {
            census: Arc::new(Census::of(&catalog)),
            catalog,
            volumes,
            targets,
            portals,
            loaded: true,
        };
        view.place_all();
        *self.view.write() = Arc::new(view);
        // Their numbers are taken already.
        self.resume_hydrations();
        let this = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || this.resume_scrubs()).await {
            tracing::error!(%error, "going on with scrubs ended by a defect: please report it");
        }
    }

    /// Tries once more to open the volumes that couldn't be opened.
    pub async fn reopen(&self) {
        self.recover_mirrors().await;
        if self.families.all().iter().any(|family| !family.is_open()) {
            let writer = self.writer.lock().await;
            self.open_families(&writer, LOAD_PATIENCE).await;
        }
        let view = self.view();
        let missing = view
            .volumes
            .values()
            .filter(|volume| volume.store().is_none());
        let missing: Vec<_> = missing.cloned().collect();
        if missing.is_empty() {
            return;
        }
        let mut opening = open_all(missing.clone(), self);
        while opening.join_next().await.is_some() {}
        if missing.iter().any(|volume| volume.store().is_some()) {
            for target in view.targets.values() {
                target.touch();
            }
        }
    }

    /// Makes durable which volumes are fenced.
    pub async fn note_fences(&self) {
        let view = self.view();
        let fences = Arc::clone(&self.fences);
        let noting = tokio::task::spawn_blocking(move || {
            fences.note(view.volumes.values().map(Arc::as_ref));
        });
        if let Err(error) = noting.await {
            tracing::error!(%error, "noting fences ended by a defect: please report it");
        }
    }

    /// What is known about media that are made anew.
    pub(crate) fn renewals(&self) -> &Arc<Renewals> {
        &self.renewals
    }

    /// Renewals that an earlier daemon left under way, of volumes that are open now; each is told once.
    pub(crate) fn take_unfinished_renewals(&self) -> Vec<(Subject, Renewal)> {
        let view = self.view();
        self.renewals.take_unfinished(|id| {
            let volume = view.volumes.values().find(|volume| volume.id() == id)?;
            let store = volume.store()?;
            let volume = Arc::clone(volume);
            Some(Subject { volume, store })
        })
    }

    /// What the file system of the state folder had at the last look.
    #[must_use]
    pub fn space(&self) -> Option<Space> {
        *self.space.lock()
    }

    /// What each volume takes and may take, as far as that was found out at the last look: in bytes.
    #[must_use]
    pub fn space_of_volumes(&self) -> Vec<(Arc<str>, Option<u64>, Option<u64>)> {
        let view = self.view();
        let mut all: Vec<_> = view
            .volumes
            .values()
            .map(|volume| {
                let limit = volume.limits().limit_bytes;
                (Arc::clone(volume.name()), volume.used(), limit)
            })
            .collect();
        all.sort();
        all
    }

    /// What takes long.
    #[must_use]
    pub fn jobs(&self) -> &Arc<Jobs> {
        &self.jobs
    }

    /// The catalog as it is now.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.view().catalog)
    }

    /// Whether every volume has been tried.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.view().loaded
    }

    /// A volume as it is served.
    #[must_use]
    pub fn volume(&self, name: &VolumeName) -> Option<Arc<ServedVolume>> {
        self.view().volumes.get(name).cloned()
    }

    /// Puts everything that was acknowledged on stable storage, and closes families: nothing is written any
    /// more. Returns what failed, by name.
    pub async fn flush_all(&self) -> Vec<String> {
        self.stopping.store(true, Ordering::SeqCst);
        // Applications that were brought to rest go on first.
        let _at_rest = self.quiescing.turn.lock().await;
        let _folding = self.folding.lock().await;
        self.hydrations_ended().await;
        // No change may be half-way, and none comes after this: what is closed stays closed.
        let _writer = self.writer.lock().await;
        let stores: Vec<_> = self
            .view()
            .volumes
            .values()
            .filter_map(|volume| Some((Arc::clone(volume.name()), volume.store()?)))
            .collect();
        let families = self.families.all();
        let mirrors = Arc::clone(&self.mirrors);
        let flushing = tokio::task::spawn_blocking(move || {
            let mut failed = flush(&stores);
            mirrors.close_all();
            failed.extend(families.iter().filter_map(|family| {
                let error = family.close().err()?;
                tracing::error!(family = %family.id(), %error, "closing failed");
                Some(format!("family {}: {error}", family.id()))
            }));
            failed
        });
        flushing
            .await
            .unwrap_or_else(|error| vec![error.to_string()])
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read())
    }
}

/// Gives all volumes the reservations and the identifying information that were kept. Those are small files beside the catalog, which
/// has just been read.
async fn restore_kept(volumes: Vec<Arc<ServedVolume>>) {
    let all = volumes.clone();
    let restoring = tokio::task::spawn_blocking(move || {
        for volume in &volumes {
            volume.reservations().restore(volume.name(), volume.unit());
            volume.identifying().restore(volume.name(), volume.unit());
        }
    });
    if let Err(error) = restoring.await {
        tracing::error!(%error, "restoring what was kept ended by a defect: please report it");
        for volume in all {
            volume.unit().lose_reservations();
            let lost = IdentifyingInformation::LOST;
            volume.unit().set_identifying_information(lost, None);
        }
    }
}

/// Opens volumes on other threads, since a file may wait for a slow disk: a few at a time, so that one
/// that doesn't answer holds up few others.
fn open_all(volumes: Vec<Arc<ServedVolume>>, registry: &Registry) -> JoinSet<()> {
    let mut opening = JoinSet::new();
    let share = volumes.len().div_ceil(OPENERS).max(1);
    for share in volumes.chunks(share).map(<[_]>::to_vec) {
        let fences = Arc::clone(&registry.fences);
        let renewals = Arc::clone(&registry.renewals);
        let mirrors = Arc::clone(&registry.mirrors);
        opening.spawn_blocking(move || {
            for volume in share {
                volume.open(&fences, &renewals, &mirrors);
            }
        });
    }
    opening
}

fn flush(stores: &[(Arc<str>, Arc<Volume>)]) -> Vec<String> {
    let failed = stores.iter().filter_map(|(name, store)| {
        let error = store.flush_blocking().err()?;
        tracing::error!(volume = %name, %error, "flushing failed: acknowledged writes may be lost");
        Some(format!("{name}: {error}"))
    });
    failed.collect()
}

#[cfg(test)]
mod tests;
