//! Unit attentions: who gets them, in which order, and which commands leave them alone.

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{NexusId, Status, UnitAttention};

const TEST_UNIT_READY: [u8; 6] = [0; 6];

fn ask(rig: &mut Rig, nexus: usize) -> crate::Reply {
    rig.run(nexus, &TEST_UNIT_READY, false, false, 0, &[])
}

#[test]
fn a_new_nexus_finds_power_on_once() {
    let mut rig = Rig::new();
    let second = rig.attach();
    let reply = ask(&mut rig, second);
    assert_sense(&reply, 6, Code::POWER_ON_RESET_OR_BUS_DEVICE_RESET_OCCURRED);
    assert_good(&ask(&mut rig, second));
    assert_good(&ask(&mut rig, 0));
}

#[test]
fn inquiry_and_report_luns_run_beside_a_pending_attention() {
    let mut rig = Rig::new();
    let second = rig.attach();
    assert_good(&rig.run(second, &[0x12, 0, 0, 0, 96, 0], true, false, 96, &[]));
    let report_luns = [0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    assert_good(&rig.run(second, &report_luns, true, false, 256, &[]));
    assert_eq!(ask(&mut rig, second).status, Status::CHECK_CONDITION);
}

#[test]
fn request_sense_delivers_the_attention_as_data_and_clears_it() {
    let mut rig = Rig::new();
    let second = rig.attach();
    let reply = rig.run(second, &[0x03, 0, 0, 0, 252, 0], true, false, 252, &[]);
    assert_good(&reply);
    let sense = bytes_of(&reply);
    assert_eq!(
        (sense[0], sense[2], sense[12], sense[13]),
        (0x70, 6, 0x29, 0x00)
    );
    assert_good(&ask(&mut rig, second));
}

#[test]
fn an_unsupported_command_leaves_the_attention_pending() {
    let mut rig = Rig::new();
    let second = rig.attach();
    let reply = rig.run(second, &[0xff; 16], false, false, 0, &[]);
    assert_sense(&reply, 5, Code::INVALID_COMMAND_OPERATION_CODE);
    assert_sense(
        &ask(&mut rig, second),
        6,
        Code::POWER_ON_RESET_OR_BUS_DEVICE_RESET_OCCURRED,
    );
}

#[test]
fn attentions_come_one_per_command_with_resets_first() {
    let mut rig = Rig::new();
    rig.unit.raise(UnitAttention::CapacityChanged, None);
    rig.unit.raise(UnitAttention::ModeParametersChanged, None);
    rig.unit.raise(UnitAttention::CapacityChanged, None);
    rig.unit.logical_unit_reset();
    assert_sense(
        &ask(&mut rig, 0),
        6,
        Code::BUS_DEVICE_RESET_FUNCTION_OCCURRED,
    );
    assert_sense(&ask(&mut rig, 0), 6, Code::MODE_PARAMETERS_CHANGED);
    assert_sense(&ask(&mut rig, 0), 6, Code::CAPACITY_DATA_HAS_CHANGED);
    assert_good(&ask(&mut rig, 0));
}

#[test]
fn every_attention_has_its_own_code_and_is_delivered() {
    let all = [
        (UnitAttention::PowerOn, (0x29, 0x00)),
        (UnitAttention::BusDeviceReset, (0x29, 0x03)),
        (UnitAttention::NexusLoss, (0x29, 0x07)),
        (UnitAttention::CommandsCleared, (0x2f, 0x00)),
        (UnitAttention::ReportedLunsChanged, (0x3f, 0x0e)),
        (UnitAttention::ReservationsPreempted, (0x2a, 0x03)),
        (UnitAttention::ReservationsReleased, (0x2a, 0x04)),
        (UnitAttention::RegistrationsPreempted, (0x2a, 0x05)),
        (UnitAttention::ModeParametersChanged, (0x2a, 0x01)),
        (UnitAttention::MediumMayHaveChanged, (0x28, 0x00)),
        (UnitAttention::CapacityChanged, (0x2a, 0x09)),
        (UnitAttention::InquiryDataChanged, (0x3f, 0x03)),
        (UnitAttention::ThinProvisioningThreshold, (0x38, 0x07)),
    ];
    let mut rig = Rig::new();
    for (attention, _) in all {
        rig.unit.raise(attention, None);
    }
    for (_, (code, qualifier)) in all {
        assert_sense(&ask(&mut rig, 0), 6, Code { code, qualifier });
    }
    assert_good(&ask(&mut rig, 0));
}

#[test]
fn an_attention_that_tells_of_aborted_tasks_is_behind_a_fence() {
    let mut rig = Rig::new();
    for (attention, fence) in [
        (UnitAttention::BusDeviceReset, true),
        (UnitAttention::CommandsCleared, true),
        (UnitAttention::RegistrationsPreempted, true),
        (UnitAttention::ReservationsReleased, false),
        (UnitAttention::ModeParametersChanged, false),
    ] {
        rig.unit.raise(attention, None);
        assert_eq!(ask(&mut rig, 0).response_fence, fence, "{attention:?}");
        assert!(!ask(&mut rig, 0).response_fence, "only the first");
        rig.unit.raise(attention, None);
        let request_sense = [0x03, 0, 0, 0, 252, 0];
        let reply = rig.run(0, &request_sense, true, false, 252, &[]);
        assert_eq!(reply.response_fence, fence, "{attention:?}");
        let reply = rig.run(0, &request_sense, true, false, 252, &[]);
        assert!(!reply.response_fence);
    }
}

#[test]
fn the_nexus_that_caused_it_is_left_out() {
    let mut rig = Rig::new();
    let second = rig.attach();
    assert_eq!(ask(&mut rig, second).status, Status::CHECK_CONDITION);
    rig.unit
        .raise(UnitAttention::ModeParametersChanged, Some(NexusId(1)));
    assert_good(&ask(&mut rig, 0));
    assert_sense(&ask(&mut rig, second), 6, Code::MODE_PARAMETERS_CHANGED);
}

#[test]
fn a_detached_nexus_gets_nothing_more() {
    let mut rig = Rig::new();
    rig.unit.detach(&rig.nexuses[0]);
    rig.unit.raise(UnitAttention::CapacityChanged, None);
    assert_good(&ask(&mut rig, 0));
}

#[test]
fn report_luns_ends_the_reported_luns_attention() {
    let mut rig = Rig::new();
    rig.unit.raise(UnitAttention::ReportedLunsChanged, None);
    rig.read(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    assert_good(&ask(&mut rig, 0));
}

#[test]
fn a_resize_is_announced_and_seen_and_a_repeated_one_is_not() {
    let mut rig = Rig::new();
    rig.unit.set_blocks(BLOCKS);
    assert_good(&ask(&mut rig, 0));
    rig.unit.set_blocks(BLOCKS * 2);
    assert_sense(&ask(&mut rig, 0), 6, Code::CAPACITY_DATA_HAS_CHANGED);
    let data = rig.data(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(data[..4], 4095_u32.to_be_bytes());
}
