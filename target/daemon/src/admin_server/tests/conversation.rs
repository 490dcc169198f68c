//! What well-behaved clients get.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tidelock_admin::client::{Client, ClientError};
use tidelock_admin::v1::{self, ErrorCode};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::fake::{FILE, SLOW, session};
use super::harness::{DEADLINE, server, until};
use crate::admin_server::Control;

const TARGET: &str = "iqn.2024-01.com.example:t";
const HOST: &str = "iqn.2024-01.com.example:host";

fn refused(error: &ClientError) -> (ErrorCode, &str, &str) {
    match error {
        ClientError::Refused(detail) => (detail.code, &detail.message, &detail.hint),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_volume_lives_from_creation_to_deletion() {
    let server = server();
    let client = server.client();
    let request = v1::CreateVolume {
        name: "db".into(),
        size_bytes: Some(1 << 30),
        preallocate: true,
        write_through: true,
        block_bytes: Some(4_096),
        ..v1::CreateVolume::default()
    };
    let volume = client.create_volume(&request).await.unwrap();
    assert_eq!((volume.name.as_str(), volume.size_bytes), ("db", 1 << 30));
    assert!(volume.managed && volume.preallocated && !volume.write_cache && !volume.direct);
    assert_eq!(
        (volume.block_bytes, volume.allocated_bytes),
        (4_096, Some(4_096))
    );
    assert!(
        volume.naa.len() == 16 && volume.naa.starts_with('3'),
        "{}",
        volume.naa
    );
    let error = client.create_volume(&request).await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::Conflict);

    let resize = |size_bytes| v1::ResizeVolume { size_bytes };
    assert_eq!(
        client
            .resize_volume("db", &resize(2 << 30))
            .await
            .unwrap()
            .size_bytes,
        2 << 30
    );
    let error = client
        .resize_volume("db", &resize(1 << 30))
        .await
        .unwrap_err();
    let (code, message, hint) = refused(&error);
    assert_eq!(code, ErrorCode::Conflict);
    assert!(
        message.contains("cut off") && hint.contains("only grow"),
        "{message}: {hint}"
    );
    client.unfence_volume("db").await.unwrap();
    client.clear_reservations("db").await.unwrap();
    assert_eq!(server.control.cleared.load(Ordering::SeqCst), 1);

    assert_eq!(
        client.volumes().await.unwrap().volumes,
        [client.volume("db").await.unwrap()]
    );
    client.delete_volume("db", false).await.unwrap();
    let error = client.volume("db").await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
}

#[tokio::test]
async fn an_existing_file_becomes_a_volume_that_is_not_the_daemons() {
    let server = server();
    let request = |file: &str| v1::CreateVolume {
        name: "image".into(),
        file: Some(file.into()),
        ..v1::CreateVolume::default()
    };
    let error = server
        .client()
        .create_volume(&request("/missing.img"))
        .await
        .unwrap_err();
    assert_eq!(
        refused(&error),
        (ErrorCode::Invalid, "/missing.img: no such file", "")
    );
    let error = server
        .client()
        .create_volume(&request("image.img"))
        .await
        .unwrap_err();
    assert!(refused(&error).1.contains("absolute"));
    let volume = server.client().create_volume(&request(FILE)).await.unwrap();
    assert!(!volume.managed);
    assert_eq!(volume.path, FILE);
}

/// Volumes a and b, and a target that shows a as LUN 0 and, read-only, b as LUN 7.
async fn furnish(client: &Client) {
    for name in ["a", "b"] {
        let request = v1::CreateVolume {
            name: name.into(),
            size_bytes: Some(1 << 20),
            ..v1::CreateVolume::default()
        };
        client.create_volume(&request).await.unwrap();
    }
    let request = v1::CreateTarget {
        name: TARGET.to_uppercase(),
        portal_group_tag: None,
        portal_groups: None,
    };
    let target = client.create_target(&request).await.unwrap();
    assert_eq!(target.name, TARGET);
    assert_eq!((target.relative_port, target.portal_group_tag), (1, 1));
    let lun = client
        .map_lun(TARGET, &map("a", None, false))
        .await
        .unwrap();
    assert_eq!(
        lun,
        v1::Lun {
            lun: 0,
            volume: "a".into(),
            read_only: false
        }
    );
    let lun = client
        .map_lun(TARGET, &map("b", Some(7), true))
        .await
        .unwrap();
    assert_eq!(
        lun,
        v1::Lun {
            lun: 7,
            volume: "b".into(),
            read_only: true
        }
    );
}

fn map(volume: &str, lun: Option<u16>, read_only: bool) -> v1::MapLun {
    v1::MapLun {
        volume: volume.into(),
        lun,
        read_only,
    }
}

#[tokio::test]
async fn a_target_shows_what_is_mapped_until_it_is_unmapped() {
    let server = server();
    let client = server.client();
    furnish(&client).await;
    let error = client
        .map_lun(TARGET, &map("b", Some(16_384), false))
        .await
        .unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::Invalid);
    let error = client.delete_volume("b", false).await.unwrap_err();
    assert!(refused(&error).1.contains("LUN 7 of"));
    assert_eq!(client.target(TARGET).await.unwrap().luns.len(), 2);
    let mapping = v1::Mapping {
        target: TARGET.into(),
        lun: 7,
        read_only: true,
    };
    assert_eq!(client.volume("b").await.unwrap().mappings, [mapping]);
    client.unmap_lun(TARGET, 7).await.unwrap();
    let error = client.unmap_lun(TARGET, 7).await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
    client.delete_volume("b", false).await.unwrap();
}

#[tokio::test]
async fn access_states_are_set_by_group_and_listed() {
    let server = server();
    let client = server.client();
    furnish(&client).await;
    assert_eq!(client.asymmetric_access("a").await.unwrap().groups, []);
    let standby = v1::SetGroupAccess {
        state: Some(v1::AccessState::Standby),
        preferred: None,
    };
    let preferred = v1::SetGroupAccess {
        state: None,
        preferred: Some(true),
    };
    client
        .set_asymmetric_access("a", 2, &standby)
        .await
        .unwrap();
    let all = client
        .set_asymmetric_access("a", 1, &preferred)
        .await
        .unwrap();
    let seen: Vec<_> = all
        .groups
        .iter()
        .map(|group| (group.group, group.state, group.preferred, group.altered_by))
        .collect();
    let expected = [
        (1, v1::AccessState::ActiveOptimized, true, None),
        (
            2,
            v1::AccessState::Standby,
            false,
            Some(v1::AlteredBy::Daemon),
        ),
    ];
    assert_eq!(seen, expected);
    assert_eq!(client.asymmetric_access("a").await.unwrap(), all);
}

#[tokio::test]
async fn a_target_in_use_is_deleted_only_by_force() {
    let server = server();
    let client = server.client();
    furnish(&client).await;
    let error = client.delete_target(TARGET, false).await.unwrap_err();
    assert!(refused(&error).2.contains("--force"));
    for lun in [0, 7] {
        client.unmap_lun(TARGET, lun).await.unwrap();
    }
    server.control.sessions.lock().push(session(3, TARGET));
    let error = client.delete_target(TARGET, false).await.unwrap_err();
    assert_eq!(
        refused(&error).1,
        format!("target {TARGET} has 1 session(s)")
    );
    assert_eq!(client.targets().await.unwrap().targets[0].sessions, 1);
    client.delete_target(TARGET, true).await.unwrap();
    assert_eq!(client.targets().await.unwrap().targets, []);
}

fn credentials(user: &str, secret: &str) -> v1::Credentials {
    v1::Credentials {
        user: user.into(),
        secret: v1::SecretText(secret.into()),
    }
}

#[tokio::test]
async fn access_is_allowed_denied_and_removed_and_secrets_never_come_back() {
    let server = server();
    let client = server.client();
    client
        .create_target(&v1::CreateTarget {
            name: TARGET.into(),
            portal_group_tag: None,
            portal_groups: None,
        })
        .await
        .unwrap();
    let (secret, mutual) = ("a secret for you", "a secret for me");
    let allow = v1::SetAccess {
        access: v1::AccessKind::Allow,
        chap: Some(credentials("host", secret)),
        mutual: Some(credentials("tidelock", mutual)),
    };
    for scope in [TARGET, "discovery"] {
        let entry = client.set_access(scope, HOST, None, &allow).await.unwrap();
        let users = v1::ChapUsers {
            user: "host".into(),
            mutual_user: Some("tidelock".into()),
        };
        assert_eq!(entry.chap, Some(users));
        let deny = v1::SetAccess {
            access: v1::AccessKind::Deny,
            chap: None,
            mutual: None,
        };
        client.set_access(scope, "*", None, &deny).await.unwrap();
        let list = client.access_list(scope).await.unwrap();
        assert_eq!(list.scope, scope);
        let names: Vec<_> = list
            .entries
            .iter()
            .map(|entry| entry.initiator.as_str())
            .collect();
        assert_eq!(names, ["*", HOST]);
    }
    for path in ["/v1/targets", "/v1/status", "/v1/discovery/acl", "/metrics"] {
        let (status, body) = server.ask("GET", path, "").await;
        assert_eq!(status, 200);
        assert!(!body.to_string().contains("a secret"), "{path}: {body}");
    }
    client.remove_access(TARGET, "*", None).await.unwrap();
    let error = client.remove_access(TARGET, "*", None).await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::NotFound);
    assert_eq!(server.control.catalog().discovery().entries().len(), 2);
}

#[tokio::test]
async fn an_entry_may_be_about_a_network_and_stands_beside_the_one_about_anywhere() {
    let server = server();
    let base = "/v1/discovery/acl/*";
    let allow = r#"{"access": "allow"}"#;
    let put = |query: &str| format!("{base}{query}");
    for (query, says) in [
        ("?network=10.1.0.0/8", "write 10.0.0.0/8"),
        ("?network=", "is not a network"),
        ("?subnet=10.0.0.0/8", "subnet"),
    ] {
        let (status, answer) = server.ask("PUT", &put(query), allow).await;
        assert_eq!(status, 400, "{query}: {answer}");
        assert!(answer.to_string().contains(says), "{query}: {answer}");
    }
    let (status, entry) = server
        .ask("PUT", &put("?network=::ffff:10.0.0.0/104"), allow)
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        entry,
        json!({"initiator": "*", "network": "10.0.0.0/8", "access": "allow"})
    );
    let (_, plain) = server.ask("PUT", base, r#"{"access": "deny"}"#).await;
    assert_eq!(plain, json!({"initiator": "*", "access": "deny"}));
    let (_, list) = server.ask("GET", "/v1/discovery/acl", "").await;
    assert_eq!(list["entries"], json!([plain, entry]));
    for (query, expected) in [
        ("?network=10.0.0.0/16", 404),
        ("?network=10.0.0.0%2F8", 204),
    ] {
        let (status, answer) = server.ask("DELETE", &put(query), "").await;
        assert_eq!(status, expected, "{query}: {answer}");
    }
    assert_eq!(server.control.catalog().discovery().entries().len(), 1);
}

#[tokio::test]
async fn a_target_shows_where_it_is_redirected_to() {
    let server = server();
    let create = json!({"name": TARGET}).to_string();
    assert_eq!(server.ask("POST", "/v1/targets", &create).await.0, 201);
    let path = format!("/v1/targets/{TARGET}");
    let redirect = format!("{path}/redirect");
    let ask = |body: Value| {
        let body = body.to_string();
        let (server, redirect) = (&server, &redirect);
        async move { server.ask("PUT", redirect, &body).await }
    };
    for (address, says) in [
        ("192.0.2.1:3260,1", "portal group tag"),
        ("", "is not a portal's address"),
        ("0.0.0.0", "nobody can log in"),
    ] {
        let (status, answer) = ask(json!({"address": address})).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer.to_string().contains(says), "{answer}");
    }
    let (status, answer) = ask(json!({"address": "FD00::1"})).await;
    let expected = json!({"address": "[fd00::1]:3260", "permanent": false});
    assert_eq!((status, &answer), (200, &expected));
    assert_eq!(server.ask("GET", &path, "").await.1["redirect"], expected);
    assert_eq!(server.ask("DELETE", &redirect, "").await.0, 204);
    let shown = server.ask("GET", &path, "").await.1;
    assert!(shown.get("redirect").is_none(), "{shown}");
}

#[tokio::test]
async fn parameters_are_changed_one_by_one_and_what_a_list_says_keeps_them() {
    let server = server();
    let create = json!({"name": TARGET}).to_string();
    assert_eq!(server.ask("POST", "/v1/targets", &create).await.0, 201);
    let of_target = format!("/v1/targets/{TARGET}/parameters");
    let of_entry = format!("/v1/targets/{TARGET}/acl/{HOST}");
    let patch = |path: String, body: Value| {
        let server = &server;
        async move { server.ask("PATCH", &path, &body.to_string()).await }
    };
    let (status, set) = patch(of_target.clone(), json!({"set": {"queue_depth": 4}})).await;
    assert_eq!((status, set), (200, json!({"queue_depth": 4})));
    let more = json!({"set": {"initial_r2t": true}, "reset": ["nop_interval"]});
    let (_, set) = patch(of_target.clone(), more).await;
    assert_eq!(set, json!({"queue_depth": 4, "initial_r2t": true}));
    for (body, says) in [
        (
            json!({"set": {"queue_depth": 5_000_000_000_u64}}),
            "from 1 to 1024",
        ),
        (json!({"set": {"depth": 1}}), "depth"),
        (json!({"reset": ["depth"]}), "there is no parameter"),
    ] {
        let (status, answer) = patch(of_target.clone(), body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer.to_string().contains(says), "{answer}");
    }
    let depth = json!({"set": {"queue_depth": 2}});
    assert_eq!(patch(of_entry.clone(), depth.clone()).await.0, 404);
    let allow = r#"{"access": "allow"}"#;
    assert_eq!(server.ask("PUT", &of_entry, allow).await.0, 200);
    assert_eq!(patch(of_entry.clone(), depth).await.0, 200);
    let (_, entry) = server.ask("PUT", &of_entry, allow).await;
    assert_eq!(entry["parameters"], json!({"queue_depth": 2}));
    let (_, target) = server
        .ask("GET", &format!("/v1/targets/{TARGET}"), "")
        .await;
    assert_eq!(target["parameters"]["queue_depth"], 4);
    assert_eq!(target["acl"][0]["parameters"]["queue_depth"], 2);
}

#[tokio::test]
async fn an_initiator_is_asked_to_log_out_within_a_time_that_makes_sense() {
    let server = server();
    server.control.sessions.lock().push(session(1, TARGET));
    let ask = |seconds: u64| {
        let body = json!({"within_seconds": seconds}).to_string();
        let server = &server;
        async move { server.ask("POST", "/v1/sessions/1/logout", &body).await }
    };
    for seconds in [0, 601, 65_537] {
        let (status, answer) = ask(seconds).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer.to_string().contains("from 1 to 600"), "{answer}");
    }
    assert_eq!(ask(600).await.0, 202);
    assert_eq!(ask(1).await.0, 404);
}

#[tokio::test]
async fn secrets_that_break_a_rule_are_refused_without_being_quoted() {
    let server = server();
    let path = format!("/v1/discovery/acl/{HOST}");
    let chap = |secret| json!({"user": "u", "secret": secret});
    let long = "é".repeat(200);
    for (body, says) in [
        (
            json!({"access": "allow", "chap": chap("tooshort")}),
            "at least 12 bytes",
        ),
        (
            json!({"access": "allow", "chap": chap(&long)}),
            "at most 255 bytes",
        ),
        (
            json!({"access": "allow", "chap": chap("tooshort, now\nlong")}),
            "control characters",
        ),
        (
            json!({"access": "allow", "chap": {"user": "", "secret": "tooshort but not"}}),
            "empty",
        ),
        (
            json!({"access": "allow", "mutual": chap("tooshort but not")}),
            "needs chap",
        ),
        (
            json!({"access": "deny", "chap": chap("tooshort but not")}),
            "leave them out",
        ),
        (
            json!({"access": "allow", "chap": chap("tooshort but not"),
                   "mutual": chap("tooshort but not")}),
            "one that an initiator proves itself with",
        ),
        (json!({"access": "allow", "chap": "tooshort"}), "wrong kind"),
        (
            json!({"access": "allow", "chap": {"user": 5, "secret": "tooshort"}}),
            "wrong kind",
        ),
        (
            json!({"access": "allow", "chap": {"user": "u", "secret": ["tooshort"]}}),
            "wrong kind",
        ),
    ] {
        let (status, answer) = server.ask("PUT", &path, &body.to_string()).await;
        assert!([400, 409].contains(&status), "{answer}");
        let answer = answer.to_string();
        assert!(answer.contains(says), "{answer}: {says}");
        assert!(!answer.contains("tooshort"), "{answer}");
    }
    assert!(server.control.catalog().discovery().is_empty());
}

#[tokio::test]
async fn sessions_are_listed_and_dropped() {
    let server = server();
    server
        .control
        .sessions
        .lock()
        .extend([session(1, TARGET), session(2, TARGET)]);
    let client = server.client();
    client.drop_session(1).await.unwrap();
    assert_eq!(
        client.sessions().await.unwrap().sessions,
        [session(2, TARGET)]
    );
    let error = client.drop_session(1).await.unwrap_err();
    assert_eq!(refused(&error).1, "there is no session 1");
    assert_eq!(client.status().await.unwrap().sessions, 1);
}

#[tokio::test]
async fn a_change_that_was_begun_is_ended_even_if_the_client_hangs_up() {
    let server = server();
    let body = json!({"name": SLOW, "size_bytes": 4_096}).to_string();
    let request = format!(
        "POST /v1/volumes HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = server.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    until("the volume is begun", || {
        server.control.begun.load(Ordering::SeqCst) == 1
    })
    .await;
    drop(stream);
    // Another request goes through meanwhile.
    assert_eq!(server.client().volumes().await.unwrap().volumes, []);
    server.control.finish_slow();
    until("the volume is there", || {
        server.control.catalog().volumes().len() == 1
    })
    .await;
}

#[tokio::test]
async fn events_are_told_as_they_happen_and_the_stream_ends_when_the_server_stops() {
    let server = server();
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /v1/events HTTP/1.1\r\nhost: t\r\n\r\n")
        .await
        .unwrap();
    let mut lines = BufReader::new(stream).lines();
    until("somebody listens", || server.control.listeners() == 1).await;
    let request = v1::CreateTarget {
        name: TARGET.into(),
        portal_group_tag: None,
        portal_groups: None,
    };
    server.client().create_target(&request).await.unwrap();
    let mut seen = Vec::new();
    let read = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("data:") {
                seen.push(line);
                server.stop.send_replace(true);
            } else if line.starts_with("event:") {
                seen.push(line);
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.unwrap();
    assert_eq!(
        seen,
        [
            "event: target_created".to_owned(),
            format!(r#"data: {{"at_unix_ms":1,"kind":"target_created","target":"{TARGET}"}}"#),
        ]
    );
    tokio::time::timeout(DEADLINE, server.task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_listener_that_is_too_slow_is_told_how_much_it_missed() {
    let server = server();
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /v1/events HTTP/1.1\r\nhost: t\r\n\r\n")
        .await
        .unwrap();
    until("somebody listens", || server.control.listeners() == 1).await;
    // More than the channel holds, before the server's task gets to run.
    for id in 0..10 {
        server.control.tell(v1::EventKind::VolumeDeleted {
            volume: format!("v{id}"),
        });
    }
    let mut lines = BufReader::new(stream).lines();
    let read = async {
        loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .expect("the stream goes on");
            if line.starts_with("data:") {
                return line;
            }
        }
    };
    let first = tokio::time::timeout(DEADLINE, read).await.unwrap();
    assert!(first.contains(r#""kind":"missed","count":6"#), "{first}");
}

#[tokio::test]
async fn metrics_are_text_for_prometheus() {
    let server = server();
    let answer = server
        .raw(b"GET /metrics HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
        .await;
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    assert!(answer.ends_with("tidelock_sessions 0\n# EOF\n"), "{answer}");
}
