//! The list, its rules, and every kind of damage that its bytes can have.

use super::log::{Log, LogError};
use super::*;
use crate::family::FamilyId;

const FAMILY: FamilyId = FamilyId(Uuid::from_u128(0xfa));

fn snapshot(number: u128, volume: u128, name: &str) -> Snapshot {
    Snapshot {
        id: DatasetId(Uuid::from_u128(number)),
        volume: VolumeId(Uuid::from_u128(volume)),
        name: SnapshotName::new(name).unwrap(),
        at_unix_ms: 1_000 * u64::try_from(number).unwrap(),
        size_bytes: 1 << 20,
        cause: Cause::Operator,
        set: None,
        pending: false,
        quiesced: false,
    }
}

fn id(number: u128) -> DatasetId {
    DatasetId(Uuid::from_u128(number))
}

fn volume(number: u128) -> VolumeId {
    VolumeId(Uuid::from_u128(number))
}

/// A list, its bytes, and where each of its lines ends.
fn sample() -> (Log, Vec<u8>, Vec<usize>) {
    let (mut log, mut bytes) = Log::new(FAMILY);
    let mut ends = vec![bytes.len()];
    let mut of_set = snapshot(3, 2, "together");
    of_set.set = Some(SetMember {
        set: Uuid::from_u128(77),
        group: GroupName::new("both").unwrap(),
        members: 2,
    });
    of_set.pending = true;
    let mut safety = snapshot(4, 1, "a");
    safety.cause = Cause::Restore { to: id(2) };
    for changes in [
        vec![ListChange::Add(snapshot(1, 1, "a"))],
        vec![
            ListChange::Add(snapshot(2, 1, "b")),
            ListChange::Add(of_set),
        ],
        vec![ListChange::Confirm(id(3)), ListChange::Remove(id(1))],
        vec![ListChange::Add(safety)],
    ] {
        let addition = log.add(&changes).unwrap();
        assert_eq!(addition.at, bytes.len() as u64);
        bytes.extend(addition.bytes);
        ends.push(bytes.len());
    }
    (log, bytes, ends)
}

#[test]
fn what_was_added_is_read_again() {
    let (log, bytes, _) = sample();
    assert_eq!(Log::decode(&bytes, FAMILY), Ok(log.clone()));
    let names: Vec<_> = log.list().iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["b", "together", "a"]);
    assert_eq!(log.list().count_of(volume(1)), 2);
    assert!(log.list().iter().all(|one| !one.pending));
}

/// The bytes that a released version wrote must be read for ever.
#[test]
fn the_format_is_the_one_of_version_1() {
    let (mut log, mut bytes) = Log::new(FAMILY);
    bytes.extend(
        log.add(&[ListChange::Add(snapshot(1, 2, "a"))])
            .unwrap()
            .bytes,
    );
    bytes.extend(log.add(&[ListChange::Remove(id(1))]).unwrap().bytes);
    let text = String::from_utf8(bytes).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("tidelock-snapshots 1 family=000000000000000000000000000000fa crc32c=66d808ff")
    );
    let add = lines.next().unwrap();
    assert_eq!(
        add.split_once(' ').unwrap().1,
        "[{\"add\":{\"id\":\"00000000-0000-0000-0000-000000000001\",\
         \"volume\":\"00000000-0000-0000-0000-000000000002\",\"name\":\"a\",\"at_unix_ms\":1000,\
         \"size_bytes\":1048576,\"cause\":\"operator\"}}]"
    );
    let remove = lines.next().unwrap();
    assert_eq!(
        remove.split_once(' ').unwrap().1,
        "[{\"remove\":\"00000000-0000-0000-0000-000000000001\"}]"
    );
}

#[test]
fn a_line_that_was_being_added_is_left_out_wherever_it_was_cut() {
    let (_, bytes, ends) = sample();
    for len in ends[0]..bytes.len() {
        let whole = *ends.iter().rfind(|&&end| end <= len).unwrap();
        let read = Log::decode(&bytes[..len], FAMILY).unwrap();
        assert_eq!(read.len(), whole as u64, "cut at {len}");
        assert_eq!(Log::decode(&bytes[..whole], FAMILY), Ok(read));
    }
    for len in 0..ends[0] {
        assert!(Log::decode(&bytes[..len], FAMILY).is_err(), "cut at {len}");
    }
}

#[test]
fn a_line_of_which_only_a_part_reached_the_disk_is_left_out() {
    let (_, bytes, ends) = sample();
    let [.., start, end] = ends[..] else { panic!() };
    for hole in start..end {
        let mut torn = bytes.clone();
        torn[start..=hole].fill(0);
        let read = Log::decode(&torn, FAMILY).unwrap();
        assert_eq!(read.len(), start as u64, "zeros up to {hole}");
        let mut torn = bytes.clone();
        torn[hole..].fill(0);
        let read = Log::decode(&torn, FAMILY).unwrap();
        assert_eq!(read.len(), start as u64, "zeros from {hole}");
    }
}

#[test]
fn a_flipped_bit_is_never_taken_for_a_line_that_was_being_added() {
    let (_, bytes, ends) = sample();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let read = Log::decode(&flipped, FAMILY);
            // What ends a line can't be told from a line that has no end yet, if it is the last one.
            if at + 1 == bytes.len() || flipped[at] == 0 && at >= ends[ends.len() - 2] {
                continue;
            }
            assert!(read.is_err(), "bit {bit} of byte {at}: {read:?}");
        }
    }
}

#[test]
fn no_line_can_be_lost_doubled_or_moved() {
    let (_, bytes, ends) = sample();
    let line = |index: usize| &bytes[ends[index]..ends[index + 1]];
    let lost = [&bytes[..ends[1]], line(2), line(3)].concat();
    let doubled = [&bytes[..ends[2]], line(1), line(2), line(3)].concat();
    let moved = [&bytes[..ends[0]], line(1), line(0), line(2), line(3)].concat();
    for wrong in [lost, doubled, moved] {
        let error = Log::decode(&wrong, FAMILY).unwrap_err();
        assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    }
}

#[test]
fn another_version_family_or_kind_of_file_is_refused_by_name() {
    let (_, bytes, ends) = sample();
    let other = FamilyId(Uuid::from_u128(1));
    assert_eq!(
        Log::decode(&bytes, other),
        Err(LogError::Family { found: FAMILY })
    );
    let text = String::from_utf8(bytes[..ends[0]].to_vec()).unwrap();
    let newer = text.replacen(" 1 ", " 2 ", 1);
    assert_eq!(
        Log::decode(newer.as_bytes(), FAMILY),
        Err(LogError::Version { found: "2".into() })
    );
    assert_eq!(Log::decode(b"{}", FAMILY), Err(LogError::NotAList));
    assert_eq!(Log::decode(b"", FAMILY), Err(LogError::NotAList));
}

#[test]
fn what_can_not_be_is_refused_with_a_right_checksum_too() {
    let (log, bytes, _) = sample();
    let mut crc = u32::from_str_radix(
        std::str::from_utf8(&bytes)
            .unwrap()
            .lines()
            .last()
            .unwrap()
            .split_at(8)
            .0,
        16,
    )
    .unwrap();
    assert!(!log.is_empty());
    for (json, kind) in [
        (
            r#"[{"remove":"00000000-0000-0000-0000-000000000009"}]"#,
            "no snapshot",
        ),
        (
            r#"[{"confirm":"00000000-0000-0000-0000-000000000002"}]"#,
            "isn't about",
        ),
        (r#"[{"rename":"x"}]"#, "unknown variant"),
        (r#"{}"#, "can't be understood"),
    ] {
        crc = crc32c::crc32c_append(crc, json.as_bytes());
        let line = format!("{crc:08x} {json}\n");
        let wrong = [&bytes[..], line.as_bytes()].concat();
        let error = Log::decode(&wrong, FAMILY).unwrap_err().to_string();
        assert!(error.contains(kind), "{json}: {error}");
        crc = u32::from_str_radix(
            std::str::from_utf8(&bytes)
                .unwrap()
                .lines()
                .last()
                .unwrap()
                .split_at(8)
                .0,
            16,
        )
        .unwrap();
    }
}

#[test]
fn changes_are_made_together_or_not_at_all() {
    let (mut log, ..) = sample();
    let before = log.clone();
    let error = log.add(&[
        ListChange::Add(snapshot(9, 1, "new")),
        ListChange::Remove(id(2)),
        ListChange::Remove(id(2)),
    ]);
    assert_eq!(error.unwrap_err(), ListError::Missing(id(2)));
    assert_eq!(log, before);
    let mut pending = snapshot(10, 1, "later");
    pending.pending = true;
    let addition = log.add(&[
        ListChange::Add(pending),
        ListChange::Confirm(id(10)),
        ListChange::Remove(id(4)),
        ListChange::Add(snapshot(11, 1, "a")),
    ]);
    log.take_back(addition.unwrap());
    assert_eq!(log, before);
}

#[test]
fn identities_and_names_are_used_once() {
    let mut list = SnapshotList::default();
    list.apply(ListChange::Add(snapshot(1, 1, "a"))).unwrap();
    assert_eq!(
        list.apply(ListChange::Add(snapshot(1, 2, "b"))),
        Err(ListError::Twice(id(1)))
    );
    assert!(matches!(
        list.apply(ListChange::Add(snapshot(2, 1, "a"))),
        Err(ListError::SameName(_))
    ));
    // Another volume's may be called the same.
    list.apply(ListChange::Add(snapshot(2, 2, "a"))).unwrap();
    assert_eq!(
        list.apply(ListChange::Confirm(id(2))),
        Err(ListError::NotPending(id(2)))
    );
    list.apply(ListChange::Remove(id(1))).unwrap();
    list.apply(ListChange::Add(snapshot(3, 1, "a"))).unwrap();
    assert_eq!(
        list.find(volume(1), &SnapshotName::new("a").unwrap())
            .unwrap()
            .id,
        id(3)
    );
}

#[test]
fn a_compacted_list_says_the_same_in_fewer_bytes() {
    let (mut log, mut bytes) = Log::new(FAMILY);
    for number in 0..400 {
        let name = format!("s{number}");
        bytes.extend(
            log.add(&[ListChange::Add(snapshot(number, 1, &name))])
                .unwrap()
                .bytes,
        );
        if number >= 2 {
            bytes.extend(
                log.add(&[ListChange::Remove(id(number - 2))])
                    .unwrap()
                    .bytes,
            );
        }
    }
    assert!(log.is_mostly_garbage());
    let (compacted, fewer) = log.compacted(FAMILY);
    assert_eq!(compacted.list(), log.list());
    assert!(
        fewer.len() * 10 < bytes.len(),
        "{} of {}",
        fewer.len(),
        bytes.len()
    );
    assert!(!compacted.is_mostly_garbage());
    assert_eq!(Log::decode(&fewer, FAMILY), Ok(compacted));
}

#[test]
fn the_newest_of_a_schedule_are_kept_and_nobody_elses_are_touched() {
    let mut list = SnapshotList::default();
    for number in 1..=6 {
        let mut one = snapshot(number, 1, &format!("s{number}"));
        one.cause = if number == 2 {
            Cause::Operator
        } else {
            Cause::Schedule
        };
        one.pending = number == 6;
        list.apply(ListChange::Add(one)).unwrap();
    }
    let outlived: Vec<_> = list
        .outlived(volume(1), 2)
        .iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(outlived, [id(1), id(3)]);
    assert!(list.outlived(volume(1), 9).is_empty());
    assert!(list.outlived(volume(2), 0).is_empty());
}

/// Two families with a snapshot each of one set.
fn set_of_two(pending: [bool; 2]) -> [SnapshotList; 2] {
    let mut number = 0;
    pending.map(|pending| {
        number += 1;
        let mut one = snapshot(number, number, "together");
        one.pending = pending;
        one.set = Some(SetMember {
            set: Uuid::from_u128(5),
            group: GroupName::new("g").unwrap(),
            members: 2,
        });
        let mut list = SnapshotList::default();
        list.apply(ListChange::Add(one)).unwrap();
        list
    })
}

#[test]
fn a_snapshot_that_was_pending_at_a_crash_is_there_if_its_dataset_is() {
    let mut alone = snapshot(1, 1, "before");
    alone.pending = true;
    let none = || std::iter::empty();
    assert_eq!(settle(&alone, none(), |_| true), ListChange::Confirm(id(1)));
    assert_eq!(settle(&alone, none(), |_| false), ListChange::Remove(id(1)));
}

#[test]
fn a_set_that_nobody_was_told_of_goes_and_one_that_somebody_was_stays_whole() {
    // All were taken, and nobody knows whether they are of one moment.
    let lists = set_of_two([true, true]);
    for list in &lists {
        let one = list.iter().next().unwrap();
        assert_eq!(
            settle(one, lists.iter(), |_| true),
            ListChange::Remove(one.id)
        );
    }
    // Once one was confirmed all were taken, and are.
    let lists = set_of_two([true, false]);
    let one = lists[0].get(id(1)).unwrap();
    assert_eq!(
        settle(one, lists.iter(), |_| false),
        ListChange::Confirm(id(1))
    );
}

#[test]
fn what_a_restore_of_several_kept_is_there_as_a_whole_or_not_at_all() {
    let lists = set_of_two([true, true]).map(|list| {
        let mut kept = SnapshotList::default();
        for one in list.iter() {
            let cause = Cause::Restore { to: id(9) };
            let one = Snapshot {
                cause,
                ..one.clone()
            };
            kept.apply(ListChange::Add(one)).unwrap();
        }
        kept
    });
    let one = lists[0].get(id(1)).unwrap();
    let all = lists.iter();
    assert_eq!(
        settle(one, all.clone(), |_| true),
        ListChange::Confirm(id(1))
    );
    // One of the datasets is missing: the other must go.
    assert_eq!(
        settle(one, all, |of| of == id(1)),
        ListChange::Remove(id(1))
    );
    // The other family's list didn't get its entry.
    assert_eq!(
        settle(one, lists[..1].iter(), |_| true),
        ListChange::Remove(id(1))
    );
}
