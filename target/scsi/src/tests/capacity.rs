//! READ CAPACITY.

use super::rig::*;
use crate::BlockSize;

fn cdb_16(allocation_length: u32) -> Vec<u8> {
    let mut cdb = vec![0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0];
    cdb.extend(allocation_length.to_be_bytes());
    cdb.extend([0, 0]);
    cdb
}

#[test]
fn the_last_address_and_the_block_length_are_reported() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.data(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        [0, 0, 7, 255, 0, 0, 2, 0]
    );
    let data = rig.data(&cdb_16(32));
    assert_eq!(data[..12], [0, 0, 0, 0, 0, 0, 7, 255, 0, 0, 2, 0]);
    // No protection, 4 KiB physical blocks, thin and zero when unmapped.
    assert_eq!(data[12..16], [0, 3, 0xc0, 0]);
    assert_eq!(data.len(), 32);
}

#[test]
fn a_thick_unit_of_4_kib_blocks_says_so() {
    let mut rig = Rig::with(|config| {
        config.block_size = BlockSize::B4096;
        config.physical_block_exponent = 0;
        config.thin = false;
    });
    let data = rig.data(&cdb_16(32));
    assert_eq!(data[8..16], [0, 0, 16, 0, 0, 0, 0, 0]);
}

#[test]
fn a_unit_of_more_than_32_bits_of_blocks_sends_initiators_to_the_long_command() {
    let mut rig = Rig::new();
    rig.unit.set_blocks(1 << 40);
    rig.none(&[0; 6]);
    let data = rig.data(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(data[..4], [0xff; 4]);
    assert_eq!(rig.data(&cdb_16(8)), ((1_u64 << 40) - 1).to_be_bytes());
}

#[test]
fn every_allocation_length_is_respected() {
    let mut rig = Rig::new();
    for length in 0..40 {
        assert_eq!(rig.data(&cdb_16(length)).len(), length.min(32) as usize);
    }
}

#[test]
fn an_address_without_pmi_is_an_error() {
    let mut rig = Rig::new();
    assert_invalid_field(&rig.read(&[0x25, 0, 0, 0, 0, 1, 0, 0, 0, 0]), 2, None);
    let mut cdb = cdb_16(32);
    cdb[9] = 1;
    assert_invalid_field(&rig.read(&cdb), 2, None);
}
