//! The peer portal: who connects, which conversation it wants, and whether it may. A stranger is refused while the
//! handshake is still under way, unless it asks to be a peer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidelock_catalog::Fingerprint;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;

use super::answering;
use super::house::House;
use super::identity::fingerprint;
use super::link;
use super::pairing;
use super::socket::{Socket, socket};
use super::tls::{MIRROR, PAIR};

/// How long accepting rests after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long and how much is still read of somebody who was refused, so that it gets to see why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;

/// Accepts connections for ever.
pub(super) async fn listen(house: Arc<House>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let house = Arc::clone(&house);
                tokio::spawn(async move { serve(&house, stream, from).await });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a peer's connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(house: &Arc<House>, stream: TcpStream, from: SocketAddr) {
    let stranger = house.presence.stranger();
    let greeted = tokio::select! {
        () = stranger.gone() => return,
        greeted = timeout(house.settings.timeout, greet(house, stream, from)) => greeted,
    };
    drop(stranger);
    let Ok(Some((stream, fingerprint, alpn))) = greeted else {
        tracing::debug!(%from, "a connection to the peer portal came to nothing");
        return;
    };
    let Some(present) = house.presence.peer(fingerprint) else {
        tracing::warn!(%from, %fingerprint, "a peer has too many connections");
        return;
    };
    // It may have been removed between its handshake and now.
    let Some(peer) = house.peer_with(fingerprint) else {
        return;
    };
    house.standings.seen(&peer.name, None);
    house.nudge(&peer.name);
    let conversation = async {
        if alpn == MIRROR {
            link::answer(house, &peer, stream).await;
        } else {
            answering::answer(house, stream, &peer).await;
        }
    };
    tokio::select! {
        () = present.gone() => {}
        () = conversation => {}
    }
}

type Greeted = (TlsStream<Socket>, Fingerprint, Vec<u8>);

/// The handshake; and all that there is to it for somebody who asks to be a peer.
async fn greet(house: &House, stream: TcpStream, from: SocketAddr) -> Option<Greeted> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), socket(stream))
        .await
        .ok()?;
    let asks = {
        let hello = start.client_hello();
        hello.alpn().is_some_and(|mut all| all.any(|it| it == PAIR))
    };
    if asks && !house.may_ask() {
        return None;
    }
    let config = if asks {
        &house.tls.pairing
    } else {
        &house.tls.trusted
    };
    let shaken = start.into_stream(Arc::clone(config)).into_fallible().await;
    let mut stream = match shaken {
        Ok(stream) => stream,
        Err((error, stream)) => {
            tracing::debug!(%from, %error, "a stranger at the peer portal");
            linger(stream).await;
            return None;
        }
    };
    let (_, connection) = stream.get_ref();
    let fingerprint = fingerprint(connection.peer_certificates()?.first()?);
    let alpn = connection.alpn_protocol()?.to_vec();
    if alpn == PAIR {
        if let Err(error) = pairing::answer(house, &mut stream, fingerprint, from).await {
            tracing::debug!(%from, %error, "a request to be a peer isn't one");
        }
        let _ = stream.shutdown().await;
        return None;
    }
    Some((stream, fingerprint, alpn))
}

/// Lets the alert arrive: a socket that is closed with something unread in it takes back what was sent.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let reading = async {
        stream.shutdown().await?;
        let mut left = vec![0; 4096];
        let mut total = 0;
        while total < LINGER_BYTES {
            match stream.read(&mut left).await? {
                0 => break,
                read => total += read,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // It is only for the other end's sake.
    let _ = timeout(LINGER, reading).await;
}
