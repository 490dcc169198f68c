//! What an end wants done while an I/O engine of this thread has its turn: a write of a peer that is at home in the same
//! process is begun by that engine, and what is said to its commands wakes nobody. So a write of a host stays on its thread
//! as far as both volumes are there. Knows no ends.

use std::cell::RefCell;
use std::sync::Arc;

use super::answers::Answers;
use super::performer::{Performer, Then};
use crate::engine::Engine;
use crate::op::{VolumeFaultKind, VolumeOp, VolumeOutcome};
use crate::volume::Volume;

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

struct Here {
    /// Where the engine's commands hear from ends; only its place counts.
    answers: *const Answers,
    /// How many jobs more it takes.
    room: usize,
    jobs: Vec<Job>,
}

/// An operation below the mirror that its volume is an end of.
pub(crate) struct Job {
    pub(crate) volume: Arc<Volume>,
    pub(crate) op: VolumeOp,
    /// `None` once it was told how it has gone.
    then: Option<Then>,
    /// Whose it is if it can't be done at once.
    hands: Arc<dyn Performer>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("op", &self.op)
            .finish_non_exhaustive()
    }
}

impl Job {
    /// It has ended.
    pub(crate) fn ended(mut self, outcome: VolumeOutcome) {
        if let Some(then) = self.then.take() {
            then(outcome);
        }
    }

    /// Somebody else does it.
    pub(crate) fn pass_on(mut self) {
        if let Some(then) = self.then.take() {
            self.hands.perform(&self.volume, self.op.clone(), then);
        }
    }
}

impl Drop for Job {
    /// Nobody knows what becomes of it once its engine is gone.
    fn drop(&mut self) {
        if let Some(then) = self.then.take() {
            then(VolumeFaultKind::Hardware.into());
        }
    }
}

/// Takes the thread's place away again, also when whoever was called has a defect.
struct Turn(Option<Here>);

impl Drop for Turn {
    fn drop(&mut self) {
        let before = self.0.take();
        drop(HERE.replace(before));
    }
}

/// Calls something while an engine has its turn that takes so many jobs, and hears what ends say without being woken.
/// What it is to begin comes back in `jobs`, which is empty.
pub(crate) fn during<T>(
    answers: Option<&Arc<Answers>>,
    room: usize,
    jobs: Vec<Job>,
    call: impl FnOnce() -> T,
) -> (T, Vec<Job>) {
    let here = Here {
        answers: answers.map_or(std::ptr::null(), Arc::as_ptr),
        room,
        jobs,
    };
    let turn = Turn(HERE.replace(Some(here)));
    let called = call();
    let jobs = HERE.with_borrow_mut(|here| here.as_mut().map(|it| std::mem::take(&mut it.jobs)));
    drop(turn);
    (called, jobs.unwrap_or_default())
}

/// Whether an I/O engine has its turn on this thread, which holds no lock then: what an end says to one at home in the
/// same process may be brought there at once.
#[must_use]
pub fn is_on_an_engine() -> bool {
    HERE.with_borrow(Option::is_some)
}

/// Whether it is the turn of the engine whose commands hear by these.
pub(super) fn hears(answers: &Answers) -> bool {
    HERE.with_borrow(|here| {
        here.as_ref()
            .is_some_and(|it| std::ptr::eq(it.answers, answers))
    })
}

/// Gives a job to the engine that has its turn; it comes back if there is none, or it has enough of them.
fn offer(job: Job) -> Option<Job> {
    HERE.with_borrow_mut(|here| match here {
        Some(here) if here.room > 0 => {
            here.room -= 1;
            here.jobs.push(job);
            None
        }
        _ => Some(job),
    })
}

/// Has the engine that has its turn do what never waits for anything but its file, and others do the rest. What may wait
/// for memory, or for room in maps, isn't done where commands have these that wait for it.
pub struct Nearby(Arc<dyn Performer>);

impl std::fmt::Debug for Nearby {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Nearby").finish_non_exhaustive()
    }
}

impl Nearby {
    /// `hands` do the rest.
    #[must_use]
    pub fn new(hands: Arc<dyn Performer>) -> Self {
        Self(hands)
    }
}

impl Performer for Nearby {
    fn perform(
        &self,
        volume: &Arc<Volume>,
        op: VolumeOp,
        then: Box<dyn FnOnce(VolumeOutcome) + Send>,
    ) {
        if !Engine::begins_at_once(volume, &op) {
            return self.0.perform(volume, op, then);
        }
        let job = Job {
            volume: Arc::clone(volume),
            op,
            then: Some(then),
            hands: Arc::clone(&self.0),
        };
        if let Some(job) = offer(job) {
            job.pass_on();
        }
    }
}
