//! The source's part for asynchronous peers. Their hosts never wait for them: now and then the content is frozen as
//! a *cut*, and what differs from the last cut that the peer has is copied from there. So the peer only ever has the
//! source as it was at one moment.
//!
//! A cut is a generation of its own, in which nothing is written: the peer gets the lineage up to it. At most two cuts are kept for a peer, the one that
//! it has and the one that it is being sent, and the more happens between two, the less is sent: nothing grows with
//! the time that a peer is away but the number of regions that differ.

use super::action::{Action, Differing, Report};
use super::engine::{Engine, Purpose};
use crate::generation::{Lineage, Standing, Why};
use crate::id::{GenerationId, NodeId};
use crate::link::Message;
use crate::region::RegionSet;

/// A cut that a peer is being sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cut {
    pub(super) generation: GenerationId,
    lineage: Lineage,
    /// What the peer lacks of it.
    pub(super) lacking: RegionSet,
    /// It is frozen, and may be read.
    frozen: bool,
    /// The peer was lost before it was.
    abandoned: bool,
    /// The peer has been told that it comes.
    offered: bool,
    /// The peer has been told to take its lineage.
    told: bool,
}

impl Engine {
    /// A cut for a peer is due. It is taken as soon as no write is on its way to the disk.
    pub(super) fn cut_due(&mut self, peer: NodeId) {
        let behind = *self.keeper.standing(peer) == Standing::Behind;
        let it = self.peer(peer);
        if it.asynchronous && behind && it.cut.is_none() {
            it.cut_due = true;
        }
    }

    /// Whether writes of hosts wait for a moment, for content to be frozen.
    pub(super) fn is_cutting(&self) -> bool {
        let unfrozen =
            |it: &super::peer::Peer| it.cut_due || it.cut.as_ref().is_some_and(|it| !it.frozen);
        self.peers.values().any(unfrozen)
    }

    pub(super) fn pump_cuts(&mut self) {
        let due = self.peers.iter().filter(|(_, it)| it.cut_due);
        let due: Vec<NodeId> = due.map(|(peer, _)| *peer).collect();
        for peer in due {
            if self.keeper.is_busy() || self.host.is_any_writing() {
                return;
            }
            self.peer(peer).cut_due = false;
            if self.keeper.is_source() && *self.keeper.standing(peer) == Standing::Behind {
                self.take_cut(peer);
            }
        }
    }

    /// Sends what is frozen, once the generation that it ends is over durably: otherwise a crash would let this end go
    /// on in a generation that the peer has as complete.
    pub(super) fn pump_offers(&mut self) {
        if self.keeper.is_busy() {
            return;
        }
        let frozen = |it: &Cut| it.frozen && !it.offered;
        let ready = self
            .peers
            .iter()
            .filter(|(_, it)| it.cut.as_ref().is_some_and(frozen));
        let ready: Vec<NodeId> = ready.map(|(peer, _)| *peer).collect();
        for peer in ready {
            if let Some(cut) = &mut self.peer(peer).cut {
                cut.offered = true;
            }
            self.report(Report::CutTaken(peer));
            self.send(peer, Message::Resync { resumes: false });
        }
    }

    fn take_cut(&mut self, peer: NodeId) {
        let request = self.target.requested(peer);
        let request = request.unwrap_or(super::session::Request::NOTHING_KNOWN);
        let nothing = Differing::Regions(RegionSet::default());
        let lacking = self.lacking(peer, &request, &nothing);
        // The cut gets a generation of its own, and writes belong to another one from now on.
        self.keeper.open(Why::Cut);
        let lineage = self.keeper.record().lineage.before_current();
        let Some(generation) = lineage.current() else {
            return;
        };
        self.peer(peer).cut = Some(Cut {
            generation,
            lineage,
            lacking,
            frozen: false,
            abandoned: false,
            offered: false,
            told: false,
        });
        let operation = self.operation(Purpose::Cut(peer));
        self.act(Action::TakeCut(operation, generation));
    }

    /// The content is frozen: the peer can be sent what it lacks of it.
    pub(super) fn cut_taken(&mut self, peer: NodeId) {
        let Some(cut) = &mut self.peer(peer).cut else {
            return;
        };
        cut.frozen = true;
        if cut.abandoned {
            self.drop_cut(peer);
        }
    }

    /// All of a cut was sent.
    pub(super) fn cut_copied(&mut self, peer: NodeId) {
        let Some(cut) = &mut self.peer(peer).cut else {
            return;
        };
        if !cut.told {
            cut.told = true;
            let lineage = cut.lineage.clone();
            self.send(peer, Message::Adopt { lineage });
        }
    }

    /// The peer has a cut durably. False: it isn't the one that it was sent.
    pub(super) fn cut_confirmed(&mut self, peer: NodeId, generation: GenerationId) -> bool {
        let it = self.peer(peer);
        let told = |cut: &Cut| cut.told && cut.generation == generation;
        if !it.cut.as_ref().is_some_and(told) {
            return false;
        }
        it.plan = None;
        let request = super::session::Request::since(generation);
        self.target.requests.insert(peer, request);
        self.drop_cut(peer);
        self.report(Report::CutConfirmed(peer));
        true
    }

    /// The peer is gone. What isn't frozen yet is dropped when it is.
    pub(super) fn lost_cut(&mut self, peer: NodeId) {
        match &mut self.peer(peer).cut {
            Some(cut) if !cut.frozen => cut.abandoned = true,
            Some(_) => self.drop_cut(peer),
            None => {}
        }
    }

    /// A cut that isn't needed any more.
    fn drop_cut(&mut self, peer: NodeId) {
        if let Some(cut) = self.peer(peer).cut.take() {
            self.act(Action::DropCut(cut.generation));
        }
    }
}
