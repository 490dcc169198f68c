//! NOP, logout, asynchronous messages, Reject, and what ends a session.

use super::*;
use crate::framing::FramingError;

impl Initiator {
    fn nop(&mut self, header: NopOut, data: &[u8]) {
        let header = NopOut {
            cmd_sn: SerialNumber(self.cmd_sn),
            ..header
        };
        if !header.immediate {
            self.cmd_sn = self.cmd_sn.wrapping_add(1);
        }
        self.send(header.encode(data.len()), data);
    }

    fn logout(&mut self, reason: u8, cid: u16) {
        let request = LogoutRequest {
            reason,
            initiator_task_tag: 99,
            cid,
            cmd_sn: SerialNumber(self.cmd_sn),
            ..LogoutRequest::default()
        };
        self.cmd_sn = self.cmd_sn.wrapping_add(1);
        self.send(request.encode(0), &[]);
    }

    #[track_caller]
    fn expect_nop(&mut self) -> (NopIn, Bytes) {
        match self.receive() {
            Some(Seen::Nop(header, data)) => (header, data),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn expect_logout_response(&mut self) -> LogoutResponse {
        match self.receive() {
            Some(Seen::Logout(header)) => header,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_ping_is_echoed() {
    let mut initiator = Initiator::new();
    for immediate in [false, true] {
        for length in [0, 8, 1_024, 1_025] {
            let header = NopOut {
                immediate,
                initiator_task_tag: 5,
                target_transfer_tag: RESERVED_TAG,
                ..NopOut::default()
            };
            initiator.nop(header, &pattern(length));
            let (header, data) = initiator.expect_nop();
            assert_eq!(
                (header.initiator_task_tag, header.target_transfer_tag),
                (5, u32::MAX)
            );
            assert_eq!(data, pattern(length.min(1_024)));
            assert_eq!(header.exp_cmd_sn, SerialNumber(initiator.cmd_sn));
        }
    }
}

#[test]
fn a_nop_out_that_asks_for_nothing_gets_nothing() {
    let mut initiator = Initiator::new();
    let header = NopOut {
        immediate: true,
        initiator_task_tag: RESERVED_TAG,
        target_transfer_tag: 12,
        ..NopOut::default()
    };
    initiator.nop(header, &[]);
    initiator.expect_quiet();
}

#[test]
fn a_silent_initiator_is_asked_and_then_given_up() {
    let mut initiator = Initiator::new();
    let start = initiator.now;
    assert_eq!(initiator.session.poll_timeout(), Some(start + 10 * SECOND));
    initiator.session.handle_timeout(start + 9 * SECOND);
    initiator.expect_quiet();
    initiator.session.handle_timeout(start + 10 * SECOND);
    let (ping, data) = initiator.expect_nop();
    assert_eq!(ping.initiator_task_tag, RESERVED_TAG);
    assert_ne!(ping.target_transfer_tag, RESERVED_TAG);
    assert!(data.is_empty());
    assert_eq!(initiator.session.poll_timeout(), Some(start + 15 * SECOND));

    initiator.now = start + 12 * SECOND;
    let pong = NopOut {
        immediate: true,
        lun: ping.lun,
        initiator_task_tag: RESERVED_TAG,
        target_transfer_tag: ping.target_transfer_tag,
        ..NopOut::default()
    };
    initiator.nop(pong, &[]);
    initiator.expect_quiet();
    assert_eq!(initiator.session.poll_timeout(), Some(start + 22 * SECOND));

    initiator.session.handle_timeout(start + 22 * SECOND);
    let (second, _) = initiator.expect_nop();
    assert_ne!(second.target_transfer_tag, ping.target_transfer_tag);
    initiator.session.handle_timeout(start + 27 * SECOND);
    assert_eq!(initiator.expect_close(), CloseReason::KeepaliveTimeout);
    assert_eq!(initiator.session.poll_timeout(), None);
}

#[test]
fn logout_ends_all_tasks_and_the_session() {
    for (reason, cid) in [(0, 0), (1, CID)] {
        let mut initiator = Initiator::new();
        let (_, read) = initiator.read(512);
        let (_, write) = initiator.write(512, &[], true);
        initiator.logout(reason, cid);
        assert_eq!(
            [initiator.expect_abort(), initiator.expect_abort()],
            [read, write]
        );
        assert_eq!(initiator.expect_close(), CloseReason::Logout);
        let response = initiator.expect_logout_response();
        assert_eq!((response.response, response.initiator_task_tag), (0, 99));
        assert_eq!((response.time2wait, response.time2retain), (2, 20));
        initiator.session.respond(read, data_reply(pattern(512)));
        initiator.session.request_data(write, 512);
        initiator.command(
            CommandPdu {
                last: true,
                ..CommandPdu::default()
            },
            &[],
        );
        initiator
            .session
            .async_message(ConnectionId::LEADING, AsyncEvent::DropConnection);
        initiator.session.abort_lun(LUN);
        initiator
            .session
            .handle_timeout(initiator.now + 100 * SECOND);
        initiator.session.handle_framing_error(
            ConnectionId::LEADING,
            FramingError::HeaderDigest,
            initiator.now,
        );
        initiator.expect_quiet();
    }
}

#[test]
fn logout_waits_for_its_turn() {
    let mut initiator = Initiator::new();
    let missing = initiator.cmd_sn;
    initiator.cmd_sn = missing.wrapping_add(1);
    initiator.logout(0, 0);
    initiator.expect_quiet();
    initiator.cmd_sn = missing;
    initiator.command(
        CommandPdu {
            last: true,
            ..CommandPdu::default()
        },
        &[],
    );
    let task = initiator.expect_command().task;
    assert_eq!(initiator.expect_abort(), task);
    assert_eq!(initiator.expect_close(), CloseReason::Logout);
}

#[test]
fn logouts_that_make_no_sense_change_nothing() {
    let mut initiator = Initiator::new();
    for (reason, cid, response) in [(1, CID + 1, 1), (2, CID, 2)] {
        initiator.logout(reason, cid);
        assert_eq!(initiator.expect_logout_response().response, response);
    }
    initiator.logout(3, CID);
    assert_eq!(initiator.expect_reject().0, 0x09);
    initiator.read(0);
}

#[test]
fn asynchronous_messages_say_what_is_to_happen() {
    let mut initiator = Initiator::new();
    for (event, expected) in [
        (AsyncEvent::RequestLogout { seconds: 42 }, (1, 0, 0, 42)),
        (AsyncEvent::DropConnection, (2, CID, 2, 20)),
        (AsyncEvent::DropAllConnections, (3, 0, 2, 20)),
    ] {
        initiator
            .session
            .async_message(ConnectionId::LEADING, event);
        match initiator.receive() {
            Some(Seen::Async(message)) => {
                assert_eq!(message.initiator_task_tag, RESERVED_TAG);
                let said = (
                    message.async_event,
                    message.parameter1,
                    message.parameter2,
                    message.parameter3,
                );
                assert_eq!(said, expected);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn unknown_opcodes_are_rejected_with_their_header() {
    let mut initiator = Initiator::new();
    for opcode in (0x07..0x3f).filter(|opcode| *opcode != 0x10) {
        let mut bhs = [0; 48];
        bhs[0] = 0x40 | opcode;
        bhs[20] = 0xab;
        initiator.send(bhs, &[]);
        assert_eq!(
            initiator.expect_reject(),
            (0x05, Bytes::copy_from_slice(&bhs)),
            "{opcode:#x}"
        );
    }
    initiator.read(0);
}

#[test]
fn an_unknown_command_that_is_numbered_uses_its_number_up() {
    let mut initiator = Initiator::new();
    let mut bhs = [0; 48];
    bhs[0] = 0x1c;
    bhs[24..28].copy_from_slice(&initiator.cmd_sn.to_be_bytes());
    initiator.send(bhs, &[]);
    assert_eq!(initiator.expect_reject().0, 0x05);
    initiator.cmd_sn = initiator.cmd_sn.wrapping_add(1);
    initiator.read(0);
}

#[test]
fn a_snack_is_a_protocol_error_at_error_recovery_level_0() {
    let mut initiator = Initiator::new();
    let mut bhs = [0; 48];
    bhs[0] = 0x10;
    bhs[1] = 0x80;
    initiator.send(bhs, &[]);
    assert_eq!(initiator.expect_reject().0, 0x04);
    initiator.read(0);
}

#[test]
fn a_login_request_in_full_feature_phase_ends_the_session() {
    let mut initiator = Initiator::new();
    let mut bhs = [0; 48];
    bhs[0] = 0x43;
    initiator.send(bhs, &[]);
    assert_eq!(initiator.expect_reject().0, 0x04);
    assert_eq!(initiator.expect_close(), CloseReason::UnexpectedLogin);
}

#[test]
fn framing_errors_end_the_session() {
    let bhs = write_command(512, true).encode(512);
    for (error, reject, reason) in [
        (FramingError::HeaderDigest, None, CloseReason::HeaderDigest),
        (
            FramingError::DataDigest { bhs },
            Some(0x02),
            CloseReason::DataDigest,
        ),
        (
            FramingError::DataSegmentTooLong {
                bhs,
                length: 9,
                limit: 8,
            },
            Some(0x04),
            CloseReason::FormatError,
        ),
        (
            FramingError::AhsTooLong {
                bhs,
                length: 9,
                limit: 8,
            },
            Some(0x04),
            CloseReason::FormatError,
        ),
    ] {
        let mut initiator = Initiator::new();
        initiator
            .session
            .handle_framing_error(ConnectionId::LEADING, error, initiator.now);
        if let Some(reject) = reject {
            assert_eq!(
                initiator.expect_reject(),
                (reject, Bytes::copy_from_slice(&bhs))
            );
        }
        assert_eq!(initiator.expect_close(), reason);
        assert!(!reason.to_string().is_empty());
    }
}

#[test]
fn a_discovery_session_takes_text_logout_and_nop_only() {
    let mut initiator = Initiator::with(SessionConfig {
        session_type: SessionType::Discovery,
        target_name: None,
        ..config(parameters())
    });
    initiator.command(
        CommandPdu {
            last: true,
            ..CommandPdu::default()
        },
        &[],
    );
    assert_eq!(initiator.expect_reject().0, 0x05);
    initiator.management(ManagementPdu {
        immediate: true,
        function: 5,
        ..Default::default()
    });
    assert_eq!(initiator.expect_reject().0, 0x05);
    initiator.data_out(DataOut::default(), &pattern(10));
    assert_eq!(initiator.expect_reject().0, 0x05);
    let header = NopOut {
        initiator_task_tag: 5,
        target_transfer_tag: RESERVED_TAG,
        ..NopOut::default()
    };
    initiator.nop(header, b"ping");
    assert_eq!(initiator.expect_nop().1, "ping");
    initiator.logout(0, 0);
    assert_eq!(initiator.expect_close(), CloseReason::Logout);
}
