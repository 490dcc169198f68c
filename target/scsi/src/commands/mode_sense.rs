//! MODE SENSE (6) and (10) (SPC-5).

use crate::cdb::{Cdb, invalid_field};
use crate::commands::mode_pages::{self, ALL_PAGES, PAGES, PageControl};
use crate::commands::{Refusal, Request};
use crate::mode::ModeSaving;
use crate::nexus::LuNexus;
use crate::plan::Plan;
use crate::reply::Reply;
use crate::sense::{AdditionalSense, Sense};
use crate::unit::LogicalUnit;

const DBD: u8 = 0x08;
const LLBAA: u8 = 0x10;
/// Device-specific parameter: the medium is write protected.
const WP: u8 = 0x80;
/// Device-specific parameter: DPO and FUA are supported.
const DPOFUA: u8 = 0x10;

pub(crate) fn handle_6(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    let cdb = request.cdb;
    let descriptor = if cdb.flag(1, DBD) {
        Vec::new()
    } else {
        short_descriptor(unit)
    };
    let pages = pages(unit, cdb)?;
    // Both lengths are one byte here; the pages are far from filling it.
    let length = u8::try_from(3 + descriptor.len() + pages.len()).unwrap_or(u8::MAX);
    let descriptor_length = u8::try_from(descriptor.len()).unwrap_or(0);
    let mut data = vec![length, 0, device_specific(unit, nexus), descriptor_length];
    data.extend(descriptor);
    data.extend(pages);
    Plan::reply(Reply::parameter_data(data, u32::from(cdb.u8(4))))
}

pub(crate) fn handle_10(
    unit: &LogicalUnit,
    nexus: &LuNexus,
    request: &Request<'_>,
) -> Result<Plan, Refusal> {
    const LONGLBA: u8 = 0x01;
    let cdb = request.cdb;
    let long = cdb.flag(1, LLBAA) && !cdb.flag(1, DBD);
    let descriptor = match (cdb.flag(1, DBD), long) {
        (true, _) => Vec::new(),
        (false, true) => long_descriptor(unit),
        (false, false) => short_descriptor(unit),
    };
    let pages = pages(unit, cdb)?;
    let length = u16::try_from(6 + descriptor.len() + pages.len()).unwrap_or(u16::MAX);
    let descriptor_length = u16::try_from(descriptor.len()).unwrap_or(0);
    let mut data = length.to_be_bytes().to_vec();
    data.extend([
        0,
        device_specific(unit, nexus),
        if long { LONGLBA } else { 0 },
        0,
    ]);
    data.extend(descriptor_length.to_be_bytes());
    data.extend(descriptor);
    data.extend(pages);
    Plan::reply(Reply::parameter_data(data, u32::from(cdb.u16(7))))
}

fn device_specific(unit: &LogicalUnit, nexus: &LuNexus) -> u8 {
    if unit.write_protection(nexus).is_some() {
        WP | DPOFUA
    } else {
        DPOFUA
    }
}

/// Short LBA mode parameter block descriptor (SBC-4): a number of blocks that doesn't fit is all
/// ones.
fn short_descriptor(unit: &LogicalUnit) -> Vec<u8> {
    let blocks = u32::try_from(unit.blocks()).unwrap_or(u32::MAX);
    let mut descriptor = blocks.to_be_bytes().to_vec();
    // A reserved byte and three bytes of block length.
    descriptor.extend(unit.config().block_size.bytes().to_be_bytes());
    descriptor
}

/// Long LBA mode parameter block descriptor (SBC-4).
fn long_descriptor(unit: &LogicalUnit) -> Vec<u8> {
    let mut descriptor = unit.blocks().to_be_bytes().to_vec();
    descriptor.extend([0; 4]);
    descriptor.extend(unit.config().block_size.bytes().to_be_bytes());
    descriptor
}

/// The pages that the CDB asks for.
fn pages(unit: &LogicalUnit, cdb: Cdb) -> Result<Vec<u8>, Sense> {
    /// Stands for all subpages.
    const ALL_SUBPAGES: u8 = 0xff;
    let control = PageControl::from_bits(cdb.u8(2) >> 6);
    let code = cdb.u8(2) & ALL_PAGES;
    let config = unit.config();
    if control == PageControl::Saved && config.mode_saving == ModeSaving::NotSupported {
        let additional = AdditionalSense::SAVING_PARAMETERS_NOT_SUPPORTED;
        return Err(Sense::illegal_request(additional));
    }
    let subpage = cdb.u8(3);
    let wanted = |(known, known_sub): &(u8, u8)| -> bool {
        let right_page = code == ALL_PAGES || code == *known;
        right_page && (subpage == ALL_SUBPAGES || subpage == *known_sub)
    };
    let page = |known| mode_pages::page(unit, unit.mode(), known, control);
    if code == ALL_PAGES && !matches!(subpage, mode_pages::NO_SUBPAGE | ALL_SUBPAGES) {
        return Err(invalid_field(3, None));
    }
    let pages: Vec<u8> = PAGES
        .into_iter()
        .filter(wanted)
        .filter_map(page)
        .flatten()
        .collect();
    if !pages.is_empty() {
        return Ok(pages);
    }
    let known_page = PAGES.iter().any(|(known, _)| *known == code);
    Err(if known_page {
        invalid_field(3, None)
    } else {
        invalid_field(2, 5)
    })
}
