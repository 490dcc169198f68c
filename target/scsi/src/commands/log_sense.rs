//! LOG SENSE (SPC-5): what pages there are, how much space is left (SBC-4, Logical Block Provisioning),
//! and that nothing is wrong (Informational Exceptions).
//!
//! No page has counters with thresholds of their own, so PC makes no difference, and nothing is saved.

use crate::cdb::invalid_field;
use crate::commands::{Effect, Finish, Refusal, Request};
use crate::nexus::LuNexus;
use crate::plan::{Operation, Plan};
use crate::reply::Reply;
use crate::unit::LogicalUnit;
use crate::unit::provisioning::SET_BYTES;

const SUPPORTED_PAGES: u8 = 0x00;
const LOGICAL_BLOCK_PROVISIONING: u8 = 0x0c;
const INFORMATIONAL_EXCEPTIONS: u8 = 0x2f;
const NO_SUBPAGE: u8 = 0x00;
/// Stands for a list of subpages.
const ALL_SUBPAGES: u8 = 0xff;

/// Disable save: nothing is saved.
const DS: u8 = 0x80;
const SPF: u8 = 0x40;
/// Control byte of a parameter: binary format list.
const BINARY_LIST: u8 = 0x03;

/// All pages in ascending order.
fn pages(unit: &LogicalUnit) -> impl Iterator<Item = u8> {
    let thin = unit.config().thin;
    [
        SUPPORTED_PAGES,
        LOGICAL_BLOCK_PROVISIONING,
        INFORMATIONAL_EXCEPTIONS,
    ]
    .into_iter()
    .filter(move |page| *page != LOGICAL_BLOCK_PROVISIONING || thin)
}

pub(crate) fn handle(
    unit: &LogicalUnit,
    _: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const PAGE_CODE: u8 = 0x3f;
    let cdb = request.cdb;
    let (code, subpage) = (cdb.u8(2) & PAGE_CODE, cdb.u8(3));
    let (from, allocation_length) = (cdb.u16(5), cdb.u16(7));
    if !pages(unit).any(|known| known == code) {
        return Err(invalid_field(2, 5).into());
    }
    let data = match (code, subpage) {
        (SUPPORTED_PAGES, NO_SUBPAGE) => page(0, code, None, &pages(unit).collect::<Vec<_>>()),
        (SUPPORTED_PAGES, ALL_SUBPAGES) => {
            let all: Vec<_> = pages(unit).flat_map(with_subpages).collect();
            page(0, code, Some(subpage), &all)
        }
        (_, ALL_SUBPAGES) => page(0, code, Some(subpage), &with_subpages(code)),
        (LOGICAL_BLOCK_PROVISIONING, NO_SUBPAGE) => {
            if from > LAST_RESOURCE {
                return Err(invalid_field(5, None).into());
            }
            let effect = Effect::ReportsResources {
                from,
                allocation_length,
            };
            let finish = Finish {
                extent: unit.whole(),
                transfer_length: 0,
                effect,
            };
            return Ok(Plan::execute(Operation::Resources, finish));
        }
        (INFORMATIONAL_EXCEPTIONS, NO_SUBPAGE) => {
            /// There is no thermometer.
            const NO_TEMPERATURE: u8 = 0xff;
            page(
                DS,
                code,
                None,
                &parameter(0x0000, &[0, 0, NO_TEMPERATURE, 0]),
            )
        }
        _ => return Err(invalid_field(3, None).into()),
    };
    // The only parameter that any of these has is number zero.
    if from > 0 {
        return Err(invalid_field(5, None).into());
    }
    Plan::reply(Reply::parameter_data(data, u32::from(allocation_length)))
}

/// A page is its own subpage zero, and has the list of its subpages.
fn with_subpages(code: u8) -> [u8; 4] {
    [code, NO_SUBPAGE, code, ALL_SUBPAGES]
}

/// A page with its header.
fn page(flags: u8, code: u8, subpage: Option<u8>, body: &[u8]) -> Vec<u8> {
    let spf = if subpage.is_some() { SPF } else { 0 };
    let mut page = vec![flags | spf | code, subpage.unwrap_or(NO_SUBPAGE)];
    page.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    page.extend(body);
    page
}

/// A parameter in binary list format.
fn parameter(code: u16, value: &[u8]) -> Vec<u8> {
    let mut parameter = code.to_be_bytes().to_vec();
    parameter.extend([BINARY_LIST, u8::try_from(value.len()).unwrap_or(0)]);
    parameter.extend(value);
    parameter
}

const AVAILABLE: u16 = 0x0001;
const USED: u16 = 0x0002;
const LAST_RESOURCE: u16 = USED;

/// The Logical Block Provisioning log page (SBC-4), once the store has said how much is used and left.
pub(crate) fn resources(
    used: u64,
    available: Option<u64>,
    from: u16,
    allocation_length: u16,
) -> Reply {
    /// SCOPE: to this unit alone.
    const DEDICATED: u8 = 0b01;
    /// SCOPE: other units may take it.
    const SHARED: u8 = 0b10;
    let sets = |bytes: u64| u32::try_from(bytes / SET_BYTES).unwrap_or(u32::MAX);
    let value = |count: u32, scope: u8| {
        let [b0, b1, b2, b3] = count.to_be_bytes();
        [b0, b1, b2, b3, scope, 0, 0, 0]
    };
    let available = available.map(|bytes| (AVAILABLE, value(sets(bytes), SHARED)));
    // What takes up part of a set takes up the set.
    let used = (
        USED,
        value(sets(used.saturating_add(SET_BYTES - 1)), DEDICATED),
    );
    let body: Vec<_> = available
        .into_iter()
        .chain([used])
        .filter(|(code, _)| *code >= from)
        .flat_map(|(code, value)| parameter(code, &value))
        .collect();
    let data = page(DS, LOGICAL_BLOCK_PROVISIONING, None, &body);
    Reply::parameter_data(data, u32::from(allocation_length))
}
