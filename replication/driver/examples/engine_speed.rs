//! What an operation costs: 4 KiB at random offsets through an [`Engine`], on a raw volume and on a mapped
//! one that has just got a snapshot, against plain `pread` and `pwrite` in a loop.
//!
//! `cargo run --release -p tidelock-replication --example engine_speed -- FOLDER [SECONDS] [CASE...]`
//! makes two files of 256 MiB in FOLDER, runs each case for SECONDS (2) in turn, seven times round,
//! and prints the medians. CASE is any of the names in the first column, or the beginning of some; all by
//! default. Under `strace -c -f` one case shows its system calls. A volume is flushed every 16,384 writes,
//! or the blocks that a mapped one overwrites would never come back.

use std::cell::Cell;
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
    BufferPool, CreateOptions, Engine, EngineKind, Family, FamilyOptions, Id, OpenOptions, Volume,
    VolumeOp, VolumeOutcome,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SIZE: u64 = 256 << 20;
const LENGTH: usize = 4096;
const ROUNDS: usize = 7;
/// Writes between two flushes.
const FLUSH_EVERY: u64 = 1 << 14;
/// The head of the family.
const HEAD: Id = [1; 16];

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
    Raw(EngineKind),
    Mapped(EngineKind),
}

const fn case(name: &'static str, how: How, write: bool, depth: u64) -> Case {
    Case {
        name,
        how,
        write,
        depth,
    }
}

const URING: How = How::Raw(EngineKind::Uring);
const THREADS: How = How::Raw(EngineKind::ThreadPool);
const MAPPED: How = How::Mapped(EngineKind::Uring);
const MAPPED_THREADS: How = How::Mapped(EngineKind::ThreadPool);

const CASES: [Case; 18] = [
    case("pread", How::Plain, false, 1),
    case("uring-read-1", URING, false, 1),
    case("mapped-uring-read-1", MAPPED, false, 1),
    case("uring-read-32", URING, false, 32),
    case("mapped-uring-read-32", MAPPED, false, 32),
    case("threads-read-1", THREADS, false, 1),
    case("mapped-threads-read-1", MAPPED_THREADS, false, 1),
    case("threads-read-32", THREADS, false, 32),
    case("mapped-threads-read-32", MAPPED_THREADS, false, 32),
    case("pwrite", How::Plain, true, 1),
    case("uring-write-1", URING, true, 1),
    case("mapped-uring-write-1", MAPPED, true, 1),
    case("uring-write-32", URING, true, 32),
    case("mapped-uring-write-32", MAPPED, true, 32),
    case("threads-write-1", THREADS, true, 1),
    case("mapped-threads-write-1", MAPPED_THREADS, true, 1),
    case("threads-write-32", THREADS, true, 32),
    case("mapped-threads-write-32", MAPPED_THREADS, true, 32),
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
    let raw = volume(&folder.path().join("image"))?;
    let mapped = Mapped::new(folder.path())?;
    let cases: Vec<&Case> = CASES
        .iter()
        .filter(|case| {
            wanted.is_empty()
                || wanted
                    .iter()
                    .any(|name| case.name.starts_with(name.as_str()))
        })
        .collect();
    let mut samples: Vec<Vec<Sample>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        // In turn, so that a noisy minute hits all of them.
        for (case, samples) in cases.iter().zip(&mut samples) {
            samples.push(run(case, &raw, &mapped, Duration::from_secs_f64(seconds))?);
        }
    }
    println!(
        "{:<24}{:>12}{:>18}{:>14}",
        "case", "IOPS", "per CPU-second", "CPU us/op"
    );
    for (case, samples) in cases.iter().zip(&mut samples) {
        samples.sort_by(|a, b| (a.2 / to_float(a.0)).total_cmp(&(b.2 / to_float(b.0))));
        let Some((count, clock, cpu)) = samples.get(ROUNDS / 2) else {
            continue;
        };
        let count = to_float(*count);
        println!(
            "{:<24}{:>12.0}{:>18.0}{:>14.2}",
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

/// A raw volume, full of data.
fn volume(path: &Path) -> Outcome<Arc<Volume>> {
    let open = OpenOptions {
        block_size: 4096,
        ..OpenOptions::new(path)
    };
    let volume = Volume::create(&CreateOptions {
        open,
        size: SIZE,
        preallocate: true,
    })?;
    fs::write(path, vec![1; usize::try_from(SIZE)?])?;
    volume.flush_blocking()?;
    Ok(volume)
}

/// A volume in a family, of which all but the odd MiB is at home.
struct Mapped {
    volume: Arc<Volume>,
    family: Arc<Family>,
    snapshots: Cell<u8>,
}

impl Mapped {
    fn new(folder: &Path) -> Outcome<Self> {
        let volume = volume(&folder.join("home"))?;
        let options = FamilyOptions::new(folder.join("family"), [9; 16]);
        let family = Family::create(&options, &volume, HEAD)?;
        family.adopt(&volume, HEAD)?;
        Ok(Self {
            volume,
            family,
            snapshots: Cell::new(HEAD[0]),
        })
    }

    /// Takes a snapshot, and deletes the last one.
    fn snapshot(&self) -> Outcome<()> {
        let last = self.snapshots.get();
        self.snapshots.set(last + 1);
        Family::snapshot(&[(Arc::clone(&self.family), HEAD, [last + 1; 16])])?;
        if last > HEAD[0] {
            self.family.delete([last; 16])?;
        }
        while self.family.datasets().len() > 2 {
            self.family.checkpoint()?;
        }
        Ok(())
    }
}

fn run(case: &Case, raw: &Arc<Volume>, mapped: &Mapped, length: Duration) -> Outcome<Sample> {
    if matches!(case.how, How::Mapped(_)) && case.write {
        mapped.snapshot()?;
    }
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let until = begun + length;
    let count = match case.how {
        How::Plain => plain(case, raw.path(), until)?,
        How::Raw(kind) => engine(case, kind, raw, until)?,
        How::Mapped(kind) => engine(case, kind, &mapped.volume, until)?,
    };
    Ok((count, begun.elapsed().as_secs_f64(), cpu_seconds() - cpu))
}

/// Seconds of processor time of all threads, those of the ring in the kernel included.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    Duration::from_secs(seconds).as_secs_f64() + Duration::from_nanos(nanoseconds).as_secs_f64()
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
    let (mut count, mut flushed) = (0, 0);
    loop {
        engine.submit();
        let mut finished = 0;
        while let Some((token, outcome)) = engine.poll() {
            if let VolumeOutcome::Failed(fault) = outcome {
                return Err(fault.to_string().into());
            }
            // A flush comes on top of the others.
            finished += 1 - token;
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
        if case.write && count - flushed >= FLUSH_EVERY {
            flushed = count;
            engine.start(1, volume, VolumeOp::Flush);
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
