//! The source's part for hosts: a write goes out to all ends together and is acknowledged when all have it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::action::{Action, CommandError, Durability, Report};
use super::books::{Book, Nodes};
use super::engine::{Engine, Purpose};
use crate::data::Data;
use crate::generation::{Refusal, Role, Standing};
use crate::id::{CommandId, NodeId};
use crate::link::Message;
use crate::region::{Range, Region, RegionSet, Run};
use crate::region_log::LogEntry;

/// A write that hasn't begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    command: CommandId,
    offset: u64,
    data: Data,
    durability: Durability,
}

impl Waiting {
    const fn range(&self) -> Range {
        Range {
            offset: self.offset,
            length: self.data.len(),
        }
    }
}

/// A write that has begun and isn't acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Write {
    /// `None`: its host was told that it isn't done.
    command: Option<CommandId>,
    range: Range,
    local: bool,
    awaiting: Nodes,
}

impl Write {
    /// Whether it is everywhere where it has to be.
    fn is_done(&self, holders: &BTreeSet<NodeId>) -> bool {
        self.local && self.awaiting.has_none_of(holders)
    }
}

/// A flush that isn't acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flush {
    /// `None`: it is our own, or its host was told that it isn't done.
    command: Option<CommandId>,
    local: bool,
    /// Holders that haven't answered.
    awaiting: BTreeSet<NodeId>,
    /// Holders that have.
    at: BTreeSet<NodeId>,
    /// What it settles: regions with the last write that it covers.
    covers: Vec<(Region, u64)>,
}

/// What is under way for hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Host {
    waiting: VecDeque<Waiting>,
    writes: Book<u64, Write>,
    flushes: BTreeMap<u64, Flush>,
    /// The last write of each hot region.
    last_write: BTreeMap<Region, u64>,
    /// Hosts were stopped.
    pub(super) halted: bool,
    /// Writes wait until fewer regions are hot.
    wants_room: bool,
    /// No write begins any more, since this peer will be the source.
    pub(super) handing_over: Option<NodeId>,
}

impl Host {
    /// Whether nobody waits for anything.
    pub(super) fn is_idle(&self) -> bool {
        let unheard = |it: &Write| it.command.is_none();
        self.waiting.is_empty()
            && self.writes.values().all(unheard)
            && self.flushes.values().all(|it| it.command.is_none())
    }

    /// Whether it waits for nothing but what is under way.
    pub(super) fn is_undisturbed(&self) -> bool {
        self.waiting.is_empty() && !self.halted && !self.wants_room && self.handing_over.is_none()
    }

    /// A write to it is covered by the resync that follows, a flush isn't.
    pub(super) fn lost(&mut self, peer: NodeId) {
        for write in self.writes.values_mut() {
            write.awaiting.remove(peer);
        }
        if self.handing_over == Some(peer) {
            self.handing_over = None;
        }
    }

    /// Whether a write of this is under way.
    fn writes_overlap(&self, range: Range) -> bool {
        let mut writes = self.writes.values();
        writes.any(|it| it.range.overlaps(range))
    }

    /// Whether any write is on its way to the disk here.
    pub(super) fn is_any_writing(&self) -> bool {
        self.writes.values().any(|it| !it.local)
    }

    /// Whether a write of this is on its way to the disk here.
    pub(super) fn is_writing(&self, range: Range) -> bool {
        let mut writes = self.writes.values();
        writes.any(|it| !it.local && it.range.overlaps(range))
    }
}

impl Engine {
    pub(super) fn host_write(
        &mut self,
        command: CommandId,
        offset: u64,
        data: Data,
        durability: Durability,
    ) {
        let waiting = Waiting {
            command,
            offset,
            data,
            durability,
        };
        let too_much = waiting.data.is_too_much();
        let admitted = self.admits(Some(waiting.range()));
        let refused = too_much.then_some(CommandError::OutOfRange);
        if let Some(error) = admitted.err().or(refused) {
            self.act(Action::Complete(command, Err(error)));
        } else if waiting.data.is_empty() {
            self.act(Action::Complete(command, Ok(())));
        } else {
            self.host.waiting.push_back(waiting);
        }
    }

    /// Begins a write that nothing keeps from beginning; false, with nothing done, if anything does.
    pub(super) fn write_at_once(
        &mut self,
        command: CommandId,
        offset: u64,
        data: &Data,
        durability: Durability,
    ) -> bool {
        let length = data.len();
        let range = Range { offset, length };
        let regions = self.config.regions.run(range);
        let begins = length != 0
            && !data.is_too_much()
            && self.config.regions.contains(range)
            && self.are_hot(regions)
            && !self.host.writes_overlap(range)
            && !self.target.is_applying_any()
            && self.has_room(data.cost());
        if begins {
            let waiting = Waiting {
                command,
                offset,
                data: data.clone(),
                durability,
            };
            self.begin_write(waiting, regions);
        }
        begins
    }

    pub(super) fn host_flush(&mut self, command: CommandId) {
        match self.admits(None) {
            Err(error) => self.act(Action::Complete(command, Err(error))),
            Ok(()) => self.begin_flush(Some(command)),
        }
    }

    fn admits(&self, range: Option<Range>) -> Result<(), CommandError> {
        if self.failed {
            return Err(CommandError::DiskFailed);
        }
        if self.keeper.record().role != Role::Source {
            return Err(CommandError::NotSource);
        }
        if self.host.halted {
            return Err(CommandError::Halted);
        }
        match range {
            Some(range) if !self.config.regions.contains(range) => Err(CommandError::OutOfRange),
            _ => Ok(()),
        }
    }

    /// Tells all hosts that wait. What has begun goes on, so that order is kept.
    pub(super) fn fail_host(&mut self, error: CommandError) {
        let waiting = std::mem::take(&mut self.host.waiting);
        let mut commands: Vec<CommandId> = waiting.into_iter().map(|it| it.command).collect();
        commands.extend(
            self.host
                .writes
                .values_mut()
                .filter_map(|it| it.command.take()),
        );
        commands.extend(
            self.host
                .flushes
                .values_mut()
                .filter_map(|it| it.command.take()),
        );
        for command in commands {
            self.act(Action::Complete(command, Err(error)));
        }
    }

    pub(super) fn pump_host(&mut self) {
        if self.keeper.record().role != Role::Source {
            // Nothing that was under way when it resigned is answered by anybody.
            self.host.flushes.clear();
            self.host.writes.retain(|it| !it.local);
            return;
        }
        self.complete();
        if self.keeper.is_source() && self.host.handing_over.is_none() && !self.is_cutting() {
            self.begin_writes();
        }
    }

    // --- Writes.

    fn begin_writes(&mut self) {
        if self.host.waiting.is_empty() {
            self.host.wants_room = false;
            return;
        }
        let room = self.config.hot_max.saturating_sub(self.log.hot().len());
        let mut cold = RegionSet::default();
        let mut blocked: Vec<Range> = Vec::new();
        let mut at = 0;
        while let Some(waiting) = self.host.waiting.get(at) {
            let range = waiting.range();
            let free = !blocked.iter().any(|it| it.overlaps(range))
                && !self.host.writes_overlap(range)
                && !self.target.is_applying_any()
                && !self.is_copying(range)
                && self.has_room(waiting.data.cost());
            let regions = self.config.regions.run(range);
            if !self.log.hot().has_all(regions) {
                let mut more = cold.clone();
                for region in regions.iter().filter(|it| !self.log.hot().contains(*it)) {
                    more.insert(region);
                }
                // The first ones are made hot whatever comes behind them.
                if at == 0 || more.len() <= room {
                    cold = more;
                }
            }
            if free && self.are_hot(regions) {
                if let Some(waiting) = self.host.waiting.remove(at) {
                    self.begin_write(waiting, regions);
                }
            } else {
                blocked.push(range);
                at += 1;
            }
        }
        self.heat(cold, room);
    }

    /// Makes regions hot, or room for them.
    fn heat(&mut self, cold: RegionSet, room: u64) {
        // A write whose regions are more than may ever be hot at once isn't kept waiting for that.
        let alone = self.log.hot().is_empty();
        self.host.wants_room = !cold.is_empty() && cold.len() > room && !alone;
        if cold.is_empty() {
            return;
        }
        if !self.host.wants_room {
            self.log_entry(LogEntry::Heat(cold));
        } else if self.host.flushes.is_empty() && self.keeper.may_acknowledge() {
            self.begin_flush(None);
        }
    }

    /// Whether every end that gets all writes takes so much more.
    fn has_room(&self, bytes: u64) -> bool {
        let mut members = self.keeper.members();
        members.all(|it| self.peers.get(&it).is_none_or(|it| it.has_room(bytes)))
    }

    fn begin_write(&mut self, waiting: Waiting, regions: Run) {
        let sequence = self.sequence();
        let range = waiting.range();
        let cost = waiting.data.cost();
        for region in regions.iter() {
            self.host.last_write.insert(region, sequence);
        }
        let mut awaiting = Nodes::default();
        for (peer, it) in &mut self.peers {
            let member = self.keeper.is_member(*peer);
            if it.asynchronous && !member {
                continue;
            }
            // A region that is still to be copied is copied with this write in it.
            let copied = |plan: &super::peer::Plan| !plan.remaining.has_any(regions);
            let sends = member || (it.plan.as_ref().is_some_and(copied) && it.has_room(cost));
            if !sends {
                it.lacks(regions);
                continue;
            }
            it.sends(sequence, regions, cost);
            if member {
                awaiting.insert(*peer);
            }
            let message = Message::Write {
                sequence,
                offset: waiting.offset,
                durability: waiting.durability,
                data: waiting.data.clone(),
            };
            self.out.push_back(Action::Send(*peer, message));
        }
        let operation = self.operation(Purpose::HostWrite(sequence));
        self.act(Action::Write {
            operation,
            command: Some(waiting.command),
            offset: waiting.offset,
            data: waiting.data,
            durability: waiting.durability,
        });
        let write = Write {
            command: Some(waiting.command),
            range,
            local: false,
            awaiting,
        };
        self.host.writes.insert(sequence, write);
    }

    pub(super) fn host_written(&mut self, sequence: u64) {
        if let Some(write) = self.host.writes.get_mut(sequence) {
            write.local = true;
        }
    }

    /// A write wasn't done here, or in part. Peers that have it all the same meet this end again, and are sent what is
    /// here.
    pub(super) fn host_refused(&mut self, sequence: u64) {
        let Some(write) = self.host.writes.remove(sequence) else {
            return;
        };
        if let Some(command) = write.command {
            self.act(Action::Complete(command, Err(CommandError::Refused)));
        }
        let regions = self.config.regions.run(write.range);
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        for peer in peers {
            let member = self.is_member(peer);
            let it = self.peer(peer);
            it.lacks(regions);
            // An asynchronous one gets single writes as well while it is in step.
            if it.connected && (member || !it.asynchronous) {
                self.disconnect(peer);
            }
        }
    }

    /// Nobody waits for a command any more.
    pub(super) fn cancel(&mut self, command: CommandId) {
        let before = self.host.waiting.len();
        self.host.waiting.retain(|it| it.command != command);
        if self.host.waiting.len() != before {
            self.act(Action::Complete(command, Err(CommandError::Cancelled)));
        }
    }

    pub(super) fn write_answered(&mut self, peer: NodeId, sequence: u64) {
        if let Some(write) = self.host.writes.get_mut(sequence) {
            write.awaiting.remove(peer);
        }
    }

    // --- Flushes.

    fn begin_flush(&mut self, command: Option<CommandId>) {
        let sequence = self.sequence();
        let under_way = |region: &Region| {
            let range = self.config.regions.range(*region);
            let mut writes = self.host.writes.values();
            writes.any(|it| !it.local && it.range.overlaps(range))
        };
        let settled = self.log.hot().iter().filter(|it| !under_way(it));
        let covers = settled
            .map(|it| (it, self.host.last_write.get(&it).copied().unwrap_or(0)))
            .collect();
        let awaiting: BTreeSet<NodeId> = self.keeper.record().holders.iter().copied().collect();
        let flush = Flush {
            command,
            local: false,
            at: BTreeSet::new(),
            covers,
            awaiting,
        };
        self.host.flushes.insert(sequence, flush);
        let members: Vec<NodeId> = self.keeper.members().collect();
        for peer in members {
            self.send(peer, Message::Flush { sequence });
        }
        let operation = self.operation(Purpose::HostFlush(sequence));
        self.act(Action::Flush { operation, command });
    }

    /// A peer is in step again, in the generation in which flushes were begun.
    pub(super) fn repeat_flushes(&mut self, peer: NodeId) {
        let open = self.host.flushes.iter();
        let sequences: Vec<u64> = open
            .filter(|(_, it)| it.awaiting.contains(&peer))
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in sequences {
            self.send(peer, Message::Flush { sequence });
        }
    }

    /// A peer has made everything durable that was sent before.
    pub(super) fn everything_flushed(&mut self, peer: NodeId) {
        for flush in self.host.flushes.values_mut() {
            flush.awaiting.remove(&peer);
        }
    }

    pub(super) fn host_flushed(&mut self, sequence: u64) {
        if let Some(flush) = self.host.flushes.get_mut(&sequence) {
            flush.local = true;
        }
    }

    pub(super) fn flush_answered(&mut self, peer: NodeId, sequence: u64) {
        if let Some(flush) = self.host.flushes.get_mut(&sequence) {
            flush.awaiting.remove(&peer);
            flush.at.insert(peer);
        }
    }

    // --- Acknowledging.

    /// Answers a write, if it is everywhere where it has to be. To be asked while writes may be acknowledged.
    pub(super) fn complete_write(&mut self, sequence: u64) {
        let holders = &self.keeper.record().holders;
        let is_done = self.host.writes.get_mut(sequence);
        if !is_done.is_some_and(|it| it.is_done(holders)) {
            return;
        }
        let write = self.host.writes.remove(sequence);
        if let Some(command) = write.and_then(|it| it.command) {
            self.met_since_start = true;
            self.act(Action::Complete(command, Ok(())));
        }
    }

    fn complete(&mut self) {
        let nothing = self.host.writes.is_empty() && self.host.flushes.is_empty();
        if nothing || !self.keeper.may_acknowledge() {
            return;
        }
        let holders = &self.keeper.record().holders;
        let mut done: Vec<CommandId> = Vec::new();
        self.host.writes.retain(|it| {
            let is_done = it.is_done(holders);
            done.extend(it.command.filter(|_| is_done));
            !is_done
        });
        let mut settled = Vec::new();
        self.host.flushes.retain(|_, it| {
            let is_done = it.local && it.awaiting.is_disjoint(holders);
            if is_done {
                done.extend(it.command);
                if it.at.is_superset(holders) {
                    settled.append(&mut it.covers);
                }
            }
            !is_done
        });
        for command in done {
            self.met_since_start = true;
            self.act(Action::Complete(command, Ok(())));
        }
        self.settle(&settled);
    }

    /// These are durable at every end, up to that write of each.
    fn settle(&mut self, settled: &[(Region, u64)]) {
        if settled.is_empty() {
            return;
        }
        let kept = if self.host.handing_over.is_some() || self.host.wants_room {
            0
        } else {
            self.config.hot_kept
        };
        let excess = self.log.hot().len().saturating_sub(kept);
        let mut cool = RegionSet::default();
        for (region, last) in settled {
            let newest = self.host.last_write.get(region).copied().unwrap_or(0);
            if newest == *last && cool.len() < excess {
                cool.insert(*region);
            }
        }
        if cool.is_empty() {
            return;
        }
        for region in cool.iter() {
            self.host.last_write.remove(&region);
        }
        self.log_entry(LogEntry::Cool(cool.clone()));
        let members: Vec<NodeId> = self.keeper.members().collect();
        for peer in members {
            let message = Message::Settled {
                regions: cool.clone(),
            };
            self.send(peer, message);
        }
    }

    // --- Handing over.

    pub(super) fn begin_handover(&mut self, peer: NodeId) -> Result<(), Refusal> {
        if self.keeper.record().role != Role::Source {
            return Err(Refusal::IsNotSource);
        }
        if *self.keeper.standing(peer) != Standing::InStep || !self.keeper.may_acknowledge() {
            return Err(Refusal::NotInStep);
        }
        self.host.handing_over = Some(peer);
        Ok(())
    }

    pub(super) fn pump_handover(&mut self) {
        let Some(peer) = self.host.handing_over else {
            return;
        };
        if !self.keeper.may_acknowledge() || !self.host.writes.is_empty() {
            return;
        }
        if !self.host.flushes.is_empty() {
            return;
        }
        if !self.log.hot().is_empty() {
            self.begin_flush(None);
            return;
        }
        if let Err(refusal) = self.keeper.hand_over(peer) {
            self.host.handing_over = None;
            self.report(Report::Refused(super::Wish::HandOver(peer), refusal));
        }
    }
}
