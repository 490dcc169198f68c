//! The thread that finishes checkpoints, carries deletions out and gives space back. Hosts come first:
//! it works in small steps and rests between them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tidelock_block::{BlockError, OpName};
use tidelock_volume::mapped::family::Deletion;
use tidelock_volume::mapped::family::checkpoint::Checkpoint;
use tidelock_volume::mapped::{Address, BLOCK_BYTES, FamilyError};

use super::desk::{Desk, ForKeeper};
use super::{Family, room};
use crate::error::VolumeError;

/// How long one step may hold the maps.
const STEP: Duration = Duration::from_micros(200);
/// How much longer it rests than it works.
const REST_PART: u32 = 4;
/// Hosts that write nothing for so long leave the disk to the keeper.
const IDLE: Duration = Duration::from_secs(1);
/// Free blocks next to each other whose space is given back at once: 128 KiB. Fewer are likely to be used
/// again soon, and each hole costs more than the write that made it.
const RUN_MIN: usize = 32;
/// How long to wait before the disk is tried again that was full.
const FULL: Duration = Duration::from_secs(1);

/// What a thread of a family does.
type Body = fn(&Desk, &Weak<Family>);

/// The keeper's whole life.
pub(super) fn run(desk: &Desk, family: &Weak<Family>) {
    // Free blocks whose space hasn't been given back, and changes of the maps at the last look.
    let (mut patience, mut changes) = (None, 0);
    loop {
        let work = desk.next_for_keeper(patience);
        let Some(family) = family.upgrade() else {
            return;
        };
        let is_idle = matches!(work, ForKeeper::Idle);
        match work {
            ForKeeper::Finish(checkpoint) => {
                if finish(&family, *checkpoint) {
                    give_back(&family);
                    let mut state = family.state.lock();
                    state.maps.shrink(family.nodes_max);
                    if state.maps.deletion().is_some() {
                        family.desk.ask_tidy();
                    }
                }
            }
            ForKeeper::Tidy => {
                // Deletions first: there is always something to sweep while hosts write.
                tidy(&family);
                if family.wants_space.swap(false, Ordering::Relaxed) {
                    sweep(&family);
                }
            }
            ForKeeper::Idle => {
                let now = family.state.lock().maps.changes();
                if now == changes {
                    sweep(&family);
                }
                changes = now;
            }
            ForKeeper::Close => return,
        }
        if !is_idle {
            changes = family.state.lock().maps.changes();
        }
        patience = (!family.to_sweep.lock().is_empty()).then_some(IDLE);
    }
}

/// Writes what is left of a checkpoint, again and again while the disk is full. False if the family is
/// fenced or closed before it is done.
fn finish(family: &Family, checkpoint: Checkpoint) -> bool {
    let mut told = false;
    loop {
        match write(family, &checkpoint) {
            Ok(()) => break,
            Err(VolumeError::NoSpace { .. }) if family.files.use_reserve() => {}
            Err(VolumeError::NoSpace { path, .. }) => {
                if !told {
                    tracing::error!(file = %path.display(),
                        "no space for the metadata of snapshots: flushes wait until there is some");
                    told = true;
                }
                if family.desk.is_closing() {
                    family.desk.break_off();
                    family.room.loosen();
                    return false;
                }
                family.desk.rest(FULL);
            }
            Err(error) => {
                family.raise_fence(&error.to_string());
                family.desk.has_finished();
                return false;
            }
        }
    }
    let (is_much, waiting) = {
        let mut state = family.state.lock();
        let state = &mut *state;
        state.maps.checkpointed(checkpoint.sequence);
        if std::mem::take(&mut state.tail_waits)
            && let Some(tail) = &mut state.tail
        {
            tail.empty_other();
        }
        let waiting = match family.is_too_much(state) {
            true => Vec::new(),
            false => family.room.open(),
        };
        (family.is_much(state), waiting)
    };
    if is_much {
        // Whoever would ask for it may be waiting.
        family.desk.ask_checkpoint();
    }
    family.desk.has_finished();
    room::tell(waiting);
    family.files.fill_reserve();
    true
}

fn write(family: &Family, checkpoint: &Checkpoint) -> Result<(), VolumeError> {
    // A write that fails can be made again. What a sync has lost nobody knows.
    let refuse = |error: BlockError| match error.context().op {
        OpName::DataSync => family.failing(error.to_string()),
        _ => VolumeError::from_block(error, BLOCK_BYTES as u64),
    };
    let files = &family.files;
    let numbers = files.write_pages(&checkpoint.pages)?;
    files.sync_data(numbers, false).map_err(refuse)?;
    files.write_slots(&checkpoint.slots).map_err(refuse)?;
    let (at, slot) = &checkpoint.superblock;
    files.write_superblock(*at, slot.clone()).map_err(refuse)
}

/// Deletes a little, rests, and so on.
fn tidy(family: &Family) {
    while !family.desk.is_closing() && family.fenced().is_none() {
        let begun = Instant::now();
        match delete_some(family, begun) {
            Ok(Some(true)) => family.desk.ask_checkpoint(),
            Ok(Some(false)) => {}
            Ok(None) => return,
            // It is this thread that finishes it, and then comes back to this.
            Err(FamilyError::CheckpointUnderWay) => return,
            Err(error) => {
                tracing::error!(folder = %family.folder().display(), %error,
                    "a deletion can't go on; its space stays in use");
                return;
            }
        }
        family.desk.rest(begun.elapsed() * REST_PART);
        if family.desk.has_begun() {
            return family.desk.ask_tidy();
        }
    }
}

/// Some steps of a deletion; whether a dataset has gone by it, `None` if there is nothing to delete.
fn delete_some(family: &Family, begun: Instant) -> Result<Option<bool>, FamilyError> {
    let mut bad = None;
    loop {
        let step = {
            let mut state = family.state.lock();
            let Some(id) = state.maps.deletion() else {
                return Ok(None);
            };
            loop {
                match state.maps.delete_step(id) {
                    Ok(Deletion::Going { .. }) if begun.elapsed() < STEP => {}
                    other => break other,
                }
            }
        };
        match step {
            Ok(Deletion::Done) => return Ok(Some(true)),
            Ok(Deletion::Going { .. }) => return Ok(Some(false)),
            Err(FamilyError::Missing(missing)) => {
                let fetched = family.fetch(missing);
                if bad.replace(missing) == Some(missing)
                    && let Err(error) = fetched
                {
                    tracing::error!(%error, "a page that a deletion needs can't be read");
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Gives the space of free blocks back to the file system.
pub(super) fn give_back(family: &Family) {
    let released = family.state.lock().maps.take_released();
    empty(family, &released, RUN_MIN);
    // A fold must not write there in between.
    let _home = family.home_work.lock();
    let freed = family.state.lock().maps.take_home_freed();
    if !freed.is_empty() {
        family.punch_home(&freed);
    }
}

/// Gives back the space of all free blocks in the segments that were noted.
fn sweep(family: &Family) {
    loop {
        let begun = Instant::now();
        let Some(segment) = family.to_sweep.lock().pop() else {
            return;
        };
        let free = family.state.lock().maps.take_free(segment);
        empty(family, &free, 1);
        family.desk.rest(begun.elapsed() * REST_PART);
        if family.desk.is_closing() || family.desk.has_begun() {
            return family.desk.ask_tidy();
        }
    }
}

/// Gives the space of runs of so many blocks back; shorter ones are noted for later.
fn empty(family: &Family, free: &[Address], least: usize) {
    let behind =
        |one: &Address, next: &Address| one.plus(1) == *next && one.segment() == next.segment();
    let mut later = Vec::new();
    for run in free.chunk_by(behind) {
        let Some(first) = run.first() else {
            continue;
        };
        if run.len() < least {
            later.push(first.segment());
        } else if let Err(error) = family.files.punch(*first, run.len() as u64) {
            tracing::debug!(%error, "space can't be given back");
            break;
        }
    }
    family.state.lock().maps.emptied(free);
    later.dedup();
    let mut to_sweep = family.to_sweep.lock();
    later.retain(|segment| !to_sweep.contains(segment));
    to_sweep.extend(later);
}

impl Family {
    /// Starts both threads.
    pub(super) fn start(self: &Arc<Self>) -> Result<(), VolumeError> {
        let refuse = |error: std::io::Error| VolumeError::Family {
            folder: self.folder().to_path_buf(),
            what: format!("its threads can't be started: {error}"),
        };
        let bodies: [(&str, Body); 2] = [
            ("family-scribe", super::scribe::run),
            ("family-keeper", run),
        ];
        for (name, body) in bodies {
            let (desk, family) = (Arc::clone(&self.desk), Arc::downgrade(self));
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .stack_size(512 << 10)
                .spawn(move || body(&desk, &family))
                .map_err(refuse)?;
            self.threads.lock().push(thread);
        }
        Ok(())
    }
}
