//! READ DEFECT DATA.

use super::rig::*;

fn cdb_10(byte_2: u8, allocation_length: u16) -> Vec<u8> {
    let [high, low] = allocation_length.to_be_bytes();
    vec![0x37, 0, byte_2, 0, 0, 0, 0, high, low, 0]
}

fn cdb_12(byte_1: u8, index: u32, allocation_length: u32) -> Vec<u8> {
    let mut cdb = vec![0xb7, byte_1];
    cdb.extend(index.to_be_bytes());
    cdb.extend(allocation_length.to_be_bytes());
    cdb.extend([0, 0]);
    cdb
}

#[test]
fn the_lists_are_empty_in_every_format() {
    let mut rig = Rig::new();
    for byte in (0..0x20).filter(|byte| byte & 7 < 6) {
        assert_eq!(rig.data(&cdb_10(byte, 255)), [0, byte, 0, 0]);
        for index in [0, 1, u32::MAX] {
            let data = rig.data(&cdb_12(byte, index, 255));
            assert_eq!(data, [0, byte, 0, 0, 0, 0, 0, 0]);
        }
    }
    assert_eq!(rig.data(&cdb_10(0x18, 2)), [0, 0x18]);
    assert_eq!(rig.data(&cdb_12(0x18, 0, 0)), []);
}

#[test]
fn formats_that_do_not_exist_are_refused() {
    let mut rig = Rig::new();
    for format in [6, 7] {
        assert_invalid_field(&rig.read(&cdb_10(format, 255)), 2, Some(2));
        assert_invalid_field(&rig.read(&cdb_12(format, 0, 255)), 1, Some(2));
    }
    assert_invalid_field(&rig.read(&cdb_10(0x20, 255)), 2, Some(5));
}
