//! Who gets in, and what a discovery shows.

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Initiator, LoginAs, LoginFailure, Pdu};

const OTHER: &str = "iqn.2026-11.test.tidelock:other";

fn failure(class: u8, detail: u8) -> LoginFailure {
    LoginFailure { class, detail }
}

/// What a SendTargets is answered with, a line each.
pub(crate) fn send_targets(initiator: &mut Initiator, value: &str) -> String {
    let text = format!("SendTargets={value}\0");
    let tag = initiator.tag();
    let pdu = Pdu::new(0x04, 0x80)
        .with_data(text.as_bytes())
        .set(16, tag)
        .set(20, u32::MAX)
        .set(24, initiator.cmd_sn)
        .set(28, initiator.exp_stat_sn);
    initiator.cmd_sn += 1;
    initiator.send(&pdu).unwrap();
    let reply = initiator.receive().unwrap();
    assert_eq!(reply.opcode(), 0x24);
    String::from_utf8(reply.data).unwrap().replace('\0', "\n")
}

#[test]
fn an_initiator_that_nobody_allowed_is_refused_and_one_that_was_allowed_gets_in() {
    let daemon = Daemon::start();
    daemon.run(&["target", "create", TARGET]);
    let refused = Initiator::log_in_as(daemon.portal, &LoginAs::default());
    assert_eq!(refused.err(), Some(failure(2, 2)), "authorization failure");
    daemon.run(&["acl", "allow", TARGET, crate::harness::initiator::INITIATOR]);
    Initiator::log_in(daemon.portal);
    let other = LoginAs {
        initiator: OTHER,
        ..LoginAs::default()
    };
    let refused = Initiator::log_in_as(daemon.portal, &other);
    assert_eq!(refused.err(), Some(failure(2, 2)));
}

#[test]
fn a_target_that_is_not_there_is_not_found() {
    let daemon = Daemon::start();
    let refused = Initiator::log_in_as(daemon.portal, &LoginAs::default());
    assert_eq!(refused.err(), Some(failure(2, 3)));
}

#[test]
fn an_explicit_deny_beats_allow_for_all_and_ends_the_session_that_is_there() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    daemon.run(&["acl", "deny", TARGET, crate::harness::initiator::INITIATOR]);
    assert!(initiator.is_dropped());
    let refused = Initiator::log_in_as(daemon.portal, &LoginAs::default());
    assert_eq!(refused.err(), Some(failure(2, 2)));
    let other = LoginAs {
        initiator: OTHER,
        ..LoginAs::default()
    };
    assert!(Initiator::log_in_as(daemon.portal, &other).is_ok());
}

#[test]
fn an_initiator_without_chap_is_refused_where_a_secret_is_asked_for() {
    let daemon = Daemon::start();
    let secret = daemon.folder().join("secret");
    std::fs::write(&secret, "a-secret-of-16-b\n").unwrap();
    daemon.run(&["target", "create", TARGET]);
    let secret = secret.to_str().unwrap();
    daemon.run(&[
        "acl",
        "allow",
        TARGET,
        "*",
        "--chap-user",
        "u",
        "--chap-secret-file",
        secret,
    ]);
    let refused = Initiator::log_in_as(daemon.portal, &LoginAs::default());
    assert_eq!(refused.err(), Some(failure(2, 1)), "authentication failure");
    for listing in [
        daemon.run(&["acl", "list", TARGET]),
        daemon.run(&["acl", "list", TARGET, "--json"]),
        daemon.run(&["target", "show", TARGET, "--json"]),
        daemon.log_until("login failed"),
    ] {
        assert!(
            !listing.contains("a-secret-of-16-b"),
            "the secret is in: {listing}"
        );
    }
}

#[test]
fn a_discovery_shows_only_what_the_initiator_may_log_in_to() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["target", "create", "iqn.2026-11.test.tidelock:hidden"]);
    let who = LoginAs {
        target: None,
        ..LoginAs::default()
    };
    let mut initiator = Initiator::log_in_as(daemon.portal, &who).unwrap();
    let shown = format!("TargetName={TARGET}\nTargetAddress={},1\n", daemon.portal);
    assert_eq!(send_targets(&mut initiator, "All"), shown);
    assert_eq!(send_targets(&mut initiator, TARGET), shown);
    assert_eq!(
        send_targets(&mut initiator, "iqn.2026-11.test.tidelock:hidden"),
        ""
    );
    assert!(initiator.log_out());
}

#[test]
fn the_same_session_again_replaces_the_old_one() {
    let daemon = Daemon::with_lun("8M");
    let mut old = Initiator::log_in(daemon.portal);
    old.settle(0);
    let mut new = Initiator::log_in(daemon.portal);
    new.settle(0);
    assert!(old.is_dropped());
    assert_eq!(daemon.sessions().len(), 1);
}

#[test]
fn another_isid_is_a_second_session_beside_the_first() {
    let daemon = Daemon::with_lun("8M");
    let mut one = Initiator::log_in(daemon.portal);
    let two = LoginAs {
        isid: 2,
        ..LoginAs::default()
    };
    let mut two = Initiator::log_in_as(daemon.portal, &two).unwrap();
    one.settle(0);
    two.settle(0);
    assert_eq!(daemon.sessions().len(), 2);
}

#[test]
fn a_session_handle_that_is_not_there_is_refused() {
    let daemon = Daemon::with_lun("8M");
    let who = LoginAs {
        tsih: 4711,
        ..LoginAs::default()
    };
    let refused = Initiator::log_in_as(daemon.portal, &who);
    assert_eq!(
        refused.err(),
        Some(failure(2, 0x0a)),
        "session does not exist"
    );
}

#[test]
fn a_connection_is_replaced_within_its_session() {
    let daemon = Daemon::with_lun("8M");
    let mut old = Initiator::log_in(daemon.portal);
    old.settle(0);
    let who = LoginAs {
        tsih: old.tsih,
        ..LoginAs::default()
    };
    let mut new = Initiator::log_in_as(daemon.portal, &who).unwrap();
    assert_eq!(new.tsih, old.tsih);
    assert!(old.is_dropped());
    // The order of commands goes on where it was.
    assert_eq!(new.cmd_sn, old.cmd_sn);
    new.settle(0);
}

#[test]
fn an_operator_can_drop_a_session_and_the_initiator_may_come_back() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    let id = daemon.sessions()[0]["id"].to_string();
    daemon.run(&["session", "drop", &id, "--yes"]);
    assert!(initiator.is_dropped());
    Initiator::log_in(daemon.portal).settle(0);
}

#[test]
fn a_login_that_began_before_the_access_was_taken_away_is_refused() {
    let daemon = Daemon::with_lun("8M");
    let mut slow = Initiator::connect(daemon.portal);
    let who = LoginAs::default();
    // Operational negotiation begins; the initiator doesn't ask to go on yet.
    let text = format!("InitiatorName={}\0TargetName={TARGET}\0", who.initiator);
    let first = slow.login_request(0x04, &who, text.as_bytes());
    slow.send(&first).unwrap();
    assert_eq!(slow.receive().unwrap().bhs[36], 0);
    daemon.run(&["acl", "deny", TARGET, "*"]);
    let last = slow.login_request(0x87, &who, b"");
    slow.send(&last).unwrap();
    let reply = slow.receive().unwrap();
    assert_eq!(
        (reply.bhs[36], reply.bhs[37]),
        (2, 2),
        "authorization failure"
    );
    assert_eq!(daemon.sessions().len(), 0);
}
