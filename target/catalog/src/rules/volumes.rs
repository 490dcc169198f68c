//! Rules about volumes.

use crate::asymmetric_access::{AccessChange, AlteredBy, GroupAccess};
use crate::command::Change;
use crate::document::{Catalog, VOLUMES_MAX};
use crate::error::CatalogError;
use crate::family::Backing;
use crate::volume::{
    BlockSize, NewVolume, PATH_BYTES_MAX, SPACE_LIMIT_MIN, SpaceLimits, VOLUME_BYTES_MAX, Volume,
    VolumeName,
};

pub(super) fn create(catalog: &mut Catalog, new: NewVolume) -> Result<Vec<Change>, CatalogError> {
    if catalog.volumes.contains_key(&new.name) {
        return Err(CatalogError::VolumeExists { volume: new.name });
    }
    if catalog.volumes.len() >= VOLUMES_MAX {
        return Err(CatalogError::TooMany {
            what: "volumes",
            limit: VOLUMES_MAX,
        });
    }
    check_size(new.size_bytes, new.block_size)?;
    check_path(&new.path)?;
    check_path_is_free(catalog, &new.path)?;
    check_space_limits(new.limits, new.preallocated)?;
    let volume = Volume::new(new);
    check_identity(catalog, &volume)?;
    catalog.volumes.insert(volume.name.clone(), volume.clone());
    Ok(vec![Change::VolumeCreated(volume)])
}

/// A file is one volume's, or the home of one family.
pub(super) fn check_path_is_free(catalog: &Catalog, path: &str) -> Result<(), CatalogError> {
    let in_use = |volume: &VolumeName| CatalogError::PathInUse {
        path: path.to_owned(),
        volume: volume.clone(),
    };
    let is_its = |other: &&Volume| {
        let getting = other.hydration.as_ref().map(|own| own.file.as_str());
        other.path.as_deref() == Some(path) || getting == Some(path)
    };
    if let Some(other) = catalog.volumes.values().find(is_its) {
        return Err(in_use(&other.name));
    }
    let home = catalog
        .families
        .values()
        .find(|family| family.home.path == path);
    // A family has at least one head.
    match home.and_then(|family| catalog.heads(family.id).next()) {
        Some(clone) => Err(in_use(&clone.name)),
        None => Ok(()),
    }
}

/// The designator has fewer bits than the identity, and it is what hosts go by.
pub(super) fn check_identity(catalog: &Catalog, volume: &Volume) -> Result<(), CatalogError> {
    let mut others = catalog.volumes.values();
    match others.find(|other| other.id == volume.id || other.naa == volume.naa) {
        Some(other) => Err(CatalogError::IdentityInUse {
            id: volume.id,
            volume: other.name.clone(),
        }),
        None => Ok(()),
    }
}

pub(crate) fn check_space_limits(
    limits: SpaceLimits,
    preallocated: bool,
) -> Result<(), CatalogError> {
    let refuse = |reason| Err(CatalogError::SpaceLimits { reason });
    match (limits.limit_bytes, limits.warn_percent) {
        (None, None) => Ok(()),
        _ if preallocated => refuse("a volume that is preallocated has its space already"),
        (Some(bytes), _) if bytes < SPACE_LIMIT_MIN => refuse("a limit is at least 1 MiB"),
        (_, Some(percent)) if !(1..=99).contains(&percent) => {
            refuse("a warning comes at 1 to 99 percent of the limit")
        }
        (None, Some(_)) => refuse("a warning needs a limit that it is a part of"),
        (Some(_), _) => Ok(()),
    }
}

pub(super) fn set_space_limits(
    catalog: &mut Catalog,
    name: VolumeName,
    limits: SpaceLimits,
) -> Result<Vec<Change>, CatalogError> {
    let volume = find_writable(catalog, &name)?;
    check_space_limits(limits, volume.preallocated)?;
    if volume.limits == limits {
        return Ok(Vec::new());
    }
    volume.limits = limits;
    Ok(vec![Change::SpaceLimitsSet {
        volume: name,
        limits,
    }])
}

pub(super) fn resize(
    catalog: &mut Catalog,
    name: VolumeName,
    size_bytes: u64,
) -> Result<Vec<Change>, CatalogError> {
    super::check_not_mirrored(catalog, &name)?;
    let volume = find_writable(catalog, &name)?;
    check_size(size_bytes, volume.block_size)?;
    let from_bytes = volume.size_bytes;
    if size_bytes < from_bytes {
        return Err(CatalogError::WouldShrink {
            volume: name,
            from_bytes,
            to_bytes: size_bytes,
        });
    }
    if size_bytes == from_bytes {
        return Ok(Vec::new());
    }
    volume.size_bytes = size_bytes;
    Ok(vec![Change::VolumeResized {
        volume: name,
        from_bytes,
        to_bytes: size_bytes,
    }])
}

pub(super) fn set_write_cache(
    catalog: &mut Catalog,
    name: VolumeName,
    enabled: bool,
) -> Result<Vec<Change>, CatalogError> {
    let volume = find_writable(catalog, &name)?;
    if volume.write_cache == enabled {
        return Ok(Vec::new());
    }
    volume.write_cache = enabled;
    Ok(vec![Change::WriteCacheSet {
        volume: name,
        enabled,
    }])
}

pub(super) fn set_access(
    catalog: &mut Catalog,
    name: VolumeName,
    changes: &[AccessChange],
    by: AlteredBy,
) -> Result<Vec<Change>, CatalogError> {
    let volume = find(catalog, &name)?;
    let mut access = volume.access.clone();
    for change in changes {
        change.apply(access.entry(change.group).or_default(), by);
    }
    // What is as it was at the beginning needs no entry.
    access.retain(|_, access| *access != GroupAccess::default());
    if access == volume.access {
        return Ok(Vec::new());
    }
    volume.access.clone_from(&access);
    Ok(vec![Change::AsymmetricAccessChanged {
        volume: name,
        access,
    }])
}

pub(super) fn check_not_mapped(catalog: &Catalog, name: &VolumeName) -> Result<(), CatalogError> {
    let at: Vec<_> = catalog
        .mappings(name)
        .map(|(target, lun)| (target.name.clone(), lun.number))
        .collect();
    if at.is_empty() {
        return Ok(());
    }
    Err(CatalogError::VolumeIsMapped {
        volume: name.clone(),
        at,
    })
}

pub(super) fn delete(
    catalog: &mut Catalog,
    name: &VolumeName,
) -> Result<Vec<Change>, CatalogError> {
    super::check_not_mirrored(catalog, name)?;
    check_not_mapped(catalog, name)?;
    let place = catalog.volume(name)?.backing.place();
    // Its snapshots go with it, as far as targets have shown them.
    let of_it = |shown: &&VolumeName| {
        let rest = shown.as_str().strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.starts_with('@'))
    };
    let shown: Vec<_> = catalog.volumes.keys().filter(of_it).cloned().collect();
    for snapshot in &shown {
        check_not_mapped(catalog, snapshot)?;
    }
    let mut changes = super::groups::forget_volume(catalog, name);
    for gone in shown.iter().chain([name]) {
        let gone = catalog.volumes.remove(gone);
        changes.extend(gone.map(Change::VolumeDeleted));
    }
    changes.extend(place.and_then(|place| super::families::delete_empty(catalog, place.family)));
    Ok(changes)
}

/// A volume that isn't a snapshot.
pub(super) fn find_writable<'a>(
    catalog: &'a mut Catalog,
    name: &VolumeName,
) -> Result<&'a mut Volume, CatalogError> {
    let volume = find(catalog, name)?;
    match volume.backing {
        Backing::Snapshot(_) => Err(CatalogError::IsSnapshot {
            volume: name.clone(),
        }),
        Backing::Raw | Backing::Head(_) => Ok(volume),
    }
}

fn find<'a>(catalog: &'a mut Catalog, name: &VolumeName) -> Result<&'a mut Volume, CatalogError> {
    catalog
        .volumes
        .get_mut(name)
        .ok_or_else(|| CatalogError::NoSuchVolume {
            volume: name.clone(),
        })
}

pub(crate) fn check_size(size_bytes: u64, block_size: BlockSize) -> Result<(), CatalogError> {
    if size_bytes == 0 || size_bytes > VOLUME_BYTES_MAX {
        return Err(CatalogError::SizeOutOfRange { size_bytes });
    }
    let block_bytes = block_size.bytes();
    if !size_bytes.is_multiple_of(u64::from(block_bytes)) {
        return Err(CatalogError::SizeNotWholeBlocks {
            size_bytes,
            block_bytes,
        });
    }
    Ok(())
}

pub(crate) fn check_path(path: &str) -> Result<(), CatalogError> {
    let reason = if !path.starts_with('/') {
        "it isn't absolute"
    } else if path.len() > PATH_BYTES_MAX {
        "it is longer than 4095 bytes"
    } else if path.chars().any(char::is_control) {
        "it has control characters"
    } else if path.ends_with('/') {
        "it names a folder"
    } else {
        return Ok(());
    };
    Err(CatalogError::Path {
        path: path.chars().take(200).collect(),
        reason,
    })
}
