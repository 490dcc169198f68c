//! What holds in every catalog that came about by commands, checked on one that came from bytes.

use std::collections::BTreeSet;

use crate::acl::Acl;
use crate::document::{ACL_ENTRIES_MAX, Catalog, VOLUMES_MAX};
use crate::encoding::DecodeError;
use crate::encoding::body::inconsistent;
use crate::rules;
use crate::target::Target;

/// Most targets of a catalog that is read: there could be more of them before portal groups.
const TARGETS_MAX: usize = 16_384;
/// The NAA format of the designators that the daemon gives.
const NAA_LOCALLY_ASSIGNED: u8 = 0x3;

pub(super) fn consistent(catalog: &Catalog) -> Result<(), DecodeError> {
    check_volumes(catalog)?;
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
    let mut ids = BTreeSet::new();
    let mut designators = BTreeSet::new();
    let mut serials = BTreeSet::new();
    for volume in catalog.volumes.values() {
        let about = |reason: &str| inconsistent(format!("volume {}: {reason}", volume.name));
        rules::check_size(volume.size_bytes, volume.block_size)
            .and_then(|()| rules::check_path(&volume.path))
            .map_err(|error| about(&error.to_string()))?;
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
        if !(paths.insert(&volume.path)
            && ids.insert(volume.id)
            && designators.insert(volume.naa)
            && serials.insert(&volume.serial))
        {
            return Err(about("another volume has the same file or identity"));
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
