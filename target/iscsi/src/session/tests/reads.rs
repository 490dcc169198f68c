//! Data-In, status and residuals (RFC 7143 §11.4, §11.7).

use super::*;

#[test]
fn a_short_read_is_one_data_in_with_its_status() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.read(512);
    initiator.session.respond(task, data_reply(pattern(512)));
    let expected = DataIn {
        last: true,
        has_status: true,
        initiator_task_tag: tag,
        target_transfer_tag: RESERVED_TAG,
        stat_sn: SerialNumber(FIRST_STAT_SN),
        exp_cmd_sn: SerialNumber(FIRST_CMD_SN).next(),
        max_cmd_sn: SerialNumber(FIRST_CMD_SN).plus(8),
        ..DataIn::default()
    };
    assert_eq!(
        initiator.receive(),
        Some(Seen::DataIn(expected, pattern(512)))
    );
    initiator.expect_quiet();
    assert_eq!(initiator.session.outstanding(), 0);
}

#[test]
fn a_long_read_is_cut_by_segment_and_burst_length() {
    for digests in [false, true] {
        let parameters = Parameters {
            header_digest: digests,
            data_digest: digests,
            initiator_max_recv_data_segment_length: 1_000,
            max_burst_length: 2_500,
            ..parameters()
        };
        let mut initiator = Initiator::with(config(parameters));
        let (tag, task) = initiator.read(5_300);
        let data = pattern(5_300);
        let mut reply = good(5_300);
        for (from, to) in [(0, 1), (1, 2_400), (2_400, 5_300)] {
            reply.data_in.push(data.slice(from..to));
        }
        initiator.session.respond(task, reply);
        let expected = [
            (0, 1_000, false, false),
            (1_000, 2_000, false, false),
            (2_000, 2_500, true, false),
            (2_500, 3_500, false, false),
            (3_500, 4_500, false, false),
            (4_500, 5_000, true, false),
            (5_000, 5_300, true, true),
        ];
        for (data_sn, (from, to, last, has_status)) in (0..).zip(expected) {
            let (header, segment) = initiator.expect_data_in();
            assert_eq!(segment, data.slice(from..to));
            assert_eq!(header.buffer_offset as usize, from);
            assert_eq!((header.data_sn, header.last), (data_sn, last));
            assert_eq!(header.has_status, has_status);
            assert_eq!(
                (header.initiator_task_tag, header.target_transfer_tag),
                (tag, u32::MAX)
            );
            assert!(!header.overflow && !header.underflow && !header.acknowledge);
        }
        initiator.expect_quiet();
    }
}

#[test]
fn data_that_the_initiator_has_no_room_for_is_cut_off_and_counted() {
    let mut initiator = Initiator::new();
    let (_, task) = initiator.read(200);
    initiator.session.respond(task, data_reply(pattern(512)));
    let (header, data) = initiator.expect_data_in();
    assert_eq!(data, pattern(200));
    assert!(header.overflow && !header.underflow && header.has_status);
    assert_eq!(header.residual_count, 312);
}

#[test]
fn less_data_than_expected_is_an_underflow() {
    let mut initiator = Initiator::new();
    let (_, task) = initiator.read(255);
    initiator.session.respond(task, data_reply(pattern(36)));
    let (header, data) = initiator.expect_data_in();
    assert_eq!(data.len(), 36);
    assert!(header.underflow && !header.overflow && header.has_status);
    assert_eq!(header.residual_count, 219);
}

#[test]
fn a_read_without_data_ends_with_a_scsi_response() {
    let mut initiator = Initiator::new();
    for (expected, moved, overflow, underflow, count) in [
        (0, 0, false, false, 0),
        (0, 512, true, false, 512),
        (512, 0, false, true, 512),
    ] {
        let (tag, task) = initiator.read(expected);
        initiator.session.respond(task, good(moved));
        let (response, data) = initiator.expect_response();
        assert!(data.is_empty());
        assert_eq!(response.initiator_task_tag, tag);
        assert_eq!(
            (response.overflow, response.underflow),
            (overflow, underflow)
        );
        assert_eq!((response.residual_count, response.exp_data_sn), (count, 0));
    }
}

#[test]
fn an_error_behind_data_comes_in_a_response_of_its_own() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.read(4_096);
    let sense = Bytes::from_static(&[0x70, 0, 3, 0, 0, 0, 0, 10]);
    let reply = ScsiReply {
        status: 2,
        sense,
        ..data_reply(pattern(2_000))
    };
    initiator.session.respond(task, reply);
    let (first, _) = initiator.expect_data_in();
    let (second, data) = initiator.expect_data_in();
    assert!(!first.has_status && !second.has_status && second.last);
    assert_eq!(data.len(), 2_000 - 1_024);
    let (response, data) = initiator.expect_response();
    assert_eq!(
        data,
        Bytes::from_static(&[0, 8, 0x70, 0, 3, 0, 0, 0, 0, 10])
    );
    assert_eq!((response.initiator_task_tag, response.status), (tag, 2));
    assert_eq!(response.exp_data_sn, 2, "two Data-In PDUs came before");
    assert!(response.underflow);
    assert_eq!(response.residual_count, 2_096);
}

#[test]
fn a_status_other_than_good_is_not_phase_collapsed() {
    let mut initiator = Initiator::new();
    let (_, task) = initiator.read(512);
    let reply = ScsiReply {
        status: 0x08,
        ..data_reply(pattern(10))
    };
    initiator.session.respond(task, reply);
    let (header, _) = initiator.expect_data_in();
    assert!(header.last && !header.has_status);
    let (response, data) = initiator.expect_response();
    assert_eq!((response.status, data.len()), (0x08, 0));
}

#[test]
fn a_command_that_moves_nothing_has_no_residual() {
    let mut initiator = Initiator::new();
    let command = CommandPdu {
        last: true,
        attribute: 1,
        ..CommandPdu::default()
    };
    let tag = initiator.command(command, &[]);
    let event = initiator.expect_command();
    assert!(!event.read && !event.write);
    initiator.session.respond(event.task, good(0));
    let (response, _) = initiator.expect_response();
    assert_eq!(response.initiator_task_tag, tag);
    assert!(!response.overflow && !response.underflow);
}

#[test]
fn both_residuals_of_a_bidirectional_command_are_told() {
    let mut initiator = Initiator::new();
    let command = CommandPdu {
        last: true,
        read: true,
        write: true,
        attribute: 1,
        lun: LUN,
        initiator_task_tag: 77,
        expected_data_transfer_length: 512,
        cmd_sn: SerialNumber(initiator.cmd_sn),
        ..CommandPdu::default()
    };
    let mut bhs = command.encode(512);
    bhs[4] = 2;
    let ahs = Bytes::from_static(&[0, 5, 2, 0, 0, 0, 4, 0]);
    let data = DataSegment::from(pattern(512));
    initiator.session.handle_pdu(
        ConnectionId::LEADING,
        RawPdu { bhs, ahs, data },
        initiator.now,
    );
    let event = initiator.expect_command();
    assert_eq!(event.expected_bidi_read_length, 1_024);
    initiator.session.request_data(event.task, 512);
    assert_eq!(initiator.expect_data(event.task), pattern(512));
    let reply = ScsiReply {
        transfer_length: 1_000,
        ..data_reply(pattern(1_000))
    };
    initiator.session.respond(event.task, reply);
    let (header, _) = initiator.expect_data_in();
    assert!(header.last && !header.has_status);
    let (response, _) = initiator.expect_response();
    assert!(response.overflow && response.bidirectional_read_underflow);
    assert_eq!(response.residual_count, 488);
    assert_eq!(response.bidirectional_read_residual_count, 24);
    assert_eq!(response.exp_data_sn, 1);
}

#[test]
fn an_extended_cdb_reaches_the_shell_whole() {
    let mut initiator = Initiator::new();
    let command = CommandPdu {
        last: true,
        initiator_task_tag: 5,
        cmd_sn: SerialNumber(initiator.cmd_sn),
        cdb: [0x7f; 16],
        ..CommandPdu::default()
    };
    let mut bhs = command.encode(0);
    bhs[4] = 5;
    let ahs: Vec<u8> = [0, 17, 1, 0].into_iter().chain(1..=16).collect();
    let pdu = RawPdu {
        bhs,
        ahs: ahs.into(),
        data: DataSegment::new(),
    };
    initiator
        .session
        .handle_pdu(ConnectionId::LEADING, pdu, initiator.now);
    let event = initiator.expect_command();
    assert_eq!(event.cdb.len(), 32);
    assert_eq!(event.cdb[15..18], [0x7f, 1, 2]);
}

#[test]
fn sense_data_is_cut_to_what_the_initiator_takes() {
    let parameters = Parameters {
        initiator_max_recv_data_segment_length: 512,
        ..parameters()
    };
    let mut initiator = Initiator::with(config(parameters));
    let (_, task) = initiator.read(0);
    let reply = ScsiReply {
        status: 2,
        sense: pattern(600),
        ..ScsiReply::default()
    };
    initiator.session.respond(task, reply);
    let (_, data) = initiator.expect_response();
    assert_eq!(data.len(), 512);
    assert_eq!(data[..2], 510_u16.to_be_bytes());
}

#[test]
fn the_answer_to_a_task_that_is_gone_is_ignored() {
    let mut initiator = Initiator::new();
    let (_, task) = initiator.read(512);
    initiator.session.respond(task, good(0));
    initiator.receive().unwrap();
    initiator.session.respond(task, data_reply(pattern(512)));
    initiator.session.request_data(task, 512);
    initiator.expect_quiet();
}
