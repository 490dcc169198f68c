//! COMPARE AND WRITE (SBC-4): the data-out brings what must be there and, behind it, what is written
//! if it is.

use crate::cdb::invalid_field;
use crate::commands::read::{check_protect, dpo_fua};
use crate::commands::{
    AwaitingData, Effect, Finish, Refusal, Request, data_out_too_short, length_of,
};
use crate::config::LogicalUnitConfig;
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::unit::LogicalUnit;

/// Where NUMBER OF LOGICAL BLOCKS is.
const BLOCKS_AT: u16 = 13;

/// A comparison whose data is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingCompareAndWrite {
    extent: Extent,
    fua: bool,
}

/// MAXIMUM COMPARE AND WRITE LENGTH in blocks: what its field can hold, unless a transfer is limited
/// to less.
pub(crate) fn max_blocks(config: &LogicalUnitConfig) -> u8 {
    u8::try_from(config.max_transfer_blocks()).unwrap_or(u8::MAX)
}

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    check_protect(cdb)?;
    let (_, fua) = dpo_fua(cdb);
    let blocks = cdb.u8(usize::from(BLOCKS_AT));
    if blocks > max_blocks(unit.config()) {
        return Err(invalid_field(BLOCKS_AT, None).into());
    }
    let extent = unit.extent(cdb.u64(2), u64::from(blocks))?;
    let transfer_length = transfer_length(extent);
    // An initiator that brings more or less means something else than it says: more than the field
    // can hold, as like as not.
    let length = u32::try_from(transfer_length).unwrap_or(u32::MAX);
    if request.command.data_out_available() != length {
        return Err(Refusal {
            sense: invalid_field(BLOCKS_AT, None),
            transfer_length,
        });
    }
    if length == 0 {
        return Plan::reply(Reply::good());
    }
    let pending = PendingCompareAndWrite { extent, fua };
    Ok(Plan::need_data(
        length,
        AwaitingData::CompareAndWrite(pending),
    ))
}

/// The data-out is as long twice as the blocks.
fn transfer_length(extent: Extent) -> u64 {
    extent.length.saturating_mul(2)
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    pending: PendingCompareAndWrite,
    data: DataPieces,
) -> Result<Plan, Refusal> {
    let PendingCompareAndWrite { extent, fua } = pending;
    let transfer_length = transfer_length(extent);
    if length_of(&data) != transfer_length {
        return Err(data_out_too_short(transfer_length));
    }
    let extent = unit.still_inside(extent)?;
    let (expected, data) = split(data, extent.length);
    let fua = fua || !unit.write_cache_enabled();
    let finish = Finish {
        extent,
        transfer_length,
        effect: Effect::ComparesAndWrites { durable: fua },
    };
    let operation = Operation::CompareAndWrite {
        extent,
        expected,
        data,
        fua,
    };
    Ok(Plan::execute(operation, finish))
}

/// The first `length` bytes, and the rest.
fn split(data: DataPieces, length: u64) -> (DataPieces, DataPieces) {
    let mut left = usize::try_from(length).unwrap_or(usize::MAX);
    let (mut first, mut rest) = (DataPieces::new(), DataPieces::new());
    for mut piece in data {
        let head = piece.split_to(left.min(piece.len()));
        left -= head.len();
        if !head.is_empty() {
            first.push(head);
        }
        if !piece.is_empty() {
            rest.push(piece);
        }
    }
    (first, rest)
}
