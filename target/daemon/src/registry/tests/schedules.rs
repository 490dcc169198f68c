//! Schedules, by a clock that the test moves.

use tidelock_catalog::Change;

use super::*;
use crate::quiesce::Quiesce;
use crate::registry::CloneRequest;

const HOUR: u64 = 3_600_000;

fn taken(changes: &[Change]) -> usize {
    let is_new = |change: &&Change| matches!(change, Change::SnapshotCreated(_));
    changes.iter().filter(is_new).count()
}

#[tokio::test]
async fn snapshots_are_taken_when_they_are_due_and_the_newest_are_kept() {
    let mut house = House::new().await;
    house.add_volume("a").await;
    let registry = house.registry();
    let hourly = Some((3_600, 2));
    registry
        .set_schedule(volume("a"), hourly, 10 * HOUR + 1)
        .await
        .unwrap();
    assert_eq!(taken(&registry.run_schedules(10 * HOUR + 2).await), 0);
    assert_eq!(taken(&registry.run_schedules(11 * HOUR - 1).await), 0);
    assert_eq!(
        registry.schedules(11 * HOUR - 1)[0].next,
        "1970-01-01T11:00:00Z"
    );
    assert_eq!(taken(&registry.run_schedules(11 * HOUR).await), 1);
    assert_eq!(taken(&registry.run_schedules(11 * HOUR + 5_000).await), 0);
    house.take("a@mine", 11 * HOUR + 6_000).await;
    // A restart changes nothing about it, and what was missed meanwhile is taken once.
    house.reopen().await;
    let registry = house.registry();
    assert_eq!(taken(&registry.run_schedules(11 * HOUR + 7_000).await), 0);
    assert_eq!(taken(&registry.run_schedules(14 * HOUR + 8).await), 1);
    assert_eq!(taken(&registry.run_schedules(15 * HOUR).await), 1);
    assert_eq!(
        house.names("a"),
        ["mine", "auto-19700101T140000Z", "auto-19700101T150000Z"]
    );
    // The head, one of the operator's and two of the schedule's.
    assert_eq!(house.datasets("a"), 4);
    registry
        .set_schedule(volume("a"), None, 15 * HOUR)
        .await
        .unwrap();
    assert_eq!(taken(&registry.run_schedules(30 * HOUR).await), 0);
    assert_eq!(house.names("a").len(), 3);
}

#[tokio::test]
async fn what_somebody_needs_outlives_its_time() {
    let house = House::new().await;
    house.add_volume("a").await;
    let registry = house.registry();
    registry
        .set_schedule(volume("a"), Some((3_600, 1)), 0)
        .await
        .unwrap();
    registry.run_schedules(HOUR).await;
    let request = CloneRequest {
        source: "a@auto-19700101T010000Z".parse().unwrap(),
        name: volume("k"),
        linked: true,
        full: None,
    };
    registry.create_clone(request, HOUR).await.unwrap();
    registry.run_schedules(2 * HOUR).await;
    registry.run_schedules(3 * HOUR).await;
    let needed_and_newest = ["auto-19700101T010000Z", "auto-19700101T030000Z"];
    assert_eq!(house.names("a"), needed_and_newest);
    registry.delete_volume(volume("k"), false).await.unwrap();
    registry.run_schedules(4 * HOUR).await;
    assert_eq!(house.names("a"), ["auto-19700101T040000Z"]);
}

#[tokio::test]
async fn a_schedule_says_why_a_snapshot_could_not_be_taken_and_goes_on() {
    let house = House::new().await;
    house.add_volume("a").await;
    let registry = house.registry();
    registry
        .set_schedule(volume("a"), Some((3_600, 2)), 0)
        .await
        .unwrap();
    // Somebody has the name that the next one will have.
    house.take("a@auto-19700101T010000Z", 5).await;
    assert_eq!(taken(&registry.run_schedules(HOUR).await), 0);
    let problem = registry.schedules(HOUR)[0].problem.clone();
    assert!(problem.contains("there is a snapshot a@auto-"), "{problem}");
    assert_eq!(taken(&registry.run_schedules(HOUR + 1_000).await), 1);
    assert_eq!(registry.schedules(HOUR + 1_000)[0].problem, "");
}

#[tokio::test]
async fn applications_are_told_and_go_on_whatever_comes() {
    let house = House::new().await;
    house.add_volume("a").await;
    house.add_volume("b").await;
    let notes = house.path().join("notes");
    let fails = house.path().join("fails");
    let (notes_path, fails_path) = (notes.display(), fails.display());
    let registry = house.registry();
    registry.set_quiesce(vec![Quiesce {
        volumes: [volume("a")].into(),
        pre: format!("echo pre $TIDELOCK_VOLUME >> {notes_path}; test ! -e {fails_path}"),
        post: Some(format!("echo post >> {notes_path}")),
        timeout: std::time::Duration::from_secs(20),
    }]);
    for name in ["a", "b"] {
        let times = Some((3_600, 3));
        registry.set_schedule(volume(name), times, 0).await.unwrap();
    }
    let told = || std::fs::read_to_string(&notes).unwrap();
    assert_eq!(taken(&registry.run_schedules(HOUR).await), 2);
    assert_eq!(told(), "pre a\npost\n");
    let quiesced = |of| {
        let all = registry.snapshots(Some(&volume(of))).unwrap();
        all.iter().map(|one| one.quiesced).collect::<Vec<_>>()
    };
    assert_eq!((quiesced("a"), quiesced("b")), (vec![true], vec![false]));
    // What fails before leaves no snapshot, and isn't tried again at once.
    std::fs::write(&fails, b"").unwrap();
    assert_eq!(taken(&registry.run_schedules(2 * HOUR).await), 1);
    assert_eq!(taken(&registry.run_schedules(2 * HOUR + 59_000).await), 0);
    assert_eq!(told(), "pre a\npost\npre a\npost\n");
    let problem = registry.schedules(2 * HOUR).remove(0).problem;
    assert!(problem.contains("exit status: 1"), "{problem}");
    std::fs::remove_file(&fails).unwrap();
    assert_eq!(taken(&registry.run_schedules(2 * HOUR + 60_000).await), 1);
    assert_eq!(quiesced("a"), [true, true]);
}

#[tokio::test]
async fn a_stop_lets_applications_go_on_first() {
    let house = House::new().await;
    house.add_volume("a").await;
    let notes = house.path().join("notes");
    let path = notes.display();
    let registry = house.registry();
    registry.set_quiesce(vec![Quiesce {
        volumes: [volume("a")].into(),
        pre: format!("echo pre >> {path}; sleep 1000"),
        post: Some(format!("echo post >> {path}")),
        timeout: std::time::Duration::from_secs(500),
    }]);
    let hourly = Some((3_600, 3));
    registry.set_schedule(volume("a"), hourly, 0).await.unwrap();
    let due = Arc::clone(registry);
    let taking = tokio::spawn(async move { due.run_schedules(HOUR).await });
    while !notes.exists() {
        assert!(!taking.is_finished());
        tokio::task::yield_now().await;
    }
    taking.abort();
    assert_eq!(registry.flush_all().await, Vec::<String>::new());
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "pre\npost\n");
}
