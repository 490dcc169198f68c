//! Links that this side makes: again and again, with waits between that become longer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_catalog::{Peer, PeerName};
use tidelock_mirror::id::MirrorId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::frames::LinkError;
use super::introduce::{Whom, accept, call};
use super::queue::Queue;
use super::{Met, run};
use crate::peers::backoff::{Backoff, random};
use crate::peers::dial;
use crate::peers::house::House;
use crate::peers::tls::MIRROR;

/// Goes on until it is aborted, or there is no such peer any more.
pub(in crate::peers) async fn keep(
    house: Arc<House>,
    peer: PeerName,
    mirror: MirrorId,
    nudge: Arc<Notify>,
) {
    let mut backoff = Backoff::default();
    let mut told = String::new();
    loop {
        let Ok(record) = house.book.catalog().peer(&peer).cloned() else {
            return;
        };
        match once(&house, &record, mirror).await {
            // It was a link for a while: one may be had again at once.
            Ok((lasted, was_fine)) => {
                if was_fine || lasted >= house.settings.timeout {
                    backoff.reset();
                }
                told.clear();
            }
            Err(why) if why != told => {
                tracing::warn!(%peer, %mirror, reason = %why, "no link of the mirror");
                told = why;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next(random())) => {}
            () = nudge.notified() => {}
        }
    }
}

/// One link to its end, how long it was one, and whether it was of use; an error says why there was none.
async fn once(
    house: &Arc<House>,
    peer: &Peer,
    mirror: MirrorId,
) -> Result<(Duration, bool), String> {
    let end = house.ends.get().and_then(|ends| ends.end(mirror));
    let end = end.ok_or("the mirror isn't open here")?;
    let dialling = dial::dial(&house.tls, &peer.address, Some(peer.fingerprint), MIRROR);
    let stream = dialling.await.map_err(|error| error.to_string())?.stream;
    let present = house.presence.peer(peer.fingerprint);
    let present = present.ok_or("there are too many connections with this peer")?;
    tokio::select! {
        () = present.gone() => Err("the peer was removed".into()),
        done = async {
            let met = call(&whom(house, peer), stream, mirror, Arc::clone(&end)).await;
            let met = met.map_err(|error| error.to_string())?;
            let begun = Instant::now();
            talk(house, peer, mirror, met).await;
            Ok((begun.elapsed(), end.was_fine()))
        } => done,
    }
}

/// A link that a peer has made, to its end.
pub(in crate::peers) async fn answer<S>(house: &Arc<House>, peer: &Peer, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match accept(&whom(house, peer), stream, house.ends.get()).await {
        Ok((mirror, met)) => talk(house, peer, mirror, met).await,
        Err(error @ (LinkError::Io(_) | LinkError::Ended)) => {
            tracing::debug!(peer = %peer.name, %error, "a link came to nothing");
        }
        Err(error) => tracing::warn!(peer = %peer.name, reason = %error, "no link of a mirror"),
    }
}

fn whom<'a>(house: &'a House, peer: &'a Peer) -> Whom<'a> {
    Whom {
        peer: &peer.name,
        me: house.settings.name.as_str(),
        patience: house.settings.timeout,
    }
}

async fn talk<S>(house: &House, peer: &Peer, mirror: MirrorId, met: Met<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let queue = Arc::new(Queue::default());
    let Some(seated) = house.seats.take((mirror, met.peer), &queue).await else {
        return;
    };
    tracing::info!(peer = %peer.name, %mirror, "the ends of the mirror are linked");
    let over = run(met, &queue, house.settings.timeout).await;
    drop(seated);
    tracing::info!(peer = %peer.name, %mirror, reason = %over.why, "the link of the mirror ends");
    over.close().await;
}
