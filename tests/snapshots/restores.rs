//! Restoring: refused under those who use the volume, told to them if it is forced, and never without a
//! way back.

use super::{is, log_in, names, write};
use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::Initiator;

fn next_attention(initiator: &mut Initiator) -> (u8, u8, u8) {
    initiator.read_command(0, &[0; 6], 0).sense_code()
}

#[test]
fn a_restore_brings_back_what_was_there_and_keeps_what_is() {
    let daemon = Daemon::with_lun("16M");
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    daemon.run(&["snapshot", "create", "vol", "good"]);
    write(&mut initiator, 0, 0, 2);
    write(&mut initiator, 0, 4_000, 3);
    let refused = daemon.refused(&["snapshot", "restore", "vol@good"]);
    assert!(
        refused.contains("volume vol is in use") && refused.contains("--force"),
        "{refused}"
    );
    assert!(is(&mut initiator, 0, 0, 2));
    assert_eq!(names(&daemon, "vol"), ["good"]);
    let restored = daemon.json(&["snapshot", "restore", "vol@good", "--force"]);
    let safety = restored["restored"][0]["safety"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(safety.starts_with("before-restore-"), "{safety}");
    assert_eq!(
        next_attention(&mut initiator),
        (6, 0x28, 0),
        "MEDIUM MAY HAVE CHANGED"
    );
    assert!(is(&mut initiator, 0, 0, 1) && is(&mut initiator, 0, 4_000, 0));
    let daemon = daemon.kill_and_restart();
    assert_eq!(names(&daemon, "vol"), ["good", safety.as_str()]);
    // And back again.
    daemon.run(&["snapshot", "restore", &format!("vol@{safety}")]);
    let mut initiator = log_in(&daemon, &[0]);
    assert!(is(&mut initiator, 0, 0, 2) && is(&mut initiator, 0, 4_000, 3));
    write(&mut initiator, 0, 0, 9);
    assert_eq!(names(&daemon, "vol").len(), 3);
}

#[test]
fn a_volume_that_has_grown_keeps_its_size() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = log_in(&daemon, &[0]);
    write(&mut initiator, 0, 0, 1);
    daemon.run(&["snapshot", "create", "vol", "small"]);
    daemon.run(&["volume", "resize", "vol", "--size", "16M"]);
    initiator.settle(0);
    write(&mut initiator, 0, 0, 2);
    write(&mut initiator, 0, 30_000, 3);
    daemon.run(&["snapshot", "restore", "vol@small", "--force"]);
    initiator.settle(0);
    assert_eq!(initiator.capacity(0), (16 << 20) / 512);
    assert!(is(&mut initiator, 0, 0, 1) && is(&mut initiator, 0, 30_000, 0));
    // The snapshot has the size that the volume had then.
    daemon.run(&["snapshot", "map", "vol@small", TARGET]);
    initiator.settle(1);
    assert_eq!(initiator.capacity(1), (8 << 20) / 512);
    let daemon = daemon.kill_and_restart();
    let mut initiator = log_in(&daemon, &[0, 1]);
    assert_eq!(initiator.capacity(0), (16 << 20) / 512);
    assert!(is(&mut initiator, 0, 0, 1) && is(&mut initiator, 1, 0, 1));
}
