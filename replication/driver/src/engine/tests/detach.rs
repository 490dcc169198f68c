//! Operations whose owner has given up.

use super::*;

fn second_engine(rig: &Rig) -> Engine {
    Engine::new(EngineKind::Memory, 8, Arc::clone(&rig.pool)).unwrap()
}

#[test]
fn everything_new_is_busy_until_an_abandoned_write_has_landed() {
    let mut rig = Rig::in_memory(8192);
    rig.memory().hold(OpName::Write);
    let stuck = rig.start(write(0, 512, 1));
    assert!(rig.turn().is_empty());
    rig.engine.detach(stuck);
    assert_eq!(rig.volume.detached_writes(), 1);
    let mut other = second_engine(&rig);
    for op in [
        write(0, 512, 2),
        VolumeOp::Read {
            offset: 0,
            length: 512,
        },
        VolumeOp::Flush,
    ] {
        assert_eq!(fault(rig.run(op.clone())).kind, VolumeFaultKind::Busy);
        other.start(1, &rig.volume, op);
        other.submit();
        let (_, outcome) = other.poll().unwrap();
        assert_eq!(
            fault(outcome).kind,
            VolumeFaultKind::Busy,
            "on another thread's engine"
        );
    }
    rig.memory().release();
    assert!(
        rig.sleeps_no_longer_than(PATIENCE),
        "the release wakes the engine"
    );
    assert!(rig.turn().is_empty(), "nobody waits for its outcome");
    assert_eq!(
        (rig.volume.detached_writes(), rig.engine.in_flight()),
        (0, 0)
    );
    assert_eq!(rig.read(0, 512), vec![1; 512]);
    done(rig.run(write(0, 512, 2)));
    assert_eq!(rig.read(0, 512), vec![2; 512]);
}

#[test]
fn what_waits_for_a_place_when_a_write_is_abandoned_is_busy_too() {
    let mut rig = Rig::in_memory_with(8192, 1, 1 << 20);
    rig.memory().hold(OpName::Write);
    let stuck = rig.start(write(0, 512, 1));
    let waiting = rig.start(write(0, 512, 2));
    assert!(rig.turn().is_empty());
    assert_eq!(rig.engine.waiting(), 1);
    rig.engine.detach(stuck);
    let finished = rig.turn();
    assert_eq!(finished.len(), 1);
    let (token, outcome) = finished.into_iter().next().unwrap();
    assert_eq!(
        (token, fault(outcome).kind),
        (waiting, VolumeFaultKind::Busy)
    );
    rig.memory().release();
    rig.turn();
    assert_eq!(rig.memory().content()[0], 1);
}

#[test]
fn an_abandoned_operation_that_has_not_begun_never_does() {
    let mut rig = Rig::in_memory_with(8192, 1, 1 << 20);
    rig.memory().hold(OpName::Write);
    let first = rig.start(write(0, 512, 1));
    let second = rig.start(write(512, 512, 2));
    assert!(rig.turn().is_empty());
    rig.engine.detach(second);
    assert_eq!(rig.volume.detached_writes(), 0, "it can't land any more");
    rig.memory().release();
    let finished = rig.finish(1);
    assert_eq!(finished.first().map(|(token, _)| *token), Some(first));
    assert_eq!(rig.memory().content()[512], 0);
    assert_eq!(rig.engine.in_flight(), 0);
}

#[test]
fn an_abandoned_read_or_flush_holds_nobody_up() {
    let mut rig = Rig::in_memory(8192);
    rig.memory().hold(OpName::Read);
    rig.memory().hold(OpName::DataSync);
    let read = rig.start(VolumeOp::Read {
        offset: 0,
        length: 512,
    });
    let flush = rig.start(VolumeOp::Flush);
    assert!(rig.turn().is_empty());
    rig.engine.detach(read);
    rig.engine.detach(flush);
    done(rig.run(write(0, 512, 1)));
    rig.memory().release();
    assert!(rig.turn().is_empty());
    assert_eq!((rig.engine.in_flight(), rig.pool.in_use()), (0, 0));
}

#[test]
fn an_outcome_that_nobody_has_taken_yet_is_dropped_too() {
    let mut rig = Rig::in_memory(8192);
    let token = rig.start(VolumeOp::Read {
        offset: 1,
        length: 512,
    });
    assert_eq!(rig.engine.in_flight(), 1);
    rig.engine.detach(token);
    rig.engine.detach(token);
    rig.engine.detach(12_345);
    assert!(rig.turn().is_empty());
    assert_eq!(rig.engine.in_flight(), 0);
}

#[test]
fn a_long_write_that_is_abandoned_stops_after_the_step_under_way() {
    let mut rig = Rig::in_memory(4 << 20);
    rig.memory().hold(OpName::Write);
    let block = Bytes::from(vec![5; 512]);
    let fill = VolumeOp::WriteSame {
        offset: 0,
        length: 4 << 20,
        block,
        unmap: false,
        fua: false,
    };
    let token = rig.start(fill);
    assert!(rig.turn().is_empty());
    rig.engine.detach(token);
    rig.memory().release();
    assert!(rig.turn().is_empty());
    assert_eq!(rig.volume.detached_writes(), 0);
    assert_eq!(rig.memory().count(OpName::Write), 1);
    assert_eq!(rig.pool.in_use(), 0);
}

#[test]
fn a_durable_write_that_only_waits_for_its_flush_has_landed_and_holds_nobody_up() {
    let mut rig = Rig::in_memory(8192);
    rig.memory().hold(OpName::DataSync);
    let token = rig.start(durable(write(0, 512, 1)));
    assert!(rig.turn().is_empty());
    rig.engine.detach(token);
    assert_eq!(rig.volume.detached_writes(), 0);
    assert_eq!(rig.read(0, 512), vec![1; 512]);
    rig.memory().release();
    assert!(rig.turn().is_empty());
    assert_eq!(rig.engine.in_flight(), 0);
}
