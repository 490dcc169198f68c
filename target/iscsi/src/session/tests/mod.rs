//! Sequences of PDUs between a session and an initiator: the initiator here is a test's own, it
//! checks the numbering of everything that it gets, and time is what the test says.

mod abort;
mod bounds;
mod control;
mod lossy;
mod management;
mod ordering;
mod properties;
mod reads;
mod recovery;
mod text;
mod writes;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::*;
use crate::framing::{Decoder, FramingLimits};
use crate::pdu::async_message::AsyncMessage;
use crate::pdu::data_in::DataIn;
use crate::pdu::data_out::DataOut;
use crate::pdu::logout_request::LogoutRequest;
use crate::pdu::logout_response::LogoutResponse;
use crate::pdu::nop_in::NopIn;
use crate::pdu::nop_out::NopOut;
use crate::pdu::r2t::R2t;
use crate::pdu::reject::Reject;
use crate::pdu::scsi_command::ScsiCommand as CommandPdu;
use crate::pdu::scsi_response::ScsiResponse;
use crate::pdu::task_management_request::TaskManagementRequest as ManagementPdu;
use crate::pdu::task_management_response::TaskManagementResponse as ManagementResponsePdu;
use crate::pdu::text_request::TextRequest;
use crate::pdu::text_response::TextResponse;
use crate::pdu::{Bhs, DataSegment, RESERVED_TAG, opcode};

const SECOND: Duration = Duration::from_secs(1);
const FIRST_CMD_SN: u32 = 0xffff_fffe;
const FIRST_STAT_SN: u32 = 0xffff_fffd;
const CID: u16 = 7;
const LUN: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];

/// A PDU from the target, read.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    DataIn(DataIn, Bytes),
    Response(ScsiResponse, Bytes),
    R2t(R2t),
    Management(ManagementResponsePdu),
    Text(TextResponse, Bytes),
    Logout(LogoutResponse),
    Nop(NopIn, Bytes),
    Async(AsyncMessage),
    Reject(Reject, Bytes),
}

/// An initiator on the other end of a session.
struct Initiator {
    session: Session,
    now: Instant,
    decoder: Decoder,
    /// Bytes are taken from the queue in steps of this many.
    step: usize,
    cmd_sn: u32,
    exp_stat_sn: SerialNumber,
    max_cmd_sn: SerialNumber,
    exp_cmd_sn: SerialNumber,
    next_tag: u32,
    inbox: VecDeque<Seen>,
}

fn parameters() -> Parameters {
    Parameters {
        initial_r2t: false,
        immediate_data: true,
        initiator_max_recv_data_segment_length: 1_024,
        target_max_recv_data_segment_length: 1_024,
        max_burst_length: 4_096,
        first_burst_length: 2_048,
        max_outstanding_r2t: 1,
        ..Parameters::default()
    }
}

fn config(parameters: Parameters) -> SessionConfig {
    SessionConfig {
        parameters,
        session_type: SessionType::Normal,
        cmd_sn: FIRST_CMD_SN,
        stat_sn: FIRST_STAT_SN,
        cid: CID,
        command_window: 8,
        nop_interval: 10 * SECOND,
        nop_timeout: 5 * SECOND,
        target_name: Some("iqn.2026-11.example:disk".into()),
    }
}

fn pattern(length: usize) -> Bytes {
    (0..=255).cycle().take(length).collect::<Vec<u8>>().into()
}

impl Initiator {
    fn new() -> Self {
        Self::with(config(parameters()))
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "any instant will do to count from"
    )]
    fn with(config: SessionConfig) -> Self {
        let now = Instant::now();
        let mut decoder = Decoder::new(FramingLimits {
            max_data_segment: config.parameters.initiator_max_recv_data_segment_length,
            max_ahs: 0,
        });
        decoder.set_digests(
            config.parameters.header_digest,
            config.parameters.data_digest,
        );
        Self {
            now,
            decoder,
            step: 1_000,
            cmd_sn: config.cmd_sn,
            exp_stat_sn: SerialNumber(config.stat_sn),
            max_cmd_sn: SerialNumber(config.cmd_sn),
            exp_cmd_sn: SerialNumber(config.cmd_sn),
            next_tag: 1,
            inbox: VecDeque::new(),
            session: Session::new(config, now),
        }
    }

    fn tag(&mut self) -> u32 {
        self.next_tag += 1;
        self.next_tag
    }

    fn send(&mut self, bhs: Bhs, data: &[u8]) {
        let data = DataSegment::from(Bytes::copy_from_slice(data));
        self.session.handle_pdu(
            ConnectionId::LEADING,
            RawPdu {
                bhs,
                ahs: Bytes::new(),
                data,
            },
            self.now,
        );
    }

    /// Sends a command with the next CmdSN, unless it is immediate, and returns its tag.
    fn command(&mut self, mut command: CommandPdu, data: &[u8]) -> u32 {
        command.initiator_task_tag = self.tag();
        command.cmd_sn = SerialNumber(self.cmd_sn);
        command.exp_stat_sn = self.exp_stat_sn;
        command.lun = if command.lun == [0; 8] {
            LUN
        } else {
            command.lun
        };
        if !command.immediate {
            self.cmd_sn = self.cmd_sn.wrapping_add(1);
        }
        self.send(command.encode(data.len()), data);
        command.initiator_task_tag
    }

    /// A read of `length` bytes that has reached the shell.
    fn read(&mut self, length: u32) -> (u32, TaskId) {
        let command = CommandPdu {
            last: true,
            read: true,
            attribute: 1,
            expected_data_transfer_length: length,
            ..CommandPdu::default()
        };
        let tag = self.command(command, &[]);
        (tag, self.expect_command().task)
    }

    /// A write of `length` bytes that has reached the shell, with immediate data; `last` unless
    /// unsolicited Data-Out PDUs follow.
    fn write(&mut self, length: u32, immediate: &[u8], last: bool) -> (u32, TaskId) {
        let tag = self.command(write_command(length, last), immediate);
        (tag, self.expect_command().task)
    }

    fn data_out(&mut self, header: DataOut, data: &[u8]) {
        self.send(header.encode(data.len()), data);
    }

    fn management(&mut self, mut request: ManagementPdu) -> u32 {
        request.initiator_task_tag = self.tag();
        request.cmd_sn = SerialNumber(self.cmd_sn);
        if !request.immediate {
            self.cmd_sn = self.cmd_sn.wrapping_add(1);
        }
        self.send(request.encode(0), &[]);
        request.initiator_task_tag
    }

    fn expect_command(&mut self) -> ScsiCommand {
        match self.session.poll_event() {
            Some(Event::Command(command)) => command,
            other => panic!("expected a command: {other:?}"),
        }
    }

    fn expect_data(&mut self, task: TaskId) -> Bytes {
        match self.session.poll_event() {
            Some(Event::DataOut { task: of, data }) if of == task => data.to_contiguous(),
            other => panic!("expected data of {task:?}: {other:?}"),
        }
    }

    fn expect_abort(&mut self) -> TaskId {
        match self.session.poll_event() {
            Some(Event::Abort { task }) => task,
            other => panic!("expected an abort: {other:?}"),
        }
    }

    fn expect_management(&mut self) -> TaskManagementRequest {
        match self.session.poll_event() {
            Some(Event::TaskManagement(request)) => request,
            other => panic!("expected a task management function: {other:?}"),
        }
    }

    fn expect_close(&mut self) -> CloseReason {
        match self.session.poll_event() {
            Some(Event::Close { reason }) => {
                assert!(
                    self.session.poll_event().is_none(),
                    "nothing follows a close"
                );
                reason
            }
            other => panic!("expected a close: {other:?}"),
        }
    }

    #[track_caller]
    fn expect_quiet(&mut self) {
        let event = self.session.poll_event();
        assert!(event.is_none(), "{event:?}");
        let seen = self.receive();
        assert!(seen.is_none(), "{seen:?}");
    }

    /// The next PDU from the target.
    fn receive(&mut self) -> Option<Seen> {
        self.pump();
        self.inbox.pop_front()
    }

    #[track_caller]
    fn expect_r2t(&mut self) -> R2t {
        match self.receive() {
            Some(Seen::R2t(r2t)) => r2t,
            other => panic!("expected an R2T: {other:?}"),
        }
    }

    #[track_caller]
    fn expect_response(&mut self) -> (ScsiResponse, Bytes) {
        match self.receive() {
            Some(Seen::Response(response, data)) => (response, data),
            other => panic!("expected a SCSI Response: {other:?}"),
        }
    }

    #[track_caller]
    fn expect_data_in(&mut self) -> (DataIn, Bytes) {
        match self.receive() {
            Some(Seen::DataIn(header, data)) => (header, data),
            other => panic!("expected a Data-In: {other:?}"),
        }
    }

    #[track_caller]
    fn expect_reject(&mut self) -> (u8, Bytes) {
        match self.receive() {
            Some(Seen::Reject(header, data)) => {
                assert_eq!(header.initiator_task_tag, RESERVED_TAG);
                (header.reason, data)
            }
            other => panic!("expected a Reject: {other:?}"),
        }
    }

    #[track_caller]
    fn expect_management_response(&mut self) -> (u32, u8) {
        match self.receive() {
            Some(Seen::Management(header)) => (header.initiator_task_tag, header.response),
            other => panic!("expected a task management response: {other:?}"),
        }
    }

    /// Fails unless the next response is CHECK CONDITION, ABORTED COMMAND, with that code.
    #[track_caller]
    fn expect_aborted_command(&mut self, tag: u32, code: [u8; 2]) {
        let (response, data) = self.expect_response();
        assert_eq!(
            (
                response.initiator_task_tag,
                response.response,
                response.status
            ),
            (tag, 0, 2)
        );
        assert_eq!(data[..2], [0, 18], "SenseLength");
        assert_eq!((data[2], data[4] & 0x0f), (0x70, 0x0b));
        assert_eq!(data[14..16], code);
    }

    /// Takes everything off the session's queue and reads it.
    fn pump(&mut self) {
        while !self.session.tx(ConnectionId::LEADING).unwrap().is_empty() {
            let mut rx = BytesMut::new();
            let tx = self.session.tx(ConnectionId::LEADING).unwrap();
            let mut slices = [IoSlice::new(&[]); 4];
            let count = tx.io_slices(&mut slices);
            let all = slices[..count]
                .iter()
                .flat_map(|slice| slice.iter().copied());
            rx.extend(all.take(self.step));
            let taken = rx.len();
            tx.consume(taken);
            while let Some(pdu) = self.decoder.decode(&mut rx).unwrap() {
                let seen = self.check(&pdu);
                self.inbox.push_back(seen);
            }
        }
    }

    /// Reads a PDU and checks its numbers: StatSN goes up by one with every response and stays as it
    /// is otherwise; ExpCmdSN and MaxCmdSN never go back.
    fn check(&mut self, pdu: &RawPdu) -> Seen {
        let data = pdu.data.to_contiguous();
        let bhs = &pdu.bhs;
        let seen = match opcode(bhs) {
            DataIn::OPCODE => Seen::DataIn(DataIn::parse(bhs), data),
            ScsiResponse::OPCODE => Seen::Response(ScsiResponse::parse(bhs), data),
            R2t::OPCODE => Seen::R2t(R2t::parse(bhs)),
            ManagementResponsePdu::OPCODE => Seen::Management(ManagementResponsePdu::parse(bhs)),
            TextResponse::OPCODE => Seen::Text(TextResponse::parse(bhs), data),
            LogoutResponse::OPCODE => Seen::Logout(LogoutResponse::parse(bhs)),
            NopIn::OPCODE => Seen::Nop(NopIn::parse(bhs), data),
            AsyncMessage::OPCODE => Seen::Async(AsyncMessage::parse(bhs)),
            Reject::OPCODE => Seen::Reject(Reject::parse(bhs), data),
            other => panic!("a target doesn't send {other:#04x}"),
        };
        // The three numbers stand in the same place in every PDU of a target.
        let numbers = R2t::parse(bhs);
        let has_stat_sn = !matches!(&seen, Seen::DataIn(header, _) if !header.has_status);
        let uses_stat_sn = match &seen {
            Seen::R2t(_) => false,
            Seen::DataIn(header, _) => header.has_status,
            Seen::Nop(header, _) => header.initiator_task_tag != RESERVED_TAG,
            _ => true,
        };
        if has_stat_sn {
            assert_eq!(numbers.stat_sn, self.exp_stat_sn, "{seen:?}");
        }
        if uses_stat_sn {
            self.exp_stat_sn = self.exp_stat_sn.next();
        }
        assert!(!numbers.exp_cmd_sn.is_before(self.exp_cmd_sn), "{seen:?}");
        assert!(!numbers.max_cmd_sn.is_before(self.max_cmd_sn), "{seen:?}");
        self.exp_cmd_sn = numbers.exp_cmd_sn;
        self.max_cmd_sn = numbers.max_cmd_sn;
        seen
    }
}

fn write_command(length: u32, last: bool) -> CommandPdu {
    CommandPdu {
        last,
        write: true,
        attribute: 1,
        expected_data_transfer_length: length,
        ..CommandPdu::default()
    }
}

fn good(transfer_length: u64) -> ScsiReply {
    ScsiReply {
        transfer_length,
        ..ScsiReply::default()
    }
}

fn data_reply(data: Bytes) -> ScsiReply {
    let transfer_length = data.len() as u64;
    ScsiReply {
        data_in: DataSegment::from(data),
        transfer_length,
        ..ScsiReply::default()
    }
}
