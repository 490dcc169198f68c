//! Segment descriptors (SPC-5, "Segment descriptors"): what each of them comes to in bytes, and in
//! which steps.

use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u32, be_u64};
use nom::{IResult, Parser};

use crate::config::BlockSize;
use crate::copy::MAX_SEGMENT_LENGTH;
use crate::copy::failure::{CopyFailure, CopySide, Pointer};
use crate::plan::Extent;
use crate::sense::{AdditionalSense, Sense};

/// Copy from block device to block device.
pub(super) const BLOCK_TO_BLOCK: u8 = 0x02;
/// Copy block device with offset to block device with offset.
pub(super) const BLOCK_TO_BLOCK_WITH_OFFSETS: u8 = 0x0a;
/// DESCRIPTOR TYPE CODE, flags, DESCRIPTOR LENGTH: what the length doesn't count.
const HEADER: usize = 4;
/// Where the fields of a segment descriptor begin, in bytes.
const DESCRIPTOR_LENGTH_AT: u16 = 2;
const NUMBER_OF_BYTES_AT: u16 = 8;
const SOURCE_ADDRESS_AT: u16 = 12;
const DESTINATION_ADDRESS_AT: u16 = 20;
const DESTINATION_OFFSET_AT: u16 = 30;

/// One segment descriptor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Segment {
    /// SOURCE CSCD DESCRIPTOR ID.
    pub(crate) source: u16,
    /// DESTINATION CSCD DESCRIPTOR ID.
    pub(crate) destination: u16,
    /// CAT: what is left over belongs to the next segment.
    cat: bool,
    source_lba: u64,
    destination_lba: u64,
    amount: Amount,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Amount {
    /// Blocks of the source, or with DC of the destination.
    Blocks { count: u16, of_destination: bool },
    /// Bytes from an offset in the first block to an offset in the first block.
    Bytes {
        count: u32,
        source_offset: u16,
        destination_offset: u16,
    },
}

/// Reads a descriptor of one type.
type Body = fn(&[u8]) -> IResult<&[u8], Segment>;

/// Reads the first descriptor of `bytes`, which begin at `at` in the parameter list; returns its
/// length as well.
pub(super) fn parse(bytes: &[u8], at: u16) -> Result<(Segment, usize), Sense> {
    let invalid = |byte: u16| Sense::invalid_field_in_parameter_list(at.saturating_add(byte), None);
    let cut_off = || Sense::illegal_request(AdditionalSense::PARAMETER_LIST_LENGTH_ERROR);
    let (body, length) = match bytes.first() {
        Some(&BLOCK_TO_BLOCK) => (blocks as Body, 0x18),
        Some(&BLOCK_TO_BLOCK_WITH_OFFSETS) => (offsets as Body, 0x1c),
        _ => {
            let additional = AdditionalSense::UNSUPPORTED_SEGMENT_DESCRIPTOR_TYPE_CODE;
            return Err(Sense::illegal_request(additional).with_parameter_pointer(at));
        }
    };
    let (_, (_, _, said)) = header(bytes).map_err(|_| cut_off())?;
    if usize::from(said) != length {
        return Err(invalid(DESCRIPTOR_LENGTH_AT));
    }
    let (_, segment) = body(bytes).map_err(|_| cut_off())?;
    Ok((segment, HEADER + length))
}

fn header(input: &[u8]) -> IResult<&[u8], (u8, u8, u16)> {
    (be_u8, be_u8, be_u16).parse(input)
}

fn blocks(input: &[u8]) -> IResult<&[u8], Segment> {
    const DC: u8 = 0x02;
    const CAT: u8 = 0x01;
    let (input, (_, flags, _)) = header(input)?;
    let (input, (source, destination, _, count)) =
        (be_u16, be_u16, take(2_u8), be_u16).parse(input)?;
    let (input, (source_lba, destination_lba)) = (be_u64, be_u64).parse(input)?;
    let segment = Segment {
        source,
        destination,
        cat: flags & CAT != 0,
        source_lba,
        destination_lba,
        amount: Amount::Blocks {
            count,
            of_destination: flags & DC != 0,
        },
    };
    Ok((input, segment))
}

fn offsets(input: &[u8]) -> IResult<&[u8], Segment> {
    const CAT: u8 = 0x01;
    let (input, (_, flags, _)) = header(input)?;
    let (input, (source, destination, count)) = (be_u16, be_u16, be_u32).parse(input)?;
    let (input, (source_lba, destination_lba)) = (be_u64, be_u64).parse(input)?;
    let (input, (source_offset, destination_offset)) = (be_u16, be_u16).parse(input)?;
    let segment = Segment {
        source,
        destination,
        cat: flags & CAT != 0,
        source_lba,
        destination_lba,
        amount: Amount::Bytes {
            count,
            source_offset,
            destination_offset,
        },
    };
    Ok((input, segment))
}

/// What a copy has to know of the logical unit at one end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CopyEndpoint {
    /// Its logical block length.
    pub block_size: BlockSize,
    /// Its capacity in blocks.
    pub blocks: u64,
    /// PAD of its descriptor.
    pub pad: bool,
}

impl CopyEndpoint {
    fn block(self) -> u64 {
        u64::from(self.block_size.bytes())
    }

    /// The capacity in bytes; a unit has never more than can be counted.
    fn bytes(self) -> u64 {
        self.blocks.saturating_mul(self.block())
    }
}

/// Bytes to be copied. The destination is whole blocks; the source may begin and end within one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transfer {
    /// First byte of the source.
    source_offset: u64,
    /// Bytes of the source.
    source_length: u64,
    /// Of the destination; longer than the source where its last block is filled up with zeros.
    destination: Extent,
    source_block: u64,
}

/// One step of a transfer: read, then write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Chunk {
    /// Whole blocks of the source.
    pub read: Extent,
    /// How many of the bytes that were read are not wanted, at the front.
    pub skip: u64,
    /// How many of the others are.
    pub take: u64,
    /// Whole blocks of the destination; what `take` doesn't fill are zeros.
    pub write: Extent,
}

impl Segment {
    /// What segment number `index` is to copy; `None` if nothing. `is_last` of its list.
    pub(crate) fn transfer(
        &self,
        index: u16,
        is_last: bool,
        source: CopyEndpoint,
        destination: CopyEndpoint,
    ) -> Result<Option<Transfer>, CopyFailure> {
        let fail = |additional, byte| {
            CopyFailure::new(index, additional).pointing_at(Pointer::Segment(byte))
        };
        let addresses = (self.source_lba, self.destination_lba);
        let (source_offset, read, destination_offset, write) = match self.amount {
            Amount::Blocks { .. } => {
                let (read, write) = self
                    .exact(is_last, source, destination)
                    .ok_or_else(|| CopyFailure::new(index, INEXACT))?;
                (0, read, 0, write)
            }
            Amount::Bytes {
                count,
                source_offset,
                destination_offset,
            } => {
                if count > MAX_SEGMENT_LENGTH {
                    return Err(fail(INVALID, NUMBER_OF_BYTES_AT));
                }
                let bytes = u64::from(count);
                if !bytes.is_multiple_of(destination.block()) {
                    return Err(fail(GRANULARITY, NUMBER_OF_BYTES_AT));
                }
                let into = u64::from(destination_offset);
                if !into.is_multiple_of(destination.block()) {
                    return Err(fail(GRANULARITY, DESTINATION_OFFSET_AT));
                }
                (u64::from(source_offset), bytes, into, bytes)
            }
        };
        if write == 0 {
            return Ok(None);
        }
        let place = |lba: u64, offset: u64, length: u64, end: CopyEndpoint, byte| {
            lba.checked_mul(end.block())
                .and_then(|start| start.checked_add(offset))
                .filter(|start| *start < end.bytes() && length <= end.bytes() - start)
                // The standard names no additional sense code for an address that the copy manager
                // finds wrong: the pointer says which.
                .ok_or_else(|| fail(AdditionalSense::NONE, byte))
        };
        let source_offset = place(addresses.0, source_offset, read, source, SOURCE_ADDRESS_AT)?;
        let offset = place(
            addresses.1,
            destination_offset,
            write,
            destination,
            DESTINATION_ADDRESS_AT,
        )?;
        Ok(Some(Transfer {
            source_offset,
            source_length: read,
            destination: Extent {
                offset,
                length: write,
            },
            source_block: source.block(),
        }))
    }

    /// How many bytes are read and written by a segment that counts blocks; `None` if they don't fit
    /// each other and nothing says what to do with the rest.
    ///
    /// A rest that CAT gives to the next segment is refused unless there is no next one.
    fn exact(
        &self,
        is_last: bool,
        source: CopyEndpoint,
        destination: CopyEndpoint,
    ) -> Option<(u64, u64)> {
        let Amount::Blocks {
            count,
            of_destination,
        } = self.amount
        else {
            return None;
        };
        let unit = if of_destination { destination } else { source };
        let bytes = u64::from(count) * unit.block();
        if bytes.is_multiple_of(source.block()) && bytes.is_multiple_of(destination.block()) {
            return Some((bytes, bytes));
        }
        let whole = bytes - bytes % destination.block();
        let discarded = Some((whole, whole));
        match (self.cat, source.pad, destination.pad) {
            (true, ..) if is_last => discarded,
            (false, _, true) if !of_destination => Some((bytes, whole + destination.block())),
            (false, false, true) if is_last => discarded,
            (false, true, _) => discarded,
            _ => None,
        }
    }
}

const INVALID: AdditionalSense = AdditionalSense::INVALID_FIELD_IN_PARAMETER_LIST;
const INEXACT: AdditionalSense = AdditionalSense::UNEXPECTED_INEXACT_SEGMENT;
const GRANULARITY: AdditionalSense = AdditionalSense::COPY_SEGMENT_GRANULARITY_VIOLATION;

impl Transfer {
    /// Where it writes.
    #[must_use]
    pub fn destination(&self) -> Extent {
        self.destination
    }

    /// Bytes that it writes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.destination.length
    }

    /// Whether the steps must go from the end to the start, if both ends are the same logical unit:
    /// otherwise a step would overwrite what a later one is to read.
    #[must_use]
    pub fn goes_backwards(&self, same_unit: bool) -> bool {
        let source_end = self.source_offset.saturating_add(self.source_length);
        same_unit
            && self.destination.offset > self.source_offset
            && self.destination.offset < source_end
    }

    /// The step that begins `done` bytes behind the start of the destination and writes at most
    /// `most` bytes; or, going backwards, the one that ends `done` bytes before its end. Both are
    /// multiples of the largest block. `None` at the end.
    #[must_use]
    pub fn chunk(&self, done: u64, most: u64, backwards: bool) -> Option<Chunk> {
        let rest = self.length().checked_sub(done).filter(|rest| *rest > 0)?;
        // Backwards, the first step takes what isn't a whole step.
        let length = match rest % most.max(1) {
            odd if backwards && odd > 0 => odd,
            _ => rest.min(most),
        };
        let at = if backwards { rest - length } else { done };
        let take = self.source_length.saturating_sub(at).min(length);
        let start = self.source_offset + at;
        let skip = start % self.source_block;
        let read = Extent {
            offset: start - skip,
            length: (skip + take).next_multiple_of(self.source_block),
        };
        let write = Extent {
            offset: self.destination.offset + at,
            length,
        };
        Some(Chunk {
            read,
            skip,
            take,
            write,
        })
    }

    /// How many blocks of `block` bytes aren't written when `done` bytes are.
    #[must_use]
    pub fn residual(&self, done: u64, block_size: BlockSize) -> u64 {
        self.length().saturating_sub(done) >> block_size.shift()
    }
}

impl CopySide {
    /// Where the segment descriptor says who it is.
    pub(super) const fn identifier_at(self) -> u16 {
        match self {
            Self::Source => 4,
            Self::Destination => 6,
        }
    }
}
