//! An etcd of the test's own, where the host has it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running member; killed when dropped.
pub(crate) struct Etcd {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Etcd {
    /// `None`, and a word about it, where the host has none.
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        // Somebody else may take the ports before etcd does; then it ends, and others are tried.
        for _ in 0..5 {
            let (port, peers) = (free_port(), free_port());
            let [client, peer] = [port, peers].map(|it| format!("http://127.0.0.1:{it}"));
            let data = folder.path().join(format!("data-{port}"));
            let child = Command::new("etcd")
                .args(["--data-dir".as_ref(), data.as_os_str()])
                .args(["--listen-client-urls", &client])
                .args(["--advertise-client-urls", &client])
                .args(["--listen-peer-urls", &peer])
                .args(["--initial-advertise-peer-urls", &peer])
                .args(["--initial-cluster", &format!("default={peer}")])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let mut child = match child {
                Ok(child) => child,
                Err(error) => {
                    eprintln!("NOT TESTED on this host: etcd: {error}");
                    return None;
                }
            };
            let began = Instant::now();
            while began.elapsed() < PATIENCE && child.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Some(Self {
                        child,
                        port,
                        _folder: folder,
                    });
                }
                std::thread::park_timeout(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("etcd doesn't start");
    }

    /// What a daemon's configuration says of it.
    pub(crate) fn section(&self, lease_seconds: u64) -> String {
        let port = self.port;
        format!(
            "[failover]\netcd = [\"http://127.0.0.1:{port}\"]\nlease_seconds = {lease_seconds}\n"
        )
    }

    /// It answers nobody from now on.
    pub(crate) fn freeze(&self) {
        signal(self.child.id(), Signal::STOP);
    }

    /// It does again.
    pub(crate) fn thaw(&self) {
        signal(self.child.id(), Signal::CONT);
    }

    /// How many keys it has that end so.
    pub(crate) fn keys(&self, ending: &str) -> usize {
        // All of them, without their values: "key": BASE64. What they end with is at the end of the text then.
        let body = "{\"key\":\"AA==\",\"range_end\":\"AA==\",\"keys_only\":true}";
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "POST /v3/kv/range HTTP/1.0\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, json) = answer.split_once("\r\n\r\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let all = json["kvs"].as_array().cloned().unwrap_or_default();
        let keys = all.iter().map(|it| decode(it["key"].as_str().unwrap()));
        keys.filter(|it| it.ends_with(ending)).count()
    }
}

/// Stops a process, or lets it go on.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Base64.
fn decode(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes().filter(|it| *it != b'=') {
        let value = LETTERS.iter().position(|it| *it == letter).unwrap();
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    String::from_utf8(bytes).unwrap()
}
