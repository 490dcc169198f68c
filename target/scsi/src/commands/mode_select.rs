//! MODE SELECT (6) and (10) (SPC-5): all of the parameter list is checked before any of it is taken
//! over.

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u24, be_u32, be_u64};

use crate::attention::UnitAttention;
use crate::cdb::invalid_field;
use crate::commands::mode_pages::{self, ALL_PAGES, NO_SUBPAGE, PageControl, SPF};
use crate::commands::{
    AwaitingData, Effect, Finish, Refusal, Request, contiguous, parameter_list,
    parameter_list_length_error,
};
use crate::mode::{ModeParameters, ModeSaving};
use crate::nexus::LuNexus;
use crate::plan::{Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::sense::Sense;
use crate::unit::LogicalUnit;

const PF: u8 = 0x10;
const SP: u8 = 0x01;

/// A MODE SELECT whose parameter list is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingModeSelect {
    save: bool,
    ten: bool,
}

pub(crate) fn handle_6(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    begin(unit, request, u16::from(request.cdb.u8(4)), false)
}

pub(crate) fn handle_10(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    begin(unit, request, request.cdb.u16(7), true)
}

fn begin(
    unit: &LogicalUnit,
    request: &Request<'_>,
    length: u16,
    ten: bool,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    // Without PF the list has a vendor's own format, and there is none.
    if !cdb.flag(1, PF) {
        return Err(invalid_field(1, 4).into());
    }
    let save = cdb.flag(1, SP);
    if save && unit.config().mode_saving == ModeSaving::NotSupported {
        return Err(invalid_field(1, 0).into());
    }
    if length == 0 {
        return Plan::reply(Reply::good());
    }
    let pending = PendingModeSelect { save, ten };
    parameter_list(
        request,
        u32::from(length),
        AwaitingData::ModeSelect(pending),
    )
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    pending: PendingModeSelect,
    data: &DataPieces,
) -> Result<Plan, Refusal> {
    let list = contiguous(data);
    let before = unit.mode();
    let after = parse(unit, before, &list, pending.ten)?;
    if after != before {
        unit.set_mode(after);
        unit.raise(UnitAttention::ModeParametersChanged, Some(nexus.id()));
    }
    let transfer_length = u64::try_from(list.len()).unwrap_or(u64::MAX);
    let extent = unit.whole();
    let effect = if pending.save {
        Effect::SavesMode(after)
    } else {
        Effect::Writes
    };
    let finish = Finish {
        extent,
        transfer_length,
        effect,
    };
    // What was acknowledged from the cache is made durable before the cache is said to be off.
    let flush = before.write_cache && !after.write_cache && extent.length > 0;
    let flush = flush.then_some(Operation::Flush { extent });
    let save = pending
        .save
        .then_some(Operation::SaveModeParameters { parameters: after });
    match (flush, save) {
        (Some(first), Some(second)) => Ok(Plan::execute_then(first, second, finish)),
        (Some(only), None) | (None, Some(only)) => Ok(Plan::execute(only, finish)),
        (None, None) => Plan::reply(Reply::written(transfer_length)),
    }
}

/// What the header says about the block descriptor.
struct Header {
    medium_type: u8,
    long_lba: bool,
    descriptor_length: u16,
}

/// MODE DATA LENGTH is reserved for MODE SELECT, and the device-specific parameter is read-only.
fn header(ten: bool, input: &[u8]) -> IResult<&[u8], Header> {
    const LONGLBA: u8 = 0x01;
    if ten {
        let (rest, (_, medium_type, _, flags, _, descriptor_length)) =
            (be_u16, be_u8, be_u8, be_u8, be_u8, be_u16).parse(input)?;
        Ok((
            rest,
            Header {
                medium_type,
                long_lba: flags & LONGLBA != 0,
                descriptor_length,
            },
        ))
    } else {
        let (rest, (_, medium_type, _, length)) = (be_u8, be_u8, be_u8, be_u8).parse(input)?;
        Ok((
            rest,
            Header {
                medium_type,
                long_lba: false,
                descriptor_length: u16::from(length),
            },
        ))
    }
}

/// Number of blocks and block length of a block descriptor, short or long.
fn block_descriptor(long: bool, input: &[u8]) -> IResult<&[u8], (u64, u32)> {
    if long {
        let (rest, (blocks, _, length)) = (be_u64, be_u32, be_u32).parse(input)?;
        Ok((rest, (blocks, length)))
    } else {
        let (rest, (blocks, _, length)) = (be_u32, be_u8, be_u24).parse(input)?;
        let blocks = if blocks == u32::MAX {
            u64::MAX
        } else {
            u64::from(blocks)
        };
        Ok((rest, (blocks, length)))
    }
}

/// One page of a list.
struct Page<'a> {
    code: u8,
    subpage: u8,
    /// Bytes in front of the values.
    header: usize,
    whole: &'a [u8],
}

/// One page in page_0 format or in sub_page format.
fn page(input: &[u8]) -> IResult<&[u8], Page<'_>> {
    let (_, (code, second)) = (be_u8, be_u8).parse(input)?;
    let (subpage, header, length) = if code & SPF == 0 {
        (NO_SUBPAGE, 2, usize::from(second))
    } else {
        let (_, (_, _, length)) = (be_u8, be_u8, be_u16).parse(input)?;
        (second, 4, usize::from(length))
    };
    let (rest, whole) = take(header + length).parse(input)?;
    let page = Page {
        code,
        subpage,
        header,
        whole,
    };
    Ok((rest, page))
}

/// The parameters after the list: everything in it that can't be changed must be as it is.
fn parse(
    unit: &LogicalUnit,
    before: ModeParameters,
    list: &[u8],
    ten: bool,
) -> Result<ModeParameters, Sense> {
    let (rest, header) = header(ten, list).map_err(|_| parameter_list_length_error())?;
    if header.medium_type != 0 {
        return Err(invalid(list, if ten { 2 } else { 1 }, None));
    }
    let mut rest = match (header.descriptor_length, header.long_lba) {
        (0, _) => rest,
        (8, false) | (16, true) => {
            let (after, (blocks, length)) = block_descriptor(header.long_lba, rest)
                .map_err(|_| parameter_list_length_error())?;
            check_geometry(unit, list, rest, blocks, length)?;
            after
        }
        _ => return Err(invalid(list, if ten { 6 } else { 3 }, None)),
    };
    let mut after = before;
    while !rest.is_empty() {
        let (next, page) = page(rest).map_err(|_| parameter_list_length_error())?;
        let at = list.len() - rest.len();
        check_page(unit, before, list, at, &page)?;
        mode_pages::apply(page.whole, &mut after);
        rest = next;
    }
    Ok(after)
}

/// The geometry can't be changed: the descriptor repeats it, or says "as it is".
fn check_geometry(
    unit: &LogicalUnit,
    list: &[u8],
    rest: &[u8],
    blocks: u64,
    length: u32,
) -> Result<(), Sense> {
    let at = list.len() - rest.len();
    let same_blocks = blocks == 0 || blocks == u64::MAX || blocks == unit.blocks();
    if !same_blocks {
        return Err(invalid(list, at, None));
    }
    if length != unit.config().block_size.bytes() {
        return Err(invalid(list, at + 4, None));
    }
    Ok(())
}

/// A page must be one that exists, as long as it is, and differ in changeable bits only.
fn check_page(
    unit: &LogicalUnit,
    before: ModeParameters,
    list: &[u8],
    at: usize,
    page: &Page<'_>,
) -> Result<(), Sense> {
    let known = (page.code & ALL_PAGES, page.subpage);
    let as_it_is = |control| mode_pages::page(unit, before, known, control);
    // Subpage zero has no subpage format.
    let right_format = page.header == 2 || page.subpage != NO_SUBPAGE;
    let (true, Some(current), Some(changeable)) = (
        right_format,
        as_it_is(PageControl::Current),
        as_it_is(PageControl::Changeable),
    ) else {
        return Err(invalid(list, at, Some(5)));
    };
    let whole = page.whole;
    if whole.len() != current.len() {
        let length_at = if page.header == 2 { 1 } else { 2 };
        return Err(invalid(list, at + length_at, None));
    }
    let values = whole.iter().zip(&current).zip(&changeable).enumerate();
    // The header is not a value: PS is reserved here.
    for (offset, ((new, old), mask)) in values.skip(page.header) {
        let wrong = (new ^ old) & !mask;
        if wrong != 0 {
            let bit = u8::try_from(wrong.ilog2()).ok();
            return Err(invalid(list, at + offset, bit));
        }
    }
    Ok(())
}

/// INVALID FIELD IN PARAMETER LIST at byte `at` of `list`.
fn invalid(list: &[u8], at: usize, bit: Option<u8>) -> Sense {
    let byte = u16::try_from(at.min(list.len())).unwrap_or(u16::MAX);
    Sense::invalid_field_in_parameter_list(byte, bit)
}
