//! Vital product data pages (SPC-5, SBC-4).

use crate::commands::inquiry::ascii;
use crate::commands::{compare_and_write, write_atomic};
use crate::config::LogicalUnitConfig;
use crate::nexus::NexusInfo;
use crate::unit::LogicalUnit;

mod designators;
mod scsi_ports;
mod third_party_copy;

pub(crate) use designators::{names_unit, target_device_designator};

const SUPPORTED_PAGES: u8 = 0x00;
const UNIT_SERIAL_NUMBER: u8 = 0x80;
const DEVICE_IDENTIFICATION: u8 = 0x83;
const EXTENDED_INQUIRY_DATA: u8 = 0x86;
const MODE_PAGE_POLICY: u8 = 0x87;
const SCSI_PORTS: u8 = 0x88;
const THIRD_PARTY_COPY: u8 = 0x8f;
const BLOCK_LIMITS: u8 = 0xb0;
const BLOCK_DEVICE_CHARACTERISTICS: u8 = 0xb1;
const LOGICAL_BLOCK_PROVISIONING: u8 = 0xb2;

/// All pages in ascending order, as page 00h must list them.
const PAGES: [u8; 10] = [
    SUPPORTED_PAGES,
    UNIT_SERIAL_NUMBER,
    DEVICE_IDENTIFICATION,
    EXTENDED_INQUIRY_DATA,
    MODE_PAGE_POLICY,
    SCSI_PORTS,
    THIRD_PARTY_COPY,
    BLOCK_LIMITS,
    BLOCK_DEVICE_CHARACTERISTICS,
    LOGICAL_BLOCK_PROVISIONING,
];

/// The whole page with its header; `None` when there is no such page.
pub(crate) fn page(
    unit: &LogicalUnit,
    nexus: &NexusInfo,
    qualifier: u8,
    code: u8,
) -> Option<Vec<u8>> {
    let config = unit.config();
    let body = match code {
        SUPPORTED_PAGES => PAGES.to_vec(),
        UNIT_SERIAL_NUMBER => serial(&unit.identity().serial),
        DEVICE_IDENTIFICATION => designators::all(&unit.identity(), &nexus.target_port),
        EXTENDED_INQUIRY_DATA => extended_inquiry(),
        MODE_PAGE_POLICY => mode_page_policy(),
        SCSI_PORTS => scsi_ports::body(&unit.ports_of(&nexus.target_port)),
        THIRD_PARTY_COPY => third_party_copy::body(config.block_size),
        BLOCK_LIMITS => block_limits(config),
        BLOCK_DEVICE_CHARACTERISTICS => block_device_characteristics(config),
        LOGICAL_BLOCK_PROVISIONING => logical_block_provisioning(unit),
        _ => return None,
    };
    let mut page = vec![qualifier, code];
    page.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    page.extend(body);
    Some(page)
}

/// Unit Serial Number (SPC-5).
fn serial(serial: &str) -> Vec<u8> {
    const MAX: usize = 32;
    ascii::<MAX>(serial)
        .into_iter()
        .take(serial.chars().count().min(MAX))
        .collect()
}

/// Extended INQUIRY Data (SPC-5).
fn extended_inquiry() -> Vec<u8> {
    /// HEADSUP, ORDSUP and SIMPSUP.
    const TASK_ATTRIBUTES: u8 = 0x07;
    const V_SUP: u8 = 0x01;
    /// A REPORT LUNS to one unit ends REPORTED LUNS DATA HAS CHANGED on all of the nexus's.
    const LUICLR: u8 = 0x01;
    let mut body = vec![0; 60];
    if let [_, task_attributes, cache, clears, ..] = body.as_mut_slice() {
        *task_attributes = TASK_ATTRIBUTES;
        *cache = V_SUP;
        *clears = LUICLR;
    }
    body
}

/// Mode Page Policy (SPC-5): all pages and subpages are shared by all nexuses.
fn mode_page_policy() -> Vec<u8> {
    const ALL_PAGES: u8 = 0x3f;
    const ALL_SUBPAGES: u8 = 0xff;
    const SHARED: u8 = 0b00;
    vec![ALL_PAGES, ALL_SUBPAGES, SHARED, 0]
}

/// Block Limits (SBC-4).
fn block_limits(config: &LogicalUnitConfig) -> Vec<u8> {
    const UGAVALID: u32 = 0x8000_0000;
    let limits = &config.limits;
    let block = config.block_size.bytes();
    let physical_blocks = 1_u32 << (config.physical_block_exponent & 0x0f);
    let granularity = (limits.unmap_granularity_bytes / block).max(1);
    let (unmap_blocks, unmap_descriptors, granularity, alignment) = if config.thin {
        (
            limits.max_unmap_blocks,
            limits.max_unmap_descriptors,
            granularity,
            UGAVALID,
        )
    } else {
        (0, 0, 0, 0)
    };

    let mut body = Vec::with_capacity(60);
    // WSNZ is zero: a WRITE SAME of no blocks goes to the last one.
    body.extend([0, compare_and_write::max_blocks(config)]);
    body.extend(
        u16::try_from(physical_blocks)
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    body.extend(config.max_transfer_blocks().to_be_bytes());
    body.extend((limits.optimal_transfer_bytes / block).to_be_bytes());
    body.extend(config.max_transfer_blocks().to_be_bytes());
    body.extend(unmap_blocks.to_be_bytes());
    body.extend(unmap_descriptors.to_be_bytes());
    body.extend(granularity.to_be_bytes());
    body.extend(alignment.to_be_bytes());
    body.extend(u64::from(limits.max_write_same_blocks).to_be_bytes());
    // Atomic writes: the maximum, no alignment, no granularity, the maximum with an atomic boundary,
    // and the largest boundary.
    let atomic = u32::from(write_atomic::max_blocks(config));
    for field in [atomic, 0, 0, atomic, atomic] {
        body.extend(field.to_be_bytes());
    }
    body.resize(60, 0);
    body
}

/// Block Device Characteristics (SBC-4): a medium that doesn't rotate, of no form factor.
fn block_device_characteristics(config: &LogicalUnitConfig) -> Vec<u8> {
    const NON_ROTATING: u16 = 0x0001;
    /// After a sanitize block erase, blocks that haven't been written can be read (WABEREQ 01b).
    const READABLE_AFTER_BLOCK_ERASE: u8 = 0x40;
    let mut body = NON_ROTATING.to_be_bytes().to_vec();
    let erase = if config.thin {
        READABLE_AFTER_BLOCK_ERASE
    } else {
        0
    };
    body.extend([0, erase]);
    body.resize(60, 0);
    body
}

/// Logical Block Provisioning (SBC-4).
fn logical_block_provisioning(unit: &LogicalUnit) -> Vec<u8> {
    const LBPU: u8 = 0x80;
    const LBPWS: u8 = 0x40;
    const LBPWS10: u8 = 0x20;
    const LBPRZ: u8 = 0x04;
    const THIN: u8 = 0x02;
    if unit.config().thin {
        vec![
            unit.threshold_exponent(),
            LBPU | LBPWS | LBPWS10 | LBPRZ,
            THIN,
            0,
        ]
    } else {
        vec![0; 4]
    }
}
