//! REPORT TIMESTAMP (SPC-5). The device clock is the host's as it was when the daemon started, and
//! counts on by itself: nobody ever sets it afterwards, so there is no change to tell anybody of. SET
//! TIMESTAMP is not supported; SCSIP in the Control Extension mode page is zero.

use crate::commands::{Effect, Finish, Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::Reply;
use crate::unit::LogicalUnit;

pub(crate) fn handle(_: &LogicalUnit, _: &LuNexus, request: &Request<'_>) -> Result<Plan, Refusal> {
    const ALLOCATION_LENGTH: usize = 6;
    let finish = Finish {
        extent: Extent::default(),
        transfer_length: 0,
        effect: Effect::ReportsTimestamp {
            allocation_length: request.cdb.u32(ALLOCATION_LENGTH),
        },
    };
    Ok(Plan::execute(Operation::Timestamp, finish))
}

/// The parameter data. `milliseconds` since 1970 have room for 48 bits, which last to the year 10889.
pub(crate) fn report(milliseconds: u64, allocation_length: u32) -> Reply {
    /// The clock was initialized by a method outside the standard.
    const TIMESTAMP_ORIGIN: u8 = 0b011;
    let [_, _, timestamp @ ..] = milliseconds.min((1 << 48) - 1).to_be_bytes();
    let mut data = vec![0, 10, TIMESTAMP_ORIGIN, 0];
    data.extend(timestamp);
    data.extend([0, 0]);
    Reply::parameter_data(data, allocation_length)
}
