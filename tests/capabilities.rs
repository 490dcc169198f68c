//! What `tidelock capabilities show` says is what a command given next meets.

use std::io::BufReader;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::daemon::Daemon;

#[test]
fn a_volume_a_snapshot_a_clone_and_a_group_say_what_can_be_made_of_them() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["snapshot", "create", "vol", "a"]);
    daemon.run(&["clone", "create", "vol@a", "k"]);
    daemon.run(&["group", "create", "g", "vol", "k"]);
    // It is an error to ask about nothing, and the answer is there all the same.
    let ask = |args: &[&str]| {
        let output = daemon.tidelock(&[&["--json", "capabilities", "show"], args].concat());
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = i32::from(told["return_code"] == 5);
        assert_eq!(output.status.code(), Some(code), "{told}");
        told
    };
    daemon.run(&["volume", "create", "other", "--size", "8M"]);
    for (volume, mirrors) in [("vol", true), ("other", true), ("k", false)] {
        let told = ask(&[volume]);
        assert_eq!(told["return_code"], 0, "{told}");
        let mirrors = if mirrors { 0 } else { 4 };
        assert_eq!(told["sync_types"], json!([6, 6, 6, 6, 7, 8][mirrors..]));
        assert_eq!(told["modes"], json!([2, 2, 3, 3, 2, 3][mirrors..]));
        assert_eq!(
            told["local_element_role"],
            json!([2, 3, 2, 3, 2, 2][mirrors..])
        );
    }
    // The two could be a mirror, in either direction.
    let pair = ask(&["vol", "--other", "other"]);
    assert_eq!(pair["sync_types"], json!([6, 6, 6, 6]));
    assert_eq!(pair["local_element_role"], json!([2, 3, 2, 3]));
    // A snapshot isn't frozen again, and can be cloned.
    assert_eq!(ask(&["vol@a"])["sync_types"], json!([8]));
    let group = ask(&["g", "--method", "create-group-replica"]);
    assert_eq!(group["sync_types"], json!([7, 8]), "{group}");
    // Each volume of a group could be a mirror of one of another group.
    daemon.run(&["group", "create", "one", "vol"]);
    daemon.run(&["group", "create", "two", "other"]);
    let method = ["--method", "create-group-replica"];
    let pair = ask(&[&["one", "--other", "two"][..], &method].concat());
    assert_eq!(pair["sync_types"], json!([6, 6, 6, 6]), "{pair}");
    assert_eq!(pair["local_element_role"], json!([2, 3, 2, 3]));
    assert_eq!(
        ask(&[&["one"][..], &method].concat())["sync_types"],
        json!([6, 6, 6, 6, 7, 8])
    );
    for (args, code) in [
        (&["nobody"][..], 5),
        (&["vol@b"][..], 5),
        (&["a b"][..], 5),
        // A clone has no copies of a peer's; nobody knows the peer.
        (&["vol", "--via", "nobody"][..], 5),
        (&["vol", "--other", "copy", "--via", "nobody"][..], 5),
        (&["vol", "--other", "vol"][..], 5),
        (&["vol", "--other", "k"][..], 6),
    ] {
        let told = ask(args);
        assert_eq!(told["return_code"], code, "{told}");
        assert_eq!(told["sync_types"], json!([]));
    }
    // A snapshot is the aspect of its moment.
    let aspect = ask(&["vol", "--method", "create-synchronization-aspect"]);
    assert_eq!(aspect["sync_types"], json!([7]), "{aspect}");
    assert_eq!(aspect["local_element_role"], json!([2]));
    // What is wrong is said once.
    let wrong = daemon.tidelock(&["capabilities", "show", "nope"]);
    let said = String::from_utf8([wrong.stdout, wrong.stderr].concat()).unwrap();
    assert_eq!(said.matches("nope").count(), 1, "{said}");
    let table = daemon.run(&["capabilities", "show", "vol@a", "--explain"]);
    assert_eq!(table.lines().count(), 2 + 12, "{table}");
    assert!(table.contains("vol@a is a snapshot"), "{table}");
    let short = daemon.run(&["capabilities", "show", "vol"]);
    assert!(short.starts_with("vol: 0 (Success)"), "{short}");
    // Two answers of the same state have the same number, and a change gives another one.
    let before = ask(&["vol"])["generation"].clone();
    assert_eq!(ask(&["vol"])["generation"], before);
    daemon.run(&["snapshot", "create", "vol", "b"]);
    assert_ne!(ask(&["vol"])["generation"], before);
}

#[test]
fn what_is_watched_is_told_again_when_it_is_another_answer() {
    let daemon = Daemon::with_lun("8M");
    let mut watching = Command::new(env!("CARGO_BIN_EXE_tidelock"))
        .arg("--socket")
        .arg(&daemon.socket)
        .args(["--json", "capabilities", "show", "other", "--watch"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(watching.stdout.take().unwrap());
    let mut answers = serde_json::Deserializer::from_reader(told).into_iter::<Value>();
    let mut next = || answers.next().unwrap().unwrap();
    assert_eq!(next()["return_code"], 5);
    daemon.run(&["volume", "create", "other", "--size", "8M"]);
    assert_eq!(next()["sync_types"], json!([6, 6, 6, 6, 7, 8]));
    // A snapshot leaves all as it was, and a mirror doesn't.
    daemon.run(&["snapshot", "create", "other", "s"]);
    daemon.run(&["mirror", "create", "other", "vol"]);
    let told = next();
    assert_ne!(told["sync_types"], json!([6, 6, 6, 6, 7, 8]), "{told}");
    watching.kill().unwrap();
    watching.wait().unwrap();
}
