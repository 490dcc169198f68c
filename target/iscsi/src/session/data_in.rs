//! How the data-in of one command is cut into Data-In PDUs (RFC 7143 §11.7): the same way whenever it
//! is asked for, so that a PDU can be sent again as it was. Pure arithmetic.

/// A piece of data-in for one PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) data_sn: u32,
    /// Buffer offset in bytes.
    pub(super) offset: u32,
    /// Bytes.
    pub(super) length: u32,
    /// It ends a burst, or everything: the F bit.
    pub(super) ends_burst: bool,
    /// Nothing follows.
    pub(super) is_last: bool,
}

/// The rule for cutting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// DataSN of the first PDU.
    pub(super) first_sn: u32,
    /// Offset of its first byte.
    pub(super) start: u32,
    /// Where the data ends.
    pub(super) end: u32,
    /// The longest data segment that the initiator takes.
    pub(super) max_segment: u32,
    /// The longest burst.
    pub(super) max_burst: u32,
}

impl Cut {
    /// The pieces in order.
    pub(super) fn segments(self) -> impl Iterator<Item = Segment> {
        let (max_segment, max_burst) = (self.max_segment.max(1), self.max_burst.max(1));
        let mut data_sn = self.first_sn;
        let mut offset = self.start;
        let mut burst_left = max_burst;
        std::iter::from_fn(move || {
            if offset >= self.end {
                return None;
            }
            let length = max_segment.min(burst_left).min(self.end - offset);
            burst_left -= length;
            let is_last = offset + length == self.end;
            let segment = Segment {
                data_sn,
                offset,
                length,
                ends_burst: is_last || burst_left == 0,
                is_last,
            };
            if burst_left == 0 {
                burst_left = max_burst;
            }
            data_sn = data_sn.wrapping_add(1);
            offset += length;
            Some(segment)
        })
    }

    /// DataSN behind the last PDU.
    pub(super) fn next_sn(self) -> u32 {
        let last = self.segments().last();
        last.map_or(self.first_sn, |last| last.data_sn.wrapping_add(1))
    }

    /// Where the PDU with that DataSN begins; the end for the one behind the last.
    pub(super) fn offset_of(self, data_sn: u32) -> Option<u32> {
        if data_sn == self.next_sn() {
            return Some(self.end);
        }
        self.segments()
            .find(|segment| segment.data_sn == data_sn)
            .map(|segment| segment.offset)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bursts_and_pdus_end_where_they_must() {
        let cut = Cut {
            first_sn: 3,
            start: 100,
            end: 1_100,
            max_segment: 300,
            max_burst: 500,
        };
        let seen: Vec<_> = cut
            .segments()
            .map(|s| (s.data_sn, s.offset, s.length, s.ends_burst, s.is_last))
            .collect();
        assert_eq!(
            seen,
            [
                (3, 100, 300, false, false),
                (4, 400, 200, true, false),
                (5, 600, 300, false, false),
                (6, 900, 200, true, true),
            ]
        );
        assert_eq!(cut.next_sn(), 7);
        assert_eq!(cut.offset_of(5), Some(600));
        assert_eq!(cut.offset_of(7), Some(1_100));
        assert_eq!(cut.offset_of(2), None);
        assert_eq!(cut.offset_of(8), None);
    }

    proptest! {
        #[test]
        fn the_pieces_cover_everything_once(
            start in 0_u32..5_000,
            length in 0_u32..50_000,
            max_segment in 1_u32..3_000,
            max_burst in 1_u32..9_000,
        ) {
            let cut = Cut { first_sn: 0, start, end: start + length, max_segment, max_burst };
            let (mut at, mut sn, mut burst) = (start, 0, 0);
            for segment in cut.segments() {
                prop_assert_eq!((segment.offset, segment.data_sn), (at, sn));
                prop_assert!(segment.length > 0 && segment.length <= max_segment);
                at += segment.length;
                sn += 1;
                burst += segment.length;
                prop_assert!(burst <= max_burst);
                prop_assert_eq!(segment.is_last, at == start + length);
                prop_assert_eq!(segment.ends_burst, burst == max_burst || segment.is_last);
                if segment.ends_burst {
                    burst = 0;
                }
            }
            prop_assert_eq!((at, sn), (start + length, cut.next_sn()));
        }
    }
}
