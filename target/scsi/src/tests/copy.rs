//! EXTENDED COPY and what is told of it.

use bytes::Bytes;

use super::rig::{
    BLOCKS, Rig, assert_good, assert_invalid_field, assert_invalid_parameter, assert_sense,
    nexus_info,
};
use crate::opcodes::Class;
use crate::sense::AdditionalSense as Asc;
use crate::{
    Command, Completion, CopyEnd, CopyFailure, CopyJob, CopySide, LogicalUnit, MAX_CSCDS,
    MAX_SEGMENTS, MediumCondition, Operation, Outcome, Plan, Reply, RodToken, Status,
    TaskAttribute,
};

/// Carries out a copy whose logical units are all `unit`, in steps of a few blocks.
fn carry_out(unit: &LogicalUnit, job: &CopyJob, medium: &mut [u8]) -> Result<(), CopyFailure> {
    let nexus = nexus_info(1);
    for segment in 0..job.segments() {
        job.begin_segment(segment);
        for (side, class) in [
            (CopySide::Source, Class::MediumRead),
            (CopySide::Destination, Class::MediumWrite),
        ] {
            let here = match job.end(segment, side)? {
                CopyEnd::OwnUnit => true,
                CopyEnd::Named(designation) => unit.is_named(designation),
            };
            if !here {
                return Err(job.unreachable(segment, side));
            }
            unit.check_third_party(&nexus, class)
                .map_err(|refusal| job.refused(segment, side, refusal))?;
        }
        let end = unit.copy_endpoint();
        let Some(transfer) = job.transfer(segment, end, end)? else {
            continue;
        };
        let backwards = transfer.goes_backwards(true);
        let mut done = 0;
        while let Some(chunk) = transfer.chunk(done, 8192, backwards) {
            let at = |offset: u64| usize::try_from(offset).unwrap();
            let mut data = medium[at(chunk.read.offset)..at(chunk.read.end())]
                [at(chunk.skip)..at(chunk.skip + chunk.take)]
                .to_vec();
            data.resize(at(chunk.write.length), 0);
            medium[at(chunk.write.offset)..at(chunk.write.end())].copy_from_slice(&data);
            done += chunk.write.length;
            job.count_operation();
            job.count_operation();
        }
        job.written(done);
    }
    Ok(())
}

/// Does what the copy manager wants: copies inside `unit`; tokens are made without being kept, and
/// nothing is written from one.
pub(super) fn execute(unit: &LogicalUnit, operation: Operation, medium: &mut [u8]) -> Outcome {
    match operation {
        Operation::Copy { job } => match carry_out(unit, &job, medium) {
            Ok(()) => Outcome::Done,
            Err(failure) => Outcome::CopyFailed(Box::new(failure)),
        },
        Operation::PopulateToken { wish } => {
            let bytes = wish.ranges.iter().map(|range| range.length).sum();
            let port = nexus_info(1).target_port;
            Outcome::TokenMade(RodToken::new(unit.config(), &port, 77, bytes, &[0xaa; _]))
        }
        Operation::WriteUsingToken { job } => {
            job.written(job.ranges.iter().map(|range| range.length).sum());
            Outcome::Done
        }
        other => panic!("not the copy manager's: {other:?}"),
    }
}

/// An Identification Descriptor CSCD descriptor with the unit's NAA designator.
fn cscd(rig: &Rig) -> Vec<u8> {
    let mut bytes = vec![0xe4, 0, 0, 0, 0x01, 0x03, 0, 8];
    bytes.extend(rig.unit.config().identity.naa);
    bytes.resize(28, 0);
    bytes.extend([0, 0, 0x02, 0x00]);
    bytes
}

/// A segment of blocks, from CSCD 0 to CSCD 0.
fn blocks(count: u16, from: u64, to: u64) -> Vec<u8> {
    segment(0, 0, count, from, to)
}

fn segment(source: u16, destination: u16, count: u16, from: u64, to: u64) -> Vec<u8> {
    let mut bytes = vec![0x02, 0, 0, 0x18];
    bytes.extend(source.to_be_bytes());
    bytes.extend(destination.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(count.to_be_bytes());
    bytes.extend(from.to_be_bytes());
    bytes.extend(to.to_be_bytes());
    bytes
}

/// A segment of bytes with offsets.
fn bytes(count: u32, from: (u64, u16), to: (u64, u16)) -> Vec<u8> {
    let mut bytes = vec![0x0a, 0, 0, 0x1c, 0, 0, 0, 0];
    bytes.extend(count.to_be_bytes());
    bytes.extend(from.0.to_be_bytes());
    bytes.extend(to.0.to_be_bytes());
    bytes.extend(from.1.to_be_bytes());
    bytes.extend(to.1.to_be_bytes());
    bytes
}

/// A parameter list of the LID1 format.
fn list(identifier: u8, usage: u8, cscds: &[u8], segments: &[u8]) -> Vec<u8> {
    let mut list = vec![identifier, usage << 3];
    list.extend(u16::try_from(cscds.len()).unwrap().to_be_bytes());
    list.extend([0; 4]);
    list.extend(u32::try_from(segments.len()).unwrap().to_be_bytes());
    list.extend([0; 4]);
    list.extend(cscds);
    list.extend(segments);
    list
}

/// The same of the LID4 format.
fn list4(identifier: u32, cscds: &[u8], segments: &[u8]) -> Vec<u8> {
    let mut list = vec![0x01, 0, 0, 0x20];
    list.resize(16, 0);
    list.extend([0xff, 0, 0, 0]);
    list.extend(identifier.to_be_bytes());
    list.resize(42, 0);
    list.extend(u16::try_from(cscds.len()).unwrap().to_be_bytes());
    list.extend(u16::try_from(segments.len()).unwrap().to_be_bytes());
    list.extend([0, 0]);
    list.extend(cscds);
    list.extend(segments);
    list
}

fn cdb(action: u8, length: usize) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[..2].copy_from_slice(&[0x83, action]);
    cdb[10..14].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    cdb
}

fn copy(rig: &mut Rig, list: &[u8]) -> Reply {
    rig.write(&cdb(0, list.len()), list)
}

/// A command of the 84h family with room for a lot.
fn receive(action: u8, identifier: u8) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[..3].copy_from_slice(&[0x84, action, identifier]);
    cdb[12] = 0x10;
    cdb
}

/// The same with a list identifier of four bytes.
fn receive4(action: u8, identifier: u32) -> [u8; 16] {
    let mut cdb = receive(action, 0);
    cdb[2..6].copy_from_slice(&identifier.to_be_bytes());
    cdb
}

fn filled() -> Rig {
    let mut rig = Rig::new();
    for (at, byte) in rig.medium.iter_mut().enumerate() {
        *byte = u8::try_from((at / 512 * 7 + at % 251) % 256).unwrap();
    }
    rig
}

fn range(lba: usize, blocks: usize) -> std::ops::Range<usize> {
    lba * 512..(lba + blocks) * 512
}

/// COPY ABORTED with this code, for this segment, with this pointer (SD, byte).
#[track_caller]
fn assert_aborted(reply: &Reply, additional: Asc, segment: u16, pointer: Option<(bool, u16)>) {
    assert_eq!(reply.status, Status::CHECK_CONDITION);
    let sense = &reply.sense;
    assert_eq!(
        (sense[2], sense[12], sense[13]),
        (0xa, additional.code, additional.qualifier),
        "{sense:02x?}"
    );
    assert_eq!(sense[10..12], segment.to_be_bytes(), "{sense:02x?}");
    let bytes = pointer.map_or([0; 3], |(in_segment, byte)| {
        let [high, low] = byte.to_be_bytes();
        [if in_segment { 0xa0 } else { 0x80 }, high, low]
    });
    assert_eq!(sense[15..18], bytes, "{sense:02x?}");
}

#[test]
fn segments_are_copied_in_order() {
    let mut rig = filled();
    let before = rig.medium.clone();
    let list = list(
        1,
        0,
        &cscd(&rig),
        &[blocks(20, 0, 100), blocks(20, 100, 200)].concat(),
    );
    assert_good(&copy(&mut rig, &list));
    assert_eq!(rig.medium[range(100, 20)], before[range(0, 20)]);
    assert_eq!(rig.medium[range(200, 20)], before[range(0, 20)]);
    let status = rig.data(&receive(0x00, 1));
    assert_eq!(status, [0, 0, 0, 8, 0x01, 0, 2, 0, 0, 0, 80, 0]);
    // It was told, so it is forgotten.
    assert_invalid_field(&rig.read(&receive(0x00, 1)), 2, None);
}

#[test]
fn a_list_of_length_zero_does_nothing() {
    let mut rig = Rig::new();
    assert_good(&rig.none(&cdb(0, 0)));
    assert_good(&rig.none(&cdb(1, 0)));
}

#[test]
fn overlapping_blocks_arrive_as_they_were() {
    for (from, to) in [(100, 110), (110, 100), (100, 101), (50, 50)] {
        let mut rig = filled();
        let before = rig.medium.clone();
        let list = list(1, 0, &cscd(&rig), &blocks(300, from, to));
        assert_good(&copy(&mut rig, &list));
        let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        assert_eq!(rig.medium[range(to, 300)], before[range(from, 300)]);
    }
}

#[test]
fn a_source_offset_may_be_anywhere() {
    let mut rig = filled();
    let before = rig.medium.clone();
    let list = list(1, 0, &cscd(&rig), &bytes(30 * 512, (3, 100), (600, 512)));
    assert_good(&copy(&mut rig, &list));
    let start = 3 * 512 + 100;
    assert_eq!(rig.medium[range(601, 30)], before[start..start + 30 * 512]);
    assert_eq!(rig.medium[range(600, 1)], before[range(600, 1)]);
}

#[test]
fn parts_of_destination_blocks_violate_the_granularity() {
    let mut rig = filled();
    let granularity = Asc::COPY_SEGMENT_GRANULARITY_VIOLATION;
    let cscds = cscd(&rig);
    for (segment, byte) in [
        (bytes(100, (0, 0), (9, 0)), 8),
        (bytes(512, (0, 0), (9, 1)), 30),
    ] {
        let reply = copy(&mut rig, &list(1, 0, &cscds, &segment));
        assert_aborted(&reply, granularity, 0, Some((true, byte)));
    }
}

#[test]
fn the_own_unit_needs_no_descriptor() {
    let mut rig = filled();
    let before = rig.medium.clone();
    let list = list(1, 0, &[], &segment(0xffff, 0xffff, 4, 0, 8));
    assert_good(&copy(&mut rig, &list));
    assert_eq!(rig.medium[range(8, 4)], before[range(0, 4)]);
}

#[test]
fn lid4_lists_count_descriptors_from_one() {
    let mut rig = filled();
    let before = rig.medium.clone();
    let list = list4(0x1234_5678, &cscd(&rig), &segment(1, 1, 4, 0, 8));
    assert_good(&rig.write(&cdb(1, list.len()), &list));
    assert_eq!(rig.medium[range(8, 4)], before[range(0, 4)]);
    let status = rig.data(&receive4(0x05, 0x1234_5678));
    assert_eq!(status[..4], [0, 0, 0, 28]);
    assert_eq!(status[4..6], [0x01, 0x01]);
    assert_eq!(status[6..8], [0, 2]);
    assert_eq!(status[8..16], [0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0]);
    assert_eq!(status[16..26], [0, 0, 0, 0, 0, 0, 8, 0, 0, 1]);

    let list = list4(1, &cscd(&rig), &segment(0, 1, 4, 0, 8));
    let reply = rig.write(&cdb(1, list.len()), &list);
    assert_aborted(&reply, Asc::UNREACHABLE_COPY_TARGET, 0, Some((true, 4)));
}

#[test]
fn nobody_and_somebody_else_are_told_apart() {
    let mut rig = Rig::new();
    let known = cscd(&rig);
    let reply = copy(&mut rig, &list(1, 0, &known, &segment(0, 1, 4, 0, 8)));
    assert_aborted(&reply, Asc::UNREACHABLE_COPY_TARGET, 0, Some((true, 6)));

    let mut other = known.clone();
    other[15] ^= 1;
    let cscds = [known.clone(), other].concat();
    let segments = [blocks(1, 0, 9), segment(1, 0, 4, 0, 8)].concat();
    let reply = copy(&mut rig, &list(1, 0, &cscds, &segments));
    let unreachable = Asc::COPY_TARGET_DEVICE_NOT_REACHABLE;
    assert_aborted(&reply, unreachable, 1, Some((false, 48)));

    let mut tape = known;
    tape[1] = 0x01;
    let reply = copy(&mut rig, &list(1, 0, &tape, &blocks(4, 0, 8)));
    let wrong = Asc::INCORRECT_COPY_TARGET_DEVICE_TYPE;
    assert_aborted(&reply, wrong, 0, Some((false, 16)));
}

#[test]
fn a_t10_designator_serves_as_well() {
    let mut rig = filled();
    let mut cscds = vec![0xe4, 0, 0, 0, 0x02, 0x01, 0, 16];
    cscds.extend(b"TIDELOCKSERIAL-1");
    cscds.resize(32, 0);
    assert_good(&copy(&mut rig, &list(1, 0, &cscds, &blocks(4, 0, 8))));
    // The port's designators don't name the unit.
    cscds[5] = 0x11;
    let reply = copy(&mut rig, &list(1, 0, &cscds, &blocks(4, 0, 8)));
    let unreachable = Asc::COPY_TARGET_DEVICE_NOT_REACHABLE;
    assert_aborted(&reply, unreachable, 0, Some((false, 16)));
}

#[test]
fn addresses_outside_are_pointed_at() {
    let mut rig = Rig::new();
    let cscds = cscd(&rig);
    for (from, to, byte) in [
        (BLOCKS - 1, 0, 12),
        (0, BLOCKS - 1, 20),
        (u64::MAX, 0, 12),
        (0, u64::MAX, 20),
    ] {
        let reply = copy(&mut rig, &list(1, 0, &cscds, &blocks(2, from, to)));
        assert_aborted(&reply, Asc::NONE, 0, Some((true, byte)));
    }
}

#[test]
fn a_wrong_block_length_is_pointed_at() {
    let mut rig = Rig::new();
    let mut cscds = cscd(&rig);
    cscds[30] = 0x10;
    let reply = copy(&mut rig, &list(1, 0, &cscds, &blocks(2, 0, 4)));
    let invalid = Asc::INVALID_FIELD_IN_PARAMETER_LIST;
    assert_aborted(&reply, invalid, 0, Some((false, 45)));
}

#[test]
fn lists_that_are_too_long_are_refused() {
    let mut rig = Rig::new();
    let one = cscd(&rig);
    let many = one.repeat(usize::from(MAX_CSCDS) + 1);
    let reply = copy(&mut rig, &list(1, 0, &many, &blocks(1, 0, 9)));
    assert_sense(&reply, 5, Asc::TOO_MANY_TARGET_DESCRIPTORS);

    let many = blocks(1, 0, 9).repeat(usize::from(MAX_SEGMENTS) + 1);
    let reply = copy(&mut rig, &list(1, 0, &one, &many));
    assert_sense(&reply, 5, Asc::TOO_MANY_SEGMENT_DESCRIPTORS);

    let many = one.repeat(usize::from(MAX_CSCDS + MAX_SEGMENTS) + 1);
    let reply = copy(&mut rig, &list(1, 0, &many, &[]));
    assert_sense(&reply, 5, Asc::PARAMETER_LIST_LENGTH_ERROR);

    let most = blocks(1, 0, 9).repeat(usize::from(MAX_SEGMENTS));
    assert_good(&copy(&mut rig, &list(1, 0, &one, &most)));
}

#[test]
fn lists_that_end_too_early_are_refused() {
    let mut rig = Rig::new();
    let list = list(1, 0, &cscd(&rig), &blocks(1, 0, 9));
    for length in [1, 15, 16, 47, 48, list.len() - 1] {
        let reply = copy(&mut rig, &list[..length]);
        assert_sense(&reply, 5, Asc::PARAMETER_LIST_LENGTH_ERROR);
    }
}

#[test]
fn descriptors_that_are_not_supported_are_named() {
    let mut rig = Rig::new();
    let mut cscds = cscd(&rig);
    cscds[0] = 0xe0;
    let reply = copy(&mut rig, &list(1, 0, &cscds, &blocks(1, 0, 9)));
    assert_sense(&reply, 5, Asc::UNSUPPORTED_TARGET_DESCRIPTOR_TYPE_CODE);

    let mut stream = blocks(1, 0, 9);
    stream[0] = 0x03;
    let cscds = cscd(&rig);
    let reply = copy(&mut rig, &list(1, 0, &cscds, &stream));
    assert_sense(&reply, 5, Asc::UNSUPPORTED_SEGMENT_DESCRIPTOR_TYPE_CODE);

    let mut short = blocks(1, 0, 9);
    short[3] = 0x14;
    let reply = copy(&mut rig, &list(1, 0, &cscds, &short));
    assert_invalid_parameter(&reply, 50, None);

    let mut long = cscds;
    long[7] = 21;
    let reply = copy(&mut rig, &list(1, 0, &long, &blocks(1, 0, 9)));
    assert_invalid_parameter(&reply, 23, None);
}

#[test]
fn inline_data_is_refused() {
    let mut rig = Rig::new();
    let mut list = list(1, 0, &cscd(&rig), &blocks(1, 0, 9));
    list[15] = 1;
    list.push(0);
    let reply = copy(&mut rig, &list);
    assert_sense(&reply, 5, Asc::INLINE_DATA_LENGTH_EXCEEDED);
}

#[test]
fn headers_of_lid4_lists_are_checked() {
    let mut rig = Rig::new();
    let good = list4(1, &cscd(&rig), &segment(1, 1, 1, 0, 9));
    for (byte, value, pointer) in [
        (0, 2, (0, None)),
        (3, 0x21, (2, None)),
        (15, 0x02, (15, Some(1))),
        (16, 0xfe, (16, None)),
        (1, 0x08, (1, Some(4))),
        (1, 0x18, (20, None)),
    ] {
        let mut list = good.clone();
        list[byte] = value;
        let reply = rig.write(&cdb(1, list.len()), &list);
        assert_invalid_parameter(&reply, pointer.0, pointer.1);
    }
    // IMMED is treated as zero.
    let mut list = good;
    list[15] = 0x01;
    assert_good(&rig.write(&cdb(1, list.len()), &list));
}

#[test]
fn an_operation_without_identifier_leaves_no_record() {
    let mut rig = Rig::new();
    let cscds = cscd(&rig);
    assert_good(&copy(&mut rig, &list(0, 3, &cscds, &blocks(1, 0, 9))));
    assert_invalid_field(&rig.read(&receive(0x00, 0)), 2, None);
    let reply = copy(&mut rig, &list(1, 3, &cscds, &blocks(1, 0, 9)));
    assert_invalid_parameter(&reply, 0, None);
    let reply = copy(&mut rig, &list(1, 1, &cscds, &blocks(1, 0, 9)));
    assert_invalid_parameter(&reply, 1, Some(4));
}

#[test]
fn write_protection_is_forwarded() {
    let mut rig = Rig::with(|config| config.read_only = true);
    let list = list(1, 0, &cscd(&rig), &blocks(4, 0, 8));
    let reply = copy(&mut rig, &list);
    assert_aborted(
        &reply,
        Asc::THIRD_PARTY_DEVICE_FAILURE,
        0,
        Some((false, 16)),
    );
    let sense = reply.sense;
    assert_eq!(usize::from(sense[7]) + 8, sense.len());
    assert_eq!(sense[8..10], [0, 18], "the destination said so");
    assert_eq!(sense[18], Status::CHECK_CONDITION.0);
    assert_eq!(sense[19..].len(), 18);
    assert_eq!((sense[19 + 2], sense[19 + 12]), (0x7, 0x27));

    let details = rig.data(&receive(0x04, 1));
    let length = u8::try_from(sense.len()).unwrap();
    assert_eq!(details[..4], [0, 0, 0, 56 + length]);
    assert_eq!(details[56], Status::CHECK_CONDITION.0);
    assert_eq!(details[58..60], [0, length]);
    assert_eq!(details[60..], sense);
    assert_invalid_field(&rig.read(&receive(0x04, 1)), 2, None);
}

#[test]
fn descriptor_sense_has_the_segment_and_what_was_said() {
    let mut rig = Rig::with(|config| config.read_only = true);
    let select = [0, 0, 0, 0, 0x0a, 10, 0x26, 0x10, 0, 0, 0, 0, 1, 44, 0, 0];
    assert_good(&rig.write(&[0x15, 0x10, 0, 0, 16, 0], &select));
    let segments = [blocks(0, 0, 0), blocks(4, 0, 8)].concat();
    let list = list(1, 0, &cscd(&rig), &segments);
    let sense = copy(&mut rig, &list).sense;
    assert_eq!(sense[..4], [0x72, 0xa, 0x0d, 0x01]);
    assert_eq!(usize::from(sense[7]) + 8, sense.len());
    let expected: &[&[u8]] = &[
        &[0x02, 0x06, 0, 0, 0x80, 0, 16, 0],
        &[0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x0c, 10, 2, 0x02, 0x72, 0x07, 0x27, 0, 0, 0, 0, 0],
    ];
    // The destination is checked even where nothing is to be copied.
    assert_eq!(sense[8..], expected.concat());
}

#[test]
fn a_medium_that_is_made_anew_is_left_alone() {
    let rig = Rig::new();
    let announced = rig.unit.third_party_underway();
    assert!(rig.unit.has_commands_under_way());
    drop(announced);
    assert!(!rig.unit.has_commands_under_way());

    rig.unit.set_medium_condition(MediumCondition::Formatting);
    for class in [Class::MediumRead, Class::MediumWrite] {
        let refusal = rig.unit.check_third_party(&nexus_info(2), class);
        let sense = refusal.unwrap_err().sense;
        assert_eq!((sense[2], sense[12], sense[13]), (0x2, 0x04, 0x04));
    }
}

#[test]
fn a_reset_forgets_what_has_ended() {
    let mut rig = Rig::new();
    let list = list(1, 0, &cscd(&rig), &blocks(1, 0, 9));
    assert_good(&copy(&mut rig, &list));
    rig.unit.logical_unit_reset();
    rig.none(&[0; 6]);
    assert_invalid_field(&rig.read(&receive(0x00, 1)), 2, None);
}

#[test]
fn records_are_bounded() {
    let mut rig = Rig::new();
    let cscds = cscd(&rig);
    for identifier in 0..40 {
        assert_good(&copy(
            &mut rig,
            &list(identifier, 0, &cscds, &blocks(1, 0, 9)),
        ));
    }
    assert_invalid_field(&rig.read(&receive(0x00, 20)), 2, None);
    assert_good(&rig.read(&receive(0x00, 30)));
}

/// Begins a copy and leaves it running.
fn begin(rig: &mut Rig, list: &[u8]) -> Result<(std::sync::Arc<CopyJob>, Completion), Reply> {
    let action = if list[0] == 0x01 && list[3] == 0x20 && list[16] == 0xff {
        1
    } else {
        0
    };
    let cdb = cdb(action, list.len());
    let command = Command {
        cdb: &cdb,
        expected_length: u32::try_from(list.len()).unwrap(),
        read: false,
        write: true,
        attribute: TaskAttribute::Simple,
        luns: &[],
    };
    let nexus = &mut rig.nexuses[0];
    let Plan::NeedData { pending, .. } = rig.unit.begin(nexus, &command) else {
        panic!("no data wanted");
    };
    let data = [Bytes::copy_from_slice(list)].into_iter().collect();
    match rig.unit.data_out(nexus, pending, data) {
        Plan::Execute {
            operation: Operation::Copy { job },
            completion,
        } => Ok((job, completion)),
        Plan::Done(reply) => Err(reply),
        other => panic!("{other:?}"),
    }
}

#[test]
fn identifiers_of_running_operations_are_taken() {
    let mut rig = Rig::new();
    let cscds = cscd(&rig);
    let first = list(7, 0, &cscds, &blocks(1, 0, 9));
    let (job, completion) = begin(&mut rig, &first).unwrap();
    job.begin_segment(0);
    job.written(512);
    let reply = begin(&mut rig, &first).unwrap_err();
    assert_sense(&reply, 5, Asc::OPERATION_IN_PROGRESS);
    let other = list4(7, &cscds, &segment(1, 1, 1, 0, 9));
    let reply = begin(&mut rig, &other).unwrap_err();
    assert_invalid_parameter(&reply, 20, None);
    // Another nexus has identifiers of its own.
    let second = rig.attach();
    rig.run(second, &[0; 6], false, false, 0, &[]);
    let length = u32::try_from(first.len()).unwrap();
    let reply = rig.run(second, &cdb(0, first.len()), false, true, length, &first);
    assert_good(&reply);

    assert_eq!(
        rig.data(&receive(0x00, 7)),
        [0, 0, 0, 8, 0x00, 0, 1, 0, 0, 0, 2, 0]
    );
    assert_eq!(rig.data(&receive4(0x05, 7))[5], 0x11);
    assert_invalid_field(&rig.read(&receive(0x04, 7)), 2, None);
    let Plan::Done(reply) = rig
        .unit
        .finish(&mut rig.nexuses[0], completion, Outcome::Done)
    else {
        panic!("a copy is one operation");
    };
    assert_good(&reply);
    assert_eq!(rig.data(&receive(0x00, 7))[4], 0x01);
    // No failure to be told about, and the status is forgotten.
    assert_invalid_field(&rig.read(&receive(0x04, 7)), 2, None);
}

#[test]
fn an_abort_is_heard_and_told() {
    let mut rig = Rig::new();
    let list = list(7, 0, &cscd(&rig), &blocks(1, 0, 9));
    let mut abort = [0; 16];
    abort[..6].copy_from_slice(&[0x83, 0x1c, 0, 0, 0, 7]);
    assert_invalid_field(&rig.none(&abort), 2, None);
    let (job, completion) = begin(&mut rig, &list).unwrap();
    assert!(!job.is_aborted());
    assert_good(&rig.none(&abort));
    assert!(job.is_aborted());
    let outcome = Outcome::CopyFailed(Box::new(CopyFailure::aborted(0)));
    let Plan::Done(reply) = rig.unit.finish(&mut rig.nexuses[0], completion, outcome) else {
        panic!("a copy is one operation");
    };
    assert_aborted(&reply, Asc::COMMANDS_CLEARED_BY_DEVICE_SERVER, 0, None);
    assert_invalid_field(&rig.none(&abort), 2, None);

    // A task that is aborted by task management just disappears.
    let (job, completion) = begin(&mut rig, &list).unwrap();
    drop((job, completion));
    let status = rig.data(&receive4(0x05, 7));
    assert_eq!((status[5], status[12]), (0x60, 0x40));
}

#[test]
fn there_are_only_so_many_at_a_time() {
    let mut rig = Rig::new();
    let cscds = cscd(&rig);
    let mut running = Vec::new();
    for identifier in 0..16 {
        running.push(begin(&mut rig, &list(identifier, 0, &cscds, &blocks(1, 0, 9))).unwrap());
    }
    let one_more = list(99, 0, &cscds, &blocks(1, 0, 9));
    let reply = begin(&mut rig, &one_more).unwrap_err();
    assert_eq!(reply.status, Status::TASK_SET_FULL);
    running.pop();
    assert!(begin(&mut rig, &one_more).is_ok());
}

#[test]
fn operating_parameters_and_the_vpd_page_agree() {
    let mut rig = Rig::new();
    let data = rig.data(&receive(0x03, 5));
    let page = rig.data(&[0x12, 0x01, 0x8f, 0x02, 0x00, 0]);
    assert_eq!(data[..8], [0, 0, 0, 43, 1, 0, 0, 0]);
    assert_eq!(data[43..], [3, 0x02, 0x0a, 0xe4]);
    assert_eq!(usize::from(page[3]) + 4, page.len());
    let mut descriptors = std::collections::BTreeMap::new();
    let mut rest = &page[4..];
    while !rest.is_empty() {
        let length = usize::from(rest[3]);
        assert!(length.is_multiple_of(4));
        descriptors.insert([rest[0], rest[1]], rest[4..4 + length].to_vec());
        rest = &rest[4 + length..];
    }
    let commands = &descriptors[&[0, 0x01]];
    let known = [
        0x83, 5, 0x00, 0x01, 0x10, 0x11, 0x1c, 0x84, 5, 0x00, 0x03, 0x04, 0x05, 0x07,
    ];
    assert_eq!(commands[0], 14);
    assert_eq!(commands[1..15], known);
    let parameters = &descriptors[&[0, 0x04]];
    assert_eq!(parameters.len(), 0x1c);
    assert_eq!(parameters[4..12], data[8..16]);
    assert_eq!(descriptors[&[0, 0x08]], data[43..]);
    assert_eq!(descriptors[&[0, 0x0c]], [0, 2, 0xff, 0xff]);
    let general = &descriptors[&[0x80, 0x01]];
    assert_eq!(general.len(), 0x20);
    assert_eq!(general[8..12], data[16..20]);
    assert_eq!(general[12], data[37]);
    // 3PC.
    assert_eq!(rig.data(&[0x12, 0, 0, 0, 96, 0])[5] & 0x08, 0x08);
}

/// POPULATE TOKEN for blocks 8 to 15 and 0 to 3.
fn populate(rig: &mut Rig) -> Reply {
    let mut list = vec![0, 46, 0, 0, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 32];
    list.extend([0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 0]);
    list.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    let mut cdb = cdb(0x10, list.len());
    cdb[9] = 3;
    rig.write(&cdb, &list)
}

#[test]
fn a_token_is_told_once_and_says_whose_it_is() {
    let mut rig = Rig::new();
    assert_good(&populate(&mut rig));
    let Some(Operation::PopulateToken { wish }) = rig.log.last() else {
        panic!("{:?}", rig.log);
    };
    assert_eq!(wish.inactivity_timeout, 30);
    let ranges: Vec<_> = wish.ranges.iter().map(|r| (r.offset, r.length)).collect();
    assert_eq!(ranges, [(4096, 4096), (0, 2048)]);

    let short = rig.data(&[0x84, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0]);
    let data = rig.data(&receive4(0x07, 3));
    assert_eq!(short, data[..40]);
    assert_eq!(data[..6], [0, 0, 0x02, 34, 0x10, 0x01]);
    assert_eq!(data[15], 0xf1);
    assert_eq!(data[24..26], [0, 0], "no segments");
    assert_eq!(data[32..38], [0, 0, 0x02, 0x02, 0, 0]);
    let token = &data[38..];
    assert_eq!(token.len(), 512);
    assert_eq!(token[..8], [0, 0x80, 0, 0x01, 0, 0, 0x01, 0xf8]);
    assert_eq!(token[8..16], 77_u64.to_be_bytes());
    assert_eq!(token[16..48], cscd(&rig));
    assert_eq!(token[48..64], 6144_u128.to_be_bytes());
    assert_eq!(token[96..102], [0, 0, 2, 0, 0, 3]);
    // UTF-8, of the target device, SCSI name.
    assert_eq!(token[128..131], [0x53, 0xa8, 0]);
    assert!(token[132..].starts_with(b"iqn.2026-11.test:disk\0"));
    assert!(token[256..].iter().all(|byte| *byte == 0xaa));
    assert_invalid_field(&rig.read(&receive4(0x07, 3)), 2, None);
}

#[test]
fn tokens_differ_by_a_single_bit() {
    let config = super::rig::config();
    let port = nexus_info(1).target_port;
    let one = RodToken::new(&config, &port, 1, 512, &[0x55; _]);
    let mut random = [0x55; _];
    random[200] ^= 0x01;
    assert!(one.is(&one.clone()));
    assert!(!one.is(&RodToken::new(&config, &port, 1, 512, &random)));
    assert!(!one.is(&RodToken::new(&config, &port, 2, 512, &[0x55; _])));
}

#[test]
fn a_long_target_name_leaves_room_for_what_cannot_be_guessed() {
    let mut port = nexus_info(1).target_port;
    port.target_name = "n".repeat(223);
    let token = RodToken::new(&super::rig::config(), &port, 1, 512, &[0x55; _]);
    assert_eq!(token.bytes().len(), 512);
    assert!(token.bytes()[512 - 32..].iter().all(|byte| *byte == 0x55));
}

#[test]
fn the_vpd_page_has_the_limits_of_tokens() {
    let mut rig = Rig::new();
    let page = rig.data(&[0x12, 0x01, 0x8f, 0x02, 0x00, 0]);
    assert_eq!(page[4..8], [0, 0, 0, 0x20]);
    assert_eq!(page[14..16], [0, 64]);
    assert_eq!(page[16..24], [0, 0, 0x02, 0x58, 0, 0, 0, 60]);
    // 256 MiB and 64 MiB, in blocks.
    assert_eq!(page[24..32], (1_u64 << 19).to_be_bytes());
    assert_eq!(page[32..40], (1_u64 << 17).to_be_bytes());
    let features = page.windows(4).position(|at| at == [0x01, 0x06, 0, 92]);
    let features = &page[features.unwrap()..][..96];
    assert_eq!(features[46..52], [0, 48, 0, 0, 0, 0x2c]);
    assert_eq!(features[56..64], (1_u64 << 28).to_be_bytes());
}
