//! Rules about groups and schedules.

use std::collections::BTreeSet;

use crate::command::Change;
use crate::document::{Catalog, GROUPS_MAX};
use crate::error::CatalogError;
use crate::group::{Group, MEMBERS_MAX};
use crate::rules::volumes::find_writable;
use crate::schedule::{EVERY_SECONDS_MAX, EVERY_SECONDS_MIN, KEEP_MAX, Schedule};
use crate::snapshot::GroupName;
use crate::volume::VolumeName;

pub(super) fn create(
    catalog: &mut Catalog,
    name: GroupName,
    volumes: Vec<VolumeName>,
) -> Result<Vec<Change>, CatalogError> {
    if catalog.groups.contains_key(&name) {
        return Err(CatalogError::GroupExists { group: name });
    }
    if catalog.groups.len() >= GROUPS_MAX {
        return Err(CatalogError::TooMany {
            what: "groups",
            limit: GROUPS_MAX,
        });
    }
    let group = Group {
        name,
        members: BTreeSet::new(),
    };
    let group = with_members(catalog, group, volumes)?;
    catalog.groups.insert(group.name.clone(), group.clone());
    Ok(vec![Change::GroupChanged(group)])
}

/// The group with these volumes in it as well.
fn with_members(
    catalog: &mut Catalog,
    mut group: Group,
    volumes: Vec<VolumeName>,
) -> Result<Group, CatalogError> {
    for volume in volumes {
        find_writable(catalog, &volume)?;
        group.members.insert(volume);
    }
    if group.members.len() > MEMBERS_MAX {
        return Err(CatalogError::TooMany {
            what: "volumes in a group",
            limit: MEMBERS_MAX,
        });
    }
    Ok(group)
}

pub(super) fn delete(catalog: &mut Catalog, name: &GroupName) -> Result<Vec<Change>, CatalogError> {
    catalog.group(name)?;
    catalog.groups.remove(name);
    Ok(vec![Change::GroupDeleted(name.clone())])
}

pub(super) fn add(
    catalog: &mut Catalog,
    name: &GroupName,
    volumes: Vec<VolumeName>,
) -> Result<Vec<Change>, CatalogError> {
    let group = catalog.group(name)?.clone();
    let before = group.members.len();
    let group = with_members(catalog, group, volumes)?;
    if group.members.len() == before {
        return Ok(Vec::new());
    }
    catalog.groups.insert(name.clone(), group.clone());
    Ok(vec![Change::GroupChanged(group)])
}

pub(super) fn remove(
    catalog: &mut Catalog,
    name: &GroupName,
    volume: &VolumeName,
) -> Result<Vec<Change>, CatalogError> {
    catalog.group(name)?;
    let group = catalog.groups.get_mut(name);
    match group.filter(|group| group.members.contains(volume)) {
        Some(group) => {
            group.members.remove(volume);
            Ok(vec![Change::GroupChanged(group.clone())])
        }
        None => Err(CatalogError::NotInGroup {
            group: name.clone(),
            volume: volume.clone(),
        }),
    }
}

pub(super) fn set_schedule(
    catalog: &mut Catalog,
    volume: VolumeName,
    schedule: Option<Schedule>,
) -> Result<Vec<Change>, CatalogError> {
    find_writable(catalog, &volume)?;
    if let Some(schedule) = &schedule {
        check_schedule(schedule)?;
    }
    if catalog.schedules.get(&volume).copied() == schedule {
        return Ok(Vec::new());
    }
    match schedule {
        Some(schedule) => catalog.schedules.insert(volume.clone(), schedule),
        None => catalog.schedules.remove(&volume),
    };
    Ok(vec![Change::ScheduleSet { volume, schedule }])
}

pub(crate) fn check_schedule(schedule: &Schedule) -> Result<(), CatalogError> {
    let Schedule {
        every_seconds,
        keep,
        ..
    } = *schedule;
    if !(EVERY_SECONDS_MIN..=EVERY_SECONDS_MAX).contains(&every_seconds) {
        let reason = format!(
            "a schedule takes snapshots every {EVERY_SECONDS_MIN} to {EVERY_SECONDS_MAX} seconds, \
             not every {every_seconds}"
        );
        return Err(CatalogError::Schedule { reason });
    }
    if !(1..=KEEP_MAX).contains(&keep) {
        let reason = format!("a schedule keeps 1 to {KEEP_MAX} snapshots, not {keep}");
        return Err(CatalogError::Schedule { reason });
    }
    Ok(())
}

/// A volume is gone: it is in no group any more, no snapshots are taken of it, and it is no logical unit with another.
pub(super) fn forget_volume(catalog: &mut Catalog, volume: &VolumeName) -> Vec<Change> {
    let schedule = catalog.schedules.remove(volume);
    catalog.shared.remove(volume);
    let groups = catalog.groups.values_mut();
    let left = groups.filter_map(|group| {
        let was_in = group.members.remove(volume);
        was_in.then(|| Change::GroupChanged(group.clone()))
    });
    let mut changes: Vec<_> = left.collect();
    changes.extend(schedule.map(|_| Change::ScheduleSet {
        volume: volume.clone(),
        schedule: None,
    }));
    changes
}
