//! One end's part: keeps the lease up, takes the holder's place when it may, and says until when hosts may be served.
//! One request is under way at a time; what the store has is looked at again whenever it isn't certain.

use std::collections::BTreeSet;

use super::store::{Answer, LeaseId, Request, RequestId, Revision, Seen, Standing, Unanswered};
use crate::generation::Role;
use crate::id::NodeId;

/// Times of an end. All ends of a mirror should have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a lease is, in milliseconds: so long hosts wait, about, until another end takes over. At least 1,000.
    pub ttl_ms: u64,
    /// By how many millionths the rates of this clock and the store's may differ.
    pub drift_ppm: u32,
    /// Milliseconds that hosts are stopped before a lease may be over at the soonest.
    pub slack_ms: u64,
}

impl Settings {
    /// Of a lease of so many milliseconds: clocks may differ by 1%, which is 20 times what time servers correct by, and
    /// hosts are stopped a tenth of the lease early.
    #[must_use]
    pub const fn new(ttl_ms: u64) -> Self {
        Self {
            ttl_ms,
            drift_ppm: 10_000,
            slack_ms: ttl_ms / 10,
        }
    }

    /// For how many milliseconds by this clock a lease of `length_ms` is certain to go on, from when it was asked for.
    #[must_use]
    pub const fn valid_for(&self, length_ms: u64) -> u64 {
        let drift = length_ms
            .saturating_mul(self.drift_ppm as u64)
            .div_ceil(1_000_000);
        length_ms
            .saturating_sub(drift)
            .saturating_sub(self.slack_ms)
    }
}

/// What happens to a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// How this end and its peers stand has changed.
    Place(Place),
    /// Hosts wait for peers that aren't in step, for the so many-th time. Answered by [`Action::GoOnAlone`].
    WantsAlone(u64),
    /// Whether this target may be made the source by itself: that is wanted, and it has an image.
    MayPromote(bool),
    /// [`Action::Promote`] wasn't done.
    NotPromoted,
    /// An operator makes this end the source, whatever it lacks: it needn't be eligible, if nobody holds the place.
    Forced,
    /// What the store answered, if it did in time.
    Answered(RequestId, Result<Answer, Unanswered>),
    /// Nothing but time has passed.
    Tick,
}

/// How an end stands, as its record says durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is.
    pub role: Role,
    /// Of a source: nothing is acknowledged without these. One leaves only after [`Action::GoOnAlone`], or with the
    /// role.
    pub required: BTreeSet<NodeId>,
    /// Those of them that hold all that was acknowledged.
    pub in_step: BTreeSet<NodeId>,
}

impl Place {
    /// Of a target.
    #[must_use]
    pub const fn target() -> Self {
        Self {
            role: Role::Target,
            required: BTreeSet::new(),
            in_step: BTreeSet::new(),
        }
    }
}

/// What a holder wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the store; answered by [`Event::Answered`], in time: a fifth of the lease at most.
    Ask(RequestId, Request),
    /// Hosts may be served until then. Past it nothing is begun, whether [`Self::Close`] came or not.
    Open {
        /// Milliseconds of this end's clock.
        until_ms: u64,
    },
    /// Hosts may not be served.
    Close,
    /// The peers that aren't in step can't take over any more: hosts needn't wait for them. The answer to the
    /// [`Event::WantsAlone`] of this number, and to no other.
    GoOnAlone(u64),
    /// Become the source: nobody else is, and this end has all that was acknowledged.
    Promote,
    /// What an operator would want to know.
    Report(Report),
}

/// What an operator would want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// This end holds the place, and serves hosts.
    Holding,
    /// It doesn't any more: the lease wasn't kept up in time.
    Lost,
    /// This end is a source, and another holds the place: hosts are served there.
    HeldBy(NodeId),
    /// This end is a source, and may not serve: another end was the source since, and has what this one lacks.
    NotEligible(NodeId),
    /// The store doesn't answer.
    Unanswered,
    /// It does again.
    Answering,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    id: LeaseId,
    length_ms: u64,
    /// When the last request that the store granted or kept it for was sent.
    asked_ms: u64,
}

/// How far a target is that has taken the place. Not before nobody else may take it does it become the source, so that
/// there are never two that were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promotion {
    None,
    /// The others are taken out of the standing.
    Begun,
    /// [`Action::Promote`] isn't done yet.
    Asked,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Holder {
    me: NodeId,
    settings: Settings,
    now_ms: u64,
    place: Place,
    wants_alone: Option<u64>,
    may_promote: bool,
    forced: bool,
    lease: Option<Lease>,
    /// The holder's key is under our lease, as far as we know; it is as long as the lease is.
    holding: bool,
    promotion: Promotion,
    /// Who was eligible before this target took the place.
    before: Option<BTreeSet<NodeId>>,
    /// What the store had; nobody else changes it while this end holds the place.
    seen: Option<Seen>,
    /// Look again before anything is decided.
    look: bool,
    /// A change of the standing was asked for, and what became of it isn't known: it may still come, from the revision
    /// that it names.
    outstanding: bool,
    pending: Option<(RequestId, Request, u64)>,
    next_request: u64,
    /// Nothing but a renewal before.
    again_ms: u64,
    open_until: Option<u64>,
    said: Option<Report>,
    answering: bool,
    out: Vec<Action>,
}

impl Holder {
    /// An end that has just been started: it holds nothing.
    #[must_use]
    pub fn new(me: NodeId, place: Place, settings: Settings, now_ms: u64) -> Self {
        Self {
            me,
            settings,
            now_ms,
            place,
            wants_alone: None,
            may_promote: false,
            forced: false,
            lease: None,
            holding: false,
            promotion: Promotion::None,
            before: None,
            seen: None,
            look: true,
            outstanding: false,
            pending: None,
            next_request: 0,
            again_ms: now_ms,
            open_until: None,
            said: None,
            answering: true,
            out: Vec::new(),
        }
    }

    /// Something has happened, at this time of a clock that doesn't go back and goes on while the machine sleeps. What
    /// is to be done comes in order.
    pub fn handle(&mut self, event: Event, now_ms: u64) -> Vec<Action> {
        self.now_ms = self.now_ms.max(now_ms);
        match event {
            Event::Place(place) => self.stands(place),
            Event::WantsAlone(number) => self.wants_alone = Some(number),
            Event::MayPromote(may) => self.may_promote = may,
            Event::NotPromoted => self.promotion = Promotion::None,
            Event::Forced => self.forced = true,
            Event::Answered(request, answer) => self.answered(request, answer),
            Event::Tick => {}
        }
        self.proceed();
        std::mem::take(&mut self.out)
    }

    /// When [`Event::Tick`] is due, unless something happens before.
    #[must_use]
    pub fn wake_at(&self) -> Option<u64> {
        let ask = (self.pending.is_none() && self.is_concerned()).then(|| {
            let due = self.due();
            // With nothing else to ask for, the renewal is next.
            if self.is_settled() {
                due
            } else {
                due.min(self.again_ms)
            }
        });
        self.open_until.into_iter().chain(ask).min()
    }

    /// Until when hosts may be served, by this end's clock.
    #[must_use]
    pub const fn open_until(&self) -> Option<u64> {
        self.open_until
    }

    /// What the store had when it was looked at last, with what was changed since.
    #[must_use]
    pub const fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// Whether a peer may take this source's place, durably, and nothing is under way that changes it: only then it is
    /// handed over to. Otherwise nobody might be allowed to serve afterwards.
    #[must_use]
    pub fn is_eligible(&self, peer: NodeId) -> bool {
        let changing = matches!(self.pending, Some((_, Request::Change { .. }, _)));
        let standing = self.standing().filter(|_| !changing && !self.outstanding);
        standing.is_some_and(|it| it.source == self.me && it.eligible.contains(&peer))
    }

    fn stands(&mut self, place: Place) {
        if self.place.role != place.role {
            self.look = true;
            self.said = None;
            self.wants_alone = None;
            match place.role {
                Role::Source => {
                    self.promotion = Promotion::None;
                    self.before = None;
                }
                Role::Target => self.forced = false,
            }
        }
        self.place = place;
    }

    fn standing(&self) -> Option<&Standing> {
        self.seen.as_ref()?.standing.as_ref()
    }

    fn is_source(&self) -> bool {
        self.place.role == Role::Source
    }

    /// Whether it matters to this end who holds the place.
    fn is_concerned(&self) -> bool {
        self.is_source() || self.may_promote || self.holding
    }

    const fn valid_until(&self, lease: Lease) -> u64 {
        lease
            .asked_ms
            .saturating_add(self.settings.valid_for(lease.length_ms))
    }

    const fn renewal_of(lease: Lease) -> u64 {
        lease.asked_ms.saturating_add(lease.length_ms / 3)
    }

    /// When the lease is to be renewed, if anything is bound to it.
    fn due(&self) -> u64 {
        let lease = self.lease.filter(|_| self.holding);
        // What wasn't answered is asked again after a moment.
        let soonest = if self.answering { 0 } else { self.again_ms };
        lease.map_or(u64::MAX, |it| Self::renewal_of(it).max(soonest))
    }

    /// Whether the place is certainly held by this end now.
    fn holds(&self) -> bool {
        let lease = self.lease.filter(|_| self.holding);
        lease.is_some_and(|it| self.now_ms < self.valid_until(it))
    }

    // --- What the store answers.

    fn answered(&mut self, request: RequestId, answer: Result<Answer, Unanswered>) {
        let pending = self.pending.take_if(|(id, ..)| *id == request);
        let Some((_, asked, sent_ms)) = pending else {
            return;
        };
        let Ok(answer) = answer else {
            self.unanswered(&asked);
            return;
        };
        if !std::mem::replace(&mut self.answering, true) {
            self.report(Report::Answering);
        }
        match (asked, answer) {
            (Request::Grant { .. }, Answer::Granted(id, length_ms)) => {
                self.lease = Some(Lease {
                    id,
                    length_ms: length_ms.min(self.settings.ttl_ms),
                    asked_ms: sent_ms,
                });
            }
            (Request::KeepAlive(_), Answer::Kept(length_ms)) => {
                if let Some(lease) = &mut self.lease {
                    lease.length_ms = length_ms.min(self.settings.ttl_ms);
                    lease.asked_ms = sent_ms;
                }
            }
            (Request::KeepAlive(_), Answer::LeaseGone) | (Request::Revoke(_), _) => {
                self.lease = None;
                self.holding = false;
                self.look = true;
            }
            (Request::Look, Answer::Seen(seen)) => {
                let ours = self.lease.map(|it| (self.me, it.id));
                self.holding = seen.holder.is_some() && seen.holder == ours;
                self.seen = Some(seen);
                self.look = false;
            }
            (
                Request::Take {
                    me,
                    lease,
                    standing,
                    ..
                },
                Answer::Done(revision),
            ) => self.taken(Seen {
                holder: Some((me, lease)),
                standing: Some(standing),
                revision,
            }),
            (Request::Change { standing, .. }, Answer::Done(revision)) => {
                self.outstanding = false;
                if let Some(seen) = &mut self.seen {
                    seen.standing = Some(standing);
                    seen.revision = revision;
                }
            }
            // A condition didn't hold, or it is no answer to this.
            _ => self.look_again(),
        }
    }

    fn taken(&mut self, seen: Seen) {
        self.holding = true;
        // What an operator has said was said of this time.
        self.forced = false;
        let before = seen.standing.as_ref().map(|it| it.eligible.clone());
        self.before = before.filter(|_| !self.is_source());
        // What was asked before names another revision, or another lease.
        self.outstanding = false;
        self.seen = Some(seen);
        if !self.is_source() {
            self.promotion = Promotion::Begun;
        }
    }

    fn unanswered(&mut self, asked: &Request) {
        self.again_ms = self.now_ms + self.settings.ttl_ms / 20;
        match asked {
            Request::Change { .. } => self.outstanding = true,
            // The lease goes on or doesn't; all else is as it was.
            Request::KeepAlive(_) => {}
            _ => self.look = true,
        }
        if std::mem::replace(&mut self.answering, false) {
            self.report(Report::Unanswered);
        }
    }

    fn look_again(&mut self) {
        self.look = true;
        self.again_ms = self.now_ms + self.settings.ttl_ms / 20;
    }

    // --- What follows.

    fn proceed(&mut self) {
        self.tell();
        if self.pending.is_none()
            && self.is_concerned()
            && let Some(request) = self.next_request()
        {
            let id = RequestId(self.next_request);
            self.next_request += 1;
            self.pending = Some((id, request.clone(), self.now_ms));
            self.out.push(Action::Ask(id, request));
        }
    }

    /// Opens and closes, lets the source go on alone, and says what is new.
    fn tell(&mut self) {
        let open = self.is_source() && self.holds() && self.stands_with(&self.place.required);
        let until = self.lease.filter(|_| open).map(|it| self.valid_until(it));
        if until != self.open_until {
            let was_open = std::mem::replace(&mut self.open_until, until).is_some();
            match until {
                Some(until_ms) => self.out.push(Action::Open { until_ms }),
                None => self.out.push(Action::Close),
            }
            if open && !was_open {
                self.say(Report::Holding);
            } else if !open && self.is_source() {
                self.say(Report::Lost);
            }
        }
        if open && self.is_source() {
            self.forced = false;
        }
        // A change on its way may add a peer that what is acknowledged alone isn't at.
        let changing = matches!(self.pending, Some((_, Request::Change { .. }, _)));
        if let Some(number) = self.wants_alone
            && open
            && !changing
            && !self.outstanding
            && self.stands_with(&self.place.in_step)
        {
            self.wants_alone = None;
            self.out.push(Action::GoOnAlone(number));
        }
        if self.promotion == Promotion::Begun
            && self.holds()
            && !self.outstanding
            && self.stands_with(&BTreeSet::new())
        {
            self.promotion = Promotion::Asked;
            self.out.push(Action::Promote);
        }
    }

    /// Whether nobody but these may take this source's place.
    fn stands_with(&self, peers: &BTreeSet<NodeId>) -> bool {
        self.standing()
            .is_some_and(|it| it.source == self.me && it.eligible.is_subset(peers))
    }

    /// Whether there is nothing to ask for but renewals.
    fn is_settled(&self) -> bool {
        self.holding
            && !self.look
            && self.change().is_none()
            && (self.is_source() || self.promotion != Promotion::None)
    }

    fn next_request(&mut self) -> Option<Request> {
        if let Some(lease) = self.lease.filter(|_| self.now_ms >= self.due()) {
            return Some(Request::KeepAlive(lease.id));
        }
        if self.now_ms < self.again_ms {
            return None;
        }
        if self.look {
            return Some(Request::Look);
        }
        if self.holding {
            // Handed over, or not promoted after all: the place is free.
            let free = !self.is_source() && self.promotion == Promotion::None;
            let revoke = self.lease.filter(|_| free);
            return self
                .change()
                .or_else(|| revoke.map(|it| Request::Revoke(it.id)));
        }
        if !self.may_take() {
            self.look = true;
            self.again_ms = self.now_ms + self.settings.ttl_ms / 10;
            return None;
        }
        match self.lease {
            Some(lease) if self.now_ms < Self::renewal_of(lease) => Some(self.take(lease.id)),
            _ => Some(Request::Grant {
                ttl_ms: self.settings.ttl_ms,
            }),
        }
    }

    fn take(&self, lease: LeaseId) -> Request {
        let seen = self.standing();
        let mut eligible = seen.map_or_else(BTreeSet::new, |it| it.eligible.clone());
        // Whoever was the source has all that was acknowledged, until this end acknowledges something: that it does only
        // when the standing has no one but those that it waits for.
        eligible.extend(seen.map(|it| it.source));
        eligible.remove(&self.me);
        Request::Take {
            me: self.me,
            lease,
            standing: Standing {
                source: self.me,
                eligible,
            },
            from: self.seen.as_ref().map_or(Revision(0), |it| it.revision),
        }
    }

    /// What the standing of this source ought to be, if it isn't, or isn't certainly.
    fn change(&self) -> Option<Request> {
        let (lease, seen, standing) = (self.lease?, self.seen.as_ref()?, self.standing()?);
        let mut eligible = match (self.place.role, self.promotion) {
            (Role::Source, _) => {
                let mut eligible = self.place.in_step.clone();
                if self.wants_alone.is_none() {
                    // Who was in step has all that was acknowledged, for as long as nothing is without it.
                    eligible.extend(standing.eligible.intersection(&self.place.required));
                }
                eligible
            }
            // It hasn't served anybody: whoever was eligible is.
            (Role::Target, Promotion::None) if standing.source == self.me => self.before.clone()?,
            (Role::Target, Promotion::None) => return None,
            (Role::Target, _) => BTreeSet::new(),
        };
        eligible.remove(&self.me);
        let wanted = Standing {
            source: self.me,
            eligible,
        };
        (self.outstanding || wanted != *standing).then_some(Request::Change {
            lease: lease.id,
            standing: wanted,
            from: seen.revision,
        })
    }

    /// Whether the place is free for this end, as the store was when it was looked at just now.
    fn may_take(&mut self) -> bool {
        let source = self.is_source();
        let held_by = self.seen.as_ref().and_then(|it| it.holder);
        if let Some((holder, _)) = held_by {
            if source && holder != self.me {
                self.say(Report::HeldBy(holder));
            }
            return false;
        }
        let Some(standing) = self.standing() else {
            return source;
        };
        let last = standing.source;
        // A target that was the source last has handed over to whoever is eligible; or, if nobody is, has died between
        // taking the place and becoming the source.
        let next = source || standing.eligible.is_empty();
        let eligible = standing.eligible.contains(&self.me) || next && last == self.me;
        if source && !eligible && !self.forced {
            self.say(Report::NotEligible(last));
        }
        if source {
            eligible || self.forced
        } else {
            eligible && self.may_promote
        }
    }

    /// Once, until something else is to be said.
    fn say(&mut self, report: Report) {
        if self.said != Some(report) {
            self.said = Some(report);
            self.report(report);
        }
    }

    fn report(&mut self, report: Report) {
        self.out.push(Action::Report(report));
    }
}
