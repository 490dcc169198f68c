//! The engine for hosts that refuse io_uring: blocking calls on threads of its own.
//!
//! Threads are started as they are needed, up to a limit, and end when they have been idle for a
//! while. No file may have more than a share of them, so that one that hangs (a dead NFS server, a
//! frozen file system) doesn't take the others with it.

mod blocking;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::lane::Lane;
use super::{BlockIo, Completion, Full, Request, Waker};

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
    lane: Lane,
}

#[derive(Debug)]
struct Pool {
    work: Mutex<Work>,
    more: Condvar,
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
        let pool = Arc::new(Pool {
            work: Mutex::default(),
            more: Condvar::new(),
            done: Mutex::default(),
            notifier: Waker::new()?,
        });
        let depth = usize::try_from(depth.max(1)).unwrap_or(usize::MAX);
        let (queued, ready) = (Vec::new(), VecDeque::new());
        Ok(Self {
            pool,
            depth,
            in_flight: 0,
            queued,
            ready,
            handed_over: 0,
            lane: Lane::take(),
        })
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
        let lane = self.lane.index();
        let mut work = self.pool.work.lock();
        let new = self.queued.len();
        work.jobs
            .extend(self.queued.drain(..).map(|request| Job { request, lane }));
        let wanted = new
            .saturating_sub(work.idle)
            .min(THREADS_MAX.saturating_sub(work.threads));
        work.threads += wanted;
        let awake = new.min(work.idle);
        drop(work);
        for _ in 0..awake {
            self.pool.more.notify_one();
        }
        for _ in 0..wanted {
            self.pool.start_thread();
        }
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
        while !(work.jobs.is_empty() && work.running.is_empty()) {
            if self.pool.more.wait_until(&mut work, deadline).timed_out() {
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
    fn start_thread(self: &Arc<Self>) {
        let pool = Arc::clone(self);
        let started = thread::Builder::new()
            .name("block-io".into())
            .spawn(move || pool.run());
        if let Err(error) = started {
            let mut work = self.work.lock();
            work.threads -= 1;
            if work.threads == 0 {
                // Nobody will ever come for these: say so now.
                let jobs = std::mem::take(&mut work.jobs);
                drop(work);
                for Job { request, .. } in jobs {
                    let error = request.error(0, io::Error::from(error.kind()));
                    self.finish(request.finish(Err(error)));
                }
            }
        }
    }

    fn run(&self) {
        let mut work = self.work.lock();
        loop {
            if let Some(job) = work.next() {
                let file = job.file();
                drop(work);
                let completion = blocking::run(job.request, job.lane);
                self.finish(completion);
                work = self.work.lock();
                work.ended(file);
                // Frees a share of that file, and may be what a drop waits for.
                self.more.notify_all();
            } else if work.closing {
                break;
            } else {
                work.idle += 1;
                let timed_out = self.more.wait_for(&mut work, IDLE).timed_out();
                work.idle -= 1;
                if timed_out && work.jobs.is_empty() {
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
    /// The oldest job whose file has a thread to spare.
    fn next(&mut self) -> Option<Job> {
        let running = &self.running;
        let spare = |job: &Job| {
            running
                .get(&job.file())
                .is_none_or(|n| *n < THREADS_PER_FILE)
        };
        let index = self.jobs.iter().position(spare)?;
        let job = self.jobs.remove(index)?;
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
