//! The conflict matrix, cell by cell: every command, every type, whoever sends it.
//!
//! The rows are written from the standards' own tables (SPC-5 and SBC-4, "commands that are allowed in
//! the presence of various reservations"; SPC-2 for RESERVE), not from the column that drives the
//! device server. A command without a row fails the test: whoever adds one looks it up there.

use super::reservations::{register, reserve, reserve_6};
use super::rig::*;
use crate::ReservationType;
use crate::Status;
use crate::opcodes::{OpCode, TABLE};

/// What the standards say of a command. The letters are the columns of their tables, `A` for allowed
/// and `C` for conflict: Write Exclusive and Exclusive Access held by another nexus; from a registered
/// nexus under the shared types; from one that isn't, under the shared Write Exclusive and the shared
/// Exclusive Access types. The last one: an SPC-2 reservation of another nexus.
type Row = (u8, Option<u8>, &'static str);

const ROWS: &[Row] = &[
    (0x00, None, "AAAAA C"),                    // TEST UNIT READY
    (0x03, None, "AAAAA A"),                    // REQUEST SENSE
    (0x04, None, "CCACC C"),                    // FORMAT UNIT
    (0x07, None, "CCACC C"),                    // REASSIGN BLOCKS
    (0x08, None, "ACAAC C"),                    // READ(6)
    (0x0a, None, "CCACC C"),                    // WRITE(6)
    (0x12, None, "AAAAA A"),                    // INQUIRY
    (0x15, None, "CCACC C"),                    // MODE SELECT(6)
    (0x16, None, "see SPC-2"),                  // RESERVE(6)
    (0x17, None, "see SPC-2"),                  // RELEASE(6)
    (0x1a, None, "ACAAC C"),                    // MODE SENSE(6)
    (0x1b, None, "CCACC C"),                    // START STOP UNIT, other than to start
    (0x1c, None, "ACAAC C"),                    // RECEIVE DIAGNOSTIC RESULTS
    (0x1d, None, "CCACC C"),                    // SEND DIAGNOSTIC
    (0x1e, None, "AAAAA A"),                    // PREVENT ALLOW MEDIUM REMOVAL, to allow
    (0x25, None, "AAAAA A"),                    // READ CAPACITY(10)
    (0x28, None, "ACAAC C"),                    // READ(10)
    (0x2a, None, "CCACC C"),                    // WRITE(10)
    (0x2e, None, "CCACC C"),                    // WRITE AND VERIFY(10)
    (0x2f, None, "ACAAC C"),                    // VERIFY(10)
    (0x34, None, "ACAAC C"),                    // PRE-FETCH(10)
    (0x35, None, "CCACC C"),                    // SYNCHRONIZE CACHE(10)
    (0x37, None, "ACAAC C"),                    // READ DEFECT DATA(10)
    (0x3b, None, "CCACC C"),                    // WRITE BUFFER
    (0x3c, None, "ACAAC C"),                    // READ BUFFER
    (0x41, None, "CCACC C"),                    // WRITE SAME(10)
    (0x42, None, "CCACC C"),                    // UNMAP
    (0x48, None, "CCACC C"),                    // SANITIZE
    (0x4c, None, "CCACC C"),                    // LOG SELECT
    (0x4d, None, "AAAAA A"),                    // LOG SENSE
    (0x55, None, "CCACC C"),                    // MODE SELECT(10)
    (0x56, None, "see SPC-2"),                  // RESERVE(10)
    (0x57, None, "see SPC-2"),                  // RELEASE(10)
    (0x5a, None, "ACAAC C"),                    // MODE SENSE(10)
    (0x5e, None, "AAAAA C"),                    // PERSISTENT RESERVE IN
    (0x5f, Some(0x0), "registered A, other A"), // REGISTER
    (0x5f, Some(0x1), "registered C, other C"), // RESERVE
    (0x5f, Some(0x2), "registered A, other C"), // RELEASE
    (0x5f, Some(0x3), "registered A, other C"), // CLEAR
    (0x5f, Some(0x4), "registered A, other C"), // PREEMPT
    (0x5f, Some(0x5), "registered A, other C"), // PREEMPT AND ABORT
    (0x5f, Some(0x6), "registered A, other A"), // REGISTER AND IGNORE EXISTING KEY
    (0x5f, Some(0x7), "registered C, other C"), // REGISTER AND MOVE
    (0x83, Some(0x10), "ACAAC C"),              // POPULATE TOKEN
    (0x83, None, "CCACC C"), // EXTENDED COPY, COPY OPERATION ABORT, WRITE USING TOKEN
    (0x84, None, "ACAAC C"), // RECEIVE COPY RESULTS, RECEIVE ROD TOKEN INFORMATION
    (0x88, None, "ACAAC C"), // READ(16)
    (0x89, None, "CCACC C"), // COMPARE AND WRITE
    (0x8a, None, "CCACC C"), // WRITE(16)
    (0x8b, None, "CCACC C"), // ORWRITE(16)
    (0x8e, None, "CCACC C"), // WRITE AND VERIFY(16)
    (0x8f, None, "ACAAC C"), // VERIFY(16)
    (0x90, None, "ACAAC C"), // PRE-FETCH(16)
    (0x91, None, "CCACC C"), // SYNCHRONIZE CACHE(16)
    (0x93, None, "CCACC C"), // WRITE SAME(16)
    (0x9c, None, "CCACC C"), // WRITE ATOMIC(16)
    (0x9e, Some(0x10), "AAAAA A"), // READ CAPACITY(16)
    (0x9e, Some(0x12), "ACAAC C"), // GET LBA STATUS(16)
    (0xa0, None, "AAAAA A"), // REPORT LUNS
    (0xa3, Some(0x05), "AAAAA C"), // REPORT IDENTIFYING INFORMATION
    (0xa3, Some(0x0a), "AAAAA C"), // REPORT TARGET PORT GROUPS
    (0xa3, Some(0x0c), "ACAAC C"), // REPORT SUPPORTED OPERATION CODES
    (0xa3, Some(0x0d), "ACAAC C"), // REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS
    (0xa3, Some(0x0f), "AAAAA C"), // REPORT TIMESTAMP
    (0xa4, None, "CCACC C"), // SET IDENTIFYING INFORMATION, SET TARGET PORT GROUPS, SET TIMESTAMP
    (0xa8, None, "ACAAC C"), // READ(12)
    (0xaa, None, "CCACC C"), // WRITE(12)
    (0xae, None, "CCACC C"), // WRITE AND VERIFY(12)
    (0xaf, None, "ACAAC C"), // VERIFY(12)
    (0xb7, None, "ACAAC C"), // READ DEFECT DATA(12)
];

fn row(entry: &OpCode) -> &'static str {
    let action = entry
        .service_action
        .map(|action| u8::try_from(action).unwrap());
    let of_action = ROWS
        .iter()
        .find(|row| row.0 == entry.operation_code && row.1.is_some() && row.1 == action);
    let of_all = || {
        ROWS.iter()
            .find(|row| row.0 == entry.operation_code && row.1.is_none())
    };
    let row = of_action.or_else(of_all);
    row.unwrap_or_else(|| panic!("look {} up in the standards' tables", entry.name))
        .2
}

const HOLDER: usize = 0;
const REGISTRANT: usize = 1;
const OTHER: usize = 2;

/// Whether a command of `nexus` must conflict with a reservation of that type of the holder.
fn expected(columns: &str, kind: ReservationType, nexus: usize) -> bool {
    if nexus == HOLDER || (nexus == REGISTRANT && kind.is_all_registrants()) {
        return false;
    }
    let letter = |at: usize| columns.as_bytes()[at] == b'C';
    if columns.starts_with("registered") {
        return letter(if nexus == REGISTRANT { 11 } else { 20 });
    }
    match (kind.is_shared(), nexus, kind.is_write_exclusive()) {
        (false, _, true) => letter(0),
        (false, _, false) => letter(1),
        (true, REGISTRANT, _) => letter(2),
        (true, _, true) => letter(3),
        (true, _, false) => letter(4),
    }
}

fn cdb(entry: &OpCode) -> Vec<u8> {
    let mut cdb = vec![0; entry.usage.len()];
    cdb[0] = entry.operation_code;
    if let Some(action) = entry.service_action {
        cdb[1] = u8::try_from(action).unwrap();
    }
    cdb
}

/// Three nexuses without unit attentions.
fn three() -> Rig {
    let mut rig = Rig::new();
    for _ in 0..2 {
        let nexus = rig.attach();
        rig.run(nexus, &[0; 6], false, false, 0, &[]);
    }
    rig
}

fn reserved(kind: ReservationType) -> Rig {
    let mut rig = three();
    register(&mut rig, HOLDER, 0, 0xa);
    register(&mut rig, REGISTRANT, 0, 0xb);
    assert_good(&reserve(&mut rig, HOLDER, 0xa, kind));
    rig
}

fn conflicts(rig: &mut Rig, nexus: usize, cdb: &[u8]) -> bool {
    let reply = rig.run(nexus, cdb, false, true, 4096, &[0; 4096]);
    reply.status == Status::RESERVATION_CONFLICT
}

#[test]
fn every_command_conflicts_exactly_where_the_standards_say() {
    let mut cells = 0;
    for entry in TABLE {
        let columns = row(entry);
        if columns == "see SPC-2" {
            continue;
        }
        for kind in ReservationType::ALL {
            for nexus in [HOLDER, REGISTRANT, OTHER] {
                let conflict = conflicts(&mut reserved(kind), nexus, &cdb(entry));
                let name = entry.name;
                let wanted = expected(columns, kind, nexus);
                assert_eq!(conflict, wanted, "{name} of {nexus} under {}", kind.name());
                cells += 1;
            }
        }
    }
    assert!(cells >= 18 * 40, "{cells}");
}

#[test]
fn nothing_conflicts_while_nobody_has_a_reservation() {
    for entry in TABLE {
        let mut rig = three();
        register(&mut rig, HOLDER, 0, 0xa);
        let spc2 = row(entry) == "see SPC-2";
        assert_eq!(
            conflicts(&mut rig, OTHER, &cdb(entry)),
            spc2,
            "{}",
            entry.name
        );
    }
}

#[test]
fn starting_the_unit_is_allowed_and_power_conditions_are_not() {
    for kind in ReservationType::ALL {
        let mut rig = reserved(kind);
        assert!(!conflicts(&mut rig, OTHER, &[0x1b, 0, 0, 0, 0x01, 0]));
        assert!(conflicts(&mut rig, OTHER, &[0x1b, 0, 0, 0, 0x11, 0]));
        assert!(conflicts(&mut rig, OTHER, &[0x1b, 0, 0, 0, 0, 0]));
    }
}

#[test]
fn an_spc_2_reservation_keeps_others_out_and_persistent_reserve_commands_of_everybody() {
    for entry in TABLE {
        let columns = row(entry);
        let mut rig = three();
        assert_good(&reserve_6(&mut rig, HOLDER));
        let persistent = matches!(entry.operation_code, 0x5e | 0x5f);
        let own = conflicts(&mut rig, HOLDER, &cdb(entry));
        assert_eq!(own, persistent, "{} of the holder", entry.name);
        let mut rig = three();
        assert_good(&reserve_6(&mut rig, HOLDER));
        let wanted = match entry.operation_code {
            0x16 | 0x56 => true,
            0x17 | 0x57 => false,
            _ => persistent || columns.ends_with('C'),
        };
        let conflict = conflicts(&mut rig, OTHER, &cdb(entry));
        assert_eq!(conflict, wanted, "{} of another", entry.name);
    }
}

#[test]
fn a_copy_on_behalf_of_a_nexus_is_let_through_like_its_commands() {
    use crate::opcodes::Class;
    for kind in ReservationType::ALL {
        let rig = reserved(kind);
        for nexus in [HOLDER, REGISTRANT, OTHER] {
            let info = rig.nexuses[nexus].info().clone();
            for (class, columns) in [
                (Class::MediumRead, "ACAAC C"),
                (Class::MediumWrite, "CCACC C"),
            ] {
                let refused = rig.unit.check_third_party(&info, class).err();
                let status = refused.map(|refusal| refusal.status);
                let wanted = expected(columns, kind, nexus).then_some(Status::RESERVATION_CONFLICT);
                assert_eq!(
                    status,
                    wanted,
                    "{class:?} for {nexus} under {}",
                    kind.name()
                );
            }
        }
    }
}

#[test]
fn whoever_preempts_can_wait_for_the_copies_of_those_who_lost() {
    let rig = three();
    let step = rig.unit.third_party_underway();
    let earlier = rig.unit.earlier_third_parties();
    // One that begins later has been checked against what holds now: it isn't waited for.
    let later = rig.unit.third_party_underway();
    assert!(!earlier.have_ended() && rig.unit.has_commands_under_way());
    drop(step);
    assert!(earlier.have_ended() && rig.unit.has_commands_under_way());
    drop(later);
    assert!(!rig.unit.has_commands_under_way());
}

#[test]
fn a_write_whose_data_comes_after_its_nexus_lost_access_is_refused() {
    use crate::{Command, Plan, TaskAttribute};
    let mut rig = three();
    register(&mut rig, HOLDER, 0, 0xa);
    let cdb = block_cdb(0x8a, 0, 0, 1);
    let command = Command {
        cdb: &cdb,
        expected_length: 512,
        read: false,
        write: true,
        attribute: TaskAttribute::Simple,
        luns: &LUNS,
    };
    let plan = rig.unit.begin(&mut rig.nexuses[OTHER], &command);
    let Plan::NeedData { pending, .. } = plan else {
        panic!("{plan:?}");
    };
    let kind = ReservationType::WriteExclusiveRegistrantsOnly;
    assert_good(&reserve(&mut rig, HOLDER, 0xa, kind));
    let data = [bytes::Bytes::from(vec![1; 512])].into_iter().collect();
    let plan = rig.unit.data_out(&mut rig.nexuses[OTHER], pending, data);
    let Plan::Done(reply) = plan else {
        panic!("{plan:?}");
    };
    assert_eq!(reply.status, Status::RESERVATION_CONFLICT);
}
