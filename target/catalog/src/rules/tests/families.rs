//! Rules about families, clones, snapshots that targets show, groups and schedules.

use super::*;
use crate::{
    Backing, DatasetId, FamilyId, GroupName, NewClone, Origin, Place, Schedule, SnapshotName,
    SnapshotRef,
};

pub(super) fn place(family: u128, dataset: u128) -> Place {
    Place {
        family: FamilyId(Uuid::from_u128(family)),
        dataset: DatasetId(Uuid::from_u128(dataset)),
    }
}

pub(super) fn snapshot(text: &str) -> SnapshotRef {
    text.parse().unwrap()
}

pub(super) fn join(name: &str, place: Place) -> Command {
    Command::JoinFamily {
        volume: volume(name),
        place,
    }
}

pub(super) fn clone(name: &str, number: u128, at: Place) -> Command {
    Command::CreateClone(NewClone {
        name: volume(name),
        id: VolumeId(Uuid::from_u128(
            number * 0x0001_0001_0001_0001_0001_0001_0001,
        )),
        place: at,
        size_bytes: GIB,
        block_size: BlockSize::B512,
        write_cache: true,
        origin: Origin {
            volume: volume("a"),
            snapshot: SnapshotName::new("s").unwrap(),
            dataset: DatasetId(Uuid::from_u128(50)),
            linked: false,
            copied: false,
        },
        hydration: None,
    })
}

pub(super) fn show(at: &str, what: &str, place: Place) -> Command {
    Command::MapSnapshot {
        target: target(at),
        snapshot: snapshot(what),
        place,
        size_bytes: GIB,
        number: None,
    }
}

pub(super) fn delete(name: &str) -> Command {
    Command::DeleteVolume {
        volume: volume(name),
    }
}

/// As `furnished`, where a is head 11 of family 1 and has the clone k, head 12.
pub(super) fn related() -> Catalog {
    let mut catalog = furnished();
    catalog.apply(join("a", place(1, 11))).unwrap();
    catalog.apply(clone("k", 77, place(1, 12))).unwrap();
    catalog
}

pub(super) fn round_trip(catalog: &Catalog) {
    assert_eq!(Catalog::decode(&catalog.encode()).as_ref(), Ok(catalog));
}

#[test]
fn a_volume_joins_one_family_once_and_keeps_its_identity() {
    let mut catalog = furnished();
    let before = catalog.volume(&volume("a")).unwrap().clone();
    let changes = catalog.apply(join("a", place(1, 11))).unwrap();
    assert!(matches!(&changes[..], [Change::FamilyJoined { family, .. }]
        if family.home.path == "/volumes/a" && family.home.managed));
    let after = catalog.volume(&volume("a")).unwrap();
    assert_eq!(after.backing, Backing::Head(place(1, 11)));
    assert_eq!((after.naa, &after.serial), (before.naa, &before.serial));
    round_trip(&catalog);
    for (command, text) in [
        (join("a", place(2, 21)), "in a family already"),
        (join("b", place(1, 21)), "in a family already"),
        (join("b", place(1, 11)), "belongs to volume a"),
        (join("none", place(2, 21)), "no volume none"),
    ] {
        let error = refused(&catalog, command).to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn a_clone_is_a_volume_of_its_own() {
    let catalog = related();
    round_trip(&catalog);
    let [one, other] = ["a", "k"].map(|name| catalog.volume(&volume(name)).unwrap());
    assert!(one.naa != other.naa && one.serial != other.serial && other.path.is_none());
    for (command, text) in [
        (clone("k", 78, place(1, 13)), "a volume k already"),
        (clone("l", 77, place(1, 13)), "belongs to volume k"),
        (clone("l", 78, place(1, 12)), "belongs to volume k"),
        (clone("l", 78, place(9, 13)), "volume a has no snapshots"),
    ] {
        let error = refused(&catalog, command).to_string();
        assert!(error.contains(text), "{error}");
    }
    // Where it begins is somebody's file for as long as anything of the family is there.
    let mut catalog = catalog;
    catalog
        .apply(Command::UnmapLun {
            target: target("x"),
            number: lun(0),
        })
        .unwrap();
    catalog.apply(delete("a")).unwrap();
    round_trip(&catalog);
    let mut again = new_volume("a");
    again.id = VolumeId(Uuid::from_u128(0x1234_0000_0000_0000_0000_5678));
    let error = refused(&catalog, Command::CreateVolume(again)).to_string();
    assert!(
        error.contains("/volumes/a is the file of volume k"),
        "{error}"
    );
    let changes = catalog.apply(delete("k")).unwrap();
    assert!(
        matches!(&changes[..], [Change::VolumeDeleted(_), Change::FamilyDeleted(family)]
        if family.home.path == "/volumes/a")
    );
    assert_eq!(catalog.families().len(), 0);
}

#[test]
fn only_a_volume_that_is_alone_in_its_family_leaves_it() {
    let mut catalog = related();
    let leave = |name: &str| Command::LeaveFamily {
        volume: volume(name),
    };
    let error = refused(&catalog, leave("a")).to_string();
    assert!(error.contains("shares its blocks with: k"), "{error}");
    let error = refused(&catalog, leave("b")).to_string();
    assert!(error.contains("no snapshots"), "{error}");
    catalog.apply(delete("k")).unwrap();
    let changes = catalog.apply(leave("a")).unwrap();
    assert!(matches!(&changes[..], [Change::FamilyLeft { .. }]));
    assert_eq!(catalog.volume(&volume("a")).unwrap().backing, Backing::Raw);
    assert_eq!(catalog.families().len(), 0);
    round_trip(&catalog);
    // A clone has no file to go back to.
    let mut catalog = related();
    let unmap = Command::UnmapLun {
        target: target("x"),
        number: lun(0),
    };
    catalog.apply(unmap).unwrap();
    catalog.apply(delete("a")).unwrap();
    assert_eq!(refused(&catalog, leave("k")).kind(), ErrorKind::Conflict);
}

#[test]
fn a_head_has_the_size_that_its_family_says_and_nothing_else_has() {
    let mut catalog = related();
    let set = |name: &str, size_bytes| Command::SetHeadSize {
        volume: volume(name),
        size_bytes,
    };
    assert_eq!(catalog.apply(set("k", GIB)).unwrap(), []);
    assert_eq!(catalog.apply(set("k", GIB / 2)).unwrap().len(), 1);
    assert_eq!(refused(&catalog, set("k", 0)).kind(), ErrorKind::Invalid);
    assert_eq!(
        refused(&catalog, set("b", 4_096)).kind(),
        ErrorKind::Conflict
    );
}

#[test]
fn a_snapshot_is_shown_read_only_under_one_identity_for_ever() {
    let mut catalog = related();
    catalog.apply(show("y", "a@s", place(1, 50))).unwrap();
    round_trip(&catalog);
    let name = VolumeName::of_snapshot(&snapshot("a@s"));
    let shown = catalog.volume(&name).unwrap().clone();
    assert!(catalog.target(&target("y")).unwrap().luns[&lun(0)].read_only);
    let error = refused(&catalog, show("y", "a@s", place(1, 50)));
    assert!(
        matches!(error, CatalogError::AlreadyMapped { .. }),
        "{error}"
    );
    catalog.apply(show("x", "a@s", place(1, 50))).unwrap();
    for (command, text) in [
        (show("x", "k@s", place(1, 50)), "belongs to volume a@s"),
        (show("x", "a@t", place(9, 51)), "no snapshots"),
        (show("x", "none@t", place(1, 51)), "no volume none"),
        (show("none", "a@t", place(1, 51)), "no target"),
        (
            Command::DeleteVolume {
                volume: name.clone(),
            },
            "is mapped",
        ),
        (
            Command::ResizeVolume {
                volume: name.clone(),
                size_bytes: 2 * GIB,
            },
            "is a snapshot, which is read-only",
        ),
        (
            Command::AddToGroup {
                group: group("g"),
                volumes: vec![name.clone()],
            },
            "no group g",
        ),
    ] {
        let error = refused(&catalog, command).to_string();
        assert!(error.contains(text), "{error}");
    }
    for at in ["x", "y"] {
        let number = catalog
            .target(&target(at))
            .unwrap()
            .lun_of(&name)
            .unwrap()
            .number;
        let target = target(at);
        catalog.apply(Command::UnmapLun { target, number }).unwrap();
    }
    // Not shown any more, and the same when it is shown again; never to be written to.
    let again = Command::MapLun {
        target: target("y"),
        volume: name.clone(),
        number: None,
        read_only: false,
    };
    catalog.apply(again).unwrap();
    assert_eq!(*catalog.volume(&name).unwrap(), shown);
    assert!(catalog.target(&target("y")).unwrap().luns[&lun(0)].read_only);
}

#[test]
fn a_volume_is_deleted_with_the_snapshots_that_were_shown_but_not_while_they_are() {
    let mut catalog = related();
    catalog.apply(show("y", "k@s", place(1, 51))).unwrap();
    catalog.apply(clone("k-s", 79, place(1, 13))).unwrap();
    let error = refused(&catalog, delete("k")).to_string();
    assert!(error.contains("volume k@s is mapped"), "{error}");
    let unmap = Command::UnmapLun {
        target: target("y"),
        number: lun(0),
    };
    catalog.apply(unmap).unwrap();
    assert_eq!(catalog.apply(delete("k")).unwrap().len(), 2);
    assert!(catalog.volume(&volume("k-s")).is_ok());
    round_trip(&catalog);
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

#[test]
fn groups_have_volumes_that_are_there() {
    let mut catalog = related();
    let add = |volumes: &[&str]| Command::AddToGroup {
        group: group("g"),
        volumes: volumes.iter().map(|name| volume(name)).collect(),
    };
    assert_eq!(refused(&catalog, add(&["a"])).kind(), ErrorKind::NotFound);
    let create = |volumes: &[&str]| Command::CreateGroup {
        group: group("g"),
        volumes: volumes.iter().map(|name| volume(name)).collect(),
    };
    assert_eq!(
        refused(&catalog, create(&["none"])).kind(),
        ErrorKind::NotFound
    );
    catalog.apply(create(&[])).unwrap();
    let create = create(&["a"]);
    assert_eq!(refused(&catalog, create).kind(), ErrorKind::Conflict);
    assert_eq!(
        refused(&catalog, add(&["a", "none"])).kind(),
        ErrorKind::NotFound
    );
    assert_eq!(catalog.apply(add(&["k", "b", "k"])).unwrap().len(), 1);
    assert_eq!(catalog.apply(add(&["b"])).unwrap(), []);
    round_trip(&catalog);
    // Whatever is deleted is in no group any more.
    let changes = catalog.apply(delete("k")).unwrap();
    assert!(
        matches!(&changes[..], [Change::GroupChanged(group), Change::VolumeDeleted(_)]
        if group.members.len() == 1)
    );
    let remove = |name: &str| Command::RemoveFromGroup {
        group: group("g"),
        volume: volume(name),
    };
    assert_eq!(refused(&catalog, remove("a")).kind(), ErrorKind::NotFound);
    catalog.apply(remove("b")).unwrap();
    round_trip(&catalog);
    catalog
        .apply(Command::DeleteGroup { group: group("g") })
        .unwrap();
    let gone = Command::DeleteGroup { group: group("g") };
    assert_eq!(refused(&catalog, gone).kind(), ErrorKind::NotFound);
}

#[test]
fn a_group_ends_somewhere() {
    let mut catalog = related();
    catalog
        .apply(Command::CreateGroup {
            group: group("g"),
            volumes: Vec::new(),
        })
        .unwrap();
    let volumes: Vec<_> = (0..crate::group::MEMBERS_MAX as u128)
        .map(|n| {
            let name = format!("k{n}");
            catalog
                .apply(clone(&name, 1_000 + n, place(1, 1_000 + n)))
                .unwrap();
            volume(&name)
        })
        .collect();
    let add = |volumes| Command::AddToGroup {
        group: group("g"),
        volumes,
    };
    catalog.apply(add(volumes)).unwrap();
    let error = refused(&catalog, add(vec![volume("a")]));
    assert_eq!(error.kind(), ErrorKind::Limit);
}

#[test]
fn schedules_have_bounds_and_go_with_their_volume() {
    let mut catalog = related();
    let set = |every_seconds, keep| Command::SetSchedule {
        volume: volume("k"),
        schedule: Some(Schedule {
            every_seconds,
            keep,
            since_unix_ms: 5,
        }),
    };
    for (every, keep) in [(59, 1), (0, 1), (u64::MAX, 1), (60, 0), (60, 10_001)] {
        assert_eq!(
            refused(&catalog, set(every, keep)).kind(),
            ErrorKind::Invalid
        );
    }
    assert_eq!(catalog.apply(set(3_600, 24)).unwrap().len(), 1);
    assert_eq!(catalog.apply(set(3_600, 24)).unwrap(), []);
    round_trip(&catalog);
    assert_eq!(catalog.schedule(&volume("k")).unwrap().keep, 24);
    let changes = catalog.apply(delete("k")).unwrap();
    assert!(changes.contains(&Change::ScheduleSet {
        volume: volume("k"),
        schedule: None,
    }));
    assert_eq!(catalog.schedules().len(), 0);
    round_trip(&catalog);
}
