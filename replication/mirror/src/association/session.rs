//! What is said on a connection, from the greeting on, and who it is for.

use super::action::{Differing, Report};
use super::engine::Engine;
use super::peer::Greeting;
use crate::generation::{Standing, Verdict, View};
use crate::id::{GenerationId, NodeId};
use crate::link::Message;

/// A resync that was offered to a peer, which prepares for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    /// The generation that the peer holds, if that is of use.
    pub(super) base: Option<GenerationId>,
    /// The peer is in the same run in which it had everything, and so are we.
    pub(super) known: bool,
    /// What was left of the last one is all there is to do.
    pub(super) resumes: bool,
}

impl Request {
    /// Everything is sent.
    pub(super) const NOTHING_KNOWN: Self = Self {
        base: None,
        known: false,
        resumes: false,
    };

    /// What has changed since this.
    pub(super) const fn since(generation: GenerationId) -> Self {
        Self {
            base: Some(generation),
            ..Self::NOTHING_KNOWN
        }
    }
}

impl Engine {
    pub(super) fn greet(&mut self, peer: NodeId, view: View) {
        let message = Message::Greeting {
            view,
            incarnation: self.keeper.incarnation(),
            unsettled: self.log.hot().clone(),
            window: self.config.window,
        };
        self.send(peer, message);
        if self.peer(peer).early {
            self.peer(peer).early = false;
            self.meet(peer);
        }
    }

    fn meet(&mut self, peer: NodeId) {
        let Some(greeting) = &self.peer(peer).greeting else {
            return;
        };
        let view = greeting.view.clone();
        if !self.keeper.met(peer, &view) {
            self.peer(peer).early = true;
        }
    }

    pub(super) fn received(&mut self, peer: NodeId, message: Message) {
        if !self.peers.get(&peer).is_some_and(|it| it.connected) {
            return;
        }
        let greeted = self.peer(peer).greeting.is_some();
        match message {
            Message::Greeting {
                unsettled: regions, ..
            }
            | Message::Ready {
                differing: Differing::Regions(regions),
            } if regions.end() > self.config.regions.count() => {
                self.misbehaved(
                    peer,
                    "it says that what is behind the end of the volume differs",
                );
            }
            Message::Greeting {
                view,
                incarnation,
                unsettled,
                window,
            } if !greeted => {
                self.peer(peer).greeting = Some(Greeting {
                    view,
                    incarnation,
                    unsettled,
                    window,
                });
                self.meet(peer);
            }
            _ if !greeted => self.misbehaved(peer, "it didn't begin with a greeting"),
            Message::Greeting { .. } => self.misbehaved(peer, "it greets a second time"),
            Message::Ready { differing } => self.begin_copying(peer, &differing),
            Message::WriteDone { sequence } => {
                if self.peer(peer).answered(sequence) {
                    self.write_answered(peer, sequence);
                } else {
                    self.misbehaved(peer, "it answers a write that it wasn't sent");
                }
            }
            Message::FlushDone { sequence } => self.flush_answered(peer, sequence),
            Message::Confirm { generation } => self.confirmed(peer, generation),
            Message::AskToTakeOver { generation, .. } => {
                let same = self.is_of(generation);
                self.keeper.asked_to_take_over(peer, same);
            }
            Message::Deny => self.keeper.denied(peer),
            // For whoever shows it.
            Message::Behind { .. } => {}
            Message::InStep
            | Message::Resync { .. }
            | Message::Write { .. }
            | Message::Flush { .. }
            | Message::Settled { .. }
            | Message::Copy { .. }
            | Message::Adopt { .. }
            | Message::TakeOver => self.sent_by_source(peer, message),
        }
    }

    /// Whether what is here is of that generation. Two targets of the same one both have what was acknowledged; what was
    /// under way when they lost their source may be at one of them alone.
    fn is_of(&self, generation: GenerationId) -> bool {
        let record = self.keeper.record();
        record.lineage.current() == Some(generation) && record.receiving.is_none()
    }

    fn confirmed(&mut self, peer: NodeId, generation: GenerationId) {
        // Whom this end has taken over from is in step with it, until they meet again.
        if self.peer(peer).asynchronous && !self.is_member(peer) {
            if !self.cut_confirmed(peer, generation) {
                self.misbehaved(peer, "it confirms what it wasn't sent");
            }
            return;
        }
        self.keeper.confirmed(peer, generation);
        if *self.keeper.standing(peer) == Standing::InStep {
            self.met_since_start = true;
            self.peer(peer).has_all();
            self.everything_flushed(peer);
            self.report(Report::InStep(peer));
        }
    }

    /// What follows from the two views.
    pub(super) fn met(&mut self, peer: NodeId, verdict: Verdict) {
        match verdict {
            Verdict::Send { base, drops_theirs } => self.offers(peer, base, drops_theirs),
            Verdict::Receive { base, drops_ours } => self.target.expects(peer, base, drops_ours),
            Verdict::NoSource
            | Verdict::SplitBrain { .. }
            | Verdict::Unrelated
            | Verdict::Contradiction => {}
        }
        self.report(Report::Met(peer, verdict));
    }

    /// The peer is to be sent what it lacks, if it lacks anything.
    fn offers(&mut self, peer: NodeId, base: Option<GenerationId>, drops_theirs: bool) {
        let record = self.keeper.record();
        let is_holder = record.holders.contains(&peer);
        let same = base.is_some() && base == record.lineage.current();
        // Whoever has our generation was given it by us, unless a record was brought back from elsewhere.
        let base = base.filter(|_| !same || is_holder);
        let unsettled = !self.log.hot().is_empty();
        let me = self.config.me;
        let incarnation = self.keeper.incarnation();
        let it = self.peer(peer);
        let Some(theirs) = &it.greeting else {
            return;
        };
        let known = it.known == Some(theirs.incarnation) && !drops_theirs;
        let differs = if known {
            !it.missing.is_empty()
        } else {
            unsettled || !theirs.unsettled.is_empty()
        };
        let receiving = theirs.view.receiving;
        if it.asynchronous {
            let request = Request {
                base,
                ..Request::NOTHING_KNOWN
            };
            self.target.requests.insert(peer, request);
            return;
        }
        if base.is_some() && same && !drops_theirs && !differs && receiving.is_none() {
            it.has_all();
            self.send(peer, Message::InStep);
            self.keeper.in_step(peer);
            self.met_since_start = true;
            self.repeat_flushes(peer);
            self.report(Report::InStep(peer));
            return;
        }
        let ours =
            |it: crate::generation::Receiving| it.from == me && it.incarnation == incarnation;
        let saved = it
            .saved
            .as_ref()
            .is_some_and(|(run, _)| *run == theirs.incarnation);
        let request = Request {
            base,
            known,
            resumes: saved && receiving.is_some_and(ours),
        };
        self.target.requests.insert(peer, request);
        let resumes = request.resumes;
        self.send(peer, Message::Resync { resumes });
    }

    /// What a target that has been asked to be overwritten may differ in, beside what the source knows.
    pub(super) fn differing(&self, base: Option<GenerationId>, drops_ours: bool) -> Differing {
        let mut regions = self.log.hot().clone();
        if drops_ours {
            match base.and_then(|it| self.log.changed_in(&self.keeper.record().lineage, it)) {
                Some(changed) => regions.add(changed),
                None => return Differing::All,
            }
        }
        if base.is_none() {
            return Differing::All;
        }
        Differing::Regions(regions)
    }
}
