//! Peers: two daemons that are told of each other by the command line.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::harness::daemon::{Daemon, start_refused};
use crate::harness::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);

fn daemon(name: &str) -> Daemon {
    let config = format!("peer_name = \"{name}\"\n");
    Daemon::start_with(&config, &["--peer-portal", "127.0.0.1:0"])
}

fn identity(daemon: &Daemon) -> Value {
    daemon.json(&["peer", "show"])
}

fn portal(daemon: &Daemon) -> String {
    identity(daemon)["portal"].as_str().unwrap().to_owned()
}

fn fingerprint(daemon: &Daemon) -> String {
    identity(daemon)["fingerprint"].as_str().unwrap().to_owned()
}

fn until_is(daemon: &Daemon, peer: &str, state: &str) {
    wait_until(&format!("{peer} is {state}"), PATIENCE, || {
        daemon.json(&["peer", "show", peer])["state"] == state
    });
}

#[test]
fn two_daemons_become_peers_by_add_and_accept_and_stay_so() {
    let (a, b) = (daemon("a"), daemon("b"));
    let said = a.run(&["peer", "add", "b", &portal(&b)]);
    let (of_a, of_b) = (fingerprint(&a), fingerprint(&b));
    assert!(said.contains(&of_a) && said.contains(&of_b), "{said}");
    assert!(said.contains("peer accept a"), "{said}");
    let list = b.run(&["peer", "list"]);
    assert!(
        list.contains("no peers") && list.contains("ASKS TO BE A PEER"),
        "{list}"
    );
    assert!(list.contains(&of_a) && list.contains(&portal(&a)), "{list}");
    until_is(&a, "b", "waits_for_acceptance");
    let refused = b.refused(&["peer", "accept", "nobody"]);
    assert!(
        refused.contains("asks to be a peer") && refused.contains("hint:"),
        "{refused}"
    );
    b.run(&["peer", "accept", "a", "--as", "left"]);
    until_is(&a, "b", "connected");
    until_is(&b, "left", "connected");
    let shown = b.run(&["peer", "show", "left"]);
    for part in ["connected", &of_a, "calls itself   a", "portal groups  1"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let status = a.run(&["status"]);
    assert!(
        status.contains(&of_a) && status.contains("peer portal"),
        "{status}"
    );

    // A restart of either; the ports are others then, as the tests have no fixed ones.
    let b = b.kill_and_restart();
    assert_eq!(fingerprint(&b), of_b);
    until_is(&b, "left", "connected");
    until_is(&a, "b", "unreachable");
    a.run(&["peer", "set", "b", "--address", &portal(&b)]);
    until_is(&a, "b", "connected");
    let a = a.kill_and_restart();
    until_is(&a, "b", "connected");
    b.run(&["peer", "set", "left", "--address", &portal(&a)]);
    until_is(&b, "left", "connected");

    // Who is removed is a stranger at once, and is told so.
    b.run(&["peer", "remove", "left", "-y"]);
    until_is(&a, "b", "waits_for_acceptance");
    assert!(
        b.refused(&["peer", "show", "left"])
            .contains("no peer left")
    );
    let key = a.state_dir().join("identity/key.pk8");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&key).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn fingerprints_given_on_both_sides_need_no_acceptance_and_a_wrong_one_is_refused() {
    let (a, b) = (daemon("a"), daemon("b"));
    let (of_a, of_b) = (fingerprint(&a), fingerprint(&b));
    let wrong = a.refused(&["peer", "add", "b", &portal(&b), "--fingerprint", &of_a]);
    assert!(
        wrong.contains(&of_b) && wrong.contains("somebody is in between"),
        "{wrong}"
    );
    let odd = a.refused(&[
        "peer",
        "add",
        "b",
        &portal(&b),
        "--fingerprint",
        "SHA256:12",
    ]);
    assert!(odd.contains("is not a fingerprint"), "{odd}");
    assert!(
        a.json(&["peer", "list"])["peers"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert!(
        b.json(&["peer", "list"])["requests"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    a.run(&["peer", "add", "b", &portal(&b), "--fingerprint", &of_b]);
    b.run(&["peer", "add", "a", &portal(&a), "--fingerprint", &of_a]);
    until_is(&a, "b", "connected");
    until_is(&b, "a", "connected");
}

#[test]
fn without_a_peer_portal_no_port_is_open_and_nothing_is_asked() {
    let (a, b) = (Daemon::start(), daemon("b"));
    assert!(identity(&a).get("portal").is_none());
    let refused = a.refused(&["peer", "add", "b", &portal(&b)]);
    assert!(refused.contains("--peer-portal"), "{refused}");
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", a.pid())).unwrap();
    let inodes: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", a.pid()))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?.to_owned();
            Some(link.trim_end_matches(']').to_owned())
        })
        .collect();
    let listening = table.lines().filter(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.get(3) == Some(&"0A") && inodes.iter().any(|it| Some(&it.as_str()) == fields.get(9))
    });
    assert_eq!(listening.count(), 1, "the iSCSI portal alone");
}

#[test]
fn a_peer_portal_that_cannot_be_had_is_said_at_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let text = start_refused(&[
        "--state-dir",
        &path("state"),
        "--admin-socket",
        &path("admin.sock"),
        "--portal",
        "127.0.0.1:0",
        "--peer-portal",
        &address.to_string(),
    ]);
    assert!(text.contains(&address.to_string()), "{text}");
    assert!(text.contains("--peer-portal"), "{text}");
}

#[test]
fn a_damaged_identity_takes_the_peers_away_and_not_the_hosts() {
    let mut a = daemon("a");
    assert!(a.terminate());
    let key = a.state_dir().join("identity/key.pk8");
    std::fs::write(&key, b"not a key").unwrap();
    let a = a.restart();
    let refused = a.refused(&["peer", "list"]);
    assert!(
        refused.contains("is not a key") && refused.contains("backup"),
        "{refused}"
    );
    a.add_lun("db", "8M");
    assert_eq!(std::fs::read(&key).unwrap(), b"not a key");
}
