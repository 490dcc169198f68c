//! Commands before and after a snapshot: they run as whoever runs the command line, and the one after runs
//! whatever comes.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::names;
use crate::harness::daemon::Daemon;
use crate::harness::wait_until;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the commands have noted down, in order.
fn notes(daemon: &Daemon) -> String {
    std::fs::read_to_string(daemon.folder().join("notes")).unwrap_or_default()
}

fn note(daemon: &Daemon, text: &str) -> String {
    format!("echo {text} >> {}/notes", daemon.folder().display())
}

#[test]
fn the_command_after_runs_whatever_comes() {
    let daemon = Daemon::with_lun("4M");
    let post = note(&daemon, "post");
    let pre = note(&daemon, "pre $TIDELOCK_VOLUME@$TIDELOCK_SNAPSHOT");
    let create = ["snapshot", "create", "vol"];
    let with = |name: &str, pre: &str, post: &str, more: &[&str]| {
        let args = [&create[..], &[name, "--pre", pre, "--post", post], more].concat();
        daemon.tidelock(&args)
    };
    let taken = with("one", &format!("{pre}; echo aside"), &post, &[]);
    assert!(taken.status.success(), "{taken:?}");
    // What commands say isn't a result.
    assert!(!String::from_utf8_lossy(&taken.stdout).contains("aside"));
    assert_eq!(notes(&daemon), "pre vol@one\npost\n");
    daemon.run(&["snapshot", "create", "vol", "plain"]);
    for (name, text, quiesced) in [
        ("vol@one", "application consistent", true),
        ("vol@plain", "crash consistent", false),
    ] {
        assert!(daemon.run(&["snapshot", "show", name]).contains(text));
        assert_eq!(
            daemon.json(&["snapshot", "show", name])["quiesced"],
            quiesced
        );
    }
    let half_way = format!("{pre}; exit 3");
    let slow = format!("{pre}; sleep 1000");
    for (pre, more, text) in [
        (&half_way, &[][..], "exit status: 3"),
        (&slow, &["--timeout", "1s"], "longer than 1 s"),
    ] {
        std::fs::write(daemon.folder().join("notes"), "").unwrap();
        let failed = with("two", pre, &post, more);
        let said = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert_eq!(failed.status.code(), Some(6));
        assert!(
            said.contains("no snapshot was taken") && said.contains(text),
            "{said}"
        );
        assert_eq!(notes(&daemon), "pre vol@two\npost\n");
    }
    // The snapshot fails, and the command after runs all the same.
    std::fs::write(daemon.folder().join("notes"), "").unwrap();
    let twice = with("one", &pre, &post, &[]);
    assert_eq!(twice.status.code(), Some(1));
    assert_eq!(notes(&daemon), "pre vol@one\npost\n");
    // The command after fails.
    let failed = with("three", "true", "exit 4", &[]);
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(
        said.contains("the snapshot was taken") && said.contains("exit status: 4"),
        "{said}"
    );
    assert_eq!(names(&daemon, "vol"), ["one", "plain", "three"]);
    let daemon = daemon.kill_and_restart();
    assert_eq!(
        daemon.json(&["snapshot", "show", "vol@one"])["quiesced"],
        true
    );
}

#[test]
fn a_group_is_at_rest_as_a_whole() {
    let daemon = Daemon::with_lun("4M");
    daemon.run(&["volume", "create", "second", "--size", "4M"]);
    daemon.run(&["group", "create", "both", "vol", "second"]);
    let pre = note(&daemon, "pre $TIDELOCK_GROUP@$TIDELOCK_SNAPSHOT");
    let post = note(&daemon, "post");
    daemon.run(&[
        "group", "snapshot", "both", "x", "--pre", &pre, "--post", &post,
    ]);
    assert_eq!(notes(&daemon), "pre both@x\npost\n");
    for name in ["vol@x", "second@x"] {
        assert_eq!(daemon.json(&["snapshot", "show", name])["quiesced"], true);
    }
}

#[test]
fn whoever_interrupts_it_lets_applications_go_on() {
    let daemon = Daemon::with_lun("4M");
    let pre = format!("{}; sleep 1000", note(&daemon, "pre"));
    let post = note(&daemon, "post");
    let child = Command::new(env!("CARGO_BIN_EXE_tidelock"))
        .arg("--socket")
        .arg(&daemon.socket)
        .args([
            "snapshot", "create", "vol", "one", "--pre", &pre, "--post", &post,
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the command before runs", PATIENCE, || {
        notes(&daemon) == "pre\n"
    });
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(killed.unwrap().success());
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        !ended.status.success() && said.contains("was interrupted"),
        "{said}"
    );
    assert_eq!(notes(&daemon), "pre\npost\n");
    assert!(names(&daemon, "vol").is_empty());
}
