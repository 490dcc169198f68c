//! WRITE SAME (10) and (16) (SBC-4).

use bytes::Bytes;

use crate::cdb::invalid_field;
use crate::commands::read::{BlockRange, check_protect};
use crate::commands::{
    AwaitingData, Finish, Refusal, Request, contiguous, data_out_too_short, length_of,
};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::DataPieces;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

/// Bit of byte 1: unmapped blocks shall be anchored, which thin units here can't do.
const ANCHOR: u8 = 0x10;
/// Bit of byte 1: the space may be given back.
const UNMAP: u8 = 0x08;
/// Bit of byte 1 of the 16 byte command: no data-out, write zeros.
const NDOB: u8 = 0x01;

/// A WRITE SAME whose block is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingWriteSame {
    extent: Extent,
    unmap: bool,
}

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    check_protect(cdb)?;
    // No anchored blocks (ANC_SUP is zero), with or without UNMAP.
    if cdb.flag(1, ANCHOR) {
        return Err(invalid_field(1, 4).into());
    }
    let unmap = cdb.flag(1, UNMAP);
    if unmap && !unit.config().thin {
        return Err(invalid_field(1, 3).into());
    }
    let extent = extent(unit, BlockRange::of(cdb))?;
    let pending = PendingWriteSame { extent, unmap };
    let block = unit.config().block_size.bytes();
    if cdb.flag(1, NDOB) {
        let zeros = Bytes::from(vec![0; usize::try_from(block).unwrap_or(0)]);
        return Ok(plan(unit, pending, zeros, 0));
    }
    // The one block, no less; and no more either, as an initiator that brings more means something
    // else than it says.
    let available = request.command.data_out_available();
    if available != block {
        return Err(data_out_too_short(u64::from(block)));
    }
    Ok(Plan::need_data(block, AwaitingData::WriteSame(pending)))
}

/// The blocks to write: none means all from the LBA to the last (WSNZ is zero). However many they
/// are, MAXIMUM WRITE SAME LENGTH holds.
fn extent(unit: &LogicalUnit, range: BlockRange) -> Result<Extent, Sense> {
    let most = u64::from(unit.config().limits.max_write_same_blocks);
    let too_many = || invalid_field(range.length_at, None);
    if range.blocks == 0 {
        let extent = unit.extent_to_end(range.lba)?;
        let fits = extent.length >> unit.config().block_size.shift() <= most;
        return if fits { Ok(extent) } else { Err(too_many()) };
    }
    if u64::from(range.blocks) > most {
        return Err(too_many());
    }
    unit.extent(range.lba, u64::from(range.blocks))
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    pending: PendingWriteSame,
    data: &DataPieces,
) -> Result<Plan, Refusal> {
    let block = u64::from(unit.config().block_size.bytes());
    if length_of(data) != block {
        return Err(data_out_too_short(block));
    }
    unit.still_inside(pending.extent)?;
    Ok(plan(unit, pending, contiguous(data), block))
}

fn plan(unit: &LogicalUnit, pending: PendingWriteSame, block: Bytes, transfer_length: u64) -> Plan {
    let PendingWriteSame { extent, unmap } = pending;
    // An unmapped block reads as zeros (LBPRZ), so only zeros may become one.
    let unmap = unmap && block.iter().all(|byte| *byte == 0);
    let fua = !unit.write_cache_enabled();
    let operation = Operation::WriteSame {
        extent,
        block,
        unmap,
        fua,
    };
    Plan::execute(operation, Finish::caching(extent, transfer_length, fua))
}
