//! TaskReporting over real sockets: what sessions agree to, and what becomes of the tasks of one when
//! another one aborts them (RFC 7143 §4.2.3, §13.23).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::daemon::Daemon;
use crate::harness::initiator::{Initiator, LoginAs, Pdu, cdb16};

const FAST_ABORT: &str = "TaskReporting=FastAbort,ResponseFence,RFC3720\0";
const TERMINATION: u8 = 5;

/// Logs a connection in: with a TSIH, into a session that is there.
fn log_in(
    daemon: &Daemon,
    isid: u8,
    tsih: u16,
    cid: u16,
    cmd_sn: u32,
    keys: &str,
) -> (Initiator, Pdu) {
    let mut this = Initiator::connect(daemon.portal);
    this.cmd_sn = cmd_sn;
    let who = LoginAs {
        isid,
        tsih,
        ..LoginAs::default()
    };
    let text = format!(
        "InitiatorName={}\0TargetName={}\0SessionType=Normal\0{keys}",
        who.initiator,
        who.target.unwrap()
    );
    let mut pdu = this.login_request(0x87, &who, text.as_bytes());
    pdu.bhs[20..22].copy_from_slice(&cid.to_be_bytes());
    this.send(&pdu).unwrap();
    let reply = this.receive().unwrap();
    assert_eq!(reply.bhs[36], 0, "{:x?}", reply.bhs);
    this.tsih = u16::from_be_bytes([reply.bhs[14], reply.bhs[15]]);
    (this, reply)
}

/// A session with two connections.
fn pair(daemon: &Daemon, isid: u8, keys: &str) -> (Initiator, Initiator) {
    let keys = format!("InitialR2T=Yes\0MaxConnections=2\0{keys}");
    let (mut one, _) = log_in(daemon, isid, 0, 1, 1, &keys);
    one.settle(0);
    let (two, _) = log_in(daemon, isid, one.tsih, 2, one.cmd_sn, "");
    (one, two)
}

fn text_of(reply: &Pdu, key: &str) -> Option<String> {
    let text = String::from_utf8(reply.data.clone()).unwrap();
    let mut pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value.to_owned())
}

/// A write of eight blocks whose data is asked for and doesn't come: its tag and the tag of the R2T.
fn begin_write(on: &mut Initiator) -> (u32, u32) {
    let write = on.command(0, &cdb16(0x8a, 0, 8, false), 0x20, 4_096);
    on.send(&write).unwrap();
    let r2t = on.receive().unwrap();
    assert_eq!(r2t.opcode(), 0x31);
    (write.get(16), r2t.get(20))
}

fn send_data(on: &mut Initiator, (tag, transfer_tag): (u32, u32)) {
    let data = Pdu::new(0x05, 0x80)
        .with_data(&[9; 4_096])
        .set(16, tag)
        .set(20, transfer_tag)
        .set(28, on.exp_stat_sn);
    on.send(&data).unwrap();
}

/// Sends a function for immediate delivery.
fn reset(on: &mut Initiator) -> u32 {
    let tag = on.tag();
    let pdu = Pdu::new(0x42, 0x80 | 5)
        .set(16, tag)
        .set(20, u32::MAX)
        .set(24, on.cmd_sn)
        .set(28, on.exp_stat_sn);
    on.send(&pdu).unwrap();
    tag
}

fn test_unit_ready(on: &mut Initiator) -> u32 {
    let pdu = on.command(0, &[0; 6], 0, 0);
    on.send(&pdu).unwrap();
    pdu.get(16)
}

/// The next PDU tells that the tasks for LUN 0 have ended.
#[track_caller]
fn expect_termination(on: &mut Initiator) {
    let told = on.receive().unwrap();
    assert_eq!((told.opcode(), told.bhs[36]), (0x32, TERMINATION));
    assert_eq!(told.bhs[8..16], [0; 8]);
    assert_eq!(told.get(16), u32::MAX);
}

/// The answer to it (RFC 7143 §11.9.1): no more data, and a NOP-Out that only acknowledges.
fn acknowledge(on: &mut Initiator) {
    let nop = Pdu::new(0x40, 0x80)
        .set(16, u32::MAX)
        .set(20, u32::MAX)
        .set(24, on.cmd_sn)
        .set(28, on.exp_stat_sn);
    on.send(&nop).unwrap();
}

/// What comes next on a connection is the echo of a ping: nothing was sent before it.
#[track_caller]
fn expect_nothing_before_a_ping(on: &mut Initiator) {
    let tag = on.tag();
    let ping = Pdu::new(0x40, 0x80)
        .set(16, tag)
        .set(20, u32::MAX)
        .set(24, on.cmd_sn)
        .set(28, on.exp_stat_sn);
    on.send(&ping).unwrap();
    let echo = on.receive().unwrap();
    assert_eq!(
        (echo.opcode(), echo.get(16)),
        (0x20, tag),
        "{:x?} {:x?}",
        echo.bhs,
        echo.data
    );
}

/// The next PDU is a NOP-In that asks for an acknowledgement, and gets it.
#[track_caller]
fn answer_question(on: &mut Initiator) {
    let question = on.receive().unwrap();
    assert_eq!(question.opcode(), 0x20, "{:x?}", question.bhs);
    assert_ne!(question.get(20), u32::MAX);
    on.answer_nop(&question).unwrap();
}

#[test]
fn task_reporting_is_the_first_offer_of_a_normal_session() {
    let daemon = Daemon::with_lun("8M");
    for (offer, answer) in [
        ("RFC3720,ResponseFence,FastAbort", "RFC3720"),
        ("ResponseFence,RFC3720", "ResponseFence"),
        ("FastAbort,ResponseFence,RFC3720", "FastAbort"),
    ] {
        let keys = format!("TaskReporting={offer}\0");
        let (mut on, reply) = log_in(&daemon, 1, 0, 1, 1, &keys);
        assert_eq!(text_of(&reply, "TaskReporting").as_deref(), Some(answer));
        on.settle(0);
    }
    let mut discovery = Initiator::connect(daemon.portal);
    let who = LoginAs {
        target: None,
        ..LoginAs::default()
    };
    let text = format!(
        "InitiatorName={}\0SessionType=Discovery\0{FAST_ABORT}",
        who.initiator
    );
    let pdu = discovery.login_request(0x87, &who, text.as_bytes());
    discovery.send(&pdu).unwrap();
    let reply = discovery.receive().unwrap();
    assert_eq!(
        text_of(&reply, "TaskReporting").as_deref(),
        Some("Irrelevant")
    );
}

#[test]
fn a_third_party_is_told_of_its_tasks_and_hears_of_the_reset_only_then() {
    let daemon = Daemon::with_lun("8M");
    let (mut one, mut two) = pair(&daemon, 1, FAST_ABORT);
    // Whoever resets didn't negotiate anything (RFC 7143 §4.2.3.5).
    let other = LoginAs {
        isid: 2,
        ..LoginAs::default()
    };
    let mut other = Initiator::log_in_as(daemon.portal, &other).unwrap();
    other.settle(0);
    two.cmd_sn = one.cmd_sn;
    let write = begin_write(&mut two);
    one.cmd_sn = two.cmd_sn;

    // It doesn't wait for the third party.
    let request = reset(&mut other);
    let answer = other.receive().unwrap();
    assert_eq!(
        (answer.opcode(), answer.get(16), answer.bhs[2]),
        (0x22, request, 0)
    );
    // Data is on its way, sent before the initiator has heard of it.
    send_data(&mut two, write);
    expect_termination(&mut two);

    // The unit attention comes when the other connection has acknowledged what it was told.
    let first = test_unit_ready(&mut one);
    expect_nothing_before_a_ping(&mut one);
    answer_question(&mut two);
    let told = one.receive().unwrap();
    assert_eq!((told.opcode(), told.get(16), told.bhs[3]), (0x21, first, 2));
    assert_eq!(
        (told.data[4] & 0xf, told.data[14], told.data[15]),
        (6, 0x29, 0x03)
    );
    // And what follows waits until it has arrived.
    two.cmd_sn = one.cmd_sn;
    let second = test_unit_ready(&mut two);
    one.cmd_sn = two.cmd_sn;
    expect_nothing_before_a_ping(&mut two);
    answer_question(&mut one);
    let answer = two.receive().unwrap();
    assert_eq!(
        (answer.opcode(), answer.get(16), answer.bhs[3]),
        (0x21, second, 0)
    );
    acknowledge(&mut two);
    one.cmd_sn = two.cmd_sn;
    assert_eq!(
        one.read(0, 0, 8).assert_good().data,
        [0; 4_096],
        "nothing was written"
    );
}

#[test]
fn the_answer_to_a_reset_waits_for_the_other_connections_of_its_session() {
    let daemon = Daemon::with_lun("8M");
    let (mut one, mut two) = pair(&daemon, 1, FAST_ABORT);
    // A third party that didn't negotiate is told nothing but the unit attention.
    let other = LoginAs {
        isid: 2,
        ..LoginAs::default()
    };
    let mut other = Initiator::log_in_as(daemon.portal, &other).unwrap();
    other.settle(0);
    let third_party = begin_write(&mut other);
    two.cmd_sn = one.cmd_sn;
    let write = begin_write(&mut two);
    one.cmd_sn = two.cmd_sn;
    acknowledge(&mut one);

    let request = reset(&mut one);
    send_data(&mut two, write);
    expect_termination(&mut two);
    answer_question(&mut two);
    let answer = one.receive().unwrap();
    assert_eq!(
        (answer.opcode(), answer.get(16), answer.bhs[2]),
        (0x22, request, 0)
    );
    acknowledge(&mut one);
    send_data(&mut other, third_party);
    let told = other.read_command(0, &[0; 6], 0);
    assert_eq!(told.sense_code(), (6, 0x29, 0x03));
    assert_eq!(other.read(0, 0, 8).assert_good().data, [0; 4_096]);
}

/// A host with many reads and writes under way, and what it makes of what it receives.
#[derive(Default)]
struct Busy {
    /// Tags and CmdSNs of commands that aren't answered, in order.
    outstanding: Vec<(u32, u32)>,
    /// Tags of those that have ended by a reset.
    ended: Vec<u32>,
    answered: u32,
    attentions: u32,
}

impl Busy {
    fn fill(&mut self, on: &mut Initiator) {
        while self.outstanding.len() < 16 && on.cmd_sn.wrapping_sub(on.max_cmd_sn) as i32 <= 0 {
            let lba = u64::from(on.cmd_sn % 64) * 128;
            let cmd_sn = on.cmd_sn;
            let (opcode, flags) = if cmd_sn.is_multiple_of(2) {
                (0x88, 0x40)
            } else {
                (0x8a, 0x20)
            };
            let command = on.command(0, &cdb16(opcode, lba, 128, false), flags, 65_536);
            on.send(&command).unwrap();
            self.outstanding.push((command.get(16), cmd_sn));
        }
    }

    fn ask(&mut self, on: &mut Initiator) {
        let cmd_sn = on.cmd_sn;
        let tag = test_unit_ready(on);
        self.outstanding.push((tag, cmd_sn));
    }

    fn take(&mut self, on: &mut Initiator, pdu: &Pdu) {
        let tag = pdu.get(16);
        let has_status = match pdu.opcode() {
            0x25 => pdu.bhs[1] & 1 != 0,
            0x21 => true,
            0x31 => {
                assert!(!self.ended.contains(&tag), "{tag} was ended by a reset");
                on.answer_r2t(pdu, &[7; 65_536]).unwrap();
                return;
            }
            0x32 => {
                assert_eq!(pdu.bhs[36], TERMINATION);
                acknowledge(on);
                // All that is under way may have ended: something has to find the unit attention.
                self.ask(on);
                return;
            }
            other => panic!("{other:#x}"),
        };
        assert!(!self.ended.contains(&tag), "{tag} was ended by a reset");
        if !has_status {
            return;
        }
        let at = self.outstanding.iter().position(|(known, _)| *known == tag);
        let (_, cmd_sn) = self.outstanding.remove(at.expect("a task"));
        self.answered += 1;
        if pdu.bhs[3] == 2 {
            assert_eq!((pdu.data[4] & 0xf, pdu.data[14]), (6, 0x29));
            self.attentions += 1;
            // All that was sent before has ended, as far as it wasn't answered; the rest goes on.
            let ended = |(_, other): &(u32, u32)| (other.wrapping_sub(cmd_sn) as i32) < 0;
            let gone = self.outstanding.iter().filter(|it| ended(it));
            self.ended.extend(gone.map(|(tag, _)| *tag));
            self.outstanding.retain(|it| !ended(it));
        }
    }
}

#[test]
fn no_answer_comes_behind_the_attention_that_tells_of_its_end_and_none_is_missing() {
    const ENOUGH: u32 = 50;
    let daemon = Daemon::with_lun("8M");
    let (mut host, _) = log_in(&daemon, 1, 0, 1, 1, FAST_ABORT);
    host.settle(0);
    let other = LoginAs {
        isid: 2,
        ..LoginAs::default()
    };
    let mut other = Initiator::log_in_as(daemon.portal, &other).unwrap();
    other.settle(0);
    let stop = Arc::new(AtomicBool::new(false));
    let resetting = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                let request = reset(&mut other);
                let answer = other.receive().unwrap();
                assert_eq!((answer.opcode(), answer.get(16)), (0x22, request));
            }
        }
    });
    let mut busy = Busy::default();
    while !resetting.is_finished() {
        busy.fill(&mut host);
        let pdu = host.receive().unwrap();
        busy.take(&mut host, &pdu);
        let enough = busy.attentions >= ENOUGH && busy.ended.len() >= ENOUGH as usize;
        stop.store(enough, Ordering::Relaxed);
    }
    resetting.join().unwrap();
    // Two more commands find the last attention, and that there is none left; then all is answered.
    for _ in 0..2 {
        busy.ask(&mut host);
        while !busy.outstanding.is_empty() {
            let pdu = host.receive().unwrap();
            busy.take(&mut host, &pdu);
        }
    }
    expect_nothing_before_a_ping(&mut host);
}

#[test]
fn a_preempted_host_is_told_that_its_tasks_have_ended() {
    const REGISTER: u8 = 0;
    const PREEMPT_AND_ABORT: u8 = 5;
    let reserve_out = |on: &mut Initiator, action: u8, key: u64, other: u64| {
        let mut list = key.to_be_bytes().to_vec();
        list.extend(other.to_be_bytes());
        list.extend([0; 8]);
        let cdb = [0x5f, action, 0, 0, 0, 0, 0, 0, 24, 0];
        on.write_command(0, &cdb, &list)
    };
    let daemon = Daemon::with_lun("8M");
    let keys = format!("InitialR2T=Yes\0{FAST_ABORT}");
    let (mut host, _) = log_in(&daemon, 1, 0, 1, 1, &keys);
    host.settle(0);
    let (mut other, _) = log_in(&daemon, 2, 0, 1, 1, &keys);
    other.settle(0);
    reserve_out(&mut host, REGISTER, 0, 1).assert_good();
    reserve_out(&mut other, REGISTER, 0, 2).assert_good();
    let write = begin_write(&mut host);
    reserve_out(&mut other, PREEMPT_AND_ABORT, 2, 1).assert_good();
    expect_termination(&mut host);
    send_data(&mut host, write);
    acknowledge(&mut host);
    let told = host.read_command(0, &[0; 6], 0);
    assert_eq!(
        told.sense_code(),
        (6, 0x2a, 0x05),
        "REGISTRATIONS PREEMPTED"
    );
    host.settle(0);
    assert_eq!(host.read(0, 0, 8).assert_good().data, [0; 4_096]);
}
