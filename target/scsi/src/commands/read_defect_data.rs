//! READ DEFECT DATA (10) and (12) (SBC-4): both lists are empty, as whatever the host's medium replaces
//! is replaced below its file system.

use crate::cdb::{Cdb, invalid_field};
use crate::commands::{Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

/// REQ_PLIST and REQ_GLIST, which come back as PLISTV and GLISTV.
const LISTS: u8 = 0x18;
const DEFECT_LIST_FORMAT: u8 = 0x07;

pub(crate) fn handle_10(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    let lists = lists(cdb, 2)?;
    let data = vec![0, lists, 0, 0];
    Plan::reply(Reply::parameter_data(data, u32::from(cdb.u16(7))))
}

/// The list is empty from whatever ADDRESS DESCRIPTOR INDEX on, and GENERATION CODE is not supported.
pub(crate) fn handle_12(
    _: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    let lists = lists(cdb, 1)?;
    let data = vec![0, lists, 0, 0, 0, 0, 0, 0];
    Plan::reply(Reply::parameter_data(data, cdb.u32(6)))
}

/// The second byte of the header: the lists and the format that the CDB asks for at byte `at`. An
/// empty list has every format that the standard defines (SBC-4, "Address descriptors").
fn lists(cdb: Cdb, at: u16) -> Result<u8, Sense> {
    const VENDOR_SPECIFIC: u8 = 0b110;
    const RESERVED: u8 = 0b111;
    let byte = cdb.u8(usize::from(at));
    match byte & DEFECT_LIST_FORMAT {
        VENDOR_SPECIFIC | RESERVED => Err(invalid_field(at, 2)),
        _ => Ok(byte & (LISTS | DEFECT_LIST_FORMAT)),
    }
}
