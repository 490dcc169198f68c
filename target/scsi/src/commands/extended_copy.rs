//! EXTENDED COPY(LID1), EXTENDED COPY(LID4) and COPY OPERATION ABORT (SPC-5).
//!
//! The copy manager is the one of the logical unit that the command was sent to; it reaches whatever
//! the I_T nexus sees. All operations run in the foreground: IMMED isn't supported.

use std::sync::Arc;

use crate::cdb::invalid_field;
use crate::commands::{
    AwaitingData, Refusal, Request, Stage, contiguous, length_of, parameter_list,
    parameter_list_length_error,
};
use crate::copy::list::{CopyList, ListFormat};
use crate::copy::record::Origin;
use crate::copy::{CopyJob, CopyTicket};
use crate::nexus::LuNexus;
use crate::plan::{Completion, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::status::Status;
use crate::unit::LogicalUnit;

pub(crate) fn handle_lid1(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    list_wanted(request, ListFormat::Lid1)
}

pub(crate) fn handle_lid4(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    list_wanted(request, ListFormat::Lid4)
}

fn list_wanted(request: &Request<'_>, format: ListFormat) -> Result<Plan, Refusal> {
    const PARAMETER_LIST_LENGTH: usize = 10;
    match request.cdb.u32(PARAMETER_LIST_LENGTH) {
        0 => Plan::reply(Reply::good()),
        length if length < u32::from(format.header()) || length > format.longest() => {
            Err(parameter_list_length_error().into())
        }
        length => parameter_list(request, length, AwaitingData::ExtendedCopy(format)),
    }
}

pub(crate) fn data_out(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    format: ListFormat,
    data: &DataPieces,
) -> Result<Plan, Refusal> {
    let transfer_length = length_of(data);
    let refused = |sense| Refusal {
        sense,
        transfer_length,
    };
    let list = CopyList::parse(&contiguous(data), format).map_err(refused)?;
    let Some(counted) = unit.copies.count() else {
        let full = Reply::with_status(Status::TASK_SET_FULL);
        return Plan::reply(full.of_transfer(transfer_length));
    };
    let record = nexus
        .state
        .copies
        .begin(list.identifier, Origin::ExtendedCopy(format))
        .map_err(refused)?;
    let ticket = CopyTicket::new(Arc::clone(&record), transfer_length, counted);
    let job = Arc::new(CopyJob::new(list, record));
    Ok(Plan::Execute {
        operation: Operation::Copy { job },
        completion: Completion(Stage::Copy(Box::new(ticket))),
    })
}

/// COPY OPERATION ABORT. The operation itself ends when what is in flight has ended, with COPY
/// ABORTED and COMMANDS CLEARED BY DEVICE SERVER.
pub(crate) fn handle_abort(
    _: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const LIST_IDENTIFIER: usize = 2;
    if nexus.state.copies.abort(request.cdb.u32(LIST_IDENTIFIER)) {
        Plan::reply(Reply::good())
    } else {
        Err(invalid_field(2, None).into())
    }
}
