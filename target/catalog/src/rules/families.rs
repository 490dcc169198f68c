//! Rules about families: how volumes come into them, clones, snapshots that targets show.

use crate::command::Change;
use crate::document::{Catalog, VOLUMES_MAX};
use crate::error::CatalogError;
use crate::family::{Backing, Family, FamilyId, HomeFile, Place};
use crate::iscsi_name::IscsiName;
use crate::rules::targets;
use crate::rules::volumes::{check_identity, check_size, find_writable};
use crate::snapshot::SnapshotRef;
use crate::target::LunNumber;
use crate::volume::{Integrity, NewClone, Volume, VolumeId, VolumeName};

pub(super) fn join(
    catalog: &mut Catalog,
    name: VolumeName,
    place: Place,
) -> Result<Vec<Change>, CatalogError> {
    check_new_place(catalog, place)?;
    if let Some(other) = catalog.heads(place.family).next() {
        let volume = other.name.clone();
        return Err(CatalogError::InFamily { volume });
    }
    let volume = find_writable(catalog, &name)?;
    let (Backing::Raw, Some(path)) = (volume.backing, volume.path.clone()) else {
        return Err(CatalogError::InFamily { volume: name });
    };
    volume.backing = Backing::Head(place);
    let family = Family {
        id: place.family,
        home: HomeFile {
            path,
            managed: volume.managed,
            direct: volume.direct,
            volume: volume.id,
        },
    };
    catalog.families.insert(family.id, family.clone());
    let volume = name;
    Ok(vec![Change::FamilyJoined { volume, family }])
}

pub(super) fn leave(catalog: &mut Catalog, name: VolumeName) -> Result<Vec<Change>, CatalogError> {
    let not_in = || CatalogError::NotInFamily {
        volume: name.clone(),
    };
    let volume = find_writable(catalog, &name)?;
    let Backing::Head(place) = volume.backing else {
        return Err(not_in());
    };
    if volume.integrity == Integrity::Full {
        return Err(CatalogError::KeepsChecksums { volume: name });
    }
    let in_family = |volume: &&Volume| {
        let other = volume.backing.place();
        volume.name != name && other.is_some_and(|other| other.family == place.family)
    };
    let others: Vec<_> = catalog.volumes.values().filter(in_family).collect();
    if !others.is_empty() {
        return Err(CatalogError::FamilyIsShared {
            others: others.into_iter().map(|other| other.name.clone()).collect(),
            volume: name,
        });
    }
    let family = catalog.families.get(&place.family).ok_or_else(not_in)?;
    let volume = catalog.volumes.get_mut(&name).ok_or_else(not_in)?;
    // A clone that outlived what the family began with has no file of its own to go back to.
    if volume.path.as_ref() != Some(&family.home.path) {
        return Err(CatalogError::FamilyIsShared {
            others: Vec::new(),
            volume: name,
        });
    }
    volume.backing = Backing::Raw;
    let family = catalog.families.remove(&place.family);
    Ok(family
        .map(|family| Change::FamilyLeft {
            volume: name,
            family,
        })
        .into_iter()
        .collect())
}

pub(super) fn create_clone(
    catalog: &mut Catalog,
    new: NewClone,
) -> Result<Vec<Change>, CatalogError> {
    check_new_volume(catalog, &new.name)?;
    check_size(new.size_bytes, new.block_size)?;
    check_known_family(catalog, new.place.family, &new.origin.volume)?;
    check_new_place(catalog, new.place)?;
    if let Some(hydration) = &new.hydration {
        super::clones::check_new(catalog, hydration)?;
    }
    let clone = Volume::new_clone(new);
    check_identity(catalog, &clone)?;
    catalog.volumes.insert(clone.name.clone(), clone.clone());
    let begun = clone
        .hydration
        .as_ref()
        .map(|hydration| Change::HydrationBegun {
            volume: clone.name.clone(),
            job: hydration.job,
        });
    let created = Change::VolumeCreated(clone);
    Ok([created].into_iter().chain(begun).collect())
}

pub(super) fn set_size(
    catalog: &mut Catalog,
    name: VolumeName,
    size_bytes: u64,
) -> Result<Vec<Change>, CatalogError> {
    let volume = find_writable(catalog, &name)?;
    let Backing::Head(_) = volume.backing else {
        return Err(CatalogError::NotInFamily { volume: name });
    };
    check_size(size_bytes, volume.block_size)?;
    let from_bytes = std::mem::replace(&mut volume.size_bytes, size_bytes);
    if from_bytes == size_bytes {
        return Ok(Vec::new());
    }
    Ok(vec![Change::VolumeResized {
        volume: name,
        from_bytes,
        to_bytes: size_bytes,
    }])
}

pub(super) fn map_snapshot(
    catalog: &mut Catalog,
    target: IscsiName,
    snapshot: &SnapshotRef,
    place: Place,
    size_bytes: u64,
    number: Option<LunNumber>,
) -> Result<Vec<Change>, CatalogError> {
    let name = VolumeName::of_snapshot(snapshot);
    let block_size = catalog.volume(&snapshot.volume)?.block_size;
    check_size(size_bytes, block_size)?;
    check_known_family(catalog, place.family, &snapshot.volume)?;
    let shown = Volume::new_snapshot(snapshot, place, size_bytes, block_size);
    let is_new = match catalog.volumes.get(&name) {
        Some(known) if known.backing == shown.backing => false,
        Some(_) => return Err(CatalogError::VolumeExists { volume: name }),
        None => {
            check_new_volume(catalog, &name)?;
            check_new_place(catalog, place)?;
            check_identity(catalog, &shown)?;
            true
        }
    };
    if is_new {
        catalog.volumes.insert(name.clone(), shown.clone());
    }
    match targets::map(catalog, target, name.clone(), number, true) {
        Ok(mapped) => {
            let created = is_new.then_some(Change::VolumeCreated(shown));
            Ok(created.into_iter().chain(mapped).collect())
        }
        Err(error) => {
            if is_new {
                catalog.volumes.remove(&name);
            }
            Err(error)
        }
    }
}

/// Removes a family that has no head any more: nothing can be made of it.
pub(super) fn delete_empty(catalog: &mut Catalog, family: FamilyId) -> Option<Change> {
    if catalog.heads(family).next().is_some() {
        return None;
    }
    let gone = catalog.families.remove(&family)?;
    Some(Change::FamilyDeleted(gone))
}

fn check_new_volume(catalog: &Catalog, name: &VolumeName) -> Result<(), CatalogError> {
    if catalog.volumes.contains_key(name) {
        return Err(CatalogError::VolumeExists {
            volume: name.clone(),
        });
    }
    if catalog.volumes.len() >= VOLUMES_MAX {
        return Err(CatalogError::TooMany {
            what: "volumes",
            limit: VOLUMES_MAX,
        });
    }
    Ok(())
}

fn check_known_family(
    catalog: &Catalog,
    family: FamilyId,
    origin: &VolumeName,
) -> Result<(), CatalogError> {
    match catalog.families.contains_key(&family) {
        true => Ok(()),
        false => Err(CatalogError::NotInFamily {
            volume: origin.clone(),
        }),
    }
}

/// A head or a snapshot is one volume's.
fn check_new_place(catalog: &Catalog, place: Place) -> Result<(), CatalogError> {
    let mut volumes = catalog.volumes.values();
    match volumes.find(|volume| volume.backing.place() == Some(place)) {
        Some(other) => Err(CatalogError::IdentityInUse {
            id: VolumeId(place.dataset.0),
            volume: other.name.clone(),
        }),
        None => Ok(()),
    }
}
