//! A daemon's life: start in the right order, serve, drain, flush, stop.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;
use tidelock_block::BufferPool;
use tidelock_replication::{Engine, EngineKind};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle as JoinTask;

use crate::config::{Config, EngineChoice};
use crate::control::DaemonControl;
use crate::directory::Directory;
use crate::events::Events;
use crate::peers::{self, Book, Peers};
use crate::portal::{self, Portal, PortalError};
use crate::reactor::{self, ReactorHandle};
use crate::registry::{Registry, RegistryError};
use crate::shared::{Backend, Shared};
use crate::state_dir::{StateDir, StateDirError};
use crate::wbem::Door;
use crate::{admin_socket, demo, limits, systemd};

/// How often volumes that aren't ready are tried again, and fences are made durable.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How often it is looked how much space thin volumes have left.
const WATCH_SPACE: Duration = Duration::from_secs(2);
/// How often it is looked whether a snapshot is due.
const LOOK_FOR_SNAPSHOTS: Duration = Duration::from_secs(1);
/// How long sessions are given to end that did not log out.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// How long sessions are given to end when the daemon stops.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);
/// The part of the memory ceiling that receive buffers may have: half.
const RECEIVE_SHARE: usize = 2;

/// Why the daemon can't start, or didn't stop cleanly.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The log filter.
    #[error(transparent)]
    Log(#[from] crate::logging::LogError),
    /// The state folder.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The catalog or what it names.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The demonstration.
    #[error("cannot set up the demonstration: {0}")]
    Demo(#[from] crate::admin_server::ControlError),
    /// A portal.
    #[error(transparent)]
    Portal(#[from] PortalError),
    /// The WBEM server.
    #[error(transparent)]
    Wbem(#[from] crate::wbem::WbemError),
    /// A password that was to be hashed.
    #[error(transparent)]
    Hash(#[from] crate::wbem::HashError),
    /// The peer portal.
    #[error("the peer portal (--peer-portal): {0}")]
    PeerPortal(PortalError),
    /// The admin socket.
    #[error(transparent)]
    AdminSocket(#[from] admin_socket::AdminSocketError),
    /// `engine = "io-uring"`, but the kernel refuses it.
    #[error(
        "io_uring is asked for but can't be had: {reason}; set engine = \"auto\" to do without"
    )]
    NoIoUring {
        /// What the kernel said.
        reason: String,
    },
    /// Threads or runtimes.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Data that was acknowledged could not be flushed at the end.
    #[error("stopped, but these volumes could not be flushed: {volumes}")]
    FlushFailed {
        /// Names and reasons.
        volumes: String,
    },
}

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// It can't start, or volumes can't be flushed at the end.
pub fn run(config: Config) -> Result<(), DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| DaemonError::Io {
            action: "start the runtime",
            source,
        })?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|source| DaemonError::Io {
            action: "watch signals",
            source,
        })?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|source| DaemonError::Io {
            action: "watch signals",
            source,
        })?;
        let daemon = Daemon::start(config).await?;
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            () = systemd::watchdog() => {}
        }
        daemon.stop().await
    })
}

/// A running daemon.
struct Daemon {
    shared: Arc<Shared>,
    reactors: Vec<ReactorHandle>,
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    admin: admin_socket::AdminSocket,
    looking: JoinTask<()>,
    scheduling: JoinTask<()>,
    peers: Result<Arc<Peers>, String>,
    wbem: Option<Door>,
    _state: StateDir,
}

impl Daemon {
    async fn start(config: Config) -> Result<Self, DaemonError> {
        let (begun, begun_at) = (Instant::now(), SystemTime::now());
        let descriptors = limits::raise_descriptors();
        if descriptors < config.max_sessions + config.max_half_open {
            tracing::warn!(
                descriptors,
                "the host allows fewer connections than are configured"
            );
        }
        let state = StateDir::open(&config.state_dir)?;
        let (kind, backend) = choose_engine(config.engine)?;
        let receive = config.memory_ceiling / RECEIVE_SHARE;
        let pool = Arc::new(BufferPool::new(config.memory_ceiling - receive));
        let directory = Directory::new(config.max_sessions);
        let registry = Registry::open(&state, Arc::clone(&directory))?;
        registry.set_quiesce(config.quiesce.clone());
        registry.set_failover_store(config.failover.clone());
        let demo = config.demo;
        let shared = Arc::new(Shared {
            directory,
            registry: Arc::clone(&registry),
            pool: Arc::clone(&pool),
            backend,
            events: Events::default(),
            tokens: Arc::default(),
            started: begun,
            started_at: begun_at,
            config,
        });
        let (reactors, threads) = start_reactors(&shared, kind, &pool, receive)?;
        let (stop, stopped) = watch::channel(false);
        // Portals first: while volumes are still being opened a login is told to come back, which
        // initiators do; a refused connection or an unknown target would make some give up.
        let opened = open_portals(&shared, &reactors, &stopped)?;
        let portals: Vec<_> = opened.iter().map(|portal| portal.address).collect();
        let peers = start_peers(&shared, &state)?;
        let control = DaemonControl::new(Arc::clone(&shared), opened.clone(), peers.clone());
        let admin = admin_socket::open(&shared.config.admin_socket, control.clone(), stopped)?;
        registry.load(opened).await;
        let wbem = open_doors(&shared, &state, &peers, &control)?;
        let percent = shared.config.space_warning_percent;
        tokio::spawn(watch_space(Arc::clone(&shared), percent));
        let scheduling = tokio::spawn(take_scheduled(Arc::clone(&control)));
        go_on_with_copies(&control);
        go_on_with_renewals(&registry, &reactors);
        let looking = tokio::spawn(look_again(Arc::clone(&registry), reactors.clone()));
        if demo {
            control.prepare_demo().await?;
            demo::announce(&portals, &shared.config.admin_socket);
        }
        let backend = &shared.backend;
        tracing::info!(
            engine = backend.name,
            reason = %backend.reason,
            reactors = reactors.len(),
            milliseconds = begun.elapsed().as_millis(),
            "serving"
        );
        systemd::ready(&format!("serving on {}", join(&portals)));
        Ok(Self {
            shared,
            reactors,
            threads,
            stop,
            admin,
            looking,
            scheduling,
            peers,
            wbem,
            _state: state,
        })
    }

    /// Drains sessions, flushes volumes, ends threads.
    async fn stop(self) -> Result<(), DaemonError> {
        systemd::stopping();
        // Ends accepting, so that nobody comes in any more.
        self.stop.send_replace(true);
        if let Some(wbem) = &self.wbem {
            wbem.close();
        }
        self.shared.directory.shutdown();
        let deadline = Instant::now() + DRAIN_PATIENCE;
        while !self.shared.directory.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left = self
            .shared
            .directory
            .terminate_where("the daemon stops", |_| true);
        if left > 0 {
            // They have a moment to end, so that nothing is acknowledged after the last flush.
            let deadline = Instant::now() + END_PATIENCE;
            while !self.shared.directory.is_empty() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tracing::warn!(sessions = left, "sessions that did not log out are dropped");
        }
        // What it has begun goes on, and is waited for by the one who closes.
        self.scheduling.abort();
        let failures = self.shared.registry.flush_all().await;
        self.shared.registry.note_fences().await;
        // Up to here what hosts wrote and flushed may have had to get to a mirror's other end.
        if let Ok(peers) = &self.peers {
            peers.stop();
        }
        self.admin.close();
        // It holds on to the reactors.
        self.looking.abort();
        let _ = self.looking.await;
        drop(self.reactors);
        let patience = Instant::now() + Duration::from_secs(2);
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < patience {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        if failures.is_empty() {
            tracing::info!("stopped: all volumes are flushed");
            return Ok(());
        }
        Err(DaemonError::FlushFailed {
            volumes: failures.join("; "),
        })
    }
}

/// A file that was missing may come back: a disk mounted late, a file restored.
async fn look_again(registry: Arc<Registry>, reactors: Vec<ReactorHandle>) {
    let mut ticks = tokio::time::interval(LOOK_AGAIN);
    loop {
        ticks.tick().await;
        registry.note_fences().await;
        registry.reopen().await;
        go_on_with_renewals(&registry, &reactors);
    }
}

/// What copies need done beside what is asked for.
fn go_on_with_copies(control: &Arc<DaemonControl>) {
    tokio::spawn(fold_back(Arc::clone(control)));
    tokio::spawn(Arc::clone(control).hydrate());
    tokio::spawn(Arc::clone(control).tell_of_mirrors());
}

/// Volumes that share nothing any more become plain files again, one after the other.
async fn fold_back(control: Arc<DaemonControl>) {
    let mut ticks = tokio::time::interval(LOOK_AGAIN);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        control.fold_back().await;
    }
}

/// Snapshots of schedules are taken when they are due.
async fn take_scheduled(control: Arc<DaemonControl>) {
    let mut ticks = tokio::time::interval(LOOK_FOR_SNAPSHOTS);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        control.run_schedules().await;
    }
}

/// Thin volumes share what their file systems have left.
async fn watch_space(shared: Arc<Shared>, percent: u64) {
    let mut ticks = tokio::time::interval(WATCH_SPACE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for warning in shared.registry.note_space(percent).await {
            tracing::warn!(event = ?warning, "hosts were warned that space runs out");
            shared.events.tell(warning);
        }
    }
}

/// What an earlier daemon was sanitizing or formatting is gone on with, once its file is open.
fn go_on_with_renewals(registry: &Registry, reactors: &[ReactorHandle]) {
    let unfinished = registry.take_unfinished_renewals();
    for ((subject, renewal), reactor) in unfinished.into_iter().zip(reactors.iter().cycle()) {
        reactor.go_on(subject, renewal);
    }
}

fn choose_engine(choice: EngineChoice) -> Result<(EngineKind, Backend), DaemonError> {
    if choice == EngineChoice::Threads {
        let backend = Backend {
            name: "threads",
            reason: "asked for in the configuration".into(),
        };
        return Ok((EngineKind::ThreadPool, backend));
    }
    let probe = Engine::probe();
    match probe.kind {
        EngineKind::Uring => Ok((
            EngineKind::Uring,
            Backend {
                name: "io_uring",
                reason: probe.reason,
            },
        )),
        kind if choice == EngineChoice::Auto => {
            tracing::warn!(reason = %probe.reason, "io_uring can't be had: threads do the file I/O");
            Ok((
                kind,
                Backend {
                    name: "threads",
                    reason: probe.reason,
                },
            ))
        }
        _ => Err(DaemonError::NoIoUring {
            reason: probe.reason,
        }),
    }
}

type Reactors = (Vec<ReactorHandle>, Vec<JoinHandle<()>>);

fn start_reactors(
    shared: &Arc<Shared>,
    kind: EngineKind,
    pool: &Arc<BufferPool>,
    receive: usize,
) -> Result<Reactors, DaemonError> {
    let count = shared.config.reactors;
    let mut handles = Vec::with_capacity(count);
    let mut threads = Vec::with_capacity(count);
    for index in 0..count {
        let (handle, thread) = reactor::start(
            index,
            Arc::clone(shared),
            kind,
            Arc::clone(pool),
            receive / count,
        )
        .map_err(|source| DaemonError::Io {
            action: "start a reactor",
            source,
        })?;
        handles.push(handle);
        threads.push(thread);
    }
    Ok((handles, threads))
}

/// Who this daemon is to others. Hosts are served whatever comes of it: then it says why there are no peers.
fn start_peers(
    shared: &Arc<Shared>,
    state: &StateDir,
) -> Result<Result<Arc<Peers>, String>, DaemonError> {
    let config = &shared.config;
    let groups: BTreeSet<_> = config.portals.iter().map(|it| it.group.get()).collect();
    let settings = peers::Settings {
        name: config.peer_name.clone(),
        timeout: config.peer_timeout,
        portal_groups: groups.into_iter().collect(),
    };
    let book: Arc<dyn Book> = Arc::new(Arc::clone(&shared.registry));
    match Peers::start(state, book, settings, shared.events.clone()) {
        Ok(peers) => {
            shared.registry.set_peers(&peers);
            Ok(Ok(peers))
        }
        Err(peers::StartError::Thread(source)) => Err(DaemonError::Io {
            action: "start the thread for peers",
            source,
        }),
        Err(error) => {
            tracing::error!(%error, "this daemon can have no peers");
            Ok(Err(error.to_string()))
        }
    }
}

/// Opens what others than hosts come in by.
fn open_doors(
    shared: &Arc<Shared>,
    state: &StateDir,
    peers: &Result<Arc<Peers>, String>,
    control: &Arc<DaemonControl>,
) -> Result<Option<Door>, DaemonError> {
    serve_peers(shared, peers)?;
    open_wbem(shared, state, control)
}

/// Opens the WBEM server, if there is to be one.
fn open_wbem(
    shared: &Arc<Shared>,
    state: &StateDir,
    control: &Arc<DaemonControl>,
) -> Result<Option<Door>, DaemonError> {
    let Some(settings) = &shared.config.wbem else {
        return Ok(None);
    };
    let door = Door::open(settings, state, shared, control)?;
    tracing::info!(address = %door.address, "listening for WBEM");
    Ok(Some(door))
}

/// Opens the peer portal, if there is to be one.
fn serve_peers(shared: &Shared, peers: &Result<Arc<Peers>, String>) -> Result<(), DaemonError> {
    let (Ok(peers), Some(portal)) = (peers, shared.config.peer_portal) else {
        return Ok(());
    };
    let listener = portal::bind(portal, false).map_err(DaemonError::PeerPortal)?;
    let address = peers.serve(listener).map_err(|source| DaemonError::Io {
        action: "listen for peers",
        source,
    })?;
    tracing::info!(%address, "listening for peers");
    Ok(())
}

fn open_portals(
    shared: &Arc<Shared>,
    reactors: &[ReactorHandle],
    stopped: &watch::Receiver<bool>,
) -> Result<Vec<Portal>, DaemonError> {
    let mut opened = Vec::new();
    for portal in &shared.config.portals {
        let listener = portal::bind(portal.address, shared.config.portal_fallback)?;
        let listener =
            tokio::net::TcpListener::from_std(listener).map_err(|source| DaemonError::Io {
                action: "listen",
                source,
            })?;
        let address = listener.local_addr().map_err(|source| DaemonError::Io {
            action: "listen",
            source,
        })?;
        let group = portal.group;
        tracing::info!(%address, %group, "listening");
        opened.push(Portal { group, address });
        let reactors = reactors.to_vec();
        tokio::spawn(portal::accept(listener, group, reactors, stopped.clone()));
    }
    Ok(opened)
}

fn join(portals: &[SocketAddr]) -> String {
    portals
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
