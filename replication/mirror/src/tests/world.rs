//! Nodes with their disks, the links between them, and everything that can happen to them, one step at a time.
//! Deterministic. After every step the promises are checked.

mod checks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidelock_capabilities::values::Mode;

use bytes::Bytes;

use super::disk::{BLOCK, BLOCK_BYTES, Disk};
use super::ghost::Ghost;
use super::setup::{Mutant, Setup, Step};
use crate::association::{
    Action, CommandError, Config, Durability, Durable, Engine, Event, JournalEntry, Outcome,
    Report, Wish,
};
use crate::data::Data;
use crate::generation::{Keeper, Record, Role, Standing, Verdict, Why};
use crate::id::{CommandId, GenerationId, Incarnation, NodeId, OperationId};
use crate::link::{Decoder, Encoder, Message, decode, encode};
use crate::region::{Range, Regions};
use crate::region_log::LogEntry;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Host {
    node: usize,
    kind: HostKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum HostKind {
    Write {
        block: usize,
        numbers: Vec<u32>,
        durable: bool,
        runs: Vec<u128>,
    },
    Flush {
        promised: Vec<u32>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) engine: Option<Engine>,
    pub(super) durable: Durable,
    pub(super) disk: Disk,
    pub(super) operations: Vec<Action>,
    pub(super) journal: VecDeque<JournalEntry>,
    pub(super) timer: bool,
    /// It has asked whether it may go on alone, for the so many-th time; and whether it was answered.
    pub(super) asked: Option<(u64, bool)>,
    runs: u128,
    /// Its own changes are dropped by the resync that is under way.
    dropped: bool,
    rolled_back: bool,
    pub(super) split_brains: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Link {
    /// By the lower and the higher end: whether it believes to be connected.
    pub(super) up: [bool; 2],
    /// To the lower and to the higher end.
    pub(super) queues: [VecDeque<Message>; 2],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) nodes: Vec<Node>,
    pub(super) links: BTreeMap<(usize, usize), Link>,
    hosts: BTreeMap<CommandId, Host>,
    next_command: u64,
    pub(super) ghost: Ghost,
    pub(super) acknowledged: u32,
    pub(super) handovers: u32,
    pub(super) taken_over: u32,
    /// What every node held when a cut was taken.
    cuts: BTreeMap<GenerationId, Vec<u32>>,
    /// Who was told to be which cut.
    told: BTreeSet<(usize, GenerationId)>,
    pub(super) cuts_confirmed: u32,
    pub(super) resumed: u32,
    pub(super) refused: u32,
    pub(super) cancelled: u32,
    pub(super) permitted: u32,
    pub(super) wrong: Option<String>,
}

pub(super) fn id(node: usize) -> NodeId {
    NodeId(node as u128)
}

fn node_of(id: NodeId) -> usize {
    usize::try_from(id.0).unwrap()
}

/// The key of a link, and the places in it of the first and the second.
fn link(a: usize, b: usize) -> ((usize, usize), usize, usize) {
    if a < b {
        ((a, b), 0, 1)
    } else {
        ((b, a), 1, 0)
    }
}

/// What is written.
fn bytes_of(data: &Data) -> Bytes {
    match data {
        Data::Bytes(bytes) => bytes.clone(),
        Data::Zeros(count) => vec![0; usize::try_from(*count).unwrap()].into(),
    }
}

/// As the other end gets it.
fn over_the_wire(message: &Message) -> Message {
    let (kind, body, data) = encode(message);
    let mut decoder = Decoder::default();
    decoder.feed(&Encoder::default().encode(kind, &body, &data).unwrap());
    decoder.feed(&data);
    decode(decoder.next_frame().unwrap().unwrap()).unwrap()
}

impl World {
    pub(super) fn new(setup: Setup) -> Self {
        let blocks = setup.regions * setup.blocks_per_region;
        let node = |at: usize| Node {
            engine: None,
            durable: Durable::new(if at == 0 {
                Keeper::created(id(0), GenerationId(1))
            } else {
                Record::empty()
            }),
            disk: Disk::new(blocks),
            operations: Vec::new(),
            journal: VecDeque::new(),
            timer: false,
            asked: None,
            runs: 0,
            dropped: false,
            rolled_back: false,
            split_brains: 0,
        };
        let nodes: Vec<Node> = (0..setup.nodes).map(node).collect();
        let links = (0..setup.nodes)
            .flat_map(|a| (a + 1..setup.nodes).map(move |b| ((a, b), Link::default())));
        let mut world = Self {
            links: links.collect(),
            hosts: BTreeMap::new(),
            next_command: 0,
            ghost: Ghost::new(setup.nodes, blocks),
            acknowledged: 0,
            handovers: 0,
            taken_over: 0,
            cuts: BTreeMap::new(),
            told: BTreeSet::new(),
            cuts_confirmed: 0,
            resumed: 0,
            refused: 0,
            cancelled: 0,
            permitted: 0,
            wrong: None,
            nodes,
            setup,
        };
        world.ghost.begun(0, GenerationId(1));
        for node in 0..world.nodes.len() {
            world.start(node);
        }
        world
    }

    fn start(&mut self, node: usize) {
        let setup = &self.setup;
        let region_bytes = setup.blocks_per_region as u64 * BLOCK;
        let config = Config {
            me: id(node),
            regions: Regions::new(region_bytes * setup.regions as u64, region_bytes),
            on_failure: setup.on_failure,
            alone_after_restart: setup.alone_after_restart,
            asks_before_alone: setup.asks_before_alone,
            keeps_snapshots: setup.keeps_snapshots,
            window: setup.window,
            hot_max: setup.hot_max,
            hot_kept: setup.hot_kept,
            copies_max: 2,
        };
        let it = &mut self.nodes[node];
        it.runs += 1;
        let run = match setup.mutant {
            Some(Mutant::ClaimsToBeTheSameRun) => 1,
            _ => it.runs,
        };
        let random = (node as u128 + 1) * 1_000_000 + it.runs * 1_000;
        let durable = it.durable.clone();
        it.engine = Some(Engine::new(config, durable, Incarnation(run), random));
        self.drain(node);
        if self.setup.instant {
            self.event(node, Event::CopyBudget(1 << 40));
        }
        for peer in (0..self.nodes.len()).filter(|it| *it != node) {
            if self.setup.asynchronous[peer] {
                self.set_mode(node, peer);
            }
        }
    }

    // --- What can happen.

    pub(super) fn is_up(&self, node: usize) -> bool {
        self.nodes[node].engine.is_some()
    }

    pub(super) fn engine(&self, node: usize) -> Option<&Engine> {
        self.nodes[node].engine.as_ref()
    }

    /// What nodes, disks and links do by themselves.
    pub(super) fn progress(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if node.engine.is_none() {
                continue;
            }
            steps.extend((0..node.operations.len()).map(|operation| Step::DiskDone {
                node: at,
                at: operation,
            }));
            if !node.journal.is_empty() {
                steps.push(Step::JournalDone(at));
            }
        }
        for ((a, b), link) in &self.links {
            for (from, to, place) in [(*b, *a, 0), (*a, *b, 1)] {
                if link.up[place] && self.is_up(to) && !link.queues[place].is_empty() {
                    steps.push(Step::Deliver { from, to });
                }
            }
        }
        steps
    }

    /// Ends that don't know yet that their connection is gone.
    pub(super) fn half_open(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for ((a, b), link) in &self.links {
            for (node, from, place) in [(*a, *b, 0), (*b, *a, 1)] {
                if link.up[place] && !link.up[1 - place] {
                    steps.push(Step::Cut { node, from });
                }
            }
        }
        steps
    }

    /// Ends that could be connected.
    pub(super) fn connections(&self) -> Vec<Step> {
        let links = self
            .links
            .iter()
            .filter(|((a, b), link)| link.up == [false, false] && self.is_up(*a) && self.is_up(*b));
        links.map(|((a, b), _)| Step::Connect(*a, *b)).collect()
    }

    // --- Steps.

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Write {
                node,
                block,
                blocks,
                durable,
            } => self.write(*node, *block, *blocks, *durable),
            Step::Flush(node) => {
                let promised = self.ghost.acknowledged_at(*node);
                let command = self.command(*node, HostKind::Flush { promised });
                self.event(*node, Event::Flush { command });
            }
            Step::DiskDone { node, at } => {
                let action = self.nodes[*node].operations.remove(*at);
                self.disk_done(*node, action);
            }
            Step::DiskRefuses { node, at, partly } => self.refuse(*node, *at, *partly),
            Step::Cancel(node) => self.cancel(*node),
            Step::JournalDone(node) => {
                self.journal_done(*node);
                self.event(*node, Event::Journaled);
            }
            Step::Deliver { from, to } => {
                let (key, _, place) = link(*from, *to);
                let queue = &mut self.links.get_mut(&key).unwrap().queues[place];
                let at =
                    usize::from(self.setup.mutant == Some(Mutant::LinkReorders) && queue.len() > 1);
                let message = queue.remove(at).unwrap();
                self.event(*to, Event::Received(id(*from), message));
            }
            Step::Connect(a, b) => {
                let link = self.links.get_mut(&(*a, *b)).unwrap();
                *link = Link {
                    up: [true, true],
                    ..Link::default()
                };
                self.event(*a, Event::Connected(id(*b)));
                self.event(*b, Event::Connected(id(*a)));
            }
            Step::Cut { node, from } => {
                self.unplug(*node, *from);
                self.event(*node, Event::Disconnected(id(*from)));
            }
            Step::Crash { node, keeps } => self.crash(*node, *keeps),
            Step::Restart(node) => self.start(*node),
            Step::TimeOut(node) => {
                self.nodes[*node].timer = false;
                self.event(*node, Event::TimeOut);
            }
            Step::Permit(node) => self.permit(*node),
            Step::Promote(node) => self.event(*node, Event::Wish(Wish::Promote)),
            Step::HandOver { from, to } => self.event(*from, Event::Wish(Wish::HandOver(id(*to)))),
            Step::TakeOver { node, from } => {
                self.event(*node, Event::Wish(Wish::TakeOver(id(*from))));
            }
            Step::GiveUp(node) => self.event(*node, Event::Wish(Wish::GiveUp)),
            Step::CutDue { node, to } => self.event(*node, Event::CutDue(id(*to))),
            Step::SetMode { node, asynchronous } => {
                self.setup.asynchronous[*node] = *asynchronous;
                for other in (0..self.nodes.len()).filter(|it| it != node) {
                    self.set_mode(other, *node);
                }
            }
            Step::Budget(node) => self.event(*node, Event::CopyBudget(1 << 20)),
        }
        self.check();
    }

    fn set_mode(&mut self, node: usize, peer: usize) {
        let mode = if self.setup.asynchronous[peer] {
            Mode::Asynchronous
        } else {
            Mode::Synchronous
        };
        self.event(node, Event::Wish(Wish::SetMode(id(peer), mode)));
    }

    fn command(&mut self, node: usize, kind: HostKind) -> CommandId {
        let command = CommandId(self.next_command);
        self.next_command += 1;
        self.hosts.insert(command, Host { node, kind });
        command
    }

    fn write(&mut self, node: usize, block: usize, blocks: usize, durable: bool) {
        let numbers: Vec<u32> = (0..blocks).map(|_| self.ghost.number()).collect();
        let data: Bytes = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
        let runs = self.nodes.iter().map(|it| it.runs).collect();
        let command = self.command(
            node,
            HostKind::Write {
                block,
                numbers,
                durable,
                runs,
            },
        );
        let event = Event::Write {
            command,
            offset: block as u64 * BLOCK,
            data: data.into(),
            durability: if durable {
                Durability::Durable
            } else {
                Durability::Cached
            },
        };
        self.event(node, event);
    }

    /// There is no space for a write of a host, or for a part of it.
    fn refuse(&mut self, node: usize, at: usize, partly: bool) {
        let refusable = |it: &Action| {
            matches!(
                it,
                Action::Write {
                    command: Some(_),
                    ..
                }
            )
        };
        let operations = &mut self.nodes[node].operations;
        if !operations.get(at).is_some_and(refusable) {
            return;
        }
        let Action::Write {
            operation,
            offset,
            data,
            ..
        } = operations.remove(at)
        else {
            return;
        };
        if partly {
            let first = bytes_of(&data).slice(..BLOCK_BYTES);
            self.nodes[node].disk.write(offset, &first, false);
        }
        self.refused += 1;
        let outcome = Outcome::Refused;
        self.event(node, Event::Done { operation, outcome });
    }

    /// The host of the oldest command that isn't answered gives it up.
    fn cancel(&mut self, node: usize) {
        let mut commands = self.hosts.iter().filter(|(_, it)| it.node == node);
        if let Some((command, _)) = commands.next() {
            let command = *command;
            self.event(node, Event::Cancel(command));
        }
    }

    fn crash(&mut self, node: usize, mut keeps: u64) {
        let it = &mut self.nodes[node];
        it.engine = None;
        it.operations.clear();
        it.journal.clear();
        it.timer = false;
        it.asked = None;
        it.disk.crash(|| {
            let kept = keeps & 1 == 1;
            keeps = keeps.rotate_right(1);
            kept
        });
        for other in 0..self.nodes.len() {
            if other != node {
                self.unplug(node, other);
            }
        }
        self.hosts.retain(|_, it| it.node != node);
        self.ghost.crashed(node);
    }

    /// What the node was sent is gone; what it sent may still arrive.
    fn unplug(&mut self, node: usize, from: usize) {
        let (key, place, _) = link(node, from);
        let link = self.links.get_mut(&key).unwrap();
        link.up[place] = false;
        link.queues[place].clear();
    }

    fn event(&mut self, node: usize, event: Event) {
        if let Some(engine) = &mut self.nodes[node].engine {
            engine.handle(event);
            self.drain(node);
        }
    }

    // --- What engines want.

    fn drain(&mut self, node: usize) {
        while let Some(action) = self.nodes[node]
            .engine
            .as_mut()
            .and_then(Engine::next_action)
        {
            self.act(node, action);
        }
    }

    fn act(&mut self, node: usize, action: Action) {
        match action {
            Action::Journal(entry) => self.journal(node, entry),
            Action::Write {
                offset, ref data, ..
            } => {
                // What the block holds is known now: nothing else that overlaps is under way.
                self.begins(node, offset, &bytes_of(data));
                self.nodes[node].operations.push(action);
            }
            Action::ReadCut(_, generation, _) if !self.nodes[node].disk.has_cut(generation) => {
                self.wrong = Some(format!("node {node} reads a cut that isn't there"));
            }
            Action::Flush { .. }
            | Action::Read(..)
            | Action::TakeCut(..)
            | Action::ReadCut(..)
            | Action::TakeSnapshot { .. }
            | Action::RollBack(_) => {
                if self.setup.instant {
                    self.disk_done(node, action);
                } else {
                    self.nodes[node].operations.push(action);
                }
            }
            Action::DropCut(generation) => self.nodes[node].disk.drop_cut(generation),
            Action::DropSnapshot => self.nodes[node].disk.drop_snapshot(),
            Action::KeepSnapshot => self.nodes[node].disk.keep_snapshot(),
            Action::Send(peer, message) => self.send(node, node_of(peer), message),
            Action::Disconnect(peer) => self.unplug(node, node_of(peer)),
            Action::Complete(command, outcome) => {
                self.cancelled += u32::from(outcome == Err(CommandError::Cancelled));
                self.completed(command, outcome.is_ok());
            }
            Action::StartTimer => self.nodes[node].timer = true,
            Action::AskToGoOnAlone(number) => self.nodes[node].asked = Some((number, false)),
            Action::StopTimer => self.nodes[node].timer = false,
            Action::Report(report) => self.reported(node, &report),
        }
    }

    fn begins(&mut self, node: usize, offset: u64, data: &[u8]) {
        let first = usize::try_from(offset / BLOCK).unwrap();
        for (at, number) in data.chunks_exact(BLOCK_BYTES).enumerate() {
            let number = u32::from_le_bytes(number.try_into().unwrap());
            let before = self.nodes[node].disk.current()[first + at];
            self.ghost.begins(number, before);
        }
    }

    fn journal(&mut self, node: usize, entry: JournalEntry) {
        self.nodes[node].journal.push_back(entry);
        if self.setup.mutant == Some(Mutant::JournalLies) {
            // It is answered, and stays in memory until the next one is written.
            if self.nodes[node].journal.len() > 1 {
                self.journal_done(node);
            }
            self.event(node, Event::Journaled);
        }
    }

    fn journal_done(&mut self, node: usize) {
        let Some(mut entry) = self.nodes[node].journal.pop_front() else {
            return;
        };
        match (self.setup.mutant, &mut entry) {
            (Some(Mutant::HeatIsNotLogged), JournalEntry::Log(LogEntry::Heat(_))) => return,
            (Some(Mutant::ChangesAloneAreNotLogged), JournalEntry::Log(LogEntry::Heat(_)))
                if self.nodes[node].durable.record.holders.is_empty() =>
            {
                return;
            }
            (Some(Mutant::GoesOnInTheSameGeneration), JournalEntry::Record { record, track }) => {
                let mut generations = record.lineage.generations().to_vec();
                if generations.last().is_some_and(|it| it.why == Why::PeerLost) {
                    generations.pop();
                    record.lineage = crate::generation::Lineage::new(generations);
                    *track = None;
                }
            }
            _ => {}
        }
        let before = self.nodes[node].durable.record.clone();
        self.nodes[node].durable.apply(&entry);
        let JournalEntry::Record { record, .. } = entry else {
            return;
        };
        self.recorded(node, &before, &record);
    }

    /// Another record is durable: what it says of what the node holds has to be so.
    fn recorded(&mut self, node: usize, before: &Record, record: &Record) {
        let was_target = before.role == Role::Target && record.role == Role::Target;
        let generations = record.lineage.generations().iter();
        for generation in generations.filter(|it| it.by == id(node)) {
            if !before.lineage.contains(generation.id) {
                self.ghost.begun(node, generation.id);
            }
        }
        let begun_by = record
            .lineage
            .generations()
            .last()
            .map(|it| (node_of(it.by), it.why));
        let rolled_back =
            record.receiving.is_none() && std::mem::take(&mut self.nodes[node].rolled_back);
        if rolled_back
            && self.nodes[node]
                .disk
                .snapshot()
                .is_some_and(|it| it != self.nodes[node].disk.current())
        {
            self.wrong = Some(format!(
                "node {node} went back to its snapshot and holds something else"
            ));
        }
        match begun_by {
            Some((source, _))
                if was_target && source != node && before.lineage != record.lineage =>
            {
                self.adopts(node, record);
            }
            Some((source, Why::HandedOver))
                if source == node && before.role == Role::Target && record.role == Role::Source =>
            {
                self.handovers += 1;
                let Some(old) = record.holders.iter().map(|it| node_of(*it)).next() else {
                    return self.check_taken_over(node, before);
                };
                // Unless it has met another source meanwhile, after a promotion by force.
                let resigned = |it: &Engine| {
                    let theirs = it.keeper().record();
                    theirs.role == Role::Target
                        && theirs.receiving.is_none()
                        && theirs.lineage == before.lineage
                };
                if self.engine(old).is_some_and(resigned)
                    && self.nodes[old].disk.current() != self.nodes[node].disk.current()
                {
                    self.wrong = Some(format!(
                        "node {node} took over from {old} and has something else"
                    ));
                }
            }
            _ => {}
        }
    }

    fn adopts(&mut self, node: usize, record: &Record) {
        let generation = record.lineage.current().unwrap();
        let content = self.nodes[node].disk.durable().to_vec();
        let was_told = self.told.contains(&(node, generation));
        match self.cuts.get(&generation).filter(|_| was_told) {
            Some(cut) if *cut == content => self.cuts_confirmed += 1,
            Some(cut) => {
                let wrong =
                    format!("node {node} says that it has the cut {cut:?}, and has {content:?}");
                self.wrong.get_or_insert(wrong);
            }
            None => {}
        }
        let dropped = std::mem::take(&mut self.nodes[node].dropped);
        if let Err(wrong) = self.ghost.adopts(node, generation, &content, dropped) {
            self.wrong.get_or_insert(wrong);
        }
    }

    fn send(&mut self, from: usize, to: usize, mut message: Message) {
        let (key, our, place) = link(from, to);
        if !self.links[&key].up[our] {
            return;
        }
        if let Message::Adopt { lineage } = &message {
            // What is over is a cut; in what is current there may be more.
            let current = self
                .engine(from)
                .and_then(|it| it.keeper().record().lineage.current());
            if let Some(generation) = lineage.current().filter(|it| Some(*it) != current) {
                self.told.insert((to, generation));
            }
        }
        let mut answer = None;
        if message == (Message::Resync { resumes: true }) {
            self.resumed += 1;
        }
        match (self.setup.mutant, &mut message) {
            (Some(Mutant::WritesAreAnsweredAtOnce), Message::Write { sequence, .. }) => {
                answer = Some(Message::WriteDone {
                    sequence: *sequence,
                });
            }
            (Some(Mutant::FuaIsIgnoredAtTheTarget), Message::Write { durability, .. }) => {
                *durability = Durability::Cached;
            }
            (Some(Mutant::CopiesAreLost), Message::Copy { data, .. }) => {
                *data = Data::Zeros(data.len());
            }
            (Some(Mutant::ConfirmsTooEarly), Message::Adopt { lineage }) => {
                answer = lineage
                    .current()
                    .map(|generation| Message::Confirm { generation });
            }
            _ => {}
        }
        if !self.setup.instant {
            message = over_the_wire(&message);
        }
        let link = self.links.get_mut(&key).unwrap();
        link.queues[place].push_back(message);
        link.queues[our].extend(answer);
    }

    fn disk_done(&mut self, node: usize, action: Action) {
        let mutant = self.setup.mutant;
        let is_source = self.nodes[node].durable.record.role == Role::Source;
        let disk = &mut self.nodes[node].disk;
        let (operation, outcome): (OperationId, Outcome) = match action {
            Action::Write {
                operation,
                offset,
                data,
                durability,
                ..
            } => {
                disk.write(offset, &bytes_of(&data), durability == Durability::Durable);
                (operation, Outcome::Done)
            }
            Action::Flush { operation, .. } => {
                let lies = match mutant {
                    Some(Mutant::TargetFlushLies) => !is_source,
                    Some(Mutant::SourceFlushLies) => is_source,
                    _ => false,
                };
                if !lies {
                    disk.flush();
                }
                (operation, Outcome::Done)
            }
            Action::Read(operation, Range { offset, length }) => {
                (operation, Outcome::Read(disk.read(offset, length)))
            }
            Action::TakeCut(operation, generation) => {
                disk.take_cut(generation);
                let content = disk.current().to_vec();
                self.cuts.insert(generation, content);
                let writing = |it: &Action| matches!(it, Action::Write { .. });
                if self.nodes[node].operations.iter().any(writing) {
                    self.wrong = Some(format!(
                        "node {node} takes a cut while something is written"
                    ));
                }
                (operation, Outcome::Done)
            }
            Action::ReadCut(operation, generation, Range { offset, length }) => {
                let data = disk.read_cut(generation, offset, length);
                (operation, Outcome::Read(data))
            }
            Action::TakeSnapshot { operation, .. } => {
                disk.take_snapshot();
                (operation, Outcome::Done)
            }
            Action::RollBack(operation) => {
                if mutant != Some(Mutant::RollBackDoesNothing) {
                    disk.roll_back();
                }
                self.ghost.rolls_back(node);
                self.nodes[node].rolled_back = true;
                (operation, Outcome::Done)
            }
            other => panic!("not an operation: {other:?}"),
        };
        self.event(node, Event::Done { operation, outcome });
    }

    fn completed(&mut self, command: CommandId, done: bool) {
        let Some(host) = self.hosts.remove(&command) else {
            return;
        };
        if !done {
            return;
        }
        self.acknowledged += 1;
        let record = self.nodes[host.node]
            .engine
            .as_ref()
            .unwrap()
            .keeper()
            .record();
        let mut at = vec![host.node];
        at.extend(record.holders.iter().map(|it| node_of(*it)));
        match host.kind {
            HostKind::Write {
                block,
                numbers,
                durable,
                runs,
            } => {
                // Whoever has crashed since may have lost what was in its cache.
                at.retain(|it| durable || (self.is_up(*it) && self.nodes[*it].runs == runs[*it]));
                for (offset, number) in numbers.iter().enumerate() {
                    self.ghost
                        .acknowledged(&at, block + offset, *number, durable);
                }
            }
            HostKind::Flush { promised } => self.ghost.flushed(&at, &promised),
        }
    }

    fn reported(&mut self, node: usize, report: &Report) {
        match report {
            Report::Met(_, Verdict::Receive { drops_ours, .. }) => {
                self.nodes[node].dropped =
                    *drops_ours && self.setup.mutant != Some(Mutant::ResolvesSilently);
            }
            Report::Met(_, Verdict::SplitBrain { .. }) => {
                self.nodes[node].split_brains += 1;
                if self.setup.mutant == Some(Mutant::ResolvesSilently) && node == 0 {
                    self.event(node, Event::Wish(Wish::GiveUp));
                }
            }
            Report::Alone => self.alone(node),
            Report::Misbehaved(peer, how) if self.setup.mutant.is_none() => {
                self.wrong = Some(format!("node {node} accuses {peer}: {how}"));
            }
            _ => {}
        }
    }

    // --- What must hold.
}
