//! Every engine against a vector of bytes.

use proptest::prelude::*;

use super::*;

const SIZE: usize = 1 << 17;

#[derive(Clone, Debug)]
enum Action {
    Write {
        offset: usize,
        pieces: Vec<usize>,
        fill: u8,
        dsync: bool,
    },
    Read {
        offset: usize,
        length: usize,
    },
    Punch {
        offset: usize,
        length: usize,
    },
    Zero {
        offset: usize,
        length: usize,
    },
    Sync,
}

fn range() -> impl Strategy<Value = (usize, usize)> {
    (0..SIZE, 0..20_000_usize).prop_map(|(offset, length)| (offset, length.min(SIZE - offset)))
}

fn action() -> impl Strategy<Value = Action> {
    let pieces = prop::collection::vec(0..5000_usize, 1..6);
    prop_oneof![
        4 => (0..SIZE - 30_000, pieces, any::<u8>(), any::<bool>())
            .prop_map(|(offset, pieces, fill, dsync)| Action::Write { offset, pieces, fill, dsync }),
        4 => range().prop_map(|(offset, length)| Action::Read { offset, length }),
        1 => range().prop_map(|(offset, length)| Action::Punch { offset, length: length.max(1) }),
        1 => range().prop_map(|(offset, length)| Action::Zero { offset, length: length.max(1) }),
        1 => Just(Action::Sync),
    ]
}

fn check(rig: &mut Rig, actions: &[Action]) {
    let mut model = vec![0_u8; SIZE];
    for action in actions {
        match action.clone() {
            Action::Write {
                mut offset,
                pieces,
                fill,
                dsync,
            } => {
                let data: SmallVec<[Bytes; 2]> = pieces
                    .iter()
                    .map(|length| Bytes::from(vec![fill; *length]))
                    .collect();
                let op = OpKind::Write {
                    offset: offset as u64,
                    data,
                    dsync,
                };
                rig.run(op).result.unwrap();
                for length in pieces {
                    model[offset..offset + length].fill(fill);
                    offset += length;
                }
            }
            Action::Read { offset, length } => {
                let read = rig.read(offset as u64, length);
                assert_eq!(bytes(rig.run(read)), &model[offset..offset + length]);
            }
            Action::Punch { offset, length } | Action::Zero { offset, length } => {
                let (at, count) = (offset as u64, length as u64);
                if matches!(action, Action::Punch { .. }) {
                    rig.run(OpKind::PunchHole {
                        offset: at,
                        length: count,
                    })
                    .result
                    .unwrap();
                } else {
                    rig.zero(at, count);
                }
                model[offset..(offset + length).min(SIZE)].fill(0);
            }
            Action::Sync => rig.run(OpKind::DataSync).result.unwrap(),
        }
    }
    let read = rig.read(0, SIZE);
    assert_eq!(bytes(rig.run(read)), model);
    assert_eq!(rig.pool.in_use(), 0, "an engine keeps memory");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_reads_as_the_model_says(
        actions in prop::collection::vec(action().prop_filter(
            "inside",
            |action| match action {
                Action::Punch { offset, length } | Action::Zero { offset, length } =>
                    offset + length <= SIZE,
                _ => true,
            },
        ), 1..40)
    ) {
        on_each(SIZE, |rig| check(rig, &actions));
    }
}
