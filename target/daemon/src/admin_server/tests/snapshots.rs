//! Snapshots, groups and schedules as clients see them.

use tidelock_admin::client::ClientError;
use tidelock_admin::v1::{self, ErrorCode};

use super::fake::session;
use super::harness::{Server, server};

const TARGET: &str = "iqn.2024-01.com.example:t";

fn refused(error: &ClientError) -> (ErrorCode, &str, &str) {
    match error {
        ClientError::Refused(detail) => (detail.code, &detail.message, &detail.hint),
        other => panic!("{other}"),
    }
}

fn named(name: &str) -> v1::CreateSnapshot {
    v1::CreateSnapshot {
        name: name.into(),
        quiesced: false,
    }
}

async fn with_volumes(names: &[&str]) -> Server {
    let server = server();
    for name in names {
        let request = v1::CreateVolume {
            name: (*name).into(),
            size_bytes: Some(1 << 20),
            ..v1::CreateVolume::default()
        };
        server.client().create_volume(&request).await.unwrap();
    }
    server
}

#[tokio::test]
async fn a_snapshot_lives_from_creation_to_deletion() {
    let server = with_volumes(&["a", "b"]).await;
    let client = server.client();
    let taken = client.create_snapshot("a", &named("one")).await.unwrap();
    assert_eq!((taken.volume.as_str(), taken.name.as_str()), ("a", "one"));
    let error = client
        .create_snapshot("a", &named("one"))
        .await
        .unwrap_err();
    let (code, message, _) = refused(&error);
    assert_eq!(
        (code, message),
        (ErrorCode::Conflict, "there is a snapshot a@one already")
    );
    for (volume, name) in [("a", ".."), ("..", "x"), ("a", "x@y"), ("a@one", "x")] {
        let error = client
            .create_snapshot(volume, &named(name))
            .await
            .unwrap_err();
        assert_eq!(refused(&error).0, ErrorCode::Invalid, "{volume} {name}");
    }
    client.create_snapshot("b", &named("one")).await.unwrap();
    assert_eq!(client.snapshots(None).await.unwrap().snapshots.len(), 2);
    assert_eq!(
        client.snapshots(Some("a")).await.unwrap().snapshots,
        [taken]
    );
    let error = client.snapshots(Some("none")).await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
    client.delete_snapshot("a", "one").await.unwrap();
    let error = client.snapshot("a", "one").await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
    let error = client.delete_snapshot("a", "one").await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
}

#[tokio::test]
async fn a_volume_in_use_is_restored_only_by_force() {
    let server = with_volumes(&["a"]).await;
    let client = server.client();
    client.create_snapshot("a", &named("one")).await.unwrap();
    let restore = |force| v1::RestoreSnapshot { force };
    client
        .restore_snapshot("a", "one", &restore(false))
        .await
        .unwrap();
    server.control.sessions.lock().push(session(1, TARGET));
    let error = client
        .restore_snapshot("a", "one", &restore(false))
        .await
        .unwrap_err();
    let (code, message, hint) = refused(&error);
    assert_eq!(code, ErrorCode::Conflict);
    assert!(
        message.contains("volume a is in use") && hint.contains("--force"),
        "{message}: {hint}"
    );
    let restored = client
        .restore_snapshot("a", "one", &restore(true))
        .await
        .unwrap();
    assert_eq!(restored.restored[0].safety, "before-restore");
}

#[tokio::test]
async fn a_snapshot_is_mapped_by_its_name() {
    let server = with_volumes(&["a"]).await;
    let client = server.client();
    client.create_snapshot("a", &named("one")).await.unwrap();
    let target = v1::CreateTarget {
        name: TARGET.into(),
        portal_group_tag: None,
        portal_groups: None,
    };
    client.create_target(&target).await.unwrap();
    let map = |what: &str| v1::MapLun {
        volume: what.into(),
        lun: None,
        read_only: false,
    };
    let lun = client.map_lun(TARGET, &map("a@one")).await.unwrap();
    assert_eq!((lun.volume.as_str(), lun.read_only), ("a@one", true));
    for (what, code) in [
        ("a@none", ErrorCode::NotFound),
        ("a@", ErrorCode::Invalid),
        ("@one", ErrorCode::Invalid),
        ("a@one@two", ErrorCode::Invalid),
        ("../a@one", ErrorCode::Invalid),
    ] {
        let error = client.map_lun(TARGET, &map(what)).await.unwrap_err();
        assert_eq!(refused(&error).0, code, "{what}");
    }
}

#[tokio::test]
async fn groups_and_schedules_live_from_creation_to_deletion() {
    let server = with_volumes(&["a", "b", "c"]).await;
    let client = server.client();
    let create = |volumes: &[&str]| v1::CreateGroup {
        name: "g".into(),
        volumes: volumes.iter().map(ToString::to_string).collect(),
    };
    let error = client
        .create_group(&create(&["a", "none"]))
        .await
        .unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
    assert!(client.groups().await.unwrap().groups.is_empty());
    client.create_group(&create(&["a", "b"])).await.unwrap();
    let group = client.add_to_group("g", "c").await.unwrap();
    assert_eq!(group.volumes, ["a", "b", "c"]);
    assert_eq!(client.volume("c").await.unwrap().groups, ["g"]);
    client.remove_from_group("g", "b").await.unwrap();
    let taken = client.snapshot_group("g", &named("one")).await.unwrap();
    assert_eq!(taken.snapshots.len(), 2);
    let force = v1::RestoreSnapshot { force: false };
    let restored = client.restore_group("g", "one", &force).await.unwrap();
    assert_eq!(restored.restored.len(), 2);
    client.delete_group("g").await.unwrap();
    let error = client.group("g").await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
    let times = |every_seconds, keep| v1::SetSchedule {
        every_seconds,
        keep,
    };
    let error = client.set_schedule("a", &times(59, 1)).await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::Invalid);
    let schedule = client.set_schedule("a", &times(60, 3)).await.unwrap();
    assert_eq!((schedule.volume.as_str(), schedule.keep), ("a", 3));
    assert_eq!(client.schedules().await.unwrap().schedules, [schedule]);
    client.remove_schedule("a").await.unwrap();
    assert!(client.schedules().await.unwrap().schedules.is_empty());
}

#[tokio::test]
async fn a_question_about_differences_is_checked() {
    let server = server();
    let found = server.client().diff("a@one", "a", 8_192).await.unwrap();
    assert_eq!((found.from.as_str(), found.to.as_str()), ("a@one", "a"));
    assert_eq!(found.ranges[0].offset_bytes, 8_192);
    for query in [
        "from=a",
        "from=a@b@c&to=a",
        "from=a&to=..",
        "from=a&to=b&limit=0",
        "from=a&to=b&limit=65537",
        "from=a&to=b&offset_bytes=-1",
        "from=a&to=b&other=1",
    ] {
        let path = format!("/v1/diff?{query}");
        let (status, answer) = server.ask("GET", &path, "").await;
        assert_eq!(status, 400, "{query}: {answer}");
    }
}

#[tokio::test]
async fn damage_is_looked_for_in_a_volume_or_a_snapshot() {
    let server = with_volumes(&["a"]).await;
    let client = server.client();
    let report = client.verify_volume("a").await.unwrap().report.unwrap();
    assert_eq!((report.checked.as_str(), report.damaged), ("a", 0));
    let scrub = |name: Option<&str>| v1::ScrubVolume {
        snapshot: name.map(ToOwned::to_owned),
        rate_bytes_per_second: Some(77),
    };
    let job = client.scrub_volume("a", &scrub(Some("one"))).await.unwrap();
    let report = job.report.unwrap();
    assert_eq!((report.checked.as_str(), report.damaged), ("a@one", 1));
    assert_eq!(report.checked_bytes, 77, "the rate arrives");
    for (volume, name, code) in [
        ("none", None, ErrorCode::NotFound),
        ("a", Some(".."), ErrorCode::Invalid),
        ("..", None, ErrorCode::Invalid),
    ] {
        let error = client.scrub_volume(volume, &scrub(name)).await.unwrap_err();
        assert_eq!(refused(&error).0, code, "{volume}");
    }
}
