//! Service actions that name other ports: SPEC_I_PT, ALL_TG_PT, REGISTER AND MOVE; and how many there
//! may be.

use super::reservations::*;
use super::rig::*;
use crate::reservation::transport_id;
use crate::sense::AdditionalSense as Code;
use crate::{NexusId, NexusInfo, ReservationType, Status, TargetPort};

/// The name of the port of nexus number `id`, counted from 1.
fn port(id: u64) -> String {
    nexus_info(id).initiator_port
}

/// A TransportID of a node without an ISID.
fn node(name: &str) -> Vec<u8> {
    transport_id::encode(name)
}

fn with_ids(key: u64, flags: u8, ids: &[Vec<u8>]) -> Vec<u8> {
    let ids = ids.concat();
    let mut list = list(0, key, flags | SPEC_I_PT);
    list.extend(u32::try_from(ids.len()).unwrap().to_be_bytes());
    list.extend(ids);
    list
}

fn move_list(key: u64, new: u64, flags: u8, relative_port: u16, id: &[u8]) -> Vec<u8> {
    let mut list = key.to_be_bytes().to_vec();
    list.extend(new.to_be_bytes());
    list.extend([0, flags]);
    list.extend(relative_port.to_be_bytes());
    list.extend(u32::try_from(id.len()).unwrap().to_be_bytes());
    list.extend(id);
    list
}

/// Attaches the port of a nexus once more, through another target port.
fn through(rig: &mut Rig, id: u64, relative_port: u16) -> usize {
    let mut info = nexus_info(id);
    info.id = NexusId(1000 * id + u64::from(relative_port));
    info.target_port.relative_port_identifier = relative_port;
    attach(rig, info)
}

fn attach(rig: &mut Rig, info: NexusInfo) -> usize {
    rig.nexuses.push(rig.unit.attach(info));
    let nexus = rig.nexuses.len() - 1;
    rig.run(nexus, &[0; 6], false, false, 0, &[]);
    nexus
}

#[test]
fn other_initiator_ports_are_registered_with_the_sender_even_before_they_log_in() {
    let mut rig = rig(2);
    register(&mut rig, 1, 0, 8);
    let ids = [
        transport_id::encode(&port(2)),
        transport_id::encode(&port(5)),
    ];
    assert_good(&out(&mut rig, 0, REGISTER, 0, &with_ids(7, 0, &ids)));
    // The second one keeps the key that it gave itself.
    assert_eq!(keys(&mut rig), (2, vec![8, 7, 7]));
    let late = attach(&mut rig, nexus_info(5));
    register(&mut rig, late, 7, 9);
    // One that is registered can't register others.
    let again = out(&mut rig, 1, REGISTER, 0, &{
        let mut list = with_ids(8, 0, &ids);
        list[..8].copy_from_slice(&8_u64.to_be_bytes());
        list
    });
    assert_invalid_parameter(&again, 20, Some(3));
}

#[test]
fn a_node_stands_for_all_its_ports_that_are_known() {
    let mut rig = rig(3);
    let ids = [node("iqn.2026-11.test:host3")];
    assert_good(&out(&mut rig, 0, REGISTER, 0, &with_ids(7, 0, &ids)));
    assert_eq!(keys(&mut rig).1, [7, 7]);
    register(&mut rig, 2, 7, 8);
    let unknown = [node("iqn.2026-11.test:nobody")];
    assert_invalid_parameter(
        &out(&mut rig, 1, REGISTER, 0, &with_ids(7, 0, &unknown)),
        28,
        None,
    );
    assert_eq!(keys(&mut rig).1, [7, 8]);
}

#[test]
fn transport_ids_must_be_whole_and_of_iscsi() {
    let mut rig = rig(1);
    let good = transport_id::encode(&port(2));
    let mut wrong = good.clone();
    wrong[0] = 0x46;
    let reply = out(
        &mut rig,
        0,
        REGISTER,
        0,
        &with_ids(7, 0, &[good.clone(), wrong]),
    );
    let at = u16::try_from(28 + good.len()).unwrap();
    assert_invalid_parameter(&reply, at, None);
    let mut short = with_ids(7, 0, &[good]);
    short[27] -= 4;
    let reply = out(&mut rig, 0, REGISTER, 0, &short);
    assert_sense(&reply, 5, Code::PARAMETER_LIST_LENGTH_ERROR);
    let reply = out(&mut rig, 0, REGISTER, 0, &list(0, 7, SPEC_I_PT));
    assert_sense(&reply, 5, Code::PARAMETER_LIST_LENGTH_ERROR);
    assert_eq!(keys(&mut rig), (0, vec![]));
}

/// The unit can be reached through these ports.
fn show_through(rig: &Rig, ports: impl IntoIterator<Item = u16>) {
    let port = |relative_port_identifier| TargetPort {
        relative_port_identifier,
        ..TargetPort::default()
    };
    rig.unit
        .set_target_ports(ports.into_iter().map(port).collect());
}

#[test]
fn all_target_ports_means_those_that_show_the_unit() {
    let mut rig = rig(1);
    show_through(&rig, [7, 8, 9]);
    let second = through(&mut rig, 1, 8);
    assert_good(&out(&mut rig, 0, REGISTER, 0, &list(0, 5, ALL_TG_PT)));
    assert_eq!(keys(&mut rig), (1, vec![5, 5, 5]));
    register(&mut rig, second, 5, 6);
    // As if each port had got the command: the one with another key keeps it.
    assert_good(&out(&mut rig, 0, REGISTER, 0, &list(5, 4, ALL_TG_PT)));
    assert_eq!(keys(&mut rig).1, [4, 6, 4]);
    assert_good(&out(
        &mut rig,
        0,
        REGISTER_AND_IGNORE,
        0,
        &list(0, 3, ALL_TG_PT),
    ));
    assert_eq!(keys(&mut rig).1, [3, 3, 3]);
    assert_good(&out(&mut rig, 0, REGISTER, 0, &list(3, 0, ALL_TG_PT)));
    assert_eq!(keys(&mut rig).1, []);
}

#[test]
fn a_path_that_is_not_registered_is_another_nexus() {
    let mut rig = rig(1);
    register(&mut rig, 0, 0, 5);
    assert_good(&reserve(&mut rig, 0, 5, ReservationType::ExclusiveAccess));
    let second = through(&mut rig, 1, 8);
    let read = block_cdb(0x88, 0, 0, 1);
    assert_conflict(&rig.run(second, &read, true, false, 512, &[]));
    assert_good(&rig.run(0, &read, true, false, 512, &[]));
}

#[test]
fn a_reservation_is_moved_with_or_without_the_registration() {
    for unregister in [false, true] {
        let mut rig = rig(2);
        let id = transport_id::encode(&port(2));
        let flags = if unregister { 0x02 } else { 0 };
        register(&mut rig, 0, 0, 5);
        // Nothing to move yet.
        let early = out(
            &mut rig,
            0,
            REGISTER_AND_MOVE,
            0,
            &move_list(5, 6, flags, 7, &id),
        );
        assert_invalid_field(&early, 1, Some(4));
        assert_good(&reserve(&mut rig, 0, 5, ReservationType::WriteExclusive));
        assert_conflict(&out(
            &mut rig,
            0,
            REGISTER_AND_MOVE,
            0,
            &move_list(4, 6, flags, 7, &id),
        ));
        let no_key = out(
            &mut rig,
            0,
            REGISTER_AND_MOVE,
            0,
            &move_list(5, 0, flags, 7, &id),
        );
        assert_invalid_parameter(&no_key, 8, None);
        let own = transport_id::encode(&port(1));
        let to_self = out(
            &mut rig,
            0,
            REGISTER_AND_MOVE,
            0,
            &move_list(5, 6, flags, 7, &own),
        );
        assert_invalid_parameter(&to_self, 18, None);
        let nowhere = out(
            &mut rig,
            0,
            REGISTER_AND_MOVE,
            0,
            &move_list(5, 6, flags, 0, &id),
        );
        assert_invalid_parameter(&nowhere, 18, None);
        let to_node = move_list(5, 6, flags, 7, &node("iqn.2026-11.test:host2"));
        assert_invalid_parameter(&out(&mut rig, 0, REGISTER_AND_MOVE, 0, &to_node), 24, None);
        let nobody = move_list(5, 6, flags, 7, &[]);
        assert_invalid_parameter(&out(&mut rig, 0, REGISTER_AND_MOVE, 0, &nobody), 20, None);
        let mut short = move_list(5, 6, flags, 7, &id);
        short.pop();
        let short = out(&mut rig, 0, REGISTER_AND_MOVE, 0, &short);
        assert_sense(&short, 5, Code::PARAMETER_LIST_LENGTH_ERROR);

        assert_good(&out(
            &mut rig,
            0,
            REGISTER_AND_MOVE,
            0,
            &move_list(5, 6, flags, 7, &id),
        ));
        let left = if unregister { vec![6] } else { vec![5, 6] };
        assert_eq!(keys(&mut rig), (2, left));
        assert_eq!(reservation(&mut rig), Some((6, 1)));
        let write = block_cdb(0x8a, 0, 0, 1);
        assert_conflict(&rig.run(0, &write, false, true, 512, &[0; 512]));
        assert_good(&rig.run(1, &write, false, true, 512, &[0; 512]));
    }
}

#[test]
fn an_all_registrants_reservation_is_not_moved() {
    let mut rig = rig(1);
    register(&mut rig, 0, 0, 5);
    let kind = ReservationType::ExclusiveAccessAllRegistrants;
    assert_good(&reserve(&mut rig, 0, 5, kind));
    let id = transport_id::encode(&port(2));
    assert_conflict(&out(
        &mut rig,
        0,
        REGISTER_AND_MOVE,
        0,
        &move_list(5, 6, 0, 7, &id),
    ));
}

#[test]
fn registrations_are_bounded_and_one_too_many_changes_nothing() {
    let mut rig = rig(2);
    show_through(&rig, 7..7 + 1020);
    assert_good(&out(&mut rig, 0, REGISTER, 0, &list(0, 5, ALL_TG_PT)));
    let refused = out(&mut rig, 1, REGISTER, 0, &list(0, 6, ALL_TG_PT));
    assert_sense(&refused, 5, Code::INSUFFICIENT_REGISTRATION_RESOURCES);
    let ids: Vec<_> = (10..14).map(|id| transport_id::encode(&port(id))).collect();
    let refused = out(&mut rig, 1, REGISTER, 0, &with_ids(6, 0, &ids));
    assert_sense(&refused, 5, Code::INSUFFICIENT_REGISTRATION_RESOURCES);
    assert_eq!(keys(&mut rig).1.len(), 1020);
    assert_good(&out(
        &mut rig,
        1,
        REGISTER,
        0,
        &with_ids(6, APTPL, &ids[..3]),
    ));
    assert_eq!(keys(&mut rig).1.len(), 1024);
    let other = crate::LogicalUnit::new(rig.unit.config().clone());
    other
        .restore_reservations(&rig.record.clone().unwrap())
        .unwrap();
    assert_eq!(other.reservations(), rig.unit.reservations());
    let reply = rig.read(&[0x5e, 3, 0, 0, 0, 0, 0, 0xff, 0xff, 0]);
    assert_eq!(
        (reply.status, bytes_of(&reply).len()),
        (Status::GOOD, 0xffff)
    );
}
