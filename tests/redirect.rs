//! Login redirection: who is sent where, who is served, and that a real initiator follows.

use std::net::SocketAddr;
use std::process::Command;

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{INITIATOR, Initiator, LoginAs, LoginFailure};
use crate::login::send_targets;

/// Class, detail and text of the answer to a login.
fn answer(portal: SocketAddr, who: &LoginAs<'_>) -> (u8, u8, String) {
    let mut initiator = Initiator::connect(portal);
    let reply = initiator.login_exchange(who).unwrap();
    let text = String::from_utf8(reply.data).unwrap().replace('\0', "\n");
    if reply.bhs[36] != 0 {
        assert!(initiator.is_dropped(), "a login that is over is hung up on");
    }
    (reply.bhs[36], reply.bhs[37], text)
}

fn second_portal(daemon: &Daemon) -> SocketAddr {
    let status = daemon.json(&["status"]);
    let portals = status["portals"].as_array().unwrap();
    let all = portals.iter().map(|portal| portal.as_str().unwrap());
    all.map(|portal| portal.parse().unwrap())
        .find(|portal| *portal != daemon.portal)
        .unwrap()
}

#[test]
fn a_redirected_target_sends_on_whom_it_lets_in_and_keeps_the_sessions_that_are_there() {
    let daemon = Daemon::with_lun("8M");
    let mut before = Initiator::log_in(daemon.portal);
    before.settle(0);
    let said = daemon.run(&["target", "redirect", TARGET, "192.0.2.7:3261"]);
    assert!(said.contains("192.0.2.7:3261 for now"), "{said}");
    let second = LoginAs {
        isid: 2,
        ..LoginAs::default()
    };
    let temporarily = (1, 1, "TargetAddress=192.0.2.7:3261\n".to_owned());
    assert_eq!(answer(daemon.portal, &second), temporarily);
    before.settle(0);
    // A connection for a session that is here isn't sent away from it.
    let joining = LoginAs {
        tsih: before.tsih,
        ..LoginAs::default()
    };
    let mut again = Initiator::log_in_as(daemon.portal, &joining).unwrap();
    again.settle(0);
    // Discovery goes on as before.
    let discovery = LoginAs {
        target: None,
        ..LoginAs::default()
    };
    let mut discovery = Initiator::log_in_as(daemon.portal, &discovery).unwrap();
    let shown = send_targets(&mut discovery, "All");
    assert!(
        shown.contains(&format!("TargetAddress={},1\n", daemon.portal)),
        "{shown}"
    );
    // It is kept over a restart, and shown.
    let daemon = daemon.kill_and_restart();
    assert_eq!(answer(daemon.portal, &second), temporarily);
    let shown = daemon.run(&["target", "show", TARGET]);
    assert!(shown.contains("to 192.0.2.7:3261, for now"), "{shown}");
    daemon.run(&["target", "redirect", TARGET, "fd00::7", "--permanent"]);
    let permanently = (1, 2, "TargetAddress=[fd00::7]:3260\n".to_owned());
    assert_eq!(answer(daemon.portal, &second), permanently);
    // Who isn't let in is told nothing of it.
    daemon.run(&["acl", "deny", TARGET, INITIATOR]);
    let (class, detail, text) = answer(daemon.portal, &second);
    assert_eq!((class, detail, text.as_str()), (2, 2, ""));
    daemon.run(&["acl", "allow", TARGET, INITIATOR]);
    daemon.run(&["target", "redirect", TARGET, "--off"]);
    Initiator::log_in(daemon.portal).settle(0);
}

#[test]
fn where_chap_is_asked_for_nobody_is_sent_on_without_it() {
    let daemon = Daemon::with_lun("8M");
    let secret = daemon.folder().join("secret");
    std::fs::write(&secret, "a-secret-of-16-b\n").unwrap();
    let secret = secret.to_str().unwrap();
    let chap = ["--chap-user", "u", "--chap-secret-file", secret];
    daemon.run(&[&["acl", "allow", TARGET, "*"], &chap[..]].concat());
    daemon.run(&["target", "redirect", TARGET, "192.0.2.7"]);
    let (class, detail, text) = answer(daemon.portal, &LoginAs::default());
    assert_eq!((class, detail, text.as_str()), (2, 1, ""));
}

#[test]
fn a_redirection_to_a_portal_of_ones_own_does_not_go_round_in_circles() {
    let daemon = Daemon::start_with("", &["--portal", "127.0.0.2:0"]);
    daemon.add_lun("vol", "8M");
    let second = second_portal(&daemon);
    daemon.run(&["target", "redirect", TARGET, &second.to_string()]);
    let refused = Initiator::log_in_as(daemon.portal, &LoginAs::default());
    let moved = LoginFailure {
        class: 1,
        detail: 1,
    };
    assert_eq!(refused.err(), Some(moved));
    Initiator::log_in(second).settle(0);
    // A name can't be told from another when somebody comes by it.
    let by_name = format!("localhost:{}", daemon.portal.port());
    let refused = daemon.refused(&["target", "redirect", TARGET, &by_name]);
    assert!(refused.contains("round in circles"), "{refused}");
    // The one that was there still holds.
    let shown = daemon.json(&["target", "show", TARGET]);
    assert_eq!(shown["redirect"]["address"], second.to_string());
}

/// `iscsi-inq` of libiscsi, which logs in and sends INQUIRY. It follows temporary redirections, and only
/// where there is no CHAP: its second login goes on where the security negotiation of the first ended.
#[test]
fn a_real_initiator_follows() {
    let daemon = Daemon::start_with("", &["--portal", "127.0.0.2:0"]);
    daemon.add_lun("vol", "8M");
    let second = second_portal(&daemon);
    daemon.run(&["target", "redirect", TARGET, &second.to_string()]);
    let url = format!("iscsi://{}/{TARGET}/0", daemon.portal);
    let inq = Command::new("timeout")
        .args(["20", "iscsi-inq", &url])
        .output()
        .expect("iscsi-inq can't be run: tests/packages gets it");
    let shown = String::from_utf8_lossy(&inq.stdout).into_owned();
    assert!(shown.contains("TIDELOCK"), "{shown} {inq:?}");
    let log = daemon.log_until("login sent on");
    assert_eq!(log.matches("login sent on").count(), 1, "{log}");
}
