//! The free lists behind a pool, and the byte budget that all of them share.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{ALIGNMENT, Block};
use crate::engine::Waker;

/// Bytes of the smallest class.
const SMALLEST: usize = 4096;
/// Classes: 4 KiB, 8 KiB, ... 1 MiB. Larger buffers come from the allocator each time.
const CLASSES: usize = 9;
/// A shelf keeps at most this many idle bytes, and at most a quarter of the ceiling.
const IDLE_BYTES_MAX: usize = 32 << 20;

/// Bytes that a buffer of `len` costs; `None` if that is no possible size.
pub(super) fn rounded(len: usize) -> Option<usize> {
    match class_of(len) {
        Some(class) => Some(SMALLEST << class),
        None => len
            .checked_next_multiple_of(ALIGNMENT)
            .filter(|size| *size <= isize::MAX as usize),
    }
}

/// Index of the smallest class that holds `len` bytes.
fn class_of(len: usize) -> Option<usize> {
    let class = len
        .div_ceil(SMALLEST)
        .max(1)
        .checked_next_power_of_two()?
        .trailing_zeros() as usize;
    (class < CLASSES).then_some(class)
}

/// What all siblings share.
struct Budget {
    limit: usize,
    /// Bytes got from the allocator and not given back.
    reserved: AtomicUsize,
    /// Somebody waits for memory: whoever returns some must look at `waiting`.
    wanted: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
    shelves: Mutex<Vec<Weak<Shelf>>>,
}

impl Budget {
    fn reserve(&self, bytes: usize) -> bool {
        self.reserved
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |reserved| {
                reserved.checked_add(bytes).filter(|sum| *sum <= self.limit)
            })
            .is_ok()
    }

    fn shelves(&self) -> Vec<Arc<Shelf>> {
        self.shelves
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }
}

/// The free lists of one pool.
pub(super) struct Shelf {
    budget: Arc<Budget>,
    free: [Mutex<Vec<Block>>; CLASSES],
    /// Bytes in `free`.
    idle: AtomicUsize,
    idle_max: usize,
    /// Bytes out with users.
    in_use: AtomicUsize,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("limit", &self.budget.limit)
            .field("reserved", &self.reserved())
            .field("in_use", &self.in_use.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Shelf {
    pub(super) fn first(limit: usize) -> Arc<Self> {
        Self::on(Arc::new(Budget {
            limit,
            reserved: AtomicUsize::new(0),
            wanted: AtomicBool::new(false),
            waiting: Mutex::default(),
            shelves: Mutex::default(),
        }))
    }

    pub(super) fn sibling(&self) -> Arc<Self> {
        Self::on(Arc::clone(&self.budget))
    }

    fn on(budget: Arc<Budget>) -> Arc<Self> {
        let shelf = Arc::new(Self {
            idle_max: IDLE_BYTES_MAX.min(budget.limit / 4),
            free: Default::default(),
            idle: AtomicUsize::new(0),
            in_use: AtomicUsize::new(0),
            budget,
        });
        let mut shelves = shelf.budget.shelves.lock();
        shelves.retain(|known| known.strong_count() > 0);
        shelves.push(Arc::downgrade(&shelf));
        drop(shelves);
        shelf
    }

    pub(super) fn limit(&self) -> usize {
        self.budget.limit
    }

    pub(super) fn reserved(&self) -> usize {
        self.budget.reserved.load(Ordering::Acquire)
    }

    pub(super) fn total_in_use(&self) -> usize {
        self.budget
            .shelves()
            .iter()
            .map(|shelf| shelf.in_use.load(Ordering::SeqCst))
            .sum()
    }

    pub(super) fn take(&self, len: usize) -> Option<Block> {
        let recycled = class_of(len).and_then(|class| self.free.get(class)?.lock().pop());
        let block = match recycled {
            Some(block) => {
                self.idle.fetch_sub(block.size, Ordering::Relaxed);
                block
            }
            None => self.allocate(rounded(len)?)?,
        };
        self.in_use.fetch_add(block.size, Ordering::Relaxed);
        Some(block)
    }

    fn allocate(&self, size: usize) -> Option<Block> {
        let fits = self.budget.reserve(size) || (self.reclaim(size) && self.budget.reserve(size));
        if !fits {
            return None;
        }
        let block = Block::allocate(size);
        if block.is_none() {
            self.budget.reserved.fetch_sub(size, Ordering::AcqRel);
        }
        block
    }

    /// Gives idle memory of all siblings back to the allocator until `size` bytes fit; whether they
    /// do now.
    fn reclaim(&self, size: usize) -> bool {
        if size > self.budget.limit {
            return false;
        }
        let fits = || self.reserved() <= self.budget.limit - size;
        for shelf in self.budget.shelves() {
            for list in &shelf.free {
                while !fits() {
                    let Some(block) = list.lock().pop() else {
                        break;
                    };
                    shelf.idle.fetch_sub(block.size, Ordering::Relaxed);
                    shelf.release(block);
                }
            }
        }
        fits()
    }

    fn release(&self, block: Block) {
        let size = block.size;
        drop(block);
        self.budget.reserved.fetch_sub(size, Ordering::AcqRel);
    }

    pub(super) fn put(&self, block: Block) {
        let size = block.size;
        let list = class_of(size).and_then(|class| self.free.get(class));
        match list {
            // Two returns at once may both see room and go over by one buffer: harmless, since the
            // ceiling itself is kept by `reserved`.
            Some(list) if self.idle.load(Ordering::Relaxed) + size <= self.idle_max => {
                self.idle.fetch_add(size, Ordering::Relaxed);
                list.lock().push(block);
            }
            _ => self.release(block),
        }
        // Both sequentially consistent, as are `wanted.store` and the look at `in_use` in
        // `wake_when_returned`: either we see that somebody waits, or they see this buffer.
        self.in_use.fetch_sub(size, Ordering::SeqCst);
        if self.budget.wanted.load(Ordering::SeqCst) {
            self.wake_waiting();
        }
    }

    pub(super) fn wake_when_returned(&self, waker: Waker) {
        let mut waiting = self.budget.waiting.lock();
        if !waiting.iter().any(|known| known.is(&waker)) {
            waiting.push(waker);
        }
        drop(waiting);
        self.budget.wanted.store(true, Ordering::SeqCst);
        // Makes what was returned before the store visible to the caller's next attempt.
        self.total_in_use();
    }

    #[cold]
    fn wake_waiting(&self) {
        self.budget.wanted.store(false, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.budget.waiting.lock());
        for waker in waiting {
            waker.wake();
        }
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        for list in &self.free {
            for block in list.lock().drain(..) {
                let size = block.size;
                drop(block);
                self.budget.reserved.fetch_sub(size, Ordering::AcqRel);
            }
        }
    }
}
