//! Reading, comparing, and writing if nothing differs. The range lock around it is the engine's.

use tidelock_block::OpKind;
use tidelock_volume::Range;

use super::Step;
use super::medium::Medium;
use super::scan::Scan;
use super::write::Write;
use crate::op::VolumeOutcome;

#[derive(Debug)]
pub(in crate::engine) struct CompareAndWrite {
    range: Range,
    /// Until everything has been compared. It takes its buffer with it when it goes, so that the
    /// write doesn't wait for memory with memory in hand.
    scan: Option<Scan>,
    write: Write,
}

impl CompareAndWrite {
    /// `scan` compares as many bytes as `write` writes, in the same place.
    pub(super) fn new(scan: Scan, write: Write) -> Self {
        Self {
            range: scan.range(),
            scan: Some(scan),
            write,
        }
    }

    pub(super) fn range(&self) -> Range {
        self.range
    }

    pub(super) fn step(&mut self, medium: Medium<'_>) -> Step {
        if let Some(scan) = &mut self.scan {
            match scan.step(medium) {
                // Nothing differs.
                Step::Finished(VolumeOutcome::Done) => self.scan = None,
                step => return step,
            }
        }
        self.write.step(medium)
    }

    pub(super) fn completed(&mut self, op: OpKind) -> Option<VolumeOutcome> {
        match &mut self.scan {
            Some(scan) => scan.completed(op),
            None => self.write.completed(),
        }
    }
}
