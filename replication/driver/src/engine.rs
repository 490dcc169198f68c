//! Carries out operations on volumes, on one thread, without ever waiting.
//!
//! # Use
//! [`Engine::start`] any number of operations, [`Engine::submit`] once (one system call for all of
//! them; what the page cache answers is finished when it returns), then drain [`Engine::poll`].
//! Sleep until the engine's descriptor becomes readable, then `submit` and drain again. Nothing is
//! lost if `submit` is called too often; it does nothing then. Two rules: drain until `None` before
//! sleeping (what finishes meanwhile isn't announced before that), and watch the descriptor
//! edge-triggered, as tokio's `AsyncFd` does (nobody makes it unreadable again).
//!
//! # What waits where
//! An operation that finds the memory ceiling reached waits for memory, in order of arrival; the
//! engine's descriptor becomes readable when some comes back. Operations that need no memory of
//! ours (ordinary writes, flushes) go past those. An operation that finds the I/O engine full waits
//! for a place, in order of arrival.
//!
//! An operation whose range somebody has for himself waits for that before anything else
//! ([`crate::ranges`]).
//!
//! # Mapped volumes
//! Whether a volume is raw or mapped is looked at when an operation begins, with its ranges held: a
//! volume changes from one to the other only while somebody has all of it for himself. The operation
//! itself is the same then; [`carry`] has what the engine does for those whose every step is many
//! requests on files of a family. What changes a part of a 4 KiB block has the block for itself. A flush
//! is the family's, which calls back on a thread of its own.
//!
//! # Ends of mirrors
//! Whether a volume is one is looked at at the same moment. What changes it then, and flushes, go through
//! the end, step by step ([`mirrored`]); the end itself uses [`Engine::start_below`], or the engine that asked it
//! does what it wants done ([`nearby`]).
//!
//! # Durability
//! A write is done when it is in the page cache, or on the medium with `O_DIRECT`. A flush is a
//! whole `fdatasync` that starts after the flush arrived; flushes that arrive while one runs share
//! the next one ([`sync`]). FUA is `RWF_DSYNC` for direct volumes. For buffered ones it is the
//! write, then a shared `fdatasync`: an `RWF_DSYNC` write holds the file's lock, and io_uring's
//! queue for that file, for as long as the medium takes, so that every other write to the volume
//! would wait behind it; and `ENOSPC` from the write (this write failed) could not be told from
//! `ENOSPC` of the write-back (earlier ones are lost).
//!
//! # Why buffered writes are not done inline
//! On ext4 and tmpfs the kernel hands a buffered write to a thread of the ring. Calling `pwritev2`
//! right here would save that hand-over, but may wait without limit for the file's lock, the
//! journal, the dirty-page throttle or a frozen file system, and with it every session of the
//! reactor; `RWF_NOWAIT`, which would make it safe, is refused by ext4 and tmpfs for buffered
//! writes. File systems that support it (xfs, btrfs) get it from io_uring by itself. The price, by
//! `examples/engine_speed.rs`: about 6 us of processor time per 4 KiB write at depth 1, and 2 us at
//! depth 32, where one wake-up of the thread serves many. Threads of our own cost
//! about the same. Reads from the page cache, and everything on tmpfs, are done in
//! `submit` for 1.1 to 1.8 times what `pread` costs, at one system call per batch.

mod carry;
mod command;
mod detach;
mod hold;
mod mirrored;
mod nearby;
mod run;
mod sync;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use tidelock_block::{BlockIo, BufferPool, EngineIo, MemoryIo, Request, ThreadsIo, UringIo, Waker};

use crate::mirror::Answers;
use crate::op::{VolumeOp, VolumeOutcome};
use crate::ranges::Post;
use crate::volume::Volume;
use carry::Flushes;
use command::{Asker, Carrier, Command};
use hold::Commands;
use nearby::Nearby;
use sync::Syncs;

/// Continuations that one `submit` and the drain after it may hand to the kernel, so that a long
/// operation whose every step is answered from the cache doesn't keep the thread to itself.
const ROUNDS_MAX: u32 = 8;

/// What does the file I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// io_uring.
    Uring,
    /// Blocking calls on threads.
    ThreadPool,
    /// Volumes of [`Volume::in_memory`] only: for tests.
    Memory,
}

/// What [`Engine::probe`] found.
#[derive(Clone, Debug)]
pub struct EngineProbe {
    /// The best kind that this host has.
    pub kind: EngineKind,
    /// Why, for people.
    pub reason: String,
}

/// The I/O of one reactor. Stays on the thread that made it.
#[derive(Debug)]
pub struct Engine {
    io: EngineIo,
    pool: BufferPool,
    /// Behind `io`, which lands everything before it goes: only then are ranges let go.
    commands: Commands,
    /// Where commands hear that a range lock is theirs.
    post: Arc<Post>,
    /// Where commands hear how flushes of families went.
    flushes: Arc<Flushes>,
    /// Commands that wait for one.
    for_flush: usize,
    /// Where commands hear from the ends of mirrors that their volumes are.
    answers: Arc<Answers>,
    /// Commands on such volumes.
    mirrored: usize,
    /// What such ends want done here.
    nearby: Nearby,
    /// Commands that wait for a range lock.
    for_lock: usize,
    /// Finished, not yet polled.
    done: VecDeque<(u64, VolumeOutcome)>,
    /// Commands that found the memory ceiling reached, oldest first.
    for_memory: VecDeque<usize>,
    /// Requests that found the I/O engine full, oldest first.
    for_place: VecDeque<Request>,
    /// Memory of commands on mapped volumes, and those that wait for some.
    blocks: BufferPool,
    pages: BufferPool,
    for_scratch: VecDeque<usize>,
    /// Commands that wait until the maps of their family are within their memory again.
    for_room: VecDeque<usize>,
    /// Carriers that no command has.
    #[allow(
        clippy::vec_box,
        reason = "they go to commands and come back without being copied"
    )]
    carriers: Vec<Box<Carrier>>,
    /// Commands whose last step needed no request.
    to_go_on: VecDeque<usize>,
    syncs: Syncs,
    /// Places in the I/O engine became free since the last look at `for_place`.
    freed: bool,
    rounds: u32,
}

impl Engine {
    /// An engine that has at most `depth` operations in the kernel; more wait inside. Memory comes
    /// from free lists of its own, under the ceiling of `pool`. Must be called on the thread that
    /// will use it.
    ///
    /// # Errors
    /// The host refuses io_uring, or has no descriptors left.
    pub fn new(kind: EngineKind, depth: u32, pool: Arc<BufferPool>) -> io::Result<Self> {
        let io = match kind {
            EngineKind::Uring => EngineIo::Uring(UringIo::new(depth).map_err(io::Error::other)?),
            EngineKind::ThreadPool => EngineIo::Threads(ThreadsIo::new(depth)?),
            EngineKind::Memory => EngineIo::Memory(MemoryIo::new(depth)?),
        };
        Ok(Self {
            pool: pool.sibling(),
            commands: Commands::new(),
            post: Post::new(io.waker()),
            flushes: Flushes::new(io.waker()),
            for_flush: 0,
            answers: Answers::new(io.waker()),
            mirrored: 0,
            nearby: Nearby::default(),
            for_lock: 0,
            io,
            done: VecDeque::new(),
            for_memory: VecDeque::new(),
            for_place: VecDeque::new(),
            blocks: BufferPool::new(carry::BLOCKS_BYTES),
            pages: BufferPool::new(carry::PAGES_BYTES),
            for_scratch: VecDeque::new(),
            for_room: VecDeque::new(),
            carriers: Vec::new(),
            to_go_on: VecDeque::new(),
            syncs: Syncs::default(),
            freed: false,
            rounds: 0,
        })
    }

    /// Finds out what this host has. Takes a few milliseconds the first time.
    #[must_use]
    pub fn probe() -> EngineProbe {
        match tidelock_block::probe() {
            Ok(mode) => EngineProbe {
                kind: EngineKind::Uring,
                reason: mode.name().to_owned(),
            },
            Err(error) => EngineProbe {
                kind: EngineKind::ThreadPool,
                reason: error.to_string(),
            },
        }
    }

    /// Starts an operation. `token` comes back with its outcome and should be unique among those
    /// under way. Never blocks; nothing reaches the kernel before [`Self::submit`].
    pub fn start(&mut self, token: u64, volume: &Arc<Volume>, op: VolumeOp) {
        if let Err(kind) = volume.admits(op.changes(), matches!(op, VolumeOp::Flush)) {
            self.done.push_back((token, kind.into()));
            return;
        }
        self.start_as(Asker::Owner(token), volume, op, false);
    }

    /// As [`Self::start`], below the mirror that the volume may be an end of: for that end itself, which says what may
    /// be done when. What it does isn't held off by writes that were given up either, as the end keeps what overlaps in
    /// order.
    pub fn start_below(&mut self, token: u64, volume: &Arc<Volume>, op: VolumeOp) {
        if let Err(kind) = volume.admits_below(op.changes(), matches!(op, VolumeOp::Flush)) {
            self.done.push_back((token, kind.into()));
            return;
        }
        self.start_as(Asker::Owner(token), volume, op, true);
    }

    fn start_as(&mut self, asker: Asker, volume: &Arc<Volume>, op: VolumeOp, below: bool) {
        let changing = op.changes().then(|| volume.watches().begin(&op));
        match command::admit(volume, op, &self.pool) {
            Err(outcome) => self.ended(asker, outcome),
            Ok(work) => {
                let mut command = Command::new(asker, Arc::clone(volume), work, changing);
                command.below = below;
                let key = self.commands.insert(command);
                if self.hold(key) {
                    self.begin(key);
                }
            }
        }
    }

    /// Hands everything that is queued to the kernel, and looks at what is finished already:
    /// [`Self::poll`] has it. Never blocks.
    pub fn submit(&mut self) {
        self.rounds = ROUNDS_MAX;
        self.take_turns();
        // What ends have said while commands were begun goes with the rest.
        if self.mirrored > 0 && self.answers.has_any() {
            self.take_answers();
        }
        self.serve_waiting();
        self.io.submit();
    }

    /// Takes the next finished operation. Drain it after each [`Self::submit`].
    pub fn poll(&mut self) -> Option<(u64, VolumeOutcome)> {
        loop {
            if let Some(finished) = self.done.pop_front() {
                return Some(finished);
            }
            if let Some(completion) = self.io.next_completion() {
                self.freed = true;
                self.completed(completion);
                continue;
            }
            if self.post.has_any() {
                self.take_turns();
                continue;
            }
            if self.for_flush > 0 && self.flushes.has_any() {
                self.take_flushes();
                continue;
            }
            if self.mirrored > 0 && self.answers.has_any() {
                self.take_answers();
                continue;
            }
            if self.nearby.ended() > 0 && self.tell_end() {
                continue;
            }
            if !self.for_room.is_empty() && self.flushes.has_room() {
                self.serve_room();
                continue;
            }
            if self.freed {
                self.freed = false;
                self.serve_waiting();
                continue;
            }
            if !self.io.needs_submit() && self.to_go_on.is_empty() {
                return None;
            }
            // Next steps of what has just gone one step further.
            self.go_on();
            self.io.submit();
            let Some(rounds) = self.rounds.checked_sub(1) else {
                // Others must have their turn: come back for the rest.
                self.io.waker().wake();
                return None;
            };
            self.rounds = rounds;
        }
    }

    /// Makes the engine's descriptor readable, from any thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.io.waker()
    }

    /// Operations that were started and whose outcome hasn't been polled, detached ones included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.commands.len() + self.done.len() + self.nearby.ended()
    }

    /// Operations that wait for memory, for a place in the I/O engine, for a range lock or for room in maps.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.for_memory.len()
            + self.for_place.len()
            + self.for_scratch.len()
            + self.for_room.len()
            + self.for_lock
    }
}

impl AsFd for Engine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for Engine {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
