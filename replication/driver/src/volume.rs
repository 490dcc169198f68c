//! An open volume: its file, size, fence, and the abandoned writes that must land before anything
//! new may start. Shared by all threads; everything here that doesn't say **Blocks** is a few
//! atomic operations.

mod allocation;
mod content;
mod control;
mod hold;
mod limit;
mod mirrored;
mod open;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tidelock_block::BlockFile;
use tidelock_volume::{BlockSize, Geometry, RawMap};

use crate::family::{Family, Id};
use crate::fence::{Fence, FenceReason};
use crate::journal::{self, Journal, JournalPlace};
use crate::op::VolumeFaultKind;
use crate::ranges::{RangeLocks, Ticket};
use crate::watch::Watches;
pub(crate) use content::{Content, Mapped};
pub use hold::{Committed, Held};

/// How a volume is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Regular file or block device.
    pub path: PathBuf,
    /// Bytes of a logical block: 512 or 4096.
    pub block_size: u32,
    /// Bypass the host's page cache (`O_DIRECT`).
    pub direct: bool,
    /// Never write.
    pub read_only: bool,
    /// Allocate what a later [`Volume::resize`] adds.
    pub preallocate: bool,
    /// Where to keep the record of an atomic write under way; without it there are none.
    pub journal: Option<JournalPlace>,
}

impl OpenOptions {
    /// Blocks of 512 bytes, through the page cache, for reading and writing.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            block_size: 512,
            direct: false,
            read_only: false,
            preallocate: false,
            journal: None,
        }
    }
}

/// How a volume is created.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// How it is opened from then on. The file must not exist yet.
    pub open: OpenOptions,
    /// Bytes.
    pub size: u64,
    /// Allocate all of it now; otherwise the file is sparse and grows as it is written.
    pub preallocate: bool,
}

/// Counters of a volume since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VolumeStatistics {
    /// `fdatasync` calls that were started. Less than the flushes that were asked for, where
    /// several could share one.
    pub data_syncs: u64,
}

/// An open volume. Closed, and its file unlocked, when the last reference goes.
#[derive(Debug)]
pub struct Volume {
    /// Its own file while it is raw; the family's first data file for what never was.
    file: Arc<BlockFile>,
    /// What a volume that began as a dataset of a family has become ([`Held::part`]): its file and journal are
    /// this one's from then on.
    own: OnceLock<Arc<Self>>,
    content: Content,
    mirrored: mirrored::Mirrored,
    read_only: bool,
    block_size: BlockSize,
    /// Bytes. Only grows.
    size: AtomicU64,
    preallocate: bool,
    fence: Fence,
    /// Writes that nobody waits for any more and that haven't landed.
    detached_writes: AtomicUsize,
    /// The file can't do this: found out by trying.
    cannot_punch: AtomicBool,
    cannot_zero: AtomicBool,
    data_syncs: AtomicU64,
    limit: limit::Limit,
    watches: Watches,
    /// One resize at a time.
    resizing: Mutex<()>,
    /// What keeps others away from operations that must be atomic.
    locks: RangeLocks,
    /// The same, below the mirror that it may be an end of.
    locks_below: RangeLocks,
    /// What makes atomic writes so over a crash.
    journal: Option<Journal>,
    /// The lock of an atomic write that failed half-way: its range may have a part of it, which
    /// nobody must see.
    unfinished: Mutex<Option<Ticket>>,
}

impl Volume {
    fn new(
        file: Arc<BlockFile>,
        geometry: Geometry,
        preallocate: bool,
        journal: Option<Journal>,
    ) -> Arc<Self> {
        Arc::new(Self {
            block_size: geometry.block_size(),
            size: AtomicU64::new(geometry.bytes()),
            preallocate,
            fence: Fence::default(),
            detached_writes: AtomicUsize::new(0),
            cannot_punch: AtomicBool::new(!file.can_punch()),
            cannot_zero: AtomicBool::new(false),
            data_syncs: AtomicU64::new(0),
            limit: limit::Limit::default(),
            watches: Watches::default(),
            resizing: Mutex::new(()),
            locks: RangeLocks::new(),
            locks_below: RangeLocks::new(),
            journal,
            unfinished: Mutex::new(None),
            content: Content::default(),
            mirrored: mirrored::Mirrored::default(),
            own: OnceLock::new(),
            read_only: file.is_read_only(),
            file,
        })
    }

    /// A dataset of a family.
    pub(crate) fn of_family(
        mapped: Mapped,
        file: Arc<BlockFile>,
        geometry: Geometry,
        read_only: bool,
    ) -> Arc<Self> {
        let mut volume = Self::new(file, geometry, false, None);
        if let Some(volume) = Arc::get_mut(&mut volume) {
            volume.content = Content::of(mapped);
            volume.read_only = read_only;
        }
        volume
    }

    /// Where its blocks are, if not simply in its file. Changes only while somebody has the whole of it
    /// for himself ([`Self::locks`]).
    pub(crate) fn mapped(&self) -> Option<Mapped> {
        self.content.mapped()
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// The family that it is in, and the id of its dataset there; `None` for a raw volume.
    #[must_use]
    pub fn family(&self) -> Option<(Arc<Family>, Id)> {
        let mapped = self.mapped()?;
        let id = mapped.family.info(mapped.dataset)?.uuid;
        Some((mapped.family, id))
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file().path()
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Bytes of a logical block.
    #[must_use]
    pub fn block_size(&self) -> BlockSize {
        self.block_size
    }

    /// Whether it bypasses the page cache.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.file().is_direct()
    }

    /// Whether it was opened for reading only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether unmapping gives space back; otherwise zeros are written.
    #[must_use]
    pub fn is_thin(&self) -> bool {
        self.content.is_mapped() || self.can_punch()
    }

    /// Whether it has all of its space already and is to keep it, so that no write ever finds none.
    pub(crate) fn keeps_space(&self) -> bool {
        let own = self
            .own
            .get()
            .map_or(self.preallocate, |own| own.preallocate);
        own && !self.content.is_mapped()
    }

    /// Why it is fenced, if it is.
    #[must_use]
    pub fn is_fenced(&self) -> Option<FenceReason> {
        self.fence.reason()
    }

    /// Writes that were given up ([`crate::Engine::detach`]) and haven't landed. While there are
    /// any, everything new is answered Busy.
    #[must_use]
    pub fn detached_writes(&self) -> usize {
        self.detached_writes.load(Ordering::SeqCst)
    }

    /// Counters.
    #[must_use]
    pub fn statistics(&self) -> VolumeStatistics {
        VolumeStatistics {
            data_syncs: self.data_syncs.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn file(&self) -> &Arc<BlockFile> {
        match self.own.get() {
            None => &self.file,
            Some(own) => &own.file,
        }
    }

    pub(crate) fn map(&self) -> Option<RawMap> {
        Geometry::new(self.block_size, self.size())
            .ok()
            .map(RawMap::new)
    }

    /// Most bytes of one [`crate::VolumeOp::WriteAtomic`]; 0 if there are none: a raw volume needs a
    /// journal for them.
    #[must_use]
    pub fn atomic_write_max(&self) -> u64 {
        if self.journal().is_some() || self.content.is_mapped() {
            journal::DATA_MAX as u64
        } else {
            0
        }
    }

    pub(crate) fn journal(&self) -> Option<&Journal> {
        match self.own.get() {
            None => self.journal.as_ref(),
            Some(own) => own.journal.as_ref(),
        }
    }

    /// An atomic write has failed half-way: its record isn't done with, and its range stays locked
    /// until the record is written out ([`Volume::unfence`], or the next opening).
    pub(crate) fn leave_unfinished(&self, ticket: Ticket) {
        *self.unfinished.lock() = Some(ticket);
    }

    pub(crate) fn locks(&self) -> &RangeLocks {
        &self.locks
    }

    pub(crate) fn locks_below(&self) -> &RangeLocks {
        &self.locks_below
    }

    pub(crate) fn watches(&self) -> &Watches {
        &self.watches
    }

    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Raises the fence and says so in the log: nothing is written until [`Volume::unfence`]. The
    /// engine does so after a failed flush; a caller that remembers a fence raises it again.
    pub fn raise_fence(&self, what: String) {
        // Nobody knows what of the image is still what it was.
        self.watches.change_everything();
        if self.fence.raise(what.clone()) {
            tracing::error!(
                file = %self.path().display(),
                reason = %what,
                "fenced: acknowledged writes may be lost; nothing is written until an operator \
                 takes the fence down"
            );
        }
    }

    /// Whether something new may start that changes (or flushes) the image, or only reads it.
    pub(crate) fn admits(&self, changes: bool, flushes: bool) -> Result<(), VolumeFaultKind> {
        if self.detached_writes() > 0 {
            return Err(VolumeFaultKind::Busy);
        }
        self.admits_below(changes, flushes)
    }

    /// The same, whatever writes that were given up haven't landed.
    pub(crate) fn admits_below(&self, changes: bool, flushes: bool) -> Result<(), VolumeFaultKind> {
        if (changes || flushes) && self.fence.is_up() {
            return Err(VolumeFaultKind::Fenced);
        }
        if changes && self.is_read_only() {
            return Err(VolumeFaultKind::ReadOnly);
        }
        Ok(())
    }

    pub(crate) fn write_detached(&self) {
        self.detached_writes.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn detached_write_landed(&self) {
        self.detached_writes.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn count_data_sync(&self) {
        self.data_syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn can_punch(&self) -> bool {
        !self.cannot_punch.load(Ordering::Relaxed)
    }

    pub(crate) fn can_zero(&self) -> bool {
        !self.cannot_zero.load(Ordering::Relaxed)
    }

    pub(crate) fn learn_no_punch(&self) {
        self.cannot_punch.store(true, Ordering::Relaxed);
    }

    pub(crate) fn learn_no_zero(&self) {
        self.cannot_zero.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
