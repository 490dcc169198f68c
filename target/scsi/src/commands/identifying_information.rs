//! REPORT IDENTIFYING INFORMATION and SET IDENTIFYING INFORMATION (SPC-5).

use bytes::Bytes;

use crate::cdb::{Cdb, invalid_field};
use crate::commands::{AwaitingData, Finish, Refusal, Request, contiguous, parameter_list};
use crate::identifying::IdentifyingInformationType;
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::{DataPieces, Reply};
use crate::sense::{AdditionalSense, Sense, SenseKey};
use crate::unit::LogicalUnit;

/// ALLOCATION LENGTH or PARAMETER LIST LENGTH.
const LENGTH: usize = 6;
/// INFORMATION TYPE, in the upper seven bits.
const INFORMATION_TYPE: usize = 10;
/// Asks which types are supported.
const SUPPORTED_TYPES: u8 = 0b111_1111;

/// What was kept can't be read.
const LOST: Sense = Sense::new(
    SenseKey::HARDWARE_ERROR,
    AdditionalSense::INTERNAL_TARGET_FAILURE,
);

pub(crate) fn report(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let body = if code(request.cdb) == SUPPORTED_TYPES {
        let descriptor = |kind: IdentifyingInformationType| {
            let [high, low] = kind.max_length().to_be_bytes();
            [kind.code() << 1, 0, high, low]
        };
        let all = IdentifyingInformationType::ALL.into_iter();
        all.flat_map(descriptor).collect()
    } else {
        let kind = information_type(request.cdb)?;
        let information = unit.identifying_information();
        information.get(kind).ok_or(LOST)?.clone()
    };
    let mut data = vec![0, 0];
    data.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    data.extend(body);
    Plan::reply(Reply::parameter_data(data, request.cdb.u32(LENGTH)))
}

pub(crate) fn set(
    _: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let kind = information_type(request.cdb)?;
    match request.cdb.u32(LENGTH) {
        // From now on there is none.
        0 => Ok(keep(nexus, kind, Bytes::new())),
        length if length > u32::from(kind.max_length()) => Err(invalid_field(6, None).into()),
        length => parameter_list(
            request,
            length,
            AwaitingData::SetIdentifyingInformation(kind),
        ),
    }
}

pub(crate) fn data_out(
    nexus: &LuNexus,
    kind: IdentifyingInformationType,
    data: &DataPieces,
) -> Result<Plan, Refusal> {
    let information = contiguous(data);
    if !kind.admits(&information) {
        return Err(Sense::invalid_field_in_parameter_list(0, None).into());
    }
    // A few bytes, kept for long: they must not hold a receive buffer.
    Ok(keep(nexus, kind, Bytes::copy_from_slice(&information)))
}

fn keep(nexus: &LuNexus, kind: IdentifyingInformationType, information: Bytes) -> Plan {
    let transfer_length = u64::try_from(information.len()).unwrap_or(u64::MAX);
    let operation = Operation::SetIdentifyingInformation {
        kind,
        information,
        nexus: nexus.id(),
    };
    let finish = Finish::writing(Extent::default(), transfer_length);
    Plan::execute(operation, finish)
}

fn code(cdb: Cdb) -> u8 {
    cdb.u8(INFORMATION_TYPE) >> 1
}

fn information_type(cdb: Cdb) -> Result<IdentifyingInformationType, Sense> {
    let mut all = IdentifyingInformationType::ALL.into_iter();
    all.find(|kind| kind.code() == code(cdb))
        .ok_or_else(|| invalid_field(10, 7))
}
