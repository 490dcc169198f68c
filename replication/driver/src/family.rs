//! A family of volumes, snapshots and clones on files: [`tidelock_volume::mapped`] with its I/O.
//!
//! What is here is asked by the engines for every command of a mapped volume: where blocks are, places
//! for new ones, what has become of a range. All of it is memory under one lock that is held for
//! microseconds; nothing here waits for a disk. The lock is never held during I/O.
//!
//! Two threads of the family do what must be done in order: the scribe ([`scribe`]) writes the journal,
//! one batch after the other, and answers flushes; the keeper ([`keeper`]) makes checkpoints, deletes
//! and gives space back. Whoever needs either says so and is called back, or waits.

mod adopt;
mod control;
mod copy_out;
mod desk;
mod files;
mod fold;
mod inspect;
mod keeper;
mod open;
mod reading;
mod reserve;
mod room;
mod scribe;
mod settle;
mod stream;
mod tail;
mod together;
mod verify;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tidelock_block::BlockFile;
use tidelock_volume::mapped::{
    self, Address, BlockRange, DatasetId, FamilyError, Missing, Run, Stretches,
};

use crate::error::VolumeError;
use crate::fence::Fence;
use crate::volume::Volume;
use desk::Desk;
use files::Files;
pub(crate) use reading::Reading;
use room::Room;
pub(crate) use room::Told;
use tail::Tail;

pub use control::{DatasetInfo, FamilySpace};
pub use copy_out::{CopyOut, CopyOutOptions};
pub use inspect::{
    FileFinding, InspectOptions, InspectReport, file_size, has_data, inspect, is_family,
};
pub use open::{FamilyOptions, MappedOptions};
pub use stream::{Export, ExportOptions};
pub use tidelock_volume::mapped::Id;
pub use together::Restoring;
pub use verify::{Progress, VerifyReport};

/// Blocks that may wait for a flush of a host before they can be used again: 64 MiB.
const WAITING_MAX: u64 = 16_384;
/// Changes that may wait for a flush of a host; with more a checkpoint is made without being asked.
const CHANGES_MAX: usize = 100_000;
/// Changes that may wait for that checkpoint; with more, writes do.
const CHANGES_LIMIT: usize = 4 * CHANGES_MAX;

/// The volumes, snapshots and clones that share blocks, open. The last reference closes its files;
/// [`Family::close`] comes before, or the next opening has more to do.
#[derive(Debug)]
pub struct Family {
    id: Id,
    files: Files,
    state: Mutex<State>,
    desk: Arc<Desk>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Raised with those of its volumes when anything of it can't be made durable.
    fence: Fence,
    /// Counts the times that blocks of the home file were about to change under a reader.
    home_generation: AtomicU64,
    /// Held by whoever writes or frees blocks of the home file.
    home_work: Mutex<()>,
    /// A write has found no space since the last sweep.
    wants_space: AtomicBool,
    /// For changes of the maps that no checkpoint has written.
    room: Room,
    /// Segments that have free blocks whose space hasn't been given back.
    to_sweep: Mutex<Vec<u32>>,
    /// Nodes that may stay in memory, 4 KiB each.
    nodes_max: usize,
    volumes: Mutex<Vec<Weak<Volume>>>,
}

#[derive(Debug)]
struct State {
    maps: mapped::Family,
    /// Data files written since the last flush.
    dirty: BTreeSet<u32>,
    home_is_dirty: bool,
    /// A checkpoint was asked for, because of memory.
    asked: bool,
    /// A flush was asked for, because of space.
    flush_asked: bool,
    /// Snapshots that may still lose, with the power, what nobody has flushed ([`settle`]).
    unsettled: BTreeSet<DatasetId>,
    /// What survives the end of the process, if there is a place for it.
    tail: Option<Tail>,
    /// The changes of the tail's other file are in no batch, only in the checkpoint that is being made.
    tail_waits: bool,
}

impl State {
    /// What has been changed survives a kill from here on.
    fn write_tail(&mut self) {
        let Self { maps, tail, .. } = self;
        if let Some(tail) = tail {
            tail.write(|out| maps.take_tail(out));
        }
    }
}

/// Why a question about the maps has no answer, or a change wasn't made.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A page has to be read first ([`Family::place`]), supplied, and the same asked again.
    Missing(Missing),
    /// The family's limit is reached.
    NoSpace,
    /// Bytes on disk are wrong, or something is asked that can't be.
    Wrong(String),
}

impl From<FamilyError> for Trouble {
    fn from(error: FamilyError) -> Self {
        match error {
            FamilyError::Missing(missing) => Self::Missing(missing),
            FamilyError::Full(_) => Self::NoSpace,
            other => Self::Wrong(other.to_string()),
        }
    }
}

/// The home file when blocks were looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    /// If [`Family::home_generation`] is another one when the home file has been read, the range has to
    /// be looked up again.
    pub(crate) generation: u64,
    /// Bytes of it that belong to the family: what is at home behind them reads as zeros.
    pub(crate) bytes: u64,
}

/// What becomes of a range of blocks of a head.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// It is in these blocks, which have been written in full, with the CRC32C of each.
    Map {
        first: u64,
        address: Address,
        crcs: SmallVec<[u32; 8]>,
    },
    /// It reads as zeros.
    Zero(BlockRange),
}

impl Change {
    fn range(&self) -> (BlockRange, bool) {
        match self {
            Self::Map { first, crcs, .. } => (
                BlockRange {
                    first: *first,
                    count: crcs.len() as u64,
                },
                false,
            ),
            Self::Zero(range) => (*range, true),
        }
    }
}

/// Hears how a flush went, on a thread of the family: it must not wait for anything. The error is the
/// reason of the fence that is up.
pub(crate) type Flushed = Box<dyn FnOnce(Result<(), String>) + Send>;

impl Family {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.files.folder()
    }

    /// Where the blocks of a range of a dataset are, in place of what is in `stretches`: in order, without
    /// gaps.
    pub(crate) fn locate(
        &self,
        dataset: DatasetId,
        range: BlockRange,
        stretches: &mut Stretches,
    ) -> Result<Home, Trouble> {
        let state = self.state.lock();
        state.maps.lookup_into(dataset, range, stretches)?;
        Ok(Home {
            generation: self.home_generation(),
            bytes: state.maps.home_bytes(),
        })
    }

    /// The same, for those who may wait for pages. **Blocks.**
    pub(crate) fn locate_waiting(
        &self,
        dataset: DatasetId,
        range: BlockRange,
    ) -> Result<Stretches, VolumeError> {
        self.with_pages(|maps| maps.lookup(dataset, range))
    }

    /// See [`Home`].
    pub(crate) fn home_generation(&self) -> u64 {
        self.home_generation.load(Ordering::SeqCst)
    }

    /// The home file.
    pub(crate) fn home_file(&self) -> Option<&Arc<BlockFile>> {
        self.files.home()
    }

    /// The home file and its bytes that belong to the family: what is at home behind them reads as
    /// zeros.
    pub(crate) fn home(&self) -> Option<(&Arc<BlockFile>, u64)> {
        let bytes = self.state.lock().maps.home_bytes();
        self.files.home().map(|file| (file, bytes))
    }

    /// Where a block is: its file, and its first byte there. Blocks behind it in the same segment are
    /// behind it in the file.
    pub(crate) fn place(&self, address: Address) -> Result<(Arc<BlockFile>, u64), Trouble> {
        self.files
            .place(address)
            .map_err(|error| Trouble::Wrong(error.to_string()))
    }

    /// Takes a page that was [`Trouble::Missing`]. If that fails the page may have been freed, and its
    /// block be something else's by now: ask again. Only if the same page is missing once more is it
    /// damaged.
    pub(crate) fn supply(&self, missing: Missing, page: &[u8]) -> Result<(), Trouble> {
        let supplied = self.state.lock().maps.supply(missing, page);
        supplied.map_err(|damage| Trouble::Wrong(damage.to_string()))
    }

    /// Places for `count` new blocks, in a few runs. They go to [`Self::commit`] or
    /// [`Self::give_back`].
    pub(crate) fn allocate(&self, count: u32) -> Result<SmallVec<[Run; 2]>, Trouble> {
        let mut state = self.state.lock();
        let mut runs: SmallVec<[Run; 2]> = SmallVec::new();
        let mut left = count;
        while left > 0 {
            match state.maps.allocate(left) {
                Ok(run) => {
                    left = left.saturating_sub(run.count);
                    runs.push(run);
                }
                Err(error) => {
                    runs.into_iter().for_each(|run| state.maps.give_back(run));
                    return Err(error.into());
                }
            }
        }
        Ok(runs)
    }

    /// Blocks that were not used after all.
    pub(crate) fn give_back(&self, runs: &[Run]) {
        let mut state = self.state.lock();
        runs.iter().for_each(|run| state.maps.give_back(*run));
    }

    /// All of these changes, at one moment: a snapshot has all of them or none, and so has a reader,
    /// and so has a crash.
    pub(crate) fn commit(&self, head: DatasetId, changes: &[Change]) -> Result<(), Trouble> {
        let mut state = self.state.lock();
        let state = &mut *state;
        for change in changes {
            let (range, uniform) = change.range();
            state.maps.prepare(head, range, uniform)?;
        }
        for change in changes {
            match change {
                Change::Map {
                    first,
                    address,
                    crcs,
                } => {
                    state.maps.map(head, *first, *address, crcs)?;
                    state.dirty.insert(files::number(*address));
                }
                Change::Zero(range) => state.maps.zero(head, *range)?,
            }
        }
        state.write_tail();
        if !state.asked && self.is_much(state) {
            // Memory is bounded, flushes or not.
            state.asked = true;
            self.desk.ask_checkpoint();
        }
        if self.is_too_much(state) && self.fenced().is_none() && self.room.tighten() {
            self.desk.ask_checkpoint();
            if self.fenced().is_some() {
                // Nobody makes room any more, and whoever raised the fence may have been here before.
                self.room.loosen();
            }
        }
        if state.maps.waiting_for_flush() > WAITING_MAX {
            Self::ask_space(state, &self.desk);
        }
        Ok(())
    }

    /// Whether changes have to wait, as there is no memory for what they do to the maps.
    pub(crate) fn is_tight(&self) -> bool {
        self.room.is_tight()
    }

    /// Has somebody told when they needn't any more; false if they needn't now.
    pub(crate) fn when_roomy(&self, told: Told) -> bool {
        self.room.when_roomy(told)
    }

    /// Has everything flushed, so that what hosts have overwritten since the last time can be used again.
    fn ask_space(state: &mut State, desk: &Desk) {
        if !state.flush_asked && state.maps.waiting_for_flush() > 0 {
            state.flush_asked = true;
            desk.ask_flush(Box::new(|_| {}));
        }
    }

    /// A write has found no space: what waits for a flush, and what is free without having been given
    /// back, is to be had soon.
    pub(crate) fn want_space(&self) {
        Self::ask_space(&mut self.state.lock(), &self.desk);
        self.wants_space.store(true, Ordering::Relaxed);
        self.desk.ask_tidy();
    }

    fn is_checkpoint_due(&self) -> bool {
        let mut state = self.state.lock();
        state.asked = false;
        state.maps.is_checkpoint_due() || self.is_much(&state)
    }

    /// Whether so much is in memory only that it should be written.
    fn is_much(&self, state: &State) -> bool {
        state.maps.nodes_to_write() > self.nodes_max / 2
            || state.maps.unflushed_changes() > CHANGES_MAX
    }

    /// Whether more than may be is in memory only.
    fn is_too_much(&self, state: &State) -> bool {
        state.maps.nodes_unforgettable() > self.nodes_max
            || state.maps.unflushed_changes() > CHANGES_LIMIT
    }

    /// Makes everything durable that was committed before, then calls back.
    pub(crate) fn flush(&self, done: Flushed) {
        self.desk.ask_flush(done);
    }

    /// The same, waiting. **Blocks.**
    pub(crate) fn flush_blocking(&self) -> Result<(), VolumeError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.flush(Box::new(move |result| {
            // Nobody else has the receiver.
            let _ = sender.send(result);
        }));
        match receiver.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(self.failing(reason)),
            Err(_) => Err(self.failing("its threads have ended".to_owned())),
        }
    }

    fn failing(&self, reason: String) -> VolumeError {
        VolumeError::StillFailing {
            path: self.folder().to_path_buf(),
            reason,
        }
    }

    /// Something couldn't be made durable: nothing more is acknowledged.
    fn raise_fence(&self, what: &str) {
        if !self.fence.raise(what.to_owned()) {
            return;
        }
        self.desk.break_off();
        for volume in self.volumes.lock().iter().filter_map(Weak::upgrade) {
            volume.raise_fence(what.to_owned());
        }
        // They find the fence.
        self.room.loosen();
    }

    /// Why nothing is acknowledged any more, if so.
    pub(crate) fn fenced(&self) -> Option<String> {
        self.fence.reason().map(|reason| reason.what)
    }

    fn join(&self, volume: &Arc<Volume>) {
        let mut volumes = self.volumes.lock();
        volumes.retain(|known| known.strong_count() > 0);
        volumes.push(Arc::downgrade(volume));
    }

    /// Asks something of the maps that may need pages, and reads them. **Blocks.**
    fn with_pages<T>(
        &self,
        mut ask: impl FnMut(&mut mapped::Family) -> Result<T, FamilyError>,
    ) -> Result<T, VolumeError> {
        let mut bad = None;
        loop {
            let finished = self.desk.finished();
            let answer = ask(&mut self.state.lock().maps);
            match answer {
                Ok(answer) => return Ok(answer),
                Err(FamilyError::CheckpointUnderWay) if self.desk.wait_finished(finished) => {}
                Err(FamilyError::Missing(missing)) => {
                    let fetched = self.fetch(missing);
                    if bad.replace(missing) == Some(missing) {
                        fetched?;
                    }
                }
                Err(error) => return Err(self.wrong(&error)),
            }
        }
    }

    /// Reads a page and supplies it, and all that follow in its chain: whoever needs one needs all of them,
    /// and would have to begin anew with each. An error says as little as that of [`Self::supply`].
    /// **Blocks.**
    fn fetch(&self, missing: Missing) -> Result<(), VolumeError> {
        let mut next = Some(missing);
        while let Some(missing) = next {
            let page = self.files.read_page(missing.address)?;
            let supplied = self.state.lock().maps.supply(missing, &page);
            supplied.map_err(|damage| VolumeError::Family {
                folder: self.folder().to_path_buf(),
                what: damage.to_string(),
            })?;
            next = missing.following(&page);
        }
        Ok(())
    }

    fn wrong(&self, error: &FamilyError) -> VolumeError {
        VolumeError::Family {
            folder: self.folder().to_path_buf(),
            what: error.to_string(),
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.room.loosen();
        self.desk.close();
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
