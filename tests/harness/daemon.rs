//! A daemon of the test's own, in a folder of its own, on a free port.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::wait_until;

/// How long a daemon may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The target that [`Daemon::with_lun`] makes.
pub(crate) const TARGET: &str = "iqn.2026-11.test.tidelock:t";

/// What the configuration of a daemon says that has no other portals than it was given.
const ALONE: &str = "# no other portals\n";

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    folder: Option<TempDir>,
    state_dir: PathBuf,
    extra: Vec<String>,
    config: String,
    /// Where it listens.
    pub portal: SocketAddr,
    /// Its admin socket.
    pub socket: PathBuf,
    log: mpsc::Receiver<String>,
    /// What it logged between its portal and the moment when it served, until somebody asks for it.
    early: RefCell<Vec<String>>,
}

impl Daemon {
    /// Starts a daemon with nothing to serve.
    pub(crate) fn start() -> Self {
        Self::start_with("", &[])
    }

    /// Starts a daemon with lines for its TOML file and further arguments.
    pub(crate) fn start_with(config: &str, extra: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("tidelock-test-")
            .tempdir()
            .unwrap();
        let state_dir = folder.path().join("state");
        Self::spawn(Some(folder), state_dir, config.to_owned(), extra)
    }

    /// Starts a daemon that has no portal but those in its arguments, of which one is the first.
    pub(crate) fn start_alone(config: &str, extra: &[&str]) -> Self {
        assert_eq!(extra.first(), Some(&"--portal"));
        let folder = tempfile::Builder::new()
            .prefix("tidelock-test-")
            .tempdir()
            .unwrap();
        let state_dir = folder.path().join("state");
        let config = format!("{ALONE}{config}");
        Self::spawn(Some(folder), state_dir, config, extra)
    }

    /// Starts a daemon whose state is in a folder of the test's choice.
    pub(crate) fn start_in(state_dir: &Path) -> Self {
        Self::spawn(None, state_dir.to_owned(), String::new(), &[])
    }

    /// Starts a daemon that serves one LUN 0 of `size` (as for `volume create --size`) to everybody.
    pub(crate) fn with_lun(size: &str) -> Self {
        let daemon = Self::start();
        daemon.add_lun("vol", size);
        daemon
    }

    /// Makes a volume and maps it to [`TARGET`], open to everybody.
    pub(crate) fn add_lun(&self, volume: &str, size: &str) {
        self.run(&["volume", "create", volume, "--size", size]);
        self.run(&["target", "create", TARGET]);
        self.run(&["lun", "map", TARGET, volume]);
        self.run(&["acl", "allow", TARGET, "*"]);
    }

    fn spawn(folder: Option<TempDir>, state_dir: PathBuf, config: String, extra: &[&str]) -> Self {
        std::fs::create_dir_all(&state_dir).unwrap();
        let socket = state_dir.join("admin.sock");
        let toml = state_dir.join("tidelockd.toml");
        // How full the disk of the tests is must not be told to their initiators, unless that is tested.
        let quiet = "space_warning_percent = 0\n";
        // A session that a test leaves alone for a while, on a machine that is busy, isn't one that has died.
        let patient = "nop_timeout_seconds = 120\n";
        let mut written = config.clone();
        for (key, line) in [
            ("space_warning_percent", quiet),
            ("nop_timeout_seconds", patient),
        ] {
            if !config.contains(key) {
                written.insert_str(0, line);
            }
        }
        std::fs::write(&toml, written).unwrap();
        let usual = (!config.contains(ALONE)).then_some(["--portal", "127.0.0.1:0"]);
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidelockd"))
            .args(["--config".as_ref(), toml.as_os_str()])
            .args(["--state-dir".as_ref(), state_dir.as_os_str()])
            .args(["--admin-socket".as_ref(), socket.as_os_str()])
            .args(["--log", "info"])
            .args(usual.into_iter().flatten())
            .args(extra)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = follow(child.stderr.take().unwrap());
        let (portal, early) = wait_until_it_serves(&mut child, &log);
        let daemon = Self {
            child,
            folder,
            state_dir,
            extra: extra.iter().map(ToString::to_string).collect(),
            config,
            portal,
            socket,
            log,
            early: RefCell::new(early),
        };
        wait_until("the admin socket answers", PATIENCE, || {
            daemon.tidelock(&["status"]).status.success()
        });
        daemon
    }

    /// The folder of the test, for files of its own.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    /// The state folder.
    pub(crate) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it as a power cut would the process: no chance to write anything.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills it and starts it again on the same state, on another free port.
    pub(crate) fn kill_and_restart(mut self) -> Self {
        self.kill();
        self.restart()
    }

    /// Starts it again after its end.
    pub(crate) fn restart(mut self) -> Self {
        let extra: Vec<_> = self.extra.iter().map(String::as_str).collect();
        Self::spawn(
            self.folder.take(),
            self.state_dir.clone(),
            self.config.clone(),
            &extra,
        )
    }

    /// Asks it to stop and returns whether it said that all was well.
    pub(crate) fn terminate(&mut self) -> bool {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(Instant::now() < deadline, "the daemon didn't stop");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").trim().parse().unwrap()
    }

    /// The log lines since the last call.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        let mut lines = self.early.take();
        lines.extend(self.log.try_iter());
        lines
    }

    /// The log lines since the last call, up to the first one with `text` in it. What the daemon says in its log
    /// comes by a pipe of its own: an answer on a socket can be here before it.
    pub(crate) fn log_until(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.log_lines();
        while !lines.iter().any(|line| line.contains(text)) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line) => lines.push(line),
                Err(_) => panic!("no {text:?} in the log: {}", lines.join("\n")),
            }
        }
        lines.join("\n")
    }

    /// Runs the command line against this daemon.
    pub(crate) fn tidelock(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tidelock"))
            .arg("--socket")
            .arg(&self.socket)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The same, and it must succeed; returns its output.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let output = self.tidelock(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "tidelock {args:?} failed: {stderr}"
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same with `--json`.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        serde_json::from_str(&self.run(&all)).unwrap()
    }

    /// All sessions as the listing has them.
    pub(crate) fn sessions(&self) -> Vec<Value> {
        self.json(&["session", "list"])["sessions"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// All volumes as the listing has them.
    pub(crate) fn volumes(&self) -> Vec<Value> {
        self.json(&["volume", "list"])["volumes"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// A figure of `/metrics`, fetched as any HTTP client would.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.figure(name)
            .unwrap_or_else(|text| panic!("{name} is missing in {text}"))
    }

    /// The same, or all that there is instead.
    pub(crate) fn figure(&self, name: &str) -> Result<u64, String> {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: tidelock\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let line = answer
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        match line {
            Some(line) => Ok(line.trim().parse().unwrap()),
            None => Err(answer),
        }
    }

    /// The same, and it must be refused; returns the message.
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let output = self.tidelock(args);
        assert!(
            !output.status.success(),
            "tidelock {args:?} was not refused"
        );
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a daemon that is expected to refuse to start; returns what it said.
pub(crate) fn start_refused(args: &[&str]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidelockd"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("tidelockd {args:?} started although it should refuse");
        }
        std::thread::park_timeout(Duration::from_millis(10));
    };
    assert!(!status.success());
    let mut text = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

fn follow(stderr: std::process::ChildStderr) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if std::env::var_os("TIDELOCK_TEST_LOG").is_some() {
                eprintln!("tidelockd: {line}");
            }
            if sender.send(line).is_err() {
                // The test has ended; the pipe is still drained so that the daemon never blocks.
            }
        }
    });
    receiver
}

/// The first portal, and what is logged after it up to the moment when the daemon serves. It listens before that, and
/// answers on its admin socket, but volumes are still being opened: logins and changes are told to come back.
fn wait_until_it_serves(
    child: &mut Child,
    log: &mpsc::Receiver<String>,
) -> (SocketAddr, Vec<String>) {
    let deadline = Instant::now() + PATIENCE;
    let mut portal = None;
    let mut seen = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(line) = log.recv_timeout(left) else {
            let status = child.try_wait().unwrap();
            panic!("the daemon doesn't serve ({status:?}): {}", seen.join("\n"));
        };
        let serves = line.contains("serving engine=");
        if portal.is_none() && line.contains("listening") {
            portal = line
                .split_once("address=")
                .and_then(|(_, rest)| rest.split_whitespace().next())
                .and_then(|address| address.parse().ok());
            seen.clear();
        } else {
            seen.push(line);
        }
        if let Some(portal) = portal.filter(|_| serves) {
            return (portal, seen);
        }
    }
}
