//! All that there is, as the WBEM server tells of it. Reads live objects; waits for no disk.

use std::collections::BTreeMap;

use tidelock_admin::v1;
use tidelock_capabilities::facts::{ElementId, Store};
use tidelock_capabilities::values::LocalOrRemote;
use tidelock_catalog::{Catalog, SnapshotRef, Volume, VolumeName};
use tidelock_wbem::model::{
    ConcreteJob, Health, Inventory, JobState, PeerSystem, ReplicationGroup, SnapshotSet,
    StorageAssociation, StorageElement, System,
};
use uuid::Uuid;

use crate::registry::{Far, MirrorRelation, Registry};
use crate::shared::Shared;

/// All that there is now.
pub(super) fn inventory(shared: &Shared, jobs: Vec<v1::Job>, peers: Vec<PeerSystem>) -> Inventory {
    let registry = &shared.registry;
    let catalog = registry.catalog();
    let snapshots = registry.snapshots(None).unwrap_or_default();
    let mut elements: Vec<StorageElement> = volumes(&catalog)
        .map(|record| volume(registry, record))
        .collect();
    let mut names: BTreeMap<String, ElementId> = elements
        .iter()
        .map(|element| (element.name.clone(), element.id))
        .collect();
    for it in &snapshots {
        let Some(element) = snapshot(registry, &catalog, it) else {
            continue;
        };
        names.insert(element.name.clone(), element.id);
        elements.push(element);
    }
    let mirrors = registry.mirror_relations();
    let far = mirrors.iter().filter_map(|it| it.far.as_ref());
    elements.extend(far.filter_map(|it| far_volume(&catalog, it, &peers)));
    Inventory {
        system: System {
            name: catalog.identity().0.to_string(),
            ready: registry.is_loaded(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        associations: associations(registry, &catalog, &snapshots, (&names, mirrors)),
        groups: groups(registry, &catalog, &names),
        jobs: jobs.into_iter().map(|it| job(it, &names)).collect(),
        peers,
        elements,
    }
}

fn volumes(catalog: &Catalog) -> impl Iterator<Item = &Volume> {
    let all = catalog.volumes();
    all.filter(|volume| !volume.name.is_of_snapshot())
}

fn volume(registry: &Registry, record: &Volume) -> StorageElement {
    StorageElement {
        id: ElementId(record.id.0.as_u128()),
        name: record.name.to_string(),
        snapshot: false,
        naa: Some(record.naa),
        size_bytes: record.size_bytes,
        block_size: record.block_size.bytes(),
        health: health(registry, &record.name),
        peer: None,
    }
}

fn snapshot(registry: &Registry, catalog: &Catalog, it: &v1::Snapshot) -> Option<StorageElement> {
    let volume = VolumeName::new(&it.volume).ok()?;
    let record = catalog.volume(&volume).ok()?;
    let called = SnapshotRef {
        volume: volume.clone(),
        snapshot: tidelock_catalog::SnapshotName::new(&it.name).ok()?,
    };
    // Only what is shown to hosts has a designator.
    let shown = catalog.volume(&VolumeName::of_snapshot(&called)).ok();
    Some(StorageElement {
        id: snapshot_id(it)?,
        name: called.to_string(),
        snapshot: true,
        naa: shown.map(|shown| shown.naa),
        size_bytes: it.size_bytes,
        block_size: record.block_size.bytes(),
        health: health(registry, &volume),
        peer: None,
    })
}

/// What a peer has of a mirror. It is as large as what is here, and whether it is well is the peer's to know.
fn far_volume(catalog: &Catalog, far: &Far, peers: &[PeerSystem]) -> Option<StorageElement> {
    let near = catalog.volume(&far.near).ok()?;
    let peer = catalog.peer(&far.peer).ok()?.node.to_string();
    let answers = peers.iter().any(|it| it.id == peer && it.reachable);
    Some(StorageElement {
        id: far.id,
        name: far.name.clone(),
        snapshot: false,
        naa: None,
        size_bytes: near.size_bytes,
        block_size: near.block_size.bytes(),
        health: match answers {
            true => Health::Ok,
            false => Health::NoContact,
        },
        peer: Some(peer),
    })
}

fn snapshot_id(it: &v1::Snapshot) -> Option<ElementId> {
    let id = Uuid::parse_str(&it.id).ok()?;
    Some(ElementId(id.as_u128()))
}

fn health(registry: &Registry, name: &VolumeName) -> Health {
    match registry.store_of(name) {
        Store::Healthy => Health::Ok,
        Store::Missing => Health::NoContact,
        _ => Health::Failed,
    }
}

fn associations(
    registry: &Registry,
    catalog: &Catalog,
    snapshots: &[v1::Snapshot],
    (names, mirrors): (&BTreeMap<String, ElementId>, Vec<MirrorRelation>),
) -> Vec<StorageAssociation> {
    let of_snapshots = snapshots.iter().filter_map(|it| {
        let source = names.get(&it.volume)?;
        let relation = Registry::snapshot_relation(*source, snapshot_id(it)?);
        Some(association(&relation, None, Some(it.at.clone())))
    });
    let percent: BTreeMap<String, Option<u8>> = registry
        .clones()
        .into_iter()
        .map(|clone| (clone.name, clone.percent_synced))
        .collect();
    let of_clones = volumes(catalog).filter_map(|record| {
        let relation = registry.clone_relation(record)?;
        let percent = percent.get(record.name.as_str()).copied().flatten();
        Some(association(&relation, percent, None))
    });
    let of_mirrors = mirrors.into_iter().map(|it| StorageAssociation {
        stops_hosts: Some(it.stops_hosts),
        locality: match it.far {
            Some(_) => LocalOrRemote::Remote,
            None => LocalOrRemote::Local,
        },
        ..association(&it.association, it.percent_synced, None)
    });
    of_snapshots.chain(of_clones).chain(of_mirrors).collect()
}

fn association(
    relation: &tidelock_capabilities::facts::Association,
    percent_synced: Option<u8>,
    when_synced: Option<String>,
) -> StorageAssociation {
    StorageAssociation {
        key: relation.key,
        sync_type: relation.sync_type,
        mode: relation.mode,
        copy_state: relation.copy_state,
        progress_status: relation.progress_status,
        percent_synced,
        when_synced,
        stops_hosts: None,
        locality: LocalOrRemote::Local,
    }
}

fn groups(
    registry: &Registry,
    catalog: &Catalog,
    names: &BTreeMap<String, ElementId>,
) -> Vec<ReplicationGroup> {
    let all = catalog.groups();
    all.filter_map(|group| {
        let told = registry.group(&group.name).ok()?;
        let sets = told.sets.iter().map(|set| SnapshotSet {
            name: set.name.clone(),
            members: set
                .volumes
                .iter()
                .filter_map(|volume| names.get(&format!("{volume}@{}", set.name)).copied())
                .collect(),
            at: set.at.clone(),
        });
        Some(ReplicationGroup {
            name: told.name,
            members: told
                .volumes
                .iter()
                .filter_map(|volume| names.get(volume).copied())
                .collect(),
            sets: sets.collect(),
        })
    })
    .collect()
}

fn job(job: v1::Job, names: &BTreeMap<String, ElementId>) -> ConcreteJob {
    let state = match job.state {
        v1::JobState::Suspended => JobState::Suspended,
        v1::JobState::ShuttingDown => JobState::ShuttingDown,
        v1::JobState::Completed => JobState::Completed,
        v1::JobState::Terminated => JobState::Terminated,
        v1::JobState::Exception => JobState::Exception,
        _ => JobState::Running,
    };
    ConcreteJob {
        id: job.id,
        description: format!("{} {}", job.kind.name(), job.volume),
        state,
        percent: job.percent,
        started: job.started,
        detail: match job.error.is_empty() {
            true => job.waiting,
            false => job.error,
        },
        element: names.get(&job.volume).copied(),
    }
}
