//! What an end keeps durably about who is right, and what it shows of it to a peer.

use std::collections::BTreeSet;

use super::lineage::Lineage;
use crate::id::{GenerationId, Incarnation, NodeId};

/// Which part an end plays. The default: none has content, so it can only be a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It serves hosts, and its writes go to the targets.
    Source,
    /// It gets what the source has. Read-only to hosts.
    Target,
}

/// The durable record. It is replaced as a whole; what is done after a change is done only when that is durable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// What the content has gone through. While [`Self::receiving`], what the safety snapshot has gone through.
    pub lineage: Lineage,
    /// The part it plays.
    pub role: Role,
    /// Of a source: the peers that may have the current generation. A write is acknowledged in it only with all of
    /// them; without one of them it takes a new generation first.
    pub holders: BTreeSet<NodeId>,
    /// Of a target: its content is being replaced.
    pub receiving: Option<Receiving>,
    /// The operator has said that this end's own changes are to be dropped.
    pub yielded: bool,
}

/// A resync that isn't complete: what is on the disk is no image of anything, the safety snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receiving {
    /// Who sends.
    pub from: NodeId,
    /// In which of its runs. Of another run nothing can be gone on with.
    pub incarnation: Incarnation,
    /// The sender's generation when it began.
    pub generation: GenerationId,
    /// Whether there is a snapshot from before it began.
    pub snapshot: bool,
}

impl Record {
    /// Of an end that has nothing yet.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            lineage: Lineage::default(),
            role: Role::Target,
            holders: BTreeSet::new(),
            receiving: None,
            yielded: false,
        }
    }

    /// What a peer gets to see of it.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            lineage: self.lineage.clone(),
            role: self.role,
            receiving: self.receiving,
            yielded: self.yielded,
        }
    }
}

/// What the ends tell each other of their records when they meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct View {
    /// See [`Record::lineage`].
    pub lineage: Lineage,
    /// See [`Record::role`].
    pub role: Role,
    /// See [`Record::receiving`].
    pub receiving: Option<Receiving>,
    /// See [`Record::yielded`].
    pub yielded: bool,
}
