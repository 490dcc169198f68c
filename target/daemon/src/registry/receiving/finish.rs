//! When all has come: the volume is what has come, and told of. Each step is found done after a crash, and
//! what is left is done by the next start.

use std::sync::Arc;

use tidelock_catalog::snapshots::Cause;
use tidelock_catalog::{
    self as catalog, Change, DatasetId, ListChange, Snapshot, SnapshotName, VolumeId,
};
use tidelock_replication::Family;
use tidelock_scsi::UnitAttention;

use super::begin::differ;
use super::{Coming, ReceiveError, Received, Record, Registry, delete_those_there};
use crate::registry::changes::{ChangeError, run_blocking};
use crate::registry::families::OpenFamily;
use crate::registry::snapshots::safety_name;

const BLOCK_BYTES: u64 = 4_096;

impl Registry {
    pub(super) async fn finish_receive(
        &self,
        coming: Coming,
        force: bool,
        changes: &mut Vec<Change>,
    ) -> Result<Received, ChangeError> {
        let Coming { turn, record, open } = coming;
        let _writer = self.writer.lock().await;
        let catalog = self.catalog();
        let volume = catalog
            .volumes()
            .find(|volume| volume.id == VolumeId(record.volume));
        let defect = || ChangeError::Defect("a volume that is received went away".into());
        let volume = volume.ok_or_else(defect)?.clone();
        self.check_no_writers(&volume.name, force || record.force)?;
        let member = self.member(&volume.name)?;
        member.adopt().await?;
        let (head, called) = (member.head, volume.clone());
        let (turn, safety) = run_blocking(move || {
            let safety = finish(&open, head, &called, &record)?;
            Ok::<_, ChangeError>((turn, safety))
        })
        .await??;
        member
            .served
            .unit()
            .raise(UnitAttention::MediumMayHaveChanged, None);
        let (snapshot, safety, size_bytes) = safety;
        let received = Received {
            snapshot: member.called(&snapshot),
            safety,
            size_bytes,
        };
        changes.push(Change::SnapshotCreated(received.snapshot.clone()));
        if let Some(safety) = &received.safety {
            let safety = member.called(safety);
            changes.push(Change::SnapshotCreated(safety.clone()));
            changes.push(Change::VolumeRestored {
                snapshot: received.snapshot.clone(),
                safety,
            });
        }
        run_blocking(move || turn.forget()).await??;
        Ok(received)
    }

    /// Does what is left of those of which everything had come when the daemon ended. The writer's lock is
    /// held.
    pub(in crate::registry) async fn finish_received(&self) {
        for record in self.receives.records() {
            if !record.complete {
                continue;
            }
            let catalog = self.catalog();
            let id = VolumeId(record.volume);
            let Some(volume) = catalog.volumes().find(|volume| volume.id == id).cloned() else {
                continue;
            };
            let Some(place) = volume.backing.place() else {
                continue;
            };
            let family = self.families.get(place.family);
            let Some(open) = family.and_then(|family| family.open_family().ok()) else {
                continue;
            };
            let Some(turn) = self.receives.take_turn(&record) else {
                continue;
            };
            let name = volume.name.clone();
            let finished = run_blocking(move || {
                finish(&open, place.dataset, &volume, &record)?;
                Ok::<_, ChangeError>(turn.forget()?)
            });
            match finished.await.and_then(|done| done) {
                Ok(()) => tracing::info!(volume = %name, "what was received is there"),
                Err(error) => {
                    tracing::error!(volume = %name, %error, "what was received isn't there yet");
                }
            }
        }
    }
}

/// All steps that haven't been done: the name of the snapshot, that of what was there before if it is kept,
/// and the size. Blocks.
fn finish(
    open: &OpenFamily,
    head: DatasetId,
    volume: &catalog::Volume,
    record: &Record,
) -> Result<(SnapshotName, Option<SnapshotName>, u64), ChangeError> {
    let name = SnapshotName::new(&record.name).map_err(ReceiveError::from)?;
    let [snapshot, safety] = [record.snapshot, record.safety].map(DatasetId);
    if !open.look(|list| list.get(snapshot).is_some())? {
        open.look(|list| list.check_new(volume.id, &volume.name, &name))??;
        replace(open, head, volume, record)?;
        // Nothing is lost of what hosts have written, whenever that was.
        let keep = (record.own_base && !record.created)
            || differ(open, DatasetId(record.base), safety).unwrap_or(true);
        let is_pending = open.look(|list| list.get(safety).is_none_or(|one| one.pending))?;
        let of_safety = match (keep, is_pending) {
            (true, true) => Some(ListChange::Confirm(safety)),
            (true, false) => None,
            (false, _) => Some(ListChange::Remove(safety)),
        };
        let told = ListChange::Add(Snapshot {
            id: snapshot,
            volume: volume.id,
            name: name.clone(),
            at_unix_ms: record.at_unix_ms,
            size_bytes: record.size_bytes,
            cause: Cause::Receive {
                of: DatasetId(record.to),
            },
            set: None,
            pending: false,
            quiesced: record.quiesced,
        });
        open.add(&of_safety.into_iter().chain([told]).collect::<Vec<_>>())?;
    }
    let kept = open.look(|list| list.get(safety).map(|one| one.name.clone()))?;
    let mut gone = record.datasets();
    gone.retain(|id| *id != snapshot);
    gone.extend(kept.is_none().then_some(safety));
    delete_those_there(open, &gone);
    Ok((name, kept, record.size_bytes))
}

/// Gives the head what has come, and keeps what it had, as a snapshot that isn't told of yet.
fn replace(
    open: &OpenFamily,
    head: DatasetId,
    volume: &catalog::Volume,
    record: &Record,
) -> Result<(), ChangeError> {
    let [snapshot, safety] = [record.snapshot, record.safety].map(DatasetId);
    let there = open.datasets();
    if there.contains_key(&safety) {
        // Both happen together.
        return Ok(());
    }
    let blocks = there.get(&head).copied().unwrap_or_default();
    if blocks != record.size_bytes.div_ceil(BLOCK_BYTES) {
        return Err(ReceiveError::Size {
            volume: volume.name.clone(),
            found: volume.size_bytes,
            wanted: record.size_bytes,
        }
        .into());
    }
    if !there.contains_key(&snapshot) {
        let [from, id] = [record.staging, snapshot.0].map(|id| *id.as_bytes());
        Family::snapshot(&[(Arc::clone(&open.engine), from, id)])?;
    }
    let at = record.begun_unix_ms;
    let name = open.look(|list| safety_name(list, volume.id, at))?;
    let name =
        name.ok_or_else(|| ChangeError::Defect("no name is left for what is there".into()))?;
    if open.look(|list| list.get(safety).is_none())? {
        open.add(&[ListChange::Add(Snapshot {
            id: safety,
            volume: volume.id,
            name,
            at_unix_ms: at,
            size_bytes: volume.size_bytes,
            cause: Cause::Restore { to: snapshot },
            set: None,
            pending: true,
            quiesced: false,
        })])?;
    }
    let [head, to, kept] = [head, snapshot, safety].map(|id| *id.0.as_bytes());
    if let Err(error) = open.engine.restore(head, to, kept) {
        // It may have happened, and not be durable: then its family is fenced, and a restart tells.
        if !open.datasets().contains_key(&safety) {
            open.add(&[ListChange::Remove(safety)])?;
        }
        return Err(error.into());
    }
    Ok(open.engine.settle_all()?)
}
