//! One mirror as an operator sees it: the state of the association by DMTF's table, who serves hosts, and what the
//! ends have to be asked for so that it becomes what is wanted. Pure; knows no volumes and no catalog but the words
//! for one mirror.
//!
//! What is wanted stands in the catalog before anything is asked of the ends, so a crash at any moment leaves a
//! mirror that goes on to what was wanted.

use tidelock_capabilities::BuiltType;
use tidelock_capabilities::facts::{Association, AssociationKey};
use tidelock_capabilities::machine::{
    After, Event, Scope, State as Shown, Transition, created, observe,
};
use tidelock_capabilities::values::{CopyState, Operation, ProgressStatus, SyncType};
use tidelock_catalog::{Mirror, MirrorRest, MirrorSide};
use tidelock_mirror::association::{Report, Wish};
use tidelock_mirror::generation::{Refusal, Role, Verdict};
use tidelock_mirror::id::NodeId;

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
        Self::showing(record, key, built, shown)
    }

    fn showing(record: Mirror, key: AssociationKey, built: BuiltType, shown: Shown) -> Self {
        Self {
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
        *self.end_mut(side) = End {
            role: Some(role),
            in_step: false,
            problem: None,
        };
        let mut todo = Vec::new();
        if self.record.rest.is_held() && self.record.source == side {
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
        match report {
            Report::Serving => {
                self.end_mut(side).role = Some(Role::Source);
                if self.is_remote(side.opposite()) {
                    // What it is now it says when they meet.
                    *self.end_mut(side.opposite()) = End::default();
                    if side != self.record.serving() {
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
                let expected = self.record.rest.is_held() || self.changes_roles();
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
            Report::Refused(wish, refusal) => return self.refused(side, *wish, *refusal),
            Report::Alone
            | Report::Following(_)
            | Report::CutTaken(_)
            | Report::CutConfirmed(_)
            | Report::Misbehaved(..) => {}
        }
        Vec::new()
    }

    fn is_remote(&self, side: MirrorSide) -> bool {
        !self.record.end(side).is_here()
    }

    /// The end here has all that the source at a peer has, and gets every write.
    fn follows(&mut self, source: MirrorSide) -> Vec<Do> {
        *self.end_mut(source) = End {
            role: Some(Role::Source),
            in_step: true,
            problem: None,
        };
        self.conflict = None;
        self.association.target_consistent = true;
        let todo = match source == self.record.serving() {
            true => {
                self.serves();
                Vec::new()
            }
            // What was asked for meanwhile is still to come.
            false if self.pending.is_some() => Vec::new(),
            false => self.adopt(source),
        };
        if self.flows_from(source) {
            self.event(Event::Recovered);
            self.event(Event::Copied);
            if self.association.copy_state == CopyState::Synchronized {
                self.pending = None;
            }
        }
        todo
    }

    /// The ends have agreed on another source than the one that is meant here: that of two daemons that one alone has
    /// been told to let serve hosts.
    fn adopt(&mut self, serving: MirrorSide) -> Vec<Do> {
        self.pending = None;
        self.record.rest = match serving == self.record.source {
            true => MirrorRest::Linked,
            false => MirrorRest::FailedOver,
        };
        self.show(match self.record.rest {
            MirrorRest::FailedOver => Shown::at_rest(CopyState::Failedover),
            _ => Shown {
                copy_state: CopyState::Unsynchronized,
                progress_status: ProgressStatus::Resyncing,
            },
        });
        vec![Do::TakeBack(self.record.source, self.record.rest)]
    }

    /// Nothing is known of the end at a peer any more.
    fn lost_remote(&mut self, side: MirrorSide) -> Vec<Do> {
        *self.end_mut(side.opposite()) = End::default();
        if self.record.rest == MirrorRest::Linked && !self.changes_roles() {
            self.event(Event::Failed);
        }
        Vec::new()
    }

    /// What an end at a peer is, as both have agreed; `None`: it isn't said.
    fn meets_remote(&mut self, side: MirrorSide, verdict: &Verdict) {
        let role = match verdict {
            Verdict::Send { .. } => Some(Role::Target),
            Verdict::Receive { .. } => Some(Role::Source),
            _ => None,
        };
        let other = side.opposite();
        self.end_mut(other).role = role;
        if role == Some(Role::Source) && self.flows_from(other) {
            self.event(Event::Recovered);
            if self.association.copy_state == CopyState::Initialized {
                self.show(Shown {
                    copy_state: CopyState::Unsynchronized,
                    progress_status: ProgressStatus::Synchronizing,
                });
            }
        }
    }

    /// A source whose other end is known to have failed has nothing to wait for.
    fn alone(&self, side: MirrorSide) -> Vec<Do> {
        let is_source = self.end(side).role == Some(Role::Source);
        let is_alone = self.end(side.opposite()).problem.is_some();
        match is_source && is_alone {
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
            self.meets_remote(side, verdict);
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

    // --- What an operator wants.

    /// What is wanted after an operation.
    pub(crate) fn words(&self, operation: Operation) -> (MirrorSide, MirrorRest) {
        let source = self.record.source;
        match operation {
            Operation::Suspend => (source, MirrorRest::Suspended),
            Operation::Fracture => (source, MirrorRest::Fractured),
            Operation::Split => (source, MirrorRest::Split),
            Operation::Failover => (source, MirrorRest::FailedOver),
            // The end that serves hosts is the source from now on; from Synchronized it has to be made so.
            Operation::ReverseRoles => (source.opposite(), MirrorRest::Linked),
            _ => (source, MirrorRest::Linked),
        }
    }

    /// Begins an operation that is admitted, and whose words are durable.
    pub(crate) fn begin(&mut self, operation: Operation, transition: &Transition) -> Vec<Do> {
        let before = (self.association, self.record.source, self.record.rest);
        let was_held = self.record.rest.is_held();
        let old_source = self.record.source;
        let (source, rest) = self.words(operation);
        (self.record.source, self.record.rest) = (source, rest);
        self.failed = None;
        if let Some(during) = transition.during {
            self.show(during);
        }
        let hold = Do::Wish(old_source, Wish::Hold(self.peer_of(old_source)));
        let release = Do::Wish(old_source, Wish::Release(self.peer_of(old_source)));
        let mut todo = Vec::new();
        match operation {
            Operation::Suspend | Operation::Fracture | Operation::Split => {
                self.end_mut(old_source).in_step = false;
                self.arrive(transition.after);
                todo.push(hold);
            }
            Operation::Resume | Operation::ResyncReplica => todo.push(release),
            Operation::Failover => {
                self.pend(operation, transition.after, before);
                if before.0.copy_state == CopyState::Synchronized {
                    todo.extend(self.change_over());
                } else {
                    // The source isn't there, or isn't asked. If it has something that the target hasn't, they will
                    // say so when they meet.
                    let wanted = self.record.serving();
                    todo.push(Do::Wish(wanted, Wish::Promote));
                    todo.extend(was_held.then_some(release));
                }
            }
            Operation::Failback => {
                self.pend(operation, transition.after, before);
                todo.extend(self.change_over());
            }
            Operation::ReverseRoles if before.2 == MirrorRest::FailedOver => {
                self.arrive(transition.after);
                if self.end(source).in_step {
                    self.event(Event::Copied);
                }
            }
            Operation::ReverseRoles => {
                self.pend(operation, transition.after, before);
                todo.extend(self.change_over());
            }
            _ => {}
        }
        todo
    }

    fn pend(
        &mut self,
        operation: Operation,
        after: After,
        before: (Association, MirrorSide, MirrorRest),
    ) {
        self.pending = Some(Pending {
            operation,
            after,
            before,
        });
    }

    /// Lets the end be the source that is to be, if it isn't and that is possible now.
    fn change_over(&mut self) -> Vec<Do> {
        let wanted = self.record.serving();
        if self.end(wanted).role == Some(Role::Source) {
            self.serves();
            return Vec::new();
        }
        let other = wanted.opposite();
        if self.end(other).in_step {
            return vec![Do::Wish(other, Wish::HandOver(self.node(wanted)))];
        }
        Vec::new()
    }

    /// What is wanted after one end's changes are dropped: that the other one serves hosts.
    pub(crate) const fn words_without(&self, dropped: MirrorSide) -> (MirrorSide, MirrorRest) {
        let source = self.record.source;
        match dropped {
            MirrorSide::First if matches!(source, MirrorSide::First) => {
                (source, MirrorRest::FailedOver)
            }
            MirrorSide::Second if matches!(source, MirrorSide::Second) => {
                (source, MirrorRest::FailedOver)
            }
            _ => (source, MirrorRest::Linked),
        }
    }

    /// Drops the changes of one end, after these words are durable. Both ends have changes.
    pub(crate) fn give_up(&mut self, dropped: MirrorSide) -> Vec<Do> {
        let (source, rest) = self.words_without(dropped);
        (self.record.source, self.record.rest) = (source, rest);
        (self.conflict, self.failed) = (None, None);
        self.show(match rest {
            MirrorRest::FailedOver => Shown::at_rest(CopyState::Failedover),
            _ => Shown {
                copy_state: CopyState::Unsynchronized,
                progress_status: ProgressStatus::Resyncing,
            },
        });
        vec![Do::Wish(dropped, Wish::GiveUp)]
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

#[cfg(test)]
mod tests {
    use tidelock_capabilities::TargetSupply;
    use tidelock_capabilities::facts::ElementId;
    use tidelock_capabilities::machine::transition;
    use tidelock_capabilities::values::{CopyRecoveryMode, ReplicationType};
    use tidelock_catalog::{MirrorEnd, MirrorId, OnFailure, VolumeName};
    use uuid::Uuid;

    use super::*;
    use MirrorSide::{First, Second};

    fn found(rest: MirrorRest) -> State {
        let end = |name: &str, node| MirrorEnd {
            volume: VolumeName::new(name).unwrap(),
            node: Uuid::from_u128(node),
            elsewhere: None,
        };
        let record = Mirror {
            id: MirrorId(Uuid::from_u128(9)),
            first: end("a", 1),
            second: end("b", 2),
            source: First,
            on_failure: OnFailure::Continue,
            rest,
        };
        let key = AssociationKey {
            system_element: ElementId(1),
            synced_element: ElementId(2),
        };
        let built = BuiltType {
            operations: Operation::set(&[Operation::Failover]),
            copy_recovery_mode: CopyRecoveryMode::Automatic,
            ..BuiltType::new(
                ReplicationType::SynchronousMirrorLocal,
                TargetSupply::Supplied,
            )
        };
        State::found(record, key, built)
    }

    #[test]
    fn what_is_held_is_held_before_the_ends_meet_again() {
        for (rest, held) in [
            (MirrorRest::Linked, false),
            (MirrorRest::FailedOver, false),
            (MirrorRest::Suspended, true),
            (MirrorRest::Fractured, true),
            (MirrorRest::Split, true),
        ] {
            let mut state = found(rest);
            let asked = state.opened(First, Role::Source);
            let hold = Do::Wish(First, Wish::Hold(NodeId(2)));
            assert_eq!(asked, if held { vec![hold] } else { vec![] }, "{rest:?}");
            assert_eq!(state.opened(Second, Role::Target), []);
        }
    }

    #[test]
    fn a_failover_that_can_not_be_is_taken_back() {
        let mut state = found(MirrorRest::Linked);
        state.opened(First, Role::Source);
        state.opened(Second, Role::Target);
        state.report(First, &Report::InStep(NodeId(2)));
        state.report(First, &Report::DiskFailed);
        assert_eq!(state.association().copy_state, CopyState::Broken);
        let before = *state.association();
        let operation = Operation::Failover;
        let over = transition(operation, &before, Scope::Element, &state.built, true).unwrap();
        let asked = state.begin(operation, &over);
        assert_eq!(asked, [Do::Wish(Second, Wish::Promote)]);
        assert!(state.is_pending());
        // It has turned out not to have an image after all.
        let refused = Report::Refused(Wish::Promote, Refusal::NoImage);
        let asked = state.report(Second, &refused);
        assert_eq!(asked, [Do::TakeBack(First, MirrorRest::Linked)]);
        assert!(!state.is_pending());
        assert_eq!(*state.association(), before);
        assert!(state.failure().unwrap().contains("image"));
    }

    #[test]
    fn an_old_source_is_not_written_while_nobody_knows_whether_another_one_took_over() {
        let mut state = found(MirrorRest::FailedOver);
        state.opened(First, Role::Source);
        assert!(!state.is_writable(First), "the other one isn't open yet");
        state.closed(Second, "its file is missing".into());
        assert!(!state.is_writable(First));
        state.opened(Second, Role::Source);
        assert!(!state.is_writable(First) && state.is_writable(Second));
        // It never took over: hosts go on with the old one until it does.
        state.opened(Second, Role::Target);
        assert!(state.is_writable(First) && !state.is_writable(Second));
    }

    #[test]
    fn a_change_of_roles_goes_on_whenever_the_ends_meet() {
        let mut state = found(MirrorRest::FailedOver);
        state.opened(First, Role::Target);
        state.opened(Second, Role::Target);
        let asked = state.report(Second, &Report::Met(NodeId(1), Verdict::NoSource));
        assert_eq!(asked, [Do::Wish(Second, Wish::TakeOver(NodeId(1)))]);
        assert!(!state.is_writable(First) && !state.is_writable(Second));
        state.report(Second, &Report::Serving);
        assert_eq!(state.association().copy_state, CopyState::Failedover);
        assert!(state.is_writable(Second));
        // If the old source is one still, it hands over as soon as nothing is lost by that.
        let mut state = found(MirrorRest::FailedOver);
        state.opened(First, Role::Source);
        state.opened(Second, Role::Target);
        let asked = state.report(First, &Report::InStep(NodeId(2)));
        assert_eq!(asked, [Do::Wish(First, Wish::HandOver(NodeId(2)))]);
    }
}
