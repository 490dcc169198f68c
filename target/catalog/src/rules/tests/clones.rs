//! Rules about clones that get blocks of their own, are detached and promoted.

use super::families::{clone, delete, place, related, round_trip, show, snapshot};
use super::*;
use crate::{
    Backing, DatasetId, Hydration, HydrationProgress, Intent, IntentKind, NewClone, RestoreMember,
    SnapshotName,
};

const FILE: &str = "/volumes/k.own";

fn dataset(number: u128) -> DatasetId {
    DatasetId(Uuid::from_u128(number))
}

fn hydration(file: &str, split: bool) -> Hydration {
    Hydration {
        file: file.into(),
        job: 3,
        split,
        bytes_per_second: Some(1 << 20),
        progress: HydrationProgress::default(),
    }
}

fn begin(name: &str, file: &str) -> Command {
    Command::BeginHydration {
        volume: volume(name),
        hydration: hydration(file, true),
    }
}

fn part(name: &str) -> Command {
    Command::PartClone {
        volume: volume(name),
    }
}

fn detach(name: &str) -> Command {
    Command::DetachClone {
        volume: volume(name),
    }
}

#[test]
fn a_linked_clone_becomes_a_full_one_and_is_detached() {
    let mut catalog = related();
    for (command, text) in [
        (begin("a", FILE), "volume a isn't a clone"),
        (begin("k", "/volumes/a"), "is the file of volume"),
        (begin("k", "k.own"), "isn't absolute"),
        (part("k"), "isn't being made a full clone"),
        (detach("a"), "volume a isn't a clone"),
        (
            detach("k"),
            "k shares blocks with a@s: it can't be detached",
        ),
    ] {
        let error = refused(&catalog, command).to_string();
        assert!(error.contains(text), "{error}");
    }
    assert!(
        refused(&catalog, detach("k"))
            .hint()
            .contains("clone split")
    );
    catalog.apply(begin("k", FILE)).unwrap();
    round_trip(&catalog);
    for (command, text) in [
        (begin("k", "/volumes/other"), "by job 3"),
        (detach("k"), "by job 3"),
    ] {
        let error = refused(&catalog, command);
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.hint().contains("job watch"), "{}", error.hint());
    }
    // Its file is nobody else's.
    let mut other = new_volume("z");
    other.path = FILE.into();
    let error = refused(&catalog, Command::CreateVolume(other)).to_string();
    assert!(error.contains("k"), "{error}");
    let progress = HydrationProgress {
        base: Some(dataset(90)),
        next: Some(dataset(91)),
        from_bytes: 1 << 20,
    };
    let note = Command::NoteHydration {
        volume: volume("k"),
        progress,
    };
    assert_eq!(catalog.apply(note.clone()).unwrap(), [Change::Noted]);
    assert_eq!(catalog.apply(note).unwrap(), []);
    round_trip(&catalog);
    catalog.apply(part("k")).unwrap();
    round_trip(&catalog);
    let full = catalog.volume(&volume("k")).unwrap();
    assert_eq!(
        (full.backing, full.path.as_deref()),
        (Backing::Raw, Some(FILE))
    );
    assert!(full.managed && full.hydration.is_none());
    assert!(
        full.origin
            .as_ref()
            .is_some_and(|origin| origin.copied && !origin.linked)
    );
    assert!(catalog.families().len() == 1, "a is in it");
    let error = refused(&catalog, begin("k", "/volumes/again"));
    assert!(
        error.to_string().contains("shares nothing any more"),
        "{error}"
    );
    catalog.apply(detach("k")).unwrap();
    round_trip(&catalog);
    assert_eq!(catalog.volume(&volume("k")).unwrap().origin, None);
}

#[test]
fn one_that_was_made_as_a_full_clone_detaches_by_itself_and_the_last_one_takes_the_family_along() {
    let mut catalog = related();
    let Command::CreateClone(new) = clone("full", 99, place(1, 13)) else {
        unreachable!("it is one");
    };
    let new = |file: &str| {
        Command::CreateClone(NewClone {
            hydration: Some(hydration(file, false)),
            ..new.clone()
        })
    };
    let error = refused(&catalog, new("/volumes/a")).to_string();
    assert!(error.contains("is the file of volume"), "{error}");
    let changes = catalog.apply(new(FILE)).unwrap();
    assert!(matches!(
        &changes[..],
        [
            Change::VolumeCreated(_),
            Change::HydrationBegun { job: 3, .. }
        ]
    ));
    catalog
        .apply(Command::UnmapLun {
            target: target("x"),
            number: lun(0),
        })
        .unwrap();
    catalog.apply(delete("a")).unwrap();
    catalog.apply(delete("k")).unwrap();
    round_trip(&catalog);
    let changes = catalog.apply(part("full")).unwrap();
    assert!(
        matches!(&changes[..], [Change::CloneParted { .. }, Change::FamilyDeleted(family)]
        if family.home.path == "/volumes/a")
    );
    assert_eq!(catalog.volume(&volume("full")).unwrap().origin, None);
    round_trip(&catalog);
}

#[test]
fn what_is_left_at_that_shares_blocks_as_before() {
    let mut catalog = related();
    catalog.apply(begin("k", FILE)).unwrap();
    let end = Command::EndHydration {
        volume: volume("k"),
    };
    let changes = catalog.apply(end.clone()).unwrap();
    assert!(matches!(
        &changes[..],
        [Change::HydrationEnded { job: 3, .. }]
    ));
    let mut before = related();
    before.generation = catalog.generation;
    assert_eq!(catalog, before);
    refused(&catalog, end);
}

#[test]
fn a_clone_and_what_it_was_made_from_change_places() {
    let mut catalog = related();
    // Another clone of the same snapshot, and one of the clone.
    catalog.apply(clone("l", 78, place(1, 13))).unwrap();
    catalog.apply(show("x", "a@s", place(1, 50))).unwrap();
    let promote = |name: &str| Command::PromoteClone {
        volume: volume(name),
        intent: Uuid::from_u128(5),
        snapshots: vec![(dataset(50), SnapshotName::new("s").unwrap())],
    };
    let error = refused(&catalog, promote("k")).to_string();
    assert!(error.contains("a@s is mapped"), "{error}");
    let number = catalog
        .target(&target("x"))
        .unwrap()
        .lun_of(&VolumeName::of_snapshot(&snapshot("a@s")));
    let number = number.unwrap().number;
    catalog
        .apply(Command::UnmapLun {
            target: target("x"),
            number,
        })
        .unwrap();
    let error = refused(&catalog, promote("a")).to_string();
    assert!(error.contains("volume a isn't a clone"), "{error}");
    catalog.apply(promote("k")).unwrap();
    round_trip(&catalog);
    let origin = |name: &str| {
        let origin = catalog.volume(&volume(name)).unwrap().origin.as_ref();
        origin.map(|origin| format!("{}@{}", origin.volume, origin.snapshot))
    };
    assert_eq!(origin("k"), None);
    assert_eq!(origin("a").as_deref(), Some("k@s"));
    assert_eq!(origin("l").as_deref(), Some("k@s"));
    let shown = |text: &str| {
        catalog
            .volume(&VolumeName::of_snapshot(&snapshot(text)))
            .is_ok()
    };
    assert!(shown("k@s") && !shown("a@s"));
    let clone = catalog.volume(&volume("k")).unwrap().id;
    let moved = IntentKind::MoveSnapshots {
        family: place(1, 0).family,
        to: clone,
        snapshots: vec![dataset(50)],
    };
    assert_eq!(catalog.intents()[0].what, moved);
    let fulfil = Command::Fulfil {
        intent: Uuid::from_u128(5),
    };
    assert_eq!(catalog.apply(fulfil.clone()).unwrap(), [Change::Noted]);
    assert_eq!(catalog.apply(fulfil).unwrap(), []);
    // And back again.
    catalog.apply(promote("a")).unwrap();
    assert_eq!(catalog.volume(&volume("a")).unwrap().origin, None);
    let unmap = Command::UnmapLun {
        target: target("x"),
        number: lun(0),
    };
    catalog.apply(unmap).unwrap();
    catalog.apply(delete("a")).unwrap();
    let error = refused(&catalog, promote("l")).to_string();
    assert!(
        error.contains("volume a, from which clone l was made, isn't there"),
        "{error}"
    );
}

#[test]
fn what_is_intended_is_kept_and_not_without_end() {
    let mut catalog = related();
    let intent = |number: u128| {
        Command::Intend(Intent {
            id: Uuid::from_u128(number),
            what: IntentKind::Restore {
                members: vec![RestoreMember {
                    volume: VolumeId(Uuid::from_u128(1)),
                    to: dataset(2),
                    safety: dataset(3),
                }],
            },
        })
    };
    for number in 0..crate::hydration::INTENTS_MAX {
        catalog.apply(intent(number as u128)).unwrap();
    }
    round_trip(&catalog);
    let error = refused(&catalog, intent(1 << 40)).to_string();
    assert!(error.contains("changes that are under way"), "{error}");
}
