//! A daemon's peers with a catalog in memory, on a free port of the loopback interface.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidelock_admin::v1::PeerState;
use tidelock_catalog::{Catalog, Change, Command, DaemonIdentity, Peer, PeerAddress, PeerName};
use uuid::Uuid;

use crate::events::Events;
use crate::peers::{Book, Ends, LinkEnd, Peers, Settings};
use crate::registry::changes::ChangeError;
use crate::state_dir::StateDir;

/// How long anything may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long a peer may say nothing.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn name(text: &str) -> PeerName {
    PeerName::new(text).unwrap()
}

/// Waits until something holds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A catalog that is nowhere else.
struct InMemory(Mutex<Arc<Catalog>>);

impl Book for InMemory {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.0.lock())
    }

    fn change(&self, command: Command) -> BoxFuture<'_, Result<Vec<Change>, ChangeError>> {
        let mut current = self.0.lock();
        let mut next = (**current).clone();
        let changes = next.apply(command).map_err(ChangeError::from);
        if changes.is_ok() {
            *current = Arc::new(next);
        }
        ready(changes).boxed()
    }
}

/// Mirrors that repeat what they hear.
pub(super) struct Fake {
    pub(super) users: Vec<String>,
}

impl Ends for Fake {
    fn end(&self, _: tidelock_mirror::id::MirrorId) -> Option<Arc<dyn LinkEnd>> {
        None
    }

    fn lacks(&self, _: tidelock_mirror::id::MirrorId) -> bool {
        true
    }

    fn asked<'a>(&'a self, peer: &'a Peer, request: Value) -> BoxFuture<'a, Result<Value, String>> {
        let answer = if request == json!("no") {
            Err("it was asked for a no".into())
        } else {
            Ok(json!({"from": peer.name.as_str(), "said": request}))
        };
        ready(answer).boxed()
    }

    fn users(&self, _: &PeerName) -> Vec<String> {
        self.users.clone()
    }
}

pub(super) struct Node {
    pub(super) peers: Arc<Peers>,
    book: Arc<InMemory>,
    called: String,
    state: StateDir,
    folder: TempDir,
}

impl Node {
    pub(super) fn new(called: &str) -> Self {
        let node = Self::silent(called);
        node.listen();
        node
    }

    /// One that waits long for everybody.
    pub(super) fn patient(called: &str) -> Self {
        let node = Self::with(called, PATIENCE * 10);
        node.listen();
        node
    }

    /// One without a portal.
    pub(super) fn silent(called: &str) -> Self {
        Self::with(called, TIMEOUT)
    }

    fn with(called: &str, timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(DaemonIdentity(Uuid::new_v4()));
        let book = Arc::new(InMemory(Mutex::new(Arc::new(catalog))));
        let state = StateDir::open(folder.path()).unwrap();
        Self::over(called, book, state, folder, timeout)
    }

    fn over(
        called: &str,
        book: Arc<InMemory>,
        state: StateDir,
        folder: TempDir,
        timeout: Duration,
    ) -> Self {
        let settings = Settings {
            name: name(called),
            timeout,
            portal_groups: if called == "apart" {
                vec![3]
            } else {
                vec![1, 2]
            },
        };
        let peers = Peers::start(&state, book.clone(), settings, Events::default()).unwrap();
        Self {
            peers,
            book,
            called: called.to_owned(),
            state,
            folder,
        }
    }

    fn listen(&self) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        self.peers.serve(listener).unwrap();
    }

    /// The same daemon after its end, on another port.
    pub(super) fn restarted(self) -> Self {
        self.peers.stop();
        let node = Self::over(&self.called, self.book, self.state, self.folder, TIMEOUT);
        node.listen();
        node
    }

    /// The same key, with a catalog that was made anew, except that it trusts the same peers.
    pub(super) fn reborn(self) -> Self {
        self.peers.stop();
        let mut catalog = Catalog::new(DaemonIdentity(Uuid::new_v4()));
        for peer in self.book.catalog().peers() {
            catalog.apply(Command::AddPeer(peer.clone())).unwrap();
        }
        let book = Arc::new(InMemory(Mutex::new(Arc::new(catalog))));
        let node = Self::over(&self.called, book, self.state, self.folder, TIMEOUT);
        node.listen();
        node
    }

    pub(super) fn address(&self) -> PeerAddress {
        self.peers.identity().portal.unwrap().parse().unwrap()
    }

    pub(super) async fn until_is(&self, peer: &str, state: PeerState) {
        let peer = name(peer);
        let what = format!("{peer} of {} is {state:?}", self.called);
        until(&what, || self.peers.show(&peer).unwrap().state == state).await;
    }
}
