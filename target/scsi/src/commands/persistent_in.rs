//! PERSISTENT RESERVE IN (SPC-5).

use crate::commands::{Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::reservation::{ReservationType, transport_id};
use crate::unit::LogicalUnit;

const ALLOCATION_LENGTH: usize = 7;

pub(crate) fn read_keys(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let registrants = unit.reservations().registrants;
    let keys = registrants.iter().flat_map(|one| one.key.to_be_bytes());
    list(unit, request, keys.collect())
}

pub(crate) fn read_reservation(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let report = unit.reservations();
    let mut body = Vec::new();
    if let Some(kind) = report.kind {
        let holder = report.registrants.iter().find(|one| one.holder);
        // Everybody holds an all registrants type: no key stands for it.
        let key = holder.filter(|_| !kind.is_all_registrants());
        body.extend(key.map_or(0, |one| one.key).to_be_bytes());
        body.extend([0, 0, 0, 0, 0, kind.code(), 0, 0]);
    }
    list(unit, request, body)
}

pub(crate) fn report_capabilities(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    /// Compatible reservation handling.
    const CRH: u8 = 0x10;
    /// Specify initiator ports capable.
    const SIP_C: u8 = 0x08;
    /// All target ports capable.
    const ATP_C: u8 = 0x04;
    /// Persist through power loss capable.
    const PTPL_C: u8 = 0x01;
    /// Type mask valid.
    const TMV: u8 = 0x80;
    /// ALLOW COMMANDS 011b: TEST UNIT READY is allowed through all types; MODE SENSE, READ DEFECT
    /// DATA and the like through the Write Exclusive types.
    const ALLOW_COMMANDS: u8 = 0x30;
    /// Persist through power loss activated.
    const PTPL_A: u8 = 0x01;
    let activated = if unit.reservations().persists {
        PTPL_A
    } else {
        0
    };
    let [high, low] = type_mask().to_be_bytes();
    let data = vec![
        0,
        8,
        CRH | SIP_C | ATP_C | PTPL_C,
        TMV | ALLOW_COMMANDS | activated,
        high,
        low,
        0,
        0,
    ];
    reply(request, data)
}

pub(crate) fn read_full_status(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const R_HOLDER: u8 = 0x01;
    let report = unit.reservations();
    let mut body = Vec::new();
    for one in &report.registrants {
        let id = transport_id::encode(&one.initiator_port);
        let kind = report.kind.filter(|_| one.holder);
        body.extend(one.key.to_be_bytes());
        body.extend([0; 4]);
        body.push(if one.holder { R_HOLDER } else { 0 });
        body.push(kind.map_or(0, ReservationType::code));
        body.extend([0; 4]);
        body.extend(one.relative_port.to_be_bytes());
        body.extend(u32::try_from(id.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(id);
    }
    list(unit, request, body)
}

/// The PERSISTENT RESERVATION TYPE MASK: the bit of a type is its code, counted from the first byte
/// and wrapping to the second.
fn type_mask() -> u16 {
    let bit = |kind: ReservationType| match kind.code() {
        code @ 0..=7 => 0x100 << code,
        code => 1 << (code - 8),
    };
    ReservationType::ALL
        .into_iter()
        .fold(0, |mask, kind| mask | bit(kind))
}

/// PRGENERATION, ADDITIONAL LENGTH of all there is, and as much of it as there is room for.
fn list(unit: &LogicalUnit, request: &Request<'_>, body: Vec<u8>) -> Result<Plan, Refusal> {
    let mut data = unit.reservations_generation().to_be_bytes().to_vec();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    data.extend(length.to_be_bytes());
    data.extend(body);
    reply(request, data)
}

fn reply(request: &Request<'_>, data: Vec<u8>) -> Result<Plan, Refusal> {
    let allocation_length = u32::from(request.cdb.u16(ALLOCATION_LENGTH));
    Plan::reply(Reply::parameter_data(data, allocation_length))
}
