//! What an operator wants of a mirror: the words that are kept first, and what the ends are asked for then.

use tidelock_capabilities::facts::Association;
use tidelock_capabilities::machine::{After, Event, State as Shown, Transition};
use tidelock_capabilities::values::{CopyState, Operation, ProgressStatus};
use tidelock_catalog::{MirrorRest, MirrorSide};
use tidelock_mirror::association::Wish;
use tidelock_mirror::generation::Role;

use super::{Do, Pending, State};

impl State {
    /// What is wanted after an operation.
    pub(crate) fn words(&self, operation: Operation) -> (MirrorSide, MirrorRest) {
        let source = self.record.source;
        match operation {
            Operation::Suspend => (source, MirrorRest::Suspended),
            Operation::Fracture => (source, MirrorRest::Fractured),
            Operation::Split => (source, MirrorRest::Split),
            Operation::Failover => (source, MirrorRest::FailedOver),
            Operation::RestoreFromReplica => {
                let rest = self.record.rest;
                (source, rest.restoring().unwrap_or(rest))
            }
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
            // The ends are asked for one thing after the other.
            Operation::RestoreFromReplica => {
                self.end_mut(old_source).in_step = false;
                self.restore_anew();
            }
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

    pub(super) fn pend(
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

    /// The end here takes over by force from one that had taken over from it.
    pub(crate) fn take_over(&mut self) -> Vec<Do> {
        let before = (self.association, self.record.source, self.record.rest);
        (self.record.rest, self.failed) = (MirrorRest::Linked, None);
        // Once it serves hosts it is as good as a source whose target is away.
        let after = After::Rests(Shown::at_rest(CopyState::Broken));
        self.pend(Operation::ReverseRoles, after, before);
        vec![Do::Wish(self.record.source, Wish::Promote)]
    }
}
