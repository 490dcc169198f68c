//! Copies between logical units, by EXTENDED COPY: what arrives, who is refused, and what is left when
//! a copy is cut off.

use std::time::{Duration, Instant};

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Answer, Initiator, LoginAs, Pdu};
use crate::harness::wait_until;

pub(crate) const MIB: usize = 1 << 20;
/// Blocks of a mebibyte.
pub(crate) const MIB_BLOCKS: u64 = 2048;

/// A daemon with two volumes of one target: LUN 0 is the source, LUN 1 the destination.
fn two_luns(size: &str) -> Daemon {
    let daemon = Daemon::with_lun(size);
    daemon.run(&["volume", "create", "to", "--size", size]);
    daemon.run(&["lun", "map", TARGET, "to", "--lun", "1"]);
    daemon
}

pub(crate) fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| seed ^ (index / 512) as u8 ^ (index >> 17) as u8 ^ (index % 13) as u8)
        .collect()
}

fn fill(initiator: &mut Initiator, lun: u8, seed: u8, mebibytes: u64) {
    for part in 0..mebibytes {
        let data = pattern(seed.wrapping_add(part as u8), MIB);
        initiator
            .write(lun, part * MIB_BLOCKS, &data, false)
            .assert_good();
    }
}

pub(crate) fn read_mebibyte(initiator: &mut Initiator, lun: u8, part: u64) -> Vec<u8> {
    let answer = initiator.read(lun, part * MIB_BLOCKS, MIB_BLOCKS as u32);
    answer.assert_good();
    answer.data
}

/// The Identification Descriptor CSCD descriptor of a LUN, from its Device Identification VPD page.
pub(crate) fn cscd(initiator: &mut Initiator, lun: u8) -> Vec<u8> {
    let page = initiator.read_command(lun, &[0x12, 0x01, 0x83, 0x04, 0, 0], 1024);
    page.assert_good();
    let mut rest = &page.data[4..];
    while !rest.is_empty() {
        let length = usize::from(rest[3]);
        // Binary, of the logical unit, NAA.
        if rest[0] & 0x0f == 1 && rest[1] & 0x3f == 3 {
            let mut cscd = vec![0xe4, 0, 0, 0, 1, 3, 0, rest[3]];
            cscd.extend(&rest[4..4 + length]);
            cscd.resize(28, 0);
            cscd.extend([0, 0, 2, 0]);
            return cscd;
        }
        rest = &rest[4 + length..];
    }
    panic!("no NAA designator: {:02x?}", page.data);
}

/// A segment of blocks of 512 bytes, from CSCD `ends.0` to CSCD `ends.1`.
pub(crate) fn segment(ends: (u16, u16), blocks: u16, from: u64, to: u64) -> Vec<u8> {
    let mut bytes = vec![0x02, 0, 0, 0x18];
    bytes.extend(ends.0.to_be_bytes());
    bytes.extend(ends.1.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(blocks.to_be_bytes());
    bytes.extend(from.to_be_bytes());
    bytes.extend(to.to_be_bytes());
    bytes
}

/// EXTENDED COPY(LID1): the CDB and the parameter list.
fn extended_copy(identifier: u8, cscds: &[u8], segments: &[u8]) -> ([u8; 16], Vec<u8>) {
    let mut list = vec![identifier, 0];
    list.extend(u16::try_from(cscds.len()).unwrap().to_be_bytes());
    list.extend([0; 4]);
    list.extend(u32::try_from(segments.len()).unwrap().to_be_bytes());
    list.extend([0; 4]);
    list.extend(cscds);
    list.extend(segments);
    let mut cdb = [0; 16];
    cdb[0] = 0x83;
    cdb[10..14].copy_from_slice(&u32::try_from(list.len()).unwrap().to_be_bytes());
    (cdb, list)
}

pub(crate) fn copy(initiator: &mut Initiator, lun: u8, cscds: &[u8], segments: &[u8]) -> Answer {
    let (cdb, list) = extended_copy(1, cscds, segments);
    initiator.write_command(lun, &cdb, &list)
}

/// RECEIVE COPY STATUS(LID4): COPY OPERATION STATUS and the bytes written.
fn status(initiator: &mut Initiator, lun: u8, identifier: u32) -> Option<(u8, u64)> {
    let mut cdb = [0; 16];
    cdb[..2].copy_from_slice(&[0x84, 0x05]);
    cdb[2..6].copy_from_slice(&identifier.to_be_bytes());
    cdb[13] = 128;
    let answer = initiator.read_command(lun, &cdb, 128);
    let data = answer.data;
    (answer.status == 0).then(|| {
        let written = data[16..24].try_into().unwrap();
        (data[5], u64::from_be_bytes(written))
    })
}

#[test]
fn blocks_go_from_one_lun_to_another_and_inside_one() {
    let daemon = two_luns("64M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.settle(1);
    fill(&mut initiator, 0, 1, 8);
    let cscds = [cscd(&mut initiator, 0), cscd(&mut initiator, 1)].concat();
    let blocks = 4 * MIB_BLOCKS as u16;
    let segments = [
        segment((0, 1), blocks, 0, 8 * MIB_BLOCKS),
        segment((0, 1), 3, 1, 5),
        // Overlapping, in both directions, on the source.
        segment((0, 0), blocks, 0, MIB_BLOCKS),
        segment((0, 0), blocks, 16 * MIB_BLOCKS + 8, 16 * MIB_BLOCKS),
    ];
    copy(&mut initiator, 0, &cscds, &segments.concat()).assert_good();
    for part in 0..4 {
        let expected = pattern(1 + part as u8, MIB);
        assert!(read_mebibyte(&mut initiator, 1, 8 + part) == expected);
        assert!(read_mebibyte(&mut initiator, 0, 1 + part) == expected);
    }
    let small = initiator.read(1, 4, 5).data;
    assert!(small[..512].iter().all(|byte| *byte == 0));
    assert!(small[512..2048] == pattern(1, MIB)[512..2048]);
    assert!(small[2048..].iter().all(|byte| *byte == 0));
}

#[test]
fn holes_stay_holes() {
    let daemon = two_luns("64M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.settle(1);
    fill(&mut initiator, 0, 1, 1);
    let cscds = [cscd(&mut initiator, 0), cscd(&mut initiator, 1)].concat();
    let segments = segment((0, 1), 16 * MIB_BLOCKS as u16, 0, 0);
    copy(&mut initiator, 0, &cscds, &segments).assert_good();
    assert!(read_mebibyte(&mut initiator, 1, 0) == pattern(1, MIB));
    let allocated = daemon.json(&["volume", "show", "to"])["allocated_bytes"]
        .as_u64()
        .unwrap();
    assert!(allocated <= 2 << 20, "{allocated} bytes");
}

#[test]
fn what_the_initiator_does_not_see_is_out_of_reach() {
    let daemon = two_luns("16M");
    daemon.run(&["volume", "create", "hidden", "--size", "16M"]);
    daemon.run(&["target", "create", "iqn.2026-11.test.tidelock:other"]);
    daemon.run(&["lun", "map", "iqn.2026-11.test.tidelock:other", "hidden"]);
    daemon.run(&["acl", "allow", "iqn.2026-11.test.tidelock:other", "*"]);
    let mut other = Initiator::log_in_as(
        daemon.portal,
        &LoginAs {
            target: Some("iqn.2026-11.test.tidelock:other"),
            ..LoginAs::default()
        },
    )
    .unwrap();
    other.settle(0);
    fill(&mut other, 0, 9, 1);

    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.settle(1);
    let cscds = [cscd(&mut initiator, 0), cscd(&mut other, 0)].concat();
    for ends in [(0, 1), (1, 0)] {
        let answer = copy(&mut initiator, 0, &cscds, &segment(ends, 8, 0, 0));
        assert_eq!(answer.sense_code(), (0xa, 0x0d, 0x02));
    }
    assert!(read_mebibyte(&mut other, 0, 0) == pattern(9, MIB));

    // Seen, but only to be read.
    daemon.run(&["lun", "unmap", TARGET, "1"]);
    daemon.run(&["lun", "map", TARGET, "to", "--lun", "1", "--read-only"]);
    initiator.settle(0);
    initiator.settle(1);
    let cscds = [cscd(&mut initiator, 0), cscd(&mut initiator, 1)].concat();
    let answer = copy(&mut initiator, 0, &cscds, &segment((0, 1), 8, 0, 0));
    assert_eq!(answer.sense_code(), (0xa, 0x0d, 0x01));
    // WRITE PROTECTED, from the destination.
    assert_eq!(answer.sense[8..12], [0, 18, 0, 0]);
    assert_eq!(answer.sense[19 + 12], 0x27);
    copy(&mut initiator, 0, &cscds, &segment((1, 0), 8, 0, 0)).assert_good();
}

/// A copy of nearly all of a volume, which takes a while; longer with a shift, since blocks of the two volumes don't
/// match then and all of it is read and written.
fn long_copy(initiator: &mut Initiator, identifier: u8, shift: u64) -> Pdu {
    let cscds = [cscd(initiator, 0), cscd(initiator, 1)].concat();
    let blocks = 31 * MIB_BLOCKS as u16;
    let segments: Vec<u8> = (0..60)
        .flat_map(|_| segment((0, 1), blocks, shift, 0))
        .collect();
    let (cdb, list) = extended_copy(identifier, &cscds, &segments);
    let expected = u32::try_from(list.len()).unwrap();
    let pdu = initiator.command(0, &cdb, 0x20, expected).with_data(&list);
    initiator.send(&pdu).unwrap();
    pdu
}

#[test]
fn a_copy_that_is_aborted_ends_at_once() {
    let daemon = two_luns("32M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.settle(1);
    fill(&mut initiator, 0, 1, 32);

    // By COPY OPERATION ABORT.
    let command = long_copy(&mut initiator, 5, 1);
    assert_eq!(status(&mut initiator, 0, 5).unwrap().0, 0x11);
    let mut abort = [0; 16];
    abort[..6].copy_from_slice(&[0x83, 0x1c, 0, 0, 0, 5]);
    let pdu = initiator.command(0, &abort, 0, 0);
    initiator.send(&pdu).unwrap();
    let mut answers = std::collections::HashMap::new();
    while answers.len() < 2 {
        let reply = initiator.receive().unwrap();
        assert_eq!(reply.opcode(), 0x21, "{:x?}", reply.bhs);
        answers.insert(reply.get(16), reply);
    }
    assert_eq!(answers[&pdu.get(16)].bhs[3], 0);
    let aborted = &answers[&command.get(16)];
    assert_eq!(aborted.bhs[3], 2);
    let sense = &aborted.data[2..];
    assert_eq!((sense[2] & 0xf, sense[12], sense[13]), (0xa, 0x2f, 0x02));

    // By ABORT TASK.
    let command = long_copy(&mut initiator, 6, 1);
    assert_eq!(status(&mut initiator, 0, 6).unwrap().0, 0x11);
    let tag = initiator.tag();
    let mut task = Pdu::new(0x42, 0x81)
        .set(16, tag)
        .set(20, command.get(16))
        .set(24, initiator.cmd_sn)
        .set(28, initiator.exp_stat_sn)
        .set(32, command.get(24));
    task.bhs[8..16].copy_from_slice(&command.bhs[8..16]);
    initiator.send(&task).unwrap();
    let reply = initiator.receive().unwrap();
    assert_eq!((reply.opcode(), reply.bhs[2]), (0x22, 0));
    let (state, written) = status(&mut initiator, 0, 6).unwrap();
    assert_eq!(state, 0x60);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(status(&mut initiator, 0, 6).unwrap(), (0x60, written));
    initiator.settle(0);
}

#[test]
fn a_copy_that_loses_its_destination_ends() {
    let daemon = two_luns("32M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.settle(1);
    fill(&mut initiator, 0, 1, 32);
    let command = long_copy(&mut initiator, 5, 1);
    daemon.run(&["lun", "unmap", TARGET, "1"]);
    let answer = initiator.finish(command.get(16), &[]).unwrap();
    assert_eq!(answer.sense_code(), (0xa, 0x0d, 0x02));
}

#[test]
fn neighbours_get_their_turn_while_a_copy_runs() {
    let daemon = two_luns("32M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.settle(1);
    fill(&mut initiator, 0, 1, 32);
    let command = long_copy(&mut initiator, 5, 1);
    let mut answered = 0;
    let started = Instant::now();
    loop {
        let asked = initiator.command(0, &[0; 6], 0, 0);
        initiator.send(&asked).unwrap();
        let reply = initiator.receive().unwrap();
        assert_eq!((reply.opcode(), reply.bhs[3]), (0x21, 0));
        if reply.get(16) == command.get(16) {
            break;
        }
        answered += 1;
        assert!(started.elapsed() < Duration::from_secs(60));
    }
    // 1860 chunks, and every one of them lets others in.
    assert!(answered > 100, "{answered}");
}

#[test]
fn kill_9_leaves_old_blocks_and_new_ones_and_nothing_else() {
    let mut daemon = two_luns("32M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.settle(1);
    fill(&mut initiator, 0, 1, 32);
    fill(&mut initiator, 1, 100, 32);
    for round in 0..3 {
        long_copy(&mut initiator, 5, 0);
        wait_until("the copy is under way", Duration::from_secs(60), || {
            status(&mut initiator, 0, 5).is_some_and(|(_, written)| written > (round + 1) << 21)
        });
        daemon = daemon.kill_and_restart();
        initiator = Initiator::log_in(daemon.portal);
        initiator.settle(0);
        initiator.settle(1);
        for part in 0..32 {
            let (new, old) = (pattern(1 + part as u8, MIB), pattern(100 + part as u8, MIB));
            assert!(read_mebibyte(&mut initiator, 0, part) == new);
            let there = read_mebibyte(&mut initiator, 1, part);
            let blocks = there.chunks(512).zip(new.chunks(512).zip(old.chunks(512)));
            for (there, (new, old)) in blocks {
                assert!(there == new || there == old, "a block of mebibyte {part}");
            }
        }
        assert!(status(&mut initiator, 0, 5).is_none());
    }
}
