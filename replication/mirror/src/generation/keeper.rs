//! The state machine around the durable record: what is changed when, and what may be done only after the change is
//! durable. One change at a time; others wait. Knows no data.

use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use super::lineage::{Generation, Lineage, Why};
use super::record::{Receiving, Record, Role, View};
use super::verdict::{Verdict, verdict};
use crate::id::{GenerationId, Incarnation, NodeId};

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeeperAction {
    /// Make the record durable and call [`Keeper::persisted`]. If the generation has changed, begin to track what
    /// changes since `track` with the same write.
    Persist {
        /// The whole record.
        record: Record,
        /// The generation that was current before, if another one is now or a resync begins.
        track: Option<GenerationId>,
    },
    /// Show the peer this view.
    Greet(NodeId, View),
    /// What follows from the two views.
    Met(NodeId, Verdict),
    /// Tell the peer to take this lineage.
    Adopt(NodeId, Lineage),
    /// Tell the source that this generation is durable here.
    Confirm(NodeId, GenerationId),
    /// Tell the peer that it is the source now, if it wants to be.
    TakeOver(NodeId),
    /// Ask the peer whether we may be the source, being of this generation.
    AskToTakeOver(NodeId, GenerationId),
    /// Tell the peer that it may not.
    Deny(NodeId),
    /// End the connection. Another one will begin with what is true then.
    Disconnect(NodeId),
    /// The record says that a resync has begun.
    ReceivingBegun(NodeId),
    /// This end has become a target.
    Resigned,
    /// This end has become the source.
    Serving,
}

/// How a peer stands to this end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Not connected.
    #[default]
    Down,
    /// Connected, waiting until the record is durable.
    Connected,
    /// It was shown this view.
    Greeted(View),
    /// No end is a source.
    Idle,
    /// The operator is needed.
    Conflict(Verdict),
    /// It is behind and is being sent what it lacks.
    Behind,
    /// A new generation includes it, and it hasn't confirmed that yet.
    Joining,
    /// It has the current generation durably, and gets every write.
    InStep,
    /// It is our source, and sends what we lack.
    Receiving,
    /// It is our source, and we have all.
    Following,
    /// It was told to be the source.
    TakingOver,
    /// It was asked whether we may be.
    Asked,
}

/// Why the operator's wish isn't done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is that already.
    #[error("this end is the source already")]
    IsSource,
    /// It isn't.
    #[error("this end isn't the source: do it at the source, or promote this end")]
    IsNotSource,
    /// There is nothing that could be served.
    #[error(
        "this end has no consistent image: its first copy, or a resync that began without a snapshot, isn't complete"
    )]
    NoImage,
    /// It is connected with its source.
    #[error(
        "the source is connected: fail over as planned, which loses nothing, or cut the connection first"
    )]
    SourceIsConnected,
    /// The other end isn't equal.
    #[error(
        "the other end isn't in step: wait until it is, or promote it by force and lose what it lacks"
    )]
    NotInStep,
    /// Something else is being done.
    #[error("another change of roles is under way: wait until it is completed")]
    Busy,
}

/// A change of the record that waits its turn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Change {
    Open(Why),
    Adopt(NodeId, Lineage),
    Demote(NodeId),
    Receive(Receiving),
    RolledBack,
    Promote(Option<NodeId>),
    /// From one that was no source either. The two may differ in what was under way when they lost theirs: so nobody is
    /// known to have what is here, and they meet again.
    TakeOver(NodeId),
    Resign(Option<NodeId>),
    Yield,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keeper {
    me: NodeId,
    incarnation: Incarnation,
    next_generation: u128,
    record: Record,
    /// What is done when the change that is being written is durable.
    writing: Option<Vec<KeeperAction>>,
    changes: VecDeque<Change>,
    peers: BTreeMap<NodeId, Standing>,
    out: VecDeque<KeeperAction>,
}

impl Keeper {
    /// An end with what is durable. `random` is drawn anew at each start, and new generations are numbered from it.
    #[must_use]
    pub fn new(me: NodeId, record: Record, incarnation: Incarnation, random: u128) -> Self {
        Self {
            me,
            incarnation,
            next_generation: random,
            record,
            writing: None,
            changes: VecDeque::new(),
            peers: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// The record of a new source, to be made durable before anything else.
    #[must_use]
    pub fn created(me: NodeId, first: GenerationId) -> Record {
        let generation = Generation {
            id: first,
            by: me,
            why: Why::Created,
        };
        Record {
            lineage: Lineage::new([generation]),
            role: Role::Source,
            ..Record::empty()
        }
    }

    /// The record as it is, or is being made durable.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Which run of the daemon this is.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Whether a change of the record is being written or waits.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.writing.is_some() || !self.changes.is_empty()
    }

    /// How a peer stands.
    #[must_use]
    pub fn standing(&self, peer: NodeId) -> &Standing {
        self.peers.get(&peer).unwrap_or(&Standing::Down)
    }

    /// Peers that stand so that they get every write and have to have it before it is acknowledged.
    pub fn members(&self) -> impl Iterator<Item = NodeId> {
        let member =
            |it: &(&NodeId, &Standing)| matches!(it.1, Standing::InStep | Standing::Joining);
        self.peers.iter().filter(member).map(|(peer, _)| *peer)
    }

    /// Whether a peer is one of these.
    #[must_use]
    pub fn is_member(&self, peer: NodeId) -> bool {
        matches!(self.standing(peer), Standing::InStep | Standing::Joining)
    }

    /// Whether this end is the source, durably.
    #[must_use]
    pub fn is_source(&self) -> bool {
        self.record.role == Role::Source && self.writing.is_none()
    }

    /// Whether a write that all members have may be acknowledged now.
    #[must_use]
    pub fn may_acknowledge(&self) -> bool {
        let mut holders = self.record.holders.iter();
        self.is_source() && holders.all(|peer| *self.standing(*peer) == Standing::InStep)
    }

    /// What is to be done next.
    pub fn next_action(&mut self) -> Option<KeeperAction> {
        self.out.pop_front()
    }

    // --- Connections.

    /// A connection to a peer is there. A peer that was connected has to be disconnected first.
    pub fn connected(&mut self, peer: NodeId) {
        self.peers.insert(peer, Standing::Connected);
        self.proceed();
    }

    /// It is gone.
    pub fn disconnected(&mut self, peer: NodeId) {
        self.peers.insert(peer, Standing::Down);
        self.proceed();
    }

    /// What the peer shows. Not greeted yet itself: it waits, call again when it is. False in that case.
    pub fn met(&mut self, peer: NodeId, theirs: &View) -> bool {
        let Standing::Greeted(ours) = self.standing(peer) else {
            return false;
        };
        let verdict = verdict(ours, theirs);
        let standing = match &verdict {
            Verdict::Send { .. } => Standing::Behind,
            Verdict::Receive { .. } => {
                if self.has_source() || self.hands_over() {
                    self.disconnect(peer);
                    return true;
                }
                if self.record.role == Role::Source {
                    self.changes.push_back(Change::Demote(peer));
                }
                Standing::Receiving
            }
            Verdict::NoSource => Standing::Idle,
            conflict => Standing::Conflict(conflict.clone()),
        };
        self.peers.insert(peer, standing);
        self.out.push_back(KeeperAction::Met(peer, verdict));
        self.proceed();
        true
    }

    /// Whether a peer is our source.
    fn has_source(&self) -> bool {
        let mut peers = self.peers.values();
        peers.any(|it| matches!(it, Standing::Receiving | Standing::Following))
    }

    /// Whether a peer is about to be the source, or this end with a peer's consent.
    fn hands_over(&self) -> bool {
        let mut peers = self.peers.values();
        peers.any(|it| matches!(it, Standing::TakingOver | Standing::Asked))
    }

    fn disconnect(&mut self, peer: NodeId) {
        if *self.standing(peer) != Standing::Down {
            self.peers.insert(peer, Standing::Down);
            self.out.push_back(KeeperAction::Disconnect(peer));
        }
    }

    fn disconnect_all_but(&mut self, kept: Option<NodeId>) {
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        for peer in peers {
            if Some(peer) != kept {
                self.disconnect(peer);
            }
        }
    }

    // --- The source's part.

    /// The peer has everything, in the generation that is current: it gets every write from now on.
    pub fn in_step(&mut self, peer: NodeId) {
        debug_assert_eq!(*self.standing(peer), Standing::Behind);
        if self.record.holders.contains(&peer) {
            self.peers.insert(peer, Standing::InStep);
        } else {
            self.copied(peer);
        }
    }

    /// The peer was sent all that it lacked, and gets every write from now on: a new generation includes it.
    pub fn copied(&mut self, peer: NodeId) {
        self.peers.insert(peer, Standing::Joining);
        self.open(Why::Joined);
    }

    /// A new generation, of the peers that are members at that moment.
    pub fn open(&mut self, why: Why) {
        self.changes.push_back(Change::Open(why));
        self.proceed();
    }

    /// The peer has a generation durably.
    pub fn confirmed(&mut self, peer: NodeId, generation: GenerationId) {
        if *self.standing(peer) == Standing::Joining
            && self.record.lineage.current() == Some(generation)
            && self.writing.is_none()
        {
            self.peers.insert(peer, Standing::InStep);
        }
    }

    /// Hands over to a peer that is in step, has everything durably, and gets no write any more.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn hand_over(&mut self, peer: NodeId) -> Result<(), Refusal> {
        if self.record.role != Role::Source {
            return Err(Refusal::IsNotSource);
        }
        if *self.standing(peer) != Standing::InStep || !self.may_acknowledge() {
            return Err(Refusal::NotInStep);
        }
        self.changes.push_back(Change::Resign(Some(peer)));
        self.proceed();
        Ok(())
    }

    // --- The target's part.

    /// The source says which lineage it is. Everything that came before has to be durable. False: it has no right to.
    #[must_use]
    pub fn adopt(&mut self, peer: NodeId, lineage: Lineage) -> bool {
        let goes_on = match self.record.lineage.current() {
            Some(current) => lineage.contains(current),
            None => !lineage.is_empty(),
        };
        let may = match self.standing(peer) {
            Standing::Following | Standing::TakingOver => goes_on,
            // What was yielded isn't gone on with.
            Standing::Receiving => {
                !lineage.is_empty() && self.record.receiving.is_some_and(|it| it.from == peer)
            }
            _ => false,
        };
        if may {
            self.changes.push_back(Change::Adopt(peer, lineage));
            self.proceed();
        }
        may
    }

    /// The source says that we have all that it has.
    pub fn follow(&mut self, peer: NodeId) {
        if *self.standing(peer) == Standing::Receiving {
            self.peers.insert(peer, Standing::Following);
        }
    }

    /// The source we follow has something more that we lack.
    pub fn receive_more(&mut self, peer: NodeId) {
        if *self.standing(peer) == Standing::Following {
            self.peers.insert(peer, Standing::Receiving);
        }
    }

    /// A resync is about to change what is on the disk.
    pub fn receive(&mut self, receiving: Receiving) {
        self.changes.push_back(Change::Receive(receiving));
        self.proceed();
    }

    /// What is on the disk is the safety snapshot again.
    pub fn rolled_back(&mut self) {
        self.changes.push_back(Change::RolledBack);
        self.proceed();
    }

    /// The source hands over, or one that was asked to. False: it has no right to, or we don't want it any more. `equal`:
    /// it has exactly what we have, and nothing is unsettled at either.
    #[must_use]
    pub fn taken_over(&mut self, from: NodeId, equal: bool) -> bool {
        let change = match self.standing(from) {
            Standing::Following => Change::Promote(Some(from)),
            Standing::Asked if equal => Change::Promote(Some(from)),
            Standing::Asked => Change::TakeOver(from),
            _ => return false,
        };
        self.changes.push_back(change);
        self.proceed();
        true
    }

    // --- Operators.

    /// Becomes the source without asking anybody. What is on the disk has to be an image.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn promote(&mut self) -> Result<(), Refusal> {
        if self.record.role == Role::Source {
            return Err(Refusal::IsSource);
        }
        if self.record.receiving.is_some() || self.record.lineage.is_empty() {
            return Err(Refusal::NoImage);
        }
        if self.has_source() || self.hands_over() {
            return Err(Refusal::SourceIsConnected);
        }
        self.changes.push_back(Change::Promote(None));
        self.proceed();
        Ok(())
    }

    /// Asks a connected peer of the same generation, while none is the source, whether this end may be it.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn ask_to_take_over(&mut self, peer: NodeId) -> Result<(), Refusal> {
        if self.record.role == Role::Source {
            return Err(Refusal::IsSource);
        }
        if self.has_source() {
            return Err(Refusal::SourceIsConnected);
        }
        if *self.standing(peer) != Standing::Idle || self.is_busy() {
            return Err(Refusal::NotInStep);
        }
        let generation = self.record.lineage.current();
        let Some(generation) = generation.filter(|_| self.record.receiving.is_none()) else {
            return Err(Refusal::NoImage);
        };
        self.peers.insert(peer, Standing::Asked);
        let ask = KeeperAction::AskToTakeOver(peer, generation);
        self.out.push_back(ask);
        Ok(())
    }

    /// A peer asks that. `same`: both are of the same generation.
    pub fn asked_to_take_over(&mut self, peer: NodeId, same: bool) {
        let idle = *self.standing(peer) == Standing::Idle;
        if idle && same && !self.has_source() && !self.hands_over() && !self.is_busy() {
            self.changes.push_back(Change::Resign(Some(peer)));
            self.proceed();
        } else {
            self.out.push_back(KeeperAction::Deny(peer));
        }
    }

    /// The peer doesn't want it.
    pub fn denied(&mut self, peer: NodeId) {
        if *self.standing(peer) == Standing::Asked {
            self.peers.insert(peer, Standing::Idle);
        }
    }

    /// Drops what was changed here since the ends had something in common, at the next meeting.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn give_up(&mut self) -> Result<(), Refusal> {
        if self.is_busy() {
            return Err(Refusal::Busy);
        }
        self.changes.push_back(Change::Yield);
        self.proceed();
        Ok(())
    }

    // --- Changes of the record, one after the other.

    /// The record is durable.
    pub fn persisted(&mut self) {
        for action in self.writing.take().unwrap_or_default() {
            if self.is_due(&action) {
                self.out.push_back(action);
            }
        }
        self.proceed();
    }

    /// Whether what was to follow a change is still for somebody: the connection may be another one by now.
    fn is_due(&self, action: &KeeperAction) -> bool {
        match action {
            KeeperAction::Adopt(peer, _) => *self.standing(*peer) == Standing::Joining,
            KeeperAction::Confirm(peer, _) => *self.standing(*peer) == Standing::Following,
            KeeperAction::TakeOver(peer) => *self.standing(*peer) == Standing::TakingOver,
            KeeperAction::ReceivingBegun(peer) => *self.standing(*peer) == Standing::Receiving,
            _ => true,
        }
    }

    fn proceed(&mut self) {
        while self.writing.is_none() {
            let Some(change) = self.changes.pop_front() else {
                break;
            };
            self.change(change);
        }
        if self.writing.is_none() {
            self.greet();
        }
    }

    /// Shows those who wait what is durable now.
    fn greet(&mut self) {
        let view = self.record.view();
        for (peer, standing) in &mut self.peers {
            if *standing == Standing::Connected {
                *standing = Standing::Greeted(view.clone());
                self.out.push_back(KeeperAction::Greet(*peer, view.clone()));
            }
        }
    }

    /// Those who were shown a view that isn't true any more have to meet us again.
    fn write(&mut self, record: Record, then: Vec<KeeperAction>) {
        let shown = |(peer, standing): (&NodeId, &Standing)| {
            let stale = matches!(
                standing,
                Standing::Greeted(_) | Standing::Idle | Standing::Conflict(_)
            );
            stale.then_some(*peer)
        };
        let stale: Vec<NodeId> = self.peers.iter().filter_map(shown).collect();
        for peer in stale {
            self.disconnect(peer);
        }
        let before = self.record.lineage.current();
        let changes =
            before != record.lineage.current() || record.receiving != self.record.receiving;
        let track = before.filter(|_| changes);
        self.record = record.clone();
        self.out.push_back(KeeperAction::Persist { record, track });
        self.writing = Some(then);
    }

    fn begun(&mut self, lineage: &Lineage, why: Why) -> Lineage {
        let id = GenerationId(self.next_generation);
        self.next_generation = self.next_generation.wrapping_add(1);
        lineage.with(Generation {
            id,
            by: self.me,
            why,
        })
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Open(why) => self.change_open(why),
            Change::Adopt(peer, lineage) => self.change_adopt(peer, lineage),
            Change::Demote(peer) => {
                let receives = *self.standing(peer) == Standing::Receiving;
                if self.record.role == Role::Source && receives {
                    self.disconnect_all_but(Some(peer));
                    self.write(self.resigned(), vec![KeeperAction::Resigned]);
                }
            }
            Change::Receive(receiving) => {
                if *self.standing(receiving.from) == Standing::Receiving {
                    let record = Record {
                        receiving: Some(receiving),
                        ..self.record.clone()
                    };
                    self.write(record, vec![KeeperAction::ReceivingBegun(receiving.from)]);
                }
            }
            Change::RolledBack => {
                let record = Record {
                    receiving: None,
                    ..self.record.clone()
                };
                self.write(record, vec![]);
            }
            Change::Promote(from) => self.change_promote(from),
            Change::TakeOver(from) => self.change_take_over(from),
            Change::Resign(to) => self.change_resign(to),
            Change::Yield => {
                self.disconnect_all_but(None);
                let record = Record {
                    yielded: true,
                    ..self.resigned()
                };
                self.write(record, vec![KeeperAction::Resigned]);
            }
        }
    }

    fn resigned(&self) -> Record {
        let mut record = self.record.clone();
        record.role = Role::Target;
        record.holders.clear();
        record
    }

    fn change_open(&mut self, why: Why) {
        let holders: Vec<NodeId> = self.members().collect();
        // Whoever was lost may be back. Who joins always gets a new one: others that have this one may lack writes
        // that the newcomer was sent with its copy.
        let unchanged = self.record.holders.iter().eq(&holders);
        if self.record.role != Role::Source || (why == Why::PeerLost && unchanged) {
            return;
        }
        let mut lineage = self.begun(&self.record.lineage.clone(), why);
        if why == Why::Cut {
            // The cut has a generation to itself, in which nothing is written: whoever has it has exactly the cut.
            lineage = self.begun(&lineage, why);
        }
        let mut then = Vec::new();
        for peer in &holders {
            self.peers.insert(*peer, Standing::Joining);
            then.push(KeeperAction::Adopt(*peer, lineage.clone()));
        }
        let record = Record {
            lineage,
            holders: holders.into_iter().collect(),
            ..self.record.clone()
        };
        self.write(record, then);
    }

    fn change_adopt(&mut self, peer: NodeId, lineage: Lineage) {
        // It may be another connection by now.
        if !matches!(
            self.standing(peer),
            Standing::Following | Standing::Receiving | Standing::TakingOver
        ) {
            return;
        }
        let generation = lineage.current();
        self.peers.insert(peer, Standing::Following);
        let record = Record {
            lineage,
            receiving: None,
            yielded: false,
            ..self.resigned()
        };
        let confirm = generation.map(|it| KeeperAction::Confirm(peer, it));
        self.write(record, confirm.into_iter().collect());
    }

    fn change_promote(&mut self, from: Option<NodeId>) {
        let source =
            from.filter(|it| matches!(self.standing(*it), Standing::Following | Standing::Asked));
        if from.is_some() && source.is_none() {
            return;
        }
        self.disconnect_all_but(source);
        let why = if source.is_some() {
            Why::HandedOver
        } else {
            Why::Promoted
        };
        let lineage = self.begun(&self.record.lineage.clone(), why);
        let mut then = vec![KeeperAction::Serving];
        if let Some(source) = source {
            self.peers.insert(source, Standing::Joining);
            then.push(KeeperAction::Adopt(source, lineage.clone()));
        }
        let record = Record {
            lineage,
            role: Role::Source,
            holders: source.into_iter().collect(),
            receiving: None,
            yielded: false,
        };
        self.write(record, then);
    }

    fn change_take_over(&mut self, from: NodeId) {
        if *self.standing(from) != Standing::Asked {
            return;
        }
        self.disconnect_all_but(None);
        let record = Record {
            lineage: self.begun(&self.record.lineage.clone(), Why::HandedOver),
            role: Role::Source,
            holders: std::iter::empty().collect(),
            receiving: None,
            yielded: false,
        };
        self.write(record, vec![KeeperAction::Serving]);
    }

    fn change_resign(&mut self, to: Option<NodeId>) {
        let ready =
            |peer: &NodeId| matches!(self.standing(*peer), Standing::InStep | Standing::Idle);
        let Some(to) = to.filter(ready) else {
            return;
        };
        self.disconnect_all_but(Some(to));
        self.peers.insert(to, Standing::TakingOver);
        self.write(
            self.resigned(),
            vec![KeeperAction::Resigned, KeeperAction::TakeOver(to)],
        );
    }
}
