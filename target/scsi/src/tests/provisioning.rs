//! UNMAP and WRITE SAME.

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{Extent, Operation};

const WRITE_SAME_10: u8 = 0x41;
const WRITE_SAME_16: u8 = 0x93;
const UNMAP: u8 = 0x08;
const ANCHOR: u8 = 0x10;
const NDOB: u8 = 0x01;

fn unmap_list(descriptors: &[(u64, u32)]) -> Vec<u8> {
    let length = u16::try_from(descriptors.len() * 16).unwrap();
    let mut list = (length + 6).to_be_bytes().to_vec();
    list.extend(length.to_be_bytes());
    list.extend([0; 4]);
    for (lba, blocks) in descriptors {
        list.extend(lba.to_be_bytes());
        list.extend(blocks.to_be_bytes());
        list.extend([0; 4]);
    }
    list
}

fn unmap_cdb(length: usize) -> [u8; 10] {
    let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
    [0x42, 0, 0, 0, 0, 0, 0, high, low, 0]
}

pub(super) fn unmap(rig: &mut Rig, descriptors: &[(u64, u32)]) -> crate::Reply {
    let list = unmap_list(descriptors);
    rig.write(&unmap_cdb(list.len()), &list)
}

#[test]
fn unmapped_blocks_read_as_zeros() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x2a, 0, 0, 8), &[0xaa; 4096]));
    assert_good(&unmap(&mut rig, &[(1, 2), (5, 1)]));
    let data = rig.data(&block_cdb(0x28, 0, 0, 8));
    let zero: Vec<bool> = data.chunks(512).map(|block| block == [0; 512]).collect();
    assert_eq!(zero, [false, true, true, false, false, true, false, false]);
}

#[test]
fn nothing_to_unmap_is_no_error() {
    let mut rig = Rig::new();
    assert_good(&unmap(&mut rig, &[]));
    assert_good(&unmap(&mut rig, &[(0, 0), (5, 0), (BLOCKS, 0)]));
    assert_good(&rig.write(&unmap_cdb(0), &[]));
    assert!(rig.log.is_empty());
}

#[test]
fn overlapping_descriptors_are_allowed() {
    let mut rig = Rig::new();
    assert_good(&unmap(&mut rig, &[(0, 8), (4, 8)]));
}

#[test]
fn one_bad_descriptor_spoils_all() {
    let mut rig = Rig::new();
    assert_out_of_range(&unmap(&mut rig, &[(0, 1), (BLOCKS - 1, 2)]));
    assert_out_of_range(&unmap(&mut rig, &[(u64::MAX, 1)]));
    assert!(rig.log.is_empty());
}

#[test]
fn the_limits_of_the_vpd_page_are_enforced() {
    let mut rig = Rig::with(|config| {
        config.limits.max_unmap_descriptors = 2;
        config.limits.max_unmap_blocks = 10;
    });
    assert_good(&unmap(&mut rig, &[(0, 5), (5, 5)]));
    assert_invalid_parameter(&unmap(&mut rig, &[(0, 1), (1, 1), (2, 1)]), 2, None);
    assert_invalid_parameter(&unmap(&mut rig, &[(0, 5), (5, 6)]), 8 + 16 + 8, None);
}

#[test]
fn as_many_descriptors_as_a_parameter_list_can_hold_are_handled() {
    let mut rig = Rig::with(|config| config.limits.max_unmap_descriptors = u32::MAX);
    assert_good(&unmap(&mut rig, &[(1, 1); 4095]));
}

#[test]
fn a_parameter_list_that_ends_early_is_a_length_error() {
    let mut rig = Rig::new();
    let list = unmap_list(&[(0, 1), (8, 1)]);
    for length in 1..list.len() {
        let reply = rig.write(&unmap_cdb(length), &list[..length]);
        assert_sense(&reply, 5, Code::PARAMETER_LIST_LENGTH_ERROR);
    }
    assert!(rig.log.is_empty());
}

#[test]
fn an_incomplete_last_descriptor_is_ignored() {
    let mut rig = Rig::new();
    let mut list = unmap_list(&[(3, 1)]);
    list.extend([0xff; 7]);
    list[3] += 7;
    assert_good(&rig.write(&unmap_cdb(list.len()), &list));
    let extents = [Extent {
        offset: 3 * 512,
        length: 512,
    }]
    .into_iter()
    .collect();
    assert_eq!(rig.log, [Operation::Unmap { extents }]);
}

#[test]
fn anchors_are_refused() {
    let mut rig = Rig::new();
    let mut cdb = unmap_cdb(24);
    cdb[1] = 1;
    assert_invalid_field(&rig.write(&cdb, &unmap_list(&[(0, 1)])), 1, Some(0));
    for opcode in [WRITE_SAME_10, WRITE_SAME_16] {
        for flags in [ANCHOR, ANCHOR | UNMAP] {
            let reply = rig.write(&block_cdb(opcode, flags, 0, 1), &[0; 512]);
            assert_invalid_field(&reply, 1, Some(4));
        }
    }
}

#[test]
fn a_thick_unit_has_no_unmap() {
    let mut rig = Rig::with(|config| config.thin = false);
    let reply = unmap(&mut rig, &[(0, 1)]);
    assert_sense(&reply, 5, Code::INVALID_COMMAND_OPERATION_CODE);
    for opcode in [WRITE_SAME_10, WRITE_SAME_16] {
        let reply = rig.write(&block_cdb(opcode, UNMAP, 0, 1), &[0; 512]);
        assert_invalid_field(&reply, 1, Some(3));
        assert_good(&rig.write(&block_cdb(opcode, 0, 0, 1), &[0; 512]));
    }
}

#[test]
fn write_same_repeats_its_block() {
    for opcode in [WRITE_SAME_10, WRITE_SAME_16] {
        let mut rig = Rig::new();
        let block: Vec<u8> = (0..512_u32).map(|at| (at % 251) as u8).collect();
        assert_good(&rig.write(&block_cdb(opcode, 0, 7, 100), &block));
        assert_eq!(rig.data(&block_cdb(0x28, 0, 7, 100)), block.repeat(100));
        assert_eq!(rig.medium[107 * 512], 0);
    }
}

#[test]
fn write_same_unmaps_only_where_the_result_reads_the_same() {
    let mut rig = Rig::new();
    for (byte, expected) in [(0, true), (0xff, false)] {
        assert_good(&rig.write(&block_cdb(WRITE_SAME_16, UNMAP, 0, 4), &[byte; 512]));
        let Some(Operation::WriteSame { unmap, .. }) = rig.log.last() else {
            panic!()
        };
        assert_eq!(*unmap, expected);
        assert_eq!(rig.data(&block_cdb(0x28, 0, 0, 4)), [byte; 2048]);
    }
}

#[test]
fn write_same_without_data_out_writes_zeros() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x2a, 0, 0, 4), &[1; 2048]));
    assert_good(&rig.none(&block_cdb(WRITE_SAME_16, NDOB, 0, 3)));
    assert_eq!(rig.medium[..1536], [0; 1536]);
    assert_eq!(rig.medium[1536], 1);
    assert_invalid_field(&rig.none(&block_cdb(WRITE_SAME_10, NDOB, 0, 3)), 1, Some(0));
}

#[test]
fn write_same_of_no_blocks_goes_to_the_end() {
    for (opcode, at) in [(WRITE_SAME_10, 7), (WRITE_SAME_16, 10)] {
        let mut rig = Rig::with(|config| config.limits.max_write_same_blocks = 100);
        let reply = rig.write(&block_cdb(opcode, 0, BLOCKS - 101, 0), &[1; 512]);
        assert_invalid_field(&reply, at, None);
        assert_good(&rig.write(&block_cdb(opcode, 0, BLOCKS - 100, 0), &[1; 512]));
        let start = rig.medium.len() - 100 * 512;
        assert_eq!(rig.medium[start..], [1; 100 * 512]);
        assert_eq!(rig.medium[start - 1], 0);
        assert_good(&rig.write(&block_cdb(opcode, 0, BLOCKS - 1, 0), &[1; 512]));
        for lba in [BLOCKS, BLOCKS + 1, u64::from(u32::MAX)] {
            assert_out_of_range(&rig.write(&block_cdb(opcode, 0, lba, 0), &[1; 512]));
        }
    }
}

#[test]
fn write_same_of_too_many_blocks_is_refused() {
    let mut rig = Rig::with(|config| config.limits.max_write_same_blocks = 100);
    for (opcode, at) in [(WRITE_SAME_10, 7), (WRITE_SAME_16, 10)] {
        let reply = rig.write(&block_cdb(opcode, 0, 0, 101), &[0; 512]);
        assert_invalid_field(&reply, at, None);
        assert_good(&rig.write(&block_cdb(opcode, 0, 0, 100), &[0; 512]));
        assert_out_of_range(&rig.write(&block_cdb(opcode, 0, BLOCKS - 1, 2), &[0; 512]));
    }
}

#[test]
fn write_same_wants_exactly_one_block() {
    let mut rig = Rig::new();
    for length in [0, 256, 1024] {
        let reply = rig.write(&block_cdb(WRITE_SAME_10, UNMAP, 0, 1), &vec![0; length]);
        assert_sense(&reply, 5, Code::INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
    }
    assert!(rig.log.is_empty());
}
