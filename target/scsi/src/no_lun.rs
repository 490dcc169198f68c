//! Commands to a logical unit that isn't there (SPC-5, SAM-6).

use crate::cdb::{Cdb, invalid_field};
use crate::command::Command;
use crate::commands::report_luns;
use crate::opcodes::{self, INQUIRY, REPORT_LUNS, REQUEST_SENSE};
use crate::reply::Reply;
use crate::sense::{AdditionalSense, Sense, SenseFormat};

/// Answers a command whose LUN isn't mapped for the nexus: INQUIRY says that there is no unit,
/// REPORT LUNS tells which ones there are, REQUEST SENSE reports the error as its data, and
/// everything else ends with LOGICAL UNIT NOT SUPPORTED.
#[must_use]
pub fn no_logical_unit(command: &Command<'_>) -> Reply {
    match answer(command) {
        Ok(reply) => reply,
        Err(sense) => Reply::check_condition(&sense, SenseFormat::Fixed),
    }
}

const NOT_SUPPORTED: Sense = Sense::illegal_request(AdditionalSense::LOGICAL_UNIT_NOT_SUPPORTED);

fn answer(command: &Command<'_>) -> Result<Reply, Sense> {
    let cdb = Cdb::new(command.cdb);
    let known = match cdb.u8(0) {
        INQUIRY | REPORT_LUNS | REQUEST_SENSE => opcodes::find(cdb)?,
        _ => return Err(NOT_SUPPORTED),
    };
    known.check_fields(cdb)?;
    match known.opcode.operation_code {
        INQUIRY => inquiry(cdb),
        REPORT_LUNS => report_luns::report(cdb, command.luns),
        _ => {
            let format = if cdb.flag(1, 0x01) {
                SenseFormat::Descriptor
            } else {
                SenseFormat::Fixed
            };
            Ok(Reply::parameter_data(
                NOT_SUPPORTED.encode(format),
                u32::from(cdb.u8(4)),
            ))
        }
    }
}

/// Peripheral qualifier 011b and device type 1Fh: nothing can be here (SPC-5). There are no
/// VPD pages of nothing.
fn inquiry(cdb: Cdb) -> Result<Reply, Sense> {
    const NO_DEVICE: u8 = 0x7f;
    const LENGTH: usize = 36;
    if cdb.flag(1, 0x01) {
        return Err(invalid_field(1, 0));
    }
    if cdb.u8(2) != 0 {
        return Err(invalid_field(2, None));
    }
    let mut data = vec![NO_DEVICE, 0, 0x06, 0x02, 0];
    data.resize(LENGTH, 0);
    if let Some(length) = data.get_mut(4) {
        *length = u8::try_from(LENGTH - 5).unwrap_or(0);
    }
    Ok(Reply::parameter_data(data, u32::from(cdb.u16(3))))
}
