//! SYNCHRONIZE CACHE (10) and (16) (SBC-4).
//!
//! The status always comes after the data is on stable storage. IMMED only allows an earlier answer,
//! and an answer that comes before the flush could not be taken back when the flush fails.

use crate::commands::read::BlockRange;
use crate::commands::{Finish, Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::{Operation, Plan};
use crate::unit::LogicalUnit;

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let range = BlockRange::of(request.cdb);
    let extent = match range.blocks {
        0 => unit.extent_to_end(range.lba)?,
        blocks => unit.extent(range.lba, u64::from(blocks))?,
    };
    Ok(Plan::execute(
        Operation::Flush { extent },
        Finish::writing(extent, 0),
    ))
}
