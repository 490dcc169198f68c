//! What two daemons say to each other of reservations: nothing that can't be is taken.

use proptest::prelude::*;

use super::nexus;
use crate::reservation::action::{Effects, Register};
use crate::reservation::record::InvalidRecord;
use crate::reservation::shared::{decode, encode};
use crate::reservation::state::{PersistentState, Registration};
use crate::reservation::transport_id::TransportId;
use crate::reservation::{
    Change, Requester, ReservationChange, ReservationsRefused, ServiceAction,
};
use crate::{NexusId, UnitAttention};

fn change(action: ServiceAction) -> ReservationChange {
    ReservationChange(Change::Persistent {
        from: Requester {
            id: NexusId(u64::MAX),
            name: nexus(1),
        },
        action: Box::new(action),
    })
}

#[test]
fn a_registration_of_others_comes_back_as_it_was() {
    let register = |others| {
        change(ServiceAction::Register(Register {
            expected: Some(7),
            key: 8,
            aptpl: true,
            all_target_ports: true,
            others,
        }))
    };
    let port = TransportId::Port(nexus(2).initiator_port);
    let node = TransportId::Node("iqn.2026-11.test:host9".to_owned());
    for others in [None, Some(Vec::new()), Some(vec![port, node])] {
        let change = register(others);
        let bytes = change.to_bytes().unwrap();
        assert_eq!(ReservationChange::from_bytes(&bytes), Some(change));
    }
}

#[test]
fn an_operator_is_heard_at_either_daemon_and_a_nexus_of_spc_2_at_its_own_alone() {
    let clear = ReservationChange::operator_clear();
    let bytes = clear.to_bytes().unwrap();
    assert_eq!(ReservationChange::from_bytes(&bytes), Some(clear));
    let from = Requester {
        id: NexusId(1),
        name: nexus(1),
    };
    assert_eq!(ReservationChange(Change::Reserve(from)).to_bytes(), None);
}

fn replica() -> (PersistentState, Effects) {
    let registration = |number| Registration {
        nexus: nexus(number),
        key: 5,
    };
    let state = PersistentState {
        registrations: vec![registration(1), registration(2)],
        generation: 77,
        aptpl: true,
        reservation: None,
    };
    let effects = Effects {
        attentions: vec![(nexus(3), UnitAttention::RegistrationsPreempted)],
        aborted: vec![nexus(4)],
    };
    (state, effects)
}

#[test]
fn a_whole_state_and_one_with_whom_to_tell_come_back_with_their_generation() {
    let (state, effects) = replica();
    let whole = decode(&encode(&state, None)).unwrap();
    assert_eq!((&whole.state, whole.effects), (&state, None));
    let told = decode(&encode(&state, Some(&effects))).unwrap();
    assert_eq!((told.state, told.effects), (state, Some(effects)));
}

#[test]
fn a_replica_that_is_cut_or_goes_on_is_refused() {
    let (state, effects) = replica();
    let whole = encode(&state, None).len();
    let bytes = encode(&state, Some(&effects));
    for end in (0..bytes.len()).filter(|end| *end != whole) {
        assert!(decode(&bytes[..end]).is_err(), "{end} bytes");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(decode(&longer), Err(InvalidRecord::Contradiction));
    // More of them than there can be.
    let mut many = encode(&state, None);
    many.extend([0xff; 3]);
    assert_eq!(decode(&many), Err(InvalidRecord::Contradiction));
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ReservationChange::from_bytes(&bytes);
        let _ = ReservationsRefused::from_bytes(&bytes);
        prop_assert!(decode(&bytes).is_err());
    }
}
