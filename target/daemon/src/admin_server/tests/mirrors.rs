//! Mirrors as clients see them.

use tidelock_admin::client::ClientError;
use tidelock_admin::v1::{self, ErrorCode, MirrorOperation};

use super::harness::{Server, server};

fn refused(error: &ClientError) -> (ErrorCode, &str) {
    match error {
        ClientError::Refused(detail) => (detail.code, &detail.message),
        other => panic!("{other}"),
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

fn create(source: &str, target: &str) -> v1::CreateMirror {
    v1::CreateMirror {
        source: source.into(),
        target: target.into(),
        mode: v1::MirrorMode::Synchronous,
        failover: v1::MirrorFailover::Manual,
        rpo_ms: None,
        resync_limit: None,
        compression: None,
        on_failure: v1::OnFailure::Halt,
    }
}

fn operation(operation: MirrorOperation) -> v1::ModifyMirror {
    v1::ModifyMirror {
        operation,
        force: false,
        discard: None,
    }
}

#[tokio::test]
async fn a_mirror_lives_from_creation_to_detach() {
    let server = with_volumes(&["a", "b", "c"]).await;
    let client = server.client();
    assert!(client.mirrors().await.unwrap().mirrors.is_empty());
    let made = client.create_mirror(&create("a", "b")).await.unwrap();
    assert_eq!(
        (made.source.volume.as_str(), made.target.volume.as_str()),
        ("a", "b")
    );
    assert_eq!(made.on_failure, v1::OnFailure::Halt);
    for name in ["a", "b"] {
        assert_eq!(client.mirror(name).await.unwrap(), made);
    }
    let error = client.create_mirror(&create("c", "b")).await.unwrap_err();
    assert_eq!(
        refused(&error),
        (ErrorCode::Conflict, "volume b is mirrored with a")
    );
    let error = client.mirror("c").await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
    let suspended = client
        .modify_mirror("b", &operation(MirrorOperation::Suspend))
        .await
        .unwrap();
    assert_eq!(suspended.copy_state, "Suspended");
    let job = client.verify_mirror("a").await.unwrap();
    assert_eq!(job.kind, v1::JobKind::Compare);
    client.detach_mirror("b", true).await.unwrap();
    assert!(client.mirrors().await.unwrap().mirrors.is_empty());
    let error = client.detach_mirror("b", false).await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
}

#[tokio::test]
async fn what_no_mirror_can_be_asked_for_is_refused_by_name() {
    let server = with_volumes(&["a", "b"]).await;
    let mirrors = "/v1/mirrors";
    for (body, part) in [
        (r#"{"source":"a"}"#, "target"),
        (r#"{"source":"a","target":"b","rpo":5}"#, "rpo"),
        (
            r#"{"source":"a","target":"b","mode":"sometimes"}"#,
            "mode is synchronous or asynchronous",
        ),
        (
            r#"{"source":"a","target":"b","rpo_ms":5000}"#,
            "rpo_ms goes with the mode asynchronous",
        ),
        (
            r#"{"source":"a","target":"b","mode":"asynchronous","rpo_ms":99}"#,
            "rpo_ms is from 100 to 86400000",
        ),
        (
            r#"{"source":"a","target":"b","on_failure":"panic"}"#,
            "continue or halt",
        ),
        (r#"{"source":"a@x","target":"b"}"#, "volume name"),
        (r#"{"source":"a","target":"../b"}"#, "volume name"),
    ] {
        let (status, answer) = server.ask("POST", mirrors, body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer.to_string().contains(part), "{body}: {answer}");
    }
    server
        .client()
        .create_mirror(&create("a", "b"))
        .await
        .unwrap();
    for (body, part) in [
        (r#"{"operation":"explode"}"#, "operation is fracture"),
        (
            r#"{"operation":"suspend","discard":"a"}"#,
            "goes with the operation resync",
        ),
        (r#"{"operation":"resync","discard":"a b"}"#, "volume name"),
        (r#"{}"#, "operation"),
    ] {
        let (status, answer) = server.ask("POST", "/v1/mirrors/a/operations", body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer.to_string().contains(part), "{body}: {answer}");
    }
    for name in [
        "nobody",
        "a%2fb",
        "%20",
        "..%2f..",
        "x".repeat(5_000).as_str(),
    ] {
        let (status, answer) = server.ask("GET", &format!("/v1/mirrors/{name}"), "").await;
        assert_eq!(status, 404, "{name}: {answer}");
    }
}

#[tokio::test]
async fn the_mirrors_of_a_group_are_operated_on_together() {
    let server = with_volumes(&["a", "b", "c", "d"]).await;
    let client = server.client();
    for (name, volumes) in [("all", ["a", "b"]), ("copies", ["c", "d"])] {
        let group = v1::CreateGroup {
            name: name.into(),
            volumes: volumes.map(str::to_owned).to_vec(),
        };
        client.create_group(&group).await.unwrap();
    }
    let wanted = |target: &str| v1::CreateGroupMirrors {
        target: target.into(),
        mode: v1::MirrorMode::Synchronous,
        rpo_ms: None,
        on_failure: v1::OnFailure::Continue,
        resync_limit: None,
    };
    for target in ["a b", "peer:a b", "a b:copies"] {
        let error = client.create_group_mirrors("all", &wanted(target)).await;
        assert_eq!(refused(&error.unwrap_err()).0, ErrorCode::Invalid);
    }
    let made = client
        .create_group_mirrors("all", &wanted("copies"))
        .await
        .unwrap();
    let pairs = made.mirrors.iter();
    let pairs = pairs.map(|it| (it.source.volume.as_str(), it.target.volume.as_str()));
    assert_eq!(pairs.collect::<Vec<_>>(), [("a", "c"), ("b", "d")]);
    let suspended = client
        .modify_group_mirrors("all", &operation(MirrorOperation::Suspend))
        .await
        .unwrap();
    let states = suspended.mirrors.iter().map(|it| it.copy_state.as_str());
    assert_eq!(states.collect::<Vec<_>>(), ["Suspended"; 2]);
    let dropping = v1::ModifyMirror {
        discard: Some("a".into()),
        ..operation(MirrorOperation::Resync)
    };
    let error = client
        .modify_group_mirrors("all", &dropping)
        .await
        .unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::Invalid);
    let error = client
        .modify_group_mirrors("none", &operation(MirrorOperation::Resume))
        .await
        .unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
    client.detach_group_mirrors("all", false).await.unwrap();
    assert!(client.mirrors().await.unwrap().mirrors.is_empty());
}
