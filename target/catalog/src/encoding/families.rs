//! The JSON of families, clones, groups and schedules: plain shapes for serde, and the way between them
//! and the checked types.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::document::Catalog;
use crate::encoding::DecodeError;
use crate::encoding::body::inconsistent;
use crate::family::{Backing, DatasetId, Family, FamilyId, HomeFile, Origin, Place};
use crate::group::Group;
use crate::schedule::Schedule;
use crate::snapshot::{DatasetRef, GroupName, SnapshotName, SnapshotRef};
use crate::volume::{VolumeId, VolumeName};

/// Where in a family a volume is.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceBody {
    family: Uuid,
    dataset: Uuid,
    kind: KindBody,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum KindBody {
    Head,
    Snapshot,
}

/// What a clone was made from.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OriginBody {
    volume: String,
    snapshot: String,
    dataset: Uuid,
    linked: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    copied: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FamilyBody {
    id: Uuid,
    home: HomeBody,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HomeBody {
    path: String,
    managed: bool,
    direct: bool,
    volume: Uuid,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupBody {
    name: String,
    members: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleBody {
    volume: String,
    every_seconds: u64,
    keep: u32,
    since_unix_ms: u64,
}

impl PlaceBody {
    pub(super) fn of(backing: Backing) -> Option<Self> {
        let (place, kind) = match backing {
            Backing::Raw => return None,
            Backing::Head(place) => (place, KindBody::Head),
            Backing::Snapshot(place) => (place, KindBody::Snapshot),
        };
        Some(Self {
            family: place.family.0,
            dataset: place.dataset.0,
            kind,
        })
    }

    pub(super) fn into_backing(body: Option<Self>) -> Backing {
        let Some(Self {
            family,
            dataset,
            kind,
        }) = body
        else {
            return Backing::Raw;
        };
        let place = Place {
            family: FamilyId(family),
            dataset: DatasetId(dataset),
        };
        match kind {
            KindBody::Head => Backing::Head(place),
            KindBody::Snapshot => Backing::Snapshot(place),
        }
    }
}

impl From<&Origin> for OriginBody {
    fn from(origin: &Origin) -> Self {
        Self {
            volume: origin.volume.to_string(),
            snapshot: origin.snapshot.to_string(),
            dataset: origin.dataset.0,
            linked: origin.linked,
            copied: origin.copied,
        }
    }
}

impl OriginBody {
    pub(super) fn into_origin(self) -> Result<Origin, DecodeError> {
        Ok(Origin {
            volume: VolumeName::new(&self.volume).map_err(inconsistent)?,
            snapshot: SnapshotName::new(&self.snapshot).map_err(inconsistent)?,
            dataset: DatasetId(self.dataset),
            linked: self.linked,
            copied: self.copied,
        })
    }
}

impl From<&Family> for FamilyBody {
    fn from(family: &Family) -> Self {
        Self {
            id: family.id.0,
            home: HomeBody {
                path: family.home.path.clone(),
                managed: family.home.managed,
                direct: family.home.direct,
                volume: family.home.volume.0,
            },
        }
    }
}

impl From<&Group> for GroupBody {
    fn from(group: &Group) -> Self {
        Self {
            name: group.name.to_string(),
            members: group.members.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<(&VolumeName, &Schedule)> for ScheduleBody {
    fn from((volume, schedule): (&VolumeName, &Schedule)) -> Self {
        Self {
            volume: volume.to_string(),
            every_seconds: schedule.every_seconds,
            keep: schedule.keep,
            since_unix_ms: schedule.since_unix_ms,
        }
    }
}

/// The name of a volume, or of a snapshot as targets show it.
pub(super) fn volume_name(text: &str) -> Result<VolumeName, DecodeError> {
    let DatasetRef { volume, snapshot } = text.parse().map_err(inconsistent)?;
    Ok(match snapshot {
        None => volume,
        Some(snapshot) => VolumeName::of_snapshot(&SnapshotRef { volume, snapshot }),
    })
}

pub(super) fn into_catalog(
    catalog: &mut Catalog,
    families: Vec<FamilyBody>,
    groups: Vec<GroupBody>,
    schedules: Vec<ScheduleBody>,
) -> Result<(), DecodeError> {
    for FamilyBody { id, home } in families {
        let id = FamilyId(id);
        let family = Family {
            id,
            home: HomeFile {
                path: home.path,
                managed: home.managed,
                direct: home.direct,
                volume: VolumeId(home.volume),
            },
        };
        if catalog.families.insert(id, family).is_some() {
            return Err(inconsistent(format!("family {id} is there twice")));
        }
    }
    for group in groups {
        let name = GroupName::new(&group.name).map_err(inconsistent)?;
        let members = group.members.iter().map(|name| VolumeName::new(name));
        let members: BTreeSet<_> = members.collect::<Result<_, _>>().map_err(inconsistent)?;
        if members.len() != group.members.len() {
            return Err(inconsistent(format!(
                "group {name}: a volume is there twice"
            )));
        }
        let group = Group {
            name: name.clone(),
            members,
        };
        if catalog.groups.insert(name, group).is_some() {
            return Err(inconsistent("a group is there twice"));
        }
    }
    for body in schedules {
        let volume = VolumeName::new(&body.volume).map_err(inconsistent)?;
        let schedule = Schedule {
            every_seconds: body.every_seconds,
            keep: body.keep,
            since_unix_ms: body.since_unix_ms,
        };
        if catalog.schedules.insert(volume, schedule).is_some() {
            return Err(inconsistent("a volume has two schedules"));
        }
    }
    Ok(())
}
