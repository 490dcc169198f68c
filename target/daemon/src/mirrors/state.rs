//! One mirror as an operator sees it: the state of the association by DMTF's table, who serves hosts, and what the
//! ends have to be asked for so that it becomes what is wanted. Pure; knows no volumes and no catalog but the words
//! for one mirror.
//!
//! What is wanted stands in the catalog before anything is asked of the ends, so a crash at any moment leaves a
//! mirror that goes on to what was wanted.

mod access;
mod asynchronous;
mod automatic;
mod operations;
mod remote;
mod restoring;
#[cfg(test)]
mod tests;

use tidelock_capabilities::BuiltType;
use tidelock_capabilities::facts::{Association, AssociationKey};
use tidelock_capabilities::machine::{After, Event, Scope, State as Shown, created, observe};
use tidelock_capabilities::values::{CopyState, Operation, ProgressStatus, SyncType};
use tidelock_catalog::{Mirror, MirrorRest, MirrorSide, OnFailure};
use tidelock_mirror::association::{Report, Wish};
use tidelock_mirror::generation::{Refusal, Role, Verdict};
use tidelock_mirror::id::NodeId;

pub(crate) use access::Access;
pub(crate) use automatic::Place;
pub(crate) use restoring::Step;

/// What is to be done about an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    /// Ask it for this.
    Wish(MirrorSide, Wish),
    /// What was wanted can't be, or the ends have agreed on another source: remember that this is wanted.
    TakeBack(MirrorSide, MirrorRest),
}

/// What is known of one end.
#[derive(Clone, Debug, Default)]
struct End {
    /// Which part it plays; `None`: it isn't open.
    role: Option<Role>,
    /// It is the source, and the other end gets every write.
    in_step: bool,
    /// Its disk has failed, or it couldn't be opened, and why.
    problem: Option<String>,
}

/// An operation that isn't done.
#[derive(Clone, Debug)]
struct Pending {
    operation: Operation,
    after: After,
    /// What is shown and wanted if it can't be.
    before: (Association, MirrorSide, MirrorRest),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct State {
    record: Mirror,
    association: Association,
    built: BuiltType,
    ends: [End; 2],
    pending: Option<Pending>,
    /// Why the last operation couldn't be done, until there is another one.
    failed: Option<String>,
    /// Both ends have what the other one doesn't have, or don't belong together.
    conflict: Option<Verdict>,
    /// Bytes of the copy that is under way, when it began.
    to_copy: u64,
    halted: bool,
    /// It was there when the daemon was started, or before the disk of an end had failed.
    found: bool,
    /// The source here waits for the other end; see [`Self::access`].
    waits: bool,
    /// Hosts are kept away from the source here.
    fenced: bool,
    /// Both ends are sources, and don't meet, as nothing is sent.
    two_sources: bool,
    /// The ends meet again in another mode: that they part for it is no failure.
    switching: bool,
    /// Whether the source here has its place by the rules of automatic failover; `None`: there are none.
    place: Option<Place>,
    /// What is wrong with the store of leases.
    trouble: Option<String>,
    /// An asynchronous target at a peer, or the end here for one there, gets all, so that it can become the source.
    catching_up: bool,
    /// How far it has come that the source gets what the target has.
    restoring: restoring::Restoring,
}

impl State {
    /// A mirror that has just been made.
    pub(crate) fn new(record: Mirror, key: AssociationKey, built: BuiltType) -> Self {
        let (first, _) = created(&built, Scope::Element);
        Self::showing(record, key, built, first)
    }

    /// A mirror that was there when the daemon was started.
    pub(crate) fn found(record: Mirror, key: AssociationKey, built: BuiltType) -> Self {
        let shown = match record.rest {
            MirrorRest::Suspended => Shown::at_rest(CopyState::Suspended),
            MirrorRest::Fractured => Shown::at_rest(CopyState::Fractured),
            MirrorRest::Split => Shown::at_rest(CopyState::Split),
            MirrorRest::RestoringFractured => Shown {
                copy_state: CopyState::Fractured,
                progress_status: ProgressStatus::Restoring,
            },
            MirrorRest::RestoringSplit => Shown {
                copy_state: CopyState::Split,
                progress_status: ProgressStatus::Restoring,
            },
            // Not before it is known that it is so.
            MirrorRest::FailedOver => Shown {
                copy_state: CopyState::Unsynchronized,
                progress_status: ProgressStatus::FailingOver,
            },
            // The other daemon may be gone for good, and then it can be done without it.
            MirrorRest::Linked if record.remote().is_some() => Shown::at_rest(CopyState::Broken),
            MirrorRest::Linked => Shown {
                copy_state: CopyState::Unsynchronized,
                progress_status: ProgressStatus::Resyncing,
            },
        };
        let mut state = Self::showing(record, key, built, shown);
        state.found = true;
        // Until it is open, and says that it isn't the source.
        state.waits = state.record.remote().is_some();
        state
    }

    fn showing(record: Mirror, key: AssociationKey, built: BuiltType, shown: Shown) -> Self {
        let place = record.is_automatic().then_some(Place::Asked);
        Self {
            place,
            trouble: None,
            association: Association {
                key,
                sync_type: SyncType::Mirror,
                mode: built.mode(),
                copy_state: shown.copy_state,
                progress_status: shown.progress_status,
                target_consistent: false,
                source_consistent: true,
            },
            record,
            built,
            ends: [End::default(), End::default()],
            pending: None,
            failed: None,
            conflict: None,
            to_copy: 0,
            halted: false,
            found: false,
            waits: false,
            fenced: false,
            two_sources: false,
            switching: false,
            catching_up: false,
            restoring: restoring::Restoring::default(),
        }
    }

    // --- What can be seen.

    /// What the catalog says of it.
    pub(crate) const fn record(&self) -> &Mirror {
        &self.record
    }

    pub(crate) const fn association(&self) -> &Association {
        &self.association
    }

    /// Whether an operation isn't done.
    pub(crate) const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Why the last operation couldn't be done.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    pub(crate) const fn conflict(&self) -> Option<&Verdict> {
        self.conflict.as_ref()
    }

    pub(crate) const fn to_copy(&self) -> u64 {
        self.to_copy
    }

    pub(crate) const fn is_halted(&self) -> bool {
        self.halted
    }

    pub(crate) fn role(&self, side: MirrorSide) -> Option<Role> {
        self.end(side).role
    }

    pub(crate) fn problem(&self, side: MirrorSide) -> Option<&str> {
        self.end(side).problem.as_deref()
    }

    /// Whether the source gives every write to the other end.
    pub(crate) fn is_in_step(&self) -> bool {
        self.ends.iter().any(|end| end.in_step)
    }

    /// Whether hosts may write a volume: it has to be the source. If both take themselves for it, as after a failover
    /// that one of them doesn't know of, it is the one that is meant to be; and while nobody knows what that one is, the
    /// other one isn't written either.
    pub(crate) fn is_writable(&self, side: MirrorSide) -> bool {
        if let Some(access) = self.access()
            && !self.is_remote(side)
        {
            return access == Access::Active;
        }
        if self.is_restoring() {
            return false;
        }
        let role = |side| self.end(side).role;
        let is_meant = self.record.serving() == side;
        role(side) == Some(Role::Source)
            && (is_meant || role(side.opposite()) == Some(Role::Target))
    }

    /// Whether both take themselves for the source.
    pub(crate) fn has_two_sources(&self) -> bool {
        self.ends.iter().all(|end| end.role == Some(Role::Source))
    }

    fn end(&self, side: MirrorSide) -> &End {
        let [first, second] = &self.ends;
        match side {
            MirrorSide::First => first,
            MirrorSide::Second => second,
        }
    }

    fn end_mut(&mut self, side: MirrorSide) -> &mut End {
        let [first, second] = &mut self.ends;
        match side {
            MirrorSide::First => first,
            MirrorSide::Second => second,
        }
    }

    fn node(&self, side: MirrorSide) -> NodeId {
        NodeId(self.record.end(side).node.as_u128())
    }

    /// The end that an end has for a peer.
    fn peer_of(&self, side: MirrorSide) -> NodeId {
        self.node(side.opposite())
    }

    /// Whether an image is at the end that doesn't serve hosts.
    pub(crate) fn set_target_consistent(&mut self, consistent: bool) {
        self.association.target_consistent = consistent;
    }

    // --- What happens to its ends.

    /// An end is open. What it has to be asked for before it meets the other one.
    pub(crate) fn opened(&mut self, side: MirrorSide, role: Role) -> Vec<Do> {
        // While its disk had failed the other one may have taken over, as while no daemon was there.
        self.found |= self.end(side).problem.is_some();
        *self.end_mut(side) = End {
            role: Some(role),
            in_step: false,
            problem: None,
        };
        self.waits = self.begins_to_wait(side, role);
        self.fenced = false;
        let mut todo = Vec::new();
        let is_held = self.record.rest.is_held() || self.is_restoring();
        self.restore_anew();
        if is_held && self.record.source == side {
            todo.push(Do::Wish(side, Wish::Hold(self.peer_of(side))));
        }
        if role == Role::Source && side == self.record.serving() {
            self.serves();
        }
        todo
    }

    /// An end isn't open any more, or couldn't be opened.
    pub(crate) fn closed(&mut self, side: MirrorSide, problem: String) {
        *self.end_mut(side) = End {
            role: None,
            in_step: false,
            problem: Some(problem),
        };
        self.event(Event::Failed);
    }

    /// An end says something.
    pub(crate) fn report(&mut self, side: MirrorSide, report: &Report) -> Vec<Do> {
        self.restoring_goes_on(report);
        match report {
            Report::Serving => {
                self.end_mut(side).role = Some(Role::Source);
                (self.waits, self.fenced) = (false, false);
                if self.is_remote(side.opposite()) {
                    // What it is now it says when they meet.
                    *self.end_mut(side.opposite()) = End::default();
                    if side != self.record.serving() && !self.is_restoring() {
                        return self.adopt(side);
                    }
                }
                if side == self.record.serving() {
                    self.serves();
                }
            }
            Report::Resigned => {
                let end = self.end_mut(side);
                (end.role, end.in_step) = (Some(Role::Target), false);
                (self.waits, self.fenced) = (false, false);
            }
            Report::InStep(_) => return self.in_step(side),
            Report::Met(peer, verdict) => return self.met(side, *peer, verdict),
            Report::ResyncBegun(_, bytes) => {
                self.to_copy = *bytes;
                if self.flows_from(side) {
                    self.event(Event::Recovered);
                    if self.association.copy_state == CopyState::Initialized {
                        self.show(Shown {
                            copy_state: CopyState::Unsynchronized,
                            progress_status: ProgressStatus::Synchronizing,
                        });
                    }
                }
            }
            Report::Following(_) if self.is_remote(side.opposite()) => {
                return self.follows(side.opposite());
            }
            Report::Lost(_) => {
                self.end_mut(side).in_step = false;
                if self.is_remote(side.opposite()) {
                    return self.lost_remote(side);
                }
                // What is held is away because that is wanted, and a change of roles goes on when they meet again.
                // Both ends are here, and one that has failed says so itself.
                let meets_again = self.switching || self.is_asynchronous();
                let expected = self.record.rest.is_held()
                    || self.is_restoring()
                    || self.changes_roles()
                    || meets_again;
                if !expected && self.flows_from(side) {
                    self.event(Event::Failed);
                }
                return self.alone(side);
            }
            Report::DiskFailed => {
                let end = self.end_mut(side);
                end.in_step = false;
                end.problem = Some("its disk has failed".into());
                self.event(Event::Failed);
                return self.alone(side.opposite());
            }
            Report::Halted => self.halted = true,
            Report::Refused(wish, refusal) if self.is_restoring() => {
                return self.refused_to_restore(*wish, *refusal);
            }
            Report::Refused(wish, refusal) => return self.refused(side, *wish, *refusal),
            Report::Alone | Report::Following(_) | Report::CutTaken(_) | Report::Misbehaved(..) => {
            }
            Report::CutConfirmed(_) => return self.has_cut(side),
        }
        Vec::new()
    }

    fn is_remote(&self, side: MirrorSide) -> bool {
        !self.record.end(side).is_here()
    }

    /// A source whose other end is known to have failed has nothing to wait for.
    fn alone(&self, side: MirrorSide) -> Vec<Do> {
        let is_source = self.end(side).role == Some(Role::Source);
        let is_alone = self.end(side.opposite()).problem.is_some();
        let goes_on = self.record.on_failure == OnFailure::Continue;
        match is_source && is_alone && goes_on {
            true => vec![Do::Wish(side, Wish::GoOnAlone)],
            false => Vec::new(),
        }
    }

    /// Whether a side's data goes the way that the association shows.
    fn flows_from(&self, side: MirrorSide) -> bool {
        side == self.record.source && self.record.rest != MirrorRest::FailedOver
    }

    fn changes_roles(&self) -> bool {
        let wanted = self.end(self.record.serving());
        wanted.role == Some(Role::Target)
    }

    fn in_step(&mut self, side: MirrorSide) -> Vec<Do> {
        self.end_mut(side).in_step = true;
        if self.is_remote(side.opposite()) {
            self.end_mut(side.opposite()).role = Some(Role::Target);
        }
        (self.conflict, self.halted, self.to_copy) = (None, false, 0);
        self.switching = false;
        self.association.target_consistent = true;
        if side != self.record.serving() {
            // Another one is to be the source, and now it can be without losing anything.
            return vec![Do::Wish(side, Wish::HandOver(self.peer_of(side)))];
        }
        if self.flows_from(side) {
            self.event(Event::Recovered);
            self.event(Event::Copied);
            if self.association.copy_state == CopyState::Synchronized {
                self.pending = None;
            }
        }
        Vec::new()
    }

    fn met(&mut self, side: MirrorSide, peer: NodeId, verdict: &Verdict) -> Vec<Do> {
        if self.is_remote(side.opposite()) {
            self.switching = false;
            self.meets_remote(side, verdict);
            self.settle_access(verdict);
        }
        match verdict {
            Verdict::SplitBrain { .. } | Verdict::Unrelated | Verdict::Contradiction => {
                // Both say it; what is shown is what the end says that was named first.
                if side == MirrorSide::First || self.conflict.is_none() {
                    let theirs = side == MirrorSide::Second;
                    let seen = verdict.clone();
                    self.conflict = Some(if theirs { seen.mirrored() } else { seen });
                }
                self.event(Event::Failed);
            }
            Verdict::Send { .. } | Verdict::Receive { .. } => self.conflict = None,
            Verdict::NoSource if self.is_restoring() => return self.meets_nobody(side),
            // One of them, and the first one whatever is meant: it hands over then. Both would refuse each other.
            Verdict::NoSource if self.is_remote(side.opposite()) => {
                return match side {
                    MirrorSide::First => vec![Do::Wish(side, Wish::TakeOver(peer))],
                    MirrorSide::Second => Vec::new(),
                };
            }
            Verdict::NoSource if side == self.record.serving() && !self.record.rest.is_held() => {
                return vec![Do::Wish(side, Wish::TakeOver(peer))];
            }
            Verdict::NoSource => {}
        }
        Vec::new()
    }

    /// The end that is to serve hosts does.
    fn serves(&mut self) {
        let Some(pending) = self.pending.take() else {
            if self.record.rest == MirrorRest::FailedOver {
                self.show(Shown::at_rest(CopyState::Failedover));
            }
            return;
        };
        match pending.operation {
            Operation::Failover => self.show(Shown::at_rest(CopyState::Failedover)),
            Operation::ReverseRoles => self.arrive(pending.after),
            // Not before it is in step.
            _ => self.pending = Some(pending),
        }
    }

    fn refused(&mut self, side: MirrorSide, wish: Wish, refusal: Refusal) -> Vec<Do> {
        let may_come = matches!(wish, Wish::HandOver(_) | Wish::TakeOver(_))
            && matches!(refusal, Refusal::NotInStep | Refusal::Busy);
        let done = matches!(refusal, Refusal::IsSource) && side == self.record.serving();
        if may_come || done {
            return Vec::new();
        }
        let Some(pending) = self.pending.take() else {
            return Vec::new();
        };
        let (association, source, rest) = pending.before;
        self.association = association;
        (self.record.source, self.record.rest) = (source, rest);
        self.failed = Some(refusal.to_string());
        vec![Do::TakeBack(source, rest)]
    }

    // --- What is shown.

    const fn show(&mut self, shown: Shown) {
        self.association.copy_state = shown.copy_state;
        self.association.progress_status = shown.progress_status;
    }

    fn arrive(&mut self, after: After) {
        match after {
            After::Rests(state) => self.show(state),
            After::Reversed(state) => {
                let key = &mut self.association.key;
                std::mem::swap(&mut key.system_element, &mut key.synced_element);
                self.show(state);
            }
            After::InMode(mode) => self.association.mode = mode,
            After::Gone(_) | After::Unchanged => {}
        }
    }

    fn event(&mut self, event: Event) {
        if let Some(after) = observe(event, &self.association, Scope::Element, &self.built) {
            self.arrive(after);
        }
    }
}
