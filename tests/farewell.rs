//! How sessions end that an operator ends: what the initiator is told, and when.

use std::time::{Duration, Instant};

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{INITIATOR, Initiator, Pdu};
use crate::harness::wait_until;

/// Asynchronous Message: AsyncEvent, Parameter1, Parameter2 and Parameter3.
fn notice(pdu: &Pdu) -> (u8, u32, u32, u32) {
    assert_eq!(pdu.opcode(), 0x32, "an Asynchronous Message");
    assert_eq!(pdu.get(16), u32::MAX);
    let half = |offset: usize| pdu.get(offset & !3) >> (16 * (1 - (offset & 2) / 2)) & 0xffff;
    (pdu.bhs[36], half(38), half(40), half(42))
}

fn session(daemon: &Daemon) -> String {
    daemon.sessions()[0]["id"].to_string()
}

#[test]
fn an_initiator_that_is_asked_to_log_out_does_and_comes_back() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let said = daemon.run(&["session", "logout", &session(&daemon), "--within", "30"]);
    assert!(said.contains("in 30 s"), "{said}");
    assert_eq!(notice(&initiator.receive().unwrap()), (1, 0, 0, 30));
    // What it has to finish is still served.
    initiator.settle(0);
    assert!(initiator.log_out());
    let gone = Duration::from_secs(60);
    wait_until("the session is gone", gone, || daemon.sessions().is_empty());
    Initiator::log_in(daemon.portal).settle(0);
}

#[test]
fn one_that_does_not_log_out_is_dropped_when_its_time_is_over() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let begun = Instant::now();
    daemon.run(&["session", "logout", &session(&daemon), "--within", "2"]);
    assert_eq!(notice(&initiator.receive().unwrap()), (1, 0, 0, 2));
    // All connections will be dropped; Time2Wait and Time2Retain as they were negotiated.
    let (event, _, wait, _) = notice(&initiator.receive().unwrap());
    assert_eq!((event, wait), (3, 2));
    assert!(initiator.is_dropped());
    assert!(begun.elapsed() >= Duration::from_secs(2));
    daemon.log_until("asked to log out and didn't");
    let refused = daemon.refused(&["session", "logout", "4711"]);
    assert!(refused.contains("there is no session 4711"), "{refused}");
}

#[test]
fn whoever_is_dropped_is_told_so_before() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    daemon.run(&["session", "drop", &session(&daemon), "--yes"]);
    assert_eq!(notice(&initiator.receive().unwrap()).0, 3);
    assert!(initiator.is_dropped());
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    daemon.run(&["acl", "deny", TARGET, INITIATOR]);
    assert_eq!(notice(&initiator.receive().unwrap()).0, 3);
    assert!(initiator.is_dropped());
}

/// Who has stopped reading can't hold its session up.
#[test]
fn an_initiator_that_takes_nothing_is_dropped_all_the_same() {
    let daemon = Daemon::with_lun("64M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    // READ(10) of 1 MiB, many times, and nothing of it is taken.
    for _ in 0..8 {
        let cdb = [0x28, 0, 0, 0, 0, 0, 0, 0x08, 0, 0];
        let command = initiator.command(0, &cdb, 0x40, 1 << 20);
        initiator.send(&command).unwrap();
    }
    daemon.run(&["session", "drop", &session(&daemon), "--yes"]);
    let gone = Duration::from_secs(60);
    wait_until("the session is gone", gone, || daemon.sessions().is_empty());
}
