//! Which ranges the ordinary operations of an engine work on. Written by the engine's thread alone,
//! without locks; looked at by whoever wants a range for himself.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use smallvec::SmallVec;
use tidelock_block::Waker;
use tidelock_volume::Range;

use super::Ticket;
use super::table::overlap;

/// Operations of one engine that have a slot each; more than any ring holds. Those beyond go through
/// the table of their volume.
const SLOTS_MAX: usize = CHUNKS * CHUNK;
const CHUNKS: usize = 64;
const CHUNK: usize = 256;

/// A volume in the traffic: a number that no other volume of this process ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VolumeId(u64);

impl VolumeId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// All engines of the process. Taken for writing when one comes or goes.
static ENGINES: RwLock<Vec<Arc<Slots>>> = RwLock::new(Vec::new());

/// The traffic of one engine.
#[derive(Debug)]
pub(crate) struct Traffic(Arc<Slots>);

#[derive(Debug)]
struct Slots {
    chunks: [OnceLock<Box<[Slot; CHUNK]>>; CHUNKS],
    /// No slot from here on was ever used.
    used: AtomicUsize,
}

/// One operation. `volume` is written last and cleared first; 0 is nobody.
#[derive(Debug, Default)]
struct Slot {
    volume: AtomicU64,
    offset: AtomicU64,
    length: AtomicU64,
}

impl Traffic {
    /// The traffic of a new engine.
    pub(crate) fn new() -> Self {
        let slots = Arc::new(Slots {
            chunks: [const { OnceLock::new() }; CHUNKS],
            used: AtomicUsize::new(0),
        });
        ENGINES.write().push(Arc::clone(&slots));
        Self(slots)
    }

    /// Says that the operation under `key` works on `range`; false if there is no slot for it.
    #[inline]
    pub(crate) fn write(&self, key: usize, volume: VolumeId, range: Range) -> bool {
        let Some(slot) = self.0.get(key).or_else(|| self.0.make(key)) else {
            return false;
        };
        slot.offset.store(range.offset, Ordering::Relaxed);
        slot.length.store(range.length, Ordering::Relaxed);
        // Whoever finds a volume here may read the range of a later operation beside it. But then the
        // one whose volume it was has ended meanwhile, and looks for locks now that it has cleared
        // this: the look at the traffic is repeated. And the later one looks for locks after this.
        slot.volume.swap(volume.0, Ordering::SeqCst);
        true
    }

    /// The operation under `key` is over.
    #[inline]
    pub(crate) fn clear(&self, key: usize) {
        if let Some(slot) = self.0.get(key) {
            slot.volume.swap(0, Ordering::SeqCst);
        }
    }

    /// Whether no operation of any engine is at work on a range of a volume.
    pub(super) fn all_quiet(volume: VolumeId, range: Range) -> bool {
        ENGINES
            .read()
            .iter()
            .all(|slots| slots.is_quiet(volume, range))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        ENGINES.write().retain(|slots| !Arc::ptr_eq(slots, &self.0));
    }
}

impl Slots {
    #[inline]
    fn get(&self, key: usize) -> Option<&Slot> {
        self.chunks.get(key / CHUNK)?.get()?.get(key % CHUNK)
    }

    #[cold]
    fn make(&self, key: usize) -> Option<&Slot> {
        let chunk = self.chunks.get(key / CHUNK)?;
        chunk.get_or_init(|| Box::new(std::array::from_fn(|_| Slot::default())));
        let used = (key / CHUNK + 1) * CHUNK;
        self.used.fetch_max(used.min(SLOTS_MAX), Ordering::SeqCst);
        self.get(key)
    }

    fn is_quiet(&self, volume: VolumeId, range: Range) -> bool {
        let used = self.used.load(Ordering::SeqCst).div_ceil(CHUNK);
        let chunks = self.chunks.iter().take(used).filter_map(OnceLock::get);
        !chunks.flat_map(|chunk| chunk.iter()).any(|slot| {
            slot.volume.load(Ordering::SeqCst) == volume.0 && {
                let offset = slot.offset.load(Ordering::Relaxed);
                let length = slot.length.load(Ordering::Relaxed);
                overlap(Range { offset, length }, range)
            }
        })
    }
}

/// Where the commands of an engine hear that their turn has come.
#[derive(Debug)]
pub(crate) struct Post {
    /// `None`: a thread waits for it.
    waker: Option<Waker>,
    bell: Condvar,
    any: AtomicBool,
    granted: Mutex<SmallVec<[(usize, Ticket); 8]>>,
}

impl Post {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Self::with(Some(waker))
    }

    /// One for a thread that waits: [`Self::wait`].
    pub(super) fn for_thread() -> Arc<Self> {
        Self::with(None)
    }

    fn with(waker: Option<Waker>) -> Arc<Self> {
        Arc::new(Self {
            waker,
            bell: Condvar::new(),
            any: AtomicBool::new(false),
            granted: Mutex::default(),
        })
    }

    /// Waits for the first turn that comes, but not longer than that; false if there was none.
    pub(super) fn wait(&self, longest: Duration) -> bool {
        let mut granted = self.granted.lock();
        let end = Instant::now() + longest;
        while granted.is_empty() {
            if self.bell.wait_until(&mut granted, end).timed_out() {
                return !granted.is_empty();
            }
        }
        true
    }

    /// Tells the engine, and wakes it.
    pub(super) fn deliver(&self, key: usize, ticket: Ticket) {
        self.granted.lock().push((key, ticket));
        self.any.store(true, Ordering::Release);
        match &self.waker {
            Some(waker) => waker.wake(),
            None => {
                self.bell.notify_one();
            }
        }
    }

    /// Whether [`Self::take`] has something.
    #[inline]
    pub(crate) fn has_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Everything since the last call.
    pub(crate) fn take(&self) -> SmallVec<[(usize, Ticket); 8]> {
        let mut granted = self.granted.lock();
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *granted)
    }
}
