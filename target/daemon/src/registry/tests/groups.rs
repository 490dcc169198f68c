//! Groups that are cloned and restored as a whole, at every step.

use tidelock_catalog::snapshots::Cause;
use tidelock_catalog::{Change, DatasetId, Intent, IntentKind, RestoreMember};
use uuid::Uuid;

use super::clones::hydrate;
use super::every_step::Copies;
use super::*;
use crate::registry::snapshots::Occasion;
use crate::registry::{FullClone, GroupCloneRequest};

/// Two volumes of two families, in a group, with a set of snapshots and other content since.
async fn furnished() -> House {
    let house = House::new().await;
    for (name, number) in [("a", 1), ("b", 2)] {
        house.add_volume(name).await;
        house.write(name, 0, 10, number);
    }
    house.add_group("g", &["a", "b"]).await;
    let registry = house.registry();
    registry
        .snapshot_group(group("g"), word("set"), false, 1)
        .await
        .unwrap();
    for (name, number) in [("a", 11), ("b", 12)] {
        house.write(name, 0, 10, number);
    }
    house
}

fn first(house: &House, name: &str) -> u8 {
    house.content(name)[0]
}

#[tokio::test]
async fn a_group_is_restored_as_a_whole_wherever_a_crash_comes() {
    let house = furnished().await;
    let copies = Copies::of(&house);
    let changes = house
        .registry()
        .restore_group(group("g"), word("set"), 5)
        .await
        .unwrap();
    let restored = |change: &&Change| matches!(change, Change::VolumeRestored { .. });
    assert_eq!(changes.iter().filter(restored).count(), 2);
    assert_eq!((first(&house, "a"), first(&house, "b")), (1, 2));
    let mut seen = [0, 0];
    copies
        .each(8, async |house, step| {
            assert!(
                house.registry().catalog().intents().is_empty(),
                "step {step}"
            );
            let now = (first(house, "a"), first(house, "b"));
            let snapshots = (house.names("a").len(), house.names("b").len());
            match now {
                (11, 12) => assert_eq!(snapshots, (1, 1), "step {step}"),
                (1, 2) => assert_eq!(snapshots, (2, 2), "step {step}"),
                other => panic!("step {step}: {other:?}"),
            }
            seen[usize::from(now.0 == 1)] += 1;
            for name in ["a", "b"] {
                assert_eq!(house.datasets(name), 1 + snapshots.0, "step {step}");
            }
            // What was there before is a set, too.
            if now.0 == 1 {
                let sets = house.registry().group(&group("g")).unwrap().sets;
                let safety = word(&sets[1].name);
                house
                    .registry()
                    .restore_group(group("g"), safety, 6)
                    .await
                    .unwrap();
                assert_eq!((first(house, "a"), first(house, "b")), (11, 12));
            }
        })
        .await;
    assert!(seen[0] > 2 && seen[1] > 2, "{seen:?}");
}

#[tokio::test]
async fn a_set_is_told_of_when_it_is_one_moment_and_not_before() {
    let mut house = furnished().await;
    for confirmed in [false, true] {
        let registry = Arc::clone(house.registry());
        let occasion = Occasion {
            cause: Cause::Operator,
            group: Some(group("g")),
            quiesced: false,
            at_unix_ms: 5,
        };
        let wanted = ["a", "b"].map(|name| (volume(name), word("next")));
        let writer = registry.writer.lock().await;
        let (_, taken) = registry.take(&writer, &wanted, &occasion).await.unwrap();
        drop(writer);
        let set = |registry: &Registry| registry.set(&group("g"), &word("next"));
        assert_eq!(house.names("a"), ["set"]);
        assert!(set(&registry).is_err());
        // Its name is taken.
        let called = snapshot("b@next");
        assert!(registry.create_snapshot(called, false, 6).await.is_err());
        if confirmed {
            registry.confirm_together(taken).await.unwrap();
            assert_eq!(house.names("b"), ["set", "next"]);
            assert_eq!(set(&registry).unwrap().volumes.len(), 2);
        } else {
            drop(taken);
        }
        drop(registry);
        house.reopen().await;
        for name in ["a", "b"] {
            let snapshots = 1 + usize::from(confirmed);
            assert_eq!(house.names(name).len(), snapshots);
            assert_eq!(house.datasets(name), 1 + snapshots);
        }
    }
}

#[tokio::test]
async fn a_group_has_its_snapshots_as_a_whole_wherever_a_crash_comes() {
    let house = furnished().await;
    let copies = Copies::of(&house);
    let registry = house.registry();
    registry
        .snapshot_group(group("g"), word("next"), false, 5)
        .await
        .unwrap();
    let mut seen = [0, 0];
    copies
        .each(3, async |house, step| {
            let [a, b] = ["a", "b"].map(|name| house.names(name).len());
            assert_eq!(a, b, "step {step}");
            for name in ["a", "b"] {
                assert_eq!(house.datasets(name), 1 + a, "step {step}");
            }
            seen[a - 1] += 1;
        })
        .await;
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[tokio::test]
async fn what_can_not_be_restored_as_a_whole_is_left_alone() {
    let house = furnished().await;
    let registry = house.registry();
    let broken = registry.volume(&volume("b")).unwrap();
    broken.store().unwrap().raise_fence("a test".into());
    let error = registry
        .restore_group(group("g"), word("set"), 5)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("volume b isn't ready"),
        "{error}"
    );
    assert_eq!(first(&house, "a"), 11);
    assert_eq!(house.names("a"), ["set"]);
    assert!(registry.catalog().intents().is_empty());
}

#[tokio::test]
async fn what_is_intended_and_was_given_up_or_deleted_since_restores_nothing() {
    let mut house = furnished().await;
    let registry = house.registry();
    let served = registry.volume(&volume("a")).unwrap();
    let (family, _) = served.place().unwrap();
    let list = family.open_family().unwrap();
    let to = list.look(|list| list.find(served.id(), &word("set")).unwrap().id);
    let intent = Intent {
        id: Uuid::new_v4(),
        what: IntentKind::Restore {
            members: vec![RestoreMember {
                volume: served.id(),
                to: to.unwrap(),
                safety: DatasetId(Uuid::new_v4()),
            }],
        },
    };
    registry.apply(Command::Intend(intent)).await.unwrap();
    drop((served, family, list));
    house.reopen().await;
    assert_eq!(first(&house, "a"), 11);
    assert!(house.registry().catalog().intents().is_empty());
}

fn cloning(snapshot: Option<&str>, full: bool) -> GroupCloneRequest {
    GroupCloneRequest {
        group: group("g"),
        snapshot: snapshot.map(word),
        name: Some(group("copy")),
        suffix: "-copy".into(),
        full: full.then_some(FullClone::default()),
    }
}

#[tokio::test]
async fn a_group_is_cloned_as_a_whole_wherever_a_crash_comes() {
    for (snapshot, numbers) in [(None, (11, 12)), (Some("set"), (1, 2))] {
        let house = furnished().await;
        let copies = Copies::of(&house);
        house
            .registry()
            .clone_group(cloning(snapshot, false))
            .await
            .unwrap();
        copies
            .each(2, async |house, step| {
                let catalog = house.registry().catalog();
                let there = catalog.volumes().len();
                assert!(there == 2 || there == 4, "step {step}: {there}");
                let is_there = there == 4;
                assert_eq!(catalog.group(&group("copy")).is_ok(), is_there);
                for name in ["a", "b"] {
                    assert_eq!(
                        house.datasets(name),
                        2 + usize::from(is_there),
                        "step {step}"
                    );
                }
                if is_there {
                    assert_eq!((first(house, "a-copy"), first(house, "b-copy")), numbers);
                }
            })
            .await;
        assert_eq!((first(&house, "a-copy"), first(&house, "b-copy")), numbers);
        house.write("a-copy", 0, 1, 99);
        assert_eq!(first(&house, "a"), 11);
        let members = house
            .registry()
            .catalog()
            .group(&group("copy"))
            .unwrap()
            .members
            .len();
        assert_eq!(members, 2);
    }
}

#[tokio::test]
async fn one_that_can_not_be_cloned_undoes_the_others() {
    let house = furnished().await;
    let registry = house.registry();
    house.add_volume("b-copy").await;
    let error = registry
        .clone_group(cloning(None, false))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is a volume b-copy already"),
        "{error}"
    );
    registry
        .delete_volume(volume("b-copy"), false)
        .await
        .unwrap();
    let long = GroupCloneRequest {
        suffix: "x".repeat(64),
        ..cloning(None, false)
    };
    let error = registry.clone_group(long).await.unwrap_err();
    assert!(
        error.to_string().contains("no clone can be called a"),
        "{error}"
    );
    // Found out when the first one is made already.
    let served = registry.volume(&volume("b")).unwrap();
    let (family, _) = served.place().unwrap();
    family.open_family().unwrap().engine.close().unwrap();
    registry
        .clone_group(cloning(None, false))
        .await
        .unwrap_err();
    assert_eq!(registry.catalog().volumes().len(), 2);
    assert!(registry.catalog().group(&group("copy")).is_err());
    assert_eq!(house.datasets("a"), 2);
}

#[tokio::test]
async fn full_clones_of_a_group_are_files_at_last() {
    let house = furnished().await;
    let registry = house.registry();
    registry
        .clone_group(cloning(Some("set"), true))
        .await
        .unwrap();
    assert_eq!(registry.jobs().list().len(), 2);
    for _ in 0..2 {
        hydrate(&house).await;
    }
    assert_eq!((first(&house, "a-copy"), first(&house, "b-copy")), (1, 2));
    assert!(house.raw_path("a-copy").exists() && registry.clones().is_empty());
}

#[tokio::test]
async fn clones_of_a_group_never_want_the_same_file() {
    let house = House::new().await;
    for (name, number) in [("a", 1), ("a.1", 2)] {
        house.add_volume(name).await;
        house.write(name, 0, 10, number);
    }
    house.add_group("g", &["a", "a.1"]).await;
    // Somebody's: the first clone's file is called as the second's would be.
    let stray = house.path().join("volumes/a.1.1.img");
    std::fs::write(&stray, b"notes").unwrap();
    let request = GroupCloneRequest {
        suffix: ".1.1".into(),
        name: None,
        ..cloning(None, true)
    };
    house.registry().clone_group(request).await.unwrap();
    let catalog = house.registry().catalog();
    let files = ["a.1.1", "a.1.1.1"].map(|name| {
        let record = catalog.volume(&volume(name)).unwrap();
        record.hydration.as_ref().unwrap().file.clone()
    });
    assert_ne!(files[0], files[1]);
    hydrate(&house).await;
    hydrate(&house).await;
    assert_eq!((first(&house, "a.1.1"), first(&house, "a.1.1.1")), (1, 2));
    assert_eq!(std::fs::read(&stray).unwrap(), b"notes");
}
