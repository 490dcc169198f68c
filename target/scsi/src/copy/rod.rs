//! ROD tokens and the two commands that make and use them (SBC-4, "Block device ROD token
//! operations").
//!
//! A token stands for the data that its blocks had when it was made (ROD type "point in time copy -
//! change vulnerable"): whoever keeps the tokens cancels one as soon as one of its blocks changes.

use std::sync::Arc;

use bytes::Bytes;
use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u32, be_u64};
use nom::{IResult, Parser};

use crate::config::LogicalUnitConfig;
use crate::copy::cscd;
use crate::copy::record::CopyRecord;
use crate::nexus::TargetPort;
use crate::plan::Extent;
use crate::sense::{AdditionalSense, Sense};
use crate::unit::LogicalUnit;

/// Length of a ROD token in bytes.
pub const ROD_TOKEN_LENGTH: usize = 512;
/// MAXIMUM RANGE DESCRIPTORS.
pub const MAX_RANGES: u16 = 64;
/// MAXIMUM BYTES IN BLOCK ROD, and of one WRITE USING TOKEN.
pub const MAX_ROD_BYTES: u64 = 1 << 28;
/// OPTIMAL TRANSFER COUNT in bytes.
pub(crate) const OPTIMAL_ROD_BYTES: u64 = 64 << 20;
/// DEFAULT INACTIVITY TIMEOUT in seconds.
pub(crate) const DEFAULT_TIMEOUT: u32 = 60;
/// MAXIMUM INACTIVITY TIMEOUT in seconds.
pub(crate) const MAX_TIMEOUT: u32 = 600;

/// ROD TYPE: point in time copy - default, change vulnerable, any; block device zero ROD token.
const DEFAULT_TYPE: u32 = 0x0080_0000;
const CHANGE_VULNERABLE: u32 = 0x0080_0001;
const ANY_TYPE: u32 = 0x0080_ffff;
const ZERO: u32 = 0xffff_0001;
/// ROD TOKEN LENGTH: what follows the field.
const LENGTH_FIELD: u16 = 0x01f8;
/// Length of a block device range descriptor in bytes.
const RANGE: u16 = 16;
const POPULATE_HEADER: u16 = 16;
const WRITE_HEADER: u16 = 536;
/// The longest parameter list in bytes.
pub(crate) const LONGEST_LIST: u32 = WRITE_HEADER as u32 + RANGE as u32 * MAX_RANGES as u32;
/// Random bytes in a token, at most.
pub const ROD_RANDOM_LENGTH: usize = 384;

/// A ROD token as it goes on the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RodToken(Bytes);

/// What a WRITE USING TOKEN says it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RodTokenKind {
    /// The block device zero ROD token: zeros without end.
    Zero,
    /// One that was made by a POPULATE TOKEN.
    PointInTime,
}

/// Why a token can't be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RodTokenProblem {
    /// Nobody here has made it, or it was made too long ago.
    Unknown,
    /// Its data has changed, or its volume is gone.
    Cancelled,
    /// It wasn't used for longer than its inactivity timeout.
    Expired,
    /// A WRITE USING TOKEN deleted it.
    Deleted,
}

impl RodTokenProblem {
    pub(super) const fn additional(self) -> AdditionalSense {
        match self {
            Self::Unknown => AdditionalSense::INVALID_TOKEN_OPERATION_TOKEN_UNKNOWN,
            Self::Cancelled => AdditionalSense::INVALID_TOKEN_OPERATION_TOKEN_CANCELLED,
            Self::Expired => AdditionalSense::INVALID_TOKEN_OPERATION_TOKEN_EXPIRED,
            Self::Deleted => AdditionalSense::INVALID_TOKEN_OPERATION_TOKEN_DELETED,
        }
    }
}

impl RodToken {
    /// A token for `bytes` bytes of the logical unit that `config` describes, which the target of
    /// `port` shows. `identifier` must never have been used before; `random` must be
    /// cryptographically random, and is what makes the token one that can't be guessed.
    #[must_use]
    pub fn new(
        config: &LogicalUnitConfig,
        port: &TargetPort,
        identifier: u64,
        bytes: u64,
        random: &[u8; ROD_RANDOM_LENGTH],
    ) -> Self {
        const DEVICE_DATA_AT: usize = 96;
        const TARGET_AT: usize = 128;
        let mut token = Vec::with_capacity(ROD_TOKEN_LENGTH);
        token.extend(CHANGE_VULNERABLE.to_be_bytes());
        token.extend([0, 0]);
        token.extend(LENGTH_FIELD.to_be_bytes());
        token.extend(identifier.to_be_bytes());
        token.extend(cscd::naming(config));
        token.extend(u128::from(bytes).to_be_bytes());
        token.resize(DEVICE_DATA_AT, 0);
        token.extend(config.block_size.bytes().to_be_bytes());
        token.extend([0, config.physical_block_exponent & 0x0f]);
        token.resize(TARGET_AT, 0);
        token.extend(crate::commands::inquiry::target_device_designator(port));
        token.extend(random);
        token.truncate(ROD_TOKEN_LENGTH);
        Self(token.into())
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether both are the same, in a time that doesn't depend on where they differ.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let differ = |all: u8, (a, b): (&u8, &u8)| all | (a ^ b);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).fold(0, differ) == 0
    }
}

/// POPULATE TOKEN: what a token is to be made of.
#[derive(Clone, Debug)]
pub struct PopulateToken {
    /// In order; whole blocks, not empty, not overlapping.
    pub ranges: Vec<Extent>,
    /// After how many seconds without use the token may be forgotten.
    pub inactivity_timeout: u32,
    pub(crate) record: Arc<CopyRecord>,
}

/// WRITE USING TOKEN: what is to be written where.
#[derive(Clone, Debug)]
pub struct WriteUsingToken {
    /// What is to be written.
    pub token: RodToken,
    /// What the token says it is.
    pub kind: RodTokenKind,
    /// Where to begin in what the token stands for, in bytes.
    pub offset: u64,
    /// Where to, in order; whole blocks, not empty, not overlapping.
    pub ranges: Vec<Extent>,
    /// The token is to be deleted afterwards.
    pub delete: bool,
    pub(crate) record: Arc<CopyRecord>,
}

impl WriteUsingToken {
    /// `bytes` more have been written, in order and without a gap.
    pub fn written(&self, bytes: u64) {
        self.record.written(bytes);
    }

    /// Whether a COPY OPERATION ABORT wants the operation to end.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.record.is_aborted()
    }
}

macro_rules! same_operation {
    ($($name:ident)*) => {
        $(
            /// The same operation, not one that looks alike.
            impl PartialEq for $name {
                fn eq(&self, other: &Self) -> bool {
                    Arc::ptr_eq(&self.record, &other.record)
                }
            }

            impl Eq for $name {}
        )*
    };
}

same_operation!(PopulateToken WriteUsingToken);

/// A checked parameter list of POPULATE TOKEN: ranges and inactivity timeout.
pub(crate) fn populate_list(list: &[u8], unit: &LogicalUnit) -> Result<(Vec<Extent>, u32), Sense> {
    const LEAST: u16 = 0x1e;
    const RTV: u8 = 0x02;
    let (_, header) = populate_header(list).map_err(|_| length_error())?;
    if header.length < LEAST {
        return Err(invalid(0));
    }
    if header.timeout > MAX_TIMEOUT {
        return Err(invalid(4));
    }
    let known = [DEFAULT_TYPE, CHANGE_VULNERABLE, ANY_TYPE].contains(&header.rod_type);
    if header.flags & RTV != 0 && !known {
        return Err(invalid(8));
    }
    let ranges = ranges(list, POPULATE_HEADER, header.ranges, unit)?;
    let timeout = match header.timeout {
        0 => DEFAULT_TIMEOUT,
        seconds => seconds,
    };
    Ok((ranges, timeout))
}

struct PopulateHeader {
    length: u16,
    flags: u8,
    timeout: u32,
    rod_type: u32,
    ranges: u16,
}

fn populate_header(input: &[u8]) -> IResult<&[u8], PopulateHeader> {
    let (input, (length, flags, _)) = (be_u16, be_u8, be_u8).parse(input)?;
    let (input, (timeout, rod_type, _, ranges)) =
        (be_u32, be_u32, take(2_u8), be_u16).parse(input)?;
    let header = PopulateHeader {
        length,
        flags,
        timeout,
        rod_type,
        ranges,
    };
    Ok((input, header))
}

/// A checked parameter list of WRITE USING TOKEN; the record is added by the caller.
pub(crate) struct WriteList {
    pub(crate) token: RodToken,
    pub(crate) kind: RodTokenKind,
    pub(crate) offset: u64,
    pub(crate) ranges: Vec<Extent>,
    pub(crate) delete: bool,
}

pub(crate) fn write_list(list: &Bytes, unit: &LogicalUnit) -> Result<WriteList, Sense> {
    const LEAST: u16 = 0x0226;
    const DEL_TKN: u8 = 0x02;
    const TOKEN_AT: usize = 16;
    let (_, (length, flags, offset)) = write_header(list).map_err(|_| length_error())?;
    if length < LEAST {
        return Err(invalid(0));
    }
    let token = list.slice(TOKEN_AT..TOKEN_AT + ROD_TOKEN_LENGTH);
    let (_, (rod_type, token_length)) = token_header(&token).map_err(|_| length_error())?;
    if token_length != LENGTH_FIELD {
        let additional = AdditionalSense::INVALID_TOKEN_OPERATION_INVALID_TOKEN_LENGTH;
        return Err(Sense::illegal_request(additional));
    }
    let kind = match rod_type {
        ZERO => RodTokenKind::Zero,
        CHANGE_VULNERABLE => RodTokenKind::PointInTime,
        _ => {
            let additional = AdditionalSense::INVALID_TOKEN_OPERATION_UNSUPPORTED_TOKEN_TYPE;
            return Err(Sense::illegal_request(additional));
        }
    };
    let (_, described) = write_ranges_length(list).map_err(|_| length_error())?;
    let block = u64::from(unit.config().block_size.bytes());
    Ok(WriteList {
        token: RodToken(token),
        kind,
        offset: offset.checked_mul(block).ok_or_else(|| invalid(8))?,
        ranges: ranges(list, WRITE_HEADER, described, unit)?,
        delete: flags & DEL_TKN != 0,
    })
}

fn write_header(input: &[u8]) -> IResult<&[u8], (u16, u8, u64)> {
    let (input, (length, flags, _)) = (be_u16, be_u8, take(5_u8)).parse(input)?;
    let (input, (offset, _)) = (be_u64, take(ROD_TOKEN_LENGTH)).parse(input)?;
    Ok((input, (length, flags, offset)))
}

fn token_header(input: &[u8]) -> IResult<&[u8], (u32, u16)> {
    let (input, (rod_type, _, length)) = (be_u32, take(2_u8), be_u16).parse(input)?;
    Ok((input, (rod_type, length)))
}

fn write_ranges_length(input: &[u8]) -> IResult<&[u8], u16> {
    let (input, _) = take(WRITE_HEADER - 2).parse(input)?;
    be_u16.parse(input)
}

fn length_error() -> Sense {
    Sense::illegal_request(AdditionalSense::PARAMETER_LIST_LENGTH_ERROR)
}

fn invalid(byte: u16) -> Sense {
    Sense::invalid_field_in_parameter_list(byte, None)
}

/// The block device range descriptors behind the `header`, of which there are `length` bytes; those
/// that the list cuts off are ignored, as the standard says. Empty ones are left out.
fn ranges(list: &[u8], header: u16, length: u16, unit: &LogicalUnit) -> Result<Vec<Extent>, Sense> {
    let at = header - 2;
    if length < RANGE {
        return Err(invalid(at));
    }
    let there = list.get(usize::from(header)..).unwrap_or_default();
    let described = there.get(..usize::from(length)).unwrap_or(there);
    let descriptors = described.chunks_exact(usize::from(RANGE));
    if descriptors.len() > usize::from(MAX_RANGES) {
        let additional = AdditionalSense::TOO_MANY_SEGMENT_DESCRIPTORS;
        return Err(Sense::illegal_request(additional));
    }
    let mut extents = Vec::with_capacity(descriptors.len());
    let mut total = 0_u64;
    for (descriptor, place) in descriptors.zip((header..).step_by(usize::from(RANGE))) {
        let (_, (lba, blocks)) = range(descriptor).map_err(|_| length_error())?;
        if blocks == 0 {
            continue;
        }
        let extent = unit.extent(lba, u64::from(blocks))?;
        total = total.saturating_add(extent.length);
        if total > MAX_ROD_BYTES {
            return Err(invalid(place + 8));
        }
        let overlaps = |other: &Extent| extent.offset < other.end() && other.offset < extent.end();
        if extents.iter().any(overlaps) {
            return Err(invalid(place));
        }
        extents.push(extent);
    }
    Ok(extents)
}

fn range(input: &[u8]) -> IResult<&[u8], (u64, u32)> {
    (be_u64, be_u32).parse(input)
}
