//! Offloaded data transfer: ROD tokens stand for the data of one moment, or for nothing any more.

use std::time::Duration;

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Answer, Initiator, LoginAs};

const MIB: usize = 1 << 20;
const MIB_BLOCKS: u32 = 2048;

fn two_luns() -> Daemon {
    let daemon = Daemon::with_lun("32M");
    daemon.run(&["volume", "create", "to", "--size", "32M"]);
    daemon.run(&["lun", "map", TARGET, "to", "--lun", "1"]);
    daemon
}

fn log_in(daemon: &Daemon) -> Initiator {
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    initiator.settle(1);
    initiator
}

fn pattern(seed: u8) -> Vec<u8> {
    (0..MIB)
        .map(|index| seed ^ (index / 512) as u8 ^ (index >> 17) as u8)
        .collect()
}

fn ranges(list: &[(u64, u32)]) -> Vec<u8> {
    list.iter()
        .flat_map(|(lba, blocks)| [&lba.to_be_bytes()[..], &blocks.to_be_bytes(), &[0; 4]].concat())
        .collect()
}

fn cdb(action: u8, identifier: u32, length: usize) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[..2].copy_from_slice(&[0x83, action]);
    cdb[6..10].copy_from_slice(&identifier.to_be_bytes());
    cdb[10..14].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    cdb
}

fn populate(initiator: &mut Initiator, lun: u8, timeout: u32, from: &[(u64, u32)]) -> Answer {
    let ranges = ranges(from);
    let length = u16::try_from(ranges.len()).unwrap();
    let mut list = (length + 14).to_be_bytes().to_vec();
    list.extend([0, 0]);
    list.extend(timeout.to_be_bytes());
    list.resize(14, 0);
    list.extend(length.to_be_bytes());
    list.extend(ranges);
    initiator.write_command(lun, &cdb(0x10, 9, list.len()), &list)
}

fn information(initiator: &mut Initiator, lun: u8) -> Answer {
    let mut cdb = [0; 16];
    cdb[..2].copy_from_slice(&[0x84, 0x07]);
    cdb[5] = 9;
    cdb[12] = 0x10;
    initiator.read_command(lun, &cdb, 4096)
}

/// POPULATE TOKEN and RECEIVE ROD TOKEN INFORMATION.
pub(crate) fn token(initiator: &mut Initiator, lun: u8, from: &[(u64, u32)]) -> Vec<u8> {
    populate(initiator, lun, 0, from).assert_good();
    let answer = information(initiator, lun);
    answer.assert_good();
    let data = answer.data;
    assert_eq!(data[4..6], [0x10, 0x01]);
    assert_eq!(data[32..36], 514_u32.to_be_bytes());
    assert_eq!(data[38..46], [0, 0x80, 0, 0x01, 0, 0, 0x01, 0xf8]);
    assert_eq!(data.len(), 38 + 512);
    data[38..].to_vec()
}

pub(crate) fn write_using(
    initiator: &mut Initiator,
    lun: u8,
    token: &[u8],
    offset: u64,
    to: &[(u64, u32)],
    flags: u8,
) -> Answer {
    let ranges = ranges(to);
    let length = u16::try_from(ranges.len()).unwrap();
    let mut list = (length + 534).to_be_bytes().to_vec();
    list.push(flags);
    list.resize(8, 0);
    list.extend(offset.to_be_bytes());
    list.extend(token);
    list.resize(534, 0);
    list.extend(length.to_be_bytes());
    list.extend(ranges);
    initiator.write_command(lun, &cdb(0x11, 9, list.len()), &list)
}

fn zero_token() -> Vec<u8> {
    let mut token = vec![0xff, 0xff, 0, 1, 0, 0, 0x01, 0xf8];
    token.resize(512, 0);
    token
}

fn fill(initiator: &mut Initiator, lun: u8, seed: u8, mebibytes: u8) {
    for part in 0..mebibytes {
        let lba = u64::from(part) * u64::from(MIB_BLOCKS);
        let data = pattern(seed.wrapping_add(part));
        initiator.write(lun, lba, &data, false).assert_good();
    }
}

fn read(initiator: &mut Initiator, lun: u8, lba: u64) -> Vec<u8> {
    let answer = initiator.read(lun, lba, MIB_BLOCKS);
    answer.assert_good();
    answer.data
}

#[test]
fn a_token_carries_data_to_another_lun_and_another_session() {
    let daemon = two_luns();
    let mut initiator = log_in(&daemon);
    fill(&mut initiator, 0, 1, 4);
    // Out of order, and not in whole mebibytes.
    let from = [(2048, 3000), (0, 1096)];
    let token = token(&mut initiator, 0, &from);

    let mut other = Initiator::log_in_as(
        daemon.portal,
        &LoginAs {
            isid: 2,
            ..LoginAs::default()
        },
    )
    .unwrap();
    other.settle(1);
    write_using(&mut other, 1, &token, 0, &[(100, 96), (5000, 4000)], 0).assert_good();
    let answer = information(&mut other, 1);
    assert_eq!(answer.data[4..6], [0x11, 0x01]);
    assert_eq!(answer.data[15], 0xf1);
    assert_eq!(answer.data[16..24], 4096_u64.to_be_bytes());
    let whole: Vec<u8> = [initiator.read(0, 2048, 3000), initiator.read(0, 0, 1096)]
        .into_iter()
        .flat_map(|answer| answer.data)
        .collect();
    assert!(other.read(1, 100, 96).data == whole[..96 * 512]);
    assert!(other.read(1, 5000, 4000).data == whole[96 * 512..]);

    // From the middle on, and no further than there is data.
    write_using(&mut other, 1, &token, 4000, &[(0, 96)], 0).assert_good();
    assert!(other.read(1, 0, 96).data == whole[4000 * 512..]);
    let answer = write_using(&mut other, 1, &token, 4000, &[(0, 200)], 0);
    assert_eq!(answer.sense_code(), (0xa, 0x0d, 0x04));
    assert_eq!(answer.sense[..7], [0xf0, 0, 0xa, 0, 0, 0, 96]);
    let answer = write_using(&mut other, 1, &token, 4096, &[(0, 8)], 0);
    assert_eq!(answer.sense_code(), (0x5, 0x26, 0x00));
}

#[test]
fn the_zero_token_needs_no_making() {
    let daemon = two_luns();
    let mut initiator = log_in(&daemon);
    fill(&mut initiator, 1, 1, 4);
    let to = [(2048, 2048), (0, 16)];
    write_using(&mut initiator, 1, &zero_token(), 7, &to, 0).assert_good();
    assert!(read(&mut initiator, 1, 2048).iter().all(|byte| *byte == 0));
    let start = read(&mut initiator, 1, 0);
    assert!(start[..16 * 512].iter().all(|byte| *byte == 0));
    assert!(start[16 * 512..] == pattern(1)[16 * 512..]);
}

#[test]
fn a_change_cancels_a_token_and_nothing_else_does() {
    let daemon = two_luns();
    let mut initiator = log_in(&daemon);
    fill(&mut initiator, 0, 1, 4);
    let mut unmap = vec![0, 22, 0, 16, 0, 0, 0, 0];
    unmap.extend(ranges(&[(2048, 8)]));
    for change in 0..4 {
        let token = token(&mut initiator, 0, &[(2048, 2048)]);
        initiator.write(0, 0, &pattern(9), false).assert_good();
        initiator.write(0, 4096, &pattern(8), false).assert_good();
        write_using(&mut initiator, 1, &token, 0, &[(0, 2048)], 0).assert_good();
        let answer = match change {
            0 => initiator.write(0, 4095, &[7; 512], false),
            1 => {
                let cdb = [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0];
                initiator.write_command(0, &cdb, &unmap)
            }
            2 => write_using(&mut initiator, 0, &zero_token(), 0, &[(2050, 1)], 0),
            _ => {
                // Its own token has its own blocks written: after the first chunk it is over.
                let answer = write_using(&mut initiator, 0, &token, 0, &[(2040, 2048)], 0);
                assert_eq!(answer.status, 0, "one chunk is read before it is written");
                answer
            }
        };
        answer.assert_good();
        let before = read(&mut initiator, 1, 0);
        let answer = write_using(&mut initiator, 1, &token, 0, &[(0, 2048)], 0);
        assert_eq!(answer.sense_code(), (0x5, 0x23, 0x08), "change {change}");
        assert!(read(&mut initiator, 1, 0) == before);
    }
}

#[test]
fn tokens_expire_and_are_deleted_and_cannot_be_made_up() {
    let daemon = two_luns();
    let mut initiator = log_in(&daemon);
    fill(&mut initiator, 0, 1, 1);
    let good = token(&mut initiator, 0, &[(0, 8)]);
    let mut forged = good.clone();
    forged[400] ^= 1;
    let answer = write_using(&mut initiator, 1, &forged, 0, &[(0, 8)], 0);
    assert_eq!(answer.sense_code(), (0x5, 0x23, 0x04));
    forged[3] = 0x02;
    let answer = write_using(&mut initiator, 1, &forged, 0, &[(0, 8)], 0);
    assert_eq!(answer.sense_code(), (0x5, 0x23, 0x01));
    // DEL_TKN.
    write_using(&mut initiator, 1, &good, 0, &[(0, 8)], 0x02).assert_good();
    let answer = write_using(&mut initiator, 1, &good, 0, &[(0, 8)], 0);
    assert_eq!(answer.sense_code(), (0x5, 0x23, 0x09));

    populate(&mut initiator, 0, 1, &[(0, 8)]).assert_good();
    let short = information(&mut initiator, 0).data[38..].to_vec();
    write_using(&mut initiator, 1, &short, 0, &[(0, 8)], 0).assert_good();
    std::thread::sleep(Duration::from_millis(1200));
    let answer = write_using(&mut initiator, 1, &short, 0, &[(0, 8)], 0);
    assert_eq!(answer.sense_code(), (0x5, 0x23, 0x07));

    // What a restart doesn't know isn't known, and a volume that is gone has no data.
    let old = token(&mut initiator, 0, &[(0, 8)]);
    let daemon = daemon.kill_and_restart();
    let mut initiator = log_in(&daemon);
    let answer = write_using(&mut initiator, 1, &old, 0, &[(0, 8)], 0);
    assert_eq!(answer.sense_code(), (0x5, 0x23, 0x04));
    let gone = token(&mut initiator, 0, &[(0, 8)]);
    daemon.run(&["lun", "unmap", TARGET, "0"]);
    daemon.run(&["volume", "delete", "vol", "--yes"]);
    initiator.settle(1);
    let answer = write_using(&mut initiator, 1, &gone, 0, &[(0, 8)], 0);
    assert_eq!(answer.sense_code(), (0x5, 0x23, 0x08));
}

#[test]
fn lists_that_make_no_sense_are_refused() {
    let daemon = two_luns();
    let mut initiator = log_in(&daemon);
    let blocks = initiator.capacity(0);
    for (from, code) in [
        (vec![(0, 8), (7, 1)], (0x5, 0x26, 0x00)),
        (vec![(blocks, 1)], (0x5, 0x21, 0x00)),
        (vec![(0, 1); 65], (0x5, 0x26, 0x08)),
        (vec![], (0x5, 0x26, 0x00)),
    ] {
        let answer = populate(&mut initiator, 0, 0, &from);
        assert_eq!(answer.sense_code(), code, "{from:?}");
    }
    let answer = populate(&mut initiator, 0, 601, &[(0, 1)]);
    assert_eq!(answer.sense_code(), (0x5, 0x26, 0x00));
    assert_ne!(information(&mut initiator, 0).status, 0);
    daemon.run(&["lun", "unmap", TARGET, "1"]);
    daemon.run(&["lun", "map", TARGET, "to", "--lun", "1", "--read-only"]);
    initiator.settle(0);
    initiator.settle(1);
    let answer = write_using(&mut initiator, 1, &zero_token(), 0, &[(0, 1)], 0);
    assert_eq!(answer.sense_code(), (0x7, 0x27, 0x00));
}

/// A writer changes the source again and again while tokens of it are made and used: what arrives is
/// always one whole version, never a mixture.
#[test]
fn what_arrives_is_of_one_moment_whoever_writes_meanwhile() {
    let daemon = two_luns();
    let mut initiator = log_in(&daemon);
    initiator.write(0, 0, &[1; 65_536], false).assert_good();
    let portal = daemon.portal;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let writer = std::thread::spawn(move || {
        let mut writer = Initiator::log_in_as(
            portal,
            &LoginAs {
                isid: 2,
                ..LoginAs::default()
            },
        )
        .unwrap();
        writer.settle(0);
        let mut version = 1_u8;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            version = version.wrapping_add(1);
            // Block after block, last to first, with a pause between versions.
            for lba in (0..16).rev() {
                writer.write(0, lba, &[version; 512], false).assert_good();
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    });
    let (mut arrived, mut cancelled) = (0, 0);
    for _ in 0..400 {
        if populate(&mut initiator, 0, 0, &[(0, 16)]).status != 0 {
            cancelled += 1;
            continue;
        }
        let token = information(&mut initiator, 0).data[38..].to_vec();
        let before = initiator.read(0, 0, 16).data;
        let answer = write_using(&mut initiator, 1, &token, 0, &[(0, 16)], 0);
        if answer.status == 0 {
            // Not changed since the token was made, so the read in between saw the same.
            assert!(initiator.read(1, 0, 16).data == before);
            arrived += 1;
        } else {
            assert_eq!(answer.sense_code(), (0x5, 0x23, 0x08));
            cancelled += 1;
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    assert!(arrived > 0 && cancelled > 0, "{arrived} {cancelled}");
}

#[test]
fn a_token_of_a_volume_with_snapshots_stays_true() {
    let daemon = two_luns();
    let mut initiator = log_in(&daemon);
    fill(&mut initiator, 0, 1, 2);
    daemon.run(&["snapshot", "create", "vol", "before"]);
    let of_volume = token(&mut initiator, 0, &[(0, 2 * MIB_BLOCKS)]);
    let of_raw = token(&mut initiator, 1, &[(0, MIB_BLOCKS)]);
    // Written over, trimmed, restored.
    fill(&mut initiator, 0, 77, 2);
    let (old, new) = (read(&mut initiator, 1, 0), pattern(77));
    for start in [0, 20_000] {
        write_using(
            &mut initiator,
            1,
            &of_volume,
            0,
            &[(start, 2 * MIB_BLOCKS)],
            0,
        )
        .assert_good();
        assert!(read(&mut initiator, 1, start) == pattern(1));
        assert!(read(&mut initiator, 1, start + u64::from(MIB_BLOCKS)) == pattern(2));
        assert!(read(&mut initiator, 0, 0) == new);
        daemon.run(&["snapshot", "restore", "vol@before", "--force"]);
        initiator.settle(0);
        fill(&mut initiator, 0, 77, 2);
    }
    assert!(old == vec![0; MIB]);
    // Nothing keeps the data of a raw volume.
    let answer = write_using(&mut initiator, 1, &of_raw, 0, &[(40_000, MIB_BLOCKS)], 0);
    assert_eq!(answer.sense_code(), (0x5, 0x23, 0x08), "TOKEN CANCELLED");
    // A token of a snapshot, and of the volume itself onto itself.
    daemon.run(&["snapshot", "map", "vol@before", TARGET, "--lun", "2"]);
    for lun in 0..3 {
        initiator.settle(lun);
    }
    let of_snapshot = token(&mut initiator, 2, &[(0, MIB_BLOCKS)]);
    write_using(&mut initiator, 0, &of_snapshot, 0, &[(0, MIB_BLOCKS)], 2).assert_good();
    assert!(read(&mut initiator, 0, 0) == pattern(1));
    // Its snapshot goes with it: one more is made of nothing that is left.
    write_using(&mut initiator, 1, &of_volume, 0, &[(0, MIB_BLOCKS)], 2).assert_good();
    let answer = write_using(&mut initiator, 1, &of_volume, 0, &[(0, MIB_BLOCKS)], 0);
    assert_eq!(answer.sense_code(), (0x5, 0x23, 0x09), "TOKEN DELETED");
    daemon.run(&["volume", "verify", "vol"]);
}
