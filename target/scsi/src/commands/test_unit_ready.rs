//! TEST UNIT READY (SPC-5): the shared checks have already looked at readiness.

use crate::commands::{Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::unit::LogicalUnit;

pub(crate) fn handle(_: &LogicalUnit, _: &LuNexus, _: &Request<'_>) -> Result<Plan, Refusal> {
    Plan::reply(Reply::good())
}
