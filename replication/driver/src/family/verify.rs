//! Looking for damage: whether every block has one owner, and whether blocks are what they were when
//! they were written. **Blocks**, for as long as it takes.

use std::ops::ControlFlow;

use tidelock_volume::mapped::{BLOCK_BYTES, BlockRange, DatasetId, Id, Place};

use super::Family;
use crate::error::VolumeError;

/// Blocks that are looked at between two looks at the progress: 4 MiB.
const STEP_BLOCKS: u64 = 1024;
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
    /// Whether every block in use has exactly one owner. Hosts go on, but wait while it looks.
    ///
    /// # Errors
    /// A page can't be read.
    pub fn verify(&self) -> Result<VerifyReport, VolumeError> {
        let found = self.with_pages(|maps| maps.check())?;
        let mut report = VerifyReport {
            checked_bytes: found.owned * BLOCK_BYTES as u64,
            ..VerifyReport::default()
        };
        for finding in found.findings {
            report.find(finding.to_string());
        }
        Ok(report)
    }

    /// Reads the blocks of a head or a snapshot that have a checksum, and compares. Stops when
    /// `progress` says so.
    ///
    /// # Errors
    /// There is no such dataset, or its map can't be read.
    pub fn scrub(
        &self,
        id: Id,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<VerifyReport, VolumeError> {
        let dataset = self.find(id)?;
        let blocks = self.info(dataset).map_or(0, |info| info.blocks);
        let mut report = VerifyReport::default();
        let mut first = 0;
        while first < blocks {
            let count = STEP_BLOCKS.min(blocks - first);
            self.scrub_range(dataset, BlockRange { first, count }, &mut report)?;
            first += count;
            let told = Progress {
                done: first * BLOCK_BYTES as u64,
                total: blocks * BLOCK_BYTES as u64,
            };
            if progress(told).is_break() {
                report.stopped = first < blocks;
                break;
            }
        }
        Ok(report)
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
