//! READ CAPACITY (10) and (16) (SBC-4).

use crate::cdb::invalid_field;
use crate::commands::{Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::unit::LogicalUnit;

/// READ CAPACITY (10): eight bytes; a unit that is too large for them says FFFFFFFFh.
pub(crate) fn handle_10(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const LENGTH: u32 = 8;
    // PMI is obsolete; without it the LBA must be zero.
    if request.cdb.u32(2) != 0 && !request.cdb.flag(8, 0x01) {
        return Err(invalid_field(2, None).into());
    }
    let last = u32::try_from(unit.last_lba()).unwrap_or(u32::MAX);
    let mut data = Vec::with_capacity(8);
    data.extend(last.to_be_bytes());
    data.extend(unit.config().block_size.bytes().to_be_bytes());
    Plan::reply(Reply::parameter_data(data, LENGTH))
}

/// READ CAPACITY (16): 32 bytes, with physical block size and provisioning.
pub(crate) fn handle_16(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const LBPME: u8 = 0x80;
    const LBPRZ: u8 = 0x40;
    let config = unit.config();
    if request.cdb.u64(2) != 0 && !request.cdb.flag(14, 0x01) {
        return Err(invalid_field(2, None).into());
    }
    let mut data = Vec::with_capacity(32);
    data.extend(unit.last_lba().to_be_bytes());
    data.extend(config.block_size.bytes().to_be_bytes());
    // No protection information.
    data.push(0);
    data.push(config.physical_block_exponent & 0x0f);
    data.push(if config.thin { LBPME | LBPRZ } else { 0 });
    data.resize(32, 0);
    Plan::reply(Reply::parameter_data(data, request.cdb.u32(10)))
}
