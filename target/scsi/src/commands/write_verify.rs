//! WRITE AND VERIFY (10), (12) and (16) (SBC-4): the data is made durable, then checked.

use crate::cdb::invalid_field;
use crate::commands::read::{BlockRange, check_protect};
use crate::commands::verify::ByteCheck;
use crate::commands::write::deliverable;
use crate::commands::{AwaitingData, Finish, Refusal, Request, data_out_too_short, length_of};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::unit::LogicalUnit;

/// A write that is to be verified and whose data is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingWriteVerify {
    extent: Extent,
    transfer_length: u64,
    compare: bool,
}

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    check_protect(cdb)?;
    let compare = match ByteCheck::of(cdb)? {
        ByteCheck::Medium => false,
        ByteCheck::Data => true,
        // 11b is reserved for WRITE AND VERIFY.
        ByteCheck::OneBlock => return Err(invalid_field(1, 2).into()),
    };
    let extent = unit.transfer_extent(BlockRange::of(cdb))?;
    let length = deliverable(unit, request, extent.length)?;
    if length == 0 {
        return Plan::reply(Reply::written(extent.length));
    }
    let pending = PendingWriteVerify {
        extent: Extent {
            length: u64::from(length),
            ..extent
        },
        transfer_length: extent.length,
        compare,
    };
    Ok(Plan::need_data(length, AwaitingData::WriteVerify(pending)))
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    pending: PendingWriteVerify,
    data: DataPieces,
) -> Result<Plan, Refusal> {
    let PendingWriteVerify {
        extent,
        transfer_length,
        compare,
    } = pending;
    if length_of(&data) != extent.length {
        return Err(data_out_too_short(transfer_length));
    }
    let extent = unit.still_inside(extent)?;
    let check = if compare {
        Operation::Compare {
            extent,
            data: data.clone(),
        }
    } else {
        Operation::Verify { extent }
    };
    let write = Operation::Write {
        extent,
        data,
        fua: true,
    };
    Ok(Plan::execute_then(
        write,
        check,
        Finish::writing(extent, transfer_length),
    ))
}
