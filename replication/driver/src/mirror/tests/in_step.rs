//! Hosts work on several engines while the link is cut and made again; afterwards both ends hold the same.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tidelock_block::MemoryFile;
use tidelock_mirror::association::{Event, Report};
use tidelock_volume::BlockSize;

use super::host::{BLOCK, Host, Random};
use super::house::{House, Link, REGION, config, create, node, wait_until};
use crate::engine::EngineKind;
use crate::family::testing::MemoryDisk;
use crate::op::{VolumeOp, VolumeOutcome};
use crate::volume::{CreateOptions, OpenOptions, Volume};

const BYTES: u64 = 6 << 20;

/// Two ends that know each other.
pub(super) struct Pair {
    pub(super) houses: [House; 2],
    pub(super) link: Arc<Link>,
    pub(super) folder: TempDir,
}

impl Pair {
    pub(super) fn new(kind: EngineKind, volumes: [Arc<Volume>; 2]) -> Self {
        Self::over(Link::default(), kind, volumes)
    }

    /// Both in one process.
    pub(super) fn near(kind: EngineKind, volumes: [Arc<Volume>; 2]) -> Self {
        Self::over(Link::near(), kind, volumes)
    }

    fn over(link: Link, kind: EngineKind, volumes: [Arc<Volume>; 2]) -> Self {
        let folder = TempDir::new().unwrap();
        let link = Arc::new(link);
        let mut volumes = volumes.into_iter();
        let mut house = |at: usize| {
            let place = folder.path().join(at.to_string());
            let volume = volumes.next().unwrap();
            create(at, &place, volume.size());
            House::open(at, &place, volume, &link, config(kind))
        };
        Self {
            houses: [house(0), house(1)],
            link,
            folder,
        }
    }

    /// Connects as often as need be, until they are in step.
    pub(super) fn meet(&self) {
        wait_until("a peer in step", || {
            if !self.link.is_up() {
                self.link.connect();
            }
            self.houses.iter().any(House::is_in_step)
        });
    }

    /// What both hold, once nothing is under way.
    #[track_caller]
    pub(super) fn compare(&self, kind: EngineKind) {
        wait_until("quiet", || {
            let waiting = |it: &House| it.end.facts().waiting;
            self.houses.iter().map(waiting).sum::<usize>() == 0
        });
        let content = |it: &House| content(kind, &it.volume);
        let [ours, theirs] = self.houses.each_ref().map(content);
        for (at, (ours, theirs)) in ours.chunks(512).zip(theirs.chunks(512)).enumerate() {
            assert!(ours == theirs, "block {at} differs");
        }
    }
}

/// All of a volume, as it is read.
pub(super) fn content(kind: EngineKind, volume: &Arc<Volume>) -> Vec<u8> {
    let mut host = Host::new(kind, volume);
    let mut all = Vec::new();
    for offset in (0..volume.size()).step_by(1 << 20) {
        let length = (volume.size() - offset).min(1 << 20);
        match host.run(VolumeOp::Read { offset, length }) {
            VolumeOutcome::Read(bytes) => all.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    all
}

pub(super) fn file(folder: &Path, name: &str, direct: bool) -> Option<Arc<Volume>> {
    let open = OpenOptions {
        direct,
        journal: Some(crate::JournalPlace {
            path: folder.join(format!("{name}.journal")),
            owner: [3; 16],
        }),
        ..OpenOptions::new(&folder.join(name))
    };
    let options = CreateOptions {
        open,
        size: BYTES,
        preallocate: false,
    };
    Volume::create(&options)
        .inspect_err(|error| eprintln!("NOT TESTED here: {error}"))
        .ok()
}

/// Two hosts write on threads of their own, time after time, and each time the link is cut in the middle.
fn hosts_and_cuts(kind: EngineKind, pair: &Pair, commands: usize) {
    const TIMES: usize = 4;
    let [source, _] = &pair.houses;
    for time in 0..TIMES {
        pair.meet();
        let before = source.end.facts().written_bytes;
        std::thread::scope(|scope| {
            let host = |seed| {
                let volume = &source.volume;
                scope.spawn(move || {
                    let mut host = Host::new(kind, volume);
                    let commands = commands / TIMES;
                    let done = host.work(&mut Random(seed), commands, |_| false);
                    assert_eq!(done, commands);
                })
            };
            let seed = time as u64 * 10;
            let hosts = [host(seed + 1), host(seed + 2)];
            let are_done = || hosts.iter().all(std::thread::ScopedJoinHandle::is_finished);
            wait_until("writes", || {
                are_done() || source.end.facts().written_bytes > before + (1 << 20)
            });
            pair.link.cut();
            // Some cuts are over before anybody is served alone.
            if time % 2 == 0 {
                wait_until("the timer", || are_done() || source.timer());
                source.event(Event::TimeOut);
            }
            wait_until("the hosts", || {
                if !pair.link.is_up() {
                    pair.link.connect();
                }
                are_done()
            });
        });
    }
    pair.meet();
    pair.compare(kind);
    assert!(source.reported(|it| matches!(it, Report::Lost(_))) >= TIMES);
}

#[test]
fn raw_files_hold_the_same_whatever_hosts_do() {
    raw_files(Pair::new);
}

#[test]
fn raw_files_in_one_process_hold_the_same_whatever_hosts_do() {
    raw_files(Pair::near);
}

fn raw_files(pair: fn(EngineKind, [Arc<Volume>; 2]) -> Pair) {
    for (kind, direct) in [
        (EngineKind::Uring, false),
        (EngineKind::Uring, true),
        (EngineKind::ThreadPool, false),
    ] {
        let folder = TempDir::new().unwrap();
        let one = file(folder.path(), "one", direct);
        let other = file(folder.path(), "other", direct);
        let (Some(one), Some(other)) = (one, other) else {
            continue;
        };
        hosts_and_cuts(kind, &pair(kind, [one, other]), 200);
    }
}

#[test]
fn mapped_volumes_hold_the_same_whatever_hosts_do() {
    let bytes = usize::try_from(BYTES).unwrap();
    let (_disk, _family, one) = MemoryDisk::new(bytes, [1; 16]);
    let (_other_disk, _other_family, other) = MemoryDisk::new(bytes, [1; 16]);
    let pair = Pair::new(EngineKind::Memory, [one, other]);
    hosts_and_cuts(EngineKind::Memory, &pair, 400);
}

#[test]
fn a_source_in_a_family_and_a_target_in_a_file_hold_the_same() {
    let bytes = usize::try_from(BYTES).unwrap();
    let (_disk, _family, one) = MemoryDisk::new(bytes, [1; 16]);
    let other = Volume::in_memory(MemoryFile::new(bytes), BlockSize::B512).unwrap();
    let pair = Pair::near(EngineKind::Memory, [one, other]);
    hosts_and_cuts(EngineKind::Memory, &pair, 300);
}

/// A handover while hosts write: what isn't done here is told so, and the content goes over as it is.
#[test]
fn what_isnt_done_at_a_handover_is_said_to_be_for_another_path() {
    let kind = EngineKind::Memory;
    let volume = || Volume::in_memory(MemoryFile::new(1 << 20), BlockSize::B512).unwrap();
    let pair = Pair::new(kind, [volume(), volume()]);
    pair.meet();
    let mut host = Host::new(kind, &pair.houses[0].volume);
    host.work(&mut Random(1), 50, |_| false);
    pair.houses[0].event(Event::Wish(tidelock_mirror::association::Wish::HandOver(
        node(1),
    )));
    wait_until("the new source", || pair.houses[1].end.facts().serving);
    let refused = host.run(VolumeOp::Write {
        offset: 0,
        data: smallvec::smallvec![vec![1; 512].into()],
        fua: false,
    });
    assert!(
        matches!(&refused, VolumeOutcome::Failed(fault) if fault.kind == crate::VolumeFaultKind::NotSource),
        "{refused:?}"
    );
    let refused = host.run(VolumeOp::Flush);
    assert!(matches!(refused, VolumeOutcome::Failed(_)), "{refused:?}");
    let mut host = Host::new(kind, &pair.houses[1].volume);
    host.work(&mut Random(2), 50, |_| false);
    pair.meet();
    pair.compare(kind);
}

/// All of a large volume is given back without a byte of it on the link.
#[test]
fn zeros_travel_as_zeros() {
    let kind = EngineKind::Memory;
    let bytes = 1_u64 << 30;
    let volume = || {
        let memory = MemoryFile::sparse(bytes, None);
        Volume::in_memory(memory, BlockSize::B512).unwrap()
    };
    let folder = TempDir::new().unwrap();
    let link = Arc::new(Link::default());
    let mut houses = Vec::new();
    for at in 0..2 {
        let place = folder.path().join(at.to_string());
        create(at, &place, bytes);
        let config = crate::mirror::EndConfig {
            hot_max: 8192,
            ..config(kind)
        };
        houses.push(House::open(at, &place, volume(), &link, config));
    }
    let houses: [House; 2] = houses.try_into().ok().unwrap();
    let pair = Pair {
        houses,
        link,
        folder,
    };
    // Nothing but zeros is copied at first, which is 16,384 regions.
    pair.meet();
    let copied = pair.link.bytes();
    assert!(
        copied < 16_384 * 200,
        "{copied} bytes for nothing but zeros"
    );
    let mut host = Host::new(kind, &pair.houses[0].volume);
    for at in 0..8 {
        let written = host.run(VolumeOp::Write {
            offset: at * (128 << 20) + BLOCK,
            data: smallvec::smallvec![vec![9; 4096].into()],
            fua: false,
        });
        assert!(matches!(written, VolumeOutcome::Done));
    }
    let before = pair.link.bytes();
    let range = tidelock_volume::Range {
        offset: 0,
        length: bytes,
    };
    let unmapped = host.run(VolumeOp::Unmap {
        ranges: smallvec::smallvec![range],
    });
    assert!(matches!(unmapped, VolumeOutcome::Done), "{unmapped:?}");
    let sent = pair.link.bytes() - before;
    assert!(sent < 1 << 20, "{sent} bytes");
    let mut other = Host::new(kind, &pair.houses[1].volume);
    for at in 0..8 {
        let offset = at * (128 << 20);
        match other.run(VolumeOp::Read {
            offset,
            length: REGION,
        }) {
            VolumeOutcome::Read(bytes) => assert!(bytes.iter().all(|it| *it == 0), "at {at}"),
            other => panic!("{other:?}"),
        }
    }
}
