//! Jobs that only WBEM clients have: copies of mirrors that they wait for, and requests that were refused, whose reason a
//! return code can't say. Bounded; what has ended is forgotten after a while. Makes no changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tidelock_capabilities::facts::{AssociationKey, ElementId};
use tidelock_capabilities::values::CopyState;
use tidelock_catalog::schedule::time_text;
use tidelock_wbem::model::{ConcreteJob, JobState};
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;

use crate::events::unix_ms;
use crate::registry::{MirrorRelation, Registry};

/// The first number. The daemon's own jobs have small ones.
const FIRST: u64 = 1 << 32;
/// How many are told of.
const JOBS_MAX: usize = 256;
/// How long one that has ended is told of: what TimeBeforeRemoval says.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How often a mirror is looked at though nothing is heard of it.
const LOOK: Duration = Duration::from_secs(1);

/// The jobs.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs {
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    made: u64,
    all: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    job: ConcreteJob,
    /// What is waited for.
    wait: Option<(AssociationKey, CopyState)>,
    ended: Option<Instant>,
}

/// What is to be said of a copy.
enum Seen {
    Going(JobState, String),
    Ended(JobState, String),
}

impl Jobs {
    /// All of them, with how far copies are.
    pub(super) fn list(&self, registry: &Registry) -> Vec<ConcreteJob> {
        let mut book = self.book.lock();
        book.forget();
        let all = book.all.iter();
        all.map(|entry| {
            let going = entry.wait.filter(|_| entry.ended.is_none());
            let relation = going.and_then(|(key, _)| registry.mirror_relation(key));
            ConcreteJob {
                percent: relation.map_or(entry.job.percent, |it| it.percent_synced),
                ..entry.job.clone()
            }
        })
        .collect()
    }

    /// Whether there is one of this number.
    pub(super) fn has(&self, id: u64) -> bool {
        let book = self.book.lock();
        book.all.iter().any(|entry| entry.job.id == id)
    }

    /// Notes that something was refused.
    pub(super) fn refused(&self, method: &str, reason: String) -> u64 {
        let mut book = self.book.lock();
        book.add(method.to_owned(), JobState::Exception, reason, None, None)
    }

    /// Follows a mirror until it is in a state. There is one job for the same wait.
    pub(super) fn wait(
        &self,
        relation: &MirrorRelation,
        wanted: CopyState,
        description: String,
        registry: &Arc<Registry>,
        runtime: &Handle,
    ) -> u64 {
        let key = relation.association.key;
        let mut book = self.book.lock();
        let same = |entry: &&Entry| entry.ended.is_none() && entry.wait == Some((key, wanted));
        if let Some(found) = book.all.iter().find(same) {
            return found.job.id;
        }
        let target = Some(key.synced_element);
        let id = book.add(
            description,
            JobState::Running,
            String::new(),
            target,
            Some((key, wanted)),
        );
        drop(book);
        let (jobs, registry) = (self.clone(), Arc::clone(registry));
        runtime.spawn(async move { jobs.follow(id, key, wanted, &registry).await });
        id
    }

    async fn follow(&self, id: u64, key: AssociationKey, wanted: CopyState, registry: &Registry) {
        let mut changes = registry.watch_mirrors();
        loop {
            let seen = look(registry.mirror_relation(key).as_ref(), wanted);
            let has_ended = matches!(seen, Seen::Ended(..));
            if !self.note(id, seen) || has_ended {
                return;
            }
            let heard = tokio::time::timeout(LOOK, changes.recv()).await;
            if matches!(heard, Ok(Err(RecvError::Closed))) {
                return;
            }
        }
    }

    /// Remembers what was seen; false if nobody is told of the job any more.
    fn note(&self, id: u64, seen: Seen) -> bool {
        let mut book = self.book.lock();
        let Some(entry) = book.all.iter_mut().find(|entry| entry.job.id == id) else {
            return false;
        };
        let (Seen::Going(state, detail) | Seen::Ended(state, detail)) = &seen;
        entry.job.state = *state;
        entry.job.detail.clone_from(detail);
        if matches!(seen, Seen::Ended(..)) {
            entry.ended = Some(Instant::now());
        }
        true
    }
}

impl Book {
    fn add(
        &mut self,
        description: String,
        state: JobState,
        detail: String,
        element: Option<ElementId>,
        wait: Option<(AssociationKey, CopyState)>,
    ) -> u64 {
        self.forget();
        if self.all.len() >= JOBS_MAX {
            // The oldest that has ended, or else the oldest: its copy goes on all the same.
            let oldest = self.all.iter().position(|entry| entry.ended.is_some());
            self.all.remove(oldest.unwrap_or(0));
        }
        let id = FIRST + self.made;
        self.made += 1;
        self.all.push_back(Entry {
            job: ConcreteJob {
                id,
                description,
                state,
                percent: None,
                started: time_text(unix_ms(SystemTime::now())),
                detail,
                element,
            },
            ended: wait.is_none().then(Instant::now),
            wait,
        });
        id
    }

    fn forget(&mut self) {
        let is_told = |entry: &Entry| entry.ended.is_none_or(|at| at.elapsed() < REMEMBERED);
        self.all.retain(is_told);
    }
}

/// What becomes of a wait.
fn look(relation: Option<&MirrorRelation>, wanted: CopyState) -> Seen {
    let Some(relation) = relation else {
        let reason = "the mirror was detached, or its roles were reversed";
        return Seen::Ended(JobState::Exception, reason.to_owned());
    };
    let state = relation.association.copy_state;
    if state == wanted && !relation.association.is_copying() {
        return Seen::Ended(JobState::Completed, String::new());
    }
    match state {
        // It goes on by itself.
        CopyState::Broken | CopyState::Partitioned | CopyState::Invalid => {
            Seen::Going(JobState::Suspended, relation.detail.clone())
        }
        CopyState::Suspended
        | CopyState::Fractured
        | CopyState::Split
        | CopyState::Failedover
        | CopyState::Inactive
            if !relation.association.is_copying() && wanted == CopyState::Synchronized =>
        {
            let reason = format!("the mirror isn't copied any more: its CopyState is {state}");
            Seen::Ended(JobState::Exception, reason)
        }
        _ => Seen::Going(JobState::Running, relation.detail.clone()),
    }
}

#[cfg(test)]
mod tests;
