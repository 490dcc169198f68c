//! Back to a raw file.

use std::ops::ControlFlow;

use super::*;

#[test]
fn after_the_last_snapshot_the_volume_is_a_raw_file_again() {
    let mut bench = Bench::mapped();
    bench.snapshot(1, 2);
    bench.write(1, 7, &[250; 300]);
    bench.zero(1, 400, 50);
    let volume = bench.volume.clone().unwrap();
    let mut on = |_| ControlFlow::Continue(());
    let refused = bench.family().fold(id(1), &mut on).unwrap_err();
    assert!(refused.to_string().contains("snapshots or clones"));
    bench.delete(2);
    bench.settle();
    let mut last = None;
    let mut told = |progress| {
        last = Some(progress);
        ControlFlow::Continue(())
    };
    bench.family().fold(id(1), &mut told).unwrap();
    assert_eq!(last.map(|progress| progress.done), Some(SIZE));
    // What comes after the fold's look is brought home by the release.
    bench.write(1, 0, &[99]);
    bench.family().release(&volume, id(1)).unwrap();
    assert!(volume.family().is_none());
    bench.family().close().unwrap();
    drop(volume);
    bench.drop_family();
    let content = std::fs::read(bench.path().join("home")).unwrap();
    let mut expected = numbered();
    expected[7..307].fill(250);
    expected[400..450].fill(0);
    expected[0] = 99;
    let found: Vec<u8> = content.chunks(BLOCK_BYTES).map(|block| block[0]).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_fold_that_is_cut_short_loses_nothing() {
    let mut bench = Bench::mapped();
    bench.write(1, 0, &[5; 600]);
    bench.family().flush_blocking().unwrap();
    let mut stop = |_| ControlFlow::Break(());
    bench.family().fold(id(1), &mut stop).unwrap();
    bench.reopen();
    assert_eq!(bench.read(1), vec![5; 600]);
    let mut on = |_| ControlFlow::Continue(());
    bench.family().fold(id(1), &mut on).unwrap();
    bench.reopen();
    assert_eq!(bench.read(1), vec![5; 600]);
    bench.assert_sound();
}
