//! Ends over volumes in families: a target that is overwritten goes back to what it was, whatever happens meanwhile, and
//! what was dropped is kept.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::smallvec;
use tempfile::TempDir;
use tidelock_mirror::association::{Event, Wish};
use tidelock_mirror::resync::Limits;
use tidelock_volume::mapped::Id;

use super::host::{Host, Random};
use super::house::{House, Link, REGION, config, create, hands, node, wait_until};
use super::in_step::content;
use crate::engine::EngineKind;
use crate::family::testing::MemoryDisk;
use crate::family::{Family, MappedOptions};
use crate::mirror::{EndConfig, Hidden, Images, SnapshotKeeper, Untaken, take_hidden};
use crate::op::{VolumeOp, VolumeOutcome};
use crate::volume::Volume;

const KIND: EngineKind = EngineKind::Memory;
pub(super) const BYTES: u64 = 4 << 20;
const HEAD: Id = [1; 16];

/// Who has the volume: people have what is in the list.
pub(super) struct Album {
    volume: Weak<Volume>,
    kept: Arc<Mutex<Vec<Id>>>,
}

impl SnapshotKeeper for Album {
    fn take(&self, id: Id) -> Result<(), Untaken> {
        let volume = self.volume.upgrade().ok_or(Untaken::NotYet)?;
        take_hidden(&volume, id).map_err(|error| Untaken::Failed(error.to_string()))
    }

    fn keep(&self, id: Id) -> Result<(), String> {
        let mut kept = self.kept.lock();
        if !kept.contains(&id) {
            kept.push(id);
        }
        Ok(())
    }

    fn has(&self, id: Id) -> bool {
        self.kept.lock().contains(&id)
    }
}

/// A node: what of it survives a loss of power, and what runs if it does.
pub(super) struct Node {
    at: usize,
    disk: MemoryDisk,
    family: Option<Arc<Family>>,
    volume: Option<Arc<Volume>>,
    kept: Arc<Mutex<Vec<Id>>>,
    house: Option<House>,
    place: PathBuf,
}

impl Node {
    pub(super) fn house(&self) -> &House {
        self.house.as_ref().unwrap()
    }

    pub(super) fn volume(&self) -> &Arc<Volume> {
        self.volume.as_ref().unwrap()
    }

    fn family(&self) -> &Arc<Family> {
        self.family.as_ref().unwrap()
    }

    pub(super) fn open(&mut self, link: &Arc<Link>, more: impl FnOnce(EndConfig) -> EndConfig) {
        let volume = Arc::clone(self.volume());
        let album = Album {
            volume: Arc::downgrade(&volume),
            kept: Arc::clone(&self.kept),
        };
        let images = Images::new(&volume, node(self.at), hands(KIND), Arc::new(album));
        let config = EndConfig {
            images: Some(images),
            ..more(config(KIND))
        };
        self.house = Some(House::open(self.at, &self.place, volume, link, config));
    }

    /// The daemon is gone, and the power if that is said.
    pub(super) fn stop(&mut self, power: bool) {
        if let Some(house) = self.house.take() {
            house.kill();
        }
        self.volume = None;
        let family = self.family.take().unwrap();
        // What is under way has the family still, for a moment.
        wait_until("the last operations", || Arc::strong_count(&family) == 1);
        let family = match power {
            true => self.disk.power_cut(family),
            false => self.disk.kill(family),
        };
        let options = MappedOptions {
            block_size: 512,
            size: BYTES,
            read_only: false,
        };
        self.volume = Some(family.volume(HEAD, &options).unwrap());
        self.family = Some(family);
    }

    /// The snapshots that it has, but for those that people have.
    pub(super) fn hidden(&self) -> Vec<Hidden> {
        let all = self.family().datasets().into_iter();
        let hidden = all.filter(|it| it.is_snapshot && !it.deleting);
        let hidden = hidden.filter(|it| !self.kept.lock().contains(&it.id));
        let hidden = hidden.filter_map(|it| Hidden::of(it.id, node(self.at)));
        hidden.collect()
    }

    /// People delete what was kept.
    pub(super) fn forget_kept(&self) {
        for id in self.kept.lock().drain(..) {
            self.family().delete(id).unwrap();
        }
    }

    fn kept_content(&self, at: usize) -> Vec<u8> {
        let id = self.kept.lock()[at];
        let options = MappedOptions {
            block_size: 512,
            size: BYTES,
            read_only: true,
        };
        self.family().settle(id).unwrap();
        content(KIND, &self.family().volume(id, &options).unwrap())
    }
}

pub(super) struct World {
    pub(super) nodes: [Node; 2],
    pub(super) link: Arc<Link>,
    _folder: TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let nodes = [0, 1].map(|at| {
            let place = folder.path().join(at.to_string());
            create(at, &place, BYTES);
            let bytes = usize::try_from(BYTES).unwrap();
            let (disk, family, volume) = MemoryDisk::new(bytes, HEAD);
            Node {
                at,
                disk,
                family: Some(family),
                volume: Some(volume),
                kept: Arc::default(),
                house: None,
                place,
            }
        });
        Self {
            nodes,
            link: Arc::new(Link::default()),
            _folder: folder,
        }
    }

    pub(super) fn meet(&self) {
        wait_until("a peer in step", || {
            if !self.link.is_up() {
                self.link.connect();
            }
            self.nodes.iter().any(|it| it.house().is_in_step())
        });
    }

    /// The source goes on alone.
    fn alone(&self) {
        let house = self.nodes[0].house();
        self.link.cut();
        wait_until("the loss", || !house.is_in_step());
        house.event(Event::Wish(Wish::GoOnAlone));
    }

    pub(super) fn promote(&self, at: usize) {
        wait_until("the new source", || {
            // It is refused until the target has seen that nobody is there.
            let house = self.nodes[at].house();
            house.event(Event::Wish(Wish::Promote));
            house.end.facts().serving
        });
    }
}

fn fill(random: &mut Random, volume: &Arc<Volume>, writes: u64) {
    let mut host = Host::new(KIND, volume);
    for _ in 0..writes {
        let offset = random.below(BYTES / 4096) * 4096;
        let number = random.next();
        let written = host.run(VolumeOp::Write {
            offset,
            data: smallvec![Bytes::from(number.to_le_bytes().repeat(512))],
            fua: false,
        });
        assert!(matches!(written, VolumeOutcome::Done), "{written:?}");
    }
    assert!(matches!(host.run(VolumeOp::Flush), VolumeOutcome::Done));
}

/// So slow that a resync isn't over before somebody looks.
fn slowly(config: EndConfig) -> EndConfig {
    EndConfig {
        limits: Limits {
            rate_max: Some(8 * REGION),
            ..config.limits
        },
        ..config
    }
}

/// A source that went on alone, and a target that gets what it lacks, slowly. Answers what the target had before.
fn half_a_resync(seed: u64) -> (World, Vec<u8>) {
    let mut random = Random(seed);
    let mut world = World::new();
    let link = Arc::clone(&world.link);
    world.nodes[0].open(&link, |it| it);
    world.nodes[1].open(&link, |it| it);
    world.meet();
    fill(&mut random, world.nodes[0].volume(), 100);
    let before = content(KIND, world.nodes[1].volume());
    world.alone();
    fill(&mut random, world.nodes[0].volume(), 200);
    // Both are restarted, so that it isn't gone on with what is known to be lacking.
    world.nodes[0].stop(false);
    world.nodes[0].open(&link, slowly);
    wait_until("half a resync", || {
        if !world.link.is_up() {
            world.link.connect();
        }
        let facts = world.nodes[1].house().end.facts();
        !facts.has_image && content(KIND, world.nodes[1].volume()) != before
    });
    assert_eq!(world.nodes[1].hidden(), [Hidden::Safety]);
    (world, before)
}

#[test]
fn a_target_that_is_promoted_goes_back_to_its_image() {
    let (mut world, before) = half_a_resync(1);
    world.nodes[0].stop(true);
    world.promote(1);
    assert!(content(KIND, world.nodes[1].volume()) == before);
    wait_until("what isn't needed to go", || {
        world.nodes[1].hidden().is_empty()
    });
}

#[test]
fn a_target_that_loses_its_power_in_a_resync_has_its_image_when_it_is_back() {
    for power in [false, true] {
        let (mut world, before) = half_a_resync(2);
        let link = Arc::clone(&world.link);
        world.nodes[0].stop(true);
        world.nodes[1].stop(power);
        world.nodes[1].open(&link, |it| it);
        wait_until("the image", || world.nodes[1].house().end.facts().has_image);
        assert!(content(KIND, world.nodes[1].volume()) == before);
        // And it can be gone on from there.
        world.nodes[0].open(&link, |it| it);
        world.meet();
        let [one, other] = world.nodes.each_ref().map(|it| content(KIND, it.volume()));
        assert!(one == other);
        wait_until("what isn't needed to go", || {
            world.nodes[1].hidden().is_empty()
        });
    }
}

#[test]
fn what_an_operator_drops_is_kept_as_a_snapshot() {
    for power in [false, true] {
        let mut random = Random(3);
        let mut world = World::new();
        let link = Arc::clone(&world.link);
        world.nodes[0].open(&link, |it| it);
        world.nodes[1].open(&link, |it| it);
        world.meet();
        fill(&mut random, world.nodes[0].volume(), 50);
        world.alone();
        fill(&mut random, world.nodes[0].volume(), 50);
        let dropped = content(KIND, world.nodes[0].volume());
        world.promote(1);
        fill(&mut random, world.nodes[1].volume(), 50);
        world.nodes[0].house().event(Event::Wish(Wish::GiveUp));
        if power {
            // In the middle of it.
            wait_until("the resync", || {
                if !world.link.is_up() {
                    world.link.connect();
                }
                !world.nodes[0].hidden().is_empty() || !world.nodes[0].kept.lock().is_empty()
            });
            world.nodes[0].stop(true);
            world.nodes[0].open(&link, |it| it);
        }
        world.meet();
        let [one, other] = world.nodes.each_ref().map(|it| content(KIND, it.volume()));
        assert!(one == other && one != dropped);
        wait_until("what was dropped", || {
            !world.nodes[0].kept.lock().is_empty() && world.nodes[0].hidden().is_empty()
        });
        assert!(world.nodes[0].kept_content(0) == dropped);
        // It is nobody's but people's: a resync, or the end of the mirror, leaves it alone.
        world.nodes[0].stop(true);
        world.nodes[0].open(&link, |it| it);
        let kept = world.nodes[0].kept.lock().clone();
        Images::remove_all(world.nodes[0].volume(), node(0), |id| kept.contains(&id));
        assert!(world.nodes[0].kept_content(0) == dropped);
    }
}

#[test]
fn what_an_operator_drops_is_kept_also_if_the_mirror_ends_meanwhile() {
    for back in [false, true] {
        let mut random = Random(4);
        let mut world = World::new();
        let link = Arc::clone(&world.link);
        world.nodes[0].open(&link, |it| it);
        world.nodes[1].open(&link, |it| it);
        world.meet();
        world.alone();
        fill(&mut random, world.nodes[0].volume(), 200);
        let dropped = content(KIND, world.nodes[0].volume());
        world.promote(1);
        fill(&mut random, world.nodes[1].volume(), 200);
        world.nodes[1].stop(false);
        world.nodes[1].open(&link, slowly);
        world.nodes[0].house().event(Event::Wish(Wish::GiveUp));
        wait_until("half a resync", || {
            if !world.link.is_up() {
                world.link.connect();
            }
            !world.nodes[0].house().end.facts().has_image
                && content(KIND, world.nodes[0].volume()) != dropped
        });
        assert_eq!(world.nodes[0].hidden(), [Hidden::Dropped]);
        let ids = Images::dropped(world.nodes[0].volume(), node(0));
        world.nodes[0].kept.lock().clone_from(&ids);
        world.nodes[1].stop(false);
        world.nodes[0].stop(true);
        if back {
            // The mirror hasn't ended after all: it is still what the end goes back to.
            world.nodes[0].open(&link, |it| it);
            wait_until("the image", || world.nodes[0].house().end.facts().has_image);
            assert!(content(KIND, world.nodes[0].volume()) == dropped);
            world.nodes[0].stop(true);
        }
        let kept = world.nodes[0].kept.lock().clone();
        Images::remove_all(world.nodes[0].volume(), node(0), |id| kept.contains(&id));
        assert_eq!((kept.len(), ids), (1, kept));
        assert!(world.nodes[0].kept_content(0) == dropped);
    }
}
