//! Reservations through the real daemon: what outlives a kill, what a preempted host can still do, and
//! what an operator sees and can end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Answer, INITIATOR, Initiator, LoginAs, cdb16};

pub(crate) const CONFLICT: u8 = 0x18;
pub(crate) const REGISTER: u8 = 0x00;
pub(crate) const RESERVE: u8 = 0x01;
pub(crate) const PREEMPT_AND_ABORT: u8 = 0x05;
/// Write Exclusive - Registrants Only: what clusters use.
pub(crate) const WRITE_EXCLUSIVE_RO: u8 = 0x05;
const APTPL: u8 = 0x01;

/// A host of the cluster: the same one whenever it has the same number.
fn host(daemon: &Daemon, number: u8) -> Initiator {
    let who = LoginAs {
        isid: number,
        ..LoginAs::default()
    };
    let mut host = Initiator::log_in_as(daemon.portal, &who).unwrap();
    host.settle(0);
    host
}

pub(crate) fn reserve_out(
    host: &mut Initiator,
    action: u8,
    kind: u8,
    keys: (u64, u64),
    flags: u8,
) -> Answer {
    let cdb = [0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0];
    let mut list = keys.0.to_be_bytes().to_vec();
    list.extend(keys.1.to_be_bytes());
    list.extend([0, 0, 0, 0, flags, 0, 0, 0]);
    host.write_command(0, &cdb, &list)
}

/// All keys that are registered.
pub(crate) fn keys(host: &mut Initiator) -> Vec<u64> {
    let answer = host.read_command(0, &[0x5e, 0, 0, 0, 0, 0, 0, 0x10, 0, 0], 0x1000);
    answer.assert_good();
    let keys = answer.data[8..].chunks(8);
    keys.map(|key| u64::from_be_bytes(key.try_into().unwrap()))
        .collect()
}

/// Key and type of the reservation.
pub(crate) fn reservation(host: &mut Initiator) -> Option<(u64, u8)> {
    let answer = host.read_command(0, &[0x5e, 1, 0, 0, 0, 0, 0, 0x10, 0, 0], 0x1000);
    answer.assert_good();
    let key = answer.data.get(8..16)?;
    Some((u64::from_be_bytes(key.try_into().unwrap()), answer.data[21]))
}

fn shown(daemon: &Daemon) -> Value {
    daemon.json(&["volume", "show", "vol"])
}

/// The records of reservations in the state folder.
fn records(daemon: &Daemon) -> Vec<PathBuf> {
    let folder = daemon.state_dir().join("reservations");
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_was_acknowledged_with_aptpl_is_there_after_a_kill() {
    let daemon = Daemon::with_lun("16M");
    let (mut one, mut two) = (host(&daemon, 1), host(&daemon, 2));
    reserve_out(&mut one, REGISTER, 0, (0, 0xa1), APTPL).assert_good();
    reserve_out(&mut two, REGISTER, 0, (0, 0xb2), APTPL).assert_good();
    reserve_out(&mut one, RESERVE, WRITE_EXCLUSIVE_RO, (0xa1, 0), 0).assert_good();
    let daemon = daemon.kill_and_restart();
    let told = shown(&daemon)["reservations"].clone();
    assert_eq!(told["reservation"], "write_exclusive_registrants_only");
    assert_eq!(told["persistent"], true);
    let first = &told["registrants"][0];
    assert_eq!(first["key"], "0x00000000000000a1");
    assert_eq!(first["holder"], true);
    let port = format!("{INITIATOR},i,0x800000000001");
    assert_eq!(first["initiator_port"], port.as_str());
    let text = daemon.run(&["volume", "show", "vol"]);
    assert!(text.contains("kept over restarts"), "{text}");

    let mut three = host(&daemon, 3);
    assert_eq!(three.write(0, 0, &[3; 512], false).status, CONFLICT);
    let (mut one, mut two) = (host(&daemon, 1), host(&daemon, 2));
    assert_eq!(keys(&mut one), [0xa1, 0xb2]);
    assert_eq!(reservation(&mut one), Some((0xa1, WRITE_EXCLUSIVE_RO)));
    one.write(0, 0, &[1; 512], false).assert_good();
    two.write(0, 0, &[2; 512], false).assert_good();

    // Whatever came last counts, also when it ends what was kept.
    reserve_out(
        &mut two,
        PREEMPT_AND_ABORT,
        WRITE_EXCLUSIVE_RO,
        (0xb2, 0xa1),
        0,
    )
    .assert_good();
    let daemon = daemon.kill_and_restart();
    let mut two = host(&daemon, 2);
    assert_eq!(keys(&mut two), [0xb2]);
    assert_eq!(reservation(&mut two), Some((0xb2, WRITE_EXCLUSIVE_RO)));
    reserve_out(&mut two, REGISTER, 0, (0xb2, 0xb3), 0).assert_good();
    let daemon = daemon.kill_and_restart();
    assert_eq!(shown(&daemon)["reservations"], Value::Null);
    assert_eq!(records(&daemon), Vec::<PathBuf>::new());
    host(&daemon, 3).write(0, 0, &[3; 512], false).assert_good();
}

#[test]
fn registrations_outlive_a_session_and_reset_but_not_the_daemon_without_aptpl() {
    let daemon = Daemon::with_lun("16M");
    let mut one = host(&daemon, 1);
    reserve_out(&mut one, REGISTER, 0, (0, 0xa1), 0).assert_good();
    reserve_out(&mut one, RESERVE, 0x3, (0xa1, 0), 0).assert_good();
    assert!(one.log_out());
    let mut two = host(&daemon, 2);
    assert_eq!(two.read(0, 0, 1).status, CONFLICT);
    let mut one = host(&daemon, 1);
    one.read(0, 0, 1).assert_good();
    assert_eq!(keys(&mut two), [0xa1]);
    let daemon = daemon.kill_and_restart();
    let mut two = host(&daemon, 2);
    assert_eq!(keys(&mut two), Vec::<u64>::new());
    two.read(0, 0, 1).assert_good();
}

#[test]
fn preempt_and_abort_ends_the_losers_writes_and_refuses_new_ones_at_once() {
    let daemon = Daemon::with_lun("64M");
    let (mut winner, mut loser) = (host(&daemon, 1), host(&daemon, 2));
    reserve_out(&mut winner, REGISTER, 0, (0, 0xa1), 0).assert_good();
    reserve_out(&mut loser, REGISTER, 0, (0, 0xb2), 0).assert_good();
    reserve_out(&mut loser, RESERVE, WRITE_EXCLUSIVE_RO, (0xb2, 0), 0).assert_good();
    // A megabyte of which the second half is still to come, and smaller ones behind it.
    let data = vec![0xbb; 1 << 20];
    let half_sent = loser.command(0, &cdb16(0x8a, 0, 2048, false), 0x20, 1 << 20);
    let half_sent = half_sent.with_data(&data[..65_536]);
    loser.send(&half_sent).unwrap();
    let r2t = loser.receive().unwrap();
    assert_eq!(r2t.opcode(), 0x31);
    for block in 0..16_u64 {
        let write = loser.command(0, &cdb16(0x8a, 4096 + block, 1, false), 0x20, 512);
        loser.send(&write.with_data(&[0xbb; 512])).unwrap();
    }
    let begun = Instant::now();
    let preempted = reserve_out(
        &mut winner,
        PREEMPT_AND_ABORT,
        WRITE_EXCLUSIVE_RO,
        (0xa1, 0xb2),
        0,
    );
    preempted.assert_good();
    assert!(begun.elapsed() < Duration::from_secs(15));
    // From here on the medium is the winner's alone.
    winner
        .write(0, 0, &vec![0xaa; 1 << 20], false)
        .assert_good();
    winner
        .write(0, 4096, &[0xaa; 16 * 512], false)
        .assert_good();

    let late = |at: usize, sn: u32, last: bool, loser: &mut Initiator| {
        let end = (at + 65_536).min(1 << 20);
        let mut pdu = crate::harness::initiator::Pdu::new(0x05, if last { 0x80 } else { 0 })
            .with_data(&data[at..end])
            .set(16, half_sent.get(16))
            .set(20, r2t.get(20))
            .set(28, loser.exp_stat_sn)
            .set(36, sn)
            .set(40, u32::try_from(at).unwrap());
        pdu.bhs[8..16].copy_from_slice(&r2t.bhs[8..16]);
        loser.send(&pdu).unwrap();
    };
    let (from, len) = (r2t.get(40) as usize, r2t.get(44) as usize);
    let pieces: Vec<_> = (from..from + len).step_by(65_536).collect();
    for (sn, at) in (0..).zip(&pieces) {
        late(*at, sn, Some(at) == pieces.last(), &mut loser);
    }
    let write = loser.command(0, &cdb16(0x8a, 0, 1, false), 0x20, 512);
    let tag = write.get(16);
    loser.send(&write.with_data(&[0xbb; 512])).unwrap();
    let status = loop {
        let answer = loser.receive().unwrap();
        if answer.opcode() == 0x21 && answer.get(16) == tag {
            break answer.bhs[3];
        }
        // Earlier writes that had ended before they could be aborted, or came too late.
        assert!(matches!(answer.opcode(), 0x21 | 0x20 | 0x31), "{answer:x?}");
    };
    assert_eq!(status, CONFLICT);
    let told = loser.read_command(0, &[0; 6], 0);
    assert_eq!(
        told.sense_code(),
        (6, 0x2a, 0x05),
        "REGISTRATIONS PREEMPTED"
    );
    assert!(
        winner
            .read(0, 0, 2048)
            .data
            .iter()
            .all(|byte| *byte == 0xaa)
    );
    assert!(
        winner
            .read(0, 4096, 16)
            .data
            .iter()
            .all(|byte| *byte == 0xaa)
    );
    // One that is not registered may read, and no more.
    loser.read(0, 0, 1).assert_good();
}

#[test]
fn changes_from_many_hosts_at_a_time_leave_the_newest_record() {
    let daemon = Daemon::with_lun("16M");
    let mut hosts: Vec<_> = (1..=6).map(|number| host(&daemon, number)).collect();
    std::thread::scope(|scope| {
        for (number, host) in (1_u64..).zip(&mut hosts) {
            scope.spawn(move || {
                let mut key = 0;
                for round in 1..=10 {
                    let next = number << 32 | round;
                    reserve_out(host, REGISTER, 0, (key, next), APTPL).assert_good();
                    key = next;
                }
            });
        }
    });
    let mut before = keys(&mut hosts[0]);
    let daemon = daemon.kill_and_restart();
    let mut after = keys(&mut host(&daemon, 1));
    before.sort_unstable();
    after.sort_unstable();
    assert_eq!(
        before,
        (1..=6)
            .map(|number| number << 32 | 10)
            .collect::<Vec<u64>>()
    );
    assert_eq!(after, before);
}

#[test]
fn a_damaged_record_keeps_everybody_out_until_an_operator_clears_it() {
    let daemon = Daemon::with_lun("16M");
    let mut one = host(&daemon, 1);
    reserve_out(&mut one, REGISTER, 0, (0, 0xa1), APTPL).assert_good();
    let mut daemon = daemon;
    daemon.kill();
    let record = records(&daemon).pop().unwrap();
    let mut bytes = std::fs::read(&record).unwrap();
    bytes[20] ^= 0x10;
    std::fs::write(&record, &bytes).unwrap();
    let daemon = daemon.restart();
    daemon.log_until("tidelock reservation clear vol");
    let volume = shown(&daemon);
    assert_eq!(volume["state"], "failed");
    let detail = volume["detail"].as_str().unwrap();
    assert!(detail.contains("checksum"), "{detail}");
    let mut one = Initiator::log_in(daemon.portal);
    assert_eq!(one.read(0, 0, 1).sense_code(), (2, 0x04, 0x03));
    assert_eq!(
        one.write(0, 0, &[1; 512], false).sense_code(),
        (2, 0x04, 0x03)
    );
    let refused = reserve_out(&mut one, REGISTER, 0, (0, 0xa1), APTPL);
    assert_eq!(refused.sense_code(), (2, 0x04, 0x03));
    assert_eq!(
        std::fs::read(&record).unwrap(),
        bytes,
        "it was left as it was"
    );

    daemon.run(&["reservation", "clear", "vol", "--yes"]);
    assert_eq!(shown(&daemon)["state"], "ready");
    one.settle(0);
    one.write(0, 0, &[1; 512], false).assert_good();
    let daemon = daemon.kill_and_restart();
    assert_eq!(shown(&daemon)["state"], "ready");
    host(&daemon, 1).read(0, 0, 1).assert_good();
}

#[test]
fn an_operator_ends_reservations_that_nobody_else_can() {
    let daemon = Daemon::with_lun("16M");
    let mut one = host(&daemon, 1);
    reserve_out(&mut one, REGISTER, 0, (0, 0xa1), APTPL).assert_good();
    reserve_out(&mut one, RESERVE, 0x3, (0xa1, 0), 0).assert_good();
    let mut two = host(&daemon, 2);
    assert_eq!(two.read(0, 0, 1).status, CONFLICT);
    daemon.run(&["reservation", "clear", "vol", "--yes"]);
    two.read(0, 0, 1).assert_good();
    let told = one.read_command(0, &[0; 6], 0);
    assert_eq!(told.sense_code(), (6, 0x2a, 0x03), "RESERVATIONS PREEMPTED");
    let daemon = daemon.kill_and_restart();
    assert_eq!(shown(&daemon)["reservations"], Value::Null);

    // The record goes with the volume.
    let mut one = host(&daemon, 1);
    reserve_out(&mut one, REGISTER, 0, (0, 0xa1), APTPL).assert_good();
    assert_eq!(records(&daemon).len(), 1);
    daemon.run(&["lun", "unmap", TARGET, "0", "--yes"]);
    daemon.run(&["volume", "delete", "vol", "--yes"]);
    assert_eq!(records(&daemon), Vec::<PathBuf>::new());
}

#[test]
fn a_volume_whose_file_is_away_can_still_be_registered_with() {
    let mut daemon = Daemon::with_lun("16M");
    let file = shown(&daemon)["path"].as_str().unwrap().to_owned();
    daemon.kill();
    let aside = format!("{file}.aside");
    std::fs::rename(&file, &aside).unwrap();
    let daemon = daemon.restart();
    let mut one = Initiator::log_in(daemon.portal);
    // The unit attention of a new nexus first.
    assert_eq!(one.read_command(0, &[0; 6], 0).sense_code().0, 6);
    assert_eq!(one.read(0, 0, 1).sense_code(), (2, 0x04, 0x01));
    reserve_out(&mut one, REGISTER, 0, (0, 0xa1), APTPL).assert_good();
    assert_eq!(keys(&mut one), [0xa1]);
    std::fs::rename(&aside, &file).unwrap();
}

#[test]
fn a_record_that_can_not_be_kept_fails_the_command_and_nothing_is_pretended() {
    let daemon = Daemon::with_lun("16M");
    let mut one = host(&daemon, 1);
    let folder = daemon.state_dir().join("reservations");
    let aside = daemon.state_dir().join("moved-away");
    std::fs::rename(&folder, &aside).unwrap();
    let failed = reserve_out(&mut one, REGISTER, 0, (0, 0xa1), APTPL);
    assert_eq!(failed.sense_code().0, 4, "HARDWARE ERROR");
    assert_eq!(keys(&mut one), Vec::<u64>::new());
    reserve_out(&mut one, REGISTER, 0, (0, 0xa1), 0).assert_good();
    std::fs::rename(&aside, &folder).unwrap();
    reserve_out(&mut one, REGISTER, 0, (0xa1, 0xa2), APTPL).assert_good();
    let daemon = daemon.kill_and_restart();
    assert_eq!(keys(&mut host(&daemon, 1)), [0xa2]);
}
