//! FORMAT UNIT (SBC-4): all blocks read as zeros afterwards. The geometry stays as it is, there is no
//! protection information, and defects are below the host's file system.

use nom::Parser;
use nom::number::complete::{be_u8, be_u16, be_u32};

use crate::cdb::invalid_field;
use crate::commands::sanitize::renew;
use crate::commands::{
    AwaitingData, Refusal, Request, contiguous, parameter_list, parameter_list_length_error,
};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::renewal::Renewal;
use crate::reply::DataPieces;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

const FMTPINFO: u8 = 0xc0;
const LONGLIST: u8 = 0x20;
const FMTDATA: u8 = 0x10;
const DEFECT_LIST_FORMAT: u8 = 0x07;

/// A FORMAT UNIT whose parameter list header is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingFormat {
    long: bool,
}

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    if cdb.flag(1, FMTPINFO) {
        return Err(invalid_field(1, 7).into());
    }
    let long = cdb.flag(1, LONGLIST);
    if cdb.flag(1, FMTDATA) {
        // The CDB doesn't tell the length of the list: its header does, and no more is supported.
        let length = if long { 8 } else { 4 };
        let pending = PendingFormat { long };
        return parameter_list(request, length, AwaitingData::Format(pending));
    }
    // Without a list there is nothing that these could describe.
    if long {
        return Err(invalid_field(1, 5).into());
    }
    if cdb.flag(1, DEFECT_LIST_FORMAT) {
        return Err(invalid_field(1, 2).into());
    }
    renew(unit, Renewal::Format, false, 0)
}

/// The fields of a short or long parameter list header that matter.
struct Header {
    protection_field_usage: u8,
    flags: u8,
    protection: u8,
    defect_list_length: u32,
}

fn header(long: bool, list: &[u8]) -> Result<Header, Sense> {
    let error = |_: nom::Err<nom::error::Error<&[u8]>>| parameter_list_length_error();
    if long {
        let (_, (protection_field_usage, flags, reserved, protection, defect_list_length)) =
            (be_u8, be_u8, be_u8, be_u8, be_u32)
                .parse(list)
                .map_err(error)?;
        if reserved != 0 {
            return Err(Sense::invalid_field_in_parameter_list(2, None));
        }
        return Ok(Header {
            protection_field_usage,
            flags,
            protection,
            defect_list_length,
        });
    }
    let (_, (protection_field_usage, flags, defect_list_length)) =
        (be_u8, be_u8, be_u16).parse(list).map_err(error)?;
    Ok(Header {
        protection_field_usage,
        flags,
        protection: 0,
        defect_list_length: u32::from(defect_list_length),
    })
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    pending: PendingFormat,
    data: &DataPieces,
) -> Result<Plan, Refusal> {
    const IMMED: u8 = 0x02;
    /// Format options valid: the four bits behind it mean something.
    const FOV: u8 = 0x80;
    /// Disable certification, and stop when a defect list can't be accessed: there is no
    /// certification, and the lists are always accessible.
    const DCRT_STPF: u8 = 0x30;
    let list = contiguous(data);
    let header = header(pending.long, &list)?;
    if header.protection_field_usage != 0 {
        return Err(Sense::invalid_field_in_parameter_list(0, None).into());
    }
    let mut allowed = FOV | IMMED;
    if header.flags & FOV != 0 {
        allowed |= DCRT_STPF;
    }
    let wrong = header.flags & !allowed;
    if wrong != 0 {
        let bit = u8::try_from(wrong.ilog2()).ok();
        return Err(Sense::invalid_field_in_parameter_list(1, bit).into());
    }
    if header.protection != 0 {
        return Err(Sense::invalid_field_in_parameter_list(3, None).into());
    }
    if header.defect_list_length != 0 {
        let at = if pending.long { 4 } else { 2 };
        return Err(Sense::invalid_field_in_parameter_list(at, None).into());
    }
    let transfer_length = u64::try_from(list.len()).unwrap_or(u64::MAX);
    renew(
        unit,
        Renewal::Format,
        header.flags & IMMED != 0,
        transfer_length,
    )
}
