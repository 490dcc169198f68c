//! A host: an engine on a thread, and random commands of all kinds.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{Timespec, epoll};
use smallvec::{SmallVec, smallvec};
use tidelock_volume::Range;

use crate::engine::{Engine, EngineKind};
use crate::op::{VolumeOp, VolumeOutcome};
use crate::volume::Volume;
use tidelock_block::BufferPool;

const PATIENCE: Duration = Duration::from_secs(30);
pub(super) const BLOCK: u64 = 512;

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub(super) struct Host {
    pub(super) engine: Engine,
    sleeper: OwnedFd,
    pub(super) volume: Arc<Volume>,
    token: u64,
}

impl Host {
    pub(super) fn new(kind: EngineKind, volume: &Arc<Volume>) -> Self {
        let pool = Arc::new(BufferPool::new(16 << 20));
        let engine = Engine::new(kind, 64, pool).unwrap();
        let sleeper = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&sleeper, &engine, epoll::EventData::new_u64(0), flags).unwrap();
        Self {
            engine,
            sleeper,
            volume: Arc::clone(volume),
            token: 0,
        }
    }

    pub(super) fn start(&mut self, op: VolumeOp) -> u64 {
        self.token += 1;
        self.engine.start(self.token, &self.volume, op);
        self.token
    }

    pub(super) fn turn(&mut self) -> Vec<(u64, VolumeOutcome)> {
        self.engine.submit();
        std::iter::from_fn(|| self.engine.poll()).collect()
    }

    pub(super) fn sleep(&self, longest: Duration) -> bool {
        let longest = Timespec::try_from(longest).unwrap();
        let mut events = Vec::with_capacity(4);
        let buffer = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.sleeper, buffer, Some(&longest)) {
            Err(rustix::io::Errno::INTR) => true,
            result => result.unwrap() > 0,
        }
    }

    /// The next that finish; at least one.
    #[track_caller]
    pub(super) fn finish(&mut self) -> Vec<(u64, VolumeOutcome)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let finished = self.turn();
            if !finished.is_empty() {
                return finished;
            }
            assert!(Instant::now() < deadline, "a command doesn't end");
            self.sleep(deadline - Instant::now());
        }
    }

    #[track_caller]
    pub(super) fn run(&mut self, op: VolumeOp) -> VolumeOutcome {
        let token = self.start(op);
        let mut finished = self.finish();
        assert_eq!(finished.len(), 1);
        let (done, outcome) = finished.remove(0);
        assert_eq!(done, token);
        outcome
    }

    /// Runs so many random commands, some at a time; what isn't busy or done is a failure, unless it may be. Answers how
    /// many were done.
    pub(super) fn work(
        &mut self,
        random: &mut Random,
        commands: usize,
        mut may_fail: impl FnMut(&VolumeOutcome) -> bool,
    ) -> usize {
        let (mut begun, mut ended, mut done) = (0, 0, 0);
        while ended < commands {
            while begun < commands && begun - ended < 8 {
                let op = any(random, &self.volume);
                self.start(op);
                begun += 1;
            }
            for (_, outcome) in self.finish() {
                ended += 1;
                match outcome {
                    VolumeOutcome::Done | VolumeOutcome::Miscompare { .. } => done += 1,
                    outcome => assert!(may_fail(&outcome), "{outcome:?}"),
                }
            }
        }
        done
    }
}

pub(super) fn pieces(random: &mut Random, length: u64) -> SmallVec<[Bytes; 2]> {
    let length = usize::try_from(length).unwrap();
    let number = random.next();
    let bytes: Vec<u8> = number.to_le_bytes().repeat(length.div_ceil(8));
    let mut bytes = Bytes::from(bytes);
    bytes.truncate(length);
    if random.below(4) > 0 {
        return smallvec![bytes];
    }
    let first = bytes.split_to(usize::try_from(random.below(length as u64)).unwrap());
    smallvec![first, bytes]
}

/// Any command that changes something, or a flush.
fn any(random: &mut Random, volume: &Volume) -> VolumeOp {
    let blocks = volume.size() / BLOCK;
    let most = match random.below(20) {
        0 => 4096,
        1..4 => 128,
        _ => 16,
    };
    let count = 1 + random.below(most.min(blocks / 2));
    let offset = random.below(blocks - count) * BLOCK;
    let length = count * BLOCK;
    let short = length.min(64 * BLOCK);
    let fua = random.below(10) == 0;
    let zero_block = Bytes::from_static(&[0; 512]);
    match random.below(20) {
        0 => VolumeOp::Flush,
        1 => VolumeOp::Unmap {
            ranges: smallvec![
                Range { offset, length },
                Range {
                    offset: random.below(blocks) * BLOCK,
                    length: BLOCK
                }
            ],
        },
        2 => VolumeOp::WriteSame {
            offset,
            length,
            block: zero_block,
            unmap: random.below(2) == 0,
            fua,
        },
        3 => VolumeOp::WriteSame {
            offset,
            length,
            block: pieces(random, BLOCK).concat().into(),
            unmap: false,
            fua,
        },
        4 => VolumeOp::CompareAndWrite {
            offset,
            expected: smallvec![Bytes::from(vec![0; usize::try_from(short).unwrap()])],
            data: pieces(random, short),
            fua,
        },
        5 => VolumeOp::OrWrite {
            offset,
            data: pieces(random, short),
            fua,
        },
        6 if volume.atomic_write_max() > 0 => VolumeOp::WriteAtomic {
            offset,
            data: pieces(random, short),
        },
        _ => VolumeOp::Write {
            offset,
            data: pieces(random, length),
            fua,
        },
    }
}
