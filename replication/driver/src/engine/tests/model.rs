//! Any sequence of operations, in batches, on every engine, against a vector of bytes.

use proptest::prelude::*;

use super::*;

const BLOCKS: u64 = 256;

#[derive(Clone, Debug)]
enum Action {
    Write {
        block: u64,
        count: u64,
        fill: u8,
        cuts: Vec<usize>,
        fua: bool,
    },
    Same {
        block: u64,
        count: u64,
        fill: u8,
        unmap: bool,
    },
    Unmap {
        block: u64,
        count: u64,
    },
    Flush,
    Check {
        block: u64,
        count: u64,
    },
}

fn extent() -> impl Strategy<Value = (u64, u64)> {
    (0..BLOCKS).prop_flat_map(|block| (Just(block), 1..=(BLOCKS - block).min(40)))
}

fn action() -> impl Strategy<Value = Action> {
    let cuts = prop::collection::vec(1..3000_usize, 0..4);
    prop_oneof![
        4 => (extent(), any::<u8>(), cuts, any::<bool>())
            .prop_map(|((block, count), fill, cuts, fua)| Action::Write { block, count, fill, cuts, fua }),
        1 => (extent(), 0..3_u8, any::<bool>())
            .prop_map(|((block, count), fill, unmap)| Action::Same { block, count, fill, unmap }),
        1 => extent().prop_map(|(block, count)| Action::Unmap { block, count }),
        1 => Just(Action::Flush),
        3 => extent().prop_map(|(block, count)| Action::Check { block, count }),
    ]
}

/// Bytes that tell where in the write they were, in pieces cut anywhere.
fn pieces(content: &[u8], cuts: &[usize]) -> SmallVec<[Bytes; 2]> {
    let mut rest = Bytes::copy_from_slice(content);
    let mut pieces = SmallVec::new();
    for cut in cuts {
        pieces.push(rest.split_to((*cut).min(rest.len())));
    }
    pieces.push(rest);
    pieces
}

fn span(block: u64, count: u64) -> std::ops::Range<usize> {
    let at = |block: u64| usize::try_from(block * BLOCK).unwrap();
    at(block)..at(block + count)
}

fn check(rig: &mut Rig, actions: &[Action]) {
    let mut model = vec![0_u8; usize::try_from(BLOCKS * BLOCK).unwrap()];
    for action in actions {
        match action.clone() {
            Action::Write {
                block,
                count,
                fill,
                cuts,
                fua,
            } => {
                let to = &mut model[span(block, count)];
                for (index, byte) in to.iter_mut().enumerate() {
                    *byte = fill.wrapping_add(u8::try_from(index / 7 % 251).unwrap());
                }
                let data = pieces(to, &cuts);
                done(rig.run(VolumeOp::Write {
                    offset: block * BLOCK,
                    data,
                    fua,
                }));
            }
            Action::Same {
                block,
                count,
                fill,
                unmap,
            } => {
                model[span(block, count)].fill(fill);
                done(rig.run(VolumeOp::WriteSame {
                    offset: block * BLOCK,
                    length: count * BLOCK,
                    block: Bytes::from(vec![fill; 512]),
                    unmap,
                    fua: unmap,
                }));
            }
            Action::Unmap { block, count } => {
                model[span(block, count)].fill(0);
                let range = Range {
                    offset: block * BLOCK,
                    length: count * BLOCK,
                };
                done(rig.run(VolumeOp::Unmap {
                    ranges: smallvec![range],
                }));
            }
            Action::Flush => done(rig.run(VolumeOp::Flush)),
            Action::Check { block, count } => {
                let expected = &model[span(block, count)];
                assert_eq!(rig.read(block * BLOCK, count * BLOCK), expected);
                let data = pieces(expected, &[700]);
                done(rig.run(VolumeOp::Compare {
                    offset: block * BLOCK,
                    data,
                }));
            }
        }
    }
    assert_eq!(rig.read(0, BLOCKS * BLOCK), model);
    assert_eq!((rig.pool.in_use(), rig.engine.in_flight()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_reads_as_the_model_says(
        actions in prop::collection::vec(action(), 1..40),
    ) {
        on_each(BLOCKS * BLOCK, |rig| check(rig, &actions));
    }

    #[test]
    fn a_power_cut_keeps_everything_that_was_flushed(
        writes in prop::collection::vec((0..64_u64, 1..=255_u8, any::<bool>(), 0..6_u8), 1..60),
    ) {
        let mut rig = Rig::in_memory(64 * 512);
        // Per block: what may be there after a power cut, the latest last. What wasn't flushed may
        // still have become durable, with somebody else's flush, at any time since it was written.
        let mut legal = vec![vec![0_u8]; 64];
        for (block, fill, fua, flush) in writes {
            let op = write(block * BLOCK, 512, fill);
            done(rig.run(if fua { durable(op) } else { op }));
            let history = &mut legal[usize::try_from(block).unwrap()];
            history.push(fill);
            if fua {
                history.drain(..history.len() - 1);
            }
            if flush == 0 {
                done(rig.run(VolumeOp::Flush));
                for history in &mut legal {
                    history.drain(..history.len() - 1);
                }
            }
        }
        rig.memory().crash();
        let content = rig.read(0, 64 * BLOCK);
        for (block, bytes) in content.chunks(512).enumerate() {
            let fill = bytes[0];
            prop_assert!(bytes.iter().all(|byte| *byte == fill), "block {} is torn", block);
            prop_assert!(legal[block].contains(&fill), "block {} has {}", block, fill);
        }
    }
}
