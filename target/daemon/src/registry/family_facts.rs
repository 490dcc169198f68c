//! How snapshots, groups and schedules are, in the words of the API. Reads live objects; changes
//! nothing.

use std::collections::HashMap;
use std::sync::Arc;

use tidelock_admin::v1;
use tidelock_catalog::snapshots::Cause;
use tidelock_catalog::{
    Catalog, CatalogError, DatasetId, DatasetRef, GroupName, Origin, Snapshot, SnapshotRef, Volume,
    VolumeName, schedule,
};

use super::Registry;
use super::changes::{ChangeError, run_blocking};
use super::facts::PATIENCE;
use super::families::OpenFamily;

/// Snapshots that are named in a volume's description; the others are counted.
const NEWEST: usize = 10;

impl Registry {
    /// The snapshots of a volume, or all.
    ///
    /// # Errors
    /// There is no such volume, or its snapshots can't be told.
    pub fn snapshots(&self, volume: Option<&VolumeName>) -> Result<Vec<v1::Snapshot>, ChangeError> {
        let catalog = self.catalog();
        if let Some(name) = volume {
            catalog.volume(name)?;
        }
        let clones = clones_by_origin(&catalog);
        let mut all = Vec::new();
        for record in catalog.volumes() {
            if volume.is_some_and(|name| record.name != *name) || record.name.is_of_snapshot() {
                continue;
            }
            let list = match self.list_of(record) {
                Ok(list) => list,
                // The others are told all the same; `volume show` says what is wrong with this one.
                Err(_) if volume.is_none() => continue,
                Err(error) => return Err(error),
            };
            let described = list.iter();
            all.extend(described.map(|one| describe(&catalog, record, one, &clones)));
        }
        Ok(all)
    }

    /// One snapshot.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn snapshot(&self, called: &SnapshotRef) -> Result<v1::Snapshot, ChangeError> {
        let catalog = self.catalog();
        let record = catalog.volume(&called.volume)?;
        let missing = || CatalogError::NoSuchSnapshot {
            snapshot: called.clone(),
        };
        let place = record.backing.place().ok_or_else(missing)?;
        let open = self.open_family_of(record, place.family)?;
        // One of ten thousand is found without looking at all.
        let snapshot = open.look(|list| list.named(record.id, called).cloned())??;
        let clones = clones_by_origin(&catalog);
        Ok(describe(&catalog, record, &snapshot, &clones))
    }

    /// The same, with how much it has for itself.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn snapshot_in_full(
        &self,
        called: &SnapshotRef,
    ) -> Result<v1::Snapshot, ChangeError> {
        let mut described = self.snapshot(called)?;
        let point = self.point(&DatasetRef {
            volume: called.volume.clone(),
            snapshot: Some(called.snapshot.clone()),
        })?;
        let asked = run_blocking(move || {
            let id = *point.dataset.0.as_bytes();
            point.open.engine.exclusive_bytes(id).ok()
        });
        // It is left out where that takes long.
        if let Ok(Ok(bytes)) = tokio::time::timeout(PATIENCE, asked).await {
            described.exclusive_bytes = bytes;
        }
        Ok(described)
    }

    /// How many snapshots there are.
    #[must_use]
    pub fn count_snapshots(&self) -> u64 {
        let families = self.families.all();
        let open = families
            .iter()
            .filter_map(|family| family.open_family().ok());
        open.filter_map(|open| open.look(|list| list.len() as u64).ok())
            .sum()
    }

    /// Those of a volume that are there, from the oldest to the newest.
    fn list_of(&self, record: &Volume) -> Result<Vec<Snapshot>, ChangeError> {
        let Some(place) = record.backing.place() else {
            return Ok(Vec::new());
        };
        let open = self.open_family_of(record, place.family)?;
        Ok(open.look(|list| {
            let all = list.of_volume(record.id).into_iter();
            all.filter(|snapshot| !snapshot.pending).cloned().collect()
        })?)
    }

    fn open_family_of(
        &self,
        record: &Volume,
        family: tidelock_catalog::FamilyId,
    ) -> Result<Arc<OpenFamily>, ChangeError> {
        let family = self.families.get(family);
        let family = family.ok_or_else(|| "its family isn't there".to_owned());
        let open = family.and_then(|family| family.open_family());
        open.map_err(|reason| {
            let volume = record.name.clone();
            ChangeError::NotReady { volume, reason }
        })
    }

    /// What a volume shares with others, if it does: without what has to be found out, which is absent.
    pub(super) fn family_facts(&self, name: &VolumeName) -> Option<v1::VolumeFamily> {
        let catalog = self.catalog();
        let record = catalog.volume(name).ok()?;
        let place = record.backing.place()?;
        let open = self.open_family_of(record, place.family).ok();
        let snapshots = self.list_of(record).unwrap_or_default();
        let clones = catalog.volumes().filter(|clone| {
            let origin = clone.origin.as_ref();
            origin.is_some_and(|origin| origin.volume == *name)
        });
        let newest = snapshots.iter().rev().take(NEWEST);
        Some(v1::VolumeFamily {
            id: place.family.to_string(),
            origin: record
                .origin
                .as_ref()
                .map(|origin| origin_of(origin, open.as_deref())),
            snapshots: snapshots.len() as u64,
            newest_snapshots: newest.map(|snapshot| snapshot.name.to_string()).collect(),
            clones: clones.map(|clone| clone.name.to_string()).collect(),
            volumes: catalog
                .heads(place.family)
                .map(|head| head.name.to_string())
                .collect(),
            data_bytes: None,
            metadata_bytes: None,
            being_deleted: None,
            coming_home_percent: self.volume(name).and_then(|served| served.folding()),
        })
    }

    /// Finds out the rest. Blocks.
    pub(super) fn find_out(&self, name: &VolumeName, family: &mut v1::VolumeFamily) {
        let catalog = self.catalog();
        let record = catalog.volume(name).ok();
        let open = record.and_then(|record| {
            let place = record.backing.place()?;
            self.open_family_of(record, place.family).ok()
        });
        let Some(open) = open else { return };
        let space = open.engine.space().ok();
        family.data_bytes = space.map(|space| space.allocated_bytes);
        family.metadata_bytes = space.map(|space| space.maps_bytes);
        let all = open.engine.datasets().into_iter();
        family.being_deleted = Some(all.filter(|info| info.deleting).count() as u64);
    }

    /// Why the snapshots of a volume can't be told, if so.
    pub(super) fn snapshots_problem(&self, name: &VolumeName) -> Option<String> {
        let catalog = self.catalog();
        let place = catalog.volume(name).ok()?.backing.place()?;
        let open = self.families.get(place.family)?.open_family().ok()?;
        open.look(|_| ()).err().map(|trouble| trouble.to_string())
    }

    /// One group, with what was taken of it.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn group(&self, name: &GroupName) -> Result<v1::Group, ChangeError> {
        let catalog = self.catalog();
        let group = catalog.group(name)?;
        let sets = self.sets(name)?.into_iter().map(|set| v1::SnapshotSet {
            name: set.name.to_string(),
            at: schedule::time_text(set.at_unix_ms),
            complete: set.volumes.len() as u64 == u64::from(set.members),
            volumes: set.volumes.iter().map(ToString::to_string).collect(),
        });
        Ok(v1::Group {
            name: name.to_string(),
            volumes: group.members.iter().map(ToString::to_string).collect(),
            sets: sets.collect(),
        })
    }

    /// All schedules; `now` is in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn schedules(&self, now: u64) -> Vec<v1::Schedule> {
        let catalog = self.catalog();
        let all = catalog.schedules().map(|(volume, schedule)| {
            let taken = self.scheduled_times(volume);
            let next = match schedule.is_due(taken.into_iter(), now) {
                true => now,
                false => schedule.next_after(now),
            };
            v1::Schedule {
                volume: volume.to_string(),
                every_seconds: schedule.every_seconds,
                keep: schedule.keep,
                next: schedule::time_text(next),
                problem: self.schedule_problem(volume).unwrap_or_default(),
            }
        });
        all.collect()
    }

    /// What differs between two points in time, from an offset in bytes on; at most `limit` ranges.
    ///
    /// # Errors
    /// One isn't there, they have nothing in common, or the disk failed.
    pub async fn diff(
        &self,
        from: DatasetRef,
        to: DatasetRef,
        offset_bytes: u64,
        limit: usize,
    ) -> Result<v1::Diff, ChangeError> {
        let (one, other) = (self.point(&from)?, self.point(&to)?);
        if !Arc::ptr_eq(&one.open, &other.open) {
            return Err(CatalogError::Unrelated {
                one: from.to_string(),
                other: to.to_string(),
            }
            .into());
        }
        let (open, size_bytes) = (one.open, one.size_bytes.max(other.size_bytes));
        let [first, second] = [one.dataset, other.dataset].map(|id| *id.0.as_bytes());
        let (ranges, next_offset_bytes) = run_blocking(move || {
            differences(offset_bytes, size_bytes, limit, |from| {
                open.engine.diff(first, second, from)
            })
        })
        .await??;
        Ok(v1::Diff {
            from: from.to_string(),
            to: to.to_string(),
            size_bytes,
            ranges,
            next_offset_bytes,
        })
    }

    pub(super) fn point(&self, what: &DatasetRef) -> Result<Point, ChangeError> {
        let member = self.member(&what.volume)?;
        let (dataset, size_bytes) = match &what.snapshot {
            None => (member.head, member.store.size()),
            Some(name) => {
                let found = member.find(name)?;
                (found.id, found.size_bytes)
            }
        };
        Ok(Point {
            open: member.open,
            dataset,
            size_bytes,
        })
    }
}

/// A point in time of a volume.
pub(super) struct Point {
    pub(super) open: Arc<OpenFamily>,
    pub(super) dataset: DatasetId,
    size_bytes: u64,
}

type Parts<E> = Result<(Vec<v1::DiffRange>, Option<u64>), E>;

/// Puts together what `ask` says from an offset on, until there are enough ranges or it is the end.
fn differences<E>(
    from: u64,
    size: u64,
    limit: usize,
    mut ask: impl FnMut(u64) -> Result<(Vec<tidelock_replication::Range>, Option<u64>), E>,
) -> Parts<E> {
    let mut ranges: Vec<v1::DiffRange> = Vec::new();
    let mut at = Some(from);
    while let Some(from) = at {
        let (found, next) = ask(from)?;
        for range in found {
            // The last block of a volume may be there in part.
            let offset = range.offset;
            let length = range.length.min(size.saturating_sub(offset));
            if length == 0 {
                continue;
            }
            let is_full = ranges.len() == limit;
            match ranges.last_mut() {
                Some(last) if last.offset_bytes + last.length_bytes == offset => {
                    last.length_bytes += length;
                }
                _ if is_full => return Ok((ranges, Some(offset))),
                _ => ranges.push(v1::DiffRange {
                    offset_bytes: offset,
                    length_bytes: length,
                }),
            }
        }
        at = next;
    }
    Ok((ranges, None))
}

pub(super) fn origin_of(origin: &Origin, open: Option<&OpenFamily>) -> v1::Origin {
    let is_listed = |open: &OpenFamily| open.look(|list| list.get(origin.dataset).is_some()).ok();
    v1::Origin {
        volume: origin.volume.to_string(),
        snapshot: origin.snapshot.to_string(),
        linked: origin.linked,
        copied: origin.copied,
        deleted: open.and_then(is_listed).is_some_and(|listed| !listed),
    }
}

fn clones_by_origin(catalog: &Catalog) -> HashMap<DatasetId, Vec<String>> {
    let mut clones: HashMap<DatasetId, Vec<String>> = HashMap::new();
    for volume in catalog.volumes() {
        if let Some(origin) = &volume.origin {
            let of_it = clones.entry(origin.dataset).or_default();
            of_it.push(volume.name.to_string());
        }
    }
    clones
}

fn describe(
    catalog: &Catalog,
    record: &Volume,
    snapshot: &Snapshot,
    clones: &HashMap<DatasetId, Vec<String>>,
) -> v1::Snapshot {
    let shown = VolumeName::of_snapshot(&SnapshotRef {
        volume: record.name.clone(),
        snapshot: snapshot.name.clone(),
    });
    let mappings = catalog.mappings(&shown).map(|(target, lun)| v1::Mapping {
        target: target.name.to_string(),
        lun: lun.number.get(),
        read_only: lun.read_only,
    });
    v1::Snapshot {
        volume: record.name.to_string(),
        name: snapshot.name.to_string(),
        id: snapshot.id.to_string(),
        at: schedule::time_text(snapshot.at_unix_ms),
        at_unix_ms: snapshot.at_unix_ms,
        size_bytes: snapshot.size_bytes,
        exclusive_bytes: None,
        cause: match snapshot.cause {
            Cause::Operator => v1::SnapshotCause::Operator,
            Cause::Schedule => v1::SnapshotCause::Schedule,
            Cause::Clone => v1::SnapshotCause::Clone,
            Cause::Restore { .. } => v1::SnapshotCause::Restore,
            Cause::SplitBrain => v1::SnapshotCause::SplitBrain,
            Cause::Receive { .. } => v1::SnapshotCause::Receive,
        },
        stream_id: snapshot.stream_id().to_string(),
        quiesced: snapshot.quiesced,
        group: snapshot.set.as_ref().map(|set| set.group.to_string()),
        clones: clones.get(&snapshot.id).cloned().unwrap_or_default(),
        mappings: mappings.collect(),
    }
}

#[cfg(test)]
mod tests {
    use tidelock_replication::Range;

    use super::*;

    fn range(offset: u64, length: u64) -> Range {
        Range { offset, length }
    }

    /// Three parts of 100 bytes.
    fn parts(from: u64) -> Result<(Vec<Range>, Option<u64>), ()> {
        let all = [range(0, 10), range(90, 20), range(150, 20), range(290, 10)];
        let end = (from / 100 + 1) * 100;
        let within = all.into_iter().filter_map(|one| {
            let start = one.offset.max(from);
            let stop = (one.offset + one.length).min(end);
            (start < stop).then(|| range(start, stop - start))
        });
        Ok((within.collect(), (end < 300).then_some(end)))
    }

    fn pairs(ranges: &[v1::DiffRange]) -> Vec<(u64, u64)> {
        let all = ranges.iter();
        all.map(|one| (one.offset_bytes, one.length_bytes))
            .collect()
    }

    #[test]
    fn what_differs_is_joined_over_parts_and_ends_with_the_volume() {
        let (ranges, next) = differences(0, 295, 100, parts).unwrap();
        assert_eq!(pairs(&ranges), [(0, 10), (90, 20), (150, 20), (290, 5)]);
        assert_eq!(next, None);
    }

    #[test]
    fn asking_in_parts_of_any_size_tells_all_of_it_once() {
        for limit in 1..6 {
            let (mut all, mut from) = (Vec::new(), Some(0));
            while let Some(at) = from {
                let (ranges, next) = differences(at, 300, limit, parts).unwrap();
                assert!(ranges.len() <= limit);
                all.extend(pairs(&ranges));
                from = next;
            }
            assert_eq!(all, [(0, 10), (90, 20), (150, 20), (290, 10)], "{limit}");
        }
    }
}
