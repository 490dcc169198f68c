//! REPORT TARGET PORT GROUPS (SPC-5).

use crate::alua::TargetPortGroup;
use crate::cdb::invalid_field;
use crate::commands::{Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::unit::LogicalUnit;

/// IMPLICIT TRANSITION TIME: how long an initiator should wait for a transition to end, in seconds.
const IMPLICIT_TRANSITION_TIME: u8 = 30;
/// Transitioning, unavailable, standby, active/non-optimized and active/optimized.
const SUPPORTED_STATES: u8 = 0x80 | 0x08 | 0x04 | 0x02 | 0x01;

pub(crate) fn handle(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const LENGTH_ONLY_HEADER: u8 = 0;
    const EXTENDED_HEADER: u8 = 1;
    const ALLOCATION_LENGTH: usize = 6;
    let cdb = request.cdb;
    let format = cdb.u8(1) >> 5;
    let mut body = match format {
        LENGTH_ONLY_HEADER => Vec::new(),
        EXTENDED_HEADER => vec![EXTENDED_HEADER << 4, IMPLICIT_TRANSITION_TIME, 0, 0],
        _ => return Err(invalid_field(1, 7).into()),
    };
    for group in unit.port_groups_of(nexus) {
        push(&mut body, &group);
    }
    let mut data = u32::try_from(body.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec();
    data.extend(body);
    Plan::reply(Reply::parameter_data(data, cdb.u32(ALLOCATION_LENGTH)))
}

/// A target port group descriptor. It has room for 255 ports: the rest are left out.
fn push(body: &mut Vec<u8>, group: &TargetPortGroup) {
    const PREF: u8 = 0x80;
    let access = group.access;
    let preferred = if access.preferred { PREF } else { 0 };
    let count = u8::try_from(group.ports.len()).unwrap_or(u8::MAX);
    body.extend([preferred | access.state.code(), SUPPORTED_STATES]);
    body.extend(group.number.to_be_bytes());
    body.extend([0, access.altered_by as u8, 0, count]);
    for port in group.ports.iter().take(usize::from(count)) {
        body.extend([0, 0]);
        body.extend(port.relative_port_identifier.to_be_bytes());
    }
}
