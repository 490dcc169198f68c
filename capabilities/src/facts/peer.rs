//! One peer: whether it answers, and what it can do.

use super::PeerId;
use crate::values::{ConnectionFeature, ReplicationType, SyncType, ValueSet};

/// What is known of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Which one.
    pub id: PeerId,
    /// Whether it answers.
    pub reach: Reach,
    /// The remote types that it can be the other end of. Counts only if it answers.
    pub types: ValueSet<ReplicationType>,
    /// For which copies it would have space if it had to make the target. Counts only if it answers.
    pub room_for: ValueSet<SyncType>,
    /// What restricts the connection to it. Empty if data can flow both ways.
    pub connection: ValueSet<ConnectionFeature>,
}

/// How a peer can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It has answered, and what is known of its elements is what it has said.
    Answers,
    /// Nobody has asked it for this question. A decision that hinges on it says so, and is then made
    /// again with its answer; see [`crate::Decision::hinges_on`].
    NotAsked,
    /// It didn't answer within the bound, or its heartbeat is lost.
    Silent,
    /// It answers, and something is wrong with the answer.
    Faulty(PeerFault),
    /// It speaks no version of the protocol that this daemon speaks.
    Incompatible,
}

/// What is wrong with a peer that can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerFault {
    /// One of the two doesn't accept the identity of the other.
    Authentication,
    /// It breaks the protocol.
    Protocol,
    /// Its target port groups are ones of this daemon as well, so hosts couldn't tell the paths of one logical unit apart.
    PortGroups,
}
