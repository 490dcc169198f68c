//! Connections: so many at once, each with a handshake and requests in bounded time. Knows no CIM.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::http::{House, answer};
use crate::admin_server::stall::{Patience, StallGuard};

/// How long accepting rests after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
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
    loop {
        // Nobody is accepted while there is no room: clients wait in the socket's queue, and those inside are bounded
        // in time.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, from)) => {
                let (house, tls) = (Arc::clone(&house), tls.clone());
                connections.spawn(async move {
                    greet(stream, from, tls, house).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a WBEM connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.shutdown().await;
}

async fn greet(stream: TcpStream, from: SocketAddr, tls: Option<TlsAcceptor>, house: Arc<House>) {
    // An answer is waited for; a stream that can't be told so is slower, no more.
    let _ = stream.set_nodelay(true);
    let stream = StallGuard::new(stream, Patience::new(house.limits.write_timeout));
    let Some(tls) = tls else {
        return converse(stream, from, house).await;
    };
    match tokio::time::timeout(house.limits.header_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, from, house).await,
        Ok(Err(error)) => tracing::debug!(%from, %error, "a WBEM client and TLS"),
        Err(_) => tracing::debug!(%from, "a WBEM client took too long for TLS"),
    }
}

async fn converse<S>(stream: S, from: SocketAddr, house: Arc<House>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = house.limits;
    let service = service_fn(move |request| {
        let house = Arc::clone(&house);
        async move { Ok::<_, Infallible>(answer(&house, request, from).await) }
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
