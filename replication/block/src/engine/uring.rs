//! The io_uring engine: one ring per reactor thread.
//!
//! # Ownership
//! An operation and its memory live in a slot from `push` until its completion has been taken; a
//! slot that the kernel may still know is never freed. Dropping the engine drains the ring; what
//! can't be drained within a few seconds (a frozen file system) is leaked, never freed.
//!
//! # Who runs an operation
//! The kernel, inside `io_uring_enter`, where it can do so without waiting: reads of cached pages,
//! direct I/O, buffered writes on file systems that know how (xfs, btrfs). What would wait goes to
//! the ring's kernel threads (io-wq) by itself: `fdatasync`, `fallocate`, and buffered writes on
//! ext4 and tmpfs. So nothing here waits for a file.
//!
//! A file that lives in memory (tmpfs) is the exception: its reads and writes would go to those
//! threads too, since tmpfs doesn't promise not to wait, but there is nothing to wait for that any
//! access to our own memory would not wait for. So they are done in `submit`.
//!
//! Copies inside a file system are nothing that a ring can do: a few threads do them ([`ThreadsIo`]), which are
//! there once there has been one.
//!
//! # Who tells that something has finished
//! An eventfd that is registered with the ring. The ring's own descriptor doesn't do: with
//! `DEFER_TASKRUN` nothing wakes those who poll it. The eventfd is switched off while the thread
//! looks at the completion queue anyway, so that what finishes inside `io_uring_enter` costs no
//! wake-up, and on again once the queue has been found empty.

#![allow(unsafe_code, reason = "memory that the kernel reads and writes")]

mod drain;
mod entry;
mod setup;

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{Ordering, fence};

use io_uring::{IoUring, cqueue, squeue};
use slab::Slab;

use super::lane::Lane;
use super::threads::ThreadsIo;
use super::{BlockIo, Completion, Full, OpKind, Request, Waker, blocking};
use crate::error::BlockError;
use entry::Slot;

pub use setup::{RingMode, Unavailable, probe};

/// Reserved `user_data`: a cancellation has been carried out.
const CANCEL: u64 = u64::MAX;
/// How often an operation that the kernel could not take just now (`EAGAIN`, `EINTR`) is tried.
const ATTEMPTS_MAX: u8 = 64;
/// Bytes copied from and to files in memory in one `submit`: other work must have its turn.
const COPIED_MAX: usize = 4 << 20;

/// The io_uring engine of one thread. Must be used and dropped on the thread that made it.
pub struct UringIo {
    ring: ManuallyDrop<IoUring>,
    /// Operations that the kernel may know. Its capacity is `depth` and it never holds more, so it
    /// never moves: queued entries point into it.
    slots: ManuallyDrop<Slab<Slot>>,
    depth: usize,
    mode: RingMode,
    /// Slots whose entry found the submission queue full.
    backlog: VecDeque<usize>,
    /// For files that live in memory; done in `submit`.
    in_memory: VecDeque<Request>,
    /// Finished without the ring.
    ready: VecDeque<Completion>,
    /// For copies.
    threads: Option<ThreadsIo>,
    notifier: Waker,
    /// The notifier is switched on.
    announcing: bool,
    lane: Lane,
    handed_over: u64,
    /// Not `Send`: the ring belongs to its thread (`IORING_SETUP_SINGLE_ISSUER`).
    _thread: PhantomData<*const ()>,
}

impl std::fmt::Debug for UringIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UringIo")
            .field("mode", &self.mode)
            .field("depth", &self.depth)
            .field("in_flight", &self.slots.len())
            .finish_non_exhaustive()
    }
}

/// What a result from the kernel means for an operation.
enum Verdict {
    Finished(Result<(), BlockError>),
    /// Partly done, or not taken: the rest must be submitted.
    Continue,
}

impl UringIo {
    /// A ring for at most `depth` operations at a time.
    ///
    /// # Errors
    /// [`Unavailable`]: the host refuses io_uring or lacks a part that is needed.
    pub fn new(depth: u32) -> Result<Self, Unavailable> {
        let mode = probe()?;
        let depth = depth.clamp(1, setup::DEPTH_MAX);
        let notifier = Waker::new().map_err(Unavailable::Refused)?;
        let ring = setup::ring(mode, depth, &notifier)?;
        let depth = usize::try_from(depth).unwrap_or(1);
        Ok(Self {
            ring: ManuallyDrop::new(ring),
            slots: ManuallyDrop::new(Slab::with_capacity(depth)),
            depth,
            mode,
            backlog: VecDeque::new(),
            in_memory: VecDeque::new(),
            ready: VecDeque::new(),
            threads: None,
            notifier,
            announcing: true,
            lane: Lane::take(),
            handed_over: 0,
            _thread: PhantomData,
        })
    }

    /// How the ring was set up.
    #[must_use]
    pub fn mode(&self) -> RingMode {
        self.mode
    }

    /// Queues the rest of the operation in a slot.
    fn queue(&mut self, key: usize) {
        let lane = self.lane.index();
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let entry = slot.entry(lane).user_data(key as u64);
        if !self.queue_entry(&entry) {
            self.backlog.push_back(key);
        }
    }

    /// Puts an entry into the submission queue, making room if it must; false if there is none.
    fn queue_entry(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: what the entry points to (buffers, iovecs) belongs to a slot, and a slot stays
        // where it is, untouched, until its completion is taken: `slots` neither moves nor frees
        // it. Entries without a slot point to nothing. The file stays open: the slot owns it.
        if unsafe { self.ring.submission().push(entry) }.is_ok() {
            return true;
        }
        self.enter();
        // SAFETY: as above.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    /// One `io_uring_enter`, more only if it was interrupted or took a part.
    fn enter(&mut self) {
        self.handed_over += 1;
        for _ in 0..ATTEMPTS_MAX {
            match self.ring.submit() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // EAGAIN: no memory for requests just now. EBUSY: completions must be taken first.
                // Either way the entries stay queued and `needs_submit` says so.
                Err(error) => {
                    let errno = error.raw_os_error();
                    if errno != Some(libc::EAGAIN) && errno != Some(libc::EBUSY) {
                        tracing::error!(%error, "io_uring_enter");
                    }
                    return;
                }
            }
            if self.ring.submission().is_empty() {
                return;
            }
        }
    }

    /// Switches the notifier on or off.
    fn announce(&mut self, on: bool) {
        if self.announcing == on {
            return;
        }
        self.announcing = on;
        let completion = self.ring.completion();
        if on {
            completion.enable_eventfd();
        } else {
            completion.disable_eventfd();
        }
        drop(completion);
        // The kernel notes that there is something, then looks at the switch; we turn the switch,
        // then look whether there is something. One of the two sees the other.
        fence(Ordering::SeqCst);
    }

    /// Does what needs no ring; what is too much for one go is left for the next `submit`.
    fn copy_in_memory(&mut self) {
        let mut copied = 0;
        while copied < COPIED_MAX {
            let Some(request) = self.in_memory.pop_front() else {
                return;
            };
            self.handed_over += 1;
            copied += request.op.transfer_length();
            self.ready
                .push_back(blocking::run(request, self.lane.index()));
        }
    }

    fn flush_backlog(&mut self) {
        for _ in 0..self.backlog.len() {
            let Some(key) = self.backlog.pop_front() else {
                return;
            };
            let before = self.backlog.len();
            self.queue(key);
            if self.backlog.len() > before {
                return;
            }
        }
    }

    fn take_entry(&mut self, cqe: &cqueue::Entry) -> Option<Completion> {
        match cqe.user_data() {
            CANCEL => None,
            data => {
                let key = usize::try_from(data).ok()?;
                match self.slots.get_mut(key)?.judge(cqe.result()) {
                    Verdict::Finished(result) => {
                        Some(self.slots.try_remove(key)?.request.finish(result))
                    }
                    Verdict::Continue => {
                        self.queue(key);
                        None
                    }
                }
            }
        }
    }
}

impl BlockIo for UringIo {
    fn push(&mut self, request: Request) -> Result<(), Full> {
        if self.in_flight() >= self.depth {
            return Err(Full(request));
        }
        if request.file.lane(self.lane.index()).is_none() {
            let error = request.error(0, io::ErrorKind::Unsupported.into());
            self.ready.push_back(request.finish(Err(error)));
            return Ok(());
        }
        if let OpKind::CopyFrom { .. } = request.op {
            let (depth, lane) = (self.depth, self.lane.index());
            let notifier = &self.notifier;
            let threads = self
                .threads
                .get_or_insert_with(|| ThreadsIo::for_engine(depth, lane, notifier.clone()));
            return threads.push(request);
        }
        if request.file.lives_in_memory() {
            self.in_memory.push_back(request);
            return Ok(());
        }
        let key = self.slots.insert(Slot::new(request));
        self.queue(key);
        Ok(())
    }

    fn submit(&mut self) {
        self.copy_in_memory();
        if let Some(threads) = &mut self.threads
            && threads.needs_submit()
        {
            self.handed_over += 1;
            threads.submit();
        }
        self.flush_backlog();
        let submission = self.ring.submission();
        // Deferred completions are posted only by an enter.
        let due = !submission.is_empty() || submission.taskrun() || submission.cq_overflow();
        drop(submission);
        if due {
            // What finishes at once is looked at at once.
            self.announce(false);
            self.enter();
        }
    }

    fn next_completion(&mut self) -> Option<Completion> {
        if let Some(completion) = self.ready.pop_front() {
            return Some(completion);
        }
        if let Some(threads) = &mut self.threads
            && threads.in_flight() > 0
            && let Some(completion) = threads.next_completion()
        {
            return Some(completion);
        }
        loop {
            let next = self.ring.completion().next();
            match next {
                Some(cqe) => {
                    if let Some(completion) = self.take_entry(&cqe) {
                        return Some(completion);
                    }
                }
                None if self.announcing => return None,
                // Switch on, then look once more: what came before wasn't announced.
                None => {
                    self.announce(true);
                    if self.ring.submission().taskrun() {
                        self.enter();
                    }
                }
            }
        }
    }

    fn needs_submit(&self) -> bool {
        // SAFETY: `self` is borrowed and the type is not `Sync`-shared across threads (it is
        // neither `Send` nor `Sync`), so no other submission queue is alive meanwhile.
        let submission = unsafe { self.ring.submission_shared() };
        !submission.is_empty()
            || !self.backlog.is_empty()
            || !self.in_memory.is_empty()
            || self.threads.as_ref().is_some_and(ThreadsIo::needs_submit)
    }

    fn handed_over(&self) -> u64 {
        self.handed_over
    }

    fn in_flight(&self) -> usize {
        let threads = self.threads.as_ref().map_or(0, ThreadsIo::in_flight);
        self.slots.len() + self.in_memory.len() + self.ready.len() + threads
    }

    fn waker(&self) -> Waker {
        self.notifier.clone()
    }
}

impl AsFd for UringIo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifier.as_fd()
    }
}

#[cfg(test)]
mod tests;
