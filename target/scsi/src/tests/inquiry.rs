//! INQUIRY: standard data and VPD pages.

use super::rig::*;

fn cdb(evpd: u8, page: u8, allocation_length: u16) -> [u8; 6] {
    let [high, low] = allocation_length.to_be_bytes();
    [0x12, evpd, page, high, low, 0]
}

fn vpd(rig: &mut Rig, page: u8) -> Vec<u8> {
    let data = rig.data(&cdb(1, page, 4096));
    assert_eq!(data[..2], [0, page]);
    assert_eq!(
        usize::from(u16::from_be_bytes([data[2], data[3]])),
        data.len() - 4
    );
    data
}

#[test]
fn standard_data_names_the_device_and_the_standards() {
    let mut rig = Rig::new();
    let data = rig.data(&cdb(0, 0, 512));
    assert_eq!(data.len(), 96);
    assert_eq!(data[..8], [0x00, 0x00, 0x06, 0x12, 91, 0x38, 0, 0x02]);
    assert_eq!(&data[8..36], b"TIDELOCKVOLUME          0001");
    // SAM-5, SPC-4, SBC-3, iSCSI.
    assert_eq!(
        data[58..66],
        [0x00, 0xa0, 0x04, 0x60, 0x04, 0xc0, 0x09, 0x60]
    );
}

#[test]
fn every_allocation_length_is_respected() {
    let mut rig = Rig::new();
    let whole = rig.data(&cdb(0, 0, 512));
    for length in 0..300 {
        let data = rig.data(&cdb(0, 0, length));
        assert_eq!(data, whole[..usize::from(length).min(96)]);
    }
}

#[test]
fn names_that_are_not_ascii_are_made_so() {
    let mut rig = Rig::with(|config| {
        config.identity.vendor = "Gr\u{fc}n\t".to_owned();
        config.identity.product = "a name that is far too long for it".to_owned();
    });
    let data = rig.data(&cdb(0, 0, 96));
    assert_eq!(&data[8..32], b"Gr?n?   a name that is f");
}

#[test]
fn the_supported_pages_are_sorted_and_all_of_them_exist() {
    let mut rig = Rig::new();
    let pages = vpd(&mut rig, 0x00)[4..].to_vec();
    assert_eq!(
        pages,
        [0x00, 0x80, 0x83, 0x86, 0x87, 0x88, 0x8f, 0xb0, 0xb1, 0xb2]
    );
    for page in 0..=255 {
        if pages.contains(&page) {
            vpd(&mut rig, page);
        } else {
            assert_invalid_field(&rig.read(&cdb(1, page, 255)), 2, None);
        }
    }
}

#[test]
fn a_page_without_evpd_is_an_error() {
    let mut rig = Rig::new();
    assert_invalid_field(&rig.read(&cdb(0, 1, 256)), 2, None);
}

#[test]
fn the_serial_number_is_the_volumes() {
    let mut rig = Rig::new();
    assert_eq!(&vpd(&mut rig, 0x80)[4..], b"SERIAL-1");
}

#[test]
fn the_designators_name_unit_port_and_device() {
    let mut rig = Rig::new();
    let page = vpd(&mut rig, 0x83);
    let mut rest = &page[4..];
    let mut designators = Vec::new();
    while let [code, kind, 0, length, tail @ ..] = rest {
        let (designator, next) = tail.split_at(usize::from(*length));
        designators.push(((*code, *kind), designator.to_vec()));
        rest = next;
    }
    assert!(rest.is_empty());
    let port = b"iqn.2026-11.test:disk,t,0x0002\0\0".to_vec();
    let device = b"iqn.2026-11.test:disk\0\0\0".to_vec();
    assert_eq!(
        designators,
        [
            ((0x01, 0x03), vec![0x30, 0, 0, 0, 0, 0, 0x0a, 0xbc]),
            ((0x02, 0x01), b"TIDELOCKSERIAL-1".to_vec()),
            ((0x51, 0x94), vec![0, 0, 0, 7]),
            ((0x51, 0x95), vec![0, 0, 0, 2]),
            ((0x53, 0x98), port),
            ((0x53, 0xa8), device),
        ]
    );
}

#[test]
fn the_longest_target_name_fits_its_designator() {
    let mut rig = Rig::new();
    let mut info = nexus_info(9);
    info.target_port.target_name = "x".repeat(223);
    rig.nexuses[0] = rig.unit.attach(info);
    let page = vpd(&mut rig, 0x83);
    assert!(page.windows(223).any(|window| window == [b'x'; 223]));
}

#[test]
fn the_block_limits_are_those_that_are_enforced() {
    let mut rig = Rig::new();
    let page = vpd(&mut rig, 0xb0);
    assert_eq!(page.len(), 64);
    let field = |at: usize| u32::from_be_bytes(page[at..at + 4].try_into().unwrap());
    assert_eq!(page[4], 0x00, "WSNZ");
    assert_eq!(page[5], 255, "COMPARE AND WRITE");
    assert_eq!(u16::from_be_bytes([page[6], page[7]]), 8);
    assert_eq!(field(8), 32768);
    assert_eq!(field(12), 2048);
    assert_eq!(field(20), 1 << 20);
    assert_eq!(field(24), 256);
    assert_eq!(field(28), 8);
    assert_eq!(field(32), 0x8000_0000);
    assert_eq!((field(36), field(40)), (0, 32768));
}

#[test]
fn a_thick_unit_claims_no_provisioning() {
    let mut rig = Rig::with(|config| config.thin = false);
    let limits = vpd(&mut rig, 0xb0);
    assert_eq!(limits[20..36], [0; 16]);
    assert_eq!(vpd(&mut rig, 0xb2)[4..], [0, 0, 0, 0]);
}

#[test]
fn a_thin_unit_claims_unmap_and_both_forms_of_write_same() {
    let mut rig = Rig::new();
    // A threshold set is a mebibyte: 2^11 blocks.
    assert_eq!(vpd(&mut rig, 0xb2)[4..], [11, 0xe4, 2, 0]);
}

#[test]
fn the_medium_does_not_rotate() {
    let mut rig = Rig::new();
    let page = vpd(&mut rig, 0xb1);
    assert_eq!((page.len(), &page[4..6]), (64, &[0, 1][..]));
}
