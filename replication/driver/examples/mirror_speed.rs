//! What a local mirror costs: 4 KiB writes at random offsets of a raw file through an [`Engine`], alone and as the source
//! of a synchronous mirror whose other end is a second file in the same process.
//!
//! `cargo run --release -p tidelock-replication --example mirror_speed -- FOLDER [SECONDS]` makes three files of 256 MiB in
//! FOLDER, runs each case for SECONDS (2) in turn, five times round, and prints the medians: writes per second, and processor time of all threads
//! for each, which says more where others use the machine too. Both are flushed every 16,384 writes.

use std::error::Error;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::epoll;
use smallvec::smallvec;
use tidelock_mirror::association::{Event, Report};
use tidelock_mirror::generation::Standing;
use tidelock_mirror::id::{MirrorId, NodeId};
use tidelock_mirror::link::Message;
use tidelock_replication::mirror::{
    Beginning, End, EndConfig, Hands, Inbox, Nearby, Shell, is_on_an_engine,
};
use tidelock_replication::{
    BufferPool, CreateOptions, Engine, EngineKind, OpenOptions, Volume, VolumeOp, VolumeOutcome,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SIZE: u64 = 256 << 20;
const REGION: u64 = 1 << 20;
const LENGTH: usize = 4096;
const SOURCE: NodeId = NodeId(1);
const TARGET: NodeId = NodeId(2);
const ROUNDS: usize = 5;
const FLUSH_EVERY: u64 = 1 << 14;

/// What comes to an end.
#[derive(Default)]
struct Way {
    inbox: Inbox<Event>,
    end: OnceLock<Weak<End>>,
}

impl Way {
    fn bring(&self) {
        self.inbox.bring(|event| {
            if let Some(end) = self.end.get().and_then(Weak::upgrade) {
                end.event(event);
            }
        });
    }
}

/// What one end says to the other: at once if that is on the thread of an engine, as in the daemon.
struct Wire {
    me: NodeId,
    to: Arc<Way>,
    post: Sender<Arc<Way>>,
}

impl Shell for Wire {
    fn send(&self, _: NodeId, message: Message) {
        self.to.inbox.put(Event::Received(self.me, message));
        if is_on_an_engine() {
            self.to.bring();
        } else {
            let _ = self.post.send(Arc::clone(&self.to));
        }
    }
    fn disconnect(&self, _: NodeId) {}
    fn start_timer(&self) {}
    fn stop_timer(&self) {}
    fn ask_to_go_on_alone(&self, _: u64) {}

    fn report(&self, _: Report) {}
}

fn volume(folder: &Path, name: &str) -> Outcome<Arc<Volume>> {
    let path = folder.join(name);
    let _ = std::fs::remove_file(&path);
    let options = CreateOptions {
        open: OpenOptions::new(&path),
        size: SIZE,
        preallocate: true,
    };
    Ok(Volume::create(&options)?)
}

/// An end that says what it has to say by `wire`.
fn end(folder: &Path, volume: &Arc<Volume>, hands: &Arc<Nearby>, wire: Wire) -> Outcome<Arc<End>> {
    let me = wire.me;
    let place = folder.join(format!("end-{me}"));
    End::remove(&place)?;
    let beginning = Beginning {
        mirror: MirrorId(1),
        me,
        volume_bytes: SIZE,
        region_bytes: REGION,
        source: me == SOURCE,
    };
    End::create(&place, beginning)?;
    let config = EndConfig::new(Arc::clone(hands) as _);
    Ok(End::open(&place, config, volume, Arc::new(wire))?)
}

fn mirror(
    folder: &Path,
    [source, target]: &[Arc<Volume>; 2],
    kind: EngineKind,
) -> Outcome<[Arc<End>; 2]> {
    let hands = Arc::new(Hands::new(kind, 128, 64 << 20)?);
    let hands = Arc::new(Nearby::new(hands));
    let ways = [SOURCE, TARGET].map(|_| Arc::new(Way::default()));
    let [to_source, to_target] = &ways;
    let (post, letters) = channel();
    let wire = |me, to: &Arc<Way>| Wire {
        me,
        to: Arc::clone(to),
        post: post.clone(),
    };
    // Before anything that the other end says.
    to_source.inbox.put(Event::Connected(TARGET));
    to_target.inbox.put(Event::Connected(SOURCE));
    let source = end(folder, source, &hands, wire(SOURCE, to_target))?;
    let target = end(folder, target, &hands, wire(TARGET, to_source))?;
    for (way, end) in ways.iter().zip([&source, &target]) {
        let _ = way.end.set(Arc::downgrade(end));
        way.bring();
    }
    std::thread::spawn(move || {
        while let Ok(way) = letters.recv() {
            Way::bring(&way);
        }
    });
    let in_step = || {
        let peers = source.facts().peers;
        peers.iter().any(|it| it.standing == Standing::InStep)
    };
    while !in_step() {
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok([source, target])
}

/// What a run has come to.
#[derive(Clone, Copy)]
struct Speed {
    per_second: u64,
    /// Processor time of one.
    ns: u64,
}

/// Processor time so far, in nanoseconds.
fn processor() -> Outcome<u64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(u64::try_from(time.tv_sec)? * 1_000_000_000 + u64::try_from(time.tv_nsec)?)
}

fn run(kind: EngineKind, volume: &Arc<Volume>, depth: u64, longest: Duration) -> Outcome<Speed> {
    let mut engine = Engine::new(kind, 128, Arc::new(BufferPool::new(64 << 20)))?;
    let sleeper = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&sleeper, &engine, epoll::EventData::new_u64(0), flags)?;
    let payload = Bytes::from(vec![1; LENGTH]);
    let mut state = 1_u64;
    let mut start = |engine: &mut Engine| {
        // Numerical Recipes' generator; its high bits are good enough.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let offset = (state >> 33) % (SIZE / LENGTH as u64) * LENGTH as u64;
        let data = smallvec![payload.clone()];
        let op = VolumeOp::Write {
            offset,
            data,
            fua: false,
        };
        engine.start(0, volume, op);
    };
    let (begun, used) = (Instant::now(), processor()?);
    for _ in 0..depth {
        start(&mut engine);
    }
    let (mut count, mut flushed, mut under_way) = (0, 0, depth);
    while under_way > 0 {
        engine.submit();
        let mut finished = 0;
        let mut any = false;
        while let Some((token, outcome)) = engine.poll() {
            any = true;
            if let VolumeOutcome::Failed(fault) = outcome {
                return Err(fault.to_string().into());
            }
            finished += 1 - token;
        }
        count += finished;
        under_way -= finished;
        if !any {
            sleep(&sleeper)?;
        }
        if begun.elapsed() < longest {
            for _ in 0..finished {
                start(&mut engine);
                under_way += 1;
            }
            if count - flushed >= FLUSH_EVERY {
                flushed = count;
                engine.start(1, volume, VolumeOp::Flush);
            }
        }
    }
    while engine.in_flight() > 0 {
        engine.submit();
        while engine.poll().is_some() {}
        sleep(&sleeper)?;
    }
    let ms = u64::try_from(begun.elapsed().as_millis())?.max(1);
    Ok(Speed {
        per_second: count * 1_000 / ms,
        ns: (processor()? - used) / count.max(1),
    })
}

fn sleep(sleeper: &OwnedFd) -> Outcome<()> {
    let mut events = Vec::with_capacity(4);
    let longest = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    let buffer = rustix::buffer::spare_capacity(&mut events);
    match epoll::wait(sleeper, buffer, Some(&longest)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn median(of: impl Iterator<Item = u64>) -> u64 {
    let mut sorted: Vec<u64> = of.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("a folder for the files is needed")?;
    let folder = Path::new(&folder);
    let seconds = arguments.next().map_or(Ok(2), |it| it.parse())?;
    let longest = Duration::from_secs(seconds);
    let kind = Engine::probe().kind;
    let alone = volume(folder, "alone")?;
    let pair = [volume(folder, "source")?, volume(folder, "target")?];
    let ends = mirror(folder, &pair, kind)?;
    let [source, _] = &pair;
    for depth in [1, 32] {
        let (mut rates, mut mirrored) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            rates.push(run(kind, &alone, depth, longest)?);
            mirrored.push(run(kind, source, depth, longest)?);
        }
        let [alone, mirrored] = [rates, mirrored].map(|speeds| Speed {
            per_second: median(speeds.iter().map(|it| it.per_second)),
            ns: median(speeds.iter().map(|it| it.ns)),
        });
        println!(
            "depth {depth}: {} writes/s alone, {} mirrored: {}%; {} ns of processor time alone, {} mirrored: {}%",
            alone.per_second,
            mirrored.per_second,
            mirrored.per_second * 100 / alone.per_second.max(1),
            alone.ns,
            mirrored.ns,
            alone.ns * 100 / mirrored.ns.max(1),
        );
    }
    for end in ends {
        end.close();
    }
    Ok(())
}
