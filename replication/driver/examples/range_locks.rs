//! What range locks cost ordinary operations, and what atomic ones cost: 4 KiB through an [`Engine`].
//!
//! `cargo run --release -p tidelock-replication --example range_locks -- FOLDER [SECONDS]` makes files in
//! FOLDER and runs each case for SECONDS (0.2) in turn, twenty times round. It prints the best round
//! and the median of each, in nanoseconds of processor time per operation: the best is what the
//! operation costs when nobody else wants the processor.
//!
//! Ordinary operations are measured without any lock, with a lock on another range of the same
//! volume, and with a thousand of them. The first against the build before is the price of having
//! locks at all (`engine_speed` measures that); the others against the first are that of a lock
//! beside one.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::smallvec;
use tidelock_replication::{
    BufferPool, CreateOptions, Engine, EngineKind, JournalPlace, OpenOptions, Volume, VolumeOp,
    VolumeOutcome,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const LENGTH: usize = 4096;
const ROUNDS: usize = 20;
/// Where the locks are, behind all that is read and written.
const BEHIND: u64 = 32 << 20;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder for the files")?;
    let seconds = arguments
        .next()
        .map_or(Ok(0.2), |seconds| seconds.parse())?;
    let folder = tempfile::tempdir_in(folder)?;
    let kind = Engine::probe().kind;
    let mut cases = Vec::new();
    for locks in [0, 1, 1000] {
        for write in [false, true] {
            cases.push(Case::ordinary(kind, folder.path(), locks, write)?);
        }
    }
    cases.push(Case::new(
        kind,
        folder.path(),
        "compare-and-write".to_owned(),
        |_| {
            let block = Bytes::from(vec![0; LENGTH]);
            VolumeOp::CompareAndWrite {
                offset: 0,
                expected: smallvec![block.clone()],
                data: smallvec![block],
                fua: false,
            }
        },
    )?);
    cases.push(Case::new(
        kind,
        folder.path(),
        "write-atomic".to_owned(),
        |_| VolumeOp::WriteAtomic {
            offset: 0,
            data: smallvec![Bytes::from(vec![0; LENGTH])],
        },
    )?);
    for _ in 0..ROUNDS {
        for case in &mut cases {
            let sample = case.run(Duration::from_secs_f64(seconds))?;
            case.samples.push(sample);
        }
    }
    println!("{:<24}{:>12}{:>12}", "case", "best ns/op", "median");
    for case in &mut cases {
        case.samples.sort_by(f64::total_cmp);
        let best = case.samples.first().copied().unwrap_or_default();
        let median = case.samples.get(ROUNDS / 2).copied().unwrap_or_default();
        println!("{:<24}{best:>12.0}{median:>12.0}", case.name);
    }
    Ok(())
}

struct Case {
    name: String,
    engine: Engine,
    volume: Arc<Volume>,
    op: Box<dyn Fn(u64) -> VolumeOp>,
    samples: Vec<f64>,
}

impl Case {
    fn new(
        kind: EngineKind,
        folder: &Path,
        name: String,
        op: impl Fn(u64) -> VolumeOp + 'static,
    ) -> Outcome<Self> {
        let mut open = OpenOptions::new(&folder.join(&name));
        open.journal = Some(JournalPlace {
            path: folder.join(format!("{name}.journal")),
            owner: [0; 16],
        });
        let volume = Volume::create(&CreateOptions {
            open,
            size: 2 * BEHIND,
            preallocate: true,
        })?;
        Ok(Self {
            name,
            engine: Engine::new(kind, 64, Arc::new(BufferPool::new(16 << 20)))?,
            volume,
            op: Box::new(op),
            samples: Vec::new(),
        })
    }

    /// Reads or writes beside so many locks, which engines that nobody turns hold for ever.
    fn ordinary(kind: EngineKind, folder: &Path, locks: u64, write: bool) -> Outcome<Self> {
        let what = if write { "write" } else { "read" };
        let data = Bytes::from(vec![1; LENGTH]);
        let case = Self::new(
            kind,
            folder,
            format!("{what}, {locks} locks"),
            move |offset| {
                let data = data.clone();
                match write {
                    true => VolumeOp::Write {
                        offset,
                        data: smallvec![data],
                        fua: false,
                    },
                    false => VolumeOp::Read {
                        offset,
                        length: LENGTH as u64,
                    },
                }
            },
        )?;
        if locks > 0 {
            let mut idle = Engine::new(kind, 1024, Arc::new(BufferPool::new(64 << 20)))?;
            for lock in 0..locks {
                let bits = VolumeOp::OrWrite {
                    offset: BEHIND + lock * LENGTH as u64,
                    data: smallvec![Bytes::from(vec![0; LENGTH])],
                    fua: false,
                };
                idle.start(lock, &case.volume, bits);
            }
            // Dropping it would give the locks back.
            std::mem::forget(idle);
        }
        Ok(case)
    }

    /// Nanoseconds of processor time per operation, at depth 1.
    fn run(&mut self, duration: Duration) -> Outcome<f64> {
        let (begun, before) = (Instant::now(), processor_time());
        let mut done = 0_u64;
        while begun.elapsed() < duration {
            for _ in 0..64 {
                let offset = done.wrapping_mul(0x9e37_79b9) % (BEHIND / LENGTH as u64);
                let op = (self.op)(offset * LENGTH as u64);
                self.engine.start(done, &self.volume, op);
                loop {
                    self.engine.submit();
                    match self.engine.poll() {
                        Some((_, VolumeOutcome::Failed(fault))) => {
                            return Err(fault.to_string().into());
                        }
                        Some(_) => break,
                        None => std::thread::yield_now(),
                    }
                }
                done += 1;
            }
        }
        let spent = processor_time().saturating_sub(before);
        let done = u32::try_from(done).unwrap_or(u32::MAX);
        Ok(spent.as_secs_f64() * 1e9 / f64::from(done))
    }
}

/// Of this thread alone: threads of the ring are not counted.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}
