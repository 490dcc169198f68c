//! READ (6), (10), (12) and (16) (SBC-4), and the address fields that all media
//! access commands share.

use crate::cdb::{Cdb, invalid_field};
use crate::commands::{Finish, Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

/// LBA and length of a media access CDB, with the place of the length for the field pointer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BlockRange {
    pub(crate) lba: u64,
    pub(crate) blocks: u32,
    pub(crate) length_at: u16,
}

impl BlockRange {
    /// The fields of a 6, 10, 12 or 16 byte CDB, told apart by the group code in the operation code
    /// (SPC-5).
    pub(crate) fn of(cdb: Cdb) -> Self {
        match cdb.u8(0) >> 5 {
            0 => Self::of_6(cdb),
            1 | 2 => Self {
                lba: u64::from(cdb.u32(2)),
                blocks: u32::from(cdb.u16(7)),
                length_at: 7,
            },
            5 => Self {
                lba: u64::from(cdb.u32(2)),
                blocks: cdb.u32(6),
                length_at: 6,
            },
            _ => Self {
                lba: cdb.u64(2),
                blocks: cdb.u32(10),
                length_at: 10,
            },
        }
    }

    /// 21 bits of LBA, and a length of zero means 256 blocks (SBC-4).
    fn of_6(cdb: Cdb) -> Self {
        const LBA_MASK: u32 = 0x1f_ffff;
        let blocks = match cdb.u8(4) {
            0 => 256,
            blocks => u32::from(blocks),
        };
        Self {
            lba: u64::from(cdb.u32(0) & LBA_MASK),
            blocks,
            length_at: 4,
        }
    }
}

/// Whether the CDB has a protection field (the three top bits of byte 1): all but 6 byte ones.
const PROTECT: u8 = 0xe0;
const DPO: u8 = 0x10;
const FUA: u8 = 0x08;

/// DPO and FUA of a READ or WRITE CDB; 6 byte ones have neither.
pub(crate) fn dpo_fua(cdb: Cdb) -> (bool, bool) {
    if cdb.u8(0) >> 5 == 0 {
        (false, false)
    } else {
        (cdb.flag(1, DPO), cdb.flag(1, FUA))
    }
}

/// RDPROTECT, WRPROTECT or VRPROTECT must be zero on a unit without protection information
/// (SBC-4, table "RDPROTECT").
pub(crate) fn check_protect(cdb: Cdb) -> Result<(), Sense> {
    if cdb.u8(0) >> 5 != 0 && cdb.flag(1, PROTECT) {
        Err(invalid_field(1, 7))
    } else {
        Ok(())
    }
}

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    check_protect(cdb)?;
    let (dpo, fua) = dpo_fua(cdb);
    let extent = unit.transfer_extent(BlockRange::of(cdb))?;
    let transfer_length = extent.length;

    // An initiator that takes less than it asked for gets only the blocks that it has room for; the
    // residual count still speaks of the whole.
    let room = if request.command.read {
        request.command.expected_length
    } else {
        0
    };
    let length = unit.round_up_to_block(u64::from(room)).min(extent.length);
    if length == 0 {
        return Plan::reply(Reply::good().of_transfer(transfer_length));
    }
    let extent = Extent { length, ..extent };
    let read = Operation::Read { extent, dpo };
    let finish = Finish::reading(extent, transfer_length);
    // FUA: what is read is what stable storage holds, so newer data in the cache goes there first
    // (SBC-4). Without a write cache it is there already.
    if fua && unit.write_cache_enabled() {
        return Ok(Plan::execute_then(
            Operation::Flush { extent },
            read,
            finish,
        ));
    }
    Ok(Plan::execute(read, finish))
}
