//! POPULATE TOKEN and WRITE USING TOKEN (SBC-4), and RECEIVE ROD TOKEN INFORMATION (SPC-5, SBC-4).
//! All operations run in the foreground: IMMED is treated as zero, as SPC-5 says of commands that don't
//! support it.

use std::sync::Arc;

use crate::commands::receive_copy::{ALLOCATION_LENGTH, find, shared_status, with_length};
use crate::commands::{
    AwaitingData, Refusal, Request, Stage, contiguous, length_of, parameter_list,
    parameter_list_length_error,
};
use crate::copy::record::{CopyRecord, Origin};
use crate::copy::{CopyTicket, PopulateToken, WriteUsingToken, rod};
use crate::nexus::LuNexus;
use crate::plan::{Completion, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::sense::Sense;
use crate::status::Status;
use crate::unit::LogicalUnit;

/// LIST IDENTIFIER of the commands that begin an operation.
const LIST_IDENTIFIER: usize = 6;

pub(crate) fn handle_populate(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let identifier = request.cdb.u32(LIST_IDENTIFIER);
    list_wanted(request, AwaitingData::PopulateToken(identifier))
}

pub(crate) fn handle_write(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let identifier = request.cdb.u32(LIST_IDENTIFIER);
    list_wanted(request, AwaitingData::WriteUsingToken(identifier))
}

fn list_wanted(request: &Request<'_>, awaiting: AwaitingData) -> Result<Plan, Refusal> {
    const PARAMETER_LIST_LENGTH: usize = 10;
    const LEAST: u32 = 16;
    match request.cdb.u32(PARAMETER_LIST_LENGTH) {
        0 => Plan::reply(Reply::good()),
        LEAST..=rod::LONGEST_LIST => {
            parameter_list(request, request.cdb.u32(PARAMETER_LIST_LENGTH), awaiting)
        }
        _ => Err(parameter_list_length_error().into()),
    }
}

pub(crate) fn populate(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    identifier: u32,
    data: &DataPieces,
) -> Result<Plan, Refusal> {
    let list = contiguous(data);
    begin(
        unit,
        nexus,
        identifier,
        Origin::PopulateToken,
        data,
        |record| {
            let (ranges, inactivity_timeout) = rod::populate_list(&list, unit)?;
            let wish = PopulateToken {
                ranges,
                inactivity_timeout,
                record,
            };
            Ok(Operation::PopulateToken {
                wish: Arc::new(wish),
            })
        },
    )
}

pub(crate) fn write(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    identifier: u32,
    data: &DataPieces,
) -> Result<Plan, Refusal> {
    let list = contiguous(data);
    begin(
        unit,
        nexus,
        identifier,
        Origin::WriteUsingToken,
        data,
        |record| {
            let list = rod::write_list(&list, unit)?;
            let job = WriteUsingToken {
                token: list.token,
                kind: list.kind,
                offset: list.offset,
                ranges: list.ranges,
                delete: list.delete,
                record,
            };
            Ok(Operation::WriteUsingToken { job: Arc::new(job) })
        },
    )
}

/// Begins the operation that `plan` makes of the parameter list.
fn begin(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    identifier: u32,
    origin: Origin,
    data: &DataPieces,
    plan: impl FnOnce(Arc<CopyRecord>) -> Result<Operation, Sense>,
) -> Result<Plan, Refusal> {
    let transfer_length = length_of(data);
    let refused = |sense| Refusal {
        sense,
        transfer_length,
    };
    let Some(counted) = unit.copies.count() else {
        let full = Reply::with_status(Status::TASK_SET_FULL);
        return Plan::reply(full.of_transfer(transfer_length));
    };
    let records = &nexus.state.copies;
    let record = records.begin(Some(identifier), origin).map_err(refused)?;
    match plan(Arc::clone(&record)) {
        Ok(operation) => Ok(Plan::Execute {
            operation,
            completion: Completion(Stage::Copy(Box::new(CopyTicket::new(
                record,
                transfer_length,
                counted,
            )))),
        }),
        Err(sense) => {
            // As if the command had never come.
            records.withdraw(&record);
            Err(refused(sense))
        }
    }
}

/// RECEIVE ROD TOKEN INFORMATION: how the operation goes, and the token that it has made. The token
/// is told once.
pub(crate) fn handle_receive(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let allocation_length = request.cdb.u32(ALLOCATION_LENGTH);
    let record = find(nexus, request.cdb.u32(2))?;
    let progress = record.progress();
    let token = record.token();
    let mut body = shared_status(unit, &record, &progress);
    match &token {
        Some(token) => {
            let length = u32::try_from(token.bytes().len() + 2).unwrap_or(0);
            body.extend(length.to_be_bytes());
            body.extend([0, 0]);
            body.extend(token.bytes());
        }
        None => body.extend([0; 4]),
    }
    let data = with_length(body);
    let all = u32::try_from(data.len()).unwrap_or(u32::MAX);
    if token.is_some() && (allocation_length == 0 || allocation_length >= all) {
        nexus.state.copies.forget(&record);
    }
    Plan::reply(Reply::parameter_data(data, allocation_length))
}
