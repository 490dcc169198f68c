//! What ends of mirrors want done while this engine asks them for something: their peers' writes, if these are at home in
//! this process and wait for nothing but their file. They are operations like any others, below the mirror, that tell an
//! end of their outcome.
//!
//! How many there are at a time is bounded: a file that hangs must not take all places in the kernel.

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

use super::Engine;
use super::command::{Asker, are_aligned};
use crate::mirror::{Answers, Job, during};
use crate::op::{VolumeFault, VolumeFaultKind, VolumeOp, VolumeOutcome};
use crate::volume::Volume;

/// Jobs at a time. The rest is for whoever else does such.
const MOST: usize = 128;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Nearby {
    jobs: Slab<Job>,
    /// Ended, and their end isn't told yet.
    ended: VecDeque<(usize, VolumeOutcome)>,
    /// What ends want done, for a moment.
    wanted: Vec<Job>,
}

impl Nearby {
    /// How many have ended whose end isn't told yet.
    pub(super) fn ended(&self) -> usize {
        self.ended.len()
    }
}

impl Engine {
    /// Whether an operation waits for nothing but its file as the volume is now.
    pub(crate) fn begins_at_once(volume: &Volume, op: &VolumeOp) -> bool {
        let VolumeOp::Write { data, .. } = op else {
            return false;
        };
        let is_copied = volume.is_direct() && !are_aligned(data, volume.file().alignment());
        !is_copied && !volume.content().is_mapped()
    }

    /// Asks an end for something, and begins what it wants done here.
    pub(super) fn asking<T>(&mut self, ask: impl FnOnce(&Arc<Answers>) -> T) -> T {
        let room = MOST.saturating_sub(self.nearby.jobs.len());
        let wanted = std::mem::take(&mut self.nearby.wanted);
        let (answered, mut wanted) =
            during(Some(&self.answers), room, wanted, || ask(&self.answers));
        for job in wanted.drain(..) {
            self.begin_job(job);
        }
        self.nearby.wanted = wanted;
        answered
    }

    fn begin_job(&mut self, job: Job) {
        let (volume, op) = (Arc::clone(&job.volume), job.op.clone());
        let asker = Asker::End(self.nearby.jobs.insert(job));
        match volume.admits_below(true, false) {
            Ok(()) => self.start_as(asker, &volume, op, true),
            Err(kind) => self.ended(asker, kind.into()),
        }
    }

    /// An operation has ended.
    pub(super) fn ended(&mut self, asker: Asker, outcome: VolumeOutcome) {
        match asker {
            Asker::Owner(token) => self.done.push_back((token, outcome)),
            Asker::End(job) => self.nearby.ended.push_back((job, outcome)),
        }
    }

    /// Tells an end how a job of it has gone; false if none has ended.
    pub(super) fn tell_end(&mut self) -> bool {
        let Some((key, outcome)) = self.nearby.ended.pop_front() else {
            return false;
        };
        let Some(job) = self.nearby.jobs.try_remove(key) else {
            return true;
        };
        match outcome {
            // Whoever else does it tries again.
            VolumeOutcome::Failed(VolumeFault {
                kind: VolumeFaultKind::Busy,
                ..
            }) => job.pass_on(),
            outcome => self.asking(|_| job.ended(outcome)),
        }
        true
    }
}
