//! Puts the data-out of one task together. In order, which is nearly always, that is appending;
//! pieces from further on wait until what is before them has come (RFC 7143 §13.18, §13.19).

use bytes::BytesMut;

use crate::pdu::DataSegment;

/// Pieces shorter than this, of data that isn't complete, are copied together: each of them might
/// keep a whole receive buffer alive.
const COPY_BELOW: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Assembly {
    ready: DataSegment,
    /// Small pieces behind `ready`.
    small: BytesMut,
    /// Bytes in `ready` and `small`: the data has no gap up to here.
    contiguous: u32,
    /// Pieces behind a gap, by offset.
    ahead: Vec<(u32, DataSegment)>,
}

/// The piece covers bytes that have come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overlap;

impl Assembly {
    /// Bytes that are there without a gap.
    #[inline]
    pub(super) fn contiguous(&self) -> u32 {
        self.contiguous
    }

    /// Adds a piece. `whole` says that nothing more is expected after it, so that copying it would
    /// save nothing.
    #[inline]
    pub(super) fn insert(
        &mut self,
        offset: u32,
        data: DataSegment,
        whole: bool,
    ) -> Result<(), Overlap> {
        if offset == self.contiguous && self.ahead.is_empty() {
            self.append(data, whole);
            return Ok(());
        }
        self.insert_ahead(offset, data)
    }

    /// Takes what is there without a gap, up to `length` bytes, and forgets everything.
    pub(super) fn take(&mut self, length: u32) -> DataSegment {
        self.settle();
        let mut data = std::mem::take(&mut self.ready);
        data.truncate(length as usize);
        self.contiguous = 0;
        self.ahead.clear();
        data
    }

    /// Forgets everything.
    #[inline]
    pub(super) fn clear(&mut self) {
        if self.contiguous != 0 || !self.ahead.is_empty() {
            *self = Self::default();
        }
    }

    fn append(&mut self, data: DataSegment, whole: bool) {
        self.contiguous = self.contiguous.saturating_add(length_of(&data));
        if data.len() < COPY_BELOW && !whole {
            data.pieces()
                .for_each(|piece| self.small.extend_from_slice(piece));
        } else {
            self.settle();
            if self.ready.is_empty() {
                self.ready = data;
            } else {
                self.ready.append(data);
            }
        }
    }

    fn settle(&mut self) {
        if !self.small.is_empty() {
            self.ready.push(std::mem::take(&mut self.small).freeze());
        }
    }

    fn insert_ahead(&mut self, offset: u32, mut data: DataSegment) -> Result<(), Overlap> {
        let end = u64::from(offset) + data.len() as u64;
        let at = self.ahead.partition_point(|(other, _)| *other < offset);
        let before = at.checked_sub(1).and_then(|before| self.ahead.get(before));
        let before_end = match before {
            Some((offset, data)) => u64::from(*offset) + data.len() as u64,
            None => u64::from(self.contiguous),
        };
        let behind = self
            .ahead
            .get(at)
            .map_or(u64::MAX, |(offset, _)| u64::from(*offset));
        if u64::from(offset) < before_end || end > behind {
            return Err(Overlap);
        }
        if data.is_empty() {
            return Ok(());
        }
        if data.len() < COPY_BELOW {
            data.detach();
        }
        self.ahead.insert(at, (offset, data));
        let reached = self
            .ahead
            .iter()
            .scan(self.contiguous, |reached, (offset, data)| {
                let joins = *offset == *reached;
                *reached = reached.saturating_add(length_of(data));
                joins.then_some(())
            });
        let joining = reached.count();
        for (_, data) in self.ahead.drain(..joining).collect::<Vec<_>>() {
            self.append(data, true);
        }
        Ok(())
    }
}

/// A data segment has less than 2^24 bytes on the wire.
fn length_of(data: &DataSegment) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn segment(data: &[u8]) -> DataSegment {
        DataSegment::from(Bytes::copy_from_slice(data))
    }

    #[test]
    fn large_pieces_in_order_are_kept_as_they_are() {
        let mut assembly = Assembly::default();
        let (first, second) = (Bytes::from(vec![1; 8_192]), Bytes::from(vec![2; 100]));
        assembly
            .insert(0, DataSegment::from(first.clone()), false)
            .unwrap();
        assembly
            .insert(8_192, DataSegment::from(second.clone()), true)
            .unwrap();
        let data = assembly.take(8_292);
        let pointers: Vec<_> = data.pieces().map(|piece| piece.as_ptr()).collect();
        assert_eq!(pointers, [first.as_ptr(), second.as_ptr()]);
    }

    #[test]
    fn small_pieces_of_more_are_copied_together() {
        let mut assembly = Assembly::default();
        for at in 0..100_u8 {
            let piece = Bytes::from(vec![at; 10]);
            assembly
                .insert(u32::from(at) * 10, DataSegment::from(piece.clone()), false)
                .unwrap();
            assert!(piece.is_unique());
        }
        assert_eq!(assembly.contiguous(), 1_000);
        let data = assembly.take(995);
        assert_eq!((data.len(), data.pieces().count()), (995, 1));
        assert_eq!(assembly.contiguous(), 0);
    }

    #[test]
    fn overlapping_pieces_are_refused() {
        let mut assembly = Assembly::default();
        assembly.insert(10, segment(&[1; 10]), false).unwrap();
        for (offset, length) in [(5, 6), (10, 10), (12, 2), (19, 5)] {
            let piece = segment(&vec![0; length]);
            assert_eq!(
                assembly.insert(offset, piece, false),
                Err(Overlap),
                "{offset}"
            );
        }
        assembly.insert(0, segment(&[0; 10]), false).unwrap();
        assert_eq!(assembly.contiguous(), 20);
        assert_eq!(assembly.insert(19, segment(&[0; 1]), false), Err(Overlap));
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_make_the_same_data(
            lengths in prop::collection::vec(prop_oneof![1_usize..50, 4_000_usize..5_000], 1..12),
            order in prop::collection::vec(any::<u32>(), 12),
        ) {
            let whole: Vec<u8> =
                (0..251).cycle().take(lengths.iter().sum()).collect();
            let mut pieces: Vec<_> = lengths
                .iter()
                .scan(0, |at, length| {
                    *at += length;
                    Some((*at - length, *length))
                })
                .zip(order)
                .collect();
            pieces.sort_by_key(|(_, order)| *order);
            let mut assembly = Assembly::default();
            for ((offset, length), _) in pieces {
                let data = segment(&whole[offset..offset + length]);
                assembly.insert(u32::try_from(offset).unwrap(), data, false).unwrap();
            }
            prop_assert_eq!(assembly.contiguous() as usize, whole.len());
            let taken = assembly.take(u32::MAX);
            prop_assert_eq!(&taken.to_contiguous()[..], &whole[..]);
        }
    }
}
