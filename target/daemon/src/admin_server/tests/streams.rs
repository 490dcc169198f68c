//! Streams through the server: pieces of any number, refusals in the middle, clients that fall silent.

use std::time::Duration;

use bytes::Bytes;
use tidelock_admin::client::ClientError;
use tidelock_admin::v1::ErrorCode;
use tokio::sync::mpsc;

use super::fake::streams::PICKY;
use super::harness::{server, server_with};
use crate::admin_server::{Administrators, Limits};

fn code_of(error: ClientError) -> ErrorCode {
    match error {
        ClientError::Refused(detail) => {
            assert!(!detail.message.is_empty());
            detail.code
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_stream_comes_and_goes_in_pieces() {
    let server = server();
    let client = server.client();
    let token = "tidelock-resume-1-".to_owned();
    let refused = client.send_rest(&token).await.unwrap_err();
    assert_eq!(code_of(refused), ErrorCode::Invalid);
    let refused = client.send_snapshot("a", "b", Some("é")).await.unwrap_err();
    assert_eq!(code_of(refused), ErrorCode::Invalid);
    let refused = client.send_snapshot("a", "b", None).await.unwrap_err();
    assert_eq!(code_of(refused), ErrorCode::NotFound);
    let token = tidelock_replication::stream::Token {
        to: [1; 16],
        since: None,
        from: 0,
    };
    let mut download = client.send_rest(&token.to_string()).await.unwrap();
    let mut all = Vec::new();
    while let Some(piece) = download.next().await.unwrap() {
        all.extend(piece);
    }
    assert_eq!(all, b"abcd");
    let (sender, pieces) = mpsc::channel(1);
    let sending = tokio::spawn(async move {
        for _ in 0..100 {
            sender.send(Bytes::from(vec![7; 100_000])).await.unwrap();
        }
    });
    let received = client.receive_snapshot("v", Some("n"), true, pieces).await;
    let received = received.unwrap();
    sending.await.unwrap();
    assert_eq!(received.size_bytes, 10_000_000);
    assert_eq!(
        (&*received.snapshot, received.safety.as_deref()),
        ("n", Some("kept"))
    );
}

#[tokio::test]
async fn who_is_refused_while_sending_hears_why() {
    let server = server();
    for _ in 0..20 {
        let (sender, pieces) = mpsc::channel(1);
        let sending = tokio::spawn(async move {
            // For ever, unless somebody says that it is enough.
            while sender.send(Bytes::from(vec![7; 200_000])).await.is_ok() {}
        });
        let client = server.client();
        let refused = client.receive_snapshot(PICKY, None, false, pieces).await;
        assert_eq!(code_of(refused.unwrap_err()), ErrorCode::Conflict);
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn who_falls_silent_is_told_and_what_came_is_kept() {
    let limits = Limits {
        stream_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = server_with(Administrators::of_this_process(), limits);
    let (sender, pieces) = mpsc::channel(1);
    let client = server.client();
    let refused = client.receive_snapshot("v", None, false, pieces).await;
    assert_eq!(code_of(refused.unwrap_err()), ErrorCode::Timeout);
    drop(sender);
}
