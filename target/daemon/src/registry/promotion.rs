//! A clone and what it was made from change places. The catalog and the family's list of snapshots have to say
//! the same afterwards: what is intended is written into the catalog first, with the new origins, and finished
//! at the start if a crash came before the list had it.

use std::collections::HashSet;
use std::sync::Arc;

use tidelock_catalog::{
    CatalogError, Change, Command, DatasetId, ListChange, Snapshot, SnapshotList, VolumeId,
    VolumeName,
};
use uuid::Uuid;

use super::changes::{ChangeError, run_blocking};
use super::families::OpenFamily;
use super::{Registry, Writer};

impl Registry {
    /// Lets a clone and what it was made from change places: snapshots that the clone comes from are its own
    /// afterwards, and the other volume is a clone of the last of them.
    ///
    /// # Errors
    /// A rule or the disk stands against it; then nothing has changed, or a restart finishes it.
    pub async fn promote_clone(
        self: &Arc<Self>,
        volume: VolumeName,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            this.promote_now(&writer, volume).await
        })
        .await
    }

    async fn promote_now(
        &self,
        writer: &Writer,
        name: VolumeName,
    ) -> Result<Vec<Change>, ChangeError> {
        self.finish_moves(writer).await?;
        let catalog = self.catalog();
        let record = catalog.volume(&name)?;
        let Some(origin) = record.origin.as_ref().filter(|origin| !origin.copied) else {
            let volume = name;
            return Err(match record.origin {
                None => CatalogError::NotAClone { volume },
                Some(_) => CatalogError::IsFullClone { volume },
            }
            .into());
        };
        let member = self.member(&name)?;
        let before = catalog.volume(&origin.volume).map(|other| other.id).ok();
        let ancestors = ancestors(&member.open, member.head);
        let (moving, same) = member.open.look(|list| {
            let moving: Vec<Snapshot> = list
                .iter()
                .filter(|one| ancestors.contains(&one.id) && Some(one.volume) == before)
                .cloned()
                .collect();
            let has = |one: &&Snapshot| list.find(member.record.id, &one.name).is_some();
            let same: Vec<_> = moving
                .iter()
                .filter(has)
                .map(|one| one.name.clone())
                .collect();
            (moving, same)
        })?;
        if !same.is_empty() {
            let (volume, snapshots) = (name, same);
            return Err(CatalogError::SameSnapshots { volume, snapshots }.into());
        }
        let intent = Uuid::new_v4();
        let command = Command::PromoteClone {
            volume: name,
            intent,
            snapshots: moving
                .iter()
                .map(|one| (one.id, one.name.clone()))
                .collect(),
        };
        let (catalog, changes) = self.save(writer, command).await?;
        self.install(catalog, &changes, None);
        let (open, to) = (Arc::clone(&member.open), member.record.id);
        let ids: Vec<_> = moving.iter().map(|one| one.id).collect();
        run_blocking(move || move_snapshots(&open, to, &ids)).await??;
        let (catalog, fulfilled) = self.save(writer, Command::Fulfil { intent }).await?;
        self.install(catalog, &fulfilled, None);
        Ok(changes)
    }
}

/// The snapshots that a head comes from.
fn ancestors(open: &OpenFamily, head: DatasetId) -> HashSet<DatasetId> {
    let all = open.engine.datasets();
    let previous = |id: DatasetId| {
        let info = all.iter().find(|info| info.id == *id.0.as_bytes())?;
        info.previous.map(|id| DatasetId(Uuid::from_bytes(id)))
    };
    let mut found = HashSet::new();
    let mut at = previous(head);
    while let Some(id) = at.filter(|id| found.insert(*id)) {
        at = previous(id);
    }
    found
}

/// Says in the list of a family whose snapshots are. What is so already stays. Blocks.
pub(super) fn move_snapshots(
    open: &OpenFamily,
    to: VolumeId,
    snapshots: &[DatasetId],
) -> Result<(), ChangeError> {
    let changes = open.look(|list| moves(list, to, snapshots))?;
    Ok(open.add(&changes)?)
}

/// What makes snapshots another volume's. They were taken of the volume that they were of: the sets that they were
/// in have lost them.
fn moves(list: &SnapshotList, to: VolumeId, snapshots: &[DatasetId]) -> Vec<ListChange> {
    let found = snapshots.iter().filter_map(|id| list.get(*id));
    let others = found.filter(|snapshot| snapshot.volume != to);
    let moves = others.flat_map(|snapshot| {
        let moved = Snapshot {
            volume: to,
            set: None,
            ..snapshot.clone()
        };
        [ListChange::Remove(snapshot.id), ListChange::Add(moved)]
    });
    moves.collect()
}
