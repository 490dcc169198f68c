//! RECEIVE COPY STATUS(LID1), RECEIVE COPY OPERATING PARAMETERS, RECEIVE COPY FAILURE DETAILS(LID1)
//! and RECEIVE COPY STATUS(LID4) (SPC-5): how copy operations went, and what they may ask for.

use std::sync::Arc;

use crate::cdb::invalid_field;
use crate::commands::{Refusal, Request};
use crate::copy::record::{CopyRecord, Progress};
use crate::copy::{
    DATA_SEGMENT_GRANULARITY, DESCRIPTOR_TYPES, MAX_CONCURRENT_COPIES, MAX_CSCDS,
    MAX_DESCRIPTORS_LENGTH, MAX_SEGMENT_LENGTH, MAX_SEGMENTS,
};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::sense::Sense;
use crate::status::Status;
use crate::unit::LogicalUnit;

pub(crate) const ALLOCATION_LENGTH: usize = 10;
const LIST_IDENTIFIER: usize = 2;
/// TRANSFER COUNT UNITS.
const BYTES: u8 = 0x00;
const KIBIBYTES: u8 = 0x01;
const BLOCKS_OF_DESTINATION: u8 = 0xf1;

/// RECEIVE COPY STATUS(LID1): the operation is forgotten once it has ended and this was told.
pub(crate) fn handle_status_lid1(
    _: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let record = find(nexus, u32::from(request.cdb.u8(LIST_IDENTIFIER)))?;
    let progress = record.progress();
    let status = match &progress.ending {
        None => 0x00,
        Some(ending) if ending.status == Status::GOOD => 0x01,
        Some(_) => 0x02,
    };
    let (units, count) = match u32::try_from(progress.written) {
        Ok(bytes) => (BYTES, bytes),
        Err(_) => (
            KIBIBYTES,
            u32::try_from(progress.written >> 10).unwrap_or(u32::MAX),
        ),
    };
    let mut data = 8_u32.to_be_bytes().to_vec();
    data.push(status);
    data.extend(progress.segments.to_be_bytes());
    data.push(units);
    data.extend(count.to_be_bytes());
    if progress.ending.is_some() {
        nexus.state.copies.forget(&record);
    }
    Plan::reply(Reply::parameter_data(
        data,
        request.cdb.u32(ALLOCATION_LENGTH),
    ))
}

/// RECEIVE COPY OPERATING PARAMETERS: the limits that [`crate::copy`] keeps.
pub(crate) fn handle_operating_parameters(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const SNLID: u8 = 0x01;
    let mut body = vec![SNLID, 0, 0, 0];
    body.extend(MAX_CSCDS.to_be_bytes());
    body.extend(MAX_SEGMENTS.to_be_bytes());
    body.extend(MAX_DESCRIPTORS_LENGTH.to_be_bytes());
    body.extend(MAX_SEGMENT_LENGTH.to_be_bytes());
    // No inline data, no held data, no stream devices.
    body.extend([0; 12]);
    body.extend([0, 0]);
    body.extend(u16::from(MAX_CONCURRENT_COPIES).to_be_bytes());
    body.extend([MAX_CONCURRENT_COPIES, DATA_SEGMENT_GRANULARITY, 0, 0]);
    body.extend([0; 3]);
    body.push(u8::try_from(DESCRIPTOR_TYPES.len()).unwrap_or(0));
    body.extend(DESCRIPTOR_TYPES);
    let data = with_length(body);
    Plan::reply(Reply::parameter_data(
        data,
        request.cdb.u32(ALLOCATION_LENGTH),
    ))
}

/// RECEIVE COPY FAILURE DETAILS(LID1): the sense data of an operation that failed, once.
pub(crate) fn handle_failure_details(
    _: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let allocation_length = request.cdb.u32(ALLOCATION_LENGTH);
    let record = find(nexus, u32::from(request.cdb.u8(LIST_IDENTIFIER)))?;
    let Some(ending) = record.progress().ending else {
        return Err(no_such_list().into());
    };
    let mut data = Vec::new();
    if ending.sense.is_empty() {
        data.extend([0; 4]);
    } else {
        let mut body = vec![0; 52];
        body.extend([ending.status.0, 0]);
        body.extend(u16::try_from(ending.sense.len()).unwrap_or(0).to_be_bytes());
        body.extend(&ending.sense);
        data.extend(with_length(body));
        let all = u32::try_from(data.len()).unwrap_or(u32::MAX);
        if allocation_length == 0 || allocation_length >= all {
            nexus.state.copies.forget(&record);
        }
    }
    Plan::reply(Reply::parameter_data(data, allocation_length))
}

/// RECEIVE COPY STATUS(LID4): may be asked again and again.
pub(crate) fn handle_status_lid4(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let record = find(nexus, request.cdb.u32(LIST_IDENTIFIER))?;
    let data = with_length(shared_status(unit, &record, &record.progress()));
    Plan::reply(Reply::parameter_data(
        data,
        request.cdb.u32(ALLOCATION_LENGTH),
    ))
}

/// The shared third-party copy status header (SPC-5), without AVAILABLE DATA.
pub(crate) fn shared_status(
    unit: &LogicalUnit,
    record: &CopyRecord,
    progress: &Progress,
) -> Vec<u8> {
    const IN_FOREGROUND: u8 = 0x11;
    /// ESTIMATED STATUS UPDATE DELAY in milliseconds of what runs, and of what has ended.
    const AGAIN: u32 = 1000;
    const ENDED: u32 = 0xffff_fffe;
    let (status, delay, completion, sense) = match &progress.ending {
        None => (IN_FOREGROUND, AGAIN, 0, &[][..]),
        Some(ending) => {
            let status = match ending.status {
                Status::GOOD => 0x01,
                Status::TASK_ABORTED => 0x60,
                _ => 0x02,
            };
            (status, ENDED, ending.status.0, ending.sense.as_ref())
        }
    };
    let length = u8::try_from(sense.len()).unwrap_or(0);
    let (units, count, segments) = if record.origin.counts_blocks() {
        let shift = unit.config().block_size.shift();
        (BLOCKS_OF_DESTINATION, progress.written >> shift, 0)
    } else {
        (BYTES, progress.written, progress.segments)
    };
    let mut body = vec![record.origin.service_action(), status];
    body.extend(progress.operations.to_be_bytes());
    body.extend(delay.to_be_bytes());
    body.extend([completion, length.next_multiple_of(4), length, units]);
    body.extend(count.to_be_bytes());
    body.extend(segments.to_be_bytes());
    body.extend([0; 6]);
    body.extend(sense);
    body.resize(body.len().next_multiple_of(4), 0);
    body
}

pub(crate) fn find(nexus: &LuNexus, identifier: u32) -> Result<Arc<CopyRecord>, Sense> {
    nexus.state.copies.find(identifier).ok_or_else(no_such_list)
}

/// No operation with that list identifier can be told about.
fn no_such_list() -> Sense {
    invalid_field(2, None)
}

/// AVAILABLE DATA and what it counts.
pub(crate) fn with_length(body: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut data = length.to_be_bytes().to_vec();
    data.extend(body);
    data
}
