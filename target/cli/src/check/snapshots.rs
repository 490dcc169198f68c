//! What a family's list of snapshots and the catalog say, against what its files have.

use std::collections::{HashMap, HashSet};

use tidelock_catalog::snapshots::log::{LOG_BYTES_MAX, Log};
use tidelock_catalog::{Backing, DatasetId, FamilyId, SnapshotList, VolumeId};
use tidelock_replication::DatasetInfo;

use super::Checked;
use super::state::State;

/// Bytes of a block of a family.
const BLOCK_BYTES: u64 = 4_096;

/// Adds what doesn't fit to a report.
pub(super) fn compare(
    state: &State,
    id: FamilyId,
    datasets: &[DatasetInfo],
    checked: &mut Checked,
) {
    let folder = state.family_folder(id);
    let there: HashMap<DatasetId, u64> = datasets
        .iter()
        .filter(|info| !info.deleting)
        .map(|info| (DatasetId(uuid::Uuid::from_bytes(info.id)), info.blocks))
        .collect();
    let mut known = compare_volumes(state, id, &there, checked);
    let Some(list) = read(state, id, checked) else {
        return;
    };
    let volumes: HashMap<VolumeId, String> = state
        .catalog()
        .volumes()
        .map(|volume| (volume.id, volume.name.to_string()))
        .collect();
    for snapshot in list.iter() {
        known.insert(snapshot.id);
        let volume = volumes.get(&snapshot.volume);
        let name = volume.map_or_else(
            || format!("snapshot {} of a volume that is gone", snapshot.name),
            |volume| format!("snapshot {volume}@{}", snapshot.name),
        );
        if there.contains_key(&snapshot.id) {
            continue;
        }
        if snapshot.pending || volume.is_none() {
            let advice = "nothing: the next start of the daemon takes it out of the list";
            checked.note(
                &folder,
                format!("{name} was never finished, or is going"),
                advice,
            );
        } else {
            checked.find(
                &folder,
                format!(
                    "{name} is in the list, and its data ({}) isn't there",
                    snapshot.id
                ),
                "bring the folder back from a backup that has it, or delete the snapshot",
            );
        }
    }
    for id in there.keys().filter(|id| !known.contains(*id)) {
        let what =
            format!("{id} is in the files, and neither a volume nor a snapshot that is known");
        let advice = "nothing: a crash left it, and the next start of the daemon deletes it; unless this \
            catalog is an old one, in which case don't start the daemon with it";
        checked.note(&folder, what, advice);
    }
}

/// The volumes of the catalog against the datasets that are there; answers which those are.
fn compare_volumes(
    state: &State,
    id: FamilyId,
    there: &HashMap<DatasetId, u64>,
    checked: &mut Checked,
) -> HashSet<DatasetId> {
    let folder = state.family_folder(id);
    let mut known = HashSet::new();
    for volume in state.catalog().volumes() {
        let place = match volume.backing {
            Backing::Head(place) | Backing::Snapshot(place) if place.family == id => place,
            _ => continue,
        };
        known.insert(place.dataset);
        let blocks = volume.size_bytes.div_ceil(BLOCK_BYTES);
        match there.get(&place.dataset) {
            None => checked.find(
                &folder,
                format!("the data of {} ({}) isn't there", volume.name, place.dataset),
                "bring the folder back from a backup that has it; the catalog may also be older or newer than \
                 the folder",
            ),
            Some(found) if *found != blocks => checked.note(
                &folder,
                format!(
                    "{} has {found} blocks of {BLOCK_BYTES} bytes, and the catalog says {blocks}: a crash came \
                     while it grew",
                    volume.name
                ),
                "nothing: the next start of the daemon notices it",
            ),
            Some(_) => {}
        }
    }
    known
}

/// The list of the family's snapshots.
fn read(state: &State, id: FamilyId, checked: &mut Checked) -> Option<SnapshotList> {
    let path = state.family_folder(id).join("snapshots");
    let advice = "bring the file back from a backup; until then the volumes are served, and nothing happens to \
        their snapshots";
    let len = std::fs::metadata(&path).map(|metadata| metadata.len());
    let bytes = match len {
        Ok(len) if len > LOG_BYTES_MAX as u64 => {
            checked.find(&path, format!("it has {len} bytes, more than any"), advice);
            return None;
        }
        Ok(_) => std::fs::read(&path),
        Err(error) => Err(error),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => {
            checked.find(
                &path,
                format!("the list of snapshots can't be read: {error}"),
                advice,
            );
            return None;
        }
    };
    match Log::decode(&bytes, id) {
        Ok(log) => {
            let (len, used) = (bytes.len() as u64, log.len());
            if len > used {
                let what = format!("byte {used} is the beginning of a line that a crash cut short");
                checked.note(
                    &path,
                    what,
                    "nothing: it was never promised, and is left out",
                );
            }
            Some(log.list().clone())
        }
        Err(error) => {
            checked.find(
                &path,
                format!("the list of snapshots is damaged: {error}"),
                advice,
            );
            None
        }
    }
}
