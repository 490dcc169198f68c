//! Families as they are served: which are open, with the lists of their snapshots. Knows no volumes.

pub(super) mod leftover;
pub(super) mod snapshot_log;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tidelock_catalog as catalog;
use tidelock_catalog::{Catalog, DatasetId, FamilyId, ListChange, SnapshotList};
use tidelock_replication::{Family, FamilyOptions, OpenOptions, Volume, VolumeError};
use uuid::Uuid;

use super::journals::Journals;
use crate::state_dir::{StateDir, StateDirError};

use snapshot_log::{SnapshotLog, SnapshotLogError};

/// What is said of a family that wasn't tried yet.
const NOT_OPENED: &str = "not opened yet";

/// All families.
#[derive(Debug)]
pub(super) struct Families {
    folder: PathBuf,
    all: RwLock<HashMap<FamilyId, Arc<ServedFamily>>>,
    /// Changes of the lists of all of them.
    changes: Arc<AtomicU64>,
}

/// A family.
#[derive(Debug)]
pub(super) struct ServedFamily {
    id: FamilyId,
    folder: PathBuf,
    home: OpenOptions,
    opened: RwLock<Result<Arc<OpenFamily>, String>>,
    /// Held while it is being opened.
    opening: Mutex<()>,
    changes: Arc<AtomicU64>,
}

/// A family that is open.
#[derive(Debug)]
pub(super) struct OpenFamily {
    /// The engine's.
    pub(super) engine: Arc<Family>,
    /// The list of its snapshots; or why it can't be used, in which case nothing happens to them.
    list: Mutex<Result<SnapshotLog, String>>,
    /// Counts the changes of this list, with those of all others.
    changes: Arc<AtomicU64>,
}

/// Why the list of a family's snapshots can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListTrouble {
    /// It can't be read.
    #[error("{0}")]
    Unusable(String),
    /// It can't be changed.
    #[error(transparent)]
    Log(#[from] SnapshotLogError),
}

impl Families {
    /// Makes the folder if it isn't there. Blocks.
    pub(super) fn new(state: &StateDir) -> Result<Self, StateDirError> {
        Ok(Self {
            folder: state.folder("families")?,
            all: RwLock::default(),
            changes: Arc::default(),
        })
    }

    /// Another number after every change of any list.
    pub(super) fn generation(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Bytes that may still be written where families are kept. Blocks.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        super::Space::of(&self.folder).map(|space| space.available)
    }

    /// Where the files of a family are.
    pub(super) fn folder_of(&self, id: FamilyId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Takes notice of the families of the catalog; opens none. `volumes` is where the daemon keeps the
    /// files that it made.
    pub(super) fn learn(&self, catalog: &Catalog, volumes: &Path, journals: &Journals) {
        let mut all = self.all.write();
        for family in catalog.families() {
            all.entry(family.id).or_insert_with(|| {
                let block_size = catalog.heads(family.id).next().map(|head| head.block_size);
                let home = home_options(&family.home, block_size, volumes, journals);
                Arc::new(ServedFamily::new(
                    family.id,
                    self.folder_of(family.id),
                    home,
                    Arc::clone(&self.changes),
                ))
            });
        }
    }

    /// A family that has just been made.
    pub(super) fn insert(&self, id: FamilyId, home: OpenOptions, mut open: OpenFamily) {
        let changes = Arc::clone(&self.changes);
        open.changes = Arc::clone(&changes);
        let family = ServedFamily::new(id, self.folder_of(id), home, changes);
        *family.opened.write() = Ok(Arc::new(open));
        self.all.write().insert(id, Arc::new(family));
    }

    pub(super) fn remove(&self, id: FamilyId) -> Option<Arc<ServedFamily>> {
        self.all.write().remove(&id)
    }

    pub(super) fn get(&self, id: FamilyId) -> Option<Arc<ServedFamily>> {
        self.all.read().get(&id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<ServedFamily>> {
        self.all.read().values().cloned().collect()
    }

    /// Removes what a crash left of families that were about to be made, or deleted. What has data in it is
    /// somebody's, whatever the catalog says, which may be an older one: that is left, and told. Blocks.
    pub(super) fn remove_unknown(&self) {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) => {
                let folder = self.folder.display();
                tracing::error!(%folder, %error, "the families can't be listed");
                return;
            }
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let Some(id) = name.to_str().and_then(FamilyId::from_folder) else {
                continue;
            };
            let folder = entry.path();
            if self.get(id).is_some() {
                // A deletion that wasn't made.
                leftover::unmark(&folder);
            } else if let Err(reason) = leftover::may_go(&folder, id) {
                tracing::error!(
                    folder = %folder.display(),
                    %reason,
                    "a family isn't in the catalog: its folder is left as it is. If the catalog is an old one, stop \
                     the daemon and bring the right one back; if the folder isn't needed, move it away"
                );
            } else {
                remove_folder(&folder);
            }
        }
    }
}

/// How the file is opened that a family began with.
fn home_options(
    home: &catalog::HomeFile,
    block_size: Option<catalog::BlockSize>,
    volumes: &Path,
    journals: &Journals,
) -> OpenOptions {
    let path = kept_path(&home.path, home.managed, volumes);
    OpenOptions {
        block_size: block_size.unwrap_or_default().bytes(),
        direct: home.direct,
        journal: Some(journals.place(home.volume)),
        ..OpenOptions::new(&path)
    }
}

/// The state folder may have been moved since a volume was made: the daemon's own files are where it
/// keeps them now.
pub(super) fn kept_path(path: &str, managed: bool, volumes: &Path) -> PathBuf {
    let kept = Path::new(path).file_name().filter(|_| managed);
    kept.map_or_else(|| path.into(), |name| volumes.join(name))
}

/// A folder that nothing names any more. If it stays behind nothing is wrong but the space.
pub(super) fn remove_folder(folder: &Path) {
    crate::steps::reached(folder);
    if let Err(error) = std::fs::remove_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), %error, "a family's folder stays behind");
    }
}

impl ServedFamily {
    fn new(id: FamilyId, folder: PathBuf, home: OpenOptions, changes: Arc<AtomicU64>) -> Self {
        Self {
            id,
            folder,
            home,
            opened: RwLock::new(Err(NOT_OPENED.into())),
            opening: Mutex::new(()),
            changes,
        }
    }

    pub(super) fn id(&self) -> FamilyId {
        self.id
    }

    /// Where its files are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that it began with.
    pub(super) fn home(&self) -> &Path {
        &self.home.path
    }

    /// It, if it could be opened; else why not.
    pub(super) fn open_family(&self) -> Result<Arc<OpenFamily>, String> {
        self.opened.read().clone()
    }

    pub(super) fn is_open(&self) -> bool {
        self.opened.read().is_ok()
    }

    /// Tries to open it. Blocks.
    pub(super) fn open(&self) {
        let Some(_opening) = self.opening.try_lock() else {
            return;
        };
        if self.is_open() {
            return;
        }
        let options = FamilyOptions::new(&self.folder, *self.id.0.as_bytes());
        let opened = self
            .finish_atomic_write()
            .and_then(|()| Family::open(&options, Some(&self.home)))
            .map_err(|error| match error {
                VolumeError::Family { .. } => format!(
                    "{error}; with the daemon stopped, `tidelock volume check {}` says what is damaged",
                    self.folder.display()
                ),
                error => error.to_string(),
            });
        let opened = opened.map(|engine| {
            let list = SnapshotLog::open(&self.folder, self.id).map_err(|error| {
                tracing::error!(family = %self.id, %error, "its snapshots can't be told");
                error.to_string()
            });
            Arc::new(OpenFamily {
                engine,
                list: Mutex::new(list),
                changes: Arc::clone(&self.changes),
            })
        });
        let mut place = self.opened.write();
        match (&*place, &opened) {
            // Tried every few seconds: the log is told once.
            (Err(before), Err(reason)) if before == reason => {}
            (_, Err(reason)) => tracing::error!(family = %self.id, %reason, "not open"),
            _ => {}
        }
        *place = opened;
    }

    /// Writes out the record of an atomic write that a crash may have interrupted just before the volume
    /// became a head: afterwards there are none. Blocks.
    fn finish_atomic_write(&self) -> Result<(), VolumeError> {
        let journal = self.home.journal.as_ref();
        if journal.is_some_and(|journal| journal.path.exists()) {
            Volume::open(&self.home).map(drop)?;
        }
        Ok(())
    }

    /// Ends it. Blocks.
    pub(super) fn close(&self) -> Result<(), String> {
        match self.open_family() {
            Ok(open) => open.engine.close().map_err(|error| error.to_string()),
            Err(_) => Ok(()),
        }
    }
}

impl OpenFamily {
    /// A family that has just been made, with an empty list. Blocks.
    pub(super) fn new(
        engine: Arc<Family>,
        folder: &Path,
        id: FamilyId,
    ) -> Result<Self, SnapshotLogError> {
        let list = SnapshotLog::create(folder, id)?;
        Ok(Self {
            engine,
            list: Mutex::new(Ok(list)),
            changes: Arc::default(),
        })
    }

    /// Looks at the list of snapshots.
    pub(super) fn look<T>(&self, look: impl FnOnce(&SnapshotList) -> T) -> Result<T, ListTrouble> {
        match &*self.list.lock() {
            Ok(log) => Ok(look(log.list())),
            Err(reason) => Err(ListTrouble::Unusable(reason.clone())),
        }
    }

    /// Makes changes of the list, together and durably. Blocks.
    pub(super) fn add(&self, changes: &[ListChange]) -> Result<(), ListTrouble> {
        if changes.is_empty() {
            return Ok(());
        }
        match &mut *self.list.lock() {
            Ok(log) => {
                log.add(changes)?;
                self.changes.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
            Err(reason) => Err(ListTrouble::Unusable(reason.clone())),
        }
    }

    /// The datasets that the engine has, with their sizes in blocks of 4 KiB.
    pub(super) fn datasets(&self) -> HashMap<DatasetId, u64> {
        let all = self.engine.datasets().into_iter();
        all.filter(|info| !info.deleting)
            .map(|info| (DatasetId(Uuid::from_bytes(info.id)), info.blocks))
            .collect()
    }
}
