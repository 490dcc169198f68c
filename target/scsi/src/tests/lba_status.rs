//! GET LBA STATUS.

use super::provisioning::unmap;
use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{BlockSize, Extent, LbaExtent, Operation, Outcome, Status, UnitState};

const MAPPED: u8 = 0;
const DEALLOCATED: u8 = 1;

fn cdb(lba: u64, allocation_length: u32) -> Vec<u8> {
    block_cdb(0x9e, 0x12, lba, allocation_length)
}

/// LBA, number of blocks and provisioning status of every descriptor, after a look at the rest.
#[track_caller]
fn descriptors(data: &[u8]) -> Vec<(u64, u32, u8)> {
    let (header, list) = data.split_at(8);
    let length = u32::from_be_bytes(header[..4].try_into().unwrap());
    assert_eq!(length as usize, data.len() - 4);
    assert_eq!((&header[4..], list.len() % 16), (&[0; 4][..], 0));
    list.chunks(16)
        .map(|descriptor| {
            assert_eq!(descriptor[13..], [0; 3]);
            (
                u64::from_be_bytes(descriptor[..8].try_into().unwrap()),
                u32::from_be_bytes(descriptor[8..12].try_into().unwrap()),
                descriptor[12],
            )
        })
        .collect()
}

#[track_caller]
fn status(rig: &mut Rig, lba: u64) -> Vec<(u64, u32, u8)> {
    descriptors(&rig.data(&cdb(lba, 4096)))
}

/// What a store reports: pieces as (length in bytes, mapped).
fn outcome(pieces: &[(u64, bool)]) -> Outcome {
    let pieces = pieces
        .iter()
        .map(|&(length, mapped)| LbaExtent { length, mapped });
    Outcome::LbaStatus(pieces.collect())
}

/// What the command makes of a store that reports `pieces`.
#[track_caller]
fn status_of(rig: &mut Rig, lba: u64, pieces: &[(u64, bool)]) -> Vec<(u64, u32, u8)> {
    rig.outcomes.push_back(outcome(pieces));
    status(rig, lba)
}

fn blocks() -> u32 {
    u32::try_from(BLOCKS).unwrap()
}

#[test]
fn a_thin_unit_is_mapped_by_writing_and_deallocated_by_unmapping() {
    let mut rig = Rig::new();
    assert_eq!(status(&mut rig, 0), [(0, blocks(), DEALLOCATED)]);

    assert_good(&rig.write(&block_cdb(0x2a, 0, 8, 16), &[1; 16 * 512]));
    let rest = blocks() - 24;
    let written = [
        (0, 8, DEALLOCATED),
        (8, 16, MAPPED),
        (24, rest, DEALLOCATED),
    ];
    assert_eq!(status(&mut rig, 0), written);

    assert_good(&unmap(&mut rig, &[(10, 2)]));
    let unmapped = [
        (9, 1, MAPPED),
        (10, 2, DEALLOCATED),
        (12, 12, MAPPED),
        (24, rest, DEALLOCATED),
    ];
    assert_eq!(status(&mut rig, 9), unmapped);
}

#[test]
fn write_same_maps_unless_it_may_unmap() {
    const UNMAP: u8 = 0x08;
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x93, 0, 0, 8), &[0; 512]));
    assert_eq!(status(&mut rig, 0)[0], (0, 8, MAPPED));
    assert_good(&rig.write(&block_cdb(0x93, UNMAP, 0, 4), &[0; 512]));
    assert_eq!(status(&mut rig, 0)[..2], [(0, 4, 1), (4, 4, MAPPED)]);
}

#[test]
fn every_block_that_is_unmapped_alone_shows() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x2a, 0, 0, 257), &[b'A'; 257 * 512]));
    for lba in 0..256 {
        assert_good(&unmap(&mut rig, &[(lba, 1)]));
        let at = descriptors(&rig.data(&cdb(lba, 24)));
        assert_eq!(at, [(lba, 1, DEALLOCATED)]);
        let behind = descriptors(&rig.data(&cdb(lba + 1, 24)));
        let left = u32::try_from(256 - lba).unwrap();
        assert_eq!(behind, [(lba + 1, left, MAPPED)]);
    }
}

#[test]
fn the_first_descriptor_starts_at_the_address_asked_for() {
    let mut rig = Rig::new();
    for lba in (1..=256).chain(BLOCKS - 256..BLOCKS) {
        let left = u32::try_from(BLOCKS - lba).unwrap();
        let data = rig.data(&cdb(lba, 24));
        assert_eq!(descriptors(&data), [(lba, left, DEALLOCATED)]);
    }
}

#[test]
fn an_address_behind_the_end_is_out_of_range_whatever_the_length() {
    let mut rig = Rig::new();
    for lba in [BLOCKS, BLOCKS + 1, 1 << 63, u64::MAX] {
        for allocation_length in [0, 24, 4096] {
            assert_out_of_range(&rig.read(&cdb(lba, allocation_length)));
        }
    }
    assert!(rig.log.is_empty());
}

#[test]
fn the_store_is_asked_for_what_fits() {
    let mut rig = Rig::new();
    let extent = Extent {
        offset: 5 * 512,
        length: (BLOCKS - 5) * 512,
    };
    for (allocation_length, most) in [
        (1, 1),
        (24, 1),
        (39, 1),
        (40, 2),
        (8 + 256 * 16, 256),
        (u32::MAX, 256),
    ] {
        rig.data(&cdb(5, allocation_length));
        let expected = Operation::LbaStatus { extent, most };
        assert_eq!(rig.log.last(), Some(&expected));
    }
}

#[test]
fn every_allocation_length_is_respected() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x2a, 0, 1, 1), &[1; 512]));
    let whole = rig.data(&cdb(0, 4096));
    assert_eq!(whole.len(), 8 + 3 * 16);
    for length in 0..80 {
        // Whole descriptors as far as there is room, but at least one is there to be cut.
        let fitting = ((length.max(24) - 8) / 16).min(3) * 16;
        let data = rig.data(&cdb(0, length));
        assert_eq!(data.len(), length.min(8 + fitting) as usize);
        assert_eq!(data.get(4..), whole.get(4..data.len()));
        if let Some(found) = data.first_chunk() {
            assert_eq!(u32::from_be_bytes(*found), fitting + 4);
        }
    }
}

#[test]
fn no_more_descriptors_come_than_fit_or_than_256() {
    let mut rig = Rig::new();
    let pieces: Vec<_> = (0..BLOCKS).map(|lba| (512, lba % 2 == 0)).collect();
    let all = status_of(&mut rig, 0, &pieces);
    assert_eq!(all.len(), (4096 - 8) / 16);
    for (at, descriptor) in (0..).zip(&all) {
        assert_eq!(*descriptor, (at, 1, u8::from(at % 2 != 0)));
    }
    rig.outcomes.push_back(outcome(&pieces));
    assert_eq!(descriptors(&rig.data(&cdb(0, u32::MAX))).len(), 256);
}

#[test]
fn a_block_that_is_mapped_in_part_is_mapped() {
    let mut rig = Rig::with(|config| config.block_size = BlockSize::B4096);
    // Blocks 0 and 2 are hit by mapped pieces, and so is block 5, by a short one inside it.
    let pieces = [
        (100, true),
        (8192, false),
        (3996, true),
        (8192 + 100, false),
        (200, true),
        (3796, false),
        (4096, false),
    ];
    assert_eq!(
        status_of(&mut rig, 0, &pieces),
        [
            (0, 1, MAPPED),
            (1, 1, DEALLOCATED),
            (2, 1, MAPPED),
            (3, 2, DEALLOCATED),
            (5, 1, MAPPED),
            (6, 1, DEALLOCATED),
        ]
    );
}

#[test]
fn small_pieces_make_a_block_together() {
    let mut rig = Rig::with(|config| config.block_size = BlockSize::B4096);
    let free = status_of(&mut rig, 3, &[(1024, false); 8]);
    assert_eq!(free, [(3, 2, DEALLOCATED)]);
    let used = status_of(&mut rig, 3, &[(1024, true); 9]);
    assert_eq!(used, [(3, 3, MAPPED)]);
    let mixed = status_of(&mut rig, 3, &[(4000, false), (0, true), (96, false)]);
    assert_eq!(mixed, [(3, 1, DEALLOCATED)], "an empty piece maps nothing");
}

#[test]
fn an_answer_may_cover_less_than_the_unit_and_never_covers_more() {
    let mut rig = Rig::new();
    assert_eq!(
        status_of(&mut rig, 7, &[(512, true), (1024 + 511, false)]),
        [(7, 1, MAPPED), (8, 2, DEALLOCATED)]
    );
    let end = BLOCKS - 2;
    assert_eq!(
        status_of(&mut rig, end, &[(512, true), (u64::MAX, false), (9, true)]),
        [(end, 1, MAPPED), (end + 1, 1, DEALLOCATED)]
    );
}

#[test]
fn blocks_that_the_store_says_nothing_of_count_as_mapped() {
    let mut rig = Rig::new();
    for pieces in [&[][..], &[(0, false)], &[(511, false)]] {
        let left = blocks() - 4;
        assert_eq!(status_of(&mut rig, 4, pieces), [(4, left, MAPPED)]);
    }
}

#[test]
fn a_run_of_more_blocks_than_32_bits_can_count_takes_several_descriptors() {
    const MOST: u64 = u32::MAX as u64;
    let mut rig = Rig::new();
    rig.unit.set_blocks(1 << 34);
    rig.none(&[0; 6]);
    let pieces = [((2 * MOST + 3) * 512, false), (512, true)];
    assert_eq!(
        status_of(&mut rig, 10, &pieces),
        [
            (10, u32::MAX, DEALLOCATED),
            (10 + MOST, u32::MAX, DEALLOCATED),
            (10 + 2 * MOST, 3, DEALLOCATED),
            (13 + 2 * MOST, 1, MAPPED),
        ]
    );
}

#[test]
fn all_of_a_thick_unit_is_mapped_and_its_store_is_not_asked() {
    let mut rig = Rig::with(|config| config.thin = false);
    assert_eq!(status(&mut rig, 3), [(3, blocks() - 3, MAPPED)]);
    assert_out_of_range(&rig.read(&cdb(BLOCKS, 24)));
    assert!(rig.log.is_empty());
}

#[test]
fn reserved_fields_and_other_report_types_are_refused() {
    let mut rig = Rig::new();
    for (byte, bit) in [(1, 5), (1, 7), (14, 0), (14, 7), (15, 0)] {
        let mut cdb = cdb(0, 24);
        cdb[usize::from(byte)] |= 1 << bit;
        assert_invalid_field(&rig.read(&cdb), byte, Some(bit));
    }
}

#[test]
fn a_read_only_unit_answers_and_one_without_its_medium_does_not() {
    let mut rig = Rig::with(|config| config.read_only = true);
    assert_eq!(status(&mut rig, 0), [(0, blocks(), DEALLOCATED)]);
    rig.unit.set_state(UnitState::Fenced);
    assert_sense(&rig.read(&cdb(0, 24)), 4, Code::INTERNAL_TARGET_FAILURE);
    rig.unit.set_state(UnitState::BecomingReady);
    let becoming_ready = Code::LOGICAL_UNIT_IS_IN_PROCESS_OF_BECOMING_READY;
    assert_sense(&rig.read(&cdb(0, 24)), 2, becoming_ready);
}

#[test]
fn a_store_that_fails_is_not_taken_for_an_empty_one() {
    let mut rig = Rig::new();
    rig.outcomes
        .push_back(Outcome::MediumError { offset: 9 * 512 });
    let reply = rig.read(&cdb(0, 24));
    assert_sense(&reply, 3, Code::UNRECOVERED_READ_ERROR);
    assert_eq!(reply.sense[3..7], [0, 0, 0, 9]);
    rig.outcomes.push_back(Outcome::Busy);
    assert_eq!(rig.read(&cdb(0, 24)).status, Status::BUSY);
}

#[test]
fn an_answer_to_another_question_is_no_success() {
    let mut rig = Rig::new();
    rig.outcomes.push_back(outcome(&[]));
    let reply = rig.write(&block_cdb(0x2a, 0x08, 0, 1), &[1; 512]);
    assert_sense(&reply, 4, Code::INTERNAL_TARGET_FAILURE);
}
