//! What peers are for: mirrors. What the connections need from them; knows no mirror itself.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tidelock_catalog::{Peer, PeerName};
use tidelock_mirror::id::{MirrorId, NodeId};
use tidelock_mirror::link::Message;

use super::link::LinkHandle;

/// What connections of peers need from mirrors.
pub trait Ends: Send + Sync + 'static {
    /// This daemon's end of a mirror, if it is open.
    fn end(&self, mirror: MirrorId) -> Option<Arc<dyn LinkEnd>>;

    /// Whether it is known that there is no such mirror here, as opposed to one whose end isn't open.
    fn lacks(&self, mirror: MirrorId) -> bool;

    /// What a peer asks ([`super::Peers::ask`] at the other side). The text of an error names what was wrong and
    /// what to do; it is told to the peer.
    fn asked<'a>(&'a self, peer: &'a Peer, request: Value) -> BoxFuture<'a, Result<Value, String>>;

    /// What depends on a peer, in words such as `mirror db`. While there is any it can't be removed.
    fn users(&self, peer: &PeerName) -> Vec<String>;
}

/// What an end says of itself in the introduction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// This end.
    pub node: NodeId,
    /// What is mirrored.
    pub mirror: MirrorId,
    /// Bytes of the volume.
    pub size: u64,
    /// Bytes of its logical blocks.
    pub block_bytes: u32,
    /// Bytes of its regions.
    pub region_bytes: u64,
    /// Whether it is the source, as far as it knows.
    pub is_source: bool,
    /// The ends from which its content comes through other mirrors, the nearest first.
    pub chain: Vec<NodeId>,
}

/// This daemon's end of a mirror, as a link sees it. All of it is called on the thread of peers, and must not make it
/// wait for long: other links are on it.
pub trait LinkEnd: Send + Sync + 'static {
    /// What it says of itself, as of now.
    fn hello(&self) -> Hello;

    /// The end that a peer has of this mirror; `None`: it has none, and is refused.
    fn expects(&self, peer: &PeerName) -> Option<NodeId>;

    /// There is a link, and whether the other end says that it is the source. Messages can be sent on it from now on.
    fn connected(&self, peer: NodeId, is_source: bool, link: LinkHandle);

    /// A message came. While this runs nothing more is read.
    fn received(&self, peer: NodeId, message: Message);

    /// The link is over, and why. Always after [`Self::connected`], and before that of the next one.
    fn disconnected(&self, peer: NodeId, reason: &str);

    /// Whether the two ends have been of use to each other on the last link: another one may be had at once.
    fn was_fine(&self) -> bool;

    /// A link didn't come about, since one side refuses the other; the reason names the peer.
    fn refused(&self, peer: NodeId, reason: &str);
}
