//! Connections: so many at once, each with a handshake and requests in bounded time. Knows no CIM.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::http::{House, answer};
use crate::admin_server::stall::{Patience, StallGuard};

/// How long accepting rests after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is said that there is no room.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// Bytes of a request's header, and of what is read ahead.
const HEADER_BYTES_MAX: usize = 32 << 10;

/// Accepts connections until `stop` turns true; then all of them end.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    house: Arc<House>,
    mut stop: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the WBEM server can't use its socket");
            return;
        }
    };
    let tls = tls.map(TlsAcceptor::from);
    let room = Arc::new(Semaphore::new(house.limits.connections));
    let mut connections = JoinSet::new();
    let mut guests = Guests::default();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a WBEM connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if room.available_permits() == 0 {
            guests.make_room();
        }
        // If all of those inside have proved who they are, others wait: those are bounded in time.
        let permit = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            permit = Arc::clone(&room).acquire_owned() => permit,
        };
        let Ok(permit) = permit else {
            break;
        };
        let (house, tls, known) = (Arc::clone(&house), tls.clone(), Known::default());
        let proved = known.clone();
        let handle = connections.spawn(async move {
            greet(stream, from, tls, house, proved).await;
            drop(permit);
        });
        guests.enter(known, handle);
    }
    connections.shutdown().await;
}

/// Whether who is at the other end of a connection has proved who that is.
pub(super) type Known = Arc<AtomicBool>;

/// Who is inside, in the order of arrival.
#[derive(Default)]
struct Guests {
    all: VecDeque<(Known, AbortHandle)>,
    told: Option<Instant>,
}

impl Guests {
    fn enter(&mut self, known: Known, handle: AbortHandle) {
        self.all.retain(|(_, handle)| !handle.is_finished());
        self.all.push_back((known, handle));
    }

    /// Ends the connection that has been there longest without proving anything: whoever only sits there keeps nobody out.
    fn make_room(&mut self) {
        self.all.retain(|(_, handle)| !handle.is_finished());
        let mut all = self.all.iter();
        let Some(oldest) = all.position(|(known, _)| !known.load(Ordering::Relaxed)) else {
            return;
        };
        if let Some((_, handle)) = self.all.remove(oldest) {
            handle.abort();
        }
        if self.told.is_none_or(|at| at.elapsed() > TELL_AGAIN) {
            self.told = Some(Instant::now());
            tracing::warn!(
                "as many WBEM connections are open as there may be: those that have given no password are ended, \
                 the oldest first"
            );
        }
    }
}

async fn greet(
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<TlsAcceptor>,
    house: Arc<House>,
    known: Known,
) {
    // An answer is waited for; a stream that can't be told so is slower, no more.
    let _ = stream.set_nodelay(true);
    let stream = StallGuard::new(stream, Patience::new(house.limits.write_timeout));
    let Some(tls) = tls else {
        return converse(stream, from, house, known).await;
    };
    match tokio::time::timeout(house.limits.header_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, from, house, known).await,
        Ok(Err(error)) => tracing::debug!(%from, %error, "a WBEM client and TLS"),
        Err(_) => tracing::debug!(%from, "a WBEM client took too long for TLS"),
    }
}

async fn converse<S>(stream: S, from: SocketAddr, house: Arc<House>, known: Known)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = house.limits;
    let service = service_fn(move |request| {
        let (house, known) = (Arc::clone(&house), Arc::clone(&known));
        async move { Ok::<_, Infallible>(answer(&house, request, from, &known).await) }
    });
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%from, %error, "a WBEM connection broke");
    }
}
