//! Any sequence of PDUs in full feature phase, with a shell that answers when and as the input says:
//! the numbering holds, the initiator's limits are kept, and events make sense to a shell. At every
//! ErrorRecoveryLevel, with connections that come and go.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidelock_iscsi::framing::{Decoder, FramingError, FramingLimits};
use tidelock_iscsi::login::SessionType;
use tidelock_iscsi::parameters::{Parameters, TaskReporting};
use tidelock_iscsi::pdu::r2t::R2t;
use tidelock_iscsi::pdu::{BHS_LEN, Bhs, DataSegment, RawPdu, opcode};
use tidelock_iscsi::serial::SerialNumber;
use tidelock_iscsi::session::{
    AsyncEvent, ConnectionConfig, ConnectionId, Event, ScsiCommand, ScsiReply, Session,
    SessionConfig, TargetRecord, TaskId, TaskManagementResponse, TaskManagementTag, TextTag,
};

use crate::input::Input;
use crate::wire::{decode, drain};

const TARGET: &str = "iqn.2026-11.test:target";
const WINDOW: u32 = 16;
/// The sizes of a reply's data that an input can choose from.
const SIZES: [u32; 8] = [0, 1, 511, 512, 4_096, 9_000, 70_000, 300_000];

/// First bytes: the parameters. Then steps: a PDU, an answer of the shell, or time that passes.
pub fn check(input: &[u8]) {
    let mut input = Input(input);
    let mut world = World::new(&mut input);
    while !input.is_empty() && !world.closed {
        world.step(&mut input);
        world.look();
    }
}

struct World {
    session: Session,
    links: Vec<Link>,
    now: Instant,
    parameters: Parameters,
    tasks: HashMap<TaskId, Task>,
    functions: Vec<TaskManagementTag>,
    texts: Vec<TextTag>,
    exp_cmd_sn: u32,
    /// The last R2T, so that Data-Out that fits can be sent.
    r2t: Option<R2t>,
    closed: bool,
}

/// The initiator's end of a connection.
struct Link {
    id: ConnectionId,
    decoder: Decoder,
    max_cmd_sn: SerialNumber,
}

impl Link {
    fn new(id: ConnectionId) -> Self {
        Self {
            id,
            decoder: Decoder::new(FramingLimits {
                max_data_segment: 0xff_ffff,
                max_ahs: 0,
            }),
            max_cmd_sn: SerialNumber(u32::MAX - 4),
        }
    }
}

struct Task {
    command: ScsiCommand,
    /// Bytes of data-out that were asked for and haven't come.
    asked: Option<u32>,
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let flags = input.byte();
        // 3 is for a discovery session.
        let level = (flags >> 2) & 3;
        let parameters = Parameters {
            error_recovery_level: if level == 3 { 0 } else { level },
            max_connections: 3,
            initial_r2t: flags & 1 != 0,
            immediate_data: flags & 2 != 0,
            initiator_max_recv_data_segment_length: 512 + u32::from(input.u16()),
            target_max_recv_data_segment_length: 65_536,
            max_burst_length: 512 + u32::from(input.u16()) * 8,
            first_burst_length: 512,
            max_outstanding_r2t: u16::from(flags >> 4) + 1,
            task_reporting: match (flags >> 4) % 3 {
                0 => TaskReporting::Rfc3720,
                1 => TaskReporting::ResponseFence,
                _ => TaskReporting::FastAbort,
            },
            ..Parameters::default()
        };
        let discovery = flags & 0x0c == 0x0c;
        let now = Instant::now();
        let config = SessionConfig {
            parameters: parameters.clone(),
            session_type: if discovery {
                SessionType::Discovery
            } else {
                SessionType::Normal
            },
            cmd_sn: u32::MAX - 3,
            stat_sn: u32::MAX - 3,
            cid: 1,
            command_window: WINDOW,
            nop_interval: Duration::from_secs(10),
            nop_timeout: Duration::from_secs(10),
            target_name: (!discovery).then(|| TARGET.to_owned()),
        };
        Self {
            session: Session::new(config, now),
            links: vec![Link::new(ConnectionId::LEADING)],
            now,
            parameters,
            tasks: HashMap::new(),
            functions: Vec::new(),
            texts: Vec::new(),
            exp_cmd_sn: u32::MAX - 3,
            r2t: None,
            closed: false,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0..=8 => {
                let on = self.any_link(input);
                let pdu = self.pdu(input);
                self.session.handle_pdu(on, pdu, self.now);
            }
            9 | 10 => self.answer_task(input),
            11 => self.answer_function(input),
            12 => self.answer_text(input),
            13 => {
                self.now += Duration::from_secs(u64::from(input.byte()) / 8);
                self.session.handle_timeout(self.now);
            }
            14 => self.session.set_command_window(u32::from(input.byte()) + 1),
            _ => self.seldom(input),
        }
    }

    fn seldom(&mut self, input: &mut Input<'_>) {
        let on = self.any_link(input);
        match input.byte() % 12 {
            0 => self
                .session
                .handle_framing_error(on, FramingError::HeaderDigest, self.now),
            1 => {
                let bhs = self.pdu(input).bhs;
                let error = FramingError::DataDigest { bhs };
                self.session.handle_framing_error(on, error, self.now);
            }
            2 => self.session.abort_lun([0; 8]),
            3 => self.session.set_data_credit(u64::from(input.u16())),
            4 => self.session.set_data_credit(u64::MAX),
            5 => self
                .session
                .async_message(on, AsyncEvent::RequestLogout { seconds: 3 }),
            8 | 9 => self.connect(input),
            10 => self.lose(on),
            11 => self.session.set_retention(usize::from(input.u16())),
            choice => self.answer_stale(choice, TaskId::from_raw(u32::from(input.u16()))),
        }
    }

    fn any_link(&self, input: &mut Input<'_>) -> ConnectionId {
        // One byte more only where there is a choice.
        let choice = if self.links.len() > 1 {
            input.byte()
        } else {
            0
        };
        let link = self
            .links
            .get(usize::from(choice) % self.links.len().max(1));
        link.map_or(ConnectionId::LEADING, |link| link.id)
    }

    fn connect(&mut self, input: &mut Input<'_>) {
        let cid = u16::from(input.byte() % 4);
        let exp_stat_sn = u32::MAX - 3 + u32::from(input.byte() % 4);
        if self
            .session
            .prepare_connection(cid, exp_stat_sn, self.now)
            .is_err()
        {
            return;
        }
        let config = ConnectionConfig {
            cid,
            stat_sn: u32::MAX - 3,
            parameters: self.parameters.clone(),
            nop_interval: Duration::from_secs(10),
            nop_timeout: Duration::from_secs(10),
        };
        let id = self.session.add_connection(config, self.now);
        self.links
            .push(Link::new(id.expect("a place was promised")));
    }

    fn lose(&mut self, id: ConnectionId) {
        self.links.retain(|link| link.id != id);
        self.session.connection_lost(id, self.now);
    }

    /// A shell that comes too late: the task has been aborted, or there never was one.
    fn answer_stale(&mut self, choice: u8, id: TaskId) {
        if self.tasks.contains_key(&id) {
            return;
        }
        if choice == 6 {
            self.session.respond(id, ScsiReply::default());
        } else {
            self.session.request_data(id, 1);
        }
    }

    /// A PDU of the input, brought near to sense as far as its first byte asks for it.
    fn pdu(&mut self, input: &mut Input<'_>) -> RawPdu {
        let fix = input.byte();
        let mut bhs: Bhs = [0; BHS_LEN];
        let given = input.bytes(BHS_LEN - 12);
        bhs[..given.len().min(4)].copy_from_slice(&given[..given.len().min(4)]);
        if let Some(rest) = given.get(4..) {
            bhs[8..8 + rest.len()].copy_from_slice(rest);
        }
        if fix & 1 != 0 {
            bhs[24..28].copy_from_slice(&self.exp_cmd_sn.to_be_bytes());
        }
        if fix & 2 != 0 {
            // ITT: few, so that PDUs meet.
            bhs[16..20].copy_from_slice(&[0, 0, 0, fix >> 5]);
        }
        let mut length = usize::from(input.u16()) % 20_000;
        if let (true, Some(r2t)) = (fix & 4 != 0, self.r2t) {
            length = length.min(r2t.desired_data_transfer_length as usize);
            bhs[0] = 0x05;
            bhs[1] |= if fix & 8 != 0 { 0x80 } else { 0 };
            bhs[8..16].copy_from_slice(&r2t.lun);
            bhs[16..20].copy_from_slice(&r2t.initiator_task_tag.to_be_bytes());
            bhs[20..24].copy_from_slice(&r2t.target_transfer_tag.to_be_bytes());
            bhs[40..44].copy_from_slice(&r2t.buffer_offset.to_be_bytes());
        }
        let [_, high, middle, low] = u32::try_from(length).unwrap_or(0).to_be_bytes();
        bhs[5..8].copy_from_slice(&[high, middle, low]);
        let mut data = input
            .bytes(if opcode(&bhs) == 0x04 { length } else { 0 })
            .to_vec();
        data.resize(length, 0);
        RawPdu {
            bhs,
            ahs: Bytes::new(),
            data: Bytes::from(data).into(),
        }
    }

    fn answer_task(&mut self, input: &mut Input<'_>) {
        let (choice, how) = (usize::from(input.byte()), input.byte());
        let mut ids: Vec<TaskId> = self.tasks.keys().copied().collect();
        ids.sort_unstable_by_key(|id| id.to_raw());
        let Some(&id) = ids.get(choice % ids.len().max(1)) else {
            return;
        };
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        let expected = task.command.expected_data_transfer_length;
        if how & 1 == 0 && task.command.write && task.asked.is_none() && expected > 0 {
            let length = if how & 2 == 0 {
                expected.min(1 << 20)
            } else {
                1
            };
            task.asked = Some(length);
            self.session.request_data(id, length);
            return;
        }
        self.tasks.remove(&id);
        let size = SIZES[usize::from(how >> 5)];
        let reply = ScsiReply {
            status: if how & 4 == 0 { 0 } else { 2 },
            sense: if how & 4 == 0 {
                Bytes::new()
            } else {
                Bytes::from_static(&[0x70; 18])
            },
            data_in: if how & 8 == 0 {
                DataSegment::new()
            } else {
                Bytes::from(vec![0; size as usize]).into()
            },
            transfer_length: u64::from(size) << (how & 0x10),
            response_fence: how & 2 != 0,
        };
        self.session.respond(id, reply);
    }

    fn answer_function(&mut self, input: &mut Input<'_>) {
        let response = match input.byte() % 4 {
            0 => TaskManagementResponse::TaskDoesNotExist,
            1 => TaskManagementResponse::LunDoesNotExist,
            _ => TaskManagementResponse::FunctionComplete,
        };
        if let Some(tag) = self.functions.pop() {
            self.session.task_management_done(tag, response);
        }
    }

    fn answer_text(&mut self, input: &mut Input<'_>) {
        let Some(tag) = self.texts.pop() else { return };
        let count = usize::from(input.byte());
        let addresses = vec![
            ("127.0.0.1:3260".to_owned(), 1),
            ("[::1]:3260".to_owned(), 1),
        ];
        let records = (0..count)
            .map(|number| TargetRecord {
                name: format!("{TARGET}{number}"),
                addresses: addresses.clone(),
            })
            .collect();
        self.session.send_targets_reply(tag, records);
    }

    /// Drains events and bytes, and checks both.
    fn look(&mut self) {
        while let Some(event) = self.session.poll_event() {
            assert!(!self.closed, "no event follows the last");
            self.event(event);
        }
        assert!(self.tasks.len() <= self.session.outstanding());
        for mut link in std::mem::take(&mut self.links) {
            let Some(tx) = self.session.tx(link.id) else {
                continue;
            };
            let stream = drain(tx, usize::MAX);
            let (pdus, error) = decode(&mut link.decoder, &stream, usize::MAX);
            assert_eq!(error, None);
            pdus.iter().for_each(|pdu| self.received(&mut link, pdu));
            self.links.push(link);
        }
        if let Some(due) = self.session.poll_timeout() {
            assert!(!self.closed && due <= self.now + Duration::from_secs(40));
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Command(command) => {
                let id = command.task;
                let before = self.tasks.insert(
                    id,
                    Task {
                        command,
                        asked: None,
                    },
                );
                assert!(before.is_none(), "a task's name is given once");
            }
            Event::DataOut { task, data } => {
                let task = self
                    .tasks
                    .get_mut(&task)
                    .expect("data for a task that is known");
                assert_eq!(task.asked.map(|asked| asked as usize), Some(data.len()));
            }
            Event::Abort { task } => {
                assert!(
                    self.tasks.remove(&task).is_some(),
                    "only what has begun is aborted"
                );
            }
            Event::TaskManagement(request) => self.functions.push(request.tag),
            Event::SendTargets { tag, .. } => self.texts.push(tag),
            Event::CloseConnection { on, .. } => self.lose(on),
            Event::ClearedByProtocolEvent { .. } => {}
            Event::Close { .. } => self.closed = true,
        }
    }

    /// What the initiator makes of a PDU.
    fn received(&mut self, link: &mut Link, pdu: &RawPdu) {
        let code = opcode(&pdu.bhs);
        // MaxRecvDataSegmentLength may be changed by a Text Request on the way.
        let limit = self.parameters.initiator_max_recv_data_segment_length.max(
            self.session
                .parameters(link.id)
                .map_or(0, |p| p.initiator_max_recv_data_segment_length),
        );
        assert!(
            pdu.data.len() as u64 <= u64::from(limit),
            "opcode {code:#x} beyond the limit"
        );
        let field = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| pdu.bhs[at + i]));
        self.exp_cmd_sn = field(28);
        let max_cmd_sn = SerialNumber(field(32));
        assert!(!max_cmd_sn.is_before(link.max_cmd_sn), "MaxCmdSN went back");
        link.max_cmd_sn = max_cmd_sn;
        if code == R2t::OPCODE {
            let r2t = R2t::parse(&pdu.bhs);
            let length = r2t.desired_data_transfer_length;
            assert!(length > 0 && length <= self.parameters.max_burst_length);
            assert!(pdu.data.is_empty());
            self.r2t = Some(r2t);
        } else {
            assert!(
                (0x20..=0x26).contains(&code) || matches!(code, 0x32 | 0x3f),
                "opcode {code:#x}"
            );
        }
    }
}
