//! What an operation costs: 4 KiB at random offsets through an [`Engine`], against plain `pread` and
//! `pwrite` in a loop.
//!
//! `cargo run --release -p tidelock-replication --example engine_speed -- FOLDER [SECONDS] [CASE...]`
//! makes a file of 256 MiB in FOLDER, runs each case for SECONDS (2) in turn, three times round,
//! and prints the medians. CASE is any of the names in the first column; all by default. Under
//! `strace -c -f` one case shows its system calls.

use std::error::Error;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::epoll;
use smallvec::smallvec;
use tidelock_replication::{
    BufferPool, CreateOptions, Engine, EngineKind, OpenOptions, Volume, VolumeOp, VolumeOutcome,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SIZE: u64 = 256 << 20;
const LENGTH: usize = 4096;
const ROUNDS: usize = 3;

/// One way of doing the same thing.
struct Case {
    name: &'static str,
    how: How,
    write: bool,
    depth: u64,
}

#[derive(Clone, Copy)]
enum How {
    Plain,
    Engine(EngineKind),
}

const URING: How = How::Engine(EngineKind::Uring);
const THREADS: How = How::Engine(EngineKind::ThreadPool);

const CASES: [Case; 10] = [
    Case {
        name: "pread",
        how: How::Plain,
        write: false,
        depth: 1,
    },
    Case {
        name: "uring-read-1",
        how: URING,
        write: false,
        depth: 1,
    },
    Case {
        name: "uring-read-32",
        how: URING,
        write: false,
        depth: 32,
    },
    Case {
        name: "threads-read-1",
        how: THREADS,
        write: false,
        depth: 1,
    },
    Case {
        name: "threads-read-32",
        how: THREADS,
        write: false,
        depth: 32,
    },
    Case {
        name: "pwrite",
        how: How::Plain,
        write: true,
        depth: 1,
    },
    Case {
        name: "uring-write-1",
        how: URING,
        write: true,
        depth: 1,
    },
    Case {
        name: "uring-write-32",
        how: URING,
        write: true,
        depth: 32,
    },
    Case {
        name: "threads-write-1",
        how: THREADS,
        write: true,
        depth: 1,
    },
    Case {
        name: "threads-write-32",
        how: THREADS,
        write: true,
        depth: 32,
    },
];

/// Operations, seconds of the clock, seconds of the processor.
type Sample = (u64, f64, f64);

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder for the file")?;
    let seconds = arguments
        .next()
        .map_or(Ok(2.0), |seconds| seconds.parse())?;
    let wanted: Vec<String> = arguments.collect();
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("image");
    let open = OpenOptions {
        block_size: 4096,
        ..OpenOptions::new(&path)
    };
    let volume = Volume::create(&CreateOptions {
        open,
        size: SIZE,
        preallocate: true,
    })?;
    fs::write(&path, vec![1; usize::try_from(SIZE)?])?;
    volume.flush_blocking()?;
    let cases: Vec<&Case> = CASES
        .iter()
        .filter(|case| wanted.is_empty() || wanted.iter().any(|name| name == case.name))
        .collect();
    let mut samples: Vec<Vec<Sample>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        // In turn, so that a noisy minute hits all of them.
        for (case, samples) in cases.iter().zip(&mut samples) {
            samples.push(run(case, &volume, Duration::from_secs_f64(seconds))?);
        }
    }
    println!(
        "{:<18}{:>12}{:>18}{:>14}",
        "case", "IOPS", "per CPU-second", "CPU us/op"
    );
    for (case, samples) in cases.iter().zip(&mut samples) {
        samples.sort_by(|a, b| (a.2 / to_float(a.0)).total_cmp(&(b.2 / to_float(b.0))));
        let Some((count, clock, cpu)) = samples.get(ROUNDS / 2) else {
            continue;
        };
        let count = to_float(*count);
        println!(
            "{:<18}{:>12.0}{:>18.0}{:>14.2}",
            case.name,
            count / clock,
            count / cpu,
            cpu * 1e6 / count
        );
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn to_float(count: u64) -> f64 {
    count as f64
}

fn run(case: &Case, volume: &Arc<Volume>, length: Duration) -> Outcome<Sample> {
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    let until = begun + length;
    let count = match case.how {
        How::Plain => plain(case, volume.path(), until)?,
        How::Engine(kind) => engine(case, kind, volume, until)?,
    };
    Ok((count, begun.elapsed().as_secs_f64(), cpu_seconds()? - cpu))
}

/// Seconds of processor time of all threads, those of the ring in the kernel included.
fn cpu_seconds() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no such format")?;
    let ticks = |index| -> Outcome<f64> {
        Ok(fields
            .split_ascii_whitespace()
            .nth(index)
            .ok_or("no such field")?
            .parse()?)
    };
    // utime and stime, in hundredths of a second on every Linux.
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

/// A cheap sequence of offsets.
struct Offsets(u64);

impl Offsets {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % (SIZE / 4096) * 4096
    }
}

fn plain(case: &Case, path: &Path, until: Instant) -> Outcome<u64> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    let mut buffer = vec![1; LENGTH];
    let mut offsets = Offsets(1);
    let mut count = 0;
    while count % 256 != 0 || Instant::now() < until {
        if case.write {
            file.write_all_at(&buffer, offsets.next())?;
        } else {
            file.read_exact_at(&mut buffer, offsets.next())?;
        }
        count += 1;
    }
    Ok(count)
}

fn engine(case: &Case, kind: EngineKind, volume: &Arc<Volume>, until: Instant) -> Outcome<u64> {
    let pool = Arc::new(BufferPool::new(64 << 20));
    let mut engine = Engine::new(kind, 128, pool)?;
    let sleeper = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&sleeper, &engine, epoll::EventData::new_u64(0), flags)?;
    let payload = Bytes::from(vec![1; LENGTH]);
    let mut offsets = Offsets(1);
    let mut start = |engine: &mut Engine| {
        let offset = offsets.next();
        let op = if case.write {
            VolumeOp::Write {
                offset,
                data: smallvec![payload.clone()],
                fua: false,
            }
        } else {
            VolumeOp::Read {
                offset,
                length: LENGTH as u64,
            }
        };
        engine.start(0, volume, op);
    };
    for _ in 0..case.depth {
        start(&mut engine);
    }
    let mut count = 0;
    loop {
        engine.submit();
        let mut finished = 0;
        while let Some((_, outcome)) = engine.poll() {
            if let VolumeOutcome::Failed(fault) = outcome {
                return Err(fault.to_string().into());
            }
            finished += 1;
        }
        if finished == 0 {
            sleep(&sleeper)?;
            continue;
        }
        count += finished;
        if Instant::now() >= until {
            break;
        }
        for _ in 0..finished {
            start(&mut engine);
        }
    }
    Ok(count)
}

fn sleep(sleeper: &OwnedFd) -> Outcome<()> {
    let mut events = Vec::with_capacity(4);
    match epoll::wait(sleeper, rustix::buffer::spare_capacity(&mut events), None) {
        // The ring starting a kernel thread looks like a signal.
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
