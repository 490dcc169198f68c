//! Other daemons: who this one is to them, whom it trusts, and the connections between them. What they are for
//! (mirrors) is behind [`Ends`]; who is trusted is in the catalog, behind [`Book`].
//!
//! ```text
//! stranger ── TLS ── tidelock-pair/1 ──▶ requests (memory) ── peer accept ──▶ catalog
//! peer     ── TLS ── tidelock-peer/1 ──▶ answering          liveness ──▶ standing
//! peer     ── TLS ── tidelock-mirror/1 ─▶ link (seats, queue) ──▶ LinkEnd
//! ```
//!
//! All of it runs on a thread of its own: encrypting what mirrors send is work for a processor, and must hold up
//! neither hosts' I/O (the reactors) nor the operator's requests. `docs/peers.md` says what is protected against whom.

mod answering;
mod backoff;
mod conversation;
mod dial;
mod ends;
mod house;
mod identity;
mod link;
mod listener;
mod liveness;
mod pairing;
mod presence;
mod request;
mod requests;
mod socket;
mod standing;
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tidelock_admin::v1::{self, PeerState};
use tidelock_catalog::{CatalogError, Change, Command, Fingerprint, Peer, PeerAddress, PeerName};
use tidelock_mirror::id::MirrorId;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::events::Events;
use crate::registry::changes::ChangeError;
use crate::state_dir::StateDir;
use conversation::{PEER_MAX, receive, send};
pub use dial::DialError;
pub use ends::{Ends, Hello, LinkEnd};
pub use house::{Book, Settings};
use house::{House, OfTheBook, Watched};
use identity::Identity;
pub use identity::IdentityError;
pub use link::{Compressed, LinkHandle};
pub use request::{Greeting, PeerAnswer, PeerRequest};
use requests::NotFound;
use tls::{PEER, Tls};

/// How long an answer to [`Peers::ask`] may take: making a large file is slow.
const ANSWER_PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// Why peers can't be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
    /// The thread.
    #[error("the thread for peers can't be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why something about peers wasn't done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// There is no portal for them.
    #[error("this daemon has no peer portal")]
    NoPortal,
    /// A rule of the catalog, or its file.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The other daemon.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It doesn't want to.
    #[error("the other daemon refuses: {0}")]
    Refused(String),
    /// Nobody asks.
    #[error("no daemon that calls itself {0}, or has that fingerprint, asks to be a peer")]
    NoRequest(String),
    /// Several ask.
    #[error("several daemons that call themselves {0} ask to be peers")]
    SeveralRequests(String),
    /// Hosts couldn't tell paths to one from paths to the other.
    #[error("this daemon and peer {peer} both have portal group(s) {}", join(tags))]
    PortalGroups {
        /// Which peer.
        peer: PeerName,
        /// The tags that both have.
        tags: Vec<u16>,
    },
    /// It hasn't said anything yet.
    #[error("peer {peer} isn't connected")]
    NotConnected {
        /// Which peer.
        peer: PeerName,
    },
    /// Something depends on it.
    #[error("peer {peer} is in use: {}", by.join(", "))]
    InUse {
        /// Which peer.
        peer: PeerName,
        /// By what.
        by: Vec<String>,
    },
    /// The task that did it panicked.
    #[error("the daemon failed by a defect while it did this: please report it, with the log")]
    Defect,
}

fn join(tags: &[u16]) -> String {
    let tags: Vec<_> = tags.iter().map(ToString::to_string).collect();
    tags.join(", ")
}

impl From<CatalogError> for PeerError {
    fn from(error: CatalogError) -> Self {
        Self::Change(error.into())
    }
}

/// Why a peer gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// There is no such peer.
    #[error(transparent)]
    NoSuchPeer(#[from] CatalogError),
    /// It can't be reached, or broke off. Whether it has done what was asked isn't known.
    #[error("peer {peer}: {source}")]
    Dial {
        /// Which peer.
        peer: PeerName,
        /// What went wrong.
        source: DialError,
    },
    /// It refuses, and has done nothing.
    #[error("peer {peer} refuses: {reason}")]
    Refused {
        /// Which peer.
        peer: PeerName,
        /// Why.
        reason: String,
    },
    /// The task that asked panicked, or the daemon ends.
    #[error("peer {peer} was not asked to the end")]
    Ended {
        /// Which peer.
        peer: PeerName,
    },
}

/// Other daemons.
#[derive(Debug)]
pub struct Peers {
    house: Arc<House>,
    runtime: Handle,
    stop: watch::Sender<bool>,
    #[cfg(test)]
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Whose links were told that they needn't wait, and whether the end here was open then.
    #[cfg(test)]
    nudged: Mutex<Vec<(PeerName, bool)>>,
}

impl Peers {
    /// Makes or reads the identity, and starts the thread; listens when [`Self::serve`] is called. Blocks.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        state: &StateDir,
        book: Arc<dyn Book>,
        settings: Settings,
        events: Events,
    ) -> Result<Arc<Self>, StartError> {
        let identity = Identity::open(state)?;
        let tls = Tls::new(&identity, Arc::new(OfTheBook(Arc::clone(&book))))?;
        tracing::debug!(fingerprint = %identity.fingerprint(), "this daemon's identity");
        let house = Arc::new(House {
            settings,
            portal: OnceLock::new(),
            identity,
            tls,
            book,
            ends: OnceLock::new(),
            requests: Mutex::default(),
            rate: Mutex::new(requests::Rate::new(Instant::now())),
            standings: standing::Standings::default(),
            presence: Arc::default(),
            watched: Mutex::default(),
            dialled: Mutex::default(),
            seats: link::Seats::default(),
            events,
            elsewhere: Handle::current(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, mut stopped) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("peers".into())
            .spawn(move || {
                // Whoever could stop it is gone, or has: either way it ends, with all its tasks.
                let _ = runtime.block_on(stopped.wait_for(|stop| *stop));
                runtime.shutdown_background();
            })?;
        // It ends by itself.
        #[cfg(not(test))]
        drop(thread);
        Ok(Arc::new(Self {
            house,
            runtime: handle,
            stop,
            #[cfg(test)]
            thread: Mutex::new(Some(thread)),
            #[cfg(test)]
            nudged: Mutex::default(),
        }))
    }

    /// Listens, and connects to all peers from now on.
    ///
    /// # Errors
    /// The listener can't be used.
    pub fn serve(&self, listener: std::net::TcpListener) -> std::io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let listener = {
            let _inside = self.runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        if self.house.portal.set(address).is_err() {
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        self.runtime
            .spawn(listener::listen(Arc::clone(&self.house), listener));
        for peer in self.house.book.catalog().peers() {
            self.watch(&peer.name);
        }
        Ok(address)
    }

    /// Says who has mirrors; only once.
    pub fn set_ends(&self, ends: Arc<dyn Ends>) {
        if self.house.ends.set(ends).is_err() {
            tracing::error!("the ends of mirrors were set already");
        }
    }

    /// Ends all connections, and the thread.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// The same, and nothing that this daemon says is heard any more when it returns. **Blocks.**
    #[cfg(test)]
    pub(crate) fn kill(&self) {
        self.stop();
        if let Some(thread) = self.thread.lock().take() {
            thread.join().unwrap();
        }
    }

    /// Who this daemon is to peers.
    #[must_use]
    pub fn identity(&self) -> v1::PeerIdentity {
        v1::PeerIdentity {
            fingerprint: self.house.identity.fingerprint().to_string(),
            node_id: self.house.node().to_string(),
            name: self.house.settings.name.to_string(),
            portal: self.house.portal.get().map(ToString::to_string),
        }
    }

    /// All peers, and who asks to be one.
    #[must_use]
    pub fn list(&self) -> v1::PeerList {
        let catalog = self.house.book.catalog();
        let requests = self.house.requests.lock().list();
        let request = |it: requests::Asking| v1::PeerRequest {
            name: it.name.to_string(),
            fingerprint: it.fingerprint.to_string(),
            node_id: it.node.to_string(),
            from: it.from,
            address: it.address.to_string(),
            since_unix_ms: it.since_unix_ms,
        };
        v1::PeerList {
            identity: self.identity(),
            peers: catalog.peers().map(|peer| self.describe(peer)).collect(),
            requests: requests.into_iter().map(request).collect(),
        }
    }

    /// One peer.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn show(&self, name: &PeerName) -> Result<v1::Peer, CatalogError> {
        let catalog = self.house.book.catalog();
        catalog.peer(name).map(|peer| self.describe(peer))
    }

    fn describe(&self, peer: &Peer) -> v1::Peer {
        let mut described = self.house.standings.describe(peer);
        if self.house.portal.get().is_none() {
            described.state = PeerState::Unreachable;
            described.detail = PeerError::NoPortal.to_string();
        }
        described
    }

    /// What a peer said of itself last, since this daemon was started.
    #[must_use]
    pub fn greeting(&self, name: &PeerName) -> Option<Greeting> {
        self.house.standings.greeting(name)
    }

    /// Whether a logical unit can have paths through this daemon and through a peer: the tags of their portal groups are
    /// the numbers of its target port groups, so both need others.
    ///
    /// # Errors
    /// They have some in common, or it isn't known which ones the peer has.
    pub fn check_portal_groups(&self, name: &PeerName) -> Result<(), PeerError> {
        self.house.book.catalog().peer(name)?;
        let greeting = self.greeting(name);
        let theirs = greeting.ok_or_else(|| PeerError::NotConnected { peer: name.clone() })?;
        let tags = self.house.common_groups(&theirs);
        if tags.is_empty() {
            return Ok(());
        }
        Err(PeerError::PortalGroups {
            peer: name.clone(),
            tags,
        })
    }

    /// Exchanges identities with a daemon, and trusts it from then on; with `expected` only if that is its key.
    ///
    /// # Errors
    /// It can't be reached, it is somebody else, or a rule stands against it; then nothing has changed.
    pub async fn add(
        &self,
        name: PeerName,
        address: PeerAddress,
        expected: Option<Fingerprint>,
    ) -> Result<Vec<Change>, PeerError> {
        let house = &self.house;
        if house.portal.get().is_none() {
            return Err(PeerError::NoPortal);
        }
        if house.book.catalog().peer(&name).is_ok() {
            return Err(CatalogError::PeerExists { peer: name }.into());
        }
        let asking = {
            let (house, address) = (Arc::clone(house), address.clone());
            self.runtime
                .spawn(async move { pairing::ask(&house, &address, expected).await })
        };
        let asked = asking.await.map_err(|_| PeerError::Defect)??;
        if asked.fingerprint == house.identity.fingerprint() {
            return Err(CatalogError::PeerIsItself.into());
        }
        if let Some(reason) = asked.answer.refused {
            return Err(PeerError::Refused(reason));
        }
        self.trust(Peer {
            name,
            address,
            fingerprint: asked.fingerprint,
            node: asked.answer.node,
        })
        .await
    }

    /// Trusts a daemon that asks to be a peer, by what it calls itself or by its fingerprint.
    ///
    /// # Errors
    /// None asks, several do, or a rule stands against it; then nothing has changed.
    pub async fn accept(
        &self,
        request: &str,
        name: Option<PeerName>,
        address: Option<PeerAddress>,
    ) -> Result<(PeerName, Vec<Change>), PeerError> {
        if self.house.portal.get().is_none() {
            return Err(PeerError::NoPortal);
        }
        let asking = self.house.requests.lock().find(request).cloned();
        let asking = asking.map_err(|found| match found {
            NotFound::None => PeerError::NoRequest(request.to_owned()),
            NotFound::Several => PeerError::SeveralRequests(request.to_owned()),
        })?;
        let name = name.unwrap_or(asking.name);
        let changes = self
            .trust(Peer {
                name: name.clone(),
                address: address.unwrap_or(asking.address),
                fingerprint: asking.fingerprint,
                node: asking.node,
            })
            .await?;
        Ok((name, changes))
    }

    async fn trust(&self, peer: Peer) -> Result<Vec<Change>, PeerError> {
        let (name, fingerprint) = (peer.name.clone(), peer.fingerprint);
        let changes = self.house.book.change(Command::AddPeer(peer)).await?;
        self.house.requests.lock().take(fingerprint);
        self.watch(&name);
        Ok(changes)
    }

    /// Looks for a peer elsewhere.
    ///
    /// # Errors
    /// There is no such peer.
    pub async fn set_address(
        &self,
        peer: PeerName,
        address: PeerAddress,
    ) -> Result<Vec<Change>, PeerError> {
        let name = peer.clone();
        let command = Command::SetPeerAddress { peer, address };
        let changes = self.house.book.change(command).await?;
        self.house.nudge(&name);
        Ok(changes)
    }

    /// Trusts a peer no longer, and ends its connections.
    ///
    /// # Errors
    /// There is no such peer, or something depends on it; then nothing has changed.
    pub async fn remove(&self, name: PeerName) -> Result<Vec<Change>, PeerError> {
        let house = &self.house;
        let peer = house.book.catalog().peer(&name)?.clone();
        let users = house.ends.get().map(|ends| ends.users(&name));
        if let Some(by) = users.filter(|users| !users.is_empty()) {
            return Err(PeerError::InUse { peer: name, by });
        }
        let command = Command::RemovePeer { peer: name.clone() };
        let changes = house.book.change(command).await?;
        if let Some(watched) = house.watched.lock().remove(&name) {
            watched.task.abort();
        }
        house.dialled.lock().retain(|(of, _), dialled| {
            if *of == name {
                dialled.task.abort();
            }
            *of != name
        });
        house.presence.dismiss(peer.fingerprint);
        house.standings.forget(&name);
        Ok(changes)
    }

    /// Keeps an eye on a peer.
    fn watch(&self, name: &PeerName) {
        let nudge = Arc::new(Notify::new());
        let watching = liveness::watch(Arc::clone(&self.house), name.clone(), Arc::clone(&nudge));
        let task = self.runtime.spawn(watching).abort_handle();
        let before = {
            let mut watched = self.house.watched.lock();
            watched.insert(name.clone(), Watched { nudge, task })
        };
        if let Some(before) = before {
            before.task.abort();
        }
    }

    /// Keeps a link of a mirror to a peer from now on, which is made anew whenever it ends. The other side accepts.
    pub fn dial(&self, peer: &PeerName, mirror: MirrorId) {
        let nudge = Arc::new(Notify::new());
        let (house, of) = (Arc::clone(&self.house), peer.clone());
        let keeping = link::keep(house, of, mirror, Arc::clone(&nudge));
        let task = self.runtime.spawn(keeping).abort_handle();
        let key = (peer.clone(), mirror);
        let before = self
            .house
            .dialled
            .lock()
            .insert(key, Watched { nudge, task });
        if let Some(before) = before {
            before.task.abort();
        }
    }

    /// The end here is open: a link needn't wait for the next attempt.
    pub fn nudge_link(&self, peer: &PeerName, mirror: MirrorId) {
        #[cfg(test)]
        {
            let end = self.house.ends.get().and_then(|ends| ends.end(mirror));
            self.nudged.lock().push((peer.clone(), end.is_some()));
        }
        let dialled = self.house.dialled.lock();
        if let Some(dialled) = dialled.get(&(peer.clone(), mirror)) {
            dialled.nudge.notify_one();
        }
    }

    /// Whose links were told by [`Self::nudge_link`] that they needn't wait, and whether the end here was open then.
    #[cfg(test)]
    pub(crate) fn nudged(&self) -> Vec<(PeerName, bool)> {
        self.nudged.lock().clone()
    }

    /// Keeps it no longer. If there is a link, [`LinkEnd::disconnected`] follows.
    pub fn hang_up(&self, peer: &PeerName, mirror: MirrorId) {
        let dialled = self.house.dialled.lock().remove(&(peer.clone(), mirror));
        if let Some(dialled) = dialled {
            dialled.task.abort();
        }
    }

    /// Asks a peer something about mirrors: [`Ends::asked`] there answers. At most 1 MiB each way.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask<R: Serialize + Sync, A: DeserializeOwned>(
        &self,
        name: &PeerName,
        request: &R,
    ) -> Result<A, AskError> {
        let peer = self.house.book.catalog().peer(name)?.clone();
        let failed = |source| AskError::Dial {
            peer: name.clone(),
            source,
        };
        let body = serde_json::to_value(request);
        let body = body.map_err(|error| failed(dial::broken(&peer.address, error)))?;
        let asking = {
            let (house, peer) = (Arc::clone(&self.house), peer.clone());
            let request = PeerRequest::Mirrors { body };
            self.runtime
                .spawn(async move { ask(&house, &peer, &request).await })
        };
        let answer = asking
            .await
            .map_err(|_| AskError::Ended { peer: name.clone() })?;
        match answer.map_err(failed)? {
            PeerAnswer::Mirrors { body } => serde_json::from_value(body)
                .map_err(|error| failed(dial::broken(&peer.address, error))),
            PeerAnswer::Refused { reason } => Err(AskError::Refused {
                peer: name.clone(),
                reason: request::tame(&reason, 1000),
            }),
            PeerAnswer::Greeting(_) => {
                let reason = "it answers what wasn't asked";
                Err(failed(dial::broken(&peer.address, reason)))
            }
        }
    }
}

/// One request on a connection of its own, so that a long answer holds up no other.
async fn ask(house: &House, peer: &Peer, request: &PeerRequest) -> Result<PeerAnswer, DialError> {
    let address = &peer.address;
    let dialled = dial::dial(&house.tls, address, Some(peer.fingerprint), PEER).await?;
    let mut stream = dialled.stream;
    let asking = async {
        send(&mut stream, request, PEER_MAX).await?;
        receive(&mut stream, PEER_MAX).await
    };
    timeout(ANSWER_PATIENCE, asking)
        .await
        .map_err(|_| dial::broken(address, "it takes too long to answer"))?
        .map_err(|error| dial::went_wrong(address, error))
}

#[cfg(test)]
mod tests;
