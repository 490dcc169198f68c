//! Single steps of recovery and of sessions with several connections: what is answered, what is
//! rejected, what is kept and what is told.

use super::*;
use crate::pdu::snack::Snack;

fn recovering(level: u8) -> Initiator {
    Initiator::with(config(Parameters {
        error_recovery_level: level,
        max_connections: 3,
        ..parameters()
    }))
}

fn snack(kind: u8, tag: u32, transfer_tag: u32, beg_run: u32, run_length: u32) -> Bhs {
    let snack = Snack {
        kind,
        lun: LUN,
        initiator_task_tag: tag,
        target_transfer_tag: transfer_tag,
        beg_run,
        run_length,
        ..Snack::default()
    };
    snack.encode(0)
}

impl Initiator {
    /// Sends a SNACK that acknowledges nothing.
    fn snack(&mut self, kind: u8, tag: u32, transfer_tag: u32, beg_run: u32, run_length: u32) {
        let mut bhs = snack(kind, tag, transfer_tag, beg_run, run_length);
        bhs[28..32].copy_from_slice(&FIRST_STAT_SN.to_be_bytes());
        self.send(bhs, &[]);
    }

    /// The next PDU, whatever its StatSN.
    fn again(&mut self) -> Seen {
        let id = ConnectionId::LEADING;
        let mut pdus = pdus(&mut self.session, id);
        assert_eq!(pdus.len(), 1);
        let pdu = pdus.remove(0);
        let data = pdu.data.to_contiguous();
        match opcode(&pdu.bhs) {
            DataIn::OPCODE => Seen::DataIn(DataIn::parse(&pdu.bhs), data),
            ScsiResponse::OPCODE => Seen::Response(ScsiResponse::parse(&pdu.bhs), data),
            Reject::OPCODE => Seen::Reject(Reject::parse(&pdu.bhs), data),
            R2t::OPCODE => Seen::R2t(R2t::parse(&pdu.bhs)),
            other => panic!("{other:#04x}"),
        }
    }

    fn add(&mut self, cid: u16) -> ConnectionId {
        let joining = self
            .session
            .prepare_connection(cid, FIRST_STAT_SN, self.now);
        assert_eq!(joining.map(|it| it.exp_cmd_sn), Ok(self.cmd_sn));
        let connection = ConnectionConfig {
            cid,
            stat_sn: 100,
            parameters: parameters(),
            nop_interval: 10 * SECOND,
            nop_timeout: 5 * SECOND,
        };
        self.session.add_connection(connection, self.now).unwrap()
    }

    fn send_on(&mut self, on: ConnectionId, bhs: Bhs) {
        let pdu = RawPdu {
            bhs,
            ahs: Bytes::new(),
            data: DataSegment::new(),
        };
        self.session.handle_pdu(on, pdu, self.now);
    }

    fn reassign(&mut self, on: ConnectionId, task: u32, exp_data_sn: u32) -> u8 {
        let request = ManagementPdu {
            immediate: true,
            function: 8,
            lun: LUN,
            initiator_task_tag: self.tag(),
            referenced_task_tag: task,
            cmd_sn: SerialNumber(self.cmd_sn),
            exp_data_sn,
            ..ManagementPdu::default()
        };
        self.send_on(on, request.encode(0));
        let id = on;
        let tx = self.session.tx(id).unwrap();
        let mut slices = [IoSlice::new(&[]); 1];
        assert_eq!(tx.io_slices(&mut slices), 1);
        let response = slices[0][2];
        assert_eq!(slices[0][0], ManagementResponsePdu::OPCODE);
        tx.consume(48);
        response
    }

    fn log_out(&mut self, on: ConnectionId, reason: u8, cid: u16) -> u8 {
        let request = LogoutRequest {
            immediate: true,
            reason,
            initiator_task_tag: self.tag(),
            cid,
            cmd_sn: SerialNumber(self.cmd_sn),
            ..LogoutRequest::default()
        };
        self.send_on(on, request.encode(0));
        let pdus = pdus(&mut self.session, on);
        LogoutResponse::parse(&pdus.last().unwrap().bhs).response
    }
}

/// Everything that waits on a connection.
fn pdus(session: &mut Session, on: ConnectionId) -> Vec<RawPdu> {
    let mut decoder = Decoder::new(FramingLimits {
        max_data_segment: 1 << 20,
        max_ahs: 0,
    });
    let mut rx = BytesMut::new();
    let tx = session.tx(on).unwrap();
    while !tx.is_empty() {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = tx.io_slices(&mut slices);
        let before = rx.len();
        slices[..count]
            .iter()
            .for_each(|slice| rx.extend_from_slice(slice));
        let taken = rx.len() - before;
        tx.consume(taken);
    }
    std::iter::from_fn(|| decoder.decode(&mut rx).unwrap()).collect()
}

fn drained(initiator: &mut Initiator) -> Vec<Seen> {
    std::iter::from_fn(|| initiator.receive()).collect()
}

#[test]
fn data_is_sent_again_exactly_as_it_was() {
    let mut initiator = recovering(1);
    let (tag, task) = initiator.read(5_000);
    initiator.session.respond(task, data_reply(pattern(5_000)));
    let sent = drained(&mut initiator);
    assert_eq!(sent.len(), 5);
    for (data_sn, first) in (0..).zip(&sent) {
        initiator.snack(0, tag, RESERVED_TAG, data_sn, 1);
        assert_eq!(&initiator.again(), first);
    }
    // A run, and everything.
    initiator.snack(0, tag, RESERVED_TAG, 3, 0);
    assert_eq!(pdus(&mut initiator.session, ConnectionId::LEADING).len(), 2);
    initiator.snack(0, tag, RESERVED_TAG, 0, 0);
    assert_eq!(pdus(&mut initiator.session, ConnectionId::LEADING).len(), 5);
}

#[test]
fn an_acknowledgement_is_asked_for_at_the_end_of_a_burst_and_lets_the_data_go() {
    let mut initiator = recovering(1);
    let (tag, task) = initiator.read(5_000);
    initiator.session.respond(task, data_reply(pattern(5_000)));
    let sent = drained(&mut initiator);
    let asks: Vec<_> = sent
        .iter()
        .filter_map(|seen| match seen {
            Seen::DataIn(header, _) if header.acknowledge => Some(*header),
            _ => None,
        })
        .collect();
    // MaxBurstLength is 4,096; the last PDU is acknowledged with the status.
    assert_eq!(asks.len(), 1);
    assert_eq!((asks[0].data_sn, asks[0].lun, asks[0].last), (3, LUN, true));
    assert_eq!(initiator.session.retained_bytes(), 5_000);
    initiator.snack(2, RESERVED_TAG, asks[0].target_transfer_tag, 4, 0);
    assert_eq!(initiator.session.retained_bytes(), 904);
    // What was acknowledged can't be asked for again (RFC 7143 §11.16).
    initiator.snack(0, tag, RESERVED_TAG, 0, 1);
    assert!(matches!(initiator.again(), Seen::Reject(header, _) if header.reason == 0x04));
    initiator.snack(0, tag, RESERVED_TAG, 0, 0);
    assert!(matches!(initiator.again(), Seen::DataIn(header, _) if header.data_sn == 4));
}

#[test]
fn what_was_never_sent_is_a_protocol_error_and_what_is_gone_a_snack_reject() {
    let mut initiator = recovering(1);
    let (tag, task) = initiator.read(3_000);
    let reject = |initiator: &mut Initiator| match initiator.again() {
        Seen::Reject(header, _) => header.reason,
        other => panic!("{other:?}"),
    };
    initiator.snack(0, tag, RESERVED_TAG, 0, 1);
    assert_eq!(reject(&mut initiator), 0x04);
    initiator.session.respond(task, data_reply(pattern(3_000)));
    pdus(&mut initiator.session, ConnectionId::LEADING);
    initiator.snack(0, tag, RESERVED_TAG, 3, 1);
    assert_eq!(reject(&mut initiator), 0x04);
    initiator.snack(0, tag + 1, RESERVED_TAG, 0, 1);
    assert_eq!(reject(&mut initiator), 0x04);
    initiator.snack(
        1,
        RESERVED_TAG,
        RESERVED_TAG,
        FIRST_STAT_SN.wrapping_add(9),
        1,
    );
    assert_eq!(reject(&mut initiator), 0x04);
    // The tag of the command is needed, or must not be there.
    initiator.snack(0, RESERVED_TAG, RESERVED_TAG, 0, 1);
    assert_eq!(reject(&mut initiator), 0x09);
    initiator.snack(1, tag, RESERVED_TAG, 0, 1);
    assert_eq!(reject(&mut initiator), 0x09);
    initiator.snack(7, tag, RESERVED_TAG, 0, 1);
    assert_eq!(reject(&mut initiator), 0x09);
    initiator.session.set_retention(1_000);
    assert!(initiator.session.retained_bytes() <= 1_000);
    initiator.snack(0, tag, RESERVED_TAG, 0, 1);
    assert_eq!(reject(&mut initiator), 0x03);
}

#[test]
fn at_level_0_a_snack_is_a_protocol_error_and_nothing_is_kept() {
    let mut initiator = Initiator::new();
    let (tag, task) = initiator.read(3_000);
    initiator.session.respond(task, data_reply(pattern(3_000)));
    drained(&mut initiator);
    assert_eq!(initiator.session.retained_bytes(), 0);
    initiator.send(snack(0, tag, RESERVED_TAG, 0, 1), &[]);
    assert_eq!(initiator.expect_reject().0, 0x04);
}

#[test]
fn statuses_are_sent_again_until_they_are_acknowledged() {
    let mut initiator = recovering(1);
    let (tag, task) = initiator.read(0);
    initiator.session.respond(task, good(0));
    let first = initiator.expect_response();
    assert_eq!(first.0.initiator_task_tag, tag);
    initiator.snack(1, RESERVED_TAG, RESERVED_TAG, FIRST_STAT_SN, 1);
    assert!(matches!(initiator.again(), Seen::Response(header, _) if header == first.0));
    // Any PDU acknowledges.
    let mut bhs = snack(1, RESERVED_TAG, RESERVED_TAG, FIRST_STAT_SN, 1);
    bhs[28..32].copy_from_slice(&FIRST_STAT_SN.wrapping_add(1).to_be_bytes());
    initiator.send(bhs, &[]);
    assert!(matches!(initiator.again(), Seen::Reject(header, _) if header.reason == 0x04));
}

#[test]
fn an_r_data_snack_cuts_the_data_anew_and_gets_its_tag_back() {
    let mut initiator = recovering(1);
    let (tag, task) = initiator.read(4_000);
    initiator.session.respond(task, data_reply(pattern(4_000)));
    let sent = drained(&mut initiator);
    assert_eq!(sent.len(), 4);
    let Some(Seen::DataIn(last, _)) = sent.last() else {
        panic!("{sent:?}")
    };
    let stat_sn = last.stat_sn;
    let text = TextRequest {
        immediate: true,
        last: true,
        initiator_task_tag: initiator.tag(),
        target_transfer_tag: RESERVED_TAG,
        cmd_sn: SerialNumber(initiator.cmd_sn),
        exp_stat_sn: SerialNumber(FIRST_STAT_SN),
        ..TextRequest::default()
    };
    let key = b"MaxRecvDataSegmentLength=512\0";
    initiator.send(text.encode(key.len()), key);
    pdus(&mut initiator.session, ConnectionId::LEADING);
    initiator.snack(3, tag, 0x1234, 0, 0);
    let again = pdus(&mut initiator.session, ConnectionId::LEADING);
    assert_eq!(again.len(), 9);
    for (data_sn, pdu) in (0..).zip(&again[..8]) {
        let header = DataIn::parse(&pdu.bhs);
        assert!(!header.has_status && header.data_sn == data_sn);
        assert!(pdu.data.len() <= 512);
    }
    let response = ScsiResponse::parse(&again[8].bhs);
    assert_eq!(response.snack_tag, 0x1234);
    assert_eq!(response.exp_data_sn, 8);
    assert_eq!(response.stat_sn, stat_sn);
    // The status that is asked for is the latest one.
    initiator.snack(1, RESERVED_TAG, RESERVED_TAG, stat_sn.0, 1);
    assert!(matches!(initiator.again(), Seen::Response(header, _) if header.snack_tag == 0x1234));
}

#[test]
fn damaged_data_is_rejected_and_asked_for_again() {
    let mut initiator = recovering(1);
    let (_, task) = initiator.write(3_000, &[], true);
    initiator.session.request_data(task, 3_000);
    let r2t = initiator.expect_r2t();
    let part = |data_sn, from: u32, last| DataOut {
        last,
        lun: LUN,
        initiator_task_tag: r2t.initiator_task_tag,
        target_transfer_tag: r2t.target_transfer_tag,
        data_sn,
        buffer_offset: from,
        ..DataOut::default()
    };
    initiator.data_out(part(0, 0, false), &pattern(3_000)[..1_000]);
    let error = FramingError::DataDigest {
        bhs: part(1, 1_000, false).encode(1_000),
    };
    initiator
        .session
        .handle_framing_error(ConnectionId::LEADING, error, initiator.now);
    assert_eq!(initiator.expect_reject().0, 0x02);
    let again = initiator.expect_r2t();
    assert_eq!((again.r2t_sn, again.buffer_offset), (1, 1_000));
    assert_eq!(again.desired_data_transfer_length, 2_000);
    // The rest of the old sequence is ignored.
    initiator.data_out(part(2, 2_000, true), &pattern(3_000)[2_000..]);
    initiator.expect_quiet();
    for (data_sn, from) in [(0, 1_000), (1, 2_000)] {
        let header = DataOut {
            target_transfer_tag: again.target_transfer_tag,
            ..part(data_sn, from, from == 2_000)
        };
        let from = from as usize;
        initiator.data_out(header, &pattern(3_000)[from..from + 1_000]);
    }
    assert_eq!(initiator.expect_data(task), pattern(3_000));
}

#[test]
fn a_command_whose_data_is_damaged_is_done_when_it_is_sent_again() {
    let mut initiator = recovering(1);
    let command = CommandPdu {
        initiator_task_tag: 77,
        lun: LUN,
        cmd_sn: SerialNumber(initiator.cmd_sn),
        ..write_command(100, true)
    };
    let bhs = command.encode(100);
    let error = FramingError::DataDigest { bhs };
    let now = initiator.now;
    let on = ConnectionId::LEADING;
    initiator.session.handle_framing_error(on, error, now);
    assert_eq!(initiator.expect_reject().0, 0x02);
    initiator.send(bhs, &pattern(100));
    initiator.expect_command();
    // And once only.
    initiator.send(bhs, &pattern(100));
    initiator.expect_quiet();
}

#[test]
fn a_damaged_header_ends_the_connection_at_every_level() {
    for level in [0, 1] {
        let mut initiator = recovering(level);
        let error = FramingError::HeaderDigest;
        let now = initiator.now;
        let on = ConnectionId::LEADING;
        initiator.session.handle_framing_error(on, error, now);
        assert_eq!(initiator.expect_close(), CloseReason::HeaderDigest);
    }
    let mut initiator = recovering(2);
    let (tag, _) = initiator.read(100);
    let (error, now) = (FramingError::HeaderDigest, initiator.now);
    let on = ConnectionId::LEADING;
    initiator.session.handle_framing_error(on, error, now);
    let event = initiator.session.poll_event();
    assert!(matches!(event, Some(Event::CloseConnection { on: it, .. }) if it == on));
    initiator.session.connection_lost(on, now);
    // The session goes on, and the task with it.
    let second = initiator.add(CID);
    assert_eq!(initiator.reassign(second, tag, 0), 0);
}

#[test]
fn a_task_is_reassigned_only_when_its_connection_was_logged_out() {
    let mut initiator = recovering(1);
    let (tag, _) = initiator.read(100);
    let second = initiator.add(8);
    assert_eq!(initiator.reassign(second, tag, 0), 4);
    assert_eq!(initiator.log_out(second, 2, CID), 2);

    let mut initiator = recovering(2);
    let (tag, task) = initiator.read(100);
    let second = initiator.add(8);
    assert_eq!(initiator.reassign(second, tag, 0), 3);
    assert_eq!(initiator.reassign(second, 999, 0), 1);
    let now = initiator.now;
    initiator
        .session
        .connection_lost(ConnectionId::LEADING, now);
    // The others are told which one was dropped.
    let told = pdus(&mut initiator.session, second);
    let message = AsyncMessage::parse(&told[0].bhs);
    assert_eq!((message.async_event, message.parameter1), (2, CID));
    assert_eq!(initiator.reassign(second, tag, 0), 3);
    // The answer comes before the reassignment, and is kept for it.
    initiator.session.respond(task, data_reply(pattern(100)));
    assert!(pdus(&mut initiator.session, second).is_empty());
    assert_eq!(initiator.log_out(second, 2, 99), 1);
    assert_eq!(initiator.log_out(second, 2, CID), 0);
    assert_eq!(initiator.reassign(second, tag, 0), 0);
    let answer = pdus(&mut initiator.session, second);
    assert_eq!(answer.len(), 1);
    assert_eq!(answer[0].data.to_contiguous(), pattern(100));
    assert!(DataIn::parse(&answer[0].bhs).has_status);
}

#[test]
fn immediate_commands_do_not_outlive_their_connection() {
    let mut initiator = recovering(2);
    let second = initiator.add(8);
    let command = CommandPdu {
        last: true,
        immediate: true,
        ..CommandPdu::default()
    };
    let (running, answered) = (
        initiator.command(command, &[]),
        initiator.command(command, &[]),
    );
    let tasks = [
        initiator.expect_command().task,
        initiator.expect_command().task,
    ];
    initiator.session.respond(tasks[1], good(0));
    let (_, waits) = initiator.read(512);
    let now = initiator.now;
    initiator
        .session
        .connection_lost(ConnectionId::LEADING, now);
    assert_eq!(initiator.expect_abort(), tasks[0]);
    assert!(matches!(
        initiator.session.poll_event(),
        Some(Event::ClearedByProtocolEvent { lun: LUN })
    ));
    assert!(initiator.session.poll_event().is_none(), "{waits:?} waits");
    pdus(&mut initiator.session, second);
    assert_eq!(initiator.log_out(second, 2, CID), 0);
    for tag in [running, answered] {
        assert_eq!(initiator.reassign(second, tag, 0), 1, "it doesn't exist");
    }
}

#[test]
fn tasks_that_nobody_reassigns_end_in_time_and_the_initiator_is_told() {
    let mut initiator = recovering(2);
    let (tag, task) = initiator.read(100);
    let second = initiator.add(8);
    let start = initiator.now;
    initiator
        .session
        .connection_lost(ConnectionId::LEADING, start);
    assert_eq!(initiator.log_out(second, 2, CID), 0);
    // Time2Wait is 2 s, Time2Retain 20 s.
    initiator.session.handle_timeout(start + 21 * SECOND);
    initiator.session.handle_timeout(start + 22 * SECOND);
    assert_eq!(initiator.expect_abort(), task);
    let event = initiator.session.poll_event();
    assert!(matches!(
        event,
        Some(Event::ClearedByProtocolEvent { lun: LUN })
    ));
    initiator.now = start + 22 * SECOND;
    pdus(&mut initiator.session, second);
    assert_eq!(initiator.reassign(second, tag, 0), 1);
}

#[test]
fn a_session_without_a_connection_lives_as_long_as_was_agreed() {
    let mut initiator = recovering(2);
    let start = initiator.now;
    initiator
        .session
        .connection_lost(ConnectionId::LEADING, start);
    assert!(initiator.session.poll_event().is_none());
    let until = start + 22 * SECOND;
    assert_eq!(initiator.session.poll_timeout(), Some(until));
    initiator.session.handle_timeout(until);
    assert_eq!(initiator.expect_close(), CloseReason::ConnectionLost);

    let mut initiator = recovering(1);
    let start = initiator.now;
    initiator
        .session
        .connection_lost(ConnectionId::LEADING, start);
    assert_eq!(initiator.expect_close(), CloseReason::ConnectionLost);
}

#[test]
fn the_tasks_of_a_closed_connection_end_and_those_of_others_go_on() {
    for level in 0..3 {
        let mut initiator = recovering(level);
        let (_, first) = initiator.read(100);
        let second = initiator.add(8);
        let command = CommandPdu {
            last: true,
            lun: LUN,
            initiator_task_tag: 55,
            cmd_sn: SerialNumber(initiator.cmd_sn),
            ..CommandPdu::default()
        };
        initiator.cmd_sn = initiator.cmd_sn.wrapping_add(1);
        initiator.send_on(second, command.encode(0));
        let other = initiator.expect_command().task;
        assert_eq!(initiator.log_out(second, 1, CID), 0);
        assert_eq!(initiator.expect_abort(), first);
        let event = initiator.session.poll_event();
        assert!(matches!(event, Some(Event::ClearedByProtocolEvent { .. })));
        let event = initiator.session.poll_event();
        assert!(
            matches!(event, Some(Event::CloseConnection { on, .. }) if on == ConnectionId::LEADING)
        );
        let now = initiator.now;
        initiator
            .session
            .connection_lost(ConnectionId::LEADING, now);
        initiator.session.respond(other, good(0));
        let answer = pdus(&mut initiator.session, second);
        assert_eq!(ScsiResponse::parse(&answer[0].bhs).initiator_task_tag, 55);
        // With the last one, the session ends.
        assert_eq!(initiator.log_out(second, 1, 8), 0);
        assert_eq!(initiator.expect_close(), CloseReason::Logout);
    }
}

#[test]
fn a_connection_with_a_cid_in_use_takes_its_place() {
    let mut initiator = recovering(0);
    let (_, task) = initiator.read(100);
    let joining = initiator.session.prepare_connection(CID, 0, initiator.now);
    assert!(joining.is_ok());
    assert_eq!(initiator.expect_abort(), task);
    assert!(matches!(
        initiator.session.poll_event(),
        Some(Event::ClearedByProtocolEvent { .. })
    ));
    let event = initiator.session.poll_event();
    assert!(
        matches!(event, Some(Event::CloseConnection { on, .. }) if on == ConnectionId::LEADING)
    );
    assert_eq!(initiator.session.connection_count(), 0);
    // The session waits for the login to end, even if the old connection goes first.
    let now = initiator.now;
    initiator
        .session
        .connection_lost(ConnectionId::LEADING, now);
    assert!(initiator.session.poll_event().is_none());
    assert_eq!(initiator.session.poll_timeout(), Some(now + 15 * SECOND));
    let config = ConnectionConfig {
        cid: CID,
        stat_sn: 7,
        parameters: parameters(),
        nop_interval: Duration::ZERO,
        nop_timeout: Duration::ZERO,
    };
    initiator.session.add_connection(config, now).unwrap();
    assert_eq!(initiator.session.poll_timeout(), None);
}

#[test]
fn there_are_no_more_connections_than_were_negotiated() {
    let mut initiator = recovering(0);
    initiator.add(8);
    // A place is taken from the moment that it was promised.
    let promised = initiator.session.prepare_connection(9, 0, initiator.now);
    assert!(promised.is_ok());
    let joining = initiator.session.prepare_connection(10, 0, initiator.now);
    assert_eq!(joining, Err(TooManyConnections));
    let connection = ConnectionConfig {
        cid: 10,
        stat_sn: 0,
        parameters: parameters(),
        nop_interval: SECOND,
        nop_timeout: SECOND,
    };
    let added = initiator.session.add_connection(connection, initiator.now);
    assert_eq!(added, Err(TooManyConnections));
    initiator
        .session
        .handle_timeout(initiator.now + 15 * SECOND);
    let again = initiator.session.prepare_connection(10, 0, initiator.now);
    assert!(again.is_ok(), "nobody came");
}

#[test]
fn data_comes_on_the_connection_of_its_command() {
    let mut initiator = recovering(0);
    let second = initiator.add(8);
    let (tag, task) = initiator.write(1_000, &[], true);
    initiator.session.request_data(task, 1_000);
    let r2t = initiator.expect_r2t();
    let data = DataOut {
        last: true,
        lun: LUN,
        initiator_task_tag: tag,
        target_transfer_tag: r2t.target_transfer_tag,
        ..DataOut::default()
    };
    initiator.send_on(second, data.encode(0));
    let answer = pdus(&mut initiator.session, second);
    assert_eq!(Reject::parse(&answer[0].bhs).reason, 0x09);
}

#[test]
fn an_answer_to_task_management_waits_for_what_was_said_on_other_connections() {
    let mut initiator = recovering(0);
    let second = initiator.add(8);
    let (_, task) = initiator.read(0);
    initiator.session.respond(task, good(0));
    let request = ManagementPdu {
        immediate: true,
        function: 5,
        lun: LUN,
        initiator_task_tag: 9,
        cmd_sn: SerialNumber(initiator.cmd_sn),
        ..ManagementPdu::default()
    };
    initiator.send_on(second, request.encode(0));
    let function = initiator.expect_management();
    let complete = TaskManagementResponse::FunctionComplete;
    initiator
        .session
        .task_management_done(function.tag, complete);
    assert!(pdus(&mut initiator.session, second).is_empty());
    // A ping asks for the acknowledgement.
    let said = drained(&mut initiator);
    assert!(
        matches!(said.last(), Some(Seen::Nop(nop, _)) if nop.target_transfer_tag != RESERVED_TAG)
    );
    let nop = NopOut {
        immediate: true,
        initiator_task_tag: RESERVED_TAG,
        exp_stat_sn: initiator.exp_stat_sn,
        cmd_sn: SerialNumber(initiator.cmd_sn),
        ..NopOut::default()
    };
    initiator.send(nop.encode(0), &[]);
    let answer = pdus(&mut initiator.session, second);
    assert_eq!(opcode(&answer[0].bhs), ManagementResponsePdu::OPCODE);
}

#[test]
fn a_silent_connection_goes_and_the_others_stay() {
    let mut initiator = recovering(0);
    let second = initiator.add(8);
    initiator.now += 10 * SECOND;
    let now = initiator.now;
    initiator.session.handle_timeout(now);
    drained(&mut initiator);
    initiator.session.heard(ConnectionId::LEADING, now);
    initiator.session.handle_timeout(now + 5 * SECOND);
    let event = initiator.session.poll_event();
    assert!(matches!(
        event,
        Some(Event::CloseConnection { on, reason: CloseReason::KeepaliveTimeout }) if on == second
    ));
    assert_eq!(initiator.session.connection_count(), 1);
}
