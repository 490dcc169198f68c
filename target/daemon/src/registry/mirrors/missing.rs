//! Whether the peer has its end of a mirror at all, of one whose link it makes: a daemon that doesn't know of a mirror makes
//! no link, and says nothing by itself.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tidelock_catalog::{Elsewhere, MirrorId, Peer, PeerName};
use tokio::runtime::Handle;

use super::asking::{Ask, Done};
use super::operations::refuse;
use super::{ChangeError, Registry, Running};
use crate::mirrors::state::State;
use crate::peers::AskError;

/// For how long there is no link before the peer is asked, at first and at most.
const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(30);

impl Registry {
    /// Asks the peer now and then while there is no link of a mirror.
    pub(super) fn look_for(self: &Arc<Self>, running: &Arc<Running>, runtime: &Handle) {
        let remote = running.look(|state| state.record().remote().map(|(_, it)| it.clone()));
        // Who makes the link is told so by the other one.
        if let Some(Elsewhere { peer, dials: false }) = remote {
            let looking = look(Arc::downgrade(self), Arc::downgrade(running), peer);
            running.with_task(runtime.spawn(looking).abort_handle());
        }
    }

    /// A peer asks whether there is a mirror here that it has an end of.
    pub(super) fn knows(&self, peer: &Peer, id: MirrorId) -> Result<(), ChangeError> {
        let catalog = self.catalog();
        let known = catalog.mirrors_with(&peer.name).any(|it| it.id == id);
        match known {
            true => Ok(()),
            false => Err(refuse(format!(
                "there is no mirror {id} here with that peer"
            ))),
        }
    }
}

async fn look(registry: Weak<Registry>, running: Weak<Running>, peer: PeerName) {
    let mut wait = FIRST;
    // The other end of one that is being made comes when it can.
    let mut is_made = false;
    loop {
        tokio::time::sleep(wait).await;
        let (Some(registry), Some(running)) = (registry.upgrade(), running.upgrade()) else {
            return;
        };
        if running.is_connected() {
            (is_made, wait) = (true, FIRST);
            continue;
        }
        is_made |= running.look(State::was_found);
        if !is_made {
            continue;
        }
        wait = (wait * 2).min(MOST);
        let ask = Ask::Known {
            mirror: running.id().0,
        };
        let Ok(peers) = registry.mirrors.peers() else {
            continue;
        };
        drop(registry);
        let asked: Result<Done, _> = peers.ask(&peer, &ask).await;
        if let Err(AskError::Refused { reason, .. }) = asked
            && reason.contains("there is no mirror")
        {
            running.is_missed(&format!("peer {peer} says: {reason}"));
        }
    }
}
