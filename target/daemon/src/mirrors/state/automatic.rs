//! A mirror that fails over by itself: hosts use the source here only while it has its place, by the rules of leases, and
//! the target becomes the source when it has got it.

use tidelock_capabilities::machine::{After, State as Shown};
use tidelock_capabilities::values::{CopyState, Operation};
use tidelock_catalog::{MirrorFailover, MirrorRest, MirrorSide};
use tidelock_mirror::association::Wish;
use tidelock_mirror::generation::Role;

use super::{Access, Do, State};

/// Whether the source here has its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It isn't known yet.
    Asked,
    /// It has.
    Open,
    /// It hasn't, and why.
    Closed(String),
}

impl State {
    /// Whether it fails over by itself, from now on.
    pub(crate) fn set_failover(&mut self, failover: MirrorFailover) {
        if self.record.failover == failover {
            return;
        }
        self.record.failover = failover;
        self.place = self.record.is_automatic().then_some(Place::Asked);
        self.trouble = None;
        // Whoever has said so knows where the source is.
        self.waits = false;
    }

    /// Whether the source here has its place; false if that isn't news. No effect where it doesn't matter.
    pub(crate) fn set_place(&mut self, place: Place) -> bool {
        match &mut self.place {
            Some(known) if *known != place => {
                *known = place;
                if *known == Place::Open {
                    self.waits = false;
                }
                true
            }
            _ => false,
        }
    }

    pub(crate) const fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// What is wrong with the store of leases; false if that isn't news.
    pub(crate) fn set_trouble(&mut self, trouble: Option<String>) -> bool {
        let is_news = self.trouble != trouble;
        self.trouble = trouble;
        is_news
    }

    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What is left of what hosts may do.
    pub(super) fn within_the_lease(&self, access: Access) -> Access {
        match (&self.place, access) {
            (Some(Place::Asked), Access::Active) => Access::Transitioning,
            // They use another path, if there is one.
            (Some(Place::Closed(_)), Access::Active | Access::Transitioning)
                if self.is_source_here() =>
            {
                Access::Standby
            }
            _ => access,
        }
    }

    /// Whether the end here is the source, as far as it knows.
    pub(crate) fn is_source_here(&self) -> bool {
        let remote = self.record.remote();
        remote.is_some_and(|(side, _)| self.end(side.opposite()).role == Some(Role::Source))
    }

    /// Whether the end here, which is a target, may be made the source without an operator: nobody has meant it to be
    /// behind, and nothing is to be decided.
    pub(crate) fn may_be_promoted(&self) -> bool {
        let Some((remote, _)) = self.record.remote() else {
            return false;
        };
        let end = self.end(remote.opposite());
        end.role == Some(Role::Target)
            && end.problem.is_none()
            && !self.record.rest.is_held()
            && !self.is_restoring()
            && self.conflict.is_none()
            && self.pending.is_none()
    }

    /// Whether the source here is to hand over.
    pub(crate) fn is_to_hand_over(&self) -> bool {
        let remote = self.record.remote();
        self.is_source_here() && remote.is_some_and(|(side, _)| self.record.serving() == side)
    }

    /// What is wanted when the end here is the source; `None`: it isn't here, or it is that already.
    pub(crate) fn words_of_promotion(&self) -> Option<(MirrorSide, MirrorRest)> {
        let (remote, _) = self.record.remote()?;
        // An operator may have turned it off since.
        if !self.may_be_promoted() || !self.record.is_automatic() {
            return None;
        }
        let source = self.record.source;
        Some(match source == remote {
            true => (source, MirrorRest::FailedOver),
            false => (source, MirrorRest::Linked),
        })
    }

    /// The end here becomes the source, which nobody else is by the rules of leases, after these words are durable. If the
    /// old one is there still, it isn't listened to any more.
    pub(crate) fn promote(&mut self, (source, rest): (MirrorSide, MirrorRest)) -> Vec<Do> {
        let Some((remote, _)) = self.record.remote() else {
            return Vec::new();
        };
        let before = (self.association, self.record.source, self.record.rest);
        (self.record.source, self.record.rest) = (source, rest);
        self.failed = None;
        let (operation, state) = match rest {
            MirrorRest::FailedOver => (Operation::Failover, CopyState::Failedover),
            _ => (Operation::ReverseRoles, CopyState::Broken),
        };
        self.pend(operation, After::Rests(Shown::at_rest(state)), before);
        let (own, peer) = (remote.opposite(), self.node(remote));
        vec![
            Do::Wish(own, Wish::Hold(peer)),
            Do::Wish(own, Wish::Promote),
            Do::Wish(own, Wish::Release(peer)),
        ]
    }
}
