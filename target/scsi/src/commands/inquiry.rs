//! INQUIRY (SPC-5): standard data here, vital product data pages in `vpd`.

use crate::alua::AccessState;
use crate::cdb::invalid_field;
use crate::commands::{Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::unit::LogicalUnit;

mod vpd;

pub(crate) use vpd::{names_unit, target_device_designator};

const EVPD: u8 = 0x01;
const PAGE_CODE: usize = 2;
const ALLOCATION_LENGTH: usize = 3;

pub(crate) fn handle(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    let allocation_length = u32::from(cdb.u16(ALLOCATION_LENGTH));
    let page = cdb.u8(PAGE_CODE);
    let qualifier = qualifier(LogicalUnit::access_state(nexus));
    let data = if cdb.flag(1, EVPD) {
        vpd::page(unit, nexus.info(), qualifier, page).ok_or_else(|| invalid_field(2, None))?
    } else if page == 0 {
        standard(unit, nexus, qualifier)
    } else {
        return Err(invalid_field(2, None).into());
    };
    Plan::reply(Reply::parameter_data(data, allocation_length))
}

/// PERIPHERAL QUALIFIER of byte 0: through a port in the state unavailable the unit isn't connected
/// (SPC-5, asymmetric access states).
fn qualifier(state: AccessState) -> u8 {
    const CONNECTED: u8 = 0b000 << 5;
    const NOT_CONNECTED: u8 = 0b001 << 5;
    if state == AccessState::Unavailable {
        NOT_CONNECTED
    } else {
        CONNECTED
    }
}

/// Standard INQUIRY data of 96 bytes (SPC-5).
fn standard(unit: &LogicalUnit, nexus: &LuNexus, qualifier: u8) -> Vec<u8> {
    const DIRECT_ACCESS: u8 = 0x00;
    const VERSION_SPC_4: u8 = 0x06;
    const HISUP: u8 = 0x10;
    const RESPONSE_DATA_FORMAT: u8 = 0x02;
    /// Implicit asymmetric logical unit access.
    const TPGS_IMPLICIT: u8 = 0b01 << 4;
    /// Explicit asymmetric logical unit access.
    const TPGS_EXPLICIT: u8 = 0b10 << 4;
    const MULTIP: u8 = 0x10;
    const CMDQUE: u8 = 0x02;
    const THIRD_PARTY_COPY: u8 = 0x08;
    const LENGTH: usize = 96;
    // SAM-5, SPC-4, SBC-3, iSCSI: none of them with a revision.
    const VERSION_DESCRIPTORS: [u16; 4] = [0x00a0, 0x0460, 0x04c0, 0x0960];

    let identity = unit.identity();
    let ports = unit.ports_of(&nexus.info().target_port);
    // The other daemon's ports are some more, and it's agreed on between the two which of them are the better ones.
    let is_shared = unit.is_shared();
    let multiple = if ports.len() > 1 || is_shared {
        MULTIP
    } else {
        0
    };
    let tpgs = if is_shared {
        TPGS_IMPLICIT
    } else {
        TPGS_IMPLICIT | TPGS_EXPLICIT
    };
    let mut data = Vec::with_capacity(LENGTH);
    data.extend([
        qualifier | DIRECT_ACCESS,
        0,
        VERSION_SPC_4,
        HISUP | RESPONSE_DATA_FORMAT,
    ]);
    data.extend([
        u8::try_from(LENGTH - 5).unwrap_or(0),
        tpgs | THIRD_PARTY_COPY,
        multiple,
        CMDQUE,
    ]);
    data.extend(ascii::<8>(&identity.vendor));
    data.extend(ascii::<16>(&identity.product));
    data.extend(ascii::<4>(&identity.revision));
    data.resize(58, 0);
    for descriptor in VERSION_DESCRIPTORS {
        data.extend(descriptor.to_be_bytes());
    }
    data.resize(LENGTH, 0);
    data
}

/// `text` as a left-aligned ASCII field padded with spaces (SPC-5); what is not printable
/// ASCII becomes a question mark.
pub(crate) fn ascii<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    for (to, from) in field.iter_mut().zip(text.chars()) {
        let printable = from.is_ascii_graphic() || from == ' ';
        *to = u8::try_from(from)
            .ok()
            .filter(|_| printable)
            .unwrap_or(b'?');
    }
    field
}
