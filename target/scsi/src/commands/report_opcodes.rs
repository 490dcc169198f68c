//! REPORT SUPPORTED OPERATION CODES (SPC-5): the opcode table, as initiators want it.

use crate::cdb::{Cdb, invalid_field};
use crate::commands::{Refusal, Request};
use crate::nexus::LuNexus;
use crate::opcodes::{self, OpCode};
use crate::plan::Plan;
use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

/// Return Commands Timeouts Descriptor.
const RCTD: u8 = 0x80;
const REPORTING_OPTIONS: u8 = 0x07;
const REQUESTED_OPERATION_CODE: usize = 3;
const REQUESTED_SERVICE_ACTION: usize = 4;
const ALLOCATION_LENGTH: usize = 6;

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    let timeouts = cdb.flag(2, RCTD);
    let data = match cdb.u8(2) & REPORTING_OPTIONS {
        0b000 => all_commands(unit, timeouts),
        option @ 0b001..=0b011 => one_command(requested(unit, cdb, option)?, timeouts),
        _ => return Err(invalid_field(2, 2).into()),
    };
    Plan::reply(Reply::parameter_data(data, cdb.u32(ALLOCATION_LENGTH)))
}

/// Command descriptors of everything that the unit supports.
fn all_commands(unit: &LogicalUnit, timeouts: bool) -> Vec<u8> {
    const CTDP: u8 = 0x02;
    const SERVACTV: u8 = 0x01;
    let mut data = vec![0; 4];
    for entry in opcodes::TABLE.iter().filter(|entry| unit.supports(entry)) {
        let mut flags = if timeouts { CTDP } else { 0 };
        if entry.service_action.is_some() {
            flags |= SERVACTV;
        }
        data.extend([entry.operation_code, 0]);
        data.extend(entry.service_action.unwrap_or(0).to_be_bytes());
        data.extend([0, flags]);
        data.extend(cdb_length(entry).to_be_bytes());
        if timeouts {
            data.extend(timeouts_descriptor(entry));
        }
    }
    let length = u32::try_from(data.len().saturating_sub(4)).unwrap_or(u32::MAX);
    for (to, from) in data.iter_mut().zip(length.to_be_bytes()) {
        *to = from;
    }
    data
}

/// The command that the CDB asks about: `None` when it is not supported.
fn requested(unit: &LogicalUnit, cdb: Cdb, option: u8) -> Result<Option<&'static OpCode>, Sense> {
    let action = cdb.u16(REQUESTED_SERVICE_ACTION);
    let supported = |entry: &&'static OpCode| -> bool { unit.supports(entry) };
    let entries = || opcodes::entries(cdb.u8(REQUESTED_OPERATION_CODE)).filter(supported);
    let has_actions = entries().any(|entry| entry.service_action.is_some());
    let is_known = entries().next().is_some();
    match option {
        // The operation code alone: one that has service actions can't be asked about so.
        0b001 if has_actions => return Err(invalid_field(2, 2)),
        0b001 => return Ok(entries().next()),
        // With a service action: one that has none can't be asked about so.
        0b010 if is_known && !has_actions => return Err(invalid_field(2, 2)),
        _ => {}
    }
    Ok(entries().find(|entry| entry.service_action.unwrap_or(0) == action))
}

/// The one_command parameter data.
fn one_command(entry: Option<&OpCode>, timeouts: bool) -> Vec<u8> {
    const CTDP: u8 = 0x80;
    const NOT_SUPPORTED: u8 = 0b001;
    const SUPPORTED: u8 = 0b011;
    let Some(entry) = entry else {
        return vec![0, NOT_SUPPORTED, 0, 0];
    };
    let mut data = vec![
        0,
        if timeouts {
            CTDP | SUPPORTED
        } else {
            SUPPORTED
        },
    ];
    data.extend(cdb_length(entry).to_be_bytes());
    data.extend(entry.usage);
    if timeouts {
        data.extend(timeouts_descriptor(entry));
    }
    data
}

/// The command timeouts descriptor.
fn timeouts_descriptor(entry: &OpCode) -> Vec<u8> {
    const LENGTH: u16 = 10;
    let mut descriptor = LENGTH.to_be_bytes().to_vec();
    descriptor.extend([0, 0]);
    descriptor.extend(entry.timeouts.nominal.to_be_bytes());
    descriptor.extend(entry.timeouts.recommended.to_be_bytes());
    descriptor
}

fn cdb_length(entry: &OpCode) -> u16 {
    u16::try_from(entry.cdb_length()).unwrap_or(u16::MAX)
}
