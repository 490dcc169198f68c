//! SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS (SPC-5): the default self-test, and the page that says
//! that there are no others.

use crate::cdb::invalid_field;
use crate::commands::{Finish, Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::{Extent, Operation, Plan};
use crate::reply::Reply;
use crate::unit::LogicalUnit;

/// The default self-test reads the first block. The other self-tests of SPC-5 don't exist, and neither
/// do diagnostic pages that could be sent.
pub(crate) fn send(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const SELF_TEST_CODE: u8 = 0xe0;
    const SELFTEST: u8 = 0x04;
    let cdb = request.cdb;
    if cdb.flag(1, SELF_TEST_CODE) {
        return Err(invalid_field(1, 7).into());
    }
    if cdb.u16(3) != 0 {
        return Err(invalid_field(3, None).into());
    }
    let length = unit.whole().length;
    if !cdb.flag(1, SELFTEST) || length == 0 {
        return Plan::reply(Reply::good());
    }
    let extent = Extent {
        offset: 0,
        length: u64::from(unit.config().block_size.bytes()),
    };
    Ok(Plan::execute(
        Operation::Verify { extent },
        Finish::reading(extent, 0),
    ))
}

/// Page 00h lists itself. Without a page code there is nothing to return: a self-test that fails says so
/// in its status.
pub(crate) fn receive(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const PCV: u8 = 0x01;
    const SUPPORTED_PAGES: [u8; 5] = [0, 0, 0, 1, 0];
    let cdb = request.cdb;
    if cdb.u8(2) != 0 {
        return Err(invalid_field(2, None).into());
    }
    if !cdb.flag(1, PCV) {
        return Plan::reply(Reply::good());
    }
    Plan::reply(Reply::parameter_data(
        SUPPORTED_PAGES.to_vec(),
        u32::from(cdb.u16(3)),
    ))
}
