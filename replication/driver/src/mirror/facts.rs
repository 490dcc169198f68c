//! What an end says of itself to people and to the capabilities.

use tidelock_mirror::generation::{Lineage, Role, Standing};
use tidelock_mirror::id::NodeId;

use super::cutting::Behind;

/// An end as it is.
#[derive(Clone, Debug)]
pub struct EndFacts {
    /// The part that it plays.
    pub role: Role,
    /// Whether hosts may read and write here.
    pub serving: bool,
    /// Whether what is on the disk is an image of something, as it stands.
    pub has_image: bool,
    /// Whether there is one that it goes back to when it is promoted: it is being overwritten.
    pub goes_back: bool,
    /// The disk or the journal has failed: nothing is done any more until it is opened again.
    pub failed: bool,
    /// What the content has gone through.
    pub lineage: Lineage,
    /// Peers that may have the current generation; hosts wait for them.
    pub holders: Vec<NodeId>,
    /// Those that were ever heard of since it was opened.
    pub peers: Vec<PeerFacts>,
    /// Regions in which ends may differ after a crash.
    pub hot_regions: u64,
    /// Bytes that hosts have written since it was opened. What was written twice counts twice.
    pub written_bytes: u64,
    /// Commands of hosts that aren't answered.
    pub waiting: usize,
}

/// A peer, seen from an end.
#[derive(Clone, Debug)]
pub struct PeerFacts {
    /// Which.
    pub peer: NodeId,
    /// How it stands.
    pub standing: Standing,
    /// Bytes that are still to be copied to it; `None`: nothing is being copied.
    pub left_to_copy: Option<u64>,
    /// Hosts don't wait for it.
    pub asynchronous: bool,
    /// How far it is behind, if it is asynchronous ([`End::set_asynchronous`](super::End::set_asynchronous)).
    pub behind: Option<Behind>,
}

/// How an end stands with its peers: what decides who may be the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceFacts {
    /// The part that it plays.
    pub role: Role,
    /// Peers without which a source acknowledges nothing.
    pub required: Vec<NodeId>,
    /// Peers that have all that was acknowledged.
    pub in_step: Vec<NodeId>,
    /// Whether what is on the disk is an image of something.
    pub has_image: bool,
}
