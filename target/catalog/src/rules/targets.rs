//! Rules about targets and their LUN maps.

use std::collections::{BTreeMap, BTreeSet};

use crate::acl::Acl;
use crate::command::Change;
use crate::document::{Catalog, TARGETS_MAX};
use crate::error::CatalogError;
use crate::family::Backing;
use crate::iscsi_name::IscsiName;
use crate::parameters::SessionParameters;
use crate::portal_group::PortalGroups;
use crate::redirect::Redirect;
use crate::target::{Lun, LunNumber, RELATIVE_PORT_MAX, Target};
use crate::volume::VolumeName;

pub(super) fn create(
    catalog: &mut Catalog,
    name: IscsiName,
    portal_groups: PortalGroups,
) -> Result<Vec<Change>, CatalogError> {
    if catalog.targets.contains_key(&name) {
        return Err(CatalogError::TargetExists { target: name });
    }
    let full = CatalogError::TooMany {
        what: "targets",
        limit: TARGETS_MAX,
    };
    if catalog.targets.len() >= TARGETS_MAX {
        return Err(full);
    }
    let relative_port = next_relative_port(catalog).ok_or(full)?;
    let target = Target {
        name: name.clone(),
        relative_port,
        portal_groups,
        luns: BTreeMap::new(),
        acl: Acl::default(),
        redirect: None,
        parameters: SessionParameters::default(),
    };
    catalog.last_relative_port = relative_port;
    catalog.targets.insert(name, target.clone());
    Ok(vec![Change::TargetCreated(target)])
}

/// Counts on from the one given last, so that a host which remembers a deleted target's port
/// doesn't meet it again as another target's until all 4095 were used.
fn next_relative_port(catalog: &Catalog) -> Option<u16> {
    let used: BTreeSet<u16> = catalog
        .targets
        .values()
        .map(|target| target.relative_port)
        .collect();
    (1..=RELATIVE_PORT_MAX)
        .cycle()
        .skip(usize::from(
            catalog.last_relative_port.min(RELATIVE_PORT_MAX),
        ))
        .take(usize::from(RELATIVE_PORT_MAX))
        .find(|port| !used.contains(port))
}

pub(super) fn set_portal_groups(
    catalog: &mut Catalog,
    name: IscsiName,
    portal_groups: PortalGroups,
) -> Result<Vec<Change>, CatalogError> {
    let target = find(catalog, &name)?;
    if target.portal_groups == portal_groups {
        return Ok(Vec::new());
    }
    target.portal_groups = portal_groups;
    Ok(vec![Change::PortalGroupsChanged {
        target: name,
        portal_groups,
    }])
}

pub(super) fn delete(
    catalog: &mut Catalog,
    name: &IscsiName,
    force: bool,
) -> Result<Vec<Change>, CatalogError> {
    let count = catalog.target(name)?.luns.len();
    if count > 0 && !force {
        return Err(CatalogError::TargetHasLuns {
            target: name.clone(),
            count,
        });
    }
    let mut target = catalog
        .targets
        .remove(name)
        .ok_or_else(|| CatalogError::NoSuchTarget {
            target: name.clone(),
        })?;
    let mut changes: Vec<_> = std::mem::take(&mut target.luns)
        .into_values()
        .map(|lun| Change::LunUnmapped {
            target: name.clone(),
            lun,
        })
        .collect();
    changes.push(Change::TargetDeleted(target));
    Ok(changes)
}

pub(super) fn map(
    catalog: &mut Catalog,
    name: IscsiName,
    volume: VolumeName,
    number: Option<LunNumber>,
    read_only: bool,
) -> Result<Vec<Change>, CatalogError> {
    let backing = catalog.volume(&volume)?.backing;
    let read_only = read_only || matches!(backing, Backing::Snapshot(_));
    let target = find(catalog, &name)?;
    if let Some(lun) = target.lun_of(&volume) {
        return Err(CatalogError::AlreadyMapped {
            volume,
            target: name,
            number: lun.number,
        });
    }
    let number = number
        .or_else(|| target.free_lun())
        .ok_or_else(|| CatalogError::TooMany {
            what: "LUNs in a target",
            limit: usize::from(LunNumber::MAX) + 1,
        })?;
    if let Some(lun) = target.luns.get(&number) {
        let volume = lun.volume.clone();
        return Err(CatalogError::LunInUse {
            target: name,
            number,
            volume,
        });
    }
    let lun = Lun {
        number,
        volume,
        read_only,
    };
    target.luns.insert(number, lun.clone());
    Ok(vec![Change::LunMapped { target: name, lun }])
}

pub(super) fn unmap(
    catalog: &mut Catalog,
    name: IscsiName,
    number: LunNumber,
) -> Result<Vec<Change>, CatalogError> {
    let target = find(catalog, &name)?;
    match target.luns.remove(&number) {
        Some(lun) => Ok(vec![Change::LunUnmapped { target: name, lun }]),
        None => Err(CatalogError::NoSuchLun {
            target: name,
            number,
        }),
    }
}

pub(super) fn set_redirect(
    catalog: &mut Catalog,
    name: IscsiName,
    redirect: Option<Redirect>,
) -> Result<Vec<Change>, CatalogError> {
    let target = find(catalog, &name)?;
    if target.redirect == redirect {
        return Ok(Vec::new());
    }
    target.redirect.clone_from(&redirect);
    Ok(vec![Change::RedirectSet {
        target: name,
        redirect,
    }])
}

fn find<'a>(catalog: &'a mut Catalog, name: &IscsiName) -> Result<&'a mut Target, CatalogError> {
    catalog
        .targets
        .get_mut(name)
        .ok_or_else(|| CatalogError::NoSuchTarget {
            target: name.clone(),
        })
}
