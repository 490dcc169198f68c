//! VERIFY (10), (12) and (16) (SBC-4).
//!
//! What is verified is the medium: blocks that wait in a write cache are written to it first, as a
//! SYNCHRONIZE CACHE of the same range would.

use bytes::Bytes;

use crate::cdb::{Cdb, invalid_field};
use crate::commands::read::{BlockRange, check_protect};
use crate::commands::{AwaitingData, Finish, Refusal, Request, data_out_too_short, length_of};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::unit::LogicalUnit;

/// BYTCHK: what is compared (SBC-4, VERIFY (10), table "BYTCHK field").
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ByteCheck {
    /// Nothing; the blocks must be readable.
    Medium,
    /// Every block with the data-out.
    Data,
    /// Every block with the one block of data-out.
    OneBlock,
}

impl ByteCheck {
    /// The field in byte 1; 10b is reserved.
    pub(crate) fn of(cdb: Cdb) -> Result<Self, Refusal> {
        match (cdb.u8(1) >> 1) & 0b11 {
            0b00 => Ok(Self::Medium),
            0b01 => Ok(Self::Data),
            0b11 => Ok(Self::OneBlock),
            _ => Err(invalid_field(1, 2).into()),
        }
    }
}

/// A comparison whose data is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingVerify {
    extent: Extent,
    transfer_length: u64,
}

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    check_protect(cdb)?;
    let byte_check = ByteCheck::of(cdb)?;
    let extent = unit.transfer_extent(BlockRange::of(cdb))?;
    if extent.length == 0 {
        return Plan::reply(Reply::good());
    }
    let transfer_length = match byte_check {
        ByteCheck::Medium => {
            let verify = Operation::Verify { extent };
            return Ok(after_flush(
                unit,
                extent,
                verify,
                Finish::reading(extent, 0),
            ));
        }
        ByteCheck::Data => extent.length,
        ByteCheck::OneBlock => u64::from(unit.config().block_size.bytes()),
    };
    // Unlike a write, a comparison with less data than it needs has no honest outcome.
    let length = u32::try_from(transfer_length).unwrap_or(u32::MAX);
    if request.command.data_out_available() < length {
        return Err(data_out_too_short(transfer_length));
    }
    let pending = PendingVerify {
        extent,
        transfer_length,
    };
    Ok(Plan::need_data(length, AwaitingData::Verify(pending)))
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    pending: PendingVerify,
    data: DataPieces,
) -> Result<Plan, Refusal> {
    let PendingVerify {
        extent,
        transfer_length,
    } = pending;
    if length_of(&data) != transfer_length {
        return Err(data_out_too_short(transfer_length));
    }
    let extent = unit.still_inside(extent)?;
    let data = if transfer_length < extent.length {
        repeat(&data, extent.length)
    } else {
        data
    };
    let compare = Operation::Compare { extent, data };
    Ok(after_flush(
        unit,
        extent,
        compare,
        Finish::reading(extent, transfer_length),
    ))
}

/// `operation` on what is on the medium once the cache has been written to it.
fn after_flush(unit: &LogicalUnit, extent: Extent, operation: Operation, finish: Finish) -> Plan {
    if unit.write_cache_enabled() {
        Plan::execute_then(Operation::Flush { extent }, operation, finish)
    } else {
        Plan::execute(operation, finish)
    }
}

/// `block` over and over, `length` bytes of it: a chunk of copies that is then shared.
fn repeat(block: &DataPieces, length: u64) -> DataPieces {
    const CHUNK: usize = 64 * 1024;
    let block: Vec<u8> = block.iter().flatten().copied().collect();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let copies = (CHUNK.min(length) / block.len().max(1)).max(1);
    let chunk = Bytes::from(block.repeat(copies));
    let mut data = DataPieces::new();
    let mut rest = length;
    while rest > 0 && !chunk.is_empty() {
        let piece = chunk.slice(..rest.min(chunk.len()));
        rest -= piece.len();
        data.push(piece);
    }
    data
}
