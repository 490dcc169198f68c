//! Writes of a family whose checkpoints are slow: held back before they are acknowledged, so that maps stay
//! within their memory, and let go as soon as there is room.

use tidelock_block::OpName;

use super::*;
use crate::family::testing::MemoryDisk;

const MIB: u64 = 1 << 20;
/// So many nodes of the map have room: each write below needs one of its own.
const NODES: u64 = 16;

struct Slow {
    disk: MemoryDisk,
    family: Arc<Family>,
    rig: Rig,
}

impl Slow {
    /// A family whose checkpoints never end, until [`Self::recover`].
    fn new() -> Self {
        let maps = usize::try_from(NODES * BLOCK_BYTES).unwrap();
        let (disk, family, volume) = MemoryDisk::with_maps(64 << 20, id(HEAD), maps);
        let pool = Arc::new(BufferPool::new(16 << 20));
        let engine = Engine::new(EngineKind::Memory, 64, Arc::clone(&pool)).unwrap();
        let rig = Rig::of(engine, volume, pool, None, None);
        let no_space = rustix::io::Errno::NOSPC.raw_os_error();
        disk.allocation().fail_always(OpName::Write, no_space);
        Self { disk, family, rig }
    }

    /// Writes to one place after the other until one isn't acknowledged any more; tells how many were, and
    /// which one waits.
    fn fill(&mut self) -> (u64, u64) {
        for at in 0..64 {
            let token = self.rig.start(write(at * MIB, 4096, 7));
            let mut finished = self.rig.turn();
            while finished.is_empty() && self.rig.engine.for_room.is_empty() {
                assert!(self.rig.sleeps_no_longer_than(PATIENCE));
                finished = self.rig.turn();
            }
            if finished.is_empty() {
                return (at, token);
            }
        }
        panic!("nothing was held back");
    }

    fn unforgettable(&self) -> u64 {
        self.family.nodes_unforgettable() as u64
    }

    fn recover(&self) {
        self.disk.allocation().heal();
    }
}

#[test]
fn writes_are_held_back_while_a_checkpoint_is_slow_and_go_on_after_it() {
    let mut slow = Slow::new();
    let (done_before, held) = slow.fill();
    assert!(
        done_before >= NODES - 4,
        "not before it is needed: {done_before}"
    );
    let most = slow.unforgettable();
    assert!(most <= NODES + 4, "{most} nodes");
    // However many come, memory doesn't grow; those that change no map go on.
    let more: Vec<u64> = (40..60)
        .map(|at| slow.rig.start(write(at * MIB, 4096, 8)))
        .collect();
    assert!(slow.rig.turn().is_empty());
    assert_eq!(slow.rig.engine.waiting(), 21);
    assert_eq!(slow.unforgettable(), most);
    assert_eq!(slow.rig.read(0, 4096), [7; 4096].as_slice());
    slow.recover();
    let mut finished = Vec::new();
    while finished.len() < 21 {
        finished.extend(slow.rig.finish(1));
    }
    for (token, outcome) in finished {
        assert!(token == held || more.contains(&token));
        done(outcome);
    }
    for at in (0..=done_before)
        .map(|at| (at, 7))
        .chain((40..60).map(|at| (at, 8)))
    {
        let (at, fill) = at;
        assert_eq!(
            slow.rig.read(at * MIB, 4096),
            [fill; 4096].as_slice(),
            "{at}"
        );
    }
    done(slow.rig.run(VolumeOp::Flush));
    assert_eq!(slow.rig.engine.waiting(), 0);
    assert_eq!(slow.family.verify_now().damaged, 0);
}

#[test]
fn a_write_that_is_held_back_and_given_up_never_lands() {
    let mut slow = Slow::new();
    let (at, held) = slow.fill();
    slow.rig.engine.detach(held);
    assert_eq!(slow.rig.engine.in_flight(), 0);
    assert_eq!(
        slow.rig.volume.detached_writes(),
        0,
        "nothing of it is on its way"
    );
    slow.recover();
    slow.family.checkpoint().unwrap();
    assert_eq!(slow.rig.read(at * MIB, 4096), [0; 4096].as_slice());
    done(slow.rig.run(write(at * MIB, 4096, 9)));
    assert_eq!(slow.rig.read(at * MIB, 4096), [9; 4096].as_slice());
}

#[test]
fn a_fence_lets_go_of_what_is_held_back() {
    let mut slow = Slow::new();
    slow.fill();
    let broken = rustix::io::Errno::IO.raw_os_error();
    // The next attempt doesn't come as far as to the file that is full.
    slow.disk.data().fail_always(OpName::DataSync, broken);
    let mut finished = slow.rig.finish(1);
    let (_, outcome) = finished.remove(0);
    assert_eq!(fault(outcome).kind, VolumeFaultKind::Fenced);
    assert!(slow.family.fenced().is_some());
    assert_eq!(
        fault(slow.rig.run(write(0, 512, 1))).kind,
        VolumeFaultKind::Fenced
    );
}
