//! The parameter lists of EXTENDED COPY(LID1) and EXTENDED COPY(LID4) (SPC-5, "EXTENDED COPY
//! parameter list"). Everything that can be found wrong before a segment is processed is found here.

use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};

use crate::copy::cscd::{self, CSCD_LENGTH, Cscd};
use crate::copy::segment::{self, Segment};
use crate::copy::{MAX_CSCDS, MAX_DESCRIPTORS_LENGTH, MAX_SEGMENTS};
use crate::sense::{AdditionalSense, Sense};

/// Which of the two commands a list belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ListFormat {
    /// An 8-bit list identifier.
    Lid1,
    /// A 32-bit list identifier.
    Lid4,
}

impl ListFormat {
    /// Length of the header in bytes.
    pub(crate) const fn header(self) -> u16 {
        match self {
            Self::Lid1 => 16,
            Self::Lid4 => 48,
        }
    }

    /// The longest list in bytes.
    pub(crate) fn longest(self) -> u32 {
        u32::from(self.header()) + MAX_DESCRIPTORS_LENGTH
    }

    /// SERVICE ACTION of the command.
    pub(crate) const fn service_action(self) -> u8 {
        match self {
            Self::Lid1 => 0x00,
            Self::Lid4 => 0x01,
        }
    }

    /// Where LIST IDENTIFIER is.
    pub(crate) const fn identifier_at(self) -> u16 {
        match self {
            Self::Lid1 => 0,
            Self::Lid4 => 20,
        }
    }

    /// CSCD descriptor IDs below this one mean nothing: with LID4, what would be descriptor 0 is a
    /// part of the header.
    const fn first_id(self) -> u16 {
        (self.header() - FIRST_DESCRIPTOR) / CSCD_LENGTH
    }
}

/// Where the CSCD descriptor with ID 0 would be (SPC-5, "CSCD descriptor ID values").
const FIRST_DESCRIPTOR: u16 = 16;

/// A whole parameter list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CopyList {
    pub(crate) format: ListFormat,
    /// `None`: the copy operation can't be asked about (LIST ID USAGE is 11b).
    pub(crate) identifier: Option<u32>,
    cscds: Vec<Cscd>,
    pub(crate) segments: Vec<Segment>,
}

/// The header, of whichever format.
struct Header {
    usage: u8,
    identifier: u32,
    cscds: u16,
    segments: u32,
    inline: u32,
}

impl CopyList {
    /// Reads a list; `bytes` is all of it that was sent.
    pub(crate) fn parse(bytes: &[u8], format: ListFormat) -> Result<Self, Sense> {
        let header = match format {
            ListFormat::Lid1 => lid1(bytes).map_err(|_| length_error())?.1,
            ListFormat::Lid4 => checked_lid4(bytes)?,
        };
        let identifier = identifier(format, &header)?;
        let descriptors = u32::from(header.cscds).saturating_add(header.segments);
        if descriptors > MAX_DESCRIPTORS_LENGTH {
            return Err(length_error());
        }
        if header.inline > 0 {
            let additional = AdditionalSense::INLINE_DATA_LENGTH_EXCEEDED;
            return Err(Sense::illegal_request(additional));
        }
        let start = usize::from(format.header());
        let cscds = part(bytes, start, u32::from(header.cscds))?;
        let segments = part(bytes, start + cscds.len(), header.segments)?;
        Ok(Self {
            format,
            identifier,
            cscds: read_cscds(cscds, format)?,
            segments: read_segments(segments, start + cscds.len())?,
        })
    }

    /// The CSCD descriptor with that ID, and where it is in the list.
    pub(crate) fn cscd(&self, id: u16) -> Option<(&Cscd, u16)> {
        let index = id.checked_sub(self.format.first_id())?;
        let cscd = self.cscds.get(usize::from(index))?;
        Some((cscd, FIRST_DESCRIPTOR + id * CSCD_LENGTH))
    }
}

fn length_error() -> Sense {
    Sense::illegal_request(AdditionalSense::PARAMETER_LIST_LENGTH_ERROR)
}

fn too_many(additional: AdditionalSense) -> Sense {
    Sense::illegal_request(additional)
}

/// `length` bytes from `start`, if the list is as long.
fn part(bytes: &[u8], start: usize, length: u32) -> Result<&[u8], Sense> {
    usize::try_from(length)
        .ok()
        .and_then(|length| bytes.get(start..)?.get(..length))
        .ok_or_else(length_error)
}

fn lid1(input: &[u8]) -> IResult<&[u8], Header> {
    let (input, (identifier, flags, cscds, _)) = (be_u8, be_u8, be_u16, take(4_u8)).parse(input)?;
    let (input, (segments, inline)) = (be_u32, be_u32).parse(input)?;
    let header = Header {
        usage: usage(flags),
        identifier: identifier.into(),
        cscds,
        segments,
        inline,
    };
    Ok((input, header))
}

struct Lid4 {
    format: u8,
    header_length: u16,
    flags: u8,
    header_type: u8,
    header: Header,
}

fn lid4(input: &[u8]) -> IResult<&[u8], Lid4> {
    let (input, (format, usage_byte, header_length, _)) =
        (be_u8, be_u8, be_u16, take(11_u8)).parse(input)?;
    let (input, (flags, header_type, _)) = (be_u8, be_u8, take(3_u8)).parse(input)?;
    let (input, (identifier, _)) = (be_u32, take(18_u8)).parse(input)?;
    let (input, (cscds, segments, inline)) = (be_u16, be_u16, be_u16).parse(input)?;
    let header = Header {
        usage: usage(usage_byte),
        identifier,
        cscds,
        segments: segments.into(),
        inline: inline.into(),
    };
    let lid4 = Lid4 {
        format,
        header_length,
        flags,
        header_type,
        header,
    };
    Ok((input, lid4))
}

/// The header of the LID4 format. IMMED is not supported, and is treated as zero as the standard
/// says; G_SENSE is refused, as it asks for something.
fn checked_lid4(bytes: &[u8]) -> Result<Header, Sense> {
    const FORMAT: u8 = 0x01;
    const HEADER_LENGTH: u16 = 0x20;
    const HEADER_TYPE: u8 = 0xff;
    const G_SENSE: u8 = 0x02;
    let invalid = |byte, bit| Err(Sense::invalid_field_in_parameter_list(byte, bit));
    let (_, list) = lid4(bytes).map_err(|_| length_error())?;
    if list.format != FORMAT {
        return invalid(0, None);
    }
    if list.header_length != HEADER_LENGTH {
        return invalid(2, None);
    }
    if list.flags & G_SENSE != 0 {
        return invalid(15, Some(1));
    }
    if list.header_type != HEADER_TYPE {
        return invalid(16, None);
    }
    Ok(list.header)
}

/// LIST ID USAGE.
const fn usage(flags: u8) -> u8 {
    flags >> 3 & 0x03
}

fn identifier(format: ListFormat, header: &Header) -> Result<Option<u32>, Sense> {
    match header.usage {
        // 10b allows what is known of the operation to be forgotten early; it isn't.
        0b00 | 0b10 => Ok(Some(header.identifier)),
        0b11 if header.identifier == 0 => Ok(None),
        0b11 => {
            let at = format.identifier_at();
            Err(Sense::invalid_field_in_parameter_list(at, None))
        }
        _ => Err(Sense::invalid_field_in_parameter_list(1, Some(4))),
    }
}

fn read_cscds(bytes: &[u8], format: ListFormat) -> Result<Vec<Cscd>, Sense> {
    let length = usize::from(CSCD_LENGTH);
    if bytes.len() / length > usize::from(MAX_CSCDS) {
        return Err(too_many(AdditionalSense::TOO_MANY_TARGET_DESCRIPTORS));
    }
    if !bytes.len().is_multiple_of(length) {
        let at = match format {
            ListFormat::Lid1 => 2,
            ListFormat::Lid4 => 42,
        };
        return Err(Sense::invalid_field_in_parameter_list(at, None));
    }
    let places = (format.header()..).step_by(length);
    let cscds = bytes.chunks_exact(length).zip(places);
    cscds.map(|(bytes, at)| cscd::parse(bytes, at)).collect()
}

fn read_segments(mut bytes: &[u8], mut at: usize) -> Result<Vec<Segment>, Sense> {
    let mut segments = Vec::new();
    while !bytes.is_empty() {
        if segments.len() == usize::from(MAX_SEGMENTS) {
            return Err(too_many(AdditionalSense::TOO_MANY_SEGMENT_DESCRIPTORS));
        }
        let (segment, length) = segment::parse(bytes, u16::try_from(at).unwrap_or(u16::MAX))?;
        bytes = bytes.get(length..).ok_or_else(length_error)?;
        at += length;
        segments.push(segment);
    }
    Ok(segments)
}
