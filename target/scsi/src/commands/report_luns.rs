//! REPORT LUNS (SPC-5).

use crate::attention::UnitAttention;
use crate::cdb::{Cdb, invalid_field};
use crate::commands::{Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

pub(crate) fn handle(
    _: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let reply = report(request.cdb, request.command.luns)?;
    nexus.clear(UnitAttention::ReportedLunsChanged);
    Plan::reply(reply)
}

/// The list of `luns`, or an empty one where SELECT REPORT asks for kinds that don't exist here:
/// well-known logical units, administrative units and the like.
pub(crate) fn report(cdb: Cdb, luns: &[u64]) -> Result<Reply, Sense> {
    const SELECT_REPORT: usize = 2;
    const ALLOCATION_LENGTH: usize = 6;
    let luns = match cdb.u8(SELECT_REPORT) {
        // Logical units with ordinary addressing, and all of them.
        0x00 | 0x02 => luns,
        // Well-known logical units; administrative logical units; those and their subsidiaries.
        0x01 | 0x10..=0x12 => &[],
        _ => return Err(invalid_field(2, None)),
    };
    let allocation_length = cdb.u32(ALLOCATION_LENGTH);
    let length = u32::try_from(luns.len().saturating_mul(8)).unwrap_or(u32::MAX);
    let mut data = Vec::with_capacity(luns.len().saturating_mul(8).saturating_add(8));
    data.extend(length.to_be_bytes());
    data.extend([0; 4]);
    for lun in luns {
        data.extend(lun.to_be_bytes());
    }
    Ok(Reply::parameter_data(data, allocation_length))
}
