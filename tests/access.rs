//! Who gets in from where, and what is shown to whom: access lists with networks, over both families
//! of addresses, and CHAP for discovery with a real initiator.

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Output};

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{INITIATOR, Initiator, LoginAs, LoginFailure};
use crate::login::send_targets;

const REFUSED: LoginFailure = LoginFailure {
    class: 2,
    detail: 2,
};

/// Tries to log in from an address of the loopback network.
fn from(address: &str, daemon: &Daemon, who: &LoginAs<'_>) -> Result<Initiator, LoginFailure> {
    let address: IpAddr = address.parse().unwrap();
    let mut initiator = Initiator::connect_from(address, daemon.portal);
    initiator.finish_login(who).map(|()| initiator)
}

fn other_isid() -> LoginAs<'static> {
    LoginAs {
        isid: 2,
        ..LoginAs::default()
    }
}

fn discovery() -> LoginAs<'static> {
    LoginAs {
        target: None,
        ..LoginAs::default()
    }
}

#[test]
fn a_subnet_lets_in_who_comes_from_it_and_nobody_else() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["acl", "remove", TARGET, "*"]);
    let refused = daemon.refused(&["acl", "allow", TARGET, "--subnet", "127.1.2.3/16"]);
    assert!(refused.contains("write 127.1.0.0/16"), "{refused}");
    let said = daemon.run(&["acl", "allow", TARGET, "--subnet", "127.1.0.0/16"]);
    assert!(said.contains("from 127.1.0.0/16"), "{said}");
    assert_eq!(
        from("127.0.0.1", &daemon, &LoginAs::default()).err(),
        Some(REFUSED)
    );
    let mut inside = from("127.1.0.9", &daemon, &LoginAs::default()).unwrap();
    inside.settle(0);
    // What a discovery shows depends on where it comes from, too.
    let mut outside = from("127.0.0.1", &daemon, &discovery()).unwrap();
    assert_eq!(send_targets(&mut outside, "All"), "");
    let mut near = from("127.1.0.8", &daemon, &discovery()).unwrap();
    assert!(send_targets(&mut near, "All").contains(TARGET));
    // It is kept over a restart.
    let daemon = daemon.kill_and_restart();
    assert_eq!(
        from("127.2.0.1", &daemon, &LoginAs::default()).err(),
        Some(REFUSED)
    );
    assert!(from("127.1.0.9", &daemon, &LoginAs::default()).is_ok());
    let list = daemon.run(&["acl", "list", TARGET]);
    assert!(list.contains("127.1.0.0/16"), "{list}");
    let list = daemon.json(&["acl", "list", TARGET]);
    assert_eq!(list["entries"][0]["network"], "127.1.0.0/16");
}

#[test]
fn a_denied_subnet_keeps_out_even_whom_its_name_lets_in_and_ends_only_its_sessions() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["acl", "allow", TARGET, INITIATOR]);
    let mut near = from("127.1.0.9", &daemon, &LoginAs::default()).unwrap();
    let mut far = from("127.2.0.9", &daemon, &other_isid()).unwrap();
    near.settle(0);
    far.settle(0);
    daemon.run(&["acl", "deny", TARGET, "--subnet", "127.1.0.0/16"]);
    assert!(near.is_dropped());
    assert_eq!(
        from("127.1.0.9", &daemon, &LoginAs::default()).err(),
        Some(REFUSED)
    );
    far.settle(0);
    assert_eq!(daemon.sessions().len(), 1);
    daemon.run(&["acl", "remove", TARGET, "--subnet", "127.1.0.0/16"]);
    assert!(from("127.1.0.9", &daemon, &LoginAs::default()).is_ok());
}

#[test]
fn the_beginning_of_names_lets_in_all_that_begin_like_it() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["acl", "remove", TARGET, "*"]);
    daemon.run(&["acl", "allow", TARGET, "iqn.2026-11.test.tidelock:*"]);
    Initiator::log_in(daemon.portal).settle(0);
    let stranger = LoginAs {
        initiator: "iqn.2026-11.test.stranger:a",
        ..LoginAs::default()
    };
    let refused = Initiator::log_in_as(daemon.portal, &stranger);
    assert_eq!(refused.err(), Some(REFUSED));
}

#[test]
fn discovery_itself_can_be_kept_to_a_subnet() {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["acl", "allow", "discovery", "--subnet", "127.1.0.0/16"]);
    assert_eq!(
        from("127.0.0.1", &daemon, &discovery()).err(),
        Some(REFUSED)
    );
    let mut inside = from("127.1.0.1", &daemon, &discovery()).unwrap();
    assert!(send_targets(&mut inside, "All").contains(TARGET));
    // It says nothing about the target itself.
    assert!(from("127.0.0.1", &daemon, &LoginAs::default()).is_ok());
}

fn ipv6_portal(daemon: &Daemon) -> SocketAddr {
    let status = daemon.json(&["status"]);
    let portals = status["portals"].as_array().unwrap();
    let all = portals.iter().map(|portal| portal.as_str().unwrap());
    all.map(|portal| portal.parse::<SocketAddr>().unwrap())
        .find(SocketAddr::is_ipv6)
        .unwrap()
}

#[test]
fn an_ipv6_portal_is_discovered_in_brackets_and_can_be_logged_in_to() {
    let daemon = Daemon::start_with("", &["--portal", "[::1]:0"]);
    daemon.add_lun("vol", "8M");
    let portal = ipv6_portal(&daemon);
    let mut discovery = Initiator::log_in_as(portal, &discovery()).unwrap();
    let shown = send_targets(&mut discovery, "All");
    let expected = format!("TargetAddress=[::1]:{},1\n", portal.port());
    assert!(shown.contains(&expected), "{shown}");
    Initiator::log_in(portal).settle(0);
    let peer = daemon.sessions()[0]["peer"].as_str().unwrap().to_owned();
    assert!(peer.starts_with("[::1]:"), "{peer}");

    daemon.run(&["acl", "allow", TARGET, "--subnet", "fd00::/8"]);
    daemon.run(&["acl", "remove", TARGET, "*"]);
    assert_eq!(
        Initiator::log_in_as(portal, &LoginAs::default()).err(),
        Some(REFUSED)
    );
    daemon.run(&["acl", "allow", TARGET, "--subnet", "::1"]);
    Initiator::log_in(portal).settle(0);
}

#[test]
fn a_portal_on_all_ipv6_addresses_is_shown_as_the_one_that_was_reached() {
    let daemon = Daemon::start_with("", &["--portal", "[::]:0"]);
    daemon.add_lun("vol", "8M");
    let port = ipv6_portal(&daemon).port();
    let portal = SocketAddr::new("::1".parse().unwrap(), port);
    let mut discovery = Initiator::log_in_as(portal, &discovery()).unwrap();
    let shown = send_targets(&mut discovery, "All");
    assert!(
        shown.contains(&format!("TargetAddress=[::1]:{port},1\n")),
        "{shown}"
    );
    assert!(!shown.contains("[::]"), "{shown}");
    Initiator::log_in(portal).settle(0);
}

/// `iscsi-ls` of libiscsi, which discovers and then logs in to what it found.
fn iscsi_ls(portal: SocketAddr, userinfo: &str) -> Output {
    let url = format!("iscsi://{userinfo}{portal}");
    Command::new("timeout")
        .args(["20", "iscsi-ls", "-i", INITIATOR, &url])
        .output()
        .expect("iscsi-ls can't be run: tests/packages gets it")
}

#[test]
fn discovery_asks_for_chap_where_it_is_told_to() {
    let daemon = Daemon::with_lun("8M");
    let secret = daemon.folder().join("secret");
    std::fs::write(&secret, "only-for-discovery\n").unwrap();
    let words = ["--chap-user", "finder", "--chap-secret-file"];
    let mut line = vec!["acl", "allow", "discovery", INITIATOR];
    line.extend(words);
    line.push(secret.to_str().unwrap());
    let said = daemon.run(&line);
    assert_eq!(
        said,
        format!("{INITIATOR} may discover targets with CHAP\n")
    );
    let refused = Initiator::log_in_as(daemon.portal, &discovery());
    let failure = LoginFailure {
        class: 2,
        detail: 1,
    };
    assert_eq!(refused.err(), Some(failure), "authentication failure");
    // Nobody else may discover at all.
    let other = LoginAs {
        initiator: "iqn.2026-11.test.tidelock:other",
        ..discovery()
    };
    assert_eq!(
        Initiator::log_in_as(daemon.portal, &other).err(),
        Some(REFUSED)
    );
    for text in [
        daemon.run(&["acl", "list", "discovery"]),
        daemon.run(&["acl", "list", "discovery", "--json"]),
        daemon.log_until("login failed"),
    ] {
        assert!(!text.contains("only-for-discovery"), "{text}");
    }

    let good = iscsi_ls(daemon.portal, "finder%only-for-discovery@");
    let shown = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(shown.contains(TARGET), "{shown} {good:?}");
    for userinfo in [
        "",
        "finder%not-the-secret-at-all@",
        "other%only-for-discovery@",
    ] {
        let bad = iscsi_ls(daemon.portal, userinfo);
        let shown = String::from_utf8_lossy(&bad.stdout).into_owned();
        assert!(!shown.contains(TARGET), "{userinfo}: {shown}");
    }
}
