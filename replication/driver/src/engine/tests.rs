//! The engine runs operations in steps, waits where it must, and gives up what is given up.

mod atomic;
mod detach;
mod durability;
mod exclusive;
mod faults;
mod frozen;
mod limit;
mod mapped;
mod memory;
mod model;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{Timespec, epoll};
use smallvec::{SmallVec, smallvec};
use tempfile::TempDir;
use tidelock_block::{MemoryFile, OpName};
use tidelock_volume::{BlockSize, Range};

use super::*;
use crate::op::{VolumeFault, VolumeFaultKind};
use crate::volume::{CreateOptions, OpenOptions};

const PATIENCE: Duration = Duration::from_secs(20);
const BLOCK: u64 = 512;

/// An engine, a volume for it, and what a reactor does with them.
struct Rig {
    engine: Engine,
    sleeper: OwnedFd,
    volume: Arc<Volume>,
    pool: Arc<BufferPool>,
    /// Tells the engine's volume to misbehave; memory engines only.
    memory: Option<MemoryFile>,
    token: u64,
    folder: Option<TempDir>,
}

impl Rig {
    /// On memory that a test can make fail.
    fn in_memory(size: usize) -> Self {
        Self::in_memory_with(size, 64, 16 << 20)
    }

    fn in_memory_with(size: usize, depth: u32, ceiling: usize) -> Self {
        let memory = MemoryFile::new(size);
        let volume = Volume::in_memory(memory.clone(), BlockSize::B512).unwrap();
        let pool = Arc::new(BufferPool::new(ceiling));
        let engine = Engine::new(EngineKind::Memory, depth, Arc::clone(&pool)).unwrap();
        Self::of(engine, volume, pool, Some(memory), None)
    }

    /// On a real file; `None` (and a word about it) where the host refuses.
    fn on_file(kind: EngineKind, size: u64, direct: bool) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenOptions {
            direct,
            ..OpenOptions::new(&folder.path().join("image"))
        };
        let volume = Volume::create(&CreateOptions {
            open,
            size,
            preallocate: false,
        });
        let volume = volume
            .inspect_err(|error| eprintln!("NOT TESTED here: {error}"))
            .ok()?;
        let pool = Arc::new(BufferPool::new(16 << 20));
        let engine = Engine::new(kind, 64, Arc::clone(&pool))
            .inspect_err(|error| eprintln!("NOT TESTED here: {error}"))
            .ok()?;
        Some(Self::of(engine, volume, pool, None, Some(folder)))
    }

    fn of(
        engine: Engine,
        volume: Arc<Volume>,
        pool: Arc<BufferPool>,
        memory: Option<MemoryFile>,
        folder: Option<TempDir>,
    ) -> Self {
        let sleeper = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&sleeper, &engine, epoll::EventData::new_u64(0), flags).unwrap();
        Self {
            engine,
            sleeper,
            volume,
            pool,
            memory,
            token: 0,
            folder,
        }
    }

    fn memory(&self) -> MemoryFile {
        self.memory.clone().unwrap()
    }

    fn start(&mut self, op: VolumeOp) -> u64 {
        self.token += 1;
        self.engine.start(self.token, &self.volume.clone(), op);
        self.token
    }

    /// One turn of a reactor: everything that is finished now.
    fn turn(&mut self) -> Vec<(u64, VolumeOutcome)> {
        self.engine.submit();
        std::iter::from_fn(|| self.engine.poll()).collect()
    }

    fn sleeps_no_longer_than(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).unwrap();
            let mut events = Vec::with_capacity(4);
            let buffer = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.sleeper, buffer, Some(&left)) {
                // The ring starting a kernel thread looks like a signal.
                Err(rustix::io::Errno::INTR) => {}
                result => return result.unwrap() > 0,
            }
        }
    }

    /// Turns and sleeps until `count` operations have finished; in order of finishing.
    fn finish(&mut self, count: usize) -> Vec<(u64, VolumeOutcome)> {
        let mut finished = self.turn();
        while finished.len() < count {
            assert!(
                self.sleeps_no_longer_than(PATIENCE),
                "{} of {count}",
                finished.len()
            );
            finished.extend(self.turn());
        }
        finished
    }

    fn run(&mut self, op: VolumeOp) -> VolumeOutcome {
        let token = self.start(op);
        let mut finished = self.finish(1);
        assert_eq!(finished.len(), 1, "{finished:?}");
        let (got, outcome) = finished.remove(0);
        assert_eq!(got, token);
        outcome
    }

    fn read(&mut self, offset: u64, length: u64) -> Bytes {
        match self.run(VolumeOp::Read { offset, length }) {
            VolumeOutcome::Read(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }
}

fn write(offset: u64, length: usize, fill: u8) -> VolumeOp {
    VolumeOp::Write {
        offset,
        data: smallvec![Bytes::from(vec![fill; length])],
        fua: false,
    }
}

fn durable(op: VolumeOp) -> VolumeOp {
    match op {
        VolumeOp::Write { offset, data, .. } => VolumeOp::Write {
            offset,
            data,
            fua: true,
        },
        other => other,
    }
}

#[track_caller]
fn done(outcome: VolumeOutcome) {
    assert!(matches!(outcome, VolumeOutcome::Done), "{outcome:?}");
}

#[track_caller]
fn fault(outcome: VolumeOutcome) -> VolumeFault {
    match outcome {
        VolumeOutcome::Failed(fault) => fault,
        other => panic!("{other:?}"),
    }
}

/// Runs a test on every engine that this host has, buffered and direct.
fn on_each(size: u64, test: impl Fn(&mut Rig)) {
    test(&mut Rig::in_memory(usize::try_from(size).unwrap()));
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        for direct in [false, true] {
            if let Some(mut rig) = Rig::on_file(kind, size, direct) {
                test(&mut rig);
            }
        }
    }
}

#[test]
fn operations_outside_the_volume_or_of_partial_blocks_are_refused() {
    on_each(8192, |rig| {
        let outside = [
            VolumeOp::Read {
                offset: 8192,
                length: BLOCK,
            },
            VolumeOp::Read {
                offset: u64::MAX - 511,
                length: BLOCK,
            },
            VolumeOp::Read {
                offset: 1,
                length: BLOCK,
            },
            write(7680, 1024, 1),
            write(0, 100, 1),
            VolumeOp::Unmap {
                ranges: smallvec![Range {
                    offset: 0,
                    length: 1 << 40
                }],
            },
            VolumeOp::WriteSame {
                offset: 0,
                length: 1024,
                block: Bytes::from(vec![1; 700]),
                unmap: false,
                fua: false,
            },
            VolumeOp::WriteSame {
                offset: 0,
                length: 1024,
                block: Bytes::new(),
                unmap: false,
                fua: false,
            },
            VolumeOp::Verify {
                offset: 0,
                length: 8704,
            },
            VolumeOp::Compare {
                offset: 8192,
                data: smallvec![Bytes::from(vec![0; 512])],
            },
        ];
        for op in outside {
            let fault = fault(rig.run(op.clone()));
            assert_eq!(fault.kind, VolumeFaultKind::OutOfRange, "{op:?}");
        }
        assert_eq!(rig.read(0, 8192), vec![0; 8192]);
    });
}

#[test]
fn empty_operations_are_done_at_once() {
    on_each(8192, |rig| {
        assert!(rig.read(8192, 0).is_empty());
        done(rig.run(VolumeOp::Write {
            offset: 0,
            data: SmallVec::new(),
            fua: true,
        }));
        done(rig.run(VolumeOp::Unmap {
            ranges: SmallVec::new(),
        }));
        done(rig.run(VolumeOp::Verify {
            offset: 512,
            length: 0,
        }));
        done(rig.run(VolumeOp::Compare {
            offset: 512,
            data: SmallVec::new(),
        }));
        assert_eq!(rig.engine.in_flight(), 0);
    });
}

#[test]
fn compare_finds_the_first_byte_that_differs() {
    on_each(1 << 20, |rig| {
        done(rig.run(write(0, 1 << 20, 3)));
        let mut expected = vec![3; 600 << 10];
        let compare = |data: &[u8]| {
            let (front, back) = data.split_at(1000);
            let data = smallvec![Bytes::copy_from_slice(front), Bytes::copy_from_slice(back)];
            VolumeOp::Compare { offset: 4096, data }
        };
        done(rig.run(compare(&expected)));
        expected[500_000] = 4;
        expected[500_001] = 4;
        match rig.run(compare(&expected)) {
            VolumeOutcome::Miscompare { offset: 500_000 } => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn long_verifications_finish_and_leave_the_thread_to_others_meanwhile() {
    // So long that a thread that gets no processor for a while doesn't miss all of it.
    const LONG: u64 = 96 << 20;
    on_each(LONG, |rig| {
        let long = rig.start(VolumeOp::Verify {
            offset: 0,
            length: LONG,
        });
        let short = rig.start(VolumeOp::Read {
            offset: 0,
            length: BLOCK,
        });
        let order: Vec<_> = rig.finish(2).into_iter().map(|(token, _)| token).collect();
        assert_eq!(order, [short, long]);
    });
}

#[test]
fn unmapping_gives_space_back_and_reads_as_zeros() {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        let Some(mut rig) = Rig::on_file(kind, 1 << 20, false) else {
            continue;
        };
        done(rig.run(write(0, 1 << 20, 9)));
        done(rig.run(VolumeOp::Flush));
        let before = rig.volume.allocated_bytes().unwrap();
        let ranges = smallvec![
            Range {
                offset: 0,
                length: 1 << 19
            },
            Range {
                offset: 1 << 19,
                length: 512
            }
        ];
        done(rig.run(VolumeOp::Unmap { ranges }));
        let after = rig.volume.allocated_bytes().unwrap();
        assert!(after + (1 << 19) <= before, "{before} -> {after}");
        assert_eq!(rig.read(0, 1 << 19), vec![0; 1 << 19]);
        assert_eq!(
            rig.read(1 << 19, 1024),
            [vec![0; 512], vec![9; 512]].concat()
        );
    }
}

#[test]
fn dropping_an_engine_with_operations_under_way_loses_none_of_their_bytes() {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        let Some(mut rig) = Rig::on_file(kind, 4 << 20, false) else {
            continue;
        };
        for index in 0..40_u8 {
            rig.start(write(u64::from(index) * 65_536, 65_536, index));
        }
        rig.engine.submit();
        let volume = Arc::clone(&rig.volume);
        rig.engine = Engine::new(EngineKind::Memory, 1, Arc::clone(&rig.pool)).unwrap();
        let content = std::fs::read(volume.path()).unwrap();
        for index in 0..40_u8 {
            let at = usize::from(index) * 65_536;
            assert!(
                content[at..at + 65_536].iter().all(|byte| *byte == index),
                "{kind:?} {index}"
            );
        }
        assert_eq!(rig.pool.in_use(), 0);
    }
}

#[test]
fn the_probe_names_an_engine_that_works_and_says_why() {
    let probe = Engine::probe();
    assert!(!probe.reason.is_empty());
    assert!(Rig::on_file(probe.kind, 4096, false).is_some());
}
