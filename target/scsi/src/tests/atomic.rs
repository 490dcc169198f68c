//! COMPARE AND WRITE, ORWRITE(16) and WRITE ATOMIC(16).

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{BlockSize, Operation, Outcome, Status};

const COMPARE_AND_WRITE: u8 = 0x89;
const OR_WRITE: u8 = 0x8b;
const FUA: u8 = 0x08;
const DPO: u8 = 0x10;

fn compare_and_write(flags: u8, lba: u64, blocks: u8) -> Vec<u8> {
    block_cdb(COMPARE_AND_WRITE, flags, lba, u32::from(blocks))
}

#[test]
fn what_is_there_is_replaced_if_it_is_what_it_should_be() {
    let mut rig = Rig::new();
    let both = [vec![0; 1024], vec![7; 1024]].concat();
    let reply = rig.write(&compare_and_write(DPO, 3, 2), &both);
    assert_good(&reply);
    assert_eq!(reply.transfer_length, 2048);
    assert_eq!(rig.medium[3 * 512..5 * 512], [7; 1024]);
    let [Operation::CompareAndWrite { fua: false, .. }] = rig.log[..] else {
        panic!("{:?}", rig.log);
    };
    let reply = rig.write(&compare_and_write(0, 3, 2), &both);
    assert_sense(&reply, 0xe, Code::MISCOMPARE_DURING_VERIFY_OPERATION);
    assert_eq!(reply.sense[0] & 0x80, 0x80, "INFORMATION is valid");
    assert_eq!(reply.sense[3..7], [0; 4]);
    assert_eq!(rig.medium[3 * 512..5 * 512], [7; 1024]);
}

#[test]
fn the_information_field_has_the_offset_of_the_first_byte_that_differs() {
    let mut rig = Rig::new();
    let mut both = vec![0; 2048];
    (both[777], both[778], both[2047]) = (1, 1, 9);
    let reply = rig.write(&compare_and_write(0, 100, 2), &both);
    assert_sense(&reply, 0xe, Code::MISCOMPARE_DURING_VERIFY_OPERATION);
    assert_eq!(reply.sense[3..7], 777_u32.to_be_bytes());
    assert!(rig.medium.iter().all(|byte| *byte == 0));
}

#[test]
fn fua_and_a_cache_that_is_off_make_it_durable() {
    let mut rig = Rig::new();
    let both = [[0; 512], [1; 512]].concat();
    assert_good(&rig.write(&compare_and_write(FUA, 0, 1), &both));
    assert_eq!(rig.durable[..512], [1; 512]);
    let mut rig = Rig::with(|config| config.write_cache = false);
    assert_good(&rig.write(&compare_and_write(0, 0, 1), &both));
    assert_good(&rig.write(&block_cdb(OR_WRITE, 0, 1, 1), &[6; 512]));
    assert_eq!(rig.durable[..1024], [[1; 512], [6; 512]].concat());
}

#[test]
fn as_many_blocks_as_the_vpd_page_says_and_no_more() {
    let limits = |rig: &mut Rig| rig.data(&[0x12, 1, 0xb0, 0, 0xff, 0])[5];
    let mut rig = Rig::new();
    assert_eq!(limits(&mut rig), 255);
    let both = [vec![0; 255 * 512], vec![3; 255 * 512]].concat();
    assert_good(&rig.write(&compare_and_write(0, 0, 255), &both));
    let mut rig = Rig::with(|config| {
        config.block_size = BlockSize::B4096;
        config.limits.max_transfer_bytes = 64 << 10;
    });
    assert_eq!(limits(&mut rig), 16);
    let reply = rig.write(&compare_and_write(0, 0, 17), &vec![0; 34 * 4096]);
    assert_invalid_field(&reply, 13, None);
    let reply = rig.write(&compare_and_write(0, 0, 16), &vec![0; 32 * 4096]);
    assert_good(&reply);
}

#[test]
fn no_blocks_are_nothing_but_their_address_must_exist() {
    let mut rig = Rig::new();
    assert_good(&rig.none(&compare_and_write(0, 0, 0)));
    assert_good(&rig.none(&block_cdb(OR_WRITE, 0, 0, 0)));
    assert!(rig.log.is_empty());
    let end = rig.unit.blocks();
    assert_out_of_range(&rig.none(&compare_and_write(0, end, 0)));
    assert_out_of_range(&rig.none(&block_cdb(OR_WRITE, 0, end, 0)));
    assert_out_of_range(&rig.write(&compare_and_write(0, end - 1, 2), &[0; 2048]));
    assert_out_of_range(&rig.write(&compare_and_write(0, u64::MAX, 1), &[0; 1024]));
    assert_out_of_range(&rig.write(&block_cdb(OR_WRITE, 0, end - 1, 2), &[0; 1024]));
}

#[test]
fn data_out_that_is_not_twice_the_blocks_is_refused() {
    for length in [0, 512, 1023, 1025, 2048] {
        let mut rig = Rig::new();
        let reply = rig.write(&compare_and_write(0, 0, 1), &vec![0; length]);
        assert_invalid_field(&reply, 13, None);
        assert_eq!(reply.transfer_length, 1024);
        assert!(rig.log.is_empty());
    }
    // 256 blocks, of which the field has kept nothing.
    let mut rig = Rig::new();
    let reply = rig.write(&compare_and_write(0, 0, 0), &vec![0; 512 * 512]);
    assert_invalid_field(&reply, 13, None);
}

#[test]
fn protection_fields_must_be_zero_and_reserved_bytes_too() {
    let mut rig = Rig::new();
    for protect in 1..8_u8 {
        let reply = rig.write(&compare_and_write(protect << 5, 0, 1), &[0; 1024]);
        assert_invalid_field(&reply, 1, Some(7));
        let reply = rig.write(&block_cdb(OR_WRITE, protect << 5, 0, 1), &[0; 512]);
        assert_invalid_field(&reply, 1, Some(7));
    }
    let mut cdb = compare_and_write(0, 0, 1);
    cdb[12] = 1;
    assert_invalid_field(&rig.write(&cdb, &[0; 1024]), 12, Some(0));
}

#[test]
fn bits_are_set_and_none_is_cleared() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x8a, 0, 0, 2), &[0x50; 1024]));
    let reply = rig.write(&block_cdb(OR_WRITE, DPO, 1, 1), &[0x0f; 512]);
    assert_good(&reply);
    assert_eq!(reply.transfer_length, 512);
    assert_eq!(rig.medium[..1024], [[0x50; 512], [0x5f; 512]].concat());
    let max = rig.unit.config().max_transfer_blocks();
    let reply = rig.none(&block_cdb(OR_WRITE, 0, 0, max + 1));
    assert_invalid_field(&reply, 10, None);
}

#[test]
fn what_the_store_says_of_them_is_passed_on() {
    let mut rig = Rig::new();
    let cdbs = [
        (compare_and_write(0, 8, 1), 1024),
        (block_cdb(OR_WRITE, 0, 8, 1), 512),
    ];
    for (cdb, length) in cdbs {
        let mut run = |outcome| {
            rig.outcomes.push_back(outcome);
            rig.write(&cdb, &vec![0; length])
        };
        assert_eq!(run(Outcome::Busy).status, Status::BUSY);
        let code = Code::SPACE_ALLOCATION_FAILED_WRITE_PROTECT;
        assert_sense(&run(Outcome::SpaceExhausted), 7, code);
        let reply = run(Outcome::MediumError { offset: 8 * 512 });
        assert_eq!((reply.sense[2], reply.sense[12]), (3, reply.sense[12]));
        assert_eq!(reply.sense[3..7], 8_u32.to_be_bytes());
    }
}

#[test]
fn a_write_protected_unit_refuses_them() {
    let mut rig = Rig::with(|config| config.read_only = true);
    let reply = rig.write(&compare_and_write(0, 0, 1), &[0; 1024]);
    assert_sense(&reply, 7, Code::WRITE_PROTECTED);
    let reply = rig.write(&block_cdb(OR_WRITE, 0, 0, 1), &[0; 512]);
    assert_sense(&reply, 7, Code::WRITE_PROTECTED);
}

const WRITE_ATOMIC: u8 = 0x9c;

fn atomic_rig() -> Rig {
    Rig::with(|config| config.limits.max_atomic_bytes = 64 << 10)
}

fn write_atomic(flags: u8, lba: u64, boundary: u16, blocks: u16) -> Vec<u8> {
    let fields = u32::from(boundary) << 16 | u32::from(blocks);
    block_cdb(WRITE_ATOMIC, flags, lba, fields)
}

#[test]
fn an_atomic_write_is_one_operation_and_durable() {
    let mut rig = atomic_rig();
    let reply = rig.write(&write_atomic(DPO | FUA, 2, 0, 3), &[5; 1536]);
    assert_good(&reply);
    assert_eq!(reply.transfer_length, 1536);
    assert!(matches!(rig.log[..], [Operation::WriteAtomic { .. }]));
    assert_eq!(rig.durable[1024..2560], [5; 1536]);
    assert_good(&rig.write(&write_atomic(0, 0, 1, 2), &[6; 1024]));
    assert_eq!(rig.log.len(), 2, "one, whatever the boundary allows");
}

#[test]
fn its_limits_are_those_of_the_vpd_page_and_what_is_above_is_pointed_at() {
    let mut rig = atomic_rig();
    let page = rig.data(&[0x12, 1, 0xb0, 0, 0xff, 0]);
    let field = |at: usize| u32::from_be_bytes(page[at..at + 4].try_into().unwrap());
    let fields = [44, 48, 52, 56, 60].map(field);
    assert_eq!(fields, [128, 0, 0, 128, 128]);
    assert_good(&rig.write(&write_atomic(0, 1, 128, 128), &[1; 65_536]));
    let reply = rig.write(&write_atomic(0, 1, 0, 129), &[1; 66_048]);
    assert_invalid_field(&reply, 12, None);
    let reply = rig.write(&write_atomic(0, 1, 129, 128), &[1; 65_536]);
    assert_invalid_field(&reply, 10, None);
    let end = rig.unit.blocks();
    assert_good(&rig.none(&write_atomic(0, 0, 0, 0)));
    assert_out_of_range(&rig.none(&write_atomic(0, end, 0, 0)));
    assert_out_of_range(&rig.write(&write_atomic(0, end - 1, 0, 2), &[0; 1024]));
    // Out of range says more than too long.
    assert_out_of_range(&rig.write(&write_atomic(0, end - 1, 0, 129), &[0; 66_048]));
    for protect in 1..8 {
        let reply = rig.write(&write_atomic(protect << 5, 0, 0, 1), &[0; 512]);
        assert_invalid_field(&reply, 1, Some(7));
    }
}

#[test]
fn a_part_of_an_atomic_write_is_not_written() {
    let mut rig = atomic_rig();
    let reply = rig.write(&write_atomic(0, 0, 0, 2), &[1; 512]);
    assert_sense(&reply, 5, Code::INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
    assert!(rig.log.is_empty());
}

#[test]
fn without_atomic_writes_in_the_store_there_is_no_such_command() {
    let mut rig = Rig::with(|config| config.limits.max_atomic_bytes = 0);
    let reply = rig.write(&write_atomic(0, 0, 0, 1), &[1; 512]);
    assert_sense(&reply, 5, Code::INVALID_COMMAND_OPERATION_CODE);
    let page = rig.data(&[0x12, 1, 0xb0, 0, 0xff, 0]);
    assert_eq!(page[44..64], [0; 20]);
    let mut rig = Rig::with(|config| config.read_only = true);
    let reply = rig.write(&write_atomic(0, 0, 0, 1), &[1; 512]);
    assert_sense(&reply, 7, Code::WRITE_PROTECTED);
}
