//! SANITIZE and FORMAT UNIT: what they ask for, and what a unit says while its medium is made anew and
//! after that failed.

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{MediumCondition, Operation, Outcome, Renewal, Reply};

const OVERWRITE: u8 = 0x01;
const BLOCK_ERASE: u8 = 0x02;
const EXIT_FAILURE_MODE: u8 = 0x1f;
const IMMED: u8 = 0x80;
const AUSE: u8 = 0x20;
const RESTRICTED: MediumCondition = MediumCondition::SanitizeFailed {
    unrestricted: false,
};
const UNRESTRICTED: MediumCondition = MediumCondition::SanitizeFailed { unrestricted: true };

fn cdb(byte_1: u8, length: usize) -> [u8; 10] {
    let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
    [0x48, byte_1, 0, 0, 0, 0, 0, high, low, 0]
}

fn overwrite(rig: &mut Rig, flags: u8, list: &[u8]) -> Reply {
    rig.write(&cdb(flags | OVERWRITE, list.len()), list)
}

fn list(byte_0: u8, pattern: &[u8]) -> Vec<u8> {
    let mut list = vec![byte_0, 0];
    list.extend(u16::try_from(pattern.len()).unwrap().to_be_bytes());
    list.extend(pattern);
    list
}

#[test]
fn an_overwrite_says_what_to_write_and_how_often() {
    let mut rig = Rig::new();
    assert_good(&overwrite(&mut rig, IMMED | AUSE, &list(0x83, b"abc")));
    let renewal = Renewal::Overwrite {
        pattern: b"abc".as_slice().into(),
        passes: 3,
        invert: true,
        unrestricted: true,
    };
    let before = MediumCondition::Sound;
    let immediate = true;
    assert_eq!(
        rig.log,
        [Operation::Renew {
            renewal,
            immediate,
            before
        }]
    );
    let condition = MediumCondition::Sanitizing { unrestricted: true };
    assert_eq!(rig.unit.medium_condition(), condition);
}

#[test]
fn a_parameter_list_of_an_overwrite_is_checked_field_by_field() {
    let mut rig = Rig::new();
    for length in [0, 1, 4, 517, 1000] {
        let reply = rig.write(&cdb(OVERWRITE, length), &vec![1; length]);
        assert_invalid_field(&reply, 7, None);
    }
    assert_invalid_parameter(&overwrite(&mut rig, 0, &list(0, b"a")), 0, Some(4));
    assert_invalid_parameter(&overwrite(&mut rig, 0, &list(0x21, b"a")), 0, Some(6));
    let mut reserved = list(1, b"a");
    reserved[1] = 1;
    assert_invalid_parameter(&overwrite(&mut rig, 0, &reserved), 1, None);
    for length in [0, 513, 0xffff] {
        let mut wrong = list(1, &[0; 8]);
        wrong[2..4].copy_from_slice(&u16::to_be_bytes(length));
        assert_invalid_parameter(&overwrite(&mut rig, 0, &wrong), 2, None);
    }
    for length in [7, 9] {
        let mut wrong = list(1, &[0; 8]);
        wrong[3] = length;
        let reply = overwrite(&mut rig, 0, &wrong);
        assert_sense(&reply, 5, Code::PARAMETER_LIST_LENGTH_ERROR);
    }
    assert!(rig.log.is_empty());
    assert_eq!(rig.unit.medium_condition(), MediumCondition::Sound);
    assert_good(&overwrite(&mut rig, 0, &list(1, &[0; 512])));
}

#[test]
fn only_what_exists_can_be_asked_for() {
    let mut rig = Rig::new();
    for action in (0..0x20).filter(|action| ![1, 2, 0x1f].contains(action)) {
        assert_invalid_field(&rig.none(&cdb(action, 0)), 1, Some(4));
    }
    for action in [BLOCK_ERASE, EXIT_FAILURE_MODE] {
        assert_invalid_field(&rig.write(&cdb(action, 8), &[0; 8]), 7, None);
        assert_invalid_field(&rig.none(&cdb(action | 0x40, 0)), 1, Some(6));
    }
    assert!(rig.log.is_empty());
    let mut thick = Rig::with(|config| config.thin = false);
    let reply = thick.none(&cdb(BLOCK_ERASE, 0));
    assert_sense(&reply, 5, Code::INVALID_COMMAND_OPERATION_CODE);
}

#[test]
fn a_write_protected_medium_is_not_sanitized() {
    let mut rig = Rig::with(|config| config.read_only = true);
    for reply in [
        overwrite(&mut rig, 0, &list(1, b"a")),
        rig.none(&cdb(BLOCK_ERASE, 0)),
        rig.none(&[0x04, 0, 0, 0, 0, 0]),
    ] {
        assert_sense(&reply, 7, Code::WRITE_PROTECTED);
    }
}

/// NOT READY with this code and how far it is.
#[track_caller]
fn assert_progress(reply: &Reply, code: Code, progress: u16) {
    assert_sense(reply, 2, code);
    let [high, low] = progress.to_be_bytes();
    assert_eq!(reply.sense[15..], [0x80, high, low]);
}

#[test]
fn while_a_medium_is_sanitized_only_what_the_standard_lists_is_served() {
    let mut rig = Rig::new();
    let other = rig.attach();
    rig.run(other, &[0; 6], false, false, 0, &[]);
    assert_good(&rig.none(&cdb(BLOCK_ERASE | IMMED, 0)));
    rig.unit.set_renewal_progress(0x1234);
    let code = Code::LOGICAL_UNIT_NOT_READY_SANITIZE_IN_PROGRESS;
    for entry in crate::opcodes::TABLE {
        let mut cdb = [0; 16];
        cdb[0] = entry.operation_code;
        cdb[1] = u8::try_from(entry.service_action.unwrap_or(0)).unwrap();
        // MODE SENSE of the Caching mode page is allowed.
        let mode_sense = matches!(entry.operation_code, 0x1a | 0x5a);
        cdb[2] = if mode_sense { 0x08 } else { 0 };
        let reply = rig.run(other, &cdb, true, false, 255, &[]);
        match (entry.operation_code, entry.service_action) {
            (0x03 | 0x12 | 0x1a | 0x25 | 0x5a | 0xa0, _)
            | (0x9e, Some(0x10))
            | (0xa3, Some(0x0c | 0x0d)) => assert_good(&reply),
            _ => assert_progress(&reply, code, 0x1234),
        }
    }
    assert_progress(&rig.read(&[0x1a, 0, 0x3f, 0, 255, 0]), code, 0x1234);
    let sense = rig.data(&[0x03, 0, 0, 0, 252, 0]);
    assert_eq!(
        (sense[2], sense[12], sense[13], &sense[15..]),
        (2, 0x04, 0x1b, [0x80, 0x12, 0x34].as_slice())
    );
    rig.unit.logical_unit_reset();
    rig.none(&[0; 6]);
    assert_progress(&rig.none(&[0; 6]), code, 0x1234);

    rig.unit.set_medium_condition(MediumCondition::Sound);
    assert_good(&rig.none(&[0; 6]));
}

#[test]
fn data_that_was_announced_before_is_not_written_any_more() {
    use crate::{Command, Plan, TaskAttribute};
    let mut rig = Rig::new();
    let write = block_cdb(0x2a, 0, 0, 1);
    let command = Command {
        cdb: &write,
        expected_length: 512,
        read: false,
        write: true,
        attribute: TaskAttribute::Simple,
        luns: &LUNS,
    };
    let Plan::NeedData { pending, .. } = rig.unit.begin(&mut rig.nexuses[0], &command) else {
        panic!()
    };
    assert_good(&rig.none(&cdb(BLOCK_ERASE, 0)));
    let data = [vec![1; 512].into()].into_iter().collect();
    let Plan::Done(reply) = rig.unit.data_out(&mut rig.nexuses[0], pending, data) else {
        panic!()
    };
    assert_progress(&reply, Code::LOGICAL_UNIT_NOT_READY_SANITIZE_IN_PROGRESS, 0);
}

#[test]
fn a_renewal_waits_for_commands_that_were_let_pass_before() {
    let rig = Rig::new();
    assert!(!rig.unit.has_commands_under_way());
    let first = rig.nexuses[0].underway();
    let second = rig.nexuses[0].underway();
    drop(first);
    assert!(rig.unit.has_commands_under_way());
    // Unmapping doesn't end them.
    rig.unit.detach(&rig.nexuses[0]);
    assert!(rig.unit.has_commands_under_way());
    drop(second);
    assert!(!rig.unit.has_commands_under_way());
}

#[test]
fn a_failed_sanitize_in_the_restricted_mode_leaves_nothing_but_another_one() {
    let mut rig = Rig::new();
    rig.outcomes.push_back(Outcome::RenewalFailed);
    let reply = rig.none(&cdb(BLOCK_ERASE, 0));
    assert_sense(&reply, 3, Code::SANITIZE_COMMAND_FAILED);
    rig.unit.set_medium_condition(RESTRICTED);

    for refused in [
        vec![0; 6],
        block_cdb(0x28, 0, 0, 1),
        vec![0x1b, 0, 0, 0, 1, 0],
        vec![0x04, 0, 0, 0, 0, 0],
    ] {
        assert_sense(&rig.read(&refused), 3, Code::SANITIZE_COMMAND_FAILED);
    }
    let sense = rig.data(&[0x03, 0, 0, 0, 252, 0]);
    assert_eq!((sense[2], sense[12], sense[13]), (3, 0x31, 0x03));
    assert_good(&rig.read(&[0x12, 0, 0, 0, 96, 0]));
    assert_invalid_field(&rig.none(&cdb(EXIT_FAILURE_MODE, 0)), 1, Some(4));
    assert_invalid_field(&rig.none(&cdb(BLOCK_ERASE | AUSE, 0)), 1, Some(5));
    assert_invalid_field(&overwrite(&mut rig, AUSE, &list(1, b"a")), 1, Some(5));
    assert_good(&overwrite(&mut rig, 0, &list(1, b"a")));
    let Some(Operation::Renew { before, .. }) = rig.log.last() else {
        panic!()
    };
    assert_eq!(*before, RESTRICTED);
}

#[test]
fn a_failed_sanitize_in_the_unrestricted_mode_can_be_left_behind() {
    let mut rig = Rig::new();
    assert_good(&rig.none(&cdb(EXIT_FAILURE_MODE, 0)));
    assert!(rig.log.is_empty(), "nothing has failed");
    rig.unit.set_medium_condition(UNRESTRICTED);
    assert_sense(&rig.none(&[0; 6]), 3, Code::SANITIZE_COMMAND_FAILED);
    assert_good(&rig.none(&cdb(EXIT_FAILURE_MODE, 0)));
    assert_eq!(rig.log, [Operation::AcceptFailedRenewal]);
}

#[test]
fn a_format_is_asked_for_with_or_without_a_header() {
    for (cdb, header, immediate) in [
        ([0x04, 0, 0, 0, 0, 0], vec![], false),
        ([0x04, 0x08, 0, 0, 0, 0], vec![], false),
        ([0x04, 0x10, 0, 0, 0, 0], vec![0, 0x02, 0, 0], true),
        ([0x04, 0x10, 0, 0, 0, 0], vec![0, 0xb0, 0, 0], false),
        (
            [0x04, 0x38, 0, 0, 0, 0],
            vec![0, 0x82, 0, 0, 0, 0, 0, 0],
            true,
        ),
    ] {
        let mut rig = Rig::new();
        assert_good(&rig.write(&cdb, &header));
        let expected = Operation::Renew {
            renewal: Renewal::Format,
            immediate,
            before: MediumCondition::Sound,
        };
        assert_eq!(rig.log, [expected]);
        rig.unit.set_renewal_progress(7);
        let code = Code::LOGICAL_UNIT_NOT_READY_FORMAT_IN_PROGRESS;
        assert_progress(&rig.none(&[0; 6]), code, 7);
        assert_progress(&rig.read(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]), code, 7);
        assert_good(&rig.read(&[0x12, 0, 0, 0, 96, 0]));
    }
}

#[test]
fn what_a_format_cannot_do_is_refused() {
    let mut rig = Rig::new();
    for (byte_1, bit) in [(0x80, 7), (0x40, 7), (0x20, 5), (0x04, 2)] {
        assert_invalid_field(&rig.none(&[0x04, byte_1, 0, 0, 0, 0]), 1, Some(bit));
    }
    assert_invalid_field(&rig.none(&[0x04, 0, 0, 0, 1, 0]), 4, Some(0));
    let short = [0x04, 0x10, 0, 0, 0, 0];
    for (header, byte, bit) in [
        ([1, 0, 0, 0], 0, None),
        ([0, 0x10, 0, 0], 1, Some(4)),
        ([0, 0x88, 0, 0], 1, Some(3)),
        ([0, 0xc0, 0, 0], 1, Some(6)),
        ([0, 0, 0, 4], 2, None),
    ] {
        assert_invalid_parameter(&rig.write(&short, &header), byte, bit);
    }
    let long = [0x04, 0x30, 0, 0, 0, 0];
    for at in [2, 3] {
        let mut header = [0; 8];
        header[at] = 1;
        let byte = u16::try_from(at).unwrap();
        assert_invalid_parameter(&rig.write(&long, &header), byte, None);
    }
    let reply = rig.write(&long, &[0, 0, 0, 0, 0, 0, 0, 8]);
    assert_invalid_parameter(&reply, 4, None);
    assert!(rig.log.is_empty());
}

#[test]
fn a_medium_whose_format_failed_can_be_formatted_or_sanitized() {
    let mut rig = Rig::new();
    rig.outcomes.push_back(Outcome::RenewalFailed);
    let reply = rig.none(&[0x04, 0, 0, 0, 0, 0]);
    assert_sense(&reply, 3, Code::FORMAT_COMMAND_FAILED);
    rig.unit
        .set_medium_condition(MediumCondition::FormatCorrupt);
    assert_sense(&rig.none(&[0; 6]), 3, Code::MEDIUM_FORMAT_CORRUPTED);
    let read = block_cdb(0x28, 0, 0, 1);
    assert_sense(&rig.read(&read), 3, Code::MEDIUM_FORMAT_CORRUPTED);
    assert_good(&rig.read(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert_good(&rig.none(&[0x04, 0, 0, 0, 0, 0]));
    rig.unit
        .set_medium_condition(MediumCondition::FormatCorrupt);
    assert_good(&rig.none(&cdb(BLOCK_ERASE, 0)));
}

#[test]
fn two_renewals_never_run_at_a_time() {
    let mut rig = Rig::new();
    assert_good(&rig.none(&cdb(BLOCK_ERASE | IMMED, 0)));
    for reply in [
        rig.none(&cdb(BLOCK_ERASE, 0)),
        rig.none(&[0x04, 0, 0, 0, 0, 0]),
        rig.none(&cdb(EXIT_FAILURE_MODE, 0)),
    ] {
        assert_progress(&reply, Code::LOGICAL_UNIT_NOT_READY_SANITIZE_IN_PROGRESS, 0);
    }
    assert_eq!(rig.log.len(), 1);
}
