//! SANITIZE (SBC-4): overwrite and block erase in the background, and the way out after a failure.
//!
//! There is no encryption, so there is no cryptographic erase. ZNR is for zoned devices only, and SBC-3,
//! which the unit claims, has a reserved bit in its place.

use bytes::Bytes;
use nom::Parser;
use nom::number::complete::{be_u8, be_u16};

use crate::cdb::{Cdb, invalid_field};
use crate::commands::{
    AwaitingData, Effect, Finish, Refusal, Request, contiguous, parameter_list,
    parameter_list_length_error,
};
use crate::nexus::LuNexus;
use crate::plan::{Operation, Plan};
use crate::renewal::{MediumCondition, Renewal};
use crate::reply::{DataPieces, Reply};
use crate::sense::Sense;
use crate::unit::LogicalUnit;

const IMMED: u8 = 0x80;
const AUSE: u8 = 0x20;
const PARAMETER_LIST_LENGTH: usize = 7;
/// Bytes in front of the initialization pattern.
const HEADER: u16 = 4;

/// A SANITIZE with the OVERWRITE service action whose parameter list is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingOverwrite {
    immediate: bool,
    unrestricted: bool,
}

pub(crate) fn overwrite(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    let pending = PendingOverwrite {
        immediate: cdb.flag(1, IMMED),
        unrestricted: cdb.flag(1, AUSE),
    };
    unit.check_completion_mode(pending.unrestricted, false)?;
    let length = cdb.u16(PARAMETER_LIST_LENGTH);
    let block = unit.config().block_size.bytes();
    if length <= HEADER || u32::from(length) > block + u32::from(HEADER) {
        return Err(invalid_field(7, None).into());
    }
    parameter_list(request, u32::from(length), AwaitingData::Overwrite(pending))
}

pub(crate) fn overwrite_data_out(
    unit: &LogicalUnit,
    pending: PendingOverwrite,
    data: &DataPieces,
) -> Result<Plan, Refusal> {
    let PendingOverwrite {
        immediate,
        unrestricted,
    } = pending;
    unit.check_completion_mode(unrestricted, false)?;
    let list = contiguous(data);
    let transfer_length = u64::try_from(list.len()).unwrap_or(u64::MAX);
    let renewal = parse(unit, &list, unrestricted)?;
    renew(unit, renewal, immediate, transfer_length)
}

/// The parameter list of the OVERWRITE service action.
fn parse(unit: &LogicalUnit, list: &Bytes, unrestricted: bool) -> Result<Renewal, Sense> {
    const INVERT: u8 = 0x80;
    const TEST: u8 = 0x60;
    const OVERWRITE_COUNT: u8 = 0x1f;
    let fields = (be_u8::<&[u8], nom::error::Error<&[u8]>>, be_u8, be_u16).parse(list.as_ref());
    let (pattern, (flags, reserved, length)) = fields.map_err(|_| parameter_list_length_error())?;
    // Whatever a vendor made of TEST, it may weaken the operation.
    if flags & TEST != 0 {
        return Err(Sense::invalid_field_in_parameter_list(0, Some(6)));
    }
    let passes = flags & OVERWRITE_COUNT;
    if passes == 0 {
        return Err(Sense::invalid_field_in_parameter_list(0, Some(4)));
    }
    if reserved != 0 {
        return Err(Sense::invalid_field_in_parameter_list(1, None));
    }
    if length == 0 || u32::from(length) > unit.config().block_size.bytes() {
        return Err(Sense::invalid_field_in_parameter_list(2, None));
    }
    if pattern.len() != usize::from(length) {
        return Err(parameter_list_length_error());
    }
    Ok(Renewal::Overwrite {
        pattern: list.slice_ref(pattern),
        passes,
        invert: flags & INVERT != 0,
        unrestricted,
    })
}

pub(crate) fn block_erase(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    check_no_parameter_list(cdb)?;
    let unrestricted = cdb.flag(1, AUSE);
    unit.check_completion_mode(unrestricted, false)?;
    let renewal = Renewal::BlockErase { unrestricted };
    renew(unit, renewal, cdb.flag(1, IMMED), 0)
}

/// Leaves the medium as it is after a failed sanitize operation, if that was allowed in advance. What
/// the operation didn't reach can then be read again.
pub(crate) fn exit_failure_mode(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    check_no_parameter_list(cdb)?;
    unit.check_completion_mode(cdb.flag(1, AUSE), true)?;
    match unit.medium_condition() {
        MediumCondition::SanitizeFailed { .. } => {
            let finish = Finish::writing(unit.whole(), 0);
            Ok(Plan::execute(Operation::AcceptFailedRenewal, finish))
        }
        _ => Plan::reply(Reply::good()),
    }
}

fn check_no_parameter_list(cdb: Cdb) -> Result<(), Sense> {
    if cdb.u16(PARAMETER_LIST_LENGTH) == 0 {
        Ok(())
    } else {
        Err(invalid_field(7, None))
    }
}

/// Begins `renewal`: nothing else may touch the medium from here on.
pub(super) fn renew(
    unit: &LogicalUnit,
    renewal: Renewal,
    immediate: bool,
    transfer_length: u64,
) -> Result<Plan, Refusal> {
    let before = unit.begin_renewal(&renewal)?;
    let effect = Effect::Renews {
        sanitize: renewal != Renewal::Format,
    };
    let finish = Finish {
        extent: unit.whole(),
        transfer_length,
        effect,
    };
    let operation = Operation::Renew {
        renewal,
        immediate,
        before,
    };
    Ok(Plan::execute(operation, finish))
}
