//! The daemon's streams as the admin server sees them.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream::{StreamExt as _, unfold};
use tidelock_admin::v1;
use tidelock_catalog::{SnapshotName, SnapshotRef, VolumeName};
use tidelock_replication::stream::Token;
use tidelock_replication::{Export, VolumeError};
use tokio::sync::mpsc;

use super::snapshots::now;
use super::{DaemonControl, Outcome};
use crate::admin_server::{ControlError, Outgoing, StreamControl};
use crate::registry::ReceiveRequest;

impl StreamControl for DaemonControl {
    fn send(&self, snapshot: SnapshotRef, since: Option<SnapshotName>) -> Outcome<'_, Outgoing> {
        async move {
            let export = self.shared.registry.send(&snapshot, since.as_ref());
            Ok(pieces(export.await?))
        }
        .boxed()
    }

    fn send_rest(&self, token: Token) -> Outcome<'_, Outgoing> {
        async move { Ok(pieces(self.shared.registry.send_rest(&token).await?)) }.boxed()
    }

    fn receive(
        &self,
        request: ReceiveRequest,
        pieces: mpsc::Receiver<Bytes>,
    ) -> Outcome<'_, v1::Received> {
        async move {
            let at_unix_ms = now();
            let request = ReceiveRequest {
                at_unix_ms,
                ..request
            };
            let (changes, received) = self.shared.registry.receive(request, pieces).await;
            self.tell(&changes);
            let received = received?;
            Ok(v1::Received {
                volume: received.snapshot.volume.to_string(),
                snapshot: received.snapshot.snapshot.to_string(),
                safety: received.safety.map(|name| name.to_string()),
                size_bytes: received.size_bytes,
            })
        }
        .boxed()
    }

    fn receive_status(&self, volume: &VolumeName) -> Result<v1::ReceiveStatus, ControlError> {
        Ok(self.shared.registry.receive_status(volume)?)
    }

    fn abort_receive(&self, volume: VolumeName) -> Outcome<'_, ()> {
        async move {
            let changes = self.shared.registry.abort_receive(volume).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }
}

/// One piece is read when the one before it is on its way: a reader that rests holds up nothing but its own
/// stream.
fn pieces(export: Export) -> Outgoing {
    let next = |export: Option<Export>| async move {
        let mut export = export?;
        let read = tokio::task::spawn_blocking(move || (export.next(), export));
        match read.await {
            Ok((Ok(Some(bytes)), export)) => Some((Ok(bytes), Some(export))),
            Ok((Ok(None), _)) => None,
            Ok((Err(error), _)) => {
                tracing::error!(%error, "a snapshot can't be sent to its end");
                Some((Err(error), None))
            }
            Err(error) => {
                let what = error.to_string();
                let folder = std::path::PathBuf::new();
                Some((Err(VolumeError::Family { folder, what }), None))
            }
        }
    };
    unfold(Some(export), next).boxed()
}
