//! REQUEST SENSE (SPC-5): the unit attention, or whatever keeps the unit from being ready, as
//! parameter data.

use crate::attention::UnitAttention;
use crate::commands::{Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::sense::{Sense, SenseFormat};
use crate::unit::LogicalUnit;

pub(crate) const DESC: u8 = 0x01;
const ALLOCATION_LENGTH: usize = 4;

pub(crate) fn handle(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    let attention = nexus.state.attention.take();
    let sense = match attention {
        Some(attention) => attention.sense(),
        None => LogicalUnit::access_state(nexus)
            .refusal()
            .or_else(|| unit.not_ready())
            .unwrap_or(Sense::NO_SENSE),
    };
    let format = format(cdb.flag(1, DESC));
    let length = u32::from(cdb.u8(ALLOCATION_LENGTH));
    let reply = Reply::parameter_data(sense.encode(format), length);
    Plan::reply(reply.fenced_if(attention.is_some_and(UnitAttention::follows_aborts)))
}

/// The format that the DESC bit asks for.
pub(crate) fn format(desc: bool) -> SenseFormat {
    if desc {
        SenseFormat::Descriptor
    } else {
        SenseFormat::Fixed
    }
}
