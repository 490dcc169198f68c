//! Receiving a snapshot, or what differs between two, from a stream. Everything goes into a head that nobody
//! sees, and the volume is what has come at once when all of it has. What has come of a stream that was cut
//! short stays, over a restart too, until the rest comes or somebody gives it up.

mod begin;
mod error;
mod finish;
mod pieces;
mod record;

use std::sync::Arc;

use bytes::Bytes;
use tidelock_admin::v1;
use tidelock_catalog::{
    self as catalog, Change, DatasetId, SnapshotName, SnapshotRef, VolumeId, VolumeName,
};
use tidelock_replication::stream::{Decoder, Event, Header};
use tokio::sync::mpsc;

use super::changes::{ChangeError, run_blocking};
use super::families::OpenFamily;
use super::removal::delete_datasets;
use super::{Registry, Writer};

use begin::differ;
pub use error::ReceiveError;
pub(super) use record::Receives;
use record::{Record, Turn};

/// What is to be done with a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveRequest {
    /// Whose content it is to be; made if it isn't there.
    pub volume: VolumeName,
    /// What the snapshot is to be called; `None`: as in the stream.
    pub name: Option<SnapshotName>,
    /// Also if the volume is in use or has changed: what is there is kept as a snapshot.
    pub force: bool,
    /// What time it is, in milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: u64,
}

/// What has come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The snapshot, which the volume is now.
    pub snapshot: SnapshotRef,
    /// The snapshot of what was there before, if that was something else.
    pub safety: Option<SnapshotName>,
    /// Bytes of the volume.
    pub size_bytes: u64,
}

/// A stream that is coming, and where it goes.
struct Coming {
    turn: Turn,
    record: Record,
    open: Arc<OpenFamily>,
}

impl Registry {
    /// Receives the stream that comes in these pieces. What was changed on the way is told even if the rest
    /// fails. Ends early if the other end of `pieces` is dropped; what has come by then stays.
    pub async fn receive(
        self: &Arc<Self>,
        request: ReceiveRequest,
        pieces: mpsc::Receiver<Bytes>,
    ) -> (Vec<Change>, Result<Received, ChangeError>) {
        let this = Arc::clone(self);
        // Nobody who goes away ends it between two steps.
        let task = tokio::spawn(async move {
            let mut changes = Vec::new();
            let received = this.receive_now(&request, pieces, &mut changes).await;
            (changes, received)
        });
        let defect = |error: tokio::task::JoinError| ChangeError::Defect(error.to_string());
        task.await
            .unwrap_or_else(|error| (Vec::new(), Err(defect(error))))
    }

    async fn receive_now(
        &self,
        request: &ReceiveRequest,
        mut pieces: mpsc::Receiver<Bytes>,
        changes: &mut Vec<Change>,
    ) -> Result<Received, ChangeError> {
        let mut decoder = Decoder::default();
        let header = header(&mut decoder, &mut pieces).await?;
        let coming = self.begin_receive(request, &header, changes).await?;
        let come = run_blocking(move || pieces::take_in(coming, decoder, pieces)).await??;
        self.finish_receive(come, request.force, changes).await
    }

    /// How far a stream has come that isn't complete.
    ///
    /// # Errors
    /// There is no such volume, or nothing has been left half-way.
    pub fn receive_status(&self, name: &VolumeName) -> Result<v1::ReceiveStatus, ChangeError> {
        let volume = self.catalog().volume(name)?.id;
        let pending = self.receives.get(volume);
        let (record, active) = pending.ok_or_else(|| ReceiveError::NothingPending {
            volume: name.clone(),
        })?;
        Ok(v1::ReceiveStatus {
            volume: name.to_string(),
            snapshot: record.name.clone(),
            stream_id: record.to.to_string(),
            since_stream_id: record.since.map(|since| since.to_string()),
            position_bytes: record.position,
            size_bytes: record.size_bytes,
            active,
            token: record.token().to_string(),
        })
    }

    /// Drops what has come of a stream; and the volume with it, if it was made for that, is nobody's and has nothing
    /// else in it.
    ///
    /// # Errors
    /// There is no such volume, nothing has been left half-way, or more is coming right now.
    pub async fn abort_receive(
        self: &Arc<Self>,
        name: VolumeName,
    ) -> Result<Vec<Change>, ChangeError> {
        let volume = name.clone();
        let aborting = self.detached(async move |this| {
            let writer = this.writer.lock().await;
            let id = this.catalog().volume(&name)?.id;
            let pending = this.receives.get(id);
            let nothing = || ReceiveError::NothingPending {
                volume: name.clone(),
            };
            let (record, _) = pending.ok_or_else(nothing)?;
            let busy = || ReceiveError::Busy {
                volume: name.clone(),
            };
            let turn = this.receives.take_turn(&record).ok_or_else(busy)?;
            let mut is_as_made = true;
            if let Ok(member) = this.member(&name) {
                let (kept, open, head) = (record.clone(), member.open, member.head);
                is_as_made = run_blocking(move || {
                    let base = DatasetId(kept.base);
                    let has_base = open.datasets().contains_key(&base);
                    let is_as_made = !has_base || !differ(&open, base, head).unwrap_or(true);
                    delete_those_there(&open, &kept.datasets());
                    is_as_made
                })
                .await?;
            }
            run_blocking(move || turn.forget()).await??;
            drop(writer);
            // What hosts have written to it is somebody's.
            if !record.created || !is_as_made {
                return Ok(Vec::new());
            }
            // Whoever uses it by now wants to keep it.
            Ok(this.delete_volume(name, false).await.unwrap_or_default())
        });
        let changes = aborting.await?;
        tracing::info!(%volume, "what had come of a stream is dropped");
        Ok(changes)
    }

    /// Forgets what has come for volumes that aren't there any more.
    pub(super) async fn forget_received_of_nobody(&self, catalog: &catalog::Catalog) {
        let records = self.receives.records().into_iter();
        let ids = records.map(|record| VolumeId(record.volume));
        let is_gone = |id: &VolumeId| catalog.volumes().all(|volume| volume.id != *id);
        let gone: Vec<_> = ids.filter(is_gone).collect();
        let receives = Arc::clone(&self.receives);
        let forgotten =
            run_blocking(move || gone.into_iter().try_for_each(|id| receives.forget(id)));
        if let Err(error) = forgotten.await.and_then(|done| Ok(done?)) {
            tracing::warn!(%error, "the record of a receive stays behind");
        }
    }

    /// A volume isn't deleted under what comes for it.
    pub(super) fn check_not_receiving(&self, volume: &catalog::Volume) -> Result<(), ChangeError> {
        match self.receives.is_active(volume.id) {
            true => Err(ReceiveError::Busy {
                volume: volume.name.clone(),
            }
            .into()),
            false => Ok(()),
        }
    }

    /// The targets that show a volume so that initiators may write to it, if any are logged in there.
    fn check_no_writers(&self, name: &VolumeName, force: bool) -> Result<(), ReceiveError> {
        let catalog = self.catalog();
        let sessions = self.directory.list();
        let shown = catalog.mappings(name).filter(|(_, lun)| !lun.read_only);
        let at = shown.filter_map(|(target, _)| {
            let target = target.name.to_string();
            let of_it = sessions
                .iter()
                .filter(|session| session.key.target.as_deref() == Some(&target));
            let count = of_it.count();
            (count > 0).then(|| format!("{target} has {count} session(s)"))
        });
        let at: Vec<_> = at.collect();
        if force || at.is_empty() {
            return Ok(());
        }
        Err(ReceiveError::InUse {
            volume: name.clone(),
            at,
        })
    }
}

async fn header(
    decoder: &mut Decoder,
    pieces: &mut mpsc::Receiver<Bytes>,
) -> Result<Header, ReceiveError> {
    loop {
        // There is nothing before the beginning.
        if let Some(Event::Begin(header)) = decoder.next()? {
            return Ok(header);
        }
        match pieces.recv().await {
            Some(piece) => decoder.feed(&piece),
            None => return Err(ReceiveError::CutShort { position: 0 }),
        }
    }
}

#[cfg(test)]
impl Registry {
    /// Everything comes, and then the daemon ends: the head into which it came, the snapshot that will be
    /// told of, and that of what was there before.
    pub(super) async fn receive_all_but_the_end(
        &self,
        request: &ReceiveRequest,
        bytes: &[u8],
    ) -> [DatasetId; 3] {
        let mut decoder = Decoder::default();
        decoder.feed(bytes);
        let (sender, mut pieces) = mpsc::channel(1);
        drop(sender);
        let header = header(&mut decoder, &mut pieces).await.unwrap();
        let mut changes = Vec::new();
        let coming = self.begin_receive(request, &header, &mut changes);
        let coming = coming.await.unwrap();
        let come = run_blocking(move || pieces::take_in(coming, decoder, pieces));
        let Record {
            staging,
            snapshot,
            safety,
            ..
        } = come.await.unwrap().unwrap().record;
        [staging, snapshot, safety].map(DatasetId)
    }
}

/// Deletes those datasets that there are. Blocks.
fn delete_those_there(open: &OpenFamily, all: &[DatasetId]) {
    let there = open.datasets();
    let those: Vec<_> = all
        .iter()
        .copied()
        .filter(|id| there.contains_key(id))
        .collect();
    delete_datasets(open, &those);
}
