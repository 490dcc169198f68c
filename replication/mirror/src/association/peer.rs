//! What a source remembers of one peer: what is under way to it, and what it lacks.

use std::collections::BTreeMap;

use super::books::Book;
use super::cuts::Cut;
use crate::generation::View;
use crate::id::{Incarnation, NodeId, OperationId};
use crate::region::{Region, RegionSet, Run};

/// What the peer showed when the ends met.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Greeting {
    pub(super) view: View,
    pub(super) incarnation: Incarnation,
    pub(super) unsettled: RegionSet,
    pub(super) window: u64,
}

/// What was sent and isn't answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sent {
    pub(super) regions: Run,
    pub(super) bytes: u64,
}

/// A resync under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    /// Still to be read.
    pub(super) remaining: RegionSet,
    /// Being read. Writes of these wait.
    pub(super) reading: BTreeMap<OperationId, Region>,
    /// Bytes of that. They will be under way to the peer.
    pub(super) reading_bytes: u64,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    /// It is connected.
    pub(super) connected: bool,
    /// The operator wants nothing to be sent to it.
    pub(super) held: bool,
    /// Hosts don't wait for it; it is sent cuts.
    pub(super) asynchronous: bool,
    /// It is to be sent one.
    pub(super) cut_due: bool,
    /// The one that it is being sent.
    pub(super) cut: Option<Cut>,
    /// What it showed in this connection.
    pub(super) greeting: Option<Greeting>,
    /// It came before we had shown ourselves.
    pub(super) early: bool,
    /// In which run it was when it had everything but `missing`; `None` if it never had.
    pub(super) known: Option<Incarnation>,
    /// Where it lacks something since.
    pub(super) missing: RegionSet,
    /// By sequence number.
    pub(super) sent: Book<u64, Sent>,
    /// Bytes of that.
    pub(super) sent_bytes: u64,
    /// What is being copied to it.
    pub(super) plan: Option<Plan>,
    /// What was left of it when the connection broke, and in which run of the peer that was.
    pub(super) saved: Option<(Incarnation, RegionSet)>,
}

impl Peer {
    /// Whether so many bytes more may be under way to it. One piece always may.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let window = self.greeting.as_ref().map_or(0, |it| it.window);
        let reading = self.plan.as_ref().map_or(0, |it| it.reading_bytes);
        let under_way = self.sent_bytes.saturating_add(reading);
        under_way == 0 || under_way.saturating_add(bytes) <= window
    }

    /// Whether it is sent nothing but what hosts write.
    pub(super) const fn is_undisturbed(&self) -> bool {
        self.plan.is_none() && self.cut.is_none() && !self.cut_due
    }

    pub(super) fn sends(&mut self, sequence: u64, regions: Run, bytes: u64) {
        self.sent_bytes += bytes;
        self.sent.insert(sequence, Sent { regions, bytes });
    }

    /// False if nothing was sent under that number.
    pub(super) fn answered(&mut self, sequence: u64) -> bool {
        let Some(sent) = self.sent.remove(sequence) else {
            return false;
        };
        self.sent_bytes = self.sent_bytes.saturating_sub(sent.bytes);
        true
    }

    /// Something is written that it doesn't get.
    pub(super) fn lacks(&mut self, regions: Run) {
        self.missing.add_run(regions);
        if let Some((_, saved)) = &mut self.saved {
            saved.add_run(regions);
        }
        if let Some(plan) = &mut self.plan {
            plan.remaining.add_run(regions);
        }
    }

    /// It has everything, or will have with what is under way.
    pub(super) fn has_all(&mut self) {
        self.known = self.greeting.as_ref().map(|it| it.incarnation);
        self.missing = RegionSet::default();
        self.saved = None;
        self.plan = None;
    }

    /// This end isn't the source any more: what it remembers of the peer gets old.
    pub(super) fn forget(&mut self) {
        self.known = None;
        self.missing = RegionSet::default();
        self.saved = None;
        self.plan = None;
    }

    /// The connection is gone: what was under way may have arrived or not.
    pub(super) fn lost(&mut self) {
        self.connected = false;
        self.early = false;
        self.cut_due = false;
        let mut open = RegionSet::default();
        for sent in self.sent.values() {
            open.add_run(sent.regions);
        }
        self.sent.clear();
        self.sent_bytes = 0;
        self.missing.add(&open);
        let incarnation = self.greeting.take().map(|it| it.incarnation);
        if let (Some(plan), Some(incarnation)) = (self.plan.take(), incarnation) {
            let mut left = plan.remaining;
            left.add(&plan.reading.values().copied().collect());
            left.add(&open);
            self.saved = Some((incarnation, left));
        }
    }
}

/// The peers of an end.
pub(super) type Peers = BTreeMap<NodeId, Peer>;
