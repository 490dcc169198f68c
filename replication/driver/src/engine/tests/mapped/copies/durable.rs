//! Copies on files in memory: power cuts, failures, and those that nobody waits for.

use super::*;
use crate::family::testing::MemoryDisk;

const SIZE: usize = 512 * 4096;

pub(super) struct Machine {
    pub(super) disk: MemoryDisk,
    pub(super) rig: Rig,
    pub(super) family: Arc<Family>,
}

impl Machine {
    pub(super) fn new() -> Self {
        let (disk, family, volume) = MemoryDisk::new(SIZE, id(HEAD));
        let pool = Arc::new(BufferPool::new(16 << 20));
        let engine = Engine::new(EngineKind::Memory, 64, Arc::clone(&pool)).unwrap();
        Self {
            disk,
            rig: Rig::of(engine, volume, pool, None, None),
            family,
        }
    }

    fn used(&self) -> u64 {
        self.family.space().unwrap().used_bytes
    }
}

#[test]
fn what_was_flushed_after_a_copy_survives_a_power_cut() {
    let Machine {
        disk,
        mut rig,
        family,
    } = Machine::new();
    done(rig.run(write(0, 65_536, 1)));
    let head = Arc::clone(&rig.volume);
    done(rig.run(copy(&head, 0, 524_288, 131_072)));
    done(rig.run(VolumeOp::Flush));
    done(rig.run(copy(&head, 524_288, 0, 4096)));
    let unused = Volume::in_memory(MemoryFile::new(512), BlockSize::B512).unwrap();
    rig.volume = unused;
    drop(head);
    let family = disk.power_cut(family);
    let options = MappedOptions {
        block_size: 512,
        size: SIZE as u64,
        read_only: false,
    };
    rig.volume = family.volume(id(HEAD), &options).unwrap();
    assert_eq!(rig.read(524_288, 65_536), vec![1; 65_536]);
    assert_eq!(rig.read(524_288 + 65_536, 65_536), vec![0; 65_536]);
    assert_eq!(family.verify_now().findings, Vec::<String>::new());
}

#[test]
fn a_copy_that_fails_has_changed_nothing_and_taken_nothing() {
    for errno in [5, 18, 28] {
        let mut machine = Machine::new();
        done(machine.rig.run(write(0, 65_536, 1)));
        let before = machine.used();
        machine.disk.data().fail_nth(OpName::Copy, 1, errno);
        let head = Arc::clone(&machine.rig.volume);
        not_copied(machine.rig.run(copy(&head, 0, 524_288, 131_072)));
        assert_eq!(machine.used(), before);
        assert_eq!(machine.rig.read(524_288, 131_072), vec![0; 131_072]);
        assert!(head.is_fenced().is_none());
        done(machine.rig.run(copy(&head, 0, 524_288, 131_072)));
    }
}

#[test]
fn a_copy_that_is_given_up_holds_the_volume_until_it_has_landed_and_is_never_seen() {
    let mut machine = Machine::new();
    done(machine.rig.run(write(0, 65_536, 1)));
    let before = machine.used();
    machine.disk.data().hold(OpName::Copy);
    let head = Arc::clone(&machine.rig.volume);
    let stuck = machine.rig.start(copy(&head, 0, 524_288, 65_536));
    assert!(machine.rig.turn().is_empty());
    machine.rig.engine.detach(stuck);
    assert_eq!(head.detached_writes(), 1);
    let refused = machine.rig.run(write(0, 512, 2));
    assert_eq!(fault(refused).kind, VolumeFaultKind::Busy);
    machine.disk.data().release();
    assert!(machine.rig.turn().is_empty());
    assert_eq!(head.detached_writes(), 0);
    assert_eq!(machine.rig.engine.in_flight(), 0);
    assert_eq!(machine.rig.read(524_288, 65_536), vec![0; 65_536]);
    assert_eq!(machine.used(), before);
    assert_eq!(head.locks().entries(), 0);
}
