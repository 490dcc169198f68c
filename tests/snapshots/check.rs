//! `volume check`, without a daemon: it finds what is wrong, names it, and leaves a daemon alone.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{log_in, write};
use crate::harness::daemon::Daemon;

/// The only family's folder.
fn family(daemon: &Daemon) -> PathBuf {
    let families = std::fs::read_dir(daemon.state_dir().join("families")).unwrap();
    families.map(|entry| entry.unwrap().path()).next().unwrap()
}

/// The report of a check, and its exit code.
fn check(daemon: &Daemon, what: &[&str]) -> (Value, Option<i32>) {
    let state_dir = daemon.state_dir().to_str().unwrap();
    let args = [
        &["--json", "volume", "check", "--state-dir", state_dir],
        what,
    ]
    .concat();
    let output = daemon.tidelock(&args);
    let text = String::from_utf8(output.stdout).unwrap();
    let report = serde_json::from_str(&text).unwrap_or(Value::Null);
    (report, output.status.code())
}

fn flip(path: &Path, at: u64) {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path);
    let file = file.unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}

#[test]
fn volumes_are_checked_without_a_daemon_and_not_while_there_is_one() {
    let daemon = Daemon::with_lun("16M");
    daemon.run(&["volume", "create", "plain", "--size", "8M"]);
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    daemon.run(&["snapshot", "create", "vol", "one"]);
    write(&mut initiator, 0, 0, 2);
    daemon.run(&["clone", "create", "vol@one", "copy"]);
    write(&mut initiator, 0, 4_096, 3);
    let folder = family(&daemon);
    for what in [&[][..], &["vol"], &[folder.to_str().unwrap()]] {
        let (_, code) = check(&daemon, what);
        assert_eq!(code, Some(1), "refused: {what:?}");
    }
    let text = daemon.refused(&["volume", "check", folder.to_str().unwrap()]);
    assert!(text.contains("a daemon is running with"), "{text}");
    assert!(text.contains("volume verify"), "{text}");
    let mut daemon = daemon;
    daemon.kill();
    // What a killed daemon left is sound, and looking changes nothing.
    let (report, code) = check(&daemon, &["--data"]);
    assert_eq!(
        (code, &report["damaged"]),
        (Some(0), &Value::from(0)),
        "{report}"
    );
    let checked = report["checked"].as_array().unwrap();
    let what: Vec<_> = checked
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["plain", "copy, vol"]);
    assert!(
        checked[1]["checked_bytes"].as_u64().unwrap() >= 128 << 10,
        "{report}"
    );
    let (report, code) = check(&daemon, &["nosuch"]);
    assert_eq!((report, code), (Value::Null, Some(6)));
    let daemon = daemon.restart();
    let mut initiator = log_in(&daemon, &[0]);
    assert!(super::is(&mut initiator, 0, 0, 2) && super::is(&mut initiator, 0, 4_096, 3));
}

#[test]
fn what_is_wrong_with_the_files_is_named_with_what_to_do() {
    let daemon = Daemon::with_lun("16M");
    daemon.run(&["volume", "create", "plain", "--size", "8M"]);
    daemon.run(&["snapshot", "create", "vol", "one"]);
    let mut daemon = daemon;
    assert!(daemon.terminate());
    let folder = family(&daemon);
    let told = |daemon: &Daemon, name: &str, place: &Path| {
        let (report, code) = check(daemon, &[name]);
        assert_eq!(code, Some(7), "{report}");
        let found = report["checked"][0]["findings"].as_array().unwrap().clone();
        let at = place.to_str().unwrap();
        let one = found
            .iter()
            .find(|one| one["place"].as_str().unwrap().starts_with(at));
        let one = one.unwrap_or_else(|| panic!("{at}: {report}"));
        assert!(!one["advice"].as_str().unwrap().is_empty(), "{report}");
        one["what"].as_str().unwrap().to_owned()
    };
    // The list of snapshots.
    let list = folder.join("snapshots");
    let before = std::fs::read(&list).unwrap();
    flip(&list, before.len() as u64 - 20);
    let what = told(&daemon, "vol", &list);
    assert!(what.contains("the list of snapshots is damaged"), "{what}");
    // One that doesn't know of the snapshot: it is told as left over, and nothing is wrong.
    let first = before.iter().position(|byte| *byte == b'\n').unwrap();
    std::fs::write(&list, &before[..=first]).unwrap();
    let (report, code) = check(&daemon, &["vol"]);
    let note = report["checked"][0]["notes"][0]["what"].as_str().unwrap();
    assert!(
        note.contains("neither a volume nor a snapshot that is known"),
        "{report}"
    );
    assert_eq!(code, Some(0));
    std::fs::write(&list, &before).unwrap();
    // A superblock, in a folder that is named.
    for copy in 0..4 {
        flip(&folder.join("superblock"), copy * 4_096 + 20);
    }
    let what = told(
        &daemon,
        folder.to_str().unwrap(),
        &folder.join("superblock"),
    );
    assert!(what.contains("neither of its slots is valid"), "{what}");
    for copy in 0..4 {
        flip(&folder.join("superblock"), copy * 4_096 + 20);
    }
    assert_eq!(check(&daemon, &["vol"]).1, Some(0));
    // Plain files: cut short, longer, gone.
    let volumes = std::fs::read_dir(daemon.state_dir().join("volumes")).unwrap();
    let plain = volumes.map(|entry| entry.unwrap().path());
    let plain = plain
        .min_by_key(|path| std::fs::metadata(path).unwrap().len())
        .unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&plain)
        .unwrap();
    file.set_len(4 << 20).unwrap();
    let what = told(&daemon, "plain", &plain);
    assert!(what.contains("somebody has cut it short"), "{what}");
    file.set_len(9 << 20).unwrap();
    let (report, code) = check(&daemon, &["plain"]);
    let note = report["checked"][0]["notes"][0]["what"].as_str().unwrap();
    assert!(
        note.contains("somebody has added to it") && code == Some(0),
        "{report}"
    );
    std::fs::remove_file(&plain).unwrap();
    let what = told(&daemon, "plain", &plain);
    assert!(what.contains("no such file"), "{what}");
}
