//! One thread, one tokio runtime, one I/O engine: everything of a session happens on its reactor,
//! so no command crosses a thread on its way from the socket to the file and back.

pub mod mailbox;
pub mod performer;
pub mod polling;
pub mod receive;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use tidelock_block::BufferPool;
use tidelock_catalog::PortalGroupTag;
use tidelock_replication::{Engine, EngineKind};
use tidelock_scsi::Renewal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::connection;
use crate::reactor::mailbox::Mailboxes;
use crate::reactor::polling::Polling;
use crate::reactor::receive::ReceiveChunks;
use crate::renewal::{self, Subject};
use crate::shared::Shared;

/// Operations that one reactor's ring holds at once; more wait in order inside the engine.
const RING_DEPTH: u32 = 512;

/// Commands that a session may have outstanding however little memory there is.
const WINDOW_MIN: u32 = 8;
/// Commands that it is to have room for beside those that are there when it logs in: as many as Linux has under way.
const WINDOW_USUAL: u32 = 32;

/// What the rest of the daemon has of a reactor.
#[derive(Clone, Debug)]
pub struct ReactorHandle {
    incoming: mpsc::UnboundedSender<Message>,
    connections: Arc<AtomicUsize>,
}

/// What a reactor is told.
#[derive(Debug)]
enum Message {
    Connection(Incoming),
    Renewal(Subject, Renewal),
}

#[derive(Debug)]
struct Incoming {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    group: PortalGroupTag,
    counted: Counted,
}

/// Counts a connection for as long as it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ReactorHandle {
    /// Connections that this reactor has.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Hands a connection over that came in through a portal of `group`. It is closed if the reactor has ended.
    pub fn give(&self, stream: std::net::TcpStream, peer: SocketAddr, group: PortalGroupTag) {
        let counted = Counted::new(&self.connections);
        // A reactor that has ended drops the connection with the message.
        let _ = self.incoming.send(Message::Connection(Incoming {
            stream,
            peer,
            group,
            counted,
        }));
    }

    /// Hands a renewal over that an earlier daemon left under way.
    pub(crate) fn go_on(&self, subject: Subject, renewal: Renewal) {
        // A reactor that has ended leaves it to the next daemon.
        let _ = self.incoming.send(Message::Renewal(subject, renewal));
    }
}

/// What the connections of one reactor share. Never leaves its thread.
#[derive(Debug)]
pub struct Local {
    /// Which reactor this is, from 0.
    pub index: usize,
    /// What all reactors share.
    pub shared: Arc<Shared>,
    /// File I/O of this reactor.
    pub engine: RefCell<Engine>,
    /// Bytes that `chunks` may have.
    receive_memory: usize,
    /// Receive memory of this reactor.
    pub chunks: RefCell<ReceiveChunks>,
    /// Where finished I/O waits for its connection.
    pub mailboxes: RefCell<Mailboxes>,
    /// Connections of this reactor that haven't logged in, oldest first.
    pub half_open: RefCell<connection::half_open::HalfOpen>,
    /// Sessions of this reactor.
    pub sessions: Cell<usize>,
    /// Whether it stays awake for what comes next.
    polling: RefCell<Polling>,
}

impl Local {
    /// Bytes of data-out that a session may have asked for at a time: half-received writes hold
    /// receive memory, and one session must not hold all of it.
    #[must_use]
    pub fn data_credit(&self) -> u64 {
        const LEAST: usize = 256 << 10;
        self.share().max(LEAST) as u64
    }

    /// Commands that a session may have outstanding, of `depth` at most: each may bring `first_burst`
    /// bytes (FirstBurstLength) of data that nobody asked for, and all of it together must fit into the
    /// session's share.
    #[must_use]
    pub fn command_window(&self, depth: u32, first_burst: u32) -> u32 {
        let burst = (first_burst as usize).max(1);
        let fits = u32::try_from(self.share() / burst).unwrap_or(u32::MAX);
        fits.clamp(WINDOW_MIN.min(depth), depth)
    }

    /// The most FirstBurstLength for a session that begins now, in bytes: the commands that it may
    /// always have outstanding must fit into its share.
    #[must_use]
    pub fn unsolicited_limit(&self) -> u32 {
        self.unsolicited(WINDOW_MIN)
    }

    /// The most that one is offered if nobody has said otherwise: what comes unasked saves asking, which is a good part of a
    /// large write, but must leave room for a window that hosts are used to.
    #[must_use]
    pub fn unsolicited_offer(&self) -> u32 {
        self.unsolicited(WINDOW_USUAL)
    }

    /// What each of so many commands may bring unasked.
    fn unsolicited(&self, commands: u32) -> u32 {
        /// The protocol's own default, which every session may have.
        const LEAST: u32 = 65_536;
        // It will be one of the sessions that share.
        let fits = self.share_of(self.sessions.get() + 1) / commands as usize;
        u32::try_from(fits).unwrap_or(u32::MAX).max(LEAST)
    }

    /// Bytes of payload memory that reads of one session may hold, beyond one command.
    #[must_use]
    pub fn read_share(&self) -> usize {
        /// The largest part of the payload memory for one session.
        const PART: usize = 4;
        let shared = &self.shared;
        shared.pool.limit() / PART / shared.config.reactors / (1 + self.sessions.get())
    }

    /// Bytes of them that a session may keep to send them again.
    #[must_use]
    pub fn retention(&self) -> usize {
        self.read_share() / 2
    }

    /// A session's share of half the receive memory; the other half is for data that was asked for.
    fn share(&self) -> usize {
        self.share_of(self.sessions.get())
    }

    /// The same when there are so many: one more may come.
    fn share_of(&self, sessions: usize) -> usize {
        self.receive_memory / 2 / (1 + sessions)
    }

    /// A host has sent something, which was seen at `now`.
    pub fn heard(&self, now: Instant) {
        let mut polling = self.polling.borrow_mut();
        if polling.is_on() {
            polling.came(now);
        }
    }

    /// A session has nothing to do. If nothing of any of this reactor's is under way, all of them wait for their hosts: for
    /// commands, or for the data of some.
    pub fn rests(&self) {
        let mut polling = self.polling.borrow_mut();
        // A disk or a peer may take long.
        if polling.is_on() && self.engine.borrow().in_flight() == 0 {
            polling.rests(Instant::now());
        }
    }

    /// Hands queued I/O to the kernel and brings what has finished to its connections.
    pub fn pump(&self) {
        let mut engine = self.engine.borrow_mut();
        engine.submit();
        let mut mailboxes = self.mailboxes.borrow_mut();
        let mut any = false;
        while let Some((token, outcome)) = engine.poll() {
            mailboxes.deliver(token, connection::outcome(outcome));
            any = true;
        }
        if any {
            self.polling.borrow_mut().works();
        }
    }
}

/// Starts a reactor's thread.
///
/// # Errors
/// The thread, its runtime or its engine can't be had.
pub fn start(
    index: usize,
    shared: Arc<Shared>,
    kind: EngineKind,
    pool: Arc<BufferPool>,
    receive_memory: usize,
) -> io::Result<(ReactorHandle, JoinHandle<()>)> {
    let (incoming, receiver) = mpsc::unbounded_channel();
    let handle = ReactorHandle {
        incoming,
        connections: Arc::default(),
    };
    let (started, outcome) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("reactor-{index}"))
        .spawn(move || {
            let _end_with_it = EndWithIt;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            // The ring belongs to the thread that made it (IORING_SETUP_SINGLE_ISSUER).
            let ready = runtime.and_then(|runtime| {
                let engine = Engine::new(kind, RING_DEPTH, pool)?;
                Ok((runtime, engine))
            });
            match ready {
                Err(error) => {
                    let _ = started.send(Err(error));
                }
                Ok((runtime, engine)) => {
                    let _ = started.send(Ok(()));
                    let local = Rc::new(Local {
                        index,
                        half_open: RefCell::default(),
                        engine: RefCell::new(engine),
                        receive_memory,
                        chunks: RefCell::new(ReceiveChunks::new(receive_memory)),
                        mailboxes: RefCell::default(),
                        sessions: Cell::new(0),
                        polling: RefCell::new(Polling::new(shared.config.busy_poll)),
                        shared,
                    });
                    tokio::task::LocalSet::new().block_on(&runtime, run(local, receiver));
                }
            }
        })?;
    outcome.recv().map_err(io::Error::other)??;
    Ok((handle, thread))
}

/// Ends the daemon if the thread ends by a panic. Without it the daemon would live on and serve nobody who comes to
/// that reactor; a new one finds all that was acknowledged, as after a kill.
struct EndWithIt;

impl Drop for EndWithIt {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "a reactor has ended by a defect, and the daemon with it: please report it"
            );
            std::process::abort();
        }
    }
}

/// Serves connections until the handle is dropped and the last of them has ended.
async fn run(local: Rc<Local>, mut incoming: mpsc::UnboundedReceiver<Message>) {
    let ring = tokio::task::spawn_local(reap(Rc::clone(&local)));
    let awake = tokio::task::spawn_local(stay_awake(Rc::clone(&local)));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            next = incoming.recv() => match next {
                Some(Message::Renewal(subject, renewal)) => {
                    tokio::task::spawn_local(renewal::go_on(Rc::clone(&local), subject, renewal));
                }
                Some(Message::Connection(Incoming { stream, peer, group, counted })) => {
                    let local = Rc::clone(&local);
                    connections.spawn_local(async move {
                        connection::serve(stream, peer, group, local).await;
                        drop(counted);
                    });
                }
                None => break,
            },
            Some(ended) = connections.join_next(), if !connections.is_empty() => note(ended),
        }
    }
    while let Some(ended) = connections.join_next().await {
        note(ended);
    }
    ring.abort();
    awake.abort();
}

/// A panic in one connection's task is a defect, but it ends that connection alone.
fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a defect: please report it");
    }
}

#[allow(
    deprecated,
    reason = "an OwnedFd stays open and the same, which is all that the unsafe successor of this \
              constructor asks for, and unsafe code lives in the block crate alone"
)]
fn watch(local: &Local) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = local.engine.borrow().as_fd().try_clone_to_owned()?;
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// Keeps the reactor from sleeping while it is to look for what comes next: a task that only lets others have their turn makes
/// the runtime ask the sockets without waiting.
async fn stay_awake(local: Rc<Local>) {
    if !local.polling.borrow().is_on() {
        return;
    }
    loop {
        std::future::poll_fn(|cx| local.polling.borrow_mut().poll_due(cx, Instant::now())).await;
        while local.polling.borrow().looks(Instant::now()) {
            tokio::task::yield_now().await;
        }
    }
}

/// Wakes up when I/O finishes that wasn't done at once.
async fn reap(local: Rc<Local>) {
    let ring = match watch(&local) {
        Ok(ring) => ring,
        Err(error) => {
            tracing::error!(%error, "cannot watch the I/O engine: this reactor can't serve files");
            return;
        }
    };
    loop {
        match ring.readable().await {
            Ok(mut ready) => {
                // Cleared first: what finishes during the pump makes it readable again.
                ready.clear_ready();
                local.pump();
            }
            Err(error) => {
                tracing::error!(%error, "the I/O engine can no longer be watched");
                return;
            }
        }
    }
}
