//! The admin server: HTTP and JSON over a Unix socket, for root and the daemon's own user. Turns
//! requests into catalog commands and what is there into answers; what either means is behind
//! [`Control`].
//!
//! Slow, greedy and foreign clients are bounded: see [`Limits`]. A change that was begun is ended
//! even if the client that asked for it hangs up.

mod body;
mod capabilities;
mod clones;
mod connection;
mod control;
mod failure;
mod handlers;
mod jobs;
mod mirrors;
mod parameters;
mod parse;
mod peer;
mod peers;
mod router;
mod snapshots;
pub(crate) mod stall;
mod streams;
mod view;

use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub use capabilities::CapabilityControl;
pub use clones::CloneControl;
pub use connection::Limits;
pub use control::{
    Control, ControlError, FileFault, Outcome, VolumeFacts, VolumeRequest, VolumeSource,
};
pub use jobs::JobControl;
pub use mirrors::MirrorControl;
pub use peer::Administrators;
pub use peers::PeerControl;
pub use snapshots::SnapshotControl;
pub use streams::{Outgoing, StreamControl};
pub use view::event_of;

/// How long accepting rests after an error such as too many open files.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Serves root and the daemon's own user until `stop` turns true or its sender is gone.
///
/// The socket's mode is the caller's to set (0600); who connects is checked here all the same.
pub async fn serve(listener: UnixListener, control: Arc<dyn Control>, stop: watch::Receiver<bool>) {
    let administrators = Administrators::of_this_process();
    serve_with(listener, control, administrators, Limits::default(), stop).await;
}

/// [`serve`] for other users or with other limits.
pub async fn serve_with(
    listener: UnixListener,
    control: Arc<dyn Control>,
    administrators: Administrators,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let server = Arc::new(connection::Server::new(
        control,
        administrators,
        limits,
        stop.clone(),
    ));
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        // Nobody is accepted while there is no room: clients wait in the socket's queue, and those
        // inside are bounded in time.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let server = Arc::clone(&server);
                connections.spawn(async move {
                    server.converse(stream).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an admin connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Ready when the daemon stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone has nobody left to stop for.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests;
