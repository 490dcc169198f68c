//! What hosts may do with the volume of an end whose other end is at a peer. The two are one disk to hosts, so at most one
//! of them may be used, and one that doesn't know what has become of the other one isn't.

use tidelock_capabilities::machine::Event;
use tidelock_catalog::{MirrorRest, MirrorSide};
use tidelock_mirror::association::Wish;
use tidelock_mirror::generation::{Generation, Role, Verdict, Why};

use super::{Do, Place, State};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// They read and write it.
    Active,
    /// It is kept in reserve: they use the other one.
    Standby,
    /// They come back: it is being changed over, or found out which of the two it is.
    Transitioning,
}

impl State {
    /// What hosts may do with a volume of this daemon, if the other one isn't here; `None`: both are.
    pub(crate) fn access(&self) -> Option<Access> {
        Some(self.within_the_lease(self.usual_access()?))
    }

    fn usual_access(&self) -> Option<Access> {
        let side = self.record.remote()?.0.opposite();
        let end = self.end(side);
        let other = self.end(side.opposite()).role;
        let is_meant = side == self.record.serving();
        if self.is_restoring() {
            return Some(match is_meant {
                true => Access::Transitioning,
                false => Access::Standby,
            });
        }
        Some(match end.role {
            None if self.waits() => Access::Transitioning,
            None | Some(Role::Target) => Access::Standby,
            Some(Role::Source) if self.fenced => Access::Standby,
            Some(Role::Source) if self.waits && self.place.is_none() => Access::Transitioning,
            Some(Role::Source) if is_meant => Access::Active,
            // It never took over, and nobody is about to change that.
            Some(Role::Source) if other == Some(Role::Target) && self.pending.is_none() => {
                Access::Active
            }
            Some(Role::Source) => Access::Transitioning,
        })
    }

    /// Whether the source here has yet to find out whether the other end was made the source meanwhile.
    pub(crate) fn waits(&self) -> bool {
        match &self.place {
            None => self.waits,
            Some(place) => self.is_source_here() && *place != Place::Open,
        }
    }

    /// Whether hosts are kept away from the source here, since the other end was made the source as well.
    pub(crate) const fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// There is a connection with the end at a peer, which says whether it is the source.
    pub(crate) fn seen(&mut self, is_source: bool) -> Vec<Do> {
        let Some((remote, _)) = self.record.remote() else {
            return Vec::new();
        };
        let side = remote.opposite();
        self.two_sources = false;
        // What isn't held meets, and then both know.
        if !self.record.rest.is_held() && !self.is_restoring() {
            return Vec::new();
        }
        // Until they meet, that is all that is known of it.
        self.end_mut(remote).role = Some(match is_source {
            true => Role::Source,
            false => Role::Target,
        });
        if self.end(side).role != Some(Role::Source) || self.is_restoring() {
            return Vec::new();
        }
        if is_source {
            (self.two_sources, self.fenced) = (true, true);
            self.event(Event::Failed);
            return Vec::new();
        }
        self.fenced = false;
        match std::mem::take(&mut self.waits) {
            true => vec![Do::Wish(side, Wish::GoOnAlone)],
            false => Vec::new(),
        }
    }

    /// There is no connection any more.
    pub(crate) fn unseen(&mut self) {
        if let Some((remote, _)) = self.record.remote()
            && (self.record.rest.is_held() || self.is_restoring())
        {
            self.end_mut(remote).role = None;
        }
    }

    /// Whether the other end was made the source as well, while nothing was sent.
    pub(crate) const fn sees_two_sources(&self) -> bool {
        self.two_sources
    }

    /// The peer had time to come back. A source that went on without it before may do so again; one that didn't waits for an
    /// operator.
    pub(crate) fn waited(&mut self, is_alone: bool) {
        if is_alone {
            self.waits = false;
        }
    }

    /// An operator says that the other end hasn't taken over, or that it doesn't matter.
    pub(crate) fn go_on_alone(&mut self) -> Vec<Do> {
        let Some((remote, _)) = self.record.remote() else {
            return Vec::new();
        };
        (self.waits, self.fenced) = (false, false);
        vec![Do::Wish(remote.opposite(), Wish::GoOnAlone)]
    }

    /// The ends have met: whether hosts use this one.
    pub(super) fn settle_access(&mut self, verdict: &Verdict) {
        let promoted = |all: &[Generation]| all.iter().any(|it| it.why == Why::Promoted);
        match verdict {
            // An operator has meant the one that was promoted. If that says nothing, who serves hosts goes on.
            Verdict::SplitBrain { ours, theirs, .. } => {
                self.fenced = match (promoted(ours), promoted(theirs)) {
                    (true, false) => false,
                    (false, true) => true,
                    _ => self.waits || self.fenced,
                };
            }
            Verdict::Unrelated | Verdict::Contradiction => self.fenced |= self.waits,
            Verdict::Send { .. } | Verdict::NoSource => self.fenced = false,
            // It isn't the source for much longer.
            Verdict::Receive { .. } => return,
        }
        self.waits = false;
    }

    /// Whether hosts have to be sent elsewhere before it is known where the source is, as this end was it when the daemon ended.
    pub(super) const fn begins_to_wait(&self, side: MirrorSide, role: Role) -> bool {
        let is_remote = match side {
            MirrorSide::First => self.record.second.elsewhere.is_some(),
            MirrorSide::Second => self.record.first.elsewhere.is_some(),
        };
        self.found && is_remote && matches!(role, Role::Source)
    }

    /// Whether it is news, and for this end to follow, what the daemon of the source says is wanted of the mirror.
    pub(crate) fn is_told(&self, source: MirrorSide, rest: MirrorRest) -> bool {
        let Some((remote, _)) = self.record.remote() else {
            return false;
        };
        let is_news = (self.record.source, self.record.rest) != (source, rest);
        let is_source = self.end(remote.opposite()).role == Some(Role::Source);
        // Those that were said before it was asked to give, and come late, would let hosts use it.
        is_news && !is_source && self.pending.is_none() && !self.is_about_to_give()
    }
}
