//! What the admin server asks of the daemon about snapshots that come and go as streams.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use tidelock_admin::v1;
use tidelock_catalog::{SnapshotName, SnapshotRef, VolumeName};
use tidelock_replication::VolumeError;
use tidelock_replication::stream::Token;
use tokio::sync::mpsc;

use crate::admin_server::control::{ControlError, Outcome};
use crate::registry::ReceiveRequest;

/// A stream, piece by piece. After an error nothing comes.
pub type Outgoing = BoxStream<'static, Result<Bytes, VolumeError>>;

/// The daemon's streams as the admin server sees them. What holds of [`Control`] holds here.
///
/// [`Control`]: crate::admin_server::Control
pub trait StreamControl: Send + Sync + 'static {
    /// A snapshot, or what differs in it from an older one.
    fn send(&self, snapshot: SnapshotRef, since: Option<SnapshotName>) -> Outcome<'_, Outgoing>;

    /// The rest of a stream that was cut short.
    fn send_rest(&self, token: Token) -> Outcome<'_, Outgoing>;

    /// Takes the stream that comes in these pieces; what time it is in the request doesn't count.
    fn receive(
        &self,
        request: ReceiveRequest,
        pieces: mpsc::Receiver<Bytes>,
    ) -> Outcome<'_, v1::Received>;

    /// How far a stream has come that isn't complete.
    ///
    /// # Errors
    /// There is none.
    fn receive_status(&self, volume: &VolumeName) -> Result<v1::ReceiveStatus, ControlError>;

    /// Drops what has come of one.
    fn abort_receive(&self, volume: VolumeName) -> Outcome<'_, ()>;
}
