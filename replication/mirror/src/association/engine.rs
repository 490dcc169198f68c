//! The engine: takes events apart, keeps what all parts need, and does what the keeper of the record says.

use std::collections::VecDeque;

use tidelock_capabilities::values::Mode;

use super::action::{Action, CommandError, Durable, Event, JournalEntry, Outcome, Report, Wish};
use super::books::Operations;
use super::host::Host;
use super::peer::{Peer, Peers};
use super::target::Target;
use crate::generation::{Keeper, KeeperAction, Role, Why};
use crate::id::{Incarnation, NodeId, OperationId};
use crate::link::Message;
use crate::region::{Region, RegionSet, Regions, Run};
use crate::region_log::{LogEntry, RegionLog};

/// What is done with hosts while a peer is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnFailure {
    /// They are served without it, in a new generation; what changes is tracked.
    Continue,
    /// They are stopped (FailedCopyStopsHostIO).
    Halt,
}

/// How an end works.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// This end.
    pub me: NodeId,
    /// The size of the volume and of its regions. A region is the unit of a resync, at most
    /// [`crate::link::DATA_MAX`] bytes.
    pub regions: Regions,
    /// What is done with hosts while a peer is away.
    pub on_failure: OnFailure,
    /// Whether a source that has been restarted serves hosts before it has met its peers, once they have been away
    /// for long enough. They may have taken over meanwhile, which would be a split brain.
    pub alone_after_restart: bool,
    /// Whether a source asks before it goes on without peers ([`Action::AskToGoOnAlone`]): they take over by themselves,
    /// see [`crate::lease`]. What is said of [`Self::alone_after_restart`] doesn't matter then.
    pub asks_before_alone: bool,
    /// Whether the disk can keep a snapshot. Without one a target that is being resynced has no image to go back to.
    pub keeps_snapshots: bool,
    /// Bytes of data that a source may have under way to this end.
    pub window: u64,
    /// How many regions may be hot, at most 16,384.
    pub hot_max: u64,
    /// How many hot regions are left hot by a flush, for the next writes of them.
    pub hot_kept: u64,
    /// How many regions are copied at once in a resync.
    pub copies_max: usize,
}

/// The most regions that may be hot.
const HOT_MAX: u64 = crate::link::RUNS_MAX as u64;

/// Whose completion is awaited from the journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Journaled {
    Record,
    Heat(RegionSet),
    Nothing,
}

/// What an operation of the disk is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// A write of a host.
    HostWrite(u64),
    /// A flush of a host, or of ours.
    HostFlush(u64),
    /// A region is read for a resync.
    Copy(NodeId),
    /// The target's part.
    Apply,
    TargetFlush,
    AdoptFlush,
    Snapshot,
    RollBack,
    /// The content is frozen for a peer.
    Cut(NodeId),
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Engine {
    pub(super) config: Config,
    pub(super) keeper: Keeper,
    pub(super) log: RegionLog,
    /// Hot in the log, but not durably yet.
    pub(super) heating: RegionSet,
    journal: VecDeque<Journaled>,
    pub(super) operations: Operations<Purpose>,
    pub(super) next_sequence: u64,
    pub(super) peers: Peers,
    pub(super) host: Host,
    pub(super) target: Target,
    pub(super) copy_budget: u64,
    /// The peers' time is over.
    pub(super) degraded: bool,
    /// An operator wants hosts to be served without them, whatever is configured.
    alone: bool,
    timer: bool,
    /// How often it has asked whether it may go on alone, and whether the last time was answered.
    asked_alone: u64,
    asking_alone: bool,
    may_go_on_alone: bool,
    /// It has served hosts, or met a peer, since it was started.
    pub(super) met_since_start: bool,
    pub(super) failed: bool,
    pub(super) out: VecDeque<Action>,
}

impl Engine {
    /// An end, with what is durable of it. `incarnation` and `random` are drawn anew at each start.
    #[must_use]
    pub fn new(
        mut config: Config,
        durable: Durable,
        incarnation: Incarnation,
        random: u128,
    ) -> Self {
        // So many always fit into a message.
        config.hot_max = config.hot_max.min(HOT_MAX);
        let receiving = durable.record.receiving;
        let mut engine = Self {
            keeper: Keeper::new(config.me, durable.record, incarnation, random),
            log: durable.log,
            heating: RegionSet::default(),
            journal: VecDeque::new(),
            operations: Operations::default(),
            next_sequence: 1,
            peers: Peers::new(),
            host: Host::default(),
            target: Target::default(),
            copy_budget: 0,
            degraded: false,
            alone: false,
            timer: false,
            asked_alone: 0,
            asking_alone: false,
            may_go_on_alone: false,
            met_since_start: false,
            failed: false,
            out: VecDeque::new(),
            config,
        };
        if receiving.is_some_and(|it| it.snapshot) {
            // What was copied and not flushed may be lost, so it can't be gone on with.
            engine.target.starting = true;
            engine.begin_roll_back();
        }
        engine
    }

    /// What is to be done next.
    pub fn next_action(&mut self) -> Option<Action> {
        self.out.pop_front()
    }

    /// The keeper of the record.
    #[must_use]
    pub const fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Whether hosts may read and write here.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.keeper.is_source() && !self.failed
    }

    /// Whether what is on the disk is an image of something, as it stands.
    #[must_use]
    pub fn has_image(&self) -> bool {
        let record = self.keeper.record();
        record.receiving.is_none() && !record.lineage.is_empty()
    }

    /// [`Config::asks_before_alone`] from now on.
    pub fn ask_before_alone(&mut self, asks: bool) {
        self.config.asks_before_alone = asks;
        // What was asked before is asked again.
        (self.asking_alone, self.may_go_on_alone) = (false, false);
        self.pump();
    }

    /// The log of regions.
    #[must_use]
    pub const fn region_log(&self) -> &RegionLog {
        &self.log
    }

    /// Bytes that are still to be copied to a peer; `None` if nothing is being copied.
    #[must_use]
    pub fn left_to_copy(&self, peer: NodeId) -> Option<u64> {
        let plan = self.peers.get(&peer)?.plan.as_ref()?;
        let bytes = |region: Region| self.config.regions.range(region).length;
        let left: u64 = plan.remaining.iter().map(bytes).sum();
        Some(left + plan.reading.values().map(|it| bytes(*it)).sum::<u64>())
    }

    /// The peers that were ever heard of, and whether hosts don't wait for them.
    pub fn known_peers(&self) -> impl Iterator<Item = (NodeId, bool)> {
        self.peers.iter().map(|(peer, it)| (*peer, it.asynchronous))
    }

    /// Whether no command of a host waits for anything.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.host.is_idle()
    }

    /// Whether something is being copied to a peer.
    #[must_use]
    pub fn is_resyncing(&self) -> bool {
        self.peers.values().any(|it| it.plan.is_some())
    }

    /// Bytes that may still be copied; see [`Event::CopyBudget`].
    #[must_use]
    pub const fn copy_budget(&self) -> u64 {
        self.copy_budget
    }

    /// No more than so many of them may be.
    pub fn limit_copy_budget(&mut self, bytes: u64) {
        self.copy_budget = self.copy_budget.min(bytes);
    }

    /// Whether the disk or the journal has failed: nothing is done any more.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Something has happened. Take all actions afterwards.
    pub fn handle(&mut self, event: Event) {
        if let Some(event) = self.straight(event) {
            self.take_event(event);
            self.pump();
        }
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Write {
                command,
                offset,
                data,
                durability,
            } => self.host_write(command, offset, data, durability),
            Event::Flush { command } => self.host_flush(command),
            Event::Cancel(command) => self.cancel(command),
            Event::Done { operation, outcome } => self.done(operation, outcome),
            Event::Journaled => self.journaled(),
            Event::JournalFailed => self.disk_failed(),
            Event::Connected(peer) => {
                let it = self.peers.entry(peer).or_default();
                it.connected = true;
                if !self.target.starting && !self.failed && !it.held {
                    self.keeper.connected(peer);
                }
            }
            Event::Disconnected(peer) => {
                self.keeper.disconnected(peer);
                self.lost(peer);
            }
            Event::Received(peer, message) => self.received(peer, message),
            Event::TimeOut => {
                self.timer = false;
                self.degraded = true;
            }
            Event::MayGoOnAlone(number) => {
                self.may_go_on_alone |= self.asking_alone && self.asked_alone == number;
            }
            Event::CutDue(peer) => self.cut_due(peer),
            Event::CopyBudget(bytes) => self.copy_budget = self.copy_budget.saturating_add(bytes),
            Event::Wish(wish) => self.wish(wish),
        }
    }

    fn pump(&mut self) {
        loop {
            self.keeper_actions();
            if self.failed {
                self.out
                    .retain(|it| !matches!(it, Action::Send(..) | Action::Write { .. }));
                break;
            }
            self.pump_target();
            self.pump_host();
            self.pump_cuts();
            self.pump_offers();
            self.pump_copies();
            self.pump_handover();
            self.pump_timer();
            let more = self.keeper_actions();
            if !more {
                break;
            }
        }
    }

    // --- What the parts ask for.

    pub(super) fn act(&mut self, action: Action) {
        self.out.push_back(action);
    }

    pub(super) fn report(&mut self, report: Report) {
        self.out.push_back(Action::Report(report));
    }

    pub(super) fn send(&mut self, peer: NodeId, message: Message) {
        self.out.push_back(Action::Send(peer, message));
    }

    pub(super) fn operation(&mut self, purpose: Purpose) -> OperationId {
        self.operations.insert(purpose)
    }

    pub(super) const fn sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        sequence
    }

    pub(super) fn log_entry(&mut self, entry: LogEntry) {
        self.log.apply(&entry);
        let purpose = match &entry {
            LogEntry::Heat(regions) => {
                self.heating.add(regions);
                Journaled::Heat(regions.clone())
            }
            _ => Journaled::Nothing,
        };
        self.journal.push_back(purpose);
        self.out
            .push_back(Action::Journal(JournalEntry::Log(entry)));
    }

    /// Whether all these are hot, durably.
    pub(super) fn are_hot(&self, regions: Run) -> bool {
        self.log.hot().has_all(regions) && !self.heating.has_any(regions)
    }

    /// The peer broke the rules.
    pub(super) fn misbehaved(&mut self, peer: NodeId, how: &'static str) {
        self.report(Report::Misbehaved(peer, how));
        self.disconnect(peer);
    }

    /// Ends a connection from here.
    pub(super) fn disconnect(&mut self, peer: NodeId) {
        if self.peers.get(&peer).is_some_and(|it| it.connected) {
            self.act(Action::Disconnect(peer));
        }
        self.keeper.disconnected(peer);
        self.lost(peer);
    }

    pub(super) fn is_member(&self, peer: NodeId) -> bool {
        self.keeper.is_member(peer)
    }

    // --- What comes in.

    fn journaled(&mut self) {
        match self.journal.pop_front() {
            Some(Journaled::Record) => self.keeper.persisted(),
            Some(Journaled::Heat(regions)) => {
                // It may be about to be made hot once more; then the later entry counts.
                let later = |region: Region| {
                    self.journal
                        .iter()
                        .any(|it| matches!(it, Journaled::Heat(more) if more.contains(region)))
                };
                let durable: Vec<Region> = regions.iter().filter(|it| !later(*it)).collect();
                for region in durable {
                    self.heating.remove(region);
                }
            }
            Some(Journaled::Nothing) | None => {}
        }
    }

    fn done(&mut self, operation: OperationId, outcome: Outcome) {
        let Some(purpose) = self.operations.remove(operation) else {
            return;
        };
        match purpose {
            Purpose::HostWrite(sequence) if outcome == Outcome::Refused => {
                self.host_refused(sequence);
            }
            Purpose::Snapshot if outcome == Outcome::Refused => self.snapshot_taken(false),
            _ if matches!(outcome, Outcome::Failed | Outcome::Refused) => self.disk_failed(),
            Purpose::HostWrite(sequence) => self.host_written(sequence),
            Purpose::HostFlush(sequence) => self.host_flushed(sequence),
            Purpose::Copy(peer) => {
                if let Outcome::Read(data) = outcome {
                    self.copy_read(peer, operation, data);
                }
            }
            Purpose::Apply => self.applied(operation),
            Purpose::TargetFlush => self.target_flushed(),
            Purpose::AdoptFlush => self.adopt_flushed(),
            Purpose::Snapshot => self.snapshot_taken(true),
            Purpose::RollBack => self.rolled_back(),
            Purpose::Cut(peer) => self.cut_taken(peer),
        }
    }

    fn disk_failed(&mut self) {
        if self.failed {
            return;
        }
        self.failed = true;
        self.report(Report::DiskFailed);
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.disconnect(peer);
        }
        self.fail_host(CommandError::DiskFailed);
    }

    fn lost(&mut self, peer: NodeId) {
        let was_met = self
            .peers
            .get(&peer)
            .is_some_and(|it| it.greeting.is_some());
        self.peers.entry(peer).or_default().lost();
        self.lost_cut(peer);
        self.host.lost(peer);
        self.target.lost(peer);
        if was_met {
            // Whoever was asked may take it for in step, and let it take over.
            self.asking_alone = false;
            self.may_go_on_alone = false;
            self.report(Report::Lost(peer));
        }
    }

    // --- The keeper.

    /// Does what the keeper says; false if that was nothing.
    fn keeper_actions(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.keeper.next_action() {
            any = true;
            self.keeper_action(action);
        }
        any
    }

    fn keeper_action(&mut self, action: KeeperAction) {
        match action {
            KeeperAction::Persist { record, track } => {
                if let Some(generation) = track {
                    self.log.apply(&LogEntry::Track(generation));
                }
                self.journal.push_back(Journaled::Record);
                self.act(Action::Journal(JournalEntry::Record { record, track }));
            }
            KeeperAction::Greet(peer, view) => self.greet(peer, view),
            KeeperAction::Met(peer, verdict) => self.met(peer, verdict),
            KeeperAction::Adopt(peer, lineage) => self.send(peer, Message::Adopt { lineage }),
            KeeperAction::Confirm(peer, generation) => self.adopted(peer, generation),
            KeeperAction::TakeOver(peer) => self.send(peer, Message::TakeOver),
            KeeperAction::AskToTakeOver(peer, generation) => {
                let unsettled = self.log.hot().clone();
                let message = Message::AskToTakeOver {
                    generation,
                    unsettled,
                };
                self.send(peer, message);
            }
            KeeperAction::Deny(peer) => self.send(peer, Message::Deny),
            KeeperAction::Disconnect(peer) => {
                self.act(Action::Disconnect(peer));
                self.lost(peer);
            }
            KeeperAction::ReceivingBegun(peer) => self.receiving_begun(peer),
            KeeperAction::Resigned => {
                self.host.handing_over = None;
                self.peers.values_mut().for_each(Peer::forget);
                self.fail_host(CommandError::NotSource);
                self.report(Report::Resigned);
            }
            KeeperAction::Serving => {
                self.met_since_start = true;
                self.report(Report::Serving);
            }
        }
    }

    fn wish(&mut self, wish: Wish) {
        let refused = match wish {
            Wish::HandOver(peer) => self.begin_handover(peer),
            Wish::TakeOver(peer) => self.keeper.ask_to_take_over(peer),
            Wish::Promote => self.begin_promotion(),
            Wish::GiveUp => self.keeper.give_up(),
            Wish::GoOnAlone => {
                self.met_since_start = true;
                (self.degraded, self.alone) = (true, true);
                self.host.halted = false;
                Ok(())
            }
            Wish::Hold(peer) => {
                self.peers.entry(peer).or_default().held = true;
                self.disconnect(peer);
                // There is nothing to wait for: it doesn't come back by itself.
                (self.degraded, self.alone) = (true, true);
                self.host.halted = false;
                Ok(())
            }
            Wish::SetMode(peer, mode) => {
                self.set_mode(peer, mode == Mode::Asynchronous);
                Ok(())
            }
            Wish::Release(peer) => {
                let it = self.peers.entry(peer).or_default();
                let was_held = std::mem::replace(&mut it.held, false);
                if was_held && it.connected && !self.target.starting {
                    self.keeper.connected(peer);
                }
                Ok(())
            }
        };
        if let Err(refusal) = refused {
            self.report(Report::Refused(wish, refusal));
        }
    }

    fn set_mode(&mut self, peer: NodeId, asynchronous: bool) {
        // Whoever has handed over is in step, and gets every write until the two meet again.
        let is_member = self.is_member(peer);
        let it = self.peers.entry(peer).or_default();
        let changes = std::mem::replace(&mut it.asynchronous, asynchronous) != asynchronous;
        if changes {
            it.forget();
        }
        if self.keeper.record().role != Role::Source {
            return;
        }
        // The ends meet again, in the new mode; hosts don't wait for that.
        if changes || asynchronous && is_member {
            self.disconnect(peer);
        }
        let is_awaited = changes || self.keeper.record().holders.contains(&peer);
        self.degraded |= asynchronous && is_awaited;
    }

    // --- Peers that are away.

    fn pump_timer(&mut self) {
        let record = self.keeper.record();
        let away =
            record.role == Role::Source && record.holders.iter().any(|it| !self.is_member(*it));
        if !away {
            self.degraded = false;
            self.alone = false;
            self.host.halted = false;
            self.asking_alone = false;
            self.may_go_on_alone = false;
            if self.timer {
                self.timer = false;
                self.act(Action::StopTimer);
            }
            return;
        }
        if !self.degraded && !self.timer {
            self.timer = true;
            self.act(Action::StartTimer);
        }
        if !self.degraded || self.keeper.is_busy() || self.host.is_idle() {
            return;
        }
        let may = self.met_since_start || self.config.alone_after_restart;
        match self.config.on_failure {
            OnFailure::Halt if !self.alone => {
                if !self.host.halted {
                    self.host.halted = true;
                    self.report(Report::Halted);
                }
                self.fail_host(CommandError::Halted);
            }
            _ if self.config.asks_before_alone && !self.may_go_on_alone => {
                self.ask_to_go_on_alone();
            }
            _ if may || self.config.asks_before_alone => {
                self.met_since_start = true;
                self.report(Report::Alone);
                self.keeper.open(Why::PeerLost);
            }
            _ => {}
        }
    }

    /// Asks once, until that is answered.
    fn ask_to_go_on_alone(&mut self) {
        if !self.asking_alone {
            self.asking_alone = true;
            self.asked_alone += 1;
            self.act(Action::AskToGoOnAlone(self.asked_alone));
        }
    }

    /// A peer, made if need be.
    pub(super) fn peer(&mut self, peer: NodeId) -> &mut Peer {
        self.peers.entry(peer).or_default()
    }
}
