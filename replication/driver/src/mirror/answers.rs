//! Where the commands of one I/O engine hear from the ends of mirrors, whichever thread they speak on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tidelock_block::Waker;
use tidelock_mirror::association::CommandError;
use tidelock_mirror::id::{CommandId, OperationId};

use super::here;

/// What an end says to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Do it on the volume now, and say when it has landed.
    Go(OperationId),
    /// It is done at every end that counts, or it isn't.
    Done(Result<(), CommandError>),
}

/// By the number of the command in its engine.
type Waiting = SmallVec<[(usize, CommandId, Answer); 8]>;

/// The answers to the commands of one engine.
#[derive(Debug)]
pub(crate) struct Answers {
    waker: Waker,
    any: AtomicBool,
    waiting: Mutex<Waiting>,
}

impl Answers {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self {
            waker,
            any: AtomicBool::new(false),
            waiting: Mutex::default(),
        })
    }

    /// Tells the engine, and wakes it if it may be asleep. One that has its turn looks by itself.
    pub(crate) fn deliver(&self, key: usize, command: CommandId, answer: Answer) {
        self.waiting.lock().push((key, command, answer));
        if !self.any.swap(true, Ordering::AcqRel) && !here::hears(self) {
            self.waker.wake();
        }
    }

    #[inline]
    pub(crate) fn has_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Everything since the last call.
    pub(crate) fn take(&self) -> Waiting {
        let mut waiting = self.waiting.lock();
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut *waiting)
    }
}
