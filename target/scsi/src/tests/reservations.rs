//! Persistent reservations as initiators see them, one story per test.

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{NexusId, Reply, ReservationChange, ReservationType, Status};

pub(super) const REGISTER: u8 = 0x00;
pub(super) const RESERVE: u8 = 0x01;
pub(super) const RELEASE: u8 = 0x02;
pub(super) const CLEAR: u8 = 0x03;
pub(super) const PREEMPT: u8 = 0x04;
pub(super) const PREEMPT_AND_ABORT: u8 = 0x05;
pub(super) const REGISTER_AND_IGNORE: u8 = 0x06;
pub(super) const REGISTER_AND_MOVE: u8 = 0x07;
pub(super) const SPEC_I_PT: u8 = 0x08;
pub(super) const ALL_TG_PT: u8 = 0x04;
pub(super) const APTPL: u8 = 0x01;

/// A PERSISTENT RESERVE OUT with its parameter list.
pub(super) fn out(
    rig: &mut Rig,
    nexus: usize,
    action: u8,
    scope_and_type: u8,
    list: &[u8],
) -> Reply {
    let length = u32::try_from(list.len()).unwrap();
    let mut cdb = vec![0x5f, action, scope_and_type, 0, 0];
    cdb.extend(length.to_be_bytes());
    cdb.push(0);
    rig.run(nexus, &cdb, false, true, length, list)
}

/// The basic parameter list.
pub(super) fn list(key: u64, action_key: u64, flags: u8) -> Vec<u8> {
    let mut list = key.to_be_bytes().to_vec();
    list.extend(action_key.to_be_bytes());
    list.extend([0, 0, 0, 0, flags, 0, 0, 0]);
    list
}

pub(super) fn plain(
    rig: &mut Rig,
    nexus: usize,
    action: u8,
    kind: u8,
    key: u64,
    other: u64,
) -> Reply {
    out(rig, nexus, action, kind, &list(key, other, 0))
}

#[track_caller]
pub(super) fn register(rig: &mut Rig, nexus: usize, from: u64, to: u64) {
    assert_good(&plain(rig, nexus, REGISTER, 0, from, to));
}

pub(super) fn reserve(rig: &mut Rig, nexus: usize, key: u64, kind: ReservationType) -> Reply {
    plain(rig, nexus, RESERVE, kind.code(), key, 0)
}

pub(super) fn reserve_6(rig: &mut Rig, nexus: usize) -> Reply {
    rig.run(nexus, &[0x16, 0, 0, 0, 0, 0], false, false, 0, &[])
}

fn release_6(rig: &mut Rig, nexus: usize) -> Reply {
    rig.run(nexus, &[0x17, 0, 0, 0, 0, 0], false, false, 0, &[])
}

/// `count` nexuses, without unit attentions.
pub(super) fn rig(count: usize) -> Rig {
    let mut rig = Rig::new();
    while rig.nexuses.len() < count {
        let nexus = rig.attach();
        assert_eq!(ready(&mut rig, nexus).status, Status::CHECK_CONDITION);
    }
    rig
}

/// TEST UNIT READY: finds unit attentions.
pub(super) fn ready(rig: &mut Rig, nexus: usize) -> Reply {
    rig.run(nexus, &[0; 6], false, false, 0, &[])
}

#[track_caller]
pub(super) fn assert_conflict(reply: &Reply) {
    assert_eq!(
        reply.status,
        Status::RESERVATION_CONFLICT,
        "{:02x?}",
        reply.sense
    );
}

/// The unit attention of `nexus`, exactly once.
#[track_caller]
pub(super) fn assert_told(rig: &mut Rig, nexus: usize, code: Code) {
    assert_sense(&ready(rig, nexus), 6, code);
    assert_good(&ready(rig, nexus));
}

fn read_in(rig: &mut Rig, action: u8) -> Vec<u8> {
    let reply = rig.run(
        0,
        &[0x5e, action, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        true,
        false,
        0xffff,
        &[],
    );
    assert_good(&reply);
    bytes_of(&reply)
}

/// PRGENERATION and all keys.
pub(super) fn keys(rig: &mut Rig) -> (u32, Vec<u64>) {
    let data = read_in(rig, 0x00);
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    assert_eq!(number(&data[4..8]) as usize, data.len() - 8);
    let keys = data[8..].chunks(8);
    let keys = keys.map(|key| u64::from_be_bytes(key.try_into().unwrap()));
    (number(&data[..4]), keys.collect())
}

/// Key and type of the reservation.
pub(super) fn reservation(rig: &mut Rig) -> Option<(u64, u8)> {
    let data = read_in(rig, 0x01);
    if data.len() == 8 {
        assert_eq!(data[4..], [0; 4]);
        return None;
    }
    assert_eq!((data.len(), &data[4..8]), (24, &[0, 0, 0, 16][..]));
    let key = u64::from_be_bytes(data[8..16].try_into().unwrap());
    Some((key, data[21]))
}

#[test]
fn registering_follows_its_table() {
    let mut rig = rig(1);
    assert_conflict(&plain(&mut rig, 0, REGISTER, 0, 5, 7));
    assert_good(&plain(&mut rig, 0, REGISTER, 0, 0, 0));
    assert_eq!(
        keys(&mut rig),
        (0, vec![]),
        "nothing was done, so nothing counts"
    );
    register(&mut rig, 0, 0, 7);
    assert_eq!(keys(&mut rig), (1, vec![7]));
    assert_conflict(&plain(&mut rig, 0, REGISTER, 0, 0, 8));
    register(&mut rig, 0, 7, 8);
    assert_eq!(keys(&mut rig), (2, vec![8]));
    assert_good(&plain(&mut rig, 0, REGISTER_AND_IGNORE, 0, 0x1234, 9));
    assert_eq!(keys(&mut rig), (3, vec![9]));
    assert_conflict(&plain(&mut rig, 0, REGISTER, 0, 8, 0));
    register(&mut rig, 0, 9, 0);
    assert_eq!(keys(&mut rig), (4, vec![]));
    assert_good(&plain(&mut rig, 0, REGISTER_AND_IGNORE, 0, 0, 0));
    assert_eq!(keys(&mut rig), (4, vec![]));
}

#[test]
fn reserving_and_releasing_leave_the_generation_alone() {
    for kind in ReservationType::ALL {
        let mut rig = rig(2);
        register(&mut rig, 0, 0, 7);
        assert_conflict(&reserve(&mut rig, 0, 8, kind));
        assert_conflict(&reserve(&mut rig, 1, 7, kind));
        assert_good(&reserve(&mut rig, 0, 7, kind));
        assert_good(&reserve(&mut rig, 0, 7, kind));
        let key = if kind.is_all_registrants() { 0 } else { 7 };
        assert_eq!(reservation(&mut rig), Some((key, kind.code())));
        let other = ReservationType::ALL
            .into_iter()
            .find(|other| *other != kind);
        assert_conflict(&reserve(&mut rig, 0, 7, other.unwrap()));
        let wrong = plain(&mut rig, 0, RELEASE, other.unwrap().code(), 7, 0);
        assert_sense(&wrong, 5, Code::INVALID_RELEASE_OF_PERSISTENT_RESERVATION);
        assert_good(&plain(&mut rig, 0, RELEASE, kind.code(), 7, 0));
        assert_eq!(reservation(&mut rig), None);
        assert_good(&plain(&mut rig, 0, RELEASE, kind.code(), 7, 0));
        assert_eq!(keys(&mut rig).0, 1);
    }
}

#[test]
fn a_registrant_that_does_not_hold_the_reservation_releases_nothing() {
    let mut rig = rig(2);
    register(&mut rig, 0, 0, 7);
    register(&mut rig, 1, 0, 8);
    assert_good(&reserve(&mut rig, 0, 7, ReservationType::WriteExclusive));
    assert_good(&plain(&mut rig, 1, RELEASE, 1, 8, 0));
    assert_eq!(reservation(&mut rig), Some((7, 1)));
}

#[test]
fn a_release_is_told_to_registrants_where_they_had_a_part() {
    for kind in ReservationType::ALL {
        for unregister in [false, true] {
            let mut rig = rig(3);
            register(&mut rig, 0, 0, 7);
            register(&mut rig, 1, 0, 8);
            assert_good(&reserve(&mut rig, 0, 7, kind));
            if unregister {
                register(&mut rig, 0, 7, 0);
            } else {
                assert_good(&plain(&mut rig, 0, RELEASE, kind.code(), 7, 0));
            }
            // While somebody is registered, an all registrants reservation has a holder.
            let stays = unregister && kind.is_all_registrants();
            assert_eq!(reservation(&mut rig).is_some(), stays, "{}", kind.name());
            assert_good(&ready(&mut rig, 0));
            if kind.is_shared() && !stays {
                assert_told(&mut rig, 1, Code::RESERVATIONS_RELEASED);
            } else {
                assert_good(&ready(&mut rig, 1));
            }
            assert_good(&ready(&mut rig, 2));
        }
    }
}

#[test]
fn clearing_ends_everything_and_tells_those_who_were_registered() {
    let mut rig = rig(3);
    register(&mut rig, 0, 0, 7);
    register(&mut rig, 1, 0, 8);
    assert_good(&reserve(&mut rig, 1, 8, ReservationType::ExclusiveAccess));
    assert_conflict(&plain(&mut rig, 2, CLEAR, 0, 0, 0));
    assert_good(&plain(&mut rig, 0, CLEAR, 0, 7, 0));
    assert_eq!((keys(&mut rig), reservation(&mut rig)), ((3, vec![]), None));
    assert_good(&ready(&mut rig, 0));
    assert_told(&mut rig, 1, Code::RESERVATIONS_PREEMPTED);
    assert_good(&ready(&mut rig, 2));
}

#[test]
fn preempting_the_holder_takes_its_place_and_its_registrations() {
    let mut rig = rig(4);
    register(&mut rig, 0, 0, 7);
    register(&mut rig, 1, 0, 8);
    // Two paths of one host share a key.
    register(&mut rig, 2, 0, 7);
    register(&mut rig, 3, 0, 9);
    assert_good(&reserve(
        &mut rig,
        0,
        7,
        ReservationType::WriteExclusiveRegistrantsOnly,
    ));
    assert_good(&plain(&mut rig, 1, PREEMPT, 6, 8, 7));
    assert_good(&ready(&mut rig, 1));
    assert_told(&mut rig, 0, Code::REGISTRATIONS_PREEMPTED);
    assert_eq!(keys(&mut rig), (5, vec![8, 9]));
    assert_eq!(reservation(&mut rig), Some((8, 6)));
    assert_eq!(rig.aborted, []);
    assert_told(&mut rig, 2, Code::REGISTRATIONS_PREEMPTED);
    // The type has changed.
    assert_told(&mut rig, 3, Code::RESERVATIONS_RELEASED);
    assert_good(&plain(&mut rig, 3, PREEMPT_AND_ABORT, 6, 9, 8));
    assert_eq!(reservation(&mut rig), Some((9, 6)));
    assert_eq!(rig.aborted, [NexusId(2)]);
}

#[test]
fn preempting_somebody_else_takes_only_registrations() {
    let mut rig = rig(3);
    register(&mut rig, 0, 0, 7);
    register(&mut rig, 1, 0, 8);
    register(&mut rig, 2, 0, 9);
    assert_good(&reserve(&mut rig, 0, 7, ReservationType::WriteExclusive));
    // No type is needed for that: sg_persist gives none.
    assert_good(&plain(&mut rig, 1, PREEMPT_AND_ABORT, 0, 8, 9));
    assert_eq!(keys(&mut rig), (4, vec![7, 8]));
    assert_eq!(reservation(&mut rig), Some((7, 1)));
    assert_eq!(rig.aborted, [NexusId(3)]);
    assert_told(&mut rig, 2, Code::REGISTRATIONS_PREEMPTED);
    assert_good(&ready(&mut rig, 0));
    assert_conflict(&plain(&mut rig, 1, PREEMPT, 0, 8, 9));
    assert_invalid_parameter(&plain(&mut rig, 1, PREEMPT, 0, 8, 0), 8, None);
    assert_invalid_field(&plain(&mut rig, 1, PREEMPT, 0, 8, 7), 2, Some(3));
    assert_invalid_field(&plain(&mut rig, 1, PREEMPT, 0x11, 8, 7), 2, Some(7));
    assert_eq!(keys(&mut rig).0, 4, "what was refused doesn't count");
}

#[test]
fn the_answer_to_preempt_and_abort_is_behind_a_fence() {
    for (action, fence) in [(PREEMPT, false), (PREEMPT_AND_ABORT, true)] {
        let mut rig = rig(2);
        register(&mut rig, 0, 0, 7);
        register(&mut rig, 1, 0, 8);
        let good = plain(&mut rig, 0, action, 0, 7, 8);
        assert_good(&good);
        let conflict = plain(&mut rig, 0, action, 0, 7, 8);
        assert_conflict(&conflict);
        assert_eq!(
            [good.response_fence, conflict.response_fence],
            [fence; 2],
            "{action}"
        );
    }
}

#[test]
fn a_shell_may_tell_of_a_preemption_once_it_has_aborted_what_it_must() {
    use crate::{Command, Operation, Plan, TaskAttribute, UnitAttention};
    for action in [PREEMPT, PREEMPT_AND_ABORT] {
        let mut rig = rig(3);
        for (nexus, key) in [(0, 7), (1, 8), (2, 9)] {
            register(&mut rig, nexus, 0, key);
        }
        let cdb = [0x5f, action, 0, 0, 0, 0, 0, 0, 24, 0];
        let command = Command {
            cdb: &cdb,
            expected_length: 24,
            read: false,
            write: true,
            attribute: TaskAttribute::Simple,
            luns: &LUNS,
        };
        let Plan::NeedData { pending, .. } = rig.unit.begin(&mut rig.nexuses[0], &command) else {
            panic!()
        };
        let data = [list(7, 8, 0).into()].into_iter().collect();
        let Plan::Execute {
            operation: Operation::ChangeReservations { change },
            ..
        } = rig.unit.data_out(&mut rig.nexuses[0], pending, data)
        else {
            panic!()
        };
        let prepared = rig.unit.prepare_reservations(&change).unwrap();
        let aborted = rig.unit.commit_reservations_quietly(prepared).unwrap();
        if action == PREEMPT {
            // Nothing is aborted, so that there is nothing to wait for.
            assert_eq!(aborted, []);
        } else {
            assert_eq!(aborted, [rig.nexuses[1].id()]);
            assert_good(&ready(&mut rig, 1));
            rig.nexuses[1].raise(UnitAttention::RegistrationsPreempted);
        }
        assert_told(&mut rig, 1, Code::REGISTRATIONS_PREEMPTED);
        assert_good(&ready(&mut rig, 2));
    }
}

#[test]
fn preempting_all_registrants_with_key_zero_takes_everything() {
    let mut rig = rig(3);
    register(&mut rig, 0, 0, 7);
    register(&mut rig, 1, 0, 8);
    register(&mut rig, 2, 0, 9);
    let kind = ReservationType::WriteExclusiveAllRegistrants;
    assert_good(&reserve(&mut rig, 0, 7, kind));
    assert_good(&plain(&mut rig, 1, PREEMPT, 0, 8, 9));
    assert_eq!(reservation(&mut rig), Some((0, 7)));
    assert_told(&mut rig, 2, Code::REGISTRATIONS_PREEMPTED);
    assert_good(&plain(&mut rig, 1, PREEMPT_AND_ABORT, 1, 8, 0));
    assert_told(&mut rig, 0, Code::REGISTRATIONS_PREEMPTED);
    assert_eq!(keys(&mut rig).1, [8]);
    assert_eq!(reservation(&mut rig), Some((8, 1)));
    assert_eq!(rig.aborted, [NexusId(1)]);
}

#[test]
fn a_loser_is_refused_at_once_and_finds_its_attention_beside_that() {
    let mut rig = rig(2);
    register(&mut rig, 0, 0, 7);
    register(&mut rig, 1, 0, 8);
    assert_good(&reserve(
        &mut rig,
        0,
        7,
        ReservationType::WriteExclusiveRegistrantsOnly,
    ));
    let write = block_cdb(0x8a, 0, 0, 1);
    assert_good(&rig.run(1, &write, false, true, 512, &[0; 512]));
    assert_good(&plain(&mut rig, 0, PREEMPT_AND_ABORT, 5, 7, 8));
    assert_conflict(&rig.run(1, &write, false, true, 512, &[0; 512]));
    assert_told(&mut rig, 1, Code::REGISTRATIONS_PREEMPTED);
}

#[test]
fn registrations_outlive_the_nexus_and_a_reset() {
    let mut rig = rig(2);
    register(&mut rig, 0, 0, 7);
    register(&mut rig, 1, 0, 8);
    assert_good(&reserve(&mut rig, 1, 8, ReservationType::ExclusiveAccess));
    rig.unit.logical_unit_reset();
    let info = rig.nexuses[1].info().clone();
    rig.unit.detach(&rig.nexuses[1]);
    ready(&mut rig, 0);
    let read = block_cdb(0x88, 0, 0, 1);
    assert_conflict(&rig.run(0, &read, true, false, 512, &[]));
    // The same port comes back in another session.
    let back = rig.unit.attach(crate::NexusInfo {
        id: NexusId(77),
        ..info
    });
    rig.nexuses[1] = back;
    ready(&mut rig, 1);
    assert_good(&rig.run(1, &read, true, false, 512, &[]));
    assert_good(&plain(&mut rig, 1, RELEASE, 3, 8, 0));
}

#[test]
fn spc_2_reservations_end_with_a_reset_and_with_the_nexus() {
    let mut rig = rig(2);
    assert_good(&reserve_6(&mut rig, 0));
    assert_good(&reserve_6(&mut rig, 0));
    assert_conflict(&reserve_6(&mut rig, 1));
    assert_good(&release_6(&mut rig, 1));
    assert_conflict(&ready(&mut rig, 1));
    rig.unit.logical_unit_reset();
    assert_eq!(ready(&mut rig, 1).status, Status::CHECK_CONDITION);
    assert_good(&reserve_6(&mut rig, 1));
    rig.unit.detach(&rig.nexuses[1]);
    assert_eq!(ready(&mut rig, 0).status, Status::CHECK_CONDITION);
    assert_good(&reserve_6(&mut rig, 0));
    assert_good(&release_6(&mut rig, 0));
    let third_party = [0x16, 0x10, 0, 0, 0, 0];
    assert_invalid_field(&rig.none(&third_party), 1, Some(4));
    let third_party = [0x56, 0x10, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_invalid_field(&rig.none(&third_party), 1, Some(4));
}

#[test]
fn reserve_and_release_leave_a_persistent_reservation_alone() {
    for kind in ReservationType::ALL {
        let mut rig = rig(3);
        register(&mut rig, 0, 0, 7);
        register(&mut rig, 1, 0, 8);
        // While somebody is registered and nothing is reserved, SPC-2 says conflict.
        assert_conflict(&reserve_6(&mut rig, 0));
        assert_conflict(&release_6(&mut rig, 2));
        assert_good(&reserve(&mut rig, 0, 7, kind));
        assert_good(&reserve_6(&mut rig, 0));
        assert_good(&release_6(&mut rig, 0));
        let registrant = reserve_6(&mut rig, 1);
        if kind.is_shared() {
            assert_good(&registrant);
        } else {
            assert_conflict(&registrant);
        }
        assert_conflict(&reserve_6(&mut rig, 2));
        assert_eq!(reservation(&mut rig).unwrap().1, kind.code());
    }
}

#[test]
fn capabilities_are_those_that_there_are() {
    let mut rig = rig(1);
    let data = read_in(&mut rig, 0x02);
    assert_eq!(data, [0, 8, 0x1d, 0xb0, 0xea, 0x01, 0, 0]);
    assert_good(&out(&mut rig, 0, REGISTER, 0, &list(0, 7, APTPL)));
    assert_eq!(read_in(&mut rig, 0x02)[3], 0xb1);
}

#[test]
fn full_status_names_every_nexus() {
    let mut rig = rig(2);
    register(&mut rig, 0, 0, 7);
    register(&mut rig, 1, 0, 8);
    assert_good(&reserve(&mut rig, 1, 8, ReservationType::WriteExclusive));
    let data = read_in(&mut rig, 0x03);
    let name = b"iqn.2026-11.test:host1,i,0x000000000001";
    let mut first = 7_u64.to_be_bytes().to_vec();
    first.extend([0; 4]);
    first.extend([0, 0, 0, 0, 0, 0]);
    first.extend([0, 7, 0, 0, 0, 44, 0x45, 0, 0, 40]);
    first.extend(name);
    first.push(0);
    assert_eq!(data[8..8 + first.len()], first);
    let second = &data[8 + first.len()..];
    assert_eq!(second[..8], 8_u64.to_be_bytes());
    assert_eq!(second[12..14], [0x01, 0x01]);
    assert_eq!(data.len(), 8 + 2 * first.len());
    let cut = rig.run(0, &[0x5e, 3, 0, 0, 0, 0, 0, 0, 8, 0], true, false, 8, &[]);
    assert_eq!(bytes_of(&cut), data[..8]);
}

#[test]
fn an_operator_ends_everything_and_everybody_is_told() {
    let mut rig = rig(3);
    assert_good(&out(&mut rig, 0, REGISTER, 0, &list(0, 7, APTPL)));
    register(&mut rig, 1, 0, 8);
    assert_good(&reserve(&mut rig, 1, 8, ReservationType::ExclusiveAccess));
    let clear = ReservationChange::operator_clear();
    let prepared = rig.unit.prepare_reservations(&clear).unwrap();
    assert_eq!(*prepared.record(), crate::RecordUpdate::Remove);
    rig.unit.commit_reservations(prepared).unwrap();
    assert_told(&mut rig, 0, Code::RESERVATIONS_PREEMPTED);
    assert_told(&mut rig, 1, Code::RESERVATIONS_PREEMPTED);
    assert_good(&ready(&mut rig, 2));
    assert_eq!((keys(&mut rig).1, reservation(&mut rig)), (vec![], None));
}

#[test]
fn a_change_that_was_overtaken_has_no_effect() {
    let mut rig = rig(1);
    let clear = ReservationChange::operator_clear();
    let prepared = rig.unit.prepare_reservations(&clear).unwrap();
    register(&mut rig, 0, 0, 7);
    assert!(rig.unit.commit_reservations(prepared).is_err());
    assert_eq!(keys(&mut rig).1, [7]);
}

#[test]
fn lengths_and_reserved_bits_are_checked() {
    let mut rig = rig(1);
    for length in [0, 23, 25, 28] {
        let reply = out(&mut rig, 0, RESERVE, 1, &vec![0; length]);
        assert_sense(&reply, 5, Code::PARAMETER_LIST_LENGTH_ERROR);
    }
    let reply = out(&mut rig, 0, REGISTER, 0, &[0; 28]);
    assert_sense(&reply, 5, Code::PARAMETER_LIST_LENGTH_ERROR);
    assert_invalid_parameter(
        &out(&mut rig, 0, REGISTER, 0, &list(0, 1, 0x22)),
        20,
        Some(5),
    );
    assert_invalid_parameter(
        &out(&mut rig, 0, CLEAR, 0, &list(0, 1, SPEC_I_PT)),
        20,
        Some(3),
    );
    let ignore = out(&mut rig, 0, REGISTER_AND_IGNORE, 0, &list(0, 1, SPEC_I_PT));
    assert_invalid_parameter(&ignore, 20, Some(3));
    assert_invalid_field(&plain(&mut rig, 0, RESERVE, 2, 0, 0), 2, Some(3));
    assert_invalid_field(&plain(&mut rig, 0, RESERVE, 0x21, 0, 0), 2, Some(7));
    let unknown = [0x5f, 0x09, 0, 0, 0, 0, 0, 0, 24, 0];
    assert_invalid_field(&rig.write(&unknown, &[0; 24]), 1, Some(4));
    let replace_lost = [0x5f, 0x08, 0, 0, 0, 0, 0, 0, 24, 0];
    assert_invalid_field(&rig.write(&replace_lost, &[0; 24]), 1, Some(4));
}
