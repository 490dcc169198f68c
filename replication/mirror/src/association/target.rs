//! The target's part: does what the source sends, in its order, and prepares to be overwritten.

use std::collections::{BTreeMap, VecDeque};

use super::action::{Action, Differing, Durability, Report};
use super::books::Book;
use super::engine::{Engine, Purpose};
use super::session::Request;
use crate::data::Data;
use crate::generation::{Keeper, Lineage, Receiving, Refusal, Role, Standing};
use crate::id::{GenerationId, NodeId, OperationId};
use crate::link::Message;
use crate::region::{Range, Region, RegionSet};
use crate::region_log::LogEntry;

/// How many messages may wait beside those that the window allows.
const WAITING_MAX: u64 = 1024;

/// What has begun and isn't done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Applying {
    range: Range,
    /// What it counts for among what is under way.
    cost: u64,
    /// Whom to answer, if the connection is still the same.
    answer: Option<(NodeId, u64)>,
}

/// What is done with the disk as a whole, alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Alone {
    /// A flush, and whom to answer, if the connection is still the same.
    Flush(Option<(NodeId, u64)>),
    /// Everything that came before becomes durable, then this lineage is ours.
    Adopt(Lineage),
    RollBack,
    Snapshot,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Target {
    /// The disk is put in order after a restart; no peer is met before that.
    pub(super) starting: bool,
    /// Of a source: resyncs that were offered.
    pub(super) requests: BTreeMap<NodeId, Request>,
    /// Our source, and what follows from the meeting.
    source: Option<Source>,
    incoming: VecDeque<Message>,
    /// Bytes of data that came and aren't answered.
    unanswered: u64,
    applying: Book<OperationId, Applying>,
    alone: Option<Alone>,
    /// A lineage is being made durable. What comes behind it waits, so that what is hot is known to be settled by it.
    adopting: bool,
    /// Regions that were overwritten in this resync.
    overwritten: RegionSet,
    /// Becomes the source once the disk is in order.
    promoting: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    peer: NodeId,
    base: Option<GenerationId>,
    drops_ours: bool,
    /// A resync is to be prepared, which goes on with the last one or not.
    prepares: Option<bool>,
    /// What is on the disk is no image, and can't be taken back to one: all of it is sent.
    no_image: bool,
    /// It has all of something, so that what comes next is about what has changed since.
    complete: bool,
    /// What comes may be written.
    ready: bool,
}

impl Target {
    pub(super) fn lost(&mut self, peer: NodeId) {
        self.requests.remove(&peer);
        for applying in self.applying.values_mut() {
            applying.answer = applying.answer.filter(|(it, _)| *it != peer);
        }
        if let Some(Alone::Flush(answer)) = &mut self.alone {
            *answer = answer.filter(|(it, _)| *it != peer);
        }
        if self.source.as_ref().is_some_and(|it| it.peer == peer) {
            self.source = None;
            self.incoming.clear();
            self.unanswered = 0;
            self.adopting = false;
            if matches!(self.alone, Some(Alone::Adopt(_))) {
                // The flush is still under way, and nothing begins before it is over.
                self.alone = Some(Alone::Flush(None));
            }
        }
    }

    pub(super) fn expects(&mut self, peer: NodeId, base: Option<GenerationId>, drops_ours: bool) {
        self.source = Some(Source {
            peer,
            base,
            drops_ours,
            prepares: None,
            no_image: false,
            complete: false,
            ready: false,
        });
    }

    pub(super) fn requested(&mut self, peer: NodeId) -> Option<Request> {
        self.requests.remove(&peer)
    }

    /// Whether anything of a source is on its way to the disk. What a host writes, and what a peer does, may be parts of
    /// one block, which the engine knows nothing of: they don't happen together.
    pub(super) fn is_applying_any(&self) -> bool {
        !self.applying.is_empty()
    }

    /// Whether nothing is to be done but what is under way.
    pub(super) fn is_undisturbed(&self) -> bool {
        !self.starting
            && !self.promoting
            && !self.adopting
            && self.alone.is_none()
            && self.incoming.is_empty()
            && self.source.as_ref().is_none_or(|it| it.prepares.is_none())
    }

    /// Whether it gets all that its source's hosts write.
    pub(super) fn follows(&self, keeper: &Keeper) -> bool {
        let source = self.source.as_ref();
        source.is_some_and(|it| *keeper.standing(it.peer) == Standing::Following)
    }

    pub(super) fn is_applying(&self, range: Range) -> bool {
        let mut applying = self.applying.values();
        applying.any(|it| it.range.overlaps(range))
    }
}

impl Engine {
    pub(super) fn sent_by_source(&mut self, peer: NodeId, message: Message) {
        let asked = *self.keeper.standing(peer) == Standing::Asked;
        if matches!(message, Message::TakeOver) && asked {
            self.take_over(peer);
            return;
        }
        if matches!(message, Message::Adopt { .. })
            && *self.keeper.standing(peer) == Standing::TakingOver
        {
            // It is the source from now on; we have everything, and no write came since.
            self.target.expects(peer, None, false);
        }
        if self.target.source.as_ref().is_none_or(|it| it.peer != peer) {
            self.misbehaved(peer, "it sends as if it were our source, which it isn't");
            return;
        }
        let in_volume = match &message {
            Message::Write { offset, data, .. } | Message::Copy { offset, data, .. } => {
                let length = data.len();
                length != 0
                    && !data.is_too_much()
                    && self.config.regions.contains(Range {
                        offset: *offset,
                        length,
                    })
            }
            Message::Settled { regions } => regions.end() <= self.config.regions.count(),
            _ => true,
        };
        if !in_volume {
            self.misbehaved(peer, "it sends what is behind the end of the volume");
            return;
        }
        // One message always may be under way, and a message of no data costs as much as a block.
        let length = message.data().map_or(0, Data::cost);
        let waiting = self.target.incoming.len() as u64;
        let unanswered = self.target.unanswered.saturating_add(length);
        let window = self.config.window;
        let is_one = unanswered == length;
        let exceeds = length != 0 && !is_one && unanswered > window;
        if exceeds || waiting > window / 512 + WAITING_MAX {
            self.misbehaved(peer, "it sends more than it was allowed to have under way");
            return;
        }
        self.target.unanswered = unanswered;
        self.target.incoming.push_back(message);
    }

    pub(super) fn pump_target(&mut self) {
        self.prepare();
        while self.target.alone.is_none() && !self.target.adopting {
            let Some(message) = self.target.incoming.front().cloned() else {
                break;
            };
            let Some(source) = self.target.source.clone() else {
                break;
            };
            if !self.take(&source, &message) {
                break;
            }
            self.target.incoming.pop_front();
            self.prepare();
        }
    }

    /// Does a message, or false if it has to wait.
    fn take(&mut self, source: &Source, message: &Message) -> bool {
        let peer = source.peer;
        let following = *self.keeper.standing(peer) == Standing::Following;
        let receiving = source.ready && *self.keeper.standing(peer) == Standing::Receiving;
        match message {
            Message::InStep | Message::Resync { .. } => self.told(source, message),
            Message::Adopt { lineage } => return self.begin_adopt(lineage),
            _ if !following && !receiving => {
                self.misbehaved(peer, "it sends data before it was asked to");
                return false;
            }
            Message::Write {
                sequence,
                offset,
                durability,
                data,
            } => {
                let range = Range {
                    offset: *offset,
                    length: data.len(),
                };
                if following && !self.heated(range) {
                    return false;
                }
                return self.apply(peer, *sequence, range, data, *durability);
            }
            Message::Copy {
                sequence,
                offset,
                data,
            } => {
                let range = Range {
                    offset: *offset,
                    length: data.len(),
                };
                return self.apply(peer, *sequence, range, data, Durability::Cached);
            }
            Message::Flush { sequence } => {
                if !self.target.applying.is_empty() {
                    return false;
                }
                self.target.alone = Some(Alone::Flush(Some((peer, *sequence))));
                let operation = self.operation(Purpose::TargetFlush);
                self.act(Action::Flush {
                    operation,
                    command: None,
                });
            }
            Message::Settled { regions } => self.log_entry(LogEntry::Cool(regions.clone())),
            Message::TakeOver => {
                if !self.target.applying.is_empty() {
                    return false;
                }
                self.take_over(peer);
            }
            _ => {}
        }
        true
    }

    fn take_over(&mut self, peer: NodeId) {
        let hot = &self.peer(peer).greeting;
        let theirs = hot.as_ref().is_none_or(|it| it.unsettled.is_empty());
        let equal = theirs && self.log.hot().is_empty();
        if self.keeper.taken_over(peer, equal) {
            self.target.source = None;
        } else {
            self.misbehaved(peer, "it hands over what isn't asked for");
        }
    }

    /// How the source goes on.
    fn told(&mut self, source: &Source, message: &Message) {
        let peer = source.peer;
        if matches!(message, Message::Resync { resumes: false }) && !source.ready {
            // The next cut.
            self.keeper.receive_more(peer);
        }
        if *self.keeper.standing(peer) != Standing::Receiving || source.ready {
            self.misbehaved(peer, "it begins twice");
            return;
        }
        match message {
            Message::InStep => {
                let record = self.keeper.record();
                if record.receiving.is_some() || source.base != record.lineage.current() {
                    self.misbehaved(peer, "it says that we have everything, which isn't so");
                    return;
                }
                self.keeper.follow(peer);
                self.report(Report::Following(peer));
            }
            Message::Resync { resumes } => {
                let current = self.keeper.record().lineage.current();
                if let Some(source) = &mut self.target.source {
                    source.prepares = Some(*resumes);
                    if source.complete {
                        source.base = current;
                        source.drops_ours = false;
                    }
                }
            }
            _ => {}
        }
    }

    // --- Data.

    /// Whether all of it is hot; it becomes so.
    fn heated(&mut self, range: Range) -> bool {
        let regions = self.config.regions.run(range);
        if !self.log.hot().has_all(regions) {
            let is_cold = |it: &Region| !self.log.hot().contains(*it);
            let cold = regions.iter().filter(is_cold).collect();
            self.log_entry(LogEntry::Heat(cold));
        }
        self.are_hot(regions)
    }

    /// Begins a write of the source that nothing keeps from beginning; false, with nothing done, if anything does, or it
    /// may not come.
    pub(super) fn apply_at_once(&mut self, peer: NodeId, message: &Message) -> bool {
        let Message::Write {
            sequence,
            offset,
            durability,
            data,
        } = message
        else {
            return false;
        };
        let range = Range {
            offset: *offset,
            length: data.len(),
        };
        let cost = data.cost();
        let unanswered = self.target.unanswered.saturating_add(cost);
        let comes = self
            .target
            .source
            .as_ref()
            .is_some_and(|it| it.peer == peer)
            && range.length != 0
            && !data.is_too_much()
            && self.config.regions.contains(range)
            && unanswered <= self.config.window
            && self.are_hot(self.config.regions.run(range));
        if !comes || !self.apply(peer, *sequence, range, data, *durability) {
            return false;
        }
        self.target.unanswered = unanswered;
        true
    }

    fn apply(
        &mut self,
        peer: NodeId,
        sequence: u64,
        range: Range,
        data: &Data,
        durability: Durability,
    ) -> bool {
        if self.target.is_applying(range) || self.host.is_any_writing() {
            return false;
        }
        if *self.keeper.standing(peer) == Standing::Receiving {
            let regions = self.config.regions.run(range);
            self.target.overwritten.add_run(regions);
        }
        let operation = self.operation(Purpose::Apply);
        let applying = Applying {
            range,
            cost: data.cost(),
            answer: Some((peer, sequence)),
        };
        self.target.applying.insert(operation, applying);
        self.act(Action::Write {
            operation,
            command: None,
            offset: range.offset,
            data: data.clone(),
            durability,
        });
        true
    }

    pub(super) fn applied(&mut self, operation: OperationId) {
        let applying = self.target.applying.remove(operation);
        let Some(applying) = applying else {
            return;
        };
        if let Some((peer, sequence)) = applying.answer {
            self.target.unanswered = self.target.unanswered.saturating_sub(applying.cost);
            self.send(peer, Message::WriteDone { sequence });
        }
    }

    pub(super) fn target_flushed(&mut self) {
        if let Some(Alone::Flush(Some((peer, sequence)))) = self.target.alone.take() {
            self.send(peer, Message::FlushDone { sequence });
        }
    }

    // --- Taking the source's lineage.

    fn begin_adopt(&mut self, lineage: &Lineage) -> bool {
        if !self.target.applying.is_empty() {
            return false;
        }
        self.target.alone = Some(Alone::Adopt(lineage.clone()));
        let operation = self.operation(Purpose::AdoptFlush);
        self.act(Action::Flush {
            operation,
            command: None,
        });
        true
    }

    pub(super) fn adopt_flushed(&mut self) {
        let Some(Alone::Adopt(lineage)) = self.target.alone.take() else {
            return;
        };
        let Some(peer) = self.target.source.as_ref().map(|it| it.peer) else {
            return;
        };
        let overwritten = std::mem::take(&mut self.target.overwritten);
        if !overwritten.is_empty() {
            // They differ from whatever this end had before.
            self.log_entry(LogEntry::Received(overwritten));
        }
        self.target.adopting = self.keeper.adopt(peer, lineage);
        if !self.target.adopting {
            self.misbehaved(
                peer,
                "it gives us a lineage that doesn't go on where ours ends",
            );
        }
    }

    /// The lineage is durable.
    pub(super) fn adopted(&mut self, peer: NodeId, generation: GenerationId) {
        self.target.adopting = false;
        // Whoever else has the generation has all that was sent before it, durably.
        let hot = self.log.hot().clone();
        if !hot.is_empty() {
            self.log_entry(LogEntry::Cool(hot));
        }
        if let Some(source) = &mut self.target.source
            && source.ready
        {
            source.ready = false;
            source.complete = true;
            let kept = source.drops_ours;
            let snapshot = if kept {
                Action::KeepSnapshot
            } else {
                Action::DropSnapshot
            };
            self.act(snapshot);
        }
        self.send(peer, Message::Confirm { generation });
        self.report(Report::Following(peer));
    }

    // --- Preparing to be overwritten.

    /// Whether nothing is being done with the disk.
    fn is_quiet(&self) -> bool {
        self.target.alone.is_none()
            && self.target.applying.is_empty()
            && !self.host.is_any_writing()
    }

    fn prepare(&mut self) {
        if !self.is_quiet() || self.keeper.is_busy() {
            return;
        }
        let receiving = self.keeper.record().receiving;
        if self.target.promoting {
            self.begin_roll_back();
            return;
        }
        let Some(source) = self.target.source.clone() else {
            return;
        };
        let Some(resumes) = source.prepares else {
            return;
        };
        if self.keeper.record().role == Role::Source {
            return;
        }
        if resumes {
            if receiving.is_none_or(|it| it.from != source.peer) {
                // It has been taken back since it was shown to the source.
                self.disconnect(source.peer);
                return;
            }
            self.ready(RegionSet::default());
        } else if receiving.is_some_and(|it| it.snapshot) {
            self.begin_roll_back();
        } else if self.config.keeps_snapshots && receiving.is_none() && self.has_image() {
            self.target.alone = Some(Alone::Snapshot);
            let operation = self.operation(Purpose::Snapshot);
            self.act(Action::TakeSnapshot {
                operation,
                drops_ours: source.drops_ours,
            });
        } else {
            self.receive(false);
        }
    }

    pub(super) fn begin_roll_back(&mut self) {
        self.target.alone = Some(Alone::RollBack);
        self.target.overwritten = RegionSet::default();
        let operation = self.operation(Purpose::RollBack);
        self.act(Action::RollBack(operation));
    }

    pub(super) fn rolled_back(&mut self) {
        self.target.alone = None;
        self.keeper.rolled_back();
        if std::mem::take(&mut self.target.promoting)
            && let Err(refusal) = self.keeper.promote()
        {
            self.report(Report::Refused(super::Wish::Promote, refusal));
        }
        if std::mem::take(&mut self.target.starting) {
            let connected = self.peers.iter().filter(|(_, it)| it.connected && !it.held);
            let connected: Vec<NodeId> = connected.map(|(peer, _)| *peer).collect();
            for peer in connected {
                self.keeper.connected(peer);
            }
        }
    }

    /// There is a safety snapshot, or there can't be one.
    pub(super) fn snapshot_taken(&mut self, taken: bool) {
        self.target.alone = None;
        if self
            .target
            .source
            .as_ref()
            .is_some_and(|it| it.prepares.is_some())
        {
            self.receive(taken);
        }
    }

    fn receive(&mut self, snapshot: bool) {
        let Some(source) = &mut self.target.source else {
            return;
        };
        source.prepares = None;
        source.no_image = self.keeper.record().receiving.is_some();
        let peer = source.peer;
        let Some(theirs) = self.peers.get(&peer).and_then(|it| it.greeting.as_ref()) else {
            return;
        };
        let Some(generation) = theirs.view.lineage.current() else {
            self.misbehaved(peer, "it sends, and has nothing");
            return;
        };
        self.keeper.receive(Receiving {
            from: peer,
            incarnation: theirs.incarnation,
            generation,
            snapshot,
        });
    }

    /// The record says that a resync has begun.
    pub(super) fn receiving_begun(&mut self, peer: NodeId) {
        let Some(source) = self.target.source.as_ref().filter(|it| it.peer == peer) else {
            return;
        };
        let differing = if source.no_image {
            Differing::All
        } else {
            self.differing(source.base, source.drops_ours)
        };
        if let Some(source) = &mut self.target.source {
            source.ready = true;
        }
        self.send(peer, Message::Ready { differing });
    }

    fn ready(&mut self, regions: RegionSet) {
        let Some(source) = &mut self.target.source else {
            return;
        };
        source.prepares = None;
        source.ready = true;
        let peer = source.peer;
        let differing = Differing::Regions(regions);
        self.send(peer, Message::Ready { differing });
    }

    // --- Becoming the source by force.

    pub(super) fn begin_promotion(&mut self) -> Result<(), Refusal> {
        let record = self.keeper.record();
        if record.role == Role::Source {
            return Err(Refusal::IsSource);
        }
        let receiving = record.receiving;
        if record.lineage.is_empty() || receiving.is_some_and(|it| !it.snapshot) {
            return Err(Refusal::NoImage);
        }
        if self.target.source.is_some() {
            return Err(Refusal::SourceIsConnected);
        }
        if receiving.is_none() {
            return self.keeper.promote();
        }
        // Nobody is met before the disk is in order.
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.disconnect(peer);
        }
        self.target.promoting = true;
        self.target.starting = true;
        Ok(())
    }
}
