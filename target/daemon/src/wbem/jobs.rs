//! Jobs that only WBEM clients have: copies of mirrors that they wait for, and requests that were refused, whose reason a
//! return code can't say. Bounded; what has ended is forgotten after a while. Makes no changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tidelock_capabilities::facts::AssociationKey;
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
    /// Jobs that have to be done for this one.
    parts: Vec<u64>,
    ended: Option<Instant>,
}

/// What is to be said of a copy.
enum Seen {
    Going(JobState, String),
    Ended(JobState, String),
}

impl Jobs {
    /// All of them, with how far copies are; `others` are the daemon's own.
    pub(super) fn list(&self, registry: &Registry, others: &[ConcreteJob]) -> Vec<ConcreteJob> {
        let mut book = self.book.lock();
        book.forget();
        book.put_together(others);
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

    /// One that is done when these are.
    pub(super) fn all_of(&self, description: &str, jobs: &[u64]) -> u64 {
        let mut book = self.book.lock();
        book.add(Entry {
            parts: jobs.to_vec(),
            ..Entry::new(description.to_owned(), JobState::Running)
        })
    }

    /// Whether there is one of this number.
    pub(super) fn has(&self, id: u64) -> bool {
        let book = self.book.lock();
        book.all.iter().any(|entry| entry.job.id == id)
    }

    /// Notes that something was refused.
    pub(super) fn refused(&self, method: &str, reason: String) -> u64 {
        let mut book = self.book.lock();
        let mut entry = Entry::new(method.to_owned(), JobState::Exception);
        entry.job.detail = reason;
        entry.ended = Some(Instant::now());
        book.add(entry)
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
        let mut entry = Entry::new(description, JobState::Running);
        entry.job.element = Some(key.synced_element);
        entry.wait = Some((key, wanted));
        let id = book.add(entry);
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

impl Entry {
    fn new(description: String, state: JobState) -> Self {
        Self {
            job: ConcreteJob {
                id: 0,
                description,
                state,
                percent: None,
                started: time_text(unix_ms(SystemTime::now())),
                detail: String::new(),
                element: None,
            },
            wait: None,
            parts: Vec::new(),
            ended: None,
        }
    }

    /// Remembers what has become of its parts.
    fn put_together(&mut self, parts: &[Option<ConcreteJob>]) {
        let states = || parts.iter().map(|it| it.as_ref().map(|it| it.state));
        let is_over = |state: Option<JobState>| {
            !matches!(
                state,
                Some(JobState::Running | JobState::Suspended | JobState::ShuttingDown)
            )
        };
        let percents = parts.iter().flatten().map(|it| match it.state {
            JobState::Completed => 100,
            _ => u64::from(it.percent.unwrap_or(0)),
        });
        let percent = percents.sum::<u64>() / (parts.len().max(1) as u64);
        self.job.percent = u8::try_from(percent).ok();
        if !states().all(is_over) {
            return;
        }
        let failed = states().position(|it| it != Some(JobState::Completed));
        self.ended = Some(Instant::now());
        self.job.state = JobState::Completed;
        if let Some(at) = failed {
            self.job.state = JobState::Exception;
            self.job.detail = match parts.get(at).and_then(Option::as_ref) {
                Some(part) => format!("{}: {}", part.description, part.detail),
                None => format!("what became of part {at} isn't known any more"),
            };
        }
    }
}

impl Book {
    fn add(&mut self, entry: Entry) -> u64 {
        self.forget();
        if self.all.len() >= JOBS_MAX {
            // The oldest that has ended, or else the oldest: its copy goes on all the same.
            let oldest = self.all.iter().position(|entry| entry.ended.is_some());
            self.all.remove(oldest.unwrap_or(0));
        }
        let id = FIRST + self.made;
        self.made += 1;
        let mut entry = entry;
        entry.job.id = id;
        self.all.push_back(entry);
        id
    }

    /// What has become of those that are made of others.
    fn put_together(&mut self, others: &[ConcreteJob]) {
        let goes_on = |entry: &Entry| entry.ended.is_none() && !entry.parts.is_empty();
        let open = self.all.iter().enumerate().filter(|(_, it)| goes_on(it));
        let open: Vec<(usize, Vec<u64>)> = open.map(|(at, it)| (at, it.parts.clone())).collect();
        for (at, parts) in open {
            let found = |id: u64| {
                let own = self.all.iter().map(|entry| &entry.job);
                own.chain(others).find(|job| job.id == id).cloned()
            };
            let parts: Vec<_> = parts.into_iter().map(found).collect();
            if let Some(entry) = self.all.get_mut(at) {
                entry.put_together(&parts);
            }
        }
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
    let is_changing = relation.association.is_copying() || relation.association.is_restoring();
    if state == wanted && !is_changing {
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
