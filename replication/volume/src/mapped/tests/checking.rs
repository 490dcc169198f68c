//! Checks: of a family in use while everything goes on, and of one with something wrong in it.

use super::disk::{File, Random};
use super::rig::{Rig, place};
use crate::mapped::address::{Address, BLOCK_BYTES, DatasetId, Epoch};
use crate::mapped::allocator::Reuse;
use crate::mapped::check::{Check, Finding};
use crate::mapped::entry::Place;
use crate::mapped::maps::BlockRange;

/// One step; false if it was the last.
fn check_step(rig: &Rig, check: &mut Check) -> bool {
    loop {
        match rig.family.check_step(check) {
            Ok(more) => return more,
            Err(missing) => {
                let at = place(missing.address);
                let page = rig.disk.read(File::Segments, at, BLOCK_BYTES);
                check.supply(Ok(&page));
            }
        }
    }
}

/// Something that hosts or operators do.
fn live(rig: &mut Rig, random: &mut Random) {
    let pick = |random: &mut Random, from: &[DatasetId]| {
        from.get(random.below(from.len().max(1) as u64) as usize)
            .copied()
    };
    let head = pick(random, &rig.heads()).unwrap();
    let first = random.below(rig.size(head));
    let count = 1 + random.below(rig.size(head) - first);
    match random.below(10) {
        0..4 => rig.write(head, first, count.min(40)).unwrap(),
        4 => rig.zero(head, first, count),
        5 => drop(rig.snapshot(&[head]).unwrap()),
        6 => {
            if let Some(snapshot) = pick(random, &rig.snapshots()) {
                rig.delete(snapshot).unwrap();
            }
        }
        7 => {
            if let Some(snapshot) = pick(random, &rig.snapshots())
                && rig.heads().len() < 4
            {
                rig.clone_of(snapshot).unwrap();
            }
        }
        8 => rig.flush().unwrap(),
        _ => rig.checkpoint().unwrap(),
    }
    rig.delete_some(3);
}

#[test]
fn a_family_in_use_is_sound_whatever_happens_while_it_is_checked() {
    for seed in 0..40 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let (mut rig, _) = Rig::new(600, random.below(600)).unwrap();
        for _ in 0..80 {
            live(&mut rig, &mut random);
        }
        let pin = |number: u32| {
            let [a, b, c, d] = number.to_le_bytes();
            [0xcc, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        };
        let mut check = rig.family.begin_check_in_use(pin).unwrap();
        rig.checkpoint().unwrap();
        let mut steps = 0;
        while check_step(&rig, &mut check) {
            steps += 1;
            live(&mut rig, &mut random);
        }
        assert_eq!(check.report().findings, [], "after {steps} steps");
        rig.family.end_check(&check);
        while rig.family.deletion().is_some() {
            rig.delete_some(u64::MAX);
        }
        rig.verify();
        rig.checkpoint().unwrap();
        rig.crash(&mut random);
        rig.verify();
    }
}

/// What a check of this family finds.
fn found(rig: &mut Rig) -> Vec<Finding> {
    let mut check = rig.family.begin_check().unwrap();
    while check_step(rig, &mut check) {}
    rig.family.end_check(&check);
    assert_eq!(check.report().damaged, check.report().findings.len() as u64);
    check.report().findings.clone()
}

fn block(rig: &Rig, id: DatasetId, first: u64) -> (Address, u32) {
    let found = rig
        .family
        .lookup(id, BlockRange { first, count: 1 })
        .unwrap();
    match found[0].entry.place {
        Place::Block { address, crc } => (address, crc),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_can_not_be_is_found_and_named() {
    let written = || {
        let (mut rig, head) = Rig::new(600, 0).unwrap();
        rig.write(head, 0, 40).unwrap();
        rig.write(head, 300, 20).unwrap();
        rig.checkpoint().unwrap();
        (rig, head)
    };
    let (mut rig, head) = written();
    assert_eq!(found(&mut rig), []);
    // In a map, and free.
    let (address, _) = block(&rig, head, 7);
    let allocator = &mut rig.family.maps.allocator;
    allocator.free(address, Reuse::AfterFlush(1));
    allocator.flush_is_durable(1);
    assert!(found(&mut rig).contains(&Finding::NotInUse(address, head)));
    // In a map twice.
    let (mut rig, head) = written();
    let (address, crc) = block(&rig, head, 7);
    rig.family.map(head, 100, address, &[crc]).unwrap();
    assert!(found(&mut rig).contains(&Finding::OwnedTwice(address, head)));
    // In use, and in no map.
    let (mut rig, _) = written();
    let run = rig.family.allocate(3).unwrap();
    for at in 0..3 {
        rig.family.maps.allocator.settle(run.address.plus(at));
    }
    assert_eq!(found(&mut rig), [Finding::Leaked(3)]);
    // Of a time that hasn't come.
    let (mut rig, head) = written();
    let dataset = rig.family.datasets.get_mut(head).unwrap();
    dataset.record.root.birth = Epoch(1_000);
    assert_eq!(found(&mut rig), [Finding::Birth(head)]);
}
