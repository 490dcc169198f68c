//! RESERVE and RELEASE (6) and (10) (SPC-2), under the rules that SPC-5 sets for them beside persistent
//! reservations. Only of the whole unit, and only for the nexus that sends them: third parties and
//! extents are refused by their reserved bits.

use crate::commands::{Refusal, Request, persistent_out};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reservation::{Change, ReservationChange};
use crate::unit::LogicalUnit;

pub(crate) fn reserve(_: &LogicalUnit, nexus: &LuNexus, _: &Request<'_>) -> Result<Plan, Refusal> {
    let change = ReservationChange(Change::Reserve(nexus.requester()));
    Ok(persistent_out::execute(change, 0))
}

pub(crate) fn release(_: &LogicalUnit, nexus: &LuNexus, _: &Request<'_>) -> Result<Plan, Refusal> {
    let change = ReservationChange(Change::Release(nexus.requester()));
    Ok(persistent_out::execute(change, 0))
}
