//! Rules about mirrors: a volume is in one at most, so there are neither loops nor chains. What holds of a volume of
//! a peer (its size, and that nothing else writes it) the peer's own rules and the introduction of the two ends see to.

use crate::command::Change;
use crate::document::Catalog;
use crate::error::CatalogError;
use crate::mirror::{
    Elsewhere, MIRRORS_MAX, Mirror, MirrorCompression, MirrorEnd, MirrorFailover, MirrorId,
    MirrorMode, MirrorRest, MirrorSide, RESYNC_LIMIT_MIN,
};
use crate::rules::volumes::find_writable;
use crate::snapshot::PeerName;
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
    for end in [&mirror.first, &mirror.second] {
        check_end(catalog, mirror, end)?;
    }
    check_failover(mirror)?;
    check_resync_limit(mirror.resync_limit)?;
    check_compression(mirror, mirror.compression)?;
    if mirror.remote().is_none() {
        check_alike(catalog, &mirror.first.volume, &mirror.second.volume)?;
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

/// Nobody takes over by himself what isn't all there, or what nobody else has.
fn check_failover(mirror: &Mirror) -> Result<(), CatalogError> {
    let can = mirror.remote().is_some() && mirror.mode == MirrorMode::Synchronous;
    match mirror.failover {
        MirrorFailover::Automatic if !can => Err(CatalogError::NoAutomaticFailover {
            first: mirror.first.to_string(),
            second: mirror.second.to_string(),
        }),
        _ => Ok(()),
    }
}

fn check_end(catalog: &mut Catalog, mirror: &Mirror, end: &MirrorEnd) -> Result<(), CatalogError> {
    let Some(Elsewhere { peer, .. }) = &end.elsewhere else {
        find_writable(catalog, &end.volume)?.check_not_hydrating()?;
        return check_not_mirrored(catalog, &end.volume);
    };
    catalog.peer(peer)?;
    let (first, second) = (&mirror.first, &mirror.second);
    if !first.is_here() && !second.is_here() {
        return Err(CatalogError::MirrorIsElsewhere {
            first: first.to_string(),
            second: second.to_string(),
        });
    }
    let taken = catalog.mirrors_with(peer).find_map(|known| {
        let (side, _) = known.remote()?;
        let is_it = known.end(side).volume == end.volume;
        is_it.then(|| known.end(side.opposite()).volume.clone())
    });
    match taken {
        None => Ok(()),
        Some(volume) => Err(CatalogError::RemoteIsMirrored {
            remote: end.to_string(),
            volume,
        }),
    }
}

/// Two volumes of this daemon can be equal.
fn check_alike(
    catalog: &Catalog,
    first: &VolumeName,
    second: &VolumeName,
) -> Result<(), CatalogError> {
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
    Ok(())
}

/// A peer whose volumes are mirrored has to stay one.
pub(super) fn check_peer_unused(catalog: &Catalog, peer: &PeerName) -> Result<(), CatalogError> {
    let user = catalog.mirrors_with(peer).find_map(|mirror| {
        let (side, _) = mirror.remote()?;
        Some(mirror.end(side.opposite()).volume.clone())
    });
    match user {
        None => Ok(()),
        Some(volume) => Err(CatalogError::PeerHasMirror {
            peer: peer.clone(),
            volume,
        }),
    }
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
                other: mirror.end(side.opposite()).to_string(),
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

pub(super) fn set_mode(
    catalog: &mut Catalog,
    id: MirrorId,
    mode: MirrorMode,
) -> Result<Vec<Change>, CatalogError> {
    let mirror = catalog
        .mirrors
        .get_mut(&id)
        .ok_or(CatalogError::MirrorIsGone { mirror: id })?;
    if mirror.mode == mode {
        return Ok(Vec::new());
    }
    check_failover(&Mirror {
        mode,
        ..mirror.clone()
    })?;
    mirror.mode = mode;
    Ok(vec![Change::Noted])
}

pub(super) fn set_resync_limit(
    catalog: &mut Catalog,
    id: MirrorId,
    limit: Option<u64>,
) -> Result<Vec<Change>, CatalogError> {
    let mirror = catalog
        .mirrors
        .get_mut(&id)
        .ok_or(CatalogError::MirrorIsGone { mirror: id })?;
    check_resync_limit(limit)?;
    if mirror.resync_limit == limit {
        return Ok(Vec::new());
    }
    mirror.resync_limit = limit;
    Ok(vec![Change::Noted])
}

pub(super) fn set_compression(
    catalog: &mut Catalog,
    id: MirrorId,
    compression: MirrorCompression,
) -> Result<Vec<Change>, CatalogError> {
    let mirror = catalog
        .mirrors
        .get_mut(&id)
        .ok_or(CatalogError::MirrorIsGone { mirror: id })?;
    check_compression(mirror, compression)?;
    if mirror.compression == compression {
        return Ok(Vec::new());
    }
    mirror.compression = compression;
    Ok(vec![Change::Noted])
}

/// Between two volumes of one daemon nothing is sent anywhere.
fn check_compression(mirror: &Mirror, compression: MirrorCompression) -> Result<(), CatalogError> {
    match compression {
        MirrorCompression::Zstd if mirror.remote().is_none() => {
            Err(CatalogError::NothingToCompress {
                first: mirror.first.to_string(),
                second: mirror.second.to_string(),
            })
        }
        _ => Ok(()),
    }
}

/// So slow that nobody could wait for it is a mistake.
fn check_resync_limit(limit: Option<u64>) -> Result<(), CatalogError> {
    match limit {
        Some(limit) if limit < RESYNC_LIMIT_MIN => Err(CatalogError::ResyncLimit { limit }),
        _ => Ok(()),
    }
}

pub(super) fn set_failover(
    catalog: &mut Catalog,
    id: MirrorId,
    failover: MirrorFailover,
) -> Result<Vec<Change>, CatalogError> {
    let mirror = catalog
        .mirrors
        .get_mut(&id)
        .ok_or(CatalogError::MirrorIsGone { mirror: id })?;
    if mirror.failover == failover {
        return Ok(Vec::new());
    }
    check_failover(&Mirror {
        failover,
        ..mirror.clone()
    })?;
    mirror.failover = failover;
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
