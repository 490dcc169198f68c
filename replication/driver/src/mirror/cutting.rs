//! When the next cut for an asynchronous peer is due, and how far that is behind: the schedule of the core with the
//! clocks of the house. Knows nothing of what is in a cut.

use std::time::{Duration, Instant, SystemTime};

use tidelock_mirror::association::Report;
use tidelock_mirror::epochs::{Lag, RpoState, Schedule, Settings};
use tidelock_mirror::generation::Verdict;
use tidelock_mirror::id::{GenerationId, NodeId};

/// The longest and the shortest time from one look at the schedule to the next.
const LOOK_MAX_MS: u64 = 250;
const LOOK_MIN_MS: u64 = 5;

/// How far an asynchronous peer is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Bytes that hosts have written since the cut that it has, and for how long it hasn't had everything.
    pub lag: Lag,
    /// When the cut was taken that it has; `None`: it has got none since the end was opened.
    pub cut_at: Option<SystemTime>,
    /// Whether the RPO is kept.
    pub rpo: RpoState,
}

/// What a look at the schedule has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Look again after this time.
    pub again: Duration,
    /// Whether the RPO is kept, if that has changed since the last look.
    pub rpo: Option<RpoState>,
}

/// Which cuts an asynchronous peer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cuts {
    /// The one that it is being sent. Of one that was abandoned it is said until there is another one.
    pub sent: Option<GenerationId>,
    /// The one that it has; `None`: it has got none since the end was opened.
    pub held: Option<GenerationId>,
}

/// Nobody knows what was written before: the peer is behind since this moment.
fn behind_since(settings: Settings, now_ms: u64) -> Schedule {
    let mut schedule = Schedule::new(settings, now_ms);
    schedule.taken(now_ms);
    schedule.confirmed();
    schedule.written(0, now_ms);
    schedule
}

/// See the module.
#[derive(Debug)]
pub(super) struct Cutting {
    pub(super) peer: NodeId,
    settings: Settings,
    schedule: Schedule,
    began: Instant,
    /// The cut that is being sent, and the one that the peer has.
    sent: Option<(GenerationId, SystemTime)>,
    held: Option<(GenerationId, SystemTime)>,
    rpo: RpoState,
    /// How many want that none is made but what is asked for.
    stopped: u32,
}

impl Cutting {
    /// For a peer that has had a cut, whenever that was, or that has nothing yet.
    pub(super) fn new(peer: NodeId, settings: Settings, had_one: bool) -> Self {
        let schedule = match had_one {
            true => behind_since(settings, 0),
            false => Schedule::new(settings, 0),
        };
        Self {
            peer,
            settings,
            schedule,
            began: Instant::now(),
            sent: None,
            held: None,
            rpo: RpoState::Kept,
            stopped: 0,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Another RPO from now on.
    pub(super) const fn set(&mut self, settings: Settings) {
        self.settings = settings;
        self.schedule.set(settings);
    }

    /// One more wants that cuts are made only when they are asked for, or one doesn't any more.
    pub(super) const fn stop(&mut self, stopped: bool) {
        self.stopped = match stopped {
            true => self.stopped.saturating_add(1),
            false => self.stopped.saturating_sub(1),
        };
    }

    pub(super) fn cuts(&self) -> Cuts {
        Cuts {
            sent: self.sent.map(|(generation, _)| generation),
            held: self.held.map(|(generation, _)| generation),
        }
    }

    /// A write of a host has begun.
    pub(super) fn written(&mut self, bytes: u64) {
        let now_ms = self.now_ms();
        self.schedule.written(bytes, now_ms);
    }

    /// The content is about to be frozen: every write that has begun is in it, and none begins before it is.
    pub(super) fn freezes(&mut self, generation: GenerationId) {
        let now_ms = self.now_ms();
        self.schedule.taken(now_ms);
        self.sent = Some((generation, SystemTime::now()));
    }

    /// The core says something.
    pub(super) fn hears(&mut self, report: &Report) {
        match report {
            Report::Met(peer, Verdict::Send { .. }) if *peer == self.peer => {
                // It may lack something though nothing has been written here since. If it doesn't, another cut says so to
                // both ends.
                self.written(0);
                self.schedule.met();
            }
            Report::Lost(peer) if *peer == self.peer => self.schedule.lost(),
            Report::Resigned => self.schedule.lost(),
            Report::Serving => {
                // What it was sent while this end was the source once counts for nothing.
                self.schedule = behind_since(self.settings, self.now_ms());
                (self.sent, self.held) = (None, None);
            }
            Report::CutConfirmed(peer) if *peer == self.peer => {
                self.schedule.confirmed();
                self.held = self.sent.take().or(self.held);
            }
            _ => {}
        }
    }

    /// Whether a cut is due, and when to look again.
    pub(super) fn look(&mut self) -> (bool, Look) {
        let now_ms = self.now_ms();
        let changed = self.schedule.alarm(now_ms);
        self.rpo = changed.unwrap_or(self.rpo);
        let due_ms = self.schedule.due_ms();
        let is_due = due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        let idle_ms = (self.settings.rpo_ms / 4).min(LOOK_MAX_MS);
        let again_ms = due_ms.map_or(idle_ms, |due_ms| due_ms.saturating_sub(now_ms));
        let again_ms = again_ms.min(idle_ms).max(LOOK_MIN_MS);
        let look = Look {
            again: Duration::from_millis(again_ms),
            rpo: changed,
        };
        (is_due && self.stopped == 0, look)
    }

    pub(super) fn behind(&self) -> Behind {
        Behind {
            lag: self.schedule.lag(self.now_ms()),
            cut_at: self.held.map(|(_, at)| at),
            rpo: self.rpo,
        }
    }
}
