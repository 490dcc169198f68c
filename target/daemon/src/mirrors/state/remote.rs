//! What is different while one of the ends is at a peer: it is known by what the two say when they meet alone, and the
//! other daemon may have been told something else.

use tidelock_capabilities::machine::{Event, State as Shown};
use tidelock_capabilities::values::{CopyState, ProgressStatus};
use tidelock_catalog::{MirrorRest, MirrorSide};
use tidelock_mirror::generation::{Role, Verdict};

use super::{Do, End, State};

impl State {
    /// The end here has all that the source at a peer has, and gets every write.
    pub(super) fn follows(&mut self, source: MirrorSide) -> Vec<Do> {
        *self.end_mut(source) = End {
            role: Some(Role::Source),
            // An asynchronous one has got a cut.
            in_step: !self.is_asynchronous(),
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
            false if self.pending.is_some() || self.is_restoring() => Vec::new(),
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
    pub(super) fn adopt(&mut self, serving: MirrorSide) -> Vec<Do> {
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

    /// Whether it was there when the daemon was started.
    pub(crate) const fn was_found(&self) -> bool {
        self.found
    }

    /// Nothing is known of the end at a peer any more.
    pub(super) fn lost_remote(&mut self, side: MirrorSide) -> Vec<Do> {
        let changes_roles = self.changes_roles();
        let meets_again = self.switching;
        *self.end_mut(side.opposite()) = End::default();
        let is_source = self.end(side).role == Some(Role::Source);
        if let Some(pending) = self.pending.take_if(|_| is_source) {
            // It hasn't handed over, so nobody else has become the source by that.
            let (association, source, rest) = pending.before;
            self.association = association;
            (self.record.source, self.record.rest) = (source, rest);
            self.failed = Some("the connection was lost before the other end took over".into());
            self.catching_up = false;
            self.event(Event::Failed);
            return vec![Do::TakeBack(source, rest)];
        }
        if self.record.rest == MirrorRest::Linked && !changes_roles && !meets_again {
            self.event(Event::Failed);
        }
        Vec::new()
    }

    /// What an end at a peer is, as both have agreed; `None`: it isn't said.
    pub(super) fn meets_remote(&mut self, side: MirrorSide, verdict: &Verdict) {
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

    /// The daemon of the source has said what is wanted, and that is kept.
    pub(crate) fn follow_words(&mut self, source: MirrorSide, rest: MirrorRest) -> Vec<Do> {
        if self.record.source != source {
            let key = &mut self.association.key;
            std::mem::swap(&mut key.system_element, &mut key.synced_element);
        }
        (self.record.source, self.record.rest) = (source, rest);
        self.failed = None;
        let has_cut = self.is_asynchronous() && self.is_met() && self.association.target_consistent;
        let follows = has_cut || self.ends.iter().any(|end| end.in_step);
        self.show(match rest {
            MirrorRest::Suspended => Shown::at_rest(CopyState::Suspended),
            MirrorRest::Fractured => Shown::at_rest(CopyState::Fractured),
            MirrorRest::Split => Shown::at_rest(CopyState::Split),
            MirrorRest::FailedOver => Shown::at_rest(CopyState::Failedover),
            MirrorRest::RestoringFractured | MirrorRest::RestoringSplit => {
                self.show_restoring();
                return Vec::new();
            }
            MirrorRest::Linked if follows => Shown::at_rest(CopyState::Synchronized),
            MirrorRest::Linked => Shown::at_rest(CopyState::Broken),
        });
        Vec::new()
    }
}
