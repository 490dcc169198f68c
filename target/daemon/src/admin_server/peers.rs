//! What the admin server asks of the daemon about peers.

use tidelock_admin::v1;
use tidelock_catalog::{Fingerprint, PeerAddress, PeerName};

use super::Outcome;
use crate::admin_server::ControlError;

/// The daemon's peers as the admin server sees them.
pub trait PeerControl: Send + Sync + 'static {
    /// All of them, and who this daemon is.
    ///
    /// # Errors
    /// The daemon has no identity.
    fn peers(&self) -> Result<v1::PeerList, ControlError>;

    /// One of them.
    ///
    /// # Errors
    /// There is none of that name.
    fn peer(&self, name: &PeerName) -> Result<v1::Peer, ControlError>;

    /// Exchanges identities with a daemon and trusts it.
    fn add_peer(
        &self,
        name: PeerName,
        address: PeerAddress,
        fingerprint: Option<Fingerprint>,
    ) -> Outcome<'_, v1::Peer>;

    /// Trusts a daemon that asks to be a peer.
    fn accept_peer(
        &self,
        request: String,
        name: Option<PeerName>,
        address: Option<PeerAddress>,
    ) -> Outcome<'_, v1::Peer>;

    /// Looks for a peer elsewhere.
    fn set_peer(&self, name: PeerName, address: PeerAddress) -> Outcome<'_, v1::Peer>;

    /// Trusts a peer no longer.
    fn remove_peer(&self, name: PeerName) -> Outcome<'_, ()>;
}
