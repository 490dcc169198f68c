//! Two houses with an end each, and the link between them. What comes to an end comes in order, on a thread of its
//! house, or of the I/O engine that leads to it if they are near each other.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidelock_mirror::association::{Event, Report};
use tidelock_mirror::generation::Standing;
use tidelock_mirror::id::{MirrorId, NodeId};
use tidelock_mirror::link::{Decoder, Encoder, Message, decode, encode};

use crate::engine::EngineKind;
use crate::mirror::{Beginning, End, EndConfig, Hands, Inbox, Nearby, Shell, is_on_an_engine};
use crate::volume::Volume;

pub(super) const REGION: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so.
#[track_caller]
pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} doesn't come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

enum Bell {
    Rung,
    Stop,
}

/// What comes to an end.
struct ToEnd {
    inbox: Inbox<Event>,
    end: Weak<End>,
    bell: Sender<Bell>,
}

impl ToEnd {
    fn bring(&self) {
        self.inbox.bring(|event| {
            if let Some(end) = self.end.upgrade() {
                end.event(event);
            }
        });
    }
}

/// The link of two houses.
#[derive(Default)]
pub(super) struct Link {
    state: Mutex<LinkState>,
    /// The houses are one process.
    near: bool,
}

#[derive(Default)]
struct LinkState {
    up: bool,
    ends: [Option<Arc<ToEnd>>; 2],
    /// Bytes of all frames.
    bytes: u64,
}

impl LinkState {
    fn put(&self, to: usize, event: Event) {
        if let Some(end) = &self.ends[to] {
            end.inbox.put(event);
            let _ = end.bell.send(Bell::Rung);
        }
    }
}

impl Link {
    /// One within a process.
    pub(super) fn near() -> Self {
        Self {
            near: true,
            ..Self::default()
        }
    }

    /// Both ends hear that they are connected.
    pub(super) fn connect(&self) {
        let mut state = self.state.lock();
        state.up = state.ends.iter().all(Option::is_some);
        if state.up {
            for at in 0..2 {
                state.put(at, Event::Disconnected(node(1 - at)));
                state.put(at, Event::Connected(node(1 - at)));
            }
        }
    }

    /// And that they aren't. What was under way is lost.
    pub(super) fn cut(&self) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.up) {
            for at in 0..2 {
                state.put(at, Event::Disconnected(node(1 - at)));
            }
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.lock().up
    }

    pub(super) fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }
}

pub(super) fn node(at: usize) -> NodeId {
    NodeId(at as u128 + 1)
}

/// What one end asks of its house.
struct Room {
    at: usize,
    link: Arc<Link>,
    reports: Mutex<Vec<Report>>,
    timer: Mutex<bool>,
    /// The last question whether it may go on alone.
    asked_alone: Mutex<Option<u64>>,
}

impl Shell for Room {
    fn send(&self, peer: NodeId, message: Message) {
        assert_eq!(peer, node(1 - self.at));
        let (kind, body, data) = encode(&message);
        let mut bytes = Encoder::default().encode(kind, &body, &data).unwrap();
        bytes.extend(data);
        let mut decoder = Decoder::default();
        decoder.feed(&bytes);
        let message = decode(decoder.next_frame().unwrap().unwrap()).unwrap();
        let mut state = self.link.state.lock();
        state.bytes += bytes.len() as u64;
        if !state.up {
            return;
        }
        let to = 1 - self.at;
        let event = Event::Received(node(self.at), message);
        match &state.ends[to] {
            Some(end) if self.link.near && is_on_an_engine() => {
                let end = Arc::clone(end);
                end.inbox.put(event);
                drop(state);
                end.bring();
            }
            _ => state.put(to, event),
        }
    }

    fn disconnect(&self, _: NodeId) {
        self.link.cut();
    }

    fn start_timer(&self) {
        *self.timer.lock() = true;
    }

    fn stop_timer(&self) {
        *self.timer.lock() = false;
    }

    fn ask_to_go_on_alone(&self, number: u64) {
        *self.asked_alone.lock() = Some(number);
    }

    fn report(&self, report: Report) {
        self.reports.lock().push(report);
    }
}

/// A volume that is an end, and all that it needs.
pub(super) struct House {
    at: usize,
    pub(super) end: Arc<End>,
    pub(super) volume: Arc<Volume>,
    room: Arc<Room>,
    bell: Sender<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl House {
    /// Opens the end of a volume, whose journal is there.
    pub(super) fn open(
        at: usize,
        folder: &Path,
        volume: Arc<Volume>,
        link: &Arc<Link>,
        mut config: EndConfig,
    ) -> Self {
        if link.near {
            config.performer = Arc::new(Nearby::new(config.performer));
        }
        let room = Arc::new(Room {
            at,
            link: Arc::clone(link),
            reports: Mutex::default(),
            timer: Mutex::default(),
            asked_alone: Mutex::default(),
        });
        let shell: Arc<dyn Shell> = Arc::clone(&room) as Arc<dyn Shell>;
        let end = End::open(folder, config, &volume, shell).unwrap();
        let (bell, rung) = channel();
        let to_end = Arc::new(ToEnd {
            inbox: Inbox::default(),
            end: Arc::downgrade(&end),
            bell: bell.clone(),
        });
        link.state.lock().ends[at] = Some(Arc::clone(&to_end));
        let thread = std::thread::spawn(move || serve(&to_end, &rung));
        Self {
            at,
            end,
            volume,
            room,
            bell,
            thread: Some(thread),
        }
    }

    pub(super) fn event(&self, event: Event) {
        self.end.event(event);
    }

    /// Whether this end is the source and the other one is in step.
    pub(super) fn is_in_step(&self) -> bool {
        let facts = self.end.facts();
        let mut peers = facts.peers.iter();
        peers.any(|it| it.peer == node(1 - self.at) && it.standing == Standing::InStep)
    }

    pub(super) fn timer(&self) -> bool {
        *self.room.timer.lock()
    }

    /// The question whether it may go on alone, if there is one.
    pub(super) fn asked_alone(&self) -> Option<u64> {
        *self.room.asked_alone.lock()
    }

    pub(super) fn reported(&self, wanted: impl Fn(&Report) -> bool) -> usize {
        self.room
            .reports
            .lock()
            .iter()
            .filter(|it| wanted(it))
            .count()
    }

    /// The daemon is gone: nothing is flushed, nobody is told, and what was on its way is done or isn't.
    pub(super) fn kill(mut self) -> Arc<Volume> {
        let link = Arc::clone(&self.room.link);
        link.state.lock().ends[self.at] = None;
        link.cut();
        let _ = self.bell.send(Bell::Stop);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.end.close();
        Arc::clone(&self.volume)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.bell.send(Bell::Stop);
    }
}

fn serve(end: &ToEnd, rung: &Receiver<Bell>) {
    while let Ok(Bell::Rung) = rung.recv() {
        end.bring();
    }
}

/// One for all tests that use files, and one for those that use memory.
pub(super) fn hands(kind: EngineKind) -> Arc<Hands> {
    static FILES: OnceLock<Arc<Hands>> = OnceLock::new();
    static MEMORY: OnceLock<Arc<Hands>> = OnceLock::new();
    let place = match kind {
        EngineKind::Memory => &MEMORY,
        _ => &FILES,
    };
    let new = || Arc::new(Hands::new(kind, 64, 32 << 20).unwrap());
    Arc::clone(place.get_or_init(new))
}

/// As tests want it: little is hot, so that there is much to be settled.
pub(super) fn config(kind: EngineKind) -> EndConfig {
    EndConfig {
        hot_max: 24,
        hot_kept: 4,
        window: 1 << 20,
        copies_max: 4,
        ..EndConfig::new(hands(kind))
    }
}

pub(super) fn create(at: usize, folder: &Path, bytes: u64) {
    let beginning = Beginning {
        mirror: MirrorId(7),
        me: node(at),
        volume_bytes: bytes,
        region_bytes: REGION,
        source: at == 0,
    };
    End::create(folder, beginning).unwrap();
}

/// A house that nobody answers for.
pub(super) fn deaf() -> Arc<dyn Shell> {
    Arc::new(Room {
        at: 0,
        link: Arc::default(),
        reports: Mutex::default(),
        timer: Mutex::default(),
        asked_alone: Mutex::default(),
    })
}
