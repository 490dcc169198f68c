//! Crashes between the steps of a change: what was acknowledged is there, what wasn't leaves nothing
//! behind, and what a set has is all or nothing.

use tidelock_catalog::snapshots::{Cause, SetMember, Snapshot};
use tidelock_catalog::{Backing, DatasetId, ListChange};
use tidelock_replication::Family;
use uuid::Uuid;

use super::*;
use crate::registry::CloneRequest;
use crate::registry::families::OpenFamily;

fn new_id() -> DatasetId {
    DatasetId(Uuid::new_v4())
}

/// The open family of a volume, and its head.
fn family_of(house: &House, name: &str) -> (Arc<OpenFamily>, DatasetId) {
    let served = house.registry().volume(&volume(name)).unwrap();
    let (family, head) = served.place().unwrap();
    (family.open_family().unwrap(), head)
}

fn engine_snapshot(house: &House, name: &str) -> DatasetId {
    let (open, head) = family_of(house, name);
    let id = new_id();
    let engine = Arc::clone(&open.engine);
    Family::snapshot(&[(engine, *head.0.as_bytes(), *id.0.as_bytes())]).unwrap();
    id
}

fn entry(house: &House, of: &str, name: &str, id: DatasetId) -> Snapshot {
    Snapshot {
        id,
        volume: house.registry().volume(&volume(of)).unwrap().id(),
        name: word(name),
        at_unix_ms: 7,
        size_bytes: MIB,
        cause: Cause::Operator,
        set: None,
        pending: true,
        quiesced: false,
    }
}

#[tokio::test]
async fn a_first_snapshot_makes_a_family_that_is_found_again() {
    let mut house = House::new().await;
    house.add_volume("a").await;
    let before = house
        .registry()
        .catalog()
        .volume(&volume("a"))
        .unwrap()
        .clone();
    house.take("a@one", 1).await;
    for _ in 0..2 {
        house.reopen().await;
        assert_eq!(house.names("a"), ["one"]);
        let after = house
            .registry()
            .catalog()
            .volume(&volume("a"))
            .unwrap()
            .clone();
        assert_eq!((after.naa, &after.serial), (before.naa, &before.serial));
        let served = house.registry().volume(&volume("a")).unwrap();
        assert!(
            served.store().unwrap().family().is_some(),
            "{:?}",
            served.problem()
        );
    }
    assert_eq!(house.families().len(), 1);
}

#[tokio::test]
async fn what_the_engine_made_and_nobody_was_told_of_is_deleted() {
    let mut house = House::new().await;
    house.add_volume("a").await;
    house.take("a@one", 1).await;
    let untold = engine_snapshot(&house, "a");
    let (open, _) = family_of(&house, "a");
    let head = *new_id().0.as_bytes();
    open.engine.clone_of(*untold.0.as_bytes(), head).unwrap();
    drop(open);
    assert_eq!(house.datasets("a"), 4);
    house.reopen().await;
    assert_eq!(house.datasets("a"), 2);
    assert_eq!(house.names("a"), ["one"]);
}

#[tokio::test]
async fn a_family_that_the_catalog_was_never_told_of_is_removed_unless_it_has_snapshots() {
    let mut house = House::new().await;
    house.add_volume("a").await;
    house.take("a@one", 1).await;
    house.close().await;
    let stray = house
        .path()
        .join("families/000000000000000000000000000000aa");
    std::fs::create_dir(&stray).unwrap();
    std::fs::write(stray.join("journal"), b"x").unwrap();
    let kept = house
        .path()
        .join("families/000000000000000000000000000000bb");
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("snapshots"), b"who knows").unwrap();
    let other = house.path().join("families/notes");
    std::fs::create_dir(&other).unwrap();
    house.open().await;
    assert!(!stray.exists() && kept.exists() && other.exists());
    assert_eq!(house.names("a"), ["one"]);
}

#[tokio::test]
async fn a_safety_snapshot_is_kept_if_the_restore_happened_and_dropped_if_not() {
    let mut house = House::new().await;
    house.add_volume("a").await;
    house.take("a@one", 1).await;
    let (open, head) = family_of(&house, "a");
    let to = open.look(|list| list.iter().next().unwrap().id).unwrap();
    let [done, not_done] = [new_id(), new_id()];
    for (id, name) in [(done, "done"), (not_done, "not-done")] {
        let mut safety = entry(&house, "a", name, id);
        safety.cause = Cause::Restore { to };
        open.add(&[ListChange::Add(safety)]).unwrap();
    }
    let [head, to, kept] = [head, to, done].map(|id| *id.0.as_bytes());
    open.engine.restore(head, to, kept).unwrap();
    drop(open);
    house.reopen().await;
    assert_eq!(house.names("a"), ["one", "done"]);
    assert_eq!(house.datasets("a"), 3);
    house.take("a@not-done", 9).await;
}

#[tokio::test]
async fn a_volume_that_grew_when_a_crash_came_has_the_size_of_its_blocks() {
    let mut house = House::new().await;
    house.add_volume("a").await;
    house.take("a@one", 1).await;
    let served = house.registry().volume(&volume("a")).unwrap();
    served.store().unwrap().resize(3 * MIB).unwrap();
    drop(served);
    house.reopen().await;
    let catalog = house.registry().catalog();
    assert_eq!(catalog.volume(&volume("a")).unwrap().size_bytes, 3 * MIB);
    let served = house.registry().volume(&volume("a")).unwrap();
    assert!(served.store().is_some(), "{:?}", served.problem());
    assert_eq!(served.store().unwrap().size(), 3 * MIB);
    assert_eq!(served.unit().blocks(), 3 * MIB / 512);
    drop(served);
    // A restore leaves the size as it is.
    let snapshot = snapshot("a@one");
    house
        .registry()
        .restore_snapshot(snapshot, 2)
        .await
        .unwrap();
    house.reopen().await;
    let served = house.registry().volume(&volume("a")).unwrap();
    assert!(served.store().is_some(), "{:?}", served.problem());
    assert_eq!(served.store().unwrap().size(), 3 * MIB);
}

#[tokio::test]
async fn a_set_is_there_as_a_whole_or_not_at_all() {
    for confirmed in [false, true] {
        let mut house = House::new().await;
        for name in ["a", "b"] {
            house.add_volume(name).await;
            house.take(&format!("{name}@first"), 1).await;
        }
        house.add_group("g", &["a", "b"]).await;
        let set = SetMember {
            set: Uuid::new_v4(),
            group: group("g"),
            members: 2,
        };
        for name in ["a", "b"] {
            let id = engine_snapshot(&house, name);
            let mut snapshot = entry(&house, name, "together", id);
            snapshot.set = Some(set.clone());
            let (open, _) = family_of(&house, name);
            open.add(&[ListChange::Add(snapshot)]).unwrap();
            // Only what is one moment of both is told of, in one of the lists first.
            if confirmed && name == "a" {
                open.add(&[ListChange::Confirm(id)]).unwrap();
            }
        }
        house.reopen().await;
        for name in ["a", "b"] {
            let (names, datasets) = (house.names(name), house.datasets(name));
            match confirmed {
                true => assert_eq!(
                    (names, datasets),
                    (vec!["first".into(), "together".into()], 3)
                ),
                false => assert_eq!((names, datasets), (vec!["first".to_owned()], 2)),
            }
        }
        let sets = house.registry().group(&group("g")).unwrap().sets;
        assert_eq!(sets.len(), usize::from(confirmed));
    }
}

#[tokio::test]
async fn a_set_waits_for_a_family_that_is_away_before_it_is_decided() {
    let mut house = House::new().await;
    for name in ["a", "b"] {
        house.add_volume(name).await;
        house.take(&format!("{name}@first"), 1).await;
    }
    let set = SetMember {
        set: Uuid::new_v4(),
        group: group("g"),
        members: 2,
    };
    for name in ["a", "b"] {
        let id = engine_snapshot(&house, name);
        let mut snapshot = entry(&house, name, "together", id);
        snapshot.set = Some(set.clone());
        let (open, _) = family_of(&house, name);
        open.add(&[ListChange::Add(snapshot)]).unwrap();
        if name == "b" {
            open.add(&[ListChange::Confirm(id)]).unwrap();
        }
    }
    house.close().await;
    let (file, away) = (
        house.path().join("volumes/b.img"),
        house.path().join("away"),
    );
    std::fs::rename(&file, &away).unwrap();
    house.open().await;
    assert_eq!(
        (house.names("a"), house.datasets("a")),
        (vec!["first".to_owned()], 3)
    );
    let missing = house.registry().volume(&volume("b")).unwrap();
    let problem = missing.problem().unwrap();
    assert!(problem.contains("b.img: no such file"), "{problem}");
    std::fs::rename(&away, &file).unwrap();
    house.registry().reopen().await;
    for name in ["a", "b"] {
        assert_eq!(house.names(name), ["first", "together"]);
        assert!(
            house
                .registry()
                .volume(&volume(name))
                .unwrap()
                .store()
                .is_some()
        );
    }
}

#[tokio::test]
async fn a_damaged_family_says_how_to_find_out_what_is_damaged() {
    let mut house = House::new().await;
    house.add_volume("a").await;
    house.take("a@one", 1).await;
    house.close().await;
    let folder = house.families().remove(0);
    let superblock = folder.join("superblock");
    let length = std::fs::metadata(&superblock).unwrap().len();
    std::fs::write(&superblock, vec![0xee; usize::try_from(length).unwrap()]).unwrap();
    house.open().await;
    let damaged = house.registry().volume(&volume("a")).unwrap();
    let problem = damaged.problem().unwrap();
    let advice = format!("`tidelock volume check {}`", folder.display());
    assert!(problem.contains(&advice), "{problem}");
}

#[tokio::test]
async fn snapshots_of_a_volume_that_the_catalog_deleted_go_too() {
    let mut house = House::new().await;
    house.add_volume("a").await;
    house.take("a@one", 1).await;
    let request = CloneRequest {
        source: snapshot_source("a@one"),
        name: volume("k"),
        linked: false,
        full: None,
    };
    house.registry().create_clone(request, 2).await.unwrap();
    // The catalog as it is after the first step of a deletion.
    house.close().await;
    let path = house.path().join("catalog");
    let mut catalog = tidelock_catalog::Catalog::decode(&std::fs::read(&path).unwrap()).unwrap();
    let delete = Command::DeleteVolume {
        volume: volume("a"),
    };
    catalog.apply(delete).unwrap();
    std::fs::write(&path, catalog.encode()).unwrap();
    house.open().await;
    assert!(house.registry().snapshots(None).unwrap().is_empty());
    assert_eq!(house.datasets("k"), 1);
    assert!(house.registry().clones()[0].origin.deleted);
}

fn snapshot_source(text: &str) -> tidelock_catalog::DatasetRef {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_damaged_list_keeps_nobody_from_the_data_and_nothing_is_deleted() {
    let mut house = House::new().await;
    house.add_volume("a").await;
    house.take("a@one", 1).await;
    house.take("a@two", 2).await;
    house.close().await;
    let list = house.families()[0].join("snapshots");
    let mut bytes = std::fs::read(&list).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&list, &bytes).unwrap();
    house.open().await;
    let served = house.registry().volume(&volume("a")).unwrap();
    assert!(served.store().is_some(), "{:?}", served.problem());
    assert_eq!(house.datasets("a"), 3);
    let error = house
        .registry()
        .create_snapshot(snapshot("a@three"), false, 3)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("can't be used: it is damaged at byte"),
        "{error}"
    );
    assert_eq!(std::fs::read(&list).unwrap(), bytes);
    let facts = house.registry().facts(&volume("a"), true).await;
    assert!(
        facts.detail.contains("it is damaged at byte"),
        "{}",
        facts.detail
    );
    assert!(house.registry().snapshots(None).unwrap().is_empty());
    // The way out, for who has no copy of it.
    let registry = house.registry();
    let error = registry
        .delete_volume(volume("a"), false)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("it is damaged at byte"), "{error}");
    registry.delete_volume(volume("a"), true).await.unwrap();
    assert_eq!(house.families(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn the_last_volume_takes_its_family_and_its_file_along() {
    let mut house = House::new().await;
    house.add_volume("a").await;
    house.take("a@one", 1).await;
    let registry = Arc::clone(house.registry());
    let request = CloneRequest {
        source: "a".parse().unwrap(),
        name: volume("k"),
        linked: false,
        full: None,
    };
    registry.create_clone(request, 2).await.unwrap();
    let refused = registry
        .delete_volume(volume("a"), false)
        .await
        .unwrap_err();
    let text = refused.to_string();
    assert_eq!(text, "volume a has 1 snapshot(s): one");
    let file = house.path().join("volumes/a.img");
    registry.delete_volume(volume("a"), true).await.unwrap();
    assert!(file.exists(), "the clone needs it");
    drop(registry);
    house.reopen().await;
    let catalog = house.registry().catalog();
    let backing = catalog.volume(&volume("k")).unwrap().backing;
    assert!(matches!(backing, Backing::Head(_)));
    house
        .registry()
        .delete_volume(volume("k"), false)
        .await
        .unwrap();
    assert!(!file.exists());
    assert_eq!(house.families(), Vec::<PathBuf>::new());
    // The name and the file are free again.
    house.add_volume("a").await;
    house.reopen().await;
    assert!(
        house
            .registry()
            .volume(&volume("a"))
            .unwrap()
            .store()
            .is_some()
    );
}
