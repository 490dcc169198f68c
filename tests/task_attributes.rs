//! ORDERED and HEAD OF QUEUE commands (SAM-6) against a real daemon: who waits for whom.

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Initiator, LoginAs, Pdu, cdb16};

const SIMPLE: u8 = 1;
const ORDERED: u8 = 2;
const HEAD_OF_QUEUE: u8 = 3;
const R2T: u8 = 0x31;

/// A write that is under way until its data comes, and the R2T that asks for it.
fn begin_write(initiator: &mut Initiator, lun: u8) -> (u32, Pdu) {
    let write = initiator.command(lun, &cdb16(0x8a, 0, 8, false), 0x20, 4096);
    initiator.send(&write).unwrap();
    let r2t = initiator.receive().unwrap();
    assert_eq!(r2t.opcode(), R2T);
    (write.get(16), r2t)
}

/// Sends TEST UNIT READY with that attribute and returns its tag.
fn send(initiator: &mut Initiator, lun: u8, attribute: u8) -> u32 {
    let mut pdu = initiator.command(lun, &[0; 6], 0, 0);
    pdu.bhs[1] = 0x80 | attribute;
    initiator.send(&pdu).unwrap();
    pdu.get(16)
}

/// The tags of the next responses, all of them GOOD.
fn answered<const N: usize>(initiator: &mut Initiator) -> [u32; N] {
    std::array::from_fn(|_| {
        let pdu = initiator.receive().unwrap();
        assert_eq!((pdu.opcode(), pdu.bhs[3]), (0x21, 0), "{:x?}", pdu.bhs);
        pdu.get(16)
    })
}

fn two_luns() -> (Daemon, Initiator) {
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["volume", "create", "second", "--size", "8M"]);
    daemon.run(&["lun", "map", TARGET, "second"]);
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.settle(1);
    (daemon, initiator)
}

#[test]
fn an_ordered_command_waits_for_older_ones_and_younger_ones_wait_for_it() {
    let (_daemon, mut initiator) = two_luns();
    let (write, r2t) = begin_write(&mut initiator, 0);
    let ordered = send(&mut initiator, 0, ORDERED);
    let simple = send(&mut initiator, 0, SIMPLE);
    let second = send(&mut initiator, 0, ORDERED);
    let untagged = send(&mut initiator, 0, 0);
    // Neither a command that goes first nor another task set is held up.
    let head = send(&mut initiator, 0, HEAD_OF_QUEUE);
    let elsewhere = send(&mut initiator, 1, SIMPLE);
    assert_eq!(answered(&mut initiator), [head, elsewhere]);
    initiator.answer_r2t(&r2t, &[7; 4096]).unwrap();
    assert_eq!(
        answered(&mut initiator),
        [write, ordered, simple, second, untagged]
    );
    assert_eq!(initiator.read(0, 0, 8).data, [7; 4096]);
}

#[test]
fn simple_commands_wait_for_one_at_the_head_of_the_queue() {
    let (_daemon, mut initiator) = two_luns();
    let mut write = initiator.command(0, &cdb16(0x8a, 0, 8, false), 0x20, 4096);
    write.bhs[1] = 0xa0 | HEAD_OF_QUEUE;
    initiator.send(&write).unwrap();
    let r2t = initiator.receive().unwrap();
    assert_eq!(r2t.opcode(), R2T);
    let simple = send(&mut initiator, 0, SIMPLE);
    let head = send(&mut initiator, 0, HEAD_OF_QUEUE);
    assert_eq!(answered(&mut initiator), [head]);
    initiator.answer_r2t(&r2t, &[1; 4096]).unwrap();
    assert_eq!(answered(&mut initiator), [write.get(16), simple]);
}

#[test]
fn when_an_ordered_command_is_aborted_the_next_one_has_its_turn() {
    let (_daemon, mut initiator) = two_luns();
    let (write, r2t) = begin_write(&mut initiator, 0);
    let command_sn = initiator.cmd_sn;
    let ordered = send(&mut initiator, 0, ORDERED);
    let simple = send(&mut initiator, 0, SIMPLE);
    let tag = initiator.tag();
    // ABORT TASK (RFC 7143 §11.5.1).
    let abort = Pdu::new(0x42, 0x81)
        .set(16, tag)
        .set(20, ordered)
        .set(24, initiator.cmd_sn)
        .set(28, initiator.exp_stat_sn)
        .set(32, command_sn);
    initiator.send(&abort).unwrap();
    let mut seen: Vec<_> = (0..2).map(|_| initiator.receive().unwrap()).collect();
    seen.sort_by_key(Pdu::opcode);
    let [response, management] = seen.try_into().unwrap();
    assert_eq!((response.opcode(), response.get(16)), (0x21, simple));
    assert_eq!((management.opcode(), management.bhs[2]), (0x22, 0));
    initiator.answer_r2t(&r2t, &[1; 4096]).unwrap();
    assert_eq!(answered(&mut initiator), [write]);
}

#[test]
fn another_nexus_has_a_task_set_of_its_own() {
    let (daemon, mut one) = two_luns();
    let who = LoginAs {
        isid: 2,
        ..LoginAs::default()
    };
    let mut two = Initiator::log_in_as(daemon.portal, &who).unwrap();
    two.settle(0);
    let (write, r2t) = begin_write(&mut one, 0);
    let ordered = send(&mut two, 0, ORDERED);
    assert_eq!(answered(&mut two), [ordered]);
    // CLEAR TASK SET ends the tasks of its own nexus only.
    let tag = two.tag();
    let clear = Pdu::new(0x42, 0x84)
        .set(16, tag)
        .set(20, u32::MAX)
        .set(24, two.cmd_sn)
        .set(28, two.exp_stat_sn);
    two.send(&clear).unwrap();
    let reply = two.receive().unwrap();
    assert_eq!((reply.opcode(), reply.bhs[2]), (0x22, 0));
    one.answer_r2t(&r2t, &[5; 4096]).unwrap();
    assert_eq!(answered(&mut one), [write]);
    one.settle(0);
}
