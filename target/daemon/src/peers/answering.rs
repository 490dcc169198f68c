//! Answers what a peer asks, one request after the other. Knows nothing of what mirrors ask each other.

use std::sync::Arc;

use tidelock_catalog::Peer;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::conversation::{PEER_MAX, receive_bytes, send};
use super::house::House;
use super::request::{PeerAnswer, PeerRequest, tame};
use super::socket::Socket;

/// Until the peer hangs up, says nothing for long, or breaks the rules.
pub(super) async fn answer(house: &Arc<House>, mut stream: TlsStream<Socket>, peer: &Peer) {
    // Three times what a peer that keeps an eye on us lets pass.
    let idle = house.settings.timeout * 3;
    loop {
        let bytes = match timeout(idle, receive_bytes(&mut stream, PEER_MAX)).await {
            Err(_) | Ok(Ok(None)) => return,
            Ok(Err(error)) => {
                tracing::debug!(peer = %peer.name, %error, "a peer's connection broke off");
                return;
            }
            Ok(Ok(Some(bytes))) => bytes,
        };
        let answer = match serde_json::from_slice(&bytes) {
            Ok(request) => reply(house, peer, request).await,
            Err(error) => PeerAnswer::Refused {
                reason: format!(
                    "tidelockd {} doesn't understand what is asked ({}): update the older of the two daemons",
                    env!("CARGO_PKG_VERSION"),
                    tame(&error.to_string(), 200),
                ),
            },
        };
        let sent = timeout(idle, send(&mut stream, &answer, PEER_MAX)).await;
        if !matches!(sent, Ok(Ok(()))) {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

async fn reply(house: &Arc<House>, peer: &Peer, request: PeerRequest) -> PeerAnswer {
    match request {
        PeerRequest::Greet(greeting) => {
            if greeting.node == peer.node {
                house.standings.seen(&peer.name, Some(greeting.tamed()));
            }
            PeerAnswer::Greeting(house.greeting())
        }
        PeerRequest::Mirrors { body } => {
            let Some(ends) = house.ends.get().cloned() else {
                return PeerAnswer::Refused {
                    reason: "this daemon has no mirrors".into(),
                };
            };
            let peer = peer.clone();
            // What it does may take long, and isn't about connections.
            let doing = house
                .elsewhere
                .spawn(async move { ends.asked(&peer, body).await });
            match doing.await {
                Ok(Ok(body)) => PeerAnswer::Mirrors { body },
                Ok(Err(reason)) => PeerAnswer::Refused { reason },
                Err(_) => PeerAnswer::Refused {
                    reason: "the daemon failed by a defect while it did this".into(),
                },
            }
        }
    }
}
