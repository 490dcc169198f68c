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

#[test]
fn what_a_kill_leaves_in_free_blocks_is_given_back() {
    let mut bench = Bench::mapped();
    bench.write(1, 0, &[1; 4]);
    bench.family().flush_blocking().unwrap();
    let data = bench.options().folder.join("data-0000");
    let taken = |path: &Path| {
        let metadata = std::fs::metadata(path).unwrap();
        std::os::unix::fs::MetadataExt::blocks(&metadata) * 512
    };
    let before = taken(&data);
    // Written, and known to no map that is durable.
    bench.write(1, 0, &[2; 500]);
    assert!(taken(&data) >= before + 500 * 4096);
    bench.reopen();
    while !bench.family().to_sweep.lock().is_empty() {
        std::thread::yield_now();
    }
    bench.family().close().unwrap();
    assert!(taken(&data) < before + 50 * 4096, "{}", taken(&data));
    assert_eq!(bench.read_first(1, 4), [1; 4]);
}
