//! Sending a snapshot, or what differs between two, as a stream.

use std::sync::Arc;

use tidelock_catalog::{self as catalog, DatasetId, Snapshot, SnapshotName, SnapshotRef};
use tidelock_replication::stream::{Header, Token};
use tidelock_replication::{Export, ExportOptions};
use uuid::Uuid;

use super::Registry;
use super::changes::{ChangeError, run_blocking};
use super::families::OpenFamily;
use super::receiving::ReceiveError;

impl Registry {
    /// A snapshot as a stream; `since`: only what differs from that one, which the receiver has.
    ///
    /// # Errors
    /// There is no such snapshot, or it can't be read.
    pub async fn send(
        &self,
        called: &SnapshotRef,
        since: Option<&SnapshotName>,
    ) -> Result<Export, ChangeError> {
        let member = self.member(&called.volume)?;
        let snapshot = member.find(&called.snapshot)?;
        let since = since.map(|name| member.find(name)).transpose()?;
        let block_bytes = member.record.block_size.bytes();
        export(member.open, snapshot, since, block_bytes, 0).await
    }

    /// The rest of a stream that was cut short.
    ///
    /// # Errors
    /// The snapshots of the token aren't here, or can't be read.
    pub async fn send_rest(&self, token: &Token) -> Result<Export, ChangeError> {
        let [to, since] =
            [Some(token.to), token.since].map(|id| id.map(|id| DatasetId(Uuid::from_bytes(id))));
        let catalog = self.catalog();
        let found = catalog.volumes().find_map(|volume| {
            let open = self.open_of(volume)?;
            let found = open.look(|list| {
                let snapshot = list.of_stream(volume.id, to?)?.clone();
                let since = match since {
                    Some(since) => Some(list.of_stream(volume.id, since)?.clone()),
                    None => None,
                };
                Some((snapshot, since))
            });
            let (snapshot, since) = found.ok()??;
            Some((open, snapshot, since, volume.block_size.bytes()))
        });
        let found = found.ok_or(ReceiveError::UnknownToken)?;
        let (open, snapshot, since, block_bytes) = found;
        if token.from > snapshot.size_bytes {
            return Err(ReceiveError::UnknownToken.into());
        }
        export(open, snapshot, since, block_bytes, token.from).await
    }

    fn open_of(&self, volume: &catalog::Volume) -> Option<Arc<OpenFamily>> {
        let catalog::Backing::Head(place) = volume.backing else {
            return None;
        };
        self.families.get(place.family)?.open_family().ok()
    }
}

async fn export(
    open: Arc<OpenFamily>,
    snapshot: Snapshot,
    since: Option<Snapshot>,
    block_bytes: u32,
    from: u64,
) -> Result<Export, ChangeError> {
    let header = Header {
        to: *snapshot.stream_id().0.as_bytes(),
        since: since.as_ref().map(|since| *since.stream_id().0.as_bytes()),
        size: snapshot.size_bytes,
        from,
        at_unix_ms: snapshot.at_unix_ms,
        block_bytes,
        quiesced: snapshot.quiesced,
        name: snapshot.name.to_string(),
    };
    let options = ExportOptions {
        snapshot: *snapshot.id.0.as_bytes(),
        since: since.map(|since| *since.id.0.as_bytes()),
        header,
    };
    Ok(run_blocking(move || open.engine.export(options)).await??)
}
