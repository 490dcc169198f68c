//! Journals that were damaged in one place, and crashes in the middle of every step.

use std::collections::BTreeSet;

use tempfile::TempDir;
use tidelock_mirror::generation::{Generation, Lineage, Record, Role, Why};
use tidelock_mirror::id::{GenerationId, MirrorId, NodeId};
use tidelock_mirror::region::{Region, RegionSet};
use tidelock_mirror::region_log::LogEntry;

use super::*;

const IDENTITY: Identity = Identity {
    mirror: MirrorId(1),
    me: NodeId(2),
    volume_bytes: 1 << 30,
    region_bytes: 1 << 16,
};

fn heat(number: u64) -> JournalEntry {
    let mut regions = RegionSet::default();
    regions.insert(Region(number * 2));
    JournalEntry::Log(LogEntry::Heat(regions))
}

fn record(number: u128) -> JournalEntry {
    let generation = |id| Generation {
        id: GenerationId(id),
        by: NodeId(2),
        why: Why::PeerLost,
    };
    JournalEntry::Record {
        record: Record {
            lineage: Lineage::new((0..=number).map(generation)),
            role: Role::Source,
            holders: BTreeSet::from([NodeId(number)]),
            receiving: None,
            yielded: false,
        },
        track: number.checked_sub(1).map(GenerationId),
    }
}

fn new(folder: &TempDir) -> PathBuf {
    let place = folder.path().join("end");
    Journal::create(&place, IDENTITY, Durable::new(Record::empty())).unwrap();
    place
}

/// A journal with little room, the states that it went through, and the bytes of its last file.
fn small(folder: &TempDir, batches: u64) -> (PathBuf, Vec<Durable>, Vec<u8>) {
    let place = new(folder);
    let mut journal = Journal::open_with(&place, 6 * PAGE).unwrap();
    let mut states = vec![journal.durable().clone()];
    for number in 0..batches {
        journal
            .append(&[heat(number), record(number.into())])
            .unwrap();
        states.push(journal.durable().clone());
    }
    let bytes = std::fs::read(place.join(NAME)).unwrap();
    (place, states, bytes)
}

#[test]
fn everything_comes_back_however_often_it_is_replaced() {
    let folder = TempDir::new().unwrap();
    let place = new(&folder);
    let mut expected = Durable::new(Record::empty());
    let mut number = 0;
    for run in 0..5 {
        let mut journal = Journal::open_with(&place, 4 * PAGE).unwrap();
        assert_eq!(journal.identity(), IDENTITY);
        assert_eq!(*journal.durable(), expected, "run {run}");
        for _ in 0..run * 3 {
            let entries = [heat(number), record(number.into()), heat(number + 1)];
            number += 1;
            for entry in &entries {
                expected.apply(entry);
            }
            journal.append(&entries).unwrap();
            let bytes = std::fs::read(place.join(NAME)).unwrap();
            assert_eq!(layout::recover(&bytes).unwrap().durable, expected);
        }
    }
    assert!(!place.join(ASIDE).exists());
}

#[test]
fn a_change_that_has_no_room_replaces_the_journal() {
    let folder = TempDir::new().unwrap();
    let place = new(&folder);
    let mut journal = Journal::open_with(&place, 2 * PAGE).unwrap();
    let many: RegionSet = (0..4000).map(|it| Region(it * 2)).collect();
    journal
        .append(&[JournalEntry::Log(LogEntry::Heat(many.clone()))])
        .unwrap();
    drop(journal);
    let again = Journal::open(&place).unwrap();
    assert_eq!(*again.durable().log.hot(), many);
}

/// What must come of a damaged journal: what was acknowledged last, or a refusal.
fn last_or_refused(bytes: &[u8], last: &Durable, what: &str) -> bool {
    match layout::recover(bytes) {
        Ok(found) => {
            assert_eq!(found.durable, *last, "{what}");
            true
        }
        Err(_) => false,
    }
}

#[test]
fn a_flipped_bit_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let (_, states, mut bytes) = small(&folder, 4);
    let last = states.last().unwrap();
    let mut recovered = 0;
    for at in 0..bytes.len() {
        bytes[at] ^= 1 << (at % 8);
        recovered += usize::from(last_or_refused(&bytes, last, &format!("bit of byte {at}")));
        bytes[at] ^= 1 << (at % 8);
    }
    // All but the two headers.
    assert!(recovered >= bytes.len() - 2 * 92, "{recovered}");
}

#[test]
fn a_journal_that_is_cut_off_is_refused() {
    let folder = TempDir::new().unwrap();
    let (place, states, bytes) = small(&folder, 4);
    let last = states.last().unwrap();
    for length in 0..bytes.len() {
        assert!(
            !last_or_refused(&bytes[..length], last, "cut off"),
            "{length} bytes"
        );
    }
    std::fs::write(place.join(NAME), &bytes[..bytes.len() - 1]).unwrap();
    let refused = Journal::open(&place).unwrap_err().to_string();
    let name = place.join(NAME).display().to_string();
    assert!(
        refused.starts_with(&name) && refused.contains("length"),
        "{refused}"
    );
}

#[test]
fn zeros_from_any_byte_on_or_in_any_sector_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let (_, states, bytes) = small(&folder, 4);
    let last = states.last().unwrap();
    let mut torn = bytes.clone();
    for at in (0..bytes.len()).rev() {
        torn[at] = 0;
        last_or_refused(&torn, last, &format!("zeros from byte {at} on"));
    }
    for sector in 0..bytes.len() / 512 {
        let mut torn = bytes.clone();
        torn[sector * 512..][..512].fill(0);
        last_or_refused(&torn, last, &format!("sector {sector}"));
    }
}

#[test]
fn a_crash_in_the_middle_of_a_batch_leaves_it_or_the_one_before() {
    let folder = TempDir::new().unwrap();
    let (_, states, after) = small(&folder, 4);
    let before = &states[3];
    let half = after.len() / 2;
    let at = usize::try_from(PAGE).unwrap() * 5;
    let written = |bytes: &mut [u8], from: usize, range: std::ops::Range<usize>| {
        bytes[from..][range.clone()].copy_from_slice(&after[from..][range]);
    };
    let mut blank = after.clone();
    for from in [at, half + at] {
        assert_eq!(&after[from..][..4], b"TDLB", "the last batch is here");
        blank[from..][..4096].fill(0);
    }
    assert_eq!(layout::recover(&blank).unwrap().durable, *before);
    let mut seen = [false; 2];
    // Any part of one copy together with nothing, a part or all of the other.
    for cut in 0..=4096 {
        for (first, second) in [
            (0..cut, 0..0),
            (cut..4096, 0..0),
            (0..0, 0..cut),
            (0..cut, cut..4096),
            (0..4096, 0..cut),
        ] {
            let mut bytes = blank.clone();
            written(&mut bytes, at, first);
            written(&mut bytes, half + at, second);
            let found = layout::recover(&bytes).unwrap().durable;
            assert!(
                found == states[3] || found == states[4],
                "half-way at {cut}"
            );
            seen[usize::from(found == states[4])] = true;
        }
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn a_crash_while_it_is_replaced_leaves_the_old_one() {
    let folder = TempDir::new().unwrap();
    let (place, states, bytes) = small(&folder, 4);
    for length in [0, 1, 92, 4096, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(place.join(ASIDE), &bytes[..length]).unwrap();
        std::fs::write(place.join(NAME), &bytes).unwrap();
        let journal = Journal::open(&place).unwrap();
        assert_eq!(journal.durable(), states.last().unwrap());
    }
}

#[test]
fn what_is_no_journal_or_isnt_there_is_named() {
    let folder = TempDir::new().unwrap();
    let place = new(&folder);
    let again = Journal::create(&place, IDENTITY, Durable::new(Record::empty()));
    assert!(matches!(again, Err(EndError::Exists { .. })));
    std::fs::write(place.join(NAME), vec![0; 1 << 16]).unwrap();
    assert!(matches!(
        Journal::open(&place),
        Err(EndError::Damaged { .. })
    ));
    Journal::remove(&place).unwrap();
    assert!(!place.exists());
    assert!(matches!(
        Journal::open(&place),
        Err(EndError::Missing { .. })
    ));
    Journal::remove(&place).unwrap();
}

#[test]
fn a_half_of_another_journal_is_refused() {
    let folder = TempDir::new().unwrap();
    let (place, _, bytes) = small(&folder, 2);
    // The same content, made once more.
    drop(Journal::open_with(&place, 6 * PAGE).unwrap());
    let other = std::fs::read(place.join(NAME)).unwrap();
    let half = bytes.len() / 2;
    assert_ne!(bytes[..half], other[..half]);
    let mut mixed = bytes;
    if mixed.len() == other.len() {
        mixed[half..].copy_from_slice(&other[half..]);
    } else {
        mixed.truncate(half);
        mixed.extend(&other[other.len() / 2..]);
    }
    assert!(layout::recover(&mixed).is_err());
}
