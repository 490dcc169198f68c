//! Files that are not what they should be.

use std::os::unix::fs::FileExt;

use tidelock_volume::mapped::family::recover::choose;

use super::super::VerifyReport;

use super::*;

pub(super) fn flip(path: &Path, at: u64) {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn refusal(bench: &Bench) -> String {
    let home = OpenOptions::new(&bench.path().join("home"));
    let opened = Family::open(&bench.options(), Some(&home));
    opened.unwrap_err().to_string()
}

#[test]
fn a_flipped_bit_in_a_block_is_found_by_a_scrub() {
    let mut bench = Bench::mapped();
    bench.write(1, 10, &[1, 2, 3]);
    bench.family().close().unwrap();
    let dataset = bench.family().find(id(1)).unwrap();
    let range = BlockRange {
        first: 11,
        count: 1,
    };
    let found = bench.family().state.lock().maps.lookup(dataset, range);
    let Place::Block { address, .. } = found.unwrap()[0].entry.place else {
        panic!("it was written");
    };
    let data = bench.options().folder.join("data-0000");
    flip(&data, address.get() * BLOCK_BYTES as u64 + 77);
    bench.reopen();
    let mut report = VerifyReport::default();
    let mut on = |_, _: &VerifyReport| std::ops::ControlFlow::Continue(());
    let scrubbed = bench.family().scrub(id(1), 0, &mut report, &mut on);
    scrubbed.unwrap();
    assert_eq!(report.checked_bytes, 3 * BLOCK_BYTES as u64);
    assert_eq!(report.damaged, 1);
    assert!(report.findings[0].contains(&format!("byte {}", 11 * BLOCK_BYTES)));
}

#[test]
fn a_home_file_that_is_shorter_or_missing_is_refused() {
    let mut bench = Bench::mapped();
    bench.snapshot(1, 2);
    bench.drop_family();
    let home = std::fs::OpenOptions::new()
        .write(true)
        .open(bench.path().join("home"))
        .unwrap();
    home.set_len(SIZE - 512).unwrap();
    assert!(refusal(&bench).contains("made it shorter"));
    home.set_len(SIZE).unwrap();
    let without = Family::open(&bench.options(), None).unwrap_err();
    assert!(without.to_string().contains("wasn't named"));
}

#[test]
fn every_damaged_file_is_named() {
    for file in ["superblock", "journal", "allocation", "data-0000"] {
        let mut bench = Bench::mapped();
        bench.snapshot(1, 2);
        bench.drop_family();
        let path = bench.options().folder.join(file);
        std::fs::rename(&path, bench.path().join("away")).unwrap();
        assert!(refusal(&bench).contains(file));
        std::fs::rename(bench.path().join("away"), &path).unwrap();
        bench.open();
    }
}

#[test]
fn a_flipped_bit_of_a_small_file_is_repaired_or_refused_and_never_believed() {
    let mut bench = Bench::mapped();
    bench.write(1, 0, &[9; 20]);
    bench.family().close().unwrap();
    bench.reopen();
    bench.write(1, 20, &[8; 20]);
    bench.family().flush_blocking().unwrap();
    bench.snapshot(1, 2);
    bench.drop_family();
    let superblock = std::fs::read(bench.options().folder.join("superblock")).unwrap();
    let journal_at = choose(&superblock).unwrap().journal_at;
    let mut expected = numbered();
    expected[..20].fill(9);
    expected[20..40].fill(8);
    let files = [
        // What means something in each of the four copies, and some of the rest.
        ("superblock", 0_u64..124),
        ("superblock", 4096..4220),
        ("superblock", 8192..8316),
        ("superblock", 12_288..12_412),
        ("superblock", 4000..4010),
        // Header and bits of the first slots.
        ("allocation", 0..40),
        ("allocation", 4096..4136),
        ("allocation", 8192..8232),
        // The batch of the flush; the one of the snapshot comes after it.
        ("journal", journal_at..journal_at + 200),
    ];
    let (mut refused, mut repaired) = (0, 0);
    for (file, places) in files {
        let path = bench.options().folder.join(file);
        for at in places {
            flip(&path, at);
            let home = OpenOptions::new(&bench.path().join("home"));
            match Family::open(&bench.options(), Some(&home)) {
                Ok(family) => {
                    bench.family = Some(family);
                    repaired += 1;
                    assert_eq!(bench.read_first(1, 50), expected[..50], "{file}, byte {at}");
                    assert_eq!(bench.read_first(2, 50), expected[..50], "{file}, byte {at}");
                    bench.assert_sound();
                    // Nothing is written by this: the next round finds the same files.
                    bench.drop_family();
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains(file), "{file}: {error}");
                }
            }
            flip(&path, at);
        }
    }
    // Both of the slots that count, and the journal; everything else has a twin or doesn't count.
    assert_eq!(refused, 40 + 40 + 200);
    assert_eq!(repaired, 4 * 124 + 10 + 40);
}
