//! Opening families, and what is done after a crash before anybody can see them.
//!
//! The catalog says which heads there are and the family's list which snapshots. Whatever else a family
//! has was being made when a crash came, or being deleted, and goes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tidelock_catalog::snapshots::settle;
use tidelock_catalog::{
    Backing, Catalog, Command, DatasetId, ListChange, SnapshotList, VolumeId, VolumeName,
};
use tokio::task::JoinSet;

use super::changes::{ChangeError, run_blocking};
use super::families::{OpenFamily, ServedFamily};
use super::hydration::datasets_of;
use super::{Registry, Writer};

/// Bytes of a block of a family.
const BLOCK_BYTES: u64 = 4_096;

/// A family with what it has.
struct Found {
    family: Arc<ServedFamily>,
    open: Arc<OpenFamily>,
    datasets: HashMap<DatasetId, u64>,
    /// Empty if it can't be read, in which case nothing of the family is deleted.
    list: Option<SnapshotList>,
}

/// What has to be done about one family.
#[derive(Default)]
struct Settlement {
    sizes: Vec<(VolumeName, u64)>,
    changes: Vec<ListChange>,
    unknown: Vec<DatasetId>,
}

impl Registry {
    /// Opens the families that aren't open, and brings those that could be opened into the state that was
    /// acknowledged last. True if there was one.
    pub(super) async fn open_families(&self, writer: &Writer, patience: Duration) -> bool {
        let mut opening = JoinSet::new();
        for family in self.families.all() {
            if !family.is_open() {
                opening.spawn_blocking(move || {
                    family.open();
                    family
                });
            }
        }
        let mut opened = Vec::new();
        let all = async {
            while let Some(family) = opening.join_next().await {
                opened.extend(family.ok().filter(|family| family.is_open()));
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("some families take long to open: serving without them for now");
            opening.detach_all();
        }
        if opened.is_empty() {
            return false;
        }
        if let Err(error) = self.settle(writer).await {
            // What isn't settled is tried again at the next start, and hides nothing until then.
            tracing::error!(%error, "what a crash left of snapshots can't be settled");
        }
        self.finish_received().await;
        true
    }

    async fn settle(&self, writer: &Writer) -> Result<(), ChangeError> {
        self.finish_intents(writer).await?;
        let families = self.families.all();
        let catalog = self.catalog();
        let receiving = self.receives.known();
        let settled = run_blocking(move || look(&families, &catalog, &receiving)).await?;
        for (found, settlement) in settled {
            for (volume, size_bytes) in settlement.sizes {
                tracing::info!(%volume, size_bytes, "the size is that of its blocks again");
                let command = Command::SetHeadSize { volume, size_bytes };
                let (catalog, changes) = self.save(writer, command).await?;
                self.install(catalog, &changes, None);
            }
            let Found { family, open, .. } = found;
            let (changes, unknown) = (settlement.changes, settlement.unknown);
            run_blocking(move || {
                if let Err(error) = open.add(&changes) {
                    tracing::error!(family = %family.id(), %error, "its snapshots can't be settled");
                    return;
                }
                for id in unknown {
                    // A token's, of a family that was open before.
                    if open.engine.is_open(*id.0.as_bytes()) {
                        continue;
                    }
                    match open.engine.delete(*id.0.as_bytes()) {
                        Ok(()) => tracing::info!(dataset = %id, "left by a crash: deleted"),
                        Err(error) => {
                            tracing::warn!(dataset = %id, %error, "left by a crash: stays");
                        }
                    }
                }
            })
            .await?;
        }
        Ok(())
    }
}

/// What is to be done about each family that is open.
fn look(
    families: &[Arc<ServedFamily>],
    catalog: &Catalog,
    receiving: &HashSet<DatasetId>,
) -> Vec<(Found, Settlement)> {
    let mut found: Vec<_> = families.iter().filter_map(find).collect();
    let complete = found.len() == families.len() && found.iter().all(|one| one.list.is_some());
    let settlements: Vec<_> = found
        .iter()
        .map(|one| {
            let mut settlement = settlement(one, complete.then_some(&found[..]), catalog);
            settlement.unknown.retain(|id| !receiving.contains(id));
            settlement
        })
        .collect();
    found.drain(..).zip(settlements).collect()
}

fn find(family: &Arc<ServedFamily>) -> Option<Found> {
    let open = family.open_family().ok()?;
    Some(Found {
        family: Arc::clone(family),
        datasets: open.datasets(),
        list: open.look(SnapshotList::clone).ok(),
        open,
    })
}

/// `all` are all families, if all of them could be opened: without them nobody knows whether a set is
/// complete.
fn settlement(one: &Found, all: Option<&[Found]>, catalog: &Catalog) -> Settlement {
    let mut settlement = Settlement::default();
    let heads: HashMap<DatasetId, &tidelock_catalog::Volume> = catalog
        .heads(one.family.id())
        .filter_map(|volume| Some((volume.backing.place()?.dataset, volume)))
        .collect();
    let Some(list) = &one.list else {
        settlement.sizes = sizes(one, &heads);
        return settlement;
    };
    let volumes: HashSet<VolumeId> = catalog.volumes().map(|volume| volume.id).collect();
    let shown: HashSet<DatasetId> = catalog
        .volumes()
        .filter(|volume| matches!(volume.backing, Backing::Snapshot(_)))
        .filter_map(|volume| Some(volume.backing.place()?.dataset))
        .collect();
    let copied = catalog.heads(one.family.id());
    let copied = copied.filter_map(|volume| volume.hydration.as_ref());
    let copied = copied.flat_map(|hydration| datasets_of(&hydration.progress));
    let mut known: HashSet<DatasetId> = heads.keys().copied().chain(shown).collect();
    known.extend(copied);
    // Those of mirrors are seen to by their ends.
    let of_mirrors = |id: &&DatasetId| super::mirrors::is_hidden(catalog, **id);
    known.extend(one.datasets.keys().filter(of_mirrors));
    for snapshot in list.iter() {
        if !volumes.contains(&snapshot.volume) {
            // It went with its volume.
            settlement.changes.push(ListChange::Remove(snapshot.id));
            continue;
        }
        known.insert(snapshot.id);
        if !snapshot.pending || (snapshot.set.is_some() && all.is_none()) {
            continue;
        }
        let all = all.unwrap_or_else(|| std::slice::from_ref(one));
        let lists = all.iter().filter_map(|one| one.list.as_ref());
        let is_there = |id| all.iter().any(|one| one.datasets.contains_key(&id));
        let change = settle(snapshot, lists, is_there);
        if let ListChange::Remove(id) = &change {
            known.remove(id);
        }
        settlement.changes.push(change);
    }
    settlement.sizes = sizes(one, &heads);
    let there = one.datasets.keys().copied();
    settlement.unknown = there.filter(|id| !known.contains(id)).collect();
    settlement
}

/// The heads that are larger than the catalog knows: a crash came while they grew.
fn sizes(
    one: &Found,
    heads: &HashMap<DatasetId, &tidelock_catalog::Volume>,
) -> Vec<(VolumeName, u64)> {
    let wrong = heads.iter().filter_map(|(id, volume)| {
        let blocks = *one.datasets.get(id)?;
        let size = blocks.checked_mul(BLOCK_BYTES)?;
        let as_known = volume.size_bytes.div_ceil(BLOCK_BYTES) == blocks;
        (!as_known).then(|| (volume.name.clone(), size))
    });
    wrong.collect()
}
