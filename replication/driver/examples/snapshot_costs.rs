//! What snapshots cost: making them, writing and reading under them, deleting them, opening what has many.
//!
//! `cargo run --release -p tidelock-replication --example snapshot_costs -- FOLDER [--quick]` makes sparse
//! volumes in FOLDER and prints one line per figure: its name, its value, its unit. `benches/snapshots`
//! puts them beside those of qcow2.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::epoll;
use smallvec::smallvec;
use tidelock_replication::{
    BufferPool, CreateOptions, Engine, EngineKind, Family, FamilyOptions, Id, MappedOptions,
    OpenOptions, Volume, VolumeOp, VolumeOutcome,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const GIB: u64 = 1 << 30;
const BLOCK: u64 = 4096;
/// Of a volume, the part that hosts use here.
const USED: u64 = 256 << 20;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder for the files")?;
    let quick = arguments.any(|argument| argument == "--quick");
    let folder = Path::new(&folder);
    for (name, size) in [
        ("1GiB", GIB),
        ("1TiB", 1024 * GIB),
        ("16TiB", 16 * 1024 * GIB),
    ] {
        match Bench::new(folder, size) {
            Ok(bench) => creation(&bench, name, if quick { 20 } else { 100 })?,
            // ext4 has no files of 16 TiB.
            Err(error) => println!("# creation-{name} not measured: {error}"),
        }
    }
    writes(folder, quick)?;
    depths(folder, quick)?;
    deletion(folder, quick)?;
    opening(folder, quick)?;
    Ok(())
}

fn tell(name: &str, value: f64, unit: &str) {
    println!("{name} {value:.3} {unit}");
}

fn number_of(number: u32) -> Id {
    let mut id = [0xaa; 16];
    for (place, byte) in id.iter_mut().zip(number.to_le_bytes()) {
        *place = byte;
    }
    id
}

/// A volume in a family.
struct Bench {
    folder: tempfile::TempDir,
    volume: Arc<Volume>,
    family: Arc<Family>,
    size: u64,
    next: std::sync::atomic::AtomicU32,
}

const HEAD: Id = [1; 16];

fn options(folder: &Path) -> FamilyOptions {
    FamilyOptions::new(folder.join("family"), [9; 16])
}

fn raw(folder: &Path, size: u64) -> Outcome<Arc<Volume>> {
    let open = OpenOptions {
        block_size: 4096,
        ..OpenOptions::new(&folder.join("home"))
    };
    Ok(Volume::create(&CreateOptions {
        open,
        size,
        preallocate: false,
    })?)
}

impl Bench {
    fn new(folder: &Path, size: u64) -> Outcome<Self> {
        let folder = tempfile::tempdir_in(folder)?;
        let volume = raw(folder.path(), size)?;
        let family = Family::create(&options(folder.path()), &volume, HEAD)?;
        family.adopt(&volume, HEAD)?;
        Ok(Self {
            folder,
            volume,
            family,
            size,
            next: std::sync::atomic::AtomicU32::new(100),
        })
    }

    fn snapshot(&self) -> Outcome<Id> {
        let id = number_of(self.next.fetch_add(1, Ordering::Relaxed));
        Family::snapshot(&[(Arc::clone(&self.family), HEAD, id)])?;
        Ok(id)
    }
}

/// Reads or writes of 4 KiB at random offsets in the first bytes of a volume.
struct Load {
    engine: Engine,
    sleeper: std::os::fd::OwnedFd,
    volume: Arc<Volume>,
    write: bool,
    depth: u64,
    random: u64,
    used: u64,
}

/// What a load has seen: operations, seconds, and the latencies in microseconds, sorted.
struct Seen {
    count: u64,
    seconds: f64,
    latencies: Vec<u32>,
}

impl Seen {
    fn iops(&self) -> f64 {
        to_float(self.count) / self.seconds
    }

    /// In milliseconds.
    fn percentile(&self, part: f64) -> f64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index that is cut to the length"
        )]
        let index = (self.latencies.len() as f64 * part) as usize;
        let index = index.min(self.latencies.len().saturating_sub(1));
        let found = self.latencies.get(index).copied().unwrap_or_default();
        f64::from(found) / 1000.0
    }
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn to_float(count: u64) -> f64 {
    count as f64
}

impl Load {
    fn new(volume: &Arc<Volume>, write: bool, depth: u64) -> Outcome<Self> {
        let pool = Arc::new(BufferPool::new(64 << 20));
        let engine = Engine::new(EngineKind::Uring, 128, pool)?;
        let sleeper = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&sleeper, &engine, epoll::EventData::new_u64(0), flags)?;
        Ok(Self {
            engine,
            sleeper,
            volume: Arc::clone(volume),
            write,
            depth,
            random: 1,
            used: USED.min(volume.size()),
        })
    }

    fn start(&mut self, token: u64) {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let offset = (self.random >> 33) % (self.used / BLOCK) * BLOCK;
        let op = if self.write {
            VolumeOp::Write {
                offset,
                data: smallvec![Bytes::from_static(&[7; 4096])],
                fua: false,
            }
        } else {
            VolumeOp::Read {
                offset,
                length: BLOCK,
            }
        };
        self.engine.start(token, &self.volume, op);
    }

    /// Goes on until `enough` says so.
    fn run(&mut self, mut enough: impl FnMut(u64) -> bool) -> Outcome<Seen> {
        let begun = Instant::now();
        let mut starts = vec![begun; usize::try_from(self.depth)?];
        let mut latencies = Vec::new();
        let mut count = 0;
        for token in 0..self.depth {
            self.start(token);
        }
        let mut under_way = self.depth;
        while under_way > 0 {
            self.engine.submit();
            let mut finished: Vec<u64> = Vec::new();
            while let Some((token, outcome)) = self.engine.poll() {
                if let VolumeOutcome::Failed(fault) = outcome {
                    return Err(fault.to_string().into());
                }
                finished.push(token);
            }
            if finished.is_empty() {
                let mut events = Vec::with_capacity(4);
                let space = rustix::buffer::spare_capacity(&mut events);
                match epoll::wait(&self.sleeper, space, None) {
                    // The ring starting a kernel thread looks like a signal.
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
                continue;
            }
            let now = Instant::now();
            for token in finished {
                under_way -= 1;
                count += 1;
                if let Some(start) = starts.get_mut(usize::try_from(token)?) {
                    let micros = now.duration_since(*start).as_micros();
                    latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
                    *start = now;
                }
                if !enough(count) {
                    self.start(token);
                    under_way += 1;
                }
            }
        }
        latencies.sort_unstable();
        Ok(Seen {
            count,
            seconds: begun.elapsed().as_secs_f64(),
            latencies,
        })
    }

    fn count(&mut self, operations: u64) -> Outcome<Seen> {
        let last = operations.saturating_sub(self.depth);
        self.run(|count| count > last)
    }

    fn last(&mut self, time: Duration) -> Outcome<Seen> {
        let until = Instant::now() + time;
        self.run(|_| Instant::now() >= until)
    }
}

/// How long a snapshot takes, and for how long writes stand still, while a host writes at depth 4.
fn creation(bench: &Bench, name: &str, rounds: usize) -> Outcome<()> {
    let stop = AtomicBool::new(false);
    let mut times = Vec::with_capacity(rounds);
    let (calm, seen) = std::thread::scope(|scope| -> Outcome<(Seen, Seen)> {
        let writer = scope.spawn(|| -> Outcome<(Seen, Seen)> {
            let mut load = Load::new(&bench.volume, true, 4)?;
            let calm = load.last(Duration::from_secs(1))?;
            let seen = load.run(|_| stop.load(Ordering::Relaxed))?;
            Ok((calm, seen))
        });
        std::thread::sleep(Duration::from_millis(1200));
        for _ in 0..rounds {
            let begun = Instant::now();
            bench.snapshot()?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().map_err(|_| "the writer has failed")?
    })?;
    times.sort_by(f64::total_cmp);
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    tell(&format!("creation-{name}-median"), middle, "ms");
    let longest = times.last().copied().unwrap_or_default();
    tell(&format!("creation-{name}-longest"), longest, "ms");
    tell(&format!("calm-{name}-p99"), calm.percentile(0.99), "ms");
    tell(&format!("stall-{name}-p99"), seen.percentile(0.99), "ms");
    tell(&format!("stall-{name}-p99.9"), seen.percentile(0.999), "ms");
    tell(&format!("stall-{name}-longest"), seen.percentile(1.0), "ms");
    Ok(())
}

/// Random writes of 4 KiB, at depth 32, before and right after a snapshot: each block once or so.
fn writes(folder: &Path, quick: bool) -> Outcome<()> {
    let rounds = if quick { 3 } else { 7 };
    let operations = USED / BLOCK;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let place = tempfile::tempdir_in(folder)?;
    let plain = raw(place.path(), USED)?;
    fill(&plain)?;
    let bench = Bench::new(folder, USED)?;
    fill(&bench.volume)?;
    for _ in 0..rounds {
        before.push(Load::new(&plain, true, 32)?.count(operations)?.iops());
        bench.snapshot()?;
        after.push(
            Load::new(&bench.volume, true, 32)?
                .count(operations)?
                .iops(),
        );
    }
    tell("writes-raw", median(&mut before), "IOPS");
    tell("writes-after-snapshot", median(&mut after), "IOPS");
    tell(
        "writes-fraction",
        median(&mut after) / median(&mut before),
        "of raw",
    );
    let maps = to_float(bench.family.space()?.maps_bytes) / to_float(1 << 20);
    let part = to_float(USED) / to_float(1024 * GIB);
    tell("maps-of-a-fragmented-volume", maps / part, "MiB per TiB");
    Ok(())
}

fn fill(volume: &Arc<Volume>) -> Outcome<()> {
    let mut load = Load::new(volume, true, 1)?;
    for offset in (0..volume.size().min(USED)).step_by(1 << 20) {
        let data = smallvec![Bytes::from_static(&[3; 1 << 20])];
        let op = VolumeOp::Write {
            offset,
            data,
            fua: false,
        };
        load.engine.start(0, volume, op);
        loop {
            load.engine.submit();
            match load.engine.poll() {
                Some((_, VolumeOutcome::Failed(fault))) => return Err(fault.to_string().into()),
                Some(_) => break,
                None => std::thread::yield_now(),
            }
        }
    }
    Ok(volume.flush_blocking()?)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Random and sequential reads under so many snapshots, with some writes between any two.
fn depths(folder: &Path, quick: bool) -> Outcome<()> {
    let bench = Bench::new(folder, USED)?;
    fill(&bench.volume)?;
    let mut depth = 0_u64;
    let mut flat = None;
    let wanted: &[u64] = if quick {
        &[0, 10, 1000]
    } else {
        &[0, 10, 1000, 10_000]
    };
    for wanted in wanted {
        let mut load = Load::new(&bench.volume, true, 8)?;
        while depth < *wanted {
            bench.snapshot()?;
            load.random = depth.wrapping_mul(0x9e37_79b9);
            load.count(16)?;
            depth += 1;
        }
        bench.family.checkpoint()?;
        let mut rates = Vec::new();
        for _ in 0..3 {
            let mut load = Load::new(&bench.volume, false, 32)?;
            rates.push(load.last(Duration::from_millis(700))?.iops());
        }
        let rate = median(&mut rates);
        let flat = *flat.get_or_insert(rate);
        tell(&format!("reads-depth-{depth}"), rate, "IOPS");
        tell(
            &format!("reads-depth-{depth}-fraction"),
            rate / flat,
            "of depth 0",
        );
    }
    Ok(())
}

/// Deletes a snapshot half of which is its own, while a host writes at a steady depth.
fn deletion(folder: &Path, quick: bool) -> Outcome<()> {
    let bench = Bench::new(folder, USED)?;
    fill(&bench.volume)?;
    let snapshot = bench.snapshot()?;
    let mut load = Load::new(&bench.volume, true, 4)?;
    load.used = USED / 2;
    load.count(USED / BLOCK)?;
    bench.family.checkpoint()?;
    let time = Duration::from_secs(if quick { 2 } else { 5 });
    let calm = load.last(time)?;
    let begun = Instant::now();
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| -> Outcome<Seen> {
        let watcher = scope.spawn(|| -> Outcome<f64> {
            bench.family.delete(snapshot)?;
            while bench.family.datasets().iter().any(|info| info.deleting) {
                std::thread::sleep(Duration::from_millis(1));
            }
            done.store(true, Ordering::Relaxed);
            Ok(begun.elapsed().as_secs_f64())
        });
        let seen = load.run(|_| done.load(Ordering::Relaxed) && begun.elapsed() >= time)?;
        let seconds = watcher.join().map_err(|_| "the deletion has failed")??;
        tell("deletion-128MiB", seconds * 1000.0, "ms");
        Ok(seen)
    })?;
    tell("deletion-p99-before", calm.percentile(0.99), "ms");
    tell("deletion-p99-during", seen.percentile(0.99), "ms");
    tell(
        "deletion-p99-factor",
        seen.percentile(0.99) / calm.percentile(0.99),
        "of before",
    );
    Ok(())
}

/// Opens what was left in the middle of its work: 16 TiB with 1,000 snapshots.
fn opening(folder: &Path, quick: bool) -> Outcome<()> {
    let sizes = [(16 * 1024 * GIB, "16TiB"), (1024 * GIB, "1TiB")];
    let found = sizes.into_iter().find_map(|(size, name)| {
        let bench = Bench::new(folder, size).ok()?;
        Some((bench, name))
    });
    let (bench, name) = found.ok_or("no large file can be made here")?;
    let mut load = Load::new(&bench.volume, true, 8)?;
    for _ in 0..if quick { 100 } else { 1000 } {
        bench.snapshot()?;
        load.count(64)?;
    }
    bench.volume.flush_blocking()?;
    load.count(20_000)?;
    bench.volume.flush_blocking()?;
    drop(load);
    let Bench {
        folder,
        volume,
        family,
        size,
        ..
    } = bench;
    let space = family.space()?;
    tell(
        &format!("maps-of-{name}"),
        to_float(space.maps_bytes) / to_float(1 << 20),
        "MiB",
    );
    drop((volume, family));
    let home = OpenOptions::new(&folder.path().join("home"));
    let begun = Instant::now();
    // Its threads let go of the files in a moment.
    let family = loop {
        match Family::open(&options(folder.path()), Some(&home)) {
            Ok(family) => break family,
            Err(error) if begun.elapsed() > Duration::from_secs(60) => return Err(error.into()),
            Err(_) => std::thread::yield_now(),
        }
    };
    let options = MappedOptions {
        block_size: 4096,
        size,
        read_only: false,
    };
    family.volume(HEAD, &options)?;
    let seconds = begun.elapsed().as_secs_f64();
    tell(&format!("opening-{name}"), seconds, "s");
    family.close()?;
    Ok(())
}
