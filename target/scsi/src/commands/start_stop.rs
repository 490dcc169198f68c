//! START STOP UNIT (SBC-4): a stopped unit serves nothing that needs its medium until somebody
//! starts it again.

use crate::cdb::invalid_field;
use crate::commands::{Finish, Refusal, Request};
use crate::nexus::LuNexus;
use crate::opcodes::Class;
use crate::plan::{Operation, Plan};
use crate::reply::Reply;
use crate::unit::{LogicalUnit, UnitState};

const POWER_CONDITION: u8 = 0xf0;
const NO_FLUSH: u8 = 0x04;
const LOEJ: u8 = 0x02;
const START: u8 = 0x01;

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    if cdb.flag(4, POWER_CONDITION) {
        return Err(invalid_field(4, 7).into());
    }
    // There is no medium to load or to eject.
    if cdb.flag(4, LOEJ) {
        return Err(invalid_field(4, 1).into());
    }
    // Starting doesn't cure a unit that is fenced or whose store is away.
    let state = unit.state();
    if state != UnitState::Stopped
        && let Some(sense) = state.refusal(Class::Ready)
    {
        return Err(sense.into());
    }
    if cdb.flag(4, START) {
        unit.set_stopped(false);
        return Plan::reply(Reply::good());
    }
    unit.set_stopped(true);
    let extent = unit.whole();
    if cdb.flag(4, NO_FLUSH) || extent.length == 0 {
        return Plan::reply(Reply::good());
    }
    Ok(Plan::execute(
        Operation::Flush { extent },
        Finish::writing(extent, 0),
    ))
}
