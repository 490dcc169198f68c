//! A volume all of whose blocks have checksums: from its beginning, through restarts and its last snapshot.

use std::os::unix::fs::FileExt;

use super::damage::find;
use super::{is, log_in, pattern, write};
use crate::harness::daemon::{Daemon, TARGET};

fn with_checksums(size: &str) -> Daemon {
    let daemon = Daemon::start();
    daemon.run(&[
        "volume",
        "create",
        "vol",
        "--size",
        size,
        "--integrity",
        "full",
    ]);
    daemon.run(&["target", "create", TARGET]);
    daemon.run(&["lun", "map", TARGET, "vol"]);
    daemon.run(&["acl", "allow", TARGET, "*"]);
    daemon
}

#[test]
fn a_flipped_bit_anywhere_in_a_volume_with_checksums_is_a_medium_error_there() {
    let daemon = with_checksums("16M");
    let shown = daemon.json(&["volume", "show", "vol"]);
    assert_eq!(shown["integrity"], "full", "{shown}");
    let mut initiator = log_in(&daemon, &[0]);
    assert!(is(&mut initiator, 0, 0, 0), "new volumes are zeros");
    // The first write ever, with no snapshot anywhere.
    for at in 0..4_u8 {
        write(&mut initiator, 0, u64::from(at) * 4_096, at + 1);
    }
    // A part of a block of 4 KiB.
    initiator
        .write(0, 4_096 * 4, &pattern(9, 512), true)
        .assert_good();
    drop(initiator);
    let mut daemon = daemon;
    daemon.kill();
    let (path, at) = find(&daemon, &pattern(2, 64 << 10)[8_192..12_288]);
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at + 1_000).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at + 1_000).unwrap();
    // Nobody reads the file that it has for its name.
    let volumes = std::fs::read_dir(daemon.state_dir().join("volumes")).unwrap();
    let named = volumes.map(|entry| entry.unwrap().path()).next().unwrap();
    let named = std::fs::OpenOptions::new().write(true).open(named).unwrap();
    named.write_all_at(&[0xff; 4_096], 12 << 20).unwrap();
    let daemon = daemon.restart();
    let mut initiator = log_in(&daemon, &[0]);
    for block in 0..16_u64 {
        let lba = 4_096 + block * 8;
        let answer = initiator.read(0, lba, 8);
        if block == 2 {
            assert_eq!(answer.sense_code(), (3, 0x11, 0), "UNRECOVERED READ ERROR");
            assert_ne!(answer.sense[0] & 0x80, 0, "INFORMATION is valid");
            let information = answer.sense[3..7].try_into().unwrap();
            assert_eq!(u64::from(u32::from_be_bytes(information)), lba);
        } else {
            answer.assert_good();
        }
    }
    assert!(is(&mut initiator, 0, 0, 1) && is(&mut initiator, 0, 8_192, 3));
    assert!(
        is(&mut initiator, 0, 24_576, 0),
        "what was never written is zeros"
    );
    // Written anew it is good again.
    write(&mut initiator, 0, 4_096, 2);
    assert!(is(&mut initiator, 0, 4_096, 2));
    let report = daemon.json(&["volume", "scrub", "vol"]);
    assert_eq!(report["damaged"], 0, "{report}");
    assert_eq!(report["checked_bytes"], 4 * (64 << 10) + 4_096, "{report}");
}

#[test]
fn it_stays_so_after_its_last_snapshot_and_a_restart_and_a_file_can_not_have_it() {
    let daemon = with_checksums("16M");
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    daemon.run(&["snapshot", "create", "vol", "one"]);
    write(&mut initiator, 0, 0, 2);
    daemon.run(&["snapshot", "restore", "vol@one", "--force"]);
    initiator.settle(0);
    assert!(is(&mut initiator, 0, 0, 1));
    daemon.run(&["volume", "resize", "vol", "--size", "32M"]);
    initiator.settle(0);
    write(&mut initiator, 0, 40_000, 5);
    drop(initiator);
    let snapshots = daemon.json(&["snapshot", "list", "vol"]);
    for snapshot in snapshots["snapshots"].as_array().unwrap() {
        let name = format!("vol@{}", snapshot["name"].as_str().unwrap());
        daemon.run(&["snapshot", "delete", &name]);
    }
    // A usual volume would be a plain file when this start has ended.
    let mut daemon = daemon;
    assert!(daemon.terminate());
    let daemon = daemon.restart();
    let shown = daemon.json(&["volume", "show", "vol"]);
    assert_eq!(shown["integrity"], "full", "{shown}");
    assert!(shown["family"]["id"].is_string(), "{shown}");
    let mut initiator = log_in(&daemon, &[0]);
    assert!(is(&mut initiator, 0, 0, 1) && is(&mut initiator, 0, 40_000, 5));
    drop(initiator);
    let file = daemon.state_dir().join("somebodys");
    std::fs::write(&file, vec![0; 1 << 20]).unwrap();
    let file = file.to_str().unwrap();
    let args = [
        "volume",
        "create",
        "other",
        "--size",
        "1M",
        "--integrity",
        "full",
    ];
    let refused = daemon.refused(&[&args[..], &["--preallocate"]].concat());
    assert!(refused.contains("for new volumes"), "{refused}");
    let refused = daemon.refused(&[
        "volume",
        "create",
        "x",
        "--file",
        file,
        "--integrity",
        "full",
    ]);
    assert!(refused.contains("cannot be used with"), "{refused}");
    daemon.run(&["lun", "unmap", TARGET, "0", "--yes"]);
    daemon.run(&["volume", "delete", "vol", "--yes"]);
    let left = std::fs::read_dir(daemon.state_dir().join("families")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn with_an_older_catalog_nothing_is_removed_that_has_data_and_what_was_deleted_goes() {
    let daemon = Daemon::start();
    let catalog = daemon.state_dir().join("catalog");
    let older = std::fs::read(&catalog).unwrap();
    daemon.run(&[
        "volume",
        "create",
        "vol",
        "--size",
        "16M",
        "--integrity",
        "full",
    ]);
    daemon.run(&["target", "create", TARGET]);
    daemon.run(&["lun", "map", TARGET, "vol"]);
    daemon.run(&["acl", "allow", TARGET, "*"]);
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    drop(initiator);
    let mut daemon = daemon;
    daemon.kill();
    let folder = std::fs::read_dir(daemon.state_dir().join("families")).unwrap();
    let folder = folder.map(|entry| entry.unwrap().path()).next().unwrap();
    // It has no snapshot, and all that the volume is.
    let newer = std::fs::read(&catalog).unwrap();
    std::fs::write(&catalog, &older).unwrap();
    let mut daemon = daemon.restart();
    assert!(daemon.volumes().is_empty());
    assert!(daemon.terminate());
    assert!(folder.join("data-0000").exists());
    std::fs::write(&catalog, &newer).unwrap();
    // A crash came before the catalog was told of a deletion: it isn't one.
    std::fs::write(folder.join("deleted"), b"").unwrap();
    let mut daemon = daemon.restart();
    let mut initiator = log_in(&daemon, &[0]);
    assert!(is(&mut initiator, 0, 0, 1));
    drop(initiator);
    assert!(!folder.join("deleted").exists());
    assert!(daemon.terminate());
    // It came after that: the rest of it is done.
    std::fs::write(folder.join("deleted"), b"").unwrap();
    std::fs::write(&catalog, &older).unwrap();
    let daemon = daemon.restart();
    assert!(daemon.volumes().is_empty() && !folder.exists());
}
