//! What peers are for: mirrors. What the connections need from them; knows no mirror itself.

use futures_util::future::BoxFuture;
use serde_json::Value;
use tidelock_catalog::{Peer, PeerName};

/// What connections of peers need from mirrors.
pub trait Ends: Send + Sync + 'static {
    /// What a peer asks ([`super::Peers::ask`] at the other side). The text of an error names what was wrong and
    /// what to do; it is told to the peer.
    fn asked<'a>(&'a self, peer: &'a Peer, request: Value) -> BoxFuture<'a, Result<Value, String>>;

    /// What depends on a peer, in words such as `mirror db`. While there is any it can't be removed.
    fn users(&self, peer: &PeerName) -> Vec<String>;
}
