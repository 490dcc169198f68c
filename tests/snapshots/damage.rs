//! Looking for damage: what is in order is said to be so, and a byte that went bad is found.

use std::os::unix::fs::FileExt;

use super::{is, log_in, pattern, write};
use crate::harness::daemon::Daemon;

/// Where the bytes of a block are in the only data file of the only family.
pub(super) fn find(daemon: &Daemon, block: &[u8]) -> (std::path::PathBuf, u64) {
    let families = std::fs::read_dir(daemon.state_dir().join("families")).unwrap();
    let family = families.map(|entry| entry.unwrap().path()).next().unwrap();
    for entry in std::fs::read_dir(family).unwrap() {
        let path = entry.unwrap().path();
        let is_data = path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("data");
        if !is_data {
            continue;
        }
        // It is sparse, and each 64 MiB of it are filled from their beginning on.
        let file = std::fs::File::open(&path).unwrap();
        let found = (0..16).find_map(|segment| {
            let from = segment * (64 << 20);
            let mut start = vec![0; 4 << 20];
            let len = file.read_at(&mut start, from).unwrap();
            let mut blocks = start[..len].chunks(block.len());
            let at = blocks.position(|bytes| bytes == block)? * block.len();
            Some(from + at as u64)
        });
        if let Some(at) = found {
            return (path, at);
        }
    }
    panic!("the block is nowhere");
}

#[test]
fn a_byte_that_went_bad_is_found_and_never_read_as_if_it_were_good() {
    let daemon = Daemon::with_lun("16M");
    let refused = daemon.refused(&["volume", "scrub", "vol"]);
    assert!(
        refused.contains("a plain file, which has no checksums"),
        "{refused}"
    );
    daemon.run(&["snapshot", "create", "vol", "a"]);
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    write(&mut initiator, 0, 4_096, 2);
    for what in ["vol", "vol@a"] {
        let report = daemon.json(&["volume", "scrub", what]);
        assert_eq!(report["damaged"], 0, "{report}");
        let bytes = if what == "vol" { 128 << 10 } else { 0 };
        assert_eq!(report["checked_bytes"], bytes, "{report}");
    }
    assert_eq!(daemon.json(&["volume", "verify", "vol"])["damaged"], 0);
    let mut daemon = daemon;
    daemon.kill();
    let (path, at) = find(&daemon, &pattern(2, 4_096));
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0xee], at + 77).unwrap();
    let daemon = daemon.restart();
    let found = daemon.tidelock(&["volume", "scrub", "vol"]);
    assert_eq!(found.status.code(), Some(7));
    let text = String::from_utf8(found.stdout).unwrap();
    assert!(text.contains("DAMAGED  byte 2097152: "), "{text}");
    assert_eq!(daemon.json(&["volume", "verify", "vol"])["damaged"], 0);
    let mut initiator = log_in(&daemon, &[0]);
    assert!(is(&mut initiator, 0, 0, 1));
    let bad = initiator.read(0, 4_096, 128);
    assert_eq!(bad.sense_code(), (3, 0x11, 0), "UNRECOVERED READ ERROR");
    // What is written anew is good again.
    write(&mut initiator, 0, 4_096, 3);
    assert_eq!(daemon.json(&["volume", "scrub", "vol"])["damaged"], 0);
}

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// The scrub that is under way, once it has come to a byte.
fn scrub_at(daemon: &Daemon, id: u64, least: u64) -> serde_json::Value {
    let mut job = serde_json::Value::Null;
    crate::harness::wait_until("the scrub has come so far", PATIENCE, || {
        job = daemon.json(&["job", "show", &id.to_string()]);
        job["done_bytes"].as_u64().unwrap() >= least
    });
    job
}

#[test]
fn a_scrub_has_a_rate_can_be_cancelled_and_goes_on_after_a_kill() {
    let daemon = Daemon::with_lun("16M");
    daemon.run(&["snapshot", "create", "vol", "a"]);
    let mut initiator = log_in(&daemon, &[0]);
    for at in 0..96 {
        write(&mut initiator, 0, at * 128, 3);
    }
    drop(initiator);
    let begin = |daemon: &Daemon, rate: &str| {
        let args = ["volume", "scrub", "vol", "--rate", rate, "--background"];
        let job = daemon.json(&args);
        assert_eq!(job["kind"], "scrub", "{job}");
        job["id"].as_u64().unwrap()
    };
    // So slow that it would take a year: it ends when it is told to, at once.
    let id = begin(&daemon, "1");
    scrub_at(&daemon, id, 1 << 20);
    let ended = daemon.json(&["job", "cancel", &id.to_string()]);
    assert_eq!(ended["state"], "Terminated", "{ended}");
    let left = std::fs::read_dir(daemon.state_dir().join("scrubs")).unwrap();
    assert_eq!(left.count(), 0, "nothing to go on with");
    // One that a stop interrupts goes on from where it was, and one that a kill interrupts as well.
    let id = begin(&daemon, "1");
    scrub_at(&daemon, id, 1 << 20);
    let mut daemon = daemon;
    assert!(daemon.terminate());
    let note = daemon.state_dir().join("scrubs").join(id.to_string());
    let mut kept: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&note).unwrap()).unwrap();
    assert_eq!(kept["done"], 1 << 20, "{kept}");
    assert_eq!(kept["checked_bytes"], 1 << 20, "{kept}");
    let daemon = daemon.restart();
    let job = scrub_at(&daemon, id, 2 << 20);
    assert_eq!(
        (&job["kind"], &job["state"]),
        (&"scrub".into(), &"Running".into()),
        "{job}"
    );
    let mut daemon = daemon;
    daemon.kill();
    // Faster from here on: nobody wants to wait.
    kept["rate"] = serde_json::Value::Null;
    std::fs::write(&note, kept.to_string()).unwrap();
    let daemon = daemon.restart();
    let job = daemon.json(&["job", "watch", &id.to_string()]);
    assert_eq!(job["state"], "Completed", "{job}");
    assert_eq!(
        job["report"]["checked_bytes"],
        96 * (64 << 10),
        "all of it, and once: {job}"
    );
    assert!(!note.exists());
    // A rate is kept: 6 MiB at 8 MiB/s, the last piece of which nobody waits for.
    let begun = std::time::Instant::now();
    let report = daemon.json(&["volume", "scrub", "vol", "--rate", "8M"]);
    assert_eq!(report["damaged"], 0, "{report}");
    assert!(
        begun.elapsed() >= std::time::Duration::from_millis(500),
        "{report}"
    );
}
