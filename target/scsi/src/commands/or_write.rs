//! ORWRITE(16) (SBC-4): the bits that are set in the data-out are set on the medium.

use crate::commands::read::{BlockRange, check_protect, dpo_fua};
use crate::commands::write::deliverable;
use crate::commands::{AwaitingData, Finish, Refusal, Request, data_out_too_short, length_of};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::unit::LogicalUnit;

/// An ORWRITE whose data is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingOrWrite {
    extent: Extent,
    transfer_length: u64,
    fua: bool,
}

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    // ORPROTECT, which has WRPROTECT's place and rules.
    check_protect(cdb)?;
    let (_, fua) = dpo_fua(cdb);
    let extent = unit.transfer_extent(BlockRange::of(cdb))?;
    let length = deliverable(unit, request, extent.length)?;
    if length == 0 {
        return Plan::reply(Reply::written(extent.length));
    }
    let pending = PendingOrWrite {
        extent: Extent {
            length: u64::from(length),
            ..extent
        },
        transfer_length: extent.length,
        fua,
    };
    Ok(Plan::need_data(length, AwaitingData::OrWrite(pending)))
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    pending: PendingOrWrite,
    data: DataPieces,
) -> Result<Plan, Refusal> {
    let PendingOrWrite {
        extent,
        transfer_length,
        fua,
    } = pending;
    if length_of(&data) != extent.length {
        return Err(data_out_too_short(transfer_length));
    }
    let extent = unit.still_inside(extent)?;
    let fua = fua || !unit.write_cache_enabled();
    let finish = Finish::caching(extent, transfer_length, fua);
    Ok(Plan::execute(
        Operation::OrWrite { extent, data, fua },
        finish,
    ))
}
