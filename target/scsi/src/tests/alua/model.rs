//! Any sequence of settings against a model of a dozen lines.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{on, report, set_cdb, set_list, two_paths};
use crate::{AccessState, Status};

#[derive(Clone, Debug)]
enum Step {
    /// SET TARGET PORT GROUPS through one of the nexuses.
    Explicit(usize, Vec<(u8, u16)>),
    /// The device server by itself.
    Implicit(Vec<(AccessState, u16)>),
}

fn group() -> impl Strategy<Value = u16> {
    prop_oneof![Just(1_u16), Just(2), Just(9), Just(3)]
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop_oneof![4 => 0..4_u8, 1 => 0..16_u8];
    let explicit = proptest::collection::vec((state, group()), 0..4);
    let lasting = proptest::sample::select(&AccessState::LASTING[..]);
    let known = prop_oneof![Just(1_u16), Just(2), Just(9)];
    let implicit = proptest::collection::vec((lasting, known), 1..4);
    prop_oneof![
        3 => (0..2_usize, explicit).prop_map(|(nexus, list)| Step::Explicit(nexus, list)),
        1 => implicit.prop_map(Step::Implicit),
    ]
}

/// State and status code of each group.
type Model = BTreeMap<u16, (u8, u8)>;

/// Sets `states`, and says whether any is another one now.
fn apply(model: &mut Model, states: &[(u8, u16)], by: u8) -> bool {
    let mut changed = false;
    for (state, group) in states {
        let entry = model.get_mut(group).unwrap();
        if entry.0 != *state {
            changed = true;
        }
        *entry = (*state, by);
    }
    changed
}

/// Whether the unit should take the list.
fn is_valid(model: &Model, list: &[(u8, u16)]) -> bool {
    let mut seen = BTreeSet::new();
    list.iter()
        .all(|(state, group)| *state < 4 && model.contains_key(group) && seen.insert(*group))
}

/// The groups as they are reported to a nexus.
fn reported(rig: &mut super::Rig, nexus: usize) -> Model {
    let data = super::bytes_of(&on(rig, nexus, &report(0, 1024)));
    let mut model = Model::new();
    let mut rest = &data[4..];
    while let [state, 0x8f, high, low, 0, status, 0, count, tail @ ..] = rest {
        model.insert(u16::from_be_bytes([*high, *low]), (*state, *status));
        rest = &tail[usize::from(*count) * 4..];
    }
    assert!(rest.is_empty());
    model
}

proptest! {
    #[test]
    fn states_and_attentions_follow_the_model(
        steps in proptest::collection::vec(step(), 1..24)
    ) {
        let mut rig = two_paths();
        let mut model: Model = [(1, (0, 0)), (2, (0, 0)), (9, (0, 0))].into();
        for step in steps {
            let mut told = [false, false];
            match step {
                Step::Explicit(nexus, list) => {
                    let bytes = set_list(&list);
                    let length = u32::try_from(bytes.len()).unwrap();
                    let reply = rig.run(nexus, &set_cdb(bytes.len()), false, true, length, &bytes);
                    if is_valid(&model, &list) {
                        prop_assert_eq!(reply.status, Status::GOOD);
                        told[1 - nexus] = apply(&mut model, &list, 1);
                    } else {
                        prop_assert_eq!(reply.sense[12], 0x26);
                    }
                }
                Step::Implicit(list) => {
                    // The last word about a group counts.
                    let last: BTreeMap<u16, AccessState> =
                        list.into_iter().map(|(state, group)| (group, state)).collect();
                    let states: Vec<_> = last.into_iter().collect();
                    rig.set_states(&states, None);
                    let codes: Vec<_> =
                        states.iter().map(|(group, state)| (state.code(), *group)).collect();
                    told = [apply(&mut model, &codes, 2); 2];
                }
            }
            for nexus in 0..2 {
                let attention = rig.nexuses[nexus].state.attention.is_pending();
                prop_assert_eq!(attention, told[nexus]);
                if attention {
                    let reply = on(&mut rig, nexus, &[0; 6]);
                    prop_assert_eq!((reply.sense[12], reply.sense[13]), (0x2a, 0x06));
                }
                prop_assert_eq!(&reported(&mut rig, nexus), &model);
                let own = model[&if nexus == 0 { 2 } else { 1 }].0;
                let ready = on(&mut rig, nexus, &[0; 6]).status == Status::GOOD;
                prop_assert_eq!(ready, own < 2);
            }
        }
    }
}
