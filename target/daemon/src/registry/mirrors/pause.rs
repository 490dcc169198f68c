//! Hosts' writes to several volumes, kept waiting for a moment so that all of them are seen at one instant. Knows nothing of
//! what is done meanwhile.

use std::sync::Arc;
use std::sync::mpsc;

use tidelock_replication::{Volume, VolumeError};

use crate::registry::changes::ChangeError;

/// No command that changes one of the volumes is under way, and none begins, until this is dropped. What was answered before
/// is at every end that it was promised to be at.
#[derive(Debug)]
pub(super) struct Pause {
    /// Whoever holds them waits for this to go.
    _until: mpsc::Sender<()>,
}

impl Pause {
    /// Waits for the commands under way.
    ///
    /// # Errors
    /// They don't end in time; then nobody waits for anything.
    pub(super) async fn begin(mut volumes: Vec<Arc<Volume>>) -> Result<Self, ChangeError> {
        // One order for everybody, or two pauses could wait for each other.
        volumes.sort_by_key(Arc::as_ptr);
        volumes.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let (tell, told) = tokio::sync::oneshot::channel();
        let (until, over) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || {
            let held: Result<Vec<_>, VolumeError> =
                volumes.iter().map(|volume| volume.hold()).collect();
            match held {
                Ok(held) => {
                    if tell.send(Ok(())).is_ok() {
                        // Nothing is ever sent: it ends when the other side is dropped.
                        let _ = over.recv();
                    }
                    drop(held);
                }
                Err(error) => {
                    // Whoever asked may have gone.
                    let _ = tell.send(Err(error));
                }
            }
        });
        let defect = || ChangeError::Defect("nobody keeps hosts waiting".into());
        told.await.map_err(|_| defect())??;
        Ok(Self { _until: until })
    }
}
