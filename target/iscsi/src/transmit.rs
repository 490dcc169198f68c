//! The outgoing byte queue of one connection: headers, padding and digests inline, payload by
//! reference. Knows PDUs only as bytes; what they mean and when they are due is up to `session`.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::digest::{Digest, header_digest, padding};
use crate::pdu::Bhs;

/// Payload up to this many bytes is copied: that is cheaper than another buffer in the kernel's list.
const COPY_MAX: usize = 256;
/// Above this capacity in bytes, the inline buffer is given back when the queue has run empty.
const INLINE_KEEP: usize = 64 * 1024;

/// What waits to be written to the socket of one connection.
///
/// Payload isn't copied; it lives until the last byte of it was consumed.
#[derive(Debug, Default)]
pub struct TxQueue {
    entries: VecDeque<Entry>,
    /// Inline bytes of all entries, in order, behind `inline_start` bytes that were consumed.
    inline: Vec<u8>,
    inline_start: usize,
    len_bytes: usize,
    header_digest: bool,
    data_digest: bool,
}

#[derive(Debug)]
enum Entry {
    /// So many of the next inline bytes.
    Inline(usize),
    Payload(Bytes),
}

impl TxQueue {
    /// An empty queue, without digests.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Which digests PDUs pushed from now on carry (RFC 7143 §13.1).
    pub fn set_digests(&mut self, header: bool, data: bool) {
        self.header_digest = header;
        self.data_digest = data;
    }

    /// Appends a PDU; `bhs` already has the length of `data` in DataSegmentLength. Adds nothing but
    /// padding and digests.
    pub fn push(&mut self, bhs: Bhs, data: Bytes) {
        self.push_header(&bhs);
        let length = data.len();
        if length > 0 {
            let mut digest = Digest::new();
            if self.data_digest {
                digest.update(&data);
            }
            self.push_payload(data);
            self.push_tail(length, digest);
        }
    }

    /// Appends a PDU without a data segment.
    #[inline]
    pub fn push_header(&mut self, bhs: &Bhs) {
        self.push_inline(bhs);
        if self.header_digest {
            self.push_inline(&header_digest(bhs, &[]));
        }
    }

    /// Appends a PDU whose data segment comes in pieces.
    pub fn push_pieces(&mut self, bhs: &Bhs, pieces: impl IntoIterator<Item = Bytes>) {
        self.push_header(bhs);
        let mut digest = Digest::new();
        let mut length = 0;
        for piece in pieces {
            if self.data_digest {
                digest.update(&piece);
            }
            length += piece.len();
            self.push_payload(piece);
        }
        if length > 0 {
            self.push_tail(length, digest);
        }
    }

    /// Whether everything was consumed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// Bytes that wait.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// Fills `out` with the front of the queue, and returns how many slices that took.
    #[must_use]
    pub fn io_slices<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let mut inline = self.inline.get(self.inline_start..).unwrap_or_default();
        let mut count = 0;
        for (slot, entry) in out.iter_mut().zip(&self.entries) {
            let bytes = match entry {
                Entry::Inline(length) => {
                    let (front, rest) = inline.split_at_checked(*length).unwrap_or((inline, &[]));
                    inline = rest;
                    front
                }
                Entry::Payload(payload) => payload,
            };
            *slot = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    /// Takes `bytes` off the front: they were written.
    pub fn consume(&mut self, bytes: usize) {
        let mut left = bytes.min(self.len_bytes);
        self.len_bytes -= left;
        while left > 0 {
            let Some(entry) = self.entries.front_mut() else {
                break;
            };
            match entry {
                Entry::Inline(length) if *length > left => {
                    *length -= left;
                    self.inline_start += left;
                    break;
                }
                Entry::Payload(payload) if payload.len() > left => {
                    let _ = payload.split_to(left);
                    break;
                }
                Entry::Inline(length) => {
                    left -= *length;
                    self.inline_start += *length;
                }
                Entry::Payload(payload) => left -= payload.len(),
            }
            self.entries.pop_front();
        }
        self.reclaim();
    }

    fn push_payload(&mut self, payload: Bytes) {
        if payload.len() <= COPY_MAX {
            self.push_inline(&payload);
        } else {
            self.len_bytes += payload.len();
            self.entries.push_back(Entry::Payload(payload));
        }
    }

    /// Padding and digest of a data segment of `length` bytes.
    fn push_tail(&mut self, length: usize, mut digest: Digest) {
        let pad = padding(length);
        if pad > 0 {
            self.push_inline([0; 3].get(..pad).unwrap_or_default());
        }
        if self.data_digest {
            digest.update_padding(length);
            self.push_inline(&digest.finish());
        }
    }

    fn push_inline(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.inline.extend_from_slice(bytes);
        self.len_bytes += bytes.len();
        if let Some(Entry::Inline(length)) = self.entries.back_mut() {
            *length += bytes.len();
        } else {
            self.entries.push_back(Entry::Inline(bytes.len()));
        }
    }

    /// Frees the inline bytes that were consumed, without ever moving more than was consumed.
    fn reclaim(&mut self) {
        if self.inline_start == self.inline.len() {
            self.inline.clear();
            self.inline_start = 0;
            if self.inline.capacity() > INLINE_KEEP {
                self.inline = Vec::new();
            }
        } else if self.inline_start > self.inline.len() / 2 {
            self.inline.drain(..self.inline_start);
            self.inline_start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::data_digest;

    fn written(queue: &TxQueue) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = queue.io_slices(&mut slices);
        slices[..count]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    fn expected(bhs: &Bhs, data: &[u8], header: bool, digest: bool) -> Vec<u8> {
        let mut all = bhs.to_vec();
        if header {
            all.extend(header_digest(bhs, &[]));
        }
        all.extend(data);
        all.resize(all.len() + padding(data.len()), 0);
        if digest && !data.is_empty() {
            all.extend(data_digest([&Bytes::copy_from_slice(data)]));
        }
        all
    }

    #[test]
    fn small_pdus_share_one_slice() {
        let mut queue = TxQueue::new();
        for byte in 0..10 {
            queue.push([byte; 48], Bytes::new());
        }
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(queue.io_slices(&mut slices), 1);
        assert_eq!(slices[0].len(), 480);
    }

    #[test]
    fn large_payload_is_not_copied() {
        let payload = Bytes::from(vec![7; 4_096]);
        let mut queue = TxQueue::new();
        queue.push([1; 48], payload.clone());
        queue.push([2; 48], Bytes::new());
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(queue.io_slices(&mut slices), 3);
        assert_eq!(slices[1].as_ptr(), payload.as_ptr());
    }

    #[test]
    fn consumed_payload_is_released() {
        let payload = Bytes::from(vec![7; 4_096]);
        let mut queue = TxQueue::new();
        queue.push([1; 48], payload.clone());
        queue.push([2; 48], Bytes::new());
        queue.consume(48 + 4_096);
        assert!(payload.is_unique());
        assert_eq!(written(&queue), [2; 48]);
        queue.consume(1_000);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_queue_that_never_runs_empty_keeps_a_small_inline_buffer() {
        let mut queue = TxQueue::new();
        queue.push([0; 48], Bytes::new());
        for _ in 0..10_000 {
            queue.push([1; 48], Bytes::new());
            queue.consume(48);
        }
        assert!(
            queue.inline.capacity() < 4_096,
            "{}",
            queue.inline.capacity()
        );
        assert_eq!(queue.len_bytes(), 48);
    }

    #[test]
    fn a_burst_of_small_pdus_leaves_no_large_buffer_behind() {
        let mut queue = TxQueue::new();
        for _ in 0..4_000 {
            queue.push([1; 48], Bytes::new());
        }
        queue.consume(usize::MAX);
        assert!(queue.inline.capacity() <= INLINE_KEEP);
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_order_however_they_are_consumed(
            pdus in prop::collection::vec((any::<u8>(), prop::collection::vec(0_usize..700, 0..3)), 1..12),
            steps in prop::collection::vec(1_usize..900, 1..40),
            header: bool,
            digest: bool,
        ) {
            let mut queue = TxQueue::new();
            queue.set_digests(header, digest);
            let mut all = Vec::new();
            for (byte, lengths) in pdus {
                let bhs = [byte; 48];
                let pieces: Vec<_> =
                    lengths.iter().map(|length| Bytes::from(vec![byte ^ 0x55; *length])).collect();
                let data = pieces.concat();
                queue.push_pieces(&bhs, pieces);
                all.extend(expected(&bhs, &data, header, digest));
            }
            prop_assert_eq!(queue.len_bytes(), all.len());
            let mut at = 0;
            for step in steps {
                prop_assert_eq!(&written(&queue), &all[at..]);
                queue.consume(step);
                at = (at + step).min(all.len());
                prop_assert_eq!(queue.len_bytes(), all.len() - at);
            }
            prop_assert_eq!(written(&queue), &all[at..]);
        }
    }
}
