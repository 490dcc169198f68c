//! Commands that are atomic: two initiators with a block as their spin lock.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crate::harness::daemon::Daemon;
use crate::harness::initiator::{Answer, Initiator, LoginAs, cdb16};
use crate::harness::wait_until;

const COMPARE_AND_WRITE: u8 = 0x89;
const LOCK: u64 = 64;
const COUNTER: u64 = 256;
/// Rounds of both initiators together; another number can be given in the environment.
const ROUNDS: u64 = 10_000;
const ROUNDS_VARIABLE: &str = "TIDELOCK_SPIN_LOCK_ROUNDS";

fn compare_and_write(lba: u64, blocks: u8) -> [u8; 16] {
    cdb16(COMPARE_AND_WRITE, lba, u32::from(blocks), false)
}

fn session(portal: SocketAddr, isid: u8) -> Initiator {
    let who = LoginAs {
        isid,
        ..LoginAs::default()
    };
    let mut initiator = None;
    wait_until("the volumes are open", Duration::from_secs(60), || {
        match Initiator::log_in_as(portal, &who) {
            Ok(logged_in) => initiator = Some(logged_in),
            // A daemon that has just been started writes out records first.
            Err(failure) => assert_eq!((failure.class, failure.detail), (3, 1)),
        }
        initiator.is_some()
    });
    let mut initiator = initiator.unwrap();
    initiator.settle(0);
    initiator
}

fn swap(initiator: &mut Initiator, lba: u64, from: &[u8], to: &[u8]) -> Answer {
    let blocks = u8::try_from(from.len() / 512).unwrap();
    initiator.write_command(0, &compare_and_write(lba, blocks), &[from, to].concat())
}

/// Whether the swap was made; anything but a miscompare is a failure.
fn swapped(answer: &Answer) -> bool {
    if answer.status == 0 {
        return true;
    }
    assert_eq!(answer.sense_code(), (0xe, 0x1d, 0), "{answer:?}");
    false
}

/// Takes the lock, adds one to the counter in two steps that nobody may come between, and gives the
/// lock back, `rounds` times.
fn work(portal: SocketAddr, isid: u8, rounds: u64, start: &Barrier) {
    let mut initiator = session(portal, isid);
    let (free, mine) = ([0; 512], [isid; 512]);
    start.wait();
    for _ in 0..rounds {
        while !swapped(&swap(&mut initiator, LOCK, &free, &mine)) {}
        let answer = initiator.read(0, COUNTER, 1);
        answer.assert_good();
        let count = u64::from_be_bytes(answer.data[..8].try_into().unwrap());
        let mut next = mine;
        next[..8].copy_from_slice(&(count + 1).to_be_bytes());
        initiator.write(0, COUNTER, &next, false).assert_good();
        assert!(
            swapped(&swap(&mut initiator, LOCK, &mine, &free)),
            "somebody else has had the lock at the same time"
        );
    }
}

#[test]
fn two_sessions_with_a_block_as_their_spin_lock_lose_no_count() {
    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let daemon = Daemon::with_lun("64M");
    let portal = daemon.portal;
    let start = Barrier::new(2);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..=2)
            .map(|isid| {
                let start = &start;
                scope.spawn(move || work(portal, isid, rounds / 2, start))
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let mut initiator = session(portal, 3);
    let answer = initiator.read(0, COUNTER, 1);
    let count = u64::from_be_bytes(answer.data[..8].try_into().unwrap());
    let seconds = begun.elapsed().as_secs_f64();
    println!("{rounds} rounds in {seconds:.1} s, counted {count}");
    assert_eq!(count, rounds / 2 * 2);
    assert_eq!(initiator.read(0, LOCK, 1).data, [0; 512]);
}

#[test]
fn no_reader_sees_half_of_a_swap() {
    const BLOCKS: u32 = 255;
    const LENGTH: usize = 255 * 512;
    let daemon = Daemon::with_lun("64M");
    let portal = daemon.portal;
    std::thread::scope(|scope| {
        let swapper = scope.spawn(move || {
            let mut initiator = session(portal, 1);
            for round in 0..200_u8 {
                let (from, to) = (vec![round; LENGTH], vec![round + 1; LENGTH]);
                assert!(swapped(&swap(&mut initiator, 8, &from, &to)));
            }
        });
        let mut initiator = session(portal, 2);
        while !swapper.is_finished() {
            let answer = initiator.read(0, 8, BLOCKS);
            answer.assert_good();
            let first = answer.data[0];
            assert!(answer.data == vec![first; LENGTH], "half of a swap");
        }
        swapper.join().unwrap();
    });
}

#[test]
fn a_miscompare_says_where_and_changes_nothing() {
    let daemon = Daemon::with_lun("64M");
    let mut initiator = session(daemon.portal, 1);
    let mut from = vec![0; 2048];
    from[1500] = 1;
    let answer = swap(&mut initiator, 0, &from, &[9; 2048]);
    assert!(!swapped(&answer));
    assert_eq!(answer.sense[0], 0xf0, "INFORMATION is valid");
    assert_eq!(answer.sense[3..7], 1500_u32.to_be_bytes());
    assert_eq!(initiator.read(0, 0, 4).data, [0; 2048]);
}

const WRITE_ATOMIC: u8 = 0x9c;
/// As long as they get.
const ATOMIC_BLOCKS: u32 = 2048;

fn write_atomic(initiator: &mut Initiator, lba: u64, fill: u8) -> std::io::Result<Answer> {
    let data = vec![fill; ATOMIC_BLOCKS as usize * 512];
    let cdb = cdb16(WRITE_ATOMIC, lba, ATOMIC_BLOCKS, false);
    let expected = u32::try_from(data.len()).unwrap();
    let pdu = initiator
        .command(0, &cdb, 0x20, expected)
        .with_data(&data[..65_536]);
    initiator.send(&pdu)?;
    initiator.finish(pdu.get(16), &data)
}

/// The bytes of the area that atomic writes go to, which must be all alike.
fn whole(initiator: &mut Initiator, lba: u64) -> u8 {
    let answer = initiator.read(0, lba, ATOMIC_BLOCKS);
    answer.assert_good();
    let first = answer.data[0];
    let differs = answer.data.iter().position(|byte| *byte != first);
    assert_eq!(differs, None, "a part of an atomic write");
    first
}

#[test]
fn an_atomic_write_that_is_cut_by_a_kill_is_done_or_was_never_begun() {
    const KILLS: u64 = 12;
    const LBA: u64 = 8;
    let mut daemon = Daemon::with_lun("64M");
    let mut fill = 0_u8;
    for kill in 0..KILLS {
        let mut initiator = session(daemon.portal, 1);
        assert_eq!(whole(&mut initiator, LBA), fill);
        let written = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&written);
        let writer = std::thread::spawn(move || {
            let mut done = fill;
            loop {
                let next = done.wrapping_add(1);
                match write_atomic(&mut initiator, LBA, next) {
                    Ok(answer) => assert_eq!(answer.status, 0, "{answer:?}"),
                    Err(_) => return (done, next),
                }
                done = next;
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        // In the middle of one more write, after another number of them each time.
        wait_until("some are written", Duration::from_secs(60), || {
            written.load(Ordering::Relaxed) > kill
        });
        daemon = daemon.kill_and_restart();
        let (done, next) = writer.join().unwrap();
        let mut initiator = session(daemon.portal, 1);
        let found = whole(&mut initiator, LBA);
        assert!(
            [done, next].contains(&found),
            "{found} after {done} and {next}"
        );
        fill = found;
    }
}

#[test]
fn an_atomic_write_is_announced_and_no_reader_sees_half_of_it() {
    let daemon = Daemon::with_lun("64M");
    let portal = daemon.portal;
    let mut reader = session(portal, 2);
    let page = reader.read_command(0, &[0x12, 1, 0xb0, 0, 0xff, 0], 255);
    assert_eq!(page.data[44..48], ATOMIC_BLOCKS.to_be_bytes());
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut initiator = session(portal, 1);
            for fill in 1..=20 {
                let answer = write_atomic(&mut initiator, 3, fill).unwrap();
                answer.assert_good();
            }
        });
        while !writer.is_finished() {
            whole(&mut reader, 3);
        }
        writer.join().unwrap();
    });
    assert_eq!(whole(&mut reader, 3), 20);
}
