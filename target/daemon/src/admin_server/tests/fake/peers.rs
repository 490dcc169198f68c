//! No peers, and nobody who could be one.

use futures_util::FutureExt;
use futures_util::future::ready;
use tidelock_admin::v1;
use tidelock_catalog::{Fingerprint, PeerAddress, PeerName};

use super::Fake;
use crate::admin_server::{ControlError, Outcome, PeerControl};
use crate::peers::PeerError;

fn nobody<T>() -> Result<T, ControlError> {
    Err(ControlError::Peer(PeerError::NoPortal))
}

impl PeerControl for Fake {
    fn peers(&self) -> Result<v1::PeerList, ControlError> {
        nobody()
    }

    fn peer(&self, _: &PeerName) -> Result<v1::Peer, ControlError> {
        nobody()
    }

    fn add_peer(
        &self,
        _: PeerName,
        _: PeerAddress,
        _: Option<Fingerprint>,
    ) -> Outcome<'_, v1::Peer> {
        ready(nobody()).boxed()
    }

    fn accept_peer(
        &self,
        _: String,
        _: Option<PeerName>,
        _: Option<PeerAddress>,
    ) -> Outcome<'_, v1::Peer> {
        ready(nobody()).boxed()
    }

    fn set_peer(&self, _: PeerName, _: PeerAddress) -> Outcome<'_, v1::Peer> {
        ready(nobody()).boxed()
    }

    fn remove_peer(&self, _: PeerName) -> Outcome<'_, ()> {
        ready(nobody()).boxed()
    }
}
