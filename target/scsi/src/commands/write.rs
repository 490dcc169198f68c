//! WRITE (6), (10), (12) and (16) (SBC-4).

use crate::commands::read::{BlockRange, check_protect, dpo_fua};
use crate::commands::{AwaitingData, Finish, Refusal, Request, data_out_too_short, length_of};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::unit::LogicalUnit;

/// A write whose data is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingWrite {
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
    check_protect(cdb)?;
    let (_, fua) = dpo_fua(cdb);
    let extent = unit.transfer_extent(BlockRange::of(cdb))?;
    let length = deliverable(unit, request, extent.length)?;
    let pending = PendingWrite {
        extent: Extent {
            length: u64::from(length),
            ..extent
        },
        transfer_length: extent.length,
        fua,
    };
    if length == 0 {
        return Plan::reply(Reply::written(extent.length));
    }
    Ok(Plan::need_data(length, AwaitingData::Write(pending)))
}

/// How much of `wanted` bytes of data-out the initiator can deliver.
///
/// An initiator that announces less than the CDB asks for has whole blocks written, as many as it
/// brings, and finds the rest in the residual count. Half a block can't be written, and neither can
/// anything when the command is not flagged as a write: then nothing is transferred, and the sense
/// data says that the command and its envelope disagree.
pub(crate) fn deliverable(
    unit: &LogicalUnit,
    request: &Request<'_>,
    wanted: u64,
) -> Result<u32, Refusal> {
    let available = request.command.data_out_available();
    let length = u32::try_from(wanted).unwrap_or(u32::MAX).min(available);
    let short = u64::from(length) < wanted;
    if short && (!request.command.write || !unit.is_whole_blocks(u64::from(length))) {
        return Err(data_out_too_short(wanted));
    }
    Ok(length)
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    pending: PendingWrite,
    data: DataPieces,
) -> Result<Plan, Refusal> {
    let PendingWrite {
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
        Operation::Write { extent, data, fua },
        finish,
    ))
}
