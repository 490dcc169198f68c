//! Receive memory of one reactor: a few large chunks that all its connections read into in turn.
//! Knows nothing of PDUs.
//!
//! A connection that is idle holds no receive memory at all. Data segments are slices of the chunk
//! that they arrived in, so payload goes from the socket to the file without a copy; the chunk comes
//! back into use when its last slice is dropped.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Bytes of one chunk.
pub const CHUNK_LEN: usize = 512 << 10;
/// A chunk with less room than this is set aside and another one taken.
const ROOM_MIN: usize = 64 << 10;

/// The chunks of one reactor.
#[derive(Debug)]
pub struct ReceiveChunks {
    current: Option<BytesMut>,
    /// Full chunks, oldest first, some of whose slices may still be in use.
    retired: VecDeque<BytesMut>,
    /// Chunks that may exist at once, `current` included.
    limit: usize,
}

impl ReceiveChunks {
    /// Chunks for at most `memory` bytes, at least two.
    #[must_use]
    pub fn new(memory: usize) -> Self {
        Self {
            current: None,
            retired: VecDeque::new(),
            limit: (memory / CHUNK_LEN).max(2),
        }
    }

    /// Room to read into, or `None` while all chunks are full and in use.
    ///
    /// The caller reads into the spare capacity and takes what it read with `split`.
    pub fn room(&mut self) -> Option<&mut BytesMut> {
        if self
            .current
            .as_ref()
            .is_none_or(|chunk| chunk.capacity() < ROOM_MIN)
        {
            self.next_chunk();
        }
        self.current
            .as_mut()
            .filter(|chunk| chunk.capacity() >= ROOM_MIN)
    }

    fn next_chunk(&mut self) {
        self.retired.extend(self.current.take());
        // Slices are mostly dropped in the order in which they came, so the oldest is tried first,
        // but one that somebody sits on must not keep the others from being found.
        for _ in 0..self.retired.len() {
            let Some(mut chunk) = self.retired.pop_front() else {
                break;
            };
            if chunk.try_reclaim(CHUNK_LEN) {
                self.current = Some(chunk);
                return;
            }
            self.retired.push_back(chunk);
        }
        if self.retired.len() < self.limit {
            self.current = Some(BytesMut::with_capacity(CHUNK_LEN));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(chunks: &mut ReceiveChunks, len: usize) -> Option<bytes::Bytes> {
        let room = chunks.room()?;
        let len = len.min(room.capacity());
        room.resize(len, 7);
        Some(room.split().freeze())
    }

    #[test]
    fn memory_is_reused_once_its_slices_are_dropped() {
        let mut chunks = ReceiveChunks::new(2 * CHUNK_LEN);
        for _ in 0..1_000 {
            assert!(fill(&mut chunks, CHUNK_LEN).is_some());
        }
        assert!(chunks.retired.len() <= 1);
    }

    #[test]
    fn no_more_than_the_limit_is_ever_allocated_and_reading_goes_on_when_a_slice_is_dropped() {
        let mut chunks = ReceiveChunks::new(3 * CHUNK_LEN);
        let mut held = Vec::new();
        while let Some(slice) = fill(&mut chunks, CHUNK_LEN) {
            held.push(slice);
            assert!(held.len() <= 3);
        }
        assert_eq!(held.len(), 3);
        held.remove(1);
        assert!(fill(&mut chunks, CHUNK_LEN).is_some());
    }

    #[test]
    fn a_slice_that_is_kept_for_long_does_not_keep_other_chunks_from_being_reused() {
        let mut chunks = ReceiveChunks::new(3 * CHUNK_LEN);
        let kept = fill(&mut chunks, CHUNK_LEN);
        for _ in 0..100 {
            assert!(fill(&mut chunks, CHUNK_LEN).is_some());
        }
        drop(kept);
    }
}
