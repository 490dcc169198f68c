//! Payload memory: aligned for direct I/O, reused, and bounded in bytes for the whole daemon.
//!
//! A [`BufferPool`] is a set of free lists, one per power of two from 4 KiB to 1 MiB. Each reactor
//! has a pool of its own ([`BufferPool::sibling`]), so that taking and returning a buffer meets no
//! other thread; the siblings share one byte budget, touched only when memory really comes from or
//! goes back to the allocator. What a sibling keeps idle is taken from it when another one runs
//! into the ceiling. Knows no files and no engines.

#![allow(unsafe_code, reason = "aligned memory that is shared with the kernel")]

mod shelf;

use std::alloc::{self, Layout};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use bytes::Bytes;

use crate::engine::Waker;
use shelf::Shelf;

/// Alignment in bytes of every buffer: fits direct I/O on all media with sectors up to 4 KiB.
pub const ALIGNMENT: usize = 4096;

/// A bounded source of [`Buffer`]s.
#[derive(Debug)]
pub struct BufferPool {
    shelf: Arc<Shelf>,
}

impl BufferPool {
    /// A pool whose buffers, together with those of its siblings, never hold more than
    /// `limit_bytes` of memory. Sizes are counted as rounded up to their class.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            shelf: Shelf::first(limit_bytes),
        }
    }

    /// A pool with free lists of its own under the same ceiling: one per reactor.
    #[must_use]
    pub fn sibling(&self) -> Self {
        Self {
            shelf: self.shelf.sibling(),
        }
    }

    /// A buffer of `len` bytes, or `None` when the ceiling leaves no room now.
    ///
    /// Its content is arbitrary: zeros, or what a former owner left. Who hands it on must have
    /// filled it first.
    #[must_use]
    pub fn try_take(&self, len: usize) -> Option<Buffer> {
        let block = self.shelf.take(len)?;
        Some(Buffer::new(block, len, Arc::clone(&self.shelf)))
    }

    /// Whether a buffer of `len` bytes could ever be had from this pool.
    #[must_use]
    pub fn could_ever_take(&self, len: usize) -> bool {
        shelf::rounded(len).is_some_and(|size| size <= self.shelf.limit())
    }

    /// Bytes that are out now, in this pool and its siblings.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.shelf.total_in_use()
    }

    /// Bytes of memory held now, in use or kept for reuse, in this pool and its siblings.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.shelf.reserved()
    }

    /// The ceiling in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.shelf.limit()
    }

    /// Wakes `waker` once, when a buffer next comes back to this pool or a sibling. Ask first, then
    /// try once more: what came back in between is not announced again.
    pub fn wake_when_returned(&self, waker: Waker) {
        self.shelf.wake_when_returned(waker);
    }
}

/// A piece of memory with one owner; goes back to its pool on drop, or with the last part of it that
/// was split off.
pub struct Buffer {
    /// Its first byte, inside the memory or at its end.
    first: NonNull<u8>,
    /// As many are inside the memory.
    len: usize,
    memory: Memory,
}

/// Memory on its way back to the pool.
struct Held {
    /// Always `Some` until drop.
    block: Option<Block>,
    home: Arc<Shelf>,
}

enum Memory {
    /// Nobody else's.
    Whole(Held),
    /// Others have other parts of it.
    Part(Arc<Held>),
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.home.put(block);
        }
    }
}

impl Buffer {
    fn new(block: Block, len: usize, home: Arc<Shelf>) -> Self {
        Self {
            first: block.ptr,
            len: len.min(block.size),
            memory: Memory::Whole(Held {
                block: Some(block),
                home,
            }),
        }
    }

    /// Makes it immutable and shareable; the pool gets it back when the last slice is dropped.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }

    /// Shortens it to `len` bytes; longer lengths change nothing.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes it the `len` bytes from `start` on of all the memory that it has, which is what was asked
    /// for when it was taken, or more. False, and no change, if there is less, or if others have parts
    /// of it.
    #[must_use]
    pub fn window(&mut self, start: usize, len: usize) -> bool {
        let Memory::Whole(Held {
            block: Some(block), ..
        }) = &self.memory
        else {
            return false;
        };
        let fits = start.checked_add(len).is_some_and(|end| end <= block.size);
        if fits {
            // SAFETY: `start` is at most the size of the memory that the pointer is the start of.
            self.first = unsafe { block.ptr.add(start) };
            self.len = len;
        }
        fits
    }

    /// Keeps the first `at` bytes and gives the others away as a buffer of their own, so that both can
    /// be filled at once. All of them stay here if there are no more.
    #[must_use]
    pub fn split_off(mut self, at: usize) -> (Self, Self) {
        let at = at.min(self.len);
        let held = match self.memory {
            Memory::Whole(held) => Arc::new(held),
            Memory::Part(held) => held,
        };
        let rest = Self {
            // SAFETY: `at` is at most the length, which is inside the memory.
            first: unsafe { self.first.add(at) },
            len: self.len - at,
            memory: Memory::Part(Arc::clone(&held)),
        };
        self.memory = Memory::Part(held);
        self.len = at;
        (self, rest)
    }

    /// Puts a part that was split off back behind it.
    ///
    /// # Errors
    /// It isn't the part that lies behind this one: here are both as they were.
    pub fn join(self, rest: Self) -> Result<Self, Box<(Self, Self)>> {
        let (Memory::Part(held), Memory::Part(other)) = (&self.memory, &rest.memory) else {
            return Err(Box::new((self, rest)));
        };
        // SAFETY: the length is inside the memory.
        let end = unsafe { self.first.add(self.len) };
        if !Arc::ptr_eq(held, other) || end != rest.first {
            return Err(Box::new((self, rest)));
        }
        let (first, len) = (self.first, self.len + rest.len);
        drop(rest);
        let memory = match self.memory {
            Memory::Part(held) => match Arc::try_unwrap(held) {
                Ok(held) => Memory::Whole(held),
                Err(held) => Memory::Part(held),
            },
            whole => whole,
        };
        Ok(Self { first, len, memory })
    }

    /// Where the kernel puts bytes.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.first.as_ptr()
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are inside the memory, all of which is initialized and lives as long as
        // `self`. They are this buffer's alone (`split_off` gives no byte to two), so that the borrow of
        // `self` keeps writers away.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`, and the unique borrow of `self` makes this the only access to the
        // bytes. The pointer comes from the allocator, not from a reference.
        unsafe { slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

// SAFETY: a buffer has its bytes for itself, and the memory that they are in may be dropped anywhere.
unsafe impl Send for Buffer {}
// SAFETY: shared references only read.
unsafe impl Sync for Buffer {}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the content: it is somebody's data.
        f.debug_struct("Buffer")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// Memory from the allocator, aligned to [`ALIGNMENT`] and initialized.
struct Block {
    ptr: NonNull<u8>,
    size: usize,
}

impl Block {
    /// `size` bytes of zeros; `None` for sizes that no allocation can have, and when there is none.
    fn allocate(size: usize) -> Option<Self> {
        let layout = Layout::from_size_align(size, ALIGNMENT)
            .ok()
            .filter(|l| l.size() > 0)?;
        // SAFETY: the layout's size is not zero (checked above).
        let ptr = NonNull::new(unsafe { alloc::alloc_zeroed(layout) })?;
        Some(Self { ptr, size })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Ok(layout) = Layout::from_size_align(self.size, ALIGNMENT) {
            // SAFETY: allocated in `allocate` with this very layout, and not freed before: `Block`
            // is neither `Copy` nor `Clone`.
            unsafe { alloc::dealloc(self.ptr.as_ptr(), layout) };
        }
    }
}

// SAFETY: a `Block` owns its memory alone; there is no thread affinity in the allocator.
unsafe impl Send for Block {}
// SAFETY: shared references only read.
unsafe impl Sync for Block {}

#[cfg(test)]
mod tests;
