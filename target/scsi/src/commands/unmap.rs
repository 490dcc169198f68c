//! UNMAP (SBC-4).

use bytes::Bytes;
use nom::multi::fold_many0;
use nom::number::complete::{be_u16, be_u32, be_u64};
use nom::{IResult, Parser};
use smallvec::SmallVec;

use crate::cdb::invalid_field;
use crate::commands::{
    AwaitingData, Finish, Refusal, Request, contiguous, parameter_list, parameter_list_length_error,
};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::sense::Sense;
use crate::unit::LogicalUnit;

const ANCHOR: u8 = 0x01;
const HEADER: u16 = 8;
const DESCRIPTOR: u16 = 16;

pub(crate) fn handle(_: &LogicalUnit, _: &LuNexus, request: &Request<'_>) -> Result<Plan, Refusal> {
    const PARAMETER_LIST_LENGTH: usize = 7;
    let cdb = request.cdb;
    if cdb.flag(1, ANCHOR) {
        return Err(invalid_field(1, 0).into());
    }
    match cdb.u16(PARAMETER_LIST_LENGTH) {
        0 => Plan::reply(Reply::good()),
        length if length < HEADER => Err(parameter_list_length_error().into()),
        length => parameter_list(request, u32::from(length), AwaitingData::Unmap),
    }
}

pub(crate) fn data_out(unit: &LogicalUnit, data: &DataPieces) -> Result<Plan, Refusal> {
    let list = contiguous(data);
    let transfer_length = u64::try_from(list.len()).unwrap_or(u64::MAX);
    let extents = extents(unit, &list)?;
    let Some(touched) = extents.iter().copied().reduce(|all, extent| Extent {
        offset: all.offset.min(extent.offset),
        length: all.end().max(extent.end()) - all.offset.min(extent.offset),
    }) else {
        return Plan::reply(Reply::written(transfer_length));
    };
    // Without a write cache, finishing adds a flush: the new state must outlive a power loss, too.
    let finish = Finish::caching(touched, transfer_length, false);
    Ok(Plan::execute(Operation::Unmap { extents }, finish))
}

/// One UNMAP block descriptor.
#[derive(Clone, Copy)]
struct BlockDescriptor {
    lba: u64,
    blocks: u32,
}

/// The header: UNMAP DATA LENGTH, UNMAP BLOCK DESCRIPTOR DATA LENGTH, four reserved bytes.
fn header(input: &[u8]) -> IResult<&[u8], (u16, u16)> {
    let (rest, (data_length, descriptors_length, _)) = (be_u16, be_u16, be_u32).parse(input)?;
    Ok((rest, (data_length, descriptors_length)))
}

fn descriptor(input: &[u8]) -> IResult<&[u8], BlockDescriptor> {
    let (rest, (lba, blocks, _)) = (be_u64, be_u32, be_u32).parse(input)?;
    Ok((rest, BlockDescriptor { lba, blocks }))
}

fn descriptors(input: &[u8]) -> IResult<&[u8], Vec<BlockDescriptor>> {
    fold_many0(descriptor, Vec::new, |mut all, one| {
        all.push(one);
        all
    })
    .parse(input)
}

/// The extents of a parameter list, without empty ones. All of them are checked before any is
/// unmapped.
fn extents(unit: &LogicalUnit, list: &Bytes) -> Result<SmallVec<[Extent; 4]>, Sense> {
    const DESCRIPTORS_LENGTH_AT: u16 = 2;
    let limits = &unit.config().limits;
    let (rest, (_, length)) = header(list).map_err(|_| parameter_list_length_error())?;
    let rest = rest
        .get(..usize::from(length))
        .ok_or_else(parameter_list_length_error)?;
    let too_many = u32::from(length / DESCRIPTOR) > limits.max_unmap_descriptors;
    if too_many {
        return Err(Sense::invalid_field_in_parameter_list(
            DESCRIPTORS_LENGTH_AT,
            None,
        ));
    }
    let (_, all) = descriptors(rest).map_err(|_| parameter_list_length_error())?;

    let mut extents = SmallVec::new();
    let mut total = 0_u64;
    for (index, BlockDescriptor { lba, blocks }) in (0_u16..).zip(all) {
        total += u64::from(blocks);
        if total > u64::from(limits.max_unmap_blocks) {
            let at = index.saturating_mul(DESCRIPTOR).saturating_add(HEADER + 8);
            return Err(Sense::invalid_field_in_parameter_list(at, None));
        }
        if blocks > 0 {
            extents.push(unit.extent(lba, u64::from(blocks))?);
        }
    }
    Ok(extents)
}
