//! REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-5).

use crate::commands::{Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::unit::LogicalUnit;

const ABORT_TASK: u8 = 0x80;
const ABORT_TASK_SET: u8 = 0x40;
const CLEAR_TASK_SET: u8 = 0x10;
const LOGICAL_UNIT_RESET: u8 = 0x08;

pub(crate) fn handle(_: &LogicalUnit, _: &LuNexus, request: &Request<'_>) -> Result<Plan, Refusal> {
    const REPD: u8 = 0x80;
    const ALLOCATION_LENGTH: usize = 6;
    let cdb = request.cdb;
    let supported = ABORT_TASK | ABORT_TASK_SET | CLEAR_TASK_SET | LOGICAL_UNIT_RESET;
    let mut data = vec![supported, 0, 0, 0];
    if cdb.flag(2, REPD) {
        // Extended form: no timeouts are given for any function.
        data.resize(16, 0);
        if let Some(length) = data.get_mut(3) {
            *length = 12;
        }
    }
    Plan::reply(Reply::parameter_data(data, cdb.u32(ALLOCATION_LENGTH)))
}
