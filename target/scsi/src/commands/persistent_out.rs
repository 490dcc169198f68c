//! PERSISTENT RESERVE OUT (SPC-5): reads the parameter list and asks for the change that it means.

use bytes::Bytes;
use nom::number::complete::{be_u8, be_u16, be_u32, be_u64};
use nom::{IResult, Parser};

use crate::commands::{
    AwaitingData, Effect, Finish, Refusal, Request, contiguous, parameter_list,
    parameter_list_length_error,
};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::DataPieces;
use crate::reservation::transport_id::{self, TransportId};
use crate::reservation::{
    Change, NexusName, Register, ReservationChange, ReservationType, ServiceAction, valid_type,
};
use crate::sense::Sense;
use crate::unit::LogicalUnit;

const PARAMETER_LIST_LENGTH: usize = 5;
/// The parameter list without TransportIDs.
const BASIC_LENGTH: u32 = 24;
/// The longest parameter list that is accepted: room for more TransportIDs than can be registered.
const LENGTH_MAX: u32 = 256 << 10;
/// Where TransportIDs begin behind a REGISTER's own fields.
const TRANSPORT_IDS_AT: usize = 28;
/// Where the TransportID of REGISTER AND MOVE begins.
const MOVE_TRANSPORT_ID_AT: u16 = 24;

/// Service action codes.
const REGISTER: u8 = 0x00;
const RESERVE: u8 = 0x01;
const RELEASE: u8 = 0x02;
const CLEAR: u8 = 0x03;
const PREEMPT: u8 = 0x04;
const PREEMPT_AND_ABORT: u8 = 0x05;
const REGISTER_AND_IGNORE: u8 = 0x06;
const REGISTER_AND_MOVE: u8 = 0x07;

/// Flags of parameter lists.
const SPEC_I_PT: u8 = 0x08;
const ALL_TG_PT: u8 = 0x04;
const UNREG: u8 = 0x02;
const APTPL: u8 = 0x01;

/// The service action of a command whose parameter list is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PendingPersistentOut {
    Register { ignore_existing_key: bool },
    Reserve { kind: ReservationType },
    Release { scope_and_type: u8 },
    Clear,
    Preempt { scope_and_type: u8, abort: bool },
    Move,
}

pub(crate) fn register(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let ignore_existing_key = false;
    begin(
        request,
        PendingPersistentOut::Register {
            ignore_existing_key,
        },
    )
}

pub(crate) fn register_and_ignore(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let ignore_existing_key = true;
    begin(
        request,
        PendingPersistentOut::Register {
            ignore_existing_key,
        },
    )
}

pub(crate) fn reserve(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let kind = valid_type(scope_and_type(request))?;
    begin(request, PendingPersistentOut::Reserve { kind })
}

pub(crate) fn release(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let scope_and_type = scope_and_type(request);
    begin(request, PendingPersistentOut::Release { scope_and_type })
}

pub(crate) fn clear(_: &LogicalUnit, _: &LuNexus, request: &Request<'_>) -> Result<Plan, Refusal> {
    begin(request, PendingPersistentOut::Clear)
}

pub(crate) fn preempt(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    begin_preempt(request, false)
}

pub(crate) fn preempt_and_abort(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    begin_preempt(request, true)
}

pub(crate) fn register_and_move(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    begin(request, PendingPersistentOut::Move)
}

/// SCOPE and TYPE are looked at only when a reservation is preempted: for the rest any will do.
fn begin_preempt(request: &Request<'_>, abort: bool) -> Result<Plan, Refusal> {
    let scope_and_type = scope_and_type(request);
    begin(
        request,
        PendingPersistentOut::Preempt {
            scope_and_type,
            abort,
        },
    )
}

fn scope_and_type(request: &Request<'_>) -> u8 {
    request.cdb.u8(2)
}

fn begin(request: &Request<'_>, pending: PendingPersistentOut) -> Result<Plan, Refusal> {
    let length = request.cdb.u32(PARAMETER_LIST_LENGTH);
    let with_ids = matches!(
        pending,
        PendingPersistentOut::Register { .. } | PendingPersistentOut::Move
    );
    let fits = if with_ids {
        (BASIC_LENGTH..=LENGTH_MAX).contains(&length)
    } else {
        length == BASIC_LENGTH
    };
    if !fits {
        return Err(parameter_list_length_error().into());
    }
    parameter_list(request, length, AwaitingData::PersistentOut(pending))
}

pub(crate) fn data_out(
    nexus: &LuNexus,
    pending: PendingPersistentOut,
    data: &DataPieces,
) -> Result<Plan, Refusal> {
    let list = contiguous(data);
    let action = match pending {
        PendingPersistentOut::Move => move_action(&list)?,
        _ => basic_action(pending, &list)?,
    };
    let change = ReservationChange(Change::Persistent {
        from: nexus.requester(),
        action: Box::new(action),
    });
    let transfer_length = u64::try_from(list.len()).unwrap_or(u64::MAX);
    if let PendingPersistentOut::Preempt { abort: true, .. } = pending {
        let finish = Finish {
            effect: Effect::PreemptsAndAborts,
            ..Finish::writing(Extent::default(), transfer_length)
        };
        return Ok(Plan::execute(
            Operation::ChangeReservations { change },
            finish,
        ));
    }
    Ok(execute(change, transfer_length))
}

/// Asks for a change of reservations; the reply tells how it went.
pub(super) fn execute(change: ReservationChange, transfer_length: u64) -> Plan {
    let finish = Finish::writing(Extent::default(), transfer_length);
    Plan::execute(Operation::ChangeReservations { change }, finish)
}

/// What a service action with its SCOPE and TYPE byte and its whole parameter list means: for one that comes from the
/// daemon which has the other part of the unit.
pub(crate) fn action_of(
    service_action: u8,
    scope_and_type: u8,
    list: &Bytes,
) -> Result<ServiceAction, Sense> {
    let pending = match service_action {
        REGISTER => PendingPersistentOut::Register {
            ignore_existing_key: false,
        },
        RESERVE => PendingPersistentOut::Reserve {
            kind: valid_type(scope_and_type)?,
        },
        RELEASE => PendingPersistentOut::Release { scope_and_type },
        CLEAR => PendingPersistentOut::Clear,
        PREEMPT | PREEMPT_AND_ABORT => PendingPersistentOut::Preempt {
            scope_and_type,
            abort: service_action == PREEMPT_AND_ABORT,
        },
        REGISTER_AND_IGNORE => PendingPersistentOut::Register {
            ignore_existing_key: true,
        },
        REGISTER_AND_MOVE => return move_action(list),
        _ => return Err(Sense::invalid_field_in_cdb(1, Some(4))),
    };
    basic_action(pending, list)
}

/// The service action, the SCOPE and TYPE byte and the parameter list that mean this: the way back from
/// [`action_of`].
pub(crate) fn in_bytes(action: &ServiceAction) -> (u8, u8, Vec<u8>) {
    let list = |key: u64, new_key: u64, flags: u8| {
        let mut list = Vec::with_capacity(BASIC_LENGTH as usize);
        list.extend(key.to_be_bytes());
        list.extend(new_key.to_be_bytes());
        list.extend([0, 0, 0, 0, flags, 0, 0, 0]);
        list
    };
    let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    match action {
        ServiceAction::Register(register) => {
            let code = match register.expected {
                Some(_) => REGISTER,
                None => REGISTER_AND_IGNORE,
            };
            let flags = bit(register.others.is_some(), SPEC_I_PT)
                | bit(register.all_target_ports, ALL_TG_PT)
                | bit(register.aptpl, APTPL);
            let mut list = list(register.expected.unwrap_or(0), register.key, flags);
            if let Some(others) = &register.others {
                let ids = others.iter().flat_map(|id| match id {
                    TransportId::Node(name) | TransportId::Port(name) => transport_id::encode(name),
                });
                let ids: Vec<u8> = ids.collect();
                list.extend(u32::try_from(ids.len()).unwrap_or(u32::MAX).to_be_bytes());
                list.extend(ids);
            }
            (code, 0, list)
        }
        ServiceAction::Reserve { key, kind } => (RESERVE, kind.code(), list(*key, 0, 0)),
        ServiceAction::Release {
            key,
            scope_and_type,
        } => (RELEASE, *scope_and_type, list(*key, 0, 0)),
        ServiceAction::Clear { key } => (CLEAR, 0, list(*key, 0, 0)),
        ServiceAction::Preempt {
            key,
            victim,
            scope_and_type,
            abort,
        } => {
            let code = if *abort { PREEMPT_AND_ABORT } else { PREEMPT };
            (code, *scope_and_type, list(*key, *victim, 0))
        }
        ServiceAction::Move {
            key,
            new_key,
            unregister,
            aptpl,
            to,
        } => {
            let mut list = Vec::new();
            list.extend(key.to_be_bytes());
            list.extend(new_key.to_be_bytes());
            list.extend([0, bit(*unregister, UNREG) | bit(*aptpl, APTPL)]);
            list.extend(to.relative_port.to_be_bytes());
            let id = transport_id::encode(&to.initiator_port);
            list.extend(u32::try_from(id.len()).unwrap_or(u32::MAX).to_be_bytes());
            list.extend(id);
            (REGISTER_AND_MOVE, 0, list)
        }
    }
}

/// The parameter list of everything but REGISTER AND MOVE.
fn basic_action(pending: PendingPersistentOut, list: &Bytes) -> Result<ServiceAction, Sense> {
    let (_, (key, new_key, flags, reserved)) =
        basic(list).map_err(|_| parameter_list_length_error())?;
    check_reserved(20, flags & !(SPEC_I_PT | ALL_TG_PT | APTPL))?;
    check_reserved(21, reserved)?;
    let specified = flags & SPEC_I_PT != 0;
    Ok(match pending {
        PendingPersistentOut::Register {
            ignore_existing_key,
        } => {
            if specified && ignore_existing_key {
                return Err(Sense::invalid_field_in_parameter_list(20, Some(3)));
            }
            let others = if specified {
                Some(transport_ids(list)?)
            } else if list.len() == 24 {
                None
            } else {
                return Err(parameter_list_length_error());
            };
            ServiceAction::Register(Register {
                expected: (!ignore_existing_key).then_some(key),
                key: new_key,
                aptpl: flags & APTPL != 0,
                all_target_ports: flags & ALL_TG_PT != 0,
                others,
            })
        }
        // Only REGISTER has other initiator ports.
        _ if specified => return Err(Sense::invalid_field_in_parameter_list(20, Some(3))),
        PendingPersistentOut::Reserve { kind } => ServiceAction::Reserve { key, kind },
        PendingPersistentOut::Release { scope_and_type } => ServiceAction::Release {
            key,
            scope_and_type,
        },
        PendingPersistentOut::Preempt {
            scope_and_type,
            abort,
        } => ServiceAction::Preempt {
            key,
            victim: new_key,
            scope_and_type,
            abort,
        },
        PendingPersistentOut::Clear | PendingPersistentOut::Move => ServiceAction::Clear { key },
    })
}

/// RESERVATION KEY, SERVICE ACTION RESERVATION KEY, four obsolete bytes, the flags, a reserved byte,
/// two obsolete bytes.
fn basic(input: &[u8]) -> IResult<&[u8], (u64, u64, u8, u8)> {
    let (rest, (key, new_key, _, flags, reserved, _)) =
        (be_u64, be_u64, be_u32, be_u8, be_u8, be_u16).parse(input)?;
    Ok((rest, (key, new_key, flags, reserved)))
}

/// Points at the first bit that is set of those in byte `at` that are reserved.
fn check_reserved(at: u16, bits: u8) -> Result<(), Sense> {
    match bits.checked_ilog2().and_then(|bit| u8::try_from(bit).ok()) {
        None => Ok(()),
        bit => Err(Sense::invalid_field_in_parameter_list(at, bit)),
    }
}

/// The TransportIDs behind a REGISTER with SPEC_I_PT.
fn transport_ids(list: &Bytes) -> Result<Vec<TransportId>, Sense> {
    let behind = list.get(24..).unwrap_or_default();
    let (length, mut rest) = behind
        .split_first_chunk()
        .map(|(length, rest)| (u32::from_be_bytes(*length), rest))
        .ok_or_else(parameter_list_length_error)?;
    if u32::try_from(rest.len()) != Ok(length) {
        return Err(parameter_list_length_error());
    }
    let mut ids = Vec::new();
    let mut at = TRANSPORT_IDS_AT;
    while !rest.is_empty() {
        let (id, behind) = transport_id::take(rest).ok_or_else(|| {
            let at = u16::try_from(at).unwrap_or(u16::MAX);
            Sense::invalid_field_in_parameter_list(at, None)
        })?;
        at += rest.len() - behind.len();
        ids.push(id);
        rest = behind;
    }
    Ok(ids)
}

/// The parameter list of REGISTER AND MOVE.
fn move_action(list: &Bytes) -> Result<ServiceAction, Sense> {
    let (rest, (key, new_key, reserved, flags, relative_port, length)) =
        move_header(list).map_err(|_| parameter_list_length_error())?;
    check_reserved(16, reserved)?;
    check_reserved(17, flags & !(UNREG | APTPL))?;
    if u32::try_from(rest.len()) != Ok(length) {
        return Err(parameter_list_length_error());
    }
    // One port of one initiator, and nothing behind it.
    let (Some((TransportId::Port(initiator_port), [])), 1..) =
        (transport_id::take(rest), relative_port)
    else {
        let at = match (relative_port, length) {
            (0, _) => 18,
            (_, 0) => 20,
            _ => MOVE_TRANSPORT_ID_AT,
        };
        return Err(Sense::invalid_field_in_parameter_list(at, None));
    };
    Ok(ServiceAction::Move {
        key,
        new_key,
        unregister: flags & UNREG != 0,
        aptpl: flags & APTPL != 0,
        to: NexusName {
            initiator_port,
            relative_port,
        },
    })
}

type MoveHeader = (u64, u64, u8, u8, u16, u32);

/// Keys, a reserved byte, flags, RELATIVE TARGET PORT IDENTIFIER, length of the TransportID.
fn move_header(input: &[u8]) -> IResult<&[u8], MoveHeader> {
    (be_u64, be_u64, be_u8, be_u8, be_u16, be_u32).parse(input)
}
