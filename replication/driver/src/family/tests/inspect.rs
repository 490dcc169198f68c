//! The files of a family that nobody serves: what is wrong is named, whatever it is.

use super::super::{InspectOptions, InspectReport, inspect};
use super::*;

fn flip(path: &Path, bit: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path);
    let file = file.unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    file.write_all_at(&[byte[0] ^ (1 << (bit % 8))], bit / 8)
        .unwrap();
}

/// One bit of every byte, another one each time.
fn bits(bytes: std::ops::Range<u64>) -> impl Iterator<Item = u64> {
    bytes.map(|byte| byte * 8 + byte * 5 % 8)
}

impl Bench {
    fn inspect_options(&self) -> InspectOptions {
        InspectOptions {
            id: Some(id(9)),
            home: Some(self.path().join("home")),
            tail_folder: Some(self.path().join("tails")),
            ..InspectOptions::new(self.options().folder)
        }
    }

    fn inspect(&self) -> InspectReport {
        inspect(&self.inspect_options()).unwrap()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.options().folder.join(name)
    }

    /// Killed, with something in each of its files that is nowhere else.
    fn killed() -> Self {
        let mut bench = Self::mapped();
        bench.write(1, 0, &[9; 20]);
        bench.snapshot(1, 2);
        bench.write(1, 10, &[7; 5]);
        bench.family().close().unwrap();
        bench.reopen();
        bench.write(1, 20, &[8; 20]);
        bench.family().flush_blocking().unwrap();
        bench.snapshot(1, 3);
        bench.drop_family();
        bench
    }
}

/// What a report says of one file, damage and notes, by the byte.
fn told(report: &InspectReport, path: &Path) -> Vec<String> {
    let all = report.findings.iter().chain(&report.notes);
    let of_file = all.filter(|it| it.place.starts_with(&path.display().to_string()));
    of_file
        .map(|it| format!("{}: {}", it.place, it.what))
        .collect()
}

#[test]
fn a_sound_family_is_sound_closed_or_killed_and_nothing_is_changed() {
    let bench = Bench::killed();
    let before = std::fs::read(bench.file("journal")).unwrap();
    let report = bench.inspect();
    assert_eq!(
        (report.damaged, &report.notes[..]),
        (0, &[][..]),
        "{report:?}"
    );
    assert_eq!(report.id, Some(id(9)));
    let datasets: Vec<Id> = report.datasets.unwrap().iter().map(|it| it.id).collect();
    assert_eq!(
        datasets,
        [id(1), id(2), id(3)],
        "with what only the journal says"
    );
    assert_eq!(std::fs::read(bench.file("journal")).unwrap(), before);
    let with_data = InspectOptions {
        data: true,
        ..bench.inspect_options()
    };
    assert_eq!(inspect(&with_data).unwrap().damaged, 0);
}

#[test]
fn a_family_that_is_served_is_left_alone() {
    let bench = Bench::mapped();
    let error = inspect(&bench.inspect_options()).unwrap_err();
    assert!(matches!(error, crate::VolumeError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("stop that one first"), "{error}");
}

#[test]
fn each_flipped_bit_of_a_superblock_is_named_with_its_copy() {
    let bench = Bench::killed();
    let path = bench.file("superblock");
    let before = std::fs::read(&path).unwrap();
    let counts = tidelock_volume::mapped::family::recover::choose(&before).unwrap();
    // Each of what means something in one copy, and some of all.
    for bit in (0..124 * 8).chain(bits(0..16_384).step_by(31)) {
        flip(&path, bit);
        let report = bench.inspect();
        let copy = bit / 8 / 4096;
        let told = told(&report, &path);
        let [one] = &told[..] else {
            panic!("bit {bit}: {report:?}")
        };
        assert!(
            one.contains(&format!("superblock, byte {}: ", copy * 4096)),
            "{one}"
        );
        let damaged = u64::from(copy / 2 == counts.sequence & 1);
        assert_eq!(report.damaged, damaged, "bit {bit}: {report:?}");
        flip(&path, bit);
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn each_flipped_bit_of_the_allocation_is_named_with_its_slot() {
    let bench = Bench::killed();
    let path = bench.file("allocation");
    let slots = std::fs::metadata(&path).unwrap().len() / 4096;
    let before = std::fs::read(&path).unwrap();
    let mut damaged = 0;
    for slot in 0..slots {
        let from = slot * 4096;
        let start = usize::try_from(from).unwrap();
        if before[start..start + 4096].iter().all(|byte| *byte == 0) {
            continue;
        }
        for bit in (from * 8..(from + 40) * 8).chain(bits(from..from + 4096).step_by(61)) {
            flip(&path, bit);
            let report = bench.inspect();
            let place = format!("allocation, byte {from}: ");
            assert!(
                told(&report, &path).iter().any(|one| one.contains(&place)),
                "bit {bit}: {report:?}"
            );
            damaged += u64::from(report.damaged > 0);
            flip(&path, bit);
        }
    }
    assert!(damaged > 0, "some of them count");
}

#[test]
fn each_flipped_bit_of_the_journal_is_named() {
    let bench = Bench::killed();
    let superblock = std::fs::read(bench.file("superblock")).unwrap();
    let counts = tidelock_volume::mapped::family::recover::choose(&superblock).unwrap();
    let path = bench.file("journal");
    let at = counts.journal_at;
    // The batch of the flush, and that of the snapshot, which is the last one.
    for (from, is_last) in [(at, false), (at + 4096, true)] {
        for bit in (from * 8..(from + 60) * 8).chain(bits(from..from + 4096).step_by(31)) {
            flip(&path, bit);
            let report = bench.inspect();
            let told = told(&report, &path);
            assert!(!told.is_empty(), "bit {bit}: {report:?}");
            if is_last {
                assert!(
                    told[0].contains(&format!("journal, byte {from}: ")),
                    "{told:?}"
                );
            } else {
                assert!(report.damaged > 0, "bit {bit}: {report:?}");
            }
            flip(&path, bit);
        }
    }
}

#[test]
fn each_flipped_bit_of_a_map_is_named_with_its_node_and_a_block_with_its_data() {
    let mut bench = Bench::killed();
    bench.open();
    bench.family().checkpoint().unwrap();
    let dataset = bench.family().find(id(2)).unwrap();
    let found = bench.family().with_pages(|maps| {
        let range = BlockRange { first: 3, count: 1 };
        maps.lookup(dataset, range)
    });
    let Place::Block { address, .. } = found.unwrap()[0].entry.place else {
        panic!("it was written")
    };
    let node = bench
        .family()
        .state
        .lock()
        .maps
        .node_of(dataset, 3)
        .unwrap();
    bench.family().close().unwrap();
    bench.drop_family();
    let path = bench.file("data-0000");
    let from = node.get() * 4096;
    for bit in (from * 8..(from + 32) * 8).chain(bits(from..from + 4096).step_by(31)) {
        flip(&path, bit);
        let report = bench.inspect();
        let place = format!("data-0000, byte {from}: the map of dataset");
        assert!(
            told(&report, &path).iter().any(|one| one.contains(&place)),
            "{report:?}"
        );
        flip(&path, bit);
    }
    let from = address.get() * 4096;
    let with_data = InspectOptions {
        data: true,
        ..bench.inspect_options()
    };
    for bit in bits(from..from + 4096).step_by(64) {
        flip(&path, bit);
        assert_eq!(
            bench.inspect().damaged,
            0,
            "data is looked at if that is asked for"
        );
        let report = inspect(&with_data).unwrap();
        let place = format!("data-0000, byte {from}: block 3 of dataset");
        assert!(told(&report, &path)[0].contains(&place), "{report:?}");
        flip(&path, bit);
    }
}

#[test]
fn files_that_are_missing_shorter_longer_or_others_are_named() {
    let bench = Bench::killed();
    let cut = |path: &Path, size: u64| {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        let before = file.metadata().unwrap().len();
        file.set_len(size).unwrap();
        before
    };
    for (name, shorter) in [("superblock", 8_192), ("journal", 4_096), ("allocation", 0)] {
        let path = bench.file(name);
        let before = std::fs::read(&path).unwrap();
        cut(&path, shorter);
        let report = bench.inspect();
        assert!(report.damaged > 0, "{name}: {report:?}");
        assert!(!told(&report, &path).is_empty(), "{name}: {report:?}");
        std::fs::write(&path, &before).unwrap();
        assert_eq!(bench.inspect().damaged, 0, "{name}");
        std::fs::rename(&path, bench.path().join("away")).unwrap();
        let report = bench.inspect();
        assert!(
            report.damaged == 1 && !told(&report, &path).is_empty()
                || report.findings[0].what.contains(name),
            "{report:?}"
        );
        std::fs::rename(bench.path().join("away"), &path).unwrap();
    }
    // Longer than it was made.
    let path = bench.file("superblock");
    let before = cut(&path, 20_480);
    let report = bench.inspect();
    assert_eq!(report.damaged, 0);
    assert!(
        told(&report, &path)[0].contains("somebody has added to it"),
        "{report:?}"
    );
    cut(&path, before);
    // Another family's.
    let other = InspectOptions {
        id: Some(id(8)),
        ..bench.inspect_options()
    };
    let report = inspect(&other).unwrap();
    assert!(
        told(&report, &path)[0].contains("another family's"),
        "{report:?}"
    );
    // The raw file that it began with.
    let home = bench.path().join("home");
    let before = cut(&home, SIZE - 512);
    let report = bench.inspect();
    assert!(
        told(&report, &home)[0].contains("belong to the snapshots"),
        "{report:?}"
    );
    cut(&home, before);
    std::fs::rename(&home, bench.path().join("away")).unwrap();
    let report = bench.inspect();
    assert!(
        told(&report, &home)[0].contains("no such file"),
        "{report:?}"
    );
    std::fs::rename(bench.path().join("away"), &home).unwrap();
    assert_eq!(bench.inspect().damaged, 0);
    // The last, as what is cut off doesn't come back. A copy of it would take a TiB.
    let path = bench.file("data-0000");
    cut(&path, 64 << 10);
    let report = bench.inspect();
    assert!(report.damaged > 0, "{report:?}");
    assert!(
        told(&report, &path)
            .iter()
            .any(|one| one.contains("somebody has cut it short")),
        "{report:?}"
    );
}
