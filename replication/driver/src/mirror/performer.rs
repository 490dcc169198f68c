//! Who reads and writes a volume for its end: what peers send, and what resyncs read. [`Hands`] is a thread with an I/O
//! engine for it, with memory of its own, so that it never waits for commands that wait for the mirror.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{Timespec, epoll};
use tidelock_block::{BufferPool, Waker};

use super::here::during;
use crate::engine::{Engine, EngineKind};
use crate::op::{VolumeFault, VolumeFaultKind, VolumeOp, VolumeOutcome};
use crate::volume::Volume;

/// What is called with the outcome, on any thread.
pub(super) type Then = Box<dyn FnOnce(VolumeOutcome) + Send>;

/// Does operations on volumes below their mirrors.
pub trait Performer: Send + Sync + 'static {
    /// Does it by [`Engine::start_below`]. Never waits. What is refused as busy is tried again by whoever does it.
    fn perform(
        &self,
        volume: &Arc<Volume>,
        op: VolumeOp,
        then: Box<dyn FnOnce(VolumeOutcome) + Send>,
    );
}

/// How long what was refused as busy waits before it is tried again.
const BUSY: Duration = Duration::from_millis(10);

struct Job {
    volume: Arc<Volume>,
    op: VolumeOp,
    then: Then,
}

/// A thread with an I/O engine of its own.
pub struct Hands {
    /// `None` once it is to end.
    jobs: Mutex<Option<Sender<Job>>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hands").finish_non_exhaustive()
    }
}

impl Hands {
    /// Begins the thread. Its engine has `depth` operations in the kernel at most, and `memory` bytes for what it reads.
    ///
    /// # Errors
    /// The host refuses io_uring, or has no threads or descriptors left.
    pub fn new(kind: EngineKind, depth: u32, memory: usize) -> io::Result<Self> {
        let (jobs, received) = mpsc::channel();
        let (told, begun) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("mirror-hands".to_owned())
            .spawn(move || match Worker::new(kind, depth, memory, received) {
                Ok(worker) => {
                    let _ = told.send(Ok(worker.engine.waker()));
                    worker.run();
                }
                Err(error) => {
                    let _ = told.send(Err(error));
                }
            })?;
        let waker = begun.recv().map_err(io::Error::other)??;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            waker,
            thread: Some(thread),
        })
    }
}

impl Performer for Hands {
    fn perform(
        &self,
        volume: &Arc<Volume>,
        op: VolumeOp,
        then: Box<dyn FnOnce(VolumeOutcome) + Send>,
    ) {
        let job = Job {
            volume: Arc::clone(volume),
            op,
            then,
        };
        let refused = match &*self.jobs.lock() {
            Some(jobs) => jobs.send(job).err().map(|it| it.0),
            None => Some(job),
        };
        match refused {
            None => self.waker.wake(),
            Some(job) => (job.then)(VolumeOutcome::Failed(VolumeFault::new(
                VolumeFaultKind::Hardware,
            ))),
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        *self.jobs.lock() = None;
        self.waker.wake();
        // Whatever is dropped by its own last callback can't wait for itself.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

struct Worker {
    engine: Engine,
    sleeper: OwnedFd,
    jobs: Receiver<Job>,
    next: u64,
    under_way: HashMap<u64, Job>,
    busy: Vec<Job>,
}

impl Worker {
    fn new(kind: EngineKind, depth: u32, memory: usize, jobs: Receiver<Job>) -> io::Result<Self> {
        let engine = Engine::new(kind, depth, Arc::new(BufferPool::new(memory)))?;
        let sleeper = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&sleeper, &engine, epoll::EventData::new_u64(0), flags)?;
        Ok(Self {
            engine,
            sleeper,
            jobs,
            next: 0,
            under_way: HashMap::new(),
            busy: Vec::new(),
        })
    }

    fn run(mut self) {
        loop {
            let ended = self.take_jobs();
            self.work();
            if ended && self.under_way.is_empty() {
                // What was busy never was begun, and nobody is told of it: its end is gone.
                return;
            }
            if !self.wait() {
                tracing::error!("the I/O engine of the mirrors can't be waited for");
                return;
            }
        }
    }

    /// Begins what there is; true if there will be no more.
    fn take_jobs(&mut self) -> bool {
        for job in std::mem::take(&mut self.busy) {
            self.begin(job);
        }
        loop {
            match self.jobs.try_recv() {
                Ok(job) => self.begin(job),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
    }

    fn begin(&mut self, job: Job) {
        let token = self.next;
        self.next += 1;
        self.engine.start_below(token, &job.volume, job.op.clone());
        self.under_way.insert(token, job);
    }

    fn work(&mut self) {
        loop {
            self.engine.submit();
            let mut any = false;
            while let Some((token, outcome)) = self.engine.poll() {
                any = true;
                let Some(job) = self.under_way.remove(&token) else {
                    continue;
                };
                match outcome {
                    VolumeOutcome::Failed(VolumeFault {
                        kind: VolumeFaultKind::Busy,
                        ..
                    }) => self.busy.push(job),
                    // It takes no jobs that way: they come as all others do.
                    outcome => drop(during(None, 0, Vec::new(), || (job.then)(outcome))),
                }
            }
            if !any {
                return;
            }
            // What the answers led to can be begun at once.
            while let Ok(job) = self.jobs.try_recv() {
                self.begin(job);
            }
        }
    }

    /// Sleeps until there is something to do; false if that can't be.
    fn wait(&self) -> bool {
        let timeout = (!self.busy.is_empty()).then(|| Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(BUSY.subsec_nanos()),
        });
        let mut events = Vec::with_capacity(1);
        let buffer = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.sleeper, buffer, timeout.as_ref()) {
            // The ring starting a kernel thread looks like a signal.
            Ok(_) | Err(rustix::io::Errno::INTR) => true,
            Err(_) => false,
        }
    }
}
