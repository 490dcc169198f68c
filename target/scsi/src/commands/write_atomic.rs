//! WRITE ATOMIC(16) (SBC-4).
//!
//! With an ATOMIC BOUNDARY a write may be done in several atomic ones. It is done in one all the same,
//! which is the stronger promise.

use crate::cdb::{Cdb, invalid_field};
use crate::commands::read::check_protect;
use crate::commands::{AwaitingData, Finish, Refusal, Request, data_out_too_short, length_of};
use crate::config::LogicalUnitConfig;
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::unit::LogicalUnit;

/// Where ATOMIC BOUNDARY is.
const BOUNDARY_AT: u16 = 10;
/// Where TRANSFER LENGTH is.
const LENGTH_AT: u16 = 12;

/// An atomic write whose data is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingWriteAtomic {
    extent: Extent,
}

/// MAXIMUM ATOMIC TRANSFER LENGTH in blocks, with an atomic boundary or without, and MAXIMUM ATOMIC
/// BOUNDARY SIZE: at most what their fields of the CDB can hold. Zero: there are no atomic writes.
pub(crate) fn max_blocks(config: &LogicalUnitConfig) -> u16 {
    let blocks = config.limits.max_atomic_bytes >> config.block_size.shift();
    u16::try_from(blocks.min(config.max_transfer_blocks())).unwrap_or(u16::MAX)
}

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    check_protect(cdb)?;
    // DPO is a hint, and FUA asks for no more than what is done anyway.
    let blocks = cdb.u16(usize::from(LENGTH_AT));
    let extent = unit.extent(cdb.u64(2), u64::from(blocks))?;
    check_lengths(unit.config(), cdb, blocks)?;
    let length = u32::try_from(extent.length).unwrap_or(u32::MAX);
    if request.command.data_out_available() < length {
        // Half of it isn't to be had.
        return Err(data_out_too_short(extent.length));
    }
    if length == 0 {
        return Plan::reply(Reply::good());
    }
    let pending = PendingWriteAtomic { extent };
    Ok(Plan::need_data(length, AwaitingData::WriteAtomic(pending)))
}

/// No alignment and no granularity are asked for.
fn check_lengths(config: &LogicalUnitConfig, cdb: Cdb, blocks: u16) -> Result<(), Refusal> {
    let max = max_blocks(config);
    if cdb.u16(usize::from(BOUNDARY_AT)) > max {
        return Err(invalid_field(BOUNDARY_AT, None).into());
    }
    if blocks > max {
        return Err(invalid_field(LENGTH_AT, None).into());
    }
    Ok(())
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    pending: PendingWriteAtomic,
    data: DataPieces,
) -> Result<Plan, Refusal> {
    let extent = pending.extent;
    if length_of(&data) != extent.length {
        return Err(data_out_too_short(extent.length));
    }
    let extent = unit.still_inside(extent)?;
    Ok(Plan::execute(
        Operation::WriteAtomic { extent, data },
        Finish::writing(extent, extent.length),
    ))
}
