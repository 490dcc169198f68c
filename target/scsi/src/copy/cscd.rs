//! CSCD descriptors: who a copy source or copy destination is (SPC-5, "CSCD descriptors"). Only the
//! Identification Descriptor CSCD descriptor is supported.

use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u24};
use nom::{IResult, Parser};
use smallvec::SmallVec;

use crate::config::LogicalUnitConfig;
use crate::sense::{AdditionalSense, Sense};

/// DESCRIPTOR TYPE CODE of the Identification Descriptor CSCD descriptor.
pub(super) const IDENTIFICATION: u8 = 0xe4;
/// Length of a CSCD descriptor in bytes.
pub(crate) const CSCD_LENGTH: u16 = 32;
/// The longest designator that fits.
const MAX_DESIGNATOR: u8 = 20;

/// A designator as a Device Identification VPD page shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Designation {
    /// CODE SET.
    pub(crate) code_set: u8,
    /// ASSOCIATION: 0 is the logical unit.
    pub(crate) association: u8,
    /// DESIGNATOR TYPE.
    pub(crate) designator_type: u8,
    /// DESIGNATOR, 20 bytes at most.
    pub(crate) designator: SmallVec<[u8; 20]>,
}

/// One CSCD descriptor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cscd {
    pub(crate) designation: Designation,
    /// PERIPHERAL DEVICE TYPE.
    pub(crate) device_type: u8,
    /// PAD.
    pub(crate) pad: bool,
    /// DISK BLOCK LENGTH in bytes, or 0 if the copy manager is to find out.
    pub(crate) block_length: u32,
}

/// Reads the descriptor in `bytes`, which begin at `at` in the parameter list.
pub(super) fn parse(bytes: &[u8], at: u16) -> Result<Cscd, Sense> {
    let invalid = |byte: u16| Sense::invalid_field_in_parameter_list(at.saturating_add(byte), None);
    if bytes.first() != Some(&IDENTIFICATION) {
        let additional = AdditionalSense::UNSUPPORTED_TARGET_DESCRIPTOR_TYPE_CODE;
        return Err(Sense::illegal_request(additional).with_parameter_pointer(at));
    }
    let (_, raw) = raw(bytes).map_err(|_| invalid(0))?;
    let designator = raw
        .designator
        .get(..usize::from(raw.length))
        .ok_or_else(|| invalid(7))?;
    Ok(Cscd {
        designation: Designation {
            code_set: raw.code_set & 0x0f,
            association: raw.kind >> 4 & 0x03,
            designator_type: raw.kind & 0x0f,
            designator: designator.into(),
        },
        device_type: raw.device & 0x1f,
        pad: raw.flags & 0x04 != 0,
        block_length: raw.block_length,
    })
}

/// The descriptor of the logical unit that `config` describes, by its NAA designator.
pub(super) fn naming(config: &LogicalUnitConfig) -> Vec<u8> {
    const BINARY: u8 = 0x01;
    const NAA: u8 = 0x03;
    let naa = config.identity.naa;
    let length = u8::try_from(naa.len()).unwrap_or(0);
    let mut bytes = vec![IDENTIFICATION, 0, 0, 0, BINARY, NAA, 0, length];
    bytes.extend(naa);
    bytes.resize(28, 0);
    bytes.extend(config.block_size.bytes().to_be_bytes());
    bytes
}

struct Raw<'a> {
    device: u8,
    code_set: u8,
    kind: u8,
    length: u8,
    designator: &'a [u8],
    flags: u8,
    block_length: u32,
}

/// The fields of the descriptor. The relative initiator port identifier is left out: no initiator
/// port is needed to reach a logical unit of this device.
fn raw(input: &[u8]) -> IResult<&[u8], Raw<'_>> {
    let (input, (_, device, _)) = (be_u8, be_u8, take(2_u8)).parse(input)?;
    let (input, (code_set, kind, _, length)) = (be_u8, be_u8, be_u8, be_u8).parse(input)?;
    let (input, designator) = take(MAX_DESIGNATOR).parse(input)?;
    let (input, (flags, block_length)) = (be_u8, be_u24).parse(input)?;
    let raw = Raw {
        device,
        code_set,
        kind,
        length,
        designator,
        flags,
        block_length,
    };
    Ok((input, raw))
}
