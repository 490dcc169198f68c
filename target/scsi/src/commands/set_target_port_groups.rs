//! SET TARGET PORT GROUPS (SPC-5): all of the parameter list is checked before any state changes.

use bytes::Bytes;
use nom::number::complete::{be_u8, be_u16};
use nom::{IResult, Parser};
use smallvec::SmallVec;

use crate::alua::AccessState;
use crate::cdb::invalid_field;
use crate::commands::{
    AwaitingData, Effect, Finish, Refusal, Request, contiguous, parameter_list,
    parameter_list_length_error,
};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::sense::Sense;
use crate::unit::LogicalUnit;

/// Four reserved bytes.
const HEADER: u32 = 4;
/// A set target port group descriptor.
const DESCRIPTOR: u32 = 4;
/// Far more groups than there can be, and no state can be set twice.
const MAX_DESCRIPTORS: u32 = 255;

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const PARAMETER_LIST_LENGTH: usize = 6;
    // States that are changing already go on doing so.
    if unit.in_transition()
        && let Some(sense) = AccessState::Transitioning.refusal()
    {
        return Err(sense.into());
    }
    let length = request.cdb.u32(PARAMETER_LIST_LENGTH);
    match length.checked_sub(HEADER) {
        // Nothing is to be changed.
        None if length == 0 => Plan::reply(Reply::good()),
        None => Err(parameter_list_length_error().into()),
        Some(rest) if rest > MAX_DESCRIPTORS * DESCRIPTOR => Err(invalid_field(6, None).into()),
        Some(rest) if !rest.is_multiple_of(DESCRIPTOR) => Err(parameter_list_length_error().into()),
        Some(_) => parameter_list(request, length, AwaitingData::SetTargetPortGroups),
    }
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    data: &DataPieces,
) -> Result<Plan, Refusal> {
    let list = contiguous(data);
    let transfer_length = u64::try_from(list.len()).unwrap_or(u64::MAX);
    let states = states(unit, nexus, &list)?;
    if states.is_empty() {
        return Plan::reply(Reply::written(transfer_length));
    }
    let operation = Operation::SetAccessStates {
        states,
        nexus: nexus.id(),
    };
    let finish = Finish {
        extent: Extent::default(),
        transfer_length,
        effect: Effect::SetsAccessStates,
    };
    Ok(Plan::execute(operation, finish))
}

/// One descriptor: the byte with the state, a reserved one, and the number of a group.
fn descriptor(input: &[u8]) -> IResult<&[u8], (u8, u8, u16)> {
    (be_u8, be_u8, be_u16).parse(input)
}

type States = SmallVec<[(u16, AccessState); 4]>;

/// The states that the list sets, each group at most once.
fn states(unit: &LogicalUnit, nexus: &LuNexus, list: &Bytes) -> Result<States, Sense> {
    let (header, mut rest) = list
        .split_at_checked(HEADER as usize)
        .ok_or_else(parameter_list_length_error)?;
    if let Some(at) = header.iter().position(|byte| *byte != 0) {
        return Err(invalid(at, None));
    }
    let groups = unit.port_groups_of(nexus);
    let mut states = States::new();
    while !rest.is_empty() {
        let at = list.len() - rest.len();
        let (after, (flags, reserved, group)) =
            descriptor(rest).map_err(|_| parameter_list_length_error())?;
        if flags >> 4 != 0 {
            return Err(invalid(at, Some(7)));
        }
        // Neither a state that doesn't last nor offline, which is for single ports, can be set.
        let state = AccessState::lasting(flags).ok_or_else(|| invalid(at, Some(3)))?;
        if reserved != 0 {
            return Err(invalid(at + 1, None));
        }
        let known = groups.iter().any(|known| known.number == group);
        let twice = states.iter().any(|(earlier, _)| *earlier == group);
        if !known || twice {
            return Err(invalid(at + 2, None));
        }
        states.push((group, state));
        rest = after;
    }
    Ok(states)
}

/// INVALID FIELD IN PARAMETER LIST at byte `at`.
fn invalid(at: usize, bit: Option<u8>) -> Sense {
    Sense::invalid_field_in_parameter_list(u16::try_from(at).unwrap_or(u16::MAX), bit)
}
