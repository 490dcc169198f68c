//! Looking for damage while hosts go on: whether every block has one owner, and whether blocks are what
//! they were when they were written. **Blocks**, for as long as it takes.
//!
//! So that what is looked at stays as it is, a verification makes a snapshot of each head, of which nobody
//! else knows, and deletions wait until it has ended. The maps are held for one node at a time.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_volume::mapped::check::{Check, Finding};
use tidelock_volume::mapped::{
    BLOCK_BYTES, BlockRange, DatasetId, FamilyError, Id, Missing, Place,
};

use super::Family;
use super::files::{self, Files};
use crate::error::VolumeError;

/// How long a verification works before it leaves the disk to hosts for as long.
const WORK: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 5 });

/// Blocks that are looked at between two looks at the progress: 1 MiB.
const STEP_BLOCKS: u64 = 256;
/// Damaged places that are named; more are counted.
const NAMED_MAX: usize = 100;

/// How far a long operation is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Bytes that were read and compared with their checksum.
    pub checked_bytes: u64,
    /// What is wrong, in words; the first hundred.
    pub findings: Vec<String>,
    /// How many things are wrong.
    pub damaged: u64,
    /// It was stopped before its end.
    pub stopped: bool,
    /// The longest time for which hosts couldn't look into the maps.
    pub longest_hold: Duration,
}

impl VerifyReport {
    fn find(&mut self, what: String) {
        self.damaged += 1;
        if self.findings.len() < NAMED_MAX {
            self.findings.push(what);
        }
    }
}

impl Family {
    /// Whether every block in use has exactly one owner, and every page of the maps can be read. Hosts go
    /// on, and so do snapshots; what is deleted meanwhile is given back afterwards. Stops when `progress`
    /// says so, or when a host finds no space.
    ///
    /// # Errors
    /// The family is fenced, or is being closed.
    pub fn verify(
        self: &Arc<Self>,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<VerifyReport, VolumeError> {
        let mut pinned = self.pin()?;
        let mut report = VerifyReport::default();
        // With it every page of what was pinned is on disk, and its checksum known.
        let walked = self.checkpoint().and_then(|()| {
            let mut begun = Instant::now();
            loop {
                if !self.verify_some(&mut pinned.check, &mut report)? {
                    return Ok(());
                }
                if begun.elapsed() < WORK {
                    continue;
                }
                std::thread::sleep(begun.elapsed());
                let (done, total) = pinned.check.progress();
                let told = Progress {
                    done: done * BLOCK_BYTES as u64,
                    total: total * BLOCK_BYTES as u64,
                };
                if progress(told).is_break() || self.is_short_of_space() {
                    report.stopped = true;
                    return Ok(());
                }
                begun = Instant::now();
            }
        });
        walked?;
        let found = pinned.check.report();
        report.findings = found.findings.iter().map(in_words).collect();
        report.damaged = found.damaged;
        report.checked_bytes = found.owned * BLOCK_BYTES as u64;
        Ok(report)
    }

    /// One piece of a verification; false if it was the last.
    fn verify_some(
        &self,
        check: &mut Check,
        report: &mut VerifyReport,
    ) -> Result<bool, VolumeError> {
        let step = {
            let state = self.state.lock();
            let begun = Instant::now();
            let step = state.maps.check_step(check);
            report.longest_hold = report.longest_hold.max(begun.elapsed());
            step
        };
        match step {
            Ok(more) => Ok(more),
            Err(missing) => {
                supply(check, &self.files, missing)?;
                Ok(true)
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn nodes_unforgettable(&self) -> usize {
        self.state.lock().maps.nodes_unforgettable()
    }

    /// The same in one go, while nobody uses it and without writing anything.
    #[cfg(test)]
    pub(crate) fn verify_now(&self) -> VerifyReport {
        let mut state = loop {
            let finished = self.desk.finished();
            let state = self.state.lock();
            if !state.maps.is_checkpointing() {
                break state;
            }
            drop(state);
            self.desk.wait_finished(finished);
        };
        let mut check = state.maps.begin_check().unwrap();
        loop {
            match state.maps.check_step(&mut check) {
                Ok(true) => {}
                Ok(false) => break,
                Err(missing) => supply(&mut check, &self.files, missing).unwrap(),
            }
        }
        state.maps.end_check(&check);
        drop(state);
        self.desk.ask_tidy();
        VerifyReport {
            findings: check.report().findings.iter().map(in_words).collect(),
            damaged: check.report().damaged,
            ..VerifyReport::default()
        }
    }

    fn pin(self: &Arc<Self>) -> Result<Pinned, VolumeError> {
        loop {
            let finished = self.desk.finished();
            let begun = self.state.lock().maps.begin_check_in_use(pin_id);
            match begun {
                Ok(check) => {
                    let family = Arc::clone(self);
                    return Ok(Pinned { family, check });
                }
                Err(FamilyError::CheckpointUnderWay) if self.desk.wait_finished(finished) => {}
                Err(error) => return Err(self.wrong(&error)),
            }
        }
    }

    fn is_short_of_space(&self) -> bool {
        self.wants_space.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Reads the blocks of a head or a snapshot that have a checksum, from the byte `from` on, and compares.
    /// What it finds is added to `report`, which `progress` is shown as well. Stops when that says so.
    ///
    /// # Errors
    /// There is no such dataset, or its map can't be read.
    pub fn scrub(
        &self,
        id: Id,
        from: u64,
        report: &mut VerifyReport,
        progress: &mut dyn FnMut(Progress, &VerifyReport) -> ControlFlow<()>,
    ) -> Result<(), VolumeError> {
        let dataset = self.find(id)?;
        let blocks = self.info(dataset).map_or(0, |info| info.blocks);
        let mut first = from / BLOCK_BYTES as u64;
        while first < blocks {
            let count = STEP_BLOCKS.min(blocks - first);
            self.scrub_range(dataset, BlockRange { first, count }, report)?;
            first += count;
            let told = Progress {
                done: first * BLOCK_BYTES as u64,
                total: blocks * BLOCK_BYTES as u64,
            };
            if progress(told, report).is_break() {
                report.stopped = first < blocks;
                break;
            }
        }
        Ok(())
    }

    fn scrub_range(
        &self,
        dataset: DatasetId,
        range: BlockRange,
        report: &mut VerifyReport,
    ) -> Result<(), VolumeError> {
        let found = self.with_pages(|maps| maps.lookup(dataset, range))?;
        for stretch in found {
            let Place::Block { address, crc } = stretch.entry.place else {
                continue;
            };
            report.checked_bytes += BLOCK_BYTES as u64;
            let Err(error) = self.checked(address, crc) else {
                continue;
            };
            // A host may have overwritten it since, and the block be another's by now.
            let only = BlockRange {
                first: stretch.first,
                count: 1,
            };
            let now = self.with_pages(|maps| maps.lookup(dataset, only))?;
            if now.as_slice() == [stretch] {
                let at = stretch.first * BLOCK_BYTES as u64;
                report.find(format!("byte {at}: {error}"));
            }
        }
        Ok(())
    }
}

/// The id of a snapshot that only a verification knows; numbers of datasets are never used again.
fn pin_id(number: u32) -> Id {
    let mut id = *b"tidelock-pin0000";
    let number = number.to_le_bytes();
    if let Some(place) = id.last_chunk_mut() {
        *place = number;
    }
    id
}

/// A check with what is kept as it is for it; that goes with it.
struct Pinned {
    family: Arc<Family>,
    check: Check,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.family.state.lock().maps.end_check(&self.check);
        let desk = &self.family.desk;
        // Nobody has been told of them: the next batch is early enough, and the next start, too.
        desk.ask_events(Box::new(|_| {}));
        desk.ask_tidy();
    }
}

/// Reads a page that a check wants.
///
/// # Errors
/// There is no memory to read into: that says nothing about the page.
pub(super) fn supply(
    check: &mut Check,
    files: &Files,
    missing: Missing,
) -> Result<(), VolumeError> {
    match files.read_page(missing.address) {
        Ok(page) => check.supply(Ok(&page)),
        Err(VolumeError::File(error)) if error.io_error().kind() == ErrorKind::OutOfMemory => {
            return Err(VolumeError::File(error));
        }
        Err(error) => check.supply(Err(error.to_string())),
    }
    Ok(())
}

/// A finding, with the file and the bytes that it is about.
pub(super) fn in_words(finding: &Finding) -> String {
    match finding.address() {
        Some(address) => {
            let (file, byte) = files::named(address);
            format!("{file}, byte {byte}: {finding}")
        }
        None => finding.to_string(),
    }
}
