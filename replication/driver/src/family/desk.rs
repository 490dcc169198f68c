//! Where the threads of a family find their work. Knows no files and no maps.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tidelock_volume::mapped::family::checkpoint::Checkpoint;

use super::Flushed;

/// Why nothing is done any more; no reason for a fence.
pub(super) const CLOSED: &str = "the family is being closed";

/// Work of both threads.
#[derive(Debug, Default)]
pub(super) struct Desk {
    papers: Mutex<Papers>,
    /// Something new for the scribe.
    for_scribe: Condvar,
    /// Something new for the keeper.
    for_keeper: Condvar,
    /// Something has been done that somebody waits for.
    done: Condvar,
}

#[derive(Default)]
struct Papers {
    /// Who wants to hear that everything up to now is durable.
    flushes: Vec<Flushed>,
    /// The same for events alone.
    events: Vec<Flushed>,
    /// A checkpoint is to be made.
    checkpoint: bool,
    /// One that was begun, for the keeper to finish.
    begun: Option<Checkpoint>,
    /// It isn't finished yet.
    busy: bool,
    /// Checkpoints that are finished.
    finished: u64,
    /// Something may be to be deleted, or given back.
    tidy: bool,
    /// Nothing will be finished any more: the family is fenced.
    broken: bool,
    closing: bool,
    /// Closing has begun: what can't be done now isn't waited for.
    hurry: bool,
}

impl std::fmt::Debug for Papers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Papers")
            .field("flushes", &self.flushes.len())
            .field("events", &self.events.len())
            .field("checkpoint", &self.checkpoint)
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}

/// What the scribe is to do.
#[derive(Default)]
pub(super) struct ForScribe {
    pub(super) flushes: Vec<Flushed>,
    pub(super) events: Vec<Flushed>,
    pub(super) checkpoint: bool,
    pub(super) closing: bool,
}

/// What the keeper is to do.
pub(super) enum ForKeeper {
    Finish(Box<Checkpoint>),
    Tidy,
    /// Nothing for a while.
    Idle,
    Close,
}

impl Desk {
    pub(super) fn ask_flush(&self, done: Flushed) {
        let mut papers = self.papers.lock();
        if papers.closing {
            drop(papers);
            return done(Err(CLOSED.to_owned()));
        }
        papers.flushes.push(done);
        drop(papers);
        self.for_scribe.notify_one();
    }

    pub(super) fn ask_events(&self, done: Flushed) {
        let mut papers = self.papers.lock();
        if papers.closing {
            drop(papers);
            return done(Err(CLOSED.to_owned()));
        }
        papers.events.push(done);
        drop(papers);
        self.for_scribe.notify_one();
    }

    pub(super) fn ask_checkpoint(&self) {
        self.papers.lock().checkpoint = true;
        self.for_scribe.notify_one();
    }

    pub(super) fn ask_tidy(&self) {
        self.papers.lock().tidy = true;
        self.for_keeper.notify_one();
    }

    /// Checkpoints that are finished so far.
    pub(super) fn finished(&self) -> u64 {
        self.papers.lock().finished
    }

    /// The family is fenced: nobody waits for anything any more.
    pub(super) fn break_off(&self) {
        self.papers.lock().broken = true;
        self.done.notify_all();
    }

    /// Waits until more checkpoints are finished than that; false if that will not be.
    pub(super) fn wait_finished(&self, than: u64) -> bool {
        let mut papers = self.papers.lock();
        while papers.finished <= than && !papers.closing && !papers.broken {
            self.done.wait(&mut papers);
        }
        papers.finished > than
    }

    pub(super) fn close(&self) {
        self.papers.lock().closing = true;
        self.for_scribe.notify_all();
        self.for_keeper.notify_all();
        self.done.notify_all();
    }

    pub(super) fn is_closing(&self) -> bool {
        let papers = self.papers.lock();
        papers.closing || papers.hurry
    }

    /// From now on nothing is tried again that fails.
    pub(super) fn hurry(&self) {
        self.papers.lock().hurry = true;
        self.for_keeper.notify_all();
    }

    /// The scribe's next work; waits for it.
    pub(super) fn next_for_scribe(&self) -> ForScribe {
        let mut papers = self.papers.lock();
        loop {
            let busy = papers.busy;
            let work = ForScribe {
                flushes: std::mem::take(&mut papers.flushes),
                events: std::mem::take(&mut papers.events),
                checkpoint: papers.checkpoint && !busy,
                closing: papers.closing,
            };
            if work.checkpoint {
                papers.checkpoint = false;
            }
            let any = !work.flushes.is_empty() || !work.events.is_empty();
            if any || work.checkpoint || work.closing {
                return work;
            }
            self.for_scribe.wait(&mut papers);
        }
    }

    /// A checkpoint was begun: the rest of it is the keeper's.
    pub(super) fn hand_over(&self, checkpoint: Checkpoint) {
        let mut papers = self.papers.lock();
        papers.begun = Some(checkpoint);
        papers.busy = true;
        drop(papers);
        self.for_keeper.notify_one();
    }

    /// The keeper's next work; waits for it, but not longer than that if it has something to do when there
    /// is nothing else.
    pub(super) fn next_for_keeper(&self, patience: Option<Duration>) -> ForKeeper {
        let mut papers = self.papers.lock();
        loop {
            if let Some(checkpoint) = papers.begun.take() {
                return ForKeeper::Finish(Box::new(checkpoint));
            }
            if papers.closing {
                return ForKeeper::Close;
            }
            if std::mem::take(&mut papers.tidy) {
                return ForKeeper::Tidy;
            }
            let Some(patience) = patience else {
                self.for_keeper.wait(&mut papers);
                continue;
            };
            if self.for_keeper.wait_for(&mut papers, patience).timed_out() {
                return ForKeeper::Idle;
            }
        }
    }

    /// A checkpoint is finished.
    pub(super) fn has_finished(&self) {
        let mut papers = self.papers.lock();
        papers.finished += 1;
        papers.busy = false;
        drop(papers);
        self.done.notify_all();
        self.for_scribe.notify_one();
    }

    /// Whether a checkpoint waits for the keeper.
    pub(super) fn has_begun(&self) -> bool {
        self.papers.lock().begun.is_some()
    }

    /// Waits a moment, or until there is a reason not to: so that the keeper leaves the disk to hosts.
    pub(super) fn rest(&self, time: Duration) {
        let mut papers = self.papers.lock();
        if !papers.closing && !papers.hurry && papers.begun.is_none() {
            self.for_keeper.wait_for(&mut papers, time);
        }
    }
}
