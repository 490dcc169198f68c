//! What is wrong is named, and pointed at.

use super::rig::*;
use crate::opcodes::TABLE;
use crate::sense::AdditionalSense as Code;
use crate::{Command, Outcome, Plan, Status, TaskAttribute};

#[test]
fn every_reserved_bit_of_every_command_is_pointed_at() {
    let mut rig = Rig::new();
    let length = |opcode: u8| {
        TABLE
            .iter()
            .find(|e| e.operation_code == opcode)
            .unwrap()
            .usage
            .len()
    };
    // Byte 1 of READ(10) has no reserved bits but these; bytes 1 to 3 of TEST UNIT READY do.
    for (opcode, byte, bit) in [
        (0x00_u8, 1_u16, 0_u8),
        (0x00, 4, 7),
        (0x12, 1, 1),
        (0x28, 1, 2),
        (0x28, 6, 7),
        (0xa0, 1, 7),
    ] {
        let mut cdb = vec![0; length(opcode)];
        cdb[0] = opcode;
        cdb[usize::from(byte)] = 1 << bit;
        assert_invalid_field(&rig.read(&cdb), byte, Some(bit));
    }
}

#[test]
fn naca_is_refused_on_every_command() {
    for entry in TABLE {
        let mut rig = Rig::new();
        let mut cdb = vec![0; entry.usage.len()];
        cdb[0] = entry.operation_code;
        if let Some(action) = entry.service_action {
            cdb[1] = u8::try_from(action).unwrap();
        }
        *cdb.last_mut().unwrap() = 0x04;
        let control = u16::try_from(cdb.len() - 1).unwrap();
        assert_invalid_field(&rig.read(&cdb), control, Some(2));
    }
}

#[test]
fn bytes_behind_a_short_cdb_are_nobodys_business() {
    let mut rig = Rig::new();
    let mut cdb = [0xff; 16];
    cdb[..6].fill(0);
    assert_good(&rig.none(&cdb));
}

#[test]
fn an_unknown_operation_code_and_an_unknown_service_action_are_told_apart() {
    let mut rig = Rig::new();
    for opcode in [0x01, 0x05, 0x82, 0x8d, 0xc0, 0xff] {
        let mut cdb = [0; 16];
        cdb[0] = opcode;
        assert_sense(&rig.none(&cdb), 5, Code::INVALID_COMMAND_OPERATION_CODE);
    }
    let report_referrals = [0x9e, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0];
    assert_invalid_field(&rig.read(&report_referrals), 1, Some(4));
}

#[test]
fn an_aca_task_is_refused() {
    let mut rig = Rig::new();
    let command = Command {
        cdb: &[0; 16],
        expected_length: 0,
        read: false,
        write: false,
        attribute: TaskAttribute::Aca,
        luns: &LUNS,
    };
    let Plan::Done(reply) = rig.unit.begin(&mut rig.nexuses[0], &command) else {
        panic!("no reply");
    };
    assert_sense(&reply, 5, Code::INVALID_MESSAGE_ERROR);
}

#[test]
fn no_cdb_at_all_is_a_test_unit_ready_of_zeros_and_not_a_crash() {
    let mut rig = Rig::new();
    assert_good(&rig.none(&[]));
}

#[test]
fn outcomes_of_the_store_become_status_and_sense() {
    let read = block_cdb(0x28, 0, 16, 8);
    let write = block_cdb(0x2a, 0, 16, 8);
    let data = vec![1; 4096];
    let mut rig = Rig::new();

    rig.outcomes
        .push_back(Outcome::MediumError { offset: 18 * 512 });
    let reply = rig.read(&read);
    assert_sense(&reply, 3, Code::UNRECOVERED_READ_ERROR);
    assert_eq!(reply.sense[0], 0xf0);
    assert_eq!(reply.sense[3..7], 18_u32.to_be_bytes());

    rig.outcomes
        .push_back(Outcome::MediumError { offset: 17 * 512 });
    assert_sense(&rig.write(&write, &data), 3, Code::WRITE_ERROR);
    rig.outcomes.push_back(Outcome::SpaceExhausted);
    assert_sense(
        &rig.write(&write, &data),
        7,
        Code::SPACE_ALLOCATION_FAILED_WRITE_PROTECT,
    );
    rig.outcomes.push_back(Outcome::HardwareError);
    assert_sense(&rig.write(&write, &data), 4, Code::INTERNAL_TARGET_FAILURE);
    rig.outcomes.push_back(Outcome::NotReady);
    assert_sense(
        &rig.read(&read),
        2,
        Code::LOGICAL_UNIT_IS_IN_PROCESS_OF_BECOMING_READY,
    );
    rig.outcomes.push_back(Outcome::Standby);
    assert_sense(
        &rig.write(&write, &data),
        2,
        Code::LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_STANDBY,
    );
    rig.outcomes.push_back(Outcome::Busy);
    assert_eq!(rig.read(&read).status, Status::BUSY);
    rig.outcomes.push_back(Outcome::Aborted);
    assert_eq!(rig.read(&read).status, Status::TASK_ABORTED);
}

#[test]
fn an_address_beyond_32_bits_is_left_out_of_fixed_sense_and_present_in_descriptors() {
    let mut rig = Rig::new();
    rig.unit.set_blocks(1 << 40);
    rig.none(&[0; 6]);
    let cdb = block_cdb(0x88, 0, 1 << 33, 1);
    rig.outcomes
        .push_back(Outcome::MediumError { offset: 512 << 33 });
    assert_eq!(rig.read(&cdb).sense[0], 0x70);

    // MODE SELECT(6) of the control page with D_SENSE.
    let list = [0, 0, 0, 0, 0x0a, 10, 0x26, 0x10, 0, 0, 0, 0, 1, 44, 0, 0];
    assert_good(&rig.write(&[0x15, 0x10, 0, 0, 16, 0], &list));
    rig.outcomes
        .push_back(Outcome::MediumError { offset: 512 << 33 });
    let sense = rig.read(&cdb).sense;
    assert_eq!(sense[..8], [0x72, 3, 0x11, 0, 0, 0, 0, 12]);
    assert_eq!(sense[8..12], [0, 10, 0x80, 0]);
    assert_eq!(sense[12..], (1_u64 << 33).to_be_bytes());

    let sense = rig.none(&[0, 0, 0x20, 0, 0, 0]).sense;
    assert_eq!(sense[..8], [0x72, 5, 0x24, 0, 0, 0, 0, 8]);
    assert_eq!(sense[8..], [2, 6, 0, 0, 0xcd, 0, 2, 0]);
}
