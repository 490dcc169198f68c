//! Additional header segments (RFC 7143 §11.2.2): the rest of a long CDB, and the read length of a
//! bidirectional command.

use nom::bytes::complete::take;
use nom::combinator::{all_consuming, verify};
use nom::multi::many0;
use nom::number::complete::{be_u16, be_u32, u8 as byte};
use nom::{IResult, Parser};

/// AHSType of an extended CDB (RFC 7143 §11.2.2.1).
const EXTENDED_CDB: u8 = 1;
/// AHSType of a bidirectional read expected data transfer length.
const BIDIRECTIONAL_READ_LENGTH: u8 = 2;

/// The longest CDB in bytes (SAM-5 §5.2).
pub const MAX_CDB_LENGTH: usize = 260;

/// What the additional headers of a SCSI Command say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdditionalHeaders<'a> {
    /// The CDB from its 17th byte on (RFC 7143 §11.2.2.3).
    pub extended_cdb: &'a [u8],
    /// Bidirectional Read Expected Data Transfer Length in bytes (RFC 7143 §11.2.2.4).
    pub bidirectional_read_length: Option<u32>,
}

/// One additional header segment.
struct Segment<'a> {
    kind: u8,
    /// What stands behind AHSType, without padding.
    specific: &'a [u8],
}

impl<'a> AdditionalHeaders<'a> {
    /// Reads the additional headers of a SCSI Command; `None` if they aren't well-formed, one of them
    /// isn't defined, or one comes twice.
    #[must_use]
    pub fn parse(ahs: &'a [u8]) -> Option<Self> {
        let (_, segments) = all_consuming(many0(segment)).parse(ahs).ok()?;
        let mut headers = Self::default();
        for Segment { kind, specific } in segments {
            // The first byte of both kinds is reserved.
            let (_, value) = specific.split_first()?;
            match kind {
                EXTENDED_CDB if headers.extended_cdb.is_empty() && !value.is_empty() => {
                    if value.len() > MAX_CDB_LENGTH - 16 {
                        return None;
                    }
                    headers.extended_cdb = value;
                }
                BIDIRECTIONAL_READ_LENGTH if headers.bidirectional_read_length.is_none() => {
                    let (_, length) = all_consuming(be_u32::<_, nom::error::Error<_>>)
                        .parse(value)
                        .ok()?;
                    headers.bidirectional_read_length = Some(length);
                }
                _ => return None,
            }
        }
        Some(headers)
    }
}

/// AHSLength counts what stands behind AHSType, without the padding to four bytes.
fn segment(input: &[u8]) -> IResult<&[u8], Segment<'_>> {
    let (rest, (length, kind)) = (verify(be_u16, |length| *length > 0), byte).parse(input)?;
    let length = usize::from(length);
    let padding = (length + 3).wrapping_neg() & 3;
    let (rest, (specific, _)) = (take(length), take(padding)).parse(rest)?;
    Ok((rest, Segment { kind, specific }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_cdb_and_a_read_length_are_found_in_either_order() {
        let cdb = [
            0, 17, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
        ];
        let read = [0, 5, 2, 0, 0, 1, 0, 0];
        let expected = AdditionalHeaders {
            extended_cdb: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
            bidirectional_read_length: Some(65_536),
        };
        let both = [&cdb[..], &read].concat();
        assert_eq!(AdditionalHeaders::parse(&both), Some(expected));
        let both = [&read[..], &cdb].concat();
        assert_eq!(AdditionalHeaders::parse(&both), Some(expected));
        assert_eq!(
            AdditionalHeaders::parse(&[]),
            Some(AdditionalHeaders::default())
        );
    }

    #[test]
    fn padding_is_not_part_of_the_cdb() {
        let ahs = [0, 2, 1, 0, 0xaa, 0, 0, 0];
        assert_eq!(AdditionalHeaders::parse(&ahs).unwrap().extended_cdb, [0xaa]);
    }

    #[test]
    fn malformed_segments_are_refused() {
        for ahs in [
            &[0, 0, 1, 0][..],
            &[0, 1, 1, 0],
            &[0, 9, 1, 0, 1, 2, 3, 4],
            &[0, 4, 2, 0, 0, 1, 0, 0],
            &[0, 5, 3, 0, 0, 1, 0, 0],
            &[0, 5, 2, 0, 0, 1, 0, 0, 0, 5, 2, 0, 0, 1, 0, 0],
            &[0, 5, 2],
        ] {
            assert_eq!(AdditionalHeaders::parse(ahs), None, "{ahs:?}");
        }
    }

    #[test]
    fn a_cdb_has_at_most_260_bytes() {
        let ahs = |length: u16| {
            let mut ahs = [&(length - 16 + 1).to_be_bytes()[..], &[1, 0]].concat();
            ahs.resize(ahs.len() + usize::from(length - 16).next_multiple_of(4), 7);
            ahs
        };
        let longest = ahs(260);
        assert_eq!(
            AdditionalHeaders::parse(&longest)
                .unwrap()
                .extended_cdb
                .len(),
            244
        );
        assert_eq!(AdditionalHeaders::parse(&ahs(261)), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(ahs in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = AdditionalHeaders::parse(&ahs);
        }
    }
}
