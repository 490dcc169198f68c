//! Clones that get blocks of their own, at every step and with everything that may come in between.

use tidelock_admin::v1::{CopyState, JobState};
use tidelock_catalog::{Backing, Change, Command, Intent, IntentKind};
use uuid::Uuid;

use super::every_step::Copies;
use super::*;
use crate::registry::{CloneRequest, FullClone};

fn request(source: &str, name: &str, full: bool) -> CloneRequest {
    CloneRequest {
        source: source.parse().unwrap(),
        name: volume(name),
        linked: false,
        full: full.then_some(FullClone::default()),
    }
}

/// A volume with something in it, and a clone of it in which something else was written.
async fn furnished() -> House {
    let house = House::new().await;
    house.add_volume("a").await;
    house.write("a", 0, 100, 1);
    house.write("a", 150, 50, 2);
    house.take("a@one", 1).await;
    let registry = house.registry();
    registry
        .create_clone(request("a@one", "k", false), 2)
        .await
        .unwrap();
    house.write("k", 90, 20, 3);
    house.unmap("k", 10, 10);
    house
}

fn expected() -> Vec<u8> {
    let mut expected = vec![0; 256];
    expected[..100].fill(1);
    expected[150..200].fill(2);
    expected[90..110].fill(3);
    expected[10..20].fill(0);
    expected
}

/// Works on what there is to do, as the daemon does all the while.
pub(super) async fn hydrate(house: &House) -> Vec<Change> {
    let id = house.registry().next_hydration().await;
    house.registry().hydrate(id).await
}

/// What can't be wrong, wherever a crash came.
fn assert_sound(house: &House) {
    for family in house.registry().families.all() {
        let report = family
            .open_family()
            .unwrap()
            .engine
            .verify(&mut |_| std::ops::ControlFlow::Continue(()))
            .unwrap();
        assert_eq!(report.findings, Vec::<String>::new());
    }
    let catalog = house.registry().catalog();
    // A file is somebody's.
    let mut named: Vec<String> = catalog
        .volumes()
        .flat_map(|volume| {
            let own = volume.hydration.as_ref().map(|own| own.file.clone());
            volume.path.clone().into_iter().chain(own)
        })
        .chain(catalog.families().map(|family| family.home.path.clone()))
        .map(|path| {
            Path::new(&path)
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    named.sort();
    for file in house.files() {
        assert!(named.contains(&file), "{file} is nobody's: {named:?}");
    }
}

#[tokio::test]
async fn a_split_clone_shares_nothing_and_a_crash_at_any_step_leaves_one_of_both() {
    let house = furnished().await;
    let copies = Copies::of(&house);
    let changes = house
        .registry()
        .split_clone(volume("k"), None)
        .await
        .unwrap();
    assert!(matches!(changes[..], [Change::HydrationBegun { .. }]));
    let error = house
        .registry()
        .split_clone(volume("k"), None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("by job 1"), "{error}");
    let error = house
        .registry()
        .create_snapshot(snapshot("k@x"), false, 3)
        .await
        .unwrap_err();
    let told = "-> k is being copied: wait until it is Synchronized";
    assert!(error.to_string().contains(told), "{error}");
    let changes = hydrate(&house).await;
    assert!(
        matches!(changes[..], [Change::CloneParted { .. }]),
        "{changes:?}"
    );
    copies
        .each(8, async |house, step| {
            let catalog = house.registry().catalog();
            let record = catalog.volume(&volume("k")).unwrap();
            assert_eq!(house.content("k"), expected(), "step {step}");
            if record.hydration.is_some() {
                // It goes on from there.
                let changes = hydrate(house).await;
                assert!(
                    matches!(changes[..], [Change::CloneParted { .. }]),
                    "step {step}: {changes:?}"
                );
            }
            let catalog = house.registry().catalog();
            let is_raw = catalog.volume(&volume("k")).unwrap().backing == Backing::Raw;
            // Before it was begun, durably, there is nothing to go on with.
            assert!(is_raw || step == 0, "step {step}");
            assert_eq!(house.content("k"), expected(), "step {step}");
            let (heads, snapshots) = if is_raw { (1, 1) } else { (2, 1) };
            assert_eq!(house.datasets("a"), heads + snapshots, "step {step}");
            assert_sound(house);
        })
        .await;
    assert_eq!(house.content("k"), expected());
    let clone = house.registry().clone_of(&volume("k")).unwrap();
    assert_eq!(
        (clone.copy_state, clone.percent_synced),
        (CopyState::Synchronized, Some(100))
    );
    assert!(clone.origin.copied && !clone.origin.deleted);
    let job = house.registry().jobs().get(1).unwrap();
    assert_eq!(job.state, JobState::Completed);
    // What it was made from can go, and it lives on; as a file it has snapshots again.
    house
        .registry()
        .delete_volume(volume("a"), true)
        .await
        .unwrap();
    assert_eq!(house.families(), Vec::<PathBuf>::new());
    house.write("k", 0, 1, 9);
    house.take("k@x", 4).await;
    house.write("k", 0, 1, 10);
    let mut now = expected();
    now[0] = 10;
    assert_eq!(house.content("k"), now);
    house.registry().detach_clone(volume("k")).await.unwrap();
    assert!(house.registry().clones().is_empty());
}

/// The number in a block of the unfinished file of `k`; `None` if there is no such file.
fn unfinished(house: &House, block: usize) -> Option<u8> {
    let bytes = std::fs::read(house.path().join("volumes/k.img")).ok()?;
    bytes.get(block * 4_096).copied()
}

#[tokio::test]
async fn what_the_last_round_copied_and_hosts_unmap_after_a_crash_is_gone() {
    let house = furnished().await;
    house
        .registry()
        .split_clone(volume("k"), None)
        .await
        .unwrap();
    let write = house.writer("k");
    // The first snapshot is copied, and that isn't written down yet: what comes now is for the last round.
    let copies = Copies::after(&house, move |step| {
        if step == 3 {
            write(15, 7);
        }
    });
    hydrate(&house).await;
    assert_eq!(house.content("k")[15], 7);
    let mut had_it = 0;
    copies
        .each(6, async |house, _| {
            let catalog = house.registry().catalog();
            if catalog.volume(&volume("k")).unwrap().hydration.is_none() {
                return;
            }
            had_it += usize::from(unfinished(house, 15) == Some(7));
            house.unmap("k", 15, 1);
            hydrate(house).await;
            assert_eq!(house.content("k"), expected());
            assert_sound(house);
        })
        .await;
    assert!(had_it > 0, "no crash came in the last round");
}

#[tokio::test]
async fn what_a_round_copied_that_has_failed_is_gone() {
    let house = furnished().await;
    let registry = house.registry();
    registry.split_clone(volume("k"), None).await.unwrap();
    let (write, damage) = (house.writer("k"), house.families()[0].join("data-0000"));
    // The second round has a block to copy, and then one that can't be read.
    let copies = Copies::after(&house, move |step| {
        if step == 3 {
            write(15, 7);
            write(18, 8);
            assert!(spoil(&damage, 8));
        }
    });
    assert!(hydrate(&house).await.is_empty());
    drop(copies);
    let error = registry.jobs().get(1).unwrap().error;
    assert!(error.contains("checksum is wrong"), "{error}");
    assert_eq!(unfinished(&house, 15), Some(7));
    house.unmap("k", 15, 4);
    registry.split_clone(volume("k"), None).await.unwrap();
    hydrate(&house).await;
    assert_eq!(house.content("k"), expected());
    assert_sound(&house);
}

#[tokio::test]
async fn a_full_clone_is_one_from_its_first_moment_or_is_not_there() {
    let house = furnished().await;
    let copies = Copies::of(&house);
    let registry = house.registry();
    registry
        .create_clone(request("a", "full", true), 3)
        .await
        .unwrap();
    let clone = registry.clone_of(&volume("full")).unwrap();
    assert_eq!(clone.copy_state, CopyState::Unsynchronized);
    let mut expected = vec![0; 256];
    expected[..100].fill(1);
    expected[150..200].fill(2);
    assert_eq!(house.content("full"), expected);
    hydrate(&house).await;
    copies
        .each(6, async |house, step| {
            let catalog = house.registry().catalog();
            let Ok(record) = catalog.volume(&volume("full")) else {
                assert_eq!(house.datasets("a"), 3, "step {step}");
                return assert_sound(house);
            };
            if record.hydration.is_some() {
                hydrate(house).await;
            }
            assert_eq!(house.content("full"), expected, "step {step}");
            // It detaches by itself.
            let clones = house.registry().clones();
            assert_eq!(clones.len(), 1, "step {step}: {clones:?}");
            assert_eq!(house.datasets("a"), 3, "step {step}");
            assert_sound(house);
        })
        .await;
}

#[tokio::test]
async fn the_last_of_a_family_takes_its_home_along() {
    let house = furnished().await;
    let registry = house.registry();
    registry.delete_volume(volume("a"), true).await.unwrap();
    assert_eq!(house.files(), ["a.img"]);
    registry.split_clone(volume("k"), None).await.unwrap();
    let copies = Copies::of(&house);
    hydrate(&house).await;
    assert_eq!(
        (house.files(), house.families()),
        (vec!["k.img".to_owned()], vec![])
    );
    copies
        .each(5, async |house, step| {
            let catalog = house.registry().catalog();
            if catalog.volume(&volume("k")).unwrap().hydration.is_some() {
                hydrate(house).await;
            }
            assert_eq!(house.families(), Vec::<PathBuf>::new(), "step {step}");
            assert_eq!(house.content("k"), expected(), "step {step}");
        })
        .await;
    assert_eq!(house.content("k"), expected());
}

#[tokio::test]
async fn a_cancelled_one_stays_a_linked_clone_and_its_file_goes() {
    let house = furnished().await;
    let registry = house.registry();
    registry
        .split_clone(volume("k"), Some(4_096))
        .await
        .unwrap();
    let copies = Copies::of(&house);
    let id = registry.next_hydration().await;
    let working = Arc::clone(registry);
    let work = tokio::spawn(async move { working.hydrate(id).await });
    // It is under way.
    while registry.jobs().get(1).unwrap().total_bytes == 0 {
        tokio::task::yield_now().await;
    }
    registry.jobs().cancel(1).unwrap();
    let changes = work.await.unwrap();
    assert!(
        matches!(changes[..], [Change::HydrationEnded { job: 1, .. }]),
        "{changes:?}"
    );
    assert_eq!(registry.jobs().get(1).unwrap().state, JobState::Terminated);
    let assert_linked = |house: &House| {
        assert_eq!(house.files(), ["a.img"]);
        assert_eq!(house.datasets("a"), 3);
        assert_eq!(house.content("k"), expected());
        assert_sound(house);
    };
    assert_linked(&house);
    copies
        .each(3, async |house, _| {
            let catalog = house.registry().catalog();
            if let Some(hydration) = &catalog.volume(&volume("k")).unwrap().hydration {
                // The crash came before anybody was told that it is cancelled.
                house.registry().jobs().cancel(hydration.job).unwrap();
                hydrate(house).await;
            }
            assert_linked(house);
        })
        .await;
    // And can be tried again.
    registry.split_clone(volume("k"), None).await.unwrap();
    hydrate(&house).await;
    assert_eq!(std::fs::read(house.raw_path("k")).unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn what_is_being_made_a_full_clone_can_be_deleted() {
    let house = furnished().await;
    let registry = house.registry();
    registry
        .split_clone(volume("k"), Some(4_096))
        .await
        .unwrap();
    let id = registry.next_hydration().await;
    let working = Arc::clone(registry);
    let work = tokio::spawn(async move { working.hydrate(id).await });
    registry.delete_volume(volume("k"), false).await.unwrap();
    work.await.unwrap();
    assert_eq!(
        (house.files(), house.datasets("a")),
        (vec!["a.img".to_owned()], 2)
    );
    assert_sound(&house);
}

#[tokio::test]
async fn it_stops_with_the_daemon_and_goes_on_where_it_was() {
    let mut house = furnished().await;
    let rate = 300 << 10;
    house
        .registry()
        .split_clone(volume("k"), Some(rate))
        .await
        .unwrap();
    let registry = Arc::clone(house.registry());
    let id = registry.next_hydration().await;
    let working = Arc::clone(&registry);
    let work = tokio::spawn(async move { working.hydrate(id).await });
    while registry.jobs().get(1).unwrap().done_bytes == 0 {
        tokio::task::yield_now().await;
    }
    drop(registry);
    house.close().await;
    assert!(work.await.unwrap().is_empty());
    house.open().await;
    let catalog = house.registry().catalog();
    let hydration = catalog
        .volume(&volume("k"))
        .unwrap()
        .hydration
        .clone()
        .unwrap();
    assert!(hydration.progress.from_bytes > 0, "{hydration:?}");
    assert_eq!(
        house.registry().jobs().get(1).unwrap().state,
        JobState::Running
    );
    // Somebody makes room, with the wrong file.
    std::fs::remove_file(house.path().join("volumes/k.img")).unwrap();
    hydrate(&house).await;
    assert_eq!(house.content("k"), expected());
    assert_eq!(house.datasets("a"), 2);
}

#[tokio::test]
async fn what_was_made_as_a_volume_is_no_clone_and_snapshots_stay_where_they_are() {
    let house = furnished().await;
    let registry = house.registry();
    let text = |error: crate::registry::changes::ChangeError| error.to_string();
    let error = text(registry.split_clone(volume("a"), None).await.unwrap_err());
    assert!(error.contains("volume a isn't a clone"), "{error}");
    let error = text(
        registry
            .split_clone(volume("none"), None)
            .await
            .unwrap_err(),
    );
    assert!(error.contains("no volume none"), "{error}");
    let error = text(registry.detach_clone(volume("k")).await.unwrap_err());
    assert!(error.contains("shares blocks with a@one"), "{error}");
    house.take("k@x", 3).await;
    let error = text(registry.split_clone(volume("k"), None).await.unwrap_err());
    assert!(
        error.contains("has snapshots, which can't go with it") && error.contains(": x"),
        "{error}"
    );
    assert!(registry.jobs().list().is_empty());
    assert_eq!(house.files(), ["a.img"]);
}

/// Damages the first block of a file that is full of a number; false if there is none.
fn spoil(path: &Path, number: u8) -> bool {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut block = vec![0; 4_096];
    for at in 0..1_u64 << 16 {
        file.read_exact_at(&mut block, at * 4_096).unwrap();
        if block.iter().all(|byte| *byte == number) {
            file.write_all_at(b"x", at * 4_096).unwrap();
            return true;
        }
    }
    false
}

#[tokio::test]
async fn damage_is_told_and_overwriting_it_helps() {
    let house = furnished().await;
    // What only the clone has.
    assert!(spoil(&house.families()[0].join("data-0000"), 3));
    let registry = house.registry();
    registry.split_clone(volume("k"), None).await.unwrap();
    assert!(hydrate(&house).await.is_empty());
    let job = registry.jobs().get(1).unwrap();
    assert_eq!(job.state, JobState::Exception);
    assert!(
        job.error.contains("byte 368640: ") && job.error.contains("checksum is wrong"),
        "{}",
        job.error
    );
    let clone = registry.clone_of(&volume("k")).unwrap();
    assert_eq!(
        (clone.copy_state, &clone.detail),
        (CopyState::Broken, &job.error)
    );
    assert!(
        house
            .registry()
            .volume(&volume("k"))
            .unwrap()
            .store()
            .unwrap()
            .is_fenced()
            .is_none()
    );
    // Somebody gives it up.
    registry.abandon_failed(1).await.unwrap().unwrap();
    assert_eq!(
        (house.files(), house.datasets("a")),
        (vec!["a.img".to_owned()], 3)
    );
    // Or a host writes there.
    registry.split_clone(volume("k"), None).await.unwrap();
    hydrate(&house).await;
    house.write("k", 90, 1, 3);
    let changes = registry.split_clone(volume("k"), None).await.unwrap();
    assert!(
        matches!(changes[..], [Change::HydrationBegun { job: 2, .. }]),
        "{changes:?}"
    );
    hydrate(&house).await;
    assert_eq!(house.content("k"), expected());
    assert_eq!(registry.jobs().get(2).unwrap().state, JobState::Completed);
}

#[tokio::test]
async fn a_clone_and_its_volume_change_places_and_a_crash_at_any_step_leaves_one_of_both() {
    let house = furnished().await;
    house.take("a@later", 3).await;
    house.add_group("g", &["a"]).await;
    let registry = house.registry();
    let copies = Copies::of(&house);
    registry.promote_clone(volume("k")).await.unwrap();
    let assert_promoted = async |house: &House| {
        assert_eq!(
            (house.names("a"), house.names("k")),
            (vec!["later".to_owned()], vec!["one".to_owned()])
        );
        let registry = house.registry();
        let clone = registry.clone_of(&volume("a")).unwrap();
        assert_eq!(
            (clone.origin.volume.as_str(), clone.origin.snapshot.as_str()),
            ("k", "one")
        );
        assert!(!clone.origin.deleted);
        assert!(registry.clone_of(&volume("k")).is_err());
        registry.delete_volume(volume("a"), true).await.unwrap();
        assert_eq!(house.content("k"), expected());
        registry
            .restore_snapshot(snapshot("k@one"), 9)
            .await
            .unwrap();
        let mut before = vec![0; 256];
        before[..100].fill(1);
        before[150..200].fill(2);
        assert_eq!(house.content("k"), before);
        assert_sound(house);
    };
    copies
        .each(4, async |house, step| {
            assert!(
                house.registry().catalog().intents().is_empty(),
                "step {step}"
            );
            match house.names("k").is_empty() {
                true => assert_eq!((step, house.names("a").len()), (0, 2)),
                false => assert_promoted(house).await,
            }
        })
        .await;
    assert_promoted(&house).await;
    let error = registry
        .promote_clone(volume("k"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("isn't a clone"), "{error}");
}

#[tokio::test]
async fn a_promotion_that_nobody_knows_to_be_done_is_not_done_again_after_the_next_one() {
    let mut house = furnished().await;
    let registry = Arc::clone(house.registry());
    registry.promote_clone(volume("k")).await.unwrap();
    assert_eq!((house.names("a").len(), house.names("k").len()), (0, 1));
    // As if the last step of it had failed.
    let served = registry.volume(&volume("k")).unwrap();
    let (family, _) = served.place().unwrap();
    let open = family.open_family().unwrap();
    let snapshots = open.look(|list| list.iter().map(|one| one.id).collect());
    let intent = Intent {
        id: Uuid::new_v4(),
        what: IntentKind::MoveSnapshots {
            family: family.id(),
            to: served.id(),
            snapshots: snapshots.unwrap(),
        },
    };
    registry.apply(Command::Intend(intent)).await.unwrap();
    drop((served, family, open));
    registry.promote_clone(volume("a")).await.unwrap();
    assert!(registry.catalog().intents().is_empty());
    drop(registry);
    house.reopen().await;
    assert_eq!((house.names("a").len(), house.names("k").len()), (1, 0));
}

#[tokio::test]
async fn two_snapshots_of_a_name_keep_places_as_they_are() {
    let house = furnished().await;
    house.take("k@one", 3).await;
    let registry = house.registry();
    let error = registry
        .promote_clone(volume("k"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("snapshots of the same names itself: one"),
        "{error}"
    );
    registry.delete_volume(volume("a"), true).await.unwrap();
    let error = registry
        .promote_clone(volume("k"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("isn't there any more"), "{error}");
}
