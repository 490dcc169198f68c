//! Parameters of sessions: what a target and an entry of its access list set is what a login gets.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{INITIATOR, Initiator, LoginAs, LoginFailure};
use crate::harness::wait_until;

const OTHER: &str = "iqn.2026-11.test.tidelock:other";

/// Logs in with an offer of everything and returns the answers.
fn negotiate(daemon: &Daemon, name: &str, digest: &str) -> (u8, u8, HashMap<String, String>) {
    let who = LoginAs {
        initiator: name,
        ..LoginAs::default()
    };
    let (_session, class, detail, answers) = negotiate_as(daemon, &who, digest);
    (class, detail, answers)
}

/// The same, and the session.
fn negotiate_as(
    daemon: &Daemon,
    who: &LoginAs<'_>,
    digest: &str,
) -> (Initiator, u8, u8, HashMap<String, String>) {
    let mut initiator = Initiator::connect(daemon.portal);
    let name = who.initiator;
    let offer = format!(
        "InitiatorName={name}\0TargetName={TARGET}\0HeaderDigest={digest}\0DataDigest={digest}\0\
         InitialR2T=No\0ImmediateData=Yes\0MaxBurstLength=16777215\0FirstBurstLength=16777215\0\
         MaxOutstandingR2T=65535\0"
    );
    let request = initiator.login_request(0x87, who, offer.as_bytes());
    initiator.send(&request).unwrap();
    let reply = initiator.receive().unwrap();
    let text = String::from_utf8(reply.data.clone()).unwrap();
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    let answers = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    (initiator, reply.bhs[36], reply.bhs[37], answers.collect())
}

#[test]
fn what_is_set_is_what_a_login_gets_and_an_entry_goes_before_its_target() {
    let daemon = Daemon::with_lun("8M");
    let target = [
        "header-digest=required",
        "data-digest=off",
        "max-recv-data-segment-length=16384",
        "max-burst-length=65536",
        "first-burst-length=8192",
        "initial-r2t=yes",
        "max-outstanding-r2t=3",
    ];
    daemon.run(&[&["target", "set", TARGET], &target[..]].concat());
    daemon.run(&["acl", "allow", TARGET, INITIATOR]);
    let entry = [
        "initial-r2t=no",
        "immediate-data=no",
        "max-burst-length=4096",
    ];
    daemon.run(&[&["acl", "set", TARGET, INITIATOR], &entry[..]].concat());
    // It is kept over a restart, and shown as it was written.
    let daemon = daemon.kill_and_restart();
    let shown = daemon.run(&["target", "show", TARGET]);
    assert!(shown.contains(&target.join(" ")), "{shown}");
    let expected = "max-burst-length=4096 initial-r2t=no immediate-data=no";
    assert!(
        shown.contains(&format!("{INITIATOR}: {expected}")),
        "{shown}"
    );

    let of = |name| {
        let (class, detail, answers) = negotiate(&daemon, name, "CRC32C,None");
        assert_eq!((class, detail), (0, 0), "{answers:?}");
        move |key: &str| answers[key].clone()
    };
    let other = of(OTHER);
    for (key, value) in [
        ("HeaderDigest", "CRC32C"),
        ("DataDigest", "None"),
        ("MaxRecvDataSegmentLength", "16384"),
        ("MaxBurstLength", "65536"),
        ("FirstBurstLength", "8192"),
        ("InitialR2T", "Yes"),
        ("ImmediateData", "Yes"),
        ("MaxOutstandingR2T", "3"),
    ] {
        assert_eq!(other(key), value, "{key}");
    }
    let named = of(INITIATOR);
    for (key, value) in [
        ("HeaderDigest", "CRC32C"),
        ("MaxBurstLength", "4096"),
        // Never above MaxBurstLength, whoever sets which of them.
        ("FirstBurstLength", "4096"),
        ("InitialR2T", "No"),
        ("ImmediateData", "No"),
    ] {
        assert_eq!(named(key), value, "{key}");
    }
    // Who has no digest where one is required doesn't get in.
    let (class, detail, _) = negotiate(&daemon, OTHER, "None");
    assert_eq!((class, detail), (2, 0), "initiator error");
    let who = LoginAs::default();
    let mut silent = Initiator::connect(daemon.portal);
    let text = format!("InitiatorName={INITIATOR}\0TargetName={TARGET}\0");
    let request = silent.login_request(0x87, &who, text.as_bytes());
    silent.send(&request).unwrap();
    let reply = silent.receive().unwrap();
    assert_eq!((reply.bhs[36], reply.bhs[37]), (2, 0));

    let back: Vec<_> = target
        .iter()
        .map(|word| format!("{}=default", word.split_once('=').unwrap().0))
        .collect();
    let back: Vec<_> = back.iter().map(String::as_str).collect();
    let said = daemon.run(&[&["target", "set", TARGET], &back[..]].concat());
    assert!(said.contains("nothing is set"), "{said}");
    let (class, _, answers) = negotiate(&daemon, OTHER, "None");
    assert_eq!((class, answers["MaxBurstLength"].as_str()), (0, "1048576"));
}

#[test]
fn what_is_out_of_range_is_refused_with_the_range_and_nothing_is_set() {
    let daemon = Daemon::with_lun("8M");
    for (words, says) in [
        (
            &["queue-depth=0"][..],
            "queue_depth can't be 0: it goes from 1 to 1024",
        ),
        (&["max-burst-length=16777216"], "from 512 to 16777215"),
        (&["nop-timeout=99999999999"], "from 1 to 600"),
        (
            &["max-burst-length=4096", "first-burst-length=8192"],
            "first_burst_length (8192) can't be more than max_burst_length (4096)",
        ),
    ] {
        let refused = daemon.refused(&[&["target", "set", TARGET], words].concat());
        assert!(refused.contains(says), "{refused}");
    }
    let shown = daemon.json(&["target", "show", TARGET]);
    assert!(shown.get("parameters").is_none(), "{shown}");
    let refused = daemon.refused(&["acl", "set", TARGET, OTHER, "queue-depth=1"]);
    assert!(refused.contains("no entry for"), "{refused}");
}

#[test]
fn a_burst_that_memory_has_no_room_for_is_not_promised() {
    let daemon = Daemon::with_lun("8M");
    let words = ["max-burst-length=16777215", "first-burst-length=16777215"];
    daemon.run(&[&["target", "set", TARGET], &words[..]].concat());
    let (class, _, answers) = negotiate(&daemon, OTHER, "None");
    assert_eq!(class, 0);
    assert_eq!(answers["MaxBurstLength"], "16777215");
    let first: u64 = answers["FirstBurstLength"].parse().unwrap();
    let status = daemon.json(&["status"]);
    let ceiling = status["memory"]["ceiling_bytes"].as_u64().unwrap();
    // Eight commands that may always be outstanding, in a quarter of all memory.
    assert!(first * 8 <= ceiling / 4, "{first} of {ceiling}");
    assert!(first >= 65_536);
}

#[test]
fn a_session_may_send_much_unasked_as_long_as_all_of_them_together_fit() {
    for reactors in [1, 4] {
        let daemon = Daemon::start_with(&format!("reactors = {reactors}"), &[]);
        daemon.add_lun("vol", "8M");
        let status = daemon.json(&["status"]);
        let ceiling = status["memory"]["ceiling_bytes"].as_u64().unwrap();
        let mut sessions = Vec::new();
        let mut lengths = Vec::new();
        for isid in 1..=40 {
            let who = LoginAs {
                initiator: OTHER,
                isid,
                ..LoginAs::default()
            };
            let (mut session, class, _, answers) = negotiate_as(&daemon, &who, "None");
            assert_eq!(class, 0);
            lengths.push(answers["FirstBurstLength"].parse::<u64>().unwrap());
            if isid == 1 {
                // It keeps the window that hosts are used to when it has been counted itself.
                session.settle(0);
                let mut window = 0;
                wait_until("a window of 32 commands", Duration::from_secs(10), || {
                    let pong = session.ping(b"").unwrap();
                    window = pong.get(32).wrapping_sub(pong.get(28)) + 1;
                    window >= 32
                });
            }
            sessions.push(session);
        }
        // As much as a large write of most hosts, and never less than the protocol's default.
        assert_eq!(lengths.first(), Some(&131_072));
        assert_eq!(lengths.last(), Some(&65_536));
        assert!(
            lengths.is_sorted_by(|before, after| before >= after),
            "{lengths:?}"
        );
        // Eight commands of each may always be under way, and a quarter of all memory is for what comes unasked.
        let together: u64 = lengths.iter().map(|length| length * 8).sum();
        assert!(together <= ceiling / 4, "{lengths:?}");
    }
}

#[test]
fn a_target_and_an_initiator_have_no_more_sessions_than_they_may() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["target", "set", TARGET, "max-sessions=3"]);
    daemon.run(&["acl", "set", TARGET, "*", "max-sessions=2"]);
    let log_in = |initiator, isid| {
        let who = LoginAs {
            initiator,
            isid,
            ..LoginAs::default()
        };
        Initiator::log_in_as(daemon.portal, &who)
    };
    let full = LoginFailure {
        class: 3,
        detail: 2,
    };
    let mut held = vec![log_in(INITIATOR, 1).unwrap(), log_in(INITIATOR, 2).unwrap()];
    assert_eq!(log_in(INITIATOR, 3).err(), Some(full), "out of resources");
    held.push(log_in(OTHER, 1).unwrap());
    assert_eq!(log_in(OTHER, 2).err(), Some(full));
    // One that comes back takes its own place.
    held[1] = log_in(INITIATOR, 2).unwrap();
    assert!(held.remove(0).log_out());
    // The answer to a logout is sent before the session is gone.
    let mut next = None;
    wait_until("there is room again", Duration::from_secs(60), || {
        next = log_in(OTHER, 2).ok();
        next.is_some()
    });
    next.unwrap().settle(0);
}

#[test]
fn the_window_and_the_pings_are_as_they_are_set() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&[
        "target",
        "set",
        TARGET,
        "queue-depth=2",
        "nop-interval=1",
        "nop-timeout=1",
    ]);
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let window = initiator.max_cmd_sn.wrapping_sub(initiator.cmd_sn) + 1;
    assert_eq!(window, 2);
    let begun = Instant::now();
    let ping = initiator.receive().unwrap();
    assert_eq!(ping.opcode(), 0x20, "NOP-In");
    assert_ne!(ping.get(20), u32::MAX, "it asks for an answer");
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert!(initiator.is_dropped(), "who doesn't answer is gone");
}
