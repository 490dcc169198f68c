//! Streams that carry a few bytes, and come from nowhere.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::ready;
use futures_util::stream::{StreamExt, iter};
use tidelock_admin::v1;
use tidelock_catalog::{CatalogError, SnapshotName, SnapshotRef, VolumeName};
use tidelock_replication::stream::Token;
use tokio::sync::mpsc;

use super::Fake;
use crate::admin_server::{ControlError, Outcome, Outgoing, StreamControl};
use crate::registry::{ReceiveError, ReceiveRequest};

/// A volume of this name takes nothing but the first piece.
pub(in crate::admin_server::tests) const PICKY: &str = "picky";

fn three() -> Outgoing {
    iter(["a", "bc", "d"].map(|piece| Ok(Bytes::from(piece)))).boxed()
}

impl StreamControl for Fake {
    fn send(&self, snapshot: SnapshotRef, _since: Option<SnapshotName>) -> Outcome<'_, Outgoing> {
        ready(self.find(&snapshot).map(|_| three())).boxed()
    }

    fn send_rest(&self, _token: Token) -> Outcome<'_, Outgoing> {
        ready(Ok(three())).boxed()
    }

    fn receive(
        &self,
        request: ReceiveRequest,
        mut pieces: mpsc::Receiver<Bytes>,
    ) -> Outcome<'_, v1::Received> {
        async move {
            let mut size_bytes = 0;
            while let Some(piece) = pieces.recv().await {
                size_bytes += piece.len() as u64;
                if request.volume.as_str() == PICKY {
                    let volume = request.volume;
                    return Err(ReceiveError::Busy { volume }.into());
                }
            }
            if size_bytes == 0 {
                return Err(ReceiveError::CutShort { position: 0 }.into());
            }
            Ok(v1::Received {
                volume: request.volume.to_string(),
                snapshot: request
                    .name
                    .map_or_else(String::new, |name| name.to_string()),
                safety: request.force.then(|| "kept".into()),
                size_bytes,
            })
        }
        .boxed()
    }

    fn receive_status(&self, volume: &VolumeName) -> Result<v1::ReceiveStatus, ControlError> {
        Err(CatalogError::NoSuchVolume {
            volume: volume.clone(),
        }
        .into())
    }

    fn abort_receive(&self, volume: VolumeName) -> Outcome<'_, ()> {
        ready(Err(ReceiveError::NothingPending { volume }.into())).boxed()
    }
}
