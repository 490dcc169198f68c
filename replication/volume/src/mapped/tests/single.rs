//! One thing at a time.

use super::disk::Random;
use super::rig::Rig;
use crate::mapped::address::DatasetId;
use crate::mapped::family::FamilyError;
use crate::mapped::maps::BlockRange;

const ALL: BlockRange = BlockRange {
    first: 0,
    count: u64::MAX,
};

#[test]
fn a_fresh_family_is_one_entry_however_large() {
    let (rig, head) = Rig::new(100, 100).unwrap();
    assert_eq!(rig.family.nodes_in_memory(), 0);
    let range = BlockRange {
        first: 10,
        count: 80,
    };
    assert_eq!(rig.family.lookup(head, range).unwrap().len(), 1);
}

#[test]
fn a_snapshot_copies_no_node_and_keeps_what_was() {
    let (mut rig, head) = Rig::new(300, 300).unwrap();
    rig.write(head, 0, 4).unwrap();
    let nodes = rig.family.nodes_in_memory();
    let snapshot = rig.snapshot(&[head]).unwrap()[0];
    assert_eq!(rig.family.nodes_in_memory(), nodes);
    rig.write(head, 1, 2).unwrap();
    rig.verify();
    let differ = rig.family.diff(snapshot, head, ALL).unwrap();
    assert_eq!(differ, [BlockRange { first: 1, count: 2 }]);
}

#[test]
fn space_comes_back_when_all_snapshots_are_gone() {
    let (mut rig, head) = Rig::new(300, 0).unwrap();
    rig.write(head, 0, 50).unwrap();
    rig.checkpoint().unwrap();
    let before = rig.family.blocks_in_use();
    for _ in 0..5 {
        rig.snapshot(&[head]).unwrap();
        rig.write(head, 0, 50).unwrap();
    }
    rig.checkpoint().unwrap();
    assert!(rig.family.blocks_in_use() >= before + 250);
    // In no particular order.
    for at in [2, 0, 1, 1, 0] {
        let snapshot = rig.snapshots()[at];
        rig.delete(snapshot).unwrap();
        while rig.delete_some(1_000) {}
    }
    // The first one writes it down, the second one frees the tables of the first.
    rig.checkpoint().unwrap();
    rig.checkpoint().unwrap();
    rig.verify();
    assert_eq!(rig.family.blocks_in_use(), before);
}

#[test]
fn a_snapshot_with_clones_goes_with_the_last_but_one() {
    let (mut rig, head) = Rig::new(300, 10).unwrap();
    rig.write(head, 0, 10).unwrap();
    let snapshot = rig.snapshot(&[head]).unwrap()[0];
    let clone = rig.clone_of(snapshot).unwrap();
    rig.write(head, 0, 10).unwrap();
    rig.delete(snapshot).unwrap();
    assert_eq!(rig.family.deletion(), None);
    rig.verify();
    rig.delete(head).unwrap();
    while rig.family.deletion().is_some() {
        rig.delete_some(1_000);
    }
    rig.checkpoint().unwrap();
    rig.verify();
    assert_eq!(rig.heads(), [clone]);
}

#[test]
fn ten_thousand_snapshots_are_as_quick_to_read_as_none() {
    let (mut rig, head) = Rig::new(300, 300).unwrap();
    for round in 0..10_000_u64 {
        rig.snapshot(&[head]).unwrap();
        rig.write(head, round % 300, 1).unwrap();
        if round % 500 == 0 {
            rig.checkpoint().unwrap();
        }
    }
    // As many nodes lie between the root and a block as ever.
    let range = BlockRange { first: 7, count: 1 };
    assert_eq!(rig.family.lookup(head, range).unwrap().len(), 1);
    rig.checkpoint().unwrap();
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let (mut rig, head) = Rig::new(300, 0).unwrap();
    let snapshot = rig.snapshot(&[head]).unwrap()[0];
    let family = &mut rig.family;
    let range = |first, count| BlockRange { first, count };
    assert!(matches!(
        family.zero(head, range(299, 2)),
        Err(FamilyError::OutOfRange { .. })
    ));
    assert!(matches!(
        family.zero(head, range(u64::MAX, 2)),
        Err(FamilyError::OutOfRange { .. })
    ));
    assert_eq!(
        family.zero(snapshot, range(0, 1)),
        Err(FamilyError::NotAHead(snapshot))
    );
    assert_eq!(
        family.clone_of(head, [9; 16]),
        Err(FamilyError::NotASnapshot(head))
    );
    assert_eq!(
        family.snapshot(&[(head, [8; 16]), (DatasetId(77), [9; 16])]),
        Err(FamilyError::NoSuchDataset(DatasetId(77)))
    );
    assert_eq!(family.grow(head, 100), Err(FamilyError::Size(100)));
    rig.verify();
}

#[test]
fn a_volume_grows_over_all_levels() {
    let (mut rig, head) = Rig::new(200, 100).unwrap();
    rig.write(head, 150, 3).unwrap();
    rig.family.grow(head, 70_000).unwrap();
    let range = BlockRange {
        first: 60_000,
        count: 10,
    };
    rig.family.zero(head, range).unwrap();
    let found = rig.family.lookup(head, range).unwrap();
    assert_eq!(found.len(), 1);
    rig.check();
}

#[test]
fn a_checkpoint_that_was_never_finished_leaves_nothing_to_the_next_one() {
    for cut in 0..12 {
        for seed in 0..8 {
            let mut random = Random(seed);
            let (mut rig, head) = Rig::new(300, 0).unwrap();
            rig.write(head, 0, 60).unwrap();
            let snapshot = rig.snapshot(&[head]).unwrap()[0];
            rig.write(head, 10, 20).unwrap();
            rig.checkpoint().unwrap();
            // What a deletion frees is in no journal.
            rig.delete(snapshot).unwrap();
            while rig.delete_some(100) {}
            rig.disk.cut_at = Some(rig.disk.operations + cut);
            let _ = rig.checkpoint();
            rig.crash(&mut random);
            // The same sequence once more, before anything is freed again.
            rig.checkpoint().unwrap();
            rig.crash(&mut random);
            rig.write(head, 100, 60).unwrap();
            rig.flush().unwrap();
            rig.verify();
        }
    }
}
