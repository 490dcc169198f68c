//! Target port groups: what is reported, how states are set, and what works in which state.

use super::rig::*;
use crate::opcodes::{OpCode, TABLE};
use crate::sense::AdditionalSense as Code;
use crate::{
    AccessState, AlteredBy, GroupAccess, GroupAccesses, InTransition, NexusId, Operation, Outcome,
    Reply, Status, TargetPort,
};

mod model;

const TEST_UNIT_READY: [u8; 6] = [0; 6];

/// Relative port `identifier` in `group`.
pub(super) fn port(identifier: u16, group: u16) -> TargetPort {
    TargetPort {
        target_name: "iqn.2026-11.test:disk".to_owned(),
        relative_port_identifier: identifier,
        target_port_group: group,
    }
}

/// A unit with two ports in group 1 and one in each of groups 2 and 9. The first nexus comes through
/// group 2, the second through group 1; neither has anything to be told.
pub(super) fn two_paths() -> Rig {
    let mut rig = Rig::new();
    let ports = [port(1, 1), port(0x8005, 9), port(7, 2), port(5, 1)];
    rig.unit.set_target_ports(ports.to_vec());
    rig.attach_through(port(1, 1));
    on(&mut rig, 1, &TEST_UNIT_READY);
    rig
}

/// A command without data-out of a nexus.
fn on(rig: &mut Rig, nexus: usize, cdb: &[u8]) -> Reply {
    rig.run(nexus, cdb, true, false, 1 << 20, &[])
}

fn report(format: u8, allocation_length: u32) -> Vec<u8> {
    let mut cdb = vec![0xa3, 0x0a | format << 5, 0, 0, 0, 0];
    cdb.extend(allocation_length.to_be_bytes());
    cdb.extend([0, 0]);
    cdb
}

/// Each descriptor: a state, and a group.
fn set_list(descriptors: &[(u8, u16)]) -> Vec<u8> {
    let mut list = vec![0; 4];
    for (state, group) in descriptors {
        list.extend([*state, 0]);
        list.extend(group.to_be_bytes());
    }
    list
}

pub(super) fn set_cdb(length: usize) -> Vec<u8> {
    let mut cdb = vec![0xa4, 0x0a, 0, 0, 0, 0];
    cdb.extend(u32::try_from(length).unwrap().to_be_bytes());
    cdb.extend([0, 0]);
    cdb
}

fn set(rig: &mut Rig, list: &[u8]) -> Reply {
    rig.write(&set_cdb(list.len()), list)
}

const GROUP_1: [u8; 16] = [0, 0x8f, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5];
const GROUP_2: [u8; 12] = [0, 0x8f, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7];
const GROUP_9: [u8; 12] = [0, 0x8f, 0, 9, 0, 0, 0, 1, 0, 0, 0x80, 5];

#[test]
fn both_formats_report_every_group_with_its_ports() {
    let mut rig = two_paths();
    let groups = [&GROUP_1[..], &GROUP_2, &GROUP_9].concat();
    let short = rig.data(&report(0, 1024));
    assert_eq!(short, [&[0, 0, 0, 40][..], &groups].concat());
    let long = rig.data(&report(1, 1024));
    assert_eq!(long, [&[0, 0, 0, 44, 0x10, 30, 0, 0][..], &groups].concat());
    for format in 2..8 {
        assert_invalid_field(&rig.read(&report(format, 1024)), 1, Some(7));
    }
    for length in 0..60 {
        let data = rig.data(&report(0, length));
        assert_eq!(data, short[..short.len().min(length as usize)]);
    }
}

#[test]
fn the_port_of_who_asks_is_reported_even_if_nobody_told_of_it() {
    let mut rig = Rig::new();
    let data = rig.data(&report(0, 1024));
    assert_eq!(data, [&[0, 0, 0, 12][..], &GROUP_2].concat());
}

#[test]
fn more_ports_than_a_descriptor_has_room_for_are_left_out() {
    let mut rig = Rig::new();
    let ports = (1..=4_095).map(|identifier| port(identifier, 2)).collect();
    rig.unit.set_target_ports(ports);
    let data = rig.data(&report(0, 1 << 20));
    assert_eq!((data.len(), data[11]), (4 + 8 + 255 * 4, 255));
    let scsi_ports = rig.data(&[0x12, 1, 0x88, 0xff, 0xff, 0]);
    let length = usize::from(u16::from_be_bytes([scsi_ports[2], scsi_ports[3]]));
    assert_eq!(length, scsi_ports.len() - 4);
    assert!(length > 60_000 && length % 48 == 0, "{length}");
}

#[test]
fn standard_data_says_whether_there_are_several_ports() {
    for (mut rig, multiple) in [(Rig::new(), 0), (two_paths(), 0x10)] {
        assert_eq!(rig.data(&[0x12, 0, 0, 0, 96, 0])[6], multiple);
    }
}

#[test]
fn the_scsi_ports_page_names_each_port_without_an_initiator_port() {
    let mut rig = two_paths();
    let page = rig.data(&[0x12, 1, 0x88, 0x10, 0, 0]);
    let mut rest = &page[4..];
    let mut found = Vec::new();
    while let [0, 0, high, low, 0, 0, 0, 0, 0, 0, 0, length, tail @ ..] = rest {
        let (designator, next) = tail.split_at(usize::from(*length));
        assert_eq!(designator[..3], [0x53, 0x98, 0]);
        assert_eq!(usize::from(designator[3]), designator.len() - 4);
        let name = String::from_utf8(designator[4..].to_vec()).unwrap();
        let name = name.trim_end_matches('\0').to_owned();
        found.push((u16::from_be_bytes([*high, *low]), name));
        rest = next;
    }
    assert!(rest.is_empty());
    let name = |tag: &str| format!("iqn.2026-11.test:disk,t,0x{tag}");
    let expected = [
        (1, name("0001")),
        (5, name("0001")),
        (7, name("0002")),
        (0x8005, name("0009")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_host_sets_states_and_the_others_are_told() {
    let mut rig = two_paths();
    assert_good(&set(&mut rig, &set_list(&[(2, 1), (1, 2)])));
    let data = rig.data(&report(0, 1024));
    // Altered by SET TARGET PORT GROUPS, and group 9 by nobody.
    assert_eq!((data[4], data[9]), (0x02, 1));
    assert_eq!((data[20], data[25]), (0x01, 1));
    assert_eq!(data[32..], GROUP_9);
    let changed = Code::ASYMMETRIC_ACCESS_STATE_CHANGED;
    assert_sense(&on(&mut rig, 1, &TEST_UNIT_READY), 6, changed);
    let standby = Code::LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_STANDBY;
    assert_sense(&on(&mut rig, 1, &TEST_UNIT_READY), 2, standby);
    assert_good(&rig.none(&TEST_UNIT_READY));
    // From the port in standby it is made active again.
    let list = set_list(&[(0, 1)]);
    let reply = rig.run(1, &set_cdb(8), false, true, 8, &list);
    assert_good(&reply);
    assert_good(&on(&mut rig, 1, &TEST_UNIT_READY));
    assert_sense(&rig.none(&TEST_UNIT_READY), 6, changed);
}

#[test]
fn setting_nothing_changes_nothing() {
    let mut rig = two_paths();
    assert_good(&rig.none(&set_cdb(0)));
    assert_good(&set(&mut rig, &set_list(&[])));
    assert!(rig.log.is_empty());
    // States as they are: nobody needs to be told.
    assert_good(&set(&mut rig, &set_list(&[(0, 1), (0, 2)])));
    assert_good(&on(&mut rig, 1, &TEST_UNIT_READY));
}

#[test]
fn a_wrong_list_is_pointed_at_and_changes_nothing() {
    let mut rig = two_paths();
    let good = set_list(&[(2, 1), (2, 2)]);
    let with = |at: usize, value: u8| {
        let mut list = good.clone();
        list[at] = value;
        list
    };
    for at in 0..4 {
        let reply = set(&mut rig, &with(at, 1));
        assert_invalid_parameter(&reply, u16::try_from(at).unwrap(), None);
    }
    for (list, byte, bit) in [
        // Reserved bits, PREF among them, which isn't the host's to set.
        (with(8, 0x82), 8, Some(7)),
        (with(8, 0x12), 8, Some(7)),
        (with(9, 1), 9, None),
        // LBA dependent, reserved, offline, transitioning.
        (with(4, 4), 4, Some(3)),
        (with(8, 5), 8, Some(3)),
        (with(8, 0xe), 8, Some(3)),
        (with(8, 0xf), 8, Some(3)),
        // No such group, and one that is there twice.
        (with(11, 3), 10, None),
        (with(7, 0), 6, None),
        (with(11, 1), 10, None),
    ] {
        assert_invalid_parameter(&set(&mut rig, &list), byte, bit);
    }
    for length in [1, 3, 5, 6, 7, 9] {
        let reply = rig.write(&set_cdb(length), &good[..length]);
        assert_sense(&reply, 5, Code::PARAMETER_LIST_LENGTH_ERROR);
    }
    let long = vec![0; 4 + 256 * 4];
    assert_invalid_field(&set(&mut rig, &long), 6, None);
    // Less data-out than the CDB says.
    let reply = rig.write(&set_cdb(12), &good[..8]);
    assert_eq!(reply.status, Status::CHECK_CONDITION);
    assert!(rig.log.is_empty());
    assert_good(&on(&mut rig, 1, &TEST_UNIT_READY));
}

#[test]
fn a_change_that_fails_is_named_and_leaves_everything_as_it_was() {
    let mut rig = two_paths();
    rig.outcomes.push_back(Outcome::HardwareError);
    let list = set_list(&[(2, 1), (2, 2)]);
    let failed = Code::SET_TARGET_PORT_GROUPS_COMMAND_FAILED;
    assert_sense(&set(&mut rig, &list), 4, failed);
    rig.outcomes.push_back(Outcome::Busy);
    assert_eq!(set(&mut rig, &list).status, Status::BUSY);
    assert_good(&rig.none(&TEST_UNIT_READY));
    assert_good(&on(&mut rig, 1, &TEST_UNIT_READY));
}

fn access(states: &[(u16, AccessState)]) -> GroupAccesses {
    let access = |state| GroupAccess {
        state,
        preferred: false,
        altered_by: AlteredBy::Implicit,
    };
    states
        .iter()
        .map(|(group, state)| (*group, access(*state)))
        .collect()
}

const TRANSITION: Code = Code::LOGICAL_UNIT_NOT_ACCESSIBLE_ASYMMETRIC_ACCESS_STATE_TRANSITION;

#[test]
fn a_group_on_its_way_is_transitioning_and_the_others_are_not() {
    let mut rig = two_paths();
    let next = access(&[
        (1, AccessState::Standby),
        (2, AccessState::ActiveNonOptimized),
    ]);
    rig.unit.begin_transition(next.clone()).unwrap();
    assert_eq!(rig.unit.begin_transition(next.clone()), Err(InTransition));
    assert_sense(&on(&mut rig, 1, &TEST_UNIT_READY), 2, TRANSITION);
    // Group 2 serves all the time, and says so.
    assert_good(&rig.none(&TEST_UNIT_READY));
    let data = rig.data(&report(1, 1024));
    assert_eq!((data[8], data[24]), (0x0f, 0x00));
    // Whoever wants something else has to wait, through whatever group.
    assert_sense(&set(&mut rig, &set_list(&[(0, 9)])), 2, TRANSITION);
    rig.unit.complete_transition(next, None);
    let changed = Code::ASYMMETRIC_ACCESS_STATE_CHANGED;
    assert_sense(&rig.none(&TEST_UNIT_READY), 6, changed);
    assert_sense(&on(&mut rig, 1, &TEST_UNIT_READY), 6, changed);
    let data = rig.data(&report(1, 1024));
    assert_eq!((data[8], data[13], data[24], data[29]), (0x02, 2, 0x01, 2));
}

#[test]
fn a_transition_that_fails_leaves_the_states_and_is_told_if_nobody_asked_for_it() {
    let mut rig = two_paths();
    for implicit in [true, false] {
        let next = access(&[(1, AccessState::Unavailable)]);
        rig.unit.begin_transition(next).unwrap();
        rig.unit.abandon_transition(implicit);
        let reply = on(&mut rig, 1, &TEST_UNIT_READY);
        if implicit {
            let failed = Code::IMPLICIT_ASYMMETRIC_ACCESS_STATE_TRANSITION_FAILED;
            assert_sense(&reply, 6, failed);
            assert_sense(&rig.none(&TEST_UNIT_READY), 6, failed);
        } else {
            assert_good(&reply);
        }
    }
    // Nothing was under way: there is nothing to tell.
    rig.unit.abandon_transition(true);
    assert_good(&rig.none(&TEST_UNIT_READY));
}

#[test]
fn preference_is_told_and_reported() {
    let mut rig = two_paths();
    let mut next = access(&[(9, AccessState::ActiveOptimized)]);
    next.get_mut(&9).unwrap().preferred = true;
    rig.unit.complete_transition(next, None);
    let changed = Code::ASYMMETRIC_ACCESS_STATE_CHANGED;
    assert_sense(&rig.none(&TEST_UNIT_READY), 6, changed);
    assert_eq!(rig.data(&report(0, 1024))[32], 0x80);
}

#[test]
fn who_comes_later_finds_the_state_that_holds() {
    let mut rig = two_paths();
    rig.set_states(&[(9, AccessState::Standby)], None);
    let late = rig.attach_through(port(0x8005, 9));
    on(&mut rig, late, &TEST_UNIT_READY);
    let standby = Code::LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_STANDBY;
    assert_sense(&on(&mut rig, late, &TEST_UNIT_READY), 2, standby);
}

#[test]
fn data_that_arrives_after_the_port_went_to_standby_is_kept_out() {
    use crate::{Command, Plan, TaskAttribute};
    let mut rig = two_paths();
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
    rig.set_states(&[(2, AccessState::Standby)], Some(NexusId(1)));
    let data = [bytes::Bytes::from(vec![1; 512])].into_iter().collect();
    let Plan::Done(reply) = rig.unit.data_out(&mut rig.nexuses[0], pending, data) else {
        panic!("a write through a port in standby");
    };
    let standby = Code::LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_STANDBY;
    assert_sense(&reply, 2, standby);
}

#[test]
fn a_copy_is_kept_out_as_reads_and_writes_are() {
    use crate::opcodes::Class;
    let rig = two_paths();
    let nexus = nexus_info(1);
    for class in [Class::MediumRead, Class::MediumWrite] {
        rig.set_states(&[(2, AccessState::ActiveNonOptimized)], None);
        assert_eq!(rig.unit.check_third_party(&nexus, class), Ok(()));
        rig.set_states(&[(2, AccessState::Standby)], None);
        let refusal = rig.unit.check_third_party(&nexus, class).unwrap_err();
        assert_eq!((refusal.sense[2], refusal.sense[13]), (2, 0x0b));
    }
}

#[test]
fn request_sense_and_inquiry_say_how_the_port_is() {
    let mut rig = two_paths();
    for (state, qualifier) in [
        (AccessState::ActiveNonOptimized, None),
        (AccessState::Standby, Some((0x0b, 0x00))),
        (AccessState::Unavailable, Some((0x0c, 0x20))),
    ] {
        rig.set_states(&[(2, state)], Some(NexusId(1)));
        let sense = rig.data(&[0x03, 0, 0, 0, 252, 0]);
        let inquiry = rig.data(&[0x12, 0, 0, 0, 96, 0]);
        let page = rig.data(&[0x12, 1, 0x83, 0x10, 0, 0]);
        let (key, code, peripheral) = match qualifier {
            None => (0, (0, 0), 0),
            Some((qualifier, peripheral)) => (2, (0x04, qualifier), peripheral),
        };
        assert_eq!((sense[2], (sense[12], sense[13])), (key, code));
        assert_eq!((inquiry[0], page[0]), (peripheral, peripheral));
    }
}

/// A CDB that asks for as little as possible.
fn least(entry: &OpCode) -> Vec<u8> {
    let mut cdb = vec![0; entry.usage.len()];
    cdb[0] = entry.operation_code;
    cdb[1] = u8::try_from(entry.service_action.unwrap_or(0)).unwrap();
    cdb
}

/// Reservations, identifying information and the clock aren't on the medium.
fn is_elsewhere(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::ChangeReservations { .. }
            | Operation::SetIdentifyingInformation { .. }
            | Operation::Timestamp
    )
}

/// What SPC-5 lists for each state, as far as it is supported here, by operation code and service
/// action. A device server may support more; READ CAPACITY in standby is such a case: hosts look
/// for the size when they find a path, whatever its state.
fn listed(state: AccessState, entry: &OpCode) -> bool {
    let code = (entry.operation_code, entry.service_action);
    let always = matches!(
        code,
        (0x12, None) | (0xa0, None) | (0x03, None) | (0xa3, Some(0x0a))
    );
    let unavailable = always || code == (0xa4, Some(0x0a));
    // LOG SELECT and LOG SENSE, MODE SELECT and MODE SENSE, diagnostics, persistent reservations.
    let standby = matches!(
        entry.operation_code,
        0x4c | 0x4d | 0x15 | 0x1a | 0x55 | 0x5a | 0x1c | 0x1d | 0x5e | 0x5f
    );
    match state {
        AccessState::ActiveOptimized | AccessState::ActiveNonOptimized => true,
        AccessState::Standby => unavailable || standby,
        AccessState::Unavailable => unavailable,
        AccessState::Transitioning => always,
    }
}

#[test]
fn every_command_in_every_state() {
    let states = [
        (AccessState::ActiveNonOptimized, None),
        (AccessState::Standby, Some(0x0b)),
        (AccessState::Unavailable, Some(0x0c)),
        (AccessState::Transitioning, Some(0x0a)),
    ];
    for (state, qualifier) in states {
        for entry in TABLE {
            let mut rig = two_paths();
            if state == AccessState::Transitioning {
                let next = access(&[(2, AccessState::Standby)]);
                rig.unit.begin_transition(next).unwrap();
            } else {
                rig.set_states(&[(2, state)], Some(NexusId(1)));
            }
            let reply = rig.read(&least(entry));
            let refused = reply.status == Status::CHECK_CONDITION
                && (reply.sense[2], reply.sense[12]) == (2, 0x04)
                && Some(reply.sense[13]) == qualifier;
            let name = entry.name;
            assert_eq!(
                refused,
                !entry.served_in().includes(state),
                "{name}, {state:?}"
            );
            if listed(state, entry) {
                assert!(!refused, "{name} must work in {state:?}");
            }
            // What touches the medium never does.
            let medium = !matches!(entry.operation_code, 0x12 | 0xa0 | 0x03 | 0xa3 | 0xa4);
            if medium
                && !matches!(
                    state,
                    AccessState::ActiveNonOptimized | AccessState::Standby
                )
            {
                assert!(refused, "{name} works in {state:?}");
            }
            assert!(
                state.is_active() || rig.log.iter().all(is_elsewhere),
                "{name} got to the medium in {state:?}"
            );
        }
    }
}

/// As which unit it is shown that has a part elsewhere.
fn elsewhere() -> crate::Identity {
    crate::Identity::new(0xabc_def0, "elsewhere")
}

fn good(reply: Reply) -> Vec<u8> {
    assert_good(&reply);
    bytes_of(&reply)
}

fn inquiry(page: Option<u8>) -> Vec<u8> {
    match page {
        Some(page) => vec![0x12, 1, page, 1, 0, 0],
        None => vec![0x12, 0, 0, 0, 96, 0],
    }
}

#[test]
fn a_unit_that_another_daemon_has_a_part_in_is_one_disk_with_it() {
    let mut rig = two_paths();
    let tpgs = |rig: &mut Rig| good(on(rig, 0, &inquiry(None)))[5] >> 4 & 3;
    let own = good(on(&mut rig, 0, &inquiry(Some(0x83))));
    assert_eq!(tpgs(&mut rig), 0b11);
    rig.unit.show_as(Some(elsewhere()));
    // Both nexuses are told that INQUIRY says something else.
    for nexus in [0, 1] {
        let told = on(&mut rig, nexus, &TEST_UNIT_READY);
        assert_sense(&told, 6, Code::INQUIRY_DATA_HAS_CHANGED);
    }
    assert_eq!(
        good(on(&mut rig, 0, &inquiry(Some(0x80))))[4..],
        *b"elsewhere"
    );
    let shown = good(on(&mut rig, 0, &inquiry(Some(0x83))));
    let naa = elsewhere().naa;
    assert!(shown.windows(8).any(|it| it == naa) && !own.windows(8).any(|it| it == naa));
    // Copies name it by what the page says.
    let named = |naa: [u8; 8]| crate::Designation {
        code_set: 1,
        association: 0,
        designator_type: 3,
        designator: naa.as_slice().into(),
    };
    assert!(rig.unit.is_named(&named(naa)));
    assert!(!rig.unit.is_named(&named(config().identity.naa)));
    assert_eq!(tpgs(&mut rig), 0b01, "implicit alone");
    let list = set_list(&[(2, 1)]);
    let refused = rig.run(0, &set_cdb(list.len()), false, true, 1 << 20, &list);
    assert_sense(&refused, 5, Code::INVALID_COMMAND_OPERATION_CODE);
    let is_supported = [0xa3, 0x0c, 0x02, 0xa4, 0, 0x0a, 0, 0, 1, 0, 0, 0];
    assert_eq!(
        good(on(&mut rig, 0, &is_supported))[1] & 7,
        1,
        "not supported"
    );
    rig.unit.show_as(None);
    on(&mut rig, 0, &TEST_UNIT_READY);
    assert_eq!(good(on(&mut rig, 0, &inquiry(Some(0x83)))), own);
    assert_eq!(tpgs(&mut rig), 0b11);
    assert_eq!(good(on(&mut rig, 0, &is_supported))[1] & 7, 3, "supported");
}

#[test]
fn a_transition_can_be_led_elsewhere_and_lasts_until_it_is_completed() {
    let mut rig = two_paths();
    let standby = access(&[1, 2, 9].map(|group| (group, AccessState::Standby)));
    rig.unit.lead_transition(standby.clone());
    let transitioning = Code::LOGICAL_UNIT_NOT_ACCESSIBLE_ASYMMETRIC_ACCESS_STATE_TRANSITION;
    assert_sense(&on(&mut rig, 0, &TEST_UNIT_READY), 2, transitioning);
    rig.unit.lead_transition(standby.clone());
    assert_sense(&on(&mut rig, 0, &TEST_UNIT_READY), 2, transitioning);
    rig.unit.complete_transition(standby, None);
    let told = on(&mut rig, 0, &TEST_UNIT_READY);
    assert_sense(&told, 6, Code::ASYMMETRIC_ACCESS_STATE_CHANGED);
    let in_standby = Code::LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_STANDBY;
    assert_sense(&on(&mut rig, 0, &TEST_UNIT_READY), 2, in_standby);
    rig.unit.complete_transition(GroupAccesses::new(), None);
    on(&mut rig, 0, &TEST_UNIT_READY);
    assert_good(&on(&mut rig, 0, &TEST_UNIT_READY));
}
