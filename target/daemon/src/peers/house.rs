//! What all tasks about peers share: who this daemon is, whom it trusts, and what is known of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tidelock_admin::v1::{EventKind, PeerState};
use tidelock_catalog::{Catalog, Change, Command, Fingerprint, Peer, PeerName};
use tidelock_mirror::id::MirrorId;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::ends::Ends;
use super::identity::Identity;
use super::link::Seats;
use super::presence::Presence;
use super::request::Greeting;
use super::requests::{Rate, Requests};
use super::standing::Standings;
use super::tls::{Tls, Trust};
use crate::events::Events;
use crate::registry::Registry;
use crate::registry::changes::ChangeError;

/// Where it is kept who is trusted.
pub trait Book: Send + Sync + 'static {
    /// The catalog as it is now.
    fn catalog(&self) -> Arc<Catalog>;

    /// Changes it durably.
    fn change(&self, command: Command) -> BoxFuture<'_, Result<Vec<Change>, ChangeError>>;
}

impl Book for Arc<Registry> {
    fn catalog(&self) -> Arc<Catalog> {
        Registry::catalog(self)
    }

    fn change(&self, command: Command) -> BoxFuture<'_, Result<Vec<Change>, ChangeError>> {
        Box::pin(self.apply(command))
    }
}

/// Those in the catalog are trusted.
pub(super) struct OfTheBook(pub(super) Arc<dyn Book>);

impl Trust for OfTheBook {
    fn trusts(&self, fingerprint: Fingerprint) -> bool {
        peer_with(&self.0.catalog(), fingerprint).is_some()
    }
}

pub(super) fn peer_with(catalog: &Catalog, fingerprint: Fingerprint) -> Option<Peer> {
    let mut all = catalog.peers();
    all.find(|peer| peer.fingerprint == fingerprint).cloned()
}

/// How peers are dealt with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What this daemon calls itself when it asks to be a peer.
    pub name: PeerName,
    /// How long a peer may say nothing before it counts as gone.
    pub timeout: Duration,
    /// The tags of this daemon's portal groups.
    pub portal_groups: Vec<u16>,
}

/// What a task that keeps an eye on a peer is told by.
pub(super) struct Watched {
    pub(super) nudge: Arc<Notify>,
    pub(super) task: AbortHandle,
}

/// All of it.
pub(super) struct House {
    pub(super) settings: Settings,
    /// Where it listens, once it does.
    pub(super) portal: OnceLock<SocketAddr>,
    pub(super) identity: Identity,
    pub(super) tls: Tls,
    pub(super) book: Arc<dyn Book>,
    pub(super) ends: OnceLock<Arc<dyn Ends>>,
    pub(super) requests: Mutex<Requests>,
    /// How often strangers may ask.
    pub(super) rate: Mutex<Rate>,
    pub(super) standings: Standings,
    pub(super) presence: Arc<Presence>,
    pub(super) watched: Mutex<HashMap<PeerName, Watched>>,
    /// Links of mirrors that are made again and again.
    pub(super) dialled: Mutex<HashMap<(PeerName, MirrorId), Watched>>,
    pub(super) seats: Seats,
    pub(super) events: Events,
    /// Where what isn't about connections is done.
    pub(super) elsewhere: Handle,
}

impl std::fmt::Debug for House {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("House")
            .field("settings", &self.settings)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl House {
    pub(super) fn node(&self) -> Uuid {
        self.book.catalog().identity().0
    }

    pub(super) fn greeting(&self) -> Greeting {
        Greeting {
            node: self.node(),
            name: self.settings.name.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            portal_groups: self.settings.portal_groups.clone(),
        }
    }

    /// The tags of portal groups that this daemon has, and another one as well.
    pub(super) fn common_groups(&self, theirs: &Greeting) -> Vec<u16> {
        let ours = self.settings.portal_groups.iter().copied();
        ours.filter(|it| theirs.portal_groups.contains(it))
            .collect()
    }

    /// The peer whose key that is.
    pub(super) fn peer_with(&self, fingerprint: Fingerprint) -> Option<Peer> {
        peer_with(&self.book.catalog(), fingerprint)
    }

    /// Whether a stranger may ask now.
    pub(super) fn may_ask(&self) -> bool {
        self.rate.lock().allows(Instant::now())
    }

    /// A peer has another state; whoever watches is told.
    pub(super) fn stands(&self, peer: &PeerName, state: PeerState, detail: &str) {
        if !self.standings.set(peer, state, detail) {
            return;
        }
        if state == PeerState::Connected {
            self.nudge_links(peer);
        }
        match state {
            PeerState::Connected => tracing::info!(%peer, "the peer answers"),
            PeerState::Connecting => {}
            _ => {
                tracing::warn!(%peer, state = state.name(), reason = detail, "the peer doesn't answer");
            }
        }
        self.events.tell(EventKind::PeerStateChanged {
            peer: peer.to_string(),
            state,
            detail: detail.to_owned(),
        });
    }

    /// Something has happened that makes it worth trying to reach a peer at once.
    pub(super) fn nudge(&self, peer: &PeerName) {
        if let Some(watched) = self.watched.lock().get(peer) {
            watched.nudge.notify_one();
        }
    }

    /// A peer is there: its links needn't wait.
    fn nudge_links(&self, peer: &PeerName) {
        for ((of, _), dialled) in self.dialled.lock().iter() {
            if of == peer {
                dialled.nudge.notify_one();
            }
        }
    }
}
