//! Rules about volumes.

use crate::asymmetric_access::{AccessChange, AlteredBy, GroupAccess};
use crate::command::Change;
use crate::document::{Catalog, VOLUMES_MAX};
use crate::error::CatalogError;
use crate::volume::{BlockSize, NewVolume, PATH_BYTES_MAX, VOLUME_BYTES_MAX, Volume, VolumeName};

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
    let volume = Volume::new(new);
    for other in catalog.volumes.values() {
        if other.path == volume.path {
            return Err(CatalogError::PathInUse {
                path: volume.path,
                volume: other.name.clone(),
            });
        }
        // The designator has fewer bits than the identity, and it is what hosts go by.
        if other.id == volume.id || other.naa == volume.naa {
            return Err(CatalogError::IdentityInUse {
                id: volume.id,
                volume: other.name.clone(),
            });
        }
    }
    catalog.volumes.insert(volume.name.clone(), volume.clone());
    Ok(vec![Change::VolumeCreated(volume)])
}

pub(super) fn resize(
    catalog: &mut Catalog,
    name: VolumeName,
    size_bytes: u64,
) -> Result<Vec<Change>, CatalogError> {
    let volume = find(catalog, &name)?;
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
    let volume = find(catalog, &name)?;
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

pub(super) fn delete(
    catalog: &mut Catalog,
    name: &VolumeName,
) -> Result<Vec<Change>, CatalogError> {
    let at: Vec<_> = catalog
        .mappings(name)
        .map(|(target, lun)| (target.name.clone(), lun.number))
        .collect();
    if !at.is_empty() {
        return Err(CatalogError::VolumeIsMapped {
            volume: name.clone(),
            at,
        });
    }
    let volume = catalog
        .volumes
        .remove(name)
        .ok_or_else(|| CatalogError::NoSuchVolume {
            volume: name.clone(),
        })?;
    Ok(vec![Change::VolumeDeleted(volume)])
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
