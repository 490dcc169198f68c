//! A unit that two daemons have a part in: the one decides about reservations, and what it makes of them holds at the other.

use super::reservations::*;
use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{
    Command, NexusId, Operation, Plan, RecordUpdate, ReservationChange, ReservationType, Status,
    TaskAttribute,
};

/// The change that a PERSISTENT RESERVE OUT asks for.
fn wish(rig: &mut Rig, action: u8, kind: u8, list: &[u8]) -> ReservationChange {
    let cdb = [0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0];
    let command = Command {
        cdb: &cdb,
        expected_length: 24,
        read: false,
        write: true,
        attribute: TaskAttribute::Simple,
        luns: &LUNS,
    };
    let Plan::NeedData { pending, .. } = rig.unit.begin(&mut rig.nexuses[0], &command) else {
        panic!("no data is wanted")
    };
    let data = [list.to_vec().into()].into_iter().collect();
    match rig.unit.data_out(&mut rig.nexuses[0], pending, data) {
        Plan::Execute {
            operation: Operation::ChangeReservations { change },
            ..
        } => change,
        other => panic!("{other:?}"),
    }
}

/// What a change makes of the unit that decides, and what the other one has to have first.
fn decide(rig: &Rig, change: &ReservationChange) -> Vec<u8> {
    let change = ReservationChange::from_bytes(&change.to_bytes().unwrap()).unwrap();
    let prepared = rig.unit.prepare_reservations(&change).unwrap();
    let replica = prepared.replica().unwrap();
    rig.unit.commit_reservations(prepared).unwrap();
    replica
}

fn follow(rig: &mut Rig, replica: &[u8]) -> Vec<NexusId> {
    let prepared = rig.unit.prepare_replica(replica).unwrap();
    match prepared.record().clone() {
        RecordUpdate::Keep => {}
        RecordUpdate::Remove => rig.record = None,
        RecordUpdate::Replace(record) => rig.record = Some(record),
    }
    rig.unit.commit_reservations(prepared).unwrap()
}

/// Another host, and its way to the second part.
fn two_parts() -> (Rig, Rig) {
    let (first, mut second) = (rig(1), Rig::with(|config| config.identity.naa[7] ^= 1));
    second.nexuses.clear();
    let mut info = nexus_info(2);
    info.target_port.relative_port_identifier = 9;
    second.nexuses.push(second.unit.attach(info));
    assert_eq!(ready(&mut second, 0).status, Status::CHECK_CONDITION);
    (first, second)
}

#[test]
fn what_holds_at_one_part_holds_at_the_other_and_outlives_it() {
    let (mut first, mut second) = two_parts();
    assert_good(&out(&mut first, 0, REGISTER, 0, &list(0, 7, APTPL)));
    let kind = ReservationType::WriteExclusive;
    assert_good(&reserve(&mut first, 0, 7, kind));
    let whole = first.unit.reservations_replica();
    assert!(follow(&mut second, &whole).is_empty());
    assert_eq!(second.unit.reservations(), first.unit.reservations());
    assert_eq!(keys(&mut second), keys(&mut first));
    let write = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    let refused = second.run(0, &write, false, true, 512, &[0; 512]);
    assert_eq!(refused.status, Status::RESERVATION_CONFLICT);
    // The same again changes nothing.
    let record = second.record.clone();
    let again = second.unit.prepare_replica(&whole).unwrap();
    assert_eq!(
        (again.record(), again.replica()),
        (&RecordUpdate::Keep, None)
    );
    // It was kept under the part's own name.
    let late = Rig::with(|config| config.identity.naa[7] ^= 1);
    late.unit.restore_reservations(&record.unwrap()).unwrap();
    assert_eq!(late.unit.reservations(), second.unit.reservations());
}

#[test]
fn a_preemption_through_one_part_reaches_those_who_come_through_the_other() {
    let (mut first, mut second) = two_parts();
    // The second one asks the first, which decides.
    let wish_of_second = wish(&mut second, REGISTER, 0, &list(0, 5, 0));
    let replica = decide(&first, &wish_of_second);
    follow(&mut second, &replica);
    assert_good(&out(&mut first, 0, REGISTER, 0, &list(0, 7, 0)));
    let before = first.unit.reservations_replica();
    follow(&mut second, &before);
    assert_eq!(keys(&mut second).1, [5, 7]);

    let preempt = wish(&mut first, PREEMPT_AND_ABORT, 1, &list(7, 5, 0));
    let replica = decide(&first, &preempt);
    let aborted = follow(&mut second, &replica);
    assert_eq!(aborted, [NexusId(2)]);
    assert_eq!(keys(&mut first).1, [7]);
    assert_told(&mut second, 0, Code::REGISTRATIONS_PREEMPTED);
}

#[test]
fn a_part_that_has_lost_its_own_record_is_told_and_goes_on() {
    let (first, mut second) = two_parts();
    second.unit.lose_reservations();
    let whole = first.unit.reservations_replica();
    let prepared = second.unit.prepare_replica(&whole).unwrap();
    assert_eq!(prepared.record(), &RecordUpdate::Remove);
    second.unit.commit_reservations(prepared).unwrap();
    assert!(!second.unit.reservations().lost);
    assert_told(&mut second, 0, Code::RESERVATIONS_PREEMPTED);
}
