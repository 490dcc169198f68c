//! Families that are left in the middle of their work, and opened again.

use super::*;

#[test]
fn what_was_flushed_is_there_after_a_kill() {
    let mut bench = Bench::mapped();
    let mut expected = numbered();
    let mut frozen = BTreeMap::new();
    for round in 0..12_u8 {
        let first = usize::from(round) * 40;
        bench.write(1, first as u64, &[100 + round; 60]);
        expected[first..first + 60].fill(100 + round);
        if round % 4 == 1 {
            bench.snapshot(1, 20 + round);
            frozen.insert(20 + round, expected.clone());
        }
        if round % 4 == 3 {
            bench.delete(20 + round - 2);
            frozen.clear();
        }
        bench.family().flush_blocking().unwrap();
        // Neither flushed nor lost by rule: not looked at.
        bench.write(1, 599, &[round]);
        bench.reopen();
        assert_eq!(bench.read(1)[..599], expected[..599]);
        for (snapshot, expected) in &frozen {
            assert_eq!(bench.read(*snapshot)[..599], expected[..599]);
        }
        bench.assert_sound();
    }
}
