//! Rules about clones that get blocks of their own, are detached and promoted, and about what is intended.

use uuid::Uuid;

use crate::command::Change;
use crate::document::Catalog;
use crate::error::CatalogError;
use crate::family::{Backing, DatasetId, FamilyId, Origin};
use crate::hydration::{Hydration, HydrationProgress, INTENTS_MAX, Intent, IntentKind};
use crate::rules::volumes::{check_path, check_path_is_free, find_writable};
use crate::snapshot::SnapshotRef;
use crate::volume::{Integrity, Volume, VolumeName};

pub(super) fn begin(
    catalog: &mut Catalog,
    name: VolumeName,
    hydration: Hydration,
) -> Result<Vec<Change>, CatalogError> {
    check_new(catalog, &hydration)?;
    super::check_not_mirrored(catalog, &name)?;
    let volume = find_writable(catalog, &name)?;
    check_shares(volume)?;
    let job = hydration.job;
    volume.hydration = Some(hydration);
    Ok(vec![Change::HydrationBegun { volume: name, job }])
}

/// Whether a clone's file can be where it is said to be.
pub(super) fn check_new(catalog: &Catalog, hydration: &Hydration) -> Result<(), CatalogError> {
    check_path(&hydration.file)?;
    check_path_is_free(catalog, &hydration.file)
}

/// Whether a volume is a clone that shares its blocks, and nothing is being done about that.
fn check_shares(volume: &Volume) -> Result<(), CatalogError> {
    let name = volume.name.clone();
    if volume.integrity == Integrity::Full {
        return Err(CatalogError::KeepsChecksums { volume: name });
    }
    match (&volume.origin, volume.backing, &volume.hydration) {
        (None, ..) => Err(CatalogError::NotAClone { volume: name }),
        (Some(origin), ..) if origin.copied => Err(CatalogError::IsFullClone { volume: name }),
        (_, _, Some(hydration)) => Err(CatalogError::Hydrating {
            volume: name,
            job: hydration.job,
        }),
        (_, Backing::Head(_), None) => Ok(()),
        _ => Err(CatalogError::NotInFamily { volume: name }),
    }
}

fn hydrating<'a>(
    catalog: &'a mut Catalog,
    name: &VolumeName,
) -> Result<&'a mut Volume, CatalogError> {
    let volume = find_writable(catalog, name)?;
    match volume.hydration {
        Some(_) => Ok(volume),
        None => Err(CatalogError::NotHydrating {
            volume: name.clone(),
        }),
    }
}

pub(super) fn note(
    catalog: &mut Catalog,
    name: &VolumeName,
    progress: HydrationProgress,
) -> Result<Vec<Change>, CatalogError> {
    let volume = hydrating(catalog, name)?;
    match &mut volume.hydration {
        Some(hydration) if hydration.progress != progress => hydration.progress = progress,
        _ => return Ok(Vec::new()),
    }
    Ok(vec![Change::Noted])
}

pub(super) fn end(catalog: &mut Catalog, name: VolumeName) -> Result<Vec<Change>, CatalogError> {
    let hydration = hydrating(catalog, &name)?.hydration.take();
    let ended = hydration.map(|hydration| Change::HydrationEnded {
        volume: name,
        job: hydration.job,
    });
    Ok(ended.into_iter().collect())
}

/// A clone is a file of its own. A family without it may have no volume any more.
pub(super) fn part(catalog: &mut Catalog, name: VolumeName) -> Result<Vec<Change>, CatalogError> {
    let volume = hydrating(catalog, &name)?;
    let (Backing::Head(place), Some(hydration)) = (volume.backing, volume.hydration.take()) else {
        return Err(CatalogError::NotInFamily { volume: name });
    };
    volume.backing = Backing::Raw;
    volume.path = Some(hydration.file);
    volume.managed = true;
    volume.preallocated = false;
    volume.direct = false;
    match &mut volume.origin {
        Some(origin) if hydration.split => {
            origin.linked = false;
            origin.copied = true;
        }
        origin => *origin = None,
    }
    let deleted = super::families::delete_empty(catalog, place.family);
    let parted = Change::CloneParted {
        volume: name,
        family: place.family,
    };
    Ok([parted].into_iter().chain(deleted).collect())
}

pub(super) fn detach(catalog: &mut Catalog, name: VolumeName) -> Result<Vec<Change>, CatalogError> {
    let volume = find_writable(catalog, &name)?;
    match (&volume.origin, &volume.hydration) {
        (None, _) => Err(CatalogError::NotAClone { volume: name }),
        (_, Some(hydration)) => Err(CatalogError::Hydrating {
            job: hydration.job,
            volume: name,
        }),
        (Some(origin), None) if !origin.copied => Err(CatalogError::SharesBlocks {
            volume: name,
            origin: SnapshotRef {
                volume: origin.volume.clone(),
                snapshot: origin.snapshot.clone(),
            },
        }),
        _ => {
            volume.origin = None;
            Ok(vec![Change::CloneDetached { volume: name }])
        }
    }
}

/// A clone and what it was made from change places.
pub(super) fn promote(
    catalog: &mut Catalog,
    name: VolumeName,
    intent: Uuid,
    snapshots: Vec<(DatasetId, crate::snapshot::SnapshotName)>,
) -> Result<Vec<Change>, CatalogError> {
    let clone = find_writable(catalog, &name)?.clone();
    check_shares(&clone)?;
    let (Some(origin), Backing::Head(place)) = (clone.origin, clone.backing) else {
        return Err(CatalogError::NotAClone { volume: name });
    };
    let before = origin_volume(catalog, &origin, place.family, &name)?;
    before.check_not_hydrating()?;
    for (_, snapshot) in &snapshots {
        let shown = VolumeName::of_snapshot(&SnapshotRef {
            volume: before.name.clone(),
            snapshot: snapshot.clone(),
        });
        super::volumes::check_not_mapped(catalog, &shown)?;
    }
    let moved: Vec<DatasetId> = snapshots.iter().map(|(id, _)| *id).collect();
    let what = IntentKind::MoveSnapshots {
        family: place.family,
        to: clone.id,
        snapshots: moved.clone(),
    };
    intend(catalog, Intent { id: intent, what })?;
    let mut changes = vec![Change::ClonePromoted {
        volume: name.clone(),
        origin: before.name.clone(),
    }];
    for (_, snapshot) in snapshots {
        changes.extend(rename_shown(catalog, &before.name, &name, snapshot));
    }
    for volume in catalog.volumes.values_mut() {
        if volume.name == name {
            volume.origin.clone_from(&before.origin);
        } else if volume.name == before.name {
            volume.origin = Some(Origin {
                volume: name.clone(),
                ..origin.clone()
            });
        } else if let Some(other) = &mut volume.origin
            && moved.contains(&other.dataset)
        {
            other.volume = name.clone();
        }
    }
    Ok(changes)
}

/// A snapshot that targets have shown is called by its volume.
fn rename_shown(
    catalog: &mut Catalog,
    from: &VolumeName,
    to: &VolumeName,
    snapshot: crate::snapshot::SnapshotName,
) -> Vec<Change> {
    let named = |volume: &VolumeName| {
        VolumeName::of_snapshot(&SnapshotRef {
            volume: volume.clone(),
            snapshot: snapshot.clone(),
        })
    };
    let Some(old) = catalog.volumes.remove(&named(from)) else {
        return Vec::new();
    };
    let mut new = old.clone();
    new.name = named(to);
    catalog.volumes.insert(new.name.clone(), new.clone());
    vec![Change::VolumeDeleted(old), Change::VolumeCreated(new)]
}

/// The volume that a clone was made from, if it is still there.
fn origin_volume(
    catalog: &Catalog,
    origin: &Origin,
    family: FamilyId,
    clone: &VolumeName,
) -> Result<Volume, CatalogError> {
    let found = catalog.volumes.get(&origin.volume);
    let is_of_it =
        |volume: &&Volume| matches!(volume.backing, Backing::Head(place) if place.family == family);
    let found = found
        .filter(is_of_it)
        .filter(|volume| volume.name != *clone);
    found.cloned().ok_or_else(|| CatalogError::OriginIsGone {
        volume: clone.clone(),
        origin: origin.volume.clone(),
    })
}

pub(super) fn intend(catalog: &mut Catalog, intent: Intent) -> Result<Vec<Change>, CatalogError> {
    if catalog.intents.len() >= INTENTS_MAX {
        return Err(CatalogError::TooMany {
            what: "changes that are under way",
            limit: INTENTS_MAX,
        });
    }
    catalog.intents.push(intent);
    Ok(vec![Change::Noted])
}

pub(super) fn fulfil(catalog: &mut Catalog, intent: Uuid) -> Vec<Change> {
    let before = catalog.intents.len();
    catalog.intents.retain(|known| known.id != intent);
    match catalog.intents.len() < before {
        true => vec![Change::Noted],
        false => Vec::new(),
    }
}
