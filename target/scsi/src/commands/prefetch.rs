//! PRE-FETCH (10) and (16) (SBC-4): reads blocks so that the host's cache has them.
//!
//! Ends with GOOD, which says that not all of the blocks may have found room in the cache; CONDITION
//! MET would promise that they did. IMMED has no effect: the answer comes when the blocks were read.

use crate::commands::read::BlockRange;
use crate::commands::{Finish, Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::unit::LogicalUnit;

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let range = BlockRange::of(request.cdb);
    let wanted = match range.blocks {
        0 => unit.extent_to_end(range.lba)?,
        blocks => unit.extent(range.lba, u64::from(blocks))?,
    };
    let extent = Extent {
        length: wanted.length.min(unit.max_transfer_bytes()),
        ..wanted
    };
    Ok(Plan::execute(
        Operation::Verify { extent },
        Finish::reading(extent, 0),
    ))
}
