//! A source that gets what its target has, Restore from Replica: what the ends are asked for, one thing after the other. The
//! ends meet only while the target is the source of what is copied and the source isn't one, so nothing can flow the other
//! way. After a crash all of it is gone through again, and what is done already is passed over.
//!
//! Hosts use neither volume until that is over: the source isn't there for them, and the target is what it was.

use tidelock_capabilities::machine::State as Shown;
use tidelock_capabilities::values::{CopyState, ProgressStatus};
use tidelock_catalog::{MirrorRest, MirrorSide};
use tidelock_mirror::association::{Report, Wish};
use tidelock_mirror::generation::{Refusal, Role};

use super::{Do, State};

/// How far it has come since an end was opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Restoring {
    /// The ends may meet.
    released: bool,
    /// What an end was asked for last, if it hasn't answered.
    asked: Option<Wish>,
    /// The peer has said that its end gives what it has. What a link says of it isn't enough: it may have been made the source
    /// by an operator.
    given: bool,
    /// An end hasn't been there for a while.
    away: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something that hasn't happened yet.
    Wait,
    /// The peer has to make its end the source of what is copied.
    AskPeer,
    /// The source has everything, and is one again: that nothing is sent is to be kept.
    Keep,
    /// The source isn't restored any more.
    Over,
}

impl State {
    /// Whether the source is being restored.
    pub(crate) const fn is_restoring(&self) -> bool {
        self.record.rest.is_restoring()
    }

    /// Whether hosts are kept away from a volume as it is about to be another one.
    pub(crate) fn is_closed_to_hosts(&self, side: MirrorSide) -> bool {
        self.is_restoring() && side == self.record.source
    }

    /// Whether the target gives what it has, so that it is known that it can; or nothing is restored any more.
    pub(crate) fn has_begun_to_restore(&self) -> bool {
        let target = self.record.source.opposite();
        !self.is_restoring()
            || self.end(target).role == Some(Role::Source)
            || self.restoring.released
    }

    /// What has to be done next, and what the ends are asked for.
    pub(crate) fn restore_step(&mut self) -> (Step, Vec<Do>) {
        if !self.is_restoring() {
            return (Step::Over, Vec::new());
        }
        let source = self.record.source;
        let target = source.opposite();
        let roles = (self.end(source).role, self.end(target).role);
        let (side, wish) = match (self.restoring.released, roles) {
            (true, (Some(Role::Source), _)) => return (Step::Keep, Vec::new()),
            (true, _) | (false, (None, _) | (_, None)) => return (Step::Wait, Vec::new()),
            (false, (Some(_), Some(role)))
                if self.is_remote(target) && (role == Role::Target || !self.restoring.given) =>
            {
                return (Step::AskPeer, Vec::new());
            }
            (false, (Some(_), Some(Role::Target))) => (target, Wish::Promote),
            (false, (Some(Role::Source), Some(Role::Source))) => (source, Wish::GiveUp),
            (false, (Some(Role::Target), Some(Role::Source))) => {
                self.restoring.released = true;
                (source, Wish::Release(self.node(target)))
            }
        };
        match self.restoring.asked.replace(wish) {
            Some(before) if before == wish => (Step::Wait, Vec::new()),
            _ => (Step::Wait, vec![Do::Wish(side, wish)]),
        }
    }

    /// An end has said something: what it was asked for may be done, or never will be.
    pub(super) const fn restoring_goes_on(&mut self, report: &Report) {
        if matches!(report, Report::Serving | Report::Resigned) {
            self.restoring.asked = None;
        }
    }

    /// All of it is gone through once more.
    pub(super) fn restore_anew(&mut self) {
        let away = self.restoring.away;
        self.restoring = Restoring {
            away,
            ..Restoring::default()
        };
    }

    /// The ends have met, and neither is the source: one has just handed over, and the other one doesn't know.
    pub(super) fn meets_nobody(&mut self, side: MirrorSide) -> Vec<Do> {
        if side != self.record.source {
            return Vec::new();
        }
        self.restore_anew();
        vec![Do::Wish(side, Wish::Hold(self.peer_of(side)))]
    }

    /// An end doesn't do what it was asked for. It is asked again when something has changed, unless it never can: then
    /// the source, which is what it was, stays that.
    pub(super) fn refused_to_restore(&mut self, wish: Wish, refusal: Refusal) -> Vec<Do> {
        self.restoring.asked = None;
        let is_untouched = self.is_untouched();
        match (wish, refusal) {
            (Wish::Promote, Refusal::NoImage) if is_untouched => {
                self.give_up_restoring(refusal.to_string())
            }
            _ => Vec::new(),
        }
    }

    /// Whether the source is what it was before it was to be restored.
    fn is_untouched(&self) -> bool {
        self.end(self.record.source).role == Some(Role::Source)
    }

    /// The peer says that its end never gives what it has. If the source has begun to get it, only what that end has makes an
    /// image of it.
    pub(crate) fn peer_never_gives(&mut self, why: String) -> Vec<Do> {
        match self.is_untouched() {
            true => self.give_up_restoring(why),
            false => Vec::new(),
        }
    }

    /// It can't be, and nothing has changed.
    fn give_up_restoring(&mut self, why: String) -> Vec<Do> {
        if !self.is_restoring() {
            return Vec::new();
        }
        self.rest_again();
        self.failed = Some(why);
        vec![Do::TakeBack(self.record.source, self.record.rest)]
    }

    /// The peer has made its end the source of what is copied.
    pub(crate) fn peer_gives(&mut self) {
        if let Some((remote, _)) = self.record.remote()
            && self.is_restoring()
        {
            self.restoring.given = true;
            self.end_mut(remote).role = Some(Role::Source);
        }
    }

    /// The daemon of the source restores that, and the end here, which is the target, gives what it has.
    pub(crate) fn give(&mut self, rest: MirrorRest) -> Vec<Do> {
        self.record.rest = rest;
        self.failed = None;
        let side = self.record.source.opposite();
        match self.end(side).role {
            Some(Role::Target) => {
                self.restoring.asked = Some(Wish::Promote);
                vec![Do::Wish(side, Wish::Promote)]
            }
            _ => Vec::new(),
        }
    }

    /// Whether the end here is about to be the source of what is copied.
    pub(super) fn is_about_to_give(&self) -> bool {
        self.is_restoring() && self.restoring.asked == Some(Wish::Promote)
    }

    /// The source has what the target had, that nothing is sent is durable, and hosts may use it.
    pub(crate) fn restored(&mut self) -> Vec<Do> {
        if !self.is_restoring() {
            return Vec::new();
        }
        let source = self.record.source;
        self.rest_again();
        self.failed = None;
        vec![Do::Wish(source, Wish::Hold(self.peer_of(source)))]
    }

    fn rest_again(&mut self) {
        self.record.rest = self.record.rest.restored();
        let source = self.record.source;
        self.end_mut(source).in_step = false;
        self.end_mut(source.opposite()).in_step = false;
        self.to_copy = 0;
        self.show(Shown::at_rest(self.restored_state()));
    }

    const fn restored_state(&self) -> CopyState {
        match self.record.rest {
            MirrorRest::Split | MirrorRest::RestoringSplit => CopyState::Split,
            _ => CopyState::Fractured,
        }
    }

    /// Both ends have had time to be there. True if one isn't, which is news.
    pub(crate) fn restore_waited(&mut self) -> bool {
        let is_away = self.ends.iter().any(|end| end.role.is_none());
        !std::mem::replace(&mut self.restoring.away, is_away) && is_away
    }

    /// What is shown while the source is restored follows from the ends.
    pub(crate) fn show_restoring(&mut self) {
        if !self.is_restoring() {
            return;
        }
        let source = self.record.source;
        let has_failed = self.ends.iter().any(|end| end.problem.is_some());
        let is_away = match self.is_remote(source) {
            true => self.end(source).role.is_none(),
            false => self.restoring.away && self.ends.iter().any(|end| end.role.is_none()),
        };
        self.show(match has_failed || is_away {
            true => Shown::at_rest(CopyState::Broken),
            false => Shown {
                copy_state: self.restored_state(),
                progress_status: ProgressStatus::Restoring,
            },
        });
    }

    /// Whether what is on the source is an image of something.
    pub(crate) const fn set_source_consistent(&mut self, consistent: bool) {
        self.association.source_consistent = consistent;
    }
}
