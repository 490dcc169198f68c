//! REPORT LUNS, and commands to logical units that aren't there.

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{Command, Reply, TaskAttribute, no_logical_unit};

fn report_luns(select: u8, allocation_length: u32) -> Vec<u8> {
    let mut cdb = vec![0xa0, 0, select, 0, 0, 0];
    cdb.extend(allocation_length.to_be_bytes());
    cdb.extend([0, 0]);
    cdb
}

fn nobody(cdb: &[u8]) -> Reply {
    no_logical_unit(&Command {
        cdb,
        expected_length: 4096,
        read: true,
        write: false,
        attribute: TaskAttribute::Simple,
        luns: &LUNS,
    })
}

#[test]
fn all_luns_of_the_nexus_are_reported() {
    let mut rig = Rig::new();
    for select in [0x00, 0x02] {
        let data = rig.data(&report_luns(select, 1024));
        assert_eq!(data[..8], [0, 0, 0, 16, 0, 0, 0, 0]);
        assert_eq!(data[8..], [0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0]);
    }
}

#[test]
fn kinds_of_units_that_do_not_exist_give_an_empty_list() {
    let mut rig = Rig::new();
    for select in [0x01, 0x10, 0x11, 0x12] {
        assert_eq!(rig.data(&report_luns(select, 1024)), [0; 8]);
    }
    assert_invalid_field(&rig.read(&report_luns(0x03, 1024)), 2, None);
}

#[test]
fn a_short_allocation_length_cuts_the_list_and_not_its_length_field() {
    let mut rig = Rig::new();
    for length in 0..30 {
        let data = rig.data(&report_luns(0, length));
        assert_eq!(data.len(), length.min(24) as usize);
        assert!(data.len() < 4 || data[3] == 16);
    }
}

#[test]
fn nothing_answers_inquiry_with_no_device() {
    let data = bytes_of(&nobody(&[0x12, 0, 0, 0, 96, 0]));
    assert_eq!(data[..5], [0x7f, 0, 6, 2, 31]);
    assert_eq!(data.len(), 36);
    assert_eq!(bytes_of(&nobody(&[0x12, 0, 0, 0, 5, 0])).len(), 5);
    assert_invalid_field(&nobody(&[0x12, 1, 0x80, 0, 96, 0]), 1, Some(0));
}

#[test]
fn nothing_answers_report_luns_like_any_other_unit() {
    assert_eq!(bytes_of(&nobody(&report_luns(0, 1024))).len(), 24);
}

#[test]
fn nothing_answers_request_sense_with_the_error_as_data() {
    let reply = nobody(&[0x03, 0, 0, 0, 252, 0]);
    assert_good(&reply);
    let sense = bytes_of(&reply);
    assert_eq!(
        (sense[0], sense[2], sense[12], sense[13]),
        (0x70, 5, 0x25, 0)
    );
    let sense = bytes_of(&nobody(&[0x03, 1, 0, 0, 252, 0]));
    assert_eq!(sense[..4], [0x72, 5, 0x25, 0]);
}

#[test]
fn nothing_refuses_all_other_commands() {
    for cdb in [vec![0; 6], block_cdb(0x28, 0, 0, 1), vec![0xff; 16], vec![]] {
        assert_sense(&nobody(&cdb), 5, Code::LOGICAL_UNIT_NOT_SUPPORTED);
    }
}
