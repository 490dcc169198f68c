//! Mirrors whose hosts don't wait for the target: when the ends are told so, and what follows when that changes.

use tidelock_capabilities::BuiltType;
use tidelock_capabilities::machine::{Event, State as Shown};
use tidelock_capabilities::values::{CopyState, ProgressStatus};
use tidelock_catalog::{MirrorCompression, MirrorMode, MirrorRest, MirrorSide};
use tidelock_mirror::generation::Role;

use super::{Do, State};

impl State {
    /// How far the target may be behind, as the ends have to be told; `None`: hosts wait for it. That is so as well while
    /// another end is to become the source, so that nothing is lost by that.
    pub(crate) fn rpo_ms(&self) -> Option<u64> {
        let rpo_ms = self.record.mode.rpo_ms();
        let is_here = self.record.remote().is_none();
        let changes = is_here && self.changes_roles() && self.conflict.is_none();
        rpo_ms.filter(|_| !changes && !self.catching_up && !self.is_restoring())
    }

    /// Whether hosts don't wait for the target.
    pub(crate) const fn is_asynchronous(&self) -> bool {
        self.record.mode.rpo_ms().is_some()
    }

    /// Another mode, of which mirrors are built so.
    pub(crate) fn set_mode(&mut self, mode: MirrorMode, built: BuiltType) {
        self.record.mode = mode;
        self.association.mode = built.mode();
        self.built = built;
        self.switches();
        self.failed = None;
        let rests = [
            CopyState::Suspended,
            CopyState::Fractured,
            CopyState::Split,
            CopyState::Failedover,
            CopyState::Broken,
        ];
        if !self.is_asynchronous() && !rests.contains(&self.association.copy_state) {
            self.show(Shown {
                copy_state: CopyState::Unsynchronized,
                progress_status: ProgressStatus::Resyncing,
            });
        }
    }

    /// The target of an asynchronous mirror may be so far behind from now on.
    pub(crate) const fn set_rpo(&mut self, rpo_ms: u64) {
        self.record.mode = MirrorMode::Asynchronous { rpo_ms };
    }

    /// So many bytes a second are copied at most from now on.
    pub(crate) const fn set_resync_limit(&mut self, limit: Option<u64>) {
        self.record.resync_limit = limit;
    }

    /// What goes over the link is compressed from now on, or isn't.
    pub(crate) const fn set_compression(&mut self, compression: MirrorCompression) {
        self.record.compression = compression;
    }

    /// Of a mirror with a peer: lets the other end get all that is written, or no longer than it has to.
    pub(crate) fn catch_up(&mut self, catches_up: bool) {
        if std::mem::replace(&mut self.catching_up, catches_up) != catches_up {
            self.switches();
        }
    }

    /// Whether the other end is getting all that is written, as it is to become the source.
    pub(crate) const fn is_catching_up(&self) -> bool {
        self.catching_up
    }

    /// Of a mirror with a peer, whether the ends have met and the source sends what the target lacks.
    pub(crate) fn is_met(&self) -> bool {
        let other = self.record.remote().map(|(remote, _)| remote);
        let role = |side| self.end(side).role;
        other.is_some_and(|other| match (role(other), role(other.opposite())) {
            (Some(Role::Source), Some(Role::Target)) | (Some(Role::Target), Some(Role::Source)) => {
                self.conflict.is_none() && !self.record.rest.is_held()
            }
            _ => false,
        })
    }

    /// Whether the other end can become the source without losing anything: it has all, or can be given what it lacks.
    pub(crate) fn can_be_handed_over(&self) -> bool {
        self.is_in_step() || self.is_asynchronous() && self.is_met()
    }

    /// The ends that are connected part, and meet again at once.
    pub(crate) fn switches(&mut self) {
        let remote = self.record.remote().map(|(side, _)| side);
        self.switching |= remote.is_none_or(|side| self.end(side).role.is_some());
    }

    /// Whether the ends, of which one is at a peer, are about to meet again in another mode.
    pub(crate) fn is_switching(&self) -> bool {
        self.switching && self.record.remote().is_some()
    }

    /// They had time to do so.
    pub(crate) fn waited_for_switch(&mut self) {
        let is_linked = self.record.rest == MirrorRest::Linked && !self.changes_roles();
        if std::mem::take(&mut self.switching) && is_linked {
            self.event(Event::Failed);
        }
    }

    /// The asynchronous target of an end has a cut.
    pub(super) fn has_cut(&mut self, side: MirrorSide) -> Vec<Do> {
        (self.conflict, self.to_copy, self.switching) = (None, 0, false);
        self.association.target_consistent = true;
        let is_remote = !self.record.end(side.opposite()).is_here();
        let goes_on = self.pending.is_some() || self.catching_up;
        // A change of roles that the end of a daemon has interrupted: hosts stay where they are.
        let todo = match is_remote && side != self.record.serving() && !goes_on {
            true => self.adopt(side),
            false => Vec::new(),
        };
        if self.flows_from(side) {
            self.event(Event::Recovered);
            self.event(Event::Copied);
            if self.association.copy_state == CopyState::Synchronized {
                self.pending = None;
            }
        }
        todo
    }
}
