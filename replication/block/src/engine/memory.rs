//! The engine for tests: files in memory that fail, hang and lose power on demand.
//!
//! Deterministic: operations run inside [`BlockIo::submit`], in the order of their arrival, except
//! those that a test holds back.

mod pages;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{BlockIo, BlockSum, Completion, Full, OpKind, Request, SUM_BYTES, Sums, Waker};
use crate::error::OpName;
use pages::Pages;

/// A file in memory. Clones share the content.
#[derive(Clone, Debug)]
pub struct MemoryFile(Arc<Mutex<Image>>);

#[derive(Debug)]
struct Image {
    /// What a read sees.
    cached: Pages,
    /// What a power cut leaves for sure.
    durable: Pages,
    /// Pages in which they may differ.
    unsynced: BTreeSet<u64>,
    power: Option<Power>,
    faults: Vec<Fault>,
    held: Vec<OpName>,
    counts: Vec<(OpName, u64)>,
    wakers: Vec<Waker>,
}

/// The power of several files: after so many writes, syncs and the like it is gone, and all of them fail
/// from then on.
#[derive(Clone, Debug)]
pub struct Power(Arc<AtomicU64>);

impl Power {
    /// Lasts for that many operations.
    #[must_use]
    pub fn lasting(operations: u64) -> Self {
        Self(Arc::new(AtomicU64::new(operations)))
    }

    /// Operations that it still lasts for.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn is_gone(&self, op: OpName) -> bool {
        if op == OpName::Read {
            return self.left() == 0;
        }
        let spent = |left: u64| left.checked_sub(1);
        let spent = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, spent);
        spent.is_err()
    }
}

#[derive(Debug)]
struct Fault {
    op: OpName,
    /// Operations of this kind that still succeed.
    after: u64,
    errno: i32,
    sticky: bool,
}

impl MemoryFile {
    /// `len` bytes of zeros, durably so.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self::sparse(len as u64, None)
    }

    /// `len` bytes of zeros, of which only what is written takes memory; with a power supply, if need be.
    #[must_use]
    pub fn sparse(len: u64, power: Option<Power>) -> Self {
        Self(Arc::new(Mutex::new(Image {
            cached: Pages::new(len),
            durable: Pages::new(len),
            unsynced: BTreeSet::new(),
            power,
            faults: Vec::new(),
            held: Vec::new(),
            counts: Vec::new(),
            wakers: Vec::new(),
        })))
    }

    /// Lets the `nth` operation of this kind from now (1 is the next one) fail once with the
    /// system's error number `errno`.
    pub fn fail_nth(&self, op: OpName, nth: u64, errno: i32) {
        let after = nth.saturating_sub(1);
        self.0.lock().faults.push(Fault {
            op,
            after,
            errno,
            sticky: false,
        });
    }

    /// Lets every operation of this kind from now on fail with the system's error number `errno`.
    pub fn fail_always(&self, op: OpName, errno: i32) {
        self.0.lock().faults.push(Fault {
            op,
            after: 0,
            errno,
            sticky: true,
        });
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        self.0.lock().faults.clear();
    }

    /// Operations of this kind hang from now on, until [`Self::release`].
    pub fn hold(&self, op: OpName) {
        self.0.lock().held.push(op);
    }

    /// Lets everything go on that hangs; engines are woken.
    pub fn release(&self) {
        let mut image = self.0.lock();
        image.held.clear();
        for waker in &image.wakers {
            waker.wake();
        }
    }

    /// Operations of this kind that have run, failed ones included.
    #[must_use]
    pub fn count(&self, op: OpName) -> u64 {
        self.0
            .lock()
            .counts
            .iter()
            .find(|(known, _)| *known == op)
            .map_or(0, |(_, count)| *count)
    }

    /// A power cut: everything that wasn't synced is gone.
    pub fn crash(&self) {
        self.crash_keeping(|| false);
    }

    /// A power cut: of what wasn't synced those sectors are there for which `keep` says so.
    pub fn crash_keeping(&self, mut keep: impl FnMut() -> bool) {
        let image = &mut *self.0.lock();
        for page in std::mem::take(&mut image.unsynced) {
            image.durable.take(page, &image.cached, &mut keep);
            image.cached.take(page, &image.durable, || true);
        }
    }

    /// Gives it another power supply.
    pub fn supply(&self, power: Option<Power>) {
        self.0.lock().power = power;
    }

    /// A copy of what a read sees now.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        let image = self.0.lock();
        let mut content = vec![0; usize::try_from(image.cached.len()).unwrap_or(0)];
        // It is as long as the image.
        let _ = image.cached.read(0, &mut content);
        content
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.lock().cached.len()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes it longer (with zeros) or shorter.
    pub fn set_len(&self, len: u64) {
        let image = &mut *self.0.lock();
        image.cached.set_len(len);
        image.durable.set_len(len);
    }

    pub(crate) fn sync_now(&self) -> io::Result<()> {
        self.0.lock().run(&mut OpKind::DataSync)
    }

    /// Does an operation.
    pub(crate) fn run(&self, mut request: Request) -> Completion {
        let result = match &mut request.op {
            OpKind::CopyFrom { .. } => self.copy_from(&mut request.op),
            op => self.0.lock().run(op),
        };
        let result = result.map_err(|source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                super::ended(&request, 0)
            } else {
                request.error(0, source)
            }
        });
        request.finish(result)
    }

    fn copy_from(&self, op: &mut OpKind) -> io::Result<()> {
        let OpKind::CopyFrom {
            source,
            source_offset,
            offset,
            length,
            sums,
        } = op
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let Some(source) = source.memory() else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let mut bytes = vec![0; usize::try_from(*length).map_err(io::Error::other)?];
        // It may be the same file.
        source.0.lock().cached.read(*source_offset, &mut bytes)?;
        if let Sums::Expected(expected) = sums {
            let found = bytes
                .chunks(SUM_BYTES)
                .map(|block| BlockSum::of(block).crc32c);
            if !found.eq(expected.iter().copied()) {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        let image = &mut *self.0.lock();
        image.begin(OpName::Copy)?;
        image.cached.write(*offset, &bytes)?;
        image.unsynced.extend(Pages::touched(*offset, *length));
        if let Sums::Wanted { found, .. } = sums {
            found.extend(bytes.chunks(SUM_BYTES).map(BlockSum::of));
        }
        Ok(())
    }

    fn holds(&self, op: OpName) -> bool {
        self.0.lock().held.contains(&op)
    }

    fn watch(&self, waker: &Waker) {
        self.0.lock().wakers.push(waker.clone());
    }
}

impl Image {
    /// Counts an operation, which may have to fail.
    fn begin(&mut self, name: OpName) -> io::Result<()> {
        match self.counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((name, 1)),
        }
        self.check_faults(name)
    }

    fn run(&mut self, op: &mut OpKind) -> io::Result<()> {
        self.begin(op.name())?;
        match op {
            OpKind::Read { offset, buffer } => self.cached.read(*offset, buffer)?,
            OpKind::Write {
                offset,
                data,
                dsync,
            } => {
                let mut at = *offset;
                for piece in data.iter() {
                    self.cached.write(at, piece)?;
                    self.unsynced.extend(Pages::touched(at, piece.len() as u64));
                    if *dsync {
                        self.durable.write(at, piece)?;
                    }
                    at += piece.len() as u64;
                }
            }
            OpKind::DataSync => {
                for page in std::mem::take(&mut self.unsynced) {
                    self.durable.take(page, &self.cached, || true);
                }
            }
            OpKind::PunchHole { offset, length } | OpKind::ZeroRange { offset, length } => {
                let bytes = usize::try_from(*length).map_err(io::Error::other)?;
                self.cached.zero(*offset, bytes)?;
                self.unsynced.extend(Pages::touched(*offset, *length));
            }
            OpKind::Allocate { .. } => {}
            // It takes two files.
            OpKind::CopyFrom { .. } => return Err(io::ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }

    fn check_faults(&mut self, op: OpName) -> io::Result<()> {
        if self.power.as_ref().is_some_and(|power| power.is_gone(op)) {
            return Err(io::Error::other("the power is gone"));
        }
        let mut hit = None;
        for (index, fault) in self
            .faults
            .iter_mut()
            .enumerate()
            .filter(|(_, f)| f.op == op)
        {
            if fault.after > 0 {
                fault.after -= 1;
            } else if hit.is_none() {
                hit = Some((index, fault.errno, fault.sticky));
            }
        }
        let Some((index, errno, sticky)) = hit else {
            return Ok(());
        };
        if !sticky {
            self.faults.remove(index);
        }
        Err(io::Error::from_raw_os_error(errno))
    }
}

/// The memory engine of one test.
#[derive(Debug)]
pub struct MemoryIo {
    depth: usize,
    in_flight: usize,
    queued: VecDeque<Request>,
    handed_over: u64,
    ready: VecDeque<Completion>,
    notifier: Waker,
}

impl MemoryIo {
    /// An engine that holds at most `depth` operations.
    ///
    /// # Errors
    /// The host has no descriptor left for the notifier.
    pub fn new(depth: u32) -> io::Result<Self> {
        Ok(Self {
            depth: usize::try_from(depth.max(1)).unwrap_or(usize::MAX),
            in_flight: 0,
            queued: VecDeque::new(),
            handed_over: 0,
            ready: VecDeque::new(),
            notifier: Waker::new()?,
        })
    }
}

impl BlockIo for MemoryIo {
    fn push(&mut self, request: Request) -> Result<(), Full> {
        if self.in_flight >= self.depth {
            return Err(Full(request));
        }
        self.in_flight += 1;
        self.queued.push_back(request);
        Ok(())
    }

    fn submit(&mut self) {
        self.handed_over += 1;
        for request in std::mem::take(&mut self.queued) {
            let Some(memory) = request.file.memory().cloned() else {
                let error = request.error(0, io::ErrorKind::Unsupported.into());
                self.ready.push_back(request.finish(Err(error)));
                continue;
            };
            if memory.holds(request.op.name()) {
                memory.watch(&self.notifier);
                self.queued.push_back(request);
                continue;
            }
            self.ready.push_back(memory.run(request));
        }
    }

    fn next_completion(&mut self) -> Option<Completion> {
        let completion = self.ready.pop_front()?;
        self.in_flight -= 1;
        Some(completion)
    }

    fn needs_submit(&self) -> bool {
        // What is held back waits for `release`, and that wakes.
        self.queued.iter().any(|request| {
            request
                .file
                .memory()
                .is_none_or(|memory| !memory.holds(request.op.name()))
        })
    }

    fn handed_over(&self) -> u64 {
        self.handed_over
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn waker(&self) -> Waker {
        self.notifier.clone()
    }
}

impl AsFd for MemoryIo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifier.as_fd()
    }
}
