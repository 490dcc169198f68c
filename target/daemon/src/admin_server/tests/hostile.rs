//! What clients get that are wrong, slow, greedy or somebody else.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tidelock_admin::client::ClientError;
use tidelock_admin::v1::ErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::fake::SLOW;
use super::harness::{DEADLINE, server, server_with, until};
use crate::admin_server::{Administrators, Limits};

fn error<'a>(answer: &'a Value, part: &str) -> &'a str {
    answer["error"][part]
        .as_str()
        .unwrap_or_else(|| panic!("no error.{part} in {answer}"))
}

/// Method, path, body | status, code, and what the message says.
const WRONG_REQUESTS: &str = r#"
GET | / |  | 404 | not_found | there is no / in this API
GET | /v2/status |  | 404 | not_found | /v2/status
GET | /v1/volumes/ |  | 404 | not_found | /v1/volumes/
PUT | /v1/status |  | 405 | method_not_allowed | PUT
BREW | /v1/status |  | 405 | method_not_allowed | BREW
POST | /v1/volumes | { | 400 | invalid | line 1 column 1
POST | /v1/volumes | [] | 400 | invalid |
POST | /v1/volumes | {} | 400 | invalid | missing field `name`
POST | /v1/volumes | {"name":"a","sise":1} | 400 | invalid | `sise`
POST | /v1/volumes | {"name":"a","size_bytes":-1} | 400 | invalid | wrong kind
POST | /v1/volumes | {"name":"a"} | 400 | invalid | either size_bytes
POST | /v1/volumes | {"name":"a","size_bytes":1,"file":"/x"} | 400 | invalid | either size_bytes
POST | /v1/volumes | {"name":"a","file":"/x","preallocate":true} | 400 | invalid | preallocate is for new files
POST | /v1/volumes | {"name":"a","file":"/x","integrity":"full"} | 400 | invalid | integrity=full is for new volumes
PUT | /v1/volumes/none/limits | {"limit_bytes":1048576} | 404 | not_found | none
PUT | /v1/volumes/none/limits | {"limit":1} | 400 | invalid | limit
POST | /v1/volumes | {"name":"a","size_bytes":4096,"limits":{"limit_bytes":4096}} | 400 | invalid | a limit is at least 1 MiB
POST | /v1/volumes | {"name":"a","size_bytes":4096,"limits":{"warn_percent":80}} | 400 | invalid | a warning needs a limit
POST | /v1/volumes | {"name":"a","size_bytes":4096,"limits":{"limit_bytes":1048576,"warn_percent":100}} | 400 | invalid | 1 to 99 percent
POST | /v1/volumes | {"name":"a","size_bytes":4096,"preallocate":true,"limits":{"limit_bytes":1048576}} | 400 | invalid | preallocated
POST | /v1/volumes | {"name":"a","size_bytes":4096,"integrity":"half"} | 400 | invalid | integrity is usual or full
POST | /v1/volumes | {"name":"a/b","size_bytes":1} | 400 | invalid | '/' can't be
POST | /v1/volumes | {"name":"a","size_bytes":1} | 400 | invalid | multiple of the block size
POST | /v1/volumes | {"name":"a","size_bytes":512,"block_bytes":9} | 400 | invalid | 512 or 4096
GET | /v1/volumes/none |  | 404 | not_found | no volume none
POST | /v1/volumes/none/unfence |  | 404 | not_found | no volume none
DELETE | /v1/volumes/none/reservations |  | 404 | not_found | no volume none
GET | /v1/volumes/none/access |  | 404 | not_found | no volume none
PATCH | /v1/volumes/none/access/1 | {"state":"standby"} | 404 | not_found | no volume none
PATCH | /v1/volumes/none/access/17 | {"state":"standby"} | 400 | invalid | 17 can't be a portal group
PATCH | /v1/volumes/none/access/x | {"state":"standby"} | 400 | invalid | x
PATCH | /v1/volumes/none/access/1 | {"state":"transitioning"} | 400 | invalid | one of: active-optimized
PATCH | /v1/volumes/none/access/1 | {"state":"asleep"} | 400 | invalid | one of: active-optimized
PATCH | /v1/volumes/none/access/1 | {"weight":1} | 400 | invalid | `weight`
GET | /v1/volumes/a%2Fb |  | 400 | invalid | '/' can't be
GET | /v1/volumes/%ff |  | 400 | invalid | UTF-8
POST | /v1/targets | {"name":"disk1"} | 400 | invalid | iqn., eui. or naa.
POST | /v1/targets | {"name":"iqn.2024-01.x","portal_group_tag":65536} | 400 | invalid | wrong kind
POST | /v1/targets | {"name":"iqn.2024-01.x","portal_group_tag":0} | 400 | invalid | from 1 to 16
POST | /v1/targets | {"name":"iqn.2024-01.x","portal_groups":[2,17]} | 400 | invalid | 17 can't be a portal group
POST | /v1/targets | {"name":"iqn.2024-01.x","portal_groups":[]} | 400 | invalid | at least one
POST | /v1/targets | {"name":"iqn.2024-01.x","portal_groups":[1],"portal_group_tag":1} | 400 | invalid | either
PATCH | /v1/targets/iqn.2024-01.com.example:none | {"portal_groups":[1]} | 404 | not_found | no target
PATCH | /v1/targets/iqn.2024-01.com.example:none | {"portal_group":[1]} | 400 | invalid | `portal_group`
GET | /v1/targets/iqn.2024-01.com.example:none |  | 404 | not_found | no target
DELETE | /v1/targets/iqn.2024-01.com.example:none?force=maybe |  | 400 | invalid | force
DELETE | /v1/targets/iqn.2024-01.com.example:none?forse=true |  | 400 | invalid | forse
DELETE | /v1/targets/iqn.2024-01.com.example:none/luns/65536 |  | 400 | invalid | 65536
DELETE | /v1/targets/iqn.2024-01.com.example:none/luns/16384 |  | 400 | invalid | 0 to 16383
DELETE | /v1/sessions/x |  | 400 | invalid | x
DELETE | /v1/sessions/1 |  | 404 | not_found | no session 1
"#;

#[tokio::test]
async fn every_wrong_request_gets_a_status_a_code_and_what_is_wrong() {
    let server = server();
    for row in WRONG_REQUESTS.trim().lines() {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        let [method, path, body, status, code, says] = columns[..] else {
            panic!("{row}")
        };
        let (got, answer) = server.ask(method, path, body).await;
        assert_eq!(got.to_string(), status, "{row}: {answer}");
        assert_eq!(error(&answer, "code"), code, "{row}");
        let message = error(&answer, "message");
        assert!(message.contains(says), "{row}: {message}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_refused() {
    let server = server();
    let answer = server
        .raw(
            b"POST /v1/targets HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\
              content-type: application/x-www-form-urlencoded\r\ncontent-length: 2\r\n\r\n{}",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    assert!(
        answer.contains("Content-Type: application/json"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_huge_body_is_refused_whether_or_not_it_says_its_length() {
    let server = server();
    let head = "POST /v1/targets HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: 99999999999\r\n\r\n{{");
    assert!(
        server
            .raw(request.as_bytes())
            .await
            .starts_with("HTTP/1.1 413")
    );
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let request = format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}");
    assert!(
        server
            .raw(request.as_bytes())
            .await
            .starts_with("HTTP/1.1 413")
    );
    assert!(server.client().status().await.is_ok());
}

#[tokio::test]
async fn what_is_not_http_is_dropped() {
    let server = server();
    for garbage in [
        &b"\0\0\0\0\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let answer = server.raw(garbage).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    let mut endless = b"GET /v1/status HTTP/1.1\r\nx: ".to_vec();
    endless.resize(1 << 20, b'a');
    let answer = server.raw(&endless).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    assert!(server.client().status().await.is_ok());
}

fn hasty() -> Limits {
    Limits {
        connections: 2,
        header_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_millis(200),
        write_timeout: Duration::from_millis(200),
        ..Limits::default()
    }
}

#[tokio::test]
async fn clients_that_dawdle_are_dropped_and_those_who_wait_for_a_place_get_it() {
    let server = server_with(Administrators::of_this_process(), hasty());
    let mut silent = server.connect().await;
    let mut halting = server.connect().await;
    halting.write_all(b"GET /v1/sta").await.unwrap();
    // Both places are taken until the timeouts have passed.
    assert!(server.client().status().await.is_ok());
    for stream in [&mut silent, &mut halting] {
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        let _ = tokio::time::timeout(DEADLINE, read)
            .await
            .expect("it is not dropped");
    }
}

#[tokio::test]
async fn a_connection_that_is_idle_after_a_request_is_dropped() {
    let server = server_with(Administrators::of_this_process(), hasty());
    let answer = server
        .raw(b"GET /v1/status HTTP/1.1\r\nhost: t\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let server = server_with(Administrators::of_this_process(), hasty());
    let request = b"POST /v1/targets HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n\
                    content-length: 10\r\n\r\n{";
    let answer = server.raw(request).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn other_users_are_told_that_they_may_not_and_change_nothing() {
    // The user of this process is left out, so that it is a foreign one.
    let server = server_with(Administrators::new([u32::MAX]), Limits::default());
    for (method, path) in [
        ("GET", "/v1/status"),
        ("DELETE", "/v1/volumes/a"),
        ("GET", "/x"),
    ] {
        let (status, answer) = server.ask(method, path, "").await;
        assert_eq!((status, error(&answer, "code")), (403, "forbidden"));
        assert!(error(&answer, "hint").contains("root"), "{answer}");
    }
    let refused = server.client().status().await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused(d) if d.code == ErrorCode::Forbidden));
}

#[tokio::test]
async fn a_server_that_stops_lets_go_of_everybody() {
    let server = server();
    let mut idle = server.connect().await;
    assert!(server.client().status().await.is_ok());
    server.stop.send_replace(true);
    tokio::time::timeout(DEADLINE, server.task)
        .await
        .unwrap()
        .unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, idle.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_ever_for_a_request_that_is_running() {
    let limits = Limits {
        stop_patience: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = server_with(Administrators::of_this_process(), limits);
    let body = format!(r#"{{"name":"{SLOW}","size_bytes":4096}}"#);
    let mut stream = server.connect().await;
    let head = "POST /v1/volumes HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    until("the volume is begun", || {
        server.control.begun.load(Ordering::SeqCst) == 1
    })
    .await;
    server.stop.send_replace(true);
    tokio::time::timeout(DEADLINE, server.task)
        .await
        .unwrap()
        .unwrap();
}
