//! The two states that an association shows, in the words of DMTF and by the one table of `tidelock-capabilities`:
//! which operation is accepted now, what it leads to, and what the engine has to be asked for it.

use tidelock_capabilities::BuiltType;
use tidelock_capabilities::facts::{Association, AssociationKey};
use tidelock_capabilities::machine::{
    After, Event, OperationRefusal, Scope, State, Transition, created, observe, transition,
};
use tidelock_capabilities::values::{CopyState, Mode, Operation, ProgressStatus, SyncType};

use super::action::{Report, Wish};
use crate::generation::Verdict;
use crate::id::NodeId;

/// The status of one association, seen from its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    association: Association,
    built: BuiltType,
    peer: NodeId,
    /// Where the operation that is being done leads to.
    pending: Option<After>,
}

/// An operation that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operated {
    /// What it does to the association.
    pub transition: Transition,
    /// What the engine has to be asked for; `None` if it has nothing to do with it.
    pub wish: Option<Wish>,
}

impl Status {
    /// Of a new association of a type.
    #[must_use]
    pub fn new(key: AssociationKey, built: BuiltType, peer: NodeId) -> Self {
        let (first, then) = created(&built, Scope::Element);
        let association = Association {
            key,
            sync_type: SyncType::Mirror,
            mode: built.mode(),
            copy_state: first.copy_state,
            progress_status: first.progress_status,
            target_consistent: false,
            source_consistent: true,
        };
        Self {
            association,
            built,
            peer,
            pending: Some(then),
        }
    }

    /// As it is.
    #[must_use]
    pub const fn association(&self) -> &Association {
        &self.association
    }

    /// CopyState.
    #[must_use]
    pub const fn copy_state(&self) -> CopyState {
        self.association.copy_state
    }

    /// ProgressStatus.
    #[must_use]
    pub const fn progress_status(&self) -> ProgressStatus {
        self.association.progress_status
    }

    fn rests(&mut self, state: State) {
        self.association.copy_state = state.copy_state;
        self.association.progress_status = state.progress_status;
    }

    /// Does an operation, as far as the association is concerned.
    ///
    /// # Errors
    ///
    /// Why it is refused; nothing has changed then.
    pub fn operate(
        &mut self,
        operation: Operation,
        force: bool,
    ) -> Result<Operated, OperationRefusal> {
        let transition = transition(
            operation,
            &self.association,
            Scope::Element,
            &self.built,
            force,
        )?;
        let peer = self.peer;
        let wish = match operation {
            Operation::Suspend | Operation::Fracture | Operation::Split | Operation::Deactivate => {
                Some(Wish::Hold(peer))
            }
            Operation::Resume | Operation::ResyncReplica | Operation::Activate => {
                Some(Wish::Release(peer))
            }
            Operation::Failover | Operation::ReverseRoles => Some(Wish::HandOver(peer)),
            Operation::Failback => Some(Wish::Release(peer)),
            Operation::ResetToSync => Some(Wish::SetMode(peer, Mode::Synchronous)),
            Operation::ResetToAsync => Some(Wish::SetMode(peer, Mode::Asynchronous)),
            _ => None,
        };
        match transition.during {
            Some(during) => {
                self.rests(during);
                self.pending = Some(transition.after);
            }
            None => self.arrives(transition.after),
        }
        Ok(Operated { transition, wish })
    }

    /// What was asked of the engine is done.
    pub fn completed(&mut self) {
        if let Some(after) = self.pending.take() {
            self.arrives(after);
        }
    }

    fn arrives(&mut self, after: After) {
        match after {
            After::Rests(state) => self.rests(state),
            After::Reversed(state) => {
                std::mem::swap(
                    &mut self.association.key.system_element,
                    &mut self.association.key.synced_element,
                );
                self.rests(state);
            }
            After::InMode(mode) => self.association.mode = mode,
            After::Gone(_) | After::Unchanged => {}
        }
    }

    /// What the engine reports becomes what the table says of it. Reports about other peers change nothing.
    pub fn observe(&mut self, report: &Report) {
        let event = match report {
            Report::ResyncBegun(peer, _) if *peer == self.peer => {
                // The target has a snapshot of what it was, so its image is as good as it was.
                Some(Event::Recovered)
            }
            Report::InStep(peer) if *peer == self.peer => {
                self.association.target_consistent = true;
                // It may have been away so shortly that nothing was lacking.
                self.event(Event::Recovered);
                Some(Event::Copied)
            }
            Report::CutConfirmed(peer) if *peer == self.peer => {
                self.association.target_consistent = true;
                self.event(Event::Recovered);
                Some(Event::Copied)
            }
            Report::Lost(peer) if *peer == self.peer => Some(Event::Failed),
            Report::Met(peer, verdict) if *peer == self.peer => met(verdict),
            Report::DiskFailed => Some(Event::Failed),
            _ => None,
        };
        if let Some(event) = event {
            self.event(event);
        }
    }

    fn event(&mut self, event: Event) {
        let after = observe(event, &self.association, Scope::Element, &self.built);
        if let Some(after) = after {
            self.pending = None;
            self.arrives(after);
        }
    }
}

/// What meeting a peer means for the association, if the engine doesn't go on by itself.
fn met(verdict: &Verdict) -> Option<Event> {
    match verdict {
        Verdict::SplitBrain { .. } | Verdict::Unrelated | Verdict::Contradiction => {
            Some(Event::Failed)
        }
        Verdict::Send { .. } | Verdict::Receive { .. } | Verdict::NoSource => None,
    }
}

#[cfg(test)]
mod tests {
    use tidelock_capabilities::TargetSupply;
    use tidelock_capabilities::facts::ElementId;
    use tidelock_capabilities::values::{CopyRecoveryMode, ReplicationType, ValueSet};

    use super::*;
    use crate::id::GenerationId;

    const PEER: NodeId = NodeId(2);

    fn status() -> Status {
        let operations = [
            Operation::Suspend,
            Operation::Resume,
            Operation::Fracture,
            Operation::ResyncReplica,
            Operation::Failover,
            Operation::Failback,
            Operation::Detach,
        ];
        let built = BuiltType {
            operations: operations.into_iter().collect::<ValueSet<Operation>>(),
            copy_recovery_mode: CopyRecoveryMode::Automatic,
            ..BuiltType::new(
                ReplicationType::SynchronousMirrorRemote,
                TargetSupply::Supplied,
            )
        };
        let key = AssociationKey {
            system_element: ElementId(1),
            synced_element: ElementId(2),
        };
        Status::new(key, built, PEER)
    }

    fn shows(status: &Status) -> (CopyState, ProgressStatus) {
        (status.copy_state(), status.progress_status())
    }

    #[test]
    fn from_the_first_copy_over_a_loss_to_synchronized_again() {
        let mut status = status();
        assert_eq!(
            shows(&status),
            (CopyState::Initialized, ProgressStatus::Initializing)
        );
        status.observe(&Report::InStep(PEER));
        assert_eq!(
            shows(&status),
            (CopyState::Synchronized, ProgressStatus::Completed)
        );
        status.observe(&Report::Lost(NodeId(9)));
        assert_eq!(
            status.copy_state(),
            CopyState::Synchronized,
            "that was another one"
        );
        status.observe(&Report::Lost(PEER));
        assert_eq!(status.copy_state(), CopyState::Broken);
        status.observe(&Report::ResyncBegun(PEER, 4096));
        assert_eq!(
            shows(&status),
            (CopyState::Unsynchronized, ProgressStatus::Resyncing)
        );
        status.observe(&Report::InStep(PEER));
        assert_eq!(
            shows(&status),
            (CopyState::Synchronized, ProgressStatus::Completed)
        );
        status.observe(&Report::Lost(PEER));
        status.observe(&Report::InStep(PEER));
        assert_eq!(
            status.copy_state(),
            CopyState::Synchronized,
            "nothing was lacking"
        );
    }

    #[test]
    fn a_split_brain_is_broken() {
        let mut status = status();
        status.observe(&Report::InStep(PEER));
        let split = Verdict::SplitBrain {
            common: GenerationId(1),
            ours: Vec::new(),
            theirs: Vec::new(),
        };
        status.observe(&Report::Met(PEER, split));
        assert_eq!(status.copy_state(), CopyState::Broken);
    }

    #[test]
    fn operations_go_by_the_table() {
        let mut status = status();
        let early = status.operate(Operation::Failover, false);
        assert!(early.is_err(), "there is nothing to fail over to");
        assert_eq!(
            status.copy_state(),
            CopyState::Initialized,
            "nothing has changed"
        );
        status.observe(&Report::InStep(PEER));
        let suspended = status.operate(Operation::Suspend, false).unwrap();
        assert_eq!(suspended.wish, Some(Wish::Hold(PEER)));
        assert_eq!(status.progress_status(), ProgressStatus::Suspending);
        status.completed();
        assert_eq!(
            shows(&status),
            (CopyState::Suspended, ProgressStatus::Dormant)
        );
        let resumed = status.operate(Operation::Resume, false).unwrap();
        assert_eq!(resumed.wish, Some(Wish::Release(PEER)));
        assert_eq!(
            shows(&status),
            (CopyState::Unsynchronized, ProgressStatus::Resyncing)
        );
        status.observe(&Report::InStep(PEER));
        let over = status.operate(Operation::Failover, false).unwrap();
        assert_eq!(over.wish, Some(Wish::HandOver(PEER)));
        status.completed();
        assert_eq!(status.copy_state(), CopyState::Failedover);
    }

    #[test]
    fn a_target_that_never_had_an_image_takes_over_by_force_alone() {
        let mut status = status();
        status.observe(&Report::Lost(PEER));
        assert_eq!(status.copy_state(), CopyState::Broken);
        let refused = status.operate(Operation::Failover, false);
        assert!(matches!(refused, Err(OperationRefusal::NeedsForce { .. })));
    }
}
