//! Keeps an eye on one peer: connects to it again and again, and asks now and then whether it is there.

use std::sync::Arc;
use std::time::Instant;

use tidelock_admin::v1::PeerState;
use tidelock_catalog::{Peer, PeerName};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::backoff::{Backoff, random};
use super::conversation::{PEER_MAX, receive, send};
use super::dial::{self, DialError};
use super::house::House;
use super::pairing;
use super::request::{PeerAnswer, PeerRequest};
use super::tls::PEER;

/// Goes on until it is aborted, or there is no such peer any more.
pub(super) async fn watch(house: Arc<House>, name: PeerName, nudge: Arc<Notify>) {
    let mut backoff = Backoff::default();
    loop {
        let Ok(peer) = house.book.catalog().peer(&name).cloned() else {
            return;
        };
        match converse(&house, &peer, &nudge, &mut backoff).await {
            // Something has changed: from the beginning, at once.
            Ok(()) => continue,
            Err(error @ DialError::NotAccepted { .. }) => {
                match pairing::ask(&house, &peer.address, Some(peer.fingerprint)).await {
                    // It has been accepted in between.
                    Ok(asked) if asked.answer.accepted => house.stands(
                        &name,
                        PeerState::Connecting,
                        "it has accepted this daemon just now",
                    ),
                    Ok(asked) => {
                        let detail = asked.answer.refused.unwrap_or_else(|| {
                            format!("{error}: it is asked to; `tidelock peer accept` there does it")
                        });
                        house.stands(&name, PeerState::WaitsForAcceptance, &detail);
                    }
                    Err(asking) => {
                        let detail = format!("{error}, and can't be asked to: {asking}");
                        house.stands(&name, PeerState::WaitsForAcceptance, &detail);
                    }
                }
            }
            Err(error) => house.stands(&name, PeerState::Unreachable, &error.to_string()),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next(random())) => {}
            () = nudge.notified() => {}
        }
    }
}

/// What a peer that is connected still lacks.
fn note_on(common: &[u16]) -> String {
    if common.is_empty() {
        return String::new();
    }
    let tags: Vec<_> = common.iter().map(ToString::to_string).collect();
    format!(
        "both daemons have portal group {}: for LUNs with paths to both start one with --portal 2=ADDRESS:PORT",
        tags.join(", ")
    )
}

/// Asks again and again; ends when it is nudged and the peer isn't where it was, or when there is no answer.
async fn converse(
    house: &House,
    peer: &Peer,
    nudge: &Notify,
    backoff: &mut Backoff,
) -> Result<(), DialError> {
    let address = &peer.address;
    let mut stream = dial::dial(&house.tls, address, Some(peer.fingerprint), PEER)
        .await?
        .stream;
    let patience = house.settings.timeout;
    loop {
        let begun = Instant::now();
        let asking = async {
            let request = PeerRequest::Greet(house.greeting());
            send(&mut stream, &request, PEER_MAX).await?;
            receive(&mut stream, PEER_MAX).await
        };
        let answer = timeout(patience, asking)
            .await
            .map_err(|_| {
                dial::broken(
                    address,
                    format!("no answer within {} s", patience.as_secs()),
                )
            })?
            .map_err(|error| dial::went_wrong(address, error))?;
        let round_trip = begun.elapsed();
        let greeting = match answer {
            PeerAnswer::Greeting(greeting) => greeting.tamed(),
            PeerAnswer::Refused { reason } => return Err(dial::broken(address, reason)),
            PeerAnswer::Mirrors { .. } => {
                return Err(dial::broken(address, "it answers what wasn't asked"));
            }
        };
        if greeting.node != peer.node {
            let reason = format!(
                "it has the identity {}, and {} was expected: does it run with a state folder that was made anew \
                 around the old key?",
                greeting.node, peer.node
            );
            return Err(dial::broken(address, reason));
        }
        backoff.reset();
        let common = house.common_groups(&greeting);
        house.standings.seen(&peer.name, Some(greeting));
        house.stands(&peer.name, PeerState::Connected, &note_on(&common));
        house.standings.timed(&peer.name, round_trip);
        tokio::select! {
            () = tokio::time::sleep(patience / 3) => {}
            () = nudge.notified() => {
                let now = house.book.catalog();
                if now.peer(&peer.name).ok() != Some(peer) {
                    return Ok(());
                }
            }
        }
    }
}
