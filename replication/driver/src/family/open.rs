//! Making and opening families. Everything here **blocks**.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use parking_lot::Mutex;
use tidelock_block::{BlockFile, FileOptions};
use tidelock_volume::mapped::family::recover::{Opening, Replay, Wanted, choose};
use tidelock_volume::mapped::{self, BLOCK_BYTES, Damage, DatasetId, FamilyError, Id};
use tidelock_volume::{BlockSize, Geometry};

use super::desk::Desk;
use super::files::Files;
use super::room::Room;
use super::tail::{self, Tail};
use super::{Family, State};
use crate::error::VolumeError;
use crate::fence::Fence;
use crate::volume::{Mapped, OpenOptions, Volume};

/// Where a family is, and what it may use.
#[derive(Clone, Debug)]
pub struct FamilyOptions {
    /// The folder of its files.
    pub folder: PathBuf,
    /// Its id.
    pub id: Id,
    /// Bytes of a new family's journal, at least 1 MiB.
    pub journal_bytes: u64,
    /// Bytes of memory for its maps.
    pub maps_bytes: usize,
    /// A new family takes nothing over of the raw volume, which must be zeros: then each of its blocks that is
    /// ever written has a checksum, and it can't become a raw volume again.
    pub all_checksums: bool,
    /// Bytes that its segments may have in use; `None`: what the file system has.
    pub limit_bytes: Option<u64>,
    /// A folder in memory (tmpfs) for what is to survive a kill of the daemon before it is flushed; `None`:
    /// such writes are lost then.
    pub tail_folder: Option<PathBuf>,
}

impl FamilyOptions {
    /// 8 MiB of journal, 64 MiB for maps, no limit.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, id: Id) -> Self {
        Self {
            folder: folder.into(),
            id,
            journal_bytes: 8 << 20,
            maps_bytes: 64 << 20,
            all_checksums: false,
            limit_bytes: None,
            tail_folder: Some(tail::usual_folder()),
        }
    }
}

/// Nodes that a family has memory for, however little it is given.
const NODES_MIN: usize = if cfg!(test) { 16 } else { 1024 };

/// How a dataset is opened as a volume.
#[derive(Clone, Copy, Debug)]
pub struct MappedOptions {
    /// Bytes of a logical block: 512 or 4096.
    pub block_size: u32,
    /// Bytes of the volume: as many as the dataset's blocks have, but for the last one, of which a part
    /// may be missing.
    pub size: u64,
    /// Never write. A snapshot is never written.
    pub read_only: bool,
}

impl Family {
    /// Makes a family of a raw volume, durably: the volume is its first head, with this id, and its file
    /// the home file. The volume is still raw: [`Self::adopt`] comes next. **Blocks.**
    ///
    /// # Errors
    /// The folder is there already, can't be made, or has no room; the volume is read-only or shares
    /// blocks already. What was made is removed.
    pub fn create(
        options: &FamilyOptions,
        volume: &Arc<Volume>,
        head: Id,
    ) -> Result<Arc<Self>, VolumeError> {
        if volume.mapped().is_some() || volume.is_read_only() {
            return Err(VolumeError::Mapped {
                path: volume.path().to_path_buf(),
                what: "only a raw volume that can be written can have its first snapshot",
            });
        }
        let folder = &options.folder;
        let refuse = |source: std::io::Error| VolumeError::Family {
            folder: folder.clone(),
            what: format!("the folder can't be made: {source}"),
        };
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent).map_err(refuse)?;
        }
        std::fs::create_dir(folder).map_err(refuse)?;
        let made = Self::make(options, volume, head);
        if made.is_err()
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            tracing::warn!(folder = %folder.display(), %error,
                "the folder of a failed snapshot is left behind");
        }
        made
    }

    fn make(
        options: &FamilyOptions,
        volume: &Arc<Volume>,
        head: Id,
    ) -> Result<Arc<Self>, VolumeError> {
        let wrong = |what: String| VolumeError::Family {
            folder: options.folder.clone(),
            what,
        };
        let size = volume.size();
        let (id, blocks) = (options.id, size.div_ceil(BLOCK_BYTES as u64));
        let journal_bytes = options.journal_bytes;
        let made = if options.all_checksums {
            mapped::Family::create_empty(id, head, blocks, journal_bytes)
        } else {
            mapped::Family::create(id, head, blocks, size, journal_bytes)
        };
        let (maps, _) = made.map_err(|error| wrong(error.to_string()))?;
        let home = Some(Arc::clone(volume.file()));
        let files = Files::create(&options.folder, home, options.journal_bytes)?;
        if let Some(parent) = options.folder.parent() {
            let synced = std::fs::File::open(parent).and_then(|folder| folder.sync_all());
            synced.map_err(|error| wrong(format!("its folder isn't durable: {error}")))?;
        }
        Self::begin(options, files, maps)
    }

    /// A family of which nothing is on disk yet.
    pub(super) fn begin(
        options: &FamilyOptions,
        files: Files,
        maps: mapped::Family,
    ) -> Result<Arc<Self>, VolumeError> {
        let family = Self::new(options, files, maps);
        family.state.lock().tail = family.new_tail(options);
        family.start()?;
        family.checkpoint()?;
        Ok(family)
    }

    /// Opens a family, and recovers it from whatever ended it last. `home` is the file that it began
    /// with; a family knows whether it needs one. **Blocks.**
    ///
    /// # Errors
    /// A file is missing, locked or damaged, or the home file is too short: the message says which.
    pub fn open(
        options: &FamilyOptions,
        home: Option<&OpenOptions>,
    ) -> Result<Arc<Self>, VolumeError> {
        let home = home.map(|home| {
            let options = FileOptions {
                direct: home.direct,
                read_only: false,
                ..FileOptions::new(&home.path)
            };
            BlockFile::open(&options).map_err(|error| VolumeError::from_block(error, 0))
        });
        let home = home.transpose()?;
        Self::recovered(options, Files::open(&options.folder, home)?)
    }

    /// The family that is in these files.
    pub(super) fn recovered(
        options: &FamilyOptions,
        files: Files,
    ) -> Result<Arc<Self>, VolumeError> {
        let damaged = |damage: Damage| VolumeError::Family {
            folder: options.folder.clone(),
            what: damage.to_string(),
        };
        files.sync_found()?;
        let tail = open_tail(options, &files);
        let halves = match tail.as_ref().map(Tail::read) {
            Some(Ok(halves)) => Vec::from(halves),
            None => Vec::new(),
            Some(Err(error)) => {
                let what = format!("the tail of its journal can't be read: {error}");
                let folder = options.folder.clone();
                return Err(VolumeError::Family { folder, what });
            }
        };
        let found = recover(&files, options.id, &halves);
        let (mut maps, found) = found.map_err(|error| match error {
            Failed::Damage(damage) => damaged(damage),
            Failed::Volume(error) => error,
        })?;
        check_home(options, &files, maps.home_bytes())?;
        maps.set_limit(options.limit_bytes.map(|bytes| bytes / BLOCK_BYTES as u64));
        let family = Self::new(options, files, maps);
        if !found.clean {
            let left = family.state.lock().maps.segments();
            *family.to_sweep.lock() = left;
        }
        {
            // Nobody knows which data was made durable, nor what was written to the home file while the
            // volume was raw.
            let mut state = family.state.lock();
            state.dirty.extend(family.files.numbers());
            state.home_is_dirty = true;
        }
        family.start()?;
        if found.has_tail {
            family.checkpoint()?;
        }
        let tail = tail.and_then(|tail| reset(tail, &options.folder));
        {
            let mut state = family.state.lock();
            if tail.is_none() {
                // A tail that can't be used now may be found again by a later start.
                state.maps.skip_changes();
            }
            state.tail = tail;
        }
        family.desk.ask_tidy();
        Ok(family)
    }

    fn new(options: &FamilyOptions, files: Files, maps: mapped::Family) -> Arc<Self> {
        Arc::new(Self {
            id: options.id,
            files,
            state: Mutex::new(State {
                maps,
                dirty: std::collections::BTreeSet::new(),
                home_is_dirty: false,
                asked: false,
                flush_asked: false,
                unsettled: std::collections::BTreeSet::new(),
                tail: None,
                tail_waits: false,
            }),
            desk: Arc::new(Desk::default()),
            threads: Mutex::new(Vec::new()),
            fence: Fence::default(),
            home_generation: AtomicU64::new(0),
            home_work: Mutex::new(()),
            wants_space: AtomicBool::new(false),
            room: Room::default(),
            to_sweep: Mutex::new(Vec::new()),
            nodes_max: (options.maps_bytes / BLOCK_BYTES).max(NODES_MIN),
            volumes: Mutex::new(Vec::new()),
        })
    }

    fn new_tail(&self, options: &FamilyOptions) -> Option<Tail> {
        reset(open_tail(options, &self.files)?, &options.folder)
    }

    /// Makes a checkpoint and waits for it. **Blocks.**
    ///
    /// # Errors
    /// It couldn't be made durable: the family is fenced.
    pub fn checkpoint(&self) -> Result<(), VolumeError> {
        loop {
            let finished = self.desk.finished();
            let sequence = self.state.lock().maps.next_checkpoint();
            self.desk.ask_checkpoint();
            let is_finished = self.desk.wait_finished(finished);
            if let Some(reason) = self.fenced() {
                return Err(self.failing(reason));
            }
            if !is_finished {
                return Err(self.failing("it is being closed".to_owned()));
            }
            // The one that has finished may have been begun before.
            if self.state.lock().maps.durable_checkpoint() >= sequence {
                return Ok(());
            }
        }
    }

    /// Makes everything durable and ends its threads, so that the next opening is quick. **Blocks.**
    ///
    /// # Errors
    /// Something couldn't be made durable.
    pub fn close(&self) -> Result<(), VolumeError> {
        // On a full disk that may never end; without it the next opening only has more to do.
        self.desk.hurry();
        let ended = self.flush_blocking().and_then(|()| self.checkpoint());
        self.desk.close();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!(folder = %self.folder().display(), "a thread of a family has failed");
            }
        }
        if ended.is_ok()
            && let Some(tail) = self.state.lock().tail.take()
        {
            tail.remove();
        }
        ended
    }

    /// Gives the space of its data back, whoever still has one of its files open. Nothing of it can be read any more:
    /// for one that was closed, of whose datasets nobody has any. **Blocks.**
    ///
    /// # Errors
    /// A file can't be made shorter.
    pub fn discard(&self) -> Result<(), VolumeError> {
        self.files.discard()
    }

    /// A head or a snapshot as a volume. **Blocks.**
    ///
    /// # Errors
    /// There is no such dataset, or it has another size.
    pub fn volume(
        self: &Arc<Self>,
        id: Id,
        options: &MappedOptions,
    ) -> Result<Arc<Volume>, VolumeError> {
        let wrong = |what: String| VolumeError::Family {
            folder: self.folder().to_path_buf(),
            what,
        };
        let dataset = self.find(id)?;
        let info = self.info(dataset);
        let blocks = info.as_ref().map_or(0, |info| info.blocks);
        let block_size = BlockSize::try_from(options.block_size)?;
        let geometry = Geometry::new(block_size, options.size).map_err(|source| {
            let path = self.folder().to_path_buf();
            VolumeError::Size { path, source }
        })?;
        if options.size.div_ceil(BLOCK_BYTES as u64) != blocks {
            return Err(wrong(format!(
                "the volume is said to have {} bytes, and has {blocks} blocks of {BLOCK_BYTES} here",
                options.size
            )));
        }
        let is_snapshot = info.is_some_and(|info| info.is_snapshot);
        let read_only = options.read_only || is_snapshot;
        let file = self.files.first();
        let file = file.ok_or_else(|| wrong("it has no data file".to_owned()))?;
        let family = Arc::clone(self);
        let volume = Volume::of_family(Mapped { family, dataset }, file, geometry, read_only);
        if let Some(reason) = self.fenced() {
            volume.raise_fence(reason);
        }
        self.join(&volume);
        Ok(volume)
    }

    /// The dataset with this id.
    pub(super) fn find(&self, id: Id) -> Result<DatasetId, VolumeError> {
        let found = self.state.lock().maps.by_uuid(&id);
        found.ok_or_else(|| VolumeError::Family {
            folder: self.folder().to_path_buf(),
            what: format!("there is no dataset {}", hex(id)),
        })
    }
}

pub(super) fn hex(id: Id) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tail, unless there is no place for one.
fn open_tail(options: &FamilyOptions, files: &Files) -> Option<Tail> {
    let folder = options.tail_folder.as_ref()?;
    let superblock = files.superblock_path();
    match Tail::open(folder, options.id, superblock) {
        Ok(tail) => Some(tail),
        Err(error) => {
            no_tail(&options.folder, &error);
            None
        }
    }
}

fn reset(mut tail: Tail, folder: &Path) -> Option<Tail> {
    match tail.reset() {
        Ok(()) => Some(tail),
        Err(error) => {
            no_tail(folder, &error);
            None
        }
    }
}

fn no_tail(folder: &Path, error: &std::io::Error) {
    tracing::warn!(folder = %folder.display(), %error,
        "what hosts write to volumes with snapshots and don't flush is lost if the daemon is killed");
}

/// Why a family can't be recovered.
pub(super) enum Failed {
    Damage(Damage),
    Volume(VolumeError),
}

impl From<Damage> for Failed {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<VolumeError> for Failed {
    fn from(error: VolumeError) -> Self {
        Self::Volume(error)
    }
}

/// How a family was found.
pub(super) struct Found {
    /// It was closed.
    pub(super) clean: bool,
    /// Something of it was in its tail only.
    has_tail: bool,
}

/// The family as it was when it was last durable, or when its daemon was killed.
pub(super) fn recover(
    files: &Files,
    id: Id,
    tail: &[Vec<u8>],
) -> Result<(mapped::Family, Found), Failed> {
    let superblock = choose(&files.superblock()?)?;
    if superblock.family != id {
        return Err(Failed::Damage(Damage {
            what: "the superblock",
            why: "it is another family's".to_owned(),
        }));
    }
    let ring = superblock.journal_bytes;
    let mut opening = Opening::new(superblock)?;
    loop {
        match opening.wanted() {
            Wanted::Page(missing) => {
                let page = files.read_page(missing.address)?;
                opening.page(missing, &page)?;
            }
            Wanted::Slots(segment) => {
                let [first, second] = files.slots(segment)?;
                opening.slots(segment, &first, &second)?;
            }
            Wanted::Journal { at, bytes } => opening.journal(&files.ring(at, bytes, ring)?)?,
            Wanted::Ring => {
                let bytes = usize::try_from(ring).unwrap_or(usize::MAX);
                opening.ring(&files.ring(0, bytes, ring)?)?;
            }
            Wanted::Nothing => break,
        }
    }
    tail.iter().for_each(|half| opening.tail(half));
    let mut replay: Replay = opening.finish()?;
    let found = Found {
        clean: replay.is_clean(),
        has_tail: replay.has_tail(),
    };
    loop {
        match replay.step() {
            Ok(true) => {}
            Ok(false) => return Ok((replay.finish(), found)),
            Err(FamilyError::Missing(missing)) => {
                let page = files.read_page(missing.address)?;
                replay.supply(missing, &page)?;
            }
            Err(error) => {
                return Err(Failed::Damage(Damage {
                    what: "the journal",
                    why: error.to_string(),
                }));
            }
        }
    }
}

fn check_home(options: &FamilyOptions, files: &Files, bytes: u64) -> Result<(), VolumeError> {
    let wrong = |what: String| VolumeError::Family {
        folder: options.folder.clone(),
        what,
    };
    let Some(home) = files.home() else {
        if bytes == 0 {
            return Ok(());
        }
        return Err(wrong(format!(
            "{bytes} bytes of it are in the raw file that it began with, which wasn't named"
        )));
    };
    let size = home
        .size()
        .map_err(|error| VolumeError::from_block(error, 0))?;
    if size < bytes {
        return Err(wrong(format!(
            "{} has {size} bytes, and {bytes} of it belong to the snapshots: somebody has made it \
             shorter or put another file in its place; bring the right file back",
            home.path().display()
        )));
    }
    Ok(())
}
