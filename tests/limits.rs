//! How much space volumes may take: what hosts get when there is no more, and when they are warned.

use std::time::Duration;

use serde_json::Value;

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::Initiator;
use crate::harness::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;
/// Blocks of a MiB.
const STEP: u64 = 2_048;
/// DATA PROTECT, SPACE ALLOCATION FAILED WRITE PROTECT.
const NO_SPACE: (u8, u8, u8) = (7, 0x27, 7);
/// UNIT ATTENTION, THIN PROVISIONING SOFT THRESHOLD REACHED.
const WARNED: (u8, u8, u8) = (6, 0x38, 7);

fn serve(create: &[&str]) -> Daemon {
    let daemon = Daemon::start();
    daemon.run(&[&["volume", "create", "vol", "--size", "64M"], create].concat());
    daemon.run(&["target", "create", TARGET]);
    daemon.run(&["lun", "map", TARGET, "vol"]);
    daemon.run(&["acl", "allow", TARGET, "*"]);
    daemon
}

fn log_in(daemon: &Daemon) -> Initiator {
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator
}

/// Writes the MiB of that number; what a warning said is left out.
fn write(initiator: &mut Initiator, at: u64, warnings: &mut u32) -> (u8, u8, u8) {
    let data = vec![0x5a; MIB as usize];
    loop {
        let answer = initiator.write(0, at * STEP, &data, false);
        if answer.status == 0 {
            return (0, 0, 0);
        }
        match answer.sense_code() {
            WARNED => *warnings += 1,
            other => return other,
        }
    }
}

/// What LOG SENSE says is available and used, in sets of 1 MiB.
fn resources(initiator: &mut Initiator) -> (u32, u32) {
    let answer = initiator.read_command(0, &[0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 255, 0], 255);
    answer.assert_good();
    let count = |at: usize| u32::from_be_bytes(answer.data[at..at + 4].try_into().unwrap());
    assert_eq!(answer.data[4..6], [0, 1], "available");
    assert_eq!(answer.data[16..18], [0, 2], "used");
    (count(8), count(20))
}

#[test]
fn a_limit_is_kept_hosts_are_warned_once_before_it_and_a_plain_file_is_overwritten_at_it() {
    let daemon = serve(&["--limit", "16M", "--warn", "75"]);
    let shown = daemon.json(&["volume", "show", "vol"]);
    assert_eq!(shown["limits"]["limit_bytes"], 16 * MIB, "{shown}");
    assert_eq!(shown["limits"]["warn_percent"], 75, "{shown}");
    let mut initiator = log_in(&daemon);
    let mut warnings = 0;
    for at in 0..14 {
        assert_eq!(write(&mut initiator, at, &mut warnings), (0, 0, 0), "{at}");
    }
    // It is looked for every now and then.
    wait_until("hosts are warned", PATIENCE, || {
        let answer = initiator.read_command(0, &[0; 6], 0);
        warnings += u32::from(answer.status != 0 && answer.sense_code() == WARNED);
        warnings > 0
    });
    let (available, used) = resources(&mut initiator);
    // Of the limit, not of the disk; a file system may count a block of its own to the file.
    assert!(
        (1..=2).contains(&available) && (14..=15).contains(&used),
        "{available} {used}"
    );
    for at in 14..16 {
        assert_eq!(write(&mut initiator, at, &mut warnings), (0, 0, 0), "{at}");
    }
    assert_eq!(write(&mut initiator, 40, &mut warnings), NO_SPACE);
    for at in 0..16 {
        assert_eq!(
            write(&mut initiator, at, &mut warnings),
            (0, 0, 0),
            "{at} again"
        );
    }
    assert_eq!(warnings, 1, "once");
    // The same after a restart, and more with another limit.
    drop(initiator);
    let daemon = daemon.kill_and_restart();
    let mut initiator = log_in(&daemon);
    assert_eq!(write(&mut initiator, 40, &mut warnings), NO_SPACE);
    let text = daemon.run(&["volume", "set", "vol", "--limit", "20M"]);
    assert_eq!(
        text,
        "volume vol may take 20 MiB; hosts are warned at 75 %\n"
    );
    assert_eq!(write(&mut initiator, 40, &mut warnings), (0, 0, 0));
    daemon.run(&["volume", "set", "vol", "--limit", "none"]);
    for at in 41..50 {
        assert_eq!(write(&mut initiator, at, &mut warnings), (0, 0, 0), "{at}");
    }
    let refused = daemon.refused(&["volume", "set", "vol", "--warn", "80"]);
    assert!(refused.contains("a warning needs a limit"), "{refused}");
}

#[test]
fn a_limit_counts_snapshots_and_listings_say_what_is_shared() {
    let daemon = serve(&["--limit", "16M"]);
    let mut initiator = log_in(&daemon);
    let mut warnings = 0;
    for at in 0..8 {
        assert_eq!(write(&mut initiator, at, &mut warnings), (0, 0, 0), "{at}");
    }
    daemon.run(&["snapshot", "create", "vol", "one"]);
    // Each of these needs blocks of its own now.
    let mut written = 0;
    let refused = loop {
        match write(&mut initiator, written % 8, &mut warnings) {
            (0, 0, 0) => written += 1,
            other => break other,
        }
        assert!(written < 16, "the snapshot isn't counted");
    };
    assert_eq!(refused, NO_SPACE);
    assert!((6..=8).contains(&written), "{written}");
    initiator.flush(0).assert_good();
    // The same in the metrics, at the next look.
    wait_until("the metrics say so", PATIENCE, || {
        let used = daemon.figure(r#"tidelock_volume_used_bytes{volume="vol"}"#);
        used.is_ok_and(|used| used >= (8 + written) * MIB)
    });
    let limit = daemon.metric(r#"tidelock_volume_limit_bytes{volume="vol"}"#);
    assert_eq!(limit, 16 * MIB);
    let status = daemon.json(&["status"]);
    let total = status["space"]["total_bytes"].as_u64().unwrap();
    assert_eq!(
        daemon.metric("tidelock_space_total_bytes"),
        total,
        "{status}"
    );
    assert!(
        status["space"]["available_bytes"].as_u64().unwrap() < total,
        "{status}"
    );
    let vol: Value = daemon.json(&["volume", "show", "vol"]);
    let (own, used) = (&vol["allocated_bytes"], &vol["used_bytes"]);
    let (own, used) = (own.as_u64().unwrap(), used.as_u64().unwrap());
    assert!(own >= written * MIB && own < (written + 1) * MIB, "{vol}");
    // Maps may always be written, or nothing could be deleted.
    assert!(used >= (8 + written) * MIB && used <= 17 * MIB, "{vol}");
    let list = daemon.run(&["volume", "list"]);
    let shared = list.lines().nth(1).unwrap().contains(" shared");
    assert!(shared, "{list}");
    assert_eq!(resources(&mut initiator).1, used.div_ceil(MIB) as u32);
    // Without the snapshot there is room.
    daemon.run(&["snapshot", "delete", "vol@one"]);
    wait_until("there is room again", PATIENCE, || {
        write(&mut initiator, 20, &mut warnings) == (0, 0, 0)
    });
    assert_eq!(warnings, 0, "nobody wanted one");
}
