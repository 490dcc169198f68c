//! What hosts do to the source while it is copied.

use super::*;

const BLOCKS: u64 = 32;
const LENGTH: u64 = BLOCKS * BLOCK_BYTES;

/// Copies again and again while the source is overwritten and flushed, so that its blocks are used again. Every
/// block that arrives is what the source had at some moment since the copy was begun; of a raw file each byte is, as
/// with a read.
fn copy_under_writes(bench: &mut Bench, source: &Arc<Volume>, target: &Arc<Volume>) {
    let head = Arc::clone(source);
    let mut copied = 0;
    for round in 1..=40_u8 {
        done(bench.on(&head, |rig| {
            rig.run(write(0, usize::try_from(LENGTH).unwrap(), round))
        }));
        let outcomes = bench.on(target, |rig| {
            rig.start(copy(&head, 0, 0, LENGTH));
            // What is overwritten may be used again at once.
            let own = std::mem::replace(&mut rig.volume, Arc::clone(&head));
            for block in 0..BLOCKS {
                rig.start(write(block * BLOCK_BYTES, 4096, round + 100));
            }
            rig.start(VolumeOp::Flush);
            rig.start(write(0, usize::try_from(LENGTH).unwrap(), round + 101));
            rig.volume = own;
            rig.finish(usize::try_from(BLOCKS).unwrap() + 3)
        });
        for (_, outcome) in outcomes {
            match outcome {
                VolumeOutcome::Done => copied += 1,
                VolumeOutcome::NotCopied => {}
                other => panic!("{other:?}"),
            }
        }
        let arrived = bench.on(target, |rig| rig.read(0, LENGTH));
        for block in arrived.chunks(4096) {
            let is_whole = block.iter().all(|byte| *byte == block[0]);
            assert!(is_whole || source.mapped().is_none(), "a blend");
            let known = |byte: &u8| [round, round + 100, round + 101].contains(byte);
            assert!(block.iter().all(known), "{round}");
        }
    }
    // All of the writes, and of the copies all but those that found the source taken.
    assert!(copied > 40 * (BLOCKS + 2));
}

#[test]
fn what_arrives_was_there_whatever_is_written_meanwhile() {
    on_each_bench(
        4 * MIB,
        |_| {},
        |bench| {
            let head = Arc::clone(&bench.rig.volume);
            let raws = ["one", "two"].map(|name| raw(&bench.folder, name, 4 * MIB, false, false));
            bench.snapshot(2);
            bench.family().clone_of(id(2), id(3)).unwrap();
            let clone = bench.dataset(3);
            for (source, target) in [
                (&head, &clone),
                (&head, &raws[0]),
                (&raws[0], &head),
                (&raws[0], &raws[1]),
            ] {
                copy_under_writes(bench, source, target);
            }
            bench.assert_sound();
        },
    );
}

#[test]
fn blocks_that_are_freed_while_they_are_copied_are_nobody_elses_before_that_has_ended() {
    let machine = durable::Machine::new();
    let durable::Machine {
        disk,
        mut rig,
        family,
    } = machine;
    done(rig.run(write(0, 65_536, 1)));
    done(rig.run(VolumeOp::Flush));
    disk.data().hold(OpName::Copy);
    let head = Arc::clone(&rig.volume);
    let token = rig.start(copy(&head, 0, 524_288, 65_536));
    assert!(rig.turn().is_empty());
    // They would be used again by now.
    let mut other = Rig::of(
        Engine::new(EngineKind::Memory, 64, Arc::clone(&rig.pool)).unwrap(),
        head,
        Arc::clone(&rig.pool),
        None,
        None,
    );
    // So much that the first segment is full, and free again.
    for round in 2..200 {
        done(other.run(write(0, 524_288, round)));
        if round % 8 == 0 {
            done(other.run(VolumeOp::Flush));
        }
    }
    disk.data().release();
    let (got, outcome) = rig.finish(1).remove(0);
    assert_eq!(got, token);
    done(outcome);
    assert_eq!(rig.read(524_288, 65_536), vec![1; 65_536]);
    assert_eq!(family.verify_now().findings, Vec::<String>::new());
}
