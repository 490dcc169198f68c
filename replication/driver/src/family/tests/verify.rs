//! Verification while everything goes on, and what it finds.

use std::ops::ControlFlow;

use super::*;

fn on(_: super::super::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn hosts_snapshots_and_deletions_go_on_while_a_family_is_verified() {
    let mut bench = Bench::mapped();
    for snapshot in 2..6 {
        bench.write(1, u64::from(snapshot) * 10, &[snapshot; 30]);
        bench.snapshot(1, snapshot);
    }
    Family::clone_of(bench.family(), id(3), id(20)).unwrap();
    bench.write(20, 100, &[9; 8]);
    let mut pieces = 0_u8;
    let report = bench.family().verify(&mut |_| {
        pieces += 1;
        match pieces {
            1 => bench.delete(2),
            2 => bench.delete(4),
            3 => bench.snapshot(20, 21),
            4 => bench.delete(20),
            _ => {}
        }
        bench.write(1, u64::from(pieces), &[pieces; 40]);
        bench.zero(1, 200 + u64::from(pieces), 3);
        bench.family().checkpoint().unwrap();
        // Nothing that is being looked at is given back.
        let deleting = bench.family().datasets();
        let deleting = deleting.iter().filter(|info| info.deleting).count();
        assert_eq!(
            deleting,
            usize::from(pieces.min(2)) + usize::from(pieces >= 4)
        );
        ControlFlow::Continue(())
    });
    let report = report.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert!(pieces > 10, "it went piece by piece");
    assert!(!report.stopped && report.checked_bytes > 0);
    // What was kept for it goes, and so does what was deleted meanwhile.
    bench.settle();
    let left: Vec<Id> = bench.family().datasets().iter().map(|it| it.id).collect();
    assert_eq!(left, [id(1), id(3), id(5), id(21)]);
    bench.assert_sound();
    bench.reopen();
    bench.assert_sound();
}

#[test]
fn a_verification_that_is_stopped_leaves_nothing_behind() {
    let bench = Bench::mapped();
    bench.write(1, 0, &[3; 200]);
    bench.snapshot(1, 2);
    bench.write(1, 0, &[4; 200]);
    let report = bench.family().verify(&mut |_| ControlFlow::Break(()));
    assert!(report.unwrap().stopped);
    bench.delete(2);
    bench.settle();
    assert_eq!(bench.family().datasets().len(), 1);
    bench.assert_sound();
}

#[test]
fn a_verification_ends_when_a_host_finds_no_space() {
    let bench = Bench::mapped();
    bench.write(1, 0, &[3; 200]);
    let mut asked = 0;
    let report = bench.family().verify(&mut |_| {
        asked += 1;
        let wants = &bench.family().wants_space;
        wants.store(true, std::sync::atomic::Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    assert!(report.unwrap().stopped);
    assert_eq!(asked, 1);
}

#[test]
fn a_damaged_node_is_named_with_its_file_and_the_rest_is_looked_at() {
    let mut bench = Bench::mapped();
    bench.write(1, 0, &[3; 20]);
    bench.write(1, 300, &[5; 20]);
    bench.family().close().unwrap();
    let dataset = bench.family().find(id(1)).unwrap();
    let node = bench
        .family()
        .state
        .lock()
        .maps
        .node_of(dataset, 300)
        .unwrap();
    bench.reopen();
    let sound = bench.family().verify(&mut on).unwrap();
    assert_eq!(sound.damaged, 0);
    bench.drop_family();
    let at = node.get() * BLOCK_BYTES as u64;
    damage::flip(&bench.options().folder.join("data-0000"), at + 5);
    bench.open();
    let report = bench.family().verify(&mut on).unwrap();
    assert_eq!(report.damaged, 1, "{report:?}");
    let [finding] = &report.findings[..] else {
        panic!("{report:?}")
    };
    let place = format!("data-0000, byte {at}: the map of dataset");
    assert!(finding.starts_with(&place), "{finding}");
    assert!(
        finding.contains("from its block 256 on, 256 blocks"),
        "{finding}"
    );
    let missing = sound.checked_bytes - report.checked_bytes;
    assert_eq!(missing, 20 * BLOCK_BYTES as u64, "only what is below it");
}
