//! All engines against one model, and each with its own failures.

mod copying;
mod lost_writes;
mod model;

use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use smallvec::smallvec;
use tempfile::TempDir;

use super::*;
use crate::buffer::BufferPool;
use crate::error::BlockErrorKind;
use crate::file::FileOptions;
use memory::{MemoryFile, MemoryIo};
use threads::ThreadsIo;
use uring::UringIo;

const PATIENCE: Duration = Duration::from_secs(20);

/// An engine, a file of zeros for it, and memory.
struct Rig {
    io: EngineIo,
    sleeper: OwnedFd,
    is_tmpfs: bool,
    file: Arc<BlockFile>,
    pool: BufferPool,
    _folder: Option<TempDir>,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Uring,
    /// A file in a tmpfs.
    UringTmpfs,
    Threads,
    Memory,
}

const ALL: [Which; 4] = [
    Which::Uring,
    Which::UringTmpfs,
    Which::Threads,
    Which::Memory,
];

impl Rig {
    fn new(which: Which, size: usize, depth: u32) -> Option<Self> {
        Self::with(which, size, depth, false)
    }

    fn with(which: Which, size: usize, depth: u32, direct: bool) -> Option<Self> {
        let folder = match which {
            Which::UringTmpfs => tempfile::tempdir_in("/dev/shm").unwrap(),
            _ => tempfile::tempdir().unwrap(),
        };
        let path = folder.path().join("image");
        fs::write(&path, vec![0; size]).unwrap();
        let options = FileOptions {
            direct,
            ..FileOptions::new(path)
        };
        let (io, file) = match which {
            Which::Uring | Which::UringTmpfs => {
                let io = UringIo::new(depth)
                    .inspect_err(|error| eprintln!("NOT TESTED on this host: {error}"))
                    .ok()?;
                (EngineIo::Uring(io), BlockFile::open(&options).unwrap())
            }
            Which::Threads => (
                EngineIo::Threads(ThreadsIo::new(depth).unwrap()),
                BlockFile::open(&options).unwrap(),
            ),
            Which::Memory => (
                EngineIo::Memory(MemoryIo::new(depth).unwrap()),
                BlockFile::in_memory(MemoryFile::new(size)),
            ),
        };
        let is_tmpfs = matches!(which, Which::UringTmpfs);
        Some(Self {
            is_tmpfs,
            _folder: Some(folder),
            ..Self::around(io, file)
        })
    }

    fn around(io: EngineIo, file: Arc<BlockFile>) -> Self {
        Self {
            sleeper: sleeper(&io),
            is_tmpfs: false,
            io,
            file,
            pool: BufferPool::new(64 << 20),
            _folder: None,
        }
    }

    fn request(&self, tag: u64, op: OpKind) -> Request {
        Request {
            tag,
            file: Arc::clone(&self.file),
            op,
        }
    }

    fn read(&self, offset: u64, len: usize) -> OpKind {
        OpKind::Read {
            offset,
            buffer: self.pool.try_take(len).unwrap(),
        }
    }

    fn push(&mut self, tag: u64, op: OpKind) {
        self.io.push(self.request(tag, op)).unwrap();
    }

    /// Sleeps on the descriptor, as a reactor does, until something has finished.
    fn next(&mut self) -> Completion {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.io.submit();
            if let Some(completion) = self.io.next_completion() {
                return completion;
            }
            if self.io.needs_submit() {
                continue;
            }
            assert!(Instant::now() < deadline, "nothing finishes");
            assert!(self.sleeps_no_longer_than(PATIENCE), "nothing finishes");
        }
    }

    /// Waits until the descriptor has become readable; false if it hasn't in time.
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

    /// Zeroes a range the way the file system has: tmpfs can only punch.
    fn zero(&mut self, offset: u64, length: u64) {
        match self.run(OpKind::ZeroRange { offset, length }).result {
            Err(error) if error.kind() == BlockErrorKind::Unsupported && self.is_tmpfs => {
                self.run(OpKind::PunchHole { offset, length })
                    .result
                    .unwrap();
            }
            result => result.unwrap(),
        }
    }

    fn run(&mut self, op: OpKind) -> Completion {
        self.push(9, op);
        self.next()
    }
}

fn sleeper(io: &EngineIo) -> OwnedFd {
    let sleeper = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&sleeper, io, epoll::EventData::new_u64(0), flags).unwrap();
    sleeper
}

fn write(offset: u64, data: &[u8]) -> OpKind {
    OpKind::Write {
        offset,
        data: smallvec![Bytes::copy_from_slice(data)],
        dsync: false,
    }
}

fn bytes(completion: Completion) -> Vec<u8> {
    completion.result.unwrap();
    match completion.op {
        OpKind::Read { buffer, .. } => buffer.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Runs a test on every engine that this host has.
fn on_each(size: usize, test: impl Fn(&mut Rig)) {
    for which in ALL {
        if let Some(mut rig) = Rig::new(which, size, 64) {
            test(&mut rig);
        }
    }
}

#[test]
fn what_is_written_is_read_back() {
    on_each(1 << 20, |rig| {
        rig.run(write(4096, b"hello")).result.unwrap();
        let read = rig.read(4094, 10);
        assert_eq!(bytes(rig.run(read)), b"\0\0hello\0\0\0");
    });
}

#[test]
fn a_write_of_many_small_pieces_is_continued_until_all_are_written() {
    on_each(1 << 20, |rig| {
        let data: SmallVec<[Bytes; 2]> = (0..2000_u16)
            .map(|n| Bytes::copy_from_slice(&n.to_be_bytes()))
            .collect();
        let expected: Vec<u8> = data.iter().flatten().copied().collect();
        rig.run(OpKind::Write {
            offset: 100,
            data,
            dsync: true,
        })
        .result
        .unwrap();
        let read = rig.read(100, expected.len());
        assert_eq!(bytes(rig.run(read)), expected);
    });
}

#[test]
fn a_read_beyond_the_end_is_an_error_and_not_zeros() {
    on_each(8192, |rig| {
        let read = rig.read(4096, 8192);
        let error = rig.run(read).result.unwrap_err();
        assert_eq!(error.kind(), BlockErrorKind::UnexpectedEnd);
        assert!(error.to_string().contains("shorter"), "{error}");
    });
}

#[test]
fn holes_and_zeroed_ranges_read_as_zeros() {
    on_each(65_536, |rig| {
        rig.run(write(0, &[7; 65_536])).result.unwrap();
        rig.run(OpKind::PunchHole {
            offset: 4096,
            length: 4096,
        })
        .result
        .unwrap();
        rig.zero(16_384, 512);
        let read = rig.read(0, 65_536);
        let content = bytes(rig.run(read));
        for (index, byte) in content.iter().enumerate() {
            let zero = (4096..8192).contains(&index) || (16_384..16_896).contains(&index);
            assert_eq!(*byte, if zero { 0 } else { 7 }, "at {index}");
        }
        assert_eq!(rig.file.size().unwrap(), 65_536);
    });
}

#[test]
fn empty_transfers_succeed() {
    on_each(4096, |rig| {
        rig.run(write(0, b"")).result.unwrap();
        let read = rig.read(0, 0);
        assert_eq!(bytes(rig.run(read)), b"");
    });
}

#[test]
fn a_full_engine_gives_the_request_back_and_takes_it_later() {
    for which in ALL {
        let Some(mut rig) = Rig::new(which, 8192, 2) else {
            continue;
        };
        rig.push(1, write(0, b"a"));
        rig.push(2, write(1, b"b"));
        let Err(Full(back)) = rig.io.push(rig.request(3, write(2, b"c"))) else {
            panic!("{which:?} takes more than its depth");
        };
        assert_eq!((back.tag, rig.io.in_flight()), (3, 2));
        rig.next();
        rig.io.push(back).unwrap();
        rig.next();
        rig.next();
        assert_eq!(rig.io.in_flight(), 0);
        let read = rig.read(0, 3);
        assert_eq!(bytes(rig.run(read)), b"abc");
    }
}

#[test]
fn many_more_operations_than_the_queue_has_entries_all_complete() {
    for which in ALL {
        let Some(mut rig) = Rig::new(which, 4 << 20, 1000) else {
            continue;
        };
        for tag in 0..1000_u32 {
            rig.push(
                u64::from(tag),
                write(u64::from(tag) * 4096, &tag.to_be_bytes()),
            );
        }
        let mut seen = vec![false; 1000];
        for _ in 0..1000 {
            let completion = rig.next();
            completion.result.unwrap();
            let seen = &mut seen[usize::try_from(completion.tag).unwrap()];
            assert!(!std::mem::replace(seen, true), "completed twice");
        }
        let read = rig.read(999 * 4096, 4);
        assert_eq!(bytes(rig.run(read)), 999_u32.to_be_bytes());
    }
}

#[test]
fn a_file_that_belongs_to_another_engine_is_refused() {
    let memory = BlockFile::in_memory(MemoryFile::new(4096));
    for which in [Which::Uring, Which::UringTmpfs, Which::Threads] {
        let Some(mut rig) = Rig::new(which, 4096, 4) else {
            continue;
        };
        rig.file = Arc::clone(&memory);
        let completion = rig.run(OpKind::DataSync);
        assert!(completion.result.is_err());
    }
    let mut rig = Rig::new(Which::Threads, 4096, 4).unwrap();
    rig.io = EngineIo::Memory(MemoryIo::new(4).unwrap());
    assert!(rig.run(OpKind::DataSync).result.is_err());
}

#[test]
fn dropping_an_engine_lets_its_operations_land_first() {
    for which in [Which::Uring, Which::UringTmpfs, Which::Threads] {
        let Some(mut rig) = Rig::new(which, 8 << 20, 128) else {
            continue;
        };
        for tag in 0..128_u8 {
            let mut buffer = rig.pool.try_take(65_536).unwrap();
            buffer.fill(tag);
            let data = smallvec![buffer.freeze()];
            let offset = u64::from(tag) * 65_536;
            rig.push(
                tag.into(),
                OpKind::Write {
                    offset,
                    data,
                    dsync: false,
                },
            );
        }
        rig.io.submit();
        rig.io = EngineIo::Memory(MemoryIo::new(1).unwrap());
        assert_eq!(rig.pool.in_use(), 0, "{which:?} keeps memory");
        let content = fs::read(&**rig.file.path()).unwrap();
        for (tag, chunk) in content.chunks(65_536).enumerate() {
            let tag = u8::try_from(tag).unwrap();
            assert!(
                chunk.iter().all(|byte| *byte == tag),
                "{which:?}: write {tag} is lost"
            );
        }
    }
}

#[test]
fn a_waker_makes_a_sleeping_engine_readable_again_and_again() {
    for which in ALL {
        let Some(mut rig) = Rig::new(which, 4096, 4) else {
            continue;
        };
        for round in 0..3 {
            let waker = rig.io.waker();
            rig.io.submit();
            while rig.io.next_completion().is_some() {}
            assert!(
                !rig.sleeps_no_longer_than(Duration::ZERO),
                "{which:?} is readable in round {round} without reason"
            );
            let thread = std::thread::spawn(move || waker.wake());
            assert!(
                rig.sleeps_no_longer_than(PATIENCE),
                "{which:?} sleeps on in round {round}"
            );
            thread.join().unwrap();
            rig.io.submit();
            assert!(rig.io.next_completion().is_none());
        }
    }
}

#[test]
fn edge_triggered_waiting_misses_no_completion() {
    for which in [Which::Uring, Which::UringTmpfs, Which::Threads] {
        let Some(mut rig) = Rig::new(which, 1 << 20, 64) else {
            continue;
        };
        for round in 0..200_u64 {
            let pushed = 1 + round % 4;
            for tag in 0..pushed {
                rig.push(
                    tag,
                    if tag == 3 {
                        OpKind::DataSync
                    } else {
                        write(tag * 512, b"x")
                    },
                );
            }
            rig.io.submit();
            let mut finished = 0;
            loop {
                while let Some(completion) = rig.io.next_completion() {
                    completion.result.unwrap();
                    finished += 1;
                }
                if finished == pushed {
                    break;
                }
                let woken = rig.sleeps_no_longer_than(PATIENCE);
                assert!(woken, "{which:?} sleeps on in round {round}");
                rig.io.submit();
            }
        }
    }
}

#[test]
fn direct_io_moves_aligned_buffers() {
    for which in [Which::Uring, Which::UringTmpfs, Which::Threads] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("probe");
        fs::write(&path, [0; 4096]).unwrap();
        let options = FileOptions {
            direct: true,
            ..FileOptions::new(path)
        };
        if let Err(error) = BlockFile::open(&options) {
            eprintln!("NOT TESTED here: {error}");
            continue;
        }
        let Some(mut rig) = Rig::with(which, 1 << 20, 8, true) else {
            continue;
        };
        let mut buffer = rig.pool.try_take(8192).unwrap();
        buffer.fill(5);
        let data = smallvec![buffer.freeze()];
        rig.run(OpKind::Write {
            offset: 4096,
            data,
            dsync: true,
        })
        .result
        .unwrap();
        let read = rig.read(0, 16_384);
        let content = bytes(rig.run(read));
        assert_eq!(content.iter().filter(|byte| **byte == 5).count(), 8192);
    }
}
