//! Any sequence of operations of every kind, with snapshots and openings in between, against vectors of
//! bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Sectors; the last block is a part of one.
const SECTORS: u64 = 8 * 70 + 3;

#[derive(Clone, Debug)]
enum Action {
    Write {
        at: u64,
        count: u64,
        fill: u8,
        cuts: Vec<usize>,
        fua: bool,
    },
    Atomic {
        at: u64,
        count: u64,
        fill: u8,
    },
    Or {
        at: u64,
        count: u64,
        fill: u8,
    },
    CompareAndWrite {
        at: u64,
        count: u64,
        fill: u8,
        differs: bool,
    },
    Same {
        at: u64,
        count: u64,
        fill: u8,
        unmap: bool,
    },
    Unmap(Vec<(u64, u64)>),
    /// One sector each, all at once.
    Burst {
        sectors: Vec<u64>,
        fill: u8,
    },
    Flush,
    Check {
        at: u64,
        count: u64,
    },
    Snapshot,
    Reopen,
}

fn extent() -> impl Strategy<Value = (u64, u64)> {
    (0..SECTORS).prop_flat_map(|at| (Just(at), 1..=(SECTORS - at).min(100)))
}

fn action() -> impl Strategy<Value = Action> {
    let cuts = prop::collection::vec(1..5000_usize, 0..4);
    let fill = any::<u8>;
    prop_oneof![
        6 => (extent(), fill(), cuts, any::<bool>())
            .prop_map(|((at, count), fill, cuts, fua)| Action::Write { at, count, fill, cuts, fua }),
        1 => (extent(), fill()).prop_map(|((at, count), fill)| Action::Atomic { at, count, fill }),
        1 => (extent(), fill()).prop_map(|((at, count), fill)| Action::Or { at, count, fill }),
        1 => (extent(), fill(), any::<bool>()).prop_map(|((at, count), fill, differs)| {
            Action::CompareAndWrite { at, count, fill, differs }
        }),
        2 => (extent(), 0..3_u8, any::<bool>())
            .prop_map(|((at, count), fill, unmap)| Action::Same { at, count, fill, unmap }),
        2 => prop::collection::vec(extent(), 1..4).prop_map(Action::Unmap),
        2 => (prop::collection::btree_set(0..SECTORS, 1..40), fill()).prop_map(|(sectors, fill)| {
            Action::Burst { sectors: sectors.into_iter().collect(), fill }
        }),
        1 => Just(Action::Flush),
        4 => extent().prop_map(|(at, count)| Action::Check { at, count }),
        1 => Just(Action::Snapshot),
        1 => Just(Action::Reopen),
    ]
}

/// Bytes that tell where in the write they were.
fn pattern(fill: u8, count: u64) -> Vec<u8> {
    (0..count * BLOCK)
        .map(|at| fill.wrapping_add(u8::try_from(at / 7 % 251).unwrap()))
        .collect()
}

fn pieces(content: &[u8], cuts: &[usize]) -> SmallVec<[Bytes; 2]> {
    let mut rest = Bytes::copy_from_slice(content);
    let mut pieces = SmallVec::new();
    for cut in cuts {
        pieces.push(rest.split_to((*cut).min(rest.len())));
    }
    pieces.push(rest);
    pieces
}

fn span(at: u64, count: u64) -> std::ops::Range<usize> {
    let byte = |sector: u64| usize::try_from(sector * BLOCK).unwrap();
    byte(at)..byte(at + count)
}

fn range(at: u64, count: u64) -> Range {
    Range {
        offset: at * BLOCK,
        length: count * BLOCK,
    }
}

/// A model and the volume that it is of.
struct Pair<'a> {
    model: &'a mut [u8],
    rig: &'a mut Rig,
}

impl Pair<'_> {
    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Write {
                at,
                count,
                fill,
                cuts,
                fua,
            } => {
                let content = pattern(fill, count);
                self.model[span(at, count)].copy_from_slice(&content);
                done(self.rig.run(VolumeOp::Write {
                    offset: at * BLOCK,
                    data: pieces(&content, &cuts),
                    fua,
                }));
            }
            Action::Atomic { at, count, fill } => {
                let content = pattern(fill, count);
                self.model[span(at, count)].copy_from_slice(&content);
                done(self.rig.run(VolumeOp::WriteAtomic {
                    offset: at * BLOCK,
                    data: pieces(&content, &[]),
                }));
            }
            Action::Or { at, count, fill } => {
                let bits = pattern(fill, count);
                for (byte, bits) in self.model[span(at, count)].iter_mut().zip(&bits) {
                    *byte |= bits;
                }
                done(self.rig.run(VolumeOp::OrWrite {
                    offset: at * BLOCK,
                    data: pieces(&bits, &[1000]),
                    fua: false,
                }));
            }
            Action::CompareAndWrite {
                at,
                count,
                fill,
                differs,
            } => self.compare_and_write(at, &pattern(fill, count), differs),
            Action::Burst { sectors, fill } => self.burst(&sectors, fill),
            Action::Check { at, count } => self.look(at, count),
            other => self.make_alike(other),
        }
    }

    fn make_alike(&mut self, action: Action) {
        done(self.rig.run(match action {
            Action::Same {
                at,
                count,
                fill,
                unmap,
            } => {
                self.model[span(at, count)].fill(fill);
                VolumeOp::WriteSame {
                    offset: at * BLOCK,
                    length: count * BLOCK,
                    block: Bytes::from(vec![fill; 512]),
                    unmap,
                    fua: unmap,
                }
            }
            Action::Unmap(extents) => {
                for (at, count) in &extents {
                    self.model[span(*at, *count)].fill(0);
                }
                let ranges = extents.iter().map(|(at, count)| range(*at, *count));
                VolumeOp::Unmap {
                    ranges: ranges.collect(),
                }
            }
            _ => VolumeOp::Flush,
        }));
    }

    fn compare_and_write(&mut self, at: u64, content: &[u8], differs: bool) {
        let here = span(at, content.len() as u64 / BLOCK);
        let mut expected = self.model[here.clone()].to_vec();
        if differs {
            expected[511] ^= 1;
        } else {
            self.model[here].copy_from_slice(content);
        }
        let outcome = self.rig.run(VolumeOp::CompareAndWrite {
            offset: at * BLOCK,
            expected: pieces(&expected, &[5]),
            data: pieces(content, &[]),
            fua: false,
        });
        match outcome {
            VolumeOutcome::Miscompare { offset: 511 } => assert!(differs),
            outcome => {
                assert!(!differs);
                done(outcome);
            }
        }
    }

    fn burst(&mut self, sectors: &[u64], fill: u8) {
        for (index, sector) in sectors.iter().enumerate() {
            let fill = fill.wrapping_add(u8::try_from(index).unwrap());
            self.model[span(*sector, 1)].fill(fill);
            self.rig.start(write(sector * BLOCK, 512, fill));
        }
        for (_, outcome) in self.rig.finish(sectors.len()) {
            done(outcome);
        }
    }

    fn look(&mut self, at: u64, count: u64) {
        let expected = &self.model[span(at, count)];
        let Range { offset, length } = range(at, count);
        assert_eq!(self.rig.read(offset, length), expected);
        done(self.rig.run(VolumeOp::Compare {
            offset,
            data: pieces(expected, &[700]),
        }));
        done(self.rig.run(VolumeOp::Verify { offset, length }));
    }
}

fn check(bench: &mut Bench, actions: &[Action]) {
    let mut model = bench.content(HEAD).to_vec();
    let mut snapshots: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for action in actions {
        match action.clone() {
            Action::Snapshot => {
                let number = u32::try_from(snapshots.len()).unwrap() + HEAD + 1;
                bench.snapshot(number);
                snapshots.insert(number, model.clone());
            }
            Action::Reopen => bench.reopen(),
            action => Pair {
                model: &mut model,
                rig: &mut bench.rig,
            }
            .carry_out(action),
        }
    }
    assert_eq!(bench.rig.read(0, SECTORS * BLOCK), model);
    for (number, content) in snapshots {
        assert_eq!(bench.content(number), content, "snapshot {number}");
    }
    bench.assert_sound();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_reads_as_the_model_says(
        actions in prop::collection::vec(action(), 1..50),
    ) {
        let half = |rig: &mut Rig| done(rig.run(VolumeOp::Write {
            offset: 0,
            data: smallvec![Bytes::from(pattern(3, SECTORS / 2))],
            fua: false,
        }));
        on_each_mapped(SECTORS * BLOCK, half, |bench| check(bench, &actions));
    }
}
