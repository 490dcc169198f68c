//! The daemon's peers as the admin server sees them.

use futures_util::FutureExt as _;
use tidelock_admin::v1;
use tidelock_catalog::{Fingerprint, PeerAddress, PeerName};

use super::DaemonControl;
use crate::admin_server::{ControlError, Outcome, PeerControl};
use crate::peers::{PeerError, Peers};

impl DaemonControl {
    fn peers_or_why_not(&self) -> Result<&Peers, ControlError> {
        let why_not = |reason: &String| ControlError::NoIdentity {
            reason: reason.clone(),
        };
        self.peers.as_deref().map_err(why_not)
    }

    fn shown(&self, name: &PeerName) -> Result<v1::Peer, ControlError> {
        Ok(self.peers_or_why_not()?.show(name)?)
    }
}

impl From<PeerError> for ControlError {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Change(error) => error.into(),
            error => Self::Peer(error),
        }
    }
}

impl PeerControl for DaemonControl {
    fn peers(&self) -> Result<v1::PeerList, ControlError> {
        Ok(self.peers_or_why_not()?.list())
    }

    fn peer(&self, name: &PeerName) -> Result<v1::Peer, ControlError> {
        self.shown(name)
    }

    fn add_peer(
        &self,
        name: PeerName,
        address: PeerAddress,
        fingerprint: Option<Fingerprint>,
    ) -> Outcome<'_, v1::Peer> {
        async move {
            let peers = self.peers_or_why_not()?;
            self.tell(&peers.add(name.clone(), address, fingerprint).await?);
            self.shown(&name)
        }
        .boxed()
    }

    fn accept_peer(
        &self,
        request: String,
        name: Option<PeerName>,
        address: Option<PeerAddress>,
    ) -> Outcome<'_, v1::Peer> {
        async move {
            let peers = self.peers_or_why_not()?;
            let (name, changes) = peers.accept(&request, name, address).await?;
            self.tell(&changes);
            self.shown(&name)
        }
        .boxed()
    }

    fn set_peer(&self, name: PeerName, address: PeerAddress) -> Outcome<'_, v1::Peer> {
        async move {
            let peers = self.peers_or_why_not()?;
            self.tell(&peers.set_address(name.clone(), address).await?);
            self.shown(&name)
        }
        .boxed()
    }

    fn remove_peer(&self, name: PeerName) -> Outcome<'_, ()> {
        async move {
            let peers = self.peers_or_why_not()?;
            self.tell(&peers.remove(name).await?);
            Ok(())
        }
        .boxed()
    }
}
