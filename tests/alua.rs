//! Asymmetric logical unit access over two portal groups, read the way that Linux's scsi_dh_alua does.

use std::net::SocketAddr;

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Answer, Initiator};
use crate::portal_groups::{second_portal, two_groups};

const CHANGED: (u8, u8, u8) = (6, 0x2a, 0x06);
const STANDBY: (u8, u8, u8) = (2, 0x04, 0x0b);
const UNAVAILABLE: (u8, u8, u8) = (2, 0x04, 0x0c);

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn inquiry(initiator: &mut Initiator, page: Option<u8>) -> Vec<u8> {
    let cdb = [
        0x12,
        u8::from(page.is_some()),
        page.unwrap_or(0),
        0x10,
        0,
        0,
    ];
    let answer = initiator.read_command(0, &cdb, 4096);
    answer.assert_good();
    answer.data
}

/// What a host learns from VPD page 83h: the unit's NAA designator, the relative port and the group of
/// the path.
#[derive(Debug, PartialEq, Eq)]
struct Path {
    naa: Vec<u8>,
    relative_port: u16,
    group: u16,
}

fn path(initiator: &mut Initiator) -> Path {
    // Implicit and explicit: TPGS.
    assert_eq!(inquiry(initiator, None)[5] >> 4, 0b11);
    let page = inquiry(initiator, Some(0x83));
    let (mut naa, mut relative_port, mut group) = (Vec::new(), 0, 0);
    let mut rest = &page[4..];
    while let [_, kind, _, length, tail @ ..] = rest {
        let (designator, next) = tail.split_at(usize::from(*length));
        match kind & 0x3f {
            0x03 => naa = designator.to_vec(),
            0x14 => relative_port = be16(designator, 2),
            0x15 => group = be16(designator, 2),
            _ => {}
        }
        rest = next;
    }
    Path {
        naa,
        relative_port,
        group,
    }
}

/// A target port group descriptor.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    number: u16,
    state: u8,
    preferred: bool,
    status: u8,
    ports: Vec<u16>,
}

/// REPORT TARGET PORT GROUPS with the extended header, in 128 bytes at first.
fn groups(initiator: &mut Initiator) -> Vec<Group> {
    let cdb = [0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0];
    let answer = initiator.read_command(0, &cdb, 128);
    answer.assert_good();
    let data = answer.data;
    let length = u32::from_be_bytes(data[..4].try_into().unwrap());
    assert_eq!(length as usize + 4, data.len());
    assert_eq!((data[4], data[5] > 0), (0x10, true), "no extended header");
    let mut groups = Vec::new();
    let mut rest = &data[8..];
    while let [flags, supported, _, _, 0, status, 0, count, tail @ ..] = rest {
        let (ports, next) = tail.split_at(usize::from(*count) * 4);
        assert_eq!((*supported, flags & 0x70), (0x8f, 0));
        groups.push(Group {
            number: be16(rest, 2),
            state: flags & 0x0f,
            preferred: flags & 0x80 != 0,
            status: *status,
            ports: ports.chunks(4).map(|port| be16(port, 2)).collect(),
        });
        rest = next;
    }
    assert!(rest.is_empty());
    groups
}

fn group(number: u16, state: u8, status: u8, port: u16) -> Group {
    Group {
        number,
        state,
        preferred: false,
        status,
        ports: vec![port],
    }
}

/// SET TARGET PORT GROUPS for one group, as dm-multipath sends it to activate a path.
fn set(initiator: &mut Initiator, group: u16, state: u8) -> Answer {
    let mut list = [0, 0, 0, 0, state, 0, 0, 0];
    list[6..].copy_from_slice(&group.to_be_bytes());
    let cdb = [0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0];
    initiator.write_command(0, &cdb, &list)
}

fn test_unit_ready(initiator: &mut Initiator) -> (u8, u8, u8) {
    initiator.read_command(0, &[0; 6], 0).sense_code()
}

/// A session through each group, with nothing left to be told.
fn two_paths(daemon: &Daemon, second: SocketAddr) -> (Initiator, Initiator) {
    let mut one = Initiator::log_in(daemon.portal);
    let mut other = Initiator::log_in(second);
    one.settle(0);
    other.settle(0);
    (one, other)
}

#[test]
fn two_groups_are_two_paths_to_one_unit() {
    let (daemon, second) = two_groups();
    daemon.add_lun("vol", "8M");
    let (mut one, mut other) = two_paths(&daemon, second);
    let (here, there) = (path(&mut one), path(&mut other));
    assert_eq!(here.naa, there.naa);
    assert_eq!((here.group, here.relative_port), (1, 1));
    assert_eq!((there.group, there.relative_port), (7, 0x6001));
    for initiator in [&mut one, &mut other] {
        let expected = [group(1, 0, 0, 1), group(7, 0, 0, 0x6001)];
        assert_eq!(groups(initiator), expected);
    }
    // A second target that shows the volume in group 7 alone is one more port there.
    let target = "iqn.2026-11.test.tidelock:second";
    daemon.run(&["target", "create", target, "--portal-groups", "7"]);
    daemon.run(&["lun", "map", target, "vol"]);
    assert_eq!(groups(&mut one)[1].ports, [0x6001, 0x6002]);
    let ports = inquiry(&mut one, Some(0x88));
    for name in [
        format!("{TARGET},t,0x0001"),
        format!("{TARGET},t,0x0007"),
        format!("{target},t,0x0007"),
    ] {
        let found = ports.windows(name.len()).any(|at| at == name.as_bytes());
        assert!(found, "{name}");
    }
    daemon.run(&["target", "set", TARGET, "--portal-groups", "1"]);
    assert_eq!(groups(&mut one)[1].ports, [0x6002]);
}

#[test]
fn an_operator_puts_a_group_into_standby_and_it_is_so_after_a_crash() {
    let (daemon, second) = two_groups();
    daemon.add_lun("vol", "8M");
    let (mut one, mut other) = two_paths(&daemon, second);
    one.write(0, 0, &[0x5a; 512], true).assert_good();
    daemon.run(&["alua", "set", "vol", "--group", "7", "--state", "standby"]);
    assert_eq!(test_unit_ready(&mut one), CHANGED);
    assert_eq!(test_unit_ready(&mut other), CHANGED);
    let expected = [group(1, 0, 0, 1), group(7, 2, 2, 0x6001)];
    assert_eq!(groups(&mut other), expected);
    assert_eq!(other.read(0, 0, 1).sense_code(), STANDBY);
    assert_eq!(other.write(0, 0, &[0; 512], false).sense_code(), STANDBY);
    assert_eq!(test_unit_ready(&mut other), STANDBY);
    assert_eq!(other.capacity(0), 16_384);
    assert_eq!(one.read(0, 0, 1).data, [0x5a; 512]);
    let shown = daemon.run(&["alua", "show", "vol"]);
    let line = shown.lines().find(|line| line.contains("standby")).unwrap();
    let line: Vec<_> = line.split_whitespace().collect();
    assert_eq!(line[..5], ["7", "standby", "no", "daemon", "24577"]);

    let daemon = daemon.kill_and_restart();
    let second = second_portal(&daemon);
    let mut one = Initiator::log_in(daemon.portal);
    one.settle(0);
    let mut other = Initiator::log_in(second);
    // The first contact is told before the state.
    assert_eq!(test_unit_ready(&mut other), (6, 0x29, 0x00));
    assert_eq!(other.read(0, 0, 1).sense_code(), STANDBY);
    assert_eq!(groups(&mut one), expected);
    daemon.run(&[
        "alua",
        "set",
        "vol",
        "--group",
        "7",
        "--state",
        "unavailable",
        "--preferred",
    ]);
    assert_eq!(test_unit_ready(&mut other), CHANGED);
    assert_eq!(test_unit_ready(&mut other), UNAVAILABLE);
    assert_eq!(inquiry(&mut other, None)[0], 0x20);
    let [_, seven] = &groups(&mut other)[..] else {
        panic!("not two groups")
    };
    assert_eq!((seven.state, seven.preferred), (3, true));
}

#[test]
fn a_host_makes_its_path_active_and_that_survives_a_crash() {
    let (daemon, second) = two_groups();
    daemon.add_lun("vol", "8M");
    for (tag, state) in [("1", "active-non-optimized"), ("7", "standby")] {
        daemon.run(&["alua", "set", "vol", "--group", tag, "--state", state]);
    }
    let mut one = Initiator::log_in(daemon.portal);
    one.settle(0);
    let mut other = Initiator::log_in(second);
    assert_eq!(test_unit_ready(&mut other), (6, 0x29, 0x00));
    assert_eq!(test_unit_ready(&mut other), STANDBY);
    set(&mut other, 7, 0).assert_good();
    // Who asked needn't be told; the other one is.
    other.write(0, 1, &[7; 512], false).assert_good();
    assert_eq!(test_unit_ready(&mut one), CHANGED);
    let expected = [group(1, 1, 2, 1), group(7, 0, 1, 0x6001)];
    assert_eq!(groups(&mut one), expected);
    let daemon = daemon.kill_and_restart();
    let (mut one, mut other) = two_paths(&daemon, second_portal(&daemon));
    assert_eq!(groups(&mut one), expected);
    // As it is already: nothing to tell.
    set(&mut other, 7, 0).assert_good();
    assert_eq!(test_unit_ready(&mut one), (0, 0, 0));
    let wrong = set(&mut other, 2, 0);
    assert_eq!(wrong.sense_code(), (5, 0x26, 0));
    assert_eq!(wrong.sense[15..18], [0x80, 0, 6]);
}

#[test]
fn a_state_that_cannot_be_made_durable_is_not_taken() {
    let (daemon, second) = two_groups();
    daemon.add_lun("vol", "8M");
    let (mut one, mut other) = two_paths(&daemon, second);
    // The file that the catalog is written to, aside, can't be made.
    let aside = daemon.state_dir().join("catalog.new");
    // Its space is set aside.
    std::fs::remove_file(&aside).unwrap();
    std::fs::create_dir(&aside).unwrap();
    assert_eq!(set(&mut other, 1, 2).sense_code(), (4, 0x67, 0x0a));
    assert_eq!(test_unit_ready(&mut one), (0, 0, 0));
    let standby = ["alua", "set", "vol", "--group", "1", "--state", "standby"];
    let said = daemon.refused(&standby);
    assert!(said.contains("catalog"), "{said}");
    // Nobody asked for it, so everybody hears that it failed.
    for initiator in [&mut one, &mut other] {
        assert_eq!(test_unit_ready(initiator), (6, 0x2a, 0x07));
        let expected = [group(1, 0, 0, 1), group(7, 0, 0, 0x6001)];
        assert_eq!(groups(initiator), expected);
        initiator.read(0, 0, 1).assert_good();
    }
    std::fs::remove_dir(&aside).unwrap();
    daemon.run(&standby);
    assert_eq!(test_unit_ready(&mut one), CHANGED);
    assert_eq!(test_unit_ready(&mut one), STANDBY);
}

#[test]
fn paths_are_steered_even_while_the_file_is_missing() {
    let (mut daemon, _) = two_groups();
    daemon.add_lun("vol", "8M");
    daemon.kill();
    let file = daemon.state_dir().join("volumes").join("vol.img");
    let away = daemon.state_dir().join("away.img");
    std::fs::rename(&file, &away).unwrap();
    let daemon = daemon.restart();
    let mut other = Initiator::log_in(second_portal(&daemon));
    assert_eq!(test_unit_ready(&mut other), (6, 0x29, 0x00));
    assert_eq!(test_unit_ready(&mut other), (2, 0x04, 0x01));
    set(&mut other, 7, 1).assert_good();
    assert_eq!(groups(&mut other)[1].state, 1);
}
