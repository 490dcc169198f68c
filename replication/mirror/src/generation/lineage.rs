//! The generations that the content of one end has gone through. Knows no peers.

use crate::id::{GenerationId, NodeId};

/// How many generations an end remembers. Two ends whose common one is older than that are taken as unrelated,
/// which is told and never resolved silently.
pub const LINEAGE_MAX: usize = 128;

/// Why a generation was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The mirror was made.
    Created,
    /// A peer was gone, and hosts were to be served without it.
    PeerLost,
    /// A peer had become equal.
    Joined,
    /// The target took over by force.
    Promoted,
    /// The source handed over to the target.
    HandedOver,
    /// A consistent cut of an asynchronous mirror.
    Cut,
}

/// A generation: the writes from its beginning to that of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation {
    /// Which.
    pub id: GenerationId,
    /// Who began it.
    pub by: NodeId,
    /// Why.
    pub why: Why,
}

/// What an end's content has gone through, oldest first. An end that has the last one in it has all writes that
/// were acknowledged in the ones before, and those of the last one as far as [`crate::generation`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(Vec<Generation>);

impl Lineage {
    /// Of these generations, oldest first, of which the newest [`LINEAGE_MAX`] are kept.
    pub fn new(generations: impl IntoIterator<Item = Generation>) -> Self {
        let mut lineage = Self(generations.into_iter().collect());
        lineage.shorten();
        lineage
    }

    /// The current generation; `None` if the end has no content yet.
    #[must_use]
    pub fn current(&self) -> Option<GenerationId> {
        self.0.last().map(|it| it.id)
    }

    /// Whether it is among them.
    #[must_use]
    pub fn contains(&self, id: GenerationId) -> bool {
        self.0.iter().any(|it| it.id == id)
    }

    /// Whether the end has no content yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Oldest first.
    #[must_use]
    pub fn generations(&self) -> &[Generation] {
        &self.0
    }

    /// Those behind a generation, oldest first; all if it isn't among them.
    #[must_use]
    pub fn since(&self, id: GenerationId) -> &[Generation] {
        let from = self.0.iter().rposition(|it| it.id == id);
        self.0.get(from.map_or(0, |at| at + 1)..).unwrap_or(&[])
    }

    /// The newest generation that both have gone through.
    #[must_use]
    pub fn common(&self, other: &Self) -> Option<GenerationId> {
        let mut newest_first = self.0.iter().rev().map(|it| it.id);
        newest_first.find(|id| other.contains(*id))
    }

    /// Without the last one.
    #[must_use]
    pub fn before_current(&self) -> Self {
        let mut shorter = self.clone();
        shorter.0.pop();
        shorter
    }

    /// With one more.
    #[must_use]
    pub fn with(&self, generation: Generation) -> Self {
        let mut longer = self.clone();
        longer.0.push(generation);
        longer.shorten();
        longer
    }

    fn shorten(&mut self) {
        let excess = self.0.len().saturating_sub(LINEAGE_MAX);
        self.0.drain(..excess);
    }
}
