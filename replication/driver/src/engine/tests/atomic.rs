//! Atomic writes: a crash at every step, torn records, a full disk, and failures half-way.

use tidelock_block::{BlockFile, OpKind};

use super::*;
use crate::journal::JournalPlace;

const SIZE: usize = 64 << 10;
const LENGTH: usize = 8 << 10;
const AT: u64 = 4096;

/// A volume in memory with a journal in memory, and an engine for it.
struct Disk {
    rig: Rig,
    home: MemoryFile,
    journal: MemoryFile,
}

/// What of a power cut or a kill is left.
#[derive(Clone, Debug, PartialEq)]
struct Left {
    home: Vec<u8>,
    journal: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Crash {
    /// Everything that was written is in the page cache.
    Kill,
    /// Only what was made durable is left.
    PowerCut,
}

fn memory_of(content: &[u8]) -> MemoryFile {
    let memory = MemoryFile::new(content.len());
    let write = OpKind::Write {
        offset: 0,
        data: smallvec![Bytes::copy_from_slice(content)],
        dsync: true,
    };
    let written = BlockFile::in_memory(memory.clone()).perform(write);
    written.result.unwrap();
    memory
}

impl Disk {
    fn new() -> Self {
        Self::of(&Left {
            home: vec![1; SIZE],
            journal: Vec::new(),
        })
    }

    /// After a restart.
    fn of(left: &Left) -> Self {
        let (home, journal) = (memory_of(&left.home), memory_of(&left.journal));
        let (memory, record) = (home.clone(), Some(journal.clone()));
        let volume = Volume::in_memory_with(memory, BlockSize::B512, record).unwrap();
        let pool = Arc::new(BufferPool::new(16 << 20));
        let engine = Engine::new(EngineKind::Memory, 64, Arc::clone(&pool)).unwrap();
        let rig = Rig::of(engine, volume, pool, Some(home.clone()), None);
        Self { rig, home, journal }
    }

    fn crash(self, crash: Crash) -> Left {
        if let Crash::PowerCut = crash {
            self.home.crash();
            self.journal.crash();
        }
        Left {
            home: self.home.content(),
            journal: self.journal.content(),
        }
    }

    fn area(&mut self) -> Vec<u8> {
        self.rig.read(AT, LENGTH as u64).to_vec()
    }

    /// Starts an atomic write and lets it go as far as before this step.
    fn stopped_before(step: Step) -> Self {
        let mut disk = Self::new();
        match step {
            Step::Room => disk.journal.hold(OpName::Allocate),
            Step::Allocate => disk.home.hold(OpName::Allocate),
            Step::Record => disk.journal.hold(OpName::Write),
            Step::Place => disk.home.hold(OpName::Write),
            Step::Sync | Step::Retire => disk.home.hold(OpName::DataSync),
        }
        disk.rig.start(atomic(2));
        assert!(disk.rig.turn().is_empty(), "{step:?}");
        if let Step::Retire = step {
            disk.journal.hold(OpName::Write);
            disk.home.release();
            assert!(disk.rig.turn().is_empty());
        }
        disk
    }
}

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Step {
    Room,
    Allocate,
    Record,
    Place,
    Sync,
    Retire,
}

const STEPS: [Step; 6] = [
    Step::Room,
    Step::Allocate,
    Step::Record,
    Step::Place,
    Step::Sync,
    Step::Retire,
];

fn atomic(fill: u8) -> VolumeOp {
    let front = Bytes::from(vec![fill; 700]);
    let back = Bytes::from(vec![fill; LENGTH - 700]);
    VolumeOp::WriteAtomic {
        offset: AT,
        data: smallvec![front, back],
    }
}

#[test]
fn it_is_durable_when_it_is_done_and_not_done_again() {
    for crash in [Crash::Kill, Crash::PowerCut] {
        let mut disk = Disk::new();
        done(disk.rig.run(atomic(2)));
        assert_eq!(disk.rig.pool.in_use(), 0);
        let mut disk = Disk::of(&disk.crash(crash));
        assert_eq!(disk.area(), [2; LENGTH]);
        done(disk.rig.run(durable(write(AT, 512, 3))));
        let mut disk = Disk::of(&disk.crash(crash));
        assert_eq!(disk.area()[..1024], [[3; 512], [2; 512]].concat());
        done(disk.rig.run(atomic(4)));
        assert_eq!(disk.area(), [4; LENGTH]);
        assert_eq!(disk.rig.read(0, AT), vec![1; 4096]);
    }
}

#[test]
fn after_a_crash_at_any_step_it_is_done_or_was_never_begun() {
    for crash in [Crash::Kill, Crash::PowerCut] {
        for step in STEPS {
            let left = Disk::stopped_before(step).crash(crash);
            let mut disk = Disk::of(&left);
            let expected = if step < Step::Place { 1 } else { 2 };
            assert_eq!(disk.area(), [expected; LENGTH], "{crash:?} before {step:?}");
            assert_eq!(disk.rig.read(AT + LENGTH as u64, 512), vec![1; 512]);
            // What is written from now on isn't written over by what came before.
            done(disk.rig.run(durable(write(AT, 512, 9))));
            let mut disk = Disk::of(&disk.crash(crash));
            assert_eq!(disk.area()[..512], [9; 512], "{crash:?} before {step:?}");
        }
    }
}

#[test]
fn a_cleared_journal_has_nothing_left_and_goes_on_counting() {
    let mut disk = Disk::new();
    done(disk.rig.run(atomic(2)));
    assert!(disk.journal.content().contains(&2));
    disk.rig.volume.clear_journal().unwrap();
    let left = disk.crash(Crash::PowerCut);
    assert!(left.journal[4096..].iter().all(|byte| *byte == 0));
    let mut disk = Disk::of(&left);
    done(disk.rig.run(atomic(3)));
    assert_eq!(disk.area(), [3; LENGTH]);
}

#[test]
fn a_crash_while_a_record_is_written_out_does_no_harm() {
    let left = Disk::stopped_before(Step::Place).crash(Crash::PowerCut);
    // Opened, and lost the power before anything of that was durable.
    drop(Disk::of(&left));
    let mut disk = Disk::of(&left);
    assert_eq!(disk.area(), [2; LENGTH]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn a_torn_record_is_none_and_what_is_in_place_stays(
        arrived in proptest::collection::vec(proptest::bool::weighted(0.8), (4096 + LENGTH) / 512),
        former in 0..3_u8,
    ) {
        // Before it: nothing, a record that is done with, or one of the same place.
        let mut disk = Disk::new();
        for _ in 0..former {
            done(disk.rig.run(atomic(1)));
        }
        let before = disk.crash(Crash::PowerCut);
        let mut whole = Disk::of(&before);
        whole.home.hold(OpName::Write);
        whole.rig.start(atomic(2));
        assert!(whole.rig.turn().is_empty());
        let record = whole.crash(Crash::PowerCut).journal;
        let mut left = before.clone();
        for (sector, arrived) in arrived.iter().enumerate() {
            let at = sector * 512..(sector + 1) * 512;
            if *arrived {
                left.journal[at.clone()].copy_from_slice(&record[at]);
            }
        }
        let is_whole = left.journal[..4096 + LENGTH] == record[..4096 + LENGTH];
        let mut disk = Disk::of(&left);
        proptest::prop_assert_eq!(disk.area(), [if is_whole { 2 } else { 1 }; LENGTH]);
    }

    #[test]
    fn a_write_in_place_that_was_cut_anywhere_is_made_whole(
        arrived in proptest::collection::vec(proptest::prelude::any::<bool>(), LENGTH / 512),
    ) {
        let mut left = Disk::stopped_before(Step::Place).crash(Crash::PowerCut);
        for (sector, arrived) in arrived.iter().enumerate() {
            let at = 4096 + sector * 512;
            if *arrived {
                left.home[at..at + 512].fill(2);
            }
        }
        let mut disk = Disk::of(&left);
        proptest::prop_assert_eq!(disk.area(), [2; LENGTH]);
    }
}

#[test]
fn on_a_full_disk_nothing_is_begun() {
    for full in ["home", "journal"] {
        let mut disk = Disk::new();
        let memory = if full == "home" {
            &disk.home
        } else {
            &disk.journal
        };
        memory.fail_always(OpName::Allocate, libc::ENOSPC);
        let outcome = disk.rig.run(atomic(2));
        assert_eq!(fault(outcome).kind, VolumeFaultKind::NoSpace, "{full}");
        assert_eq!(disk.area(), [1; LENGTH]);
        assert!(disk.rig.volume.is_fenced().is_none());
        assert_eq!(disk.rig.volume.locks().entries(), 0);
        disk.home.heal();
        disk.journal.heal();
        done(disk.rig.run(atomic(2)));
    }
}

#[test]
fn a_file_that_cannot_allocate_is_written_all_the_same() {
    let mut disk = Disk::new();
    disk.home.fail_always(OpName::Allocate, libc::EOPNOTSUPP);
    done(disk.rig.run(atomic(2)));
    assert_eq!(disk.area(), [2; LENGTH]);
}

#[test]
fn what_failed_half_way_is_seen_by_nobody_until_it_is_made_whole() {
    let failures = [
        ("home", OpName::Write, 1),
        ("home", OpName::DataSync, 1),
        ("journal", OpName::Write, 1),
        ("journal", OpName::Write, 2),
    ];
    for (file, op, nth) in failures {
        let mut disk = Disk::new();
        let memory = if file == "home" {
            &disk.home
        } else {
            &disk.journal
        };
        memory.fail_nth(op, nth, libc::EIO);
        fault(disk.rig.run(atomic(2)));
        assert!(disk.rig.volume.is_fenced().is_some(), "{file} {op:?} {nth}");
        let reader = disk.rig.start(VolumeOp::Read {
            offset: AT,
            length: 512,
        });
        assert!(disk.rig.turn().is_empty(), "{file} {op:?} {nth}");
        assert_eq!(disk.rig.engine.waiting(), 1);
        assert_eq!(disk.rig.read(0, 512), vec![1; 512]);
        disk.rig.volume.unfence().unwrap();
        let (token, outcome) = disk.rig.finish(1).remove(0);
        assert_eq!(token, reader);
        assert!(matches!(outcome, VolumeOutcome::Read(_)));
        let area = disk.area();
        assert!(
            area.iter().all(|byte| *byte == area[0]),
            "{file} {op:?} {nth}"
        );
        assert_eq!(disk.rig.volume.locks().entries(), 0);
        done(disk.rig.run(atomic(5)));
    }
}

#[test]
fn one_that_is_given_up_half_way_is_finished_and_leaves_no_record() {
    for step in [Step::Place, Step::Sync, Step::Retire] {
        let mut disk = Disk::stopped_before(step);
        disk.rig.engine.detach(1);
        disk.home.release();
        disk.journal.release();
        while disk.rig.engine.in_flight() > 0 {
            assert!(disk.rig.turn().is_empty(), "nobody waits for it");
        }
        assert_eq!(disk.rig.volume.detached_writes(), 0);
        assert_eq!(disk.rig.volume.locks().entries(), 0);
        assert_eq!(disk.area(), [2; LENGTH]);
        done(disk.rig.run(durable(write(AT, 512, 7))));
        let mut disk = Disk::of(&disk.crash(Crash::PowerCut));
        assert_eq!(disk.area()[..512], [7; 512], "{step:?}");
    }
}

#[test]
fn one_that_is_given_up_before_its_record_is_never_done() {
    let mut disk = Disk::stopped_before(Step::Allocate);
    let writes = disk.journal.count(OpName::Write);
    disk.rig.engine.detach(1);
    disk.home.release();
    while disk.rig.engine.in_flight() > 0 {
        assert!(disk.rig.turn().is_empty());
    }
    assert_eq!(disk.area(), [1; LENGTH]);
    assert_eq!(disk.journal.count(OpName::Write), writes);
}

#[test]
fn two_at_once_take_turns_and_ordinary_writes_elsewhere_do_not_wait() {
    let mut disk = Disk::new();
    disk.home.hold(OpName::DataSync);
    let first = disk.rig.start(atomic(2));
    let second = disk.rig.start(VolumeOp::WriteAtomic {
        offset: 32_768,
        data: smallvec![Bytes::from(vec![3; 4096])],
    });
    let beside = disk.rig.start(write(20_480, 512, 4));
    let order = |finished: Vec<(u64, VolumeOutcome)>| -> Vec<u64> {
        finished.into_iter().map(|(token, _)| token).collect()
    };
    assert_eq!(order(disk.rig.turn()), [beside]);
    disk.home.release();
    assert_eq!(order(disk.rig.finish(2)), [first, second]);
    assert_eq!(disk.rig.read(32_768, 4096), vec![3; 4096]);
}

#[test]
fn without_a_journal_or_above_the_maximum_it_is_refused() {
    let mut rig = Rig::in_memory(SIZE);
    assert_eq!(rig.volume.atomic_write_max(), 0);
    assert_eq!(fault(rig.run(atomic(2))).kind, VolumeFaultKind::TooLarge);
    let mut disk = Disk::of(&Left {
        home: vec![0; 2 << 20],
        journal: Vec::new(),
    });
    let max = disk.rig.volume.atomic_write_max();
    let op = |length: u64| VolumeOp::WriteAtomic {
        offset: 0,
        data: smallvec![Bytes::from(vec![8; usize::try_from(length).unwrap()])],
    };
    let outcome = disk.rig.run(op(max + 512));
    assert_eq!(fault(outcome).kind, VolumeFaultKind::TooLarge);
    done(disk.rig.run(op(max)));
    assert_eq!(disk.rig.read(0, max + 512)[..512], [8; 512]);
}

#[test]
fn the_record_of_another_volume_or_of_another_size_is_refused_by_name() {
    let left = Disk::stopped_before(Step::Place).crash(Crash::PowerCut);
    let short = Volume::in_memory_with(
        memory_of(&left.home[..4096]),
        BlockSize::B512,
        Some(memory_of(&left.journal)),
    );
    let error = short.unwrap_err().to_string();
    assert!(error.contains("doesn't fit the volume"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    std::fs::write(&path, &left.journal).unwrap();
    let mut open = OpenOptions::new(&folder.path().join("image"));
    open.journal = Some(JournalPlace {
        path,
        owner: [7; 16],
    });
    let size = SIZE as u64;
    let created = Volume::create(&CreateOptions {
        open,
        size,
        preallocate: false,
    });
    let error = created.unwrap_err().to_string();
    assert!(error.contains("belongs to another volume"), "{error}");
}

#[test]
fn on_real_files_it_works_and_survives_reopening() {
    for kind in [EngineKind::Uring, EngineKind::ThreadPool] {
        for direct in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut open = OpenOptions::new(&folder.path().join("image"));
            open.direct = direct;
            open.journal = Some(JournalPlace {
                path: folder.path().join("journal"),
                owner: [7; 16],
            });
            let created = Volume::create(&CreateOptions {
                open: open.clone(),
                size: 1 << 20,
                preallocate: false,
            });
            let pool = Arc::new(BufferPool::new(16 << 20));
            let engine = Engine::new(kind, 64, Arc::clone(&pool));
            let (Ok(volume), Ok(engine)) = (created, engine) else {
                eprintln!("NOT TESTED here: {kind:?} {direct}");
                continue;
            };
            let mut rig = Rig::of(engine, volume, pool, None, None);
            done(rig.run(write(0, 1 << 20, 1)));
            done(rig.run(atomic(2)));
            done(rig.run(atomic(3)));
            assert_eq!(rig.read(AT, LENGTH as u64), vec![3; LENGTH]);
            assert_eq!(rig.pool.in_use(), 0);
            drop(rig);
            let volume = Volume::open(&open).unwrap();
            assert_eq!(volume.atomic_write_max(), 1 << 20);
            let content = std::fs::read(volume.path()).unwrap();
            let at = usize::try_from(AT).unwrap();
            assert_eq!(content[at..at + LENGTH], [3; LENGTH]);
            assert_eq!(content[at + LENGTH..][..512], [1; 512]);
        }
    }
}
