//! A record brings everything back, and a damaged one nothing.

use proptest::prelude::*;

use super::nexus;
use crate::reservation::record::{InvalidRecord, decode, encode};
use crate::reservation::state::{PersistentState, Registration, Reservation};
use crate::reservation::{NexusName, ReservationType};

const NAA: [u8; 8] = [0x31, 2, 3, 4, 5, 6, 7, 8];

fn state() -> impl Strategy<Value = PersistentState> {
    let registrations = prop::collection::btree_map(0_u8..40, 1_u64.., 0..12);
    (
        registrations,
        any::<bool>(),
        0..7_usize,
        any::<prop::sample::Index>(),
    )
        .prop_map(|(registrations, aptpl, kind, holder)| {
            let registrations: Vec<_> = registrations
                .into_iter()
                .map(|(number, key)| Registration {
                    nexus: nexus(number),
                    key,
                })
                .collect();
            let kind = ReservationType::ALL.get(kind).copied();
            let kind = kind.filter(|_| !registrations.is_empty());
            let reservation = kind.map(|kind| Reservation {
                kind,
                holder: (!kind.is_all_registrants()).then(|| {
                    registrations[holder.index(registrations.len())]
                        .nexus
                        .clone()
                }),
            });
            PersistentState {
                registrations,
                reservation,
                generation: 0,
                aptpl,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_kept_is_found_again(state in state()) {
        prop_assert_eq!(decode(&encode(&state, NAA), NAA), Ok(state));
    }

    #[test]
    fn no_bit_can_be_flipped_and_no_byte_be_missing(state in state()) {
        let record = encode(&state, NAA);
        for bit in 0..record.len() * 8 {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&damaged, NAA).is_err(), "bit {}", bit);
        }
        for end in 0..record.len() {
            prop_assert!(decode(&record[..end], NAA).is_err(), "{} bytes", end);
        }
        let mut longer = record.clone();
        longer.push(0);
        prop_assert!(decode(&longer, NAA).is_err());
        prop_assert_eq!(decode(&record, [0; 8]), Err(InvalidRecord::OtherVolume));
    }

    /// With a checksum that is right, whatever the rest says is read or refused; and what is read is
    /// what the device server could have written.
    #[test]
    fn any_content_is_refused_or_consistent(
        state in state(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in 0_usize..8,
    ) {
        let mut record = encode(&state, NAA);
        record.truncate(record.len() - 4);
        for (at, value) in changes {
            let at = at.index(record.len());
            record[at] = value;
        }
        record.truncate(record.len() - cut.min(record.len()));
        record.extend(crc32c::crc32c(&record).to_be_bytes());
        if let Ok(read) = decode(&record, NAA) {
            prop_assert_eq!(encode(&read, NAA), record);
            if let Some(reservation) = &read.reservation {
                let held = read.registrations.iter().any(|one| read.holds(one));
                prop_assert!(held);
                prop_assert_eq!(reservation.holder.is_none(), reservation.kind.is_all_registrants());
            }
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(decode(&bytes, NAA).is_err());
    }
}

#[test]
fn a_nexus_that_is_there_twice_is_a_contradiction() {
    let registration = |key| Registration {
        nexus: nexus(1),
        key,
    };
    let twice = PersistentState {
        registrations: vec![registration(1), registration(2)],
        ..PersistentState::default()
    };
    assert_eq!(
        decode(&encode(&twice, NAA), NAA),
        Err(InvalidRecord::Contradiction)
    );
    let nobody = PersistentState {
        registrations: vec![Registration {
            nexus: NexusName {
                initiator_port: String::new(),
                relative_port: 1,
            },
            key: 1,
        }],
        ..PersistentState::default()
    };
    assert_eq!(
        decode(&encode(&nobody, NAA), NAA),
        Err(InvalidRecord::Contradiction)
    );
}
