//! VERIFY and WRITE AND VERIFY.

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{Operation, Outcome};

const VERIFIES: [u8; 3] = [0x2f, 0xaf, 0x8f];
const WRITE_VERIFIES: [u8; 3] = [0x2e, 0xae, 0x8e];
const MEDIUM: u8 = 0;
const DATA: u8 = 0x02;
const ONE_BLOCK: u8 = 0x06;

#[test]
fn the_medium_is_checked_without_data_out() {
    for opcode in VERIFIES {
        let mut rig = Rig::new();
        assert_good(&rig.none(&block_cdb(opcode, MEDIUM, 0, 8)));
        assert!(matches!(
            rig.log[..],
            [Operation::Flush { .. }, Operation::Verify { .. }]
        ));
        rig.outcomes
            .extend([Outcome::Done, Outcome::MediumError { offset: 3 * 512 }]);
        let reply = rig.none(&block_cdb(opcode, MEDIUM, 0, 8));
        assert_sense(&reply, 3, Code::UNRECOVERED_READ_ERROR);
    }
}

#[test]
fn data_out_is_compared_with_what_is_durable() {
    for opcode in VERIFIES {
        let mut rig = Rig::new();
        let mut data: Vec<u8> = (0..4096_u32).map(|at| (at % 253) as u8).collect();
        assert_good(&rig.write(&block_cdb(0x2a, 0, 16, 8), &data));
        assert_good(&rig.write(&block_cdb(opcode, DATA, 16, 8), &data));
        assert_eq!(rig.durable[16 * 512..24 * 512], data);
        data[5 * 512 + 17] ^= 1;
        let reply = rig.write(&block_cdb(opcode, DATA, 16, 8), &data);
        assert_sense(&reply, 0xe, Code::MISCOMPARE_DURING_VERIFY_OPERATION);
        assert_eq!(
            reply.sense[3..7],
            21_u32.to_be_bytes(),
            "the LBA that differs"
        );
    }
}

#[test]
fn one_block_is_compared_with_each() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x41, 0, 0, 300), &[8; 512]));
    assert_good(&rig.write(&block_cdb(0x2f, ONE_BLOCK, 0, 300), &[8; 512]));
    let reply = rig.write(&block_cdb(0x2f, ONE_BLOCK, 0, 301), &[8; 512]);
    assert_sense(&reply, 0xe, Code::MISCOMPARE_DURING_VERIFY_OPERATION);
    assert_eq!(reply.sense[3..7], 300_u32.to_be_bytes());
}

#[test]
fn the_reserved_byte_check_is_pointed_at() {
    let mut rig = Rig::new();
    for opcode in VERIFIES.into_iter().chain(WRITE_VERIFIES) {
        let reply = rig.write(&block_cdb(opcode, 0x04, 0, 1), &[0; 512]);
        assert_invalid_field(&reply, 1, Some(2));
    }
    for opcode in WRITE_VERIFIES {
        let reply = rig.write(&block_cdb(opcode, ONE_BLOCK, 0, 1), &[0; 512]);
        assert_invalid_field(&reply, 1, Some(2));
    }
}

#[test]
fn no_blocks_are_verified_at_an_address_that_exists_only() {
    let mut rig = Rig::new();
    for opcode in VERIFIES.into_iter().chain(WRITE_VERIFIES) {
        for flags in [MEDIUM, DATA] {
            assert_good(&rig.none(&block_cdb(opcode, flags, 0, 0)));
            assert_out_of_range(&rig.none(&block_cdb(opcode, flags, BLOCKS + 1, 0)));
            assert_out_of_range(&rig.write(&block_cdb(opcode, flags, BLOCKS, 1), &[0; 512]));
        }
    }
    assert!(rig.log.is_empty());
}

#[test]
fn a_comparison_with_too_little_data_is_refused() {
    let mut rig = Rig::new();
    for length in [0, 200, 512] {
        let reply = rig.write(&block_cdb(0x2f, DATA, 0, 2), &vec![0; length]);
        assert_sense(&reply, 5, Code::INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
        assert_eq!(reply.transfer_length, 1024);
    }
}

#[test]
fn write_and_verify_is_durable_first_and_compared_then() {
    for opcode in WRITE_VERIFIES {
        let mut rig = Rig::new();
        assert_good(&rig.write(&block_cdb(opcode, DATA, 4, 2), &[2; 1024]));
        assert_eq!(rig.durable[4 * 512..6 * 512], [2; 1024]);
        let [
            Operation::Write { fua: true, .. },
            Operation::Compare { .. },
        ] = &rig.log[..]
        else {
            panic!("{:?}", rig.log);
        };
        rig.log.clear();
        assert_good(&rig.write(&block_cdb(opcode, MEDIUM, 4, 2), &[3; 1024]));
        let [Operation::Write { fua: true, .. }, Operation::Verify { .. }] = &rig.log[..] else {
            panic!("{:?}", rig.log);
        };
    }
}

#[test]
fn write_and_verify_that_reads_back_something_else_is_a_miscompare() {
    let mut rig = Rig::new();
    rig.outcomes
        .extend([Outcome::Done, Outcome::Miscompare { offset: 512 }]);
    let reply = rig.write(&block_cdb(0x2e, DATA, 4, 2), &[2; 1024]);
    assert_sense(&reply, 0xe, Code::MISCOMPARE_DURING_VERIFY_OPERATION);
    assert_eq!(reply.sense[3..7], 5_u32.to_be_bytes());
}

#[test]
fn a_write_that_failed_is_not_verified() {
    let mut rig = Rig::new();
    rig.outcomes
        .push_back(Outcome::MediumError { offset: 4 * 512 });
    let reply = rig.write(&block_cdb(0x2e, DATA, 4, 2), &[2; 1024]);
    assert_sense(&reply, 3, Code::WRITE_ERROR);
    assert_eq!(rig.log.len(), 1);
}
