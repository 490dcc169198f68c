//! Identifying information and the device clock through the real daemon: what outlives a kill, and what
//! goes with the volume.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Answer, Initiator, LoginAs};
use crate::harness::wait_until;

const DEVICE: u8 = 0;
const TEXT: u8 = 2;
const DEVICE_IDENTIFIER_CHANGED: (u8, u8, u8) = (6, 0x3f, 0x05);

/// A host: the same one whenever it has the same number.
fn host(daemon: &Daemon, number: u8) -> Initiator {
    let who = LoginAs {
        isid: number,
        ..LoginAs::default()
    };
    let mut host = Initiator::log_in_as(daemon.portal, &who).unwrap();
    host.settle(0);
    host
}

fn set(host: &mut Initiator, kind: u8, information: &[u8]) -> Answer {
    let mut cdb = vec![0xa4, 0x06, 0, 0, 0, 0];
    cdb.extend(u32::try_from(information.len()).unwrap().to_be_bytes());
    cdb.extend([kind << 1, 0]);
    if information.is_empty() {
        host.read_command(0, &cdb, 0)
    } else {
        host.write_command(0, &cdb, information)
    }
}

fn report(host: &mut Initiator, kind: u8) -> Answer {
    host.read_command(0, &[0xa3, 0x05, 0, 0, 0, 0, 0, 0, 2, 0, kind << 1, 0], 512)
}

fn reported(host: &mut Initiator, kind: u8) -> Vec<u8> {
    let answer = report(host, kind);
    answer.assert_good();
    let length = u16::from_be_bytes([answer.data[2], answer.data[3]]);
    assert_eq!(usize::from(length), answer.data.len() - 4);
    answer.data[4..].to_vec()
}

fn records(daemon: &Daemon) -> Vec<PathBuf> {
    let folder = daemon.state_dir().join("identifying");
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[test]
fn what_hosts_call_a_volume_outlives_a_kill_and_goes_with_the_volume() {
    let daemon = Daemon::with_lun("16M");
    let (mut one, mut two) = (host(&daemon, 1), host(&daemon, 2));
    assert_eq!(reported(&mut one, DEVICE), b"");
    set(&mut one, DEVICE, &[0xa5; 64]).assert_good();
    set(&mut one, TEXT, "Küche\0".as_bytes()).assert_good();
    let told = two.read_command(0, &[0; 6], 0);
    assert_eq!(told.sense_code(), DEVICE_IDENTIFIER_CHANGED);
    one.read_command(0, &[0; 6], 0).assert_good();

    let daemon = daemon.kill_and_restart();
    let mut two = host(&daemon, 2);
    assert_eq!(reported(&mut two, DEVICE), [0xa5; 64]);
    assert_eq!(reported(&mut two, TEXT), "Küche\0".as_bytes());
    set(&mut two, DEVICE, b"").assert_good();
    set(&mut two, TEXT, b"cellar\0").assert_good();

    let daemon = daemon.kill_and_restart();
    let mut one = host(&daemon, 1);
    assert_eq!(reported(&mut one, DEVICE), b"");
    assert_eq!(reported(&mut one, TEXT), b"cellar\0");
    assert_eq!(records(&daemon).len(), 1);
    assert!(one.log_out());
    daemon.run(&["lun", "unmap", TARGET, "0", "--yes"]);
    daemon.run(&["volume", "delete", "vol", "--yes"]);
    assert_eq!(records(&daemon), Vec::<PathBuf>::new());
}

#[test]
fn a_damaged_record_is_told_as_lost_until_a_host_sets_it_anew() {
    let mut daemon = Daemon::with_lun("16M");
    set(&mut host(&daemon, 1), TEXT, b"name\0").assert_good();
    daemon.kill();
    let record = records(&daemon).pop().unwrap();
    std::fs::write(&record, b"{").unwrap();
    let daemon = daemon.restart();
    daemon.log_until("SET IDENTIFYING INFORMATION");
    let mut one = host(&daemon, 1);
    assert_eq!(report(&mut one, TEXT).sense_code(), (4, 0x44, 0x00));
    // It is no reason to keep anybody from the data.
    one.write(0, 0, &[1; 512], false).assert_good();
    set(&mut one, TEXT, b"name\0").assert_good();
    let daemon = daemon.kill_and_restart();
    assert_eq!(reported(&mut host(&daemon, 1), TEXT), b"name\0");
}

#[test]
fn the_device_clock_is_the_hosts() {
    let daemon = Daemon::with_lun("16M");
    let mut one = host(&daemon, 1);
    let mut clock = || {
        let cdb = [0xa3, 0x0f, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0];
        let data = one.read_command(0, &cdb, 64).assert_good().data.clone();
        assert_eq!((&data[..4], data.len()), (&[0, 10, 0b011, 0][..], 12));
        let timestamp = data[4..10].iter();
        timestamp.fold(0, |all, byte| all << 8 | u64::from(*byte))
    };
    let first = clock();
    assert!(first.abs_diff(now()) < 60_000, "{first}");
    wait_until("the clock goes on", Duration::from_secs(60), || {
        clock() >= first + 20
    });
}
