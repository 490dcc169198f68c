//! The first thing that anybody tries: `tidelockd --demo`.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::initiator::{Initiator, LoginAs};

const TARGET: &str = "iqn.2026-11.io.tidelock:demo";

struct Demo {
    child: Child,
    portal: SocketAddr,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the demonstration in `folder` and reads what it prints, up to its last line.
fn start(folder: &Path) -> (Demo, String) {
    start_with(folder, &[], Stdio::null())
}

/// Any port will do, so that nobody takes the one that another test is about.
const ANY_PORT: [&str; 2] = ["--portal", "127.0.0.1:0"];

fn start_with(folder: &Path, more: &[&str], log: Stdio) -> (Demo, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidelockd"))
        .arg("--demo")
        .args(more)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        said.push_str(&line);
        said.push('\n');
        if line.starts_with("Stop it with Ctrl-C") {
            break;
        }
    }
    let portal = said
        .lines()
        .find_map(|line| line.strip_prefix("  portal  "))
        .unwrap_or_else(|| panic!("no portal in: {said}"))
        .parse()
        .unwrap();
    (Demo { child, portal }, said)
}

fn log_in(demo: &Demo) -> Initiator {
    let who = LoginAs {
        target: Some(TARGET),
        ..LoginAs::default()
    };
    let mut initiator = Initiator::log_in_as(demo.portal, &who).unwrap();
    initiator.settle(0);
    initiator
}

#[test]
fn the_demo_serves_a_gibibyte_on_the_next_free_port_and_keeps_its_data() {
    let folder = tempfile::tempdir().unwrap();
    // Whoever has the port, we or another program: it is taken, and the demo goes on to the next.
    let _taken = TcpListener::bind("127.0.0.1:3260");
    let (demo, said) = start(folder.path());
    assert_ne!(demo.portal.port(), 3260);
    for line in [
        format!("iscsiadm -m discovery -t sendtargets -p {}", demo.portal),
        format!("iscsiadm -m node -T {TARGET} -p {} --login", demo.portal),
        format!("iscsi-ls -s iscsi://{}/", demo.portal),
        format!("qemu-img info iscsi://{}/{TARGET}/0", demo.portal),
        "tidelock-demo/admin.sock".to_owned(),
    ] {
        assert!(said.contains(&line), "{line} is missing in: {said}");
    }
    let mut initiator = log_in(&demo);
    assert_eq!(initiator.capacity(0), (1 << 30) / 512);
    initiator.write(0, 7, &[42; 512], true).assert_good();
    // The command line finds the demo in the current folder by itself.
    let status = Command::new(env!("CARGO_BIN_EXE_tidelock"))
        .arg("status")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(status.status.success() || Path::new("/run/tidelock/admin.sock").exists());
    drop(demo);
    let (demo, _) = start(folder.path());
    assert!(log_in(&demo).read(0, 7, 1).data == [42; 512]);
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let (demo, _) = start_with(folder.path(), &ANY_PORT, full.into());
    // More logins than there are reactors, each of them a line in the log, and a change.
    for _ in 0..8 {
        log_in(&demo);
    }
    let created = Command::new(env!("CARGO_BIN_EXE_tidelock"))
        .arg("--socket")
        .arg(folder.path().join("tidelock-demo/admin.sock"))
        .args(["volume", "create", "another", "--size", "1M"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&created.stderr);
    assert!(created.status.success(), "{said}");
    log_in(&demo);
}

#[test]
fn a_folder_that_was_moved_is_where_its_volumes_are() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    std::fs::create_dir(&before).unwrap();
    drop(start_with(&before, &ANY_PORT, Stdio::null()));
    std::fs::rename(&before, &after).unwrap();
    let (_demo, _) = start_with(&after, &ANY_PORT, Stdio::null());
    let shown = Command::new(env!("CARGO_BIN_EXE_tidelock"))
        .arg("--socket")
        .arg(after.join("tidelock-demo/admin.sock"))
        .args(["--json", "volume", "show", "demo"])
        .output()
        .unwrap();
    let volume: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let path = Path::new(volume["path"].as_str().unwrap());
    assert!(path.starts_with(&after) && path.exists(), "{volume}");
}
