//! Random histories against the model: the seed of one that fails is in the message, and
//! `TIDELOCK_SEED=N` runs it alone. `TIDELOCK_HISTORIES=N` runs more of them.

use super::disk::{PowerCut, Random};
use super::rig::Rig;
use crate::mapped::address::DatasetId;

const STEPS: u64 = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_histories_end_as_the_model_does() {
    if let Some(seed) = number("TIDELOCK_SEED") {
        history(seed);
        return;
    }
    for seed in 0..number("TIDELOCK_HISTORIES").unwrap_or(60) {
        println!("TIDELOCK_SEED={seed}");
        history(seed);
    }
}

fn history(seed: u64) {
    let mut random = Random(seed);
    let blocks = [40, 300, 700][random.below(3) as usize];
    let home = random.below(blocks + 1);
    let (mut rig, _) = Rig::new(blocks, home).unwrap();
    for _ in 0..STEPS {
        if step(&mut rig, &mut random).is_err() {
            rig.crash(&mut random);
        }
    }
    rig.disk.cut_at = None;
    while !rig.readings.is_empty() {
        rig.end_reading(0);
    }
    while rig.family.deletion().is_some() {
        rig.delete_some(u64::MAX);
    }
    rig.verify();
    rig.checkpoint().unwrap();
    rig.verify();
    rig.crash(&mut random);
    rig.verify();
}

fn pick(random: &mut Random, from: &[DatasetId]) -> Option<DatasetId> {
    let at = random.below(from.len() as u64) as usize;
    from.get(at).copied()
}

fn step(rig: &mut Rig, random: &mut Random) -> Result<(), PowerCut> {
    let heads = rig.heads();
    let head = pick(random, &heads).expect("there is always a head");
    let snapshots = rig.snapshots();
    let first = random.below(rig.size(head));
    let most = rig.size(head) - first;
    let count = if random.one_in(6) {
        most
    } else {
        most.min(1 + random.below(9))
    };
    match random.below(100) {
        0..45 => rig.write(head, first, count.min(64)),
        45..53 => {
            rig.zero(head, first, count);
            Ok(())
        }
        53..63 => rig.flush(),
        63..70 => {
            let group: Vec<_> = heads.iter().copied().filter(|_| random.one_in(2)).collect();
            let chosen = if group.is_empty() { vec![head] } else { group };
            rig.snapshot(&chosen).map(drop)
        }
        70..73 => match pick(random, &snapshots) {
            Some(snapshot) if heads.len() < 5 => rig.clone_of(snapshot).map(drop),
            _ => Ok(()),
        },
        73..75 => match pick(random, &snapshots) {
            Some(snapshot) => rig.restore(head, snapshot),
            None => Ok(()),
        },
        75..81 => match pick(random, &snapshots) {
            Some(snapshot) => rig.delete(snapshot),
            None => Ok(()),
        },
        81..82 if heads.len() > 1 => rig.delete(head),
        82..84 if rig.readings.len() < 4 => {
            rig.begin_reading(head, first, count);
            Ok(())
        }
        84..87 if !rig.readings.is_empty() => {
            rig.end_reading(random.below(rig.readings.len() as u64) as usize);
            Ok(())
        }
        82..89 => {
            rig.delete_some(1 + random.below(6));
            Ok(())
        }
        89..92 => rig.checkpoint(),
        92..94 => interrupted_checkpoint(rig, random, head),
        94..96 => rig.fold(head, first, count),
        96..97 => {
            if let (Some(one), Some(other)) = (pick(random, &snapshots), pick(random, &heads)) {
                rig.verify_diff(one, other);
            }
            rig.family.shrink(3);
            Ok(())
        }
        97..98 => {
            rig.verify();
            Ok(())
        }
        98..99 => {
            rig.disk.cut_at = Some(rig.disk.operations + random.below(40));
            Ok(())
        }
        _ => Err(PowerCut),
    }
}

/// Things go on while a checkpoint is being written.
fn interrupted_checkpoint(
    rig: &mut Rig,
    random: &mut Random,
    head: DatasetId,
) -> Result<(), PowerCut> {
    let begun = rig.begin_checkpoint()?;
    for _ in 0..random.below(4) {
        let first = random.below(rig.size(head));
        rig.write(head, first, 1)?;
        if random.one_in(3) {
            rig.snapshot(&[head])?;
        }
        if random.one_in(3) {
            rig.delete_some(3);
        }
    }
    rig.end_checkpoint(begun)
}
