//! Families that are left in the middle of their work, and opened again.

use super::power::Random;
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
        // Not flushed, and acknowledged.
        bench.write(1, 599, &[round]);
        expected[599] = round;
        bench.reopen();
        assert_eq!(bench.read(1), expected);
        for (snapshot, expected) in &frozen {
            assert_eq!(bench.read(*snapshot), *expected);
        }
        bench.assert_sound();
    }
}

#[test]
fn what_a_power_cut_leaves_in_free_blocks_is_given_back() {
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
    // As after a loss of power.
    bench.drop_family();
    std::fs::remove_dir_all(bench.path().join("tails")).unwrap();
    bench.open();
    while !bench.family().to_sweep.lock().is_empty() {
        std::thread::yield_now();
    }
    bench.family().close().unwrap();
    assert!(taken(&data) < before + 50 * 4096, "{}", taken(&data));
    assert_eq!(bench.read_first(1, 4), [1; 4]);
}

#[test]
fn nothing_that_was_acknowledged_is_lost_by_kills() {
    let mut bench = Bench::mapped();
    let mut random = Random(7);
    let mut images = BTreeMap::from([(1, numbered())]);
    let mut next = 10;
    for step in 0..400_u64 {
        let first = random.below(BLOCKS - 20);
        let from = usize::try_from(first).unwrap();
        let count = usize::try_from(1 + random.below(20)).unwrap();
        match random.below(16) {
            0..8 => {
                bench.write(1, first, &vec![byte(step); count]);
                images.get_mut(&1).unwrap()[from..from + count].fill(byte(step));
            }
            8 | 9 => {
                bench.zero(1, first, count as u64);
                images.get_mut(&1).unwrap()[from..from + count].fill(0);
            }
            10 => bench.family().flush_blocking().unwrap(),
            11 => bench.family().checkpoint().unwrap(),
            12 if images.len() < 6 => {
                bench.snapshot(1, next);
                images.insert(next, images[&1].clone());
                next += 1;
            }
            13 if images.len() > 3 => {
                let oldest = *images.keys().nth(1).unwrap();
                bench.delete(oldest);
                images.remove(&oldest);
            }
            14 => {
                bench.reopen();
                for (dataset, expected) in &images {
                    assert_eq!(&bench.read(*dataset), expected, "step {step}");
                }
                bench.assert_sound();
            }
            // In the middle of it.
            15 => bench.family().desk.ask_checkpoint(),
            _ => {}
        }
    }
}

#[test]
fn the_tail_of_another_family_or_another_time_is_not_believed() {
    let mut bench = Bench::mapped();
    bench.write(1, 0, &[1; 5]);
    bench.drop_family();
    let tails = bench.path().join("tails");
    let kept: Vec<_> = std::fs::read_dir(&tails)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    bench.open();
    bench.write(1, 0, &[2; 5]);
    bench.family().flush_blocking().unwrap();
    bench.drop_family();
    for (path, content) in kept {
        std::fs::write(path, content).unwrap();
    }
    bench.open();
    assert_eq!(bench.read_first(1, 5), [2; 5]);
    // A folder that others could write to isn't trusted.
    bench.drop_family();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&tails, open).unwrap();
    bench.open();
    assert!(bench.family().state.lock().tail.is_none());
}
