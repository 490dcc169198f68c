//! What survives a power cut, what doesn't end in time, and what fails, on files in memory.

use super::*;
use crate::family::testing::MemoryDisk;

const SIZE: usize = 512 * 4096;

struct Machine {
    disk: MemoryDisk,
    rig: Rig,
    family: Arc<Family>,
}

impl Machine {
    fn new() -> Self {
        Self::with_depth(64)
    }

    fn with_depth(depth: u32) -> Self {
        let (disk, family, volume) = MemoryDisk::new(SIZE, id(HEAD));
        let pool = Arc::new(BufferPool::new(16 << 20));
        let engine = Engine::new(EngineKind::Memory, depth, Arc::clone(&pool)).unwrap();
        Self {
            disk,
            rig: Rig::of(engine, volume, pool, None, None),
            family,
        }
    }

    fn power_cut(&mut self) {
        let unused = Volume::in_memory(MemoryFile::new(512), BlockSize::B512).unwrap();
        self.rig.volume = Arc::clone(&unused);
        let (_, spare, _) = MemoryDisk::new(4096, id(HEAD));
        let family = std::mem::replace(&mut self.family, spare);
        self.family = self.disk.power_cut(family);
        let options = MappedOptions {
            block_size: 512,
            size: SIZE as u64,
            read_only: false,
        };
        self.rig.volume = self.family.volume(id(HEAD), &options).unwrap();
    }

    fn used(&self) -> u64 {
        self.family.space().unwrap().used_bytes
    }
}

fn atomic(offset: u64, length: usize, fill: u8) -> VolumeOp {
    VolumeOp::WriteAtomic {
        offset,
        data: smallvec![Bytes::from(vec![fill; length])],
    }
}

#[test]
fn what_was_promised_to_be_durable_survives_a_power_cut_and_nothing_else_has_to() {
    let mut machine = Machine::new();
    done(machine.rig.run(write(0, 8192, 1)));
    done(machine.rig.run(VolumeOp::Flush));
    done(machine.rig.run(durable(write(8192, 512, 2))));
    done(machine.rig.run(atomic(16_384, 1 << 20, 3)));
    done(machine.rig.run(write(0, 4096, 9)));
    machine.power_cut();
    assert_eq!(machine.rig.read(0, 8192), [1; 8192].as_slice());
    let block = [[2; 512].as_slice(), &[0; 3584]].concat();
    assert_eq!(machine.rig.read(8192, 4096), block);
    assert_eq!(machine.rig.read(16_384, 1 << 20), vec![3; 1 << 20]);
    // What is written with zeros, and by comparing, too.
    done(machine.rig.run(VolumeOp::WriteSame {
        offset: 0,
        length: 4608,
        block: Bytes::from(vec![0; 512]),
        unmap: true,
        fua: true,
    }));
    done(machine.rig.run(VolumeOp::CompareAndWrite {
        offset: 8192,
        expected: smallvec![Bytes::from(vec![2; 512])],
        data: smallvec![Bytes::from(vec![4; 512])],
        fua: true,
    }));
    done(machine.rig.run(VolumeOp::OrWrite {
        offset: 16_384,
        data: smallvec![Bytes::from(vec![0x80; 512])],
        fua: true,
    }));
    machine.power_cut();
    let start = [[0; 4608].as_slice(), &[1; 3584], &[4; 512]].concat();
    assert_eq!(machine.rig.read(0, 8704), start);
    assert_eq!(machine.rig.read(16_384, 512), [0x83; 512].as_slice());
}

#[test]
fn a_flush_that_fails_fences_and_nothing_is_acknowledged_afterwards() {
    for journal_fails in [false, true] {
        let mut machine = Machine::new();
        done(machine.rig.run(write(0, 4096, 1)));
        let file = if journal_fails {
            machine.disk.journal()
        } else {
            machine.disk.data()
        };
        file.fail_nth(OpName::DataSync, 1, 5);
        let flush = machine.rig.start(VolumeOp::Flush);
        let fua = machine.rig.start(durable(write(4096, 4096, 2)));
        for (token, outcome) in machine.rig.finish(2) {
            assert!(token == flush || token == fua);
            assert_eq!(fault(outcome).kind, VolumeFaultKind::Fenced);
        }
        assert!(machine.rig.volume.is_fenced().is_some());
        for op in [write(0, 4096, 3), VolumeOp::Flush] {
            let kind = fault(machine.rig.run(op)).kind;
            assert_eq!(kind, VolumeFaultKind::Fenced);
        }
        assert_eq!(machine.rig.read(0, 512), [1; 512].as_slice());
    }
}

#[test]
fn an_abandoned_write_that_hangs_holds_the_volume_and_is_never_seen() {
    let mut machine = Machine::new();
    let before = machine.used();
    machine.disk.data().hold(OpName::Write);
    let stuck = machine.rig.start(write(0, 65_536, 1));
    assert!(machine.rig.turn().is_empty());
    machine.rig.engine.detach(stuck);
    assert_eq!(machine.rig.volume.detached_writes(), 1);
    let refused = machine.rig.run(write(0, 512, 2));
    assert_eq!(fault(refused).kind, VolumeFaultKind::Busy);
    machine.disk.data().release();
    assert!(machine.rig.turn().is_empty());
    assert_eq!(machine.rig.volume.detached_writes(), 0);
    assert_eq!(machine.rig.engine.in_flight(), 0);
    assert_eq!(machine.rig.read(0, 65_536), [0; 65_536].as_slice());
    assert_eq!(machine.used(), before);
}

#[test]
fn an_abandoned_read_or_flush_holds_nobody_up() {
    let mut machine = Machine::new();
    done(machine.rig.run(write(0, 8192, 1)));
    machine.disk.data().hold(OpName::Read);
    let read = machine.rig.start(VolumeOp::Read {
        offset: 0,
        length: 8192,
    });
    let flush = machine.rig.start(VolumeOp::Flush);
    machine.rig.engine.submit();
    machine.rig.engine.detach(read);
    machine.rig.engine.detach(flush);
    done(machine.rig.run(write(4096, 4096, 2)));
    machine.disk.data().release();
    while machine.rig.engine.in_flight() > 0 {
        assert!(machine.rig.turn().is_empty(), "nobody waits for them");
        std::thread::yield_now();
    }
    assert_eq!(machine.rig.pool.in_use(), 0);
}

#[test]
fn many_changes_of_parts_of_blocks_wait_for_memory_and_all_are_done() {
    let mut machine = Machine::with_depth(1024);
    done(machine.rig.run(write(0, SIZE, 1)));
    machine.disk.data().hold(OpName::Read);
    // Two blocks each: more than there is memory for at once.
    let count = SIZE / 8192 - 1;
    for index in 0..count as u64 {
        machine.rig.start(write(index * 8192 + 512, 7168, 2));
    }
    assert!(machine.rig.turn().is_empty());
    assert!(machine.rig.engine.waiting() > 0, "some wait for memory");
    machine.disk.data().release();
    for (_, outcome) in machine.rig.finish(count) {
        done(outcome);
    }
    assert_eq!(machine.rig.engine.waiting(), 0);
    for index in 0..count as u64 {
        let expected = [[1; 512].as_slice(), &[2; 7168], &[1; 512]].concat();
        assert_eq!(machine.rig.read(index * 8192, 8192), expected);
    }
}

#[test]
fn writes_that_fail_change_nothing_and_say_why() {
    for (errno, kind) in [
        (28, VolumeFaultKind::NoSpace),
        (5, VolumeFaultKind::MediumError { offset: 4096 }),
    ] {
        let mut machine = Machine::new();
        done(machine.rig.run(write(0, 16_384, 1)));
        let before = machine.used();
        machine.disk.data().fail_nth(OpName::Write, 1, errno);
        assert_eq!(fault(machine.rig.run(write(4096, 8192, 2))).kind, kind);
        assert_eq!(machine.rig.read(0, 16_384), [1; 16_384].as_slice());
        assert_eq!(machine.used(), before);
        assert!(machine.rig.volume.is_fenced().is_none());
        done(machine.rig.run(write(4096, 8192, 3)));
        assert_eq!(machine.rig.read(4096, 8192), [3; 8192].as_slice());
    }
}

#[test]
fn a_read_error_is_a_medium_error_at_the_byte_of_the_image() {
    let mut machine = Machine::new();
    done(machine.rig.run(write(8192, 4096, 1)));
    let read = |offset, length| VolumeOp::Read { offset, length };
    machine.disk.data().fail_nth(OpName::Read, 1, 5);
    let kind = fault(machine.rig.run(read(0, 16_384))).kind;
    assert_eq!(kind, VolumeFaultKind::MediumError { offset: 8192 });
    machine.disk.home.fail_nth(OpName::Read, 1, 5);
    let kind = fault(machine.rig.run(read(20_480, 4096))).kind;
    assert_eq!(kind, VolumeFaultKind::MediumError { offset: 20_480 });
    let mut expected = vec![0; 16_384];
    expected[8192..12_288].fill(1);
    assert_eq!(machine.rig.read(0, 16_384), expected);
}
