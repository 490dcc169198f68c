//! REPORT SUPPORTED OPERATION CODES and REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS.

use super::rig::*;
use crate::opcodes::{TABLE, markdown_table};

const ALL: u8 = 0;
const OPCODE: u8 = 1;
const SERVICE_ACTION: u8 = 2;
const EITHER: u8 = 3;
const RCTD: u8 = 0x80;

fn cdb(options: u8, opcode: u8, action: u16, allocation_length: u32) -> Vec<u8> {
    let mut cdb = vec![0xa3, 0x0c, options, opcode];
    cdb.extend(action.to_be_bytes());
    cdb.extend(allocation_length.to_be_bytes());
    cdb.extend([0, 0]);
    cdb
}

#[test]
fn all_commands_are_the_table() {
    let mut rig = Rig::new();
    let data = rig.data(&cdb(ALL, 0, 0, 65535));
    assert_eq!(
        u32::from_be_bytes(data[..4].try_into().unwrap()) as usize,
        data.len() - 4
    );
    let descriptors: Vec<_> = data[4..].chunks(8).collect();
    assert_eq!(descriptors.len(), TABLE.len());
    for (descriptor, entry) in descriptors.iter().zip(TABLE) {
        let [high, low] = entry.service_action.unwrap_or(0).to_be_bytes();
        let servactv = u8::from(entry.service_action.is_some());
        let length = u8::try_from(entry.usage.len()).unwrap();
        assert_eq!(
            **descriptor,
            [entry.operation_code, 0, high, low, 0, servactv, 0, length]
        );
    }
}

#[test]
fn timeouts_come_when_they_are_asked_for() {
    let mut rig = Rig::new();
    let data = rig.data(&cdb(ALL | RCTD, 0, 0, 65535));
    for descriptor in data[4..].chunks(20) {
        assert_eq!(descriptor[5] & 0x02, 0x02, "CTDP");
        assert_eq!(descriptor[8..10], [0, 10]);
        assert!(descriptor[15] > 0 && descriptor[19] > descriptor[15]);
    }
    let one = rig.data(&cdb(OPCODE | RCTD, 0x28, 0, 255));
    assert_eq!((one[1], one.len()), (0x83, 4 + 10 + 12));
}

#[test]
fn every_command_can_be_asked_about_in_its_own_way_only() {
    let mut rig = Rig::new();
    for entry in TABLE {
        let opcode = entry.operation_code;
        let action = entry.service_action.unwrap_or(0);
        let (right, wrong) = match entry.service_action {
            None => (OPCODE, SERVICE_ACTION),
            Some(_) => (SERVICE_ACTION, OPCODE),
        };
        assert_invalid_field(&rig.read(&cdb(wrong, opcode, action, 255)), 2, Some(2));
        for option in [right, EITHER] {
            let data = rig.data(&cdb(option, opcode, action, 255));
            assert_eq!(
                data[..4],
                [0, 3, 0, u8::try_from(entry.usage.len()).unwrap()]
            );
            assert_eq!(data[4..], *entry.usage);
        }
    }
}

#[test]
fn what_is_not_supported_is_said_to_be_so() {
    let mut rig = Rig::new();
    for (option, opcode, action) in [
        (OPCODE, 0xff, 0),
        (SERVICE_ACTION, 0xff, 1),
        (SERVICE_ACTION, 0x9e, 0x13),
        (EITHER, 0x9e, 0x13),
        (EITHER, 0x28, 1),
        (EITHER, 0x8d, 0),
    ] {
        assert_eq!(rig.data(&cdb(option, opcode, action, 255)), [0, 1, 0, 0]);
    }
    assert_invalid_field(&rig.read(&cdb(4, 0, 0, 255)), 2, Some(2));
}

#[test]
fn a_thick_unit_does_not_report_unmap() {
    let mut rig = Rig::with(|config| config.thin = false);
    assert_eq!(rig.data(&cdb(OPCODE, 0x42, 0, 255)), [0, 1, 0, 0]);
    let data = rig.data(&cdb(ALL, 0, 0, 65535));
    assert!(data[4..].chunks(8).all(|descriptor| descriptor[0] != 0x42));
}

#[test]
fn a_unit_that_shares_its_blocks_promises_no_sanitize() {
    let mut rig = Rig::new();
    let overwrite = [0x48, 0x01, 0, 0, 0, 0, 0, 0, 5, 0];
    let erase = [0x48, 0x02, 0, 0, 0, 0, 0, 0, 0, 0];
    for shares in [true, false] {
        rig.unit.set_shares_blocks(shares);
        for action in [0x01, 0x02] {
            let said = rig.data(&cdb(SERVICE_ACTION, 0x48, action, 255));
            assert_eq!(said == [0, 1, 0, 0], shares, "{action}");
        }
        let exit = rig.data(&cdb(SERVICE_ACTION, 0x48, 0x1f, 255));
        assert_eq!(exit[1], 3);
    }
    rig.unit.set_shares_blocks(true);
    for refused in [overwrite, erase] {
        let reply = rig.run(0, &refused, false, false, 0, &[]);
        assert_sense(
            &reply,
            5,
            crate::sense::AdditionalSense::INVALID_COMMAND_OPERATION_CODE,
        );
    }
}

#[test]
fn every_allocation_length_is_respected() {
    let mut rig = Rig::new();
    let whole = rig.data(&cdb(ALL, 0, 0, 65535));
    for length in [0, 1, 3, 4, 5, 11, 100, 1024] {
        let cut = (length as usize).min(whole.len());
        assert_eq!(rig.data(&cdb(ALL, 0, 0, length)), whole[..cut]);
    }
}

#[test]
fn task_management_functions_are_those_that_are_served() {
    let mut rig = Rig::new();
    let cdb = |repd| [0xa3, 0x0d, repd, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    assert_eq!(rig.data(&cdb(0)), [0xd8, 0, 0, 0]);
    let extended = rig.data(&cdb(0x80));
    assert_eq!(
        (extended.len(), &extended[..4]),
        (16, &[0xd8, 0, 0, 12][..])
    );
}

#[test]
fn the_documentation_lists_every_command_once() {
    let table = markdown_table();
    assert_eq!(table.lines().count(), TABLE.len() + 2);
    for entry in TABLE {
        assert_eq!(
            table.matches(&format!("| {} |", entry.name)).count(),
            1,
            "{}",
            entry.name
        );
    }
    assert!(table.contains("| 9Eh | 10h | READ CAPACITY(16) | SBC-4 | in full |\n"));
}
