//! The engine for hosts that refuse io_uring: blocking calls on threads of its own.
//!
//! Threads are started as they are needed, up to a limit, and end when they have been idle for a
//! while. No file may have more than a share of them, so that one that hangs (a dead NFS server, a
//! frozen file system) doesn't take the others with it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::lane::Lane;
use super::{BlockIo, Completion, Full, Request, Waker, blocking};

/// Threads of one engine at most.
const THREADS_MAX: usize = 64;
/// Threads of one engine that may be busy with the same file.
const THREADS_PER_FILE: usize = 8;
/// An idle thread ends after this.
const IDLE: Duration = Duration::from_secs(10);
/// How long dropping the engine waits for operations under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread-pool engine of one reactor.
#[derive(Debug)]
pub struct ThreadsIo {
    pool: Arc<Pool>,
    depth: usize,
    in_flight: usize,
    /// Pushed, not yet handed over.
    queued: Vec<Request>,
    handed_over: u64,
    /// Taken from the pool, not yet handed out.
    ready: VecDeque<Completion>,
    /// Its lane of every file.
    lane: usize,
    /// Its own; `None` for what works for an engine that has one.
    own_lane: Option<Lane>,
}

#[derive(Debug)]
struct Pool {
    work: Mutex<Work>,
    /// There is work for an idle thread.
    more: Condvar,
    /// An operation has ended; for the one who waits for all of them.
    ended: Condvar,
    done: Mutex<Vec<Completion>>,
    notifier: Waker,
}

#[derive(Debug, Default)]
struct Work {
    jobs: VecDeque<Job>,
    /// Operations running now, by file.
    running: HashMap<usize, usize>,
    threads: usize,
    idle: usize,
    /// Somebody waits for all operations to end.
    draining: bool,
    /// Idle threads shall end.
    closing: bool,
}

#[derive(Debug)]
struct Job {
    request: Request,
    lane: usize,
}

impl Job {
    fn file(&self) -> usize {
        Arc::as_ptr(&self.request.file).addr()
    }
}

impl ThreadsIo {
    /// An engine that holds at most `depth` operations.
    ///
    /// # Errors
    /// The host has no descriptor left for the notifier.
    pub fn new(depth: u32) -> io::Result<Self> {
        let depth = usize::try_from(depth.max(1)).unwrap_or(usize::MAX);
        let lane = Lane::take();
        let mut engine = Self::for_engine(depth, lane.index(), Waker::new()?);
        engine.own_lane = Some(lane);
        Ok(engine)
    }

    /// For what another engine can't do: on its lane, and waking it.
    pub(super) fn for_engine(depth: usize, lane: usize, notifier: Waker) -> Self {
        let pool = Arc::new(Pool {
            work: Mutex::default(),
            more: Condvar::new(),
            ended: Condvar::new(),
            done: Mutex::default(),
            notifier,
        });
        Self {
            pool,
            depth,
            in_flight: 0,
            queued: Vec::new(),
            ready: VecDeque::new(),
            handed_over: 0,
            lane,
            own_lane: None,
        }
    }
}

impl BlockIo for ThreadsIo {
    fn push(&mut self, request: Request) -> Result<(), Full> {
        if self.in_flight >= self.depth {
            return Err(Full(request));
        }
        self.in_flight += 1;
        self.queued.push(request);
        Ok(())
    }

    fn submit(&mut self) {
        if self.queued.is_empty() {
            return;
        }
        self.handed_over += 1;
        let lane = self.lane;
        let mut work = self.pool.work.lock();
        work.jobs
            .extend(self.queued.drain(..).map(|request| Job { request, lane }));
        self.pool.call_another(&mut work);
    }

    fn next_completion(&mut self) -> Option<Completion> {
        if self.ready.is_empty() {
            let mut done = self.pool.done.lock();
            if done.is_empty() {
                return None;
            }
            self.ready.extend(done.drain(..));
        }
        let completion = self.ready.pop_front()?;
        self.in_flight -= 1;
        Some(completion)
    }

    fn needs_submit(&self) -> bool {
        !self.queued.is_empty()
    }

    fn handed_over(&self) -> u64 {
        self.handed_over
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn waker(&self) -> Waker {
        self.pool.notifier.clone()
    }
}

impl AsFd for ThreadsIo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pool.notifier.as_fd()
    }
}

impl Drop for ThreadsIo {
    fn drop(&mut self) {
        self.submit();
        let deadline = Instant::now() + PATIENCE;
        let mut work = self.pool.work.lock();
        work.draining = true;
        while !(work.jobs.is_empty() && work.running.is_empty()) {
            if self.pool.ended.wait_until(&mut work, deadline).timed_out() {
                // Threads own what they work on, so nothing dangles; they end when they can.
                tracing::error!(
                    queued = work.jobs.len(),
                    "file operations are stuck: the engine ends without them"
                );
                break;
            }
        }
        work.jobs.clear();
        work.closing = true;
        // Threads may live on for a while; the memory of what nobody will ask for goes back now.
        self.pool.done.lock().clear();
        self.pool.more.notify_all();
    }
}

impl Pool {
    /// Sees to it that one more thread comes, if there is work for it. Each thread that takes a job
    /// does the same: as many come as the work is slow, and page-cache hits wake few.
    fn call_another(self: &Arc<Self>, work: &mut Work) {
        if !work.has_next() {
            return;
        }
        if work.idle > 0 {
            self.more.notify_one();
        } else if work.threads < THREADS_MAX {
            work.threads += 1;
            self.start_thread(work);
        }
    }

    fn start_thread(self: &Arc<Self>, work: &mut Work) {
        let pool = Arc::clone(self);
        let started = thread::Builder::new()
            .name("block-io".into())
            .spawn(move || pool.run());
        let Err(error) = started else { return };
        work.threads -= 1;
        if work.threads == 0 {
            // Nobody will ever come for these: say so now.
            for Job { request, .. } in std::mem::take(&mut work.jobs) {
                let error = request.error(0, io::Error::from(error.kind()));
                self.finish(request.finish(Err(error)));
            }
        }
    }

    fn run(self: Arc<Self>) {
        let mut work = self.work.lock();
        loop {
            if let Some(job) = work.next() {
                let file = job.file();
                self.call_another(&mut work);
                drop(work);
                let completion = blocking::run(job.request, job.lane);
                self.finish(completion);
                work = self.work.lock();
                work.ended(file);
                if work.draining {
                    self.ended.notify_all();
                }
            } else if work.closing {
                break;
            } else {
                work.idle += 1;
                let timed_out = self.more.wait_for(&mut work, IDLE).timed_out();
                work.idle -= 1;
                if timed_out && !work.has_next() {
                    break;
                }
            }
        }
        work.threads -= 1;
    }

    fn finish(&self, completion: Completion) {
        let mut done = self.done.lock();
        done.push(completion);
        if done.len() == 1 {
            self.notifier.wake();
        }
    }
}

impl Work {
    /// Index of the oldest job whose file has a thread to spare.
    fn next_index(&self) -> Option<usize> {
        let running = &self.running;
        let spare = |job: &Job| {
            running
                .get(&job.file())
                .is_none_or(|n| *n < THREADS_PER_FILE)
        };
        self.jobs.iter().position(spare)
    }

    fn has_next(&self) -> bool {
        self.next_index().is_some()
    }

    fn next(&mut self) -> Option<Job> {
        let job = self.jobs.remove(self.next_index()?)?;
        *self.running.entry(job.file()).or_default() += 1;
        Some(job)
    }

    fn ended(&mut self, file: usize) {
        if let Some(count) = self.running.get_mut(&file) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(&file);
            }
        }
    }
}
