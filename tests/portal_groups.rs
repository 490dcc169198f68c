//! Portal groups: which targets are reached through which, and what a login and a discovery say of it.

use std::net::SocketAddr;

use crate::harness::daemon::{Daemon, TARGET, start_refused};
use crate::harness::initiator::{Initiator, LoginAs, LoginFailure};
use crate::harness::wait_until;
use crate::login::send_targets;

const NOT_FOUND: LoginFailure = LoginFailure {
    class: 2,
    detail: 3,
};

/// A daemon with a portal in group 1 and one in group 7, and the address of the latter.
pub(crate) fn two_groups() -> (Daemon, SocketAddr) {
    let daemon = Daemon::start_with("", &["--portal", "7=127.0.0.1:0"]);
    let portal = second_portal(&daemon);
    (daemon, portal)
}

/// The portal in group 7.
pub(crate) fn second_portal(daemon: &Daemon) -> SocketAddr {
    let status = daemon.json(&["status"]);
    let groups = status["portal_groups"].as_array().unwrap();
    assert_eq!(
        (&groups[0]["tag"], &groups[1]["tag"]),
        (&1.into(), &7.into())
    );
    let portal = groups[1]["portals"][0].as_str().unwrap();
    portal.parse().unwrap()
}

fn tag_of_login(portal: SocketAddr) -> String {
    let mut initiator = Initiator::connect(portal);
    let reply = initiator.login_exchange(&LoginAs::default()).unwrap();
    let text = String::from_utf8(reply.data).unwrap();
    let tag = text
        .split('\0')
        .find_map(|pair| pair.strip_prefix("TargetPortalGroupTag="));
    tag.unwrap_or_else(|| panic!("no tag in {text:?}"))
        .to_owned()
}

#[test]
fn a_discovery_names_each_address_with_its_tag_and_a_login_says_through_which_it_came() {
    let (daemon, second) = two_groups();
    daemon.add_lun("vol", "8M");
    let as_discovery = LoginAs {
        target: None,
        ..LoginAs::default()
    };
    for portal in [daemon.portal, second] {
        let mut discovery = Initiator::log_in_as(portal, &as_discovery).unwrap();
        let found = send_targets(&mut discovery, "All");
        let expected = format!(
            "TargetName={TARGET}\nTargetAddress={},1\nTargetAddress={second},7\n",
            daemon.portal
        );
        assert_eq!(found, expected);
    }
    assert_eq!(tag_of_login(daemon.portal), "1");
    assert_eq!(tag_of_login(second), "7");
}

#[test]
fn the_same_isid_has_a_session_in_each_group_and_none_that_spans_them() {
    let (daemon, second) = two_groups();
    daemon.add_lun("vol", "8M");
    let mut first = Initiator::log_in(daemon.portal);
    let mut other = Initiator::log_in(second);
    first.settle(0);
    other.settle(0);
    let groups: Vec<_> = daemon
        .sessions()
        .iter()
        .map(|session| session["portal_group"].as_u64().unwrap())
        .collect();
    assert_eq!(groups, [1, 7]);
    // A connection for the session of the other group: there is no such session here.
    let join = LoginAs {
        tsih: first.tsih,
        ..LoginAs::default()
    };
    let refused = Initiator::log_in_as(second, &join).err().unwrap();
    assert_eq!((refused.class, refused.detail), (2, 0x0a));
    assert_eq!(daemon.sessions().len(), 2);
}

#[test]
fn a_restricted_target_is_not_there_in_other_groups_and_its_sessions_in_them_end() {
    let (daemon, second) = two_groups();
    daemon.add_lun("vol", "8M");
    let mut first = Initiator::log_in(daemon.portal);
    let mut stays = Initiator::log_in(second);
    daemon.run(&["target", "set", TARGET, "--portal-groups", "7"]);
    assert!(first.is_dropped());
    stays.settle(0);
    wait_until(
        "one session is left",
        std::time::Duration::from_secs(5),
        || daemon.sessions().len() == 1,
    );
    let refused = Initiator::log_in_as(daemon.portal, &LoginAs::default());
    assert_eq!(refused.err(), Some(NOT_FOUND));
    let as_discovery = LoginAs {
        target: None,
        ..LoginAs::default()
    };
    let mut discovery = Initiator::log_in_as(daemon.portal, &as_discovery).unwrap();
    let found = send_targets(&mut discovery, "All");
    assert_eq!(
        found,
        format!("TargetName={TARGET}\nTargetAddress={second},7\n")
    );
    let daemon = daemon.kill_and_restart();
    let refused = Initiator::log_in_as(daemon.portal, &LoginAs::default());
    assert_eq!(refused.err(), Some(NOT_FOUND));
    daemon.run(&["target", "set", TARGET, "--portal-groups", "all"]);
    Initiator::log_in(daemon.portal).settle(0);
    // Made for a group from the beginning.
    let other = "iqn.2026-11.test.tidelock:second";
    daemon.run(&["target", "create", other, "--portal-groups", "2,7"]);
    let shown = daemon.json(&["target", "show", other]);
    assert_eq!(shown["portal_groups"], serde_json::json!([2, 7]));
    let said = daemon.refused(&[
        "target",
        "create",
        "iqn.2026-11.x:y",
        "--portal-groups",
        "17",
    ]);
    assert!(said.contains("1 to 16"), "{said}");
}

#[test]
fn an_address_in_two_groups_is_refused_before_anything_is_done() {
    let said = start_refused(&["--portal", "127.0.0.1:3260", "--portal", "2=127.0.0.1:3260"]);
    assert!(said.contains("a portal twice"), "{said}");
    let said = start_refused(&["--portal", "17=127.0.0.1:3260"]);
    assert!(said.contains("from 1 to 16"), "{said}");
}
