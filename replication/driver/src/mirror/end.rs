//! One end of a mirror: the core behind a lock. What the core wants done is put into a queue under that lock and done
//! by one thread at a time without it, so that all of it is done in its order, and nobody waits for anybody.

mod alone;
mod asynchronous;
mod copying;
mod settling;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::{SmallVec, smallvec};
use tidelock_mirror::Data;
use tidelock_mirror::association::{
    Action, CommandError, Config, Durability, Durable, Engine, Event, JournalEntry, OnFailure,
    Outcome, Report,
};
use tidelock_mirror::generation::{Keeper, Record};
use tidelock_mirror::id::{CommandId, GenerationId, Incarnation, MirrorId, NodeId, OperationId};
use tidelock_mirror::link::{DATA_MAX, Message};
use tidelock_mirror::region::Regions;
use tidelock_mirror::resync::Limits;

use super::answers::{Answer, Answers};
use super::cutting::Cutting;
use super::error::EndError;
use super::facts::{EndFacts, PeerFacts};
use super::images::{Images, SnapshotOperation};
use super::journal::{Identity, Journal};
use super::landing::Landing;
use super::numbered::Numbered;
use super::pace::Pace;
use super::performer::{Performer, Then};
use super::scribe::{self, Desk};
use super::shell::Shell;
use crate::op::{VolumeFaultKind, VolumeOp, VolumeOutcome};
use crate::volume::Volume;

/// How a new end begins.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    /// What is mirrored.
    pub mirror: MirrorId,
    /// This end.
    pub me: NodeId,
    /// Bytes of the volume.
    pub volume_bytes: u64,
    /// Bytes of a region: what is copied at once and tracked as one. A power of two of at least 4096, at most 1 MiB.
    pub region_bytes: u64,
    /// Its content is what is mirrored, and begins with a generation that is drawn. Otherwise it has none yet, and gets
    /// all of it from a peer.
    pub source: bool,
}

/// How an end works, from its opening on.
#[derive(Clone)]
pub struct EndConfig {
    /// What is done with hosts while a peer is away.
    pub on_failure: OnFailure,
    /// Whether a source that has been restarted serves hosts before it has met its peers.
    pub alone_after_restart: bool,
    /// The hidden snapshots of the volume. Without them a target that is being resynced has no image, and there are no
    /// asynchronous peers.
    pub images: Option<Arc<Images>>,
    /// Bytes that a source may have under way to this end.
    pub window: u64,
    /// How many regions may be hot, at most 16,384.
    pub hot_max: u64,
    /// How many of them are left hot by a flush: writes of these need no write to the journal first.
    pub hot_kept: u64,
    /// How many regions are read at once for a resync.
    pub copies_max: usize,
    /// How fast a resync may be.
    pub limits: Limits,
    /// Who reads and writes the volume for it.
    pub performer: Arc<dyn Performer>,
}

impl EndConfig {
    /// Hosts are served alone while a peer is away, but not after a restart; no snapshots; resyncs at any speed that lets
    /// hosts' writes be done within 10 ms.
    #[must_use]
    pub fn new(performer: Arc<dyn Performer>) -> Self {
        Self {
            on_failure: OnFailure::Continue,
            alone_after_restart: false,
            images: None,
            window: 16 << 20,
            hot_max: 16_384,
            hot_kept: 4096,
            copies_max: 8,
            limits: Limits {
                rate_max: None,
                latency_max_us: 10_000,
            },
            performer,
        }
    }
}

impl fmt::Debug for EndConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndConfig")
            .field("on_failure", &self.on_failure)
            .field("alone_after_restart", &self.alone_after_restart)
            .field("images", &self.images)
            .field("window", &self.window)
            .field("hot_max", &self.hot_max)
            .field("hot_kept", &self.hot_kept)
            .field("copies_max", &self.copies_max)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// One end of a mirror, open. See the module.
pub struct End {
    identity: Identity,
    /// The volume has the end, not the other way round.
    volume: Weak<Volume>,
    shell: Arc<dyn Shell>,
    performer: Arc<dyn Performer>,
    images: Option<Arc<Images>>,
    landing: Arc<Landing>,
    desk: Arc<Desk>,
    scribe: Mutex<Option<JoinHandle<()>>>,
    me: Weak<Self>,
    /// What the core says of that, for who isn't to hold up hosts.
    has_image: AtomicBool,
    state: Mutex<State>,
}

struct State {
    core: Engine,
    todo: VecDeque<Todo>,
    /// Room for it, while a thread has what was in it.
    spare: VecDeque<Todo>,
    /// A thread does what is in `todo`.
    performing: bool,
    /// Commands of hosts that aren't answered.
    hosts: HashMap<CommandId, HostCommand, Numbered>,
    next_command: u64,
    closed: bool,
    written_bytes: u64,
    /// A resync goes on, as the scribe was told.
    copying: bool,
    pace: Pace,
    /// Of the asynchronous peer, if there is one.
    cutting: Option<Cutting>,
}

/// A command of a host, which an I/O engine has under `key`.
struct HostCommand {
    answers: Arc<Answers>,
    key: usize,
    /// It is being done on the volume.
    going: bool,
    /// While a resync goes on, which isn't to hold hosts up.
    began: Option<Instant>,
}

/// What is to be done without the lock.
enum Todo {
    Tell(Arc<Answers>, usize, CommandId, Answer),
    Below(OperationId, VolumeOp),
    Journal(JournalEntry),
    Send(NodeId, Message),
    Disconnect(NodeId),
    StartTimer,
    StopTimer,
    AskAlone(u64),
    Report(Report),
    Snapshot(SnapshotOperation),
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl End {
    /// Makes what is durable of a new end, in a folder of its own, which is made if need be. It is whole after a crash,
    /// or isn't there. **Blocks.**
    ///
    /// # Errors
    /// A size of regions that can't be, a journal that is there already, or a file that can't be written.
    pub fn create(folder: &Path, beginning: Beginning) -> Result<(), EndError> {
        let region = beginning.region_bytes;
        if !region.is_power_of_two() || !(4096..=DATA_MAX as u64).contains(&region) {
            return Err(EndError::Config {
                what: "the regions of a mirror are a power of two of bytes, from 4096 to 1048576",
            });
        }
        let record = if beginning.source {
            Keeper::created(beginning.me, GenerationId(random()?))
        } else {
            Record::empty()
        };
        let identity = Identity {
            mirror: beginning.mirror,
            me: beginning.me,
            volume_bytes: beginning.volume_bytes,
            region_bytes: region,
        };
        Journal::create(folder, identity, Durable::new(record))
    }

    /// Opens an end over its volume: from now on what hosts write and flush goes through it. **Blocks**, until the
    /// operations on the volume that are under way have ended.
    ///
    /// # Errors
    /// The journal isn't there or is damaged, it is of another volume, the volume is an end already, or its
    /// operations don't end in time.
    pub fn open(
        folder: &Path,
        config: EndConfig,
        volume: &Arc<Volume>,
        shell: Arc<dyn Shell>,
    ) -> Result<Arc<Self>, EndError> {
        let journal = Journal::open(folder)?;
        let identity = journal.identity();
        if identity.volume_bytes != volume.size() {
            return Err(EndError::OtherSize {
                path: folder.to_path_buf(),
                theirs: identity.volume_bytes,
                ours: volume.size(),
            });
        }
        if let Some(images) = &config.images {
            images.begin(
                journal
                    .durable()
                    .record
                    .receiving
                    .is_some_and(|it| it.snapshot),
            );
        }
        let core = core(&config, identity, journal.durable().clone())?;
        let desk = Arc::new(Desk::default());
        let end = Arc::new_cyclic(|me| Self {
            identity,
            volume: Arc::downgrade(volume),
            shell,
            performer: config.performer,
            images: config.images,
            landing: Landing::new(volume),
            desk: Arc::clone(&desk),
            scribe: Mutex::new(None),
            me: Weak::clone(me),
            has_image: AtomicBool::new(false),
            state: Mutex::new(State {
                core,
                todo: VecDeque::new(),
                spare: VecDeque::new(),
                performing: false,
                hosts: HashMap::default(),
                next_command: 0,
                closed: false,
                written_bytes: 0,
                copying: false,
                pace: Pace::new(config.limits, Instant::now()),
                cutting: None,
            }),
        });
        *end.scribe.lock() = Some(scribe::begin(&desk, journal, Weak::clone(&end.me))?);
        if let Err(error) = volume.mirror_by(&end) {
            end.close();
            return Err(error);
        }
        // An end that was receiving goes back to its snapshot first of all.
        end.handle(|_| {});
        Ok(end)
    }

    /// Which end of which mirror it is.
    #[must_use]
    pub const fn identity(&self) -> (MirrorId, NodeId) {
        (self.identity.mirror, self.identity.me)
    }

    /// Bytes of the volume, and of a region, as the introduction tells them.
    #[must_use]
    pub const fn sizes(&self) -> (u64, u64) {
        (self.identity.volume_bytes, self.identity.region_bytes)
    }

    /// Something has happened: a connection, a message, a wish, time. Never waits.
    pub fn event(&self, event: Event) {
        self.handle(|core| core.handle(event));
    }

    /// An operation on the disk has ended.
    pub(super) fn done(&self, operation: OperationId, outcome: Outcome) {
        self.event(Event::Done { operation, outcome });
    }

    /// Other limits for resyncs from now on.
    pub fn set_limits(&self, limits: Limits) {
        let mut state = self.state.lock();
        state.pace.set_limits(limits, Instant::now());
        state.keep_budget();
    }

    /// Whether what is on the disk is an image of something, as it stands. Waits for nobody.
    #[must_use]
    pub fn has_image(&self) -> bool {
        self.has_image.load(Ordering::Acquire)
    }

    /// The end as it is. Takes time with the number of regions that are to be copied.
    #[must_use]
    pub fn facts(&self) -> EndFacts {
        let state = self.state.lock();
        let core = &state.core;
        let record = core.keeper().record();
        EndFacts {
            role: record.role,
            serving: core.is_serving(),
            has_image: core.has_image(),
            goes_back: record.receiving.is_some_and(|it| it.snapshot),
            failed: core.has_failed(),
            lineage: record.lineage.clone(),
            holders: record.holders.iter().copied().collect(),
            peers: core
                .known_peers()
                .map(|(peer, asynchronous)| PeerFacts {
                    peer,
                    standing: core.keeper().standing(peer).clone(),
                    left_to_copy: core.left_to_copy(peer),
                    asynchronous,
                    behind: state.behind(peer).filter(|_| asynchronous),
                })
                .collect(),
            hot_regions: core.region_log().hot().len(),
            written_bytes: state.written_bytes,
            waiting: state.hosts.len(),
        }
    }

    /// The volume is as any other again, and the end does nothing any more. Commands of hosts that it hasn't answered
    /// are told to come again, and so is who comes before everything has landed that it has begun to write for a peer.
    /// **Blocks**, until the journal isn't written any more.
    pub fn close(&self) {
        self.landing.close();
        if let Some(images) = &self.images {
            images.close();
        }
        if let Some(volume) = self.volume.upgrade() {
            volume.unmirror(self);
        }
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.closed, true) {
            // Commands are still told what has been decided about them.
            state.todo.retain(|it| matches!(it, Todo::Tell(..)));
            // Those that are on their way to the disk are told when they are there.
            let told: Vec<_> = state.hosts.extract_if(|_, it| !it.going).collect();
            for (command, it) in told {
                let answer = Answer::Done(Err(CommandError::Cancelled));
                let tell = Todo::Tell(it.answers, it.key, command, answer);
                state.todo.push_back(tell);
            }
            self.proceed(state);
        } else {
            drop(state);
        }
        self.desk.close();
        // What the scribe tells may be what led here.
        let scribe = self.scribe.lock().take();
        if let Some(scribe) = scribe
            && scribe.thread().id() != std::thread::current().id()
        {
            let _ = scribe.join();
        }
    }

    #[cfg(test)]
    pub(super) fn landing(&self) -> u32 {
        self.landing.under_way()
    }

    /// Takes away what is durable of an end that isn't open. **Blocks.**
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn remove(folder: &Path) -> Result<(), EndError> {
        Journal::remove(folder)
    }

    // --- For the I/O engines.
}

impl End {
    /// A command of an engine writes. It is told in `answers` when to do so.
    pub(crate) fn begin_write(
        &self,
        (answers, key): (&Arc<Answers>, usize),
        offset: u64,
        data: Data,
        durability: Durability,
    ) -> CommandId {
        self.begin(answers, key, |state, command| {
            state.written_bytes = state.written_bytes.saturating_add(data.len());
            state.core.handle(Event::Write {
                command,
                offset,
                data,
                durability,
            });
        })
    }

    /// A command of an engine flushes.
    pub(crate) fn begin_flush(&self, (answers, key): (&Arc<Answers>, usize)) -> CommandId {
        self.begin(answers, key, |state, command| {
            state.core.handle(Event::Flush { command });
        })
    }

    fn begin(
        &self,
        answers: &Arc<Answers>,
        key: usize,
        begin: impl FnOnce(&mut State, CommandId),
    ) -> CommandId {
        let mut state = self.state.lock();
        let command = CommandId(state.next_command);
        state.next_command += 1;
        if state.closed {
            drop(state);
            let answer = Answer::Done(Err(CommandError::Cancelled));
            answers.deliver(key, command, answer);
            return command;
        }
        let host = HostCommand {
            answers: Arc::clone(answers),
            key,
            going: false,
            began: state.core.is_resyncing().then(Instant::now),
        };
        state.hosts.insert(command, host);
        begin(&mut state, command);
        self.proceed(state);
        command
    }

    /// What a command was told to do has landed, or hasn't.
    pub(crate) fn landed(&self, command: CommandId, operation: OperationId, outcome: Outcome) {
        let mut state = self.state.lock();
        if state.closed {
            let host = state.hosts.remove(&command);
            drop(state);
            if let Some(host) = host {
                let answer = Answer::Done(Err(CommandError::Cancelled));
                host.answers.deliver(host.key, command, answer);
            }
            return;
        }
        if let Some(host) = state.hosts.get_mut(&command) {
            host.going = false;
        }
        state.core.handle(Event::Done { operation, outcome });
        self.proceed(state);
    }

    /// Nobody waits for a command any more. If it hasn't begun it never will.
    pub(crate) fn cancel(&self, command: CommandId) {
        self.event(Event::Cancel(command));
    }

    /// The disk has lost something, or may have: nothing is done any more until the end is opened anew.
    pub(crate) fn disk_failed(&self) {
        self.event(Event::JournalFailed);
    }

    // --- For the scribe.

    /// So many entries are durable.
    pub(super) fn journaled(&self, count: usize) {
        self.handle(|core| {
            for _ in 0..count {
                core.handle(Event::Journaled);
            }
        });
    }

    pub(super) fn journal_failed(&self) {
        self.disk_failed();
    }

    /// It is time to copy more.
    pub(super) fn copies_more(&self) {
        let mut state = self.state.lock();
        // One that has ended meanwhile gets nothing any more.
        if state.closed || !state.core.is_resyncing() {
            return;
        }
        let budget = state.budget();
        if budget > 0 {
            state.core.handle(Event::CopyBudget(budget));
            self.proceed(state);
        }
    }

    // --- What the core wants.

    fn handle(&self, handle: impl FnOnce(&mut Engine)) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        handle(&mut state.core);
        self.proceed(state);
    }

    /// Takes what the core wants done, and does it, unless somebody is at it.
    fn proceed<'a>(&'a self, mut state: parking_lot::MutexGuard<'a, State>) {
        state.take_actions();
        self.has_image
            .store(state.core.has_image(), Ordering::Release);
        let copying = state.core.is_resyncing();
        if std::mem::replace(&mut state.copying, copying) != copying {
            state.keep_budget();
            self.desk.copies(copying);
        }
        if state.performing {
            return;
        }
        state.performing = true;
        while !state.todo.is_empty() {
            let room = std::mem::take(&mut state.spare);
            let mut todo = std::mem::replace(&mut state.todo, room);
            drop(state);
            for todo in todo.drain(..) {
                self.perform(todo);
            }
            state = self.state.lock();
            state.spare = todo;
        }
        state.performing = false;
    }

    fn perform(&self, todo: Todo) {
        match todo {
            Todo::Tell(answers, key, command, answer) => answers.deliver(key, command, answer),
            Todo::Below(operation, op) => self.below(operation, op),
            Todo::Journal(entry) => self.desk.write(entry),
            Todo::Send(peer, message) => self.shell.send(peer, message),
            Todo::Disconnect(peer) => self.shell.disconnect(peer),
            Todo::StartTimer => self.shell.start_timer(),
            Todo::StopTimer => self.shell.stop_timer(),
            Todo::AskAlone(number) => self.shell.ask_to_go_on_alone(number),
            Todo::Report(report) => {
                if let (Report::Serving, Some(images)) = (&report, &self.images) {
                    images.is_source(&self.me);
                }
                self.shell.report(report);
            }
            Todo::Snapshot(operation) => self.snapshot(operation),
        }
    }

    fn below(&self, operation: OperationId, op: VolumeOp) {
        let Some(volume) = self.volume.upgrade() else {
            return;
        };
        let op = match op {
            // Where there is nothing to do it with, nobody was promised that it is.
            VolumeOp::WriteAtomic { offset, data } if volume.atomic_write_max() == 0 => {
                VolumeOp::Write {
                    offset,
                    data,
                    fua: true,
                }
            }
            op => op,
        };
        let change = if op.changes() {
            let Some(change) = self.landing.begin() else {
                return;
            };
            Some(change)
        } else {
            None
        };
        let end = Weak::clone(&self.me);
        let then: Then = Box::new(move |outcome| {
            drop(change);
            if let Some(end) = end.upgrade() {
                end.done(operation, outcome_of(outcome));
            }
        });
        self.performer.perform(&volume, op, then);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.desk.close();
    }
}

impl State {
    fn take_actions(&mut self) {
        while let Some(action) = self.core.next_action() {
            if let Some(todo) = self.todo(action) {
                self.todo.push_back(todo);
            }
        }
    }

    fn todo(&mut self, action: Action) -> Option<Todo> {
        self.note(&action);
        Some(match action {
            Action::Journal(entry) => Todo::Journal(entry),
            Action::Write {
                operation,
                command,
                offset,
                data,
                durability,
            } => match self.goes(command, operation) {
                Some(todo) => todo,
                None => Todo::Below(operation, write(offset, data, durability)),
            },
            Action::Flush { operation, command } => match self.goes(command, operation) {
                Some(todo) => todo,
                None => Todo::Below(operation, VolumeOp::Flush),
            },
            Action::Read(operation, range) => Todo::Below(
                operation,
                VolumeOp::Read {
                    offset: range.offset,
                    length: range.length,
                },
            ),
            Action::TakeSnapshot {
                operation,
                drops_ours,
            } => Todo::Snapshot(SnapshotOperation::TakeSnapshot {
                operation,
                drops_ours,
            }),
            Action::TakeCut(operation, generation) => {
                Todo::Snapshot(SnapshotOperation::TakeCut(operation, generation))
            }
            Action::ReadCut(operation, generation, range) => {
                Todo::Snapshot(SnapshotOperation::ReadCut(operation, generation, range))
            }
            Action::DropCut(generation) => Todo::Snapshot(SnapshotOperation::DropCut(generation)),
            Action::RollBack(operation) => Todo::Snapshot(SnapshotOperation::RollBack(operation)),
            Action::DropSnapshot => Todo::Snapshot(SnapshotOperation::DropSnapshot),
            Action::KeepSnapshot => Todo::Snapshot(SnapshotOperation::KeepSnapshot),
            Action::Send(peer, message) => Todo::Send(peer, message),
            Action::Disconnect(peer) => Todo::Disconnect(peer),
            Action::Complete(command, result) => {
                let host = self.hosts.remove(&command)?;
                self.pace.took(host.began);
                Todo::Tell(host.answers, host.key, command, Answer::Done(result))
            }
            Action::AskToGoOnAlone(number) => Todo::AskAlone(number),
            Action::StartTimer => Todo::StartTimer,
            Action::StopTimer => Todo::StopTimer,
            Action::Report(report) => Todo::Report(report),
        })
    }

    /// A command of a host that is to be done on the volume by whoever has brought it.
    fn goes(&mut self, command: Option<CommandId>, operation: OperationId) -> Option<Todo> {
        let command = command?;
        let host = self.hosts.get_mut(&command)?;
        host.going = true;
        let answers = Arc::clone(&host.answers);
        Some(Todo::Tell(
            answers,
            host.key,
            command,
            Answer::Go(operation),
        ))
    }
}

fn core(config: &EndConfig, identity: Identity, durable: Durable) -> Result<Engine, EndError> {
    let core = Config {
        me: identity.me,
        regions: Regions::new(identity.volume_bytes, identity.region_bytes),
        on_failure: config.on_failure,
        alone_after_restart: config.alone_after_restart,
        asks_before_alone: false,
        keeps_snapshots: config.images.is_some(),
        window: config.window,
        hot_max: config.hot_max,
        hot_kept: config.hot_kept,
        copies_max: config.copies_max,
    };
    Ok(Engine::new(
        core,
        durable,
        Incarnation(random()?),
        random()?,
    ))
}

fn random() -> Result<u128, EndError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| EndError::Config {
        what: "the host has no random numbers",
    })?;
    Ok(u128::from_le_bytes(bytes))
}

/// What a peer's write is on the volume.
fn write(offset: u64, data: Data, durability: Durability) -> VolumeOp {
    let fua = durability != Durability::Cached;
    match data {
        Data::Bytes(bytes) => {
            let data: SmallVec<[Bytes; 2]> = smallvec![bytes];
            if durability == Durability::Atomic {
                VolumeOp::WriteAtomic { offset, data }
            } else {
                VolumeOp::Write { offset, data, fua }
            }
        }
        // One block of zeros, as short as blocks are.
        Data::Zeros(length) => VolumeOp::WriteSame {
            offset,
            length,
            block: Bytes::from_static(&[0; 512]),
            unmap: true,
            fua,
        },
    }
}

pub(super) fn outcome_of(outcome: VolumeOutcome) -> Outcome {
    match outcome {
        VolumeOutcome::Done => Outcome::Done,
        VolumeOutcome::Read(bytes) => Outcome::Read(bytes),
        VolumeOutcome::Miscompare { .. } | VolumeOutcome::NotCopied => Outcome::Failed,
        VolumeOutcome::Failed(fault) => {
            if fault.kind != VolumeFaultKind::Busy {
                tracing::error!(%fault, "a copy of a mirrored volume can't be read or written");
            }
            Outcome::Failed
        }
    }
}
