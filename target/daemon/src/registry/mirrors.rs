//! Mirrors: made, changed and ended so that a crash at any moment leaves what `mirror show` explains and a command
//! ends. What is wanted is made durable first, then asked of the ends.

mod asking;
mod asynchronous;
mod automatic;
mod beginning;
mod compare;
mod digest;
mod facts;
mod figures;
mod groups;
mod holding;
mod hosts;
mod limits;
mod missing;
mod naming;
mod operations;
mod pause;
mod remote;
mod reservations;
mod restoring;
mod roles;
mod safety;
mod told;
mod view;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Mutex, RwLock};
use tidelock_catalog::{Catalog, CatalogError, Change, Mirror, MirrorId, MirrorSide, VolumeName};
use tidelock_replication::mirror::{Hands, Nearby};
use tidelock_replication::{Engine, EngineKind, Volume};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::changes::ChangeError;
use super::{Registry, ServedVolume};
use crate::failover::Settings;
use crate::mirrors::News;
use crate::mirrors::end::Ends;
use crate::mirrors::post::Post;
use crate::mirrors::running::Running;
use crate::peers::Peers;
use crate::state_dir::{StateDir, StateDirError};

pub use asking::MirrorEnds;
pub use automatic::FailoverChange;
pub use beginning::MirrorRequest;
pub use figures::MirrorFigures;
pub use groups::{GroupMirrorChange, GroupMirrorRequest, GroupTarget};
pub use naming::EndName;
pub use operations::MirrorChange;
pub use remote::RemoteMirrorRequest;
pub(super) use safety::is_hidden;
pub use told::{Far, MirrorRelation};

/// Operations of mirrors that are in the kernel at a time, and the memory for what they read, in bytes.
const DEPTH: u32 = 64;
const MEMORY: usize = 32 << 20;

/// The mirrors that run.
#[derive(Debug)]
pub(super) struct Mirrors {
    folder: PathBuf,
    /// Made when there is a first mirror.
    ends: OnceLock<Result<Ends, String>>,
    post: Mutex<Option<Post>>,
    /// Who keeps up leases.
    leases: Mutex<Option<Post>>,
    /// How the store of leases is reached.
    failover: OnceLock<Arc<Settings>>,
    running: RwLock<HashMap<MirrorId, Arc<Running>>>,
    /// Who has the snapshots of their volumes.
    albums: OnceLock<Arc<safety::Albums>>,
    /// Who has the other ends of some.
    peers: OnceLock<Weak<Peers>>,
    news: UnboundedSender<News>,
    /// What mirrors change by themselves of what people see.
    changes: tokio::sync::broadcast::Sender<Vec<Change>>,
    /// Until somebody listens.
    said: Mutex<Option<UnboundedReceiver<News>>>,
}

impl Mirrors {
    pub(super) fn new(state: &StateDir) -> Result<Arc<Self>, StateDirError> {
        let (news, said) = unbounded_channel();
        Ok(Arc::new(Self {
            folder: state.folder("mirrors")?,
            ends: OnceLock::new(),
            post: Mutex::default(),
            leases: Mutex::default(),
            failover: OnceLock::new(),
            running: RwLock::default(),
            albums: OnceLock::new(),
            peers: OnceLock::new(),
            news,
            changes: tokio::sync::broadcast::Sender::new(256),
            said: Mutex::new(Some(said)),
        }))
    }

    fn folder_of(&self, id: MirrorId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Who opens ends.
    fn ends(&self) -> Result<&Ends, String> {
        let made = self.ends.get_or_init(|| {
            let kind = Engine::probe().kind;
            let hands = Hands::new(kind, DEPTH, MEMORY)
                .or_else(|_| Hands::new(EngineKind::ThreadPool, DEPTH, MEMORY));
            let hands = hands.map_err(|error| format!("its I/O can't be begun: {error}"))?;
            let albums = self.albums.get().ok_or("the daemon is still starting")?;
            let albums: Arc<dyn crate::mirrors::end::Albums> = Arc::clone(albums) as _;
            Ok(Ends::new(Arc::new(Nearby::new(Arc::new(hands))), albums))
        });
        made.as_ref().map_err(String::clone)
    }

    /// Where messages go from end to end.
    fn runtime(&self) -> Result<tokio::runtime::Handle, ChangeError> {
        let mut post = self.post.lock();
        if let Some(post) = &*post {
            return Ok(post.handle().clone());
        }
        let begun = Post::new("mirrors").map_err(|error| {
            ChangeError::Mirror(format!("no thread can be begun for mirrors: {error}"))
        })?;
        let handle = begun.handle().clone();
        *post = Some(begun);
        Ok(handle)
    }

    pub(super) fn get(&self, id: MirrorId) -> Option<Arc<Running>> {
        self.running.read().get(&id).cloned()
    }

    pub(in crate::registry) fn all(&self) -> Vec<Arc<Running>> {
        self.running.read().values().cloned().collect()
    }

    /// The mirror that runs with a volume, and which end that is.
    pub(super) fn of(&self, volume: &str) -> Option<(Arc<Running>, MirrorSide)> {
        let running = self.running.read();
        let has_it = |it: &&Arc<Running>| it.has_volume(volume);
        running.values().filter(has_it).find_map(|it| {
            let sides = [MirrorSide::First, MirrorSide::Second];
            let is_it = |side: &MirrorSide| {
                it.look(|state| {
                    let end = state.record().end(*side);
                    end.is_here() && end.volume.as_str() == volume
                })
            };
            Some((Arc::clone(it), sides.into_iter().find(is_it)?))
        })
    }

    /// The mirror with a peer that has its end here at a volume.
    fn of_shared(&self, volume: &Arc<ServedVolume>) -> Option<Arc<Running>> {
        let running = self.running.read();
        let is_it = |it: &&Arc<Running>| {
            let local = it.local();
            local.is_some_and(|(_, served)| Arc::ptr_eq(served, volume))
        };
        running.values().find(is_it).cloned()
    }

    /// A volume's file is open: if it is in a mirror, nobody may see it before its end is open as well. Blocks.
    ///
    /// # Errors
    /// Why it can't be served.
    pub(super) fn attach(&self, volume: &str, store: &Arc<Volume>) -> Result<(), String> {
        let Some((running, side)) = self.of(volume) else {
            return Ok(());
        };
        running.attach(self.ends()?, side, store)?;
        self.dial_again(&running);
        Ok(())
    }

    /// Opens ends anew whose volumes can be used again. Blocks.
    pub(super) fn recover(&self) {
        for running in self.all() {
            if running.can_recover()
                && let Err(reason) = self.ends().and_then(|ends| running.reattach(ends))
            {
                tracing::warn!(mirror = %running.id(), %reason, "a mirror isn't whole yet");
            }
        }
    }

    /// Ends all, before their volumes are closed. Blocks.
    pub(super) fn close_all(&self) {
        for running in self.all() {
            running.close();
        }
    }
}

impl Registry {
    /// Which mirror isn't as it was, from now on.
    #[must_use]
    pub fn watch_mirrors(&self) -> tokio::sync::broadcast::Receiver<MirrorId> {
        self.mirror_changes.subscribe()
    }

    /// What mirrors change by themselves, from now on.
    #[must_use]
    pub fn watch_changes_of_mirrors(&self) -> tokio::sync::broadcast::Receiver<Vec<Change>> {
        self.mirrors.changes.subscribe()
    }

    /// Lets mirrors go on whose volumes can be used again.
    pub(super) async fn recover_mirrors(&self) {
        let mirrors = Arc::clone(&self.mirrors);
        if let Err(error) = tokio::task::spawn_blocking(move || mirrors.recover()).await {
            tracing::error!(%error, "recovering mirrors ended by a defect: please report it");
        }
    }

    /// The mirror that is meant by the name of a volume in it, or by its id.
    fn mirror_named(&self, name: &str) -> Result<Mirror, CatalogError> {
        let catalog = self.catalog();
        if let Some(mirror) = catalog.mirrors().find(|it| it.id.to_string() == name) {
            return Ok(mirror.clone());
        }
        // Nothing else can be called so.
        let Ok(volume) = VolumeName::new(name) else {
            let mirror = shortened(name);
            return Err(CatalogError::NoSuchMirror { mirror });
        };
        catalog.volume(&volume)?;
        let found = catalog.mirror_of(&volume).cloned();
        found.ok_or(CatalogError::NotMirrored { volume })
    }

    /// Refuses what would change a volume below its mirror.
    pub(super) fn check_not_mirrored(&self, volume: &VolumeName) -> Result<(), ChangeError> {
        check_not_mirrored(&self.catalog(), volume)
    }
}

fn check_not_mirrored(catalog: &Catalog, volume: &VolumeName) -> Result<(), ChangeError> {
    let Some(mirror) = catalog.mirror_of(volume) else {
        return Ok(());
    };
    let side = mirror.side_of(volume).unwrap_or(MirrorSide::First);
    Err(CatalogError::VolumeIsMirrored {
        volume: volume.clone(),
        other: mirror.end(side.opposite()).to_string(),
    }
    .into())
}

fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}
