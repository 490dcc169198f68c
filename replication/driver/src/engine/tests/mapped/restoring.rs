//! A head that is restored while hosts write.

use super::*;

#[test]
fn what_is_changed_in_part_while_its_head_is_restored_keeps_nothing_of_before() {
    for together in [false, true] {
        let Some(mut bench) = Bench::new(EngineKind::ThreadPool, 16 * BLOCK_BYTES) else {
            continue;
        };
        let fill = |bench: &mut Bench, number| {
            let outcome = bench.rig.run(write(0, 4096, number));
            assert!(matches!(outcome, VolumeOutcome::Done), "{outcome:?}");
        };
        fill(&mut bench, 1);
        bench.snapshot(2);
        fill(&mut bench, 2);
        // The block is read as it is, or about to be, and goes into the map when somebody looks.
        bench.rig.start(write(512, 512, 3));
        bench.rig.engine.submit();
        let (family, volume) = (Arc::clone(bench.family()), Arc::clone(&bench.rig.volume));
        let restoring = std::thread::spawn(move || match together {
            false => family.restore(id(HEAD), id(2), id(4)),
            true => Family::restore_together(&[crate::Restoring {
                family,
                head: id(HEAD),
                snapshot: id(2),
                safety: id(4),
                undo: id(5),
            }]),
        });
        // The write has its block for itself; the restore is done, or waits for it.
        while !restoring.is_finished() && volume.locks().entered() < 2 {
            std::thread::yield_now();
        }
        bench.rig.finish(1);
        restoring.join().unwrap().unwrap();
        assert_eq!(bench.rig.read(0, 4096), [1; 4096][..]);
        let mut before = [2; 4096];
        before[512..1024].fill(3);
        assert_eq!(bench.content(4)[..4096], before);
        bench.assert_sound();
    }
}
