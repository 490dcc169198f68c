//! Ends that lose their power in the middle of things: what was flushed is there afterwards, and what is there is the
//! same at both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::smallvec;
use tempfile::TempDir;
use tidelock_block::MemoryFile;
use tidelock_mirror::association::{Event, Wish};
use tidelock_volume::BlockSize;

use super::host::{BLOCK, Host, Random};
use super::house::{House, Link, config, create, node, wait_until};
use super::in_step::{Pair, content};
use crate::engine::EngineKind;
use crate::op::{VolumeOp, VolumeOutcome};
use crate::volume::Volume;

const KIND: EngineKind = EngineKind::Memory;
const BLOCKS: u64 = 2048;

struct World {
    memories: [MemoryFile; 2],
    folder: TempDir,
    link: Arc<Link>,
    houses: [Option<House>; 2],
    /// What was flushed, and what was written last, by block. 0: zeros.
    flushed: BTreeMap<u64, u64>,
    written: BTreeMap<u64, Vec<u64>>,
    random: Random,
    next: u64,
}

impl World {
    fn new(seed: u64, link: Link) -> Self {
        let bytes = usize::try_from(BLOCKS * BLOCK).unwrap();
        let folder = TempDir::new().unwrap();
        for at in 0..2 {
            create(at, &place(&folder, at), BLOCKS * BLOCK);
        }
        let mut world = Self {
            memories: [MemoryFile::new(bytes), MemoryFile::new(bytes)],
            folder,
            link: Arc::new(link),
            houses: [None, None],
            flushed: BTreeMap::new(),
            written: BTreeMap::new(),
            random: Random(seed),
            next: 1,
        };
        world.open(0);
        world.open(1);
        world
    }

    fn open(&mut self, at: usize) {
        let volume = Volume::in_memory(self.memories[at].clone(), BlockSize::B512).unwrap();
        let folder = place(&self.folder, at);
        self.houses[at] = Some(House::open(at, &folder, volume, &self.link, config(KIND)));
    }

    fn house(&self, at: usize) -> &House {
        self.houses[at].as_ref().unwrap()
    }

    fn meet(&self) {
        wait_until("a peer in step", || {
            if !self.link.is_up() {
                self.link.connect();
            }
            (0..2).any(|at| self.house(at).is_in_step())
        });
    }

    /// The host of an end writes for a while. Answers it with some commands still under way.
    fn write(&mut self, at: usize, commands: u64) -> Host {
        let volume = Arc::clone(&self.house(at).volume);
        let mut host = Host::new(KIND, &volume);
        let mut under_way: BTreeMap<u64, Option<(u64, u64)>> = BTreeMap::new();
        let mut pending: BTreeMap<u64, u64> = BTreeMap::new();
        for _ in 0..commands {
            if self.random.below(12) == 0 {
                // What is done is flushed.
                let mut flush = None;
                while flush.is_none_or(|it| under_way.contains_key(&it)) {
                    flush.get_or_insert_with(|| {
                        let token = host.start(VolumeOp::Flush);
                        under_way.insert(token, None);
                        token
                    });
                    for (token, outcome) in host.finish() {
                        assert!(matches!(outcome, VolumeOutcome::Done), "{outcome:?}");
                        under_way.remove(&token);
                    }
                }
                // Whatever ended before the flush began; later ones count with the next.
                self.flushed.append(&mut pending);
                continue;
            }
            let block = self.random.below(BLOCKS);
            let number = self.next;
            self.next += 1;
            let fua = self.random.below(8) == 0;
            self.written.entry(block).or_default().push(number);
            let token = host.start(write(block, number, fua));
            under_way.insert(token, Some((block, number)));
            while under_way.len() > 6 {
                for (token, outcome) in host.finish() {
                    assert!(matches!(outcome, VolumeOutcome::Done), "{outcome:?}");
                    if let Some(Some((block, number))) = under_way.remove(&token) {
                        pending.insert(block, number);
                    }
                }
            }
        }
        host
    }

    fn cut_power(&mut self, at: usize) {
        self.houses[at].take().unwrap().kill();
        let mut random = Random(self.random.next());
        self.memories[at].crash_keeping(|| random.below(2) == 0);
    }

    /// Both hold the same: of each block what was flushed last or something newer, and nothing that was never written.
    fn check(&self) {
        let [ours, theirs] = [0, 1].map(|at| content(KIND, &self.house(at).volume));
        assert!(ours == theirs, "the ends differ");
        for (block, bytes) in (0..BLOCKS).zip(ours.chunks(512)) {
            let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert_eq!(
                bytes,
                number.to_le_bytes().repeat(64),
                "block {block} is torn"
            );
            let none = Vec::new();
            let written = self.written.get(&block).unwrap_or(&none);
            let flushed = self.flushed.get(&block).copied().unwrap_or(0);
            let place = |number: u64| written.iter().position(|it| *it == number);
            assert!(
                number == flushed || place(number) > place(flushed),
                "block {block} holds {number}, flushed was {flushed} of {written:?}"
            );
        }
    }

    /// Only what is there counts from now on.
    fn forget(&mut self) {
        let content = content(KIND, &self.house(0).volume);
        self.flushed.clear();
        self.written.clear();
        for (block, bytes) in (0..BLOCKS).zip(content.chunks(512)) {
            let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            if number != 0 {
                self.flushed.insert(block, number);
                self.written.insert(block, vec![number]);
            }
        }
    }
}

fn place(folder: &TempDir, at: usize) -> PathBuf {
    folder.path().join(at.to_string())
}

fn write(block: u64, number: u64, fua: bool) -> VolumeOp {
    VolumeOp::Write {
        offset: block * BLOCK,
        data: smallvec![Bytes::from(number.to_le_bytes().repeat(64))],
        fua,
    }
}

#[test]
fn what_was_flushed_survives_power_cuts_of_either_end_and_of_both() {
    for seed in 0..4 {
        let one_process = seed == 3;
        let link = if one_process {
            Link::near()
        } else {
            Link::default()
        };
        let mut world = World::new(seed, link);
        world.meet();
        for round in 0..6 {
            let commands = 20 + world.random.below(150);
            let mut host = world.write(0, commands);
            match round % 3 {
                0 => world.cut_power(1),
                // The engine of a host ends with all of its process.
                1 if !one_process => world.cut_power(0),
                _ => {
                    world.cut_power(0);
                    world.cut_power(1);
                }
            }
            // A host whose end is gone is gone with it, and the other one goes on.
            if world.houses[0].is_none() {
                drop(host);
            } else {
                world.open(1);
                wait_until("the host", || {
                    if !world.link.is_up() {
                        world.link.connect();
                    }
                    host.turn();
                    host.engine.in_flight() == 0
                });
            }
            for at in 0..2 {
                if world.houses[at].is_none() {
                    world.open(at);
                }
            }
            world.meet();
            world.check();
            // What is there was made durable by the resync, or isn't promised.
            world.forget();
            let mut host = Host::new(KIND, &world.house(0).volume);
            assert!(matches!(host.run(VolumeOp::Flush), VolumeOutcome::Done));
        }
    }
}

/// The target goes on alone, by force, with all that was flushed; the old source comes back and takes what is there.
#[test]
fn a_target_that_is_promoted_has_what_was_flushed() {
    for seed in 0..3 {
        let mut world = World::new(100 + seed, Link::default());
        world.meet();
        let host = world.write(0, 100);
        world.cut_power(0);
        drop(host);
        wait_until("the new source", || {
            // It is refused until the target has seen that nobody is there.
            world.house(1).event(Event::Wish(Wish::Promote));
            world.house(1).end.facts().serving
        });
        let mut host = world.write(1, 60);
        wait_until("the host", || {
            host.turn();
            host.engine.in_flight() == 0
        });
        world.open(0);
        world.house(0).event(Event::Wish(Wish::GiveUp));
        world.meet();
        world.check();
        assert!(world.house(1).end.facts().serving);
    }
}

/// While a peer isn't there and hosts are served alone, a restart of the source loses nothing of what it did alone.
#[test]
fn what_was_done_alone_is_known_after_a_power_cut() {
    let mut world = World::new(7, Link::default());
    world.meet();
    let mut host = world.write(0, 50);
    world.cut_power(1);
    wait_until("the host", || {
        world.house(0).event(Event::Wish(Wish::GoOnAlone));
        host.turn();
        host.engine.in_flight() == 0
    });
    let host = world.write(0, 100);
    world.cut_power(0);
    drop(host);
    world.open(0);
    world.open(1);
    world.meet();
    world.check();
}

#[test]
fn a_pair_of_the_other_tests_is_quiet_at_the_end() {
    let volume = || {
        let bytes = usize::try_from(BLOCKS * BLOCK).unwrap();
        Volume::in_memory(MemoryFile::new(bytes), BlockSize::B512).unwrap()
    };
    let pair = Pair::new(KIND, [volume(), volume()]);
    pair.meet();
    pair.compare(KIND);
    let [source, target] = pair.houses.each_ref().map(|it| it.end.facts());
    assert!(source.serving && !target.serving);
    assert!(source.has_image && target.has_image);
    assert_eq!((source.hot_regions, target.hot_regions), (0, 0));
    assert_eq!(source.lineage, target.lineage);
    assert_eq!(source.holders, [node(1)]);
}
