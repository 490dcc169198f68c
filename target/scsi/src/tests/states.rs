//! Units that aren't ready, are stopped, fenced or read-only.

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{Operation, UnitState};

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const START: [u8; 6] = [0x1b, 0, 0, 0, 0x01, 0];
const STOP: [u8; 6] = [0x1b, 0, 0, 0, 0x00, 0];

fn works_without_a_medium(rig: &mut Rig) {
    rig.data(&[0x12, 0, 0, 0, 96, 0]);
    rig.data(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    rig.data(&[0x1a, 0, 0x3f, 0, 255, 0]);
    rig.data(&[0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn a_unit_that_is_loading_asks_for_patience() {
    let mut rig = Rig::new();
    rig.unit.set_state(UnitState::BecomingReady);
    let code = Code::LOGICAL_UNIT_IS_IN_PROCESS_OF_BECOMING_READY;
    for cdb in [
        TEST_UNIT_READY.to_vec(),
        block_cdb(0x28, 0, 0, 1),
        vec![0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        assert_sense(&rig.read(&cdb), 2, code);
    }
    works_without_a_medium(&mut rig);
    let sense = rig.data(&[0x03, 0, 0, 0, 252, 0]);
    assert_eq!((sense[2], sense[12], sense[13]), (2, 4, 1));
    rig.unit.set_state(UnitState::Ready);
    assert_good(&rig.none(&TEST_UNIT_READY));
}

#[test]
fn a_fenced_unit_serves_no_data_and_wants_an_operator() {
    let mut rig = Rig::new();
    rig.unit.set_state(UnitState::Fenced);
    let manual = Code::LOGICAL_UNIT_NOT_READY_MANUAL_INTERVENTION_REQUIRED;
    assert_sense(&rig.none(&TEST_UNIT_READY), 2, manual);
    assert_sense(
        &rig.read(&block_cdb(0x28, 0, 0, 1)),
        4,
        Code::INTERNAL_TARGET_FAILURE,
    );
    let reply = rig.write(&block_cdb(0x2a, 0, 0, 1), &[0; 512]);
    assert_sense(&reply, 4, Code::INTERNAL_TARGET_FAILURE);
    assert_sense(
        &rig.none(&block_cdb(0x35, 0, 0, 0)),
        4,
        Code::INTERNAL_TARGET_FAILURE,
    );
    assert_sense(&rig.none(&START), 2, manual);
    works_without_a_medium(&mut rig);
}

#[test]
fn a_fence_that_falls_between_command_and_data_keeps_the_data_out() {
    use crate::{Command, Plan, TaskAttribute};
    let mut rig = Rig::new();
    let cdb = block_cdb(0x2a, 0, 0, 1);
    let command = Command {
        cdb: &cdb,
        expected_length: 512,
        read: false,
        write: true,
        attribute: TaskAttribute::Simple,
        luns: &LUNS,
    };
    let Plan::NeedData { pending, .. } = rig.unit.begin(&mut rig.nexuses[0], &command) else {
        panic!("no wish for data");
    };
    rig.unit.set_state(UnitState::Fenced);
    let data = [bytes::Bytes::from(vec![1; 512])].into_iter().collect();
    let Plan::Done(reply) = rig.unit.data_out(&mut rig.nexuses[0], pending, data) else {
        panic!("a write to a fenced unit");
    };
    assert_sense(&reply, 4, Code::INTERNAL_TARGET_FAILURE);
}

#[test]
fn stop_flushes_and_start_starts() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x2a, 0, 9, 1), &[1; 512]));
    assert_good(&rig.none(&STOP));
    assert_eq!(rig.durable[9 * 512], 1);
    let stopped = Code::LOGICAL_UNIT_NOT_READY_INITIALIZING_COMMAND_REQUIRED;
    assert_sense(&rig.none(&TEST_UNIT_READY), 2, stopped);
    assert_sense(&rig.read(&block_cdb(0x28, 0, 0, 1)), 2, stopped);
    works_without_a_medium(&mut rig);
    assert_good(&rig.none(&START));
    assert_good(&rig.none(&TEST_UNIT_READY));
}

#[test]
fn stop_without_flush_flushes_nothing() {
    let mut rig = Rig::new();
    assert_good(&rig.none(&[0x1b, 1, 0, 0, 0x04, 0]));
    assert!(
        !rig.log
            .iter()
            .any(|operation| matches!(operation, Operation::Flush { .. }))
    );
}

#[test]
fn power_conditions_and_ejection_are_refused() {
    let mut rig = Rig::new();
    for condition in 1..16 {
        assert_invalid_field(&rig.none(&[0x1b, 0, 0, 0, condition << 4, 0]), 4, Some(7));
    }
    assert_invalid_field(&rig.none(&[0x1b, 0, 0, 0, 0x02, 0]), 4, Some(1));
    assert_good(&rig.none(&TEST_UNIT_READY));
}

#[test]
fn a_reset_starts_a_stopped_unit() {
    let mut rig = Rig::new();
    assert_good(&rig.none(&STOP));
    rig.unit.logical_unit_reset();
    assert_sense(
        &rig.none(&TEST_UNIT_READY),
        6,
        Code::BUS_DEVICE_RESET_FUNCTION_OCCURRED,
    );
    assert_good(&rig.none(&TEST_UNIT_READY));
}

#[test]
fn stopping_survives_a_hiccup_of_the_store() {
    let mut rig = Rig::new();
    assert_good(&rig.none(&STOP));
    rig.unit.set_state(UnitState::BecomingReady);
    rig.unit.set_state(UnitState::Ready);
    assert_eq!(rig.unit.state(), UnitState::Stopped);
}

/// Every command that changes the medium.
fn writers() -> Vec<(Vec<u8>, usize)> {
    let mut writers: Vec<_> = [0x0a, 0x2a, 0xaa, 0x8a, 0x2e, 0xae, 0x8e, 0x41, 0x93]
        .into_iter()
        .map(|opcode| (block_cdb(opcode, 0, 0, 1), 512))
        .collect();
    writers.push((block_cdb(0x93, 0x09, 0, 1), 0));
    writers.push((vec![0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], 24));
    writers
}

#[test]
fn a_read_only_unit_refuses_every_change_and_says_so() {
    let mut rig = Rig::with(|config| config.read_only = true);
    for (cdb, length) in writers() {
        assert_sense(&rig.write(&cdb, &vec![0; length]), 7, Code::WRITE_PROTECTED);
    }
    assert_eq!(rig.data(&[0x1a, 0, 0x3f, 0, 255, 0])[2], 0x90);
    rig.data(&block_cdb(0x28, 0, 0, 1));
    assert_good(&rig.none(&block_cdb(0x35, 0, 0, 0)));
    assert_good(&rig.write(&block_cdb(0x2f, 0x02, 0, 1), &[0; 512]));
}

#[test]
fn a_nexus_may_be_read_only_beside_others_that_write() {
    let mut rig = Rig::new();
    let mut info = nexus_info(2);
    info.read_only = true;
    rig.nexuses.push(rig.unit.attach(info));
    rig.run(1, &TEST_UNIT_READY, false, false, 0, &[]);
    for (cdb, length) in writers() {
        let length_32 = u32::try_from(length).unwrap();
        let reply = rig.run(1, &cdb, false, true, length_32, &vec![0; length]);
        assert_sense(&reply, 7, Code::WRITE_PROTECTED);
    }
    let mode = rig.run(1, &[0x1a, 0, 0x3f, 0, 255, 0], true, false, 255, &[]);
    assert_eq!(bytes_of(&mode)[2], 0x90);
    assert_good(&rig.write(&block_cdb(0x2a, 0, 0, 1), &[0; 512]));
}

#[test]
fn a_unit_whose_content_comes_from_elsewhere_is_read_and_not_written_and_hosts_are_told() {
    let mut rig = Rig::new();
    let write = block_cdb(0x2a, 0, 0, 1);
    assert_good(&rig.write(&write, &[1; 512]));
    rig.unit.set_write_protected(true);
    rig.unit.set_write_protected(true);
    assert!(rig.unit.is_write_protected());
    assert_sense(
        &rig.none(&TEST_UNIT_READY),
        6,
        Code::MODE_PARAMETERS_CHANGED,
    );
    assert_sense(&rig.write(&write, &[2; 512]), 7, Code::WRITE_PROTECTED);
    assert_eq!(rig.data(&block_cdb(0x28, 0, 0, 1)), [1; 512]);
    let mode = rig.data(&[0x1a, 0, 0x3f, 0, 255, 0]);
    assert_eq!(mode[2] & 0x80, 0x80, "WP");
    rig.unit.set_write_protected(false);
    assert_sense(
        &rig.none(&TEST_UNIT_READY),
        6,
        Code::MODE_PARAMETERS_CHANGED,
    );
    assert_good(&rig.write(&write, &[3; 512]));
    assert_eq!(rig.data(&[0x1a, 0, 0x3f, 0, 255, 0])[2] & 0x80, 0);
}
