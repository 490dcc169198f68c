//! Error recovery and sessions with several connections, over real sockets: what common initiators
//! don't do, the tests' own initiator does.

use crate::harness::daemon::Daemon;
use crate::harness::initiator::{Initiator, LoginAs, Pdu, cdb16};

const KEYS: &str = "HeaderDigest=None\0InitialR2T=Yes\0ImmediateData=Yes\0\
                    MaxRecvDataSegmentLength=65536\0MaxBurstLength=65536\0FirstBurstLength=65536\0";

/// Logs a connection in: with a TSIH, into a session that is there.
fn log_in(daemon: &Daemon, tsih: u16, cid: u16, cmd_sn: u32, more: &str) -> (Initiator, Pdu) {
    let mut this = Initiator::connect(daemon.portal);
    this.cmd_sn = cmd_sn;
    let who = LoginAs {
        tsih,
        ..LoginAs::default()
    };
    let mut text = format!(
        "InitiatorName={}\0TargetName={}\0SessionType=Normal\0",
        who.initiator,
        who.target.unwrap()
    );
    if tsih == 0 {
        text.push_str(KEYS);
    }
    text.push_str(more);
    let mut pdu = this.login_request(0x87, &who, text.as_bytes());
    pdu.bhs[20..22].copy_from_slice(&cid.to_be_bytes());
    this.send(&pdu).unwrap();
    let reply = this.receive().unwrap();
    this.tsih = u16::from_be_bytes([reply.bhs[14], reply.bhs[15]]);
    (this, reply)
}

fn leading(daemon: &Daemon, more: &str) -> Initiator {
    let (mut this, reply) = log_in(daemon, 0, 1, 1, more);
    assert_eq!(reply.bhs[36], 0, "{:x?}", reply.bhs);
    this.settle(0);
    this
}

const ASYNC_MESSAGE: u8 = 0x32;

/// A task management request for immediate delivery.
fn reassign(on: &mut Initiator, task: u32, exp_data_sn: u32) -> u8 {
    let tag = on.tag();
    let pdu = Pdu::new(0x42, 0x88)
        .set(16, tag)
        .set(20, task)
        .set(24, on.cmd_sn)
        .set(28, on.exp_stat_sn)
        .set(36, exp_data_sn);
    on.send(&pdu).unwrap();
    loop {
        let answer = on.receive().unwrap();
        // That the other connection is gone may be told first.
        if answer.opcode() != ASYNC_MESSAGE {
            assert_eq!((answer.opcode(), answer.get(16)), (0x22, tag));
            return answer.bhs[2];
        }
    }
}

fn log_out(on: &mut Initiator, reason: u8, cid: u16) -> u8 {
    let tag = on.tag();
    let mut pdu = Pdu::new(0x46, 0x80 | reason)
        .set(16, tag)
        .set(24, on.cmd_sn)
        .set(28, on.exp_stat_sn);
    pdu.bhs[20..22].copy_from_slice(&cid.to_be_bytes());
    on.send(&pdu).unwrap();
    loop {
        let answer = on.receive().unwrap();
        if answer.opcode() == 0x26 {
            return answer.bhs[2];
        }
    }
}

fn text_of(reply: &Pdu, key: &str) -> Option<String> {
    let text = String::from_utf8(reply.data.clone()).unwrap();
    let mut pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value.to_owned())
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 7 % 251) as u8).collect()
}

#[test]
fn a_login_gets_the_recovery_and_the_connections_that_it_asks_for() {
    let daemon = Daemon::with_lun("8M");
    for (asked, given) in [(0, "0"), (1, "1"), (2, "2")] {
        let keys = format!("ErrorRecoveryLevel={asked}\0MaxConnections=4\0");
        let (_, reply) = log_in(&daemon, 0, 1, 1, &keys);
        assert_eq!(
            text_of(&reply, "ErrorRecoveryLevel").as_deref(),
            Some(given)
        );
        assert_eq!(text_of(&reply, "MaxConnections").as_deref(), Some("4"));
    }
}

#[test]
fn commands_of_two_connections_have_one_order_and_are_answered_where_they_came() {
    let daemon = Daemon::with_lun("8M");
    let mut one = leading(&daemon, "MaxConnections=2\0");
    let (mut two, reply) = log_in(&daemon, one.tsih, 2, one.cmd_sn, "");
    assert_eq!(reply.bhs[36], 0);
    // ExpCmdSN is that of the session.
    assert_eq!(reply.get(28), one.cmd_sn);
    let (third, reply) = log_in(&daemon, one.tsih, 3, one.cmd_sn, "");
    assert_eq!(
        (reply.bhs[36], reply.bhs[37]),
        (2, 6),
        "too many connections"
    );
    drop(third);
    let data = pattern(65_536);
    for round in 0..20_u64 {
        // The later command is sent first: it waits for the other.
        let (early, late) = (round * 2, round * 2 + 1);
        two.cmd_sn = one.cmd_sn + 1;
        let blocks = (data.len() / 512) as u32;
        let second = two.command(0, &cdb16(0x8a, late * 128, blocks, false), 0x20, 65_536);
        let second = second.with_data(&data);
        two.send(&second).unwrap();
        one.write(0, early * 128, &data, false).assert_good();
        two.finish(second.get(16), &data).unwrap().assert_good();
        one.cmd_sn = two.cmd_sn;
        one.read(0, late * 128, 128).assert_good();
        two.cmd_sn = one.cmd_sn;
        assert_eq!(two.read(0, early * 128, 128).assert_good().data, data);
        one.cmd_sn = two.cmd_sn;
    }
    let listed = &daemon.sessions()[0]["connections"];
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    // One connection is closed: the other goes on.
    assert_eq!(log_out(&mut two, 1, 1), 0);
    assert!(one.is_dropped());
    two.settle(0);
    assert_eq!(two.read(0, 0, 128).assert_good().data, data);
    assert_eq!(log_out(&mut two, 0, 0), 0);
    assert!(two.is_dropped());
}

#[test]
fn a_lost_connection_takes_its_tasks_along_at_level_0_and_the_others_stay() {
    let daemon = Daemon::with_lun("8M");
    let mut one = leading(&daemon, "MaxConnections=2\0");
    let (mut two, _) = log_in(&daemon, one.tsih, 2, one.cmd_sn, "");
    two.cmd_sn = one.cmd_sn;
    // It is told of the other only once it belongs to the session, which its login's answer doesn't wait for.
    two.settle(0);
    one.cmd_sn = two.cmd_sn;
    // A write that waits for its data.
    let lost = one.command(0, &cdb16(0x8a, 0, 128, false), 0x20, 65_536);
    one.send(&lost).unwrap();
    let r2t = one.receive().unwrap();
    assert_eq!(r2t.opcode(), 0x31);
    two.cmd_sn = one.cmd_sn;
    drop(one);
    // That the command window is open again may be told before or after it.
    let told = loop {
        let told = two.receive().unwrap();
        if told.opcode() != 0x20 {
            break told;
        }
    };
    assert_eq!(
        (told.opcode(), told.bhs[36]),
        (0x32, 2),
        "which one was dropped"
    );
    assert_eq!(told.get(36) & 0xffff, 1);
    let answer = two.read_command(0, &[0; 6], 0);
    assert_eq!(answer.sense_code(), (6, 0x47, 0x7f));
    two.settle(0);
}

#[test]
fn a_write_goes_on_over_another_connection_when_its_own_is_cut() {
    let daemon = Daemon::with_lun("8M");
    let data = pattern(65_536);
    for same_cid in [true, false] {
        let keys = "ErrorRecoveryLevel=2\0MaxConnections=2\0DefaultTime2Wait=0\0";
        let mut one = leading(&daemon, keys);
        let command = one.command(0, &cdb16(0x8a, 128, 128, false), 0x20, 65_536);
        one.send(&command).unwrap();
        let tag = command.get(16);
        let r2t = one.receive().unwrap();
        assert_eq!((r2t.opcode(), r2t.get(36)), (0x31, 0));
        let half = Pdu::new(0x05, 0)
            .with_data(&data[..32_768])
            .set(16, tag)
            .set(20, r2t.get(20))
            .set(28, one.exp_stat_sn);
        one.send(&half).unwrap();
        // Its answer says that the data before it has been read.
        one.ping(b"").unwrap();
        let (tsih, cmd_sn, exp_stat_sn) = (one.tsih, one.cmd_sn, one.exp_stat_sn);
        drop(one);
        let cid = if same_cid { 1 } else { 2 };
        let mut two = loop {
            let mut two = Initiator::connect(daemon.portal);
            two.exp_stat_sn = exp_stat_sn;
            let (two, reply) = log_in(&daemon, tsih, cid, cmd_sn, "");
            if reply.bhs[36] == 0 {
                break two;
            }
        };
        two.cmd_sn = cmd_sn;
        two.tag();
        two.tag();
        if !same_cid {
            assert_eq!(reassign(&mut two, tag, 1), 3, "not logged out yet");
            assert_eq!(log_out(&mut two, 2, 1), 0);
        }
        assert_eq!(reassign(&mut two, tag, 1), 0);
        let again = two.receive().unwrap();
        assert_eq!(
            (again.opcode(), again.get(16), again.get(36)),
            (0x31, tag, 1)
        );
        assert_eq!(
            (again.get(40), again.get(44)),
            (32_768, 32_768),
            "what is missing"
        );
        let rest = Pdu::new(0x05, 0x80)
            .with_data(&data[32_768..])
            .set(16, tag)
            .set(20, again.get(20))
            .set(28, two.exp_stat_sn)
            .set(40, 32_768);
        two.send(&rest).unwrap();
        two.finish(tag, &data).unwrap().assert_good();
        assert_eq!(two.read(0, 128, 128).assert_good().data, data);
        assert_eq!(log_out(&mut two, 0, 0), 0);
    }
}

#[test]
fn an_answer_that_its_connection_lost_is_given_on_another_one() {
    let daemon = Daemon::with_lun("8M");
    let mut one = leading(&daemon, "ErrorRecoveryLevel=2\0MaxConnections=2\0");
    let data = pattern(65_536);
    one.write(0, 0, &data, false).assert_good();
    let (mut two, _) = log_in(&daemon, one.tsih, 2, one.cmd_sn, "");
    let command = one.command(0, &cdb16(0x88, 0, 128, false), 0x40, 65_536);
    one.send(&command).unwrap();
    two.cmd_sn = one.cmd_sn;
    // The answer is on its way, and nobody takes it.
    two.ping(b"").unwrap();
    drop(one);
    let told = two.receive().unwrap();
    assert_eq!((told.opcode(), told.bhs[36]), (0x32, 2));
    assert_eq!(log_out(&mut two, 2, 1), 0);
    assert_eq!(reassign(&mut two, command.get(16), 0), 0);
    let answer = two.finish(command.get(16), &[]).unwrap();
    assert_eq!(answer.assert_good().data, data);
}

/// CRC32C bit by bit: a test's own, so that a mistake in the daemon's isn't repeated here.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

/// Sends a PDU with a data digest, right or wrong.
fn send_digested(on: &mut Initiator, pdu: &Pdu, right: bool) {
    use std::io::Write as _;
    let mut bytes = pdu.bytes();
    if !pdu.data.is_empty() {
        let digest = crc32c(&bytes[48..]) ^ u32::from(!right);
        bytes.extend_from_slice(&digest.to_le_bytes());
    }
    on.stream().write_all(&bytes).unwrap();
}

/// The next PDU, whose data digest is right.
fn receive_digested(on: &mut Initiator) -> Pdu {
    use std::io::Read as _;
    let pdu = on.receive().unwrap();
    if !pdu.data.is_empty() {
        let mut digest = [0; 4];
        on.stream().read_exact(&mut digest).unwrap();
        assert_eq!(u32::from_le_bytes(digest), crc32c(&pdu.bytes()[48..]));
    }
    pdu
}

#[test]
fn damaged_data_is_sent_again_at_level_1_and_nothing_is_done_twice() {
    let daemon = Daemon::with_lun("8M");
    let keys = "DataDigest=CRC32C\0ErrorRecoveryLevel=1\0";
    let (mut one, reply) = log_in(&daemon, 0, 1, 1, keys);
    assert_eq!(text_of(&reply, "DataDigest").as_deref(), Some("CRC32C"));
    // The unit attention of a new nexus; its sense data has a digest.
    for _ in 0..2 {
        let command = one.command(0, &[0; 6], 0, 0);
        send_digested(&mut one, &command, true);
        receive_digested(&mut one);
    }
    let data = pattern(8_192);
    let command = one.command(0, &cdb16(0x8a, 64, 16, false), 0x20, 8_192);
    let immediate = command.clone().with_data(&data[..2_048]);
    send_digested(&mut one, &immediate, false);
    let reject = receive_digested(&mut one);
    assert_eq!((reject.opcode(), reject.bhs[2]), (0x3f, 0x02));
    assert_eq!(reject.data[..48], immediate.bhs);
    send_digested(&mut one, &immediate, true);
    let r2t = receive_digested(&mut one);
    assert_eq!(
        (r2t.opcode(), r2t.get(40), r2t.get(44)),
        (0x31, 2_048, 6_144)
    );
    let part = |r2t: &Pdu, data_sn: u32, from: usize, last: bool| {
        Pdu::new(0x05, if last { 0x80 } else { 0 })
            .with_data(&data[from..from + 3_072])
            .set(16, command.get(16))
            .set(20, r2t.get(20))
            .set(36, data_sn)
            .set(40, from as u32)
    };
    send_digested(&mut one, &part(&r2t, 0, 2_048, false), true);
    send_digested(&mut one, &part(&r2t, 1, 5_120, true), false);
    let reject = receive_digested(&mut one);
    assert_eq!((reject.opcode(), reject.bhs[2]), (0x3f, 0x02));
    let again = receive_digested(&mut one);
    assert_eq!((again.opcode(), again.get(36)), (0x31, 1));
    assert_eq!((again.get(40), again.get(44)), (5_120, 3_072));
    // The command again, as if its acknowledgement had been lost: it is ignored.
    send_digested(&mut one, &immediate, true);
    send_digested(&mut one, &part(&again, 0, 5_120, true), true);
    let response = receive_digested(&mut one);
    assert_eq!((response.opcode(), response.bhs[3]), (0x21, 0));
    // The response once more: it was "lost".
    let snack = Pdu::new(0x10, 0x81)
        .set(16, u32::MAX)
        .set(20, u32::MAX)
        .set(28, response.get(24))
        .set(40, response.get(24))
        .set(44, 1);
    send_digested(&mut one, &snack, true);
    let repeated = receive_digested(&mut one);
    assert_eq!(repeated.bhs[..28], response.bhs[..28]);
    one.exp_stat_sn = response.get(24) + 1;

    let command = one.command(0, &cdb16(0x88, 64, 16, false), 0x40, 8_192);
    send_digested(&mut one, &command, true);
    let first = receive_digested(&mut one);
    assert_eq!((first.opcode(), &first.data), (0x25, &data));
    let snack = Pdu::new(0x10, 0x80)
        .set(16, command.get(16))
        .set(20, u32::MAX)
        .set(28, first.get(24));
    send_digested(&mut one, &snack, true);
    let repeated = receive_digested(&mut one);
    assert_eq!(
        (repeated.bhs[..28].to_vec(), repeated.data),
        (first.bhs[..28].to_vec(), first.data)
    );
}

#[test]
fn damaged_data_ends_the_session_at_level_0() {
    let daemon = Daemon::with_lun("8M");
    let (mut one, _) = log_in(&daemon, 0, 1, 1, "DataDigest=CRC32C\0");
    let command = one.command(0, &cdb16(0x8a, 64, 4, false), 0x20, 2_048);
    let command = command.with_data(&pattern(2_048));
    send_digested(&mut one, &command, false);
    let reject = receive_digested(&mut one);
    assert_eq!((reject.opcode(), reject.bhs[2]), (0x3f, 0x02));
    assert!(one.is_dropped());
}
