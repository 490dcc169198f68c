//! A server on a socket of its own, and raw HTTP to talk to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tidelock_admin::client::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fake::Fake;
use crate::admin_server::{Administrators, Control, Limits, serve_with};

/// Nothing in these tests takes this long unless it is broken.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) struct Server {
    pub(super) control: Arc<Fake>,
    pub(super) socket: PathBuf,
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

pub(super) fn server() -> Server {
    // Nobody has to be thrown out at the end: whoever behaves goes by himself.
    let limits = Limits {
        stop_patience: 2 * DEADLINE,
        ..Limits::default()
    };
    server_with(Administrators::of_this_process(), limits)
}

pub(super) fn server_with(administrators: Administrators, limits: Limits) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let control = Fake::new();
    let (stop, stopped) = watch::channel(false);
    let shared: Arc<dyn Control> = control.clone();
    let task = tokio::spawn(serve_with(
        listener,
        shared,
        administrators,
        limits,
        stopped,
    ));
    Server {
        control,
        socket,
        stop,
        task,
        _dir: dir,
    }
}

impl Server {
    pub(super) fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    pub(super) async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }

    /// Status and body of an answer to a request with a JSON body (empty for none).
    pub(super) async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n");
        if !body.is_empty() {
            let length = body.len();
            request += &format!("content-type: application/json\r\ncontent-length: {length}\r\n");
        }
        let answer = self.raw(format!("{request}\r\n{body}").as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (
            status,
            serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.into())),
        )
    }

    /// Everything that comes back until the server hangs up.
    pub(super) async fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may hang up before it has taken everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(DEADLINE, read)
            .await
            .expect("the server goes on for ever");
        String::from_utf8(answer).unwrap()
    }
}

/// Polls until something is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = tokio::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
