//! A small history with a power cut at every single operation of its disk.

use super::disk::{PowerCut, Random};
use super::rig::Rig;

fn workload(rig: &mut Rig) -> Result<(), PowerCut> {
    let head = rig.heads()[0];
    rig.write(head, 3, 5)?;
    rig.flush()?;
    let first = rig.snapshot(&[head])?[0];
    rig.write(head, 5, 2)?;
    rig.zero(head, 20, 4);
    rig.flush()?;
    let clone = rig.clone_of(first)?;
    rig.write(clone, 0, 3)?;
    rig.write(head, 4, 1)?;
    let both = rig.snapshot(&[head, clone])?;
    rig.write(head, 5, 1)?;
    rig.checkpoint()?;
    rig.restore(head, first)?;
    rig.write(head, 3, 1)?;
    rig.flush()?;
    rig.delete(both[0])?;
    rig.delete(clone)?;
    rig.delete(first)?;
    while rig.family.deletion().is_some() {
        if !rig.delete_some(1_000) {
            break;
        }
    }
    rig.write(head, 6, 4)?;
    rig.flush()?;
    rig.checkpoint()?;
    rig.write(head, 7, 1)?;
    rig.flush()
}

#[test]
fn a_power_cut_at_every_operation_leaves_what_was_promised() {
    let (mut rig, _) = Rig::new(300, 30).unwrap();
    let begin = rig.disk.operations;
    workload(&mut rig).unwrap();
    rig.verify();
    let end = rig.disk.operations;
    assert!(end - begin > 60, "{}", end - begin);
    for cut in begin..end {
        for seed in 0..4 {
            println!("cut at {cut}, seed {seed}");
            let (mut rig, _) = Rig::new(300, 30).unwrap();
            rig.disk.cut_at = Some(cut);
            workload(&mut rig).unwrap_err();
            let mut random = Random(cut * 97 + seed);
            rig.crash(&mut random);
            // It goes on, deletions included, and survives another crash.
            while rig.family.deletion().is_some() {
                rig.delete_some(1_000);
            }
            let head = rig.heads()[0];
            rig.write(head, 1, 2).unwrap();
            rig.flush().unwrap();
            rig.crash(&mut random);
            rig.verify();
        }
    }
}
