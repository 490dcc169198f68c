//! Any sequence of copies between volumes of every kind, with writes, snapshots and openings in between, against
//! vectors of bytes.

use proptest::prelude::*;

use super::*;

/// Sectors; the last block is a part of one.
const SECTORS: u64 = 8 * 70 + 3;
const BLOCKS: u64 = SECTORS / 8;
/// Two raw ones, a head over a raw file, a clone of it, a snapshot of it, and one with checksums for everything.
const VOLUMES: usize = 6;
const SNAPSHOT: usize = 4;

#[derive(Clone, Debug)]
enum Action {
    Write {
        volume: usize,
        at: u64,
        count: u64,
        fill: u8,
    },
    Unmap {
        volume: usize,
        at: u64,
        count: u64,
    },
    Copy {
        source: usize,
        from: u64,
        volume: usize,
        to: u64,
        count: u64,
    },
    Flush(usize),
    Snapshot,
    Reopen,
}

fn action() -> impl Strategy<Value = Action> {
    let volume = || 0..VOLUMES;
    let extent = || (0..SECTORS).prop_flat_map(|at| (Just(at), 1..=(SECTORS - at).min(100)));
    let blocks = (0..BLOCKS, 0..BLOCKS, 1..24_u64);
    prop_oneof![
        4 => (volume(), extent(), 1..=255_u8)
            .prop_map(|(volume, (at, count), fill)| Action::Write { volume, at, count, fill }),
        2 => (volume(), extent())
            .prop_map(|(volume, (at, count))| Action::Unmap { volume, at, count }),
        8 => (volume(), volume(), blocks).prop_map(|(source, volume, (from, to, count))| {
            let count = count.min(BLOCKS - from).min(BLOCKS - to);
            Action::Copy { source, from, volume, to, count }
        }),
        1 => volume().prop_map(Action::Flush),
        1 => Just(Action::Snapshot),
        1 => Just(Action::Reopen),
    ]
}

fn bytes(at: u64, count: u64, unit: u64) -> std::ops::Range<usize> {
    let byte = |place: u64| usize::try_from(place * unit).unwrap();
    byte(at)..byte(at + count)
}

/// The volumes, and what is in them.
struct Yard<'a> {
    bench: &'a mut Bench,
    volumes: Vec<Arc<Volume>>,
    /// The family of the last one.
    checked: Option<Arc<Family>>,
    models: Vec<Vec<u8>>,
    snapshots: u32,
}

fn checked_options(folder: &TempDir) -> FamilyOptions {
    FamilyOptions {
        journal_bytes: 1 << 20,
        all_checksums: true,
        ..FamilyOptions::new(folder.path().join("checked"), id(98))
    }
}

impl<'a> Yard<'a> {
    fn new(bench: &'a mut Bench) -> Self {
        let size = SECTORS * BLOCK;
        let base = bench.content(HEAD).to_vec();
        let raws = ["one", "two"].map(|name| raw(&bench.folder, name, size, bench.direct, false));
        let stub = raw(&bench.folder, "stub", size, false, false);
        let checked = Family::create(&checked_options(&bench.folder), &stub, id(HEAD)).unwrap();
        bench.snapshot(2);
        bench.family().clone_of(id(2), id(3)).unwrap();
        let mut models = vec![vec![0; base.len()]; VOLUMES];
        models[2..5].fill(base);
        let mut yard = Self {
            bench,
            volumes: raws.to_vec(),
            checked: Some(checked),
            models,
            snapshots: 3,
        };
        yard.open();
        yard
    }

    fn open(&mut self) {
        self.volumes.truncate(2);
        let head = Arc::clone(&self.bench.rig.volume);
        let options = MappedOptions {
            block_size: 512,
            size: SECTORS * BLOCK,
            read_only: false,
        };
        let checked = self.checked.as_ref().unwrap();
        let checked = checked.volume(id(HEAD), &options).unwrap();
        let (clone, snapshot) = (self.bench.dataset(3), self.bench.dataset(2));
        self.volumes.extend([head, clone, snapshot, checked]);
    }

    fn run(&mut self, volume: usize, op: VolumeOp) -> VolumeOutcome {
        let volume = Arc::clone(&self.volumes[volume]);
        self.bench.on(&volume, |rig| rig.run(op))
    }

    fn content(&mut self, volume: usize) -> Bytes {
        let length = SECTORS * BLOCK;
        match self.run(volume, VolumeOp::Read { offset: 0, length }) {
            VolumeOutcome::Read(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Write {
                volume: SNAPSHOT, ..
            }
            | Action::Unmap {
                volume: SNAPSHOT, ..
            }
            | Action::Copy {
                volume: SNAPSHOT, ..
            }
            | Action::Flush(SNAPSHOT) => {}
            Action::Write {
                volume,
                at,
                count,
                fill,
            } => {
                let range = bytes(at, count, BLOCK);
                self.models[volume][range.clone()].fill(fill);
                done(self.run(volume, write(at * BLOCK, range.len(), fill)));
            }
            Action::Unmap { volume, at, count } => {
                self.models[volume][bytes(at, count, BLOCK)].fill(0);
                let range = Range {
                    offset: at * BLOCK,
                    length: count * BLOCK,
                };
                done(self.run(
                    volume,
                    VolumeOp::Unmap {
                        ranges: smallvec![range],
                    },
                ));
            }
            Action::Copy {
                source,
                from,
                volume,
                to,
                count,
            } => {
                self.copy(source, from, volume, to, count);
            }
            Action::Flush(volume) => done(self.run(volume, VolumeOp::Flush)),
            Action::Snapshot => {
                self.snapshots += 1;
                self.bench.snapshot(self.snapshots);
            }
            Action::Reopen => self.reopen(),
        }
    }

    fn copy(&mut self, source: usize, from: u64, volume: usize, to: u64, count: u64) {
        let data = self.models[source][bytes(from, count, BLOCK_BYTES)].to_vec();
        let op = copy(
            &self.volumes[source],
            from * BLOCK_BYTES,
            to * BLOCK_BYTES,
            count * BLOCK_BYTES,
        );
        let is_raw = |volume: usize| volume < 2;
        let overlap = source == volume && from < to + count && to < from + count;
        match self.run(volume, op) {
            VolumeOutcome::Done => {}
            // Past the page cache it works where the file system can share, and nowhere else. A part of a raw
            // file may have been done: whoever asked does all of it.
            VolumeOutcome::NotCopied if self.bench.direct || (overlap && is_raw(source)) => {
                let write = VolumeOp::Write {
                    offset: to * BLOCK_BYTES,
                    data: smallvec![Bytes::copy_from_slice(&data)],
                    fua: false,
                };
                done(self.run(volume, write));
            }
            other => panic!("{other:?}"),
        }
        self.models[volume][bytes(to, count, BLOCK_BYTES)].copy_from_slice(&data);
    }

    fn reopen(&mut self) {
        self.volumes.truncate(2);
        self.bench.reopen();
        self.checked.take().unwrap().close().unwrap();
        let options = checked_options(&self.bench.folder);
        let stub = OpenOptions::new(&self.bench.folder.path().join("stub"));
        self.checked = Some(Family::open(&options, Some(&stub)).unwrap());
        self.open();
    }

    fn compare(&mut self) {
        for volume in 0..VOLUMES {
            let content = self.content(volume);
            assert!(content == self.models[volume], "volume {volume}");
        }
        self.bench.assert_sound();
        let report = self.checked.as_ref().unwrap().verify_now();
        assert_eq!(report.findings, Vec::<String>::new());
    }
}

fn check(bench: &mut Bench, actions: &[Action]) {
    let mut yard = Yard::new(bench);
    for action in actions {
        yard.act(action.clone());
    }
    yard.compare();
    yard.reopen();
    yard.compare();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_copies_reads_as_the_model_says(
        actions in prop::collection::vec(action(), 1..40),
    ) {
        let half = |rig: &mut Rig| done(rig.run(write(0, 40 * 4096, 3)));
        on_each_mapped(SECTORS * BLOCK, half, |bench| check(bench, &actions));
    }
}
