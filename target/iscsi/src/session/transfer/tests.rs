//! The books of one task's data-out.

use bytes::Bytes;

use super::*;

const LIMITS: Limits = Limits {
    max_burst_length: 100,
    max_outstanding_r2t: 2,
    data_pdu_in_order: true,
    recovers: None,
};

fn header(data_sn: u32, buffer_offset: u32, last: bool) -> DataOut {
    DataOut {
        data_sn,
        buffer_offset,
        last,
        ..DataOut::default()
    }
}

fn data(length: usize) -> DataSegment {
    DataSegment::from(Bytes::from(vec![3; length]))
}

fn solicited(length: u32) -> Transfer {
    let mut transfer = Transfer::default();
    transfer.request(length);
    transfer.grant();
    transfer
}

#[test]
fn bursts_are_as_long_as_allowed_and_no_more_are_open_than_allowed() {
    let mut transfer = solicited(250);
    let expect = |r2t_sn, offset, length| {
        Some(Solicitation {
            r2t_sn,
            offset,
            length,
        })
    };
    assert_eq!(transfer.solicit(LIMITS), expect(0, 0, 100));
    assert_eq!(transfer.solicit(LIMITS), expect(1, 100, 100));
    assert_eq!(transfer.solicit(LIMITS), None);
    transfer
        .accept(&header(0, 0, true), data(100), Some(0), LIMITS)
        .unwrap();
    assert_eq!(transfer.solicit(LIMITS), expect(2, 200, 50));
    transfer
        .accept(&header(0, 100, false), data(60), Some(1), LIMITS)
        .unwrap();
    transfer
        .accept(&header(1, 160, true), data(40), Some(1), LIMITS)
        .unwrap();
    assert!(transfer.take_complete().is_none());
    transfer
        .accept(&header(0, 200, true), data(50), Some(2), LIMITS)
        .unwrap();
    assert_eq!(transfer.solicit(LIMITS), None);
    assert_eq!(transfer.take_complete().unwrap().len(), 250);
    assert!(transfer.take_complete().is_none());
}

#[test]
fn what_breaks_the_rules_of_a_sequence_is_named() {
    for (first, length, violation) in [
        (header(1, 0, false), 10, Violation::DataSn),
        (header(u32::MAX, 0, false), 10, Violation::DataSn),
        (header(0, 1, false), 10, Violation::WrongPlace),
        (header(0, 0, false), 101, Violation::WrongPlace),
        (header(0, u32::MAX, false), 10, Violation::WrongPlace),
        (header(0, 0, true), 99, Violation::Short),
    ] {
        let mut transfer = solicited(250);
        transfer.solicit(LIMITS);
        let outcome = transfer.accept(&first, data(length), Some(0), LIMITS);
        assert_eq!(outcome, Err(violation), "{first:?}");
        assert_eq!(transfer.is_open(), !first.last);
    }
    let outcome = solicited(10).accept(&header(0, 0, true), data(10), Some(0), LIMITS);
    assert_eq!(outcome, Err(Violation::NoSequence));
    let outcome = solicited(10).accept(&header(0, 0, true), data(10), None, LIMITS);
    assert_eq!(outcome, Err(Violation::NoSequence));
}

#[test]
fn pdus_of_a_sequence_may_come_out_of_order_if_that_was_negotiated() {
    let limits = Limits {
        data_pdu_in_order: false,
        ..LIMITS
    };
    let mut transfer = solicited(100);
    transfer.solicit(limits);
    transfer
        .accept(&header(0, 60, false), data(40), Some(0), limits)
        .unwrap();
    transfer
        .accept(&header(1, 0, false), data(30), Some(0), limits)
        .unwrap();
    let twice = transfer.accept(&header(2, 20, false), data(5), Some(0), limits);
    assert_eq!(twice, Err(Violation::WrongPlace));
    transfer
        .accept(&header(3, 30, true), data(30), Some(0), limits)
        .unwrap_err();
}

#[test]
fn a_failed_transfer_only_waits_for_the_end_of_its_sequences() {
    let mut transfer = solicited(200);
    transfer.solicit(LIMITS);
    transfer.solicit(LIMITS);
    transfer.fail(Condition::IncorrectAmountOfData);
    transfer.fail(Condition::ProtocolServiceCrcError);
    assert_eq!(transfer.failure(), Some(Condition::IncorrectAmountOfData));
    transfer
        .accept(&header(9, 9, true), data(1), Some(0), LIMITS)
        .unwrap();
    assert!(transfer.is_open());
    transfer
        .accept(&header(9, 9, true), data(1), Some(1), LIMITS)
        .unwrap();
    assert!(!transfer.is_open());
    assert_eq!(transfer.solicit(LIMITS), None);
    assert!(transfer.take_complete().is_none());
}

#[test]
fn unsolicited_data_beyond_what_is_wanted_is_discarded() {
    let mut transfer = Transfer::default();
    transfer.begin(data(10), 10, 100);
    transfer.expect_unsolicited(10, 50, false, None);
    transfer.request(20);
    transfer
        .accept(&header(0, 10, false), data(15), None, LIMITS)
        .unwrap();
    assert_eq!(transfer.take_complete().unwrap().len(), 20);
    transfer
        .accept(&header(1, 25, true), data(25), None, LIMITS)
        .unwrap();
    assert!(!transfer.is_open());
    assert!(transfer.take_complete().is_none());
}
