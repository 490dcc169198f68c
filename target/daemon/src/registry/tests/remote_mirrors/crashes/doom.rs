//! A daemon that dies at one of its durable steps: from then on nobody hears anything of it, and what was durable at that
//! moment is what it is started again with. What goes on of it behind that changes nothing anywhere.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::super::*;
use crate::registry::tests::every_step::copy;
use crate::steps::Watching;

/// What is to become of a daemon.
pub(super) struct Doom {
    /// Whose it is.
    called: &'static str,
    /// The step at which it dies; `None`: they are counted.
    at: Option<usize>,
    steps: AtomicUsize,
    dead: AtomicBool,
    /// Held at a step, and while what is durable is copied.
    turn: Mutex<()>,
    peers: Mutex<Option<Arc<Peers>>>,
    /// What was durable is known.
    copied: watch::Sender<bool>,
    /// What it is started with again.
    left: tempfile::TempDir,
    _watching: Mutex<Option<Watching>>,
}

impl Doom {
    /// It dies at this step, counted from now.
    pub(super) fn of(daemon: &Daemon, at: Option<usize>) -> Arc<Self> {
        let doom = Arc::new(Self {
            called: daemon.called,
            at,
            steps: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            turn: Mutex::default(),
            peers: Mutex::new(daemon.peers.clone()),
            copied: watch::Sender::new(false),
            left: tempfile::tempdir().unwrap(),
            _watching: Mutex::default(),
        });
        let (from, of) = (daemon.house.path().to_owned(), Arc::downgrade(&doom));
        let watching = Watching::new(&from.clone(), move || {
            if let Some(doom) = of.upgrade() {
                doom.step(&from);
            }
        });
        *doom._watching.lock() = Some(watching);
        doom
    }

    fn step(&self, folder: &Path) {
        let _turn = self.turn.lock();
        if self.is_dead() || Some(self.steps.fetch_add(1, Ordering::SeqCst)) != self.at {
            return;
        }
        // What hosts are told from now on isn't heard, nor what peers are.
        self.dead.store(true, Ordering::SeqCst);
        if let Some(peers) = self.peers.lock().take() {
            peers.kill();
        }
        copy(folder, &self.folder());
        self.copied.send_replace(true);
    }

    fn folder(&self) -> PathBuf {
        self.left.path().join("state")
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(super) fn steps(&self) -> usize {
        self.steps.load(Ordering::SeqCst)
    }

    /// Waits until it is dead, and all that was durable is known.
    pub(super) async fn is_done(&self) {
        let mut copied = self.copied.subscribe();
        copied.wait_for(|it| *it).await.unwrap();
    }

    /// A daemon listens to its peers, unless it is dead.
    pub(super) fn listens(&self, daemon: &mut Daemon) -> bool {
        let _turn = self.turn.lock();
        if daemon.called != self.called {
            daemon.listen();
            return true;
        }
        if self.is_dead() {
            return false;
        }
        daemon.listen();
        (*self.peers.lock()).clone_from(&daemon.peers);
        true
    }

    /// It doesn't die any more; whether it has.
    pub(super) fn lift(&self) -> bool {
        let _turn = self.turn.lock();
        *self._watching.lock() = None;
        self.is_dead()
    }

    /// It is started again with what was durable.
    pub(super) async fn revive(&self, daemon: &mut Daemon, other: &Daemon) {
        daemon.peers = None;
        if let Some(registry) = daemon.house.registry.take() {
            // Nobody waits any more for what it would still do.
            std::thread::spawn(move || {
                for running in registry.mirrors.all() {
                    running.close();
                }
            });
        }
        daemon.house.state = None;
        daemon.house.path = self.folder();
        if other.peers.is_some() {
            daemon.start(other).await;
            // That may have moved, and it may have died before it knew.
            let moved = daemon
                .peers()
                .set_address(peer(other.called), other.address());
            moved.await.unwrap();
            return;
        }
        daemon.house.open().await;
        daemon.listen();
    }
}
