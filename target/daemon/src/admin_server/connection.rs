//! One admin connection: who is it, and HTTP with limits in time and size. Knows no paths.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::admin_server::control::Control;
use crate::admin_server::peer::Administrators;
use crate::admin_server::router::{self, Peer};
use crate::admin_server::stall::{Patience, StallGuard};
use crate::admin_server::stopped;

/// What clients are given of time and memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait.
    pub connections: usize,
    /// How long a request's header may take, and how long a connection may be idle.
    pub header_timeout: Duration,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
    /// How long nothing may come of a snapshot's stream, or be taken of it.
    pub stream_timeout: Duration,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// How long requests that are running are given when the server stops.
    pub stop_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            stream_timeout: Duration::from_mins(10),
            body_bytes: 64 << 10,
            stop_patience: Duration::from_secs(2),
        }
    }
}

/// Bytes of a request's header, and of what is read ahead.
const HEADER_BYTES_MAX: usize = 32 << 10;

/// What all connections share.
pub(super) struct Server {
    administrators: Administrators,
    limits: Limits,
    router: Router,
    refusal: Router,
    stop: watch::Receiver<bool>,
}

impl Server {
    pub(super) fn new(
        control: Arc<dyn Control>,
        administrators: Administrators,
        limits: Limits,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let router = router::full(control, limits, stop.clone());
        Self {
            administrators,
            limits,
            router,
            refusal: router::refusal(),
            stop,
        }
    }

    /// Answers requests until the client hangs up, breaks a limit, or the server stops.
    pub(super) async fn converse(&self, stream: UnixStream) {
        let peer = match stream.peer_cred() {
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!(%error, "an admin connection doesn't say who it is");
                return;
            }
        };
        let router = if self.administrators.admit(&peer) {
            self.router.clone()
        } else {
            tracing::warn!(
                uid = peer.uid(),
                pid = peer.pid(),
                "not an administrator: refused"
            );
            self.refusal.clone()
        };
        let router = router.layer(axum::Extension(Peer {
            uid: peer.uid(),
            pid: peer.pid(),
        }));
        let patience = Patience::new(self.limits.write_timeout);
        let router = router.layer(axum::Extension(patience.clone()));
        let stream = StallGuard::new(stream, patience);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        let mut connection = std::pin::pin!(connection);
        let mut stop = self.stop.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(self.limits.stop_patience, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an admin connection broke");
        }
    }
}
