//! Aborts of many tasks and response fences, by TaskReporting (RFC 7143 §4.2.2.3, §4.2.3, §13.23): a
//! session with several connections, and an initiator that acknowledges when the test says so.

mod fences;
mod oracle;
mod semantics;

use super::*;
use crate::parameters::TaskReporting;

pub(super) const OTHER_LUN: [u8; 8] = [0, 2, 0, 0, 0, 0, 0, 0];
pub(super) const ABORT_TASK_SET: u8 = 2;
pub(super) const CLEAR_TASK_SET: u8 = 4;
pub(super) const LOGICAL_UNIT_RESET: u8 = 5;
pub(super) const TARGET_WARM_RESET: u8 = 6;
pub(super) const TARGET_COLD_RESET: u8 = 7;

/// One connection as the initiator sees it.
struct Peer {
    id: ConnectionId,
    /// The StatSN that comes next.
    next: SerialNumber,
    /// What it has acknowledged.
    acknowledged: SerialNumber,
    decoder: Decoder,
    /// A NOP-In wants an answer.
    asked: bool,
}

/// A session and its initiator.
struct World {
    session: Session,
    now: Instant,
    peers: Vec<Peer>,
    cmd_sn: u32,
    max_cmd_sn: SerialNumber,
    next_tag: u32,
}

impl World {
    fn new(task_reporting: TaskReporting, connections: u16) -> Self {
        Self::at_level(task_reporting, connections, 0)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "any instant will do to count from"
    )]
    fn at_level(task_reporting: TaskReporting, connections: u16, level: u8) -> Self {
        let now = Instant::now();
        let config = SessionConfig {
            nop_interval: Duration::ZERO,
            ..config(Parameters {
                task_reporting,
                max_connections: connections,
                error_recovery_level: level,
                ..parameters()
            })
        };
        let mut this = Self {
            session: Session::new(config, now),
            now,
            peers: Vec::new(),
            cmd_sn: FIRST_CMD_SN,
            max_cmd_sn: SerialNumber(FIRST_CMD_SN),
            next_tag: 1,
        };
        this.peer(ConnectionId::LEADING, FIRST_STAT_SN);
        for cid in 1..connections {
            this.session.prepare_connection(cid + 100, 0, now).unwrap();
            let stat_sn = 100 * u32::from(cid);
            let config = ConnectionConfig {
                cid: cid + 100,
                stat_sn,
                parameters: parameters(),
                nop_interval: Duration::ZERO,
                nop_timeout: Duration::ZERO,
            };
            let id = this.session.add_connection(config, now).unwrap();
            this.peer(id, stat_sn);
        }
        this
    }

    fn peer(&mut self, id: ConnectionId, stat_sn: u32) {
        self.peers.push(Peer {
            id,
            next: SerialNumber(stat_sn),
            acknowledged: SerialNumber(stat_sn),
            decoder: Decoder::new(FramingLimits {
                max_data_segment: 1 << 20,
                max_ahs: 0,
            }),
            asked: false,
        });
    }

    fn tag(&mut self) -> u32 {
        self.next_tag += 1;
        self.next_tag
    }

    fn send(&mut self, on: usize, bhs: Bhs, data: &[u8]) {
        let pdu = RawPdu {
            bhs,
            ahs: Bytes::new(),
            data: DataSegment::from(Bytes::copy_from_slice(data)),
        };
        let id = self.peers[on].id;
        self.session.handle_pdu(id, pdu, self.now);
    }

    /// Sends a command with the next CmdSN; ExpStatSN is what the test acknowledged.
    fn command(&mut self, on: usize, mut command: CommandPdu) -> u32 {
        command.initiator_task_tag = self.tag();
        command.cmd_sn = SerialNumber(self.cmd_sn);
        command.exp_stat_sn = self.peers[on].acknowledged;
        self.cmd_sn = self.cmd_sn.wrapping_add(1);
        self.send(on, command.encode(0), &[]);
        command.initiator_task_tag
    }

    /// A command without data that has reached the shell.
    fn plain(&mut self, on: usize, lun: [u8; 8]) -> (u32, TaskId) {
        let command = CommandPdu {
            last: true,
            lun,
            ..CommandPdu::default()
        };
        (self.command(on, command), self.expect_command())
    }

    /// A write whose data has been asked for, and the tag to send it with.
    fn soliciting(&mut self, on: usize, lun: [u8; 8], length: u32) -> (u32, TaskId, u32) {
        let command = CommandPdu {
            lun,
            ..write_command(length, true)
        };
        let tag = self.command(on, command);
        let task = self.expect_command();
        self.session.request_data(task, length);
        let seen = self.receive(on);
        let [Seen::R2t(r2t)] = &seen[..] else {
            panic!("{seen:?}")
        };
        (tag, task, r2t.target_transfer_tag)
    }

    fn data_out(&mut self, on: usize, tag: u32, transfer_tag: u32, data: &[u8]) {
        let header = DataOut {
            last: true,
            initiator_task_tag: tag,
            target_transfer_tag: transfer_tag,
            exp_stat_sn: self.peers[on].acknowledged,
            ..DataOut::default()
        };
        self.send(on, header.encode(data.len()), data);
    }

    /// A function for immediate delivery.
    fn function(&mut self, on: usize, function: u8, lun: [u8; 8]) -> u32 {
        let request = ManagementPdu {
            immediate: true,
            function,
            lun,
            initiator_task_tag: self.tag(),
            referenced_task_tag: RESERVED_TAG,
            cmd_sn: SerialNumber(self.cmd_sn),
            exp_stat_sn: self.peers[on].acknowledged,
            ..ManagementPdu::default()
        };
        self.send(on, request.encode(0), &[]);
        request.initiator_task_tag
    }

    /// Acknowledges all that has come on a connection, by a NOP-Out with that LUN.
    fn acknowledge(&mut self, on: usize, lun: [u8; 8]) {
        let peer = &mut self.peers[on];
        peer.acknowledged = peer.next;
        peer.asked = false;
        let nop = NopOut {
            immediate: true,
            lun,
            initiator_task_tag: RESERVED_TAG,
            target_transfer_tag: RESERVED_TAG,
            cmd_sn: SerialNumber(self.cmd_sn),
            exp_stat_sn: peer.acknowledged,
        };
        self.send(on, nop.encode(0), &[]);
    }

    #[track_caller]
    fn expect_command(&mut self) -> TaskId {
        match self.session.poll_event() {
            Some(Event::Command(command)) => command.task,
            other => panic!("expected a command: {other:?}"),
        }
    }

    /// The function that the session hands over, behind the tasks that it has ended.
    #[track_caller]
    fn expect_function(&mut self) -> (Vec<TaskId>, TaskManagementTag) {
        let mut ended = Vec::new();
        loop {
            match self.session.poll_event() {
                Some(Event::Abort { task }) => ended.push(task),
                Some(Event::TaskManagement(request)) => return (ended, request.tag),
                other => panic!("expected a function: {other:?}"),
            }
        }
    }

    fn complete(&mut self, tag: TaskManagementTag) {
        let complete = TaskManagementResponse::FunctionComplete;
        self.session.task_management_done(tag, complete);
    }

    fn respond(&mut self, task: TaskId, response_fence: bool) {
        let reply = ScsiReply {
            response_fence,
            ..ScsiReply::default()
        };
        self.session.respond(task, reply);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
    }

    /// What has come on a connection, but for NOP-Ins. The numbers have to be right.
    fn receive(&mut self, on: usize) -> Vec<Seen> {
        let peer = &mut self.peers[on];
        let mut rx = BytesMut::new();
        let mut seen = Vec::new();
        let Some(tx) = self.session.tx(peer.id) else {
            return seen;
        };
        while !tx.is_empty() {
            let mut slices = [IoSlice::new(&[]); 16];
            let count = tx.io_slices(&mut slices);
            let before = rx.len();
            for slice in &slices[..count] {
                rx.extend_from_slice(slice);
            }
            let taken = rx.len() - before;
            tx.consume(taken);
        }
        while let Some(pdu) = peer.decoder.decode(&mut rx).unwrap() {
            let data = pdu.data.to_contiguous();
            let R2t {
                stat_sn,
                max_cmd_sn,
                ..
            } = R2t::parse(&pdu.bhs);
            self.max_cmd_sn = self.max_cmd_sn.later(max_cmd_sn);
            let one = match opcode(&pdu.bhs) {
                ScsiResponse::OPCODE => Seen::Response(ScsiResponse::parse(&pdu.bhs), data),
                R2t::OPCODE => Seen::R2t(R2t::parse(&pdu.bhs)),
                AsyncMessage::OPCODE => Seen::Async(AsyncMessage::parse(&pdu.bhs)),
                Reject::OPCODE => Seen::Reject(Reject::parse(&pdu.bhs), data),
                ManagementResponsePdu::OPCODE => {
                    Seen::Management(ManagementResponsePdu::parse(&pdu.bhs))
                }
                LogoutResponse::OPCODE => Seen::Logout(LogoutResponse::parse(&pdu.bhs)),
                NopIn::OPCODE => {
                    peer.asked |= NopIn::parse(&pdu.bhs).target_transfer_tag != RESERVED_TAG;
                    continue;
                }
                other => panic!("{other:#04x}"),
            };
            assert_eq!(stat_sn, peer.next, "{one:?}");
            if !matches!(one, Seen::R2t(_)) {
                peer.next = peer.next.next();
            }
            seen.push(one);
        }
        seen
    }

    #[track_caller]
    fn expect_nothing(&mut self) {
        let event = self.session.poll_event();
        assert!(event.is_none(), "{event:?}");
        for on in 0..self.peers.len() {
            assert_eq!(self.receive(on), [], "on {on}");
        }
    }

    /// The only PDU that has come is the end of that task.
    #[track_caller]
    fn expect_response(&mut self, on: usize, tag: u32) {
        let seen = self.receive(on);
        let [Seen::Response(response, _)] = &seen[..] else {
            panic!("expected one response: {seen:?}")
        };
        assert_eq!(response.initiator_task_tag, tag);
    }

    /// The only PDU that has come is the answer to that function.
    #[track_caller]
    fn expect_answer(&mut self, on: usize, tag: u32) {
        let seen = self.receive(on);
        let [Seen::Management(answer)] = &seen[..] else {
            panic!("expected one answer: {seen:?}")
        };
        assert_eq!((answer.initiator_task_tag, answer.response), (tag, 0));
    }

    /// The only PDU that has come tells that the tasks for a LUN have ended.
    #[track_caller]
    fn expect_termination(&mut self, on: usize, lun: [u8; 8]) {
        let seen = self.receive(on);
        let [Seen::Async(message)] = &seen[..] else {
            panic!("expected one message: {seen:?}")
        };
        assert_eq!((message.async_event, message.lun), (5, lun));
        assert_eq!(message.initiator_task_tag, RESERVED_TAG);
    }
}
