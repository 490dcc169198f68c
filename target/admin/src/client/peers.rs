//! Asking about peers.

use super::{Answer, Client, path};
use crate::v1;

impl Client {
    /// All peers, who asks to be one, and who this daemon is.
    ///
    /// # Errors
    /// See [`crate::client::ClientError`]; so for all other requests.
    pub async fn peers(&self) -> Answer<v1::PeerList> {
        self.get(path(&["peers"])).await
    }

    /// One peer.
    pub async fn peer(&self, name: &str) -> Answer<v1::Peer> {
        self.get(path(&["peers", name])).await
    }

    /// Exchanges identities with a daemon, and trusts it from then on.
    pub async fn add_peer(&self, request: &v1::AddPeer) -> Answer<v1::Peer> {
        self.send("POST", path(&["peers"]), request).await
    }

    /// Trusts a daemon that asks to be a peer.
    pub async fn accept_peer(&self, request: &v1::AcceptPeer) -> Answer<v1::Peer> {
        self.send("POST", path(&["peer-requests"]), request).await
    }

    /// Looks for a peer elsewhere.
    pub async fn set_peer(&self, name: &str, request: &v1::SetPeer) -> Answer<v1::Peer> {
        self.send("PATCH", path(&["peers", name]), request).await
    }

    /// Trusts a peer no longer.
    pub async fn remove_peer(&self, name: &str) -> Answer<()> {
        self.delete(path(&["peers", name])).await
    }
}
