//! Rules about mirrors: a volume is in one at most, so there are neither loops nor chains.

use crate::command::Change;
use crate::document::Catalog;
use crate::error::CatalogError;
use crate::mirror::{MIRRORS_MAX, Mirror, MirrorId, MirrorRest, MirrorSide};
use crate::rules::volumes::find_writable;
use crate::volume::VolumeName;

pub(super) fn create(catalog: &mut Catalog, mirror: Mirror) -> Result<Vec<Change>, CatalogError> {
    if catalog.mirrors.len() >= MIRRORS_MAX {
        return Err(CatalogError::TooMany {
            what: "mirrors",
            limit: MIRRORS_MAX,
        });
    }
    check(catalog, &mirror)?;
    catalog.mirrors.insert(mirror.id, mirror.clone());
    Ok(vec![Change::MirrorCreated(mirror)])
}

/// What holds of every mirror, beside those that are there.
fn check(catalog: &mut Catalog, mirror: &Mirror) -> Result<(), CatalogError> {
    let (first, second) = (&mirror.first.volume, &mirror.second.volume);
    for volume in [first, second] {
        find_writable(catalog, volume)?.check_not_hydrating()?;
        check_not_mirrored(catalog, volume)?;
    }
    if first == second {
        return Err(CatalogError::MirrorOfItself {
            volume: first.clone(),
        });
    }
    let (one, other) = (catalog.volume(first)?, catalog.volume(second)?);
    if (one.size_bytes, one.block_size) != (other.size_bytes, other.block_size) {
        return Err(CatalogError::MirrorSizes {
            source_volume: first.clone(),
            source_bytes: one.size_bytes,
            target: second.clone(),
            target_bytes: other.size_bytes,
        });
    }
    let known = |mirror: &Mirror| [mirror.first.node, mirror.second.node];
    let is_taken = catalog.mirrors.contains_key(&mirror.id)
        || catalog
            .mirrors
            .values()
            .flat_map(known)
            .any(|node| known(mirror).contains(&node));
    if is_taken || mirror.first.node == mirror.second.node {
        return Err(CatalogError::MirrorIdentityInUse { mirror: mirror.id });
    }
    Ok(())
}

/// Nothing else may be done with a volume whose other copy wouldn't know of it.
pub(crate) fn check_not_mirrored(
    catalog: &Catalog,
    volume: &VolumeName,
) -> Result<(), CatalogError> {
    match catalog.mirror_of(volume) {
        None => Ok(()),
        Some(mirror) => {
            let side = mirror.side_of(volume).unwrap_or(MirrorSide::First);
            Err(CatalogError::VolumeIsMirrored {
                volume: volume.clone(),
                other: mirror.end(side.opposite()).volume.clone(),
            })
        }
    }
}

pub(super) fn set(
    catalog: &mut Catalog,
    id: MirrorId,
    source: MirrorSide,
    rest: MirrorRest,
) -> Result<Vec<Change>, CatalogError> {
    let mirror = catalog
        .mirrors
        .get_mut(&id)
        .ok_or(CatalogError::MirrorIsGone { mirror: id })?;
    if (mirror.source, mirror.rest) == (source, rest) {
        return Ok(Vec::new());
    }
    (mirror.source, mirror.rest) = (source, rest);
    Ok(vec![Change::Noted])
}

pub(super) fn delete(catalog: &mut Catalog, id: MirrorId) -> Result<Vec<Change>, CatalogError> {
    let gone = catalog.mirrors.remove(&id);
    let gone = gone.ok_or(CatalogError::MirrorIsGone { mirror: id })?;
    Ok(vec![Change::MirrorDeleted(gone)])
}

/// What holds in every catalog that came about by commands.
pub(crate) fn consistent(catalog: &Catalog) -> Result<(), CatalogError> {
    let mut seen = catalog.clone();
    seen.mirrors.clear();
    for mirror in catalog.mirrors.values() {
        create(&mut seen, mirror.clone())?;
    }
    Ok(())
}
