//! READ, WRITE and PRE-FETCH.

use super::rig::*;
use crate::{BlockSize, Extent, Operation};

const READS: [u8; 4] = [0x08, 0x28, 0xa8, 0x88];
const WRITES: [u8; 4] = [0x0a, 0x2a, 0xaa, 0x8a];

#[test]
fn every_write_is_read_back_by_every_read() {
    let mut rig = Rig::new();
    for (round, write) in WRITES.into_iter().enumerate() {
        let data: Vec<u8> = (0..3 * 512)
            .map(|at| u8::try_from((at / 7 + round) % 256).unwrap())
            .collect();
        assert_good(&rig.write(&block_cdb(write, 0, 40, 3), &data));
        for read in READS {
            assert_eq!(rig.data(&block_cdb(read, 0, 40, 3)), data);
        }
    }
}

#[test]
fn four_kib_blocks_are_addressed_as_such() {
    let mut rig = Rig::with(|config| config.block_size = BlockSize::B4096);
    assert_good(&rig.write(&block_cdb(0x2a, 0, 2, 1), &[6; 4096]));
    assert_eq!(rig.medium[2 * 4096..3 * 4096], [6; 4096]);
}

#[test]
fn a_length_of_zero_means_256_blocks_in_6_byte_commands_only() {
    let mut rig = Rig::new();
    assert_eq!(rig.data(&block_cdb(0x08, 0, 0, 0)).len(), 256 * 512);
    assert_good(&rig.write(&block_cdb(0x0a, 0, 0, 0), &vec![1; 256 * 512]));
    rig.log.clear();
    for read in [0x28, 0xa8, 0x88] {
        assert!(rig.data(&block_cdb(read, 0, 0, 0)).is_empty());
    }
    for write in [0x2a, 0xaa, 0x8a] {
        assert_good(&rig.none(&block_cdb(write, 0, 0, 0)));
    }
    assert!(rig.log.is_empty());
}

#[test]
fn addresses_outside_are_refused_whatever_the_length() {
    let mut rig = Rig::new();
    for opcode in [0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a] {
        for (lba, blocks) in [
            (BLOCKS - 1, 2),
            (BLOCKS, 1),
            (BLOCKS, 0),
            (0xffff_ffff, 0),
            (1, 2048),
        ] {
            assert_out_of_range(&rig.write(&block_cdb(opcode, 0, lba, blocks), &[]));
        }
    }
    for (lba, blocks) in [
        (u64::MAX, 0),
        (u64::MAX, 1),
        (1 << 63, 1),
        (u64::MAX, 32768),
    ] {
        assert_out_of_range(&rig.read(&block_cdb(0x88, 0, lba, blocks)));
    }
    assert_out_of_range(&rig.read(&block_cdb(0x08, 0, 0x1f_ffff, 1)));
    assert!(rig.log.is_empty());
}

#[test]
fn a_transfer_over_the_limit_is_an_error_in_the_length_field() {
    let mut rig = Rig::with(|config| config.limits.max_transfer_bytes = 64 * 512);
    for (opcode, at) in [
        (0x28, 7),
        (0xa8, 6),
        (0x88, 10),
        (0x2a, 7),
        (0xaa, 6),
        (0x8a, 10),
        (0x2e, 7),
        (0x2f, 7),
    ] {
        assert_invalid_field(&rig.read(&block_cdb(opcode, 0, 0, 65)), at, None);
    }
    assert_eq!(rig.data(&block_cdb(0x28, 0, 0, 64)).len(), 64 * 512);
}

#[test]
fn protection_information_is_refused() {
    let mut rig = Rig::new();
    for opcode in [
        0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a, 0x2e, 0xae, 0x8e, 0x2f, 0xaf, 0x8f, 0x41, 0x93,
    ] {
        for protect in 1..8 {
            let reply = rig.write(&block_cdb(opcode, protect << 5, 0, 1), &[0; 512]);
            assert_invalid_field(&reply, 1, Some(7));
        }
    }
    assert!(rig.log.is_empty());
}

#[test]
fn dpo_is_a_hint_and_obsolete_bits_are_ignored() {
    let mut rig = Rig::new();
    rig.data(&block_cdb(0x28, 0x10, 0, 1));
    rig.data(&block_cdb(0x28, 0x02, 0, 1));
    let extent = Extent {
        offset: 0,
        length: 512,
    };
    let read = |dpo| Operation::Read { extent, dpo };
    assert_eq!(rig.log, [read(true), read(false)]);
    let mut grouped = block_cdb(0x2a, 0, 0, 1);
    grouped[6] = 3;
    assert_good(&rig.write(&grouped, &[0; 512]));
}

#[test]
fn data_that_crosses_buffers_is_written_without_being_joined() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x2a, 0, 0, 2), &[1; 1024]));
    let Some(Operation::Write { data, .. }) = rig.log.last() else {
        panic!()
    };
    assert_eq!(data.len(), 2);
}

#[test]
fn a_resize_between_command_and_data_does_not_write_outside() {
    use crate::{Command, Plan, TaskAttribute};
    let mut rig = Rig::new();
    let cdb = block_cdb(0x2a, 0, BLOCKS - 1, 1);
    let command = Command {
        cdb: &cdb,
        expected_length: 512,
        read: false,
        write: true,
        attribute: TaskAttribute::Simple,
        luns: &LUNS,
    };
    let Plan::NeedData {
        length: 512,
        pending,
    } = rig.unit.begin(&mut rig.nexuses[0], &command)
    else {
        panic!("no wish for data");
    };
    rig.unit.set_blocks(BLOCKS - 1);
    let data = [bytes::Bytes::from(vec![1; 512])].into_iter().collect();
    let Plan::Done(reply) = rig.unit.data_out(&mut rig.nexuses[0], pending, data) else {
        panic!("an operation outside the unit");
    };
    assert_out_of_range(&reply);
}

#[test]
fn pre_fetch_reads_no_more_than_one_transfer() {
    let mut rig = Rig::with(|config| config.limits.max_transfer_bytes = 100 * 512);
    for opcode in [0x34, 0x90] {
        for flags in [0, 2] {
            assert_good(&rig.none(&block_cdb(opcode, flags, 8, 3)));
            assert_good(&rig.none(&block_cdb(opcode, flags, 0, 0)));
        }
        assert_out_of_range(&rig.none(&block_cdb(opcode, 0, BLOCKS + 1, 0)));
        assert_out_of_range(&rig.none(&block_cdb(opcode, 0, BLOCKS - 1, 2)));
    }
    let lengths: Vec<u64> = rig
        .log
        .iter()
        .map(|operation| match operation {
            Operation::Verify { extent } => extent.length / 512,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lengths, [3, 100, 3, 100, 3, 100, 3, 100]);
}
