//! The list of a family's snapshots: what each is called, of which volume it is and when it was taken.
//! Pure; [`log`] has its form in a file.
//!
//! It isn't a part of the catalog, which is written anew with each change: ten thousand snapshots must
//! not make the next one slower.

pub mod log;

use std::collections::BTreeMap;

use thiserror::Error;
use uuid::Uuid;

use crate::error::CatalogError;
use crate::family::DatasetId;
use crate::snapshot::{GroupName, SnapshotName, SnapshotRef};
use crate::volume::{VolumeId, VolumeName};

/// Most snapshots of one volume.
pub const SNAPSHOTS_MAX: usize = 16_384;

/// Why a snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody wanted it.
    Operator,
    /// The volume's schedule did, which will delete it when its time has come.
    Schedule,
    /// A clone was made from it.
    Clone,
    /// The volume was about to be restored.
    Restore {
        /// As this snapshot, or as this volume, which was its copy.
        to: DatasetId,
    },
    /// It has what an operator dropped after both ends of a mirror had been written.
    SplitBrain,
    /// It is a copy that came in a stream.
    Receive {
        /// Of this snapshot, which has the same content wherever it is.
        of: DatasetId,
    },
}

/// A snapshot that was taken together with those of other volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMember {
    /// What tells the set from every other one.
    pub set: Uuid,
    /// The group, by the name that it had.
    pub group: GroupName,
    /// How many snapshots the set has, in all families together.
    pub members: u32,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its identity.
    pub id: DatasetId,
    /// Of which volume it is.
    pub volume: VolumeId,
    /// Its name, which no other snapshot of the volume has.
    pub name: SnapshotName,
    /// When it was taken, in milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: u64,
    /// The volume's size then, in bytes.
    pub size_bytes: u64,
    /// Why it was taken.
    pub cause: Cause,
    /// The set that it is in, if it was taken with others.
    pub set: Option<SetMember>,
    /// It is about to be taken: a crash may have come before or after that.
    pub pending: bool,
    /// Applications were told before it was taken, so that what it has is at rest.
    pub quiesced: bool,
}

impl Snapshot {
    /// What streams call it: a copy is called as what it is a copy of.
    #[must_use]
    pub fn stream_id(&self) -> DatasetId {
        match self.cause {
            Cause::Receive { of } => of,
            _ => self.id,
        }
    }
}

/// A change of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListChange {
    /// There is a new snapshot, or one is about to be taken.
    Add(Snapshot),
    /// One that was about to be taken was.
    Confirm(DatasetId),
    /// One is gone, or is going.
    Remove(DatasetId),
}

/// Why a list can't be what it is said to be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListError {
    /// An identity can be used once.
    #[error("snapshot {0} is there twice")]
    Twice(DatasetId),
    /// A volume has one snapshot of a name.
    #[error("a volume has two snapshots of the name {0}")]
    SameName(SnapshotName),
    /// Nothing that isn't there changes.
    #[error("there is no snapshot {0}")]
    Missing(DatasetId),
    /// It was taken already.
    #[error("snapshot {0} isn't about to be taken")]
    NotPending(DatasetId),
}

/// The snapshots of a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotList {
    all: BTreeMap<DatasetId, Snapshot>,
    names: BTreeMap<VolumeId, BTreeMap<SnapshotName, DatasetId>>,
}

impl SnapshotList {
    /// Does what the change says.
    ///
    /// # Errors
    /// It can't be right; the list is as before.
    pub fn apply(&mut self, change: ListChange) -> Result<(), ListError> {
        match change {
            ListChange::Add(snapshot) => {
                if self.all.contains_key(&snapshot.id) {
                    return Err(ListError::Twice(snapshot.id));
                }
                let names = self.names.entry(snapshot.volume).or_default();
                if names.contains_key(&snapshot.name) {
                    return Err(ListError::SameName(snapshot.name));
                }
                names.insert(snapshot.name.clone(), snapshot.id);
                self.all.insert(snapshot.id, snapshot);
            }
            ListChange::Confirm(id) => {
                let snapshot = self.all.get_mut(&id).ok_or(ListError::Missing(id))?;
                if !snapshot.pending {
                    return Err(ListError::NotPending(id));
                }
                snapshot.pending = false;
            }
            ListChange::Remove(id) => {
                let snapshot = self.all.remove(&id).ok_or(ListError::Missing(id))?;
                self.forget_name(&snapshot);
            }
        }
        Ok(())
    }

    fn forget_name(&mut self, snapshot: &Snapshot) {
        if let Some(names) = self.names.get_mut(&snapshot.volume) {
            names.remove(&snapshot.name);
            if names.is_empty() {
                self.names.remove(&snapshot.volume);
            }
        }
    }

    /// Makes the snapshot of an identity what it was before some changes.
    fn put_back(&mut self, id: DatasetId, before: Option<Snapshot>) {
        if let Some(now) = self.all.remove(&id) {
            self.forget_name(&now);
        }
        if let Some(before) = before {
            let names = self.names.entry(before.volume).or_default();
            names.insert(before.name.clone(), id);
            self.all.insert(id, before);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All, in no order that means something.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Snapshot> {
        self.all.values()
    }

    /// The one of that identity.
    #[must_use]
    pub fn get(&self, id: DatasetId) -> Option<&Snapshot> {
        self.all.get(&id)
    }

    /// The one of that name.
    #[must_use]
    pub fn find(&self, volume: VolumeId, name: &SnapshotName) -> Option<&Snapshot> {
        self.all.get(self.names.get(&volume)?.get(name)?)
    }

    /// Those of a volume, from the oldest to the newest.
    #[must_use]
    pub fn of_volume(&self, volume: VolumeId) -> Vec<&Snapshot> {
        let names = self.names.get(&volume);
        let ids = names.into_iter().flat_map(BTreeMap::values);
        let mut found: Vec<_> = ids.filter_map(|id| self.all.get(id)).collect();
        found.sort_by(|a, b| (a.at_unix_ms, &a.name).cmp(&(b.at_unix_ms, &b.name)));
        found
    }

    /// The one of a volume that streams call so.
    #[must_use]
    pub fn of_stream(&self, volume: VolumeId, stream_id: DatasetId) -> Option<&Snapshot> {
        let ids = self.names.get(&volume)?.values();
        let mut snapshots = ids.filter_map(|id| self.all.get(id));
        snapshots.find(|snapshot| snapshot.stream_id() == stream_id && !snapshot.pending)
    }

    /// How many a volume has.
    #[must_use]
    pub fn count_of(&self, volume: VolumeId) -> usize {
        self.names.get(&volume).map_or(0, BTreeMap::len)
    }

    /// Whether a volume may have another snapshot, of this name.
    ///
    /// # Errors
    /// It has one of that name, or as many as it may have.
    pub fn check_new(
        &self,
        volume: VolumeId,
        called: &VolumeName,
        name: &SnapshotName,
    ) -> Result<(), CatalogError> {
        if self.find(volume, name).is_some() {
            let snapshot = SnapshotRef {
                volume: called.clone(),
                snapshot: name.clone(),
            };
            return Err(CatalogError::SnapshotExists { snapshot });
        }
        if self.count_of(volume) >= SNAPSHOTS_MAX {
            return Err(CatalogError::TooMany {
                what: "snapshots of a volume",
                limit: SNAPSHOTS_MAX,
            });
        }
        Ok(())
    }

    /// The snapshot that somebody speaks of.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn named(
        &self,
        volume: VolumeId,
        snapshot: &SnapshotRef,
    ) -> Result<&Snapshot, CatalogError> {
        self.find(volume, &snapshot.snapshot)
            .filter(|found| !found.pending)
            .ok_or_else(|| CatalogError::NoSuchSnapshot {
                snapshot: snapshot.clone(),
            })
    }

    /// Those of a volume that its schedule took and that have had their time, from the oldest on: all
    /// but the `keep` newest.
    #[must_use]
    pub fn outlived(&self, volume: VolumeId, keep: u32) -> Vec<&Snapshot> {
        let mut taken = self.of_volume(volume);
        taken.retain(|snapshot| snapshot.cause == Cause::Schedule && !snapshot.pending);
        let many = taken.len().saturating_sub(keep as usize);
        taken.truncate(many);
        taken
    }
}

/// What becomes of a snapshot that was about to be taken when a crash came.
///
/// `is_there` says of each identity whether its dataset is there; `sets` are the lists of all families.
/// A set is there as a whole or not at all: if one of its snapshots was confirmed, all were taken and are one moment.
/// If none was, they may be of different moments; so they are there only if they are what was kept when several volumes
/// were restored.
#[must_use]
pub fn settle<'a>(
    pending: &Snapshot,
    mut lists: impl Iterator<Item = &'a SnapshotList>,
    mut is_there: impl FnMut(DatasetId) -> bool,
) -> ListChange {
    let taken = match &pending.set {
        None => is_there(pending.id),
        Some(set) => {
            let of_set: Vec<_> = lists
                .by_ref()
                .flat_map(SnapshotList::iter)
                .filter(|one| one.set.as_ref().is_some_and(|other| other.set == set.set))
                .collect();
            let confirmed = of_set.iter().any(|one| !one.pending);
            let complete = of_set.len() == set.members as usize;
            let is_kept = matches!(pending.cause, Cause::Restore { .. });
            confirmed || (is_kept && complete && of_set.iter().all(|one| is_there(one.id)))
        }
    };
    match taken {
        true => ListChange::Confirm(pending.id),
        false => ListChange::Remove(pending.id),
    }
}

#[cfg(test)]
mod tests;
