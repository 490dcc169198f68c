//! Asynchronous mirrors: whenever the target is promoted, it has what the source had after some write, never a gap.
//!
//! `TIDELOCK_PROMOTIONS=200 cargo test -p tidelock-replication --lib a_prefix` is the long run; `TIDELOCK_SEED=N`
//! begins it with another number.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use smallvec::smallvec;
use tidelock_mirror::association::{Event, Report, Wish};
use tidelock_mirror::epochs::{RpoState, Settings};

use super::host::{Host, Random};
use super::house::{node, wait_until};
use super::images::{BYTES, World};
use super::in_step::content;
use crate::engine::EngineKind;
use crate::mirror::{End, EndConfig};
use crate::op::{VolumeOp, VolumeOutcome};
use crate::volume::Volume;

const KIND: EngineKind = EngineKind::Memory;
const BLOCK: u64 = 4096;
const BLOCKS: u64 = BYTES / BLOCK;
const RPO: Settings = Settings { rpo_ms: 100 };

/// Looks at the schedule of an end for as long as that is there.
fn keep_schedule(end: Weak<End>) {
    std::thread::spawn(move || {
        while let Some(look) = end.upgrade().and_then(|end| end.look_at_schedule()) {
            std::thread::sleep(look.again);
        }
    });
}

impl World {
    fn open_asynchronous(&mut self, at: usize, rpo: Settings) {
        let link = Arc::clone(&self.link);
        self.nodes[at].open(&link, |config| EndConfig {
            hot_max: 4096,
            ..config
        });
        let end = &self.nodes[at].house().end;
        end.set_asynchronous(node(1 - at), Some(rpo)).unwrap();
        keep_schedule(Arc::downgrade(end));
    }

    /// So many cuts more have arrived.
    fn until_cuts(&self, source: usize, count: usize) {
        let house = self.nodes[source].house();
        let confirmed = || house.reported(|it| matches!(it, Report::CutConfirmed(_)));
        let before = confirmed();
        wait_until("a cut", || {
            if !self.link.is_up() {
                self.link.connect();
            }
            confirmed() >= before + count
        });
    }
}

/// A block with this number in it.
fn block(number: u64) -> Bytes {
    Bytes::from(number.to_le_bytes().repeat(512))
}

/// Where a number is written.
const fn place(number: u64) -> u64 {
    Random(number).0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

/// Writes numbers from `first` on, one after the other, until it is told to stop or the volume isn't written any more.
/// Answers the last one that may have been written.
fn write_numbers(volume: &Arc<Volume>, first: u64, stop: &AtomicBool) -> u64 {
    let mut host = Host::new(KIND, volume);
    let mut number = first;
    while !stop.load(Ordering::SeqCst) {
        let written = host.run(VolumeOp::Write {
            offset: place(number) % BLOCKS * BLOCK,
            data: smallvec![block(number)],
            fua: number.is_multiple_of(64),
        });
        if !matches!(written, VolumeOutcome::Done) {
            break;
        }
        number += 1;
    }
    number
}

fn numbers(content: &[u8]) -> Vec<u64> {
    let blocks = content.chunks(usize::try_from(BLOCK).unwrap());
    let number = |block: &[u8]| {
        let number = u64::from_le_bytes(block[..8].try_into().unwrap());
        assert!(
            block == &number.to_le_bytes().repeat(512)[..],
            "a block is torn"
        );
        number
    };
    blocks.map(number).collect()
}

/// What is there after some write from `first` on, and after all before it. Answers the last write that is in it.
fn last_of_a_prefix(before: &[u64], first: u64, now: &[u64]) -> u64 {
    let last = now.iter().copied().max().unwrap_or(0).max(first - 1);
    let mut expected = before.to_vec();
    for number in first..=last {
        expected[usize::try_from(place(number) % BLOCKS).unwrap()] = number;
    }
    let gap = expected
        .iter()
        .zip(now)
        .position(|(one, other)| one != other);
    assert_eq!(
        gap, None,
        "of the writes from {first} to {last} it isn't each one"
    );
    last
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |it| it.parse().unwrap())
}

#[test]
fn whenever_a_target_is_promoted_it_has_a_prefix_of_what_was_written() {
    let promotions = setting("TIDELOCK_PROMOTIONS", 12);
    let mut random = Random(setting("TIDELOCK_SEED", 1));
    let mut world = World::new();
    for at in 0..2 {
        world.open_asynchronous(at, RPO);
    }
    let mut source = 0;
    // What the source had before the first write of this round.
    let mut before = vec![0; usize::try_from(BLOCKS).unwrap()];
    let mut first = 1;
    let mut lost = 0;
    // What a target had before it was one isn't of this history.
    world.until_cuts(source, 1);
    for round in 0..promotions {
        let target = 1 - source;
        let stop = AtomicBool::new(false);
        let volume = Arc::clone(world.nodes[source].volume());
        let pause = Duration::from_millis(random.below(250));
        let last_written = std::thread::scope(|scope| {
            let writer = scope.spawn(|| write_numbers(&volume, first, &stop));
            std::thread::sleep(pause);
            world.link.cut();
            world.promote(target);
            // The old source goes on for a while, which the new one doesn't get.
            std::thread::sleep(Duration::from_millis(random.below(10)));
            stop.store(true, Ordering::SeqCst);
            writer.join().unwrap()
        });
        drop(volume);
        let now = numbers(&content(KIND, world.nodes[target].volume()));
        let last = last_of_a_prefix(&before, first, &now);
        lost += u64::from(last + 1 < last_written);
        (before, first) = (now, last_written + 1);
        // The power goes at either end, or at both, now and then.
        for at in 0..2 {
            if random.below(4) == 0 {
                let power = random.below(2) == 0;
                if at == target {
                    // What a crash may take isn't looked for.
                    let mut host = Host::new(KIND, world.nodes[at].volume());
                    assert!(matches!(host.run(VolumeOp::Flush), VolumeOutcome::Done));
                }
                world.nodes[at].stop(power);
                world.open_asynchronous(at, RPO);
            }
        }
        let old = world.nodes[source].house();
        old.event(Event::Wish(Wish::GiveUp));
        source = target;
        world.until_cuts(source, 1);
        let [one, other] = world.nodes.each_ref().map(|it| content(KIND, it.volume()));
        assert!(one == other, "after {} promotions", round + 1);
        world.nodes[1 - source].forget_kept();
    }
    assert!(lost > 0, "the target was never behind");
}

/// Memory and disk at the source don't grow with the time that the target is away, the RPO is missed and kept again, and
/// each is told once.
#[test]
fn a_target_that_is_away_is_told_of_once_and_gets_the_difference_when_it_is_back() {
    let mut world = World::new();
    for at in 0..2 {
        world.open_asynchronous(at, RPO);
    }
    world.until_cuts(0, 1);
    let end = Arc::clone(&world.nodes[0].house().end);
    let behind = || end.facts().peers[0].behind.unwrap();
    wait_until("everything", || behind().lag.bytes == 0);
    assert!(behind().cut_at.is_some());
    world.link.cut();
    let stop = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let volume = world.nodes[0].volume();
        let writer = scope.spawn(|| write_numbers(volume, 1, &stop));
        wait_until("the alarm", || behind().rpo == RpoState::Missed);
        wait_until("much to send", || behind().lag.bytes > BYTES);
        stop.store(true, Ordering::SeqCst);
        writer.join().unwrap()
    });
    assert!(behind().lag.ms > 100);
    assert!(world.nodes[0].hidden().is_empty(), "nobody is sent a cut");
    wait_until("the difference", || {
        if !world.link.is_up() {
            world.link.connect();
        }
        behind().rpo == RpoState::Kept && behind().lag.bytes == 0
    });
    let [one, other] = world.nodes.each_ref().map(|it| content(KIND, it.volume()));
    assert!(one == other);
    let before = vec![0; usize::try_from(BLOCKS).unwrap()];
    assert_eq!(last_of_a_prefix(&before, 1, &numbers(&other)), last - 1);
    wait_until("what isn't needed to go", || {
        world.nodes.iter().all(|it| it.hidden().is_empty())
    });
}

/// Reset To Sync, and back: hosts wait for the target, which can take over without losing anything.
#[test]
fn an_asynchronous_target_becomes_a_synchronous_one_and_takes_over() {
    let mut world = World::new();
    for at in 0..2 {
        world.open_asynchronous(at, RPO);
    }
    world.until_cuts(0, 1);
    let stop = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let volume = world.nodes[0].volume();
        let writer = scope.spawn(|| write_numbers(volume, 1, &stop));
        for at in 0..2 {
            let end = &world.nodes[at].house().end;
            end.set_asynchronous(node(1 - at), None).unwrap();
        }
        world.meet();
        world.nodes[0]
            .house()
            .event(Event::Wish(Wish::HandOver(node(1))));
        wait_until("the new source", || {
            world.nodes[1].house().end.facts().serving
        });
        stop.store(true, Ordering::SeqCst);
        writer.join().unwrap()
    });
    let before = vec![0; usize::try_from(BLOCKS).unwrap()];
    let now = numbers(&content(KIND, world.nodes[1].volume()));
    // The last one was refused, as it came too late.
    assert_eq!(last_of_a_prefix(&before, 1, &now), last - 1);
    for at in 0..2 {
        let end = &world.nodes[at].house().end;
        end.set_asynchronous(node(1 - at), Some(RPO)).unwrap();
        keep_schedule(Arc::downgrade(end));
    }
    world.until_cuts(1, 1);
}
