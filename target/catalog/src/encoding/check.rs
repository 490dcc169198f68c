//! What holds in every catalog that came about by commands, checked on one that came from bytes.

use std::collections::BTreeSet;

use crate::acl::Acl;
use crate::document::{ACL_ENTRIES_MAX, Catalog, GROUPS_MAX, VOLUMES_MAX};
use crate::encoding::DecodeError;
use crate::encoding::body::inconsistent;
use crate::family::Backing;
use crate::group::MEMBERS_MAX;
use crate::hydration::INTENTS_MAX;
use crate::peer::PEERS_MAX;
use crate::rules;
use crate::target::Target;
use crate::volume::{Volume, VolumeName};

/// Most targets of a catalog that is read: there could be more of them before portal groups.
const TARGETS_MAX: usize = 16_384;
/// The NAA format of the designators that the daemon gives.
const NAA_LOCALLY_ASSIGNED: u8 = 0x3;

pub(super) fn consistent(catalog: &Catalog) -> Result<(), DecodeError> {
    check_volumes(catalog)?;
    check_families(catalog)?;
    check_groups(catalog)?;
    rules::mirrors_consistent(catalog)
        .map_err(|error| inconsistent(format!("mirrors: {error}")))?;
    if catalog.intents.len() > INTENTS_MAX {
        let reason = format!("more than {INTENTS_MAX} changes are under way");
        return Err(inconsistent(reason));
    }
    check_peers(catalog)?;
    check_shared(catalog)?;
    check_targets(catalog)?;
    check_acl("discovery", &catalog.discovery)?;
    if !catalog.discovery.parameters.is_empty() {
        return Err(inconsistent("discovery sessions have no parameters"));
    }
    if rules::shares_secret(rules::chaps(catalog).map(|(_, _, chap)| chap)) {
        return Err(inconsistent(
            "a target's CHAP secret is also an initiator's",
        ));
    }
    Ok(())
}

fn check_volumes(catalog: &Catalog) -> Result<(), DecodeError> {
    if catalog.volumes.len() > VOLUMES_MAX {
        return Err(inconsistent(format!(
            "it has more than {VOLUMES_MAX} volumes"
        )));
    }
    let mut paths = BTreeSet::new();
    let mut places = BTreeSet::new();
    let mut ids = BTreeSet::new();
    let mut designators = BTreeSet::new();
    let mut serials = BTreeSet::new();
    for volume in catalog.volumes.values() {
        let about = |reason: &str| inconsistent(format!("volume {}: {reason}", volume.name));
        rules::check_size(volume.size_bytes, volume.block_size)
            .and_then(|()| volume.path.as_deref().map_or(Ok(()), rules::check_path))
            .map_err(|error| about(&error.to_string()))?;
        let is_snapshot = matches!(volume.backing, Backing::Snapshot(_));
        if volume.name.is_of_snapshot() != is_snapshot {
            return Err(about("its name isn't one for what it is"));
        }
        if volume.path.is_none() && volume.backing == Backing::Raw {
            return Err(about("it has no file"));
        }
        let place = volume.backing.place();
        if place.is_some_and(|place| !catalog.families.contains_key(&place.family)) {
            return Err(about("its family isn't there"));
        }
        let [first, ..] = volume.naa;
        if first >> 4 != NAA_LOCALLY_ASSIGNED {
            return Err(about(
                "its NAA designator isn't of the locally assigned format (3h)",
            ));
        }
        if volume.serial.is_empty()
            || volume.serial.len() > 64
            || !volume.serial.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(about(
                "its serial number isn't 1 to 64 printable characters",
            ));
        }
        if let Some(hydration) = &volume.hydration {
            rules::check_path(&hydration.file).map_err(|error| about(&error.to_string()))?;
            let shares = volume.origin.as_ref().is_some_and(|origin| !origin.copied);
            if !shares || !matches!(volume.backing, Backing::Head(_)) {
                return Err(about(
                    "it is being made a full clone, and isn't a linked one",
                ));
            }
            if !paths.insert(&hydration.file) {
                return Err(about("the file that it gets is another volume's"));
            }
        }
        let path_is_new = volume.path.as_ref().is_none_or(|path| paths.insert(path));
        let place_is_new = place.is_none_or(|place| places.insert((place.family, place.dataset)));
        if !(path_is_new
            && place_is_new
            && ids.insert(volume.id)
            && designators.insert(volume.naa)
            && serials.insert(&volume.serial))
        {
            return Err(about("another volume has the same file or identity"));
        }
    }
    Ok(())
}

fn check_families(catalog: &Catalog) -> Result<(), DecodeError> {
    let mut homes = BTreeSet::new();
    for family in catalog.families.values() {
        let about = |reason: &str| inconsistent(format!("family {}: {reason}", family.id));
        rules::check_path(&family.home.path).map_err(|error| about(&error.to_string()))?;
        if !homes.insert(&family.home.path) {
            return Err(about("another family has the same home"));
        }
        let is_home = |volume: &&Volume| {
            let own = volume.hydration.as_ref();
            own.is_some_and(|own| own.file == family.home.path)
        };
        if catalog.volumes.values().any(|volume| is_home(&volume)) {
            return Err(about("its home is a file that a clone gets"));
        }
        if catalog.heads(family.id).next().is_none() {
            return Err(about("it has no volume"));
        }
        let at_home = |volume: &&Volume| volume.path.as_ref() == Some(&family.home.path);
        let owner = catalog.volumes.values().find(at_home);
        let is_of_it = |owner: &Volume| {
            let place = owner.backing.place();
            place.is_some_and(|place| place.family == family.id)
        };
        if owner.is_some_and(|owner| !is_of_it(owner)) {
            return Err(about("its home is the file of another volume"));
        }
    }
    Ok(())
}

fn check_groups(catalog: &Catalog) -> Result<(), DecodeError> {
    if catalog.groups.len() > GROUPS_MAX {
        let reason = format!("it has more than {GROUPS_MAX} groups");
        return Err(inconsistent(reason));
    }
    let is_volume =
        |name: &VolumeName| !name.is_of_snapshot() && catalog.volumes.contains_key(name);
    for group in catalog.groups.values() {
        let about = |reason: String| inconsistent(format!("group {}: {reason}", group.name));
        if group.members.len() > MEMBERS_MAX {
            return Err(about(format!("more than {MEMBERS_MAX} volumes")));
        }
        if let Some(missing) = group.members.iter().find(|name| !is_volume(name)) {
            return Err(about(format!("there is no volume {missing}")));
        }
    }
    for (volume, schedule) in &catalog.schedules {
        let about = |reason: &str| inconsistent(format!("schedule of {volume}: {reason}"));
        if !is_volume(volume) {
            return Err(about("there is no such volume"));
        }
        rules::check_schedule(schedule).map_err(|error| about(&error.to_string()))?;
    }
    Ok(())
}

fn check_shared(catalog: &Catalog) -> Result<(), DecodeError> {
    for (volume, identity) in &catalog.shared {
        if volume.is_of_snapshot() || !catalog.volumes.contains_key(volume) {
            let reason = format!("there is no volume {volume} that could share an identity");
            return Err(inconsistent(reason));
        }
        rules::check_shared(catalog, volume, identity).map_err(inconsistent)?;
    }
    Ok(())
}

fn check_peers(catalog: &Catalog) -> Result<(), DecodeError> {
    if catalog.peers.len() > PEERS_MAX {
        return Err(inconsistent(format!("it has more than {PEERS_MAX} peers")));
    }
    let mut nodes = BTreeSet::from([catalog.identity.0]);
    let mut fingerprints = BTreeSet::new();
    for peer in catalog.peers.values() {
        if !nodes.insert(peer.node) || !fingerprints.insert(peer.fingerprint) {
            let reason = format!("peer {} is another peer as well, or this daemon", peer.name);
            return Err(inconsistent(reason));
        }
    }
    Ok(())
}

fn check_targets(catalog: &Catalog) -> Result<(), DecodeError> {
    if catalog.targets.len() > TARGETS_MAX {
        return Err(inconsistent(format!(
            "it has more than {TARGETS_MAX} targets"
        )));
    }
    let mut ports = BTreeSet::new();
    for target in catalog.targets.values() {
        if target.relative_port == 0 || !ports.insert(target.relative_port) {
            return Err(inconsistent(format!(
                "target {}: its relative port is 0 or another target's",
                target.name
            )));
        }
        check_luns(catalog, target)?;
        check_acl(target.name.as_str(), &target.acl)?;
        let all = std::iter::once(&target.parameters).chain(target.acl.parameters.values());
        for parameters in all {
            let about = |error| inconsistent(format!("target {}: {error}", target.name));
            parameters.check().map_err(about)?;
        }
    }
    Ok(())
}

fn check_luns(catalog: &Catalog, target: &Target) -> Result<(), DecodeError> {
    let mut shown = BTreeSet::new();
    for lun in target.luns.values() {
        let about = |reason| {
            inconsistent(format!(
                "target {}, LUN {}: {reason}",
                target.name, lun.number
            ))
        };
        if !catalog.volumes.contains_key(&lun.volume) {
            return Err(about(format!("there is no volume {}", lun.volume)));
        }
        if !shown.insert(&lun.volume) {
            return Err(about(format!(
                "volume {} has another LUN there",
                lun.volume
            )));
        }
    }
    Ok(())
}

fn check_acl(scope: &str, acl: &Acl) -> Result<(), DecodeError> {
    if acl.entries().len() > ACL_ENTRIES_MAX {
        let reason = format!("access list of {scope}: more than {ACL_ENTRIES_MAX} entries");
        return Err(inconsistent(reason));
    }
    Ok(())
}
