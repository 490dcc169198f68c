//! What the CDB asks for and what the initiator announced differ.

use super::rig::*;
use crate::sense::AdditionalSense as Code;

#[test]
fn a_read_brings_the_blocks_that_there_is_room_for_and_tells_the_whole_length() {
    let mut rig = Rig::new();
    for (expected, bytes) in [
        (0, 0),
        (200, 512),
        (512, 512),
        (513, 1024),
        (1024, 1024),
        (10_000, 1024),
    ] {
        let reply = rig.run(0, &block_cdb(0x28, 0, 0, 2), true, false, expected, &[]);
        assert_good(&reply);
        assert_eq!(
            (bytes_of(&reply).len(), reply.transfer_length),
            (bytes, 1024)
        );
    }
}

#[test]
fn a_read_that_is_flagged_as_a_write_reads_nothing() {
    let mut rig = Rig::new();
    let reply = rig.run(0, &block_cdb(0x28, 0, 0, 1), false, true, 512, &[0; 512]);
    assert_good(&reply);
    assert_eq!((bytes_of(&reply).len(), reply.transfer_length), (0, 512));
    assert!(rig.log.is_empty());
}

#[test]
fn a_write_of_fewer_blocks_than_the_cdb_says_writes_those() {
    for opcode in [0x2a, 0xaa, 0x8a, 0x2e, 0xae, 0x8e] {
        let mut rig = Rig::new();
        let cdb = block_cdb(opcode, 0, 0, 2);
        let reply = rig.write(&cdb, &[b'b'; 512]);
        assert_good(&reply);
        assert_eq!(reply.transfer_length, 1024);
        assert_eq!((rig.medium[511], rig.medium[512]), (b'b', 0));

        let reply = rig.write(&cdb, &[]);
        assert_good(&reply);
        assert_eq!(reply.transfer_length, 1024);
    }
}

#[test]
fn a_write_of_more_than_the_cdb_says_takes_what_the_cdb_says() {
    let mut rig = Rig::new();
    let reply = rig.write(&block_cdb(0x2a, 0, 0, 1), &[b'b'; 10_000]);
    assert_good(&reply);
    assert_eq!(reply.transfer_length, 512);
    assert_eq!((rig.medium[511], rig.medium[512]), (b'b', 0));
}

#[test]
fn part_of_a_block_can_not_be_written_and_nothing_is() {
    for opcode in [0x0a, 0x2a, 0xaa, 0x8a, 0x2e] {
        let mut rig = Rig::new();
        for length in [200, 700] {
            let reply = rig.write(&block_cdb(opcode, 0, 0, 2), &vec![b'b'; length]);
            assert_sense(&reply, 5, Code::INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
            assert_eq!(reply.transfer_length, 1024);
        }
        assert!(rig.log.is_empty());
    }
}

#[test]
fn a_write_that_is_flagged_as_a_read_is_refused() {
    let mut rig = Rig::new();
    let reply = rig.run(0, &block_cdb(0x2a, 0, 0, 1), true, false, 512, &[]);
    assert_sense(&reply, 5, Code::INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
}

#[test]
fn a_parameter_list_must_arrive_whole() {
    let mut rig = Rig::new();
    for cdb in [
        &[0x15, 0x10, 0, 0, 24, 0][..],
        &[0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0],
    ] {
        let reply = rig.write(cdb, &[0; 23]);
        assert_sense(&reply, 5, Code::INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
        assert_eq!(reply.transfer_length, 24);
    }
}
