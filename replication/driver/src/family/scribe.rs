//! The thread that writes the journal: batches in the order in which they were taken, after the data
//! that they are about. It answers flushes, and whoever waits for an event to be durable.

use std::sync::{Arc, Weak};

use tidelock_block::BlockError;
use tidelock_volume::mapped::FamilyError;
use tidelock_volume::mapped::family::flush::JournalWrite;

use super::desk::{CLOSED, Desk, ForScribe};
use super::{Family, Flushed};

/// The scribe's whole life.
pub(super) fn run(desk: &Desk, family: &Weak<Family>) {
    loop {
        let work = desk.next_for_scribe();
        let Some(family) = family.upgrade() else {
            return;
        };
        let closing = work.closing;
        serve(&family, work);
        if closing {
            return;
        }
    }
}

fn serve(family: &Arc<Family>, work: ForScribe) {
    let ForScribe {
        flushes,
        events,
        checkpoint,
        ..
    } = work;
    if !events.is_empty() {
        answer(family, events, write_events(family));
    }
    if !flushes.is_empty() {
        answer(family, flushes, flush(family));
    }
    if checkpoint {
        begin_checkpoint(family);
    }
    if family.is_checkpoint_due() {
        begin_checkpoint(family);
    }
}

/// Whatever went wrong, nobody is told that anything is durable after it.
fn answer(family: &Family, waiting: Vec<Flushed>, result: Result<(), String>) {
    if let Err(what) = &result
        && what != CLOSED
    {
        family.raise_fence(what);
    }
    let result = result.and_then(|()| family.fenced().map_or(Ok(()), Err));
    for done in waiting {
        done(result.clone());
    }
}

/// Everything that has happened to the maps so far becomes durable, and its data before it.
fn flush(family: &Arc<Family>) -> Result<(), String> {
    loop {
        if let Some(reason) = family.fenced() {
            return Err(reason);
        }
        let finished = family.desk.finished();
        let taken = {
            let mut state = family.state.lock();
            state.flush_asked = false;
            let taken = state.maps.take_flush();
            taken.map(|write| {
                let dirty = std::mem::take(&mut state.dirty);
                let home = std::mem::take(&mut state.home_is_dirty);
                if let (Some(tail), Some(_)) = (&mut state.tail, &write) {
                    tail.switch();
                }
                (write, dirty, home, state.unsettled.clone())
            })
        };
        match taken {
            Ok((write, dirty, home, settled)) => {
                let synced = family.files.sync_data(dirty, home);
                synced.map_err(|error| error.to_string())?;
                write.map_or(Ok(()), |write| put(family, &write))?;
                if !settled.is_empty() {
                    let unsettled = &mut family.state.lock().unsettled;
                    unsettled.retain(|snapshot| !settled.contains(snapshot));
                }
                return Ok(());
            }
            Err(error) => wait_for_room(family, &error, finished)?,
        }
    }
}

/// Events become durable; no data has to be.
fn write_events(family: &Arc<Family>) -> Result<(), String> {
    loop {
        if let Some(reason) = family.fenced() {
            return Err(reason);
        }
        let finished = family.desk.finished();
        let taken = family.state.lock().maps.take_events();
        match taken {
            Ok(write) => return write.map_or(Ok(()), |write| put(family, &write)),
            Err(error) => wait_for_room(family, &error, finished)?,
        }
    }
}

/// Waits for the checkpoint that makes room in the journal.
fn wait_for_room(family: &Arc<Family>, error: &FamilyError, finished: u64) -> Result<(), String> {
    match error {
        FamilyError::CheckpointNeeded => {
            begin_checkpoint(family);
        }
        FamilyError::CheckpointUnderWay => {}
        other => return Err(other.to_string()),
    }
    let is_finished = family.desk.wait_finished(finished);
    match family.fenced() {
        Some(reason) => Err(reason),
        None if is_finished => Ok(()),
        None => Err(CLOSED.to_owned()),
    }
}

fn put(family: &Family, write: &JournalWrite) -> Result<(), String> {
    let text = |error: BlockError| error.to_string();
    for (at, bytes) in &write.pieces {
        family
            .files
            .write_journal(*at, bytes.clone())
            .map_err(text)?;
    }
    family.files.sync_journal().map_err(text)?;
    if let Some(flush) = write.flush {
        let mut state = family.state.lock();
        state.maps.flushed(flush);
        if let Some(tail) = &mut state.tail {
            tail.empty_other();
        }
    }
    Ok(())
}

/// Begins a checkpoint: its own batch is written here, in its turn; the keeper does the rest.
fn begin_checkpoint(family: &Arc<Family>) {
    if family.fenced().is_some() {
        return;
    }
    let (checkpoint, dirty, home) = {
        let mut state = family.state.lock();
        let has_changes = state.maps.unflushed_changes() > 0;
        let checkpoint = match state.maps.begin_checkpoint() {
            Ok(checkpoint) => checkpoint,
            // The one that is being finished does as well.
            Err(FamilyError::CheckpointUnderWay) => return,
            Err(error) => {
                drop(state);
                return family.raise_fence(&error.to_string());
            }
        };
        let dirty = std::mem::take(&mut state.dirty);
        let home = std::mem::take(&mut state.home_is_dirty);
        let in_batch = checkpoint.journal.is_some();
        state.tail_waits = has_changes && !in_batch;
        if let Some(tail) = state.tail.as_mut().filter(|_| has_changes || in_batch) {
            tail.switch();
        }
        (checkpoint, dirty, home)
    };
    let synced = family.files.sync_data(dirty, home);
    let written =
        synced
            .map_err(|error| error.to_string())
            .and_then(|()| match &checkpoint.journal {
                Some(write) => put(family, write),
                None => Ok(()),
            });
    match written {
        Ok(()) => family.desk.hand_over(checkpoint),
        Err(what) => family.raise_fence(&what),
    }
}
