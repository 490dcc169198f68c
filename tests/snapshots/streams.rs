//! Snapshots that go from one daemon to another: through a pipe, in parts, with either end killed in the
//! middle; and what the receiver doesn't take.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use super::{log_in, names, write};
use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::wait_until;

const MIB: usize = 1 << 20;
/// How long what is under way may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn begin(daemon: &Daemon, args: &[&str], input: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tidelock"))
        .arg("--socket")
        .arg(&daemon.socket)
        .args(args)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// `tidelock send ... | tidelock receive ...`; what became of both.
fn pipe(from: &Daemon, send: &[&str], to: &Daemon, receive: &[&str]) -> (Output, Output) {
    let mut sender = begin(from, &[&["snapshot", "send"], send].concat(), Stdio::null());
    let stream = sender.stdout.take().unwrap();
    let args = [&["snapshot", "receive"], receive].concat();
    let receiver = begin(to, &args, stream.into());
    let received = receiver.wait_with_output().unwrap();
    (sender.wait_with_output().unwrap(), received)
}

fn arrives(from: &Daemon, send: &[&str], to: &Daemon, receive: &[&str]) {
    let (sent, received) = pipe(from, send, to, receive);
    for output in [sent, received] {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

/// A volume from a file whose blocks all differ.
fn add_full_volume(daemon: &Daemon, name: &str, size: usize) -> Vec<u8> {
    let image: Vec<u8> = (0..size / 8)
        .flat_map(|at| ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes())
        .collect();
    let file = daemon.folder().join(format!("{name}.img"));
    std::fs::write(&file, &image).unwrap();
    daemon.run(&["volume", "create", name, "--file", file.to_str().unwrap()]);
    image
}

/// Maps a volume or a snapshot, and reads all of it.
fn content(daemon: &Daemon, what: &str, size: usize) -> Vec<u8> {
    if !daemon
        .tidelock(&["target", "show", TARGET])
        .status
        .success()
    {
        daemon.run(&["target", "create", TARGET]);
        daemon.run(&["acl", "allow", TARGET, "*"]);
    }
    daemon.run(&["lun", "map", TARGET, what, "--lun", "9", "--read-only"]);
    let mut initiator = log_in(daemon, &[9]);
    let mut all = Vec::with_capacity(size);
    while all.len() < size {
        let answer = initiator.read(9, (all.len() / 512) as u64, 512);
        answer.assert_good();
        all.extend(answer.data);
    }
    all.truncate(size);
    drop(initiator);
    daemon.run(&["lun", "unmap", TARGET, "9"]);
    all
}

fn status(daemon: &Daemon, volume: &str) -> serde_json::Value {
    daemon.json(&["snapshot", "receive", volume, "--status"])
}

#[test]
fn a_snapshot_and_then_differences_go_through_a_pipe() {
    let (from, to) = (Daemon::with_lun("16M"), Daemon::start());
    let mut initiator = log_in(&from, &[0]);
    write(&mut initiator, 0, 0, 1);
    from.run(&["snapshot", "create", "vol", "a"]);
    arrives(&from, &["vol@a"], &to, &["copy"]);
    write(&mut initiator, 0, 4_000, 2);
    from.run(&["snapshot", "create", "vol", "b"]);
    write(&mut initiator, 0, 0, 3);
    from.run(&["snapshot", "create", "vol", "c"]);
    arrives(&from, &["vol@b", "--since", "a"], &to, &["copy"]);
    // Through a file, by another name.
    let file = from.folder().join("c.stream");
    let file = file.to_str().unwrap();
    let sent = ["snapshot", "send", "vol@c", "--since", "vol@b", "-o", file];
    from.run(&sent);
    let exists = from.refused(&sent);
    assert!(exists.contains("make the file"), "{exists}");
    to.run(&["snapshot", "receive", "copy", "-i", file, "--name", "third"]);
    assert_eq!(names(&to, "copy"), ["a", "b", "third"]);
    let to = to.kill_and_restart();
    for (name, copy) in [("a", "a"), ("b", "b"), ("c", "third")] {
        let (ours, theirs) = (format!("vol@{name}"), format!("copy@{copy}"));
        let wanted = content(&from, &ours, 16 * MIB);
        assert!(content(&to, &theirs, 16 * MIB) == wanted, "{name}");
        let [ours, theirs] = [(&from, &ours), (&to, &theirs)]
            .map(|(daemon, name)| daemon.json(&["snapshot", "show", name]));
        for key in ["stream_id", "at_unix_ms", "size_bytes"] {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
        assert_eq!(theirs["cause"], "receive");
    }
    assert!(content(&to, "copy", 16 * MIB) == content(&from, "vol@c", 16 * MIB));
    // Both in one daemon have identities of their own.
    arrives(&from, &["vol@c"], &from, &["other"]);
    for what in ["vol@c", "other@c"] {
        from.run(&["snapshot", "map", what, TARGET]);
    }
}

#[test]
fn who_is_killed_in_the_middle_is_gone_on_with() {
    let size = 40 * MIB;
    let (mut from, mut to) = (Daemon::start(), Daemon::start());
    let image = add_full_volume(&from, "vol", size);
    from.run(&["snapshot", "create", "vol", "a"]);
    // The daemon that sends.
    let mut sender = begin(&from, &["snapshot", "send", "vol@a"], Stdio::null());
    let mut receiver = begin(&to, &["snapshot", "receive", "copy"], Stdio::piped());
    let mut stream = sender.stdout.take().unwrap();
    let mut input = receiver.stdin.take().unwrap();
    hand_on(&mut stream, &mut input, 3 * MIB);
    from.kill();
    std::io::copy(&mut stream, &mut input).unwrap();
    drop(input);
    let sent = sender.wait_with_output().unwrap();
    assert_eq!(sent.status.code(), Some(4));
    let received = receiver.wait_with_output().unwrap();
    assert_eq!(received.status.code(), Some(1));
    let said = String::from_utf8_lossy(&received.stderr).into_owned();
    assert!(
        said.contains("the stream ended early") && said.contains("--resume"),
        "{said}"
    );
    let from = from.restart();
    let half_way = status(&to, "copy");
    assert!(
        half_way["position_bytes"].as_u64().unwrap() >= 2 * MIB as u64,
        "{half_way}"
    );
    assert_eq!(half_way["active"], false);
    // The daemon that receives, when a part of the rest has come.
    let token = half_way["token"].as_str().unwrap().to_owned();
    let rest = ["snapshot", "send", "--resume", &token];
    let mut sender = begin(&from, &rest, Stdio::null());
    let mut receiver = begin(&to, &["snapshot", "receive", "copy"], Stdio::piped());
    let mut stream = sender.stdout.take().unwrap();
    let mut input = receiver.stdin.take().unwrap();
    hand_on(&mut stream, &mut input, 20 * MIB);
    let before = half_way["position_bytes"].as_u64().unwrap();
    wait_until("a part of the rest is durable", PATIENCE, || {
        status(&to, "copy")["position_bytes"].as_u64().unwrap() > before
    });
    let busy = pipe(&from, &["vol@a"], &to, &["copy"]).1;
    assert!(
        String::from_utf8_lossy(&busy.stderr).contains("right now"),
        "{busy:?}"
    );
    assert!(
        to.refused(&["volume", "delete", "copy", "--yes"])
            .contains("right now")
    );
    assert!(
        to.refused(&["snapshot", "receive", "copy", "--abort"])
            .contains("right now")
    );
    to.kill();
    drop((stream, input));
    assert!(!receiver.wait().unwrap().success() && !sender.wait().unwrap().success());
    let to = to.restart();
    // Nobody has seen anything of it.
    assert!(content(&to, "copy", size).iter().all(|byte| *byte == 0));
    let token = status(&to, "copy")["token"].as_str().unwrap().to_owned();
    arrives(&from, &["--resume", &token], &to, &["copy"]);
    assert!(content(&to, "copy", size) == image);
    assert!(
        to.refused(&["snapshot", "receive", "copy", "--status"])
            .contains("nothing has been")
    );
}

fn hand_on(from: &mut impl Read, to: &mut impl Write, bytes: usize) {
    let copied = std::io::copy(&mut from.take(bytes as u64), to).unwrap();
    assert_eq!(copied, bytes as u64);
}

#[test]
fn what_can_not_be_received_is_refused_with_what_to_do() {
    let (from, to) = (Daemon::with_lun("4M"), Daemon::with_lun("4M"));
    let mut initiator = log_in(&from, &[0]);
    write(&mut initiator, 0, 0, 1);
    from.run(&["snapshot", "create", "vol", "a"]);
    write(&mut initiator, 0, 100, 2);
    from.run(&["snapshot", "create", "vol", "b"]);
    let said = |send: &[&str], receive: &[&str]| {
        let received = pipe(&from, send, &to, receive).1;
        assert_eq!(received.status.code(), Some(1), "{receive:?}");
        String::from_utf8(received.stderr).unwrap()
    };
    let difference: &[&str] = &["vol@b", "--since", "a"];
    for (send, receive, text) in [
        (difference, &["new"][..], "there is no volume new"),
        (&["vol@a"], &["vol"], "vol is there already"),
        (
            difference,
            &["vol"],
            "vol doesn't have; it has no snapshots",
        ),
        (&["vol@a"], &["vol/x"], "can't be in a volume name"),
        (&["vol@a"], &["new", "--name", "-"], "starts with a letter"),
    ] {
        let said = said(send, receive);
        assert!(said.contains(text), "{receive:?}: {said}");
    }
    assert_eq!(to.volumes().len(), 1);
    // A host that may write to it.
    let mut host = log_in(&to, &[0]);
    arrives(&from, &["vol@a"], &to, &["copy"]);
    to.run(&["lun", "map", TARGET, "copy", "--lun", "1"]);
    host.settle(1);
    let in_use = said(difference, &["copy"]);
    assert!(
        in_use.contains("in use") && in_use.contains("1 session"),
        "{in_use}"
    );
    let in_use = said(&["vol@a"], &["vol", "--force", "--name", "é"]);
    assert!(in_use.contains("the name of a snapshot"), "{in_use}");
    arrives(&from, difference, &to, &["copy", "--force"]);
    let attention = host.read(1, 0, 1);
    assert_eq!(
        attention.sense_code(),
        (6, 0x28, 0),
        "MEDIUM MAY HAVE CHANGED"
    );
    // Other bytes.
    let file = from.folder().join("not-a-stream");
    for (bytes, text) in [(&b"hello"[..], "not a stream"), (b"", "ended early")] {
        std::fs::write(&file, bytes).unwrap();
        let file = file.to_str().unwrap();
        let said = to.refused(&["snapshot", "receive", "new", "--input", file]);
        assert!(said.contains(text), "{said}");
    }
    for (args, text) in [
        (&["send", "vol@x"][..], "no snapshot"),
        (&["send", "vol@a", "--since", "x"], "no snapshot"),
        (&["send", "vol@a", "--since", "other@x"], "another volume"),
        (&["send", "--resume", "x"], "no resume token"),
        (&["send"], "required"),
        (
            &["receive", "vol", "--input", "/nowhere"],
            "cannot open /nowhere",
        ),
        (&["receive", "vol", "--abort"], "nothing has been received"),
    ] {
        let said = from.refused(&[&["snapshot"], args].concat());
        assert!(said.contains(text), "{args:?}: {said}");
    }
    assert!(
        Path::new(&to.state_dir().join("receives"))
            .read_dir()
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn a_reader_that_rests_holds_up_nobody() {
    let size = 24 * MIB;
    let from = Daemon::start();
    add_full_volume(&from, "vol", size);
    from.run(&["snapshot", "create", "vol", "a"]);
    let mut sender = begin(&from, &["snapshot", "send", "vol@a"], Stdio::null());
    let mut stream = sender.stdout.take().unwrap();
    let mut first = [0; 1000];
    stream.read_exact(&mut first).unwrap();
    // Neither changes nor the memory of the daemon mind that it waits.
    let before = from.resident_kib();
    from.run(&["snapshot", "create", "vol", "b"]);
    from.run(&["volume", "create", "other", "--size", "1M"]);
    assert!(from.resident_kib() < before + (16 << 10));
    // What is deleted under it ends it, and the sender says so.
    from.run(&["snapshot", "delete", "vol@a", "--yes"]);
    std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    let sent = sender.wait_with_output().unwrap();
    assert_eq!(sent.status.code(), Some(4), "{sent:?}");
    from.log_until("can't be sent to its end");
}

#[test]
fn what_has_come_can_be_dropped() {
    let size = 8 * MIB;
    let (from, to) = (Daemon::start(), Daemon::start());
    let image = add_full_volume(&from, "vol", size);
    from.run(&["snapshot", "create", "vol", "a"]);
    let file = from.folder().join("a.stream");
    from.run(&["snapshot", "send", "vol@a", "-o", file.to_str().unwrap()]);
    let whole = std::fs::read(&file).unwrap();
    let part = from.folder().join("part");
    std::fs::write(&part, &whole[..5 * MIB]).unwrap();
    let receive = [
        "snapshot",
        "receive",
        "copy",
        "--input",
        part.to_str().unwrap(),
    ];
    assert!(to.refused(&receive).contains("ended early"));
    let shown = to.run(&["snapshot", "receive", "copy", "--status"]);
    assert!(
        shown.contains("was cut short") && shown.contains("--resume tidelock-"),
        "{shown}"
    );
    to.run(&["snapshot", "receive", "copy", "--abort", "--yes"]);
    assert!(to.volumes().is_empty());
    assert!(
        to.state_dir()
            .join("receives")
            .read_dir()
            .unwrap()
            .next()
            .is_none()
    );
    // And again, with a volume that is deleted under what has come.
    assert!(to.refused(&receive).contains("ended early"));
    to.run(&["volume", "delete", "copy", "--yes"]);
    assert!(
        to.state_dir()
            .join("receives")
            .read_dir()
            .unwrap()
            .next()
            .is_none()
    );
    arrives(&from, &["vol@a"], &to, &["copy"]);
    assert!(content(&to, "copy", size) == image);
}
